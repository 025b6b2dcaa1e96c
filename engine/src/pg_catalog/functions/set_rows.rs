//! The rows of set-returning functions.

use rusqlite::types::Value;
use serde_json::{Value as Json, json};

use super::super::error::CatalogQueryError;
use super::super::names::KEYWORDS;
use super::super::session::CatalogSession;
use super::super::types::{INT8, OID, TEXT};
use super::{Arguments, Native, called, strict, text_value};

type Outcome = Result<Value, CatalogQueryError>;

/// Longest series that is made.
const SERIES_MAX: i64 = 1_000_000;

pub(super) const FUNCTIONS: &[Native] = &[
    called("rows_of_unnest", TEXT, &[], unnest),
    called("rows_of_generate_series", INT8, &[INT8, INT8, INT8], generate_series),
    called("rows_of_generate_subscripts", TEXT, &[], generate_subscripts),
    strict("rows_of_regexp_split_to_table", TEXT, &[TEXT, TEXT], regexp_split_to_table),
    called("rows_of_string_to_table", TEXT, &[TEXT, TEXT], string_to_table),
    called("rows_of_pg_partition_ancestors", TEXT, &[OID], none),
    called("rows_of_pg_listening_channels", TEXT, &[], none),
    called("rows_of__pg_expandarray", TEXT, &[], expand_array),
    called("rows_of_aclexplode", TEXT, &[], aclexplode),
    called("rows_of_pg_options_to_table", TEXT, &[], none),
    called("rows_of_pg_get_keywords", TEXT, &[], keywords),
    called("rows_of_pg_timezone_names", TEXT, &[], timezone_names),
    called("rows_of_pg_timezone_abbrevs", TEXT, &[], none),
    called("rows_of_pg_show_all_settings", TEXT, &[], settings),
    called("rows_of_pg_available_extensions", TEXT, &[], none),
    called("rows_of_pg_available_extension_versions", TEXT, &[], none),
    called("rows_of_pg_lock_status", TEXT, &[], none),
    called("rows_of_pg_get_publication_tables", TEXT, &[], none),
    called("rows_of_pg_partition_tree", TEXT, &[], none),
    called("rows_of_json_each_text", TEXT, &[], none),
    called("rows_of_pg_stat_get_wal_senders", TEXT, &[], none),
    called("rows_side_by_side", TEXT, &[], side_by_side),
];

fn none(_: &CatalogSession, _: &Arguments<'_>) -> Outcome {
    text_value("[]")
}

fn rows(rows: Vec<Json>) -> Outcome {
    text_value(Json::Array(rows).to_string())
}

fn unnest(_: &CatalogSession, arguments: &Arguments<'_>) -> Outcome {
    rows(arguments.array(0).unwrap_or_default())
}

fn generate_series(_: &CatalogSession, arguments: &Arguments<'_>) -> Outcome {
    let (Some(first), Some(last)) = (arguments.integer(0), arguments.integer(1)) else {
        return text_value("[]");
    };
    let step = if arguments.len() > 2 { arguments.integer(2).unwrap_or(1) } else { 1 };
    if step == 0 {
        return Err(CatalogQueryError::new("22023", "step size cannot equal zero"));
    }
    if last.saturating_sub(first).checked_div(step).unwrap_or(0) > SERIES_MAX {
        return Err(CatalogQueryError::new("22023", "the series is too long for a query over the system catalogs"));
    }
    let mut numbers = Vec::new();
    let mut next = first;
    while if step > 0 { next <= last } else { next >= last } {
        numbers.push(Json::from(next));
        next = next.saturating_add(step);
    }
    rows(numbers)
}

fn generate_subscripts(_: &CatalogSession, arguments: &Arguments<'_>) -> Outcome {
    let count = arguments.array(0).unwrap_or_default().len();
    // vectors count from 0
    let first = if arguments.len() > 3 { arguments.integer(3).unwrap_or(1) } else { 1 };
    let mut numbers: Vec<Json> = (first..).take(count).map(Json::from).collect();
    if arguments.len() > 2 && arguments.flag(2) {
        numbers.reverse();
    }
    rows(numbers)
}

fn regexp_split_to_table(session: &CatalogSession, arguments: &Arguments<'_>) -> Outcome {
    let pattern = session.pattern(&arguments.text(1).unwrap_or_default(), false)?;
    rows(pattern.split(&arguments.text(0).unwrap_or_default()).map(Json::from).collect())
}

fn string_to_table(_: &CatalogSession, arguments: &Arguments<'_>) -> Outcome {
    let text = arguments.text(0).unwrap_or_default();
    rows(text.split(&arguments.text(1).unwrap_or_default()).map(Json::from).collect())
}

