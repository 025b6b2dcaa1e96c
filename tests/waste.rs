//! The views of what is paid for and not used, and those that sum up for one kind of reader.

use std::sync::Arc;

use chrono::TimeDelta;
use ratehouse::alerts::Alerter;

use crate::collection::clock::ManualClock;
use crate::collection::server::{Reply, Server};
use crate::economics::{Daily, day, land_acme};
use crate::fixture::{Fixture, Line, copy, rows, run};

/// The chain, with logins of those who read what is wasted.
async fn chain() -> Fixture {
    let fixture = Fixture::chain().await;
    for (login, node, role) in [
        ("finance@acme", "acme", "finance"),
        ("finance@bolt", "bolt", "finance"),
        ("engineering@acme", "acme", "engineering"),
        ("engineering@north", "north", "engineering"),
    ] {
        fixture.user(login, node, role).await;
    }
    fixture
}

/// Fourteen days of April 2025, on each of which one machine costs 10, and another, which has a tag, 20.
async fn land_machines(fixture: &Fixture) {
    let days = (1..=14).flat_map(|date| {
        [("vm-1", 10, ""), ("vm-2", 20, "{\"team\": \"web\"}")].map(|(resource, cost, tags)| Daily {
            date: day(4, date),
            resource: resource.to_owned(),
            tags,
            cost,
        })
    });
    land_acme(fixture, &days.collect::<Vec<_>>()).await;
}

/// Rows of `ref.drivers` for each day from the first to the last of April.
fn measured(owner: &str, driver: &str, resource: &str, days: std::ops::RangeInclusive<u32>, quantity: u32) -> String {
    days.map(|day| format!("{owner},{driver},acme,{resource},{quantity},2025-04-{day:02},2025-04-{:02}\n", day + 1))
        .collect()
}

const DRIVERS: &str = "owner_node_id,driver,node_id,resource_id,quantity,valid_from,valid_to\n";

#[tokio::test]
async fn a_machine_that_nobody_uses_for_seven_days() {
    let fixture = chain().await;
    land_machines(&fixture).await;
    let drivers = [
        measured("acme", "cpu_pct", "vm-1", 8..=14, 5),
        measured("acme", "memory_pct", "vm-1", 8..=14, 9),
        // Twice on one day: it counts by its average, 10.
        "acme,disk_pct,acme,vm-1,2,2025-04-09T00:00:00Z,2025-04-09T06:00:00Z\n".to_owned(),
        "acme,disk_pct,acme,vm-1,7,2025-04-09T06:00:00Z,2025-04-09T12:00:00Z\n".to_owned(),
        measured("acme", "cpu_pct", "vm-2", 8..=13, 1),
        // One busy day of seven.
        measured("acme", "cpu_pct", "vm-2", 14..=14, 10),
        measured("acme", "requests", "vm-2", 8..=14, 1),
    ];
    fixture.copy("drivers", &format!("{DRIVERS}{}", drivers.concat())).await;
    let wasted = "select node_id, resource_id, measures, highest_pct, limit_pct, currency, cost, monthly_cost, measured_until from underutilised";
    // acme pays 16.50 for 10: seven days are 115.50, thirty 495.
    assert_eq!(
        rows(&fixture.session("engineering@acme"), wasted).await,
        ["acme|vm-1|cpu_pct, disk_pct, memory_pct|9|10|USD|115.5|495|2025-04-14"]
    );
    // And north 11.
    assert_eq!(
        rows(&fixture.session("engineering@north"), wasted).await,
        ["acme|vm-1|cpu_pct, disk_pct, memory_pct|9|10|USD|77|330|2025-04-14"]
    );
    assert!(rows(&fixture.session("finance@bolt"), wasted).await.is_empty());

    let services = "select node_id, currency, cost, cost_before, change_pct, resources, new_resources, untagged_cost, wasted_a_month, \
                    complete_until from engineering";
    // A week of both is 7 x 30 x 1.65; what has no tags is vm-1.
    assert_eq!(
        rows(&fixture.session("engineering@acme"), services).await,
        ["acme|USD|346.5|346.5|0|2|0|115.5|495|2025-04-14"]
    );

    let thresholds = "owner_node_id,threshold_id,rule,node_id,warning_pct\n";
    fixture
        .copy("thresholds", &format!("{thresholds}acme,busy,underutilised,,10.5\nnorth,idle,underutilised,acme,9\n"))
        .await;
    let count = "select resource_id, highest_pct from underutilised order by 1";
    assert_eq!(rows(&fixture.session("engineering@acme"), count).await, ["vm-1|9", "vm-2|10"]);
    assert!(rows(&fixture.session("engineering@north"), count).await.is_empty());
    for (row, says) in [
        ("acme,a,underutilised,,101", "warning_pct must be 0 to 100"),
        ("acme,a,deployment_velocity,,99", "warning_pct must be 100 or more"),
        ("acme,a,licence_waste,,5", "licence_waste has no warning_pct"),
        ("acme,a,idle,,5", "rule"),
    ] {
        let error = copy(&fixture.admin(), "thresholds", &format!("{thresholds}{row}\n")).await;
        let error = error.expect_err("a wrong threshold");
        assert!(error.message.contains(says), "{}", error.message);
    }
}

