//! What the roll-up of a file has kept of its charges: what rules looked at when it was made.

use std::collections::HashMap;

use crate::catalog::SnapshotId;
use crate::error::Error;
use crate::lake::DataFile;
use crate::rating::{Looks, RuleRow, Simulation};
use crate::warehouse::Core;

/// A rule, from one snapshot until before another.
struct KnownRule {
    begin: SnapshotId,
    end: Option<SnapshotId>,
    looks: Looks,
    /// Whether the caller is shown its card.
    is_shown: bool,
}

/// All rules that there ever were.
pub(super) struct KnownRules(Vec<KnownRule>);

/// Whether a roll-up can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kept {
    /// It has all that rules look at.
    pub(super) is_enough: bool,
    /// So it is as far as the caller is shown the rules.
    pub(super) seems_enough: bool,
}

const COLUMNS: [&str; 10] = [
    "service_category",
    "service_name",
    "sku_id",
    "region_id",
    "pricing_category",
    "resource_type",
    "tag_key",
    "unit",
    "bands",
    "scope",
];

impl KnownRules {
    /// Reads them. What the caller is not shown must not decide what it is told of its sources.
    pub(super) fn read(core: &Core, is_shown: impl Fn(&str) -> bool) -> Result<Self, Error> {
        let sql = format!("select card_id, begin_snapshot, end_snapshot, {} from ref_rate_rules", COLUMNS.join(", "));
        let mut shown: HashMap<String, bool> = HashMap::new();
        let mut rules = Vec::new();
        for row in core.read_rows(&sql, &[])? {
            let card_id = row.text(0)?;
            let text = |name: &str| {
                let at = COLUMNS.iter().position(|column| *column == name).unwrap_or_default();
                row.opt_text(3 + at).map(|text| text.map(str::to_owned))
            };
            let rule = RuleRow {
                service_category: text("service_category")?,
                service_name: text("service_name")?,
                sku_id: text("sku_id")?,
                region_id: text("region_id")?,
                pricing_category: text("pricing_category")?,
                resource_type: text("resource_type")?,
                tag_key: text("tag_key")?,
                unit: text("unit")?,
                bands: text("bands")?,
                scope: text("scope")?.unwrap_or_default(),
                ..RuleRow::default()
            };
            let is_shown = match shown.get(card_id) {
                Some(known) => *known,
                None => *shown.entry(card_id.to_owned()).or_insert_with(|| is_shown(card_id)),
            };
            rules.push(KnownRule { begin: row.int(1)?, end: row.opt_int(2)?, looks: Looks::of(&rule), is_shown });
        }
        Ok(Self(rules))
    }

    /// What the rules of a snapshot looked at: all of them, and those that the caller is shown.
    fn looks_at(&self, snapshot: SnapshotId) -> (Looks, Looks) {
        let (mut all, mut shown) = (Looks::default(), Looks::default());
        let known = self.0.iter().filter(|rule| rule.begin <= snapshot && rule.end.is_none_or(|end| snapshot < end));
        for rule in known {
            all.add(&rule.looks);
            if rule.is_shown {
                shown.add(&rule.looks);
            }
        }
        (all, shown)
    }

    /// Whether files of the roll-up are enough for a simulation.
    pub(super) fn kept<'a>(&self, simulation: &Simulation, files: impl Iterator<Item = &'a DataFile>) -> Kept {
        let (looks, shown_looks) = simulation.looks();
        let mut snapshots: Vec<Option<SnapshotId>> = files.map(DataFile::rated_snapshot).collect();
        snapshots.sort_unstable();
        snapshots.dedup();
        let names_commitments = simulation.names_commitments();
        let mut kept = Kept { is_enough: !names_commitments, seems_enough: !names_commitments };
        for snapshot in snapshots {
            let (all, shown) = snapshot.map(|snapshot| self.looks_at(snapshot)).unwrap_or_default();
            kept.is_enough &= all.cover(looks);
            kept.seems_enough &= shown.cover(shown_looks);
        }
        kept
    }
}
