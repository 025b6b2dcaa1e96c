//! Run-time parameters of a session: `set`, `show`, `reset`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use ratehouse_udfs::datetime::Zone;

use crate::security::SessionError;

/// A parameter: its name, its default and what it is.
#[derive(Debug, Clone, Copy)]
pub struct Parameter {
    /// The name as `show` prints it.
    pub name: &'static str,
    /// Its value at the start of a session.
    pub default: &'static str,
    /// What it does.
    pub description: &'static str,
    /// Whether a session may set it.
    pub settable: bool,
}

const fn fixed(name: &'static str, default: &'static str, description: &'static str) -> Parameter {
    Parameter { name, default, description, settable: false }
}

const fn settable(name: &'static str, default: &'static str, description: &'static str) -> Parameter {
    Parameter { name, default, description, settable: true }
}

/// The version of PostgreSQL whose behaviour clients may expect.
pub const SERVER_VERSION: &str = concat!("15.8 (Ratehouse ", env!("CARGO_PKG_VERSION"), ")");

/// All parameters.
pub const PARAMETERS: [Parameter; 59] = [
    settable("application_name", "", "Sets the application name to be reported in statistics and logs."),
    settable("bytea_output", "hex", "Sets the output format for bytea."),
    settable("client_encoding", "UTF8", "Sets the client's character set encoding."),
    settable("client_min_messages", "notice", "Sets the message levels that are sent to the client."),
    settable("DateStyle", "ISO, MDY", "Sets the display format for date and time values."),
    settable(
        "default_transaction_isolation",
        "read committed",
        "Sets the transaction isolation level of each new transaction.",
    ),
    settable("default_transaction_read_only", "off", "Sets the default read-only status of new transactions."),
    settable("extra_float_digits", "1", "Sets the number of digits displayed for floating-point values."),
    settable(
        "idle_in_transaction_session_timeout",
        "0",
        "Sets the maximum allowed idle time between queries, when in a transaction.",
    ),
    settable(
        "idle_session_timeout",
        "0",
        "Sets the maximum allowed idle time between queries, when not in a transaction.",
    ),
    settable("IntervalStyle", "postgres", "Sets the display format for interval values."),
    settable("lock_timeout", "0", "Sets the maximum allowed duration of any wait for a lock."),
    settable(
        "ratehouse.snapshot",
        "default",
        "The snapshot that statements read; default is the newest. Root and auditor.",
    ),
    settable("row_security", "on", "Enable row security."),
    settable("search_path", "public", "Sets the schema search order for names that are not schema-qualified."),
    settable("statement_timeout", "60s", "Sets the maximum allowed duration of any statement."),
    settable("standard_conforming_strings", "on", "Causes '...' strings to treat backslashes literally."),
    settable("TimeZone", "UTC", "Sets the time zone for displaying and interpreting time stamps."),
    settable("transaction_isolation", "read committed", "Sets the current transaction's isolation level."),
    settable("transaction_read_only", "off", "Sets the current transaction's read-only status."),
    // Taken and kept, so that drivers and dumps find what they set; nothing here depends on them.
    settable("array_nulls", "on", "Enable input of NULL elements in arrays."),
    settable("backslash_quote", "safe_encoding", "Sets whether \"\\'\" is allowed in string literals."),
    settable("check_function_bodies", "on", "Check routine bodies during CREATE FUNCTION and CREATE PROCEDURE."),
    settable("cursor_tuple_fraction", "0.1", "Sets the planner's estimate of the fraction of a cursor's rows."),
    settable("default_table_access_method", "heap", "Sets the default table access method for new tables."),
    settable("default_tablespace", "", "Sets the default tablespace to create tables and indexes in."),
    settable("default_transaction_deferrable", "off", "Sets the default deferrable status of new transactions."),
    settable("enable_hashjoin", "on", "Enables the planner's use of hash join plans."),
    settable("enable_mergejoin", "on", "Enables the planner's use of merge join plans."),
    settable("enable_nestloop", "on", "Enables the planner's use of nested-loop join plans."),
    settable("enable_seqscan", "on", "Enables the planner's use of sequential-scan plans."),
    settable("escape_string_warning", "on", "Warn about backslash escapes in ordinary string literals."),
    settable("geqo", "on", "Enables genetic query optimization."),
    settable("jit", "off", "Allow JIT compilation."),
    settable("lc_messages", "C", "Sets the language in which messages are displayed."),
    settable("lc_monetary", "C", "Sets the locale for formatting monetary amounts."),
    settable("lc_numeric", "C", "Sets the locale for formatting numbers."),
    settable("lc_time", "C", "Sets the locale for formatting date and time values."),
    settable(
        "max_parallel_workers_per_gather",
        "2",
        "Sets the maximum number of parallel processes per executor node.",
    ),
    settable("password_encryption", "scram-sha-256", "Chooses the algorithm for encrypting passwords."),
    settable("quote_all_identifiers", "off", "When generating SQL fragments, quote all identifiers."),
    settable("synchronize_seqscans", "on", "Enable synchronized sequential scans."),
    settable("synchronous_commit", "on", "Sets the current transaction's synchronization level."),
    settable("transaction_deferrable", "off", "Whether to defer a read-only serializable transaction."),
    settable("work_mem", "4MB", "Sets the maximum memory to be used for query workspaces."),
    settable(
        "xmloption",
        "content",
        "Sets whether XML data in implicit parsing is to be considered as documents or fragments.",
    ),
    fixed("in_hot_standby", "off", "Shows whether hot standby is currently active."),
    fixed("integer_datetimes", "on", "Shows whether datetimes are integer based."),
    fixed("is_superuser", "off", "Shows whether the current user is a superuser."),
    fixed("lc_collate", "C", "Shows the collation order locale."),
    fixed("lc_ctype", "C", "Shows the character classification and case conversion locale."),
    fixed("max_identifier_length", "63", "Shows the maximum identifier length."),
    fixed("max_index_keys", "32", "Shows the maximum number of index keys."),
    fixed("server_encoding", "UTF8", "Shows the server (database) character set encoding."),
    fixed("server_version", SERVER_VERSION, "Shows the server version."),
    fixed("server_version_num", "150008", "Shows the server version as an integer."),
    fixed("session_authorization", "", "Shows the current session user name."),
    fixed("ssl", "on", "Shows whether connections may be encrypted."),
    fixed("wal_level", "replica", "Sets the level of information written to the WAL."),
];

