//! The views of what is earned, of what units cost, of new resources, and the scorecard.

use chrono::{Days, NaiveDate};

use crate::fixture::{Fixture, Line, copy, rows, run};

/// One line of a day of 2025.
pub(crate) struct Daily {
    pub(crate) date: NaiveDate,
    pub(crate) resource: String,
    pub(crate) tags: &'static str,
    pub(crate) cost: u64,
}

pub(crate) fn day(month: u32, day: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(2025, month, day).expect("a day")
}

pub(crate) async fn land_acme(fixture: &Fixture, days: &[Daily]) {
    let texts: Vec<[String; 4]> = days
        .iter()
        .map(|Daily { date, cost, .. }| {
            let next = date.checked_add_days(Days::new(1)).expect("a day");
            [
                date.format("%Y-%m").to_string(),
                format!("{date}T00:00:00Z"),
                format!("{next}T00:00:00Z"),
                cost.to_string(),
            ]
        })
        .collect();
    let lines: Vec<Line<'_>> = texts
        .iter()
        .zip(days)
        .map(|([period, from, to, cost], Daily { resource, tags, .. })| Line {
            period,
            from,
            to,
            resource,
            tags,
            ..Line::usage("a-acme", cost)
        })
        .collect();
    fixture.land("days.csv", &lines).await;
}

#[tokio::test]
async fn profit_by_client_beside_its_target_and_the_month_before() {
    let fixture = Fixture::chain_with_usage().await;
    let november = Line {
        period: "2025-11",
        from: "2025-11-05T00:00:00Z",
        to: "2025-11-05T01:00:00Z",
        ..Line::usage("a-acme", "50")
    };
    fixture.land("november.csv", &[november]).await;
    fixture.copy("margin_targets", "owner_node_id,node_id,target_pct\nnorth,,30\nnorth,acme,40\n").await;
    let profit = "select billing_period, buyer_node_id, currency, revenue, cost, profit, round(profit_pct, 2), target_pct, round(gap_points, 2), \
                  profit_before, profit_change, share_pct from client_profit order by 1, 2";
    // 100 and 200 cost north 110 and 220, and half of that more is what it bills.
    assert_eq!(
        rows(&fixture.session("finance@north"), profit).await,
        [
            "2025-10-01|acme|USD|165|110|55|33.33|40|-6.67|null|null|33.3",
            "2025-10-01|bolt|USD|330|220|110|33.33|30|3.33|null|null|66.7",
            "2025-11-01|acme|USD|82.5|55|27.5|33.33|40|-6.67|55|-27.5|100",
        ]
    );
    // 310 cost north 341; 400 cost south 480.
    assert_eq!(
        rows(
            &fixture.session("finance"),
            &format!("select * from ({profit}) p where p.billing_period = date '2025-10-01' order by 2")
        )
        .await,
        [
            "2025-10-01|north|USD|341|310|31|9.09|null|null|null|null|27.9",
            "2025-10-01|south|USD|480|400|80|16.67|null|null|null|null|72.1"
        ]
    );
    let error = copy(&fixture.admin(), "margin_targets", "owner_node_id,node_id,target_pct\nnorth,bolt,100\n").await;
    assert!(error.expect_err("no price is all margin").message.contains("target_pct"));
}

#[tokio::test]
async fn what_a_unit_costs_and_how_cost_moves_with_it() {
    let fixture = Fixture::chain().await;
    let april = (1..=30).map(|n| Daily { date: day(4, n), resource: String::new(), tags: "", cost: u64::from(10 * n) });
    let may = (1..=31).map(|n| Daily { date: day(5, n), resource: String::new(), tags: "", cost: u64::from(20 * n) });
    land_acme(&fixture, &april.chain(may).collect::<Vec<_>>()).await;
    let next = |date: NaiveDate| date.checked_add_days(Days::new(1)).expect("a day");
    let rising = (1..=30).map(|n| format!("north,orders,acme,{n},{},{}\n", day(4, n), next(day(4, n))));
    let falling = (1..=31).map(|n| format!("north,orders,acme,{},{},{}\n", 32 - n, day(5, n), next(day(5, n))));
    let drivers: String = rising.chain(falling).collect();
    fixture
        .copy(
            "drivers",
            &format!(
                "owner_node_id,driver,node_id,quantity,valid_from,valid_to\n{drivers}north,users,north,100,2025-04-01,2025-05-01\n"
            ),
        )
        .await;
    // What it costs north is a tenth more: 11 x 465 for 465 orders, then 22 x 496 for 496.
    let units = "select month, driver, node_id, quantity, currency, cost, unit_cost, unit_cost_before, change_pct, days, correlation \
                 from unit_economics order by 2, 1";
    assert_eq!(
        rows(&fixture.session("finance@north"), units).await,
        [
            "2025-04-01|orders|acme|465|USD|5115|11|null|null|30|1",
            "2025-05-01|orders|acme|496|USD|10912|22|11|100|31|-1",
            "2025-04-01|users|north|100|USD|5115|51.15|null|null|0|null",
        ]
    );
    // Drivers are their owner's.
    assert!(rows(&fixture.session("finance"), units).await.is_empty());
}

