//! Who may write which reference row (domain: "accounts are granted downward").
//!
//! The root's admin writes everything. Below it a writer reaches only its own subtree: it cannot
//! move itself, take accounts that it does not hold, touch what a role or an approval decides,
//! or learn from an error what exists elsewhere: keys that it makes end in `.its-node`.

use crate::catalog::{RefTable, Value};
use crate::security::policy::{Role, relation};
use crate::security::{Principal, SessionError, Tree};

use super::checks::State;
use super::credits;
use super::overlay::RefOp;

/// What one principal may write, given the tree before its statement.
#[derive(Debug)]
pub struct Authority<'a> {
    /// Who writes.
    pub principal: &'a Principal,
    /// The tree before the statement.
    pub tree: &'a Tree,
    /// All reference rows before the statement.
    pub before: &'a State,
    /// All reference rows before the block that the statement is in: what a node held then is its
    /// to divide by several statements of the block.
    pub committed: &'a State,
    /// Whether the principal's node is the root.
    pub is_root: bool,
    /// The instant of the statement, RFC 3339 UTC text: who stands above a node now decides about it.
    pub now: String,
}

/// Columns that no `INSERT`, `UPDATE` or `DELETE` writes: procedures and statements of their own do.
const PROTECTED: [(&str, &str, &str); 3] =
    [("rate_card_versions", "status", "draft"), ("credits", "status", "draft"), ("budgets", "status", "draft")];

/// Whether the role may write the table at all.
///
/// # Errors
/// `42501`, the same for a table that the role cannot see.
pub fn may_write(role: Role, table: &RefTable) -> Result<(), SessionError> {
    match relation("ref", table.name) {
        Some(relation) if relation.write.has(role) => Ok(()),
        Some(relation) if relation.read.has(role) => {
            let denied = SessionError::denied(&format!("table {}", table.name));
            Err(if table.name == "users" {
                denied.hint("logins are made and changed with create user, alter user and drop user")
            } else {
                denied
            })
        }
        Some(_) | None => Err(SessionError::no_relation(&format!("ref.{}", table.name))),
    }
}