/// Most parameters of applications' own in one session.
const OWN_MAX: usize = 64;

/// Whether a name is one that applications make up, as PostgreSQL has them: in two parts, `myapp.tenant`.
fn is_own(name: &str) -> bool {
    let is_word = |part: &str| {
        part.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    name.len() <= 63 && name.split_once('.').is_some_and(|(of, what)| is_word(of) && is_word(what) && of != "ratehouse")
}

/// What was set since the session began.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Values {
    /// Until the session ends.
    session: BTreeMap<Cow<'static, str>, String>,
    /// Until the transaction block ends.
    block: BTreeMap<Cow<'static, str>, String>,
}

impl Values {
    fn get(&self, name: &str) -> Option<&String> {
        self.block.get(name).or_else(|| self.session.get(name))
    }
}

/// The parameters of one session.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    values: Values,
    startup: BTreeMap<Cow<'static, str>, String>,
    login: String,
    default_timeout: Duration,
}

impl Settings {
    pub(crate) fn new(login: &str, default_timeout: Duration) -> Self {
        Self { values: Values::default(), startup: BTreeMap::new(), login: login.to_owned(), default_timeout }
    }

    /// The parameter of that name, in any case.
    ///
    /// # Errors
    /// `42704` when there is none.
    pub(crate) fn parameter(name: &str) -> Result<&'static Parameter, SessionError> {
        PARAMETERS
            .iter()
            .find(|p| p.name.eq_ignore_ascii_case(name))
            .ok_or_else(|| SessionError::new("42704", format!("unrecognized configuration parameter \"{name}\"")))
    }

    /// The present value.
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        if is_own(name) {
            let name = name.to_ascii_lowercase();
            return self.values.get(&name).or_else(|| self.startup.get(name.as_str())).cloned();
        }
        let parameter = Self::parameter(name).ok()?;
        if parameter.name == "session_authorization" {
            return Some(self.login.clone());
        }
        let set = self.values.get(parameter.name).or_else(|| self.startup.get(parameter.name));
        match (set, parameter.name) {
            (Some(value), _) => Some(value.clone()),
            (None, "statement_timeout") => Some(shown(self.default_timeout)),
            (None, "transaction_isolation") => self.get("default_transaction_isolation"),
            (None, "transaction_read_only") => self.get("default_transaction_read_only"),
            (None, _) => Some(parameter.default.to_owned()),
        }
    }

    /// A parameter's name and the value that it takes.
    fn taken(&self, name: &str, value: &str) -> Result<(Cow<'static, str>, String), SessionError> {
        if !is_own(name) {
            let parameter = Self::parameter(name)?;
            return Ok((parameter.name.into(), accepted(parameter, value)?));
        }
        let name = name.to_ascii_lowercase();
        let all = [&self.values.session, &self.values.block, &self.startup];
        let own = all.iter().flat_map(|values| values.keys()).filter(|name| is_own(name)).count();
        if own >= OWN_MAX && !all.iter().any(|values| values.contains_key(name.as_str())) {
            return Err(SessionError::new("53400", format!("a session has at most {OWN_MAX} parameters of its own")));
        }
        let value = short(&name, value)?.to_owned();
        Ok((name.into(), value))
    }

    /// Sets a value.
    ///
    /// # Errors
    /// `42704` for an unknown parameter, `55P02` for a fixed one, `22023` for a bad value.
    pub(crate) fn set(&mut self, name: &str, value: &str) -> Result<(), SessionError> {
        let (name, value) = self.taken(name, value)?;
        self.values.block.remove(&name);
        self.values.session.insert(name, value);
        Ok(())
    }

    /// Sets a value until [`Settings::end_block`].
    pub(crate) fn set_local(&mut self, name: &str, value: &str) -> Result<(), SessionError> {
        let (name, value) = self.taken(name, value)?;
        self.values.block.insert(name, value);
        Ok(())
    }

    /// What is set now, to come back to.
    pub(crate) fn values(&self) -> &Values {
        &self.values
    }

    /// The names that the application made up.
    pub(crate) fn own_names(&self) -> Vec<String> {
        let names = self.values.session.keys().chain(self.values.block.keys());
        names.filter(|name| is_own(name)).map(|name| name.to_string()).collect()
    }

    /// Comes back to it.
    pub(crate) fn restore(&mut self, values: Values) {
        self.values = values;
    }

    /// Forgets what was set for the block only.
    pub(crate) fn end_block(&mut self) {
        self.values.block.clear();
    }

    /// Sets a value that `reset` returns to.
    pub(crate) fn set_at_startup(&mut self, name: &str, value: &str) -> Result<(), SessionError> {
        let (name, value) = self.taken(name, value)?;
        self.startup.insert(name, value);
        Ok(())
    }

    /// Returns one parameter, or all, to its value at the start.
    pub(crate) fn reset(&mut self, name: Option<&str>) -> Result<(), SessionError> {
        match name {
            None => self.values = Values::default(),
            Some(name) => {
                let own = name.to_ascii_lowercase();
                let name = if is_own(name) {
                    own.as_str()
                } else {
                    let parameter = Self::parameter(name)?;
                    if !parameter.settable {
                        return Err(cannot_change(parameter));
                    }
                    parameter.name
                };
                self.values.block.remove(name);
                self.values.session.remove(name);
            }
        }
        Ok(())
    }

    /// Whether the transaction may change nothing.
    pub(crate) fn is_read_only(&self) -> bool {
        self.get("transaction_read_only").as_deref() == Some("on")
    }

    /// How long a statement may run; none is for ever.
    pub(crate) fn statement_timeout(&self) -> Option<Duration> {
        let set = self.values.get("statement_timeout").or_else(|| self.startup.get("statement_timeout"));
        let timeout = set.and_then(|text| duration(text)).unwrap_or(self.default_timeout);
        (!timeout.is_zero()).then_some(timeout)
    }
}

