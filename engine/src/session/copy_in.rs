//! `copy ref.t from stdin`: rows as text or CSV, taken in pieces of any size.

use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::sql::sqlparser::ast::{CopyLegacyOption, CopyOption, CopySource, CopyTarget, Statement as Ast};

use super::{Answer, Session, Statement};
use crate::catalog::{RefTable, Value};
use crate::reference::{Overlay, RefOp, from_text, may_write};
use crate::security::SessionError;
use crate::security::guard::name_parts;

/// Bytes that one `copy` into a reference table takes.
const BYTES_MAX: usize = 512 << 20;

/// How the rows are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyText {
    /// CSV, or Postgres' text format.
    pub csv: bool,
    /// Between columns.
    pub delimiter: u8,
    /// What null looks like.
    pub null: String,
    /// Whether the first line names the columns.
    pub header: bool,
    /// Around CSV values.
    pub quote: u8,
    /// Before a quote inside CSV values.
    pub escape: u8,
}

/// A copy that takes text.
#[derive(Debug)]
pub struct CopyIn {
    /// The table.
    pub table: &'static RefTable,
    /// The columns, by their positions in the table.
    pub columns: Vec<usize>,
    /// The form of the text.
    pub format: CopyText,
    text: Vec<u8>,
    lines: usize,
    note: String,
    /// What the text and its rows take of the login's memory.
    memory: MemoryReservation,
}

/// Bytes that a row takes beside its text.
const ROW_BYTES: usize = 256;
/// How much larger parsed rows are than their text.
const PARSED_SIZE: usize = 4;

impl CopyIn {
    /// Takes a piece, cut anywhere.
    ///
    /// # Errors
    /// `54000` when the whole becomes too large.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), SessionError> {
        if self.text.len() + bytes.len() > BYTES_MAX {
            return Err(SessionError::new("54000", "copy into a reference table takes at most 512 MiB"));
        }
        let lines = bytes.iter().filter(|byte| **byte == b'\n').count();
        self.lines += lines;
        if self.lines > super::write::ROWS_MAX + 1 {
            return Err(SessionError::new("54000", "copy into a reference table takes at most a million rows"));
        }
        self.memory.try_grow(bytes.len().saturating_mul(PARSED_SIZE).saturating_add(lines * ROW_BYTES))?;
        self.text.extend_from_slice(bytes);
        Ok(())
    }

    fn rows(&self) -> Result<Vec<Vec<Option<String>>>, SessionError> {
        let rows = if self.format.csv { self.csv_rows()? } else { self.text_rows()? };
        Ok(rows.into_iter().skip(usize::from(self.format.header)).collect())
    }

    fn csv_rows(&self) -> Result<Vec<Vec<Option<String>>>, SessionError> {
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(self.format.delimiter)
            .quote(self.format.quote)
            .double_quote(self.format.escape == self.format.quote)
            .escape((self.format.escape != self.format.quote).then_some(self.format.escape))
            .from_reader(self.text.as_slice());
        let mut rows = Vec::new();
        for (at, record) in reader.records().enumerate() {
            let record = record.map_err(|_| {
                SessionError::new("22P04", "malformed CSV").detail(format!("COPY {}, line {}", self.table.name, at + 1))
            })?;
            rows.push(record.iter().map(|field| (field != self.format.null).then(|| field.to_owned())).collect());
        }
        Ok(rows)
    }

    fn text_rows(&self) -> Result<Vec<Vec<Option<String>>>, SessionError> {
        let text = std::str::from_utf8(&self.text)
            .map_err(|_| SessionError::new("22021", "invalid byte sequence for encoding \"UTF8\""))?;
        let mut rows = Vec::new();
        for line in text.lines() {
            if line == "\\." {
                break;
            }
            let fields = line.split(char::from(self.format.delimiter));
            rows.push(fields.map(|field| (field != self.format.null).then(|| unescaped(field))).collect());
        }
        Ok(rows)
    }
}

/// Backslash sequences of the text format.
fn unescaped(field: &str) -> String {
    let mut text = String::with_capacity(field.len());
    let mut characters = field.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            text.push(character);
            continue;
        }
        match characters.next() {
            Some('t') => text.push('\t'),
            Some('n') => text.push('\n'),
            Some('r') => text.push('\r'),
            Some('b') => text.push('\u{8}'),
            Some('f') => text.push('\u{c}'),
            Some('v') => text.push('\u{b}'),
            Some(other) => text.push(other),
            None => text.push('\\'),
        }
    }
    text
}

impl Session {
    pub(super) fn run_copy_in(&self, statement: &Statement) -> Result<Answer, SessionError> {
        let Ast::Copy { source, target, options, legacy_options, .. } = statement.ast()? else {
            return Err(SessionError::unsupported("this statement"));
        };
        if !matches!(target, CopyTarget::Stdin) {
            return Err(SessionError::denied("copy from a file or program").hint("copy ... from stdin is allowed"));
        }
        let CopySource::Table { table_name, columns } = source else {
            return Err(SessionError::unsupported("copy into a query"));
        };
        let table = self.writable_table(table_name)?;
        may_write(self.principal().role, table)?;
        let columns = if columns.is_empty() {
            (0..table.columns.len()).collect()
        } else {
            columns
                .iter()
                .map(|column| {
                    table.position(&column.value.to_lowercase()).ok_or_else(|| {
                        SessionError::new(
                            "42703",
                            format!("column \"{}\" of relation \"{}\" does not exist", column.value, table.name),
                        )
                    })
                })
                .collect::<Result<Vec<_>, _>>()?
        };
        let format = copy_format(options, legacy_options)?;
        let note = format!("copy ref.{} from stdin", name_parts(table_name).pop().unwrap_or_default());
        let memory = self.reserve("copy", 0)?;
        Ok(Answer::CopyIn(CopyIn { table, columns, format, text: Vec::new(), lines: 0, note, memory }))
    }

