//! Plans the scoped scans of lake relations in the warehouse's private context.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::dataframe::DataFrame;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, col, lit};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::scalar::ScalarValue;

use super::fold::{Fold, Reading, over, readings, value_of};
use super::moment::{Moment, Shared};
use crate::lake::{FileList, LakeTable};
use crate::rating::{TagKeys, VirtualTags, tags_of};
use crate::security::relations::{Caller, Column, Edge, edge_filter, edges, row_filter, schema_of};
use crate::security::scan::ScopedSource;

/// What a lake relation shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// The caller's own cost and price of each row.
    Own(LakeTable),
    /// One row for each edge that the caller sees.
    Tiers(LakeTable),
    /// What charges are explained from; no relation of a session.
    Explained,
    /// What the caller and those below it bill, charge by charge; what restatements are found in, no relation of a session.
    Billed,
    /// The edges of every month as they are stored; the root's.
    Edges,
    /// What providers said, as it is; the root's.
    Provider,
}

/// A lake relation of one session.
#[derive(Debug)]
pub(crate) struct LakeSource {
    shared: Arc<Shared>,
    caller: Caller,
    shape: Shape,
}

impl LakeSource {
    pub(crate) fn new(shared: Arc<Shared>, caller: Caller, shape: Shape) -> Self {
        Self { shared, caller, shape }
    }

    /// The relation's columns.
    pub(crate) fn columns(&self) -> Vec<Column> {
        match self.shape {
            Shape::Own(_) | Shape::Explained => self.own_columns(false, &Tags::default()).unwrap_or_default(),
            Shape::Tiers(table) => {
                let edge = Edge { prefix: "", caller: 0, depth: 0, undisclosed: &[], invoicing: &[] };
                self.caller.tier(&edge, table == LakeTable::ChargesMonthly)
            }
            Shape::Billed => {
                let edge = Edge { prefix: "", caller: 0, depth: 1, undisclosed: &[], invoicing: &[] };
                self.caller.billed(&edge, false)
            }
            Shape::Edges => edges(&[], &[]),
            Shape::Provider => crate::security::relations::usage(),
        }
    }

    /// The columns of the caller's own rows; none where the relation is of edges or of what providers said.
    fn own_columns(&self, has_shares: bool, tags: &Tags) -> Option<Vec<Column>> {
        match self.shape {
            Shape::Own(table) => {
                let mut columns = self.caller.own(table, has_shares);
                if let Some(keys) = &tags.keys
                    && let Some(column) = columns.iter_mut().find(|column| column.field.name() == "rule_tags")
                {
                    column.value = tags_of(keys.clone()).call(vec![column.value.clone()]);
                }
                add_virtual(&mut columns, &tags.made);
                Some(columns)
            }
            Shape::Explained => Some(self.caller.explained(has_shares)),
            Shape::Tiers(_) | Shape::Billed | Shape::Edges | Shape::Provider => None,
        }
    }

    /// The columns of one edge of a relation of edges.
    fn edge_columns(&self, edge: &Edge<'_>, has_shares: bool) -> Vec<Column> {
        match self.shape {
            Shape::Billed => self.caller.billed(edge, has_shares),
            _ => self.caller.tier(edge, self.table() == LakeTable::ChargesMonthly),
        }
    }

    fn table(&self) -> LakeTable {
        match self.shape {
            Shape::Own(table) | Shape::Tiers(table) => table,
            Shape::Explained | Shape::Billed => LakeTable::Charges,
            Shape::Edges => LakeTable::EdgesMonthly,
            Shape::Provider => LakeTable::Usage,
        }
    }

    /// Only files of the root's children under which the caller's rows can be.
    fn files(&self, moment: &Moment) -> Result<FileList> {
        let children = moment.scope.children();
        self.shared
            .core
            .files(self.table(), moment.snapshot, |file| {
                children.as_ref().is_none_or(|children| children.contains(file.child.as_str()))
            })
            .map_err(|error| DataFusionError::External(Box::new(error.shown())))
    }