fn cannot_change(parameter: &Parameter) -> SessionError {
    SessionError::new("55P02", format!("parameter \"{}\" cannot be changed", parameter.name))
}

fn short<'a>(name: &str, value: &'a str) -> Result<&'a str, SessionError> {
    if value.len() > 1_024 {
        return Err(SessionError::new("22023", format!("value of parameter \"{name}\" is too long")));
    }
    Ok(value)
}

fn accepted(parameter: &'static Parameter, value: &str) -> Result<String, SessionError> {
    if !parameter.settable {
        return Err(cannot_change(parameter));
    }
    let value = short(parameter.name, value)?;
    let invalid =
        || SessionError::new("22023", format!("invalid value for parameter \"{}\": \"{value}\"", parameter.name));
    Ok(match parameter.name {
        "statement_timeout" | "lock_timeout" | "idle_in_transaction_session_timeout" | "idle_session_timeout" => {
            shown(duration(value).ok_or_else(invalid)?)
        }
        "password_encryption" if value != "scram-sha-256" => return Err(invalid()),
        "client_encoding" => match value.to_ascii_uppercase().replace(['-', '_'], "").as_str() {
            "UTF8" | "UNICODE" => "UTF8".to_owned(),
            _ => return Err(invalid()),
        },
        "transaction_isolation" | "default_transaction_isolation" => {
            const LEVELS: [&str; 4] = ["read uncommitted", "read committed", "repeatable read", "serializable"];
            let lower = value.to_ascii_lowercase();
            LEVELS.into_iter().find(|level| *level == lower).ok_or_else(invalid)?.to_owned()
        }
        "transaction_read_only" | "default_transaction_read_only" => {
            if truth(value).ok_or_else(invalid)? { "on" } else { "off" }.to_owned()
        }
        "TimeZone" => zone(value).ok_or_else(invalid)?,
        "DateStyle" => {
            let lower = value.to_ascii_lowercase();
            if lower.contains("sql") || lower.contains("german") || lower.contains("postgres") {
                return Err(invalid().hint("dates are shown in ISO form"));
            }
            "ISO, MDY".to_owned()
        }
        "standard_conforming_strings" if truth(value) != Some(true) => return Err(invalid()),
        "standard_conforming_strings" => "on".to_owned(),
        _ => value.to_owned(),
    })
}

