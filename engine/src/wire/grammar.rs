//! The grammar of the protocol layer's statements, token by token.

use std::ops::Range;

use super::backend::Failure;
use super::command::{Command, Declare, Direction, Which};
use super::copy;
use super::lex::{Kind, Token, tokens};

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
        let found = self.peek().is_some_and(|token| token.is_symbol(self.sql, symbol));
        self.at += usize::from(found);
        found
    }

    /// The error of a statement that goes on with something else than it may.
    pub(crate) fn syntax_error(&self) -> Failure {
        match self.peek() {
            Some(token) => {
                let position = self.sql[..token.start].chars().count() + 1;
                Failure::new("42601", format!("syntax error at or near \"{}\"", token.text(self.sql))).at(position)
            }
            None => Failure::new("42601", "syntax error at end of input").at(self.sql.chars().count() + 1),
        }
    }

    pub(crate) fn name(&mut self) -> Result<String, Failure> {
        let name = self.peek().and_then(|token| token.name(self.sql));
        let name = name.ok_or_else(|| self.syntax_error())?;
        self.at += 1;
        Ok(name)
    }

    fn end<T>(&self, value: T) -> Result<T, Failure> {
        if self.peek().is_none() { Ok(value) } else { Err(self.syntax_error()) }
    }

    /// Skips a group in brackets whose opening one was taken, and gives what is inside.
    pub(crate) fn group(&mut self) -> Result<Range<usize>, Failure> {
        let start = self.peek().map_or(self.sql.len(), |token| token.start);
        let mut depth = 1;
        while let Some(token) = self.next() {
            depth += i32::from(token.is_symbol(self.sql, '(')) - i32::from(token.is_symbol(self.sql, ')'));
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
        let which = if self.take("ALL") { Which::All } else { Which::Named(self.name()?) };
        self.end(which)
    }

    /// Reads the statement.
    pub(crate) fn command(mut self) -> Result<Command, Failure> {
        let first = self.next().map(|token| token.text(self.sql).to_ascii_uppercase()).unwrap_or_default();
        match first.as_str() {
            "PREPARE" if !self.peek().is_some_and(|token| token.is(self.sql, "TRANSACTION")) => self.prepare(),
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
                if self.take_symbol(',') && self.next().is_none_or(|token| token.kind != Kind::String) {
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
        Ok(Command::Prepare { name, types, statement: self.rest()? })
    }

    fn execute(&mut self) -> Result<Command, Failure> {
        let name = self.name()?;
        let arguments = if self.take_symbol('(') { Some(self.group()?) } else { None };
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
        Ok(Command::Declare(Declare { name, is_binary, scrolls, holds, query: self.rest()? }))
    }

    fn fetch(&mut self, moves_only: bool) -> Result<Command, Failure> {
        let direction = self.direction()?;
        if !self.take("FROM") {
            self.take("IN");
        }
        let cursor = self.name()?;
        self.end(Command::Fetch { moves_only, direction, cursor })
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
            return self.number().and_then(|count| count.ok_or_else(|| self.syntax_error())).map(Direction::Absolute);
        }
        if self.take("RELATIVE") {
            return self.number().and_then(|count| count.ok_or_else(|| self.syntax_error())).map(Direction::Relative);
        }
        let backward = self.take("BACKWARD");
        let worded = backward || self.take("FORWARD");
        let count = if worded && self.take("ALL") { None } else { Some(self.number()?.unwrap_or(1)) };
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
                let value: i64 = token.text(self.sql).parse().map_err(|_| self.syntax_error())?;
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
