//! The views of what will come, of what was unusual and of what may be spent. The numbers of single series are in `tests/slt/series.slt`.

use chrono::{Days, NaiveDate};

use crate::fixture::{Fixture, Line, copy, refused, rows, run};

/// Days of the history, from 1 April 2025 on.
pub(crate) const DAYS: u64 = 200;

fn day(number: u64) -> NaiveDate {
    NaiveDate::from_ymd_opt(2025, 4, 1).expect("a day").checked_add_days(Days::new(number)).expect("a day")
}

/// Charges of one account, a day each.
pub(crate) struct Daily {
    pub(crate) account: &'static str,
    pub(crate) costs: Vec<String>,
}

pub(crate) async fn land(fixture: &Fixture, accounts: &[Daily]) {
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

const ALL_FORECASTS: &str = "select * from forecasts order by 1, 2, 3, 4, 5, 6, 7, 8";
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
    // Who sells to acme's seller sees it of north, too, of which acme is a part: 130 and 115 as dist bills them.
    let above = "select level, node_id, charge_date, actual, severity from spend_over_forecast
                 where level = 'subtree' and period = 'day' order by 2, 3";
    assert_eq!(
        rows(&fixture.session("finance@north"), above).await,
        ["subtree|north|2025-10-16|143|critical", "subtree|north|2025-10-17|126.5|warning"]
    );
    assert_eq!(
        rows(&fixture.session("finance"), above).await,
        [
            "subtree|dist|2025-10-16|130|critical",
            "subtree|dist|2025-10-17|115|warning",
            "subtree|north|2025-10-16|130|critical",
            "subtree|north|2025-10-17|115|warning",
        ]
    );
}

/// 100 a day, and 160 from a day on.
fn step(from: u64) -> Vec<String> {
    (0..DAYS).map(|number| if number < from { "100" } else { "160" }.to_owned()).collect()
}

#[tokio::test]
async fn a_level_that_has_moved_counts_until_it_is_usual() {
    let fixture = Fixture::chain().await;
    // From 1 September on.
    land(&fixture, &[Daily { account: "a-acme", costs: step(153) }]).await;
    // Three days of 4 widths and more above 1.25 make more than 7.5: it is a shift on 3 September, and four weeks later usual.
    // 31 days of 160 x 1.1 x 1.5; 165 was expected of each.
    let found = "select anomaly_start, anomaly_end, days, kind, direction, actual from anomalies";
    let portal = fixture.session("portal@acme");
    assert_eq!(rows(&portal, found).await, ["2025-09-01|2025-10-01|31|level_shift|up|8184"]);
    let money = "select expected between 5110 and 5250, impact = actual - expected from anomalies";
    assert_eq!(rows(&portal, money).await, ["true|true"]);
}

#[tokio::test]
async fn a_month_is_compared_with_what_was_forecast_before_it() {
    let fixture = Fixture::chain().await;
    // From 1 October on: days are soon expected to cost as much as they do, the month was not.
    land(&fixture, &[Daily { account: "a-acme", costs: step(183) }]).await;
    let month = "select node_id, charge_date, actual, severity, ratio_pct between 159 and 161 from spend_over_forecast
                 where period = 'month_to_date'";
    // 17 days of 160 x 1.65.
    let portal = fixture.session("portal@acme");
    assert_eq!(rows(&portal, month).await, ["acme|2025-10-17|4488|critical|true"]);
    // One that was planned is expected of the service, and of the node with it.
    let plan =
        "owner_node_id,plan_id,service_name,change_type,value,valid_from\nacme,move,Machines,percent,60,2025-10-01\n";
    fixture.copy("planned_changes", plan).await;
    assert!(rows(&portal, "select * from spend_over_forecast").await.is_empty());
    assert!(rows(&portal, "select * from anomalies").await.is_empty());
}

