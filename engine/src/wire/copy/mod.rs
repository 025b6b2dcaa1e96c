//! COPY: its options, and reading them from a statement.

mod options;
pub(crate) mod out;

use super::backend::Failure;
use super::command::Command;
use super::grammar::{Reader, split_commas};
use super::lex::tokens;
use options::read_options;

/// Which of COPY's three formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyKind {
    /// Tabs and backslashes.
    Text,
    /// Commas and quotes.
    Csv,
    /// Postgres' binary format.
    Binary,
}

/// Whether the first line names the columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyHeader {
    /// No such line.
    Absent,
    /// Written on the way out, skipped on the way in.
    Present,
    /// Written on the way out, compared with the columns on the way in.
    Match,
}

/// Which columns are quoted in CSV whatever they hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ForceQuote {
    /// Every column.
    All,
    /// These columns, perhaps none.
    Columns(Vec<String>),
}

/// The options of a COPY, defaults filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyFormat {
    /// The format.
    pub kind: CopyKind,
    /// Between the fields.
    pub delimiter: u8,
    /// What stands for null.
    pub null: String,
    /// The first line.
    pub header: CopyHeader,
    /// Around CSV fields that need it.
    pub quote: u8,
    /// Before a quote inside a CSV field.
    pub escape: u8,
    /// Columns quoted always.
    pub force_quote: ForceQuote,
}

impl CopyFormat {
    /// The defaults of a format.
    pub fn new(kind: CopyKind) -> Self {
        let is_csv = kind == CopyKind::Csv;
        Self {
            kind,
            delimiter: if is_csv { b',' } else { b'\t' },
            null: if is_csv { String::new() } else { "\\N".to_owned() },
            header: CopyHeader::Absent,
            quote: b'"',
            escape: b'"',
            force_quote: ForceQuote::Columns(Vec::new()),
        }
    }
}

/// `COPY table (columns) FROM STDIN (options)`, for the session that loads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyFrom {
    /// The table as it was written, possibly with its schema.
    pub table: String,
    /// The columns named, unquoted and folded; empty for all of them.
    pub columns: Vec<String>,
    /// The options.
    pub format: CopyFormat,
}

/// Reads a `COPY ... FROM STDIN` statement; `None` when it is another statement.
///
/// Errors: 42601 for options that do not exist or do not fit, 42501 for files and programs of the server.
pub fn parse_copy_from(sql: &str) -> Result<Option<CopyFrom>, Failure> {
    let tokens = tokens(sql)?;
    let mut reader = Reader { sql, tokens: &tokens, at: 0 };
    if !reader.take("COPY") {
        return Ok(None);
    }
    let legacy_binary = reader.take("BINARY");
    if reader.peek().is_some_and(|token| token.is_symbol(sql, '(')) {
        return Ok(None);
    }
    let (table, columns) = table_and_columns(&mut reader)?;
    if !reader.take("FROM") {
        return Ok(None);
    }
    if !reader.take("STDIN") {
        return Err(only_the_client());
    }
    let columns = split_names(&columns)?;
    Ok(Some(CopyFrom { table, columns, format: read_options(&mut reader, legacy_binary)? }))
}

/// Reads the rest of a statement that began with COPY; `None` when it is not for the client to receive.
pub(crate) fn read_copy_out(mut reader: Reader<'_>) -> Result<Option<Command>, Failure> {
    let legacy_binary = reader.take("BINARY");
    let query = if reader.take_symbol('(') {
        let inside = reader.group()?;
        reader.sql[inside].to_owned()
    } else {
        let (table, columns) = table_and_columns(&mut reader)?;
        format!("SELECT {} FROM {table}", if columns.is_empty() { "*" } else { &columns })
    };
    if !reader.take("TO") {
        return Ok(None);
    }
    if !reader.take("STDOUT") {
        return Err(only_the_client());
    }
    let format = read_options(&mut reader, legacy_binary)?;
    Ok(Some(Command::CopyOut { query, format }))
}

fn only_the_client() -> Failure {
    Failure::new("42501", "COPY with a file or program of the server is not available")
        .with_hint("Use COPY ... TO STDOUT or COPY ... FROM STDIN; psql's \\copy does this for you.")
}

/// The table's name and the text between the brackets after it.
fn table_and_columns(reader: &mut Reader<'_>) -> Result<(String, String), Failure> {
    let start = reader.peek().map_or(0, |token| token.start);
    reader.name()?;
    while reader.take_symbol('.') {
        reader.name()?;
    }
    let table = reader.sql[start..reader.tokens[reader.at - 1].end].to_owned();
    let columns = if reader.take_symbol('(') { reader.group()? } else { 0..0 };
    Ok((table, reader.sql[columns].to_owned()))
}

pub(crate) fn split_names(text: &str) -> Result<Vec<String>, Failure> {
    let mut names = Vec::new();
    for part in split_commas(text)? {
        let tokens = tokens(&part)?;
        let mut reader = Reader { sql: &part, tokens: &tokens, at: 0 };
        names.push(reader.name()?);
    }
    Ok(names)
}
