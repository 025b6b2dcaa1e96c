//! The part of a session that catalog functions read and change: settings, search path, side effects.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use regex::{Regex, RegexBuilder};

use super::directory::Directory;
use super::error::CatalogQueryError;
use super::facts::SettingFact;
use super::names::schemas_listed;
use super::oids::PG_CATALOG;

/// Something a catalog statement asks of the session that it cannot do itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SideEffect {
    /// `set_config(name, value, is_local)` was called.
    Set {
        /// Name as given.
        name: String,
        /// New value.
        value: String,
        /// Whether it holds until the end of the transaction only.
        scope: SettingScope,
    },
    /// `pg_cancel_backend(pid)` was called.
    CancelBackend(i32),
    /// `pg_terminate_backend(pid)` was called.
    TerminateBackend(i32),
    /// `pg_sleep` was called: the answer is to wait as long.
    Sleep(Duration),
}

/// How long a setting holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SettingScope {
    /// Until changed.
    Session,
    /// Until the end of the transaction.
    Transaction,
}

/// What functions work on.
pub(super) struct CatalogSession {
    pub(super) directory: Arc<Directory>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    settings: HashMap<String, SettingFact>,
    effects: Vec<SideEffect>,
    patterns: HashMap<(String, bool), Regex>,
}

const PATTERNS_MAX: usize = 64;
/// Parameters, those of PostgreSQL and those that applications make up; the session itself keeps fewer of the latter.
const SETTINGS_MAX: usize = 1_000;
/// What one statement may ask of the session.
const EFFECTS_MAX: usize = 1_000;

