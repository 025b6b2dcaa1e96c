//! COPY: its options, and reading them from a statement.

pub(crate) mod out;

use super::backend::Failure;
use super::command::{Command, Reader, split_commas};
use super::lex::{Kind, tokens};

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
            null: if is_csv {
                String::new()
            } else {
                "\\N".to_owned()
            },
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
    let mut reader = Reader {
        sql,
        tokens: &tokens,
        at: 0,
    };
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
    Ok(Some(CopyFrom {
        table,
        columns,
        format: read_options(&mut reader, legacy_binary)?,
    }))
}

/// Reads the rest of a statement that began with COPY; `None` when it is not for the client to receive.
pub(crate) fn read_copy_out(mut reader: Reader<'_>) -> Result<Option<Command>, Failure> {
    let legacy_binary = reader.take("BINARY");
    let query = if reader.take_symbol('(') {
        let inside = reader.group()?;
        reader.sql[inside].to_owned()
    } else {
        let (table, columns) = table_and_columns(&mut reader)?;
        format!(
            "SELECT {} FROM {table}",
            if columns.is_empty() { "*" } else { &columns }
        )
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
    Failure::new(
        "42501",
        "COPY with a file or program of the server is not available",
    )
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
    let columns = if reader.take_symbol('(') {
        reader.group()?
    } else {
        0..0
    };
    Ok((table, reader.sql[columns].to_owned()))
}

fn split_names(text: &str) -> Result<Vec<String>, Failure> {
    let mut names = Vec::new();
    for part in split_commas(text)? {
        let tokens = tokens(&part)?;
        let mut reader = Reader {
            sql: &part,
            tokens: &tokens,
            at: 0,
        };
        names.push(reader.name()?);
    }
    Ok(names)
}

#[derive(Default)]
struct Options {
    kind: Option<CopyKind>,
    delimiter: Option<String>,
    null: Option<String>,
    header: Option<CopyHeader>,
    quote: Option<String>,
    escape: Option<String>,
    force_quote: Option<ForceQuote>,
}

fn read_options(reader: &mut Reader<'_>, legacy_binary: bool) -> Result<CopyFormat, Failure> {
    let mut options = Options {
        kind: legacy_binary.then_some(CopyKind::Binary),
        ..Options::default()
    };
    reader.take("WITH");
    if reader.take_symbol('(') {
        loop {
            options.read_modern(reader)?;
            if !reader.take_symbol(',') {
                break;
            }
        }
        if !reader.take_symbol(')') {
            return Err(reader.syntax_error());
        }
    } else {
        while reader.peek().is_some() {
            options.read_legacy(reader)?;
        }
    }
    if reader.peek().is_some() {
        return Err(reader.syntax_error());
    }
    options.finish()
}

fn string(reader: &mut Reader<'_>) -> Result<String, Failure> {
    let value = reader
        .peek()
        .and_then(|token| token.string(reader.sql))
        .ok_or_else(|| reader.syntax_error())?;
    reader.at += 1;
    Ok(value)
}

/// A word or a string, as option values may be either.
fn value(reader: &mut Reader<'_>) -> Option<String> {
    let token = reader.peek()?;
    let text = token.string(reader.sql).or_else(|| token.name(reader.sql));
    let text =
        text.or_else(|| (token.kind == Kind::Number).then(|| token.text(reader.sql).to_owned()))?;
    reader.at += 1;
    Some(text)
}

impl Options {
    fn read_modern(&mut self, reader: &mut Reader<'_>) -> Result<(), Failure> {
        let place = reader.at;
        let name = reader.name()?;
        match name.as_str() {
            "format" => {
                self.kind = Some(
                    match value(reader).map(|word| word.to_lowercase()).as_deref() {
                        Some("text") => CopyKind::Text,
                        Some("csv") => CopyKind::Csv,
                        Some("binary") => CopyKind::Binary,
                        _ => {
                            return Err(Failure::new(
                                "22023",
                                "COPY format must be text, csv or binary",
                            ));
                        }
                    },
                );
            }
            "delimiter" => self.delimiter = Some(string(reader)?),
            "null" => self.null = Some(string(reader)?),
            "quote" => self.quote = Some(string(reader)?),
            "escape" => self.escape = Some(string(reader)?),
            "encoding" => utf8_only(&string(reader)?)?,
            "header" => {
                self.header = Some(
                    match value(reader).map(|word| word.to_lowercase()).as_deref() {
                        None | Some("true" | "on" | "1") => CopyHeader::Present,
                        Some("false" | "off" | "0") => CopyHeader::Absent,
                        Some("match") => CopyHeader::Match,
                        Some(_) => {
                            return Err(Failure::new(
                                "42601",
                                "header requires a Boolean value or \"match\"",
                            ));
                        }
                    },
                );
            }
            "force_quote" => {
                self.force_quote = Some(if reader.take_symbol('*') {
                    ForceQuote::All
                } else if reader.take_symbol('(') {
                    let inside = reader.group()?;
                    ForceQuote::Columns(split_names(&reader.sql[inside])?)
                } else {
                    return Err(reader.syntax_error());
                });
            }
            other => {
                reader.at = place;
                let position = reader.syntax_error().position.unwrap_or(1);
                return Err(
                    Failure::new("42601", format!("option \"{other}\" not recognized"))
                        .at(position),
                );
            }
        }
        Ok(())
    }

    fn read_legacy(&mut self, reader: &mut Reader<'_>) -> Result<(), Failure> {
        if reader.take("BINARY") {
            self.kind = Some(CopyKind::Binary);
        } else if reader.take("CSV") {
            self.kind = Some(CopyKind::Csv);
        } else if reader.take("HEADER") {
            self.header = Some(CopyHeader::Present);
        } else if reader.take("FORCE") {
            if !reader.take("QUOTE") {
                return Err(reader.syntax_error());
            }
            self.force_quote = Some(if reader.take_symbol('*') {
                ForceQuote::All
            } else {
                let mut columns = vec![reader.name()?];
                while reader.take_symbol(',') {
                    columns.push(reader.name()?);
                }
                ForceQuote::Columns(columns)
            });
        } else {
            let word = reader.name()?;
            reader.take("AS");
            match word.as_str() {
                "delimiter" | "delimiters" => self.delimiter = Some(string(reader)?),
                "null" => self.null = Some(string(reader)?),
                "quote" => self.quote = Some(string(reader)?),
                "escape" => self.escape = Some(string(reader)?),
                "encoding" => utf8_only(&string(reader)?)?,
                _ => {
                    reader.at -= 1;
                    return Err(reader.syntax_error());
                }
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<CopyFormat, Failure> {
        let mut format = CopyFormat::new(self.kind.unwrap_or(CopyKind::Text));
        let is_csv = format.kind == CopyKind::Csv;
        let refuse = |what: &str| {
            Err(Failure::new(
                "0A000",
                format!("COPY {what} available only in CSV mode"),
            ))
        };
        if format.kind == CopyKind::Binary
            && (self.delimiter.is_some() || self.null.is_some() || self.header.is_some())
        {
            return Err(Failure::new(
                "42601",
                "cannot specify DELIMITER, NULL or HEADER in BINARY mode",
            ));
        }
        if !is_csv && self.quote.is_some() {
            return refuse("quote");
        }
        if !is_csv && self.escape.is_some() {
            return refuse("escape");
        }
        if !is_csv && self.force_quote.is_some() {
            return refuse("force quote");
        }
        if let Some(delimiter) = self.delimiter {
            format.delimiter = one_byte("delimiter", &delimiter)?;
        }
        if let Some(quote) = self.quote {
            format.quote = one_byte("quote", &quote)?;
            format.escape = format.quote;
        }
        if let Some(escape) = self.escape {
            format.escape = one_byte("escape", &escape)?;
        }
        if is_csv && format.delimiter == format.quote {
            return Err(Failure::new(
                "22023",
                "COPY delimiter and quote must be different",
            ));
        }
        format.null = self.null.unwrap_or(format.null);
        if format.null.contains(['\n', '\r']) {
            return Err(Failure::new(
                "22023",
                "COPY null representation cannot use newline or carriage return",
            ));
        }
        format.header = self.header.unwrap_or(format.header);
        format.force_quote = self.force_quote.unwrap_or(format.force_quote);
        Ok(format)
    }
}

fn one_byte(what: &str, text: &str) -> Result<u8, Failure> {
    match text.as_bytes() {
        [byte] if !b"\r\n".contains(byte) => Ok(*byte),
        _ => Err(Failure::new(
            "0A000",
            format!("COPY {what} must be a single one-byte character"),
        )),
    }
}

fn utf8_only(name: &str) -> Result<(), Failure> {
    if crate::wire::settings::is_utf8(name) {
        Ok(())
    } else {
        Err(Failure::new("0A000", "COPY encoding must be UTF8"))
    }
}