    /// Sellers whose sales nobody above them sees: nothing is withheld from the warehouse's own sessions.
    fn undisclosed<'a>(&self, moment: &'a Moment) -> Vec<&'a str> {
        match self.shared.fixed {
            Some(_) => Vec::new(),
            None => moment.tree.undisclosed().into_iter().collect(),
        }
    }

    /// The keys of tags that the caller may know a roll-up to keep, where it keeps others as well: those of its own sales, of the sales
    /// that it sees, and of its policies and those of nodes below.
    fn tag_keys(&self, moment: &Moment, files: &FileList) -> Result<Option<TagKeys>> {
        let is_told = moment.scope.is_root || self.table() != LakeTable::ChargesDaily;
        if is_told || !files.iter().any(|file| file.has_rule_tags()) {
            return Ok(None);
        }
        let book = self.shared.core.book(moment.snapshot);
        let book = book.map_err(|error| DataFusionError::External(Box::new(error.shown())))?;
        let now = super::write::now();
        let own = moment.scope.node_id.as_str();
        let is_below = |owner: &str| moment.tree.is_within_now(owner, own, &now);
        let keys = book.tag_keys_of(
            |seller| moment.shows_sales_of(seller, &now),
            is_below,
            |owner, discloses| is_below(owner) || discloses && moment.tree.is_within_now(own, owner, &now),
        );
        Ok(Some(keys))
    }

    /// The virtual tags that the caller reads: its own, and what nodes that stand above it now disclose.
    fn virtual_tags(&self, moment: &Moment) -> Result<VirtualTags> {
        if !matches!(self.shape, Shape::Own(LakeTable::Charges | LakeTable::ChargesDaily)) {
            return Ok(VirtualTags::default());
        }
        let rules = self.shared.core.virtual_tags(moment.snapshot);
        let rules = rules.map_err(|error| DataFusionError::External(Box::new(error.shown())))?;
        if rules.is_empty() {
            return Ok(VirtualTags::default());
        }
        let (now, own) = (super::write::now(), moment.scope.node_id.as_str());
        let mut above: Vec<&str> = rules.disclosing().collect();
        above.sort_unstable();
        above.dedup();
        above.retain(|owner| *owner != own && moment.tree.is_within_now(own, owner, &now));
        // The nearest has the most of them above itself.
        let height = |owner: &str| above.iter().filter(|other| moment.tree.is_within_now(owner, other, &now)).count();
        let mut nearest_first = above.clone();
        nearest_first.sort_by_key(|owner| std::cmp::Reverse(height(owner)));
        let tags = rules.of_reader(own, &nearest_first);
        Ok(if self.table() == LakeTable::Charges { tags } else { tags.of_rollups() })
    }

    /// What the relation is read from: each part is a union of branches.
    fn parts(&self, moment: &Moment, files: FileList) -> Result<Vec<Part>> {
        let table = self.table();
        let scan = |files: FileList| self.shared.core.private.read_table(self.shared.core.scan(table, files));
        let invoicing: Vec<&str> = moment.tree.invoicing().into_iter().collect();
        if matches!(self.shape, Shape::Provider) {
            return Ok(vec![(None, vec![Branch { rows: scan(files)?, columns: self.columns() }])]);
        }
        let undisclosed = self.undisclosed(moment);
        if matches!(self.shape, Shape::Edges) {
            let rows = kept(scan(files)?, edge_filter(&undisclosed))?;
            let secret = moment.tree.buyers_of(&undisclosed);
            return Ok(vec![(None, vec![Branch { rows, columns: edges(&invoicing, &secret) }])]);
        }
        let mut parts = Vec::new();
        let tags = Tags { keys: self.tag_keys(moment, &files)?, made: self.virtual_tags(moment)? };
        // Rows that differ in tags only, which are made alike, are one row.
        let must_fold = tags.keys.is_some() || !tags.made.is_empty();
        for reading in readings(table, &moment.scope, files, must_fold) {
            let Reading { files, rows, fold, has_shares, begins_at_seller } = reading;
            let rows = kept(kept(scan(files)?, rows)?, row_filter(&moment.scope, begins_at_seller))?;
            let rows = match fold {
                Some(fold) => fold.numbered(&moment.scope, rows)?,
                None => rows,
            };
            let mut branches = Vec::new();
            if let Some(columns) = self.own_columns(has_shares, &tags) {
                branches.push(Branch { rows, columns });
            } else {
                let is_billed = matches!(self.shape, Shape::Billed);
                for (prefix, caller) in &moment.scope.prefixes {
                    // What the caller pays is its seller's to bill.
                    for depth in *caller + usize::from(is_billed)..=moment.tree.deepest() {
                        let edge =
                            Edge { prefix, caller: *caller, depth, undisclosed: &undisclosed, invoicing: &invoicing };
                        let mut rows = rows.clone().filter(self.caller.tier_filter(&edge, begins_at_seller))?;
                        if is_billed {
                            rows = rows.filter(col(format!("outcome_{depth}")).eq(lit("billed")))?;
                        }
                        branches.push(Branch { rows, columns: self.edge_columns(&edge, has_shares) });
                    }
                }
            }
            parts.push((fold, branches));
        }
        Ok(parts)
    }
}

/// Branches of one relation, and how their rows are added up.
type Part = (Option<Fold>, Vec<Branch>);

/// What a caller is shown of tags.
#[derive(Debug, Default)]
struct Tags {
    /// Those of a roll-up with these keys only, unless all.
    keys: Option<TagKeys>,
    /// Those that rules make.
    made: VirtualTags,
}

