//! A warehouse: its catalog, its lake and the engine that reads them, opened from a directory.

mod account_names;
mod adjust;
mod agreement;
mod amortised;
mod close;
mod commitments;
mod credits;
mod intake;
mod land;
mod land_data_set;
mod landed;
mod line_identity;
mod listing;
mod own;
mod rate_slices;
mod refresh;
mod slice_files;
pub(crate) mod stores;
mod temporary;
mod upkeep;

pub use landed::{Landed, Progress};
pub use upkeep::{Removed, Verified};

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use datafusion::catalog::TableProvider;
use datafusion::execution::memory_pool::{FairSpillPool, MemoryPool, TrackConsumersPool};
use datafusion::execution::{SessionState, SessionStateBuilder};
use datafusion::optimizer::OptimizerRule;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::prelude::{SessionConfig, SessionContext};
use url::Url;

use crate::catalog::{Catalog, CatalogError, Change, LiveFile, RefTable, SnapshotId, Tx, Value, verifier_of_login};
use crate::config::Config;
use crate::error::Error;
use crate::lake::{ColumnStats, DataFile, FileIndex, FileList, IndexedFile, Lake, LakeTable, Tier, scan_runtime};
use crate::rating::{
    Measured, RateBook, RefFacts, StateOfMeasurements, VirtualTagRules, needs_measurements, read_measurements,
    state_of_measurements,
};
use crate::security::{Principal, Role, Tree};
use crate::session::{ColumnsOfViews, LateralRows, Session, SessionMemory, Shared, around_filters};
use temporary::Temporary;
pub(crate) use temporary::private_directory;

/// The tier that new files go to.
pub const HOT: &str = "hot";

/// An open warehouse. Cheap to clone; every clone is the same one.
#[derive(Clone)]
pub struct Warehouse {
    pub(crate) core: Arc<Core>,
}

impl std::fmt::Debug for Warehouse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Warehouse").field("directory", &self.core.catalog.directory()).finish()
    }
}

/// What sessions share: nothing in it depends on who asks.
pub(crate) struct Core {
    pub(crate) catalog: Catalog,
    pub(crate) lake: Lake,
    pub(crate) config: Config,
    pub(crate) root: String,
    pub(crate) secret: [u8; 32],
    /// Plans and runs scans of the lake; sessions never see it.
    pub(crate) private: SessionContext,
    pub(crate) session_memory: SessionMemory,
    pub(crate) temporary: Temporary,
    index: FileIndex,
    tree: Mutex<Option<(SnapshotId, Arc<Tree>)>>,
    book: Mutex<Option<(SnapshotId, Arc<RateBook>)>>,
    virtual_tags: Mutex<Option<(SnapshotId, Arc<VirtualTagRules>)>>,
    /// The measurements last read, and which state of them that is.
    measured: Mutex<Option<(StateOfMeasurements, Arc<[Measured]>)>>,
    pub(crate) columns_of_views: ColumnsOfViews,
}

/// What a new warehouse begins with.
#[derive(Debug, Clone)]
pub struct NewWarehouse {
    /// The root node's id.
    pub root: String,
    /// Its currency.
    pub currency: String,
    /// The root admin's login.
    pub admin: String,
    /// The stored verifier of its password.
    pub verifier: String,
    /// Where new files go; none is `DIR/hot`.
    pub hot: Option<String>,
    /// Where old files go; none is `DIR/cold`.
    pub cold: Option<String>,
}