#[tokio::test]
async fn a_day_with_many_new_resources_is_unusual() {
    let fixture = Fixture::chain().await;
    let date = |n: u64| day(9, 1).checked_add_days(Days::new(n)).expect("a day");
    let mut days = Vec::new();
    for n in 0..40 {
        days.push(Daily { date: date(n), resource: "base".to_owned(), tags: "", cost: 1 });
        days.push(Daily { date: date(n), resource: format!("r{n}"), tags: "", cost: 1 });
    }
    days.extend((0..9).map(|n| Daily { date: date(39), resource: format!("burst{n}"), tags: "", cost: 1 }));
    land_acme(&fixture, &days).await;
    let portal = fixture.session("portal@acme");
    let count = "select count(*), min(charge_date), max(charge_date) from deployment_velocity";
    assert_eq!(rows(&portal, count).await, ["31|2025-09-10|2025-10-10"]);
    // One is new each day after the first, 1 September: of Monday the 29th three Mondays are known, of Tuesday the 30th four Tuesdays.
    let some = "select charge_date, new_resources, usual, is_unusual from deployment_velocity \
                where charge_date in (date '2025-09-29', date '2025-09-30', date '2025-10-09', date '2025-10-10') order by 1";
    assert_eq!(
        rows(&portal, some).await,
        ["2025-09-29|1|1|null", "2025-09-30|1|1|false", "2025-10-09|1|1|false", "2025-10-10|10|1|true"]
    );
}

#[tokio::test]
async fn the_scorecard_says_how_the_operation_is() {
    let fixture = Fixture::chain().await;
    let finance = fixture.session("finance");
    let card = "select metric, billing_period, currency, value_pct, status, counted from ops.scorecard order by 1";
    assert_eq!(
        rows(&finance, card).await,
        [
            "collection_success|null|null|null|unknown|0",
            "invoice_delivery|null|null|null|unknown|0",
            "tag_compliance|null|null|null|unknown|0"
        ]
    );
    let lines = [
        Line { tags: "{\"team\": \"web\"}", ..Line::usage("a-acme", "100") },
        Line { tags: "{\"team\": \"ops\"}", ..Line::usage("a-bolt", "200") },
        Line { tags: "{\"team\": \"ops\"}", ..Line::usage("a-core", "300") },
        Line::usage("a-core", "100"),
        Line { tags: "{\"team\": \"ops\"}", ..Line::usage("a-north", "10") },
    ];
    fixture.land("october.csv", &lines).await;
    let policy = "owner_node_id,policy_id,policy\ndist,team,\"{\"\"tags\"\": {\"\"team\"\": {\"\"tag_key\"\": {\"\"@@assign\"\": \"\"team\"\"}}}}\"\n";
    fixture.copy("tag_policies", policy).await;
    run(&fixture.admin(), "insert into ref.sources (name, kind, location) values ('a', 'folder', '/nowhere')").await;
    // dist earns 31 on 341 and 80 on 480: 111 of 821 are 13.52 %.
    fixture.copy("margin_targets", "owner_node_id,target_pct\ndist,15\n").await;
    run(&fixture.admin(), "call refresh()").await;
    assert_eq!(
        rows(&finance, card).await,
        [
            "collection_success|null|null|0|critical|1",
            "invoice_delivery|2025-10-01|null|0|critical|5",
            "margin_against_target|2025-10-01|USD|-1.48|healthy|2",
            "tag_compliance|2025-10-01|null|80|warning|5",
        ]
    );
    for statement in ["call close_period('2025-10')", "call issue_invoices('2025-10')"] {
        run(&fixture.admin(), statement).await;
    }
    run(&fixture.admin(), "update ref.margin_targets set target_pct = 19").await;
    let two = "select metric, value_pct, status from ops.scorecard where metric in ('invoice_delivery', 'margin_against_target') order by 1";
    assert_eq!(rows(&finance, two).await, ["invoice_delivery|100|healthy", "margin_against_target|-5.48|critical"]);
}
