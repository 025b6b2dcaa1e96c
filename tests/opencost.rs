//! OpenCost's allocations split what a machine costs by what ran on it: as drivers, never as money.

use ratehouse::warehouse::Landed;

use crate::fixture::{Fixture, Line, copy, refused, rows, run};

/// North's cluster: its machines stand on account a-shared, whose cost is a pool of north's by the cores of its pods.
async fn cluster(pool: &str) -> Fixture {
    let fixture = Fixture::chain().await;
    fixture.accounts("a-shared,north").await;
    fixture
        .copy(
            "pools",
            &format!("owner_node_id,pool_id,method,driver,fallback_node_id,idle\nnorth,cluster,usage,{pool}\n"),
        )
        .await;
    let rule = "rule_id,owner_node_id,sub_account_id,method,pool_id\nc,north,a-shared,pool,cluster\n";
    fixture.copy("attribution_rules", rule).await;
    let rules = "owner_node_id,rule_id,namespace,label_key,label_value,node_id\nnorth,shop,shop%,,,acme\nnorth,bolt,,team,bolt,bolt\n";
    fixture.copy("driver_rules", rules).await;
    fixture
}

/// A machine's cost; its bill names it by its ARN.
fn machine<'a>(cost: &'a str, from: &'a str, to: &'a str) -> Line<'a> {
    Line { resource: "arn:aws:ec2:eu-west-1:123:instance/i-0ab", from, to, ..Line::usage("a-shared", cost) }
}

const FIRST: (&str, &str) = ("2025-10-05T00:00:00Z", "2025-10-05T01:00:00Z");
const SECOND: (&str, &str) = ("2025-10-05T01:00:00Z", "2025-10-05T02:00:00Z");
const BOTH: (&str, &str) = (FIRST.0, SECOND.1);

/// A pod of the cluster as the API writes it: a core costs 0.04 an hour.
fn pod((start, end): (&str, &str), namespace: &str, pod: &str, cores: &str, cost: &str, team: &str) -> String {
    format!(
        r#"{{"name":"prod/n1/{namespace}/{pod}/main","properties":{{"cluster":"prod","node":"n1","container":"main","controller":"{pod}","controllerKind":"deployment","namespace":"{namespace}","pod":"{pod}","services":["{pod}"],"providerID":"i-0ab","labels":{{"team":"{team}"}}}},"window":{{"start":"{start}","end":"{end}"}},"start":"{start}","end":"{end}","minutes":60,"cpuCores":{cores},"cpuCoreRequestAverage":1.5,"cpuCoreUsageAverage":0.25,"cpuCoreHours":{cores},"cpuCost":{cost},"gpuCount":0,"gpuHours":0,"gpuCost":0,"ramByteRequestAverage":1073741824,"ramByteHours":1073741824,"ramCost":0.01,"pvs":null,"totalCost":9999.99,"lbAllocations":null}}"#
    ) + "\n"
}

/// What nobody used of a node: OpenCost says what that costs, no hours, and in some versions the node in place of the machine.
fn idle((start, end): (&str, &str), cost: &str) -> String {
    format!(
        r#"{{"name":"prod/n1/__idle__","properties":{{"cluster":"prod","node":"n1","providerID":"n1"}},"window":{{"start":"{start}","end":"{end}"}},"minutes":60,"cpuCoreHours":0,"cpuCost":{cost},"gpuHours":0,"gpuCost":0,"ramByteHours":0,"ramCost":0}}"#
    ) + "\n"
}

/// Eight cores for an hour: 3 acme's, 1.5 bolt's, 0.5 of a namespace that no rule speaks of, 3 idle.
fn hour(window: (&str, &str)) -> String {
    [
        pod(window, "shop", "web", "2", "0.08", "red"),
        pod(window, "shop-test", "web", "1", "0.04", "red"),
        pod(window, "tools", "ci", "1.5", "0.06", "bolt"),
        pod(window, "kube-system", "dns", "0.5", "0.02", "infra"),
        idle(window, "0.12"),
    ]
    .concat()
}

async fn land(fixture: &Fixture, name: &str, content: &str) -> Landed {
    let path = fixture.file(name, content);
    fixture.land_path(&path).await.expect("it lands").remove(0)
}

async fn refusal(fixture: &Fixture, name: &str, content: &str) -> String {
    let path = fixture.file(name, content);
    fixture.land_path(&path).await.expect_err("it is refused").to_string()
}

const SPLIT: &str = "select node_id, fate, sum(cost) from charges group by 1, 2 order by 1, 2";

