//! Identifiers: folding, quoting, and splitting of qualified names, by PostgreSQL's rules.

use std::collections::HashSet;
use std::fmt::Write;
use std::sync::LazyLock;

use datafusion::sql::sqlparser::ast::{Ident, ObjectName, ObjectNamePart};

/// The name an identifier stands for: lower case unless quoted.
pub(super) fn fold(ident: &Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() }
}

/// The folded parts of a qualified name; `None` when a part is not a plain identifier.
pub(super) fn parts(name: &ObjectName) -> Option<Vec<String>> {
    name.0
        .iter()
        .map(|part| match part {
            ObjectNamePart::Identifier(ident) => Some(fold(ident)),
            ObjectNamePart::Function(_) => None,
        })
        .collect()
}

/// Quotes an identifier if PostgreSQL's `quote_ident` would.
pub(super) fn quote_identifier(name: &str) -> String {
    let plain = name.chars().enumerate().all(|(position, letter)| {
        letter.is_ascii_lowercase() || letter == '_' || (position > 0 && letter.is_ascii_digit())
    });
    if plain && !name.is_empty() && !RESERVED.contains(name) { name.to_owned() } else { always_quoted(name) }
}

/// An identifier in double quotes.
pub(super) fn always_quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text literal in single quotes.
pub(super) fn quoted_literal(text: &str) -> String {
    let mut literal = String::with_capacity(text.len() + 2);
    let _ = write!(literal, "'{}'", text.replace('\0', "").replace('\'', "''"));
    literal
}

/// Splits `schema."Name"` as `regclass` input does; `None` when it is not a name.
pub(super) fn split_qualified(text: &str) -> Option<Vec<String>> {
    let mut found = Vec::new();
    let mut letters = text.trim().chars().peekable();
    loop {
        let mut part = String::new();
        if letters.peek() == Some(&'"') {
            letters.next();
            loop {
                match letters.next()? {
                    '"' if letters.peek() == Some(&'"') => part.push(letters.next()?),
                    '"' => break,
                    letter => part.push(letter),
                }
            }
        } else {
            while let Some(letter) = letters.next_if(|letter| *letter != '.') {
                part.extend(letter.to_lowercase());
            }
            part = part.trim().to_owned();
        }
        if part.is_empty() {
            return None;
        }
        found.push(part);
        match letters.next() {
            Some('.') => {}
            None => return Some(found),
            Some(_) => return None,
        }
    }
}

/// The schemas that a `search_path` names, in order, each once; whether they exist is not asked.
pub fn schemas_listed(search_path: &str, user: &str) -> Vec<String> {
    let mut listed: Vec<String> = Vec::new();
    for part in search_path.split(',') {
        let part = part.trim();
        let name = match part.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
            Some("$user") => user.to_owned(),
            Some(quoted) => quoted.replace("\"\"", "\""),
            None if part == "$user" => user.to_owned(),
            None => part.to_lowercase(),
        };
        if !listed.contains(&name) {
            listed.push(name);
        }
    }
    listed
}

/// PostgreSQL's keywords: word, category, whether it may be a bare label, and both in words.
pub(super) static KEYWORDS: LazyLock<Vec<[&'static str; 5]>> = LazyLock::new(|| {
    include_str!("data/keywords.tsv")
        .lines()
        .filter_map(|line| <[&str; 5]>::try_from(line.split('\t').collect::<Vec<_>>()).ok())
        .collect()
});

/// Keywords that must be quoted as identifiers: all but the unreserved ones.
static RESERVED: LazyLock<HashSet<&'static str>> =
    LazyLock::new(|| KEYWORDS.iter().filter(|[_, category, ..]| *category != "U").map(|[word, ..]| *word).collect());
