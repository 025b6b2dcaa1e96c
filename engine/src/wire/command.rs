//! The statements that live in the protocol layer, read from their tokens: cursors, prepared statements, COPY to the client.
//!
//! They are about objects of the connection, not of the warehouse, so the session never sees them; the queries inside them go the
//! session's usual guarded way. Everything else is [`Command::Plain`].

use std::ops::Range;

use super::backend::Failure;
use super::copy::{self, CopyFormat};
use super::lex::{Kind, Token, tokens};

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
    Prepare {
        name: String,
        types: Vec<String>,
        statement: Range<usize>,
    },
    /// `EXECUTE name (arguments)`.
    Execute {
        name: String,
        arguments: Option<Range<usize>>,
    },
    /// `DEALLOCATE`.
    Deallocate(Which),
    /// `DECLARE name CURSOR FOR query`.
    Declare(Declare),
    /// `FETCH` and `MOVE`.
    Fetch {
        moves_only: bool,
        direction: Direction,
        cursor: String,
    },
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
            .map(|token| Token {
                kind: token.kind,
                start: token.start - first.start,
                end: token.end - first.start,
            })
            .collect();
        let command = Reader {
            sql: text,
            tokens: &moved,
            at: 0,
        }
        .command()
        .map_err(|failure| failure.shifted(characters_before))?;
        units.push(Unit {
            sql: text.to_owned(),
            characters_before,
            command,
            verb: verb(text, &moved),
        });
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

/// Reads one statement token by token.
pub(crate) struct Reader<'a> {
    pub(crate) sql: &'a str,
    pub(crate) tokens: &'a [Token],
    pub(crate) at: usize,
}