#[tokio::test]
async fn charts_of_forecasts_and_anomalies_are_drawn_by_the_command() {
    let fixture = Fixture::chain().await;
    land(&fixture, &[Daily { account: "a-acme", costs: step(190) }]).await;
    for (what, name, begins) in
        [("forecasts", "f.svg", &b"<svg"[..]), ("anomalies", "a.svg", b"<svg"), ("anomalies", "a.png", b"\x89PNG")]
    {
        let path = fixture.path().join(name);
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_ratehouse"))
            .arg("chart")
            .arg(fixture.path())
            .args([what, "-U", "portal@acme", "-o"])
            .arg(&path)
            .output()
            .expect("it runs");
        assert!(output.status.success(), "{what}: {}", String::from_utf8_lossy(&output.stderr));
        let drawn = std::fs::read(&path).expect("a picture");
        assert!(drawn.starts_with(begins) && drawn.len() > 2_000, "{what}: {} bytes", drawn.len());
        if what == "anomalies" && name.ends_with("svg") {
            // Ten days from 8 October on were flagged or went on; the legend has one more.
            let marks = String::from_utf8_lossy(&drawn).matches("<circle").count();
            assert_eq!(marks, 11);
        }
    }
}

#[tokio::test]
async fn credits_refunds_and_taxes_are_not_usage() {
    let mut seen = Vec::new();
    for more in [false, true] {
        let fixture = Fixture::chain().await;
        land(&fixture, &[acme()]).await;
        let of = |category, class, cost| Line { category, class, description: "later", ..Line::usage("a-acme", cost) };
        let lines = [
            of("Usage", "Correction", "-5000"),
            of("Usage", "Correction", "900"),
            of("Credit", "", "-700"),
            of("Tax", "", "800"),
        ];
        if more {
            // Another billing account of the provider, with an account of acme's.
            fixture
                .copy("accounts", "provider_name,billing_account_id,sub_account_id,node_id\nGlobex,B2,a-acme,acme\n")
                .await;
            let lines = lines.map(|line| Line { billing: "B2", ..line });
            fixture.land("later.csv", &lines).await;
            let landed = "select charge_category, charge_class, sum(cost) from charges_daily
                          where charge_date = date '2025-10-05' group by 1, 2 order by 1, 2";
            let is_there = ["Credit|null|-700", "Tax|null|800", "Usage|Correction|-4100", "Usage|null|101"];
            assert_eq!(rows(&fixture.admin(), landed).await, is_there);
        }
        let mut all = Vec::new();
        for session in [fixture.admin(), fixture.session("portal@acme")] {
            for sql in
                [ALL_FORECASTS, ALL_ANOMALIES, "select * from spend_over_forecast", "select * from forecast_accuracy"]
            {
                all.extend(rows(&session, sql).await);
            }
        }
        seen.push(all);
    }
    assert_eq!(seen[0], seen[1]);
}

/// How many values detectors were shown when anomalies were asked for.
async fn judged(fixture: &Fixture) -> u64 {
    let plan = rows(&fixture.admin(), "explain analyze select * from anomalies").await.join("\n");
    let counts = plan.split("values_judged=").skip(1).map(|rest| {
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse::<u64>().expect("a count")
    });
    assert!(plan.contains("values_judged="), "{plan}");
    counts.sum()
}

