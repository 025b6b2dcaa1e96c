//! Queries: planned over the session's catalog, limited, and streamed.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::ParamValues;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::{DataFusionError, Result as EngineResult};
use datafusion::execution::SessionState;
use datafusion::execution::object_store::ObjectStoreRegistry;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::physical_plan::memory::MemoryStream;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::scalar::ScalarValue;
use datafusion::sql::parser::Statement as EngineStatement;
use datafusion::sql::sqlparser::ast::{CopySource, CopyTarget, Statement as Ast};
use object_store::ObjectStore;
use url::Url;

use super::column_names;
use super::interrupt::interruptible;
use super::moment::Moment;
use super::origins::announced;
use super::planning::apart;
use super::relation_catalog::PATH;
use super::settings::{PARAMETERS, Settings};
use super::{Answer, Prepared, Session, Statement, lock};
use crate::pg_catalog::{CatalogAnswer, CatalogQueryError, PgCatalog, SettingScope, SideEffect};
use crate::security::scan::leaves_are_scoped;
use crate::security::{SessionError, guard};
use crate::warehouse::Core;

/// A runtime that reaches no store: a session reads through its scoped scans only.
pub(super) fn sealed_runtime(core: &Core, login: &str) -> Arc<RuntimeEnv> {
    let built = RuntimeEnvBuilder::new()
        .with_memory_pool(core.session_memory.of_login(login))
        .with_disk_manager_builder(core.temporary.disk(core.config.session_temporary_bytes))
        .with_object_store_registry(Arc::new(NoStores))
        .build_arc();
    built.unwrap_or_default()
}

/// Refuses every URL.
#[derive(Debug)]
struct NoStores;

impl ObjectStoreRegistry for NoStores {
    fn register_store(&self, _url: &Url, _store: Arc<dyn ObjectStore>) -> Option<Arc<dyn ObjectStore>> {
        None
    }

    fn get_store(&self, _url: &Url) -> EngineResult<Arc<dyn ObjectStore>> {
        Err(DataFusionError::External(Box::new(SessionError::denied("this location"))))
    }
}

pub(super) fn one_text_column(name: &str) -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new(name, DataType::Utf8, false)]))
}

pub(super) fn rows(schema: SchemaRef, batches: Vec<RecordBatch>) -> Result<Answer, SessionError> {
    let stream = MemoryStream::try_new(batches, Arc::clone(&schema), None)?;
    Ok(Answer::Rows { schema, stream: Box::pin(stream) })
}

pub(super) fn text_row(name: &str, value: &str) -> Result<Answer, SessionError> {
    let schema = one_text_column(name);
    let values: ArrayRef = Arc::new(StringArray::from(vec![value]));
    let batch = RecordBatch::try_new(Arc::clone(&schema), vec![values]).map_err(DataFusionError::from)?;
    rows(schema, vec![batch])
}

pub(super) fn all_settings(settings: &Settings) -> Result<Answer, SessionError> {
    let text = |name: &str| Field::new(name, DataType::Utf8, false);
    let schema = Arc::new(Schema::new(vec![text("name"), text("setting"), text("description")]));
    let names: StringArray = PARAMETERS.iter().map(|p| Some(p.name)).collect();
    let values: StringArray = PARAMETERS.iter().map(|p| Some(settings.get(p.name).unwrap_or_default())).collect();
    let descriptions: StringArray = PARAMETERS.iter().map(|p| Some(p.description)).collect();
    let arrays: Vec<ArrayRef> = vec![Arc::new(names), Arc::new(values), Arc::new(descriptions)];
    let batch = RecordBatch::try_new(Arc::clone(&schema), arrays).map_err(DataFusionError::from)?;
    rows(schema, vec![batch])
}

/// A query as planned at one moment: at the same one it would be planned the same.
#[derive(Debug, Clone)]
pub(super) struct PlannedQuery {
    moment: Arc<Moment>,
    plan: LogicalPlan,
    /// The columns under the names that clients see.
    columns: SchemaRef,
    /// Where it found names without a schema.
    path: Arc<Vec<String>>,
    /// Whether the system catalogs told something that is in the plan: they may tell something else the next time.
    has_catalog_values: bool,
}

