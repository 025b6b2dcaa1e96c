//! Dates, times and timestamps as text, as `DateStyle` ISO writes them: `2026-03-01 00:59:59.5+01`, `0044-03-15 BC`.

use super::zone::Zone;
use std::fmt::Write;

/// Microseconds in a day.
pub const DAY_US: i64 = 86_400_000_000;

/// Writes a day since 1970 as text.
pub fn write_date(days: i64, out: &mut impl Write) {
    let (year, month, day) = civil(days);
    write_year_month_day(year, month, day, out);
    if year <= 0 {
        put(" BC", out);
    }
}

fn write_year_month_day(year: i64, month: i64, day: i64, out: &mut impl Write) {
    // There is no year 0: 1 BC comes before 1.
    let shown = if year > 0 { year } else { 1 - year };
    if shown > 9_999 {
        put(&shown.to_string(), out);
    } else {
        write_two(shown / 100, out);
        write_two(shown % 100, out);
    }
    put("-", out);
    write_two(month, out);
    put("-", out);
    write_two(day, out);
}

/// Writes microseconds since midnight as text.
pub fn write_time(microseconds: i64, out: &mut impl Write) {
    let seconds = microseconds / 1_000_000;
    write_two(seconds / 3_600, out);
    put(":", out);
    write_two(seconds / 60 % 60, out);
    put(":", out);
    write_two(seconds % 60, out);
    write_fraction(microseconds % 1_000_000, out);
}

/// Writes a part of a second: `.5`, `.000001`, or nothing for zero.
pub fn write_fraction(microseconds: i64, out: &mut impl Write) {
    if microseconds != 0 {
        let digits = format!(".{microseconds:06}");
        put(digits.trim_end_matches('0'), out);
    }
}

/// Writes microseconds since 1970 as text without a zone.
pub fn write_timestamp(microseconds: i64, out: &mut impl Write) {
    let (year, month, day) = civil(microseconds.div_euclid(DAY_US));
    write_year_month_day(year, month, day, out);
    put(" ", out);
    write_time(microseconds.rem_euclid(DAY_US), out);
    if year <= 0 {
        put(" BC", out);
    }
}

/// Writes an instant as the local time of `zone` with its offset.
pub fn write_timestamptz(microseconds: i64, zone: Zone, out: &mut impl Write) {
    let offset = zone.offset_at(microseconds);
    let local = microseconds.saturating_add(offset * 1_000_000);
    let (year, month, day) = civil(local.div_euclid(DAY_US));
    write_year_month_day(year, month, day, out);
    put(" ", out);
    write_time(local.rem_euclid(DAY_US), out);
    put(if offset < 0 { "-" } else { "+" }, out);
    let offset = offset.abs();
    write_two(offset / 3_600, out);
    if offset % 3_600 != 0 {
        put(":", out);
        write_two(offset / 60 % 60, out);
    }
    if offset % 60 != 0 {
        put(":", out);
        write_two(offset % 60, out);
    }
    if year <= 0 {
        put(" BC", out);
    }
}

fn write_two(value: i64, out: &mut impl Write) {
    if (0..=99).contains(&value) {
        let at = usize::try_from(2 * value).unwrap_or_default();
        put(&TWO_DIGITS[at..at + 2], out);
    } else {
        put(&value.to_string(), out);
    }
}

/// Writes to memory, which does not fail.
pub(super) fn put(text: &str, out: &mut impl Write) {
    let _ = out.write_str(text);
}

/// 00 to 99.
const TWO_DIGITS: &str = "0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243444546474849\
                          5051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899";

/// Year, month and day of a day since 1970 in the Gregorian calendar carried backwards.
///
/// Method: Howard Hinnant, "chrono-compatible low-level date algorithms", `civil_from_days`.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}
