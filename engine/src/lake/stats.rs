//! Bounds of a file's columns as text, and back.

use std::str;

use arrow::datatypes::{DataType, Schema};
use chrono::{DateTime, NaiveDate, TimeDelta};
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use parquet::file::statistics::Statistics;

use super::ColumnStats;

/// Bounds over all row groups. A column is left out if a row group does not tell its nulls.
pub(super) fn of_columns(metadata: &ParquetMetaData, schema: &Schema, columns: &[&str]) -> Vec<ColumnStats> {
    let stats_of = |name: &&str| {
        let (position, field) = schema.column_with_name(name)?;
        of_column(metadata.row_groups(), position, field.data_type()).map(|(min, max, nulls)| ColumnStats {
            column: (*name).to_owned(),
            min,
            max,
            nulls,
        })
    };
    columns.iter().filter_map(stats_of).collect()
}

type Bounds = (Option<String>, Option<String>, i64);

fn of_column(row_groups: &[RowGroupMetaData], position: usize, data_type: &DataType) -> Option<Bounds> {
    let mut bounds = Vec::with_capacity(row_groups.len());
    let mut nulls = 0_i64;
    for row_group in row_groups {
        let statistics = row_group.column(position).statistics()?;
        let null_count = i64::try_from(statistics.null_count_opt()?).ok()?;
        nulls += null_count;
        if null_count < row_group.num_rows() {
            bounds.push(bounds_of(statistics, data_type));
        }
    }
    // One row group without bounds leaves the file without them.
    let bounds: Option<Vec<(Bound, Bound)>> = bounds.into_iter().collect();
    let (min, max) = match bounds {
        Some(bounds) => (
            bounds.iter().map(|(min, _)| min).min().map(Bound::text),
            bounds.iter().map(|(_, max)| max).max().map(Bound::text),
        ),
        None => (None, None),
    };
    Some((min.flatten(), max.flatten(), nulls))
}

/// A bound in the order of its column.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Bound {
    Text(String),
    Days(i32),
    Micros(i64),
}

impl Bound {
    fn text(&self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text.clone()),
            Self::Days(days) => Some(NaiveDate::from_epoch_days(*days)?.to_string()),
            Self::Micros(micros) => {
                Some(DateTime::from_timestamp_micros(*micros)?.format("%Y-%m-%d %H:%M:%S%.f+00").to_string())
            }
        }
    }
}

/// Parquet's own bounds hold also where it has cut a long text: it cuts after a whole character
/// and counts the last one of a maximum up.
fn bounds_of(statistics: &Statistics, data_type: &DataType) -> Option<(Bound, Bound)> {
    match (statistics, data_type) {
        (Statistics::ByteArray(texts), DataType::Utf8View) => {
            let text = |bytes: &[u8]| str::from_utf8(bytes).ok().map(|text| Bound::Text(text.to_owned()));
            Some((text(texts.min_bytes_opt()?)?, text(texts.max_bytes_opt()?)?))
        }
        (Statistics::Int32(days), DataType::Date32) => {
            Some((Bound::Days(*days.min_opt()?), Bound::Days(*days.max_opt()?)))
        }
        (Statistics::Int64(micros), DataType::Timestamp(..)) => {
            Some((Bound::Micros(*micros.min_opt()?), Bound::Micros(*micros.max_opt()?)))
        }
        _ => None,
    }
}

/// A lower and an upper bound of a text of at most `bytes` bytes: the text itself if it is short
/// enough, otherwise its beginning, and its beginning with the last character counted up. `None`
/// if nothing can be counted up.
pub(super) fn rounded(text: &str, bytes: usize) -> Option<(String, String)> {
    if text.len() <= bytes {
        return Some((text.to_owned(), text.to_owned()));
    }
    let beginning = &text[..text.floor_char_boundary(bytes)];
    let mut above = beginning.to_owned();
    while let Some(last) = above.pop() {
        // The next character is above in bytes too, but may be longer.
        let next = (last..=char::MAX).nth(1);
        if let Some(next) = next.filter(|next| above.len() + next.len_utf8() <= bytes) {
            above.push(next);
            return Some((beginning.to_owned(), above));
        }
    }
    None
}

/// Days since 1970-01-01 of a bound of a date column.
pub(super) fn days(bound: &str) -> Option<i32> {
    bound.parse::<NaiveDate>().ok().map(|date| date.to_epoch_days())
}

/// Microseconds since 1970-01-01 00:00 UTC of a bound of an instant column.
pub(super) fn micros(bound: &str) -> Option<i64> {
    let instant = DateTime::parse_from_str(bound, "%Y-%m-%d %H:%M:%S%.f%#z").ok()?;
    let since_epoch: TimeDelta = instant.to_utc() - DateTime::UNIX_EPOCH;
    since_epoch.num_microseconds()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_rounded_to_whole_characters() {
        let rounded = |text, bytes| rounded(text, bytes).map(|(min, max)| format!("{min} {max}"));
        assert_eq!(rounded("abc", 3).as_deref(), Some("abc abc"));
        assert_eq!(rounded("abcd", 3).as_deref(), Some("abc abd"));
        // é has two bytes: the third byte is its first.
        assert_eq!(rounded("abéd", 3).as_deref(), Some("ab ac"));
        // U+007F is one byte and U+0080 two: there is no room for it, so b is counted up.
        assert_eq!(rounded("ab\u{7f}d", 3).as_deref(), Some("ab\u{7f} ac"));
        // U+D7FF is followed by surrogates, which are no characters.
        assert_eq!(rounded("\u{d7ff}x", 3).as_deref(), Some("\u{d7ff} \u{e000}"));
        assert_eq!(rounded("\u{10ffff}x", 4), None);
    }

    #[test]
    fn bounds_are_read_back() {
        // 20,727 days × 86,400 s = 1,790,812,800 s.
        let texts = ["2026-10-01 00:00:00+00", "2026-10-01 00:00:00.250+00", "1969-12-31 23:59:59.999999+00"];
        assert_eq!(texts.map(micros), [Some(1_790_812_800_000_000), Some(1_790_812_800_250_000), Some(-1)]);
        for micros_since in [1_790_812_800_250_000, -1] {
            let text = Bound::Micros(micros_since).text().expect("a text");
            assert_eq!(micros(&text), Some(micros_since));
        }
        assert_eq!((days("2026-10-01"), days("October")), (Some(20_727), None));
    }
}
