//! What charges of issued invoices changed by: `proposed_adjustments`.
//!
//! Of the charges that an invoice was made of and those of now only files are read that are not in both: a slice whose charges changed
//! has other files. Charges that are the same in both take each other out, and what is left is added up by what it is a charge of:
//! a provider that corrects a line sends another line, which is another charge of the same thing.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringViewArray};
use arrow::datatypes::{DataType, SchemaRef};
use async_trait::async_trait;
use datafusion::common::JoinType;
use datafusion::dataframe::DataFrame;
use datafusion::datasource::MemTable;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{FunctionRegistry, TaskContext};
use datafusion::functions_aggregate::expr_fn::{max, min};
use datafusion::logical_expr::{Expr, case, cast, col, lit, when};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::scalar::ScalarValue;

use super::fold::over;
use super::lake_source::{LakeSource, Shape};
use super::moment::{Moment, Shared};
use super::relation_catalog::caller_of;
use super::row_source::Parties;
use crate::billing::{Billed, BillingPeriod, billed};
use crate::catalog::{SnapshotId, Value};
use crate::error::Error;
use crate::lake::schema;
use crate::lake::{FileList, LakeTable};
use crate::security::relations::{PG_SCALE, commented};
use crate::security::scan::ScopedSource;

/// What a charge is of: what a corrected line has in common with the one before it.
const OF: [&str; 18] = [
    "billing_period",
    "seller_node_id",
    "buyer_node_id",
    "invoice_number",
    "currency",
    "node_id",
    "origin",
    "provider_name",
    "billing_account_id",
    "sub_account_id",
    "service_name",
    "sku_id",
    "region_id",
    "resource_id",
    "charge_category",
    "charge_class",
    "charge_period_start",
    "charge_period_end",
];

/// Texts of a charge that a corrected line may say otherwise.
const SAID: [&str; 2] = ["description", "unit"];

/// The relation's columns with their comments.
const COLUMNS: [(&str, &str); 26] = [
    ("billing_period", "First day of the billing period of the invoice."),
    ("seller_node_id", "Who issued the invoice."),
    ("buyer_node_id", "Who got it."),
    ("invoice_number", "The invoice."),
    ("currency", "Currency of billed, charged and difference."),
    ("change", "new, gone or changed since it was billed."),
    ("billed", "What the buyer was billed for it, unrounded, by the invoice and what corrected it since."),
    ("charged", "What the buyer is charged for it now, unrounded."),
    ("difference", "charged - billed: what is proposed."),
    ("node_id", "The node that owns the usage."),
    ("origin", "usage, licence, labour, fee, minimum, shortfall, credit or adjustment."),
    ("provider_name", "The provider."),
    ("billing_account_id", "The provider's billing account."),
    ("sub_account_id", "The provider's sub account."),
    ("service_name", "The provider's service."),
    ("sku_id", "The provider's SKU."),
    ("region_id", "The provider's region."),
    ("resource_id", "The provider's resource."),
    ("charge_category", "Usage, Purchase, Tax, Credit or Adjustment."),
    ("charge_class", "Correction, or null."),
    ("description", "What the provider calls the charge."),
    ("unit", "Pricing unit."),
    ("charge_period_start", "From this instant (inclusive), UTC."),
    ("charge_period_end", "Until this instant (exclusive), UTC."),
    (
        "billed_charge_id",
        "The charge as it was billed, where it is one; charges has it at the snapshot of the invoice.",
    ),
    ("charge_id", "The charge as it is, where it is one."),
];

/// The relation's schema.
pub(super) fn schema() -> SchemaRef {
    let field = |(name, comment): &(&str, &str)| match *name {
        "billing_period" => commented(name, DataType::Date32, comment),
        "charge_period_start" | "charge_period_end" => commented(name, schema::instant(), comment),
        "billed" | "charged" | "difference" => {
            let field = commented(name, schema::money(), comment);
            let mut metadata = field.metadata().clone();
            metadata.insert(PG_SCALE.to_owned(), "trim:2".to_owned());
            field.with_metadata(metadata)
        }
        _ => commented(name, DataType::Utf8View, comment),
    };
    Arc::new(arrow::datatypes::Schema::new(COLUMNS.iter().map(field).collect::<Vec<_>>()))
}

