//! Columns of any type to the types of `usage`, exactly, row by row.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, StringViewArray, StringViewBuilder,
    TimestampMicrosecondArray,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, Float32Type, Float64Type, TimeUnit};

use super::instant::{InstantFormat, parse_instant};
use super::nested::as_json;
use super::number::{Number, NumberError, number_of_float, parse_number};
use super::rows::{Nulls, class_of};
use crate::lake::schema::{MONEY_PRECISION, MONEY_SCALE};

/// A value that could not be converted.
pub(crate) struct Failure {
    pub(crate) row: usize,
    pub(crate) value_class: String,
    pub(crate) reason: &'static str,
}

/// A converted column, what failed in it, and the rows that lost digits.
pub(crate) struct Converted<A> {
    pub(crate) array: A,
    pub(crate) failures: Vec<Failure>,
    pub(crate) rounded: Vec<usize>,
}

const NO_INSTANT: &str = "is not a time in a form that this source uses";

/// Text, floats, integers or decimals to money. Text that `nulls` contains is null.
pub(crate) fn to_money(column: &ArrayRef, nulls: &Nulls) -> Converted<Decimal128Array> {
    let parse = |row: usize| -> Option<(Result<Number, NumberError>, String)> {
        if column.is_null(row) {
            return None;
        }
        match column.data_type() {
            DataType::Float64 => {
                Some((number_of_float(column.as_primitive::<Float64Type>().value(row)), "a float".into()))
            }
            DataType::Float32 => {
                // The shortest decimal of a 32-bit float is not that of its 64-bit widening.
                let text = format!("{:e}", column.as_primitive::<Float32Type>().value(row));
                Some((parse_number(text.as_bytes()), "a float".into()))
            }
            DataType::Utf8View => {
                let text = column.as_string_view().value(row);
                (!nulls.contains(text.as_bytes()))
                    .then(|| (parse_number(text.as_bytes()), class_of(text.chars().count())))
            }
            _ => None,
        }
    };
    match column.data_type() {
        DataType::Decimal128(_, scale) if *scale == MONEY_SCALE => {
            let array = column.as_primitive::<Decimal128Type>().clone();
            let array = array.with_data_type(DataType::Decimal128(MONEY_PRECISION, MONEY_SCALE));
            Converted { array, failures: Vec::new(), rounded: Vec::new() }
        }
        DataType::Float64 | DataType::Float32 | DataType::Utf8View => convert_numbers(column.len(), parse),
        // Integers and decimals of other scales: their text is exact.
        _ => match cast(column, &DataType::Utf8).and_then(|text| cast(&text, &DataType::Utf8View)) {
            Ok(text) => to_money(&text, nulls),
            Err(_) => convert_numbers(column.len(), |row| {
                column.is_valid(row).then(|| (Err(NumberError::NotANumber), column.data_type().to_string()))
            }),
        },
    }
}

fn convert_numbers(
    rows: usize,
    parse: impl Fn(usize) -> Option<(Result<Number, NumberError>, String)>,
) -> Converted<Decimal128Array> {
    let mut failures = Vec::new();
    let mut rounded = Vec::new();
    let units: Vec<Option<i128>> = (0..rows)
        .map(|row| match parse(row)? {
            (Ok(number), _) => {
                if number.is_rounded {
                    rounded.push(row);
                }
                Some(number.units)
            }
            (Err(error), value_class) => {
                failures.push(Failure { row, value_class, reason: error.reason() });
                None
            }
        })
        .collect();
    let array = Decimal128Array::from(units).with_data_type(DataType::Decimal128(MONEY_PRECISION, MONEY_SCALE));
    Converted { array, failures, rounded }
}

/// Text, dates or timestamps to microseconds UTC.
pub(crate) fn to_instants(
    column: &ArrayRef,
    nulls: &Nulls,
    formats: &[InstantFormat],
) -> Converted<TimestampMicrosecondArray> {
    if column.data_type().is_temporal() {
        let wanted = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        if let Ok(array) = cast(column, &wanted) {
            return Converted { array: array.as_primitive().clone(), failures: Vec::new(), rounded: Vec::new() };
        }
    }
    let mut failures = Vec::new();
    let text = as_text(column);
    let instants: Vec<Option<i64>> = (0..text.len())
        .map(|row| {
            let value = text.is_valid(row).then(|| text.value(row)).filter(|t| !nulls.contains(t.as_bytes()))?;
            let instant = parse_instant(value.as_bytes(), formats);
            if instant.is_none() {
                failures.push(Failure { row, value_class: class_of(value.chars().count()), reason: NO_INSTANT });
            }
            instant
        })
        .collect();
    Converted { array: TimestampMicrosecondArray::from(instants).with_timezone("UTC"), failures, rounded: Vec::new() }
}

