//! What the system catalogs say of a session: its own relations, roles and settings.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use super::relation_catalog::{DATABASE, caller_of};
use super::settings::{PARAMETERS, SERVER_VERSION};
use super::views::ColumnsFor;
use super::{Session, VERSION, lock};
use crate::catalog::RefTable;
use crate::pg_catalog::types as pg;
use crate::pg_catalog::{
    CatalogFacts, ColumnFact, ForeignKeyFact, PgType, Privilege, RelationFact, RelationKind, RoleFact, SchemaFact,
    SettingFact,
};
use crate::security::SessionError;
use crate::security::policy::Relation;
use crate::security::relations::{COMMENT, PG_TYPE};

/// A schema, a relation, its columns, and the relation and columns that they point to.
type ForeignKey = (&'static str, &'static str, &'static [&'static str], &'static str, &'static [&'static str]);

/// What BI tools draw as lines.
const FOREIGN_KEYS: [ForeignKey; 4] = [
    ("public", "invoice_lines", &["invoice_id"], "invoices", &["invoice_id"]),
    ("ref", "rate_card_versions", &["card_id"], "rate_cards", &["card_id"]),
    ("ref", "rate_rules", &["card_id", "version"], "rate_card_versions", &["card_id", "version"]),
    ("ops", "rejected_rows", &["delivery_id"], "deliveries", &["delivery_id"]),
];

const PRIMARY_KEYS: [(&str, &str, &[&str]); 6] = [
    ("public", "charges", &["charge_id"]),
    ("public", "invoices", &["invoice_id"]),
    ("public", "invoice_lines", &["invoice_id", "line_no"]),
    ("ops", "deliveries", &["delivery_id"]),
    ("ops", "slices", &["slice_id"]),
    ("ops", "snapshots", &["snapshot_id"]),
];

const SCHEMAS: [(&str, &str); 4] = [
    ("public", "Charges, margins and invoices: what analysts and BI tools open."),
    ("focus", "The caller's own charges re-issued as FOCUS."),
    ("ref", "Reference data: nodes, accounts, rate cards, rates, logins."),
    ("ops", "Deliveries, quality, reconciliation and audit."),
];

impl Session {
    pub(super) async fn catalog_facts(&self) -> Result<CatalogFacts, SessionError> {
        self.begin_statement()?;
        let mut relations = Vec::new();
        let granted: Vec<_> = self.relations.granted().collect();
        for relation in granted {
            let Some(present) = self.columns_of(relation).await? else { continue };
            let reference = RefTable::named(relation.name).filter(|_| relation.schema == "ref");
            let primary_key = primary_key(relation.schema, relation.name, reference);
            let column = |field: &Arc<Field>| {
                let fact = column(field, reference);
                // As in PostgreSQL, a column of the key is never null.
                ColumnFact { nullable: fact.nullable && !primary_key.contains(&fact.name), ..fact }
            };
            let columns = present.fields().iter().map(column).collect();
            let mut privileges = vec![Privilege::Select];
            if relation.write.has(self.principal().role) {
                privileges.extend([Privilege::Insert, Privilege::Update, Privilege::Delete]);
            }
            relations.push(RelationFact {
                schema: relation.schema.to_owned(),
                name: relation.name.to_owned(),
                kind: match super::views::any(relation.schema, relation.name) {
                    Some(_) => RelationKind::View,
                    None => RelationKind::Table,
                },
                comment: comment_of(relation.schema, relation.name),
                columns,
                primary_key,
                unique: Vec::new(),
                foreign_keys: foreign_keys(relation.schema, relation.name),
                definition: self.definition(relation.schema, relation.name, &present),
                privileges,
            });
        }
        let principal = self.principal();
        Ok(CatalogFacts {
            database: DATABASE.to_owned(),
            current_user: principal.login.clone(),
            owner: "ratehouse".to_owned(),
            roles: self.role_facts()?,
            schemas: SCHEMAS
                .iter()
                .map(|(name, comment)| SchemaFact { name: (*name).to_owned(), comment: Some((*comment).to_owned()) })
                .collect(),
            relations,
            functions: Vec::new(),
            builtin_functions: Vec::new(),
            settings: self.setting_facts(),
            server_version: SERVER_VERSION.to_owned(),
            version: VERSION.to_owned(),
            backend_pid: self.pid,
            sessions: Vec::new(),
            started_at: 0,
            comment: Some("Ratehouse billing warehouse".to_owned()),
            clock: || chrono::Utc::now().timestamp_micros(),
        })
    }

    /// The columns of a relation, if the session has it.
    async fn columns_of(&self, relation: &Relation) -> Result<Option<SchemaRef>, SessionError> {
        let caller = caller_of(&self.shared);
        let columns_for = ColumnsFor { is_root: caller.scope.is_root, money: caller.money };
        let key = (relation.schema, relation.name, columns_for);
        if let Some(columns) = lock(&self.shared.core.columns_of_views).get(&key) {
            return Ok(Some(Arc::clone(columns)));
        }
        let reference = datafusion::common::TableReference::full(DATABASE, relation.schema, relation.name);
        let schema = self.state.0.schema_for_ref(reference)?;
        let Some(table) = schema.table(relation.name).await? else { return Ok(None) };
        if super::views::any(relation.schema, relation.name).is_some() {
            lock(&self.shared.core.columns_of_views).insert(key, table.schema());
        }
        Ok(Some(table.schema()))
    }

    /// The text of a view: the root reads what it is made of, others only what it gives.
    fn definition(&self, schema: &str, name: &str, columns: &Schema) -> Option<String> {
        let is_root = self.shared.moment().scope.is_root;
        let view = super::views::named(schema, name, is_root)?;
        if is_root {
            return Some(view.sql.to_owned());
        }
        let names: Vec<&str> = columns.fields().iter().map(|field| field.name().as_str()).collect();
        Some(format!(" SELECT {}\n   FROM {schema}.{name};", names.join(",\n    ")))
    }

    fn role_facts(&self) -> Result<Vec<RoleFact>, SessionError> {
        let moment = self.shared.moment();
        let state = super::write::state_at(&self.shared, &moment.overlay)?;
        let text = |row: &[crate::catalog::Value], at: usize| {
            row.get(at).and_then(crate::catalog::Value::as_text).unwrap_or_default().to_owned()
        };
        let own = &self.principal().login;
        let now = super::write::now();
        Ok(state
            .get("users")
            .into_iter()
            .flat_map(|rows| rows.values())
            .filter(|row| text(row, 0) == *own || moment.tree.is_within_now(&text(row, 1), &moment.scope.node_id, &now))
            .map(|row| RoleFact {
                name: text(row, 0),
                can_login: row.get(3).and_then(crate::catalog::Value::as_int) == Some(1),
                member_of: Vec::new(),
                comment: Some(format!("{} of {}", text(row, 2), text(row, 1))),
            })
            .collect())
    }

    fn setting_facts(&self) -> Vec<SettingFact> {
        let settings = lock(&self.settings);
        PARAMETERS
            .iter()
            .map(|parameter| SettingFact {
                name: parameter.name.to_owned(),
                value: settings.get(parameter.name).unwrap_or_default(),
                default: parameter.default.to_owned(),
                description: parameter.description.to_owned(),
                context: if parameter.settable { "user" } else { "internal" }.to_owned(),
                value_type: "string".to_owned(),
                ..SettingFact::default()
            })
            .collect()
    }
}

fn comment_of(schema: &str, name: &str) -> Option<String> {
    if schema == "ref" {
        return RefTable::named(name).map(|table| table.comment.to_owned());
    }
    let from_catalog = super::catalog_relations::CATALOG_RELATIONS
        .iter()
        .find(|r| r.schema == schema && r.name == name)
        .map(|r| r.comment);
    let from_view = || super::views::any(schema, name).map(|view| view.comment);
    let of_lake = match name {
        "charges" => {
            Some("One row per portion of a charge in the caller's subtree, with the caller's own cost and price.")
        }
        "charges_daily" => Some("Charges by day and every dimension that rules and dashboards use."),
        "charges_monthly" => Some("Charges by billing period, owner, account, service and category."),
        "charges_by_tier" => Some("One row per charge and edge that the caller sees: who pays how much."),
        "tiers_monthly" => Some("One row per monthly sum and edge that the caller sees: who pays whom how much."),
        "edges_monthly" => Some(
            "One row per month, account, service and edge: who pays whom how much, from the provider down. The root's only.",
        ),
        "credits_ledger" => Some(
            "Credits in double entry: the rows of an entry, and so of a credit at any time, add up to zero. Of what a credit is further up nothing is shown.",
        ),
        "proposed_adjustments" => Some(
            "One row per thing that is charged otherwise now than an issued invoice and what corrected it since say; for sellers.",
        ),
        "usage" => Some("One row per line that a provider delivered, as FOCUS 1.4. The root's only."),
        "changes" => Some("One row per changed reference row: old and new values, who, when and why."),
        _ => None,
    };
    from_catalog.or(of_lake).or_else(from_view).map(str::to_owned)
}

fn column(field: &Field, reference: Option<&RefTable>) -> ColumnFact {
    let metadata: &HashMap<String, String> = field.metadata();
    let stored = reference.and_then(|table| table.columns.iter().find(|c| c.name == field.name()));
    ColumnFact {
        name: field.name().clone(),
        data_type: pg_type(field),
        nullable: field.is_nullable(),
        comment: metadata.get(COMMENT).filter(|text| !text.is_empty()).cloned(),
        default: stored.and_then(|c| c.default).map(|text| format!("'{text}'")),
    }
}

fn pg_type(field: &Field) -> PgType {
    if field.metadata().get(PG_TYPE).is_some_and(|name| name == "json") {
        return PgType::plain(pg::JSON);
    }
    if let Some(numeric) = PgType::of_decimal(field.data_type()) {
        return numeric;
    }
    PgType::plain(match field.data_type() {
        DataType::Boolean => pg::BOOL,
        DataType::Int8 | DataType::Int16 | DataType::UInt8 => pg::INT2,
        DataType::Int32 | DataType::UInt16 => pg::INT4,
        DataType::Int64 | DataType::UInt32 => pg::INT8,
        DataType::UInt64 | DataType::Decimal32(..) | DataType::Decimal64(..) => pg::NUMERIC,
        DataType::Float16 | DataType::Float32 => pg::FLOAT4,
        DataType::Float64 => pg::FLOAT8,
        DataType::Date32 | DataType::Date64 => pg::DATE,
        DataType::Timestamp(_, Some(_)) => pg::TIMESTAMPTZ,
        DataType::Timestamp(_, None) => pg::TIMESTAMP,
        _ => pg::TEXT,
    })
}

fn primary_key(schema: &str, name: &str, reference: Option<&RefTable>) -> Vec<String> {
    if let Some(table) = reference {
        return table.key.iter().map(|column| (*column).to_owned()).collect();
    }
    PRIMARY_KEYS
        .iter()
        .find(|(s, n, _)| *s == schema && *n == name)
        .map(|(_, _, columns)| columns.iter().map(|c| (*c).to_owned()).collect())
        .unwrap_or_default()
}

fn foreign_keys(schema: &str, name: &str) -> Vec<ForeignKeyFact> {
    let texts = |columns: &[&str]| columns.iter().map(|c| (*c).to_owned()).collect();
    FOREIGN_KEYS
        .iter()
        .filter(|(s, n, ..)| *s == schema && *n == name)
        .map(|(schema, _, columns, relation, referenced)| ForeignKeyFact {
            columns: texts(columns),
            schema: (*schema).to_owned(),
            relation: (*relation).to_owned(),
            referenced: texts(referenced),
        })
        .collect()
}
