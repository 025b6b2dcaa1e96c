//! Metrics of businesses and applications land as files: they weigh pools, and views divide by them, like rows of `ref.drivers`.

use ratehouse::warehouse::Landed;

use crate::economics::{Daily, day, land_acme};
use crate::fixture::{Fixture, Line, ask, refused, rows, run};

const HEADER: &str = "owner_node_id,driver,node_id,resource_id,quantity,valid_from,valid_to\n";

async fn land(fixture: &Fixture, name: &str, lines: &str) -> Landed {
    let path = fixture.file(name, &format!("{HEADER}{lines}"));
    fixture.land_path(&path).await.expect("it lands").remove(0)
}

async fn refusal(fixture: &Fixture, name: &str, lines: &str) -> String {
    let path = fixture.file(name, &format!("{HEADER}{lines}"));
    fixture.land_path(&path).await.expect_err("it is refused").to_string()
}

/// A folder with a manifest that says when it was made.
async fn land_made_at(fixture: &Fixture, folder: &str, created_at: &str, lines: &str) -> Landed {
    fixture.file(&format!("{folder}/part.csv"), &format!("{HEADER}{lines}"));
    let manifest = format!("{{\"created_at\": \"{created_at}\", \"files\": [\"part.csv\"]}}");
    let path = fixture.file(&format!("{folder}/manifest.json"), &manifest);
    fixture.land_path(&path).await.expect("it lands").remove(0)
}

/// The chain, and an account of north's whose cost is a pool by cores; it cost 100 in an hour of 5 October.
async fn pooled() -> Fixture {
    let fixture = Fixture::chain().await;
    fixture.accounts("a-shared,north").await;
    fixture.copy("pools", "owner_node_id,pool_id,method,driver\nnorth,network,usage,cores\n").await;
    let rule = "rule_id,owner_node_id,sub_account_id,method,pool_id\nnet,north,a-shared,pool,network\n";
    fixture.copy("attribution_rules", rule).await;
    fixture.land("october.csv", &[Line::usage("a-shared", "100")]).await;
    fixture
}

const SPLIT: &str = "select node_id, fate, sum(cost) from charges group by 1, 2 order by 1, 2";
const STALE: &str = "select stale_reason from ops.slices where stale_since is not null";

async fn assert_sound(fixture: &Fixture) {
    let verified = fixture.warehouse.verify().await.expect("it can be read");
    assert_eq!(verified.problems, Vec::<String>::new());
}

#[tokio::test]
async fn what_a_unit_costs_by_metrics_that_landed_and_came_again() {
    let fixture = Fixture::chain().await;
    let days = [1, 2].map(|date| Daily { date: day(4, date), resource: String::new(), tags: "", cost: 100 });
    land_acme(&fixture, &days).await;
    let first = "north,orders,acme,,4,2025-04-01,2025-04-02\nnorth,orders,acme,,7,2025-04-02,2025-04-03\n";
    let landed = land(&fixture, "orders.csv", first).await;
    let Landed::Landed { source, rows: 2, rejected_rows: 0, findings: 0, slices: 2, .. } = landed else {
        panic!("{landed:?}")
    };
    assert_eq!(source, "metrics");
    let finance = fixture.session("finance@north");
    let units = "select month, driver, node_id, quantity, currency, cost, unit_cost, days from unit_economics";
    // 200 cost north 220, for 11 orders.
    assert_eq!(rows(&finance, units).await, ["2025-04-01|orders|acme|11|USD|220|20|2"]);
    // The second day again, and it alone: 22 orders.
    land(&fixture, "orders-2.csv", "north,orders,acme,,18,2025-04-02,2025-04-03\n").await;
    assert_eq!(rows(&finance, units).await, ["2025-04-01|orders|acme|22|USD|220|10|2"]);
    // What was made before it does not count.
    let old =
        land_made_at(&fixture, "old", "2020-01-01T00:00:00Z", "north,orders,acme,,1,2025-04-02,2025-04-03\n").await;
    assert!(matches!(old, Landed::Stale { .. }), "{old:?}");
    // What is known and what is not, in one delivery of that time: neither part of it lands.
    let mixed = "north,orders,acme,,1,2025-04-02,2025-04-03\nnorth,orders,acme,,1,2025-04-03,2025-04-04\n";
    fixture.file("mixed/part.csv", &format!("{HEADER}{mixed}"));
    let manifest = "{\"created_at\": \"2020-01-02T00:00:00Z\", \"files\": [\"part.csv\"]}";
    let error = fixture.land_path(&fixture.file("mixed/manifest.json", manifest)).await.expect_err("a part is older");
    assert!(error.to_string().contains("land the newer delivery of all of it"), "{error}");
    assert_eq!(rows(&finance, units).await, ["2025-04-01|orders|acme|22|USD|220|10|2"]);
    // Usage was the first delivery.
    let held = "select quantity, source, delivery_id from metrics order by valid_from";
    assert_eq!(rows(&fixture.session("finance"), held).await, ["4|ops.metrics|2", "18|ops.metrics|3"]);
    let state = "select state from ops.deliveries where source = 'metrics' order by delivery_id";
    assert_eq!(rows(&fixture.admin(), state).await, ["landed", "landed", "stale"]);
    assert_sound(&fixture).await;
}

