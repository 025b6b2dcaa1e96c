//! What part of the tree a principal sees: the paths that its node has had.
//!
//! A row belongs to the nodes on its path at usage time. A scope therefore is a list of path
//! prefixes: one for each place that the node has had in the tree, each with the node's position
//! there. There is no scope that means "unset": no place, no rows.

use std::collections::{BTreeMap, BTreeSet};

use crate::catalog::{CatalogError, RefTable, SnapshotId, Tx};
use crate::rating::is_source_of;

/// One place a node has had, and when.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The path from the root to the node, ids joined by `/`.
    pub path: String,
    /// From this instant (RFC 3339 UTC text).
    pub from: String,
    /// Until this one; none is open.
    pub to: Option<String>,
}

impl Place {
    /// The node's position in the path: 0 is the root.
    pub fn position(&self) -> usize {
        self.path.matches('/').count()
    }
}

/// A node as it was for a while.
#[derive(Debug, Clone)]
struct Stretch {
    parent_id: Option<String>,
    kind: String,
    currency: String,
    disclose_up: bool,
    fx_policy: String,
    name: String,
    from: String,
    to: Option<String>,
}

/// The whole tree over time, at one snapshot.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    nodes: BTreeMap<String, Vec<Stretch>>,
}

/// The longest path: the root and eight below it.
const PLACES_MAX: usize = 9;

impl Tree {
    /// Reads the tree as known at a snapshot.
    pub fn read(tx: &dyn Tx, snapshot: SnapshotId) -> Result<Self, CatalogError> {
        let table = RefTable::named("nodes").ok_or(CatalogError::Malformed { what: "table nodes" })?;
        let rows = table.rows_at(tx, snapshot)?;
        Self::from_rows(table, rows.iter().map(|row| row.values.as_slice()))
    }

