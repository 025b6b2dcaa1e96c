//! Statements: parsed text, with the few forms that the SQL grammar does not know.

use datafusion::sql::sqlparser::ast::{
    ContextModifier, Expr, ObjectName, Reset, Set, Statement as Ast, TransactionAccessMode, TransactionMode, Value,
};

use super::settings::{Settings, fixed_zone};
use super::users::UserStatement;
use super::{dialect, grammar, size};
use crate::security::SessionError;
use crate::security::guard::{self, Kind};

/// One parsed statement.
#[derive(Debug, Clone)]
pub struct Statement {
    form: Form,
    text: String,
}

#[derive(Debug, Clone)]
enum Form {
    Sql(Box<Ast>),
    User(UserStatement),
}

/// What a `set` does.
#[derive(Debug)]
pub(super) struct Assignment {
    /// The parameter.
    pub(super) name: String,
    /// Its value; none for `default`.
    pub(super) value: Option<String>,
    /// Whether it holds until the end of the block only.
    pub(super) is_local: bool,
}

/// Splits text into statements.
pub(super) fn parse(sql: &str) -> Result<Vec<Statement>, SessionError> {
    if let Some(user) = UserStatement::parse(sql)? {
        return Ok(vec![Statement { form: Form::User(user), text: sql.to_owned() }]);
    }
    let statements = grammar::parse(&crate::pg_catalog::with_plain_operators(sql))?;
    let adapted = |mut ast: Ast| {
        size::check(&ast)?;
        dialect::adapt(&mut ast)?;
        let text = ast.to_string();
        Ok(Statement { form: Form::Sql(Box::new(ast)), text })
    };
    statements.into_iter().map(adapted).collect()
}

impl Statement {
    /// The parsed form.
    pub(crate) fn ast(&self) -> Result<&Ast, SessionError> {
        match &self.form {
            Form::Sql(ast) => Ok(ast),
            Form::User(_) => Err(SessionError::unsupported("this statement here")),
        }
    }

    /// The statement about a login, if it is one.
    pub(super) fn user(&self) -> Option<&UserStatement> {
        match &self.form {
            Form::User(user) => Some(user),
            Form::Sql(_) => None,
        }
    }

    /// Its text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What kind of statement it is.
    pub(crate) fn kind(&self) -> Result<Kind, SessionError> {
        match &self.form {
            Form::Sql(ast) => guard::admit(ast),
            Form::User(_) => Ok(Kind::Call),
        }
    }

    /// Whether it may run in a failed block.
    pub(crate) fn ends_transaction(&self) -> bool {
        matches!(&self.form, Form::Sql(ast) if matches!(ast.as_ref(), Ast::Commit { .. } | Ast::Rollback { .. }))
    }

    /// Its first word, as errors name it.
    pub(super) fn verb(&self) -> String {
        self.text.split_whitespace().next().unwrap_or_default().to_uppercase()
    }

    /// The command tag of a statement that returns no rows.
    pub(super) fn tag(&self) -> String {
        let Form::Sql(ast) = &self.form else { return "CALL".to_owned() };
        match ast.as_ref() {
            Ast::StartTransaction { begin: true, .. } => "BEGIN",
            Ast::StartTransaction { .. } => "START TRANSACTION",
            Ast::Commit { .. } => "COMMIT",
            Ast::Rollback { .. } => "ROLLBACK",
            Ast::Savepoint { .. } => "SAVEPOINT",
            Ast::ReleaseSavepoint { .. } => "RELEASE",
            Ast::Discard { .. } => "DISCARD ALL",
            Ast::LISTEN { .. } => "LISTEN",
            Ast::UNLISTEN { .. } => "UNLISTEN",
            Ast::Deallocate { .. } => "DEALLOCATE",
            Ast::Lock(_) => "LOCK TABLE",
            Ast::Call(_) => "CALL",
            _ => "OK",
        }
        .to_owned()
    }

    /// The name that `show` asks for, in its usual spelling.
    pub(super) fn shown_name(&self) -> String {
        let name = self.asked_name();
        Settings::parameter(&name).map_or(name, |parameter| parameter.name.to_owned())
    }

    fn asked_name(&self) -> String {
        let Form::Sql(ast) = &self.form else { return String::new() };
        let Ast::ShowVariable { variable } = ast.as_ref() else { return String::new() };
        let words: Vec<String> = variable.iter().map(|ident| ident.value.to_lowercase()).collect();
        match words.join(" ").as_str() {
            "time zone" => "timezone".to_owned(),
            "transaction isolation level" => "transaction_isolation".to_owned(),
            "session authorization" => "session_authorization".to_owned(),
            _ => words.join("."),
        }
    }

    /// The parameter that `reset` names; none is all.
    pub(super) fn reset_name(&self) -> Result<Option<String>, SessionError> {
        match self.ast()? {
            Ast::Reset(reset) => Ok(match &reset.reset {
                Reset::ALL => None,
                Reset::ConfigurationParameter(name) => Some(parameter_name(name)),
            }),
            _ => Err(SessionError::unsupported("this statement")),
        }
    }