impl Authority<'_> {
    /// Checks one change of a row.
    ///
    /// # Errors
    /// `42501` says what the caller cannot reach.
    pub fn may_change(&self, op: &RefOp) -> Result<(), SessionError> {
        self.protected(op)?;
        if let Some((_, values)) = &op.ends {
            self.within(op.table, values)?;
        }
        if let Some((_, values)) = &op.begins {
            self.within(op.table, values)?;
            match &op.ends {
                None => self.own_key(op.table, values)?,
                Some((_, old)) => self.same_key(op.table, old, values)?,
            }
        }
        match &op.begins {
            Some((_, values)) if op.table.name == "credits" && !brings_end_forward(op) => {
                credits::flows(values, self.tree)?;
            }
            Some(_) | None => {}
        }
        self.version_is_draft(op)
    }

    fn protected(&self, op: &RefOp) -> Result<(), SessionError> {
        for (table, column, initial) in PROTECTED {
            if op.table.name != table || brings_end_forward(op) {
                continue;
            }
            let Some(at) = op.table.position(column) else { continue };
            let old = op.ends.as_ref().and_then(|(_, values)| values.get(at)?.as_text());
            let new = op.begins.as_ref().and_then(|(_, values)| values.get(at)?.as_text());
            let unchanged = match (old, new) {
                (Some(old), Some(new)) => old == new && old == initial,
                (None, Some(new)) => new == initial,
                (Some(old), None) => old == initial,
                (None, None) => true,
            };
            if !unchanged {
                return Err(SessionError::denied(&format!("column {column} of {table}"))
                    .hint("a row is changed while it is a draft; its status moves by call submit, approve or reject"));
            }
        }
        Ok(())
    }

    /// The rules of a version are fixed once it was submitted: a past price must stay provable.
    fn version_is_draft(&self, op: &RefOp) -> Result<(), SessionError> {
        if op.table.name != "rate_rules" {
            return Ok(());
        }
        for values in [&op.ends, &op.begins].into_iter().flatten().map(|(_, values)| values) {
            let status = self.status_of(values.first(), values.get(1));
            if status.is_some_and(|status| status != "draft") {
                return Err(SessionError::new("55000", "the version was submitted: its rules are fixed")
                    .hint("make a new version, with this one as its base, and submit that"));
            }
        }
        Ok(())
    }

    fn status_of(&self, card: Option<&Value>, version: Option<&Value>) -> Option<&str> {
        let table = RefTable::named("rate_card_versions")?;
        let at = table.position("status")?;
        self.before
            .get(table.name)?
            .values()
            .find(|row| row.first() == card && row.get(1) == version)?
            .get(at)?
            .as_text()
    }

    fn within(&self, table: &RefTable, values: &[Value]) -> Result<(), SessionError> {
        if self.is_root {
            return Ok(());
        }
        let text = |column: &str| table.position(column).and_then(|at| values.get(at)).and_then(Value::as_text);
        let own = &self.principal.node_id;
        let reaches = |node: Option<&str>| node.is_some_and(|node| self.tree.is_within_now(node, own, &self.now));
        // A node elsewhere reads the same as one that does not exist.
        let reaches_any = |node: Option<&str>| node.is_none() || reaches(node);
        let allowed = match table.name {
            // A new node hangs below the caller's; its own row is its parent's to write.
            "nodes" => text("node_id") != Some(own.as_str()) && reaches(text("parent_id")),
            "accounts" => reaches(text("node_id")) && self.holds(table, values),
            "attribution_rules" => reaches(text("owner_node_id")) && reaches_any(text("node_id")),
            "pools" => reaches(text("owner_node_id")) && reaches_any(text("fallback_node_id")),
            "pool_shares" | "drivers" | "driver_rules" => reaches(text("owner_node_id")) && reaches(text("node_id")),
            "tag_policies" | "virtual_tags" => reaches(text("owner_node_id")),
            "planned_changes" | "budgets" | "thresholds" | "margin_targets" => {
                reaches(text("owner_node_id")) && reaches_any(text("node_id"))
            }
            "rate_cards" => reaches(text("seller_node_id")) && reaches_any(text("buyer_node_id")),
            "approval_rules" => reaches(text("seller_node_id")),
            "adjustment_policies" => reaches(text("seller_node_id")) && reaches_any(text("buyer_node_id")),
            "licences" | "time_entries" | "quotes" => reaches(text("seller_node_id")) && reaches(text("node_id")),
            "contracts" => reaches(text("seller_node_id")) && reaches(text("buyer_node_id")),
            "credits" => reaches(text("seller_node_id")) && reaches(text("node_id")),
            "credit_policies" => reaches(text("node_id")),
            "rate_card_versions" | "rate_rules" => reaches(self.seller_of(text("card_id"))),
            "charge_policies" => reaches(text("node_id")) && reaches_any(text("buyer_node_id")),
            // Exchange rates, holidays and logins are not written here by anyone below the root.
            _ => false,
        };
        if allowed {
            return Ok(());
        }
        let what = match table.name {
            "rate_card_versions" | "rate_rules" => "the card does not exist".to_owned(),
            "fx_rates" => "exchange rates are kept by the root".to_owned(),
            "holidays" => "holidays are kept by the root".to_owned(),
            _ => format!("the row of ref.{} is outside your subtree or not yours to write", table.name),
        };
        Err(SessionError::new("42501", what))
    }

    /// A node re-assigns only accounts and instants that it holds.
    fn holds(&self, table: &RefTable, values: &[Value]) -> bool {
        let at = |column: &str| table.position(column);
        let (Some(node), Some(from), Some(to)) = (at("node_id"), at("valid_from"), at("valid_to")) else {
            return false;
        };
        let same_account = |row: &&Vec<Value>| {
            row.first() == values.first() && row.get(1) == values.get(1) && row.get(2) == values.get(2)
        };
        let start = values.get(from).and_then(Value::as_text).unwrap_or_default();
        let end = values.get(to).and_then(Value::as_text);
        let mut held: Vec<(String, Option<String>)> = self
            .committed
            .get(table.name)
            .into_iter()
            .flat_map(|rows| rows.values())
            .filter(same_account)
            .flat_map(|row| {
                let text = |at: usize| row.get(at).and_then(Value::as_text);
                let span = (text(from).unwrap_or_default(), text(to));
                self.tree.times_within(text(node).unwrap_or_default(), &self.principal.node_id, span)
            })
            .collect();
        held.sort_unstable();
        let mut reached = start.to_owned();
        for (begins, ends) in held {
            if begins > reached {
                return false;
            }
            match ends {
                None => return true,
                Some(ends) if ends > reached => reached = ends,
                Some(_) => {}
            }
            if end.is_some_and(|end| end <= reached.as_str()) {
                return true;
            }
        }
        false
    }

    fn seller_of(&self, card: Option<&str>) -> Option<&str> {
        let table = RefTable::named("rate_cards")?;
        let (id, seller) = (table.position("card_id")?, table.position("seller_node_id")?);
        self.before
            .get(table.name)?
            .values()
            .find(|row| row.get(id).and_then(Value::as_text) == card)?
            .get(seller)?
            .as_text()
    }

    /// Keys made below the root carry their maker's node, so that no error tells what others have.
    fn own_key(&self, table: &RefTable, values: &[Value]) -> Result<(), SessionError> {
        if self.is_root {
            return Ok(());
        }
        let Some(column) = named_by(table) else { return Ok(()) };
        let suffix = format!(".{}", self.principal.node_id);
        let key = table.position(column).and_then(|at| values.get(at)).and_then(Value::as_text).unwrap_or_default();
        if key.ends_with(&suffix) {
            return Ok(());
        }
        Err(SessionError::violates(format!("{column} must end in \"{suffix}\""))
            .hint("names that you make carry your node, so that they are nobody else's"))
    }

    /// A row keeps its name: under another one it could stand for what is somebody else's, and an error would tell whether there is
    /// such a thing.
    fn same_key(&self, table: &RefTable, old: &[Value], new: &[Value]) -> Result<(), SessionError> {
        let Some(column) = named_by(table).filter(|_| !self.is_root) else { return Ok(()) };
        let at = table.position(column);
        if at.and_then(|at| old.get(at)) == at.and_then(|at| new.get(at)) {
            return Ok(());
        }
        Err(SessionError::denied(&format!("column {column} of {}", table.name))
            .hint("names do not change: insert a row with the new name and delete this one"))
    }

    /// Checks that the caller may make or change that login.
    ///
    /// # Errors
    /// `42501` or `23514`.
    pub fn may_keep_user(&self, login: &str, node_id: &str, role: Role) -> Result<(), SessionError> {
        if !self.tree.is_within_now(node_id, &self.principal.node_id, &self.now) {
            return Err(SessionError::new("42704", format!("node \"{node_id}\" does not exist")));
        }
        let suffix = format!("@{}", self.principal.node_id);
        if !self.is_root && !login.ends_with(&suffix) {
            return Err(SessionError::violates(format!("a login that you make must end in \"{suffix}\"")));
        }
        if login == self.principal.login {
            return Err(SessionError::denied("your own login").hint("another admin changes it"));
        }
        // What an admin may give is what it may do itself: nobody becomes more than its maker.
        let _ = role;
        Ok(())
    }
}

