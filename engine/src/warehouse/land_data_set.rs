//! Landing what providers say beside cost and usage: one commit a delivery, into tables of the catalog.

use arrow::datatypes::i256;

use super::Warehouse;
use super::landed::Landed;
use super::listing::{Facts, quarantined};
use super::slice_files::money_text;
use crate::catalog::{CatalogError, Change, Commit, DeliveryRow, FindingRow, RejectRow, Value};
use crate::error::Error;
use crate::landing::{DataSet, DataSetRows, Delivery, Noted, RejectedRow};
use crate::rating::{Span, affected_by_measurements};
use crate::session::mark_reached;

/// How often a landing starts over when the same content is landed beside it.
const ATTEMPTS_MAX: usize = 2;

impl Warehouse {
    /// Lands a delivery of a data set, or says that its content is known.
    pub(super) async fn land_data_set(
        &self,
        set: &'static DataSet,
        delivery: Delivery,
        actor: &str,
    ) -> Result<Landed, Error> {
        for _ in 0..ATTEMPTS_MAX {
            if let Some(known) = self.known(&delivery).await? {
                return Ok(Landed::Known {
                    name: delivery.name,
                    delivery_id: known.delivery_id,
                    landed_at: known.landed_at,
                });
            }
            let facts = Facts::of(&delivery);
            let read = set.read(delivery.clone(), self.core.config.threads).await?;
            let told = u64::try_from(read.rows.len() + read.rejected.len()).unwrap_or(u64::MAX);
            if told != read.raw.rows {
                return Err(Error::Conservation(format!("{} rows were read and {told} kept", read.raw.rows)));
            }
            let change = Change::new(actor, "land", format!("{} ({})", facts.name, facts.source));
            let statement = Statement { set, facts, read };
            match self.core.catalog.commit(&change, |commit| statement.commit(commit)) {
                Ok((snapshot_id, listed)) => return Ok(statement.report(snapshot_id, &listed)),
                Err(Error::Catalog(CatalogError::Conflict)) => {}
                Err(error) => return Err(error),
            }
        }
        Err(Error::Refused("the same file is being landed by somebody else: try again".to_owned()))
    }
}

/// A delivery that is read and waits for its commit.
struct Statement {
    set: &'static DataSet,
    facts: Facts,
    read: DataSetRows,
}

/// What the commit made of it.
struct Listed {
    delivery_id: i64,
    state: &'static str,
    units: usize,
}

impl Statement {
    fn commit(&self, commit: &Commit<'_>) -> Result<Listed, Error> {
        if DeliveryRow::with_content(commit.tx, &self.read.content_hash)?.is_some() {
            return Err(CatalogError::Conflict.into());
        }
        let table = self.set.table;
        let delivery_id = DeliveryRow::next_id(commit.tx)?;
        let number = table.columns.iter().position(|column| column.name == "delivery_id");
        let mut rows = self.read.rows.clone();
        for row in &mut rows {
            if let Some(value) = number.and_then(|at| row.get_mut(at)) {
                *value = Value::Int(delivery_id);
            }
        }
        let units = commit.replace_provider_rows(table, &rows, &self.facts.sequence)?;
        if units.stale > 0 && units.replaced > 0 {
            // Part of an older delivery must not mix with newer ones.
            return Err(Error::Refused(format!(
                "{} of what it speaks of has a newer delivery and {} has not: land the newer delivery of all of it. Nothing was landed",
                units.stale, units.replaced
            )));
        }
        if units.torn > 0 {
            return Err(Error::Refused(format!(
                "of {} windows that are known of its clusters it has a part only: land a file that has all of their time. Nothing was landed",
                units.torn
            )));
        }
        let state = match (units.stale, rows.is_empty()) {
            (0, true) => "empty",
            (0, false) => "landed",
            (_, _) => "stale",
        };
        self.record(commit, delivery_id, state)?;
        commit.settle_provider_rejects(table, delivery_id)?;
        if let Some(time) = self.measured().filter(|_| units.replaced > 0) {
            mark_reached(commit, |facts, slices| Ok(affected_by_measurements(facts, slices, time)))?;
        }
        Ok(Listed { delivery_id, state, units: units.replaced })
    }

    /// The time from the first of its windows to the last, where it has such.
    fn measured(&self) -> Option<Span> {
        let (start, end) = self.set.table.window?;
        let instants = |column: &'static str| {
            let texts = self.read.rows.iter().flat_map(move |row| self.set.table.values_of(row, &[column]));
            texts.filter_map(|value| chrono::DateTime::parse_from_rfc3339(value.as_text()?).ok())
        };
        let (from, until) = (instants(start).min()?, instants(end).max()?);
        Some(Span { from: from.timestamp_micros(), until: until.timestamp_micros() })
    }

    fn record(&self, commit: &Commit<'_>, delivery_id: i64, state: &str) -> Result<(), Error> {
        let count = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        let refused = self.read.rejected.iter().filter_map(|row| row.billed_cost);
        let refused = refused.fold(i256::ZERO, |sum, cost| sum.wrapping_add(i256::from_i128(cost)));
        let delivery = DeliveryRow {
            delivery_id,
            source: self.set.name.to_owned(),
            name: self.facts.name.clone(),
            content_hash: self.read.content_hash.clone(),
            sequence: self.facts.sequence.clone(),
            parts: self.facts.parts,
            bytes: count(self.facts.bytes),
            rows: i64::try_from(self.read.rows.len()).unwrap_or(i64::MAX),
            rejected_rows: count(self.read.raw.rejected_rows),
            lossy_rows: count(self.read.lossy_rows),
            // The files' sum is that of the rows that are kept and of those that are not.
            billed_cost: money_text(self.read.raw.provider_cost.wrapping_sub(refused)),
            rejected_billed_cost: money_text(refused),
            state: state.to_owned(),
            landed_at: commit.at.clone(),
            snapshot_id: commit.snapshot,
            role: self.set.role.to_owned(),
        };
        let reject = |row: &RejectedRow| quarantined(row, &commit.at);
        let rejected: Vec<RejectRow> = self.read.rejected.iter().map(reject).collect();
        let finding = |note: &Noted| FindingRow {
            rule: "R11".to_owned(),
            severity: "warning".to_owned(),
            rows: count(note.rows),
            example: format!("{}:{}", note.first.0, note.first.1),
            description: note.says.clone(),
        };
        let findings: Vec<FindingRow> = self.read.noted.iter().map(finding).collect();
        Ok(commit.add_delivery(&delivery, &rejected, &findings)?)
    }

    fn report(&self, snapshot_id: i64, listed: &Listed) -> Landed {
        let (name, source) = (self.facts.name.clone(), self.set.name.to_owned());
        if listed.state == "stale" {
            return Landed::Stale { delivery_id: listed.delivery_id, name, source };
        }
        Landed::Landed {
            delivery_id: listed.delivery_id,
            name,
            source,
            rows: u64::try_from(self.read.rows.len()).unwrap_or(u64::MAX),
            rejected_rows: self.read.raw.rejected_rows,
            lossy_rows: self.read.lossy_rows,
            findings: self.read.noted.len(),
            slices: listed.units,
            snapshot_id,
        }
    }
}
