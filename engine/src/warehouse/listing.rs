//! The commit that lists a delivery: its slices in place of those it replaces, its rejected rows, its findings.

use super::intake::Taken;
use super::landed::Landed;
use super::rate_slices::RatedSlices;
use super::slice_files::{listed, money_text};
use crate::catalog::{CatalogError, Commit, DeliveryRow, DeliverySlice, FindingRow, RejectRow, SliceKey, SliceRow};
use crate::error::Error;
use crate::lake::LakeTable;
use crate::landing::{Delivery, RejectedRow, SourceRole};
use crate::period::BillingPeriod;
use crate::rating::SliceName;

/// What is known of a delivery before its rows are read.
pub(super) struct Facts {
    pub(super) name: String,
    pub(super) source: String,
    pub(super) role: SourceRole,
    pub(super) sequence: String,
    pub(super) parts: i64,
    pub(super) bytes: u64,
}

impl Facts {
    pub(super) fn of(delivery: &Delivery) -> Self {
        let sequence = delivery
            .manifest
            .as_ref()
            .and_then(|manifest| manifest.created_at.clone())
            .unwrap_or_else(|| chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Micros, true));
        Self {
            name: delivery.name.clone(),
            source: delivery.source.name.clone(),
            role: delivery.source.role,
            sequence,
            parts: i64::try_from(delivery.parts().count()).unwrap_or(i64::MAX),
            bytes: delivery.bytes(),
        }
    }
}

/// A delivery that is durable and waits for its commit.
pub(super) struct Landing<'a> {
    pub(super) delivery_id: i64,
    pub(super) facts: &'a Facts,
    pub(super) content_hash: &'a str,
    pub(super) taken: &'a Taken,
    pub(super) rated: Option<&'a RatedSlices>,
}

