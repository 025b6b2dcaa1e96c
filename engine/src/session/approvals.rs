//! `submit`, `approve`, `reject`: how a rate card version becomes active.
//!
//! Which approvals a version needs is data (`ref.approval_rules` at its seller or above); where no
//! rule applies, submitting activates it. A version that becomes active ends the one without an end that held until it begins. Nobody approves what it submitted, and one person's
//! approval counts for one role.

use std::collections::{BTreeMap, BTreeSet};

use super::Session;
use crate::catalog::{Change, Commit, RefRow, RefTable, Value};
use crate::error::Error;
use crate::rating::{RefChange, is_own_method};
use crate::reference::{Rows, check};
use crate::security::SessionError;

const KIND: &str = "rate_card_version";

/// A version as the procedures see it.
struct Version {
    row_id: i64,
    values: Vec<Value>,
    card: String,
    number: i64,
    seller: String,
}

impl Version {
    fn status(&self) -> &str {
        self.values.get(STATUS).and_then(Value::as_text).unwrap_or_default()
    }

    fn object(&self) -> String {
        format!("{}/{}", self.card, self.number)
    }
}

/// Position of `status` in `ref.rate_card_versions`.
const STATUS: usize = 4;

impl Session {
    /// Submits a draft; gives what became of it.
    pub(super) fn submit(&self, kind: &str, object: &str, why: &str) -> Result<String, SessionError> {
        let version = self.version(kind, object)?;
        self.must_be(&version, "draft")?;
        let state = self.reference_state()?;
        no_ambiguous_rules(&state, &version)?;
        let needed = self.needed_roles(&state, &version);
        let status = if needed.is_empty() { "active" } else { "pending" };
        self.move_to(&version, status, "submit", why)?;
        Ok(if needed.is_empty() {
            format!("{object} is active")
        } else {
            format!("{object} waits for approval by {}", needed.into_iter().collect::<Vec<_>>().join(" and "))
        })
    }

    /// Approves a pending version; gives what is still missing.
    pub(super) fn approve(&self, kind: &str, object: &str, why: &str) -> Result<String, SessionError> {
        let version = self.version(kind, object)?;
        self.must_be(&version, "pending")?;
        let acts = self.acts_since_submit(&version)?;
        let own = &self.shared.principal;
        if acts.iter().any(|(_, login, _)| *login == own.login) {
            return Err(SessionError::denied("your own proposal, or one that you approved already")
                .hint("another person approves it"));
        }
        let state = self.reference_state()?;
        let mut missing = self.needed_roles(&state, &version);
        for (action, _, role) in &acts {
            if action == "approve" {
                missing.remove(role.as_str());
            }
        }
        if !missing.remove(own.role.name()) {
            return Err(SessionError::denied("this approval")
                .hint(format!("it waits for {}", missing.into_iter().collect::<Vec<_>>().join(" and "))));
        }
        let status = if missing.is_empty() { "active" } else { "pending" };
        self.move_to(&version, status, "approve", why)?;
        Ok(if missing.is_empty() {
            format!("{object} is active")
        } else {
            format!("{object} still waits for {}", missing.into_iter().collect::<Vec<_>>().join(" and "))
        })
    }

    /// Sends a pending version back to draft.
    pub(super) fn reject(&self, kind: &str, object: &str, why: &str) -> Result<(), SessionError> {
        let version = self.version(kind, object)?;
        self.must_be(&version, "pending")?;
        self.move_to(&version, "draft", "reject", why)
    }

