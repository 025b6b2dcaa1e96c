//! The tree of nodes as it stands at every instant.
//!
//! Nodes are effective-dated rows, so a path is a function of time. Each node has a list of
//! stretches in which its path, and every property of the nodes on it, stay the same.

use std::sync::Arc;

use hashbrown::HashMap;

use super::error::RatingError;
use super::facts::NodeRow;
use super::span::{Span, holds_at};
use crate::lake::schema::MAX_POSITIONS;

/// A node's number in a [`Tree`].
pub type NodeIndex = usize;

/// A time in which a node's path stays the same.
#[derive(Debug, Clone)]
pub(crate) struct Stretch {
    pub(crate) span: Span,
    /// For each position, root first, the row of the node there.
    pub(crate) rows: Arc<[usize]>,
}

/// All nodes, and where each stands at any instant.
#[derive(Debug)]
pub struct Tree {
    rows: Vec<NodeRow>,
    node_of_row: Vec<NodeIndex>,
    names: Vec<String>,
    index: HashMap<String, NodeIndex>,
    root: NodeIndex,
    stretches: Vec<Vec<Stretch>>,
}

impl Tree {
    /// Works out every node's paths.
    ///
    /// A row ends where the node's next row begins, so that a move is one new row.
    ///
    /// # Errors
    /// [`RatingError::Root`] without exactly one root, [`RatingError::Path`] for a cycle or a node
    /// more than eight places below the root.
    pub fn build(nodes: &[NodeRow]) -> Result<Self, RatingError> {
        let mut rows = nodes.to_vec();
        rows.sort_by(|a, b| (&a.node_id, a.valid.from).cmp(&(&b.node_id, b.valid.from)));
        for at in 1..rows.len() {
            if rows[at - 1].node_id == rows[at].node_id {
                let next_from = rows[at].valid.from;
                let valid = &mut rows[at - 1].valid;
                valid.until = valid.until.min(next_from);
            }
        }
        let mut names: Vec<String> = Vec::new();
        let mut index = HashMap::new();
        let mut node_of_row = Vec::with_capacity(rows.len());
        let mut rows_of_node: Vec<Vec<usize>> = Vec::new();
        for (at, row) in rows.iter().enumerate() {
            if names.last() != Some(&row.node_id) {
                index.insert(row.node_id.clone(), names.len());
                names.push(row.node_id.clone());
                rows_of_node.push(Vec::new());
            }
            node_of_row.push(names.len() - 1);
            if let Some(own) = rows_of_node.last_mut() {
                own.push(at);
            }
        }
        let mut roots: Vec<NodeIndex> =
            rows.iter().zip(&node_of_row).filter(|(row, _)| row.parent_id.is_none()).map(|(_, node)| *node).collect();
        roots.dedup();
        let [root] = roots[..] else { return Err(RatingError::Root { found: roots.len() }) };
        let mut tree = Self { rows, node_of_row, names, index, root, stretches: Vec::new() };
        for (node, own) in rows_of_node.iter().enumerate() {
            let mut found = Vec::new();
            tree.climb(&rows_of_node, own, Span::ALWAYS, &mut Vec::new(), &mut found)?;
            found.sort_by_key(|stretch: &Stretch| stretch.span);
            debug_assert!(found.iter().all(|stretch| tree.node_at(&stretch.rows) == Some(node)));
            tree.stretches.push(found);
        }
        Ok(tree)
    }

