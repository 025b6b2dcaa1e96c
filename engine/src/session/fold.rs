//! Rows that differ only above the caller are one row to it.
//!
//! Stored rows tell apart what happened on every edge of a path: a row of usage is cut where the terms of any edge change, and
//! roll-ups keep currencies, outcomes and rates of all positions. A caller that saw one row for each would learn from their number
//! when prices change that it does not know of, so its scan adds them up: amounts are summed, the first start and the last end
//! are kept, and everything else is the same in all of them.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::dataframe::DataFrame;
use datafusion::error::Result;
use datafusion::functions_aggregate::expr_fn::{max, min, sum};
use datafusion::functions_aggregate::sum::sum_udaf;
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::{Expr, ExprFunctionExt, WindowFunctionDefinition, cast, col, lit, when};

use crate::lake::{DataFile, FileList, LakeTable};
use crate::security::relations::{Column, continues_from};
use crate::security::scope::Scope;

/// What is added up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fold {
    /// Parts of rows of usage that were cut.
    Parts,
    /// Groups of a roll-up.
    Groups,
}

/// How the rows of a relation are read.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) files: FileList,
    /// Of these files only some rows: those of usage that was not cut, or was.
    pub(super) rows: Option<Expr>,
    pub(super) fold: Option<Fold>,
    /// What the rows may be shares of need not be shown to the caller.
    pub(super) has_shares: bool,
    /// The rows begin at their sellers.
    pub(super) begins_at_seller: bool,
}

/// Which files are read as they are, and which are folded for a scope or hold what it need not be shown.
/// `must_fold`: rows that differ in what is hidden from the caller are one to it, whatever their files say.
pub(super) fn readings(table: LakeTable, scope: &Scope, files: FileList, must_fold: bool) -> Vec<Reading> {
    if !files.iter().any(|file| file.begins_at_seller()) {
        return readings_alike(table, scope, files, must_fold);
    }
    let (own, others): (Vec<_>, Vec<_>) = files.iter().cloned().partition(|file| file.begins_at_seller());
    let own = readings_alike(table, scope, own.into(), must_fold);
    let own = own.into_iter().map(|reading| Reading { begins_at_seller: true, ..reading });
    readings_alike(table, scope, others.into(), must_fold).into_iter().chain(own).collect()
}

/// The readings of files whose rows all begin at the root, or all at their sellers.
fn readings_alike(table: LakeTable, scope: &Scope, files: FileList, must_fold: bool) -> Vec<Reading> {
    let position = scope.prefixes.iter().map(|(_, position)| *position).max().unwrap_or_default();
    if position == 0 || !matches!(table, LakeTable::Charges | LakeTable::ChargesDaily) {
        return folded(table, scope, position, files, must_fold);
    }
    // Rows of several files of a slice may be one to the caller, so a slice is read in one way.
    let sharing: HashSet<i64> = files.iter().filter(|file| file.has_shares()).map(|file| file.slice_id).collect();
    let (shares, others): (Vec<_>, Vec<_>) = files.iter().cloned().partition(|file| sharing.contains(&file.slice_id));
    let read = |files: Vec<_>, has_shares| {
        let readings =
            if files.is_empty() { Vec::new() } else { folded(table, scope, position, files.into(), must_fold) };
        readings.into_iter().map(move |reading| Reading { has_shares, ..reading })
    };
    read(others, false).chain(read(shares, true)).collect()
}

fn folded(table: LakeTable, scope: &Scope, position: usize, files: FileList, must_fold: bool) -> Vec<Reading> {
    let reading = |files, rows, fold| Reading { files, rows, fold, has_shares: false, begins_at_seller: false };
    let plain = |files| reading(files, None, None);
    let agree = |file: &DataFile| file.agreed_positions() >= position;
    match table {
        LakeTable::Usage | LakeTable::EdgesMonthly | LakeTable::ChargesByTerms => vec![plain(files)],
        _ if position == 0 => vec![plain(files)],
        LakeTable::Charges if files.iter().all(|file| agree(file)) => vec![plain(files)],
        LakeTable::Charges => {
            let whole = reading(Arc::clone(&files), Some(col("continues").is_null()), None);
            let parts = reading(files, Some(col("continues").is_not_null()), Some(Fold::Parts));
            vec![whole, parts]
        }
        LakeTable::ChargesDaily | LakeTable::ChargesMonthly => {
            // Slices differ in what everybody sees. Within one, rows of two files may be one, too.
            let is_alone = |file: &DataFile| files.iter().filter(|other| other.slice_id == file.slice_id).count() == 1;
            let (plain_files, folded): (Vec<_>, Vec<_>) = files
                .iter()
                .cloned()
                .partition(|file| !must_fold && scope.prefixes.len() == 1 && agree(file) && is_alone(file));
            let folded = reading(folded.into(), None, Some(Fold::Groups));
            [plain(plain_files.into()), folded].into_iter().filter(|reading| !reading.files.is_empty()).collect()
        }
    }
}

/// What becomes of a column when rows are added up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Same,
    Sum,
    First,
    Last,
    /// Of the line and the start of what was added up.
    Id,
}

