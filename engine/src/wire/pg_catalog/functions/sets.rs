//! Set-returning functions: each makes a JSON array, one element a row, which `json_each` unfolds.

use rusqlite::types::Value;
use serde_json::{Value as Json, json};

use super::super::error::CatalogQueryError;
use super::super::names::KEYWORDS;
use super::super::session::CatalogSession;
use super::super::types::{
    BOOL, CHAR, INT2, INT4, INT8, INTERVAL, NAME, OID, REGCLASS, TEXT, TEXT_ARRAY, TYPES, XID,
};
use super::{Arguments, Native, called, strict, text_value};

type Outcome = Result<Value, CatalogQueryError>;

/// Longest series that is made.
const SERIES_MAX: i64 = 1_000_000;

/// A function that returns rows.
pub(in super::super) struct SetFunction {
    pub(in super::super) name: &'static str,
    /// Columns; type 0 stands for the element type of the first argument, [`SAME`] for its own type.
    pub(in super::super) columns: &'static [(&'static str, u32)],
    /// Whether a row is one record (it prints as `(a,b)`) and not one plain value.
    pub(in super::super) is_record: bool,
}

/// Stands for the element type of the first argument.
pub(in super::super) const ELEMENT: u32 = 0;
/// Stands for the type of the first argument.
pub(in super::super) const SAME: u32 = u32::MAX;

