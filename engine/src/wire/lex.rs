//! A lexer just good enough to cut a text into statements and to read the statements that the protocol layer owns.
//!
//! Invariant: it agrees with Postgres on where strings, identifiers and comments end, so a `;` inside one never cuts.

use super::backend::Failure;

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A keyword or bare identifier.
    Word,
    /// An identifier in double quotes.
    Quoted,
    /// A string of any spelling.
    String,
    /// Digits, possibly with a point or exponent.
    Number,
    /// A single other character.
    Symbol,
}

/// A token and where it stands, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl Token {
    /// The token's text.
    pub(crate) fn text<'a>(&self, sql: &'a str) -> &'a str {
        &sql[self.start..self.end]
    }

    /// Whether it is this keyword.
    pub(crate) fn is(&self, sql: &str, keyword: &str) -> bool {
        self.kind == Kind::Word && self.text(sql).eq_ignore_ascii_case(keyword)
    }

    /// Whether it is this character.
    pub(crate) fn is_symbol(&self, sql: &str, symbol: char) -> bool {
        self.kind == Kind::Symbol && self.text(sql).starts_with(symbol)
    }

    /// The name it stands for: bare words folded to lower case, quotes removed.
    pub(crate) fn name(&self, sql: &str) -> Option<String> {
        match self.kind {
            Kind::Word => Some(self.text(sql).to_lowercase()),
            Kind::Quoted => {
                let inner = &sql[self.start + 1..self.end - 1];
                Some(inner.replace("\"\"", "\""))
            }
            Kind::String | Kind::Number | Kind::Symbol => None,
        }
    }

    /// The value of a string token, of the spellings `'...'`, `E'...'` and `$tag$...$tag$`.
    pub(crate) fn string(&self, sql: &str) -> Option<String> {
        if self.kind != Kind::String {
            return None;
        }
        let text = self.text(sql);
        if let Some(rest) = text.strip_prefix('$') {
            let tag = rest.find('$')? + 2;
            return text.get(tag..text.len() - tag).map(str::to_owned);
        }
        let open = text.find('\'')?;
        let inner = text.get(open + 1..text.len() - 1)?.replace("''", "'");
        if text.starts_with(['e', 'E']) { unescape(&inner) } else { Some(inner) }
    }
}

fn unescape(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(found) = chars.next() {
        if found != '\\' {
            out.push(found);
            continue;
        }
        match chars.next()? {
            'b' => out.push('\u{8}'),
            'f' => out.push('\u{c}'),
            'n' => out.push('\n'),
            'r' => out.push('\r'),
            't' => out.push('\t'),
            'x' => out.push(char::from_u32(digits(&mut chars, 0, 16, 2)?)?),
            octal @ '0'..='7' => out.push(char::from_u32(digits(&mut chars, octal.to_digit(8)?, 8, 2)?)?),
            other => out.push(other),
        }
    }
    Some(out)
}

fn digits(chars: &mut std::iter::Peekable<std::str::Chars<'_>>, first: u32, radix: u32, most: usize) -> Option<u32> {
    let mut value = first;
    for _ in 0..most {
        let Some(digit) = chars.peek().and_then(|found| found.to_digit(radix)) else {
            break;
        };
        chars.next();
        value = value.checked_mul(radix)?.checked_add(digit)?;
    }
    Some(value)
}

/// Cuts a text into tokens.
///
/// Errors: 42601 for a string, identifier or comment that does not end.
pub(crate) fn tokens(sql: &str) -> Result<Vec<Token>, Failure> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(first) = sql[at..].chars().next() {
        let rest = &sql[at..];
        if first.is_whitespace() {
            at += first.len_utf8();
        } else if rest.starts_with("--") {
            at += rest.find('\n').unwrap_or(rest.len());
        } else if rest.starts_with("/*") {
            at += comment(rest).ok_or_else(|| unterminated(sql, at, "/* comment"))?;
        } else {
            let (kind, length) = token(rest, first).map_err(|what| unterminated(sql, at, what))?;
            found.push(Token { kind, start: at, end: at + length });
            at += length;
        }
    }
    Ok(found)
}

fn unterminated(sql: &str, at: usize, what: &str) -> Failure {
    let position = sql[..at].chars().count() + 1;
    Failure::new("42601", format!("unterminated {what}")).at(position)
}