#[tokio::test]
async fn p21_a_machine_is_split_by_its_pods_and_what_is_idle_or_nobodys_stays_with_its_owner() {
    let fixture = cluster("cpu_core_hours,,").await;
    fixture.land("october.csv", &[machine("100", FIRST.0, FIRST.1)]).await;
    let finance = fixture.session("finance@north");
    // 100 + 10 %; nothing is measured yet.
    assert_eq!(rows(&finance, SPLIT).await, ["north|unallocated|110"]);
    let landed = land(&fixture, "allocation.jsonl", &hour(FIRST)).await;
    let Landed::Landed { source, rows: 5, rejected_rows: 0, lossy_rows: 0, findings: 0, slices: 1, .. } = landed else {
        panic!("{landed:?}")
    };
    assert_eq!(source, "opencost_allocation");
    let stale = "select stale_reason from ops.slices where stale_since is not null";
    assert_eq!(rows(&fixture.admin(), stale).await, ["OpenCost measurements landed"]);
    run(&fixture.admin(), "call refresh()").await;
    // Idle costs 0.12, five cores cost 0.20: three cores. 110 x 3/8, x 1.5/8, and x (0.5 + 3)/8.
    assert_eq!(
        rows(&finance, SPLIT).await,
        ["acme|allocated|41.25", "bolt|allocated|20.625", "north|unallocated|48.125"]
    );
    // Sold at + 50 %.
    assert_eq!(rows(&fixture.session("portal@acme"), "select cost, fate from charges").await, ["61.875|allocated"]);
    assert_eq!(rows(&finance, "select node_id, cost from unallocated").await, ["north|48.125"]);
    assert_eq!(rows(&fixture.admin(), "select sum(cost) from charges").await, ["100"]);
    let ids =
        "select count(*), count(distinct charge_id), count(distinct pool_id), count(distinct driver) from charges";
    assert_eq!(rows(&finance, ids).await, ["3|3|1|1"]);
    // Who keeps what is spread over those who used the machine: of five cores 3, 1.5 and 0.5.
    run(&fixture.admin(), "update ref.pools set idle = 'spread'").await;
    run(&fixture.admin(), "call refresh()").await;
    assert_eq!(rows(&finance, SPLIT).await, ["acme|allocated|66", "bolt|allocated|33", "north|unallocated|11"]);
    // A fallback takes what no rule speaks of.
    run(&fixture.admin(), "update ref.pools set fallback_node_id = 'bolt'").await;
    run(&fixture.admin(), "call refresh()").await;
    assert_eq!(rows(&finance, SPLIT).await, ["acme|allocated|66", "bolt|allocated|44"]);
    let verified = fixture.warehouse.verify().await.expect("it can be read");
    assert_eq!(verified.problems, Vec::<String>::new());
}

#[tokio::test]
async fn thirds_of_a_machine_add_up_and_the_owners_own_share_is_apart_from_what_is_nobodys() {
    let fixture = cluster("cpu_core_hours,,").await;
    let rule = "owner_node_id,rule_id,namespace,node_id\nnorth,own,ops,north\n";
    fixture.copy("driver_rules", rule).await;
    let pods = [
        pod(FIRST, "shop", "web", "1", "0.04", "red"),
        pod(FIRST, "ops", "prometheus", "1", "0.04", "ops"),
        pod(FIRST, "kube-system", "dns", "1", "0.04", "infra"),
    ];
    land(&fixture, "allocation.jsonl", &pods.concat()).await;
    fixture.land("october.csv", &[machine("100", FIRST.0, FIRST.1)]).await;
    let finance = fixture.session("finance@north");
    // 110 / 3, cut off after 18 digits; 110 less two of these is nobody's.
    let third = "36.666666666666666666";
    let split = [
        format!("acme|allocated|{third}"),
        format!("north|allocated|{third}"),
        "north|unallocated|36.666666666666666668".to_owned(),
    ];
    assert_eq!(rows(&finance, SPLIT).await, split);
    let monthly = SPLIT.replace("from charges", "from charges_monthly");
    assert_eq!(rows(&finance, &monthly).await, split);
    let charge = rows(&finance, "select charge_id from charges where fate = 'unallocated'").await.remove(0);
    let explained = format!("select description from explain_charge('{charge}') where kind = 'pool'");
    assert_eq!(
        rows(&finance, &explained).await,
        ["pool cluster of north: nobody has a share of it, it stays with north"]
    );
}