    /// Ends a copy and gives its command tag.
    ///
    /// # Errors
    /// What the first bad line has wrong, with its number; nothing is kept then.
    pub fn finish_copy(&self, mut copy: CopyIn) -> Result<String, SessionError> {
        self.begin_statement()?;
        let rows = copy.rows()?;
        if copy.format.header {
            self.match_header(&mut copy)?;
        }
        let mut overlay = Overlay::clone(&self.shared.moment().overlay);
        let mut operations = Vec::with_capacity(rows.len());
        for (at, row) in rows.iter().enumerate() {
            let line = at + 1 + usize::from(copy.format.header);
            let context = |error: SessionError| {
                let detail = format!("COPY {}, line {line}", copy.table.name);
                if error.detail.is_some() { error } else { error.detail(detail) }
            };
            if row.len() != copy.columns.len() {
                let message = if row.len() < copy.columns.len() {
                    "missing data for a column"
                } else {
                    "extra data after last expected column"
                };
                return Err(context(SessionError::new("22P04", message)));
            }
            let mut values = super::write::defaults(copy.table)?;
            for (text, at) in row.iter().zip(&copy.columns) {
                let column = &copy.table.columns[*at];
                values[*at] = match text {
                    Some(text) => from_text(column, text).map_err(context)?,
                    // A null in a column that has a default and takes no null is its default: files
                    // made for several tables leave such columns empty.
                    None if !column.nullable && column.default.is_some() => values[*at].clone(),
                    None => Value::Null,
                };
            }
            operations.push(RefOp { table: copy.table, ends: None, begins: Some((overlay.next_row_id(), values)) });
        }
        let count = operations.len();
        let operations = self.replacing_root(operations)?;
        self.accept(operations, overlay, &copy.note)?;
        Ok(format!("COPY {count}"))
    }

    /// A header names the columns of the file: they are matched by name, in any order.
    fn match_header(&self, copy: &mut CopyIn) -> Result<(), SessionError> {
        let first = if copy.format.csv { copy.csv_rows()? } else { copy.text_rows()? }.into_iter().next();
        let Some(names) = first else { return Ok(()) };
        let columns = names
            .iter()
            .map(|name| {
                let name = name.as_deref().unwrap_or_default();
                copy.table.position(name.trim_start_matches('\u{feff}')).ok_or_else(|| {
                    SessionError::new(
                        "42703",
                        format!("column \"{name}\" of relation \"{}\" does not exist", copy.table.name),
                    )
                    .detail(format!("COPY {}, line 1 (the header)", copy.table.name))
                })
            })
            .collect::<Result<Vec<_>, _>>()?;
        copy.columns = columns;
        Ok(())
    }
}

fn copy_format(options: &[CopyOption], legacy: &[CopyLegacyOption]) -> Result<CopyText, SessionError> {
    let mut csv = false;
    for option in options {
        if let CopyOption::Format(format) = option {
            csv = match format.value.to_lowercase().as_str() {
                "csv" => true,
                "text" => false,
                other => return Err(SessionError::unsupported(&format!("copy format {other} from stdin"))),
            };
        }
    }
    csv |= legacy.iter().any(|option| matches!(option, CopyLegacyOption::Csv(_)));
    let mut format = CopyText {
        csv,
        delimiter: if csv { b',' } else { b'\t' },
        null: if csv { String::new() } else { "\\N".to_owned() },
        header: false,
        quote: b'"',
        escape: b'"',
    };
    let byte = |character: char| {
        u8::try_from(character).map_err(|_| SessionError::new("22023", "COPY delimiter and quote must be one byte"))
    };
    for option in options {
        match option {
            CopyOption::Delimiter(character) => format.delimiter = byte(*character)?,
            CopyOption::Null(text) => format.null.clone_from(text),
            CopyOption::Header(header) => format.header = *header,
            CopyOption::Quote(character) => format.quote = byte(*character)?,
            CopyOption::Escape(character) => format.escape = byte(*character)?,
            CopyOption::Format(_) | CopyOption::Freeze(_) | CopyOption::Encoding(_) => {}
            CopyOption::ForceQuote(_) | CopyOption::ForceNotNull(_) | CopyOption::ForceNull(_) => {
                return Err(SessionError::unsupported("this copy option"));
            }
        }
    }
    for option in legacy {
        match option {
            CopyLegacyOption::Delimiter(character) => format.delimiter = byte(*character)?,
            CopyLegacyOption::Null(text) => format.null.clone_from(text),
            CopyLegacyOption::Header => format.header = true,
            CopyLegacyOption::Csv(inner) => {
                format.header |= inner
                    .iter()
                    .any(|option| matches!(option, datafusion::sql::sqlparser::ast::CopyLegacyCsvOption::Header));
            }
            _ => return Err(SessionError::unsupported("this copy option")),
        }
    }
    Ok(format)
}