impl Landing<'_> {
    /// Lists everything; gives the number of slices replaced, none when the delivery is stale.
    pub(super) fn commit(&self, commit: &Commit<'_>) -> Result<Option<usize>, Error> {
        if DeliveryRow::with_content(commit.tx, self.content_hash)?.is_some()
            || DeliveryRow::next_id(commit.tx)? != self.delivery_id
        {
            return Err(CatalogError::Conflict.into());
        }
        let mut replaced = 0;
        let mut stale = 0;
        for (number, (name, sums)) in self.taken.slices.iter().enumerate() {
            let key = self.key(name)?;
            let role = self.facts.role;
            if role != SourceRole::Reference
                && let Some(rival) = SliceRow::beside(commit.tx, &key, role.name())?
            {
                return Err(Error::Refused(format!(
                    "{} {} {} is {} by source {} already: two views of one cost are never added. Nothing was landed",
                    key.provider_name,
                    key.billing_account_id,
                    key.billing_period,
                    role.name(),
                    rival.key.source
                )));
            }
            let slice_id = commit.ensure_slice(&key, role.name())?;
            let current = DeliveryRow::current_sequence(commit.tx, slice_id)?;
            if current.is_some_and(|current| current > self.facts.sequence) {
                stale += 1;
                continue;
            }
            self.check_sums(name, sums.billed)?;
            commit.end_files(slice_id, LakeTable::Usage.id())?;
            for file in self.taken.files.iter().filter(|file| usize::try_from(file.file).is_ok_and(|f| f == number)) {
                commit.add_file(&listed(LakeTable::Usage, slice_id, "", file))?;
            }
            if let Some(rated) = self.rated {
                rated.commit_slice(commit, name, slice_id)?;
            }
            if role == SourceRole::Amortised
                && let Some(priced) = SliceRow::beside(commit.tx, &key, SourceRole::Priced.name())?
            {
                commit.set_stale(priced.slice_id, "the amortised view of its cost changed")?;
            }
            let part = DeliverySlice {
                slice_id,
                rows: i64::try_from(sums.rows).unwrap_or(i64::MAX),
                billed_cost: money_text(sums.billed),
                effective_cost: money_text(sums.effective),
                list_cost: money_text(sums.list),
            };
            commit.replace_delivery_slice(self.delivery_id, &part)?;
            replaced += 1;
        }
        if stale > 0 && replaced > 0 {
            // Part of an older delivery must not mix with newer ones.
            return Err(Error::Refused(format!(
                "{stale} of its slices hold a newer delivery and {replaced} do not: land the newer delivery of all of them. Nothing was landed"
            )));
        }
        let state = match (stale, self.taken.slices.is_empty()) {
            (0, true) => "empty",
            (0, false) => "landed",
            (_, _) => "stale",
        };
        self.record(commit, state)?;
        commit.settle_rejected(self.delivery_id)?;
        Ok((stale == 0).then_some(replaced))
    }

    fn key(&self, name: &SliceName) -> Result<SliceKey, Error> {
        let period =
            BillingPeriod::of_day(name.billing_period).ok_or(CatalogError::Malformed { what: "billing period" })?;
        Ok(SliceKey {
            source: self.facts.source.clone(),
            provider_name: name.provider_name.clone(),
            billing_account_id: name.billing_account_id.clone(),
            billing_period: period.to_string(),
        })
    }

    /// Law 2: what the slice's usage costs is what its charges cost the root.
    fn check_sums(&self, name: &SliceName, billed: arrow::datatypes::i256) -> Result<(), Error> {
        let Some(rated) = self.rated else { return Ok(()) };
        let charged = rated.billed(name).ok_or_else(|| {
            Error::Conservation(format!("{} {} was not rated", name.provider_name, name.billing_account_id))
        })?;
        if charged == billed {
            return Ok(());
        }
        Err(Error::Conservation(format!(
            "usage of {} {} costs {}, its charges {}",
            name.provider_name,
            name.billing_account_id,
            money_text(billed),
            money_text(charged)
        )))
    }

    fn record(&self, commit: &Commit<'_>, state: &str) -> Result<(), Error> {
        let accepted =
            self.taken.slices.iter().fold(arrow::datatypes::i256::ZERO, |sum, (_, sums)| sum.wrapping_add(sums.billed));
        let refused = self
            .taken
            .rejected
            .iter()
            .filter_map(|row| row.billed_cost)
            .fold(arrow::datatypes::i256::ZERO, |sum, cost| sum.wrapping_add(arrow::datatypes::i256::from_i128(cost)));
        let count = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        let delivery = DeliveryRow {
            delivery_id: self.delivery_id,
            source: self.facts.source.clone(),
            name: self.facts.name.clone(),
            content_hash: self.content_hash.to_owned(),
            sequence: self.facts.sequence.clone(),
            parts: self.facts.parts,
            bytes: count(self.facts.bytes),
            rows: count(self.taken.raw.usage_rows),
            rejected_rows: count(self.taken.raw.rejected_rows),
            lossy_rows: count(self.taken.lossy_rows),
            billed_cost: money_text(accepted),
            rejected_billed_cost: money_text(refused),
            state: state.to_owned(),
            landed_at: commit.at.clone(),
            snapshot_id: commit.snapshot,
            role: self.facts.role.name().to_owned(),
        };
        let rejected: Vec<RejectRow> = self.taken.rejected.iter().map(|row| quarantined(row, &commit.at)).collect();
        let findings: Vec<FindingRow> = self
            .taken
            .findings
            .list()
            .into_iter()
            .map(|finding| FindingRow {
                rule: finding.rule.id.to_owned(),
                severity: finding.rule.severity.name().to_owned(),
                rows: count(finding.rows),
                example: format!("{}:{}", finding.first.0, finding.first.1),
                description: finding.rule.says.into_owned(),
            })
            .collect();
        commit.add_delivery(&delivery, &rejected, &findings)?;
        Ok(())
    }

    pub(super) fn report(&self, snapshot_id: i64, replaced: Option<usize>) -> Landed {
        match replaced {
            None => Landed::Stale {
                delivery_id: self.delivery_id,
                name: self.facts.name.clone(),
                source: self.facts.source.clone(),
            },
            Some(slices) => Landed::Landed {
                delivery_id: self.delivery_id,
                name: self.facts.name.clone(),
                source: self.facts.source.clone(),
                rows: self.taken.raw.usage_rows,
                rejected_rows: self.taken.raw.rejected_rows,
                lossy_rows: self.taken.lossy_rows,
                findings: self.taken.findings.list().len(),
                slices,
                snapshot_id,
            },
        }
    }
}

/// A rejected row as the catalog keeps it.
pub(super) fn quarantined(row: &RejectedRow, landed_at: &str) -> RejectRow {
    RejectRow {
        source_file: i64::from(row.source_file),
        source_row: row.source_row,
        column: row.column.clone(),
        value_class: row.value_class.clone(),
        reason: row.reason.clone(),
        raw: row.raw.clone(),
        billed_cost: row.billed_cost.map(|cost| money_text(arrow::datatypes::i256::from_i128(cost))),
        provider_name: row.place.provider_name.clone(),
        billing_account_id: row.place.billing_account_id.clone(),
        billing_period: row.place.billing_period.and_then(|day| possible_period(day, landed_at)),
    }
}

/// The billing period of a day. A period after the landing's own is none: what was read there was something else.
fn possible_period(day: i32, landed_at: &str) -> Option<String> {
    let period = BillingPeriod::of_day(day)?.to_string();
    let is_past = period.parse::<BillingPeriod>().is_ok() && landed_at.get(..period.len())? >= period.as_str();
    is_past.then_some(period)
}
