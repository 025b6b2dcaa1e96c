//! Set-returning functions and their columns: each makes a JSON array, one element a row, which `json_each` unfolds.

use super::super::types::{
    BOOL, CHAR, INT2, INT4, INTERVAL, NAME, OID, REGCLASS, TEXT, TEXT_ARRAY, TYPES, UNKNOWN, XID,
};

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
    SetFunction { name, columns, is_record: false }
}

const fn record(name: &'static str, columns: &'static [(&'static str, u32)]) -> SetFunction {
    SetFunction { name, columns, is_record: true }
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
    record("aclexplode", &[("grantor", OID), ("grantee", OID), ("privilege_type", TEXT), ("is_grantable", BOOL)]),
    record("pg_options_to_table", &[("option_name", TEXT), ("option_value", TEXT)]),
    record(
        "pg_get_keywords",
        &[("word", TEXT), ("catcode", CHAR), ("barelabel", BOOL), ("catdesc", TEXT), ("baredesc", TEXT)],
    ),
    record("pg_timezone_names", &[("name", TEXT), ("abbrev", TEXT), ("utc_offset", INTERVAL), ("is_dst", BOOL)]),
    record("pg_timezone_abbrevs", &[("abbrev", TEXT), ("utc_offset", INTERVAL), ("is_dst", BOOL)]),
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
    record("pg_available_extensions", &[("name", NAME), ("default_version", TEXT), ("comment", TEXT)]),
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
    record("pg_get_publication_tables", &[("relid", OID), ("attrs", 22), ("qual", TEXT)]),
    record("pg_partition_tree", &[("relid", REGCLASS), ("parentrelid", REGCLASS), ("isleaf", BOOL), ("level", INT4)]),
    record("json_each_text", &[("key", TEXT), ("value", TEXT)]),
    record("pg_stat_get_wal_senders", &[("pid", INT4), ("state", TEXT)]),
];

/// Finds a set-returning function.
pub(in super::super) fn set_function(name: &str) -> Option<&'static SetFunction> {
    SETS.iter().find(|function| function.name == name)
}

/// The type of a column of a set-returning function, given the type of its first argument.
pub(in super::super) fn column_type(declared: u32, first: u32) -> u32 {
    match declared {
        ELEMENT => TYPES.element_of(first).unwrap_or(TEXT),
        SAME if first == UNKNOWN || first == 0 => INT4,
        SAME => first,
        other => other,
    }
}

/// Names of all set-returning functions.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    SETS.iter().map(|function| function.name)
}
