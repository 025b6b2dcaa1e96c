//! Who must approve an adjustment, and approving and rejecting it.
//!
//! Rules of kind `adjustment` at the seller or above say which roles, from which amount on. A seller without any needs one of finance:
//! nothing goes out that one person alone decided on, unless rules say so. Nobody approves what it submitted, and one person's approval
//! counts for one role.

use std::collections::BTreeSet;

use chrono::DateTime;

use super::billed::amount;
use super::stored::{self, Adjustment, Kind, State};
use super::{ADJUSTMENT, Progress, credit, proposal, settle};
use crate::billing::draft::Draft;
use crate::billing::error::BillingError;
use crate::billing::nodes;
use crate::billing::query::Query;
use crate::catalog::{Catalog, CatalogError, Change, Commit, RefTable, SnapshotId, Value};
use crate::period::BillingPeriod;
use crate::security::policy::ADJUSTMENT_APPROVER;

/// Who decides.
#[derive(Debug, Clone, Copy)]
pub struct Approver<'a> {
    /// The login.
    pub login: &'a str,
    /// Its role.
    pub role: &'a str,
}

/// The roles that must approve an adjustment.
pub(super) fn needed_roles(commit: &Commit<'_>, adjustment: &Adjustment) -> Result<BTreeSet<String>, BillingError> {
    let malformed = CatalogError::Malformed { what: "table ref.approval_rules" };
    let Some(table) = RefTable::named("approval_rules") else { return Err(malformed.into()) };
    let today = DateTime::parse_from_rfc3339(&commit.at)
        .map_err(|_| CatalogError::Malformed { what: "instant of the commit" })?;
    let month: BillingPeriod = today.format("%Y-%m").to_string().parse()?;
    let tree = nodes::at_end(commit.tx, commit.snapshot, month)?;
    let above = nodes::ancestry(&tree, &adjustment.key.seller);
    let size = amount(&adjustment.amount)?.checked_abs().ok_or(BillingError::Overflow)?;
    let (mut is_ruled, mut roles) = (false, BTreeSet::new());
    for row in table.rows_at(commit.tx, commit.snapshot)? {
        let text = |column| table.position(column).and_then(|at| row.values.get(at)).and_then(Value::as_text);
        if text("kind") != Some(ADJUSTMENT) || !text("seller_node_id").is_some_and(|node| above.contains(&node)) {
            continue;
        }
        is_ruled = true;
        let from = text("min_amount").map(amount).transpose()?;
        if from.is_none_or(|from| from <= size) {
            roles.extend(text("role").map(str::to_owned));
        }
    }
    if !is_ruled {
        roles.insert(ADJUSTMENT_APPROVER.name().to_owned());
    }
    Ok(roles)
}

/// Records an act.
pub(super) fn record(
    commit: &Commit<'_>,
    adjustment: &Adjustment,
    action: &str,
    who: &Approver<'_>,
    why: &str,
) -> Result<(), BillingError> {
    let values = [
        ADJUSTMENT.into(),
        adjustment.object.as_str().into(),
        action.into(),
        who.login.into(),
        who.role.into(),
        why.into(),
        commit.at.as_str().into(),
        commit.snapshot.into(),
        adjustment.id.into(),
    ];
    commit.tx.execute("insert into approval values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)", &values)?;
    Ok(())
}