#[tokio::test]
async fn six_days_are_not_enough_to_call_a_machine_idle() {
    let fixture = chain().await;
    land_machines(&fixture).await;
    fixture.copy("drivers", &format!("{DRIVERS}{}", measured("acme", "cpu_pct", "vm-1", 9..=14, 0))).await;
    let count = "select count(*) from underutilised";
    assert_eq!(rows(&fixture.session("engineering@acme"), count).await, ["0"]);
    fixture.copy("drivers", &format!("{DRIVERS}{}", measured("acme", "cpu_pct", "vm-1", 8..=8, 0))).await;
    assert_eq!(rows(&fixture.session("engineering@acme"), count).await, ["1"]);
}

#[tokio::test]
async fn seats_that_were_not_used_for_thirty_days() {
    let fixture = chain().await;
    land_machines(&fixture).await;
    let licences = "seller_node_id,licence_id,node_id,product,sku_id,seats,unit_price,currency,valid_from,valid_to\n\
                    north,office,acme,Office,OFF-1,10,20,USD,2025-04-01,2025-05-01\n\
                    north,mail,acme,Mail,MAIL-1,5,3,USD,2025-04-01,2025-05-01\n";
    fixture.copy("licences", licences).await;
    let seats = |driver: &str, sku: &str, quantity: u32, from: &str| {
        format!("acme,{driver},acme,{sku},{quantity},{from},2025-05-01\n")
    };
    let drivers = [
        // The most of the thirty days counts.
        "acme,seats_in_use,acme,OFF-1,9,2025-03-01,2025-04-01\n".to_owned(),
        "acme,seats_in_use,acme,OFF-1,6,2025-04-01,2025-04-20\n".to_owned(),
        seats("seats_in_use", "OFF-1", 4, "2025-04-20"),
        // Not thirty days.
        seats("seats_in_use", "MAIL-1", 1, "2025-04-02"),
    ];
    fixture.copy("drivers", &format!("{DRIVERS}{}", drivers.concat())).await;
    run(&fixture.admin(), "call refresh()").await;
    let wasted = "select node_id, sku_id, product, billing_period, seats, seats_used, unused_seats, currency, monthly_cost from licence_waste";
    // Four of ten seats of 20 each.
    assert_eq!(rows(&fixture.session("finance@acme"), wasted).await, ["acme|OFF-1|Office|2025-04-01|10|6|4|USD|80"]);
    // What north sells by itself costs it nothing.
    assert_eq!(
        rows(&fixture.session("finance@north"), "select unused_seats, coalesce(monthly_cost, 0) from licence_waste")
            .await,
        ["4|0"]
    );
    let candidates = "select kind, node_id, service_name, item, reason, currency, monthly_cost from waste_candidates";
    assert_eq!(
        rows(&fixture.session("finance@acme"), candidates).await,
        ["unused_seats|acme|Office|OFF-1|4 of 10 seats were not used for 30 days|USD|80"]
    );
    fixture.copy("thresholds", "owner_node_id,threshold_id,rule,min_impact\nacme,seats,licence_waste,80.01\n").await;
    assert!(rows(&fixture.session("finance@acme"), wasted).await.is_empty());
}

#[tokio::test]
async fn what_is_wasted_is_told() {
    let fixture = chain().await;
    land_machines(&fixture).await;
    let licence = "seller_node_id,licence_id,node_id,product,sku_id,seats,unit_price,currency,valid_from,valid_to\n\
                   dist,office,north,Office,OFF-1,10,20,USD,2025-04-01,2025-05-01\n";
    fixture.copy("licences", licence).await;
    let seats = "north,seats_in_use,north,OFF-1,6,2025-03-10,2025-04-12\n";
    let machine = measured("north", "cpu_pct", "vm-1", 8..=14, 5);
    fixture.copy("drivers", &format!("{DRIVERS}{machine}{seats}")).await;
    run(&fixture.admin(), "call refresh()").await;
    let server = Server::start(|_, _| Reply::ok("")).await;
    for rule in ["underutilised", "licence_waste"] {
        let url = server.url(&format!("/{rule}"));
        let target = "insert into ref.alert_targets (owner_node_id, target_id, url, rule) values ";
        run(&fixture.admin(), &format!("{target}('north', '{rule}', '{url}', '{rule}')")).await;
    }
    let clock = Arc::new(ManualClock::at("2025-05-02T20:00:00Z"));
    let alerter = Alerter::new(&fixture.warehouse).with_clock(Arc::<ManualClock>::clone(&clock));
    alerter.round().await.expect("a round");
    clock.advance(TimeDelta::days(1));
    alerter.round().await.expect("another");
    let mut told: Vec<(String, String)> = server
        .asked()
        .iter()
        .zip(server.targets())
        .map(|(asked, target)| {
            let body: serde_json::Value = serde_json::from_str(&asked.body).expect("JSON");
            (target, body["alerts"][0]["summary"].as_str().unwrap_or_default().to_owned())
        })
        .collect();
    told.sort();
    // North pays dist 20 for a seat and 11 a day for the machine.
    assert_eq!(
        told,
        [
            ("/licence_waste", "4 of 10 seats of Office at north were not used for thirty days, 80 USD a month"),
            ("/underutilised", "vm-1 of acme: at most 5 % used on each of seven days, 330 USD a month"),
        ]
        .map(|(target, summary)| (target.to_owned(), summary.to_owned()))
    );
}

