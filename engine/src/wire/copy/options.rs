//! The options of COPY, in both spellings that Postgres reads.
//!
//! Errors: 42601 for options that do not exist, 0A000 and 22023 for those that do not fit their format.

use super::{CopyFormat, CopyHeader, CopyKind, ForceQuote, split_names};
use crate::wire::backend::Failure;
use crate::wire::grammar::Reader;
use crate::wire::lex::Kind;
use crate::wire::settings::is_utf8;

/// Options as they are read, before the defaults are filled in.
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

/// Reads the options after STDIN or STDOUT, in the bracketed or the older spelling.
pub(crate) fn read_options(reader: &mut Reader<'_>, legacy_binary: bool) -> Result<CopyFormat, Failure> {
    let mut options = Options { kind: legacy_binary.then_some(CopyKind::Binary), ..Options::default() };
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
    let value = reader.peek().and_then(|token| token.string(reader.sql)).ok_or_else(|| reader.syntax_error())?;
    reader.at += 1;
    Ok(value)
}

/// A word or a string, as option values may be either.
fn value(reader: &mut Reader<'_>) -> Option<String> {
    let token = reader.peek()?;
    let text = token.string(reader.sql).or_else(|| token.name(reader.sql));
    let text = text.or_else(|| (token.kind == Kind::Number).then(|| token.text(reader.sql).to_owned()))?;
    reader.at += 1;
    Some(text)
}

impl Options {
    fn read_modern(&mut self, reader: &mut Reader<'_>) -> Result<(), Failure> {
        let place = reader.at;
        let name = reader.name()?;
        match name.as_str() {
            "format" => {
                self.kind = Some(match value(reader).map(|word| word.to_lowercase()).as_deref() {
                    Some("text") => CopyKind::Text,
                    Some("csv") => CopyKind::Csv,
                    Some("binary") => CopyKind::Binary,
                    _ => {
                        return Err(Failure::new("22023", "COPY format must be text, csv or binary"));
                    }
                });
            }
            "delimiter" => self.delimiter = Some(string(reader)?),
            "null" => self.null = Some(string(reader)?),
            "quote" => self.quote = Some(string(reader)?),
            "escape" => self.escape = Some(string(reader)?),
            "encoding" => utf8_only(&string(reader)?)?,
            "header" => {
                self.header = Some(match value(reader).map(|word| word.to_lowercase()).as_deref() {
                    None | Some("true" | "on" | "1") => CopyHeader::Present,
                    Some("false" | "off" | "0") => CopyHeader::Absent,
                    Some("match") => CopyHeader::Match,
                    Some(_) => {
                        return Err(Failure::new("42601", "header requires a Boolean value or \"match\""));
                    }
                });
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
                return Err(Failure::new("42601", format!("option \"{other}\" not recognized")).at(position));
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
        let refuse = |what: &str| Err(Failure::new("0A000", format!("COPY {what} available only in CSV mode")));
        if format.kind == CopyKind::Binary && (self.delimiter.is_some() || self.null.is_some() || self.header.is_some())
        {
            return Err(Failure::new("42601", "cannot specify DELIMITER, NULL or HEADER in BINARY mode"));
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
            return Err(Failure::new("22023", "COPY delimiter and quote must be different"));
        }
        format.null = self.null.unwrap_or(format.null);
        if format.null.contains(['\n', '\r']) {
            return Err(Failure::new("22023", "COPY null representation cannot use newline or carriage return"));
        }
        format.header = self.header.unwrap_or(format.header);
        format.force_quote = self.force_quote.unwrap_or(format.force_quote);
        Ok(format)
    }
}

fn one_byte(what: &str, text: &str) -> Result<u8, Failure> {
    match text.as_bytes() {
        [byte] if !b"\r\n".contains(byte) => Ok(*byte),
        _ => Err(Failure::new("0A000", format!("COPY {what} must be a single one-byte character"))),
    }
}

fn utf8_only(name: &str) -> Result<(), Failure> {
    if is_utf8(name) { Ok(()) } else { Err(Failure::new("0A000", "COPY encoding must be UTF8")) }
}
