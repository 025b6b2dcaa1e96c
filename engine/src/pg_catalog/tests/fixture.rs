//! A small warehouse as the analyst `ana` sees it, and readable answers.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::DataType;
use arrow::util::display::array_value_to_string;
use datafusion::common::ScalarValue;
use datafusion::sql::sqlparser::ast::Statement;
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;

use super::super::types::{BOOL, DATE, FLOAT8, INT4, INT8, JSON, NUMERIC, TEXT, TEXT_ARRAY, TIMESTAMPTZ};
use super::super::{
    BackendFact, CatalogAnswer, CatalogFacts, CatalogQueryError, ColumnFact, Described, ForeignKeyFact, FunctionFact,
    FunctionKind, PgCatalog, PgType, Privilege, RelationFact, RelationKind, RoleFact, SchemaFact, SettingFact,
    with_plain_operators,
};

pub(super) fn column(name: &str, data_type: PgType) -> ColumnFact {
    ColumnFact { name: name.to_owned(), data_type, nullable: true, comment: None, default: None }
}

fn required(name: &str, data_type: PgType) -> ColumnFact {
    ColumnFact { nullable: false, ..column(name, data_type) }
}

pub(super) fn relation(schema: &str, name: &str, kind: RelationKind, columns: Vec<ColumnFact>) -> RelationFact {
    RelationFact {
        schema: schema.to_owned(),
        name: name.to_owned(),
        kind,
        comment: None,
        columns,
        primary_key: Vec::new(),
        unique: Vec::new(),
        foreign_keys: Vec::new(),
        definition: None,
        privileges: vec![Privilege::Select],
    }
}

