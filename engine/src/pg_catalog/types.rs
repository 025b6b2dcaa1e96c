//! PostgreSQL's built-in types: oids, names, families, and their Arrow form.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, TimeUnit};

use super::static_data::StaticTable;

/// A PostgreSQL type with its modifier (`numeric(38,18)`); -1 means none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PgType {
    /// `pg_type.oid`.
    pub oid: u32,
    /// `atttypmod`.
    pub typmod: i32,
}

impl PgType {
    /// A type without modifier.
    pub const fn plain(oid: u32) -> Self {
        Self { oid, typmod: -1 }
    }

    /// `numeric(precision, scale)`.
    pub const fn numeric(precision: u8, scale: u8) -> Self {
        Self { oid: NUMERIC, typmod: ((precision as i32) << 16 | scale as i32) + 4 }
    }

    /// The type of a stored decimal: `numeric(precision, scale)` for those that PostgreSQL knows too.
    pub fn of_decimal(data_type: &DataType) -> Option<Self> {
        match data_type {
            DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale) => {
                Some(Self::numeric(*precision, u8::try_from(*scale).ok()?))
            }
            _ => None,
        }
    }

    /// `varchar(length)`.
    pub const fn varchar(length: u16) -> Self {
        Self { oid: VARCHAR, typmod: length as i32 + 4 }
    }
}

/// Defines the oids of the types that code names.
macro_rules! oids {
    ($($name:ident = $oid:literal,)*) => {
        $(
            #[doc = concat!("Oid of the type `", stringify!($name), "`.")]
            pub const $name: u32 = $oid;
        )*
    };
}

oids! {
    BOOL = 16, BYTEA = 17, CHAR = 18, NAME = 19, INT8 = 20, INT2 = 21, INT2VECTOR = 22, INT4 = 23, REGPROC = 24, TEXT = 25,
    OID = 26, TID = 27, XID = 28, CID = 29, OIDVECTOR = 30, JSON = 114, NODE_TREE = 194, FLOAT4 = 700, FLOAT8 = 701,
    UNKNOWN = 705, INET = 869, BOOL_ARRAY = 1000, CHAR_ARRAY = 1002, NAME_ARRAY = 1003, INT2_ARRAY = 1005,
    INT4_ARRAY = 1007, TEXT_ARRAY = 1009, INT8_ARRAY = 1016, FLOAT8_ARRAY = 1022, OID_ARRAY = 1028, ACLITEM = 1033,
    ACLITEM_ARRAY = 1034, BPCHAR = 1042, VARCHAR = 1043, DATE = 1082, TIME = 1083, TIMESTAMP = 1114, TIMESTAMPTZ = 1184,
    INTERVAL = 1186, NUMERIC = 1700, REGPROCEDURE = 2202, REGOPER = 2203, REGOPERATOR = 2204, REGCLASS = 2205,
    REGTYPE = 2206, RECORD = 2249, VOID = 2278, ANYARRAY = 2277, LSN = 3220, REGCONFIG = 3734, REGDICTIONARY = 3769,
    JSONB = 3802, REGNAMESPACE = 4089, REGROLE = 4096, REGCOLLATION = 4191, UUID = 2950, XID8 = 5069,
}

/// One row of `pg_type`, as far as code needs it.
#[derive(Debug, Clone)]
pub(super) struct TypeRow {
    pub(super) oid: u32,
    pub(super) name: String,
    pub(super) namespace: u32,
    pub(super) length: i16,
    pub(super) by_value: bool,
    pub(super) alignment: String,
    pub(super) storage: String,
    pub(super) kind: String,
    pub(super) element: u32,
    pub(super) array: u32,
    pub(super) base: u32,
    pub(super) collation: u32,
}

/// The built-in types, by oid and by name.
pub(super) struct Types {
    by_oid: HashMap<u32, TypeRow>,
    by_name: HashMap<String, u32>,
}

pub(super) static TYPES: LazyLock<Types> = LazyLock::new(|| {
    let table = StaticTable::parse(super::static_data::PG_TYPE);
    let mut types = Types { by_oid: HashMap::new(), by_name: HashMap::new() };
    for row in table.rows() {
        let number = |column: &str| row.get(column).and_then(|text| text.parse::<u32>().ok()).unwrap_or(0);
        let text = |column: &str| row.get(column).unwrap_or_default().to_owned();
        let entry = TypeRow {
            oid: number("oid"),
            name: text("typname"),
            namespace: number("typnamespace"),
            length: row.get("typlen").and_then(|value| value.parse().ok()).unwrap_or(-1),
            by_value: row.get("typbyval") == Some("1"),
            alignment: text("typalign"),
            storage: text("typstorage"),
            kind: text("typtype"),
            element: number("typelem"),
            array: number("typarray"),
            base: number("typbasetype"),
            collation: number("typcollation"),
        };
        if entry.kind != "c" || entry.namespace == super::oids::PG_CATALOG {
            types.by_name.entry(entry.name.clone()).or_insert(entry.oid);
        }
        types.by_oid.insert(entry.oid, entry);
    }
    types
});

