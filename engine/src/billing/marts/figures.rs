//! Margins, allocations and re-issued charges.

use arrow::array::RecordBatch;

use super::tables::{month, register, root_charges, rows, session, view};
use crate::billing::fixture::{Tier, texts};

#[tokio::test]
async fn margins_have_every_edge_and_keep_what_is_retained() {
    let (_warehouse, session) = session(&month());
    register(&session, "dist", &[]);
    view(&session, "public", "margins", true).await;
    let found = rows(&session, "select seller_node_id, buyer_node_id, service_name, basis, cost, price, margin, margin_pct from margins order by 1, 2, 3, 4").await;
    assert_eq!(
        found,
        [
            "acme | team | Storage | billed | 1.30 | 1.30 | 0.00 | 0.00",
            // 10 - 2 bought, 12 - 2 sold
            "dist | reseller | Compute | billed | 8.00 | 10.00 | 2.00 | 20.00",
            "dist | reseller | Compute | effective | 8.00 | 10.00 | 2.00 | 20.00",
            "dist | reseller | Storage | billed | 1.00 | 1.10 | 0.10 | 9.090909",
            "dist | reseller | Storage | effective | 1.00 | 1.10 | 0.10 | 9.090909",
            // the credit of 2 lowers the reseller's cost and not its price: 15 - (12 - 2)
            "reseller | acme | Compute | billed | 10.00 | 15.00 | 5.00 | 33.333333",
            "reseller | acme | Storage | billed | 1.10 | 1.30 | 0.20 | 15.384615",
        ]
    );
}

#[tokio::test]
async fn a_callers_margins_leave_out_what_it_buys_itself() {
    // As the reseller's session shows them: nothing of depth 0, and no seller cost on its own purchase.
    let tiers: Vec<Tier> = month().into_iter().filter(|tier| tier.depth > 0).collect();
    let (_warehouse, session) = session(&tiers);
    register(&session, "reseller", &[]);
    view(&session, "public", "margins", false).await;
    let found = rows(
        &session,
        "select seller_node_id, buyer_node_id, basis, sum(margin) from margins group by 1, 2, 3 order by 1, 2",
    )
    .await;
    assert_eq!(found, ["acme | team | billed | 0.00", "reseller | acme | billed | 5.20"]);
}

#[tokio::test]
async fn reissued_focus_rows_have_the_callers_cost_only() {
    let (_warehouse, session) = session(&[]);
    register(&session, "acme", &[("charges", root_charges("9"))]);
    view(&session, "focus", "cost_and_usage_1_4", false).await;
    let sql = "select \"BilledCost\", \"EffectiveCost\", \"InvoiceIssuerName\", \"BillingAccountId\", \"BillingPeriodEnd\" from focus.cost_and_usage_1_4";
    assert_eq!(rows(&session, sql).await, ["9.00 | 9.00 | Reseller | acme | 2026-11-01T00:00:00Z"]);
}

#[tokio::test]
async fn unallocated_cost_is_in_one_view_and_everything_else_in_the_other() {
    let (_warehouse, session) = session(&[]);
    let direct = root_charges("9");
    let mut columns = direct.columns().to_vec();
    let fate = direct.schema().index_of("fate").expect("fate");
    columns[fate] = texts([Some("unallocated")].into_iter());
    let lost = RecordBatch::try_new(direct.schema(), columns).expect("a batch");
    let both = arrow::compute::concat_batches(&direct.schema(), [&direct, &lost]).expect("a batch");
    register(&session, "dist", &[("charges_monthly", both)]);
    view(&session, "public", "allocations", false).await;
    view(&session, "public", "unallocated", false).await;
    assert_eq!(rows(&session, "select fate, cost, usage_rows from allocations").await, ["direct | 9.00 | 4"]);
    assert_eq!(rows(&session, "select node_id, cost, usage_rows from unallocated").await, ["acme | 9.00 | 4"]);
}
