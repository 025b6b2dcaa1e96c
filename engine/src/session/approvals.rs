//! `submit`, `approve`, `reject`: how a rate card version, a credit or a budget becomes active.
//!
//! Which approvals an object needs is data (`ref.approval_rules` at its seller or above; for credits and budgets from an amount on); where no
//! rule applies, submitting activates it. A version or budget that becomes active ends the one without an end that held until it begins. Nobody
//! approves what it submitted, and one person's approval counts for one role.

use std::collections::{BTreeMap, BTreeSet};

use super::Session;
use super::adjustments::justified;
use crate::catalog::{CatalogError, Change, Commit, RefRow, RefTable, Value};
use crate::error::Error;
use crate::rating::{Precedence, RefChange, RefFacts, Silenced};
use crate::reference::{Rows, check, credits, may_write};
use crate::security::SessionError;

/// Rules that never price and are named one by one.
const WARNINGS_MAX: usize = 20;

/// What can be submitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Version,
    Credit,
    Budget,
}

impl Kind {
    fn named(name: &str) -> Result<Self, SessionError> {
        match name {
            "rate_card_version" => Ok(Self::Version),
            "credit" => Ok(Self::Credit),
            "budget" => Ok(Self::Budget),
            _ => Err(SessionError::new("22023", format!("there is no procedure for \"{name}\""))
                .hint("submit, approve and reject take 'rate_card_version', 'credit' and 'budget'")),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Version => "rate_card_version",
            Self::Credit => "credit",
            Self::Budget => "budget",
        }
    }

    fn table(self) -> Result<&'static RefTable, CatalogError> {
        let name = match self {
            Self::Version => "rate_card_versions",
            Self::Credit => "credits",
            Self::Budget => "budgets",
        };
        RefTable::named(name).ok_or(CatalogError::Malformed { what: "table of what is submitted" })
    }

    /// The same for what does not exist and for what the caller cannot see.
    fn absent(self, object: &str) -> SessionError {
        let (what, form) = match self {
            Self::Version => ("rate card version", "CARD/VERSION"),
            Self::Credit => ("credit", "its credit_id"),
            Self::Budget => ("budget", "OWNER/BUDGET"),
        };
        SessionError::new("42704", format!("{what} \"{object}\" does not exist")).hint(format!("write it as {form}"))
    }
}

/// What is said of the rules of a version that is submitted.
#[derive(Debug, Default)]
struct Rules {
    order: String,
    warnings: Vec<String>,
}

/// What is proposed as the procedures see it.
pub(super) struct Proposal {
    kind: Kind,
    table: &'static RefTable,
    row_id: i64,
    values: Vec<Value>,
    object: String,
    seller: String,
}

impl Proposal {
    fn place(&self, column: &str) -> usize {
        self.table.position(column).unwrap_or(usize::MAX)
    }

    pub(super) fn text(&self, column: &str) -> Option<&str> {
        self.values.get(self.place(column)).and_then(Value::as_text)
    }

    fn status(&self) -> &str {
        self.text("status").unwrap_or_default()
    }

    /// A credit's or budget's amount, scale 18.
    pub(super) fn amount(&self) -> Option<i128> {
        decimal(self.text("amount")?)
    }
}

fn decimal(text: &str) -> Option<i128> {
    ratehouse_udfs::decimal::parse_decimal(text).ok().map(|parsed| parsed.value)
}

impl Session {
    /// Submits a draft; gives what became of it.
    pub(super) async fn submit(&self, kind: &str, object: &str, why: &str) -> Result<String, SessionError> {
        let proposal = self.proposal(kind, object)?;
        must_be(&proposal, "draft")?;
        let rules = match proposal.kind {
            Kind::Version => self.rules_of(&proposal)?,
            Kind::Credit => {
                may_write(self.shared.principal.role, proposal.table)?;
                self.opens_from_its_charge(&proposal).await?;
                Rules::default()
            }
            Kind::Budget => {
                may_write(self.shared.principal.role, proposal.table)?;
                Rules::default()
            }
        };
        let state = self.reference_state()?;
        let needed = self.needed_roles(&state, &proposal);
        let status = if needed.is_empty() { "active" } else { "pending" };
        self.move_to(&proposal, status, "submit", why)?;
        if !rules.order.is_empty() {
            self.notice(format!("the first rule of {object} that matches prices: {}", rules.order));
        }
        for warning in rules.warnings {
            self.warn("01000", &warning);
        }
        Ok(if needed.is_empty() {
            format!("{object} is active")
        } else {
            format!("{object} waits for approval by {}", needed.into_iter().collect::<Vec<_>>().join(" and "))
        })
    }

