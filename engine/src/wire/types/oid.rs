//! Postgres' built-in types by name: object id, array type and width.
//!
//! The numbers are those of `pg_type.dat` of PostgreSQL 15; drivers carry them compiled in.

/// A built-in type as a driver knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PgType {
    /// Name as in `pg_type.typname`.
    pub(crate) name: &'static str,
    /// Object id.
    pub(crate) oid: u32,
    /// Object id of its array type.
    pub(crate) array: u32,
    /// Bytes, -1 for variable width, -2 for a C string.
    pub(crate) size: i16,
}

const fn pg(name: &'static str, oid: u32, array: u32, size: i16) -> PgType {
    PgType { name, oid, array, size }
}

pub(crate) const BOOL: u32 = 16;
pub(crate) const BYTEA: u32 = 17;
pub(crate) const CHAR: u32 = 18;
pub(crate) const INT8: u32 = 20;
pub(crate) const INT2: u32 = 21;
pub(crate) const INT2VECTOR: u32 = 22;
pub(crate) const INT4: u32 = 23;
pub(crate) const TEXT: u32 = 25;
pub(crate) const OID: u32 = 26;
pub(crate) const OIDVECTOR: u32 = 30;
pub(crate) const JSON: u32 = 114;
pub(crate) const FLOAT4: u32 = 700;
pub(crate) const FLOAT8: u32 = 701;
pub(crate) const UNKNOWN: u32 = 705;
pub(crate) const DATE: u32 = 1082;
pub(crate) const TIME: u32 = 1083;
pub(crate) const TIMESTAMP: u32 = 1114;
pub(crate) const TIMESTAMPTZ: u32 = 1184;
pub(crate) const INTERVAL: u32 = 1186;
pub(crate) const NUMERIC: u32 = 1700;
pub(crate) const UUID: u32 = 2950;
pub(crate) const JSONB: u32 = 3802;

/// Every type that can be announced, by any metadata or Arrow type.
const TYPES: &[PgType] = &[
    pg("bool", BOOL, 1000, 1),
    pg("bytea", BYTEA, 1001, -1),
    pg("char", CHAR, 1002, 1),
    pg("name", 19, 1003, 64),
    pg("int8", INT8, 1016, 8),
    pg("int2", INT2, 1005, 2),
    pg("int2vector", INT2VECTOR, 1006, -1),
    pg("int4", INT4, 1007, 4),
    pg("regproc", 24, 1008, 4),
    pg("text", TEXT, 1009, -1),
    pg("oid", OID, 1028, 4),
    pg("tid", 27, 1010, 6),
    pg("xid", 28, 1011, 4),
    pg("cid", 29, 1012, 4),
    pg("oidvector", OIDVECTOR, 1013, -1),
    pg("json", JSON, 199, -1),
    pg("xml", 142, 143, -1),
    pg("pg_node_tree", 194, 0, -1),
    pg("cidr", 650, 651, -1),
    pg("float4", FLOAT4, 1021, 4),
    pg("float8", FLOAT8, 1022, 8),
    pg("unknown", UNKNOWN, 0, -2),
    pg("inet", 869, 1041, -1),
    pg("aclitem", 1033, 1034, 12),
    pg("bpchar", 1042, 1014, -1),
    pg("varchar", 1043, 1015, -1),
    pg("date", DATE, 1182, 4),
    pg("time", TIME, 1183, 8),
    pg("timestamp", TIMESTAMP, 1115, 8),
    pg("timestamptz", TIMESTAMPTZ, 1185, 8),
    pg("interval", INTERVAL, 1187, 16),
    pg("timetz", 1266, 1270, 12),
    pg("numeric", NUMERIC, 1231, -1),
    pg("refcursor", 1790, 2201, -1),
    pg("regprocedure", 2202, 2207, 4),
    pg("regoper", 2203, 2208, 4),
    pg("regoperator", 2204, 2209, 4),
    pg("regclass", 2205, 2210, 4),
    pg("regtype", 2206, 2211, 4),
    pg("cstring", 2275, 1263, -2),
    pg("anyarray", 2277, 0, -1),
    pg("void", 2278, 0, 4),
    pg("uuid", UUID, 2951, 16),
    pg("pg_lsn", 3220, 3221, 8),
    pg("regconfig", 3734, 3735, 4),
    pg("regdictionary", 3769, 3770, 4),
    pg("jsonb", JSONB, 3807, -1),
    pg("regnamespace", 4089, 4090, 4),
    pg("regrole", 4096, 4097, 4),
    pg("xid8", 5069, 271, 8),
    pg("regcollation", 4191, 4192, 4),
];