#[tokio::test]
async fn a_new_day_is_judged_alone_and_what_was_restated_anew() {
    let fixture = Fixture::chain().await;
    let days = |count: u64, restated: &str| {
        let mut acme = acme();
        acme.costs.push("100".to_owned());
        acme.costs.truncate(usize::try_from(count).expect("few days"));
        acme.costs[20] = restated.to_owned();
        let costs = (0..count).map(|number| if number == 180 { "900" } else { "50" }.to_owned()).collect();
        [acme, Daily { account: "a-bolt", costs }]
    };
    let found = async |fixture: &Fixture| rows(&fixture.admin(), ALL_ANOMALIES).await;
    let anew = async || {
        let copy = fixture.copy_of();
        std::fs::remove_dir_all(copy.path().join("series")).expect("states");
        found(&copy).await
    };
    land(&fixture, &days(DAYS, "100")).await;
    assert_eq!(judged(&fixture).await, 2 * DAYS);
    let first = found(&fixture).await;
    assert_eq!(first.iter().filter(|row| row.contains("|spike|up|")).count(), 2, "{first:?}");
    assert_eq!(judged(&fixture).await, 0);
    assert_eq!(found(&fixture).await, first);

    land(&fixture, &days(DAYS + 1, "100")).await;
    assert_eq!(judged(&fixture).await, 2);
    assert_eq!(found(&fixture).await, anew().await);
    // One day of April costs something else: all of acme's days may have been expected otherwise, none of bolt's.
    land(&fixture, &days(DAYS + 1, "500")).await;
    assert_eq!(judged(&fixture).await, DAYS + 1);
    assert_eq!(found(&fixture).await, anew().await);
    // A plan from a day on that was judged counts; one for the time to come does not.
    let plans = "owner_node_id,plan_id,node_id,change_type,value,valid_from\n";
    fixture.copy("planned_changes", &format!("{plans}dist,later,bolt,percent,9,2026-02-01\n")).await;
    assert_eq!(judged(&fixture).await, 0);
    fixture.copy("planned_changes", &format!("{plans}dist,then,bolt,percent,9,2025-10-01\n")).await;
    assert_eq!(judged(&fixture).await, DAYS + 1);

    let states = std::fs::read_dir(fixture.path().join("series")).expect("a folder");
    for file in states {
        let path = file.expect("a file").path();
        let mut bytes = std::fs::read(&path).expect("states");
        let middle = bytes.len() / 2;
        bytes[middle..].fill(0xA5);
        std::fs::write(&path, bytes).expect("damage");
    }
    assert_eq!(found(&fixture).await, anew().await);
    let seen = rows(&fixture.session("portal@acme"), "select count(*) from anomalies where node_id <> 'acme'").await;
    assert_eq!(seen, ["0"]);
}

#[tokio::test]
async fn holidays_of_a_country_are_expected_of_its_nodes() {
    let fixture = Fixture::chain().await;
    // Days on which a country does not work: 1 and 29 May, 9 and 19 June, 15 August, 3 October.
    let is_off = |number: u64| [30, 58, 69, 79, 136, 185].contains(&number);
    let costs = |account| Daily {
        account,
        costs: (0..DAYS).map(|number| if is_off(number) { "40" } else { "100" }.to_owned()).collect(),
    };
    land(&fixture, &[costs("a-acme"), costs("a-bolt")]).await;
    let days = ["2025-05-01", "2025-05-29", "2025-06-09", "2025-06-19", "2025-08-15", "2025-10-03", "2025-10-31"];
    let days = days.map(|day| format!("DE,{day},Feiertag\n")).concat();
    fixture.copy("holidays", &format!("country,holiday_date,name\n{days}FR,2025-11-05,Fête\n")).await;
    run(&fixture.admin(), "update ref.nodes set country = 'DE' where node_id = 'acme'").await;
    let day = |node: &str, date: &str| {
        format!(
            "select forecast_value from forecasts where period = 'day' and level = 'service' and node_id = '{node}' and forecast_date = date '{date}'"
        )
    };
    let north = fixture.session("finance@north");
    assert_eq!(
        rows(&north, "select node_id, count(*), max(holiday_date) from days_off group by 1").await,
        ["acme|7|2025-10-31"]
    );
    let value = async |node, date| rows(&north, &day(node, date)).await[0].parse::<f64>().expect("a number");
    // 110 on any other day, 44 on those.
    assert!((value("acme", "2025-10-30").await - 110.0).abs() < 5.0);
    assert!((value("acme", "2025-10-31").await - 44.0).abs() < 10.0);
    assert!((value("bolt", "2025-10-31").await - 110.0).abs() < 5.0);
    let fallen =
        "select node_id from anomalies where anomaly_start <= date '2025-10-03' and anomaly_end >= date '2025-10-03'";
    assert_eq!(rows(&north, fallen).await, ["bolt"]);

    let admin = fixture.admin();
    for (row, wrong) in [
        ("de,2025-05-01,x", "ISO 3166"),
        ("DE,2025-05-01T12:00:00Z,x", "must be a day"),
        ("DEU,2025-05-01,x", "ISO 3166"),
    ] {
        let error = copy(&admin, "holidays", &format!("country,holiday_date,name\n{row}\n")).await.expect_err(row);
        assert!(error.message.contains(wrong), "{row}: {}", error.message);
    }
    let error = copy(&fixture.session("admin@north"), "holidays", "country,holiday_date,name\nDE,2026-05-01,x\n").await;
    assert_eq!(error.expect_err("not the root").message, "holidays are kept by the root");
}

