//! What sellers bill by themselves: seats, hours, fees, minimums and missed commitments are charges, begin at their seller and are
//! priced further down like any other.

use crate::fixture::{Fixture, Line, copy, refused, rows, run};

const LICENCES: &str =
    "seller_node_id,licence_id,node_id,product,seats,unit_price,currency,convention,status,valid_from,valid_to\n";
const HOURS: &str = "seller_node_id,entry_id,node_id,project,engineer,worked_at,hours,rate,currency,billable\n";
const CONTRACTS: &str =
    "seller_node_id,contract_id,buyer_node_id,currency,commit_amount,commit_period,valid_from,valid_to\n";
const OWN: &str = "select origin, service_name, node_path, cost, price, margin, quantity from charges where origin <> 'usage' order by 1, 2, 3, 4, 5";

#[tokio::test]
async fn seats_and_hours_are_charges_from_their_seller_down() {
    let fixture = Fixture::chain_with_usage().await;
    let licences = format!(
        "{LICENCES}\
         north,office,acme,Office,1,22,USD,actual,active,2025-10-15,\n\
         north,office,acme,Office,3,22,USD,actual,active,2025-10-25,2025-11-01\n\
         dist,backup,acme,Backup,5,10,USD,full_month,active,2025-10-20,2025-11-01\n"
    );
    fixture.copy("licences", &licences).await;
    let hours = format!(
        "{HOURS}north,e1,acme,Migration,ada,2025-10-07T08:00:00Z,10,150,USD,true\n\
         north,e2,acme,Migration,bob,2025-10-08T08:00:00Z,3,150,USD,false\n"
    );
    fixture.copy("time_entries", &hours).await;
    let admin = fixture.admin();
    run(&admin, "call refresh()").await;
    // One seat for ten days of 31: 22 x 10/31; three for seven: 66 x 7/31; of a month that is 10/31 and 21/31 of a seat. Five seats of the root's for a whole month are 50, which
    // north sells at + 50 %. Hours that are not billable are not billed.
    assert_eq!(
        rows(&fixture.session("portal@acme"), &OWN.replace("price, margin, ", "")).await,
        [
            "labour|Migration|acme|1500|10",
            "licence|Backup|acme|75|5",
            "licence|Office|acme|7.096774193548387097|0.322580645161290323",
            "licence|Office|acme|14.903225806451612903|0.677419354838709677"
        ]
    );
    assert_eq!(
        rows(&fixture.session("finance@north"), OWN).await,
        [
            "labour|Migration|north/acme|null|1500|1500|10",
            "licence|Backup|north/acme|50|75|25|5",
            "licence|Office|north/acme|null|7.096774193548387097|7.096774193548387097|0.322580645161290323",
            "licence|Office|north/acme|null|14.903225806451612903|14.903225806451612903|0.677419354838709677"
        ]
    );
    assert_eq!(rows(&fixture.session("finance@south"), OWN).await, Vec::<String>::new());
    // What north bills by itself has no price above it.
    let tiers = "select service_name, t.depth, t.payer_node_id, t.amount from charges c join charges_by_tier t using (charge_id) \
                 where origin <> 'usage' and service_name <> 'Office' order by 1, 2";
    assert_eq!(rows(&admin, tiers).await, ["Backup|1|north|50", "Backup|2|acme|75", "Migration|2|acme|1500"]);
    assert_eq!(
        rows(&fixture.session("finance@north"), tiers).await,
        ["Backup|0|north|50", "Backup|1|acme|75", "Migration|1|acme|1500"]
    );
    roll_ups_add_up(&fixture).await;
    run(&admin, "call close_period('2025-10')").await;
    let lines = "select l.kind, l.description, l.amount from invoice_lines l join invoices i using (invoice_id) \
                 where i.buyer_node_id = 'acme' order by line_no";
    // 7.10 and 14.90 of one product are one line.
    assert_eq!(
        rows(&admin, lines).await,
        [
            "usage|Globex usage|165",
            "licence|Licences of Backup|75",
            "licence|Licences of Office|22",
            "labour|Hours worked: Migration|1500"
        ]
    );
    let totals = "select seller_node_id, buyer_node_id, total from invoices order by 1, 2";
    // North: 110 + 220 + 11 of usage and the root's 50.
    assert_eq!(
        rows(&admin, totals).await,
        ["dist|north|391", "dist|south|480", "north|acme|1762", "north|bolt|330", "south|core|960"]
    );
    let broken = "select * from ops.reconciliation where status = 'broken'";
    assert_eq!(rows(&admin, broken).await, Vec::<String>::new());
    let margins = "select buyer_node_id, service_name, currency, cost, price from margins where seller_node_id = 'north' and service_name <> 'Machines' order by 2";
    let expected = ["acme|Backup|USD|50|75", "acme|Migration|USD|0|1500", "acme|Office|USD|0|22"];
    assert_eq!(rows(&admin, margins).await, expected);
    assert_eq!(rows(&fixture.session("finance@north"), margins).await, expected);
}

