//! `acknowledge` and `expect`: what people answer to alerts.
//!
//! Who says that an anomaly is expected plans it, backwards: a row of `ref.planned_changes` says what it cost more or less, and
//! forecasts and anomalies expect it from then on. The like of a spike or drop, on that day of a month, is then no anomaly either.

use chrono::{Days, NaiveDate};

use super::Session;
use super::adjustments::justified;
use crate::catalog::{AlertRow, Change, Commit, RefTable, Value};
use crate::error::Error;
use crate::reference::check;
use crate::security::SessionError;

/// What goes on after the days on which it was noticed.
const LASTING: [&str; 3] = ["level_shift", "growth", "new_service"];

impl Session {
    /// Notes that somebody looks after an alert.
    pub(super) fn acknowledge(&self, object: &str, why: &str) -> Result<(), SessionError> {
        let alert = self.alert(object, why)?;
        self.answer(&alert, "acknowledge", why, |_| Ok(()))
    }

    /// Notes that what an alert of an anomaly tells was to be expected, and expects it from now on.
    pub(super) fn expect(&self, object: &str, why: &str) -> Result<(), SessionError> {
        let alert = self.alert(object, why)?;
        if alert.rule != "anomalies" {
            return Err(SessionError::new(
                "55000",
                format!("{object} is of {}: there is nothing to learn", alert.rule),
            )
            .hint("only anomalies can be expected; call acknowledge says that somebody looks after it"));
        }
        let table = RefTable::named("planned_changes").ok_or_else(|| absent(object))?;
        let plan = plan(table, &alert, why).ok_or_else(|| absent(object))?;
        self.answer(&alert, "expect", why, |commit| {
            let known = table.rows_at(commit.tx, commit.snapshot)?;
            // Said twice, the newer word counts.
            for row in known.iter().filter(|row| row.values[..2] == plan[..2]) {
                commit.end_ref(table, row.row_id)?;
            }
            commit.insert_ref(table, &plan)?;
            Ok(check(&super::state_after(commit.tx, commit.snapshot)?, &self.shared.core.root)?)
        })
    }

    /// The alert of that name, if its owner is in the caller's subtree.
    fn alert(&self, object: &str, why: &str) -> Result<AlertRow, SessionError> {
        justified(why)?;
        let found = self.shared.core.catalog.read(|tx| AlertRow::named(tx, object))?;
        let moment = self.shared.moment();
        let own = moment.scope.node_id.as_str();
        let is_seen = |alert: &AlertRow| {
            let owner = alert.owner_node_id.as_str();
            owner == own || moment.tree.is_within_now(owner, own, &super::write::now()) && moment.tree.discloses(owner)
        };
        found.filter(is_seen).ok_or_else(|| absent(object))
    }

    fn answer(
        &self,
        alert: &AlertRow,
        action: &'static str,
        why: &str,
        then: impl FnOnce(&Commit<'_>) -> Result<(), Error>,
    ) -> Result<(), SessionError> {
        let own = &self.shared.principal;
        let object = alert.object();
        let change = Change::new(&own.login, action, format!("{object}: {why}"));
        let done = self.shared.core.catalog.commit::<_, Error>(&change, |commit| {
            super::approvals::record(commit, ("alert", &object), action, (&own.login, own.role.name(), why))?;
            then(commit)
        });
        done.map(drop).map_err(Error::shown)
    }
}

/// The same for what does not exist and for what the caller cannot see.
fn absent(object: &str) -> SessionError {
    SessionError::new("42704", format!("alert \"{object}\" does not exist")).hint("ops.alerts has what there is")
}

/// The planned change that would have expected an anomaly: what a day of it cost more or less.
fn plan(table: &RefTable, alert: &AlertRow, why: &str) -> Option<Vec<Value>> {
    let facts: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&alert.facts).ok()?;
    let text = |name: &str| facts.get(name).and_then(serde_json::Value::as_str);
    let day = |name: &str| text(name)?.parse::<NaiveDate>().ok();
    let (start, end) = (day("anomaly_start")?, day("anomaly_end")?);
    let days = i128::from((end - start).num_days() + 1);
    let impact = ratehouse_udfs::decimal::parse_decimal(text("impact")?).ok()?.value;
    let instant = |day: NaiveDate| format!("{day}T00:00:00.000000Z");
    let until = (!LASTING.contains(&text("kind")?)).then(|| end.checked_add_days(Days::new(1))).flatten();
    let value = |column: &str| match column {
        "owner_node_id" => alert.owner_node_id.as_str().into(),
        "plan_id" => format!("alert-{}", alert.alert_no).into(),
        "change_type" => "amount".into(),
        "value" => ratehouse_udfs::decimal::format_trimmed(impact / days, 18, 0).into(),
        "note" => why.into(),
        "recurrence" => until.map(|_| "monthly".to_owned()).into(),
        "valid_from" => instant(start).into(),
        "valid_to" => until.map(instant).into(),
        other => text(other).map(str::to_owned).into(),
    };
    Some(table.columns.iter().map(|column| value(column.name)).collect())
}