#[tokio::test]
async fn forecasts_add_up_know_plans_and_are_the_callers_own() {
    let fixture = Fixture::chain().await;
    let constant = |account, cost: &str| Daily { account, costs: (0..DAYS).map(|_| cost.to_owned()).collect() };
    land(&fixture, &[constant("a-north", "10"), constant("a-acme", "100")]).await;
    let north = fixture.session("finance@north");
    // What north pays: 10 x 1.1 and 100 x 1.1, after 17 October 2025.
    let days = "select level, node_id, min(forecast_date), max(forecast_date), count(*), min(forecast_value), max(forecast_value), \
                max(upper_95) from forecasts where period = 'day' group by 1, 2 order by 1, 2";
    assert_eq!(
        rows(&north, days).await,
        [
            "account|acme|2025-10-18|2025-11-17|31|110|110|110",
            "account|north|2025-10-18|2025-11-17|31|11|11|11",
            "node|acme|2025-10-18|2025-11-17|31|110|110|110",
            "node|north|2025-10-18|2025-11-17|31|11|11|11",
            "service|acme|2025-10-18|2025-11-17|31|110|110|110",
            "service|north|2025-10-18|2025-11-17|31|11|11|11",
            "total|null|2025-10-18|2025-11-17|31|121|121|121",
        ]
    );
    // 17 of the 31 days of October are over; until the end of the year there are 75 more.
    let periods = "select period, level, coalesce(node_id, 'all'), forecast_date, forecast_value, actual from forecasts \
                   where period <> 'day' and level in ('node', 'total') and coalesce(node_id, 'all') <> 'north' order by 1, 4, 2";
    assert_eq!(
        rows(&north, periods).await,
        [
            "month|node|acme|2025-10-01|3410|1870",
            "month|total|all|2025-10-01|3751|2057",
            "month|node|acme|2025-11-01|3300|0",
            "month|total|all|2025-11-01|3630|0",
            "quarter|node|acme|2025-10-01|10120|1870",
            "quarter|total|all|2025-10-01|11132|2057",
        ]
    );
    let ahead = "select billing_period, forecast_cost from executive order by 1 desc limit 2";
    assert_eq!(rows(&north, ahead).await, ["2025-10-01|3751", "2025-09-01|null"]);
    // What acme pays: 100 x 1.1 x 1.5.
    let portal = fixture.session("portal@acme");
    let own = "select node_id, sum(forecast_value) from forecasts where period = 'day' and level = 'node' group by 1";
    assert_eq!(rows(&portal, own).await, ["acme|5115"]);

    // Of dist's view acme is a part of north: 31 x (100 + 10). Its own subtree is the total.
    let below = "select node_id, sum(forecast_value), sum(upper_80) from forecasts where period = 'day' and level = 'subtree' group by 1";
    assert_eq!(rows(&fixture.session("finance"), below).await, ["north|3410|3410"]);
    assert!(rows(&north, below).await.is_empty());
    let subtrees = "select * from subtrees order by 1, 2";
    assert_eq!(rows(&north, subtrees).await, ["north|acme", "north|north"]);
    assert!(rows(&portal, subtrees).await.is_empty());

    // A month ago nothing else would have been forecast: 31 x 110.
    let accuracy = "select node_id, forecast_from, forecast_to, forecast, actual, error_pct, mean_absolute_error, within_80, within_95 \
                    from forecast_accuracy order by 1";
    let exact = |node: &str, sum: u32| format!("{node}|2025-09-17|2025-10-17|{sum}|{sum}|0|0|100|100");
    assert_eq!(rows(&north, accuracy).await, [exact("acme", 3_410), exact("north", 341)]);

    // From 1 November on acme is to cost twice as much: 14 days of 110 and 17 of 220 are 5,280. The plan is north's alone.
    let plans =
        "owner_node_id,plan_id,node_id,change_type,value,valid_from\nnorth,launch,acme,percent,100,2025-11-01\n";
    fixture.copy("planned_changes", plans).await;
    // No price depends on it.
    let stale = "select count(*) from ops.slices where stale_since is not null";
    assert_eq!(rows(&fixture.admin(), stale).await, ["0"]);
    let planned = "select level, sum(forecast_value), sum(planned_change) from forecasts \
                   where period = 'day' and node_id = 'acme' group by 1 order by 1";
    assert_eq!(rows(&north, planned).await, ["account|5280|null", "node|5280|1870", "service|5280|1870"]);
    assert_eq!(rows(&portal, own).await, ["acme|5115"]);
    assert_eq!(rows(&portal, "select count(*) from ref.planned_changes").await, ["0"]);

    for (row, wrong) in [
        ("north,p,acme,twice,2,2025-11-01,,", "change_type must be one of percent, amount, set"),
        ("north,p,nobody,percent,2,2025-11-01,,", "nobody"),
        ("north,p,acme,percent,-101,2025-11-01,,", "more than 100 % less"),
        ("north,p,acme,percent,10,2025-11-01,2025-11-02,daily", "recurrence must be one of weekly, monthly"),
        ("north,p,acme,percent,10,2025-11-01,,weekly", "what comes again must have an end"),
    ] {
        let header = "owner_node_id,plan_id,node_id,change_type,value,valid_from,valid_to,recurrence";
        let error = copy(&fixture.admin(), "planned_changes", &format!("{header}\n{row}\n")).await.expect_err(row);
        assert!(
            error.message.contains(wrong) || error.detail.as_deref().is_some_and(|d| d.contains(wrong)),
            "{error:?}"
        );
    }
}

