//! Google's committed use discounts: by consumption models, which say what covered usage effectively costs, and by credits, which do not.

use crate::fixture::{Fixture, rows, run};

use super::{LEDGER, MOVED, assert_zero_sum, policy};

const SALES: &str = "select node_id, cost, price from charges where origin = 'usage' and outcome = 'billed' and node_id <> 'dist' order by 1, 2";

/// An hour of Google's detailed export.
struct Hour {
    project: &'static str,
    sku: &'static str,
    cost: &'static str,
    list: &'static str,
    /// The consumption model and the subscription that it is priced by.
    model: &'static str,
    subscription: &'static str,
    /// Type and amount.
    credit: Option<(&'static str, &'static str)>,
}

impl Hour {
    fn of(project: &'static str, sku: &'static str, cost: &'static str) -> Self {
        Self { project, sku, cost, list: cost, model: "Default", subscription: "", credit: None }
    }

    fn json(&self) -> String {
        let Self { project, sku, cost, list, model, subscription, credit } = self;
        let credits = credit.map_or_else(String::new, |(kind, amount)| {
            format!(r#"{{"id":"Committed Usage Discount: CPU","type":"{kind}","amount":{amount}}}"#)
        });
        let line = format!(
            r#"{{"billing_account_id":"01AB","service":{{"description":"Compute Engine"}},"sku":{{"id":"K","description":"{sku}"}},
            "usage_start_time":"2026-03-02 00:00:00 UTC","usage_end_time":"2026-03-02 01:00:00 UTC","project":{{"id":"{project}"}},
            "cost":{cost},"cost_at_list":{list},"currency":"USD","invoice":{{"month":"202603"}},"cost_type":"regular","credits":[{credits}],
            "usage":{{"amount":3600,"unit":"seconds","amount_in_pricing_units":1,"pricing_unit":"hour"}},
            "consumption_model":{{"id":"M","description":"{model}"}},"subscription":{{"instance_id":"{subscription}"}}}}"#
        );
        line.replace('\n', "") + "\n"
    }
}

/// Flexible commitment sub-1 of 72 that north bought, 68.40 of which covered usage of core's that costs 95 on demand; a commitment by
/// credits, sub-2, with its fee of 9 and core's usage of 12 that it covered; and 25 of core's that nothing did.
async fn with_commitments() -> Fixture {
    let fixture = Fixture::chain().await;
    let accounts = "provider_name,billing_account_id,sub_account_id,node_id\n\
                    Google Cloud,01AB,p-core,core\nGoogle Cloud,01AB,p-north,north\n";
    run(&fixture.admin(), "delete from ref.accounts where provider_name = 'Globex'").await;
    fixture.copy("accounts", accounts).await;
    let hours = [
        Hour {
            list: "95",
            model: "Compute Flexible CUD - 1 Year",
            subscription: "sub-1",
            ..Hour::of("p-core", "E2 Instance Core running in Belgium", "68.4")
        },
        Hour {
            subscription: "sub-1",
            credit: Some(("FEE_UTILIZATION_OFFSET", "-68.4")),
            ..Hour::of("p-north", "Compute Flexible Committed Use Discounts - 1 Year", "72")
        },
        Hour { subscription: "sub-2", ..Hour::of("p-north", "Commitment v1: N2 Cpu in Belgium for 1 Year", "9") },
        Hour {
            credit: Some(("COMMITTED_USAGE_DISCOUNT", "-12")),
            ..Hour::of("p-core", "N2 Instance Core running in Belgium", "12")
        },
        Hour::of("p-core", "C3 Instance Core running in Belgium", "25"),
    ];
    let text: String = hours.iter().map(Hour::json).collect();
    fixture.land_path(&fixture.file("export.json", &text)).await.expect("it lands");
    fixture
}