#[tokio::test]
async fn a_row_that_cannot_be_read_waits_in_quarantine_and_holds_the_close() {
    let fixture = Fixture::chain_with_usage().await;
    let good = ",orders,acme,,4,2025-10-01,2025-10-02\n";
    let bad = [
        good,
        ",orders,acme,,-1,2025-10-02,2025-10-03\n",
        ",orders,acme,,many,2025-10-03,2025-10-04\n",
        ",orders,acme,,1,2025-10-05,2025-10-05\n",
        // 367 days.
        ",orders,acme,,1,2025-11-01,2026-11-03\n",
        ",\"all orders\",acme,,1,2025-10-06,2025-10-07\n",
        ",orders,,,1,2025-10-07,2025-10-08\n",
        ",orders,acme,,1,soon,2025-10-09\n",
        ",orders,acme,,1000000000000.5,2025-10-09,2025-10-10\n",
    ]
    .concat();
    let landed = land(&fixture, "orders.csv", &bad).await;
    let Landed::Landed { rows: 1, rejected_rows: 8, findings: 0, .. } = landed else { panic!("{landed:?}") };
    let admin = fixture.admin();
    let why = "select source_row, column_name, reason from ops.rejected_rows order by 1";
    let found = rows(&admin, why).await;
    let expected = [
        "2|null|quantity must be from 0 to 1000000000000",
        "3|quantity|is not a decimal number",
        "4|null|valid_to must be after valid_from",
        "5|null|the window is longer than 366 days",
        "6|null|driver must be 1 to 64 letters",
        "7|node_id|is empty",
        "8|valid_from|",
        "9|null|quantity must be from 0 to 1000000000000",
    ];
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for (row, part) in found.iter().zip(expected) {
        assert!(row.starts_with(part), "{row} is not {part}");
    }
    // Nobody said whose it is: the root's.
    let held = "select owner_node_id, driver, node_id, resource_id, quantity, is_known from ops.metrics";
    assert_eq!(rows(&admin, held).await, ["dist|orders|acme|null|4|true"]);
    let error = refused(&admin, "call close_period('2025-10')").await;
    assert!(error.to_string().contains("rejected_rows"), "{error}");
    land(&fixture, "orders.csv", &good.replace(",4,", ",5,")).await;
    assert_eq!(rows(&admin, held).await, ["dist|orders|acme|null|5|true"]);
    let open = "select count(*) from ops.rejected_rows where state = 'open'";
    assert_eq!(rows(&admin, open).await, ["0"]);
    run(&admin, "call close_period('2025-10')").await;
    assert_sound(&fixture).await;
}