const fn plain(name: &'static str, columns: &'static [(&'static str, u32)]) -> SetFunction {
    SetFunction {
        name,
        columns,
        is_record: false,
    }
}

const fn record(name: &'static str, columns: &'static [(&'static str, u32)]) -> SetFunction {
    SetFunction {
        name,
        columns,
        is_record: true,
    }
}

const SETS: &[SetFunction] = &[
    plain("unnest", &[("unnest", ELEMENT)]),
    plain("generate_series", &[("generate_series", SAME)]),
    plain("generate_subscripts", &[("generate_subscripts", INT4)]),
    plain("regexp_split_to_table", &[("regexp_split_to_table", TEXT)]),
    plain("string_to_table", &[("string_to_table", TEXT)]),
    plain("pg_partition_ancestors", &[("relid", REGCLASS)]),
    plain("pg_listening_channels", &[("pg_listening_channels", TEXT)]),
    record("_pg_expandarray", &[("x", ELEMENT), ("n", INT4)]),
    record(
        "aclexplode",
        &[
            ("grantor", OID),
            ("grantee", OID),
            ("privilege_type", TEXT),
            ("is_grantable", BOOL),
        ],
    ),
    record(
        "pg_options_to_table",
        &[("option_name", TEXT), ("option_value", TEXT)],
    ),
    record(
        "pg_get_keywords",
        &[
            ("word", TEXT),
            ("catcode", CHAR),
            ("barelabel", BOOL),
            ("catdesc", TEXT),
            ("baredesc", TEXT),
        ],
    ),
    record(
        "pg_timezone_names",
        &[
            ("name", TEXT),
            ("abbrev", TEXT),
            ("utc_offset", INTERVAL),
            ("is_dst", BOOL),
        ],
    ),
    record(
        "pg_timezone_abbrevs",
        &[("abbrev", TEXT), ("utc_offset", INTERVAL), ("is_dst", BOOL)],
    ),
    record(
        "pg_show_all_settings",
        &[
            ("name", TEXT),
            ("setting", TEXT),
            ("unit", TEXT),
            ("category", TEXT),
            ("short_desc", TEXT),
            ("extra_desc", TEXT),
            ("context", TEXT),
            ("vartype", TEXT),
            ("source", TEXT),
            ("min_val", TEXT),
            ("max_val", TEXT),
            ("enumvals", TEXT_ARRAY),
            ("boot_val", TEXT),
            ("reset_val", TEXT),
            ("sourcefile", TEXT),
            ("sourceline", INT4),
            ("pending_restart", BOOL),
        ],
    ),
    record(
        "pg_available_extensions",
        &[("name", NAME), ("default_version", TEXT), ("comment", TEXT)],
    ),
    record(
        "pg_available_extension_versions",
        &[
            ("name", NAME),
            ("version", TEXT),
            ("superuser", BOOL),
            ("trusted", BOOL),
            ("relocatable", BOOL),
            ("schema", NAME),
            ("requires", 1003),
            ("comment", TEXT),
        ],
    ),
    record(
        "pg_lock_status",
        &[
            ("locktype", TEXT),
            ("database", OID),
            ("relation", OID),
            ("page", INT4),
            ("tuple", INT2),
            ("virtualxid", TEXT),
            ("transactionid", XID),
            ("classid", OID),
            ("objid", OID),
            ("objsubid", INT2),
            ("virtualtransaction", TEXT),
            ("pid", INT4),
            ("mode", TEXT),
            ("granted", BOOL),
            ("fastpath", BOOL),
            ("waitstart", 1184),
        ],
    ),
    record(
        "pg_get_publication_tables",
        &[("relid", OID), ("attrs", 22), ("qual", TEXT)],
    ),
    record(
        "pg_partition_tree",
        &[
            ("relid", REGCLASS),
            ("parentrelid", REGCLASS),
            ("isleaf", BOOL),
            ("level", INT4),
        ],
    ),
    record("json_each_text", &[("key", TEXT), ("value", TEXT)]),
    record("pg_stat_get_wal_senders", &[("pid", INT4), ("state", TEXT)]),
];

/// Finds a set-returning function.
pub(in super::super) fn set_function(name: &str) -> Option<&'static SetFunction> {
    SETS.iter().find(|function| function.name == name)
}

pub(super) const FUNCTIONS: &[Native] = &[
    called("rows_of_unnest", TEXT, &[], unnest),
    called(
        "rows_of_generate_series",
        INT8,
        &[INT8, INT8, INT8],
        generate_series,
    ),
    called(
        "rows_of_generate_subscripts",
        TEXT,
        &[],
        generate_subscripts,
    ),
    strict(
        "rows_of_regexp_split_to_table",
        TEXT,
        &[TEXT, TEXT],
        regexp_split_to_table,
    ),
    called(
        "rows_of_string_to_table",
        TEXT,
        &[TEXT, TEXT],
        string_to_table,
    ),
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
    let step = if arguments.len() > 2 {
        arguments.integer(2).unwrap_or(1)
    } else {
        1
    };
    if step == 0 {
        return Err(CatalogQueryError::new(
            "22023",
            "step size cannot equal zero",
        ));
    }
    if last.saturating_sub(first).checked_div(step).unwrap_or(0) > SERIES_MAX {
        return Err(CatalogQueryError::new(
            "22023",
            "the series is too long for a query over the system catalogs",
        ));
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
    let first = if arguments.len() > 3 {
        arguments.integer(3).unwrap_or(1)
    } else {
        1
    };
    let mut numbers: Vec<Json> = (first..).take(count).map(Json::from).collect();
    if arguments.len() > 2 && arguments.flag(2) {
        numbers.reverse();
    }
    rows(numbers)
}

fn regexp_split_to_table(session: &CatalogSession, arguments: &Arguments<'_>) -> Outcome {
    let pattern = session.pattern(&arguments.text(1).unwrap_or_default(), false)?;
    rows(
        pattern
            .split(&arguments.text(0).unwrap_or_default())
            .map(Json::from)
            .collect(),
    )
}

fn string_to_table(_: &CatalogSession, arguments: &Arguments<'_>) -> Outcome {
    let text = arguments.text(0).unwrap_or_default();
    rows(
        text.split(&arguments.text(1).unwrap_or_default())
            .map(Json::from)
            .collect(),
    )
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
    let role = |name: &str| {
        session
            .directory
            .role_oid(name.trim_matches('"'))
            .unwrap_or(0)
    };
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
            exploded.push(json!([
                role(grantor),
                grantee,
                privilege,
                i32::from(grantable)
            ]));
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
    let now =
        DateTime::from_timestamp_micros((session.directory.facts.clock)()).unwrap_or_default();
    let zones = chrono_tz::TZ_VARIANTS.iter().map(|zone| {
        let offset = zone.offset_from_utc_datetime(&now.naive_utc());
        let seconds = offset.fix().local_minus_utc();
        let sign = if seconds < 0 { "-" } else { "" };
        let (hours, minutes) = (seconds.abs() / 3600, seconds.abs() / 60 % 60);
        let daylight = chrono_tz::OffsetComponents::dst_offset(&offset).num_seconds() != 0;
        let abbreviation = offset.abbreviation().map_or_else(
            || format!("{}{hours:02}", if seconds < 0 { "-" } else { "+" }),
            str::to_owned,
        );
        json!([
            zone.name(),
            abbreviation,
            format!("{sign}{hours:02}:{minutes:02}:00"),
            i32::from(daylight)
        ])
    });
    rows(zones.collect())
}

fn settings(session: &CatalogSession, _: &Arguments<'_>) -> Outcome {
    let optional = |text: &str| {
        if text.is_empty() {
            Json::Null
        } else {
            Json::from(text)
        }
    };
    let shown = session.settings().into_iter().map(|fact| {
        let source = if fact.value == fact.default {
            "default"
        } else {
            "session"
        };
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
    let sets: Vec<Vec<Json>> = (0..arguments.len())
        .map(|at| arguments.array(at).unwrap_or_default())
        .collect();
    let longest = sets.iter().map(Vec::len).max().unwrap_or(0);
    let beside = (0..longest).map(|row| {
        Json::from(
            sets.iter()
                .map(|set| set.get(row).cloned().unwrap_or(Json::Null))
                .collect::<Vec<_>>(),
        )
    });
    rows(beside.collect())
}

/// The type of a column of a set-returning function, given the type of its first argument.
pub(in super::super) fn column_type(declared: u32, first: u32) -> u32 {
    match declared {
        ELEMENT => TYPES.element_of(first).unwrap_or(TEXT),
        SAME if first == super::super::types::UNKNOWN || first == 0 => INT4,
        SAME => first,
        other => other,
    }
}

/// Names of all set-returning functions.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    SETS.iter().map(|function| function.name)
}
