//! Results as text: aligned columns, CSV, JSON lines.

use std::io::Write;

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::datatypes::{DataType, Schema};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use ratehouse::wire::least_digits;

use super::args::Format;

/// A column and the digits after the point that its decimals show at least.
type Column<'a> = (&'a ArrayRef, usize);

/// The text of a value as the shell shows it.
fn text((array, least): Column<'_>, row: usize, options: &FormatOptions<'_>) -> String {
    if array.is_null(row) {
        return String::new();
    }
    let shown = ArrayFormatter::try_new(array.as_ref(), options).map(|f| f.value(row).to_string()).unwrap_or_default();
    match array.data_type() {
        DataType::Decimal128(..) | DataType::Decimal256(..) => trimmed(&shown, least).to_owned(),
        _ => shown,
    }
}

fn trimmed(number: &str, least: usize) -> &str {
    let Some(point) = number.find('.') else { return number };
    let kept = number.trim_end_matches('0').len().max((point + 1 + least).min(number.len()));
    number[..kept].trim_end_matches('.')
}

fn is_number(data_type: &DataType) -> bool {
    data_type.is_numeric() || matches!(data_type, DataType::Decimal128(..) | DataType::Decimal256(..))
}

/// Writes rows in the wanted form and says how many there were.
pub(crate) fn write_rows(
    out: &mut dyn Write,
    schema: &Schema,
    batches: &[RecordBatch],
    format: Format,
) -> std::io::Result<usize> {
    let options = FormatOptions::default().with_timestamp_tz_format(Some("%Y-%m-%d %H:%M:%S%.f+00"));
    let names: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    let least: Vec<usize> = schema.fields().iter().map(|field| least_digits(field)).collect();
    let columns = |batch| RecordBatch::columns(batch).iter().zip(least.iter().copied());
    match format {
        Format::Table => {
            let mut cells: Vec<Vec<String>> = Vec::with_capacity(rows);
            for batch in batches {
                for row in 0..batch.num_rows() {
                    cells.push(columns(batch).map(|column| text(column, row, &options)).collect());
                }
            }
            let right: Vec<bool> = schema.fields().iter().map(|f| is_number(f.data_type())).collect();
            write_table(out, &names, &right, &cells)?;
            writeln!(out, "({rows} {})", if rows == 1 { "row" } else { "rows" })?;
        }
        Format::Csv => {
            let mut writer = csv::Writer::from_writer(&mut *out);
            writer.write_record(&names)?;
            for batch in batches {
                for row in 0..batch.num_rows() {
                    writer.write_record(columns(batch).map(|column| text(column, row, &options)))?;
                }
            }
            writer.flush()?;
        }
        Format::Json => {
            for batch in batches {
                for row in 0..batch.num_rows() {
                    let object: serde_json::Map<String, serde_json::Value> = names
                        .iter()
                        .zip(columns(batch))
                        .map(|(name, column)| ((*name).to_owned(), json(column, row, &options)))
                        .collect();
                    writeln!(out, "{}", serde_json::Value::Object(object))?;
                }
            }
        }
    }
    Ok(rows)
}

/// Decimals are JSON texts: a JSON number would be read as a float.
fn json(column: Column<'_>, row: usize, options: &FormatOptions<'_>) -> serde_json::Value {
    if column.0.is_null(row) {
        return serde_json::Value::Null;
    }
    let shown = text(column, row, options);
    match column.0.data_type() {
        DataType::Boolean => serde_json::Value::Bool(shown == "true"),
        data_type if data_type.is_integer() => shown.parse::<i64>().map_or_else(|_| shown.clone().into(), Into::into),
        _ => shown.into(),
    }
}

/// Writes aligned columns.
pub(crate) fn write_table(
    out: &mut dyn Write,
    names: &[&str],
    right: &[bool],
    rows: &[Vec<String>],
) -> std::io::Result<()> {
    let width = |text: &str| text.chars().count();
    let widths: Vec<usize> = names
        .iter()
        .enumerate()
        .map(|(at, name)| {
            rows.iter().filter_map(|row| row.get(at)).map(|cell| width(cell)).max().unwrap_or(0).max(width(name))
        })
        .collect();
    let line = |out: &mut dyn Write, cells: &mut dyn Iterator<Item = &str>, heading: bool| -> std::io::Result<()> {
        let mut text = String::new();
        for (at, cell) in cells.enumerate() {
            let pad = " ".repeat(widths.get(at).copied().unwrap_or(0).saturating_sub(width(cell)));
            let to_right = right.get(at).copied().unwrap_or(false) && !heading;
            text += if at == 0 { " " } else { " | " };
            if to_right {
                text += &pad;
                text += cell;
            } else {
                text += cell;
                text += &pad;
            }
        }
        writeln!(out, "{}", text.trim_end())
    };
    line(out, &mut names.iter().copied(), true)?;
    let rule: Vec<String> = widths.iter().map(|width| "-".repeat(width + 2)).collect();
    writeln!(out, "{}", rule.join("+"))?;
    for row in rows {
        line(out, &mut row.iter().map(String::as_str), false)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::trimmed;

    #[test]
    fn zeros_are_kept_as_far_as_they_are_declared() {
        assert_eq!(trimmed("1.100", 2), "1.10");
        assert_eq!(trimmed("1.125000", 2), "1.125");
        assert_eq!(trimmed("1.000", 0), "1");
        assert_eq!(trimmed("0.00", 2), "0.00");
        assert_eq!(trimmed("10", 2), "10");
        assert_eq!(trimmed("1.1", 2), "1.1");
    }
}
