//! Landing what providers say beside cost and usage: one commit a delivery, into tables of the catalog.

use std::collections::BTreeMap;

use arrow::datatypes::i256;

use super::Warehouse;
use super::landed::Landed;
use super::listing::{Facts, quarantined};
use super::slice_files::money_text;
use crate::catalog::{CatalogError, Change, Commit, DeliveryRow, FindingRow, METRICS, RejectRow, Value};
use crate::error::Error;
use crate::landing::{DataSet, DataSetRows, Delivery, Noted, RejectedRow};
use crate::rating::{Span, affected_by_measurements, affected_by_metrics};
use crate::security::Tree;
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
            let read = set.read(delivery.clone(), self.core.config.threads, &self.core.root).await?;
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
    findings: usize,
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
                "of {} windows that are known it has a part only: land a file that has all of their time. Nothing was landed",
                units.torn
            )));
        }
        let state = match (units.stale, rows.is_empty()) {
            (0, true) => "empty",
            (0, false) => "landed",
            (_, _) => "stale",
        };
        let noted: Vec<Noted> = self.read.noted.iter().cloned().chain(self.of_unknown_nodes(commit)?).collect();
        self.record(commit, delivery_id, state, &noted)?;
        commit.settle_provider_rejects(table, delivery_id)?;
        if units.replaced > 0 {
            self.mark_split_by_it(commit)?;
        }
        Ok(Listed { delivery_id, state, units: units.replaced, findings: noted.len() })
    }

    /// Whether it is metrics.
    fn is_metrics(&self) -> bool {
        self.set.table.name == METRICS.name
    }

    /// Texts of a row; columns that are null or of another kind are empty.
    fn texts<'a, const N: usize>(&self, row: &'a [Value], columns: [&str; N]) -> [&'a str; N] {
        let values = self.set.table.values_of(row, &columns);
        std::array::from_fn(|at| values.get(at).and_then(|value| value.as_text()).unwrap_or_default())
    }

    /// Metrics of nodes that are not there, or not below their owner: nodes and files come in any order.
    fn of_unknown_nodes(&self, commit: &Commit<'_>) -> Result<Option<Noted>, Error> {
        if !self.is_metrics() {
            return Ok(None);
        }
        let tree = Tree::read(commit.tx, commit.snapshot)?;
        let mut known: BTreeMap<[&str; 2], bool> = BTreeMap::new();
        let mut unknown: Option<Noted> = None;
        for row in &self.read.rows {
            let named @ [owner, node] = self.texts(row, ["owner_node_id", "node_id"]);
            if *known.entry(named).or_insert_with(|| tree.has(node) && tree.is_within(node, owner)) {
                continue;
            }
            let place = self.set.table.values_of(row, &["source_file", "source_row"]);
            let [Value::Int(file), Value::Int(number)] = place.as_slice() else { continue };
            let here = (i32::try_from(*file).unwrap_or(i32::MAX), *number);
            let says =
                "names a node that is not there or not below its owner: it counts for nothing until there is one";
            let noted = unknown.get_or_insert_with(|| Noted { says: says.to_owned(), rows: 0, first: here });
            noted.rows += 1;
            noted.first = noted.first.min(here);
        }
        Ok(unknown)
    }

    /// Marks what was split by other quantities than these.
    fn mark_split_by_it(&self, commit: &Commit<'_>) -> Result<(), Error> {
        if self.is_metrics() {
            let of_drivers = self.times(|row| self.texts(row, ["owner_node_id", "driver"]));
            return mark_reached(commit, |facts, slices| Ok(affected_by_metrics(facts, slices, &of_drivers)));
        }
        let Some(time) = self.times(|_| ()).remove(&()) else { return Ok(()) };
        mark_reached(commit, |facts, slices| Ok(affected_by_measurements(facts, slices, time)))
    }

    /// The time from the first of its windows to the last, where it has such, of each thing that rows are about.
    fn times<'a, T: Ord>(&'a self, thing: impl Fn(&'a [Value]) -> T) -> BTreeMap<T, Span> {
        let mut times = BTreeMap::new();
        let Some((start, end)) = self.set.table.window else { return times };
        let micros = |text: &str| chrono::DateTime::parse_from_rfc3339(text).map(|instant| instant.timestamp_micros());
        for row in &self.read.rows {
            let [Ok(from), Ok(until)] = self.texts(row, [start, end]).map(micros) else { continue };
            let time = times.entry(thing(row)).or_insert(Span { from, until });
            *time = Span { from: time.from.min(from), until: time.until.max(until) };
        }
        times
    }

    fn record(&self, commit: &Commit<'_>, delivery_id: i64, state: &str, noted: &[Noted]) -> Result<(), Error> {
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
        let findings: Vec<FindingRow> = noted.iter().map(finding).collect();
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
            findings: listed.findings,
            slices: listed.units,
            snapshot_id,
        }
    }
}
