//! `has_..._privilege`, true to the facts.

use rusqlite::types::Value;

use super::super::error::CatalogQueryError;
use super::super::facts::Privilege;
use super::super::oids::PG_CATALOG;
use super::super::regtypes;
use super::super::session::CatalogSession;
use super::super::types::{BOOL, REGCLASS, REGNAMESPACE, REGPROCEDURE, REGROLE};
use super::{Arguments, Native, bool_value, strict};

type Outcome = Result<Value, CatalogQueryError>;

pub(super) const FUNCTIONS: &[Native] = &[
    strict("has_table_privilege", BOOL, &[], |session, arguments| on_relation(session, &Asked::of(arguments, 2))),
    strict("has_any_column_privilege", BOOL, &[], |session, arguments| on_relation(session, &Asked::of(arguments, 2))),
    strict("has_column_privilege", BOOL, &[], |session, arguments| on_relation(session, &Asked::of(arguments, 3))),
    strict("has_sequence_privilege", BOOL, &[], |_, _| bool_value(false)),
    strict("has_schema_privilege", BOOL, &[], on_schema),
    strict("has_database_privilege", BOOL, &[], |session, arguments| {
        only(session, &Asked::of(arguments, 2), &["CONNECT"])
    }),
    strict("has_function_privilege", BOOL, &[], on_function),
    strict("has_type_privilege", BOOL, &[], |session, arguments| only(session, &Asked::of(arguments, 2), &["USAGE"])),
    strict("has_language_privilege", BOOL, &[], |session, arguments| {
        only(session, &Asked::of(arguments, 2), &["USAGE"])
    }),
    strict("has_tablespace_privilege", BOOL, &[], |session, arguments| only(session, &Asked::of(arguments, 2), &[])),
    strict("has_foreign_data_wrapper_privilege", BOOL, &[], |_, _| bool_value(false)),
    strict("has_server_privilege", BOOL, &[], |_, _| bool_value(false)),
    strict("has_parameter_privilege", BOOL, &[], |_, _| bool_value(false)),
    strict("pg_has_role", BOOL, &[], pg_has_role),
];

/// `([user,] object, ..., privileges)`.
struct Asked<'a, 'c> {
    arguments: &'a Arguments<'c>,
    /// Position of the object; 1 when a user comes first.
    object: usize,
}

impl<'a, 'c> Asked<'a, 'c> {
    fn of(arguments: &'a Arguments<'c>, without_user: usize) -> Self {
        Self { arguments, object: usize::from(arguments.len() > without_user) }
    }

    fn user(&self, session: &CatalogSession) -> Result<u32, CatalogQueryError> {
        if self.object == 0 {
            return Ok(session.directory.role_oid(&session.directory.facts.current_user).unwrap_or(0));
        }
        named(session, self.arguments, 0, REGROLE)
    }

    /// The privileges asked about, without grant options, upper case.
    fn privileges(&self) -> Vec<String> {
        let text = self.arguments.text(self.arguments.len() - 1).unwrap_or_default();
        text.split(',').map(|part| part.trim().to_uppercase()).collect()
    }

    fn object(&self, session: &CatalogSession, reg: u32) -> Result<u32, CatalogQueryError> {
        named(session, self.arguments, self.object, reg)
    }
}

fn named(
    session: &CatalogSession,
    arguments: &Arguments<'_>,
    index: usize,
    reg: u32,
) -> Result<u32, CatalogQueryError> {
    if arguments.is_number(index) {
        return Ok(arguments.oid(index));
    }
    let text = arguments.text(index).unwrap_or_default();
    if reg == REGROLE {
        // role names here are plain names, not identifiers
        let found = session.directory.role_oid(&text);
        return found.ok_or_else(|| CatalogQueryError::new("42704", format!("role \"{text}\" does not exist")));
    }
    regtypes::parse(session, reg, &text)
}

fn checked(privileges: &[String], known: &[&str]) -> Result<(), CatalogQueryError> {
    for privilege in privileges {
        let bare = privilege.strip_suffix(" WITH GRANT OPTION").unwrap_or(privilege);
        if !known.contains(&bare) {
            return Err(CatalogQueryError::new("22023", format!("unrecognized privilege type: \"{bare}\"")));
        }
    }
    Ok(())
}

/// Whether a role is the session's own or one it is a member of.
fn is_own(session: &CatalogSession, role: u32) -> bool {
    let name = session.directory.role_name(role).unwrap_or_default();
    session.directory.enabled_roles().iter().any(|enabled| enabled == name)
}

fn on_relation(session: &CatalogSession, asked: &Asked<'_, '_>) -> Outcome {
    let user = asked.user(session)?;
    let relation = asked.object(session, REGCLASS)?;
    let privileges = asked.privileges();
    checked(&privileges, &["SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER"])?;
    let Some(granted) = session.directory.privileges(relation) else {
        return Ok(Value::Null);
    };
    if session.directory.is_all_powerful(user) {
        return bool_value(true);
    }
    let has = |wanted: &String| granted.iter().any(|privilege: &Privilege| privilege.keyword() == wanted);
    bool_value(is_own(session, user) && privileges.iter().any(has))
}

fn on_schema(session: &CatalogSession, arguments: &Arguments<'_>) -> Outcome {
    let asked = Asked::of(arguments, 2);
    let user = asked.user(session)?;
    let schema = asked.object(session, REGNAMESPACE)?;
    let privileges = asked.privileges();
    checked(&privileges, &["CREATE", "USAGE"])?;
    if session.directory.schema_name(schema).is_none() {
        return Ok(Value::Null);
    }
    let usable = schema != super::super::oids::PG_TOAST;
    bool_value(
        session.directory.is_all_powerful(user) || (usable && privileges.iter().any(|privilege| privilege == "USAGE")),
    )
}

fn on_function(session: &CatalogSession, arguments: &Arguments<'_>) -> Outcome {
    let asked = Asked::of(arguments, 2);
    asked.user(session)?;
    let function = asked.object(session, REGPROCEDURE)?;
    checked(&asked.privileges(), &["EXECUTE"])?;
    let found = session.directory.procedure(function);
    Ok(found.map_or(Value::Null, |_| Value::Integer(i64::from(!asked.privileges()[0].ends_with("OPTION")))))
}

/// Objects whose grants are the same for everyone.
fn only(session: &CatalogSession, asked: &Asked<'_, '_>, granted: &[&str]) -> Outcome {
    let user = asked.user(session)?;
    let privileges = asked.privileges();
    bool_value(
        session.directory.is_all_powerful(user)
            || privileges.iter().any(|privilege| granted.contains(&privilege.as_str())),
    )
}

/// `pg_has_role([user,] role, 'USAGE' or 'MEMBER')`.
fn pg_has_role(session: &CatalogSession, arguments: &Arguments<'_>) -> Outcome {
    let asked = Asked::of(arguments, 2);
    let user = asked.user(session)?;
    let role = named(session, arguments, asked.object, REGROLE)?;
    checked(&asked.privileges(), &["USAGE", "MEMBER", "MEMBER WITH ADMIN OPTION"])?;
    let current = session.directory.role_oid(&session.directory.facts.current_user);
    bool_value(
        user == role
            || session.directory.is_all_powerful(user)
            || (Some(user) == current && is_own(session, role) && role != PG_CATALOG),
    )
}