    /// The tree of the given `ref.nodes` rows.
    pub fn from_rows<'a>(
        table: &RefTable,
        rows: impl Iterator<Item = &'a [crate::catalog::Value]>,
    ) -> Result<Self, CatalogError> {
        let at = |name| table.position(name).ok_or(CatalogError::Malformed { what: "table nodes" });
        let (id, parent, kind, currency) = (at("node_id")?, at("parent_id")?, at("kind")?, at("currency")?);
        let (from, to, disclose) = (at("valid_from")?, at("valid_to")?, at("disclose_up")?);
        let (fx_policy, name) = (at("fx_policy")?, at("name")?);
        let mut nodes: BTreeMap<String, Vec<Stretch>> = BTreeMap::new();
        for values in rows {
            let text = |at: usize| values.get(at).and_then(|v| v.as_text()).map(str::to_owned);
            let missing = CatalogError::Malformed { what: "node" };
            nodes.entry(text(id).ok_or(missing)?).or_default().push(Stretch {
                parent_id: text(parent),
                kind: text(kind).unwrap_or_default(),
                currency: text(currency).unwrap_or_default(),
                disclose_up: values.get(disclose).and_then(crate::catalog::Value::as_int) != Some(0),
                fx_policy: text(fx_policy).unwrap_or_default(),
                name: text(name).unwrap_or_default(),
                from: text(from).unwrap_or_default(),
                to: text(to),
            });
        }
        Ok(Self { nodes })
    }

    /// Every place that a node has had, each with the time it lasted.
    pub fn places(&self, node_id: &str) -> Vec<Place> {
        let mut places = self.climb(node_id, 0);
        places.sort();
        places
    }

    fn climb(&self, node_id: &str, depth: usize) -> Vec<Place> {
        if depth >= PLACES_MAX {
            return Vec::new();
        }
        let mut places = Vec::new();
        for stretch in self.nodes.get(node_id).into_iter().flatten() {
            let Some(parent) = &stretch.parent_id else {
                places.push(Place { path: node_id.to_owned(), from: stretch.from.clone(), to: stretch.to.clone() });
                continue;
            };
            for above in self.climb(parent, depth + 1) {
                let from = above.from.max(stretch.from.clone());
                let to = match (&above.to, &stretch.to) {
                    (Some(a), Some(b)) => Some(a.min(b).clone()),
                    (a, b) => a.clone().or_else(|| b.clone()),
                };
                if to.as_ref().is_none_or(|to| &from < to) {
                    places.push(Place { path: format!("{}/{node_id}", above.path), from, to });
                }
            }
        }
        places
    }

    /// All node ids, sorted.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.nodes.keys().map(String::as_str)
    }

    /// Whether the node exists.
    pub fn has(&self, node_id: &str) -> bool {
        self.nodes.contains_key(node_id)
    }

    /// Whether `node_id` is `above` or has been below it, at any time.
    pub fn is_within(&self, node_id: &str, above: &str) -> bool {
        node_id == above || self.places(node_id).iter().any(|place| place.path.split('/').any(|id| id == above))
    }

    /// Whether `node_id` is `above` or stands below it at `now` (RFC 3339 text); a node that does
    /// not stand anywhere yet counts where it will stand first. Who decides about a node is who
    /// stands above it now: one that it left has no say any more.
    pub fn is_within_now(&self, node_id: &str, above: &str, now: &str) -> bool {
        let places = self.places(node_id);
        let lasting = places.iter().filter(|place| place.to.as_deref().is_none_or(|to| now < to));
        let current = lasting.min_by(|a, b| a.from.cmp(&b.from));
        node_id == above || current.is_some_and(|place| place.path.split('/').any(|id| id == above))
    }

    /// The times in which `node_id` stood below `above`, in order, cut to a span of time.
    pub fn times_within(
        &self,
        node_id: &str,
        above: &str,
        span: (&str, Option<&str>),
    ) -> Vec<(String, Option<String>)> {
        let (from, to) = span;
        let mut times: Vec<(String, Option<String>)> = self
            .places(node_id)
            .into_iter()
            .filter(|place| place.path.split('/').any(|id| id == above))
            .map(|place| {
                let until = match (place.to, to) {
                    (Some(end), Some(to)) => Some(end.min(to.to_owned())),
                    (end, to) => end.or_else(|| to.map(str::to_owned)),
                };
                (place.from.max(from.to_owned()), until)
            })
            .filter(|(begin, end)| end.as_ref().is_none_or(|end| begin < end))
            .collect();
        times.sort();
        times
    }

    /// Whether `node_id` stood below `above` whenever it stood anywhere in a span of time.
    pub fn is_within_throughout(&self, node_id: &str, above: &str, from: &str, to: &str) -> bool {
        let overlaps = |place: &Place| place.from.as_str() < to && place.to.as_deref().is_none_or(|end| from < end);
        let mut there = self.places(node_id).into_iter().filter(overlaps).peekable();
        there.peek().is_some() && there.all(|place| place.path.split('/').any(|id| id == above))
    }

    /// Whether `node_id` is within `above` at an instant (RFC 3339 text).
    pub fn is_within_at(&self, node_id: &str, above: &str, at: &str) -> bool {
        self.places(node_id).iter().any(|place| {
            place.from.as_str() <= at
                && place.to.as_deref().is_none_or(|to| at < to)
                && place.path.split('/').any(|id| id == above)
        })
    }

    /// The kind of a node as it was last.
    pub fn kind(&self, node_id: &str) -> Option<&str> {
        self.nodes.get(node_id)?.iter().max_by(|a, b| a.from.cmp(&b.from)).map(|s| s.kind.as_str())
    }

    /// What people call a node, as it was last.
    pub fn name(&self, node_id: &str) -> Option<&str> {
        self.nodes.get(node_id)?.iter().max_by(|a, b| a.from.cmp(&b.from)).map(|s| s.name.as_str())
    }

    /// The currency of a node as it was last.
    pub fn currency(&self, node_id: &str) -> Option<&str> {
        self.nodes.get(node_id)?.iter().max_by(|a, b| a.from.cmp(&b.from)).map(|s| s.currency.as_str())
    }

    /// Whether any node hangs below this one, at any time.
    pub fn has_children(&self, node_id: &str) -> bool {
        self.nodes.values().flatten().any(|s| s.parent_id.as_deref() == Some(node_id))
    }

    /// The parent of a node as it was last.
    pub fn parent(&self, node_id: &str) -> Option<&str> {
        self.nodes.get(node_id)?.iter().max_by(|a, b| a.from.cmp(&b.from))?.parent_id.as_deref()
    }

    /// Whether `node_id` ever stood right below `above`.
    pub fn is_child_of(&self, node_id: &str, above: &str) -> bool {
        self.nodes.get(node_id).into_iter().flatten().any(|s| s.parent_id.as_deref() == Some(above))
    }

    /// Nodes whose own sales are not shown to those above them.
    pub fn undisclosed(&self) -> BTreeSet<&str> {
        self.nodes.iter().filter(|(_, s)| s.iter().any(|s| !s.disclose_up)).map(|(id, _)| id.as_str()).collect()
    }

    /// Nodes that ever stood right below one of these.
    pub fn buyers_of(&self, sellers: &[&str]) -> Vec<&str> {
        let is_below = |stretch: &Stretch| stretch.parent_id.as_deref().is_some_and(|parent| sellers.contains(&parent));
        self.nodes.iter().filter(|(_, s)| s.iter().any(is_below)).map(|(id, _)| id.as_str()).collect()
    }

    /// Whether a node shows its sales to those above it, at all times.
    pub fn discloses(&self, node: &str) -> bool {
        self.nodes.get(node).is_none_or(|stretches| stretches.iter().all(|s| s.disclose_up))
    }

    /// Whether a node within `above` may convert by the exchange rates of a source.
    pub fn uses_rates_of(&self, source: &str, above: &str) -> bool {
        let within = self.nodes.iter().filter(|(id, _)| self.is_within(id, above));
        within
            .flat_map(|(id, stretches)| stretches.iter().map(move |s| (id, s)))
            .any(|(id, stretch)| is_source_of(source, &stretch.fx_policy, id))
    }

    /// Nodes that sell with invoices: distributors and resellers.
    pub fn invoicing(&self) -> BTreeSet<&str> {
        self.nodes
            .iter()
            .filter(|(_, s)| s.iter().any(|s| matches!(s.kind.as_str(), "distributor" | "reseller")))
            .map(|(id, _)| id.as_str())
            .collect()
    }

    /// The deepest position that any path through one of the prefixes has.
    pub fn deepest(&self) -> usize {
        self.nodes.keys().flat_map(|id| self.places(id)).map(|place| place.position()).max().unwrap_or_default()
    }
}

