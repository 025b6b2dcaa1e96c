//! `LIKE` and regular expressions.

use rusqlite::types::Value;
use serde_json::Value as Json;

use super::super::error::CatalogQueryError;
use super::super::session::CatalogSession;
use super::super::types::{BOOL, TEXT, TEXT_ARRAY};
use super::{Arguments, Native, bool_value, strict, text_value};

type Outcome = Result<Value, CatalogQueryError>;

pub(super) const FUNCTIONS: &[Native] = &[
    strict("regexp_replace", TEXT, &[TEXT, TEXT, TEXT, TEXT], regexp_replace),
    strict("regexp_match", TEXT_ARRAY, &[TEXT, TEXT, TEXT], regexp_match),
    strict("regexp_split_to_array", TEXT_ARRAY, &[TEXT, TEXT], regexp_split),
    strict("regexp_like", BOOL, &[TEXT, TEXT], |session, arguments| matches(session, arguments, false)),
    // the compiler's own
    strict("matches", BOOL, &[TEXT, TEXT], |session, arguments| matches(session, arguments, false)),
    strict("matches_any_case", BOOL, &[TEXT, TEXT], |session, arguments| matches(session, arguments, true)),
    strict("is_like", BOOL, &[TEXT, TEXT, TEXT], |_, arguments| like(arguments, false)),
    strict("is_like_any_case", BOOL, &[TEXT, TEXT, TEXT], |_, arguments| like(arguments, true)),
];

fn matches(session: &CatalogSession, arguments: &Arguments<'_>, ignore_case: bool) -> Outcome {
    let pattern = session.pattern(&arguments.text(1).unwrap_or_default(), ignore_case)?;
    bool_value(pattern.is_match(&arguments.text(0).unwrap_or_default()))
}

fn like(arguments: &Arguments<'_>, ignore_case: bool) -> Outcome {
    let fold = |text: Option<String>| {
        let text = text.unwrap_or_default();
        if ignore_case { text.to_lowercase() } else { text }
    };
    let escape = if arguments.len() > 2 { arguments.text(2).and_then(|text| text.chars().next()) } else { Some('\\') };
    let text: Vec<char> = fold(arguments.text(0)).chars().collect();
    let pattern = pattern_parts(&fold(arguments.text(1)), escape)?;
    bool_value(is_like(&text, &pattern))
}

enum Part {
    Letter(char),
    One,
    Many,
}

fn pattern_parts(pattern: &str, escape: Option<char>) -> Result<Vec<Part>, CatalogQueryError> {
    let mut parts = Vec::new();
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        parts.push(match letter {
            _ if Some(letter) == escape => {
                Part::Letter(letters.next().ok_or_else(|| {
                    CatalogQueryError::new("22023", "LIKE pattern must not end with escape character")
                })?)
            }
            '%' => Part::Many,
            '_' => Part::One,
            other => Part::Letter(other),
        });
    }
    Ok(parts)
}

// Greedy with one point to come back to: linear in practice, no recursion on user input.
fn is_like(text: &[char], pattern: &[Part]) -> bool {
    let (mut at, mut part) = (0, 0);
    let mut resume: Option<(usize, usize)> = None;
    while at < text.len() {
        let fits = match pattern.get(part) {
            Some(Part::Letter(letter)) => text[at] == *letter,
            Some(Part::One) => true,
            Some(Part::Many) => {
                resume = Some((at, part + 1));
                part += 1;
                continue;
            }
            None => false,
        };
        if fits {
            at += 1;
            part += 1;
        } else if let Some((from, after)) = resume {
            resume = Some((from + 1, after));
            at = from + 1;
            part = after;
        } else {
            return false;
        }
    }
    pattern[part..].iter().all(|rest| matches!(rest, Part::Many))
}

fn flags(arguments: &Arguments<'_>, index: usize) -> (bool, bool) {
    let flags = arguments.text(index).unwrap_or_default();
    (flags.contains('i'), flags.contains('g'))
}

fn regexp_replace(session: &CatalogSession, arguments: &Arguments<'_>) -> Outcome {
    let (ignore_case, all) = flags(arguments, 3);
    let pattern = session.pattern(&arguments.text(1).unwrap_or_default(), ignore_case)?;
    let (text, with) = (arguments.text(0).unwrap_or_default(), replacement(&arguments.text(2).unwrap_or_default()));
    text_value(pattern.replacen(&text, usize::from(!all), with.as_str()).into_owned())
}

// PostgreSQL writes \1 and \&, the regex crate ${1} and ${0}.
fn replacement(text: &str) -> String {
    let mut result = String::new();
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match (letter, if letter == '\\' { letters.next() } else { None }) {
            ('$', _) => result.push_str("$$"),
            ('\\', Some('&')) => result.push_str("${0}"),
            ('\\', Some(digit)) if digit.is_ascii_digit() => {
                result.push_str("${");
                result.push(digit);
                result.push('}');
            }
            ('\\', Some(other)) => result.push(other),
            _ => result.push(letter),
        }
    }
    result
}

fn regexp_match(session: &CatalogSession, arguments: &Arguments<'_>) -> Outcome {
    let (ignore_case, _) = flags(arguments, 2);
    let pattern = session.pattern(&arguments.text(1).unwrap_or_default(), ignore_case)?;
    let text = arguments.text(0).unwrap_or_default();
    let Some(groups) = pattern.captures(&text) else {
        return Ok(Value::Null);
    };
    let skipped = usize::from(groups.len() > 1);
    let found: Vec<Json> =
        groups.iter().skip(skipped).map(|group| group.map_or(Json::Null, |part| Json::from(part.as_str()))).collect();
    text_value(Json::Array(found).to_string())
}

fn regexp_split(session: &CatalogSession, arguments: &Arguments<'_>) -> Outcome {
    let pattern = session.pattern(&arguments.text(1).unwrap_or_default(), false)?;
    let text = arguments.text(0).unwrap_or_default();
    text_value(Json::Array(pattern.split(&text).map(Json::from).collect()).to_string())
}