const BUDGETS: &str = "owner_node_id,budget_id,node_id,period,amount,basis,action,currency,valid_from";

/// Budgets in USD, submitted.
pub(crate) async fn budgets(fixture: &Fixture, budgets: &[&str]) {
    let lines: String = budgets.iter().map(|row| format!("{row}\n")).collect();
    fixture.copy("budgets", &format!("{BUDGETS}\n{lines}")).await;
    for row in budgets {
        let [owner, budget, ..] = row.split(',').collect::<Vec<_>>()[..] else { panic!("{row}") };
        run(&fixture.admin(), &format!("call submit('budget', '{owner}/{budget}', 'agreed')")).await;
    }
}

#[tokio::test]
async fn days_that_are_not_complete_are_not_known() {
    let fixture = Fixture::chain().await;
    let today = chrono::Utc::now().date_naive();
    let texts: Vec<[String; 3]> = (1..=90)
        .map(|ago| {
            let day = today - Days::new(ago);
            [day.format("%Y-%m").to_string(), format!("{day}T00:00:00Z"), format!("{}T00:00:00Z", day + Days::new(1))]
        })
        .collect();
    let lines: Vec<Line<'_>> =
        texts.iter().map(|[period, from, to]| Line { period, from, to, ..Line::usage("a-acme", "100") }).collect();
    fixture.land("history.csv", &lines).await;
    let portal = fixture.session("portal@acme");
    let known = async |ids: &str, more: &str| {
        let sql = format!(
            "select distinct current_date - last_known_timestamp, current_date - forecast_timestamp, forecast_value from forecast(
               charges_daily, 1, data_col => 'cost', timestamp_col => 'charge_date', id_cols => array[{ids}]{more})"
        );
        rows(&portal, &sql).await
    };
    // Three days after they ended; who does not say of which provider has all there is.
    assert_eq!(known("'provider_name'", "").await, ["3|2|165"]);
    assert_eq!(known("'node_id'", "").await, ["1|0|165"]);
    let yesterday = format!(", as_of => date '{}'", today - Days::new(2));
    assert_eq!(known("'provider_name'", &yesterday).await, ["2|1|165"]);
}