/// Adds virtual tags to the tags of charges or of a roll-up, made of what the other columns show.
fn add_virtual(columns: &mut [Column], tags: &VirtualTags) {
    let at = |name: &str| columns.iter().position(|column| column.field.name() == name);
    let Some(place) = at("tags").or_else(|| at("rule_tags")).filter(|_| !tags.is_empty()) else { return };
    let none = || lit(ScalarValue::Utf8View(None));
    let shown = |name: &str| at(name).map_or_else(none, |at| columns[at].value.clone());
    let names = ["provider_name", "billing_account_id", "sub_account_id", "service_name", "resource_id"];
    let mut seen = vec![columns[place].value.clone()];
    seen.extend(names.map(shown));
    seen.push(shown("billing_period"));
    columns[place].value = tags.clone().function().call(seen);
}

fn kept(rows: DataFrame, filter: Option<Expr>) -> Result<DataFrame> {
    match filter {
        Some(filter) => rows.filter(filter),
        None => Ok(rows),
    }
}

/// Stored rows, and what the relation's columns are made of in them.
struct Branch {
    rows: DataFrame,
    columns: Vec<Column>,
}

/// Those of the columns that are at these places.
fn projected<'a>(columns: &'a [Column], projection: Option<&[usize]>) -> Vec<&'a Column> {
    match projection {
        Some(places) => places.iter().filter_map(|place| columns.get(*place)).collect(),
        None => columns.iter().collect(),
    }
}

impl Branch {
    /// The columns at these places of the relation, of the rows for which all filters on its columns are true.
    fn select(self, projection: Option<&[usize]>, filters: &[Expr]) -> Result<DataFrame> {
        let mut rows = self.rows;
        for filter in filters {
            rows = rows.filter(over(filter, |name| value_of(name, &self.columns))?)?;
        }
        let shown = |column: &Column| column.value.clone().alias(column.field.name());
        rows.select(projected(&self.columns, projection).into_iter().map(shown).collect::<Vec<_>>())
    }
}

fn union(frames: impl Iterator<Item = Result<DataFrame>>) -> Result<Option<DataFrame>> {
    let mut all: Option<DataFrame> = None;
    for frame in frames {
        all = Some(match all {
            Some(above) => above.union(frame?)?,
            None => frame?,
        });
    }
    Ok(all)
}

/// The rows of all parts; none where there are no parts.
fn united(
    parts: Vec<Part>,
    projection: Option<&[usize]>,
    filters: &[Expr],
    limit: Option<usize>,
) -> Result<Option<DataFrame>> {
    let limited = |rows: DataFrame| match limit {
        Some(_) => rows.limit(0, limit),
        None => Ok(rows),
    };
    union(parts.into_iter().filter_map(|(fold, branches)| match fold {
        None => union(branches.into_iter().map(|branch| limited(branch.select(projection, filters)?))).transpose(),
        Some(fold) => {
            let columns = branches.first()?.columns.clone();
            let rows = union(branches.into_iter().map(|branch| fold.shown(branch.rows, &branch.columns, filters)));
            let folded = rows.transpose()?.and_then(|rows| {
                let rows = fold.added_up(rows, &columns, filters)?;
                let shown = projected(&columns, projection).into_iter().map(|column| col(column.field.name()));
                limited(rows.select(shown.collect::<Vec<_>>())?)
            });
            Some(folded)
        }
    }))
}

impl LakeSource {
    /// The relation's rows in these files, whatever the moment's snapshot lists; none where the caller has no place in the tree.
    pub(super) fn rows_of(&self, moment: &Moment, files: FileList) -> Result<Option<DataFrame>> {
        united(self.parts(moment, files)?, None, &[], None)
    }
}

#[async_trait]
impl ScopedSource for LakeSource {
    async fn plan(
        &self,
        projection: Option<&[usize]>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<(Arc<dyn ExecutionPlan>, Arc<TaskContext>)> {
        let moment = self.shared.moment();
        let rows = united(self.parts(&moment, self.files(&moment)?)?, projection, filters, limit)?;
        let private = &self.shared.core.private;
        let rows = match rows {
            Some(rows) => rows,
            None => {
                // No place in the tree: the relation with no rows.
                let schema = schema_of(&self.columns());
                let schema = match projection {
                    Some(projection) => Arc::new(schema.project(projection)?),
                    None => schema,
                };
                let empty = datafusion::datasource::empty::EmptyTable::new(schema);
                let plan = LogicalPlanBuilder::scan(
                    "nothing",
                    datafusion::datasource::provider_as_source(Arc::new(empty)),
                    None,
                )?
                .filter(lit(true))?
                .build()?;
                private.execute_logical_plan(plan).await?
            }
        };
        let context = rows.task_ctx();
        Ok((rows.create_physical_plan().await?, Arc::new(context)))
    }
}
