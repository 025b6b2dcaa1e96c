//! The catalog of one session: only relations that its principal has are in it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use async_trait::async_trait;
use datafusion::catalog::{CatalogProvider, CatalogProviderList, SchemaProvider, TableProvider};
use datafusion::datasource::ViewTable;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::SessionState;
use datafusion::sql::parser::Statement as EngineStatement;
use datafusion::sql::sqlparser::ast::Statement as Ast;

use super::catalog_relations::CATALOG_RELATIONS;
use super::dialect;
use super::lake_source::{LakeSource, Shape};
use super::moment::Shared;
use super::row_source::{RowKind, RowSource};
use super::views;
use crate::catalog::RefTable;
use crate::lake::LakeTable;
use crate::security::policy::{MoneyColumns, RELATIONS, Reach, Relation, money_columns};
use crate::security::relations::{Caller, schema_of};
use crate::security::scan::ScopedTable;

/// The name of the one database.
pub(crate) const DATABASE: &str = "ratehouse";

/// The schema of names without one: those that the session's `search_path` lists, in order.
pub(super) const PATH: &str = "$path";

/// What the principal's relations are made from.
pub(crate) struct Relations {
    shared: Arc<Shared>,
    /// The schemas where names without one are looked for.
    path: Mutex<Arc<Vec<String>>>,
    /// Planned views of the current moment, by schema and name.
    views: Mutex<HashMap<(String, String), Arc<dyn TableProvider>>>,
    state: OnceLock<Weak<parking::State>>,
    with_row_ids: bool,
}

/// The session state that views are planned with; held weakly, since it holds this catalog.
pub(crate) mod parking {
    /// A session state behind one pointer.
    pub(crate) struct State(pub(crate) super::SessionState);
}

impl std::fmt::Debug for Relations {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Relations")
    }
}

impl Relations {
    pub(crate) fn new(shared: Arc<Shared>, with_row_ids: bool) -> Arc<Self> {
        let path = Mutex::new(Arc::new(vec!["public".to_owned()]));
        Arc::new(Self { shared, path, views: Mutex::default(), state: OnceLock::new(), with_row_ids })
    }

    /// Gives the state that views are planned with, once.
    pub(crate) fn plan_views_with(&self, state: &Arc<parking::State>) {
        let _ = self.state.set(Arc::downgrade(state));
    }

    /// The schemas where names without one are looked for; the same pointer as long as they are the same.
    pub(super) fn path(&self) -> Arc<Vec<String>> {
        Arc::clone(&self.path.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Sets those schemas.
    pub(super) fn look_in(&self, path: Vec<String>) {
        let mut present = self.path.lock().unwrap_or_else(PoisonError::into_inner);
        if **present != path {
            *present = Arc::new(path);
        }
    }

    /// The relation of a name without a schema.
    pub(super) fn on_path(&self, name: &str) -> Option<&'static Relation> {
        let path = self.path();
        path.iter().find_map(|schema| self.granted().find(|r| r.schema == *schema && r.name == name))
    }

    /// The relation of a name as written, `table`, `schema.table` or `database.schema.table`.
    pub(super) fn named(&self, parts: &[&str]) -> Option<&'static Relation> {
        match parts {
            [DATABASE, schema, name] | [schema, name] => {
                self.granted().find(|r| r.schema == *schema && r.name == *name)
            }
            [name] => self.on_path(name),
            _ => None,
        }
    }

