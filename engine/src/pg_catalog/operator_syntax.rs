//! `OPERATOR(pg_catalog.=)`, which psql and pg_dump write so that no search path can change an operator's meaning.

use std::borrow::Cow;

/// Replaces `OPERATOR(pg_catalog.op)` by `op`, padded with spaces to the same length.
///
/// The parser knows the syntax between plain operands but not before `ANY`. Only the built-in operators exist here, so
/// the short form means the same; equal length keeps the positions in error messages right. Text in quotes, dollar
/// quotes and comments is left alone.
///
/// ```sql
/// select 1 from pg_class where relkind OPERATOR(pg_catalog.=) ANY (array['r', 'v']);
/// ```
pub fn with_plain_operators(sql: &str) -> Cow<'_, str> {
    if !sql.to_ascii_lowercase().contains("operator") {
        return Cow::Borrowed(sql);
    }
    let mut result = String::with_capacity(sql.len());
    let mut rest = sql;
    while let Some(letter) = rest.chars().next() {
        let (taken, replacement) = match operator_at(rest, result.chars().last()) {
            Some((length, operator)) => (length, Some(format!("{operator:<length$}"))),
            None => (opaque_length(rest).unwrap_or_else(|| letter.len_utf8()), None),
        };
        let (head, tail) = rest.split_at(taken.min(rest.len()));
        result.push_str(replacement.as_deref().unwrap_or(head));
        rest = tail;
    }
    Cow::Owned(result)
}

/// Length and operator of `OPERATOR(pg_catalog.op)` at the start of a text.
fn operator_at(text: &str, before: Option<char>) -> Option<(usize, &str)> {
    const WORD: &str = "operator";
    if before.is_some_and(|letter| letter.is_alphanumeric() || letter == '_') {
        return None;
    }
    let (word, rest) = text.split_at_checked(WORD.len())?;
    if !word.eq_ignore_ascii_case(WORD) {
        return None;
    }
    let inside = rest.trim_start().strip_prefix('(')?;
    let (name, after) = inside.split_once(')')?;
    let operator = name.trim();
    let operator = match operator.split_once('.') {
        Some((schema, operator)) if schema.trim().eq_ignore_ascii_case("pg_catalog") => operator.trim(),
        Some(_) => return None,
        None => operator,
    };
    let is_operator = !operator.is_empty() && operator.chars().all(|letter| "+-*/<>=~!@#%^&|`?".contains(letter));
    is_operator.then_some((text.len() - after.len(), operator))
}

/// Length of a quoted text or comment at the start of a text.
fn opaque_length(text: &str) -> Option<usize> {
    let closed =
        |opening: usize, end: &str| Some(text[opening..].find(end).map_or(text.len(), |at| opening + at + end.len()));
    if text.starts_with("--") {
        return closed(2, "\n");
    }
    if text.starts_with("/*") {
        return closed(2, "*/");
    }
    if let Some(quote) = text.chars().next().filter(|letter| matches!(letter, '\'' | '"')) {
        // a doubled quote ends one quoted text and starts the next, which comes to the same
        return text[1..].find(quote).map_or(Some(text.len()), |at| Some(at + 2));
    }
    if text.starts_with(['E', 'e']) && text[1..].starts_with('\'') {
        let mut escaped = false;
        for (at, letter) in text.char_indices().skip(2) {
            match letter {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '\'' => return Some(at + 1),
                _ => {}
            }
        }
        return Some(text.len());
    }
    let tag_end = text.strip_prefix('$')?.find('$')? + 2;
    let tag = &text[..tag_end];
    let is_tag = tag[1..tag_end - 1].chars().all(|letter| letter.is_alphanumeric() || letter == '_')
        && !tag[1..].starts_with(|letter: char| letter.is_ascii_digit());
    if is_tag { closed(tag_end, tag) } else { None }
}
