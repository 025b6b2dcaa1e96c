//! The only place where numbers become bytes and bytes become numbers.
//!
//! Results: an Arrow array and the announced [`presentation::ColumnType`] give a [`cell::CellWriter`] in text or binary.
//! Parameters: an object id, a format and bytes give a scalar of the type that the statement was planned with.
//! Nothing here knows of sockets or sessions.

pub(crate) mod array;
pub(crate) mod cell;
pub(crate) mod datetime;
pub(crate) mod float;
pub(crate) mod interval;
pub(crate) mod json;
pub(crate) mod list;
pub(crate) mod moment;
pub(crate) mod numeric;
mod numeric_input;
pub(crate) mod oid;
pub(crate) mod parameter;
pub(crate) mod presentation;
pub(crate) mod row;

/// Text or binary, as a client chooses for each parameter and each result column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// Format code 0.
    Text,
    /// Format code 1.
    Binary,
}

impl Format {
    /// The code in RowDescription and CopyOutResponse.
    pub(crate) fn code(self) -> i16 {
        match self {
            Self::Text => 0,
            Self::Binary => 1,
        }
    }
}

/// The settings of a session that change how values look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OutputSettings {
    /// `TimeZone`.
    pub(crate) zone: datetime::Zone,
    /// `extra_float_digits`.
    pub(crate) extra_float_digits: i32,
}

impl OutputSettings {
    /// Reads the settings; `setting` gives the present value of a parameter.
    pub(crate) fn read(setting: impl Fn(&str) -> Option<String>) -> Self {
        Self {
            zone: setting("timezone").map_or(datetime::Zone::Utc, |text| datetime::Zone::of_setting(&text)),
            extra_float_digits: setting("extra_float_digits").and_then(|text| text.parse().ok()).unwrap_or(1),
        }
    }
}
