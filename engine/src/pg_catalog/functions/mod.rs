//! PostgreSQL functions over the catalog's private database.
//!
//! Every function is known here once: its name, its types (for describing a statement) and its body (registered with
//! SQLite under [`sqlite_name`]). Values are SQLite's: booleans 0 and 1, oids and instants integers, arrays JSON text.

mod arguments;
mod array_text;
mod arrays;
mod definitions;
mod input;
mod numbers;
mod objects;
mod patterns;
mod privileges;
mod set_rows;
mod sets;
mod settings;
mod text;

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use rusqlite::Connection;
use rusqlite::functions::FunctionFlags;
use rusqlite::types::Value;

pub(super) use arguments::Arguments;
pub(super) use array_text::{array_literal_to_json, json_to_array_literal};
pub(super) use input::{bool_from_text, date_from_text, instant_from_text};
pub(super) use sets::{SetFunction, column_type, set_function};

use super::error::CatalogQueryError;
use super::session::CatalogSession;

/// What a function returns, given the types of its arguments.
#[derive(Debug, Clone, Copy)]
pub(super) enum Returns {
    /// Always this type.
    Type(u32),
    /// The type of the first argument.
    First,
    /// The type all arguments have in common.
    Common,
}

/// Whether a null argument makes the result null without a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Nulls {
    Strict,
    Called,
}

type Body = fn(&CatalogSession, &Arguments<'_>) -> Result<Value, CatalogQueryError>;

/// One function.
pub(super) struct Native {
    pub(super) name: &'static str,
    pub(super) returns: Returns,
    /// Types that untyped literals and parameters take; text beyond the list.
    pub(super) arguments: &'static [u32],
    nulls: Nulls,
    body: Body,
}

const fn strict(name: &'static str, returns: u32, arguments: &'static [u32], body: Body) -> Native {
    Native { name, returns: Returns::Type(returns), arguments, nulls: Nulls::Strict, body }
}

const fn called(name: &'static str, returns: u32, arguments: &'static [u32], body: Body) -> Native {
    Native { name, returns: Returns::Type(returns), arguments, nulls: Nulls::Called, body }
}

const fn generic(name: &'static str, returns: Returns, nulls: Nulls, body: Body) -> Native {
    Native { name, returns, arguments: &[], nulls, body }
}

const GROUPS: &[&[Native]] = &[
    arrays::FUNCTIONS,
    definitions::FUNCTIONS,
    input::FUNCTIONS,
    numbers::FUNCTIONS,
    objects::FUNCTIONS,
    patterns::FUNCTIONS,
    privileges::FUNCTIONS,
    set_rows::FUNCTIONS,
    settings::FUNCTIONS,
    text::FUNCTIONS,
];

static BY_NAME: LazyLock<HashMap<&'static str, &'static Native>> =
    LazyLock::new(|| GROUPS.iter().copied().flatten().map(|native| (native.name, native)).collect());

/// Finds a function by its PostgreSQL name.
pub(super) fn native(name: &str) -> Option<&'static Native> {
    BY_NAME.get(name).copied()
}

/// The name under which SQLite knows a function; apart from SQLite's own functions of the same name.
pub(super) fn sqlite_name(name: &str) -> String {
    format!("catalog_{name}")
}

/// Registers all functions with a connection.
///
/// # Errors
/// Only if SQLite refuses a registration.
pub(super) fn register(connection: &Connection, session: &Arc<CatalogSession>) -> Result<(), rusqlite::Error> {
    // Deterministic within a statement, which is all SQLite asks; set_config and its like are not folded because they
    // are called once per statement with constant arguments either way.
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    for native in GROUPS.iter().copied().flatten() {
        let session = Arc::clone(session);
        let (body, nulls) = (native.body, native.nulls);
        connection.create_scalar_function(sqlite_name(native.name).as_str(), -1, flags, move |context| {
            let arguments = Arguments::new(context);
            if nulls == Nulls::Strict && arguments.any_null() {
                return Ok(Value::Null);
            }
            body(&session, &arguments).map_err(|error| rusqlite::Error::UserFunctionError(Box::new(error)))
        })?;
    }
    Ok(())
}

fn text_value(text: impl Into<String>) -> Result<Value, CatalogQueryError> {
    Ok(Value::Text(text.into()))
}

fn bool_value(value: bool) -> Result<Value, CatalogQueryError> {
    Ok(Value::Integer(i64::from(value)))
}

fn optional_text(text: Option<String>) -> Result<Value, CatalogQueryError> {
    Ok(text.map_or(Value::Null, Value::Text))
}

/// Names of all functions that this catalog answers itself.
pub(super) fn names() -> Vec<&'static str> {
    let own = GROUPS.iter().copied().flatten().map(|native| native.name);
    own.chain(sets::names()).collect()
}

/// Whether a function does something beside giving its value.
pub(super) fn acts(name: &str) -> bool {
    matches!(name, "set_config" | "pg_cancel_backend" | "pg_terminate_backend")
        || name.starts_with("pg_sleep")
        || name.contains("advisory")
}

/// Whether only a catalog has such a function: a statement without relations that calls one is the catalog's.
pub(super) fn belongs_to_catalogs(name: &str) -> bool {
    const CATALOG_GROUPS: &[&[Native]] =
        &[definitions::FUNCTIONS, objects::FUNCTIONS, privileges::FUNCTIONS, settings::FUNCTIONS];
    name.starts_with("to_reg")
        || (name.starts_with("pg_") || name.starts_with("_pg_"))
            && (native(name).is_some() || set_function(name).is_some())
        || CATALOG_GROUPS.iter().copied().flatten().any(|native| native.name == name)
}
