//! `create user`, `alter user`, `drop user`: logins within the caller's subtree.
//!
//! ```sql
//! create user "finance@reseller-1" password 'secret' node 'reseller-1' role finance;
//! alter user "finance@reseller-1" password 'another';
//! alter user "finance@reseller-1" role accounting;
//! drop user "finance@reseller-1";
//! ```

use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

use super::{Answer, Session, lock};
use crate::catalog::{Change, RefTable, Value};
use crate::error::Error;
use crate::reference::{Authority, Overlay, check};
use crate::security::policy::Action;
use crate::security::{Role, SessionError};

/// A statement about one login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct UserStatement {
    verb: Verb,
    login: String,
    password: Option<String>,
    node: Option<String>,
    role: Option<String>,
    enabled: Option<bool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Create,
    Alter,
    Drop,
}

const FORM: &str = "create user LOGIN password 'TEXT' node 'NODE' role ROLE; alter user LOGIN [password 'TEXT'] [node 'NODE'] [role ROLE] [login | nologin]; drop user LOGIN";

impl UserStatement {
    /// Reads the statement; none when the text is something else.
    pub(super) fn parse(sql: &str) -> Result<Option<Self>, SessionError> {
        let start = sql.trim_start().to_ascii_lowercase();
        if !["create", "alter", "drop"].iter().any(|verb| start.starts_with(verb)) {
            return Ok(None);
        }
        let Ok(tokens) = Tokenizer::new(&PostgreSqlDialect {}, sql).tokenize() else { return Ok(None) };
        let mut words = tokens
            .into_iter()
            .filter(|token| !matches!(token, Token::Whitespace(_) | Token::SemiColon))
            .map(word)
            .collect::<Vec<_>>()
            .into_iter();
        let verb = match words.next().flatten().unwrap_or_default().to_ascii_lowercase().as_str() {
            "create" => Verb::Create,
            "alter" => Verb::Alter,
            _ => Verb::Drop,
        };
        let object = words.next().flatten().unwrap_or_default().to_ascii_lowercase();
        if object != "user" && object != "role" {
            return Ok(None);
        }
        let malformed = || SessionError::new("42601", "syntax error in a statement about a login").hint(FORM);
        let mut next = || words.next().flatten();
        let login = next().ok_or_else(malformed)?;
        let mut statement = Self { verb, login, password: None, node: None, role: None, enabled: None };
        while let Some(key) = next() {
            match key.to_ascii_lowercase().as_str() {
                "with" | "encrypted" => {}
                "password" => statement.password = Some(next().ok_or_else(malformed)?),
                "node" => statement.node = Some(next().ok_or_else(malformed)?),
                "role" => statement.role = Some(next().ok_or_else(malformed)?),
                "login" => statement.enabled = Some(true),
                "nologin" => statement.enabled = Some(false),
                _ => return Err(malformed()),
            }
        }
        Ok(Some(statement))
    }
}

fn word(token: Token) -> Option<String> {
    match token {
        Token::Word(word) => Some(word.value),
        Token::SingleQuotedString(text) => Some(text),
        _ => None,
    }
}

/// Characters of a password, as stored verifiers can be attacked off line.
const PASSWORD_MIN: usize = 8;

/// The stored verifier of a new password. A text that is one already is kept as it is: psql's `\password` makes it, so that no server
/// sees the password.
///
/// # Errors
/// `22023` when it is too short, or a verifier of fewer iterations than new ones have.
pub fn verifier_of(password: &str) -> Result<String, SessionError> {
    if let Some(iterations) = crate::wire::verifier::iterations_of(password) {
        if iterations < crate::wire::verifier::ITERATIONS {
            return Err(SessionError::new("22023", "a verifier has at least 4096 iterations"));
        }
        return Ok(password.to_owned());
    }
    if password.chars().count() < PASSWORD_MIN {
        return Err(SessionError::new("22023", format!("a password has at least {PASSWORD_MIN} characters")));
    }
    Ok(crate::wire::verifier::new_verifier(password))
}