/// `proposed_adjustments` of one session: the caller's sales, and those below it that it sees.
#[derive(Debug)]
pub(super) struct Restated(Arc<Shared>);

/// Invoices of one period whose billed charges are those of one snapshot.
type Groups = BTreeMap<(i32, SnapshotId), Vec<Billed>>;

impl Restated {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self(shared)
    }

    /// The issued invoices whose seller the caller is, or whose sales it sees.
    fn groups(&self, moment: &Moment) -> Result<Groups, Error> {
        let mut groups = Groups::new();
        let now = super::write::now();
        // Of a document the buyer may know as well; of what is proposed it does not.
        let seller_only = Parties { seller: 0, buyer: 0, period: Some(1) };
        for invoice in self.0.core.catalog.read(|tx| billed(tx, moment.snapshot))? {
            let row: [Value; 2] = [invoice.seller.as_str().into(), invoice.period.as_str().into()];
            if self.0.fixed.is_some() || super::scope_rows::is_party(seller_only, &row, moment, &now) {
                let period: BillingPeriod = invoice.period.parse().map_err(crate::billing::BillingError::from)?;
                groups.entry((period.first_day_number(), invoice.charges)).or_default().push(invoice);
            }
        }
        Ok(groups)
    }

    /// The files of a period's charges that only one of two snapshots lists: of the first, of the second.
    fn changed(&self, moment: &Moment, period: i32, since: SnapshotId) -> Result<(FileList, FileList), Error> {
        let children = moment.scope.children();
        let files = |snapshot| {
            self.0.core.files(LakeTable::Charges, snapshot, |file| {
                file.billing_period == period
                    && children.as_ref().is_none_or(|children| children.contains(file.child.as_str()))
            })
        };
        let (before, now) = (files(since)?, files(moment.snapshot)?);
        let without = |files: &FileList, others: &FileList| -> FileList {
            let others: HashSet<i64> = others.iter().map(|file| file.id).collect();
            files.iter().filter(|file| !others.contains(&file.id)).cloned().collect()
        };
        Ok((without(&before, &now), without(&now, &before)))
    }

    /// What these invoices bill by these files.
    fn side(
        &self,
        moment: &Moment,
        invoices: &[Billed],
        (files, is_now): (FileList, bool),
    ) -> Result<Option<DataFrame>> {
        let source = LakeSource::new(Arc::clone(&self.0), caller_of(&self.0), Shape::Billed);
        let Some(charges) = source.rows_of(moment, files)? else { return Ok(None) };
        let edges = ["seller", "buyer", "money"];
        let rows = charges.join(
            self.invoices(invoices)?,
            JoinType::Inner,
            &["seller_node_id", "payer_node_id", "currency"],
            &edges,
            None,
        )?;
        let zero = || lit(ScalarValue::Decimal128(Some(0), schema::MONEY_PRECISION, schema::MONEY_SCALE));
        let (billed, charged) = if is_now { (zero(), col("amount")) } else { (col("amount"), zero()) };
        let mut shown: Vec<Expr> = Vec::new();
        for name in OF.into_iter().chain(SAID).chain(["charge_id"]) {
            let value = if name == "buyer_node_id" { "payer_node_id" } else { name };
            shown.push(cast(col(value), type_of(name)).alias(name));
        }
        shown.extend([billed.alias("billed"), charged.alias("charged")]);
        shown.extend([lit(i32::from(!is_now)).alias("before"), lit(i32::from(is_now)).alias("now")]);
        rows.select(shown).map(Some)
    }

    /// Invoices as rows.
    fn invoices(&self, invoices: &[Billed]) -> Result<DataFrame> {
        let texts = |of: fn(&Billed) -> &String| -> ArrayRef {
            Arc::new(StringViewArray::from_iter_values(invoices.iter().map(of)))
        };
        let batch = RecordBatch::try_from_iter([
            ("seller", texts(|invoice| &invoice.seller)),
            ("buyer", texts(|invoice| &invoice.buyer)),
            ("money", texts(|invoice| &invoice.currency)),
            ("invoice_number", texts(|invoice| &invoice.number)),
        ])?;
        let table = MemTable::try_new(batch.schema(), vec![vec![batch]])?;
        self.0.core.private.read_table(Arc::new(table))
    }

    /// The relation's rows; none where nothing changed.
    fn rows(&self, moment: &Moment) -> Result<Option<DataFrame>> {
        let shown = |error: Error| DataFusionError::External(Box::new(error.shown()));
        let mut all: Option<DataFrame> = None;
        for ((period, snapshot), invoices) in self.groups(moment).map_err(shown)? {
            let (before, now) = self.changed(moment, period, snapshot).map_err(shown)?;
            for side in [(before, false), (now, true)] {
                if side.0.is_empty() {
                    continue;
                }
                if let Some(rows) = self.side(moment, &invoices, side)? {
                    all = Some(match all {
                        Some(above) => above.union(rows)?,
                        None => rows,
                    });
                }
            }
        }
        all.map(|rows| self.differences(rows)).transpose()
    }

    /// Adds charges up: first each with itself, then those that are left by what they are charges of.
    fn differences(&self, rows: DataFrame) -> Result<DataFrame> {
        let state = self.0.core.private.state();
        let sum = state.udaf("sum")?;
        let total = |name: &str| sum.call(vec![col(name)]).alias(name);
        let most = |name: &str| max(col(name)).alias(name);
        let of = || OF.into_iter().map(col);
        let amounts = || [total("billed"), total("charged")];
        let differs = || col("billed").not_eq(col("charged"));
        let once = [most("before"), most("now")];
        let once = amounts().into_iter().chain(once).chain(SAID.map(most)).collect();
        let charges = rows.aggregate(of().chain([col("charge_id")]).collect(), once)?.filter(differs())?;
        let id = |which: &str, name: &str| -> Result<Expr> {
            Ok(min(when(col(which).gt(lit(0_i32)), col("charge_id")).end()?).alias(name))
        };
        let ids = [id("before", "first_before")?, id("now", "first_now")?];
        let counts = [total("before"), total("now")];
        let sums = amounts().into_iter().chain(counts).chain(SAID.map(most)).chain(ids).collect();
        let things = charges.aggregate(of().collect(), sums)?.filter(differs())?;
        let change = when(col("now").eq(lit(0_i64)), lit("gone"))
            .when(col("before").eq(lit(0_i64)), lit("new"))
            .otherwise(lit("changed"))?;
        let only = |count: &str, id: &str| case(col(count)).when(lit(1_i64), col(id)).end();
        let value = |name: &str| -> Result<Expr> {
            Ok(match name {
                "change" => change.clone(),
                "difference" => col("charged") - col("billed"),
                "billed_charge_id" => only("before", "first_before")?,
                "charge_id" => only("now", "first_now")?,
                other => col(other),
            })
        };
        let shown = COLUMNS.map(|(name, _)| -> Result<Expr> { Ok(cast(value(name)?, type_of(name)).alias(name)) });
        things.select(shown.into_iter().collect::<Result<Vec<_>>>()?)
    }
}