fn truth(value: &str) -> Option<bool> {
    match value.to_ascii_lowercase().as_str() {
        "on" | "true" | "yes" | "1" => Some(true),
        "off" | "false" | "no" | "0" => Some(false),
        _ => None,
    }
}

fn zone(value: &str) -> Option<String> {
    let value = value.trim_matches('\'');
    let known = chrono_tz::TZ_VARIANTS.iter().find(|zone| zone.name().eq_ignore_ascii_case(value));
    match known {
        Some(zone) => Some(zone.name().to_owned()),
        None if matches!(value.to_ascii_lowercase().as_str(), "default" | "local" | "z") => Some("UTC".to_owned()),
        // Kept with the sign that POSIX gives it behind the one that is meant, as PostgreSQL does: `<+02>-02`.
        None => Some(match Zone::of_text(value)? {
            Zone::Utc => "UTC".to_owned(),
            Zone::Fixed(offset) if offset.local_minus_utc() == 0 => "UTC".to_owned(),
            Zone::Fixed(offset) => fixed_zone(offset.local_minus_utc() / 60),
            Zone::Named(zone) => zone.name().to_owned(),
        }),
    }
}

/// The name of a zone that is always so many minutes east of UTC.
pub(super) fn fixed_zone(minutes: i32) -> String {
    let text = |minutes: i32| {
        let sign = if minutes < 0 { '-' } else { '+' };
        let (hours, rest) = (minutes.abs() / 60, minutes.abs() % 60);
        let rest = if rest == 0 { String::new() } else { format!(":{rest:02}") };
        format!("{sign}{hours:02}{rest}")
    };
    format!("<{}>{}", text(minutes), text(-minutes))
}

/// `500`, `500ms`, `30s`, `5min`, `1h`, `1d`.
fn duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let number: u64 = number.parse().ok()?;
    let millis = match unit.trim() {
        "" | "ms" => 1,
        "s" => 1_000,
        "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    let millis = number.checked_mul(millis)?;
    (millis <= i32::MAX as u64).then(|| Duration::from_millis(millis))
}

/// A duration as `show` prints it: in its largest whole unit.
fn shown(duration: Duration) -> String {
    let millis = duration.as_millis();
    for (unit, size) in [("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1_000)] {
        if millis > 0 && millis.is_multiple_of(size) {
            return format!("{}{unit}", millis / size);
        }
    }
    if millis == 0 { "0".to_owned() } else { format!("{millis}ms") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_shown_in_their_largest_unit() {
        let mut settings = Settings::new("a", Duration::from_secs(60));
        assert_eq!(settings.get("statement_timeout").as_deref(), Some("1min"));
        settings.set("statement_timeout", "1500").expect("a duration");
        assert_eq!(settings.get("Statement_Timeout").as_deref(), Some("1500ms"));
        settings.set("statement_timeout", "0").expect("a duration");
        assert_eq!(settings.statement_timeout(), None);
        settings.reset(None).expect("all");
        assert_eq!(settings.statement_timeout(), Some(Duration::from_secs(60)));
    }

    #[test]
    fn wrong_names_and_values_are_refused() {
        let mut settings = Settings::new("a", Duration::from_secs(60));
        assert_eq!(settings.set("nope", "1").expect_err("unknown").sqlstate, "42704");
        assert_eq!(settings.set("server_version", "1").expect_err("fixed").sqlstate, "55P02");
        assert_eq!(settings.set("timezone", "Nowhere").expect_err("bad").sqlstate, "22023");
    }

    #[test]
    fn applications_have_parameters_of_their_own() {
        let mut settings = Settings::new("a", Duration::from_secs(60));
        assert_eq!(settings.get("myapp.tenant"), None);
        settings.set("MyApp.Tenant", "7").expect("a name in two parts");
        assert_eq!(settings.get("myapp.tenant").as_deref(), Some("7"));
        settings.reset(Some("myapp.tenant")).expect("its own");
        assert_eq!(settings.get("myapp.tenant"), None);
        assert_eq!(settings.set("ratehouse.nope", "1").expect_err("not theirs").sqlstate, "42704");
        for number in 0..OWN_MAX {
            settings.set(&format!("a.b{number}"), "1").expect("room");
        }
        assert_eq!(settings.set("a.more", "1").expect_err("full").sqlstate, "53400");
        settings.set("a.b0", "2").expect("there already");
    }
}