#[tokio::test]
async fn how_good_a_forecast_was_is_beside_how_good_last_week_would_have_been() {
    let fixture = Fixture::chain().await;
    // 100 and 110 week by week: days are 10 from those a week before.
    let costs = (0..DAYS).map(|number| if number / 7 % 2 == 0 { "100" } else { "110" }.to_owned()).collect();
    land(&fixture, &[Daily { account: "a-acme", costs }]).await;
    let north = fixture.session("finance@north");
    let accuracy =
        "select mean_absolute_error > 0, abs(mase - mean_absolute_error / 11) < 0.002 from forecast_accuracy";
    assert_eq!(rows(&north, accuracy).await, ["true|true"]);
}

#[tokio::test]
async fn budgets_count_what_is_spent_and_what_will_be() {
    let fixture = Fixture::chain().await;
    let constant = |account, cost: &str| Daily { account, costs: (0..DAYS).map(|_| cost.to_owned()).collect() };
    land(&fixture, &[constant("a-north", "10"), constant("a-acme", "100"), constant("a-core", "1000")]).await;
    let of_north = [
        "north,all,,month,3500,actual,notify,USD,2025-09-01",
        "north,acme,acme,month,3300,forecast,stop,USD,2025-09-01",
        "north,year,,year,30000,forecast,approve,USD,2025-01-01",
    ];
    budgets(&fixture, &of_north).await;
    budgets(&fixture, &["dist,whole,north,month,100000,actual,notify,USD,2025-10-01"]).await;
    let stale = "select count(*) from ops.slices where stale_since is not null";
    assert_eq!(rows(&fixture.admin(), stale).await, ["0"]);
    let status = "select budget_id, period_start, period_end, amount, actual, used_pct, forecast, forecast_pct, exhausted_on, status, action_due, \
                  complete_until from budget_status where period_start < date '2026-01-01' order by 1, 2";
    let north = fixture.session("finance@north");
    // A day costs north 11 for itself and 110 for acme; 17 October 2025 is the last one. Of October 17 days came and 14 will.
    let until = "2025-10-17";
    assert_eq!(
        rows(&north, status).await,
        [
            // 30 x 110 is the budget and no more; 31 x 110 is more, on the last day.
            format!("acme|2025-09-01|2025-09-30|3300|3300|100|3300|100|null|warning|null|{until}"),
            format!("acme|2025-10-01|2025-10-31|3300|1870|56.7|3410|103.3|2025-10-31|forecast_over|stop|{until}"),
            // 28 x 121 is 3,388, 29 x 121 is 3,509.
            format!("all|2025-09-01|2025-09-30|3500|3630|103.7|3630|103.7|2025-09-29|over|notify|{until}"),
            format!("all|2025-10-01|2025-10-31|3500|2057|58.8|3751|107.2|2025-10-29|forecast_over|null|{until}"),
            // 200 days and 75 more up to the end of the year; 247 x 121 is 29,887, the 248th day is 4 December.
            format!("year|2025-01-01|2025-12-31|30000|24200|80.7|33275|110.9|2025-12-04|forecast_over|approve|{until}"),
        ]
    );
    // The period of today is there without any cost, its forecast is not: what is known ends too long before.
    let today = "select status, actual, forecast from budget_status where budget_id = 'all' and current_date between period_start and period_end";
    assert_eq!(rows(&north, today).await, ["ok|0|null"]);
    // What a day costs dist: 10 for north and 100 for acme, and core is not north's. Budgets are their owner's.
    let dist = fixture.session("finance");
    let own = "select budget_id, actual from budget_status where period_start = date '2025-10-01'";
    assert_eq!(rows(&dist, own).await, ["whole|1870"]);
    assert_eq!(rows(&fixture.session("portal@acme"), "select count(*) from budget_status").await, ["0"]);

    for (row, wrong) in [
        ("north,b,acme,week,5,actual,notify,USD,2025-09-01", "period must be one of month, quarter, year"),
        ("north,b,acme,month,0,actual,notify,USD,2025-09-01", "amount must be above 0"),
        ("north,b,acme,month,5,guess,notify,USD,2025-09-01", "basis must be one of actual, forecast"),
        ("north,b,acme,month,5,actual,shout,USD,2025-09-01", "action must be one of notify, approve, stop"),
        ("north,b,nobody,month,5,actual,notify,USD,2025-09-01", "nobody"),
        ("north,b,acme,month,5,actual,notify,usd,2025-09-01", "ISO 4217"),
    ] {
        let error = copy(&fixture.admin(), "budgets", &format!("{BUDGETS}\n{row}\n")).await.expect_err(row);
        assert!(
            error.message.contains(wrong) || error.detail.as_deref().is_some_and(|d| d.contains(wrong)),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn more_money_waits_for_who_must_approve_it() {
    let fixture = Fixture::chain().await;
    fixture
        .copy("approval_rules", "rule_id,kind,seller_node_id,role,min_amount\nbig.north,budget,north,executive,1000\n")
        .await;
    fixture.user("boss@north", "north", "executive").await;
    let [finance, boss] = ["finance@north", "boss@north"].map(|login| fixture.session(login));
    let make = |amount: u32, from: &str| {
        format!(
            "insert into ref.budgets (owner_node_id, budget_id, amount, currency, action, valid_from) values ('north', 'all', {amount}, 'USD', 'approve', '{from}')"
        )
    };
    let kept =
        "select amount, status, cast(valid_from as date), cast(valid_to as date) from ref.budgets order by valid_from";
    let call = |what: &str| format!("call {what}('budget', 'north/all', 'the new project')");
    run(&finance, &make(900, "2025-10-01")).await;
    run(&finance, &call("submit")).await;
    assert_eq!(rows(&finance, kept).await, ["900|active|2025-10-01|null"]);
    // It stands: nobody writes another amount into it.
    let raised = "update ref.budgets set amount = 5000";
    assert_eq!(refused(&finance, raised).await.sqlstate, "42501");
    assert_eq!(refused(&finance, "update ref.budgets set valid_to = '2025-10-02'").await.sqlstate, "42501");
    assert_eq!(refused(&finance, &call("submit")).await.sqlstate, "55000");

    run(&finance, &make(5000, "2025-11-01")).await;
    let second = refused(&finance, &make(6000, "2025-12-01")).await;
    assert!(second.message.contains("another draft"), "{second:?}");
    run(&finance, &call("submit")).await;
    assert_eq!(rows(&finance, kept).await, ["900|active|2025-10-01|null", "5000|pending|2025-11-01|null"]);
    assert_eq!(refused(&finance, &call("approve")).await.sqlstate, "42501");
    assert_eq!(refused(&fixture.session("finance@south"), &call("approve")).await.sqlstate, "42704");
    run(&boss, &call("approve")).await;
    assert_eq!(rows(&finance, kept).await, ["900|active|2025-10-01|2025-11-01", "5000|active|2025-11-01|null"]);
    let acts = "select action, login, seller_node_id from ops.approvals where kind = 'budget' order by \"at\"";
    assert_eq!(
        rows(&finance, acts).await,
        ["submit|finance@north|north", "submit|finance@north|north", "approve|boss@north|north"]
    );
}

#[tokio::test]
async fn thresholds_hold_for_the_nodes_below_and_the_nearest_counts() {
    let fixture = Fixture::chain().await;
    let mut costs: Vec<String> = (0..DAYS).map(|_| "100".to_owned()).collect();
    costs[199] = "130".to_owned();
    land(&fixture, &[acme(), Daily { account: "a-north", costs }]).await;
    let north = fixture.session("finance@north");
    // 143 instead of 110 is 130 %, and 330 instead of 110 was 220 too much in August.
    let over = "select node_id, severity from spend_over_forecast where level = 'node' and charge_date = date '2025-10-17' and period = 'day'";
    let unusual = "select node_id from anomalies where anomaly_start = date '2025-08-29'";
    let in_force = "select rule, node_id, threshold_id, warning_pct, critical_pct, min_impact from effective_thresholds order by 1, 2";
    assert_eq!(rows(&north, over).await, ["north|critical"]);
    assert_eq!(rows(&north, unusual).await, ["acme"]);
    let header = "owner_node_id,threshold_id,rule,node_id,warning_pct,critical_pct,min_impact";
    fixture
        .copy(
            "thresholds",
            &format!(
                "{header}\nnorth,all,spend_over_forecast,,125,140,\nnorth,acme,anomalies,acme,,,210\nnorth,north,anomalies,north,,,230\n\
                 dist,dist,anomalies,acme,,,9999\n"
            ),
        )
        .await;
    assert_eq!(rows(&north, over).await, ["north|warning"]);
    assert_eq!(rows(&north, unusual).await, ["acme"]);
    // The spike was 200 % above what was expected.
    run(&fixture.admin(), "update ref.thresholds set warning_pct = 210 where threshold_id = 'acme'").await;
    assert!(rows(&north, unusual).await.is_empty());
    run(&fixture.admin(), "update ref.thresholds set warning_pct = null where threshold_id = 'acme'").await;
    assert_eq!(
        rows(&north, in_force).await,
        [
            "anomalies|acme|acme|12|null|210",
            "anomalies|north|north|12|null|230",
            "deployment_velocity|acme|null|500|null|null",
            "deployment_velocity|north|null|500|null|null",
            "licence_waste|acme|null|null|null|0",
            "licence_waste|north|null|null|null|0",
            "spend_over_forecast|acme|all|125|140|null",
            "spend_over_forecast|north|all|125|140|null",
            "underutilised|acme|null|10|null|null",
            "underutilised|north|null|10|null|null",
        ]
    );
    run(&fixture.admin(), "update ref.thresholds set min_impact = 230 where threshold_id = 'acme'").await;
    assert!(rows(&north, unusual).await.is_empty());
    run(&fixture.admin(), "update ref.thresholds set warning_pct = 135 where threshold_id = 'all'").await;
    assert!(rows(&north, over).await.is_empty());

    for (row, wrong) in [
        ("north,t,anomalies,,,120,", "anomalies has no critical_pct"),
        ("north,t,anomalies,,-1,,", "warning_pct must be 0 or more"),
        ("north,t,spend_over_forecast,,130,,", "critical_pct no less"),
        ("north,t,spend_over_forecast,bolt,90,,", "warning_pct must be 100 or more"),
        ("north,t,spend_over_forecast,,,,", "overlaps"),
        ("north,t,everything,,,,", "rule must be one of"),
    ] {
        let error = copy(&fixture.admin(), "thresholds", &format!("{header}\n{row}\n")).await.expect_err(row);
        assert!(
            error.message.contains(wrong) || error.detail.as_deref().is_some_and(|d| d.contains(wrong)),
            "{error:?}"
        );
    }
}