impl Types {
    pub(super) fn get(&self, oid: u32) -> Option<&TypeRow> {
        self.by_oid.get(&oid)
    }

    /// Finds a type by internal or SQL name, lower case, without modifier: `int4`, `integer`, `text[]`.
    pub(super) fn named(&self, name: &str) -> Option<u32> {
        let name = name
            .strip_prefix("pg_catalog.")
            .or_else(|| name.strip_prefix("information_schema."))
            .unwrap_or(name)
            .trim();
        if let Some(element) = name.strip_suffix("[]") {
            return self.named(element).map(|oid| self.array_of(oid)).filter(|oid| *oid != 0);
        }
        if let Some(quoted) = name.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
            return self.by_name.get(quoted).copied();
        }
        let internal = match name {
            "boolean" => "bool",
            "smallint" => "int2",
            "integer" | "int" => "int4",
            "bigint" => "int8",
            "real" => "float4",
            "double precision" | "float" => "float8",
            "decimal" => "numeric",
            "character varying" => "varchar",
            "character" | "char" => "bpchar",
            "timestamp without time zone" => "timestamp",
            "timestamp with time zone" => "timestamptz",
            "time without time zone" => "time",
            "time with time zone" => "timetz",
            "bit varying" => "varbit",
            other => other,
        };
        self.by_name.get(internal).copied()
    }

    /// The array type of an element type, 0 when there is none.
    pub(super) fn array_of(&self, element: u32) -> u32 {
        self.get(element).map_or(0, |row| row.array)
    }

    /// The element type of an array or vector, if it is one.
    pub(super) fn element_of(&self, oid: u32) -> Option<u32> {
        match oid {
            INT2VECTOR => return Some(INT2),
            OIDVECTOR => return Some(OID),
            ANYARRAY => return Some(TEXT),
            _ => {}
        }
        self.get(oid).filter(|row| row.length == -1 && row.element != 0).map(|row| row.element)
    }

    /// The type below a domain; the type itself otherwise.
    pub(super) fn base_of(&self, oid: u32) -> u32 {
        match self.get(oid) {
            Some(row) if row.kind == "d" && row.base != 0 => self.base_of(row.base),
            _ => oid,
        }
    }

    /// What `format_type(oid, typmod)` prints.
    pub(super) fn format(&self, oid: u32, typmod: Option<i32>) -> String {
        let Some(row) = self.get(oid) else {
            return if oid == 0 { "-".to_owned() } else { "???".to_owned() };
        };
        if let Some(element) = self.element_of(oid).filter(|_| row.name.starts_with('_')) {
            return format!("{}[]", self.format(element, typmod));
        }
        let modifier = typmod.filter(|modifier| *modifier >= 0);
        let length = modifier.map(|modifier| format!("({})", modifier - 4)).unwrap_or_default();
        let precision = modifier.map(|modifier| format!("({modifier})")).unwrap_or_default();
        match oid {
            BOOL => "boolean".to_owned(),
            INT2 => "smallint".to_owned(),
            INT4 => "integer".to_owned(),
            INT8 => "bigint".to_owned(),
            FLOAT4 => "real".to_owned(),
            FLOAT8 => "double precision".to_owned(),
            CHAR => "\"char\"".to_owned(),
            // bpchar without a modifier keeps its internal name, except where no modifier was asked about
            BPCHAR if typmod.is_some() && modifier.is_none() => "bpchar".to_owned(),
            BPCHAR => format!("character{length}"),
            VARCHAR => format!("character varying{length}"),
            TIME => format!("time{precision} without time zone"),
            1266 => format!("time{precision} with time zone"),
            TIMESTAMP => format!("timestamp{precision} without time zone"),
            TIMESTAMPTZ => format!("timestamp{precision} with time zone"),
            INTERVAL => "interval".to_owned(),
            1560 => format!("bit{precision}"),
            1562 => format!("bit varying{precision}"),
            NUMERIC => match modifier {
                Some(modifier) => format!("numeric({},{})", (modifier - 4) >> 16, (modifier - 4) & 0x7ff),
                None => "numeric".to_owned(),
            },
            _ if row.namespace == super::oids::INFORMATION_SCHEMA => {
                format!("information_schema.{}", super::names::quote_identifier(&row.name))
            }
            _ => super::names::quote_identifier(&row.name),
        }
    }
}