/// `true`, `false` or null.
pub(crate) fn to_booleans(column: &ArrayRef) -> Converted<BooleanArray> {
    if let DataType::Boolean = column.data_type() {
        return Converted { array: column.as_boolean().clone(), failures: Vec::new(), rounded: Vec::new() };
    }
    let mut failures = Vec::new();
    let text = as_text(column);
    let values: Vec<Option<bool>> = (0..text.len())
        .map(|row| {
            let value = text.is_valid(row).then(|| text.value(row)).filter(|t| !t.is_empty())?;
            match value.to_ascii_lowercase().as_str() {
                "true" => Some(true),
                "false" => Some(false),
                _ => {
                    failures.push(Failure {
                        row,
                        value_class: class_of(value.chars().count()),
                        reason: "is neither true nor false",
                    });
                    None
                }
            }
        })
        .collect();
    Converted { array: BooleanArray::from(values), failures, rounded: Vec::new() }
}

/// Any column as text: floats by shortest round trip, instants as ISO, maps, structs and lists as JSON.
pub(crate) fn as_text(column: &ArrayRef) -> StringViewArray {
    match column.data_type() {
        DataType::Utf8View => return column.as_string_view().clone(),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Dictionary(..) | DataType::Boolean => {
            if let Ok(text) = cast(column, &DataType::Utf8View) {
                return text.as_string_view().clone();
            }
        }
        DataType::Map(..) => return maps_as_text(column),
        DataType::Struct(_) | DataType::List(_) | DataType::LargeList(_) => return as_json(column),
        DataType::Float64 => return floats_as_text(column),
        _ => {}
    }
    let text = cast(column, &DataType::Utf8).and_then(|text| cast(&text, &DataType::Utf8View)).ok();
    match text {
        Some(text) if !column.data_type().is_nested() => text.as_string_view().clone(),
        _ => displayed(column),
    }
}

fn floats_as_text(column: &ArrayRef) -> StringViewArray {
    column.as_primitive::<Float64Type>().iter().map(|value| value.map(|v| format!("{v}"))).collect()
}

fn displayed(column: &ArrayRef) -> StringViewArray {
    let options = arrow::util::display::FormatOptions::default();
    match arrow::util::display::ArrayFormatter::try_new(column, &options) {
        Ok(formatter) => {
            (0..column.len()).map(|row| column.is_valid(row).then(|| formatter.value(row).to_string())).collect()
        }
        Err(_) => StringViewArray::new_null(column.len()),
    }
}

/// A map column as JSON objects of text values; an empty map is null.
fn maps_as_text(column: &ArrayRef) -> StringViewArray {
    let maps = column.as_map();
    let keys = as_text(maps.keys());
    let values = as_text(maps.values());
    let mut objects = StringViewBuilder::with_capacity(maps.len());
    let mut json = String::new();
    for row in 0..maps.len() {
        json.clear();
        let offsets = maps.value_offsets();
        let (from, to) = (offsets[row], offsets[row + 1]);
        for entry in (from..to).filter_map(|i| usize::try_from(i).ok()) {
            json.push(if json.is_empty() { '{' } else { ',' });
            super::tags::push_json_text(&mut json, keys.value(entry));
            json.push(':');
            if values.is_valid(entry) {
                super::tags::push_json_text(&mut json, values.value(entry));
            } else {
                json.push_str("null");
            }
        }
        if json.is_empty() || maps.is_null(row) {
            objects.append_null();
        } else {
            json.push('}');
            objects.append_value(&json);
        }
    }
    objects.finish()
}

/// Text in which the spellings of null are null.
pub(crate) fn without_nulls(text: StringViewArray, nulls: &Nulls) -> ArrayRef {
    let has_nulls = text.iter().flatten().any(|t| nulls.contains(t.as_bytes()));
    if !has_nulls {
        return Arc::new(text);
    }
    Arc::new(text.iter().map(|t| t.filter(|t| !nulls.contains(t.as_bytes()))).collect::<StringViewArray>())
}