impl Warehouse {
    /// Makes an empty warehouse: the root node and its admin.
    ///
    /// # Errors
    /// When the directory holds a warehouse already or cannot be written.
    pub fn create(directory: &Path, new: &NewWarehouse) -> Result<Self, Error> {
        std::fs::create_dir_all(directory)
            .map_err(|source| Error::Io { path: directory.display().to_string(), source })?;
        let catalog = Catalog::create(directory)?;
        let secret: [u8; 32] = rand::random();
        let change = Change::new("system", "init", "new warehouse");
        catalog.commit::<_, Error>(&change, |commit| {
            let set = |name: &str, value: String| {
                let row = [name.into(), value.into(), commit.snapshot.into()];
                commit.tx.execute("insert into setting values (?1, ?2, ?3)", &row).map(drop)
            };
            set("root_node", new.root.clone())?;
            set("secret", hex(&secret))?;
            for (name, url, class) in [("hot", &new.hot, "standard"), ("cold", &new.cold, "infrequent")] {
                let url = url.clone().unwrap_or_else(|| name.to_owned());
                let row = [name.into(), url.into(), class.into(), commit.snapshot.into()];
                commit.tx.execute("insert into tier values (?1, ?2, ?3, ?4)", &row)?;
            }
            insert_defaults(
                commit,
                "nodes",
                &[
                    ("node_id", new.root.as_str().into()),
                    ("kind", "distributor".into()),
                    ("name", new.root.as_str().into()),
                    ("currency", new.currency.as_str().into()),
                ],
            )?;
            insert_defaults(
                commit,
                "users",
                &[
                    ("login", new.admin.as_str().into()),
                    ("node_id", new.root.as_str().into()),
                    ("role", Role::Admin.name().into()),
                ],
            )?;
            commit.set_credential(&new.admin, &new.verifier)?;
            let state = crate::session::state_after(commit.tx, commit.snapshot)?;
            crate::reference::check(&state, &new.root)?;
            Ok(())
        })?;
        Self::open(directory)
    }

    /// Opens the warehouse of a directory.
    ///
    /// # Errors
    /// When there is none, or a tier's URL cannot be served.
    pub fn open(directory: &Path) -> Result<Self, Error> {
        let config = Config::read(directory)?;
        let catalog = Catalog::open(directory)?;
        let root = catalog.setting("root_node")?.ok_or(CatalogError::Malformed { what: "root node" })?;
        let secret = catalog
            .setting("secret")?
            .and_then(|text| unhex(&text))
            .ok_or(CatalogError::Malformed { what: "secret" })?;
        let lake = Lake::open(&tiers(&catalog)?)?;
        let pool: Arc<dyn MemoryPool> =
            Arc::new(TrackConsumersPool::new(FairSpillPool::new(config.memory_bytes), std::num::NonZeroUsize::MIN));
        let temporary = Temporary::create(directory)?;
        let runtime = scan_runtime(&lake, pool, temporary.disk(config.temporary_bytes))?;
        let builder = SessionStateBuilder::new().with_default_features().with_runtime_env(runtime);
        let state = engine_state(builder, &config);
        let Config { memory_bytes, session_memory_bytes, .. } = config;
        let core = Core {
            catalog,
            lake,
            config,
            root,
            secret,
            private: SessionContext::new_with_state(state),
            session_memory: SessionMemory::new(memory_bytes, session_memory_bytes),
            temporary,
            index: FileIndex::new(0, []),
            tree: Mutex::new(None),
            book: Mutex::new(None),
            virtual_tags: Mutex::new(None),
            measured: Mutex::new(None),
            columns_of_views: ColumnsOfViews::default(),
        };
        Ok(Self { core: Arc::new(core) })
    }

    /// A session of a principal: the only way to run SQL.
    pub fn session(&self, principal: Principal) -> Session {
        Session::new(self.clone(), principal)
    }

    /// A session of the warehouse itself: the root, every edge, one snapshot. It serves the
    /// program's own reads (closing, documents) and is never handed to a login.
    pub(crate) fn own_session(&self, snapshot: SnapshotId) -> Session {
        self.session_of(&self.core.root, Role::Admin, snapshot)
    }

    /// A session of the warehouse itself that sees what a role of a node does at one snapshot.
    pub(crate) fn session_of(&self, node: &str, role: Role, snapshot: SnapshotId) -> Session {
        let principal = Principal { login: "system".to_owned(), node_id: node.to_owned(), role };
        Session::over(self.clone(), Arc::new(Shared::new(Arc::clone(&self.core), principal, Some(snapshot))))
    }

    /// The principal of an enabled login, without any proof of who asks: for authentication and
    /// for the local shell, whose user can read the directory anyway.
    pub fn principal(&self, login: &str) -> Result<Option<Principal>, Error> {
        self.core.principal(login)
    }