#[tokio::test]
async fn json_lines_land_alike_and_a_file_without_a_needed_column_does_not() {
    let fixture = Fixture::chain().await;
    let line = r#"{"driver":"orders","node_id":"acme","quantity":"5.25","valid_from":"2025-10-01T02:00:00+02:00","valid_to":"2025-10-02"}"#;
    let path = fixture.file("orders.jsonl", &format!("{line}\n"));
    let landed = fixture.land_path(&path).await.expect("it lands").remove(0);
    assert!(matches!(landed, Landed::Landed { rows: 1, rejected_rows: 0, .. }), "{landed:?}");
    let held = "select owner_node_id, resource_id, quantity, valid_from, valid_to from metrics";
    assert_eq!(rows(&fixture.admin(), held).await, ["dist|null|5.25|2025-10-01T00:00:00Z|2025-10-02T00:00:00Z"]);
    let path = fixture.file("lacking.csv", "driver,node_id,quantity,valid_from\norders,acme,1,2025-10-01\n");
    let named = fixture.warehouse.land(&[path.display().to_string()], Some("metrics"), "admin", &|_| {}).await;
    let error = named.expect_err("it has no end").to_string();
    assert!(error.contains("must also have: valid_to"), "{error}");
}

#[tokio::test]
async fn windows_replace_those_that_they_cover_and_overlap_with_no_others() {
    let fixture = Fixture::chain().await;
    let days = "north,orders,acme,,1,2025-10-01,2025-10-02\nnorth,orders,acme,,2,2025-10-02,2025-10-03\n\
                north,orders,acme,vm-1,3,2025-10-01,2025-10-02\nnorth,orders,bolt,,4,2025-10-01,2025-10-02\n";
    land(&fixture, "days.csv", days).await;
    let error = refusal(&fixture, "half.csv", "north,orders,acme,,1,2025-10-02,2025-10-02T12:00:00Z\n").await;
    assert!(error.contains("of 1 windows that are known it has a part only"), "{error}");
    let overlap = "north,orders,acme,,1,2025-10-01,2025-10-03\nnorth,orders,acme,,1,2025-10-02,2025-10-04\n";
    let error = refusal(&fixture, "overlap.csv", overlap).await;
    assert!(error.contains("rows 1 (part 1) and 2 (part 1) are of windows that overlap"), "{error}");
    // Who says nothing is the root, which says the same of the same.
    let twins = ",orders,acme,,1,2025-10-01,2025-10-02\ndist,orders,acme,,2,2025-10-01,2025-10-02\n";
    let error = refusal(&fixture, "twins.csv", twins).await;
    assert!(
        error.contains("have the same owner_node_id, driver, node_id, resource_id, valid_from, valid_to"),
        "{error}"
    );
    // Two days as one take the place of both days, and of nothing of a resource or of another node.
    land(&fixture, "both.csv", "north,orders,acme,,5,2025-10-01,2025-10-03\n").await;
    let held = "select node_id, resource_id, quantity from ops.metrics order by 1, 2 nulls first";
    assert_eq!(rows(&fixture.admin(), held).await, ["acme|null|5", "acme|vm-1|3", "bolt|null|4"]);
    assert_sound(&fixture).await;
}

#[tokio::test]
async fn a_pool_is_split_by_what_landed_and_anew_when_that_comes_again() {
    let fixture = pooled().await;
    let (admin, finance) = (fixture.admin(), fixture.session("finance@north"));
    // 100 + 10 %; nothing is measured yet.
    assert_eq!(rows(&finance, SPLIT).await, ["north|unallocated|110"]);
    // What no pool asks for changes nothing.
    land(&fixture, "requests.csv", "north,requests,acme,,3,2025-10-05,2025-10-06\n").await;
    land(&fixture, "others.csv", "south,cores,core,,3,2025-10-05,2025-10-06\n").await;
    assert!(rows(&admin, STALE).await.is_empty());
    let cores = "north,cores,acme,,3,2025-10-05,2025-10-06\nnorth,cores,bolt,,1,2025-10-05,2025-10-06\n";
    land(&fixture, "cores.csv", cores).await;
    assert_eq!(rows(&admin, STALE).await, ["metrics landed"]);
    run(&admin, "call refresh()").await;
    // As 3 : 1.
    assert_eq!(rows(&finance, SPLIT).await, ["acme|allocated|82.5", "bolt|allocated|27.5"]);
    land(&fixture, "cores-2.csv", "north,cores,bolt,,3,2025-10-05,2025-10-06\n").await;
    assert_eq!(rows(&admin, STALE).await, ["metrics landed"]);
    run(&admin, "call refresh()").await;
    assert_eq!(rows(&finance, SPLIT).await, ["acme|allocated|55", "bolt|allocated|55"]);
    assert_sound(&fixture).await;
}