/// The SQL spellings that are not `typname`s.
const ALIASES: &[(&str, u32)] = &[
    ("boolean", BOOL),
    ("smallint", INT2),
    ("int", INT4),
    ("integer", INT4),
    ("bigint", INT8),
    ("real", FLOAT4),
    ("float", FLOAT8),
    ("double precision", FLOAT8),
    ("decimal", NUMERIC),
    ("dec", NUMERIC),
    ("character varying", 1043),
    ("character", 1042),
    ("string", TEXT),
    ("timestamp without time zone", TIMESTAMP),
    ("timestamp with time zone", TIMESTAMPTZ),
    ("time without time zone", TIME),
];

/// Finds a type by its object id, array types by the id of their array.
pub(crate) fn by_oid(oid: u32) -> Option<PgType> {
    TYPES.iter().copied().find(|ty| ty.oid == oid)
}

/// Finds the element type of an array type.
pub(crate) fn element_of(array: u32) -> Option<PgType> {
    TYPES.iter().copied().find(|ty| array != 0 && ty.array == array)
}

/// Finds the object id and width of a type by its name; `name[]` and `_name` are arrays, `"char"` is the one-byte type.
pub(crate) fn by_name(name: &str) -> Option<(u32, i16)> {
    let name = name.trim();
    if name == "\"char\"" {
        return Some((CHAR, 1));
    }
    let lower = name.to_ascii_lowercase();
    let lower = lower.strip_prefix("pg_catalog.").unwrap_or(&lower);
    if let Some(element) = lower.strip_suffix("[]").or_else(|| lower.strip_prefix('_')) {
        let (element, _) = by_name(element)?;
        return by_oid(element).filter(|ty| ty.array != 0).map(|ty| (ty.array, -1));
    }
    // What stands in brackets after a name is a modifier: varchar(10), numeric(38,9).
    let bare = lower.split('(').next().unwrap_or(lower).trim_end();
    let oid = ALIASES.iter().find(|(alias, _)| *alias == bare).map(|(_, oid)| *oid);
    TYPES.iter().find(|ty| ty.name == bare || Some(ty.oid) == oid).map(|ty| (ty.oid, ty.size))
}

/// Whether a type is stored as a four-byte unsigned number, as object ids and their aliases are.
pub(crate) fn is_oid_like(oid: u32) -> bool {
    matches!(oid, 24 | OID | 28 | 29 | 2202..=2206 | 3734 | 3769 | 4089 | 4096 | 4191)
}

/// Whether the binary form of a type is its text.
pub(crate) fn is_text(oid: u32) -> bool {
    matches!(oid, 19 | TEXT | JSON | 142 | UNKNOWN | 1042 | 1043 | 2275)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_spellings_find_their_object_id() {
        assert_eq!(by_name("int4"), Some((23, 4)));
        assert_eq!(by_name("INTEGER"), Some((23, 4)));
        assert_eq!(by_name("\"char\""), Some((18, 1)));
        assert_eq!(by_name("name[]"), Some((1003, -1)));
        assert_eq!(by_name("_text"), Some((1009, -1)));
        assert_eq!(by_name("numeric(38,9)"), Some((1700, -1)));
        assert_eq!(by_name("no_such_type"), None);
    }

    #[test]
    fn an_object_id_stands_for_one_type_only() {
        for (index, ty) in TYPES.iter().enumerate() {
            assert!(TYPES[index + 1..].iter().all(|other| other.oid != ty.oid && other.name != ty.name), "{}", ty.name);
        }
    }
}