fn part(column: &Column) -> Part {
    match column.field.name().as_str() {
        "charge_id" => Part::Id,
        "charge_period_start" => Part::First,
        "charge_period_end" => Part::Last,
        "usage_rows" => Part::Sum,
        _ if column.field.data_type().is_decimal() => Part::Sum,
        _ => Part::Same,
    }
}

/// What names a line, and so whose parts are added up; columns of `charges`.
const LINE: [&str; 5] = ["provider_name", "billing_account_id", "billing_period", "line_key", "line_no"];
const START: &str = "charge_period_start";
const CHAIN: &str = "chain";

impl Fold {
    /// Stored rows, with the number of the charge that each is part of.
    pub(super) fn numbered(self, scope: &Scope, stored: DataFrame) -> Result<DataFrame> {
        match self {
            Self::Parts => stored.window(vec![chain(scope)?]),
            Self::Groups => Ok(stored),
        }
    }

    /// The relation's columns of stored rows, and what tells rows apart that are added up. Of the filters only those on what is the
    /// same in all rows of a sum hold already.
    pub(super) fn shown(self, mut rows: DataFrame, columns: &[Column], filters: &[Expr]) -> Result<DataFrame> {
        for filter in filters.iter().filter(|filter| is_of_same(filter, columns)) {
            rows = rows.filter(over(filter, |name| value_of(name, columns))?)?;
        }
        let own = columns.iter().filter(|column| part(column) != Part::Id);
        let mut values: Vec<Expr> = own.map(|column| column.value.clone().alias(column.field.name())).collect();
        values.extend(self.keys(columns).into_iter().map(col));
        rows.select(values)
    }

    /// Adds rows up. The other filters hold for the sums.
    pub(super) fn added_up(self, rows: DataFrame, columns: &[Column], filters: &[Expr]) -> Result<DataFrame> {
        let name = |column: &Column| column.field.name().clone();
        let named = |wanted: Part| columns.iter().filter(move |column| part(column) == wanted).map(name);
        let (starts, mut groups): (Vec<_>, Vec<_>) = self.keys(columns).into_iter().partition(|key| *key == START);
        let same: Vec<String> = named(Part::Same).collect();
        groups.extend(same.iter().map(String::as_str));
        let mut sums: Vec<Expr> = named(Part::Sum).map(|name| sum(col(&name)).alias(name)).collect();
        sums.extend(named(Part::First).chain(starts.into_iter().map(str::to_owned)).map(|n| min(col(&n)).alias(n)));
        sums.extend(named(Part::Last).map(|name| max(col(&name)).alias(name)));
        let shown = columns.iter().map(|column| match part(column) {
            Part::Id => column.value.clone().alias(name(column)),
            Part::Sum => cast(col(name(column)), column.field.data_type().clone()).alias(name(column)),
            Part::Same | Part::First | Part::Last => col(name(column)),
        });
        let mut rows =
            rows.aggregate(groups.into_iter().map(col).collect(), sums)?.select(shown.collect::<Vec<_>>())?;
        for filter in filters.iter().filter(|filter| !is_of_same(filter, columns)) {
            rows = rows.filter(over(filter, |name| Some(col(name)))?)?;
        }
        Ok(rows)
    }

    /// What tells rows apart, beside the relation's columns.
    fn keys(self, columns: &[Column]) -> Vec<&'static str> {
        let is_shown = |name: &str| columns.iter().any(|column| column.field.name() == name);
        match self {
            Self::Parts => LINE.into_iter().chain([START, CHAIN]).filter(|name| !is_shown(name)).collect(),
            Self::Groups => Vec::new(),
        }
    }
}

fn is_of_same(filter: &Expr, columns: &[Column]) -> bool {
    let is_same = |name: &str| columns.iter().any(|c| c.field.name() == name && part(c) == Part::Same);
    filter.column_refs().iter().all(|column| is_same(column.name()))
}

/// What a column of the relation is made of.
pub(super) fn value_of(name: &str, columns: &[Column]) -> Option<Expr> {
    columns.iter().find(|column| column.field.name() == name).map(|column| column.value.clone())
}

/// Numbers the parts of each line so that those which are one to the caller have one number.
fn chain(scope: &Scope) -> Result<Expr> {
    let continues = col("continues").gt_eq(continues_from(scope));
    let begins = when(continues, lit(0_i64)).otherwise(lit(1_i64))?;
    let running = WindowFunction::new(WindowFunctionDefinition::AggregateUDF(sum_udaf()), vec![begins]);
    let chain = Expr::from(running)
        .partition_by(LINE.map(col).to_vec())
        .order_by(vec![col("portion").sort(true, false)])
        .build()?;
    Ok(chain.alias(CHAIN))
}

/// The filter with other expressions for its columns.
pub(super) fn over(filter: &Expr, value: impl Fn(&str) -> Option<Expr>) -> Result<Expr> {
    let replaced = filter.clone().transform(|expr| match &expr {
        Expr::Column(column) => match value(column.name()) {
            Some(value) => Ok(Transformed::yes(value)),
            None => datafusion::common::plan_err!("the relation has no column {}", column.name()),
        },
        _ => Ok(Transformed::no(expr)),
    })?;
    Ok(replaced.data)
}
