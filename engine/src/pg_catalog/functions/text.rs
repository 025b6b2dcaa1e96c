//! Text functions.

use rusqlite::types::Value;

use super::super::error::CatalogQueryError;
use super::super::names;
use super::super::session::CatalogSession;
use super::super::types::{BOOL, INT4, NAME, OID, TEXT};
use super::{Arguments, Native, bool_value, called, strict, text_value};

type Outcome = Result<Value, CatalogQueryError>;

/// Longest text a function makes.
const TEXT_MAX: usize = 1 << 20;

pub(super) const FUNCTIONS: &[Native] = &[
    strict("length", INT4, &[TEXT], length),
    strict("char_length", INT4, &[TEXT], length),
    strict("character_length", INT4, &[TEXT], length),
    strict("octet_length", INT4, &[TEXT], |_, arguments| size(arguments.text(0).unwrap_or_default().len())),
    strict("lower", TEXT, &[TEXT], |_, arguments| text_value(arguments.text(0).unwrap_or_default().to_lowercase())),
    strict("upper", TEXT, &[TEXT], |_, arguments| text_value(arguments.text(0).unwrap_or_default().to_uppercase())),
    strict("initcap", TEXT, &[TEXT], initcap),
    strict("substr", TEXT, &[TEXT, INT4, INT4], substring),
    strict("substring", TEXT, &[TEXT], substring),
    strict("left", TEXT, &[TEXT, INT4], left),
    strict("right", TEXT, &[TEXT, INT4], right),
    strict("reverse", TEXT, &[TEXT], |_, arguments| {
        text_value(arguments.text(0).unwrap_or_default().chars().rev().collect::<String>())
    }),
    strict("replace", TEXT, &[TEXT, TEXT, TEXT], replace),
    strict("translate", TEXT, &[TEXT, TEXT, TEXT], translate),
    strict("btrim", TEXT, &[TEXT, TEXT], |_, arguments| trimmed(arguments, Side::Both)),
    strict("ltrim", TEXT, &[TEXT, TEXT], |_, arguments| trimmed(arguments, Side::Left)),
    strict("rtrim", TEXT, &[TEXT, TEXT], |_, arguments| trimmed(arguments, Side::Right)),
    strict("lpad", TEXT, &[TEXT, INT4, TEXT], |_, arguments| padded(arguments, Side::Left)),
    strict("rpad", TEXT, &[TEXT, INT4, TEXT], |_, arguments| padded(arguments, Side::Right)),
    strict("repeat", TEXT, &[TEXT, INT4], repeat),
    strict("split_part", TEXT, &[TEXT, TEXT, INT4], split_part),
    strict("strpos", INT4, &[TEXT, TEXT], strpos),
    strict("starts_with", BOOL, &[TEXT, TEXT], |_, arguments| {
        bool_value(arguments.text(0).unwrap_or_default().starts_with(&arguments.text(1).unwrap_or_default()))
    }),
    strict("chr", TEXT, &[INT4], chr),
    strict("ascii", INT4, &[TEXT], ascii),
    strict("quote_ident", TEXT, &[TEXT], |_, arguments| {
        text_value(names::quote_identifier(&arguments.text(0).unwrap_or_default()))
    }),
    strict("quote_literal", TEXT, &[TEXT], |_, arguments| {
        text_value(quote_literal(&arguments.text(0).unwrap_or_default()))
    }),
    called("quote_nullable", TEXT, &[TEXT], |_, arguments| {
        text_value(arguments.text(0).map_or_else(|| "NULL".to_owned(), |text| quote_literal(&text)))
    }),
    called("concat", TEXT, &[], |_, arguments| {
        text_value((0..arguments.len()).filter_map(|at| arguments.text(at)).collect::<String>())
    }),
    called("concat_ws", TEXT, &[], concat_ws),
    called("format", TEXT, &[TEXT], format_text),
    strict("nameconcatoid", NAME, &[NAME, OID], |_, arguments| {
        text_value(format!("{}_{}", arguments.text(0).unwrap_or_default(), arguments.oid(1)))
    }),
    strict("to_hex", TEXT, &[], |_, arguments| text_value(format!("{:x}", arguments.integer(0).unwrap_or(0)))),
];

fn size(count: usize) -> Outcome {
    Ok(Value::Integer(i64::try_from(count).unwrap_or(i64::MAX)))
}

