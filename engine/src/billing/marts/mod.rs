//! Tests of the views in `sql/marts`, `sql/focus` and `sql/ops`, over tables written by hand in a session that has nothing of ours
//! but two functions.
//!
//! A view's file begins with a header of comment lines: `object` (schema and name), `variant: root` where the root has a definition of
//! its own, `grain`, `owner`, `roles` (in whose sessions it is meant to exist; `security` decides), `comment`, and one
//! `column name: meaning` line a column, which becomes the column's comment. The rest is one `select`, planned with the caller's rights.

mod figures;
mod operations;
mod tables;

use std::collections::BTreeSet;

use tables::{register, session};

/// A view of the product.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mart {
    /// Its schema.
    schema: &'static str,
    /// Its name.
    name: &'static str,
    /// Whether this definition is for sessions of the root only.
    is_root_variant: bool,
    /// What one row is.
    grain: &'static str,
    /// The layer that owns it.
    owner: &'static str,
    /// In whose sessions it is meant to exist.
    roles: &'static str,
    /// What it shows.
    comment: &'static str,
    /// Columns and their meaning.
    columns: Vec<(&'static str, &'static str)>,
    /// The whole file, header included: one `select`.
    sql: &'static str,
}

const FILES: [&str; 19] = [
    include_str!("../../../../sql/marts/allocations.sql"),
    include_str!("../../../../sql/marts/margins.sql"),
    include_str!("../../../../sql/marts/margins.root.sql"),
    include_str!("../../../../sql/marts/unallocated.sql"),
    include_str!("../../../../sql/marts/by_engagement.sql"),
    include_str!("../../../../sql/marts/seat_counts.sql"),
    include_str!("../../../../sql/marts/tag_compliance.sql"),
    include_str!("../../../../sql/marts/credits_expiring.sql"),
    include_str!("../../../../sql/marts/credits_received_vs_passed.sql"),
    include_str!("../../../../sql/marts/commitment_benefits.sql"),
    include_str!("../../../../sql/marts/commitment_benefits.root.sql"),
    include_str!("../../../../sql/focus/cost_and_usage_1_2.sql"),
    include_str!("../../../../sql/focus/cost_and_usage_1_3.sql"),
    include_str!("../../../../sql/focus/cost_and_usage_1_4.sql"),
    include_str!("../../../../sql/focus/provider_cost_and_usage.sql"),
    include_str!("../../../../sql/ops/close_blockers.sql"),
    include_str!("../../../../sql/ops/invoice_reconciliation.sql"),
    include_str!("../../../../sql/ops/provider_credits.sql"),
    include_str!("../../../../sql/ops/reconciliation.sql"),
];

/// All of them, with root variants after what they stand in for.
fn marts() -> Vec<Mart> {
    FILES.into_iter().map(parse).collect()
}

/// Reads a file's header. What a header lacks stays empty; a test holds every file to be complete.
fn parse(sql: &'static str) -> Mart {
    let mut mart = Mart {
        schema: "",
        name: "",
        is_root_variant: false,
        grain: "",
        owner: "",
        roles: "",
        comment: "",
        columns: Vec::new(),
        sql,
    };
    for line in sql.lines().map_while(|line| line.strip_prefix("-- ")) {
        let Some((key, value)) = line.split_once(": ") else {
            continue;
        };
        match key {
            "object" => (mart.schema, mart.name) = value.split_once('.').unwrap_or_default(),
            "variant" => mart.is_root_variant = value == "root",
            "grain" => mart.grain = value,
            "owner" => mart.owner = value,
            "roles" => mart.roles = value,
            "comment" => mart.comment = value,
            _ => {
                if let Some(column) = key.strip_prefix("column ") {
                    mart.columns.push((column, value));
                }
            }
        }
    }
    mart
}

#[test]
fn every_header_is_complete() {
    for mart in marts() {
        let name = format!("{}.{}", mart.schema, mart.name);
        assert!(["public", "focus", "ops"].contains(&mart.schema), "{name}");
        for part in [mart.grain, mart.owner, mart.roles, mart.comment] {
            assert!(!part.is_empty(), "{name}");
        }
    }
}

#[tokio::test]
async fn every_view_plans_and_its_header_names_its_columns() {
    for mart in marts() {
        let (_warehouse, session) = session(&[]);
        register(&session, "dist", &[]);
        let name = format!("{}.{}", mart.schema, mart.name);
        let plan = session.context.sql(mart.sql).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        let planned: Vec<&str> = plan.schema().fields().iter().map(|f| f.name().as_str()).collect();
        let described: BTreeSet<&str> = mart.columns.iter().map(|column| column.0).collect();
        assert_eq!(described.len(), mart.columns.len(), "{name}: a column is described twice");
        assert_eq!(described, planned.into_iter().collect(), "{name}");
        plan.collect().await.unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}