impl Session {
    pub(super) fn run_user(&self, statement: &UserStatement) -> Result<Answer, SessionError> {
        if lock(&self.block).state() == super::TransactionState::Open {
            return Err(SessionError::new("25001", "logins are not changed inside a transaction block"));
        }
        let table = RefTable::named("users").ok_or_else(|| SessionError::new("XX000", "internal error"))?;
        let own_password = statement.verb == Verb::Alter
            && statement.login == self.shared.principal.login
            && statement.node.is_none()
            && statement.role.is_none()
            && statement.enabled.is_none();
        if !own_password {
            self.may(Action::Users, "logins")?;
        }
        let moment = self.shared.moment();
        let state = super::write::state_at(&self.shared, &Overlay::default())?;
        let found = state
            .get(table.name)
            .and_then(|rows| {
                rows.iter().find(|(_, row)| row.first().and_then(Value::as_text) == Some(&statement.login))
            })
            .map(|(id, row)| (*id, row.clone()));
        let authority = Authority {
            principal: &self.shared.principal,
            tree: &moment.tree,
            before: &state,
            committed: &state,
            is_root: moment.scope.is_root,
            now: super::write::now(),
        };
        let absent = || SessionError::new("42704", format!("role \"{}\" does not exist", statement.login));
        // A login elsewhere reads the same as one that does not exist.
        let in_reach = |row: &[Value]| {
            row.get(1)
                .and_then(Value::as_text)
                .is_some_and(|node| moment.tree.is_within_now(node, &moment.scope.node_id, &authority.now))
        };
        let found = found.filter(|(_, row)| in_reach(row));
        if !own_password {
            let node = statement.node.as_deref().or_else(|| found.as_ref()?.1.get(1)?.as_text());
            let role = statement.role.as_deref().or_else(|| found.as_ref()?.1.get(2)?.as_text());
            match (statement.verb, &found) {
                (Verb::Create, Some(_)) => {
                    return Err(SessionError::new("42710", format!("role \"{}\" already exists", statement.login)));
                }
                (Verb::Alter | Verb::Drop, None) => return Err(absent()),
                _ => {}
            }
            let (Some(node), Some(role)) = (node, role) else {
                return Err(SessionError::new("42601", "create user needs a node and a role").hint(FORM));
            };
            let role: Role = role.to_lowercase().parse().map_err(|text: String| SessionError::new("42704", text))?;
            authority.may_keep_user(&statement.login, node, role)?;
        }
        let verifier = statement.password.as_deref().map(verifier_of).transpose()?;
        if statement.verb == Verb::Create && verifier.is_none() {
            return Err(SessionError::new("42601", "create user needs a password").hint(FORM));
        }
        self.write_user(table, statement, found.as_ref(), verifier.as_deref())?;
        let tag = match statement.verb {
            Verb::Create => "CREATE ROLE",
            Verb::Alter => "ALTER ROLE",
            Verb::Drop => "DROP ROLE",
        };
        Ok(Answer::Done { tag: tag.to_owned() })
    }

    fn write_user(
        &self,
        table: &'static RefTable,
        statement: &UserStatement,
        found: Option<&(i64, Vec<Value>)>,
        verifier: Option<&str>,
    ) -> Result<(), SessionError> {
        let change =
            Change::new(&self.shared.principal.login, "user", format!("{:?} {}", statement.verb, statement.login));
        let login = statement.login.as_str();
        let written = self.shared.core.catalog.commit::<_, Error>(&change, |commit| {
            let old = found.map(|(_, row)| row.clone());
            if let Some((row_id, _)) = found
                && (statement.verb == Verb::Drop
                    || statement.node.is_some()
                    || statement.role.is_some()
                    || statement.enabled.is_some())
            {
                commit.end_ref(table, *row_id)?;
            }
            let changes_row = statement.node.is_some() || statement.role.is_some() || statement.enabled.is_some();
            if statement.verb == Verb::Create || (statement.verb == Verb::Alter && changes_row) {
                let keep = |at: usize| old.as_ref().and_then(|row| row.get(at)).cloned();
                let values = [
                    login.into(),
                    statement.node.clone().map(Value::from).or_else(|| keep(1)).unwrap_or(Value::Null),
                    statement
                        .role
                        .as_ref()
                        .map(|r| Value::from(r.to_lowercase()))
                        .or_else(|| keep(2))
                        .unwrap_or(Value::Null),
                    statement.enabled.map(Value::from).or_else(|| keep(3)).unwrap_or(Value::Int(1)),
                ];
                commit.insert_ref(table, &values)?;
            }
            if statement.verb == Verb::Drop {
                commit.end_credential(login)?;
            }
            if let Some(verifier) = verifier {
                commit.set_credential(login, verifier)?;
            }
            check(&super::state_after(commit.tx, commit.snapshot)?, &self.shared.core.root)?;
            Ok(())
        });
        written.map(drop).map_err(Error::shown)
    }
}