/// The query inside an `explain` or a `copy ... to stdout`.
fn inner_query(ast: &Ast) -> Result<Ast, SessionError> {
    match ast {
        Ast::Query(_) => Ok(ast.clone()),
        Ast::Explain { statement, .. } => Ok(statement.as_ref().clone()),
        Ast::Copy { source, target: CopyTarget::Stdout, to: true, .. } => match source {
            CopySource::Query(query) => Ok(Ast::Query(query.clone())),
            CopySource::Table { table_name, columns } => {
                let list = if columns.is_empty() {
                    "*".to_owned()
                } else {
                    columns.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
                };
                let parsed = super::statement::parse(&format!("select {list} from {table_name}"))?;
                match parsed.first() {
                    Some(statement) => Ok(statement.ast()?.clone()),
                    None => Err(SessionError::unsupported("this copy")),
                }
            }
        },
        Ast::Copy { .. } => {
            Err(SessionError::denied("copy to a file or program").hint("copy ... to stdout is allowed"))
        }
        _ => Err(SessionError::unsupported("this statement")),
    }
}

impl Session {
    /// Whether the statement is about the system catalogs, which have a path of their own.
    fn is_catalog_query(statement: &Ast) -> bool {
        matches!(statement, Ast::Query(_)) && PgCatalog::claims(statement)
    }

    pub(super) async fn describe(
        &self,
        statement: &Statement,
        parameter_types: &[Option<DataType>],
    ) -> Result<Prepared, SessionError> {
        let ast = statement.ast()?;
        let query = inner_query(ast)?;
        if Self::is_catalog_query(&query) {
            let described = self.pg_catalog().await?.describe(&query, parameter_types).map_err(shown)?;
            let prepared = Prepared::new(statement, described.parameters, Some(described.columns));
            return Ok(Prepared { parameter_oids: described.parameter_oids, ..prepared });
        }
        let planned = self.planned(query).await?;
        let parameters = parameters_of(&planned.plan, parameter_types)?;
        let columns = match ast {
            Ast::Explain { .. } => super::explain::schema(),
            _ => Arc::clone(&planned.columns),
        };
        Ok(Prepared { query: Some(planned), ..Prepared::new(statement, parameters, Some(columns)) })
    }

    async fn planned(&self, query: Ast) -> Result<PlannedQuery, SessionError> {
        let moment = self.shared.moment();
        let path = self.relations.path();
        let (query, names) = column_names::stand_in(query);
        let (query, has_catalog_values) = self.with_catalog_values(query).await?;
        let plan = self.plan(query).await?;
        // The plan's schema carries the comments and presentation of columns; the physical one may not.
        let columns = column_names::shown(&self.agreed(&plan, announced(&plan)), &names);
        Ok(PlannedQuery { moment, plan, columns, path, has_catalog_values })
    }

    fn would_plan_the_same(&self, planned: &PlannedQuery) -> bool {
        Arc::ptr_eq(&planned.moment, &self.shared.moment())
            && Arc::ptr_eq(&planned.path, &self.relations.path())
            && !planned.has_catalog_values
    }

    /// The columns with the types that branches of unions and cases agree on, which the engine finds out after planning.
    fn agreed(&self, plan: &LogicalPlan, columns: SchemaRef) -> SchemaRef {
        let Ok(true) = plan.exists(|node| Ok(has_branches(node))) else { return columns };
        let state = &self.state.0;
        let Ok(analyzed) = state.analyzer().execute_and_check(plan.clone(), state.config_options(), |_, _| {}) else {
            return columns;
        };
        let types = analyzed.schema().fields().iter().map(|field| field.data_type().clone());
        let fields: Vec<Field> = columns
            .fields()
            .iter()
            .zip(types)
            .map(|(field, data_type)| field.as_ref().clone().with_data_type(data_type))
            .collect();
        Arc::new(Schema::new_with_metadata(fields, columns.metadata().clone()))
    }

