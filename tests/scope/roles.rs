//! The matrix of roles, row by row: written down here from what each role is for, and compared with what sessions have.

use std::collections::BTreeSet;

use ratehouse::session::Session;

use crate::fixture::{Fixture, ask, rows};

const ROLES: [&str; 9] =
    ["admin", "finance", "sales_ops", "accounting", "engineering", "executive", "auditor", "billing_job", "portal"];

/// Which nodes have a relation: all, those that sell, the root.
const NODES: [(&str, &[&str]); 3] =
    [("dist", &["any", "seller", "root"]), ("north", &["any", "seller"]), ("acme", &["any"])];

/// Relation, nodes, and for each role, in order, `r` it reads, `w` it reads and writes, `-` it is not in its sessions.
const MATRIX: &str = "
    charges                       any     r r r - r - r r r
    charges_daily                 any     r r r - r r r r r
    charges_monthly               any     r r r - r r r r r
    charges_by_tier               any     r r r - - - r r -
    tiers_monthly                 any     r r r - - r r r -
    margins                       seller  r r r - - r r r -
    allocations                   any     r r r - r r r r r
    completeness                  any     r r r - r r r r r
    days_off                      any     r r r - r r r r r
    subtrees                      any     r r r - r r r r r
    effective_thresholds          any     r r r - r r r r r
    forecasts                     any     r r r - r r r r r
    anomalies                     any     r r r - r r r r r
    forecast_accuracy             any     r r r - r r r r r
    spend_over_forecast           any     r r r - r r r r r
    budget_status                 any     r r r - r r r r r
    client_profit                 seller  r r r - - r r r -
    metrics                       any     r r - - r - r - -
    unit_economics                any     r r - - r - r - -
    deployment_velocity           any     r r r - r - r r r
    anomaly_drivers               any     r r r - r - r r r
    underutilised                 any     r r - - r - r - -
    licence_waste                 any     r r - - r - r - -
    unused_commitments            any     r r - - - - r - -
    waste_candidates              any     r r - - - - r - -
    executive                     any     r r r - - r r r -
    finance                       seller  r r - - - - r r -
    engineering                   any     r r - - r - r - -
    unallocated                   any     r r r - r - r r r
    by_engagement                 seller  r r r - - - r - -
    seat_counts                   any     r r r - - - r - -
    tag_compliance                any     r r - - r - r - -
    credits_ledger                any     r r - r - - r r r
    credits_expiring              any     r r - r - - r r r
    credits_received_vs_passed    seller  r r - - - - r r -
    commitment_benefits           any     r r r - - - r - -
    commitment_status             root    r r - - - - r r -
    invoices                      any     r r - r - - r r r
    invoice_lines                 any     r r - r - - r r r
    proposed_adjustments          seller  r r - - - - r r -
    adjustments                   seller  r r - - - - r r -
    usage                         root    r r - - - - r r -
    focus.cost_and_usage_1_2      any     r r r - r - r r r
    focus.cost_and_usage_1_3      any     r r r - r - r r r
    focus.cost_and_usage_1_4      any     r r r - r - r r r
    focus.provider_cost_and_usage root    r r - - - - r r -
    ops.deliveries                root    r r - - - - r r -
    ops.slices                    root    r r - - - - r r -
    ops.rejected_rows             root    r r - - - - r r -
    ops.quality                   root    r r - - - - r r -
    ops.files                     root    r r - - - - r r -
    ops.provider_billing_periods  root    r r - - - - r r -
    ops.provider_invoices         root    r r - - - - r r -
    ops.contract_commitments      root    r r - - - - r r -
    ops.kubernetes_allocations    root    r r - - - - r r -
    ops.metrics                   any     r r - - r - r - -
    ops.invoice_reconciliation    root    r r - - - - r r -
    ops.provider_credits          root    r r - - - - r r -
    ops.edges_monthly             root    r r r - - r r r -
    ops.close_blockers            root    r r - - - - r r -
    ops.reconciliation            root    r r - - - - r r -
    ops.restatements              root    r r - - - - r r -
    ops.scorecard                 root    r r - - - - r - -
    ops.alerts                    any     r r r - r - r r r
    ops.alert_deliveries          root    r r - - - - r r -
    ops.approvals                 any     r r r - - - r - -
    ops.snapshots                 root    r - - - - - r - -
    ops.changes                   root    r - - - - - r - -
    ops.collection_runs           root    r r - - - - r r -
    ops.freshness                 root    r r - - - - r r -
    ref.nodes                     any     w r r r r r r r r
    ref.accounts                  any     w r r - r - r r -
    ref.attribution_rules         any     w r - - r - r - -
    ref.pools                     any     w w - - r - r - -
    ref.pool_shares               any     w w - - r - r - -
    ref.drivers                   any     w r - - w - r - -
    ref.driver_rules              any     w r - - w - r - -
    ref.tag_policies              any     w r - - w - r - -
    ref.virtual_tags              any     w r - - w - r - -
    ref.planned_changes           any     w w r - w r r r r
    ref.holidays                  any     w w r r r r r r r
    ref.budgets                   any     w w r - r r r r r
    ref.thresholds                any     w w r - w r r r r
    ref.margin_targets            any     w w r - - r r r -
    ref.rate_cards                any     w w w - - - r - -
    ref.rate_card_versions        any     w w w - - - r - -
    ref.rate_rules                any     w w w - - - r - -
    ref.charge_policies           any     w w r - - - r - -
    ref.commitment_policies       root    w w r - - - r - -
    ref.licences                  any     w w r - - - r - -
    ref.time_entries              any     w w r - - - r - -
    ref.quotes                    any     w w w - - - r - -
    ref.contracts                 any     w w r - - - r - -
    ref.credits                   any     w w r - - - r r -
    ref.credit_policies           any     w w r - - - r r -
    ref.fx_rates                  any     w w r - - r r r -
    ref.approval_rules            any     w r r - - - r - -
    ref.adjustment_policies       any     w w - - - - r r -
    ref.alert_targets             root    w - - - - - - - -
    ref.sources                   root    w - - - - - - - -
    ref.users                     any     r - - - - - r - -