    /// The root's admin login, the local shell's default.
    pub fn root_admin(&self) -> Result<Option<Principal>, Error> {
        let users = self.core.users()?;
        Ok(users.into_iter().find(|user| user.node_id == self.core.root && user.role == Role::Admin))
    }

    /// The stored verifier of an enabled login that may log in.
    pub fn verifier(&self, login: &str) -> Result<Option<String>, Error> {
        let Some(principal) = self.core.principal(login)? else { return Ok(None) };
        if !crate::security::policy::may_log_in(principal.role) {
            return Ok(None);
        }
        Ok(self.core.catalog.read(|tx| verifier_of_login(tx, login))?)
    }

    /// The secret of this warehouse.
    pub fn secret(&self) -> [u8; 32] {
        self.core.secret
    }

    /// The directory.
    pub fn directory(&self) -> &Path {
        self.core.catalog.directory()
    }

    /// The root node's id.
    pub fn root_node(&self) -> &str {
        &self.core.root
    }

    /// The settings it was opened with.
    pub fn config(&self) -> &Config {
        &self.core.config
    }

    /// The catalog.
    pub fn catalog(&self) -> &Catalog {
        &self.core.catalog
    }
}

/// Locks a file of the warehouse's directory for as long as the result is held; the system releases it when a process dies.
///
/// # Errors
/// `busy` when another holds it.
pub(crate) fn lock_file(path: &Path, busy: &str) -> Result<std::fs::File, Error> {
    let io = |source| Error::Io { path: path.display().to_string(), source };
    let file = std::fs::File::options().create(true).truncate(false).write(true).open(path).map_err(io)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(Error::Refused(busy.to_owned())),
        Err(std::fs::TryLockError::Error(source)) => Err(io(source)),
    }
}

/// The engine's settings and functions, the same for the private context and for sessions.
pub(crate) fn engine_state(builder: SessionStateBuilder, config: &Config) -> SessionState {
    engine_state_with(builder, config, |rules| rules)
}

/// The rules of a planner.
pub(crate) struct Rules {
    pub(crate) logical: Vec<Arc<dyn OptimizerRule + Send + Sync>>,
    pub(crate) physical: Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>>,
}

/// The same with other rules. They are given while the state is made: one made from another state has functions that were replaced
/// back under their other names.
pub(crate) fn engine_state_with(
    builder: SessionStateBuilder,
    config: &Config,
    change: impl FnOnce(Rules) -> Rules,
) -> SessionState {
    let mut settings = SessionConfig::new()
        .with_target_partitions(config.threads)
        .with_default_catalog_and_schema("ratehouse", "public")
        .with_create_default_catalog_and_schema(false)
        .with_information_schema(false);
    let options = settings.options_mut();
    options.sql_parser.dialect = datafusion::config::Dialect::PostgreSQL;
    options.sql_parser.parse_float_as_decimal = true;
    options.sql_parser.collect_spans = true;
    options.execution.time_zone = Some("UTC".to_owned());
    options.execution.parquet.pushdown_filters = true;
    options.execution.parquet.reorder_filters = false;
    options.execution.parquet.bloom_filter_on_read = true;
    options.execution.collect_statistics = false;
    // Columns have comments in their metadata; a union of two has neither's, and the check takes that for an error.
    options.execution.skip_physical_aggregate_schema_check = true;
    // A projection that moves below a filter evaluates the user's expressions on rows that the
    // filter drops: they could fail there, and tell that such rows exist.
    let physical = datafusion::physical_optimizer::optimizer::PhysicalOptimizer::new()
        .rules
        .into_iter()
        .filter(|rule| rule.name() != "ProjectionPushdown")
        .collect();
    let mut logical = datafusion::optimizer::Optimizer::new().rules;
    logical.insert(0, Arc::new(LateralRows));
    around_filters(&mut logical);
    let rules = change(Rules { logical, physical });
    let mut state = ratehouse_udfs::install(builder.with_config(settings))
        .with_optimizer_rules(rules.logical)
        .with_physical_optimizer_rules(rules.physical)
        .build();
    for rewrite in ratehouse_udfs::function_rewrites() {
        // Refused only by registries that take no rewrites; this one does.
        let _ = datafusion::execution::FunctionRegistry::register_function_rewrite(&mut state, rewrite);
    }
    state
}