/// Whether the change only lets an active credit expire sooner, or a budget that only notifies end sooner: nobody gets more than was
/// agreed.
fn brings_end_forward(op: &RefOp) -> bool {
    let (Some((_, old)), Some((_, new))) = (&op.ends, &op.begins) else { return false };
    let text = |column: &str| op.table.position(column).and_then(|at| old.get(at)).and_then(Value::as_text);
    let end = match op.table.name {
        "credits" => "expires_at",
        "budgets" if text("action") == Some("notify") => "valid_to",
        _ => return false,
    };
    let (Some(end), Some(status)) = (op.table.position(end), op.table.position("status")) else {
        return false;
    };
    let is_same = old.iter().zip(new).enumerate().all(|(at, (was, is))| at == end || was == is);
    let (was, is) = (old.get(end).and_then(Value::as_text), new.get(end).and_then(Value::as_text));
    let is_sooner = is.is_some_and(|is| was.is_none_or(|was| is < was));
    is_same && is_sooner && old.get(status).and_then(Value::as_text) == Some("active")
}

/// The column that names a row of the table, where names are unique in the whole warehouse.
fn named_by(table: &RefTable) -> Option<&'static str> {
    match table.name {
        "nodes" => Some("node_id"),
        "rate_cards" => Some("card_id"),
        "approval_rules" => Some("rule_id"),
        "credits" => Some("credit_id"),
        "adjustment_policies" => Some("policy_id"),
        _ => None,
    }
}