";

/// A statement that does nothing, even for who may do it; nodes; and for each role whether it may.
const ACTIONS: &str = "
    call land('/nowhere/at/all')                                 | root | x - - - - - - - -
    call close_period('1999')                                    | root | x x - - - - - x -
    call issue_invoices('1999')                                  | root | x x - - - - - x -
    call refresh('none')                                         | root | x x - - - - - x -
    call apply_credits('1999')                                   | root | x x - - - - - x -
    call submit('rate_card_version', 'none/1', 'why')            | any  | x x x - - - - - -
    call submit('credit', 'none', 'why')                         | any  | x x x - - - - - -
    call submit('budget', 'none/none', 'why')                    | any  | x x x - - - - - -
    call acknowledge('none/1', 'why')                            | any  | x x - - x - - - -
    call expect('none/1', 'why')                                 | any  | x x - - x - - - -
    call approve('credit', 'none', 'why')                        | any  | x x x - - x - - -
    call approve('rate_card_version', 'none/1', 'why')           | any  | x x x - - x - - -
    call reject('rate_card_version', 'none/1', 'why')            | any  | x x x - - x - - -
    call submit('adjustment', 'none/none/2025-10', 'why')        | any  | x x - - - - - - -
    call approve('adjustment', 'none/none/2025-10', 'why')       | any  | x x x - - x - - -
    call reject('adjustment', 'none/none/2025-10', 'why')        | any  | x x x - - x - - -
    call credit_note('none/none/0001/1', 1, 'why')               | any  | x x - - - - - - -
    create user \"new@{node}\" password 'short' node '{node}' role portal | any  | x - - - - - - - -
    set ratehouse.snapshot = 'default'                           | root | x x - - - - x - -
    explain analyze select 1                                     | root | x - - - - - - - -
    select verify_audit()                                        | root | x - - - - - x - -
";

