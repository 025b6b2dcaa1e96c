//! From a row to its lines and its charges.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::logical_expr::{Expr, col, lit};
use datafusion::physical_plan::{ExecutionPlan, collect};
use datafusion::scalar::ScalarValue;
use ratehouse_udfs::decimal::parse_decimal;
use serde_json::Value as Json;

use super::arguments::Asked;
use super::columns::Row;
use super::recorded::{Recorded, Rejected, Replaced};
use crate::catalog::CatalogError;
use crate::lake::schema::MAX_POSITIONS;
use crate::security::relations::schema_of;
use crate::security::scan::ScopedSource;
use crate::session::explain_charge::charge::Charge;
use crate::session::explain_charge::edges::{Edge, Edges, columns_of};
use crate::session::explain_charge::{Explaining, LINE};
use crate::session::lake_source::{LakeSource, Shape};
use crate::session::moment::Shared;
use crate::session::relation_catalog::caller_of;

/// The columns of usage that a line is told by.
const LINES: [&str; 21] = [
    "source_file",
    "billing_period",
    "charge_period_start",
    "charge_period_end",
    "provider_name",
    "service_name",
    "sku_id",
    "region_id",
    "pricing_quantity",
    "pricing_unit",
    "billed_cost",
    "billing_currency",
    "billing_account_id",
    "sub_account_id",
    "resource_id",
    "charge_category",
    "charge_class",
    "effective_cost",
    "list_cost",
    "commitment_discount_id",
    "commitment_discount_status",
];
/// Those of them that are its details.
const LINE_DETAILS: usize = 12;

/// The columns of charges that their edges are told with.
const CHARGES: [&str; 14] = [
    "source_file",
    "charge_id",
    "billing_period",
    "charge_period_start",
    "charge_period_end",
    "node_id",
    "node_path",
    "provider_name",
    "fate",
    "pool_id",
    "driver",
    "quantity",
    "unit",
    "charge_category",
];
/// Those of them that are details of what the root pays.
const CHARGE_DETAILS: usize = 9;

/// A scan that is ready to run.
struct Scan {
    plan: Arc<dyn ExecutionPlan>,
    context: Arc<TaskContext>,
    names: SchemaRef,
}

impl Scan {
    /// The rows that were asked for, in these columns of a relation.
    async fn plan(
        shared: &Arc<Shared>,
        (shape, columns): (Shape, &[String]),
        (asked, periods): (Asked, &[i32]),
    ) -> Result<Self> {
        let source = LakeSource::new(Arc::clone(shared), caller_of(shared), shape);
        let all = schema_of(&source.columns());
        let read = columns.iter().map(|name| Ok(all.index_of(name)?)).collect::<Result<Vec<_>>>()?;
        let of_period = |day: &i32| col("billing_period").eq(lit(ScalarValue::Date32(Some(*day))));
        let of_periods = periods.iter().map(of_period).reduce(Expr::or).unwrap_or_else(|| lit(false));
        let wanted = [asked.filter(), of_periods];
        let (plan, context) = source.plan(Some(&read), &wanted, None).await?;
        Ok(Self { plan, context, names: Arc::new(all.project(&read)?) })
    }

    /// Runs it; a row of a file makes few rows.
    async fn run(&self) -> Result<Vec<RecordBatch>> {
        let batches = collect(Arc::clone(&self.plan), Arc::clone(&self.context)).await?;
        // The scan names its columns in its own way, in this order.
        let named = |rows: RecordBatch| Ok(RecordBatch::try_new(Arc::clone(&self.names), rows.columns().to_vec())?);
        batches.into_iter().map(named).collect()
    }
}

/// A row that is followed.
pub(super) struct Following {
    asked: Asked,
    explaining: Explaining,
    /// None where there is no such delivery.
    found: Option<(Recorded, Scan, Scan)>,
}

impl Following {
    /// Finds the delivery and plans the scans of the periods that it had rows of.
    pub(super) async fn plan(shared: &Arc<Shared>, asked: Asked) -> Result<Self> {
        let snapshot = shared.moment().snapshot;
        let recorded = shared.core.catalog.read::<_, CatalogError>(|tx| Recorded::read(tx, snapshot, asked));
        let recorded =
            recorded.map_err(|error| DataFusionError::External(Box::new(crate::error::Error::from(error).shown())))?;
        let found = match recorded {
            None => None,
            Some(recorded) => {
                let rows = (asked, recorded.periods.as_slice());
                let lines = LINES.map(str::to_owned);
                let charges: Vec<String> =
                    CHARGES.map(str::to_owned).into_iter().chain((0..MAX_POSITIONS).flat_map(columns_of)).collect();
                let lines = Scan::plan(shared, (Shape::Provider, &lines), rows).await?;
                let charges = Scan::plan(shared, (Shape::Explained, &charges), rows).await?;
                Some((recorded, lines, charges))
            }
        };
        let names = found.as_ref().map(|(_, _, charges)| Arc::clone(&charges.names));
        let names = names.unwrap_or_else(|| Arc::new(arrow::datatypes::Schema::empty()));
        Ok(Self { asked, explaining: Explaining::of(shared, names), found })
    }