#[tokio::test]
async fn what_is_left_unused_of_a_commitment() {
    let fixture = chain().await;
    let unused = |period, from, to, cost| Line {
        period,
        from,
        to,
        commitment: "sp-1",
        status: "Unused",
        billed: "0",
        list: "0",
        ..Line::usage("a-acme", cost)
    };
    let lines = [
        unused("2025-04", "2025-04-30T23:00:00Z", "2025-05-01T00:00:00Z", "7"),
        unused("2025-05", "2025-05-01T00:00:00Z", "2025-05-01T01:00:00Z", "3"),
        unused("2025-05", "2025-05-01T01:00:00Z", "2025-05-01T02:00:00Z", "1"),
    ];
    fixture.land("commitment.csv", &lines).await;
    let candidates = "select kind, node_id, item, reason, currency, monthly_cost from waste_candidates";
    // The newest period: 3 and 1. The root bears it.
    assert_eq!(
        rows(&fixture.session("finance"), candidates).await,
        ["unused_commitment|dist|sp-1|left unused in the billing period of 2025-05-01|USD|4"]
    );
    assert_eq!(rows(&fixture.session("finance@acme"), candidates).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_business_month_by_month_for_those_who_run_it() {
    let fixture = Fixture::chain_with_usage().await;
    fixture.user("executive@north", "north", "executive").await;
    fixture.user("executive@acme", "acme", "executive").await;
    let november = Line {
        period: "2025-11",
        from: "2025-11-05T00:00:00Z",
        to: "2025-11-05T01:00:00Z",
        ..Line::usage("a-acme", "50")
    };
    fixture.land("november.csv", &[november]).await;
    let months = "select billing_period, currency, cost, cost_change_pct, revenue, revenue_change_pct, profit, profit_pct, customers, \
                  budgets_over, anomalies from executive order by 1";
    // north pays 341 for 310, of which 10 are its own; acme and bolt pay 165 and 330. In November 50 are 55 and 82.50.
    assert_eq!(
        rows(&fixture.session("executive@north"), months).await,
        ["2025-10-01|USD|341|null|495|null|165|33.3|2|0|0", "2025-11-01|USD|55|-83.9|82.5|-83.3|27.5|33.3|1|0|0"]
    );
    assert_eq!(
        rows(&fixture.session("executive@acme"), months).await,
        ["2025-10-01|USD|165|null|null|null|null|null|0|0|0", "2025-11-01|USD|82.5|-50|null|null|null|null|0|0|0"]
    );

    let budget = "owner_node_id,budget_id,amount,currency\nnorth,all,300,USD\nnorth,much,1000,USD\n";
    fixture.copy("budgets", budget).await;
    for budget in ["north/all", "north/much"] {
        run(&fixture.admin(), &format!("call submit('budget', '{budget}', 'for the year')")).await;
    }
    let over = "select billing_period, budgets_over from executive order by 1";
    assert_eq!(rows(&fixture.session("executive@north"), over).await, ["2025-10-01|1", "2025-11-01|0"]);

    let paper = "select billing_period, buyer_node_id, currency, revenue, cost, profit, issued, drafts, tax, adjustments_open, is_invoiced \
                 from finance order by 1, 2";
    let north = fixture.session("finance@north");
    let november = "2025-11-01|acme|USD|82.5|55|27.5|0|0|0|0|false";
    assert_eq!(
        rows(&north, paper).await,
        ["2025-10-01|acme|USD|165|110|55|0|0|0|0|false", "2025-10-01|bolt|USD|330|220|110|0|0|0|0|false", november]
    );
    run(&fixture.admin(), "call close_period('2025-10')").await;
    assert_eq!(
        rows(&north, paper).await,
        ["2025-10-01|acme|USD|165|110|55|0|165|0|0|false", "2025-10-01|bolt|USD|330|220|110|0|330|0|0|false", november]
    );
    run(&fixture.admin(), "call issue_invoices('2025-10')").await;
    assert_eq!(
        rows(&north, paper).await,
        ["2025-10-01|acme|USD|165|110|55|165|0|0|0|true", "2025-10-01|bolt|USD|330|220|110|330|0|0|0|true", november]
    );
}