/// Each roll-up says what the charges say, for the root and for a seller.
async fn roll_ups_add_up(fixture: &Fixture) {
    for login in ["admin", "finance@north", "portal@acme"] {
        let session = fixture.session(login);
        let sums = |table: &str| {
            format!("select origin, service_name, sum(cost), sum(quantity) from {table} group by 1, 2 order by 1, 2")
        };
        let charged = rows(&session, &sums("charges")).await;
        assert!(charged.len() > 2, "{login}: {charged:?}");
        for table in ["charges_daily", "charges_monthly"] {
            assert_eq!(rows(&session, &sums(table)).await, charged, "{login} {table}");
        }
    }
    let admin = fixture.admin();
    let paid = "select origin, payer_node_id, sum(amount) from charges_by_tier t join charges c using (charge_id) group by 1, 2 order by 1, 2";
    let edges = "select origin, payer_node_id, sum(amount) from ops.edges_monthly group by 1, 2 order by 1, 2";
    assert_eq!(rows(&admin, edges).await, rows(&admin, paid).await);
}

#[tokio::test]
async fn flat_fees_and_minimums_follow_the_version_that_holds() {
    let fixture = Fixture::chain_with_usage().await;
    fixture.version("retail-north", "2,2025-10-01,", "all,markup_pct,50\nplatform,flat,30\nfloor,minimum,400\n").await;
    let admin = fixture.admin();
    run(&admin, "call refresh()").await;
    let own = "select origin, node_id, price, charge_period_start::text from charges where origin <> 'usage' order by 1, 2, 4";
    let north = fixture.session("finance@north");
    // Acme is charged 165 for usage and the fee of 30: 205 are missing to 400. Bolt: 330 and 30, 40 are missing.
    let october = "2025-10-01 00:00:00+00";
    assert_eq!(
        rows(&north, own).await,
        [
            format!("fee|acme|30|{october}"),
            format!("fee|bolt|30|{october}"),
            format!("minimum|acme|205|{october}"),
            format!("minimum|bolt|40|{october}")
        ]
    );
    let rules = "select origin, card_id, version, rule_id from charges_by_tier t join charges c using (charge_id) \
                 where origin <> 'usage' and node_id = 'acme' order by 1";
    assert_eq!(rows(&north, rules).await, ["fee|retail-north|2|platform", "minimum|retail-north|2|floor"]);
    // More usage, and less is missing; the landing says that the minimum is old.
    fixture.land("more.csv", &[Line { billing: "B2", ..Line::usage("a-acme", "100") }]).await;
    fixture.copy("accounts", "provider_name,billing_account_id,sub_account_id,node_id\nGlobex,B2,a-acme,acme\n").await;
    let stale = "select billing_account_id, stale_reason from ops.slices where source = 'ratehouse' and stale_since is not null";
    assert_eq!(rows(&admin, stale).await, ["north|charges that it depends on changed"]);
    run(&admin, "call refresh()").await;
    assert_eq!(rows(&admin, stale).await, Vec::<String>::new());
    let minimums = "select node_id, price from charges where origin = 'minimum' order by 1";
    assert_eq!(rows(&north, minimums).await, ["acme|40", "bolt|40"]);
    // Another fee from the sixteenth on: 15 of 31 days at 30, 16 of 31 at 62. The minimum has two halves, too: 400 x 15/31 =
    // 193.548..., of which the usage of the fifth (330) and the fee have reached all; 310 x 16/31 = 160, of which the fee of 32 did.
    fixture.version("retail-north", "3,2025-10-16,", "all,markup_pct,50\nplatform,flat,62\nfloor,minimum,310\n").await;
    run(&admin, "call refresh()").await;
    assert_eq!(
        rows(&north, &own.replace("order by", "and node_id = 'acme' order by")).await,
        [
            format!("fee|acme|14.516129032258064516|{october}"),
            "fee|acme|32|2025-10-16 00:00:00+00".to_owned(),
            "minimum|acme|128|2025-10-16 00:00:00+00".to_owned()
        ]
    );
}

