//! Who and where the session is, and its run-time parameters.

use std::time::Duration;

use rusqlite::types::Value;
use serde_json::Value as Json;

use super::super::error::CatalogQueryError;
use super::super::session::{CatalogSession, SettingScope, SideEffect};
use super::super::types::{BOOL, FLOAT8, INET, INT4, INT8, NAME, NAME_ARRAY, OID, TEXT, TIMESTAMPTZ, VOID, XID8};
use super::{Arguments, Native, bool_value, called, optional_text, strict, text_value};

/// A day: statements end before.
const SLEEP_MAX_S: f64 = 86_400.0;

type Outcome = Result<Value, CatalogQueryError>;

pub(super) const FUNCTIONS: &[Native] = &[
    called("current_database", NAME, &[], |session, _| text_value(session.directory.facts.database.clone())),
    called("current_catalog", NAME, &[], |session, _| text_value(session.directory.facts.database.clone())),
    called("current_user", NAME, &[], |session, _| text_value(session.directory.facts.current_user.clone())),
    called("current_role", NAME, &[], |session, _| text_value(session.directory.facts.current_user.clone())),
    called("session_user", NAME, &[], |session, _| text_value(session.directory.facts.current_user.clone())),
    called("user", NAME, &[], |session, _| text_value(session.directory.facts.current_user.clone())),
    called("system_user", TEXT, &[], |session, _| text_value(session.directory.facts.current_user.clone())),
    called("current_schema", NAME, &[], |session, _| optional_text(session.listed_path().into_iter().next())),
    strict("current_schemas", NAME_ARRAY, &[BOOL], current_schemas),
    called("current_setting", TEXT, &[TEXT, BOOL], current_setting),
    called("set_config", TEXT, &[TEXT, TEXT, BOOL], set_config),
    called("current_query", TEXT, &[], |_, _| text_value("")),
    called("version", TEXT, &[], |session, _| text_value(session.directory.facts.version.clone())),
    called("pg_backend_pid", INT4, &[], |session, _| Ok(Value::Integer(session.directory.facts.backend_pid.into()))),
    strict("pg_cancel_backend", BOOL, &[INT4], |session, arguments| {
        signal(session, arguments, SideEffect::CancelBackend)
    }),
    strict("pg_terminate_backend", BOOL, &[INT4, INT8], |session, arguments| {
        signal(session, arguments, SideEffect::TerminateBackend)
    }),
    strict("pg_sleep", VOID, &[FLOAT8], |session, arguments| {
        let seconds = arguments.real(0).unwrap_or(0.0).clamp(0.0, SLEEP_MAX_S);
        session.record(SideEffect::Sleep(Duration::from_secs_f64(seconds)))?;
        text_value("")
    }),
    called("pg_is_in_recovery", BOOL, &[], |_, _| bool_value(false)),
    called("pg_is_wal_replay_paused", BOOL, &[], |_, _| bool_value(false)),
    called("pg_jit_available", BOOL, &[], |_, _| bool_value(false)),
    called("pg_postmaster_start_time", TIMESTAMPTZ, &[], |session, _| {
        Ok(Value::Integer(session.directory.facts.started_at))
    }),
    called("pg_conf_load_time", TIMESTAMPTZ, &[], |session, _| Ok(Value::Integer(session.directory.facts.started_at))),
    called("pg_my_temp_schema", OID, &[], |_, _| Ok(Value::Integer(0))),
    strict("pg_is_other_temp_schema", BOOL, &[OID], |_, _| bool_value(false)),
    called("pg_client_encoding", NAME, &[], |_, _| text_value("UTF8")),
    called("getdatabaseencoding", NAME, &[], |_, _| text_value("UTF8")),
    strict("pg_encoding_to_char", NAME, &[INT4], |_, arguments| {
        text_value(if arguments.integer(0) == Some(6) { "UTF8" } else { "" })
    }),
    strict("pg_char_to_encoding", INT4, &[NAME], |_, arguments| {
        let name = arguments.text(0).unwrap_or_default().to_lowercase().replace('-', "");
        Ok(Value::Integer(if name == "utf8" { 6 } else { -1 }))
    }),
    called("inet_server_addr", INET, &[], |_, _| Ok(Value::Null)),
    called("inet_server_port", INT4, &[], |_, _| Ok(Value::Null)),
    called("inet_client_addr", INET, &[], |_, _| Ok(Value::Null)),
    called("inet_client_port", INT4, &[], |_, _| Ok(Value::Null)),
    called("txid_current", INT8, &[], |_, _| Ok(Value::Integer(1))),
    called("txid_current_if_assigned", INT8, &[], |_, _| Ok(Value::Null)),
    called("txid_snapshot_xmin", INT8, &[], |_, _| Ok(Value::Integer(1))),
    called("pg_current_xact_id", XID8, &[], |_, _| Ok(Value::Integer(1))),
    called("pg_current_xact_id_if_assigned", XID8, &[], |_, _| Ok(Value::Null)),
    called("pg_export_snapshot", TEXT, &[], |_, _| text_value("00000001-00000001-1")),
    called("pg_advisory_unlock_all", VOID, &[], |_, _| text_value("")),
    called("pg_advisory_lock", VOID, &[INT8, INT4], |_, _| text_value("")),
    called("pg_advisory_xact_lock", VOID, &[INT8, INT4], |_, _| text_value("")),
    called("pg_try_advisory_lock", BOOL, &[INT8, INT4], |_, _| bool_value(true)),
    called("pg_advisory_unlock", BOOL, &[INT8, INT4], |_, _| bool_value(true)),
    called("pg_notification_queue_usage", FLOAT8, &[], |_, _| Ok(Value::Real(0.0))),
];

fn current_schemas(session: &CatalogSession, arguments: &Arguments<'_>) -> Outcome {
    let path = if arguments.flag(0) { session.search_path() } else { session.listed_path() };
    text_value(Json::from(path).to_string())
}

fn unrecognized(name: &str) -> CatalogQueryError {
    CatalogQueryError::new("42704", format!("unrecognized configuration parameter \"{name}\""))
}

fn current_setting(session: &CatalogSession, arguments: &Arguments<'_>) -> Outcome {
    let Some(name) = arguments.text(0) else {
        return Ok(Value::Null);
    };
    match session.setting(&name) {
        Some(value) => text_value(value),
        None if arguments.flag(1) => Ok(Value::Null),
        None => Err(unrecognized(&name)),
    }
}

/// The session applies it (the caller is told); this catalog sees the new value at once.
fn set_config(session: &CatalogSession, arguments: &Arguments<'_>) -> Outcome {
    let Some(name) = arguments.text(0) else {
        return Err(CatalogQueryError::new("22023", "SET requires parameter name"));
    };
    let value = arguments.text(1).unwrap_or_default();
    if session.setting(&name).is_none() && !name.contains('.') {
        return Err(unrecognized(&name));
    }
    let scope = if arguments.flag(2) { SettingScope::Transaction } else { SettingScope::Session };
    session.record(SideEffect::Set { name: name.clone(), value: value.clone(), scope })?;
    session.apply_setting(&name, &value);
    text_value(value)
}

/// True only for backends of the same login: others are not told apart from absent ones.
fn signal(session: &CatalogSession, arguments: &Arguments<'_>, effect: fn(i32) -> SideEffect) -> Outcome {
    let facts = &session.directory.facts;
    let pid = arguments.integer(0).and_then(|pid| i32::try_from(pid).ok()).unwrap_or(0);
    let is_own = pid == facts.backend_pid || facts.sessions.iter().any(|backend| backend.pid == pid);
    session.record(effect(pid))?;
    bool_value(is_own)
}