fn expand_array(_: &CatalogSession, arguments: &Arguments<'_>) -> Outcome {
    rows(
        (1..)
            .zip(arguments.array(0).unwrap_or_default())
            .map(|(number, element): (i64, Json)| json!([element, number]))
            .collect(),
    )
}

/// Each privilege of each item `grantee=arwd/grantor` as a row.
fn aclexplode(session: &CatalogSession, arguments: &Arguments<'_>) -> Outcome {
    let mut exploded = Vec::new();
    let role = |name: &str| session.directory.role_oid(name.trim_matches('"')).unwrap_or(0);
    for item in arguments.array(0).unwrap_or_default() {
        let Some((grantee, rest)) = item.as_str().and_then(|item| item.split_once('=')) else {
            continue;
        };
        let Some((letters, grantor)) = rest.split_once('/') else {
            continue;
        };
        for (at, letter) in letters.char_indices() {
            let Some(privilege) = privilege_word(letter) else {
                continue;
            };
            let grantable = letters[at + 1..].starts_with('*');
            let grantee = if grantee.is_empty() { 0 } else { role(grantee) };
            exploded.push(json!([role(grantor), grantee, privilege, i32::from(grantable)]));
        }
    }
    rows(exploded)
}

fn privilege_word(letter: char) -> Option<&'static str> {
    Some(match letter {
        'a' => "INSERT",
        'r' => "SELECT",
        'w' => "UPDATE",
        'd' => "DELETE",
        'D' => "TRUNCATE",
        'x' => "REFERENCES",
        't' => "TRIGGER",
        'X' => "EXECUTE",
        'U' => "USAGE",
        'C' => "CREATE",
        'T' => "TEMPORARY",
        'c' => "CONNECT",
        _ => return None,
    })
}

fn keywords(_: &CatalogSession, _: &Arguments<'_>) -> Outcome {
    let row = |[word, category, bare, meaning, label]: &[&str; 5]| {
        json!([word, category, i32::from(*bare == "1"), meaning, label])
    };
    rows(KEYWORDS.iter().map(row).collect())
}

fn timezone_names(session: &CatalogSession, _: &Arguments<'_>) -> Outcome {
    use chrono::{DateTime, Offset, TimeZone};
    use chrono_tz::OffsetName;
    let now = DateTime::from_timestamp_micros((session.directory.facts.clock)()).unwrap_or_default();
    let zones = chrono_tz::TZ_VARIANTS.iter().map(|zone| {
        let offset = zone.offset_from_utc_datetime(&now.naive_utc());
        let seconds = offset.fix().local_minus_utc();
        let sign = if seconds < 0 { "-" } else { "" };
        let (hours, minutes) = (seconds.abs() / 3600, seconds.abs() / 60 % 60);
        let daylight = chrono_tz::OffsetComponents::dst_offset(&offset).num_seconds() != 0;
        let abbreviation = offset
            .abbreviation()
            .map_or_else(|| format!("{}{hours:02}", if seconds < 0 { "-" } else { "+" }), str::to_owned);
        json!([zone.name(), abbreviation, format!("{sign}{hours:02}:{minutes:02}:00"), i32::from(daylight)])
    });
    rows(zones.collect())
}

fn settings(session: &CatalogSession, _: &Arguments<'_>) -> Outcome {
    let optional = |text: &str| {
        if text.is_empty() { Json::Null } else { Json::from(text) }
    };
    let shown = session.settings().into_iter().map(|fact| {
        let source = if fact.value == fact.default { "default" } else { "session" };
        json!([
            fact.name,
            fact.value,
            optional(&fact.unit),
            fact.category,
            fact.description,
            null,
            fact.context,
            fact.value_type,
            source,
            null,
            null,
            null,
            fact.default,
            fact.default,
            null,
            null,
            0
        ])
    });
    rows(shown.collect())
}

/// `(count of arrays' columns ..., array)`: several sets in one select list, row beside row, short ones padded with null.
fn side_by_side(_: &CatalogSession, arguments: &Arguments<'_>) -> Outcome {
    let sets: Vec<Vec<Json>> = (0..arguments.len()).map(|at| arguments.array(at).unwrap_or_default()).collect();
    let longest = sets.iter().map(Vec::len).max().unwrap_or(0);
    let beside = (0..longest)
        .map(|row| Json::from(sets.iter().map(|set| set.get(row).cloned().unwrap_or(Json::Null)).collect::<Vec<_>>()));
    rows(beside.collect())
}