#[tokio::test]
async fn each_hour_is_split_by_its_own_pods_and_a_longer_row_by_all_of_its_time() {
    let fixture = cluster("cpu_core_hours,,").await;
    let pods = [
        pod(FIRST, "shop", "web", "3", "0.12", "red"),
        pod(FIRST, "tools", "ci", "1", "0.04", "bolt"),
        pod(SECOND, "shop", "web", "1", "0.04", "red"),
        pod(SECOND, "tools", "ci", "1", "0.04", "bolt"),
    ];
    land(&fixture, "allocation.jsonl", &pods.concat()).await;
    fixture
        .land(
            "october.csv",
            &[
                machine("100", FIRST.0, FIRST.1),
                machine("60", SECOND.0, SECOND.1),
                machine("12", BOTH.0, BOTH.1),
                machine("8", "2025-10-05T00:30:00Z", "2025-10-05T01:30:00Z"),
                machine("5", "2025-10-05T02:00:00Z", "2025-10-05T03:00:00Z"),
            ],
        )
        .await;
    let finance = fixture.session("finance@north");
    // With 10 %: 110 as 3 : 1; 66 as 1 : 1; 13.2 as 4 : 2; 8.8 by half of each hour, 2 : 1; 5.5 was not measured.
    // Acme: 82.5 + 33 + 8.8 + 5.866 666 666 666 666 666; bolt: 27.5 + 33 + 4.4 + 2.933 333 333 333 333 333; the last digit is north's.
    let split = "select node_id, fate, sum(cost) from charges where cost > 1 group by 1, 2 order by 1, 2";
    assert_eq!(
        rows(&finance, split).await,
        ["acme|allocated|130.166666666666666666", "bolt|allocated|67.833333333333333333", "north|unallocated|5.5"]
    );
    // 203.5 in all.
    assert_eq!(rows(&finance, "select sum(cost) from charges").await, ["203.5"]);
}

#[tokio::test]
async fn a_newer_delivery_takes_the_place_of_its_windows_and_of_no_others() {
    let fixture = cluster("cpu_core_hours,,").await;
    fixture.land("october.csv", &[machine("100", FIRST.0, FIRST.1), machine("100", SECOND.0, SECOND.1)]).await;
    let web = |window, cores| pod(window, "shop", "web", cores, "0.04", "red");
    let ci = |window, cores| pod(window, "tools", "ci", cores, "0.04", "bolt");
    land(&fixture, "first.jsonl", &[web(FIRST, "1"), ci(FIRST, "1")].concat()).await;
    land(&fixture, "second.jsonl", &[web(SECOND, "1"), ci(SECOND, "1")].concat()).await;
    let admin = fixture.admin();
    run(&admin, "call refresh()").await;
    let before = rows(&admin, "select max(snapshot_id) from ops.snapshots").await.remove(0);
    let finance = fixture.session("finance@north");
    assert_eq!(rows(&finance, SPLIT).await, ["acme|allocated|110", "bolt|allocated|110"]);
    // The first hour again, without what ran in tools.
    land(&fixture, "first-again.jsonl", &web(FIRST, "4")).await;
    run(&admin, "call refresh()").await;
    assert_eq!(rows(&finance, SPLIT).await, ["acme|allocated|165", "bolt|allocated|55"]);
    let held = "select window_start, pod, cpu_core_hours, delivery_id from ops.kubernetes_allocations order by 1, 2";
    assert_eq!(
        rows(&admin, held).await,
        ["2025-10-05T00:00:00Z|web|4|4", "2025-10-05T01:00:00Z|ci|1|3", "2025-10-05T01:00:00Z|web|1|3"]
    );
    // A file of both hours as one takes the place of both; one of an hour does not take half of its place.
    land(&fixture, "both.jsonl", &[web(BOTH, "1"), ci(BOTH, "4")].concat()).await;
    let error = refusal(&fixture, "half.jsonl", &web(FIRST, "2")).await;
    assert!(error.contains("of 1 windows that are known it has a part only"), "{error}");
    assert_eq!(rows(&admin, held).await, ["2025-10-05T00:00:00Z|ci|4|5", "2025-10-05T00:00:00Z|web|1|5"]);
    run(&admin, "call refresh()").await;
    assert_eq!(rows(&finance, SPLIT).await, ["acme|allocated|44", "bolt|allocated|176"]);
    land(&fixture, "halves.jsonl", &[web(FIRST, "2"), web(SECOND, "2")].concat()).await;
    assert_eq!(rows(&admin, "select count(*) from ops.kubernetes_allocations").await, ["2"]);
    // Twice the same time in one file is refused, and so is the same row twice.
    let error = refusal(&fixture, "overlap.jsonl", &[web(BOTH, "1"), web(SECOND, "1")].concat()).await;
    assert!(error.contains("rows 1 (part 1) and 2 (part 1) are of windows that overlap"), "{error}");
    let error = refusal(&fixture, "twins.jsonl", &[web(FIRST, "1"), web(FIRST, "2")].concat()).await;
    assert!(
        error.contains("have the same properties.cluster, window.start, window.end, properties.node, name"),
        "{error}"
    );
    // What was is still there.
    run(&admin, &format!("set ratehouse.snapshot = {before}")).await;
    assert_eq!(rows(&admin, "select count(*) from ops.kubernetes_allocations").await, ["4"]);
    run(&admin, "set ratehouse.snapshot = default").await;
    let verified = fixture.warehouse.verify().await.expect("it can be read");
    assert_eq!(verified.problems, Vec::<String>::new());
}

