//! A mapping's query as expressions over batches.
//!
//! A mapping may select, filter and `union all` the rows of `source`; such a query is planned
//! once per header and then runs batch by batch on any thread, with each result row knowing its
//! source row. That is what lets a failing row be quarantined with its file and line, which a
//! query that streams through joins and sorts could not.
//!
//! A relation that the directive `elements` declares has a row for each element of an array: the
//! columns of its source row, and `element`.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::compute::{concat, concat_batches, filter, filter_record_batch, take};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::{DFSchema, DataFusionError, Result};
use datafusion::datasource::empty::EmptyTable;
use datafusion::execution::FunctionRegistry as _;
use datafusion::execution::context::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};
use ratehouse_udfs::json::{JsonFunction, JsonPlanner};

use super::elements::{ElementsOf, expand};
use super::functions;

/// The virtual column that holds the tag columns of a header as one JSON object.
pub(crate) const TAG_COLUMNS: &str = "tag_columns";

/// The column of a relation of elements that holds the element.
const ELEMENT: &str = "element";

/// A step of the compiled query.
#[derive(Debug)]
pub(crate) enum Step {
    /// The source's columns at these positions of the program's input.
    Scan(Vec<usize>, SchemaRef),
    /// A row for each element of the arrays at one position; a column is at a position of the
    /// program's input, or the element itself.
    Elements {
        arrays: usize,
        columns: Vec<Option<usize>>,
        schema: SchemaRef,
    },
    Project {
        expressions: Vec<Arc<dyn PhysicalExpr>>,
        schema: SchemaRef,
        input: Box<Self>,
    },
    Filter {
        predicate: Arc<dyn PhysicalExpr>,
        input: Box<Self>,
    },
    Union {
        inputs: Vec<Self>,
        schema: SchemaRef,
    },
}

/// A compiled query and the columns of `source` that it names.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) root: Step,
    pub(crate) input: SchemaRef,
    pub(crate) output: SchemaRef,
}

/// Result rows and, unless it is one for one, the source row of each.
pub(crate) struct Rows {
    pub(crate) batch: RecordBatch,
    pub(crate) row_of: Option<UInt32Array>,
}

impl Program {
    /// Plans `sql`, in which quoted names are columns of `source`, and of the relations `elements` too.
    pub(crate) async fn compile(sql: &str, elements: &[ElementsOf]) -> Result<Self> {
        let mut fields: Vec<Field> = Vec::new();
        for name in quoted_names(sql)?.into_iter().chain(elements.iter().map(|e| e.column.clone())) {
            if !fields.iter().any(|f| *f.name() == name) {
                fields.push(Field::new(name, DataType::Utf8View, true));
            }
        }
        fields.push(Field::new(TAG_COLUMNS, DataType::Utf8View, true));
        let input: SchemaRef = Arc::new(Schema::new(fields));
        let mut config = SessionConfig::new();
        config.options_mut().sql_parser.parse_float_as_decimal = true;
        // In the generic dialect `a ->> 'b' = 'c'` would be a ->> ('b' = 'c').
        config.options_mut().set("datafusion.sql_parser.dialect", "PostgreSQL")?;
        let context = SessionContext::new_with_config(config);
        for function in functions::all() {
            context.register_udf(function);
        }
        for (step, shows) in JsonFunction::ALL {
            context.register_udf(JsonFunction::new(step, shows).into());
        }
        context.state_ref().write().register_expr_planner(Arc::new(JsonPlanner::new()))?;
        context.register_table("source", Arc::new(EmptyTable::new(Arc::clone(&input))))?;
        let element = Arc::new(Field::new(ELEMENT, DataType::Utf8View, true));
        let with_element: SchemaRef =
            Arc::new(Schema::new(input.fields().iter().cloned().chain([element]).collect::<Vec<_>>()));
        let mut arrays = Vec::with_capacity(elements.len());
        for ElementsOf { relation, column } in elements {
            context.register_table(relation.as_str(), Arc::new(EmptyTable::new(Arc::clone(&with_element))))?;
            arrays.push((relation.clone(), input.index_of(column)?));
        }
        let state = context.state();
        let plan = state.optimize(&state.create_logical_plan(sql).await?)?;
        let output: SchemaRef = Arc::new(plan.schema().as_arrow().clone());
        Ok(Self { root: compile(&state, &plan, &arrays)?, input, output })
    }

    /// Runs the query over a batch of the input's columns.
    pub(crate) fn run(&self, source: &RecordBatch) -> Result<Rows> {
        run(&self.root, source)
    }
}

fn quoted_names(sql: &str) -> Result<Vec<String>> {
    let tokens = Tokenizer::new(&PostgreSqlDialect {}, sql)
        .tokenize()
        .map_err(|error| DataFusionError::Plan(format!("the query cannot be read: {error}")))?;
    Ok(tokens
        .into_iter()
        .filter_map(|token| match token {
            Token::Word(word) if word.quote_style == Some('"') => Some(word.value),
            _ => None,
        })
        .collect())
}