#[tokio::test]
async fn a_minimum_counts_what_its_rule_looks_at() {
    let fixture = Fixture::chain_with_usage().await;
    fixture.copy("rate_card_versions", "card_id,version,valid_from\nretail-north,2,2025-10-01\n").await;
    let rules = "card_id,version,rule_id,service_name,tag_key,method,value\n\
                 retail-north,2,all,,,markup_pct,50\n\
                 retail-north,2,fee,Support,,flat,90\n\
                 retail-north,2,machines,Machines,,minimum,200\n\
                 retail-north,2,support,Support,,minimum,100\n\
                 retail-north,2,tagged,,team,minimum,20\n";
    fixture.copy("rate_rules", rules).await;
    fixture.activate("retail-north", "2").await;
    fixture
        .land("tagged.csv", &[Line { billing: "B2", tags: r#"{"team": "x"}"#, ..Line::usage("a-bolt", "10") }])
        .await;
    fixture.copy("accounts", "provider_name,billing_account_id,sub_account_id,node_id\nGlobex,B2,a-bolt,bolt\n").await;
    run(&fixture.admin(), "call refresh()").await;
    // Machines: acme has 165 of 200, bolt 330 + 16.50. The fee of 90 counts for support. Bolt's tagged line is 10 + 10 % + 50 %.
    let minimums = "select node_id, rule_id, price from charges c join charges_by_tier t using (charge_id) \
                    where origin = 'minimum' and t.depth = 1 order by 1, 2";
    assert_eq!(
        rows(&fixture.session("finance@north"), minimums).await,
        ["acme|machines|35", "acme|support|10", "acme|tagged|20", "bolt|support|10", "bolt|tagged|3.5"]
    );
}

#[tokio::test]
async fn what_is_missing_to_a_commitment_is_charged_when_its_time_ends() {
    let fixture = Fixture::chain_with_usage().await;
    let contracts = format!(
        "{CONTRACTS}dist,monthly,south,USD,500,month,2025-10-01,2025-11-01\n\
         dist,quarterly,north,USD,600,quarter,2025-10-01,2026-01-01\n"
    );
    fixture.copy("contracts", &contracts).await;
    let december = Line {
        period: "2025-12",
        from: "2025-12-05T00:00:00Z",
        to: "2025-12-05T01:00:00Z",
        ..Line::usage("a-acme", "100")
    };
    fixture.land("december.csv", &[december]).await;
    let admin = fixture.admin();
    run(&admin, "call refresh()").await;
    let shortfalls =
        "select billing_period::text, node_id, price, description from charges where origin = 'shortfall' order by 1";
    // South pays 480 of 500; north 341 in October and 110 in December of 600.
    let monthly = "2025-10-01|south|20|Shortfall of the month's commitment";
    let quarterly = "2025-12-01|north|149|Shortfall of the quarter's commitment";
    assert_eq!(rows(&admin, shortfalls).await, [monthly, quarterly]);
    // A corrected October: north pays 110 more, and December's charge is less.
    let lines = [
        Line::usage("a-acme", "200"),
        Line::usage("a-bolt", "200"),
        Line::usage("a-core", "400"),
        Line::usage("a-north", "10"),
    ];
    fixture.land("october.csv", &lines).await;
    run(&admin, "call refresh()").await;
    assert_eq!(rows(&admin, shortfalls).await, [monthly, &quarterly.replace("149", "39")]);
    // A contract that ends within a quarter owes what of it has passed: 600 x 61/92 days are reached.
    run(&admin, "update ref.contracts set valid_to = '2025-12-01' where contract_id = 'quarterly'").await;
    run(&admin, "call refresh()").await;
    assert_eq!(rows(&admin, shortfalls).await, [monthly]);
}

#[tokio::test]
async fn a_licence_ends_when_its_node_moves_and_pauses_when_it_is_suspended() {
    let fixture = Fixture::chain_with_usage().await;
    let licences = format!(
        "{LICENCES}\
         north,office,acme,Office,1,31,USD,actual,active,2025-10-01,\n\
         north,office,acme,Office,1,31,USD,actual,suspended,2025-10-05,\n\
         north,office,acme,Office,1,31,USD,actual,active,2025-10-08,\n\
         north,mail,bolt,Mail,2,30,USD,30,active,2025-10-01,\n\
         north,mail,bolt,Mail,4,30,USD,30,active,2025-10-16,\n\
         north,disk,bolt,Disk,1,7,USD,none,active,2025-10-02,\n\
         north,disk2,bolt,Disk,1,7,USD,none,active,2025-09-30,2025-10-02\n"
    );
    fixture.copy("licences", &licences).await;
    let moved = "2025-10-21T00:00:00Z";
    run(&fixture.admin(), &format!("update ref.nodes set valid_to = '{moved}' where node_id = 'acme'")).await;
    let row = format!("acme,south,customer,acme,USD,{moved}\n");
    fixture.copy("nodes", &format!("node_id,parent_id,kind,name,currency,valid_from\n{row}")).await;
    run(&fixture.admin(), "call refresh()").await;
    // Office at a dollar a day: four days, then from the eighth to the twentieth 13. Mail: 60 x 15/30, then 120 for what is left of
    // thirty: 15/30. A disk without proration counts if it is there when the month begins.
    let own = "select service_name, node_id, price from charges where origin = 'licence' order by 1, 2, 3";
    assert_eq!(
        rows(&fixture.session("finance@north"), own).await,
        ["Disk|bolt|7", "Mail|bolt|30", "Mail|bolt|60", "Office|acme|4", "Office|acme|13"]
    );
    assert_eq!(rows(&fixture.session("finance@south"), own).await, Vec::<String>::new());
}

#[tokio::test]
async fn what_is_billed_follows_its_reference_rows() {
    let fixture = Fixture::chain_with_usage().await;
    let admin = fixture.admin();
    let own = "select service_name, price from charges where origin = 'licence' order by 1";
    let north = fixture.session("finance@north");
    fixture.copy("licences", &format!("{LICENCES}north,a,acme,A,1,5,USD,actual,active,2025-10-01,2025-11-01\n")).await;
    // The close bills what nobody refreshed.
    run(&admin, "call close_period('2025-10')").await;
    assert_eq!(rows(&north, own).await, ["A|5"]);
    run(&admin, "update ref.licences set unit_price = 6 where licence_id = 'a'").await;
    let stale = "select stale_reason from ops.slices where source = 'ratehouse'";
    assert_eq!(rows(&admin, stale).await, ["ref.licences changed"]);
    run(&admin, "call close_period('2025-10')").await;
    assert_eq!(rows(&north, own).await, ["A|6"]);
    run(&admin, "delete from ref.licences where licence_id = 'a'").await;
    run(&admin, "call refresh()").await;
    assert_eq!(rows(&north, own).await, Vec::<String>::new());
    assert_eq!(rows(&admin, "select count(*) from ops.close_blockers").await, ["0"]);
}

#[tokio::test]
async fn wrong_terms_are_refused_with_the_row() {
    let fixture = Fixture::chain().await;
    let licence = |row: &str| format!("{LICENCES}{row}\n");
    let admin = fixture.admin();
    for (table, csv, said) in [
        (
            "licences",
            licence("north,a,core,A,1,5,USD,actual,active,2025-10-01,"),
            "node_id must be below seller_node_id",
        ),
        ("licences", licence("north,a,acme,A,-1,5,USD,actual,active,2025-10-01,"), "seats must be from 0"),
        (
            "licences",
            licence("north,a,acme,A,1,5,USD,weekly,active,2025-10-01,"),
            "convention must be one of actual, 30",
        ),
        ("licences", licence("north,a,acme,A,1,5,USX,actual,active,2025-10-01,"), "currency must be an ISO 4217 code"),
        ("licences", licence("north,a,acme,A,1,5,USD,actual,active,2025-10-01,2025-09-01"), "valid_to must be after"),
        (
            "time_entries",
            format!("{HOURS}north,e,acme,P,ada,2025-10-01,10001,1,USD,true\n"),
            "hours must be at most 10000",
        ),
        ("contracts", format!("{CONTRACTS}dist,c,north,USD,5,term,2025-10-01,\n"), "needs a valid_to"),
        ("contracts", format!("{CONTRACTS}dist,c,north,USD,5,week,2025-10-01,\n"), "commit_period must be one of"),
    ] {
        let error = copy(&admin, table, &csv).await.expect_err("the row is wrong");
        assert!(error.to_string().contains(said), "{error}");
    }
    fixture.copy("rate_card_versions", "card_id,version,valid_from\nretail-north,2,2026-01-01\n").await;
    let rule = "insert into ref.rate_rules (card_id, version, rule_id, sku_id, method, value) values ('retail-north', 2, 'f', 'x', 'flat', 1)";
    let error = refused(&admin, rule).await;
    assert!(error.to_string().contains("a flat fee matches no charges: leave sku_id null"), "{error}");
    // Another reseller's licences are not there for a seller.
    fixture.copy("licences", &licence("south,s,core,S,1,5,USD,actual,active,2025-10-01,")).await;
    assert_eq!(rows(&fixture.session("finance@north"), "select * from ref.licences").await, Vec::<String>::new());
    let foreign = "insert into ref.licences (seller_node_id, licence_id, node_id, product, seats, unit_price, currency, valid_from) \
                   values ('south', 'x', 'core', 'X', 1, 1, 'USD', '2025-10-01')";
    assert_eq!(refused(&fixture.session("finance@north"), foreign).await.sqlstate, "42501");
}

#[tokio::test]
async fn engagements_stand_beside_their_quotes() {
    let fixture = Fixture::chain_with_usage().await;
    // Three engagements of 5,000, 15,000 and 2,000: 22,000 on one document, each a line.
    let hours = format!(
        "{HOURS}north,a,acme,Assessment,ada,2025-10-06T08:00:00Z,40,125,USD,true\n\
         north,b,acme,Migration,bob,2025-10-07T08:00:00Z,100,150,USD,true\n\
         north,c,acme,Training,ada,2025-10-08T08:00:00Z,16,125,USD,true\n\
         north,d,acme,Migration,bob,2025-10-09T08:00:00Z,5,150,USD,false\n"
    );
    fixture.copy("time_entries", &hours).await;
    let quotes = "seller_node_id,quote_id,line_no,node_id,project,hours,amount,currency,quoted_at\n\
                  north,q1,1,acme,Migration,80,12000,USD,2025-09-01\n\
                  north,q1,2,acme,Migration,10,1500,USD,2025-09-01\n\
                  north,q2,1,acme,Training,16,2000,USD,2025-09-01\n\
                  north,q3,1,bolt,Audit,,800,USD,2025-09-01\n";
    fixture.copy("quotes", quotes).await;
    let admin = fixture.admin();
    run(&admin, "call close_period('2025-10')").await;
    let labour = "select service_name, amount from invoice_lines where kind = 'labour' order by 1";
    assert_eq!(rows(&admin, labour).await, ["Assessment|5000", "Migration|15000", "Training|2000"]);
    let engagements = "select node_id, project, quoted_hours, quoted_amount, hours, billable_hours, amount, difference \
                       from by_engagement order by 1, 2";
    assert_eq!(
        rows(&fixture.session("finance@north"), engagements).await,
        [
            "acme|Assessment|null|null|40|40|5000|null",
            "acme|Migration|90|13500|105|100|15000|1500",
            "acme|Training|16|2000|16|16|2000|0",
            "bolt|Audit|null|800|0|0|0|-800"
        ]
    );
    assert_eq!(rows(&fixture.session("finance@south"), engagements).await, Vec::<String>::new());
}

#[tokio::test]
async fn seats_are_compared_with_what_the_provider_sells() {
    let fixture = Fixture::chain().await;
    let bought = |account, quantity, cost| Line {
        category: "Purchase",
        service: "Office",
        sku: "O365",
        quantity,
        unit: "Licences",
        ..Line::usage(account, cost)
    };
    // Four seats; one is added by a credit of four and a rebill of five.
    let lines = [
        bought("a-acme", "4", "16"),
        Line { description: "credit", ..bought("a-acme", "-4", "-16") },
        Line { description: "rebill", ..bought("a-acme", "5", "20") },
        bought("a-bolt", "2", "8"),
        Line { sku: "VM", ..bought("a-bolt", "1", "100") },
    ];
    fixture.land("october.csv", &lines).await;
    let licences = "seller_node_id,licence_id,node_id,product,sku_id,seats,unit_price,currency,valid_from\n\
                    north,o,acme,Office,O365,4,6,USD,2025-10-01\n\
                    north,o,acme,Office,O365,5,6,USD,2025-10-11\n";
    fixture.copy("licences", licences).await;
    run(&fixture.admin(), "call refresh()").await;
    let counts = "select node_id, sku_id, product, seats, provider_seats, difference from seat_counts order by 1";
    assert_eq!(
        rows(&fixture.session("finance@north"), counts).await,
        ["acme|O365|Office|5|5|0", "bolt|O365|Office|0|2|2"]
    );
}

#[tokio::test]
async fn invoices_are_due_when_the_contract_says() {
    let fixture = Fixture::chain_with_usage().await;
    let terms = "seller_node_id,contract_id,buyer_node_id,currency,net_days,valid_from,valid_to\n\
                 dist,old,north,USD,5,2000-01-01,2001-01-01\ndist,new,north,USD,10,2001-01-01,\n";
    fixture.copy("contracts", terms).await;
    let admin = fixture.admin();
    run(&admin, "call close_period('2025-10')").await;
    run(&admin, "call issue_invoices('2025-10')").await;
    let due =
        "select buyer_node_id, due_date::date - issued_at::date from invoices where seller_node_id = 'dist' order by 1";
    assert_eq!(rows(&admin, due).await, ["north|10", "south|30"]);
}

#[tokio::test]
async fn seats_are_sold_on_by_the_part_of_the_month_that_they_are_there() {
    let fixture = Fixture::chain_with_usage().await;
    fixture.version("retail-north", "2,2025-10-01,", "all,markup_pct,50\n").await;
    fixture.copy("rate_cards", "card_id,seller_node_id,buyer_node_id,currency,name\nseats,north,acme,USD,x\n").await;
    fixture.copy("rate_card_versions", "card_id,version\nseats,1\n").await;
    let rules = "card_id,version,rule_id,service_name,method,value\nseats,1,o,Office,unit_price,31\n";
    fixture.copy("rate_rules", rules).await;
    fixture.activate("seats", "1").await;
    // Ten seats until the 16th, eleven from then on; the root's own price changes on the 11th, which makes no row of its own.
    let licences = format!(
        "{LICENCES}dist,o,acme,Office,10,20,USD,actual,active,2025-10-01,\n\
         dist,o,acme,Office,10,22,USD,actual,active,2025-10-11,\n\
         dist,o,acme,Office,11,22,USD,actual,active,2025-10-16,2025-11-01\n"
    );
    fixture.copy("licences", &licences).await;
    run(&fixture.admin(), "call refresh()").await;
    let own = "select cost, charge_period_start::date::text from charges where origin = 'licence' order by 2";
    // A dollar a seat and day, 10 x 15 and 11 x 16; parts of months have eighteen digits: 4.838709677419354839 and
    // 5.677419354838709677, each times 31.
    assert_eq!(
        rows(&fixture.session("portal@acme"), own).await,
        ["150.000000000000000009|2025-10-01", "175.999999999999999987|2025-10-16"]
    );
    // North pays 200 x 10/31 + 220 x 5/31 = 3,100/31 = 100, then 242 x 16/31.
    assert_eq!(
        rows(&fixture.session("finance@north"), own).await,
        ["100|2025-10-01", "124.903225806451612903|2025-10-16"]
    );
}

#[tokio::test]
async fn a_minimum_or_a_commitment_of_a_part_of_a_month_counts_its_own_days() {
    let fixture = Fixture::chain_with_usage().await;
    // North's minimum begins on the 16th: 310 x 16/31 = 160, of which nothing of the fifth counts.
    fixture.version("retail-north", "2,2025-10-16,", "all,markup_pct,50\nfloor,minimum,310\n").await;
    // The root's terms with south: 620 x 15/31 = 300 until the 16th, reached by the 480 of the fifth; 930 x 16/31 = 480 after that.
    let contracts = format!(
        "{CONTRACTS}dist,a,south,USD,620,month,2025-10-01,2025-10-16\ndist,b,south,USD,930,month,2025-10-16,\n"
    );
    fixture.copy("contracts", &contracts).await;
    let admin = fixture.admin();
    run(&admin, "call refresh()").await;
    let own = "select origin, node_id, amount from charges c join charges_by_tier t using (charge_id) \
               where origin <> 'usage' and t.payer_node_id = node_id order by 1, 2";
    assert_eq!(rows(&admin, own).await, ["minimum|acme|160", "minimum|bolt|160", "shortfall|south|480"]);
}

#[tokio::test]
async fn a_minimum_counts_for_a_commitment_and_a_commitment_ends_with_its_edge() {
    let fixture = Fixture::chain_with_usage().await;
    fixture.version("retail-north", "2,2025-10-01,", "all,markup_pct,50\nfloor,minimum,400\n").await;
    let contracts =
        format!("{CONTRACTS}north,c,acme,USD,500,month,2025-10-01,\nnorth,q,bolt,USD,920,quarter,2025-10-01,\n");
    fixture.copy("contracts", &contracts).await;
    let moved = "2025-10-21T00:00:00Z";
    let admin = fixture.admin();
    run(&admin, &format!("update ref.nodes set valid_to = '{moved}' where node_id = 'bolt'")).await;
    let row = format!("bolt,south,customer,bolt,USD,{moved}\n");
    fixture.copy("nodes", &format!("node_id,parent_id,kind,name,currency,valid_from\n{row}")).await;
    run(&admin, "call refresh()").await;
    let own = "select origin, node_id, price from charges where origin <> 'usage' order by 1, 2";
    // Acme: 165 of usage and 235 up to the minimum, 100 up to the commitment. Bolt leaves after 20 days: its minimum is 400 x 20/31,
    // less than its 330; its quarter of 92 days is 920 x 20/92 = 200, reached as well.
    assert_eq!(rows(&fixture.session("finance@north"), own).await, ["minimum|acme|235", "shortfall|acme|100"]);
}

#[tokio::test]
async fn dates_are_days_of_the_seller() {
    for zone in ["America/New_York", "Europe/Berlin", "Asia/Tokyo"] {
        let fixture = Fixture::chain_with_usage().await;
        run(&fixture.admin(), &format!("update ref.nodes set time_zone = '{zone}' where node_id = 'north'")).await;
        // A customer that comes with the month.
        let dana = "node_id,parent_id,kind,name,currency,valid_from\ndana,north,customer,Dana,USD,2025-10-01\n";
        fixture.copy("nodes", dana).await;
        fixture.version("retail-north", "2,2025-10-01,2025-11-01", "all,markup_pct,50\nplatform,flat,31\n").await;
        let licences = format!(
            "{LICENCES}north,a,dana,A,1,31,USD,actual,active,2025-10-01,2025-10-11\n\
             north,b,dana,B,1,31,USD,none,active,2025-10-01,\n\
             north,c,dana,C,1,31,USD,full_month,active,2025-10-01,2025-11-01\n\
             north,d,dana,D,1,31,USD,30,active,2025-10-01,2025-11-01\n"
        );
        fixture.copy("licences", &licences).await;
        fixture.copy("contracts", &format!("{CONTRACTS}north,c,dana,USD,160,month,2025-10-01,2025-11-01\n")).await;
        let september = Line {
            period: "2025-09",
            from: "2025-09-05T00:00:00Z",
            to: "2025-09-05T01:00:00Z",
            ..Line::usage("a-acme", "1")
        };
        fixture.land("september.csv", &[september]).await;
        run(&fixture.admin(), "call refresh()").await;
        let own = "select billing_period::text, origin, service_name, price from charges \
                   where origin <> 'usage' and node_id = 'dana' order by 1, 2, 3";
        assert_eq!(
            rows(&fixture.session("finance@north"), own).await,
            [
                "2025-10-01|fee|Monthly fee|31",
                "2025-10-01|licence|A|10",
                "2025-10-01|licence|B|31",
                "2025-10-01|licence|C|31",
                "2025-10-01|licence|D|31",
                "2025-10-01|shortfall|Commitment|26"
            ],
            "{zone}"
        );
    }
}

#[tokio::test]
async fn a_period_is_not_issued_without_what_came_since_its_close() {
    let fixture = Fixture::chain_with_usage().await;
    let admin = fixture.admin();
    run(&admin, "call close_period('2025-10')").await;
    fixture.copy("licences", &format!("{LICENCES}north,a,acme,A,1,5,USD,actual,active,2025-10-01,\n")).await;
    let error = refused(&admin, "call issue_invoices('2025-10')").await;
    assert!(
        error
            .to_string()
            .contains("north has come to bill licences, hours, fees, credits or commitments since 2025-10 was closed"),
        "{error}"
    );
    run(&admin, "call close_period('2025-10')").await;
    run(&admin, "call issue_invoices('2025-10')").await;
}