/// The prefixes under which a principal sees rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// The principal's node.
    pub node_id: String,
    /// Its paths and its position in each, without doubles.
    pub prefixes: Vec<(String, usize)>,
    /// Whether the node is the root of the tree.
    pub is_root: bool,
}

impl Scope {
    /// The scope of a node in a tree.
    pub fn of(tree: &Tree, node_id: &str) -> Self {
        let prefixes: BTreeSet<(String, usize)> =
            tree.places(node_id).into_iter().map(|place| (place.path.clone(), place.position())).collect();
        let is_root = prefixes.iter().any(|(_, position)| *position == 0);
        Self { node_id: node_id.to_owned(), prefixes: prefixes.into_iter().collect(), is_root }
    }

    /// Whether a row with that path belongs to the scope.
    pub fn covers(&self, path: &str) -> bool {
        self.prefixes.iter().any(|(prefix, _)| {
            path.strip_prefix(prefix.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }

    /// The root's children under which its rows can be; none means all of them.
    pub fn children(&self) -> Option<BTreeSet<&str>> {
        if self.is_root {
            return None;
        }
        Some(self.prefixes.iter().filter_map(|(path, _)| path.split('/').nth(1)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Value;

    fn tree(rows: &[(&str, Option<&str>, &str, Option<&str>)]) -> Tree {
        let table = RefTable::named("nodes").expect("nodes is a table");
        let rows: Vec<Vec<Value>> = rows
            .iter()
            .map(|(id, parent, from, to)| {
                let mut values = vec![Value::Null; table.columns.len()];
                values[0] = (*id).into();
                values[1] = (*parent).into();
                values[2] = "reseller".into();
                values[6] = (*from).into();
                values[7] = (*to).into();
                values
            })
            .collect();
        Tree::from_rows(table, rows.iter().map(Vec::as_slice)).expect("rows are whole")
    }

    #[test]
    fn a_moved_node_keeps_both_places() {
        let tree = tree(&[
            ("root", None, "2000", None),
            ("a", Some("root"), "2000", None),
            ("b", Some("a"), "2000", Some("2026-10-12")),
            ("b", Some("root"), "2026-10-12", None),
        ]);
        let scope = Scope::of(&tree, "b");
        assert_eq!(scope.prefixes, [("root/a/b".to_owned(), 2), ("root/b".to_owned(), 1)]);
        assert!(scope.covers("root/a/b/c") && scope.covers("root/b") && !scope.covers("root/b2"));
        assert_eq!(scope.children(), Some(BTreeSet::from(["a", "b"])));
        assert!(tree.is_within_at("b", "a", "2026-10-11") && !tree.is_within_at("b", "a", "2026-10-12"));
    }

    #[test]
    fn who_stands_above_now_decides_and_who_stood_above_knows_its_time() {
        let tree = tree(&[
            ("root", None, "2000", None),
            ("a", Some("root"), "2000", None),
            ("c", Some("root"), "2000", None),
            ("b", Some("a"), "2020", Some("2025")),
            ("b", Some("c"), "2025", None),
        ]);
        assert!(!tree.is_within_now("b", "a", "2025") && tree.is_within_now("b", "c", "2025"));
        assert!(tree.is_within_now("b", "a", "2010") && !tree.is_within_now("b", "c", "2010"));
        assert_eq!(tree.times_within("b", "a", ("2021", None)), [("2021".to_owned(), Some("2025".to_owned()))]);
        assert_eq!(tree.times_within("b", "c", ("2000", Some("2025"))), []);
        assert!(tree.is_within_throughout("b", "a", "2010", "2025"));
        assert!(
            !tree.is_within_throughout("b", "a", "2024", "2026")
                && !tree.is_within_throughout("b", "c", "2024", "2026")
        );
        assert!(!tree.is_within_throughout("b", "a", "2001", "2002"));
    }

    #[test]
    fn an_unknown_node_sees_nothing() {
        let scope = Scope::of(&tree(&[("root", None, "2000", None)]), "nobody");
        assert!(scope.prefixes.is_empty() && !scope.is_root && !scope.covers("root") && !scope.covers(""));
        assert_eq!(scope.children(), Some(BTreeSet::new()));
    }
}