async fn sessions(fixture: &Fixture) -> Vec<(&'static str, &'static [&'static str], [Session; 9])> {
    let mut all = Vec::new();
    for (node, reaches) in NODES {
        for role in ROLES {
            fixture.user(&format!("{role}.{node}@{node}"), node, role).await;
        }
        all.push((node, reaches, ROLES.map(|role| fixture.session(&format!("{role}.{node}@{node}")))));
    }
    all
}

#[tokio::test]
async fn each_role_has_the_relations_of_its_row_and_no_others() {
    let fixture = Fixture::chain_with_usage().await;
    for (node, reaches, sessions) in sessions(&fixture).await {
        for (at, session) in sessions.iter().enumerate() {
            let mut expected = BTreeSet::new();
            for line in MATRIX.lines().map(str::trim).filter(|line| !line.is_empty()) {
                let words: Vec<&str> = line.split_whitespace().collect();
                let [relation, reach, roles @ ..] = words.as_slice() else { panic!("{line}") };
                assert_eq!(roles.len(), ROLES.len(), "{line}");
                let cell = if reaches.contains(reach) { roles[at] } else { "-" };
                let what = format!("{} at {node}: {relation}", ROLES[at]);
                let read = ask(session, &format!("select * from {relation} limit 0")).await;
                assert_eq!(read.err().map(|error| error.sqlstate), (cell == "-").then_some("42P01"), "{what}");
                let written = ask(session, &format!("delete from {relation} where false")).await;
                let refused = match cell {
                    "w" => None,
                    "r" => Some("42501"),
                    _ => Some("42P01"),
                };
                assert_eq!(written.err().map(|error| error.sqlstate), refused, "{what}, written");
                if cell != "-" {
                    let qualified =
                        if relation.contains('.') { (*relation).to_owned() } else { format!("public.{relation}") };
                    for (privilege, has) in [("select", true), ("insert", cell == "w"), ("update", cell == "w")] {
                        let asked = format!("select has_table_privilege('{qualified}', '{privilege}')");
                        assert_eq!(rows(session, &asked).await, [has.to_string()], "{what}, {privilege}");
                    }
                    expected.insert(qualified);
                }
            }
            let listed = "select table_schema || '.' || table_name from information_schema.tables \
                          where table_schema not in ('pg_catalog', 'information_schema')";
            let listed: BTreeSet<String> = rows(session, listed).await.into_iter().collect();
            assert_eq!(listed, expected, "{} at {node}", ROLES[at]);
        }
    }
}

#[tokio::test]
async fn each_role_does_what_its_row_says_and_nothing_else() {
    let fixture = Fixture::chain_with_usage().await;
    for (node, reaches, sessions) in sessions(&fixture).await {
        for line in ACTIONS.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let parts: Vec<&str> = line.split('|').map(str::trim).collect();
            let [statement, reach, roles] = parts.as_slice() else { panic!("{line}") };
            let roles: Vec<&str> = roles.split_whitespace().collect();
            for (at, session) in sessions.iter().enumerate() {
                let may = reaches.contains(reach) && roles[at] == "x";
                let done = ask(session, &statement.replace("{node}", node)).await;
                let is_denied = done.err().is_some_and(|error| error.sqlstate == "42501");
                assert_eq!(is_denied, !may, "{} at {node}: {statement}", ROLES[at]);
            }
        }
    }
}

/// Margins: whoever sells sees them, unless its role never does; whoever buys only has none.
#[tokio::test]
async fn a_role_has_the_money_that_it_is_for() {
    let fixture = Fixture::chain_with_usage().await;
    let with_margins = ["admin", "finance", "sales_ops", "auditor", "billing_job"];
    for (node, _, sessions) in sessions(&fixture).await {
        for (at, session) in sessions.iter().enumerate() {
            let Ok(charges) = ask(session, "select * from charges limit 0").await else { continue };
            let has = |name: &str| charges.columns.iter().any(|column| column == name);
            let sells = node != "acme" && with_margins.contains(&ROLES[at]);
            assert!(has("cost"), "{} at {node}", ROLES[at]);
            assert_eq!([has("price"), has("margin")], [sells; 2], "{} at {node}", ROLES[at]);
        }
    }
}