    /// Plans a query over the session's catalog.
    pub(super) async fn plan(&self, query: Ast) -> Result<LogicalPlan, SessionError> {
        let statement = EngineStatement::Statement(Box::new(query));
        let plan = if *self.relations.path() == ["public"] {
            self.state.0.statement_to_plan(statement).await?
        } else {
            let mut state = self.state.0.clone();
            PATH.clone_into(&mut state.config_mut().options_mut().catalog.default_schema);
            state.statement_to_plan(statement).await?
        };
        guard::limit(&plan)?;
        Ok(plan)
    }

    pub(super) async fn run_query(
        &self,
        prepared: &Prepared,
        parameters: &[ScalarValue],
    ) -> Result<Answer, SessionError> {
        let ast = prepared.statement.ast()?;
        let planned = match &prepared.query {
            Some(planned) if self.would_plan_the_same(planned) => planned.clone(),
            Some(_) => self.planned(inner_query(ast)?).await?,
            None => return self.run_catalog_query(&inner_query(ast)?, parameters).await,
        };
        let plan = with_parameters(planned.plan, parameters)?;
        if let Ast::Explain { analyze, verbose, options, .. } = ast {
            return self.explain(plan, *analyze, *verbose, options.as_deref()).await;
        }
        let physical = apart(self.runnable(&plan)).await?;
        let schema = planned.columns;
        let stream = execute_stream(physical, self.state.0.task_ctx())?;
        Ok(match ast {
            Ast::Copy { options, .. } => Answer::CopyOut { schema, stream, options: options.clone() },
            _ => Answer::Rows { schema, stream },
        })
    }

    async fn run_catalog_query(&self, query: &Ast, parameters: &[ScalarValue]) -> Result<Answer, SessionError> {
        let answer = self.ask_catalog(query, parameters).await?;
        for effect in answer.effects {
            match effect {
                SideEffect::Set { name, value, scope } => {
                    let assigned = self.assign(&name, Some(&value), scope == SettingScope::Transaction);
                    self.tell_catalog(&name);
                    assigned?;
                }
                SideEffect::Sleep(duration) => tokio::time::sleep(duration).await,
                SideEffect::CancelBackend(_) | SideEffect::TerminateBackend(_) => {}
            }
        }
        rows(answer.schema, answer.batches)
    }

    pub(super) async fn ask_catalog(
        &self,
        query: &Ast,
        parameters: &[ScalarValue],
    ) -> Result<CatalogAnswer, SessionError> {
        let catalog = self.pg_catalog().await?;
        let stop = lock(&self.stop).clone();
        let run = async { catalog.query(query, parameters, move || stop.is_cancelled()) };
        apart(run).await.map_err(shown)
    }

    /// The engine's state with what `now()` is to this statement, and with the session's time zone.
    fn state_of_statement(&self) -> SessionState {
        let mut state = self.state.0.clone();
        let zone = self.setting("TimeZone").filter(|zone| zone != "UTC");
        if zone.is_some() {
            state.config_mut().options_mut().execution.time_zone = zone;
        }
        state.mark_start_execution();
        // In a block, time stands still.
        if let Some(at) = lock(&self.block).begun_at() {
            state.execution_props_mut().query_execution_start_time = Some(at);
        }
        state
    }

    /// Optimises and plans physically, and looks at the leaves.
    pub(super) async fn physical(&self, plan: &LogicalPlan) -> Result<Arc<dyn ExecutionPlan>, SessionError> {
        let physical = self.state_of_statement().create_physical_plan(plan).await?;
        if !leaves_are_scoped(&physical) {
            tracing::error!("a plan reads outside the session's scope");
            return Err(SessionError::new("58000", "internal error: the plan was refused"));
        }
        Ok(physical)
    }

