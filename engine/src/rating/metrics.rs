//! Metrics that landed: quantities of pools beside those of `ref.drivers`, which correct them by hand.

use std::collections::BTreeSet;

use hashbrown::{HashMap, HashSet};
use ratehouse_udfs::decimal::parse_decimal;

use super::error::RatingError;
use super::facts::{DriverRow, PoolMethod, PoolRow};
use super::span::{Span, parse_instant};
use crate::catalog::{CatalogError, METRICS, SnapshotId, Tx};

/// Owner, driver, node and resource.
type Name = (String, String, String, Option<String>);

/// A quantity, scale 18, and when it was used.
type Window = (Span, i128);

/// What landed of drivers that pools are split by. Windows of one name are in order and do not overlap: landing sees to that.
#[derive(Debug, Clone, Default)]
pub struct Metrics(HashMap<Name, Vec<Window>>);

impl Metrics {
    /// Reads what pools need as it was at a snapshot: there may be much more of other drivers.
    pub(super) fn read(tx: &dyn Tx, snapshot: SnapshotId, pools: &[PoolRow]) -> Result<Self, RatingError> {
        let by_usage = pools.iter().filter(|pool| pool.method == PoolMethod::Usage);
        let drivers: BTreeSet<(&str, &str)> =
            by_usage.filter_map(|pool| Some((pool.owner_node_id.as_str(), pool.driver.as_deref()?))).collect();
        let sql = format!(
            "select node_id, resource_id, quantity, valid_from, valid_to from {} where owner_node_id = ?1 and driver = ?2 \
             and begin_snapshot <= ?3 and (end_snapshot is null or end_snapshot > ?3)",
            METRICS.name
        );
        let malformed = || CatalogError::Malformed { what: "metric" };
        let mut found = Self::default();
        for (owner, driver) in drivers {
            tx.each(&sql, &[owner.into(), driver.into(), snapshot.into()], &mut |row| {
                let instant = |at: usize| parse_instant(row.text(at)?).ok_or_else(malformed);
                let quantity = parse_decimal(row.text(2)?).map_err(|_| malformed())?.value;
                let resource = row.opt_text(1)?.map(str::to_owned);
                let name = (owner.to_owned(), driver.to_owned(), row.text(0)?.to_owned(), resource);
                found.0.entry(name).or_default().push((Span { from: instant(3)?, until: instant(4)? }, quantity));
                Ok(())
            })?;
        }
        found.0.values_mut().for_each(|windows| windows.sort_unstable());
        Ok(found)
    }

    /// The quantities that count: those that no row of `ref.drivers` of the same name overlaps.
    pub(super) fn counted(&self, corrections: &[DriverRow]) -> impl Iterator<Item = (&Name, Window)> {
        let mut corrected: HashSet<(&Name, Span)> = HashSet::new();
        for row in corrections.iter().filter(|_| !self.0.is_empty()) {
            let (name, windows) = self.overlapping(row, row.valid);
            corrected.extend(windows.iter().filter_map(|(time, _)| Some((name?, *time))));
        }
        let all = self.0.iter().flat_map(|(name, windows)| windows.iter().map(move |window| (name, *window)));
        all.filter(move |(name, (time, _))| !corrected.contains(&(*name, *time)))
    }

    /// When a change of a row of `ref.drivers` makes a difference: a metric counts, or does not, for all of its time.
    pub(super) fn reached_by(&self, row: &DriverRow, changed: Span) -> Span {
        let (_, windows) = self.overlapping(row, changed);
        windows
            .iter()
            .fold(changed, |all, (time, _)| Span { from: all.from.min(time.from), until: all.until.max(time.until) })
    }

    /// The owners and nodes of what is measured.
    pub(super) fn owners_and_nodes(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.keys().map(|(owner, _, node, _)| (owner.as_str(), node.as_str()))
    }

    /// The windows of a row's name in a time.
    fn overlapping(&self, row: &DriverRow, time: Span) -> (Option<&Name>, &[Window]) {
        let DriverRow { owner_node_id, driver, node_id, resource_id, .. } = row;
        let name = (owner_node_id.clone(), driver.clone(), node_id.clone(), resource_id.clone());
        let Some((name, windows)) = self.0.get_key_value(&name) else { return (None, &[]) };
        let first = windows.partition_point(|(window, _)| window.until <= time.from);
        let last = windows.partition_point(|(window, _)| window.from < time.until);
        (Some(name), windows.get(first..last).unwrap_or_default())
    }
}