fn length(_: &CatalogSession, arguments: &Arguments<'_>) -> Outcome {
    size(arguments.text(0).unwrap_or_default().chars().count())
}

fn initcap(_: &CatalogSession, arguments: &Arguments<'_>) -> Outcome {
    let mut inside = false;
    let mut result = String::new();
    for letter in arguments.text(0).unwrap_or_default().chars() {
        if inside {
            result.extend(letter.to_lowercase())
        } else {
            result.extend(letter.to_uppercase())
        }
        inside = letter.is_alphanumeric();
    }
    text_value(result)
}

/// `substring(text, start[, count])`, or the match of a pattern when the second argument is one.
fn substring(session: &CatalogSession, arguments: &Arguments<'_>) -> Outcome {
    let text = arguments.text(0).unwrap_or_default();
    if !arguments.is_number(1) && arguments.integer(1).is_none() {
        let pattern = session.pattern(&arguments.text(1).unwrap_or_default(), false)?;
        let found = pattern.captures(&text).and_then(|groups| groups.get(1).or_else(|| groups.get(0)));
        return Ok(found.map_or(Value::Null, |part| Value::Text(part.as_str().to_owned())));
    }
    let start = arguments.integer(1).unwrap_or(1);
    let end = match (arguments.len(), arguments.integer(2)) {
        (3, Some(count)) if count < 0 => {
            return Err(CatalogQueryError::new("22023", "negative substring length not allowed"));
        }
        (3, Some(count)) => start.saturating_add(count),
        _ => i64::MAX,
    };
    text_value(
        (1..)
            .zip(text.chars())
            .filter(|(at, _): &(i64, char)| *at >= start && *at < end)
            .map(|(_, letter)| letter)
            .collect::<String>(),
    )
}

fn cut(arguments: &Arguments<'_>) -> (Vec<char>, usize) {
    let letters: Vec<char> = arguments.text(0).unwrap_or_default().chars().collect();
    let count = arguments.integer(1).unwrap_or(0);
    let wanted = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    let kept = if count < 0 { letters.len().saturating_sub(wanted) } else { wanted.min(letters.len()) };
    (letters, kept)
}

fn left(_: &CatalogSession, arguments: &Arguments<'_>) -> Outcome {
    let (letters, kept) = cut(arguments);
    text_value(letters.iter().take(kept).collect::<String>())
}

fn right(_: &CatalogSession, arguments: &Arguments<'_>) -> Outcome {
    let (letters, kept) = cut(arguments);
    text_value(letters.iter().skip(letters.len() - kept).collect::<String>())
}

fn replace(_: &CatalogSession, arguments: &Arguments<'_>) -> Outcome {
    let (text, from, to) = (arguments.text(0), arguments.text(1), arguments.text(2));
    let (text, from, to) = (text.unwrap_or_default(), from.unwrap_or_default(), to.unwrap_or_default());
    let replaced = if from.is_empty() { text } else { text.replace(&from, &to) };
    if replaced.len() > TEXT_MAX { Err(too_long()) } else { text_value(replaced) }
}

fn translate(_: &CatalogSession, arguments: &Arguments<'_>) -> Outcome {
    let from: Vec<char> = arguments.text(1).unwrap_or_default().chars().collect();
    let to: Vec<char> = arguments.text(2).unwrap_or_default().chars().collect();
    let text = arguments.text(0).unwrap_or_default();
    text_value(
        text.chars()
            .filter_map(|letter| match from.iter().position(|other| *other == letter) {
                Some(at) => to.get(at).copied(),
                None => Some(letter),
            })
            .collect::<String>(),
    )
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Both,
    Left,
    Right,
}

fn trimmed(arguments: &Arguments<'_>, side: Side) -> Outcome {
    let text = arguments.text(0).unwrap_or_default();
    let set: Vec<char> = arguments.text(1).unwrap_or_else(|| " ".to_owned()).chars().collect();
    let in_set = |letter: char| set.contains(&letter);
    text_value(match side {
        Side::Both => text.trim_matches(in_set),
        Side::Left => text.trim_start_matches(in_set),
        Side::Right => text.trim_end_matches(in_set),
    })
}