impl Reader<'_> {
    pub(crate) fn peek(&self) -> Option<Token> {
        self.tokens.get(self.at).copied()
    }

    pub(crate) fn next(&mut self) -> Option<Token> {
        let token = self.peek();
        self.at += usize::from(token.is_some());
        token
    }

    /// Takes the next token if it is this keyword.
    pub(crate) fn take(&mut self, keyword: &str) -> bool {
        let found = self.peek().is_some_and(|token| token.is(self.sql, keyword));
        self.at += usize::from(found);
        found
    }

    /// Takes the next token if it is this character.
    pub(crate) fn take_symbol(&mut self, symbol: char) -> bool {
        let found = self
            .peek()
            .is_some_and(|token| token.is_symbol(self.sql, symbol));
        self.at += usize::from(found);
        found
    }

    /// The error of a statement that goes on with something else than it may.
    pub(crate) fn syntax_error(&self) -> Failure {
        match self.peek() {
            Some(token) => {
                let position = self.sql[..token.start].chars().count() + 1;
                Failure::new(
                    "42601",
                    format!("syntax error at or near \"{}\"", token.text(self.sql)),
                )
                .at(position)
            }
            None => {
                Failure::new("42601", "syntax error at end of input")
                    .at(self.sql.chars().count() + 1)
            }
        }
    }

    pub(crate) fn name(&mut self) -> Result<String, Failure> {
        let name = self.peek().and_then(|token| token.name(self.sql));
        let name = name.ok_or_else(|| self.syntax_error())?;
        self.at += 1;
        Ok(name)
    }

    fn end<T>(&self, value: T) -> Result<T, Failure> {
        if self.peek().is_none() {
            Ok(value)
        } else {
            Err(self.syntax_error())
        }
    }

    /// Skips a group in brackets whose opening one was taken, and gives what is inside.
    pub(crate) fn group(&mut self) -> Result<Range<usize>, Failure> {
        let start = self.peek().map_or(self.sql.len(), |token| token.start);
        let mut depth = 1;
        while let Some(token) = self.next() {
            depth += i32::from(token.is_symbol(self.sql, '('))
                - i32::from(token.is_symbol(self.sql, ')'));
            if depth == 0 {
                return Ok(start..token.start);
            }
        }
        Err(self.syntax_error())
    }

    fn rest(&mut self) -> Result<Range<usize>, Failure> {
        let start = self.peek().ok_or_else(|| self.syntax_error())?.start;
        self.at = self.tokens.len();
        Ok(start..self.sql.len())
    }

    fn which(&mut self) -> Result<Which, Failure> {
        let which = if self.take("ALL") {
            Which::All
        } else {
            Which::Named(self.name()?)
        };
        self.end(which)
    }

    fn command(mut self) -> Result<Command, Failure> {
        let first = self
            .next()
            .map(|token| token.text(self.sql).to_ascii_uppercase())
            .unwrap_or_default();
        match first.as_str() {
            "PREPARE"
                if !self
                    .peek()
                    .is_some_and(|token| token.is(self.sql, "TRANSACTION")) =>
            {
                self.prepare()
            }
            "EXECUTE" => self.execute(),
            "DEALLOCATE" => {
                // `PREPARE` is noise here, unless it is the name itself.
                if self.tokens.len() > 2 {
                    self.take("PREPARE");
                }
                Ok(Command::Deallocate(self.which()?))
            }
            "DECLARE" => self.declare(),
            "FETCH" => self.fetch(false),
            "MOVE" => self.fetch(true),
            "CLOSE" => Ok(Command::Close(self.which()?)),
            "DISCARD" => {
                for (keyword, tag) in [
                    ("ALL", "DISCARD ALL"),
                    ("PLANS", "DISCARD PLANS"),
                    ("SEQUENCES", "DISCARD SEQUENCES"),
                    ("TEMP", "DISCARD TEMP"),
                    ("TEMPORARY", "DISCARD TEMP"),
                ] {
                    if self.take(keyword) {
                        return self.end(Command::Discard(tag));
                    }
                }
                Err(self.syntax_error())
            }
            "LISTEN" => {
                self.name()?;
                self.end(Command::Ignored("LISTEN"))
            }
            "UNLISTEN" => {
                if !self.take_symbol('*') {
                    self.name()?;
                }
                self.end(Command::Ignored("UNLISTEN"))
            }
            "NOTIFY" => {
                self.name()?;
                if self.take_symbol(',')
                    && self.next().is_none_or(|token| token.kind != Kind::String)
                {
                    return Err(self.syntax_error());
                }
                self.end(Command::Ignored("NOTIFY"))
            }
            "COPY" => Ok(copy::read_copy_out(self)?.unwrap_or(Command::Plain)),
            _ => Ok(Command::Plain),
        }
    }

    fn prepare(&mut self) -> Result<Command, Failure> {
        let name = self.name()?;
        let mut types = Vec::new();
        if self.take_symbol('(') {
            let inside = self.group()?;
            types = split_commas(&self.sql[inside])?;
        }
        if !self.take("AS") {
            return Err(self.syntax_error());
        }
        Ok(Command::Prepare {
            name,
            types,
            statement: self.rest()?,
        })
    }

    fn execute(&mut self) -> Result<Command, Failure> {
        let name = self.name()?;
        let arguments = if self.take_symbol('(') {
            Some(self.group()?)
        } else {
            None
        };
        self.end(Command::Execute { name, arguments })
    }

    fn declare(&mut self) -> Result<Command, Failure> {
        let name = self.name()?;
        let (mut is_binary, mut scrolls, mut holds) = (false, false, false);
        while !self.take("CURSOR") {
            if self.take("BINARY") {
                is_binary = true;
            } else if self.take("SCROLL") {
                scrolls = true;
            } else if self.take("NO") {
                if !self.take("SCROLL") {
                    return Err(self.syntax_error());
                }
            } else if !self.take("INSENSITIVE") && !self.take("ASENSITIVE") {
                return Err(self.syntax_error());
            }
        }
        for (word, value) in [("WITH", true), ("WITHOUT", false)] {
            if self.take(word) {
                if !self.take("HOLD") {
                    return Err(self.syntax_error());
                }
                holds = value;
            }
        }
        if !self.take("FOR") {
            return Err(self.syntax_error());
        }
        Ok(Command::Declare(Declare {
            name,
            is_binary,
            scrolls,
            holds,
            query: self.rest()?,
        }))
    }

    fn fetch(&mut self, moves_only: bool) -> Result<Command, Failure> {
        let direction = self.direction()?;
        if !self.take("FROM") {
            self.take("IN");
        }
        let cursor = self.name()?;
        self.end(Command::Fetch {
            moves_only,
            direction,
            cursor,
        })
    }

    fn direction(&mut self) -> Result<Direction, Failure> {
        // A word that is the last token is the cursor's name, whatever it spells: FETCH next.
        if self.at + 1 >= self.tokens.len() {
            return Ok(Direction::Forward(Some(1)));
        }
        for (word, direction) in [
            ("NEXT", Direction::Forward(Some(1))),
            ("PRIOR", Direction::Backward(Some(1))),
            ("FIRST", Direction::Absolute(1)),
            ("LAST", Direction::Absolute(-1)),
            ("ALL", Direction::Forward(None)),
        ] {
            if self.take(word) {
                return Ok(direction);
            }
        }
        if self.take("ABSOLUTE") {
            return self
                .number()
                .and_then(|count| count.ok_or_else(|| self.syntax_error()))
                .map(Direction::Absolute);
        }
        if self.take("RELATIVE") {
            return self
                .number()
                .and_then(|count| count.ok_or_else(|| self.syntax_error()))
                .map(Direction::Relative);
        }
        let backward = self.take("BACKWARD");
        let worded = backward || self.take("FORWARD");
        let count = if worded && self.take("ALL") {
            None
        } else {
            Some(self.number()?.unwrap_or(1))
        };
        Ok(match (backward, count) {
            (false, None) => Direction::Forward(None),
            (true, None) => Direction::Backward(None),
            // Zero forward is "again the same row", which RELATIVE 0 says too.
            (_, Some(0)) => Direction::Relative(0),
            (true, Some(count)) if count > 0 => Direction::Backward(Some(count.unsigned_abs())),
            (false, Some(count)) if count < 0 => Direction::Backward(Some(count.unsigned_abs())),
            (_, Some(count)) => Direction::Forward(Some(count.unsigned_abs())),
        })
    }

    fn number(&mut self) -> Result<Option<i64>, Failure> {
        let start = self.at;
        let negative = self.take_symbol('-');
        if !negative {
            self.take_symbol('+');
        }
        match self.peek().filter(|token| token.kind == Kind::Number) {
            Some(token) => {
                let value: i64 = token
                    .text(self.sql)
                    .parse()
                    .map_err(|_| self.syntax_error())?;
                self.at += 1;
                Ok(Some(if negative { -value } else { value }))
            }
            None if self.at > start => Err(self.syntax_error()),
            None => Ok(None),
        }
    }
}

/// Cuts at commas outside brackets.
pub(crate) fn split_commas(text: &str) -> Result<Vec<String>, Failure> {
    let mut parts = Vec::new();
    let (mut depth, mut start) = (0, 0);
    for token in tokens(text)? {
        depth += i32::from(token.is_symbol(text, '(')) + i32::from(token.is_symbol(text, '['))
            - i32::from(token.is_symbol(text, ')'))
            - i32::from(token.is_symbol(text, ']'));
        if depth == 0 && token.is_symbol(text, ',') {
            parts.push(text[start..token.start].trim().to_owned());
            start = token.end;
        }
    }
    let last = text[start..].trim();
    if !last.is_empty() || !parts.is_empty() {
        parts.push(last.to_owned());
    }
    Ok(parts)
}