    /// Forgets planned views: the next statement may see another tree.
    pub(crate) fn forget_views(&self) {
        self.views.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The relations that the principal has.
    pub(crate) fn granted(&self) -> impl Iterator<Item = &'static Relation> + '_ {
        let moment = self.shared.moment();
        let is_root = moment.scope.is_root;
        let sells = is_root || moment.tree.has_children(&moment.scope.node_id);
        let role = self.shared.principal.role;
        RELATIONS.iter().filter(move |relation| {
            let reached = match relation.reach {
                Reach::Any => true,
                Reach::Root => is_root,
                Reach::Seller => sells,
            };
            reached && (relation.read.has(role) || relation.write.has(role))
        })
    }

    async fn relation(&self, schema: &str, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let Some(granted) = self.granted().find(|r| r.schema == schema && r.name == name) else {
            return Ok(None);
        };
        let lake = |shape| -> Result<Option<Arc<dyn TableProvider>>> {
            let source = LakeSource::new(Arc::clone(&self.shared), caller_of(&self.shared), shape);
            let schema = schema_of(&source.columns());
            Ok(Some(Arc::new(ScopedTable::new(granted.name, schema, Arc::new(source)))))
        };
        match (schema, name) {
            ("public", "charges") => return lake(Shape::Own(LakeTable::Charges)),
            ("public", "charges_daily") => return lake(Shape::Own(LakeTable::ChargesDaily)),
            ("public", "charges_monthly") => return lake(Shape::Own(LakeTable::ChargesMonthly)),
            ("public", "charges_by_tier") => return lake(Shape::Tiers(LakeTable::Charges)),
            ("public", "tiers_monthly") => return lake(Shape::Tiers(LakeTable::ChargesMonthly)),
            ("public", "usage") => return lake(Shape::Provider),
            ("ops", "edges_monthly") => return lake(Shape::Edges),
            ("public", "proposed_adjustments") => {
                let source = super::restated::Restated::new(Arc::clone(&self.shared));
                let schema = super::restated::schema();
                return Ok(Some(Arc::new(ScopedTable::new(granted.name, schema, Arc::new(source)))));
            }
            _ => {}
        }
        let kind = if schema == "ref" {
            RefTable::named(name).map(|table| {
                if self.with_row_ids { RowKind::ReferenceWithIds(table) } else { RowKind::Reference(table) }
            })
        } else {
            CATALOG_RELATIONS.iter().find(|r| r.schema == schema && r.name == name).map(RowKind::Catalog)
        };
        if let Some(kind) = kind {
            let source = RowSource::new(Arc::clone(&self.shared), kind);
            return Ok(Some(Arc::new(ScopedTable::new(granted.name, source.schema(), Arc::new(source)))));
        }
        if (schema, name) == ("public", "credits_ledger") {
            return Ok(Some(super::credits_ledger::table(Arc::clone(&self.shared))));
        }
        if (schema, name) == ("ops", "changes") {
            return Ok(Some(super::changes::table(Arc::clone(&self.shared))));
        }
        self.view(schema, name).await
    }

    async fn view(&self, schema: &str, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let key = (schema.to_owned(), name.to_owned());
        if let Some(view) = self.views.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(Some(Arc::clone(view)));
        }
        let Some(view) = views::named(schema, name, self.shared.moment().scope.is_root) else { return Ok(None) };
        let state =
            self.state.get().and_then(Weak::upgrade).ok_or_else(|| {
                DataFusionError::Internal("a view was asked for before the session was ready".to_owned())
            })?;
        // Read as any statement is, so that a text means here what it means to whoever runs it.
        let query = dialect::query_of(view.sql)
            .ok_or_else(|| DataFusionError::Internal(format!("the text of {schema}.{name} is no query")))?;
        let statement = EngineStatement::Statement(Box::new(Ast::Query(query)));
        let plan = Box::pin(state.0.statement_to_plan(statement)).await?;
        let plan = views::with_comments(plan, view)?;
        let table: Arc<dyn TableProvider> = Arc::new(ViewTable::new(plan, None));
        self.views.lock().unwrap_or_else(PoisonError::into_inner).insert(key, Arc::clone(&table));
        Ok(Some(table))
    }
}

/// The session's login, as relations of charges are made for it.
pub(super) fn caller_of(shared: &Shared) -> Caller {
    let moment = shared.moment();
    let kind = moment.tree.kind(&moment.scope.node_id).unwrap_or_default().to_owned();
    let role = shared.principal.role;
    // Customers and the places inside them buy; what they pass on inside is their own cost.
    let money = match kind.as_str() {
        "distributor" | "reseller" => money_columns(role),
        _ => MoneyColumns::Cost,
    };
    let provider_side = moment.scope.is_root && money == MoneyColumns::CostPriceMargin;
    Caller {
        scope: Arc::clone(&moment.scope),
        money,
        provider_side,
        charge_id: super::functions::charge_id(&shared.core.secret),
    }
}

/// One schema of the session.
#[derive(Debug)]
struct Schema {
    name: String,
    relations: Arc<Relations>,
}

#[async_trait]
impl SchemaProvider for Schema {
    fn table_names(&self) -> Vec<String> {
        self.relations.granted().filter(|r| r.schema == self.name).map(|r| r.name.to_owned()).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        self.relations.relation(&self.name, name).await
    }

    fn table_exist(&self, name: &str) -> bool {
        self.relations.granted().any(|r| r.schema == self.name && r.name == name)
    }
}

/// The schemas of `search_path` as one.
#[derive(Debug)]
struct Path(Arc<Relations>);

#[async_trait]
impl SchemaProvider for Path {
    fn table_names(&self) -> Vec<String> {
        Vec::new()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        match self.0.on_path(name) {
            Some(found) => self.0.relation(found.schema, found.name).await,
            None => Ok(None),
        }
    }

    fn table_exist(&self, name: &str) -> bool {
        self.0.on_path(name).is_some()
    }
}

/// The session's database.
#[derive(Debug)]
struct Database {
    relations: Arc<Relations>,
}

impl CatalogProvider for Database {
    fn schema_names(&self) -> Vec<String> {
        ["public", "focus", "ref", "ops"].map(str::to_owned).to_vec()
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        if name == PATH {
            return Some(Arc::new(Path(Arc::clone(&self.relations))));
        }
        self.schema_names()
            .iter()
            .any(|known| known == name)
            .then(|| Arc::new(Schema { name: name.to_owned(), relations: Arc::clone(&self.relations) }) as _)
    }
}

/// The session's list of databases: one.
#[derive(Debug)]
pub(crate) struct Databases {
    relations: Arc<Relations>,
}

impl Databases {
    pub(crate) fn new(relations: Arc<Relations>) -> Self {
        Self { relations }
    }
}

impl CatalogProviderList for Databases {
    fn register_catalog(&self, _name: String, _catalog: Arc<dyn CatalogProvider>) -> Option<Arc<dyn CatalogProvider>> {
        None
    }

    fn catalog_names(&self) -> Vec<String> {
        vec![DATABASE.to_owned()]
    }

    fn catalog(&self, name: &str) -> Option<Arc<dyn CatalogProvider>> {
        (name == DATABASE).then(|| Arc::new(Database { relations: Arc::clone(&self.relations) }) as _)
    }
}
