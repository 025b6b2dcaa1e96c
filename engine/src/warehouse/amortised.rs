//! Two views of one cost: which lines of each are priced.
//!
//! Azure bills commitments in its actual export, where usage that they cover costs nothing, and says in its amortised export
//! what they cost day by day. The slice of the actual view is the one that is priced. Where the amortised view of the same
//! account and period is there, its lines of covered usage and of what was left unused are priced in that slice, in place of the
//! covered usage of the actual view; its other lines repeat the actual view's and are for reference. Lines that change places
//! are billed nothing, so a slice's charges still cost the root what the actual view bills.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::{Expr, ident, lit};

use super::Core;
use super::rate_slices::{USAGE_COLUMNS, name_of};
use crate::catalog::{CatalogError, Commit, SliceRow, SnapshotId};
use crate::error::Error;
use crate::lake::{DataFile, FileList, LakeTable};
use crate::landing::SourceRole;
use crate::period::BillingPeriod;
use crate::rating::SliceName;

/// The files of amortised views that a rating has read, by the slice they belong to.
pub(super) type Views = BTreeMap<SliceName, BTreeSet<String>>;

/// The usage that a rating reads.
pub(super) struct UsageFiles {
    /// Of slices without an amortised view.
    alone: FileList,
    /// Of slices with one.
    actual: FileList,
    /// Of these views.
    amortised: FileList,
}

impl UsageFiles {
    pub(super) fn periods(&self) -> impl Iterator<Item = i32> + '_ {
        self.alone.iter().chain(self.actual.iter()).map(|file| file.billing_period)
    }

    pub(super) fn views(&self) -> Views {
        let mut views = Views::new();
        for file in self.amortised.iter() {
            views.entry(slice_of(file)).or_default().insert(file.path.clone());
        }
        views
    }
}

impl Core {
    /// The slices that are amortised views, by their numbers.
    pub(super) fn amortised_slices(&self) -> Result<BTreeMap<i64, SliceName>, Error> {
        let slices = self.catalog.read(SliceRow::all)?;
        let views = slices.iter().filter(|slice| slice.role == SourceRole::Amortised.name());
        Ok(views.map(|slice| Ok((slice.slice_id, name_of(&slice.key)?))).collect::<Result<_, CatalogError>>()?)
    }

    /// Files of slices that are priced, with those of their amortised views at a snapshot.
    pub(super) fn with_views(&self, priced: &FileList, snapshot: SnapshotId) -> Result<UsageFiles, Error> {
        let names: BTreeSet<SliceName> = priced.iter().map(|file| slice_of(file)).collect();
        let views = self.amortised_slices()?;
        let amortised = self.files(LakeTable::Usage, snapshot, |file| {
            views.get(&file.slice_id).is_some_and(|name| names.contains(name))
        })?;
        let viewed: BTreeSet<SliceName> = amortised.iter().map(|file| slice_of(file)).collect();
        let (actual, alone): (Vec<_>, Vec<_>) =
            priced.iter().cloned().partition(|file| viewed.contains(&slice_of(file)));
        Ok(UsageFiles { alone: alone.into(), actual: actual.into(), amortised })
    }

    /// The lines that are priced, with the columns that rating reads.
    pub(super) async fn usage_stream(&self, usage: &UsageFiles) -> Result<SendableRecordBatchStream, Error> {
        let read = |files: &FileList| {
            let columns = USAGE_COLUMNS.iter().map(|name| ident(*name)).collect::<Vec<_>>();
            self.private.read_table(self.scan(LakeTable::Usage, Arc::clone(files)))?.select(columns)
        };
        let mut lines = read(&usage.alone)?;
        if !usage.amortised.is_empty() {
            lines = lines.union(read(&usage.actual)?.filter(is_of_commitment().is_not_true())?)?;
            lines = lines.union(read(&usage.amortised)?.filter(is_of_commitment().is_true())?)?;
        }
        Ok(lines.execute_stream().await?)
    }
}

/// Whether a line is usage that a commitment covered, or what one left unused.
fn is_of_commitment() -> Expr {
    let is_usage = ident("charge_category").eq(lit("Usage"));
    is_usage.and(ident("pricing_category").eq(lit("Committed")))
}

fn slice_of(file: &DataFile) -> SliceName {
    SliceName {
        provider_name: file.provider_name.clone(),
        billing_account_id: file.billing_account_id.clone(),
        billing_period: file.billing_period,
    }
}

/// A slice must be rated again when its amortised view is not, or no longer, the one that it was rated with.
pub(super) fn check_view(commit: &Commit<'_>, name: &SliceName, rated_with: &Views) -> Result<(), CatalogError> {
    let period =
        BillingPeriod::of_day(name.billing_period).ok_or(CatalogError::Malformed { what: "billing period" })?;
    let found = commit.tx.rows(
        "select f.path from slice s join data_file f on f.slice_id = s.slice_id \
         where s.billing_period = ?1 and s.provider_name = ?2 and s.billing_account_id = ?3 and s.role = ?4 \
         and f.table_id = ?5 and f.end_snapshot is null",
        &[
            period.to_string().into(),
            name.provider_name.as_str().into(),
            name.billing_account_id.as_str().into(),
            SourceRole::Amortised.name().into(),
            LakeTable::Usage.id().into(),
        ],
    )?;
    let live: BTreeSet<String> =
        found.iter().map(|row| Ok(row.text(0)?.to_owned())).collect::<Result<_, CatalogError>>()?;
    let is_same = rated_with.get(name).map_or(live.is_empty(), |read| *read == live);
    if is_same { Ok(()) } else { Err(CatalogError::Conflict) }
}
