//! The views of what will come and of what was unusual. The numbers of single series are in `tests/slt/series.slt`.

use chrono::{Days, NaiveDate};

use crate::fixture::{Fixture, Line, copy, rows};

/// Days of the history, from 1 April 2025 on.
const DAYS: u64 = 200;

fn day(number: u64) -> NaiveDate {
    NaiveDate::from_ymd_opt(2025, 4, 1).expect("a day").checked_add_days(Days::new(number)).expect("a day")
}

/// Charges of one account, a day each.
struct Daily {
    account: &'static str,
    costs: Vec<String>,
}

async fn land(fixture: &Fixture, accounts: &[Daily]) {
    let texts: Vec<[String; 5]> = accounts
        .iter()
        .flat_map(|Daily { account, costs }| {
            (0..).zip(costs).map(|(number, cost)| {
                let date = day(number);
                [
                    (*account).to_owned(),
                    date.format("%Y-%m").to_string(),
                    format!("{date}T00:00:00Z"),
                    format!("{}T00:00:00Z", day(number + 1)),
                    cost.clone(),
                ]
            })
        })
        .collect();
    let lines: Vec<Line<'_>> = texts
        .iter()
        .map(|[account, period, from, to, cost]| Line { period, from, to, ..Line::usage(account, cost) })
        .collect();
    fixture.land("history.csv", &lines).await;
}

/// 99 and 101 in turn, and 300 on the 151st day: 29 August 2025.
fn acme() -> Daily {
    let cost = |number: u64| match number {
        150 => "300",
        even if even % 2 == 0 => "99",
        _ => "101",
    };
    Daily { account: "a-acme", costs: (0..DAYS).map(|number| cost(number).to_owned()).collect() }
}

const ALL_FORECASTS: &str = "select * from forecasts order by 1, 2, 3, 4, 5, 6";
const ALL_ANOMALIES: &str = "select * from anomalies order by 1, 2, 3, 4, 5";

#[tokio::test]
async fn a_spike_is_found_and_what_a_sibling_does_changes_nothing() {
    let mut seen = Vec::new();
    for sibling in [10, 4_000] {
        let fixture = Fixture::chain().await;
        // Another sibling's costs, and for more days: what it does is not known to acme.
        let costs = (0..DAYS + sibling / 100).map(|number| (number % 17 * sibling).to_string()).collect();
        land(&fixture, &[acme(), Daily { account: "a-bolt", costs }]).await;
        let portal = fixture.session("portal@acme");
        // 300 x 1.1 x 1.5 is 495.
        let found = "select anomaly_start, anomaly_end, days, kind, direction, actual, complete_until from anomalies";
        assert_eq!(rows(&portal, found).await, ["2025-08-29|2025-08-29|1|spike|up|495|2025-10-17"]);
        let around = "select count(*) from anomalies where expected between 160 and 170 and impact = actual - expected";
        assert_eq!(rows(&portal, around).await, ["1"]);
        // 29 August is not among the last 31 days, and no other day is above what it was expected to be.
        assert_eq!(rows(&portal, "select * from spend_over_forecast").await, Vec::<String>::new());
        seen.push((rows(&portal, ALL_FORECASTS).await, rows(&portal, ALL_ANOMALIES).await));
    }
    assert_eq!(seen[0], seen[1]);
    assert!(!seen[0].0.is_empty());
}

#[tokio::test]
async fn spend_above_what_was_expected_is_named() {
    let fixture = Fixture::chain().await;
    let mut costs: Vec<String> = (0..DAYS).map(|_| "100".to_owned()).collect();
    // The last day but one costs 130 instead of 100, the last 115: 165 is expected of both, and 17 days of it of the month.
    costs[198] = "130".to_owned();
    costs[199] = "115".to_owned();
    land(&fixture, &[Daily { account: "a-acme", costs }]).await;
    let portal = fixture.session("portal@acme");
    let over = "select level, period, charge_date, actual, severity from spend_over_forecast where level = 'node' order by 1, 2, 3";
    assert_eq!(rows(&portal, over).await, ["node|day|2025-10-16|214.5|critical", "node|day|2025-10-17|189.75|warning"]);
}

#[tokio::test]
async fn forecasts_add_up_know_plans_and_are_the_callers_own() {
    let fixture = Fixture::chain().await;
    let constant = |account, cost: &str| Daily { account, costs: (0..DAYS).map(|_| cost.to_owned()).collect() };
    land(&fixture, &[constant("a-north", "10"), constant("a-acme", "100")]).await;
    let north = fixture.session("finance@north");
    // What north pays: 10 x 1.1 and 100 x 1.1, after 17 October 2025.
    let days = "select level, node_id, min(forecast_date), max(forecast_date), count(*), min(forecast_value), max(forecast_value), \
                max(upper_95) from forecasts group by 1, 2 order by 1, 2";
    assert_eq!(
        rows(&north, days).await,
        [
            "node|acme|2025-10-18|2025-11-17|31|110|110|110",
            "node|north|2025-10-18|2025-11-17|31|11|11|11",
            "service|acme|2025-10-18|2025-11-17|31|110|110|110",
            "service|north|2025-10-18|2025-11-17|31|11|11|11",
        ]
    );
    // What acme pays: 100 x 1.1 x 1.5.
    let portal = fixture.session("portal@acme");
    let own = "select node_id, sum(forecast_value) from forecasts where level = 'node' group by 1";
    assert_eq!(rows(&portal, own).await, ["acme|5115"]);

    // A month ago nothing else would have been forecast: 31 x 110.
    let accuracy = "select node_id, forecast_from, forecast_to, forecast, actual, error_pct, mean_absolute_error, within_80, within_95 \
                    from forecast_accuracy order by 1";
    let exact = |node: &str, sum: u32| format!("{node}|2025-09-17|2025-10-17|{sum}|{sum}|0|0|100|100");
    assert_eq!(rows(&north, accuracy).await, [exact("acme", 3_410), exact("north", 341)]);

    // From 1 November on acme is to cost twice as much: 14 days of 110 and 17 of 220 are 5,280. The plan is north's alone.
    let plans =
        "owner_node_id,plan_id,node_id,change_type,value,valid_from\nnorth,launch,acme,percent,100,2025-11-01\n";
    fixture.copy("planned_changes", plans).await;
    let planned = "select level, sum(forecast_value), sum(planned_change) from forecasts where node_id = 'acme' group by 1 order by 1";
    assert_eq!(rows(&north, planned).await, ["node|5280|1870", "service|5280|1870"]);
    assert_eq!(rows(&portal, own).await, ["acme|5115"]);
    assert_eq!(rows(&portal, "select count(*) from ref.planned_changes").await, ["0"]);

    for (row, wrong) in [
        ("north,p,acme,twice,2,2025-11-01", "change_type must be one of percent, amount, set"),
        ("north,p,nobody,percent,2,2025-11-01", "nobody"),
        ("north,p,acme,percent,-101,2025-11-01", "more than 100 % less"),
    ] {
        let header = "owner_node_id,plan_id,node_id,change_type,value,valid_from";
        let error = copy(&fixture.admin(), "planned_changes", &format!("{header}\n{row}\n")).await.expect_err(row);
        assert!(
            error.message.contains(wrong) || error.detail.as_deref().is_some_and(|d| d.contains(wrong)),
            "{error:?}"
        );
    }
}