/// Approves an adjustment that was submitted; with the last approval that it needs it is billed.
///
/// `query` reads the snapshot of the charges that were submitted ([`charges_of`]); a credit needs none.
///
/// # Errors
/// [`BillingError::NoAdjustment`], [`BillingError::OwnProposal`], [`BillingError::NotAsked`] for a role that need not approve.
pub async fn approve_adjustment(
    query: Option<&dyn Query>,
    catalog: &Catalog,
    submission: &super::Submission<'_>,
) -> Result<Progress, BillingError> {
    let adjustment = waiting(catalog, submission.object)?;
    let note = note_of(query, catalog, &adjustment).await?;
    let change = Change::new(
        submission.who.login,
        "approve",
        format!("adjustment {}: {}", adjustment.object, submission.reason),
    );
    let (_, progress) = catalog.commit(&change, |commit| {
        if stored::waiting(commit.tx, submission.object)?.is_none_or(|held| held.id != adjustment.id) {
            return Err(CatalogError::Conflict.into());
        }
        let missing = missing(commit, &adjustment, &submission.who)?;
        record(commit, &adjustment, "approve", &submission.who, submission.reason)?;
        if !missing.is_empty() {
            return Ok::<_, BillingError>(Progress::WaitsFor(missing.into_iter().collect()));
        }
        stored::end(commit, &adjustment)?;
        settle::settle(commit, &adjustment, &note, (submission.at, submission.secret))
    })?;
    Ok(progress)
}

/// The snapshot of the charges that a submitted adjustment is made of; none of a credit.
///
/// # Errors
/// [`BillingError::NoAdjustment`].
pub fn charges_of(catalog: &Catalog, object: &str) -> Result<Option<SnapshotId>, BillingError> {
    Ok(waiting(catalog, object)?.charges)
}

fn waiting(catalog: &Catalog, object: &str) -> Result<Adjustment, BillingError> {
    let found = catalog.read(|tx| stored::waiting(tx, object))?;
    found.ok_or_else(|| BillingError::NoAdjustment { object: object.to_owned() })
}

/// The note of what was submitted, made again of the same charges.
async fn note_of(query: Option<&dyn Query>, catalog: &Catalog, adjustment: &Adjustment) -> Result<Draft, BillingError> {
    let note = match (adjustment.kind, query) {
        (Kind::Credit, _) => return catalog.read(|tx| credit::note(tx, adjustment)),
        (Kind::Restatement, None) => None,
        (Kind::Restatement, Some(query)) => {
            let edge = (&adjustment.key, adjustment.period.parse()?);
            Some(proposal::note(query, catalog, &adjustment.invoice, edge).await?)
        }
    };
    let is_same =
        |note: &Draft| note.charges_total == adjustment.amount && stored::parts(&note.lines) == adjustment.parts;
    note.filter(is_same).ok_or_else(|| BillingError::Altered { number: adjustment.invoice.clone() })
}

/// The roles that have not approved yet once this one has.
fn missing(commit: &Commit<'_>, adjustment: &Adjustment, who: &Approver<'_>) -> Result<BTreeSet<String>, BillingError> {
    let rows = commit.tx.rows(
        "select action, login, role from approval where kind = ?1 and object_id = ?2 and revision = ?3",
        &[ADJUSTMENT.into(), adjustment.object.as_str().into(), adjustment.id.into()],
    )?;
    let mut missing = needed_roles(commit, adjustment)?;
    for row in &rows {
        if row.text(1)? == who.login {
            return Err(BillingError::OwnProposal);
        }
        if row.text(0)? == "approve" {
            missing.remove(row.text(2)?);
        }
    }
    // Where rules changed so that nobody is asked any more, whoever may approve settles it.
    if !missing.is_empty() && !missing.remove(who.role) {
        return Err(BillingError::NotAsked { roles: missing.into_iter().collect::<Vec<_>>().join(" and ") });
    }
    Ok(missing)
}

/// Rejects an adjustment that was submitted: what charges changed by is proposed again.
///
/// # Errors
/// [`BillingError::NoAdjustment`].
pub fn reject_adjustment(catalog: &Catalog, object: &str, who: &Approver<'_>, why: &str) -> Result<(), BillingError> {
    let adjustment = waiting(catalog, object)?;
    let change = Change::new(who.login, "reject", format!("adjustment {object}: {why}"));
    catalog.commit(&change, |commit| {
        record(commit, &adjustment, "reject", who, why)?;
        stored::end(commit, &adjustment)?;
        commit.unpin(&stored::pin_name(adjustment.id))?;
        stored::write(commit, &adjustment, State::Rejected)
    })?;
    Ok(())
}
