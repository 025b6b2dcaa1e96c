//! What a session may see, as the catalog is told it; the catalog's answers are a pure function of these facts.

use super::types::PgType;

/// Microseconds since 1970-01-01 UTC, given by the caller so that `now()` is not a hidden input.
pub type Clock = fn() -> i64;

/// Everything one session may know about the warehouse it is connected to.
///
/// Whoever makes the facts decides what is visible: the catalog adds nothing but PostgreSQL's built-in objects.
#[derive(Debug, Clone)]
pub struct CatalogFacts {
    /// Name of the one database.
    pub database: String,
    /// The authenticated login.
    pub current_user: String,
    /// The role that owns every relation (`pg_class.relowner`, oid 10), best one that is nobody's login: it shows as a
    /// superuser that cannot log in. If it is the login itself, that has the facts' privileges and no more.
    pub owner: String,
    /// Roles the session may see: its own and those it is a member of.
    pub roles: Vec<RoleFact>,
    /// Schemas the session may use; `public` among them if it exists.
    pub schemas: Vec<SchemaFact>,
    /// Tables and views the session may read or write.
    pub relations: Vec<RelationFact>,
    /// Functions of the product's own.
    pub functions: Vec<FunctionFact>,
    /// Names of PostgreSQL's built-in functions that the engine offers: these rows of `pg_proc` are shown, the rest is not.
    pub builtin_functions: Vec<String>,
    /// Run-time parameters as `pg_settings` shows them.
    pub settings: Vec<SettingFact>,
    /// `server_version`, for example `15.0 (Ratehouse 0.1.0)`.
    pub server_version: String,
    /// What `version()` answers; clients parse `PostgreSQL 15.x` out of it.
    pub version: String,
    /// What `pg_backend_pid()` answers.
    pub backend_pid: i32,
    /// Backends of the same login (its own included), shown in `pg_stat_activity`.
    pub sessions: Vec<BackendFact>,
    /// What `pg_postmaster_start_time()` answers, microseconds since 1970 UTC.
    pub started_at: i64,
    /// Comment on the database.
    pub comment: Option<String>,
    /// Time of day for `now()`.
    pub clock: Clock,
}

/// A role as `\du` shows it.
#[derive(Debug, Clone, Default)]
pub struct RoleFact {
    /// Name.
    pub name: String,
    /// Whether it may log in.
    pub can_login: bool,
    /// Roles it is a member of.
    pub member_of: Vec<String>,
    /// Comment.
    pub comment: Option<String>,
}

/// A schema as `\dn` shows it.
#[derive(Debug, Clone, Default)]
pub struct SchemaFact {
    /// Name.
    pub name: String,
    /// Comment.
    pub comment: Option<String>,
}

/// Table or view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RelationKind {
    /// `relkind` `r`.
    Table,
    /// `relkind` `v`.
    View,
}

/// What the session may do with a relation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Privilege {
    /// `SELECT`.
    Select,
    /// `INSERT`.
    Insert,
    /// `UPDATE`.
    Update,
    /// `DELETE`.
    Delete,
}

impl Privilege {
    /// PostgreSQL's word.
    pub(super) fn keyword(self) -> &'static str {
        match self {
            Self::Select => "SELECT",
            Self::Insert => "INSERT",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
        }
    }
}

/// A relation the session may read or write.
#[derive(Debug, Clone)]
pub struct RelationFact {
    /// Schema.
    pub schema: String,
    /// Name.
    pub name: String,
    /// Table or view.
    pub kind: RelationKind,
    /// Comment: grain, unit, who sees it.
    pub comment: Option<String>,
    /// Visible columns in order; hidden ones are absent and leave no gap.
    pub columns: Vec<ColumnFact>,
    /// Columns of the primary key (tables only), empty when none.
    pub primary_key: Vec<String>,
    /// Unique constraints (tables only).
    pub unique: Vec<Vec<String>>,
    /// Foreign keys (tables only) to relations that are visible too; others are ignored.
    pub foreign_keys: Vec<ForeignKeyFact>,
    /// Text of a view, only when the role may see it.
    pub definition: Option<String>,
    /// What the session may do with it.
    pub privileges: Vec<Privilege>,
}

/// A column.
#[derive(Debug, Clone)]
pub struct ColumnFact {
    /// Name.
    pub name: String,
    /// Type with its modifier.
    pub data_type: PgType,
    /// Whether it may be null.
    pub nullable: bool,
    /// Comment.
    pub comment: Option<String>,
    /// Default as SQL text.
    pub default: Option<String>,
}

/// A foreign key.
#[derive(Debug, Clone)]
pub struct ForeignKeyFact {
    /// Columns here.
    pub columns: Vec<String>,
    /// Schema of the referenced relation.
    pub schema: String,
    /// Name of the referenced relation.
    pub relation: String,
    /// Columns there.
    pub referenced: Vec<String>,
}

/// Function, aggregate or procedure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FunctionKind {
    /// `prokind` `f`.
    Function,
    /// `prokind` `a`.
    Aggregate,
    /// `prokind` `p`, for `CALL`.
    Procedure,
}

/// A function of the product's own.
#[derive(Debug, Clone)]
pub struct FunctionFact {
    /// Schema.
    pub schema: String,
    /// Name.
    pub name: String,
    /// Function, aggregate or procedure.
    pub kind: FunctionKind,
    /// Argument names (may be empty text) and types.
    pub arguments: Vec<(String, PgType)>,
    /// Result type; void (2278) for procedures.
    pub returns: PgType,
    /// Whether it returns a set of rows.
    pub returns_set: bool,
    /// Comment.
    pub comment: Option<String>,
}

/// A run-time parameter.
#[derive(Debug, Clone, Default)]
pub struct SettingFact {
    /// Name in PostgreSQL's spelling (`TimeZone`); looked up without regard to case.
    pub name: String,
    /// Value as `SHOW` prints it.
    pub value: String,
    /// Default as `SHOW` prints it.
    pub default: String,
    /// What it does.
    pub description: String,
    /// Unit of the plain value (`ms`), empty when none.
    pub unit: String,
    /// Group in `pg_settings`.
    pub category: String,
    /// Who may set it and when: `user`, `internal`, `superuser` ...
    pub context: String,
    /// `bool`, `integer`, `real`, `string` or `enum`.
    pub value_type: String,
}

/// A backend of the same login.
#[derive(Debug, Clone, Default)]
pub struct BackendFact {
    /// Process id as the client knows it.
    pub pid: i32,
    /// `application_name`.
    pub application_name: String,
    /// `active`, `idle` or `idle in transaction`.
    pub state: String,
    /// Start of the connection, microseconds since 1970 UTC.
    pub backend_start: i64,
    /// Text of the last statement.
    pub query: String,
}

impl CatalogFacts {
    /// Facts of a session that sees nothing.
    pub fn empty() -> Self {
        Self {
            database: "ratehouse".to_owned(),
            current_user: "nobody".to_owned(),
            owner: "ratehouse".to_owned(),
            roles: Vec::new(),
            schemas: Vec::new(),
            relations: Vec::new(),
            functions: Vec::new(),
            builtin_functions: Vec::new(),
            settings: Vec::new(),
            server_version: "15.0".to_owned(),
            version: "PostgreSQL 15.0".to_owned(),
            backend_pid: 0,
            sessions: Vec::new(),
            started_at: 0,
            comment: None,
            clock: || 0,
        }
    }
}