    /// Follows each of a node's rows to its parents' rows, narrowing the time on the way up.
    fn climb(
        &self,
        rows_of_node: &[Vec<usize>],
        own: &[usize],
        within: Span,
        below: &mut Vec<usize>,
        found: &mut Vec<Stretch>,
    ) -> Result<(), RatingError> {
        for &at in own {
            let row = &self.rows[at];
            let span = row.valid.intersect(within);
            if span.is_empty() {
                continue;
            }
            if below.iter().any(|lower| self.node_of_row[*lower] == self.node_of_row[at]) {
                return Err(RatingError::Path {
                    node: row.node_id.clone(),
                    problem: "leads back to itself: give it another parent",
                });
            }
            if below.len() == MAX_POSITIONS {
                let deepest = below.first().map_or(at, |lowest| *lowest);
                return Err(RatingError::Path {
                    node: self.rows[deepest].node_id.clone(),
                    problem: "is more than eight places below the root",
                });
            }
            below.push(at);
            match &row.parent_id {
                None => found.push(Stretch { span, rows: below.iter().rev().copied().collect() }),
                Some(parent) => {
                    if let Some(&above) = self.index.get(parent) {
                        self.climb(rows_of_node, &rows_of_node[above], span, below, found)?;
                    }
                }
            }
            below.pop();
        }
        Ok(())
    }

    fn node_at(&self, rows: &[usize]) -> Option<NodeIndex> {
        rows.last().map(|row| self.node_of_row[*row])
    }

    /// The root.
    pub fn root(&self) -> NodeIndex {
        self.root
    }

    /// The node of that name.
    pub fn node(&self, name: &str) -> Option<NodeIndex> {
        self.index.get(name).copied()
    }

    /// A node's name.
    pub fn name(&self, node: NodeIndex) -> &str {
        &self.names[node]
    }

    /// The node that a row of the tree belongs to.
    pub(crate) fn node_of_row(&self, row: usize) -> NodeIndex {
        self.node_of_row[row]
    }

    /// A row of the tree.
    pub(crate) fn row(&self, row: usize) -> &NodeRow {
        &self.rows[row]
    }

    /// The row that says what a node is at an instant, wherever it stands; of a node that is not there then, its first.
    pub(crate) fn row_at(&self, node: NodeIndex, at: i64) -> &NodeRow {
        let first = self.node_of_row.partition_point(|other| *other < node);
        let own = self.rows[first..].iter().zip(&self.node_of_row[first..]).take_while(|(_, other)| **other == node);
        let mut rows = own.map(|(row, _)| row);
        rows.find(|row| row.valid.contains(at)).unwrap_or(&self.rows[first])
    }

    /// Where a node stands at an instant, and for how long that answer holds; none while it does
    /// not hang below the root.
    pub(crate) fn stretch(&self, node: NodeIndex, at: i64) -> (Option<&Stretch>, Span) {
        holds_at(&self.stretches[node], at, |stretch| stretch.span)
    }

    /// The nodes right below a node at an instant, in the order of their names, and for how long that answer holds.
    pub(crate) fn children(&self, node: NodeIndex, at: i64) -> (Vec<NodeIndex>, Span) {
        let mut span = Span::ALWAYS;
        let mut found = Vec::new();
        for child in 0..self.names.len() {
            let (stretch, holds) = self.stretch(child, at);
            span = span.intersect(holds);
            let parent = stretch.and_then(|stretch| stretch.rows.iter().rev().nth(1));
            if parent.is_some_and(|row| self.node_of_row(*row) == node) {
                found.push(child);
            }
        }
        (found, span)
    }

    /// Whether a node ever stood below another.
    pub(crate) fn was_below(&self, node: NodeIndex, above: NodeIndex) -> bool {
        let is_there = |stretch: &Stretch| stretch.rows.iter().any(|row| self.node_of_row[*row] == above);
        node != above && self.stretches[node].iter().any(is_there)
    }

    /// The nodes from the root to a node at an instant.
    pub fn path(&self, node: NodeIndex, at: i64) -> Option<Vec<NodeIndex>> {
        let (stretch, _) = self.stretch(node, at);
        stretch.map(|found| found.rows.iter().map(|row| self.node_of_row[*row]).collect())
    }

    /// The text of a path: names joined by `/`, root first.
    pub fn path_text(&self, path: &[NodeIndex]) -> String {
        path.iter().map(|node| self.name(*node)).collect::<Vec<_>>().join("/")
    }
}
