//! Virtual tags by rule, for who made the rule and whom it tells; and tags that a provider sends afterwards.

use crate::fixture::{Fixture, Line, copy, refused, rows, run};

const RULES: &str =
    "owner_node_id,rule_id,priority,virtual_key,virtual_value,tag_key,tag_value,resource_pattern,service_name\n";

fn tagged<'a>(account: &'a str, cost: &'a str, resource: &'a str, tags: &'a str) -> Line<'a> {
    Line { resource, tags, ..Line::usage(account, cost) }
}

/// Two machines of acme, tagged in two ways, one of bolt without tags, one of core.
async fn landed() -> Fixture {
    let fixture = Fixture::chain().await;
    let lines = [
        tagged("a-acme", "100", "vm-1", r#"{"team": "red", "owner": "ada"}"#),
        tagged("a-acme", "30", "vm-2", r#"{"Team": "blue"}"#),
        tagged("a-bolt", "50", "disk-1", ""),
        tagged("a-core", "400", "vm-9", r#"{"team": "red"}"#),
    ];
    fixture.land("october.csv", &lines).await;
    fixture
}

/// North's: a cost center by team, one for everything else, one spelling of the team, and an environment by resource.
async fn ruled() -> Fixture {
    let fixture = landed().await;
    let rules = "north,red,1,cost_center,CC-1,team,red,,\nnorth,rest,0,cost_center,CC-9,,,,Machines\n\
                 north,spelling,0,team,,Team,,,\nnorth,env,0,env,prod,,,vm-%,\n";
    fixture.copy("virtual_tags", &format!("{RULES}{rules}")).await;
    fixture
}

const SEEN: &str =
    "select resource_id, tags ->> 'cost_center', tags ->> 'team', tags ->> 'env' from charges order by 1";

#[tokio::test]
async fn rules_add_to_the_tags_that_their_owner_reads_and_to_nobody_elses() {
    let fixture = ruled().await;
    let north = fixture.session("finance@north");
    assert_eq!(rows(&north, SEEN).await, ["disk-1|CC-9|null|null", "vm-1|CC-1|red|prod", "vm-2|CC-9|blue|prod"]);
    // After what the provider sent.
    let whole = r#"{"team":"red","owner":"ada","cost_center":"CC-1","env":"prod"}"#;
    assert_eq!(rows(&north, "select tags from charges where resource_id = 'vm-1'").await, [whole]);
    let focus = r#"select "Tags" from focus.cost_and_usage_1_2 where "ResourceId" = 'vm-1'"#;
    assert_eq!(rows(&north, focus).await, [whole]);
    assert_eq!(rows(&north, "select sum(cost) from charges where tags ->> 'cost_center' = 'CC-9'").await, ["88"]);
    // Nobody above, beside or below.
    let plain = ["disk-1|null|null|null", "vm-1|null|red|null", "vm-2|null|null|null", "vm-9|null|red|null"];
    assert_eq!(rows(&fixture.admin(), SEEN).await, plain);
    assert_eq!(rows(&fixture.session("finance@south"), SEEN).await, plain[3..]);
    let acme = fixture.session("portal@acme");
    assert_eq!(rows(&acme, SEEN).await, plain[1..3]);
    // Unless the owner says so: then those below have it, too.
    run(&fixture.admin(), "update ref.virtual_tags set disclose = true where virtual_key = 'cost_center'").await;
    assert_eq!(rows(&acme, SEEN).await, ["vm-1|CC-1|red|null", "vm-2|CC-9|null|null"]);
    assert_eq!(rows(&fixture.admin(), SEEN).await, plain);
    assert_eq!(rows(&fixture.session("finance@south"), SEEN).await, plain[3..]);
    // A rule of their own goes before what they are told.
    fixture.copy("virtual_tags", &format!("{RULES}acme,own,0,cost_center,A-1,,,vm-2,\n")).await;
    assert_eq!(rows(&acme, SEEN).await, ["vm-1|CC-1|red|null", "vm-2|A-1|null|null"]);
    assert_eq!(rows(&north, SEEN).await, ["disk-1|CC-9|null|null", "vm-1|CC-1|red|prod", "vm-2|CC-9|blue|prod"]);
    assert_eq!(rows(&north, "select count(*) from ref.virtual_tags").await, ["5"]);
    assert!(rows(&fixture.session("finance@south"), "select * from ref.virtual_tags").await.is_empty());
}

#[tokio::test]
async fn days_and_compliance_agree_with_charges() {
    let fixture = ruled().await;
    let policy = r#"{"tags": {"cost_center": {"tag_pattern": "^CC-[0-9]$"}}}"#;
    run(
        &fixture.admin(),
        &format!("insert into ref.tag_policies (owner_node_id, policy_id, policy) values ('north', 'p', '{policy}')"),
    )
    .await;
    run(&fixture.admin(), "call refresh()").await;
    let north = fixture.session("finance@north");
    // With 10 %. What rules give by resource is not in days, which have none.
    let days = "select rule_tags ->> 'cost_center', rule_tags ->> 'team', rule_tags ->> 'env', sum(cost) from charges_daily group by 1, 2, 3 order by 4";
    assert_eq!(rows(&north, days).await, ["CC-9|blue|null|33", "CC-9|null|null|55", "CC-1|red|null|110"]);
    let lines = days
        .replace("rule_tags", "tags")
        .replace("charges_daily", "charges")
        .replace("tags ->> 'env'", "nullif(tags ->> 'env', 'prod')");
    assert_eq!(rows(&north, &lines).await, rows(&north, days).await);
    let compliance = "select node_id, charges, compliant_charges, cost, compliant_cost from tag_compliance order by 1";
    assert_eq!(rows(&north, compliance).await, ["acme|2|2|143|143", "bolt|1|1|55|55"]);
    // Everybody judges by the tags that they read.
    assert_eq!(rows(&fixture.admin(), compliance).await, ["acme|2|0|130|0", "bolt|1|0|50|0"]);
    let root = "select rule_tags, sum(cost) from charges_daily group by 1 order by 2";
    assert_eq!(rows(&fixture.admin(), root).await, [r#"{"Team":"blue"}|30"#, "null|50", r#"{"team":"red"}|500"#]);
    // Acme's days are not divided by rules that are not told to it.
    assert_eq!(rows(&fixture.session("portal@acme"), root).await, ["null|214.5"]);
    run(&fixture.admin(), "update ref.virtual_tags set disclose = true where rule_id = 'red'").await;
    run(&fixture.admin(), "call refresh()").await;
    assert_eq!(
        rows(&fixture.session("portal@acme"), root).await,
        ["null|49.5", r#"{"team":"red","cost_center":"CC-1"}|165"#]
    );
}

#[tokio::test]
async fn a_rule_holds_for_periods_that_begin_while_it_is_valid_and_replaces_only_if_it_says_so() {
    let fixture = landed().await;
    let (admin, north) = (fixture.admin(), fixture.session("finance@north"));
    fixture.copy("virtual_tags", &format!("{RULES}north,r,0,team,green,,,,Machines\n")).await;
    let seen = "select resource_id, tags ->> 'team' from charges order by 1";
    assert_eq!(rows(&north, seen).await, ["disk-1|green", "vm-1|red", "vm-2|green"]);
    run(&admin, "update ref.virtual_tags set replaces = true").await;
    assert_eq!(rows(&north, seen).await, ["disk-1|green", "vm-1|green", "vm-2|green"]);
    run(&admin, "update ref.virtual_tags set valid_from = '2025-10-02'").await;
    assert_eq!(rows(&north, seen).await, ["disk-1|null", "vm-1|red", "vm-2|null"]);
    run(&admin, "update ref.virtual_tags set valid_from = '2025-10-01', valid_to = '2025-10-02'").await;
    assert_eq!(rows(&north, seen).await, ["disk-1|green", "vm-1|green", "vm-2|green"]);
    for (row, message) in [
        ("north,x,0,,v,,,,\n", "virtual_key"),
        ("north,x,0,k,,,,,\n", "need a tag_key"),
        ("north,x,0,k,v,,red,,\n", "need a tag_key"),
        ("nobody,x,0,k,v,,,,\n", "node \"nobody\" does not exist"),
    ] {
        let error = copy(&admin, "virtual_tags", &format!("{RULES}{row}")).await.expect_err(row);
        assert!(error.to_string().contains(message), "{row}: {error}");
    }
    let error = refused(
        &fixture.session("admin@north"),
        "insert into ref.virtual_tags (owner_node_id, rule_id, virtual_key, virtual_value) values ('south', 'x', 'k', 'v')",
    )
    .await;
    assert_eq!(error.sqlstate, "42501", "{error}");
}

#[tokio::test]
async fn rules_see_of_a_share_what_its_reader_sees() {
    let fixture = Fixture::chain().await;
    fixture.accounts("a-shared,north").await;
    fixture.copy("pools", "owner_node_id,pool_id,method\nnorth,net,even\n").await;
    fixture
        .copy("attribution_rules", "rule_id,owner_node_id,sub_account_id,method,pool_id\nn,north,a-shared,pool,net\n")
        .await;
    fixture.land("october.csv", &[tagged("a-shared", "100", "nat-1", r#"{"team": "core"}"#)]).await;
    let rules = "acme,a,2,seen,resource,,,nat%,\nacme,b,1,seen,tag,team,,,\nacme,c,0,seen,service,,,,Machines\n\
                 north,d,0,seen,north,team,,nat%,\n";
    fixture.copy("virtual_tags", &format!("{RULES}{rules}")).await;
    run(&fixture.admin(), "update ref.virtual_tags set disclose = true where owner_node_id = 'north'").await;
    let tags = "select tags from charges where node_id = 'acme'";
    // Whose resource it was is north's to tell; a rule of north looks at what acme sees, too.
    assert_eq!(rows(&fixture.session("portal@acme"), tags).await, [r#"{"seen":"service"}"#]);
    assert_eq!(rows(&fixture.session("finance@north"), tags).await, [r#"{"team":"core","seen":"north"}"#]);
    run(&fixture.admin(), "update ref.pools set disclose = true").await;
    run(&fixture.admin(), "call refresh()").await;
    assert_eq!(rows(&fixture.session("portal@acme"), tags).await, [r#"{"team":"core","seen":"resource"}"#]);
}

#[tokio::test]
async fn p22_tags_that_come_afterwards_change_charges_and_no_issued_line_and_the_past_is_readable() {
    let fixture = Fixture::chain().await;
    let (admin, north) = (fixture.admin(), fixture.session("finance@north"));
    fixture.land("october.csv", &[tagged("a-acme", "100", "vm-1", ""), tagged("a-bolt", "50", "vm-2", "")]).await;
    run(&admin, "call close_period('2025-10')").await;
    run(&admin, "call issue_invoices('2025-10')").await;
    let documents = "select number, status, total, content_hash, snapshot_id, issued_at from invoices order by 1";
    let lines = "select invoice_id, line_no, kind, description, quantity, amount from invoice_lines order by 1, 2";
    let issued = (rows(&admin, documents).await, rows(&admin, lines).await);
    assert_eq!(issued.0.len(), 3);
    let before = rows(&admin, "select max(snapshot_id) from ops.snapshots").await.remove(0);
    let charges = "select resource_id, tags ->> 'team', cost from charges order by 1";
    assert_eq!(rows(&north, charges).await, ["vm-1|null|110", "vm-2|null|55"]);
    let ids = rows(&north, "select charge_id from charges order by 1").await;
    // The provider tags the month again, and a rule adds what it left out.
    let again = [tagged("a-acme", "100", "vm-1", r#"{"team": "red"}"#), tagged("a-bolt", "50", "vm-2", "")];
    fixture.land("october-tagged.csv", &again).await;
    fixture.copy("virtual_tags", &format!("{RULES}north,r,0,team,blue,,,,Machines\n")).await;
    run(&admin, "call refresh()").await;
    assert_eq!(rows(&north, charges).await, ["vm-1|red|110", "vm-2|blue|55"]);
    assert_eq!((rows(&admin, documents).await, rows(&admin, lines).await), issued);
    // A tag that came is another line of the provider's, so its charge has another name; one that a rule made is not.
    let now = rows(&north, "select charge_id from charges order by 1").await;
    assert_eq!(ids.iter().filter(|id| now.contains(id)).count(), 1);
    // As it was known when the invoices were issued.
    run(&admin, &format!("set ratehouse.snapshot = {before}")).await;
    assert_eq!(rows(&admin, charges).await, ["vm-1|null|100", "vm-2|null|50"]);
    run(&admin, "set ratehouse.snapshot = default").await;
    assert_eq!(rows(&admin, charges).await, ["vm-1|red|100", "vm-2|null|50"]);
}