    /// The same, to be run: it can be stopped and lets others run.
    pub(super) async fn runnable(&self, plan: &LogicalPlan) -> Result<Arc<dyn ExecutionPlan>, SessionError> {
        let physical = self.physical(plan).await?;
        Ok(interruptible(physical, &lock(&self.stop))?)
    }

    /// Tells the system catalogs of a changed run-time parameter, once they are open.
    pub(super) fn tell_catalog(&self, name: &str) {
        if let Some(catalog) = self.pg_catalog.get() {
            // An application's own parameter that is gone is empty, as in PostgreSQL.
            let value = lock(&self.settings).get(name).unwrap_or_default();
            catalog.apply_setting(name, &value);
        }
    }

    async fn pg_catalog(&self) -> Result<&PgCatalog, SessionError> {
        if let Some(catalog) = self.pg_catalog.get() {
            return Ok(catalog);
        }
        let facts = self.catalog_facts().await?;
        Ok(self.pg_catalog.get_or_init(|| PgCatalog::new(facts)))
    }
}

fn has_branches(node: &LogicalPlan) -> bool {
    let has_case = |expression: Expr| expression.exists(|inner| Ok(matches!(inner, Expr::Case(_)))).unwrap_or(false);
    matches!(node, LogicalPlan::Union(_)) || node.expressions().into_iter().any(has_case)
}

fn shown(error: CatalogQueryError) -> SessionError {
    SessionError::new(error.sqlstate, error.message)
}

/// The types of `$1`, `$2` ... as the plan wants them; what nothing decides is text.
fn parameters_of(plan: &LogicalPlan, declared: &[Option<DataType>]) -> Result<Vec<DataType>, SessionError> {
    let mut found: BTreeMap<usize, DataType> = BTreeMap::new();
    let casts = cast_parameters(plan)?;
    for (name, data_type) in plan.get_parameter_types()? {
        let data_type = data_type.or_else(|| casts.get(&name).cloned());
        let number = name
            .trim_start_matches('$')
            .parse::<usize>()
            .map_err(|_| SessionError::new("42P02", format!("there is no parameter {name}")))?;
        if number == 0 || number > usize::from(u16::MAX) {
            return Err(SessionError::new("42P02", format!("there is no parameter {name}")));
        }
        found.insert(number, data_type.unwrap_or(DataType::Utf8));
    }
    let count = found.keys().last().copied().unwrap_or(0).max(declared.len());
    Ok((1..=count)
        .map(|number| {
            let said = declared.get(number - 1).cloned().flatten();
            said.or_else(|| found.remove(&number)).unwrap_or(DataType::Utf8)
        })
        .collect())
}

/// Parameters that the statement casts, or limits its rows by: `$1::numeric` is a number, `limit $1` a bigint, as in PostgreSQL.
fn cast_parameters(plan: &LogicalPlan) -> Result<BTreeMap<String, DataType>, SessionError> {
    let mut casts = BTreeMap::new();
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::Limit(limit) = node {
            for count in [&limit.skip, &limit.fetch].into_iter().flatten() {
                count.apply(|inner| {
                    if let Expr::Placeholder(parameter) = inner {
                        casts.insert(parameter.id.clone(), DataType::Int64);
                    }
                    Ok(TreeNodeRecursion::Continue)
                })?;
            }
        }
        for expression in node.expressions() {
            expression.apply(|inner| {
                if let Expr::Cast(cast) = inner
                    && let Expr::Placeholder(parameter) = cast.expr.as_ref()
                {
                    casts.entry(parameter.id.clone()).or_insert_with(|| cast.field.data_type().clone());
                }
                Ok(TreeNodeRecursion::Continue)
            })?;
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(casts)
}

pub(super) fn with_parameters(plan: LogicalPlan, parameters: &[ScalarValue]) -> Result<LogicalPlan, SessionError> {
    if parameters.is_empty() {
        return Ok(plan);
    }
    let values = ParamValues::from(parameters.to_vec());
    Ok(plan.replace_params_with_values(&values)?)
}