    fn reference_state(&self) -> Result<BTreeMap<&'static str, Rows>, SessionError> {
        super::write::state_at(&self.shared, &crate::reference::Overlay::default())
    }

    /// The version of that name, if its seller is in the caller's subtree.
    fn version(&self, kind: &str, object: &str) -> Result<Version, SessionError> {
        if kind != KIND {
            return Err(SessionError::new("22023", format!("there is no procedure for \"{kind}\""))
                .hint("submit, approve and reject take 'rate_card_version' or 'adjustment'"));
        }
        let absent = || {
            SessionError::new("42704", format!("rate card version \"{object}\" does not exist"))
                .hint("write it as CARD/VERSION")
        };
        let (card, number) = object.rsplit_once('/').ok_or_else(absent)?;
        let number: i64 = number.parse().map_err(|_| absent())?;
        let state = self.reference_state()?;
        let text = |values: &[Value], at: usize| values.get(at).and_then(Value::as_text).map(str::to_owned);
        let seller = state
            .get("rate_cards")
            .and_then(|rows| rows.values().find(|row| text(row, 0).as_deref() == Some(card)))
            .and_then(|row| text(row, 1))
            .ok_or_else(absent)?;
        let moment = self.shared.moment();
        if !moment.tree.is_within_now(&seller, &moment.scope.node_id, &super::write::now()) {
            return Err(absent());
        }
        let (row_id, values) = state
            .get("rate_card_versions")
            .and_then(|rows| {
                rows.iter().find(|(_, row)| {
                    text(row, 0).as_deref() == Some(card) && row.get(1).and_then(Value::as_int) == Some(number)
                })
            })
            .ok_or_else(absent)?;
        Ok(Version { row_id: *row_id, values: values.clone(), card: card.to_owned(), number, seller })
    }

    fn must_be(&self, version: &Version, status: &str) -> Result<(), SessionError> {
        if version.status() == status {
            return Ok(());
        }
        Err(SessionError::new("55000", format!("{} is {}, not {status}", version.object(), version.status())))
    }

    /// Roles that must approve: of every rule at the seller or above it.
    fn needed_roles(&self, state: &BTreeMap<&'static str, Rows>, version: &Version) -> BTreeSet<String> {
        let moment = self.shared.moment();
        let text = |row: &[Value], at: usize| row.get(at).and_then(Value::as_text).unwrap_or_default().to_owned();
        let now = super::write::now();
        state
            .get("approval_rules")
            .into_iter()
            .flat_map(|rows| rows.values())
            .filter(|row| text(row, 1) == KIND && moment.tree.is_within_now(&version.seller, &text(row, 2), &now))
            .map(|row| text(row, 3))
            .collect()
    }

    /// `(action, login, role)` since the version was last submitted, that act included.
    fn acts_since_submit(&self, version: &Version) -> Result<Vec<(String, String, String)>, SessionError> {
        let rows = self.shared.core.catalog.read(|tx| {
            tx.rows(
                "select action, login, role from approval where kind = ?1 and object_id = ?2 order by snapshot_id desc",
                &[KIND.into(), version.object().into()],
            )
        })?;
        let mut acts = Vec::new();
        for row in rows {
            let act = (row.text(0)?.to_owned(), row.text(1)?.to_owned(), row.text(2)?.to_owned());
            let is_submit = act.0 == "submit";
            acts.push(act);
            if is_submit {
                break;
            }
        }
        Ok(acts)
    }

    fn move_to(&self, version: &Version, status: &str, action: &'static str, why: &str) -> Result<(), SessionError> {
        if why.trim().is_empty() {
            return Err(SessionError::new("22023", "a justification is needed"));
        }
        let own = &self.shared.principal;
        let change = Change::new(&own.login, action, format!("{}: {why}", version.object()));
        let done = self.shared.core.catalog.commit::<_, Error>(&change, |commit| {
            record(commit, version, action, &own.login, own.role.name(), why)?;
            if version.status() == status {
                return Ok(());
            }
            let table = RefTable::named("rate_card_versions")
                .ok_or(crate::catalog::CatalogError::Malformed { what: "table rate_card_versions" })?;
            let mut values = version.values.clone();
            if let Some(stored) = values.get_mut(STATUS) {
                *stored = status.into();
            }
            let mut changes = Vec::new();
            if status == "active" {
                changes.extend(end_predecessor(commit, table, &version.values)?);
            }
            commit.end_ref(table, version.row_id)?;
            commit.insert_ref(table, &values)?;
            check(&super::state_after(commit.tx, commit.snapshot)?, &self.shared.core.root)?;
            let row = |values| RefRow { row_id: version.row_id, values, begin_snapshot: commit.snapshot };
            let old = row(version.values.clone());
            changes.push(RefChange { table, old: Some(old), new: Some(row(values)) });
            super::write::mark_stale(commit, &changes)
        });
        done.map(drop).map_err(Error::shown)
    }
}