fn type_of(name: &str) -> DataType {
    match name {
        "billing_period" => DataType::Date32,
        "charge_period_start" | "charge_period_end" => schema::instant(),
        "billed" | "charged" | "difference" => schema::money(),
        _ => DataType::Utf8View,
    }
}

#[async_trait]
impl ScopedSource for Restated {
    /// The rows are sorted.
    fn partitions(&self, _threads: usize) -> usize {
        1
    }

    async fn plan(
        &self,
        projection: Option<&[usize]>,
        filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<(Arc<dyn ExecutionPlan>, Arc<TaskContext>)> {
        let moment = self.0.moment();
        let mut rows = match self.rows(&moment)? {
            Some(rows) => rows,
            None => {
                let empty = datafusion::datasource::empty::EmptyTable::new(schema());
                self.0.core.private.read_table(Arc::new(empty))?
            }
        };
        for filter in filters {
            rows = rows.filter(over(filter, |name| Some(col(name)))?)?;
        }
        let names = COLUMNS.map(|(name, _)| name);
        let shown: Vec<Expr> = match projection {
            Some(places) => places.iter().filter_map(|place| names.get(*place)).map(|name| col(*name)).collect(),
            None => names.map(col).to_vec(),
        };
        // Rows come in an order that does not tell of others.
        let rows = rows.sort(OF.map(|name| col(name).sort(true, true)).to_vec())?.select(shown)?;
        let context = rows.task_ctx();
        Ok((rows.create_physical_plan().await?, Arc::new(context)))
    }
}
