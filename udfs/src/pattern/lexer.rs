//! Cuts a pattern into its items.

use datafusion::common::{Result, plan_err};

/// Longest pattern.
const CHARACTERS_MAX: usize = 1_024;

/// One item of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Item {
    /// A keyword of the kind of pattern, as it is written.
    Keyword {
        /// The keyword.
        word: &'static str,
        /// Whether `FM` comes before it: neither zeros nor blanks around it.
        fills: bool,
        /// Whether `TM` comes before it: names without blanks around them.
        translates: bool,
        /// An ordinal suffix after it: `TH` or `th`.
        ordinal: Option<Ordinal>,
    },
    /// Text that is shown as it is.
    Text(char),
}

/// How an ordinal suffix is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ordinal {
    Upper,
    Lower,
}

impl Ordinal {
    /// The suffix of a number that ends in these digits.
    pub(super) fn of(self, digits: &str) -> &'static str {
        let mut last = digits.bytes().rev();
        let (ones, tens) = (last.next(), last.next());
        let place = match (tens, ones) {
            (Some(b'1'), _) => 3,
            (_, Some(b'1')) => 0,
            (_, Some(b'2')) => 1,
            (_, Some(b'3')) => 2,
            _ => 3,
        };
        match self {
            Self::Upper => ["ST", "ND", "RD", "TH"][place],
            Self::Lower => ["st", "nd", "rd", "th"][place],
        }
    }
}

/// What stands around a keyword.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Affixes {
    /// `FM` and `TM` before, `TH` and `SP` after it: dates.
    Kept,
    /// None: `FM` and `TH` are keywords, in numbers.
    Keywords,
}

/// Cuts a pattern. Of the keywords that match at a place, the longest counts.
pub(super) fn items(pattern: &str, keywords: &'static [&'static str], affixes: Affixes) -> Result<Vec<Item>> {
    if pattern.chars().count() > CHARACTERS_MAX {
        return plan_err!("a pattern of to_char has at most {CHARACTERS_MAX} characters");
    }
    let mut items = Vec::new();
    let mut rest = pattern;
    while !rest.is_empty() {
        let (mut fills, mut translates) = (false, false);
        if affixes == Affixes::Kept
            && let Some(after) = strip_any(rest, &["FM", "fm", "TM", "tm"])
        {
            fills = rest.starts_with(['F', 'f']);
            translates = !fills;
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
        let longest = keywords.iter().filter(|word| rest.starts_with(**word)).max_by_key(|word| word.len());
        if let Some(word) = longest {
            rest = &rest[word.len()..];
            let mut ordinal = None;
            if affixes == Affixes::Kept {
                if let Some(after) = strip_any(rest, &["TH", "th"]) {
                    ordinal = Some(if rest.starts_with('T') { Ordinal::Upper } else { Ordinal::Lower });
                    rest = after;
                } else if let Some(after) = rest.strip_prefix("SP") {
                    rest = after;
                }
            }
            items.push(Item::Keyword { word, fills, translates, ordinal });
        } else if let Some(quoted) = rest.strip_prefix('"') {
            rest = quoted_text(quoted, &mut items);
        } else {
            // Outside quotes a backslash means something only before a quote.
            if let Some(after) = rest.strip_prefix('\\').filter(|after| after.starts_with('"')) {
                rest = after;
            }
            rest = shown(rest, &mut items);
        }
    }
    Ok(items)
}

fn strip_any<'a>(text: &'a str, words: &[&str]) -> Option<&'a str> {
    words.iter().find_map(|word| text.strip_prefix(word))
}

fn shown<'a>(text: &'a str, items: &mut Vec<Item>) -> &'a str {
    let mut characters = text.chars();
    if let Some(character) = characters.next() {
        items.push(Item::Text(character));
    }
    characters.as_str()
}

/// Shows text up to the closing quote and gives what is after it.
fn quoted_text<'a>(mut rest: &'a str, items: &mut Vec<Item>) -> &'a str {
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('"') {
            return after;
        }
        if let Some(after) = rest.strip_prefix('\\').filter(|after| !after.is_empty()) {
            rest = after;
        }
        rest = shown(rest, items);
    }
    rest
}