/// Whether values are whole numbers in the private database.
pub(super) fn is_integer(oid: u32) -> bool {
    matches!(oid, INT2 | INT4 | INT8 | OID | XID | CID | XID8) || is_reg(oid)
}

/// Whether it is one of the `reg...` types: an oid that prints as a name.
pub(super) fn is_reg(oid: u32) -> bool {
    matches!(
        oid,
        REGPROC
            | REGPROCEDURE
            | REGOPER
            | REGOPERATOR
            | REGCLASS
            | REGTYPE
            | REGCONFIG
            | REGDICTIONARY
            | REGNAMESPACE
            | REGROLE
            | REGCOLLATION
    )
}

/// Whether it is a number of any kind.
pub(super) fn is_number(oid: u32) -> bool {
    is_integer(oid) || matches!(oid, FLOAT4 | FLOAT8 | NUMERIC)
}

/// Whether values are kept as microseconds since 1970 UTC.
pub(super) fn is_instant(oid: u32) -> bool {
    matches!(oid, TIMESTAMP | TIMESTAMPTZ)
}

/// The name that goes into the field metadata `pg_type`.
pub(super) fn metadata_name(oid: u32) -> String {
    match oid {
        CHAR => "\"char\"".to_owned(),
        _ => TYPES.get(oid).map_or_else(|| "text".to_owned(), |row| row.name.clone()),
    }
}

/// The Arrow type that carries values of a PostgreSQL type.
pub(super) fn arrow_type(ty: PgType) -> DataType {
    if let Some(element) = TYPES.element_of(ty.oid) {
        return DataType::List(Arc::new(element_field(element)));
    }
    match ty.oid {
        BOOL => DataType::Boolean,
        INT2 => DataType::Int16,
        INT4 => DataType::Int32,
        INT8 => DataType::Int64,
        OID | XID | CID => DataType::UInt32,
        FLOAT4 => DataType::Float32,
        FLOAT8 => DataType::Float64,
        NUMERIC => DataType::Decimal128(38, numeric_scale(ty.typmod)),
        DATE => DataType::Date32,
        TIMESTAMP => DataType::Timestamp(TimeUnit::Microsecond, None),
        TIMESTAMPTZ => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        _ => DataType::Utf8,
    }
}

/// The Arrow type of a parameter: as [`arrow_type`], without metadata inside lists.
pub(super) fn parameter_type(oid: u32) -> DataType {
    match TYPES.element_of(oid) {
        Some(element) => DataType::new_list(arrow_type(PgType::plain(element)), true),
        None => arrow_type(PgType::plain(oid)),
    }
}

/// The list element field, with its own `pg_type`.
pub(super) fn element_field(element: u32) -> Field {
    Field::new("item", arrow_type(PgType::plain(element)), true)
        .with_metadata(HashMap::from([("pg_type".to_owned(), metadata_name(element))]))
}

/// Scale of a numeric result; 0 when none is known (counts and sums of whole numbers).
pub(super) fn numeric_scale(typmod: i32) -> i8 {
    if typmod < 4 { 0 } else { i8::try_from((typmod - 4) & 0x7ff).unwrap_or(0) }
}

/// The PostgreSQL type of a parameter that a client declared by an Arrow type.
pub(super) fn from_arrow(data_type: &DataType) -> Option<u32> {
    Some(match data_type {
        DataType::Boolean => BOOL,
        DataType::Int8 | DataType::Int16 | DataType::UInt8 => INT2,
        DataType::Int32 | DataType::UInt16 => INT4,
        DataType::UInt32 => OID,
        DataType::Int64 | DataType::UInt64 => INT8,
        DataType::Float16 | DataType::Float32 => FLOAT4,
        DataType::Float64 => FLOAT8,
        DataType::Decimal128(..) | DataType::Decimal256(..) => NUMERIC,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => TEXT,
        DataType::Date32 | DataType::Date64 => DATE,
        DataType::Timestamp(_, None) => TIMESTAMP,
        DataType::Timestamp(_, Some(_)) => TIMESTAMPTZ,
        DataType::List(field) | DataType::LargeList(field) => TYPES.array_of(from_arrow(field.data_type())?),
        _ => return None,
    })
}