#[tokio::test]
async fn what_was_bought_by_a_consumption_model_is_used_or_unused() {
    let fixture = with_commitments().await;
    let admin = fixture.admin();
    // 68.4 + 72 - 68.4 + 9 + 12 - 12 + 25, billed and effective.
    let totals = "select count(*), sum(billed_cost), sum(effective_cost) from usage";
    assert_eq!(rows(&admin, totals).await, ["8|106|106"]);
    assert_eq!(rows(&admin, "select sum(cost), sum(effective_cost) from charges").await, ["106|106"]);
    // Covered usage by what it effectively costs, and all else, at + 20 %; the fees that north bought are the root's, though its card
    // has a price for everything.
    assert_eq!(rows(&admin, SALES).await, ["core|12|14.4", "core|25|30", "core|68.4|82.08"]);
    let sub_1 = [
        "purchased|retain|north|null|null|72|0|0|0|0",
        "supplied|retain|north|null|null|0|72|0|0|-72",
        // The fee once more, less what its offset takes out: 72 - 68.4.
        "unused|retain|north|dist|null|-68.4|3.6|0|-3.6|3.6",
        "used|user|north|core|core|68.4|68.4|95|26.6|68.4",
    ];
    let of = |id: &str| LEDGER.replace("order by", &format!("where commitment_id = '{id}' order by"));
    assert_eq!(rows(&admin, &of("sub-1")).await, sub_1);
    // Nothing says what the commitment by credits covered, so that its fee is its own effective cost.
    assert_eq!(rows(&admin, &of("sub-2")).await, ["purchased|retain|north|null|null|9|9|0|0|0"]);
    assert_zero_sum(&fixture).await;
    assert_eq!(rows(&admin, "select * from ops.reconciliation where status <> 'ok'").await, Vec::<String>::new());
    run(&admin, "call close_period('2026-03')").await;
    // (68.4 + 12 + 25) x 1.2
    let invoices = "select buyer_node_id, total from invoices where seller_node_id = 'dist'";
    assert_eq!(rows(&admin, invoices).await, ["south|126.48"]);
}

#[tokio::test]
async fn policies_move_googles_commitments_as_any_other() {
    let fixture = with_commitments().await;
    let admin = fixture.admin();
    policy(&fixture, "purchaser,pass,purchaser").await;
    // Covered usage at 95 x 1.2.
    assert_eq!(rows(&admin, SALES).await, ["core|12|14.4", "core|25|30", "core|68.4|114"]);
    assert_zero_sum(&fixture).await;
    // 95 - 68.4 of benefit; fees of 72 and 9, of which 72 amortise; 3.6 unused.
    assert_eq!(
        rows(&fixture.session("finance@north"), MOVED).await,
        [
            "Commitment amortisation|north|USD|-72",
            "Commitment benefit|north|USD|-26.6",
            "Commitment purchase|north|USD|81",
            "Unused commitment|north|USD|3.6",
        ]
    );
}

#[tokio::test]
async fn credits_for_what_a_commitment_covered_are_credits_and_offsets_of_fees_are_not() {
    let fixture = with_commitments().await;
    let admin = fixture.admin();
    let kept = "select cost, outcome from charges where charge_category = 'Credit'";
    assert_eq!(rows(&admin, kept).await, ["-12|retained"]);
    let passed = "node_id,buyer_node_id,charge_category,policy\ndist,south,Credit,pass\ndist,north,Credit,pass\n";
    fixture.copy("charge_policies", passed).await;
    run(&admin, "call refresh()").await;
    // South's customer gets what Google took back of usage that it pays on demand; of the fee north gets nothing back, as it pays none.
    assert_eq!(rows(&admin, kept).await, ["-12|billed"]);
    let billed = "select node_id, sum(price) from charges where outcome = 'billed' and node_id <> 'dist' group by 1";
    // 126.48 - 12
    assert_eq!(rows(&admin, billed).await, ["core|114.48"]);
    assert_zero_sum(&fixture).await;
}
