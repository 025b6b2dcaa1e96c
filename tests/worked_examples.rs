//! The worked examples of the domain, over the whole pipeline: landed, priced, invoiced.
//! F1, F10 and F12 are functions alone: `slt/worked_examples.slt`.

use crate::fixture::{Fixture, Line, rows, run};

/// Totals of the root's invoices in a period, by buyer.
async fn totals(fixture: &Fixture, period: &str) -> Vec<String> {
    run(&fixture.admin(), &format!("call close_period('{period}')")).await;
    rows(&fixture.admin(), "select buyer_node_id, total from invoices order by buyer_node_id").await
}

#[tokio::test]
async fn f5_a_machine_of_744_hours_is_a_month_with_compute_disk_and_egress_apart() {
    let fixture = Fixture::with_nodes("cust,dist,customer").await;
    fixture.accounts("a-cust,cust").await;
    fixture.card("direct", "dist", "cust", "pass_through", "").await;
    // 744 h × 0.192 = 142.848; a P10 disk 19.71; egress 100 GB × 0.087 = 8.70.
    let machine = Line {
        service: "Virtual Machines",
        sku: "Standard_D4s_v3",
        quantity: "744",
        ..Line::october("a-cust", "142.848")
    };
    let disk = Line {
        service: "Managed Disks",
        service_category: "Storage",
        unit: "Months",
        ..Line::october("a-cust", "19.71")
    };
    let egress = Line {
        service: "Bandwidth",
        service_category: "Networking",
        quantity: "100",
        unit: "GB",
        ..Line::october("a-cust", "8.70")
    };
    fixture.land("azure.csv", &[machine, disk, egress]).await;
    let admin = fixture.admin();
    // 31 days × 24 h.
    let hours = "select quantity, quantity = 24 * date_part('day', timestamp '2025-11-01' - interval '1 day') from charges where sku_id = 'Standard_D4s_v3'";
    assert_eq!(rows(&admin, hours).await, ["744|true"]);
    // 142.848 + 19.71 + 8.70 = 171.258; lines 142.85 + 19.71 + 8.70 = 171.26.
    assert_eq!(totals(&fixture, "2025-10").await, ["cust|171.26"]);
    let lines = "select service_name, amount from invoice_lines order by service_name";
    assert_eq!(rows(&admin, lines).await, ["Bandwidth|8.7", "Managed Disks|19.71", "Virtual Machines|142.85"]);
}

#[tokio::test]
async fn f6_markup_is_not_margin() {
    let nodes = "markup-15,dist,customer\nmarkup-20,dist,customer\nmargin-15,dist,customer\nmargin-20,dist,customer";
    let fixture = Fixture::with_nodes(nodes).await;
    fixture.accounts("a1,markup-15\na2,markup-20\na3,margin-15\na4,margin-20").await;
    for (buyer, method, value) in [
        ("markup-15", "markup_pct", "15"),
        ("markup-20", "markup_pct", "20"),
        ("margin-15", "margin_pct", "15"),
        ("margin-20", "margin_pct", "20"),
    ] {
        fixture.card(&format!("card-{buyer}"), "dist", buyer, method, value).await;
    }
    let lines = ["a1", "a2", "a3", "a4"].map(|account| Line::usage(account, "10000"));
    fixture.land("usage.csv", &lines).await;
    // 10,000 / 0.85 = 11,764.7058..; 10,000 / 0.80 = 12,500; × 1.15 = 11,500; × 1.20 = 12,000.
    assert_eq!(
        totals(&fixture, "2025-10").await,
        ["margin-15|11764.71", "margin-20|12500", "markup-15|11500", "markup-20|12000"]
    );
}

#[tokio::test]
async fn f7_each_category_has_its_own_percentage() {
    let fixture = Fixture::with_nodes("markup,dist,customer\nmargin,dist,customer").await;
    fixture.accounts("a1,markup\na2,margin").await;
    for (buyer, method) in [("markup", "markup_pct"), ("margin", "margin_pct")] {
        let card = format!("card-{buyer}");
        fixture
            .copy(
                "rate_cards",
                &format!("card_id,seller_node_id,buyer_node_id,currency,name\n{card},dist,{buyer},USD,{card}\n"),
            )
            .await;
        fixture.copy("rate_card_versions", &format!("card_id,version\n{card},1\n")).await;
        fixture
            .copy(
                "rate_rules",
                &format!("card_id,version,rule_id,service_category,method,value\n{card},1,compute,Compute,{method},15\n{card},1,licences,Licences,{method},20\n"),
            )
            .await;
        fixture.activate(&card, "1").await;
    }
    let licence = |account| Line { service_category: "Licences", service: "Office", ..Line::usage(account, "4000") };
    fixture
        .land("usage.csv", &[Line::usage("a1", "6000"), licence("a1"), Line::usage("a2", "6000"), licence("a2")])
        .await;
    // Markup: 6,900 + 4,800. Margin: 6,000 / 0.85 = 7,058.8235.. + 4,000 / 0.80 = 5,000.
    assert_eq!(totals(&fixture, "2025-10").await, ["margin|12058.82", "markup|11700"]);
}

