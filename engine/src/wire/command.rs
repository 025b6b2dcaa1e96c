//! The statements that live in the protocol layer, read from their tokens: cursors, prepared statements, COPY to the client.
//!
//! They are about objects of the connection, not of the warehouse, so the session never sees them; the queries inside them go the
//! session's usual guarded way. Everything else is [`Command::Plain`].

use std::ops::Range;

use super::backend::Failure;
use super::copy::CopyFormat;
use super::grammar::Reader;
use super::lex::{Token, tokens};

/// A statement cut from a text.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Unit {
    /// The statement without its semicolon.
    pub(crate) sql: String,
    /// Characters of the text before it, to move error positions.
    pub(crate) characters_before: usize,
    /// What it is.
    pub(crate) command: Command,
    /// Its first keyword, for tags and transaction rules.
    pub(crate) verb: Verb,
}

/// What the first keyword of a statement says about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    /// SELECT, VALUES, WITH, TABLE.
    Select,
    /// INSERT.
    Insert,
    /// UPDATE, DELETE, MERGE: the tag is the word and a count.
    Change(&'static str),
    /// A word that is the whole tag: SHOW, EXPLAIN, CALL.
    Named(&'static str),
    /// BEGIN, START TRANSACTION.
    Begin,
    /// COMMIT, END.
    Commit,
    /// ROLLBACK, ABORT.
    Rollback,
    /// ROLLBACK TO SAVEPOINT.
    RollbackTo,
    /// Anything else.
    Other,
}

impl Verb {
    /// Whether a failed transaction accepts it.
    pub(crate) fn ends_failed_transaction(self) -> bool {
        matches!(self, Self::Commit | Self::Rollback | Self::RollbackTo)
    }

    /// The tag of a statement that returned rows.
    pub(crate) fn rows_tag(self, rows: u64) -> String {
        match self {
            Self::Insert => format!("INSERT 0 {rows}"),
            Self::Change(word) => format!("{word} {rows}"),
            Self::Named(word) => word.to_owned(),
            _ => format!("SELECT {rows}"),
        }
    }

    /// Whether it may change something, so that several of them belong together.
    pub(crate) fn may_write(self) -> bool {
        !matches!(self, Self::Select | Self::Named("SHOW" | "EXPLAIN"))
    }
}

/// One name or all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Which {
    /// `ALL`.
    All,
    /// This one.
    Named(String),
}

/// Where FETCH and MOVE go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    /// That many rows forward; `None` for all.
    Forward(Option<u64>),
    /// That many rows backward; `None` for all.
    Backward(Option<u64>),
    /// The row of this number; negative numbers count from the end.
    Absolute(i64),
    /// The row that far from here.
    Relative(i64),
}

/// A statement of the protocol layer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Command {
    /// A statement for the session.
    Plain,
    /// `PREPARE name (types) AS statement`.
    Prepare { name: String, types: Vec<String>, statement: Range<usize> },
    /// `EXECUTE name (arguments)`.
    Execute { name: String, arguments: Option<Range<usize>> },
    /// `DEALLOCATE`.
    Deallocate(Which),
    /// `DECLARE name CURSOR FOR query`.
    Declare(Declare),
    /// `FETCH` and `MOVE`.
    Fetch { moves_only: bool, direction: Direction, cursor: String },
    /// `CLOSE`.
    Close(Which),
    /// `DISCARD`, by what it discards.
    Discard(&'static str),
    /// LISTEN, UNLISTEN, NOTIFY: accepted, as pools send them, and without effect.
    Ignored(&'static str),
    /// `COPY ... TO STDOUT`, as the query whose rows are sent.
    CopyOut { query: String, format: CopyFormat },
}

/// A cursor's declaration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Declare {
    pub(crate) name: String,
    pub(crate) is_binary: bool,
    pub(crate) scrolls: bool,
    pub(crate) holds: bool,
    pub(crate) query: Range<usize>,
}

/// Cuts a text into statements and reads those of the protocol layer.
///
/// Errors: 42601 with a position in the whole text; nothing has run then, as in Postgres.
pub(crate) fn split(sql: &str) -> Result<Vec<Unit>, Failure> {
    let tokens = tokens(sql)?;
    let mut units = Vec::new();
    for part in tokens.split(|token| token.is_symbol(sql, ';')) {
        let (Some(first), Some(last)) = (part.first(), part.last()) else {
            continue;
        };
        let characters_before = sql[..first.start].chars().count();
        let text = &sql[first.start..last.end];
        let moved: Vec<Token> = part
            .iter()
            .map(|token| Token { kind: token.kind, start: token.start - first.start, end: token.end - first.start })
            .collect();
        let command = Reader { sql: text, tokens: &moved, at: 0 }
            .command()
            .map_err(|failure| failure.shifted(characters_before))?;
        units.push(Unit { sql: text.to_owned(), characters_before, command, verb: verb(text, &moved) });
    }
    Ok(units)
}

fn verb(sql: &str, tokens: &[Token]) -> Verb {
    let open = |token: &&Token| token.is_symbol(sql, '(');
    let Some(first) = tokens.iter().find(|token| !open(token)) else {
        return Verb::Other;
    };
    let has = |keyword: &str| tokens.iter().any(|token| token.is(sql, keyword));
    match first.text(sql).to_ascii_uppercase().as_str() {
        "SELECT" | "VALUES" | "WITH" | "TABLE" => Verb::Select,
        "INSERT" => Verb::Insert,
        "UPDATE" => Verb::Change("UPDATE"),
        "DELETE" => Verb::Change("DELETE"),
        "MERGE" => Verb::Change("MERGE"),
        "SHOW" => Verb::Named("SHOW"),
        "EXPLAIN" => Verb::Named("EXPLAIN"),
        "CALL" => Verb::Named("CALL"),
        "BEGIN" | "START" => Verb::Begin,
        "COMMIT" | "END" => Verb::Commit,
        "ROLLBACK" | "ABORT" if has("TO") => Verb::RollbackTo,
        "ROLLBACK" | "ABORT" => Verb::Rollback,
        _ => Verb::Other,
    }
}