    /// In which order a version's rules are asked, and which are never reached.
    ///
    /// # Errors
    /// `23514` for rules of equal priority that can match one row: they would leave its price to chance.
    fn rules_of(&self, version: &Proposal) -> Result<Rules, SessionError> {
        let facts = self.shared.core.catalog.read(|tx| {
            let head = crate::catalog::head(tx)?;
            Ok::<_, Error>(RefFacts::read(tx, head)?)
        });
        let facts = facts.map_err(Error::shown)?;
        let object = &version.object;
        let number = version.values.get(version.place("version")).and_then(Value::as_int).unwrap_or_default();
        let Some(precedence) = Precedence::of(&facts, version.text("card_id").unwrap_or_default(), number) else {
            return Ok(Rules::default());
        };
        if let Some((one, other)) = precedence.ambiguous() {
            let what = format!("rules \"{one}\" and \"{other}\" of {object} can match one row with equal priority");
            let hint = "give one of them a higher priority, or make it more specific";
            return Err(SessionError::violates(what).hint(hint));
        }
        let silenced = precedence.silenced();
        let say = |Silenced { rule_id, by }: &Silenced<'_>| {
            format!(
                "rule \"{rule_id}\" of {object} never prices: \"{by}\" has a higher priority and matches whatever it matches"
            )
        };
        let mut warnings: Vec<String> = silenced.iter().take(WARNINGS_MAX).map(say).collect();
        if let Some(more) = silenced.len().checked_sub(WARNINGS_MAX).filter(|more| *more > 0) {
            warnings.push(format!("{more} more rules of {object} never price"));
        }
        Ok(Rules { order: precedence.to_string(), warnings })
    }

    /// Approves what is pending; gives what is still missing.
    pub(super) fn approve(&self, kind: &str, object: &str, why: &str) -> Result<String, SessionError> {
        let proposal = self.proposal(kind, object)?;
        must_be(&proposal, "pending")?;
        let acts = self.acts_since_submit(&proposal)?;
        let own = &self.shared.principal;
        if acts.iter().any(|(_, login, _)| *login == own.login) {
            return Err(SessionError::denied("your own proposal, or one that you approved already")
                .hint("another person approves it"));
        }
        let state = self.reference_state()?;
        let mut missing = self.needed_roles(&state, &proposal);
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
        self.move_to(&proposal, status, "approve", why)?;
        Ok(if missing.is_empty() {
            format!("{object} is active")
        } else {
            format!("{object} still waits for {}", missing.into_iter().collect::<Vec<_>>().join(" and "))
        })
    }

    /// Sends what is pending back to draft.
    pub(super) fn reject(&self, kind: &str, object: &str, why: &str) -> Result<(), SessionError> {
        let proposal = self.proposal(kind, object)?;
        must_be(&proposal, "pending")?;
        self.move_to(&proposal, "draft", "reject", why)
    }

    fn reference_state(&self) -> Result<BTreeMap<&'static str, Rows>, SessionError> {
        super::write::state_at(&self.shared, &crate::reference::Overlay::default())
    }

    /// What has that name, if its seller is in the caller's subtree.
    fn proposal(&self, kind: &str, object: &str) -> Result<Proposal, SessionError> {
        let kind = Kind::named(kind)?;
        let absent = || kind.absent(object);
        let table = kind.table()?;
        let state = self.reference_state()?;
        let text = |values: &[Value], at: usize| values.get(at).and_then(Value::as_text).map(str::to_owned);
        let rows = || state.get(table.name).into_iter().flatten();
        let (row_id, values, seller) = match kind {
            Kind::Version => {
                let (card, number) = object.rsplit_once('/').ok_or_else(absent)?;
                let number: i64 = number.parse().map_err(|_| absent())?;
                let seller = state
                    .get("rate_cards")
                    .and_then(|rows| rows.values().find(|row| text(row, 0).as_deref() == Some(card)))
                    .and_then(|row| text(row, 1));
                let is_it = |row: &[Value]| {
                    text(row, 0).as_deref() == Some(card) && row.get(1).and_then(Value::as_int) == Some(number)
                };
                let (row_id, values) = rows().find(|(_, row)| is_it(row)).ok_or_else(absent)?;
                (*row_id, values.clone(), seller.ok_or_else(absent)?)
            }
            Kind::Credit => {
                let found = rows().find(|(_, row)| text(row, 0).as_deref() == Some(object));
                let (row_id, values) = found.ok_or_else(absent)?;
                (*row_id, values.clone(), text(values, 1).ok_or_else(absent)?)
            }
            Kind::Budget => {
                let (owner, budget) = object.split_once('/').ok_or_else(absent)?;
                let is_it =
                    |row: &[Value]| text(row, 0).as_deref() == Some(owner) && text(row, 1).as_deref() == Some(budget);
                let status = table.position("status").unwrap_or_default();
                let is_active = |row: &[Value]| text(row, status).as_deref() == Some("active");
                // At most one row of a budget is not active yet: that one is meant.
                let found = rows().filter(|(_, row)| is_it(row)).min_by_key(|(_, row)| is_active(row));
                let (row_id, values) = found.ok_or_else(absent)?;
                (*row_id, values.clone(), owner.to_owned())
            }
        };
        let moment = self.shared.moment();
        if !moment.tree.is_within_now(&seller, &moment.scope.node_id, &super::write::now()) {
            return Err(absent());
        }
        Ok(Proposal { kind, table, row_id, values, object: object.to_owned(), seller })
    }

    /// Roles that must approve: of every rule at the seller or above it.
    fn needed_roles(&self, state: &BTreeMap<&'static str, Rows>, proposal: &Proposal) -> BTreeSet<String> {
        let moment = self.shared.moment();
        let text = |row: &[Value], at: usize| row.get(at).and_then(Value::as_text).unwrap_or_default().to_owned();
        let now = super::write::now();
        let threshold = RefTable::named("approval_rules").and_then(|table| table.position("min_amount"));
        let reaches = |row: &[Value]| {
            let from = threshold.and_then(|at| row.get(at)).and_then(Value::as_text).and_then(decimal);
            proposal.kind == Kind::Version || from.is_none_or(|from| proposal.amount().is_none_or(|held| held >= from))
        };
        state
            .get("approval_rules")
            .into_iter()
            .flat_map(|rows| rows.values())
            .filter(|row| text(row, 1) == proposal.kind.name() && reaches(row))
            .filter(|row| moment.tree.is_within_now(&proposal.seller, &text(row, 2), &now))
            .map(|row| text(row, 3))
            .collect()
    }

    /// `(action, login, role)` since the object was last submitted, that act included.
    fn acts_since_submit(&self, proposal: &Proposal) -> Result<Vec<(String, String, String)>, SessionError> {
        let rows = self.shared.core.catalog.read(|tx| {
            tx.rows(
                "select action, login, role from approval where kind = ?1 and object_id = ?2 order by snapshot_id desc",
                &[proposal.kind.name().into(), proposal.object.as_str().into()],
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

    fn move_to(&self, proposal: &Proposal, status: &str, action: &'static str, why: &str) -> Result<(), SessionError> {
        justified(why)?;
        if proposal.kind == Kind::Credit && status != "draft" {
            credits::flows(&proposal.values, &self.shared.moment().tree)?;
        }
        let own = &self.shared.principal;
        let change = Change::new(&own.login, action, format!("{}: {why}", proposal.object));
        let done = self.shared.core.catalog.commit::<_, Error>(&change, |commit| {
            let object = (proposal.kind.name(), proposal.object.as_str());
            record(commit, object, action, (&own.login, own.role.name(), why))?;
            if proposal.status() == status {
                return Ok(());
            }
            let table = proposal.table;
            let mut values = proposal.values.clone();
            if let Some(stored) = values.get_mut(proposal.place("status")) {
                *stored = status.into();
            }
            let mut changes = Vec::new();
            if status == "active" {
                changes.extend(end_predecessor(commit, proposal)?);
            }
            commit.end_ref(table, proposal.row_id)?;
            commit.insert_ref(table, &values)?;
            check(&super::state_after(commit.tx, commit.snapshot)?, &self.shared.core.root)?;
            let row = |values| RefRow { row_id: proposal.row_id, values, begin_snapshot: commit.snapshot };
            let old = row(proposal.values.clone());
            changes.push(RefChange { table, old: Some(old), new: Some(row(values)) });
            super::write::mark_stale(commit, &changes)
        });
        done.map(drop).map_err(Error::shown)
    }
}

fn must_be(proposal: &Proposal, status: &str) -> Result<(), SessionError> {
    if proposal.status() == status {
        return Ok(());
    }
    Err(SessionError::new("55000", format!("{} is {}, not {status}", proposal.object, proposal.status())))
}

/// Ends the active row without an end that one which becomes active takes the place of, where that begins.
fn end_predecessor(commit: &Commit<'_>, proposal: &Proposal) -> Result<Option<RefChange>, Error> {
    let (table, successor) = (proposal.table, proposal.values.as_slice());
    let name: &[&str] = match proposal.kind {
        Kind::Version => &["card_id"],
        Kind::Budget => &["owner_node_id", "budget_id"],
        Kind::Credit => return Ok(None),
    };
    let place = |column: &str| table.position(column).unwrap_or_default();
    let (from, to) = (place("valid_from"), place("valid_to"));
    let is_of_it =
        |row: &RefRow| name.iter().all(|column| row.values.get(place(column)) == successor.get(place(column)));
    let text = |values: &[Value], at: usize| values.get(at).and_then(Value::as_text).map(str::to_owned);
    let rows = table.rows_at(commit.tx, commit.snapshot)?;
    let held = rows.into_iter().find(|row| {
        let is_open =
            text(&row.values, to).is_none() && text(&row.values, place("status")).as_deref() == Some("active");
        is_open && is_of_it(row) && text(&row.values, from) < text(successor, from)
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

/// Writes down who did what to an object and why.
pub(super) fn record(
    commit: &Commit<'_>,
    (kind, object): (&str, &str),
    action: &str,
    (login, role, why): (&str, &str, &str),
) -> Result<(), Error> {
    let values = [
        kind.into(),
        object.into(),
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
