//! Tag policies: what they ask for is kept by roll-ups, however it is written, and compliance is a share of charges and of cost.

use crate::fixture::{Fixture, Line, copy, rows, run};

/// The policy of the worked example: three environments, a key that must be written as it is, and a pattern.
const POLICY: &str = r#"{"tags": {
    "Environment": {"tag_value": {"@@assign": ["Production", "Staging", "Development"]}},
    "Project": {"tag_key": {"@@assign": "Project"}},
    "CostCenter": {"tag_pattern": "^CC-[0-9]{4}$"}
}}"#;

async fn with_policy(owner: &str) -> Fixture {
    let fixture = Fixture::chain().await;
    let tagged = |account, cost, tags| Line { tags, ..Line::usage(account, cost) };
    let lines = [
        tagged(
            "a-acme",
            "100",
            r#"{"Environment": "Production", "Project": "x", "CostCenter": "CC-0001", "team": "red"}"#,
        ),
        // Written otherwise, and no cost center that fits.
        tagged("a-acme", "30", r#"{"Environment": "Staging", "project": "x", "CostCenter": "CC-0001"}"#),
        tagged("a-acme", "20", r#"{"Environment": "Production", "Project": "x", "CostCenter": "1"}"#),
        tagged("a-bolt", "50", r#"{"Environment": "prod"}"#),
        tagged("a-core", "400", ""),
    ];
    fixture.land("october.csv", &lines).await;
    let statement = format!(
        "insert into ref.tag_policies (owner_node_id, policy_id, policy) values ('{owner}', 'standard', '{POLICY}')"
    );
    run(&fixture.admin(), &statement).await;
    fixture
}

#[tokio::test]
async fn compliance_is_a_share_of_charges_and_cost() {
    let fixture = with_policy("north").await;
    let admin = fixture.admin();
    // Roll-ups that lack the tags are old; the south's are not.
    let stale = "select stale_reason from ops.slices where stale_since is not null";
    assert_eq!(rows(&admin, stale).await, ["ref.tag_policies changed"]);
    run(&admin, "call refresh()").await;
    let compliance = "select node_id, charges, compliant_charges, compliance_pct, currency, cost, compliant_cost \
                      from tag_compliance order by 1";
    // North pays 10 % more than the provider's 150 and 50. One line of acme's three, 100 of 150, has what the policy asks for.
    assert_eq!(
        rows(&fixture.session("finance@north"), compliance).await,
        ["acme|3|1|33.333333|USD|165|110", "bolt|1|0|0|USD|55|0"]
    );
    assert_eq!(rows(&admin, compliance).await, ["acme|3|1|33.333333|USD|150|100", "bolt|1|0|0|USD|50|0"]);
    let tags = "select rule_tags, cost from charges_daily where node_id = 'acme' order by 2";
    assert_eq!(
        rows(&fixture.session("finance@north"), tags).await,
        [
            r#"{"CostCenter":"1","Environment":"Production","Project":"x"}|22"#,
            r#"{"CostCenter":"CC-0001","Environment":"Staging","project":"x"}|33"#,
            r#"{"CostCenter":"CC-0001","Environment":"Production","Project":"x"}|110"#
        ]
    );
}

#[tokio::test]
async fn a_policy_above_divides_nothing_below() {
    let fixture = with_policy("dist").await;
    run(&fixture.admin(), "call refresh()").await;
    // The root's policy is not north's to know: its days are what they were.
    let days = "select node_id, rule_tags, cost, usage_rows from charges_daily order by 1";
    let north = fixture.session("finance@north");
    assert_eq!(rows(&north, days).await, ["acme|null|165|3", "bolt|null|55|1"]);
    assert_eq!(rows(&north, "select * from ref.tag_policies").await, Vec::<String>::new());
    assert_eq!(rows(&north, "select * from tag_compliance").await, Vec::<String>::new());
    let all = "select sum(charges), sum(compliant_charges) from tag_compliance";
    assert_eq!(rows(&fixture.admin(), all).await, ["5|1"]);
}

#[tokio::test]
async fn a_policy_that_is_none_is_refused() {
    let fixture = Fixture::chain().await;
    let csv = |policy: &str| format!("owner_node_id,policy_id,policy\nnorth,p,\"{}\"\n", policy.replace('"', "\"\""));
    for policy in [r#"{"tag": {}}"#, r#"{"tags": {"a": {"tag_value": 5}}}"#, r#"{"tags": {"a": {"tag_pattern": "("}}}"#]
    {
        let error = copy(&fixture.admin(), "tag_policies", &csv(policy)).await.expect_err(policy);
        assert!(error.to_string().contains("ref.tag_policies (north, p"), "{error}");
        assert!(error.to_string().contains("this is no tag policy"), "{error}");
    }
}
