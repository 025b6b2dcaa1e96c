//! What planned changes, holidays, budgets, thresholds and margin targets must satisfy.

use std::collections::BTreeSet;

use ratehouse_udfs::decimal::ONE;

use super::checks::{HUNDRED, QUANTITY_MAX, State, no_overlap, node_exists, records};
use super::credits::STATUSES;
use crate::security::{SessionError, Tree};

const CHANGE_TYPES: [&str; 3] = ["percent", "amount", "set"];
const RECURRENCES: [&str; 2] = ["weekly", "monthly"];
const PERIODS: [&str; 3] = ["month", "quarter", "year"];
const BASES: [&str; 2] = ["actual", "forecast"];
const ACTIONS: [&str; 3] = ["notify", "approve", "stop"];
/// What the view has where a threshold of spend_over_forecast names no other, in percent.
const WARNING: i128 = 110 * ONE;
const CRITICAL: i128 = 120 * ONE;
/// The rules, and which of warning_pct, critical_pct and min_impact each has.
const RULES: [(&str, [bool; 3]); 5] = [
    ("spend_over_forecast", [true, true, false]),
    ("anomalies", [true, false, true]),
    ("deployment_velocity", [true, false, false]),
    ("underutilised", [true, false, false]),
    ("licence_waste", [false, false, true]),
];

/// Checks `ref.planned_changes`, `ref.holidays`, `ref.budgets`, `ref.thresholds` and `ref.margin_targets`.
pub(super) fn check(state: &State, tree: &Tree) -> Result<(), SessionError> {
    planned_changes(state, tree)?;
    holidays(state)?;
    budgets(state, tree)?;
    thresholds(state, tree)?;
    margin_targets(state, tree)
}

fn planned_changes(state: &State, tree: &Tree) -> Result<(), SessionError> {
    let rows = records(state, "planned_changes");
    for row in &rows {
        row.id("plan_id")?;
        node_exists(tree, row, "owner_node_id")?;
        node_exists(tree, row, "node_id")?;
        row.one_of("change_type", &CHANGE_TYPES)?;
        if row.text("recurrence").is_some() {
            row.one_of("recurrence", &RECURRENCES)?;
            if row.text("valid_to").is_none() {
                return Err(row.refuse("what comes again must have an end: valid_to"));
            }
        }
        if row.need("change_type") == "percent" && row.number("value").is_some_and(|value| value < -HUNDRED) {
            return Err(row.refuse("nothing can cost more than 100 % less"));
        }
    }
    no_overlap(&rows, |row| vec![row.text("owner_node_id"), row.text("plan_id")])
}

fn holidays(state: &State) -> Result<(), SessionError> {
    for row in &records(state, "holidays") {
        row.country("country")?;
        if row.text("holiday_date").is_none_or(|instant| !instant.contains("T00:00:00.000000")) {
            return Err(row.refuse("holiday_date must be a day, such as 2026-05-01"));
        }
    }
    Ok(())
}

fn budgets(state: &State, tree: &Tree) -> Result<(), SessionError> {
    let (active, waiting): (Vec<_>, Vec<_>) =
        records(state, "budgets").into_iter().partition(|row| row.need("status") == "active");
    let mut names = BTreeSet::new();
    for row in &waiting {
        if !names.insert((row.need("owner_node_id"), row.need("budget_id"))) {
            return Err(row.refuse("another draft of this budget waits already: submit, change or delete that one"));
        }
    }
    for row in active.iter().chain(&waiting) {
        row.id("budget_id")?;
        node_exists(tree, row, "owner_node_id")?;
        node_exists(tree, row, "node_id")?;
        row.one_of("period", &PERIODS)?;
        row.one_of("basis", &BASES)?;
        row.one_of("action", &ACTIONS)?;
        row.one_of("status", &STATUSES)?;
        row.currency("currency")?;
        if row.number("amount").is_none_or(|amount| !(1..=QUANTITY_MAX).contains(&amount)) {
            return Err(row.refuse("amount must be above 0 and at most 1000000000000"));
        }
        if row.number("warning_pct").is_none_or(|part| !(0..=HUNDRED).contains(&part)) {
            return Err(row.refuse("warning_pct must be 0 to 100"));
        }
    }
    no_overlap(&waiting, |row| vec![row.text("owner_node_id"), row.text("budget_id")])?;
    no_overlap(&active, |row| vec![row.text("owner_node_id"), row.text("budget_id")])
}

fn thresholds(state: &State, tree: &Tree) -> Result<(), SessionError> {
    let rows = records(state, "thresholds");
    for row in &rows {
        row.id("threshold_id")?;
        node_exists(tree, row, "owner_node_id")?;
        node_exists(tree, row, "node_id")?;
        let rules = RULES.map(|(rule, _)| rule);
        row.one_of("rule", &rules)?;
        let columns = ["warning_pct", "critical_pct", "min_impact"];
        let [warning, critical, impact] = columns.map(|column| row.number(column));
        let known = RULES.iter().find(|(rule, _)| *rule == row.need("rule"));
        let (rule, has) = known.copied().unwrap_or_default();
        for ((column, has), value) in columns.into_iter().zip(has).zip([warning, critical, impact]) {
            if value.is_some() && !has {
                return Err(row.refuse(&format!("{rule} has no {column}")));
            }
        }
        if rule == "spend_over_forecast" {
            let (warning, critical) = (warning.unwrap_or(WARNING), critical.unwrap_or(CRITICAL));
            if warning < HUNDRED || critical < warning || critical > QUANTITY_MAX {
                return Err(row.refuse("warning_pct must be 100 or more, critical_pct no less"));
            }
        }
        if rule == "underutilised" && warning.is_some_and(|part| !(0..=HUNDRED).contains(&part)) {
            return Err(row.refuse("warning_pct must be 0 to 100: it is a part of what a resource could do"));
        }
        if rule == "anomalies" && warning.is_some_and(|part| !(0..=QUANTITY_MAX).contains(&part)) {
            return Err(row.refuse("warning_pct must be 0 or more: it is a part of what was expected"));
        }
        if rule == "deployment_velocity" && warning.is_some_and(|part| !(HUNDRED..=QUANTITY_MAX).contains(&part)) {
            return Err(row.refuse("warning_pct must be 100 or more: it is a part of what is usual"));
        }
        if impact.is_some_and(|impact| !(0..=QUANTITY_MAX).contains(&impact)) {
            return Err(row.refuse("min_impact must be 0 to 1000000000000"));
        }
    }
    no_overlap(&rows, |row| vec![row.text("owner_node_id"), row.text("rule"), row.text("node_id")])
}

fn margin_targets(state: &State, tree: &Tree) -> Result<(), SessionError> {
    let rows = records(state, "margin_targets");
    for row in &rows {
        node_exists(tree, row, "owner_node_id")?;
        node_exists(tree, row, "node_id")?;
        if row.number("target_pct").is_none_or(|target| !(-HUNDRED..HUNDRED).contains(&target)) {
            return Err(row.refuse("target_pct must be from -100 to less than 100: it is a part of the price"));
        }
    }
    no_overlap(&rows, |row| vec![row.text("owner_node_id"), row.text("node_id")])
}