#[tokio::test]
async fn a_row_of_ref_drivers_goes_before_what_landed_for_its_time() {
    let fixture = pooled().await;
    let (admin, finance) = (fixture.admin(), fixture.session("finance@north"));
    let cores = "north,cores,acme,,3,2025-10-05,2025-10-06\nnorth,cores,bolt,,3,2025-10-05,2025-10-06\n";
    land(&fixture, "cores.csv", cores).await;
    // In the hour of the charge bolt used 3 / 24 = 0.125, and acme, corrected by hand, 0.375: 3 : 1 of 110.
    let own = "north,cores,acme,,0.375,2025-10-05T00:00:00Z,2025-10-05T01:00:00Z\n";
    fixture.copy("drivers", &format!("{HEADER}{own}")).await;
    run(&admin, "call refresh()").await;
    assert_eq!(rows(&finance, SPLIT).await, ["acme|allocated|82.5", "bolt|allocated|27.5"]);
    let shown = "select node_id, quantity, source from metrics order by 1";
    assert_eq!(rows(&finance, shown).await, ["acme|0.375|ref.drivers", "bolt|3|ops.metrics"]);
    run(&admin, "delete from ref.drivers").await;
    run(&admin, "call refresh()").await;
    assert_eq!(rows(&finance, SPLIT).await, ["acme|allocated|55", "bolt|allocated|55"]);
    assert_eq!(rows(&finance, shown).await, ["acme|3|ops.metrics", "bolt|3|ops.metrics"]);
}

#[tokio::test]
async fn a_correction_reaches_all_of_the_time_of_the_metric_that_it_takes_the_place_of() {
    let fixture = pooled().await;
    let (admin, finance) = (fixture.admin(), fixture.session("finance@north"));
    let year = "north,cores,acme,,300,2025-06-01,2026-06-01\nnorth,cores,bolt,,100,2025-06-01,2026-06-01\n";
    land(&fixture, "year.csv", year).await;
    run(&admin, "call refresh()").await;
    assert_eq!(rows(&finance, SPLIT).await, ["acme|allocated|82.5", "bolt|allocated|27.5"]);
    // In March, of which October has nothing: acme's year does not count any more, and all of October is bolt's.
    fixture.copy("drivers", &format!("{HEADER}north,cores,acme,,1,2026-03-01,2026-03-02\n")).await;
    assert_eq!(rows(&admin, STALE).await, ["ref.drivers changed"]);
    run(&admin, "call refresh()").await;
    assert_eq!(rows(&finance, SPLIT).await, ["bolt|allocated|110"]);
}

#[tokio::test]
async fn a_metric_of_a_node_that_is_not_there_counts_from_when_it_is() {
    let fixture = pooled().await;
    let (admin, finance) = (fixture.admin(), fixture.session("finance@north"));
    let cores = "north,cores,acme,,1,2025-10-05,2025-10-06\nnorth,cores,dole,,3,2025-10-05,2025-10-06\n\
                 north,cores,core,,8,2025-10-05,2025-10-06\n";
    let landed = land(&fixture, "cores.csv", cores).await;
    assert!(matches!(landed, Landed::Landed { rows: 3, findings: 1, .. }), "{landed:?}");
    let finding = "select rule, rows, example, description from ops.quality where delivery_id = 2";
    assert_eq!(
        rows(&admin, finding).await,
        ["R11|2|0:2|names a node that is not there or not below its owner: it counts for nothing until there is one"]
    );
    run(&admin, "call refresh()").await;
    assert_eq!(rows(&finance, SPLIT).await, ["acme|allocated|110"]);
    let known = "select node_id, is_known from ops.metrics order by 1";
    assert_eq!(rows(&finance, known).await, ["acme|true", "core|false", "dole|false"]);
    assert_eq!(rows(&finance, "select node_id from metrics").await, ["acme"]);
    fixture.nodes("dole,north,customer").await;
    assert_eq!(rows(&admin, STALE).await, ["ref.nodes changed"]);
    run(&admin, "call refresh()").await;
    // As 1 : 3.
    assert_eq!(rows(&finance, SPLIT).await, ["acme|allocated|27.5", "dole|allocated|82.5"]);
    assert_eq!(rows(&finance, known).await, ["acme|true", "core|false", "dole|true"]);
    assert_eq!(rows(&finance, "select node_id from metrics order by 1").await, ["acme", "dole"]);
}