/// Ends the active version without an end that a version which becomes active takes the place of, where that begins.
fn end_predecessor(
    commit: &Commit<'_>,
    table: &'static RefTable,
    successor: &[Value],
) -> Result<Option<RefChange>, Error> {
    let place = |column: &str| table.position(column).unwrap_or_default();
    let (card, from, to) = (place("card_id"), place("valid_from"), place("valid_to"));
    let text = |values: &[Value], at: usize| values.get(at).and_then(Value::as_text).map(str::to_owned);
    let rows = table.rows_at(commit.tx, commit.snapshot)?;
    let held = rows.into_iter().find(|row| {
        let is_open = text(&row.values, to).is_none() && text(&row.values, STATUS).as_deref() == Some("active");
        is_open && row.values.get(card) == successor.get(card) && text(&row.values, from) < text(successor, from)
    });
    let Some(old) = held else { return Ok(None) };
    let mut new = old.clone();
    if let (Some(end), Some(begin)) = (new.values.get_mut(to), successor.get(from)) {
        *end = begin.clone();
    }
    commit.end_ref(table, old.row_id)?;
    commit.insert_ref(table, &new.values)?;
    Ok(Some(RefChange { table, old: Some(old), new: Some(new) }))
}

fn record(
    commit: &Commit<'_>,
    version: &Version,
    action: &str,
    login: &str,
    role: &str,
    why: &str,
) -> Result<(), Error> {
    let values = [
        KIND.into(),
        version.object().into(),
        action.into(),
        login.into(),
        role.into(),
        why.into(),
        commit.at.as_str().into(),
        commit.snapshot.into(),
        0_i64.into(),
    ];
    commit.tx.execute("insert into approval values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)", &values)?;
    Ok(())
}

/// Two rules of equal priority whose dimensions are the same and whose values can match one row
/// leave the price to chance: such a version is refused. Different values of one tag key never
/// match the same row; different tag keys always can.
fn no_ambiguous_rules(state: &BTreeMap<&'static str, Rows>, version: &Version) -> Result<(), SessionError> {
    const DIMENSIONS: [&str; 10] = [
        "priority",
        "provider_name",
        "service_category",
        "service_name",
        "sku_id",
        "region_id",
        "charge_category",
        "pricing_category",
        "resource_type",
        "marketplace",
    ];
    let Some(table) = RefTable::named("rate_rules") else { return Ok(()) };
    let own = state.get(table.name).into_iter().flat_map(|rows| rows.values()).filter(|row| {
        row.first().and_then(Value::as_text) == Some(&version.card)
            && row.get(1).and_then(Value::as_int) == Some(version.number)
            // What are charges of their own price no rows.
            && !table.position("method").and_then(|at| row.get(at)).and_then(Value::as_text).is_some_and(is_own_method)
    });
    // Rules that set the same dimensions to the same values, by their tag condition.
    let mut groups: BTreeMap<Vec<&Value>, Vec<(&Value, &Value, &str)>> = BTreeMap::new();
    for row in own {
        let value = |name: &str| table.position(name).and_then(|at| row.get(at)).unwrap_or(&Value::Null);
        let (key, tag_value) = (value("tag_key"), value("tag_value"));
        let mut dimensions: Vec<&Value> = DIMENSIONS.iter().map(|name| value(name)).collect();
        let set = |condition: &Value| if *condition == Value::Null { &Value::Null } else { &Value::Int(1) };
        dimensions.extend([set(key), set(tag_value)]);
        let rule = value("rule_id").as_text().unwrap_or_default();
        let group = groups.entry(dimensions).or_default();
        let other = group.iter().find(|(other_key, other_value, _)| *other_key != key || *other_value == tag_value);
        if let Some((_, _, other)) = other {
            return Err(SessionError::violates(format!(
                "rules \"{other}\" and \"{rule}\" of {} can match one row with equal priority",
                version.object()
            ))
            .hint("give one of them a higher priority, or make it more specific"));
        }
        group.push((key, tag_value, rule));
    }
    Ok(())
}