fn tiers(catalog: &Catalog) -> Result<Vec<Tier>, Error> {
    let rows = catalog.read::<_, CatalogError>(|tx| tx.rows("select name, url from tier order by name", &[]))?;
    rows.iter()
        .map(|row| {
            let (name, text) = (row.text(0)?, row.text(1)?);
            let url = match Url::parse(text) {
                Ok(url) if url.scheme().len() > 1 => url,
                Ok(_) | Err(_) => {
                    let path = catalog.directory().join(text);
                    let path = std::path::absolute(&path)
                        .map_err(|source| Error::Io { path: path.display().to_string(), source })?;
                    Url::from_directory_path(&path).map_err(|()| {
                        Error::Refused(format!("tier \"{name}\": \"{text}\" is neither a directory nor a URL"))
                    })?
                }
            };
            Ok(Tier { name: name.to_owned(), url })
        })
        .collect()
}

/// Inserts a reference row; columns that are not given take their defaults.
pub(crate) fn insert_defaults(
    commit: &crate::catalog::Commit<'_>,
    table: &str,
    given: &[(&str, Value)],
) -> Result<(), Error> {
    let table = RefTable::named(table).ok_or(CatalogError::Malformed { what: "reference table" })?;
    let mut values = Vec::with_capacity(table.columns.len());
    for column in table.columns {
        let value = given.iter().find(|(name, _)| *name == column.name).map(|(_, value)| value.clone());
        values.push(match (value, column.default) {
            (Some(value), _) => value,
            (None, Some(text)) => crate::reference::from_text(column, text)?,
            (None, None) => Value::Null,
        });
    }
    commit.insert_ref(table, &values)?;
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 {
        return None;
    }
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(bytes)
}

impl Core {
    fn users(&self) -> Result<Vec<Principal>, Error> {
        let table = RefTable::named("users").ok_or(CatalogError::Malformed { what: "table users" })?;
        self.catalog.read(|tx| {
            let head = crate::catalog::head(tx)?;
            let mut users = Vec::new();
            for row in table.rows_at(tx, head)? {
                let [login, node, role, enabled] = row.values.as_slice() else { continue };
                let (Some(login), Some(node), Some(role)) = (login.as_text(), node.as_text(), role.as_text()) else {
                    continue;
                };
                if enabled.as_int() == Some(1) {
                    let role = role.parse().map_err(|_| CatalogError::Malformed { what: "role" })?;
                    users.push(Principal { login: login.to_owned(), node_id: node.to_owned(), role });
                }
            }
            Ok(users)
        })
    }

    pub(crate) fn principal(&self, login: &str) -> Result<Option<Principal>, Error> {
        Ok(self.users()?.into_iter().find(|user| user.login == login))
    }

    /// The tree at a snapshot.
    pub(crate) fn tree(&self, snapshot: SnapshotId) -> Result<Arc<Tree>, Error> {
        let mut cached = self.tree.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some((at, tree)) = cached.as_ref().filter(|(at, _)| *at == snapshot) {
            let _ = at;
            return Ok(Arc::clone(tree));
        }
        let tree = Arc::new(self.catalog.read(|tx| Tree::read(tx, snapshot))?);
        *cached = Some((snapshot, Arc::clone(&tree)));
        Ok(tree)
    }

    /// The rules of virtual tags at a snapshot.
    pub(crate) fn virtual_tags(&self, snapshot: SnapshotId) -> Result<Arc<VirtualTagRules>, Error> {
        let mut cached = self.virtual_tags.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some((_, rules)) = cached.as_ref().filter(|(at, _)| *at == snapshot) {
            return Ok(Arc::clone(rules));
        }
        let rules = Arc::new(self.catalog.read(|tx| VirtualTagRules::read(tx, snapshot))?);
        *cached = Some((snapshot, Arc::clone(&rules)));
        Ok(rules)
    }