fn padded(arguments: &Arguments<'_>, side: Side) -> Outcome {
    let letters: Vec<char> = arguments.text(0).unwrap_or_default().chars().collect();
    let width = usize::try_from(arguments.integer(1).unwrap_or(0)).unwrap_or(0);
    if width > TEXT_MAX {
        return Err(too_long());
    }
    let fill = arguments.text(2).unwrap_or_else(|| " ".to_owned());
    let missing = width.saturating_sub(letters.len());
    let padding: String = fill.chars().cycle().take(if fill.is_empty() { 0 } else { missing }).collect();
    let kept: String = letters.iter().take(width).collect();
    text_value(if side == Side::Left { padding + &kept } else { kept + &padding })
}

fn repeat(_: &CatalogSession, arguments: &Arguments<'_>) -> Outcome {
    let text = arguments.text(0).unwrap_or_default();
    let count = usize::try_from(arguments.integer(1).unwrap_or(0)).unwrap_or(0);
    if text.len().saturating_mul(count) > TEXT_MAX { Err(too_long()) } else { text_value(text.repeat(count)) }
}

fn too_long() -> CatalogQueryError {
    CatalogQueryError::new("22023", "the text is too long; catalog functions make at most 1 MiB")
}

fn split_part(_: &CatalogSession, arguments: &Arguments<'_>) -> Outcome {
    let (text, separator) = (arguments.text(0).unwrap_or_default(), arguments.text(1).unwrap_or_default());
    let parts: Vec<&str> = if separator.is_empty() { vec![&text] } else { text.split(&separator).collect() };
    let wanted = arguments.integer(2).unwrap_or(0);
    let at = if wanted < 0 {
        parts.len().checked_sub(usize::try_from(wanted.unsigned_abs()).unwrap_or(usize::MAX))
    } else {
        usize::try_from(wanted).ok().and_then(|wanted| wanted.checked_sub(1))
    };
    text_value(at.and_then(|at| parts.get(at)).copied().unwrap_or_default())
}

fn strpos(_: &CatalogSession, arguments: &Arguments<'_>) -> Outcome {
    let text = arguments.text(0).unwrap_or_default();
    match text.find(&arguments.text(1).unwrap_or_default()) {
        Some(at) => size(text[..at].chars().count() + 1),
        None => Ok(Value::Integer(0)),
    }
}

fn chr(_: &CatalogSession, arguments: &Arguments<'_>) -> Outcome {
    let letter = arguments
        .integer(0)
        .and_then(|code| u32::try_from(code).ok())
        .filter(|code| *code > 0)
        .and_then(char::from_u32);
    text_value(letter.ok_or_else(|| CatalogQueryError::new("22023", "requested character is not valid"))?.to_string())
}

fn ascii(_: &CatalogSession, arguments: &Arguments<'_>) -> Outcome {
    let text = arguments.text(0).unwrap_or_default();
    Ok(Value::Integer(text.chars().next().map_or(0, |letter| i64::from(u32::from(letter)))))
}

fn quote_literal(text: &str) -> String {
    let quoted = text.replace('\\', "\\\\").replace('\'', "''");
    if text.contains('\\') { format!("E'{quoted}'") } else { format!("'{quoted}'") }
}

fn concat_ws(_: &CatalogSession, arguments: &Arguments<'_>) -> Outcome {
    let Some(separator) = arguments.text(0) else {
        return Ok(Value::Null);
    };
    text_value((1..arguments.len()).filter_map(|at| arguments.text(at)).collect::<Vec<_>>().join(&separator))
}

/// `format('%I.%I', ...)` with `%s`, `%I`, `%L` and `%%`.
fn format_text(_: &CatalogSession, arguments: &Arguments<'_>) -> Outcome {
    let Some(template) = arguments.text(0) else {
        return Ok(Value::Null);
    };
    let mut result = String::new();
    let mut next = 1;
    let mut letters = template.chars();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            result.push(letter);
            continue;
        }
        let kind = letters.next();
        if kind == Some('%') {
            result.push('%');
            continue;
        }
        if next >= arguments.len() {
            return Err(CatalogQueryError::new("22023", "too few arguments for format()"));
        }
        let value = arguments.text(next);
        next += 1;
        match kind {
            Some('s') => result.push_str(&value.unwrap_or_default()),
            Some('I') => result.push_str(&names::quote_identifier(&value.unwrap_or_default())),
            Some('L') => result.push_str(&value.map_or_else(|| "NULL".to_owned(), |text| quote_literal(&text))),
            _ => {
                return Err(CatalogQueryError::new("22023", "unrecognized format() type specifier"));
            }
        }
    }
    text_value(result)
}