fn token(rest: &str, first: char) -> Result<(Kind, usize), &'static str> {
    let quoted_string = "quoted string";
    let prefixed = rest.as_bytes().get(1) == Some(&b'\'');
    match first {
        '\'' => Ok((Kind::String, quoted(rest, '\'', false).ok_or(quoted_string)?)),
        'e' | 'E' if prefixed => Ok((Kind::String, 1 + quoted(&rest[1..], '\'', true).ok_or(quoted_string)?)),
        'b' | 'B' | 'x' | 'X' | 'n' | 'N' if prefixed => {
            Ok((Kind::String, 1 + quoted(&rest[1..], '\'', false).ok_or(quoted_string)?))
        }
        'u' | 'U' if rest[1..].starts_with("&'") => {
            Ok((Kind::String, 2 + quoted(&rest[2..], '\'', false).ok_or(quoted_string)?))
        }
        '"' => Ok((Kind::Quoted, quoted(rest, '"', false).ok_or("quoted identifier")?)),
        '$' => match dollar_quoted(rest) {
            Some(length) => Ok((Kind::String, length.ok_or("dollar-quoted string")?)),
            None => Ok((Kind::Symbol, 1)),
        },
        digit if digit.is_ascii_digit() => {
            let in_number = |found: char| found.is_ascii_alphanumeric() || found == '.' || found == '_';
            Ok((Kind::Number, rest.find(|found| !in_number(found)).unwrap_or(rest.len())))
        }
        letter if letter.is_alphabetic() || letter == '_' => {
            let in_word = |found: char| found.is_alphanumeric() || found == '_' || found == '$';
            Ok((Kind::Word, rest.find(|found| !in_word(found)).unwrap_or(rest.len())))
        }
        other => Ok((Kind::Symbol, other.len_utf8())),
    }
}

/// The length of a quoted thing, where the doubled quote stands for itself and, in E strings, a backslash hides the next character.
fn quoted(text: &str, quote: char, backslash: bool) -> Option<usize> {
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((at, found)) = chars.next() {
        if backslash && found == '\\' {
            chars.next();
        } else if found == quote && chars.next_if(|(_, next)| *next == quote).is_none() {
            return Some(at + quote.len_utf8());
        }
    }
    None
}

/// The length of `$tag$...$tag$`; the inner option is empty when it does not end, the outer when it is none.
fn dollar_quoted(text: &str) -> Option<Option<usize>> {
    let tag_end = text[1..].find(|found: char| !(found.is_alphanumeric() || found == '_'))? + 1;
    let starts_with_digit = text[1..].starts_with(|found: char| found.is_ascii_digit());
    if !text[tag_end..].starts_with('$') || starts_with_digit {
        return None;
    }
    let tag = &text[..=tag_end];
    Some(text[tag.len()..].find(tag).map(|at| at + 2 * tag.len()))
}

/// The length of a comment; comments nest.
fn comment(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return Some(at);
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(sql: &str) -> Vec<&str> {
        tokens(sql).expect("tokens").iter().map(|token| token.text(sql)).collect()
    }

    #[test]
    fn semicolons_inside_strings_identifiers_and_comments_are_no_tokens() {
        assert_eq!(texts("a ';' ; \";\" -- ;\n /* ; /* ; */ */ b"), ["a", "';'", ";", "\";\"", "b"]);
        assert_eq!(texts("E'\\';' ; $x$;$x$ $1"), ["E'\\';'", ";", "$x$;$x$", "$", "1"]);
    }

    #[test]
    fn an_open_string_is_a_syntax_error_at_its_start() {
        let failure = tokens("select 'abc").expect_err("open string");
        assert_eq!((failure.sqlstate, failure.position), ("42601", Some(8)));
    }

    #[test]
    fn strings_give_their_value() {
        let value = |sql: &str| tokens(sql).expect("tokens")[0].string(sql);
        assert_eq!(value("'it''s'").as_deref(), Some("it's"));
        assert_eq!(value("E'\\t\\x41'").as_deref(), Some("\tA"));
        assert_eq!(value("$q$a$b$q$").as_deref(), Some("a$b"));
    }
}