    /// The compiled reference data of a snapshot.
    pub(crate) fn book(&self, snapshot: SnapshotId) -> Result<Arc<RateBook>, Error> {
        let mut cached = self.book.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some((_, book)) = cached.as_ref().filter(|(at, _)| *at == snapshot) {
            return Ok(Arc::clone(book));
        }
        let mut facts = self.catalog.read(|tx| RefFacts::read(tx, snapshot))?;
        if needs_measurements(&facts) {
            facts.measured = self.measured(snapshot)?;
        }
        let book = RateBook::compile(&facts, snapshot)?;
        // The newest one is asked for again, older ones rarely.
        if cached.as_ref().is_none_or(|(held, _)| *held < snapshot) {
            *cached = Some((snapshot, Arc::clone(&book)));
        }
        Ok(book)
    }

    /// What OpenCost measured, as known at a snapshot. Most commits change nothing of it, so it is kept.
    fn measured(&self, snapshot: SnapshotId) -> Result<Arc<[Measured]>, Error> {
        let mut cached = self.measured.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let state = self.catalog.read(|tx| state_of_measurements(tx, snapshot))?;
        if let Some((_, measured)) = cached.as_ref().filter(|(of, _)| *of == state) {
            return Ok(Arc::clone(measured));
        }
        let measured = self.catalog.read(|tx| read_measurements(tx, snapshot))?;
        *cached = Some((state, Arc::clone(&measured)));
        Ok(measured)
    }

    /// The files of a table at a snapshot that `wanted` says yes to.
    pub(crate) fn files(
        &self,
        table: LakeTable,
        snapshot: SnapshotId,
        wanted: impl Fn(&DataFile) -> bool,
    ) -> Result<FileList, Error> {
        if self.index.newest() < snapshot {
            self.refresh_index()?;
        }
        Ok(self.index.files(table, snapshot, wanted))
    }

    fn refresh_index(&self) -> Result<(), Error> {
        let since = self.index.newest();
        let (head, changed) = self
            .catalog
            .read::<_, CatalogError>(|tx| Ok((crate::catalog::head(tx)?, LiveFile::changed_since(tx, since)?)))?;
        let ended: Vec<(i64, SnapshotId)> =
            changed.iter().filter_map(|file| Some((file.file_id, file.end_snapshot?))).collect();
        let added = changed.into_iter().filter(|file| file.begin_snapshot > since).map(indexed);
        self.index.apply(head, added.collect::<Result<Vec<_>, _>>()?, &ended);
        Ok(())
    }

    /// A private scan of a table's files.
    pub(crate) fn scan(&self, table: LakeTable, files: FileList) -> Arc<dyn TableProvider> {
        self.lake.provider(table, files)
    }

    pub(crate) fn directory(&self) -> PathBuf {
        self.catalog.directory().to_owned()
    }

    pub(crate) fn read_rows(&self, sql: &str, parameters: &[Value]) -> Result<Vec<crate::catalog::Row>, Error> {
        Ok(self.catalog.read::<_, CatalogError>(|tx: &dyn Tx| tx.rows(sql, parameters))?)
    }
}

fn indexed(file: LiveFile) -> Result<IndexedFile, Error> {
    let malformed = CatalogError::Malformed { what: "data file" };
    let data = DataFile {
        id: file.file_id,
        table: LakeTable::from_id(file.file.table_id).ok_or(malformed)?,
        path: file.file.path,
        rows: file.file.rows,
        bytes: file.file.bytes,
        footer_bytes: file.file.footer_bytes,
        slice_id: file.file.slice_id,
        billing_period: file
            .billing_period
            .parse::<crate::period::BillingPeriod>()
            .map_err(|_| CatalogError::Malformed { what: "billing period" })?
            .first_day_number(),
        provider_name: file.provider_name,
        billing_account_id: file.billing_account_id,
        child: file.file.child,
        stats: file
            .file
            .stats
            .into_iter()
            .map(|(column, min, max, nulls)| ColumnStats { column, min, max, nulls })
            .collect(),
    };
    Ok(IndexedFile { file: Arc::new(data), begin_snapshot: file.begin_snapshot, end_snapshot: file.end_snapshot })
}