#[tokio::test]
async fn a_row_that_cannot_be_read_holds_the_close_and_less_than_nothing_idle_is_nothing() {
    let fixture = cluster("cpu_core_hours,,").await;
    fixture.land("october.csv", &[machine("100", FIRST.0, FIRST.1)]).await;
    let good = [pod(FIRST, "shop", "web", "3", "0.12", "red"), pod(FIRST, "tools", "ci", "1", "0.04", "bolt")].concat();
    let bad = [
        good.clone(),
        pod(FIRST, "shop", "a", "-1", "0.04", "red"),
        pod(FIRST, "shop", "b", "\"many\"", "0.04", "red"),
        pod((FIRST.1, FIRST.0), "shop", "c", "1", "0.04", "red"),
        pod(("2025-10-01", "2025-11-02"), "shop", "d", "1", "0.04", "red"),
        pod(FIRST, "shop", "e", "1", "0.04", "red").replace(r#""cluster":"prod","#, ""),
        // More was used than OpenCost takes the node to have.
        idle(FIRST, "-0.02"),
    ]
    .concat();
    let landed = land(&fixture, "allocation.jsonl", &bad).await;
    let Landed::Landed { rows: 3, rejected_rows: 5, findings: 1, .. } = landed else { panic!("{landed:?}") };
    let admin = fixture.admin();
    let why = "select source_row, column_name, reason from ops.rejected_rows order by 1";
    let found = rows(&admin, why).await;
    for (row, part) in found.iter().zip([
        "3|null|a quantity is negative",
        "4|cpuCoreHours|is not a decimal number",
        "5|null|the window ends before it begins",
        "6|null|the window is longer than 31 days",
        "7|properties.cluster|is empty",
    ]) {
        assert!(row.starts_with(part), "{found:?}");
    }
    let quality = "select rule, rows, description from ops.quality where delivery_id = 2";
    assert_eq!(rows(&admin, quality).await, ["R11|1|more was used than the node has: what is idle counts as none"]);
    run(&admin, "call refresh()").await;
    // 110 as 3 : 1.
    assert_eq!(rows(&fixture.session("finance@north"), SPLIT).await, ["acme|allocated|82.5", "bolt|allocated|27.5"]);
    let error = refused(&admin, "call close_period('2025-10')").await;
    assert!(error.to_string().contains("rejected_rows"), "{error}");
    land(&fixture, "allocation.jsonl", &good).await;
    run(&admin, "call close_period('2025-10')").await;
}

#[tokio::test]
async fn drivers_are_what_opencost_counts_and_csv_is_read_alike() {
    let fixture = cluster("allocation_cost,,").await;
    fixture.land("october.csv", &[machine("100", FIRST.0, FIRST.1)]).await;
    let header = "name,window_start,window_end,minutes,cpucorehours,cpucorerequestaverage,cpucost,rambytehours,rambyterequestaverage,ramcost,gpuhours,gpucost,\
                  properties.cluster,properties.node,properties.providerid,properties.namespace,properties.labels";
    let csv = format!(
        "{header}\n\
         a,{0},{1},30,1,2,0.04,3000,10,0.02,0,0,prod,n1,aws:///eu-west-1a/i-0ab,shop,{{}}\n\
         b,{0},{1},60,3,1,0.12,1000,5,0.02,1,0.2,prod,n1,aws:///eu-west-1a/i-0ab,tools,\"{{\"\"team\"\": \"\"bolt\"\"}}\"\n",
        FIRST.0, FIRST.1
    );
    land(&fixture, "allocation.csv", &csv).await;
    let (admin, finance) = (fixture.admin(), fixture.session("finance@north"));
    for (driver, acme, bolt) in [
        // 0.06 : 0.34 of 110.
        ("allocation_cost", "16.5", "93.5"),
        ("cpu_core_hours", "27.5", "82.5"),
        ("ram_byte_hours", "82.5", "27.5"),
        // 2 cores for 30 minutes : 1 for 60; 10 bytes for 30 minutes : 5 for 60.
        ("cpu_core_request_hours", "55", "55"),
        ("ram_byte_request_hours", "55", "55"),
    ] {
        run(&admin, &format!("update ref.pools set driver = '{driver}'")).await;
        run(&admin, "call refresh()").await;
        assert_eq!(
            rows(&finance, SPLIT).await,
            [format!("acme|allocated|{acme}"), format!("bolt|allocated|{bolt}")],
            "{driver}"
        );
    }
    run(&admin, "update ref.pools set driver = 'gpu_hours'").await;
    run(&admin, "call refresh()").await;
    assert_eq!(rows(&finance, SPLIT).await, ["bolt|allocated|110"]);
    // What is written down for the resource goes before what was measured.
    let own = "owner_node_id,driver,node_id,resource_id,quantity,valid_from,valid_to\n\
               north,gpu_hours,acme,arn:aws:ec2:eu-west-1:123:instance/i-0ab,1,2025-10-05,2025-10-06\n";
    fixture.copy("drivers", own).await;
    run(&admin, "call refresh()").await;
    assert_eq!(rows(&finance, SPLIT).await, ["acme|allocated|110"]);
}

#[tokio::test]
async fn the_higher_rule_says_whose_a_pod_is_and_the_one_that_holds_when_its_window_begins() {
    let fixture = cluster("cpu_core_hours,,").await;
    fixture.land("october.csv", &[machine("100", FIRST.0, FIRST.1), machine("100", SECOND.0, SECOND.1)]).await;
    let pods = [pod(FIRST, "shop", "web", "1", "0.04", "bolt"), pod(SECOND, "shop", "web", "1", "0.04", "bolt")];
    land(&fixture, "allocation.jsonl", &pods.concat()).await;
    let (admin, finance) = (fixture.admin(), fixture.session("finance@north"));
    run(&admin, "call refresh()").await;
    // Of equal priority `bolt` sorts before `shop`.
    assert_eq!(rows(&finance, SPLIT).await, ["bolt|allocated|220"]);
    run(&admin, "update ref.driver_rules set priority = 1 where rule_id = 'shop'").await;
    let stale = "select stale_reason from ops.slices where stale_since is not null";
    assert_eq!(rows(&admin, stale).await, ["ref.driver_rules changed"]);
    run(&admin, "call refresh()").await;
    assert_eq!(rows(&finance, SPLIT).await, ["acme|allocated|220"]);
    run(&admin, &format!("update ref.driver_rules set valid_to = '{}' where rule_id = 'shop'", SECOND.0)).await;
    run(&admin, "call refresh()").await;
    assert_eq!(rows(&finance, SPLIT).await, ["acme|allocated|110", "bolt|allocated|110"]);
    // Other conditions, and what a rule cannot be.
    run(&admin, "update ref.driver_rules set cluster = 'test', valid_to = null where rule_id = 'shop'").await;
    run(&admin, "update ref.driver_rules set label_value = null, controller = 'api' where rule_id = 'bolt'").await;
    run(&admin, "call refresh()").await;
    assert_eq!(rows(&finance, SPLIT).await, ["north|unallocated|220"]);
    for (row, sqlstate, message) in [
        ("north,x,,red,acme\n", "23514", "label_value needs a label_key"),
        ("north,x,,,core\n", "23514", "owner's subtree"),
        ("north,x,,,nobody\n", "23503", "node \"nobody\" does not exist"),
        ("north,shop,,,acme\n", "23505", "exists already"),
    ] {
        let csv = format!("owner_node_id,rule_id,label_key,label_value,node_id\n{row}");
        let error = copy(&admin, "driver_rules", &csv).await.expect_err(row);
        assert_eq!(error.sqlstate, sqlstate, "{row}: {error}");
        assert!(error.to_string().contains(message), "{row}: {error}");
    }
    let error = refused(&admin, "update ref.pools set idle = 'sell'").await;
    assert!(error.to_string().contains("idle must be one of keep, spread"), "{error}");
    // Other nodes' rules are not there for a reseller.
    assert!(rows(&fixture.session("finance@south"), "select * from ref.driver_rules").await.is_empty());
    assert_eq!(rows(&finance, "select count(*) from ref.driver_rules").await, ["2"]);
}