    /// What became of the row, in order.
    pub(super) async fn rows(&self) -> Result<Vec<Row>> {
        let Some((recorded, lines, charges)) = &self.found else { return Ok(Vec::new()) };
        let mut rows = Vec::new();
        for batch in lines.run().await? {
            rows.extend((0..batch.num_rows()).map(|row| line(Charge::new(&batch, row))));
        }
        let has_line = !rows.is_empty();
        rows.extend(recorded.rejected.iter().map(rejected));
        let charges = self.charges(&charges.run().await?)?;
        if rows.is_empty() && charges.is_empty() {
            rows.extend(superseded(recorded));
        }
        rows.sort_by_key(|row| row.source_file);
        if has_line && charges.is_empty() {
            rows.push(uncharged(&recorded.role));
        }
        rows.extend(charges);
        for (number, row) in (1..).zip(&mut rows) {
            row.number = number;
            (row.delivery_id, row.source_row) = (self.asked.delivery_id, self.asked.source_row);
        }
        Ok(rows)
    }

    /// The edges of the charges, those of a charge together.
    fn charges(&self, batches: &[RecordBatch]) -> Result<Vec<Row>> {
        let mut charges = Vec::new();
        for batch in batches {
            let edges = Edges::of(batch, &self.explaining.sight)?;
            for row in 0..batch.num_rows() {
                let charge = Charge::new(batch, row);
                let key = (charge.part(), charge.instant("charge_period_start"), charge.owned("node_path"));
                let rows: Vec<Row> = edges.of_charge(row).map(|edge| charged(charge, &edge)).collect();
                charges.push((key, charge.owned("charge_id"), rows));
            }
        }
        charges.sort_by(|(a, one, _), (b, other, _)| (a, one).cmp(&(b, other)));
        Ok(charges.into_iter().flat_map(|(_, _, rows)| rows).collect())
    }
}

fn shown(details: serde_json::Map<String, Json>) -> Option<String> {
    (!details.is_empty()).then(|| Json::Object(details).to_string())
}

/// What the provider billed.
fn line(line: Charge<'_>) -> Row {
    Row {
        kind: "line",
        source_file: line.part(),
        billing_period: line.day("billing_period"),
        start: line.instant("charge_period_start"),
        end: line.instant("charge_period_end"),
        description: line.described(&LINE, ("pricing_quantity", "pricing_unit")),
        amount: line.money("billed_cost"),
        currency: line.owned("billing_currency"),
        details: shown(line.details(&LINES[LINE_DETAILS..])),
        ..Row::default()
    }
}

/// One edge of a charge.
fn charged(charge: Charge<'_>, edge: &Edge<'_>) -> Row {
    let is_roots = edge.place == 0;
    Row {
        kind: if is_roots { "purchase" } else { "sale" },
        source_file: charge.part(),
        charge_id: charge.owned("charge_id"),
        billing_period: charge.day("billing_period"),
        start: charge.instant("charge_period_start"),
        end: charge.instant("charge_period_end"),
        node_id: charge.owned("node_id"),
        fate: charge.owned("fate"),
        depth: i32::try_from(edge.place).ok(),
        seller: edge.seller.map(str::to_owned),
        buyer: Some(edge.buyer.to_owned()),
        description: edge.described(charge.text("provider_name").unwrap_or_default()),
        rule: edge.ruled(),
        fx_rate_id: edge.fx_rate_id.map(str::to_owned),
        outcome: Some(edge.outcome.to_owned()),
        amount: edge.amount,
        currency: edge.currency.map(str::to_owned),
        details: if is_roots { shown(charge.details(&CHARGES[CHARGE_DETAILS..])) } else { None },
        ..Row::default()
    }
}

fn rejected(row: &Rejected) -> Row {
    let column = row.column_name.as_ref().map(|name| format!("column {name}: ")).unwrap_or_default();
    let state = if row.state == "open" { "in quarantine" } else { "was in quarantine until a corrected delivery came" };
    Row {
        kind: "rejected",
        source_file: row.source_file,
        billing_period: row.period,
        description: format!("{state}: {column}{}", row.reason),
        amount: row.billed_cost.as_deref().and_then(|cost| parse_decimal(cost).ok()).map(|cost| cost.value),
        details: shown(row.details.clone()),
        ..Row::default()
    }
}

/// Why nothing of the row is there; nothing where nothing has taken its place.
fn superseded(recorded: &Recorded) -> Vec<Row> {
    if recorded.state == "stale" {
        let description = "its delivery is older than what its slices held: it was recorded and ignored".to_owned();
        return vec![Row { kind: "superseded", description, ..Row::default() }];
    }
    let by = |replaced: &Replaced| Row {
        kind: "superseded",
        billing_period: replaced.period,
        description: format!("{} holds delivery {} now: {}", replaced.slice, replaced.delivery_id, replaced.name),
        ..Row::default()
    };
    recorded.replaced.iter().map(by).collect()
}

/// Why no charge is made of a line.
fn uncharged(role: &str) -> Row {
    let description = match role {
        "reference" => "no charge: its slice is another view of cost that is priced elsewhere",
        "amortised" => "no charge: of an amortised view only what commitments covered or left unused is priced",
        _ => "no charge: the amortised view of its account is priced in its place, or its slice is not rated yet",
    };
    Row { kind: "uncharged", description: description.to_owned(), ..Row::default() }
}