fn texts(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn reference_tables() -> Vec<RelationFact> {
    let text = PgType::plain(TEXT);
    let nodes = RelationFact {
        comment: Some("Grain: one row per node".to_owned()),
        primary_key: texts(&["node_id"]),
        unique: vec![texts(&["name"])],
        foreign_keys: vec![ForeignKeyFact {
            columns: texts(&["parent_id"]),
            schema: "ref".to_owned(),
            relation: "nodes".to_owned(),
            referenced: texts(&["node_id"]),
        }],
        privileges: vec![Privilege::Select, Privilege::Insert, Privilege::Update, Privilege::Delete],
        ..relation(
            "ref",
            "nodes",
            RelationKind::Table,
            vec![
                ColumnFact { comment: Some("The node".to_owned()), ..required("node_id", text) },
                column("parent_id", text),
                required("name", text),
                ColumnFact {
                    default: Some("'EUR'::character varying".to_owned()),
                    ..required("currency", PgType::varchar(3))
                },
                required("valid_from", PgType::plain(TIMESTAMPTZ)),
                column("valid_to", PgType::plain(TIMESTAMPTZ)),
            ],
        )
    };
    let rate_cards = RelationFact {
        primary_key: texts(&["card_id", "version"]),
        foreign_keys: vec![ForeignKeyFact {
            columns: texts(&["seller_node_id"]),
            schema: "ref".to_owned(),
            relation: "nodes".to_owned(),
            referenced: texts(&["node_id"]),
        }],
        ..relation(
            "ref",
            "rate_cards",
            RelationKind::Table,
            vec![required("card_id", text), required("version", PgType::plain(INT4)), required("seller_node_id", text)],
        )
    };
    vec![nodes, rate_cards]
}

fn marts() -> Vec<RelationFact> {
    let charges = RelationFact {
        comment: Some("Grain: one charge".to_owned()),
        ..relation(
            "public",
            "charges",
            RelationKind::Table,
            vec![
                required("charge_id", PgType::plain(TEXT)),
                required("billing_period", PgType::plain(DATE)),
                column("charge_period_start", PgType::plain(TIMESTAMPTZ)),
                ColumnFact {
                    comment: Some("What the caller pays".to_owned()),
                    ..column("cost", PgType::numeric(38, 18))
                },
                column("marketplace", PgType::plain(BOOL)),
                column("usage_rows", PgType::plain(INT8)),
                column("ratio", PgType::plain(FLOAT8)),
                column("tags", PgType::plain(JSON)),
                column("labels", PgType::plain(TEXT_ARRAY)),
                column("provider_name", PgType::varchar(64)),
            ],
        )
    };
    let margins = RelationFact {
        comment: Some("Margins by period".to_owned()),
        definition: Some(" SELECT billing_period, sum(cost) AS cost FROM charges GROUP BY 1;".to_owned()),
        ..relation(
            "public",
            "margins",
            RelationKind::View,
            vec![column("billing_period", PgType::plain(DATE)), column("cost", PgType::plain(NUMERIC))],
        )
    };
    vec![charges, margins]
}

fn setting(name: &str, value: &str) -> SettingFact {
    SettingFact {
        name: name.to_owned(),
        value: value.to_owned(),
        default: value.to_owned(),
        description: format!("Sets {name}."),
        context: "user".to_owned(),
        value_type: "string".to_owned(),
        category: "Client".to_owned(),
        ..SettingFact::default()
    }
}

pub(super) fn facts() -> CatalogFacts {
    let role = |name: &str, member_of: &[&str]| RoleFact {
        name: name.to_owned(),
        can_login: name == "ana",
        member_of: texts(member_of),
        comment: (name == "ana").then(|| "Analyst".to_owned()),
    };
    let schema =
        |name: &str, comment: Option<&str>| SchemaFact { name: name.to_owned(), comment: comment.map(str::to_owned) };
    CatalogFacts {
        current_user: "ana".to_owned(),
        roles: vec![role("ana", &["finance"]), role("finance", &[])],
        schemas: vec![schema("public", Some("Marts")), schema("ref", Some("Reference data")), schema("ops", None)],
        relations: [reference_tables(), marts()].concat(),
        functions: vec![FunctionFact {
            schema: "public".to_owned(),
            name: "fiscal_year".to_owned(),
            kind: FunctionKind::Function,
            arguments: vec![("d".to_owned(), PgType::plain(DATE))],
            returns: PgType::plain(INT4),
            returns_set: false,
            comment: Some("The fiscal year of a date".to_owned()),
        }],
        builtin_functions: texts(&["abs", "date_trunc"]),
        settings: vec![
            setting("search_path", "\"$user\", public"),
            setting("server_version", "15.0 (Ratehouse 0.1.0)"),
            setting("server_version_num", "150000"),
            setting("max_index_keys", "32"),
            setting("TimeZone", "UTC"),
        ],
        version: "PostgreSQL 15.0 (Ratehouse 0.1.0)".to_owned(),
        backend_pid: 7,
        sessions: vec![BackendFact {
            pid: 7,
            application_name: "psql".to_owned(),
            state: "active".to_owned(),
            ..BackendFact::default()
        }],
        comment: Some("Billing".to_owned()),
        // 2026-11-21 12:00:00 UTC
        clock: || 1_795_262_400_000_000,
        ..CatalogFacts::empty()
    }
}

pub(super) fn catalog() -> PgCatalog {
    PgCatalog::new(facts())
}

pub(super) fn parsed(sql: &str) -> Statement {
    let text = with_plain_operators(sql);
    let mut statements = Parser::parse_sql(&PostgreSqlDialect {}, &text).expect("the statement parses");
    statements.remove(0)
}

pub(super) fn run(catalog: &PgCatalog, sql: &str) -> Result<CatalogAnswer, CatalogQueryError> {
    let statement = parsed(sql);
    let Described { parameters, columns: schema, .. } = catalog.describe(&statement, &[])?;
    let nulls: Vec<ScalarValue> =
        parameters.iter().map(|data_type| ScalarValue::try_from(data_type).expect("a parameter type")).collect();
    let answer = catalog.query(&statement, &nulls, || false)?;
    assert_eq!(schema, answer.schema, "described as it runs: {sql}");
    Ok(answer)
}

/// Rows as text: cells joined by `|`, null as `-`, booleans `t` and `f`, arrays in braces.
pub(super) fn rows(sql: &str) -> Vec<String> {
    let answer = run(&catalog(), sql).unwrap_or_else(|error| panic!("{} {}: {sql}", error.sqlstate, error.message));
    answer.batches.iter().flat_map(printed).collect()
}

pub(super) fn printed(batch: &RecordBatch) -> Vec<String> {
    (0..batch.num_rows())
        .map(|row| batch.columns().iter().map(|column| cell(column.as_ref(), row)).collect::<Vec<_>>().join("|"))
        .collect()
}

fn cell(array: &dyn Array, row: usize) -> String {
    if array.is_null(row) {
        return "-".to_owned();
    }
    match array.data_type() {
        DataType::Boolean => if array.as_boolean().value(row) { "t" } else { "f" }.to_owned(),
        DataType::List(_) => {
            let items = array.as_list::<i32>().value(row);
            let cells: Vec<String> = (0..items.len()).map(|item| cell(items.as_ref(), item)).collect();
            format!("{{{}}}", cells.join(","))
        }
        _ => array_value_to_string(array, row).expect("printable"),
    }
}

/// Names and PostgreSQL types of the result columns.
pub(super) fn columns(sql: &str) -> Vec<String> {
    let Described { columns: schema, .. } =
        catalog().describe(&parsed(sql), &[]).unwrap_or_else(|error| panic!("{}: {sql}", error.message));
    schema.fields().iter().map(|field| format!("{}:{}", field.name(), field.metadata()["pg_type"])).collect()
}

/// The oid of a visible relation.
pub(super) fn oid_of(catalog: &PgCatalog, name: &str) -> u32 {
    catalog.oid_of("regclass", name).expect("a visible relation")
}