/// Compiles a plan; `arrays` are the relations of elements and where in the input their arrays are.
fn compile(state: &SessionState, plan: &LogicalPlan, arrays: &[(String, usize)]) -> Result<Step> {
    let expression =
        |expr: &datafusion::logical_expr::Expr, schema: &DFSchema| state.create_physical_expr(expr.clone(), schema);
    match plan {
        LogicalPlan::Projection(projection) => Ok(Step::Project {
            expressions: projection
                .expr
                .iter()
                .map(|e| expression(e, projection.input.schema()))
                .collect::<Result<_>>()?,
            schema: Arc::new(projection.schema.as_arrow().clone()),
            input: Box::new(compile(state, &projection.input, arrays)?),
        }),
        LogicalPlan::Filter(filter) => Ok(Step::Filter {
            predicate: expression(&filter.predicate, filter.input.schema())?,
            input: Box::new(compile(state, &filter.input, arrays)?),
        }),
        LogicalPlan::SubqueryAlias(alias) => compile(state, &alias.input, arrays),
        LogicalPlan::Union(union) => Ok(Step::Union {
            inputs: union.inputs.iter().map(|input| compile(state, input, arrays)).collect::<Result<_>>()?,
            schema: Arc::new(union.schema.as_arrow().clone()),
        }),
        LogicalPlan::TableScan(scan) if scan.filters.is_empty() && scan.fetch.is_none() => {
            let columns = scan.projection.clone().unwrap_or_else(|| (0..scan.source.schema().fields().len()).collect());
            let schema: SchemaRef = Arc::new(scan.projected_schema.as_arrow().clone());
            match arrays.iter().find(|(relation, _)| scan.table_name.table() == relation) {
                None => Ok(Step::Scan(columns, schema)),
                Some((_, arrays)) => {
                    let element = scan.source.schema().index_of(ELEMENT)?;
                    let columns = columns.into_iter().map(|i| (i != element).then_some(i)).collect();
                    Ok(Step::Elements { arrays: *arrays, columns, schema })
                }
            }
        }
        other => Err(DataFusionError::Plan(format!(
            "a mapping may select, filter (where) and union all the rows of source and of elements; it may not use {}",
            other.display().to_string().split([':', '(']).next().unwrap_or_default().trim()
        ))),
    }
}

fn run(step: &Step, source: &RecordBatch) -> Result<Rows> {
    match step {
        Step::Scan(columns, schema) => {
            let columns = columns.iter().map(|i| Arc::clone(source.column(*i))).collect();
            Ok(Rows { batch: batch_of(schema, columns, source.num_rows())?, row_of: None })
        }
        Step::Elements { arrays, columns, schema } => {
            let (elements, row_of) = expand(source.column(*arrays).as_string_view());
            let elements: ArrayRef = Arc::new(elements);
            let columns = columns
                .iter()
                .map(|column| match column {
                    Some(i) => Ok(take(source.column(*i), &row_of, None)?),
                    None => Ok(Arc::clone(&elements)),
                })
                .collect::<Result<_>>()?;
            Ok(Rows { batch: batch_of(schema, columns, row_of.len())?, row_of: Some(row_of) })
        }
        Step::Project { expressions, schema, input } => {
            let rows = run(input, source)?;
            let columns = expressions
                .iter()
                .map(|e| e.evaluate(&rows.batch)?.into_array(rows.batch.num_rows()))
                .collect::<Result<_>>()?;
            Ok(Rows { batch: batch_of(schema, columns, rows.batch.num_rows())?, row_of: rows.row_of })
        }
        Step::Filter { predicate, input } => {
            let rows = run(input, source)?;
            let kept = predicate.evaluate(&rows.batch)?.into_array(rows.batch.num_rows())?;
            let kept = kept.as_boolean();
            let row_of = rows.row_of.unwrap_or_else(|| one_for_one(rows.batch.num_rows()));
            let row_of = filter(&row_of, kept)?.as_primitive().clone();
            Ok(Rows { batch: filter_record_batch(&rows.batch, kept)?, row_of: Some(row_of) })
        }
        Step::Union { inputs, schema } => {
            let parts = inputs.iter().map(|input| run(input, source)).collect::<Result<Vec<_>>>()?;
            let batches = parts
                .iter()
                .map(|part| batch_of(schema, part.batch.columns().to_vec(), part.batch.num_rows()))
                .collect::<Result<Vec<_>>>()?;
            let row_ofs: Vec<UInt32Array> =
                parts.into_iter().map(|p| p.row_of.unwrap_or_else(|| one_for_one(p.batch.num_rows()))).collect();
            let row_of = concat(&row_ofs.iter().map(|a| a as &dyn Array).collect::<Vec<_>>())?;
            Ok(Rows { batch: concat_batches(schema, &batches)?, row_of: Some(row_of.as_primitive().clone()) })
        }
    }
}

fn one_for_one(rows: usize) -> UInt32Array {
    UInt32Array::from_iter_values(0..u32::try_from(rows).unwrap_or(u32::MAX))
}

/// A batch whose fields take the columns' own types and may be null: expressions over checked
/// text do not promise more.
pub(crate) fn batch_of(schema: &SchemaRef, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch> {
    let fields: Vec<Field> = schema
        .fields()
        .iter()
        .zip(&columns)
        .map(|(field, column)| Field::new(field.name(), column.data_type().clone(), true))
        .collect();
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)?)
}