#[tokio::test]
async fn a_machine_that_landed_metrics_show_as_idle() {
    let fixture = Fixture::chain().await;
    fixture.user("engineering@acme", "acme", "engineering").await;
    let days = (1..=14).map(|date| Daily { date: day(4, date), resource: "vm-1".to_owned(), tags: "", cost: 10 });
    land_acme(&fixture, &days.collect::<Vec<_>>()).await;
    let used = |day: u32| format!("acme,cpu_pct,acme,vm-1,5,2025-04-{day:02},2025-04-{:02}\n", day + 1);
    land(&fixture, "cpu.csv", &(8..=14).map(used).collect::<String>()).await;
    let wasted = "select resource_id, measures, highest_pct, cost from underutilised";
    // Seven days of 10 x 1.1 x 1.5.
    assert_eq!(rows(&fixture.session("engineering@acme"), wasted).await, ["vm-1|cpu_pct|5|115.5"]);
    // One busy day, written down by hand.
    fixture.copy("drivers", &format!("{HEADER}acme,cpu_pct,acme,vm-1,60,2025-04-10,2025-04-11\n")).await;
    assert!(rows(&fixture.session("engineering@acme"), wasted).await.is_empty());
}

#[tokio::test]
async fn a_login_sees_the_metrics_of_its_own_subtree() {
    let fixture = Fixture::chain().await;
    for (login, node) in [("engineering@acme", "acme"), ("engineering@bolt", "bolt")] {
        fixture.user(login, node, "engineering").await;
    }
    let lines = ["dist", "north", "south", "acme", "bolt"]
        .map(|owner| format!("{owner},of-{owner},{owner},,1,2025-10-01,2025-10-02\n"));
    land(&fixture, "all.csv", &lines.concat()).await;
    // Sellers that do not disclose their sales have metrics all the same.
    run(&fixture.admin(), "update ref.nodes set disclose_up = false where node_id = 'north'").await;
    for (login, owners) in [
        ("finance", "acme bolt dist north south"),
        ("finance@north", "acme bolt north"),
        ("finance@south", "south"),
        ("engineering@acme", "acme"),
        ("engineering@bolt", "bolt"),
    ] {
        let session = fixture.session(login);
        let expected: Vec<String> = owners.split(' ').map(|owner| format!("{owner}|of-{owner}")).collect();
        for relation in ["ops.metrics", "metrics"] {
            let found = rows(&session, &format!("select owner_node_id, driver from {relation} order by 1")).await;
            assert_eq!(found, expected, "{login} {relation}");
            // Deliveries are counted for everybody together.
            let shown = ask(&session, &format!("select * from {relation}")).await.expect("the login has it");
            let has = |name: &str| shown.columns.iter().any(|column| column == name);
            assert_eq!(has("delivery_id"), login == "finance", "{login} {relation}");
            assert!(login == "finance" || !has("source_row"), "{login} {relation}");
        }
    }
    for relation in ["ops.metrics", "metrics"] {
        let error = refused(&fixture.session("portal@acme"), &format!("select * from {relation}")).await;
        assert_eq!(error.sqlstate, "42P01", "{relation}");
    }
}