impl CatalogSession {
    pub(super) fn new(directory: Arc<Directory>) -> Self {
        let mut settings: HashMap<String, SettingFact> =
            presets(&directory.facts.server_version).map(|fact| (fact.name.to_lowercase(), fact)).collect();
        settings.extend(directory.facts.settings.iter().map(|fact| (fact.name.to_lowercase(), fact.clone())));
        Self { directory, state: Mutex::new(State { settings, ..State::default() }) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn setting(&self, name: &str) -> Option<String> {
        self.state().settings.get(&name.to_lowercase()).map(|fact| fact.value.clone())
    }

    /// All settings sorted by name as PostgreSQL sorts them.
    pub(super) fn settings(&self) -> Vec<SettingFact> {
        let mut settings: Vec<SettingFact> = self.state().settings.values().cloned().collect();
        settings.sort_by_key(|fact| fact.name.to_lowercase());
        settings
    }

    pub(super) fn apply_setting(&self, name: &str, value: &str) {
        let mut state = self.state();
        let name_folded = name.to_lowercase();
        if state.settings.len() >= SETTINGS_MAX && !state.settings.contains_key(&name_folded) {
            return;
        }
        let entry = state.settings.entry(name_folded).or_insert_with(|| SettingFact {
            name: name.to_owned(),
            context: "user".to_owned(),
            value_type: "string".to_owned(),
            category: "Customized Options".to_owned(),
            ..SettingFact::default()
        });
        value.clone_into(&mut entry.value);
    }

    /// Notes what the session is to do.
    ///
    /// # Errors
    /// `54000` for more than any statement needs: a call for each row of a join would fill the memory.
    pub(super) fn record(&self, effect: SideEffect) -> Result<(), CatalogQueryError> {
        let mut state = self.state();
        if state.effects.len() >= EFFECTS_MAX {
            return Err(CatalogQueryError::new("54000", "too many calls in one statement that act on the session"));
        }
        state.effects.push(effect);
        Ok(())
    }

    pub(super) fn take_effects(&self) -> Vec<SideEffect> {
        std::mem::take(&mut self.state().effects)
    }

    /// Schemas named by `search_path` that exist, in order.
    pub(super) fn listed_path(&self) -> Vec<String> {
        let text = self.setting("search_path").unwrap_or_else(|| "\"$user\", public".to_owned());
        let mut path = schemas_listed(&text, &self.directory.facts.current_user);
        path.retain(|name| self.directory.schema_oid(name).is_some());
        path
    }

    /// The schemas searched for an unqualified name: `pg_catalog` first unless listed.
    pub(super) fn search_path(&self) -> Vec<String> {
        let mut path = self.listed_path();
        if !path.iter().any(|name| name == "pg_catalog") {
            path.insert(0, "pg_catalog".to_owned());
        }
        path
    }

    /// Whether an object of a schema is found by its bare name, other things being equal.
    pub(super) fn is_on_path(&self, schema_oid: u32) -> bool {
        schema_oid == PG_CATALOG
            || self.directory.schema_name(schema_oid).is_some_and(|name| self.search_path().iter().any(|on| on == name))
    }

    /// A compiled PostgreSQL regular expression.
    pub(super) fn pattern(&self, pattern: &str, ignore_case: bool) -> Result<Regex, CatalogQueryError> {
        let key = (pattern.to_owned(), ignore_case);
        if let Some(found) = self.state().patterns.get(&key) {
            return Ok(found.clone());
        }
        let compiled = RegexBuilder::new(&translated(pattern))
            .case_insensitive(ignore_case)
            .dot_matches_new_line(true)
            .size_limit(1 << 20)
            .build()
            .map_err(|_| CatalogQueryError::new("2201B", "invalid regular expression"))?;
        let mut state = self.state();
        if state.patterns.len() >= PATTERNS_MAX {
            state.patterns.clear();
        }
        state.patterns.insert(key, compiled.clone());
        Ok(compiled)
    }
}

/// Settings that clients read and nobody can change, where the facts do not name them.
fn presets(server_version: &str) -> impl Iterator<Item = SettingFact> {
    // 15.3 is 150003
    let mut numbers = server_version.split(|letter: char| !letter.is_ascii_digit()).map(|part| part.parse::<u32>());
    let (major, minor) = (numbers.next(), numbers.next());
    let version = major.and_then(Result::ok).unwrap_or(15) * 10_000 + minor.and_then(Result::ok).unwrap_or(0);
    let fixed = |name: &str, value: &str, value_type: &str| SettingFact {
        name: name.to_owned(),
        value: value.to_owned(),
        default: value.to_owned(),
        category: "Preset Options".to_owned(),
        context: "internal".to_owned(),
        value_type: value_type.to_owned(),
        ..SettingFact::default()
    };
    [
        fixed("block_size", "8192", "integer"),
        fixed("default_table_access_method", "heap", "string"),
        fixed("default_tablespace", "", "string"),
        fixed("integer_datetimes", "on", "bool"),
        fixed("lc_collate", "C.UTF-8", "string"),
        fixed("lc_ctype", "C.UTF-8", "string"),
        fixed("max_function_args", "100", "integer"),
        fixed("max_identifier_length", "63", "integer"),
        fixed("max_index_keys", "32", "integer"),
        fixed("server_encoding", "UTF8", "string"),
        fixed("server_version", server_version, "string"),
        fixed("server_version_num", &version.to_string(), "integer"),
        fixed("standard_conforming_strings", "on", "bool"),
    ]
    .into_iter()
}

/// PostgreSQL's escapes that the regex crate spells differently.
fn translated(pattern: &str) -> String {
    let pattern = pattern.strip_prefix("***:").unwrap_or(pattern);
    let mut text = String::with_capacity(pattern.len());
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            text.push(letter);
            continue;
        }
        match letters.next() {
            Some('m') => text.push_str(r"\b{start}"),
            Some('M') => text.push_str(r"\b{end}"),
            Some('y') => text.push_str(r"\b"),
            Some('Y') => text.push_str(r"\B"),
            Some('Z') => text.push_str(r"\z"),
            Some(other) => {
                text.push('\\');
                text.push(other);
            }
            None => text.push_str(r"\\"),
        }
    }
    text
}