    /// What `set` assigns, if it assigns anything; or what `begin` does for its block.
    pub(super) fn assignments(&self) -> Result<Vec<Assignment>, SessionError> {
        let set = match self.ast()? {
            Ast::Set(set) => set,
            Ast::StartTransaction { modes, .. } => return Ok(of_modes(modes, false)),
            _ => return Err(SessionError::unsupported("this statement")),
        };
        let assignment = |name: String, value, is_local| vec![Assignment { name, value, is_local }];
        Ok(match set {
            Set::SingleAssignment { scope, variable, values, .. } => {
                let is_local = *scope == Some(ContextModifier::Local);
                let name = parameter_name(variable);
                let value = if name == "search_path" { path_value(values)? } else { setting_value(values)? };
                assignment(name, value, is_local)
            }
            Set::SetTimeZone { local, value } => {
                // `interval '+02:00' hour to minute` and `-3.5`: hours east of UTC.
                let (said, is_hours) = match value {
                    Expr::Interval(interval) => (interval.value.as_ref(), true),
                    Expr::Value(number) => (value, matches!(number.value, Value::Number(..))),
                    other => (other, matches!(other, Expr::UnaryOp { .. })),
                };
                let said = setting_value(std::slice::from_ref(said))?;
                let zone = if is_hours { said.as_deref().and_then(hours_east) } else { said };
                assignment("timezone".to_owned(), zone, *local)
            }
            Set::SetNames { charset_name, .. } => {
                assignment("client_encoding".to_owned(), Some(charset_name.value.clone()), false)
            }
            Set::SetNamesDefault {} => assignment("client_encoding".to_owned(), None, false),
            Set::SetTransaction { modes, session, .. } => of_modes(modes, *session),
            Set::SetRole { role_name: None, .. } => Vec::new(),
            Set::SetRole { .. } | Set::SetSessionAuthorization(_) => {
                return Err(SessionError::new("42501", "permission denied to set role"));
            }
            Set::MultipleAssignments { .. } | Set::ParenthesizedAssignments { .. } | Set::SetSessionParam(_) => {
                return Err(SessionError::unsupported("this form of set"));
            }
        })
    }
}

/// The zone so many hours east of UTC: `2`, `-3.5`, `+02:00`.
fn hours_east(text: &str) -> Option<String> {
    let unsigned = text.trim_start_matches(['+', '-']);
    let minutes = match unsigned.split_once(':') {
        Some((hours, minutes)) => hours.parse::<f64>().ok()? * 60.0 + minutes.get(..2)?.parse::<f64>().ok()?,
        None => unsigned.parse::<f64>().ok()? * 60.0,
    };
    #[expect(clippy::cast_possible_truncation, reason = "a day has few minutes")]
    let minutes = minutes.min(14.0 * 60.0).round() as i32;
    Some(if minutes == 0 {
        "UTC".to_owned()
    } else {
        fixed_zone(if text.starts_with('-') { -minutes } else { minutes })
    })
}

/// A block reads one snapshot and its conflicts end it, which is at least what every level asks for: levels are kept to be shown.
fn of_modes(modes: &[TransactionMode], for_session: bool) -> Vec<Assignment> {
    modes
        .iter()
        .map(|mode| {
            let (name, value) = match mode {
                TransactionMode::IsolationLevel(level) => ("transaction_isolation", level.to_string().to_lowercase()),
                TransactionMode::AccessMode(mode) => {
                    let is_read_only = *mode == TransactionAccessMode::ReadOnly;
                    ("transaction_read_only", if is_read_only { "on" } else { "off" }.to_owned())
                }
            };
            let prefix = if for_session { "default_" } else { "" };
            Assignment { name: format!("{prefix}{name}"), value: Some(value), is_local: !for_session }
        })
        .collect()
}

fn parameter_name(name: &ObjectName) -> String {
    let name = guard::name_parts(name).join(".").to_lowercase();
    match name.as_str() {
        "time zone" => "timezone".to_owned(),
        _ => name,
    }
}

/// A list of schemas; names that need quotes keep them.
fn path_value(values: &[Expr]) -> Result<Option<String>, SessionError> {
    let is_plain = |name: &str| {
        name.starts_with(|first: char| first.is_ascii_lowercase() || first == '_')
            && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    let mut names = Vec::new();
    for value in values {
        let Some(name) = setting_value(std::slice::from_ref(value))? else { return Ok(None) };
        let name = match value {
            Expr::Identifier(ident) if ident.quote_style.is_none() => name.to_lowercase(),
            _ => name,
        };
        names.push(if is_plain(&name) { name } else { format!("\"{}\"", name.replace('"', "\"\"")) });
    }
    Ok(Some(names.join(", ")))
}

fn setting_value(values: &[Expr]) -> Result<Option<String>, SessionError> {
    let mut texts = Vec::new();
    for value in values {
        texts.push(match value {
            Expr::Value(value) => match &value.value {
                Value::Number(text, _) => text.clone(),
                Value::Boolean(on) => if *on { "on" } else { "off" }.to_owned(),
                other => other
                    .clone()
                    .into_string()
                    .ok_or_else(|| SessionError::new("22023", "a setting is a text or a number"))?,
            },
            Expr::Identifier(ident) if ident.quote_style.is_none() && ident.value.eq_ignore_ascii_case("default") => {
                return Ok(None);
            }
            Expr::Identifier(ident) => ident.value.clone(),
            Expr::UnaryOp { expr, op } => format!("{op}{expr}"),
            _ => return Err(SessionError::new("22023", "a setting is a text or a number")),
        });
    }
    Ok(Some(texts.join(", ")))
}