#[tokio::test]
async fn f8_a_price_that_changes_on_the_16th_applies_from_its_instant() {
    let fixture = Fixture::with_nodes("cust,dist,customer").await;
    fixture.accounts("a-cust,cust").await;
    fixture
        .copy("rate_cards", "card_id,seller_node_id,buyer_node_id,currency,name\nhourly,dist,cust,USD,Hourly\n")
        .await;
    fixture.version("hourly", "1,2025-01-01,2025-10-16", "all,unit_price,0.192\n").await;
    fixture.version("hourly", "2,2025-10-16,", "all,unit_price,0.21\n").await;
    let month = Line { quantity: "744", ..Line::october("a-cust", "100") };
    fixture.land("usage.csv", &[month]).await;
    // 15 days × 24 h = 360 h × 0.192 = 69.12; 16 days = 384 h × 0.21 = 80.64; together 149.76.
    let portions = "select quantity, price from charges order by charge_period_start";
    assert_eq!(rows(&fixture.admin(), portions).await, ["360|69.12", "384|80.64"]);
    assert_eq!(totals(&fixture, "2025-10").await, ["cust|149.76"]);
}

#[tokio::test]
async fn f11_a_credit_line_shows_the_credit_and_not_what_rounding_left() {
    let fixture = Fixture::with_nodes("cust,dist,customer").await;
    fixture.accounts("a-cust,cust").await;
    fixture.card("direct", "dist", "cust", "pass_through", "").await;
    fixture.copy("charge_policies", "node_id,charge_category,policy\ndist,Credit,pass\n").await;
    // 80 × 284.8464 + 284.8176 = 22,787.712 + 284.8176 = 23,072.5296.
    let services: Vec<String> = (0..81).map(|n| format!("Service {n:02}")).collect();
    let mut lines: Vec<Line<'_>> =
        services.iter().map(|service| Line { service, ..Line::usage("a-cust", "284.8464") }).collect();
    lines[80] = Line { service: "Service 80", ..Line::usage("a-cust", "284.8176") };
    lines.push(Line { category: "Credit", service: "Service 00", ..Line::usage("a-cust", "-100") });
    fixture.land("usage.csv", &lines).await;
    // 23,072.5296 - 100 = 22,972.5296.
    assert_eq!(totals(&fixture, "2025-10").await, ["cust|22972.53"]);
    let admin = fixture.admin();
    let credit = "select kind, amount from invoice_lines where kind = 'credit'";
    assert_eq!(rows(&admin, credit).await, ["credit|-100"]);
    // 80 lines of 284.85 and one of 284.82 are 23,072.82: 0.29 too much, which is a line of its own.
    let parts = "select subtotal, credits from invoices";
    assert_eq!(rows(&admin, parts).await, ["23072.82|-100"]);
    let rounding = "select amount from invoice_lines where kind = 'rounding'";
    assert_eq!(rows(&admin, rounding).await, ["-0.29"]);
}

#[tokio::test]
async fn f15_a_new_owner_on_the_12th_and_a_new_version_on_the_15th_make_three_segments() {
    let fixture = Fixture::with_nodes("first,dist,customer\nsecond,dist,customer").await;
    fixture
        .copy(
            "accounts",
            "provider_name,billing_account_id,sub_account_id,node_id,valid_from,valid_to\n\
             Globex,B1,shared,first,2000-01-01,2025-10-12\nGlobex,B1,shared,second,2025-10-12,\n",
        )
        .await;
    fixture.copy("rate_cards", "card_id,seller_node_id,buyer_node_id,currency,name\ndefault,dist,,USD,Default\n").await;
    fixture.version("default", "1,2000-01-01,2025-10-15", "all,markup_pct,10\n").await;
    fixture.version("default", "2,2025-10-15,", "all,markup_pct,20\n").await;
    let month = Line { quantity: "744", ..Line::october("shared", "744") };
    fixture.land("usage.csv", &[month]).await;
    // 11 days = 264 h, 3 days = 72 h, 17 days = 408 h: 264 + 72 + 408 = 744.
    // 264 × 1.1 = 290.4; 72 × 1.1 = 79.2; 408 × 1.2 = 489.6.
    let segments = "select node_id, quantity, cost, price from charges order by charge_period_start";
    assert_eq!(
        rows(&fixture.admin(), segments).await,
        ["first|264|264|290.4", "second|72|72|79.2", "second|408|408|489.6"]
    );
    // The edge and rule of each segment.
    let versions = "select payer_node_id, version, amount from charges_by_tier where depth = 1 order by amount";
    assert_eq!(rows(&fixture.admin(), versions).await, ["second|1|79.2", "first|1|290.4", "second|2|489.6"]);
    // 79.2 + 489.6 = 568.8.
    assert_eq!(totals(&fixture, "2025-10").await, ["first|290.4", "second|568.8"]);
}
