//! Timestamp text to microseconds since 1970 UTC, by formats that a mapping names.
//!
//! `9/2/2023` is September in one export and February in another; which one is never guessed
//! from a row. A text without a zone is UTC.

/// Microseconds of a day.
pub(crate) const DAY: i64 = 86_400_000_000;
const HOUR: i64 = DAY / 24;

/// A way of writing instants that a mapping may allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InstantFormat {
    /// `2024-09-18`, `2024-09-18 22:00:00`, `2023-11-13T10:00Z`, `…T00:00:00.000Z`, `…+02:00`, `… UTC`.
    Iso,
    /// `09/30/2023`, `9/2/2023` or `2/28/2019 23:59`: month first.
    MonthDayYear,
    /// `30/09/2023` or `2/9/2023`: day first.
    DayMonthYear,
    /// `2019-02-01 00:00:00 +0000 UTC`.
    Go,
}

impl InstantFormat {
    /// The format that a mapping's directive names.
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "iso" => Some(Self::Iso),
            "month/day/year" => Some(Self::MonthDayYear),
            "day/month/year" => Some(Self::DayMonthYear),
            "go" => Some(Self::Go),
            _ => None,
        }
    }
}

/// Parses a text in one of `formats`, tried in order.
pub(crate) fn parse_instant(text: &[u8], formats: &[InstantFormat]) -> Option<i64> {
    formats.iter().find_map(|format| match format {
        InstantFormat::Iso => parse_iso(text),
        InstantFormat::MonthDayYear => {
            let ([month, day, year], of_day) = slashed(text)?;
            Some(midnight(year, month, day)? + of_day)
        }
        InstantFormat::DayMonthYear => {
            let ([day, month, year], of_day) = slashed(text)?;
            Some(midnight(year, month, day)? + of_day)
        }
        InstantFormat::Go => parse_iso(text.strip_suffix(b" +0000 UTC")?),
    })
}

fn parse_iso(text: &[u8]) -> Option<i64> {
    let date = text.get(..10)?;
    if date[4] != b'-' || date[7] != b'-' {
        return None;
    }
    let midnight = midnight(number(&date[..4])?, number(&date[5..7])?, number(&date[8..10])?)?;
    let clock = match text.get(10) {
        None => return Some(midnight),
        Some(b'T' | b' ') => &text[11..],
        Some(_) => return None,
    };
    let (of_day, zone) = parse_clock(clock)?;
    Some(midnight + of_day - parse_zone(zone)?)
}

/// `HH:MM[:SS[.f]]` and what follows.
fn parse_clock(clock: &[u8]) -> Option<(i64, &[u8])> {
    if clock.get(2) != Some(&b':') {
        return None;
    }
    let (hour, minute) = (number(&clock[..2])?, number(clock.get(3..5)?)?);
    let mut second = 0;
    let mut micros = 0;
    let mut rest = &clock[5..];
    if let [b':', after @ ..] = rest {
        second = number(after.get(..2)?)?;
        rest = &after[2..];
        if let [b'.', fraction @ ..] = rest {
            let length = fraction.iter().take_while(|b| b.is_ascii_digit()).count();
            if length == 0 || length > 9 {
                return None;
            }
            for place in 0..6 {
                let digit = fraction[..length].get(place).map_or(0, |b| i64::from(b - b'0'));
                micros = micros * 10 + digit;
            }
            rest = &fraction[length..];
        }
    }
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    Some((((hour * 60 + minute) * 60 + second) * 1_000_000 + micros, rest))
}

/// The offset of `Z`, ` UTC`, `+02:00`, `+0200` or nothing, in microseconds.
fn parse_zone(zone: &[u8]) -> Option<i64> {
    let (sign, digits) = match zone {
        // BigQuery writes ` UTC`.
        [] | [b'Z'] | b" UTC" => return Some(0),
        [b'+', digits @ ..] => (1, digits),
        [b'-', digits @ ..] => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = match digits {
        [a, b, b':', c, d] | [a, b, c, d] => (number(&[*a, *b])?, number(&[*c, *d])?),
        [a, b] => (number(&[*a, *b])?, 0),
        _ => return None,
    };
    (hours <= 14 && minutes <= 59).then_some(sign * (hours * 60 + minutes) * 60_000_000)
}

/// The three numbers of `a/b/yyyy` and the microseconds of the day, where a clock follows after a blank; a two-digit year is refused.
fn slashed(text: &[u8]) -> Option<([i64; 3], i64)> {
    let (date, of_day) = match text.iter().position(|b| *b == b' ') {
        Some(at) => (&text[..at], clock_of_12_or_24(&text[at + 1..])?),
        None => (text, 0),
    };
    let mut parts = date.split(|b| *b == b'/');
    let (first, second, year) = (parts.next()?, parts.next()?, parts.next()?);
    let is_short = |part: &[u8]| matches!(part.len(), 1 | 2);
    if parts.next().is_some() || !is_short(first) || !is_short(second) || year.len() != 4 {
        return None;
    }
    Some(([number(first)?, number(second)?, number(year)?], of_day))
}

/// `0:00`, `23:59:59` or `11:59:59 PM`.
fn clock_of_12_or_24(clock: &[u8]) -> Option<i64> {
    let (clock, noon) = match clock {
        [clock @ .., b' ', b'A', b'M'] => (clock, Some(0)),
        [clock @ .., b' ', b'P', b'M'] => (clock, Some(12)),
        clock => (clock, None),
    };
    // An hour of one digit is padded to the form of ISO.
    let mut padded = [b'0'; 9];
    let digits = match clock.get(1) {
        Some(b':') => {
            padded.get_mut(1..=clock.len())?.copy_from_slice(clock);
            &padded[..=clock.len()]
        }
        _ => clock,
    };
    let (of_day, rest) = parse_clock(digits)?;
    let hour = of_day / HOUR;
    match noon {
        _ if !rest.is_empty() => None,
        None => Some(of_day),
        Some(noon) if (1..=12).contains(&hour) => Some(of_day + (hour % 12 + noon - hour) * HOUR),
        Some(_) => None,
    }
}

fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0_i64, |value, byte| {
        let digit = byte.wrapping_sub(b'0');
        (digit <= 9).then(|| value * 10 + i64::from(digit))
    })
}

/// Midnight UTC of a day of the Gregorian calendar.
pub(crate) fn midnight(year: i64, month: i64, day: i64) -> Option<i64> {
    if !(1..=12).contains(&month) || day < 1 || day > days_of_month(year, month) || !(1970..=9999).contains(&year) {
        return None;
    }
    Some(days_from_civil(year, month, day) * DAY)
}

fn days_of_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 (H. Hinnant, "chrono-compatible low-level date algorithms", `days_from_civil`).
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let shifted_year = if month <= 2 { year - 1 } else { year };
    let era = shifted_year.div_euclid(400);
    let year_of_era = shifted_year - era * 400;
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The first day of the month after the one an instant falls in, as days since 1970.
pub(crate) fn next_month_start(instant: i64) -> i64 {
    // The 32nd day of any month is in the next one.
    month_start((month_start(instant) + 31) * DAY)
}

/// The first day of the month an instant falls in, as days since 1970 (inverse of `days_from_civil`, same source).
pub(crate) fn month_start(instant: i64) -> i64 {
    let days = instant.div_euclid(DAY);
    let shifted = days + 719_468;
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month_from_march + 2) / 5;
    days - day_of_month
}

#[cfg(test)]
mod tests {
    use super::*;

    fn iso(text: &str) -> Option<i64> {
        parse_instant(text.as_bytes(), &[InstantFormat::Iso])
    }

    // 2024-09-18T22:00:00Z = 1726696800 s since 1970 (date -u -d @1726696800).
    const SAMPLE: i64 = 1_726_696_800_000_000;

    #[test]
    fn iso_forms_of_one_instant() {
        for text in [
            "2024-09-18 22:00:00",
            "2024-09-18 22:00:00 UTC",
            "2024-09-18 22:00:00.000000 UTC",
            "2024-09-18T22:00:00Z",
            "2024-09-18T22:00Z",
            "2024-09-18T22:00:00.000Z",
            "2024-09-18T22:00:00.000000+00:00",
            "2024-09-19T00:00:00+02:00",
            "2024-09-18T17:00:00-0500",
        ] {
            assert_eq!(iso(text), Some(SAMPLE), "{text}");
        }
        assert_eq!(iso("2024-09-18"), Some(SAMPLE - 22 * 3_600_000_000));
        assert_eq!(iso("2024-09-18T22:00:00.5Z"), Some(SAMPLE + 500_000));
    }

    #[test]
    fn go_form_only_where_named() {
        let text = b"2024-09-18 22:00:00 +0000 UTC";
        assert_eq!(parse_instant(text, &[InstantFormat::Iso]), None);
        assert_eq!(parse_instant(text, &[InstantFormat::Go]), Some(SAMPLE));
    }

    #[test]
    fn month_first_and_day_first_are_never_guessed() {
        // 2023-09-02 and 2023-02-09: 1693612800 and 1675900800.
        let text = b"9/2/2023";
        assert_eq!(parse_instant(text, &[InstantFormat::MonthDayYear]), Some(1_693_612_800_000_000));
        assert_eq!(parse_instant(text, &[InstantFormat::DayMonthYear]), Some(1_675_900_800_000_000));
        assert_eq!(parse_instant(b"09/30/2023", &[InstantFormat::DayMonthYear]), None);
        assert_eq!(parse_instant(text, &[InstantFormat::Iso]), None);
        assert_eq!(parse_instant(b"5/1/25", &[InstantFormat::MonthDayYear]), None);
    }

    #[test]
    fn a_clock_may_follow_a_date_with_slashes() {
        // 2019-02-28: 1551312000.
        let read = |text: &str| parse_instant(text.as_bytes(), &[InstantFormat::MonthDayYear]);
        let at = |hour: i64, minute: i64| Some((1_551_312_000 + hour * 3_600 + minute * 60) * 1_000_000);
        for (text, expected) in [
            ("2/28/2019 0:00", at(0, 0)),
            ("2/28/2019 23:59", at(23, 59)),
            ("02/28/2019 09:05:00", at(9, 5)),
            ("2/28/2019 9:05:00 PM", at(21, 5)),
            ("2/28/2019 12:00 AM", at(0, 0)),
            ("2/28/2019 12:30 PM", at(12, 30)),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
        for wrong in [
            "2/28/2019 ",
            "2/28/2019 24:00",
            "2/28/2019 13:00 PM",
            "2/28/2019 0:00 AM",
            "2/28/2019 1:2",
            "2/28/2019 1:00:00x",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn impossible_instants_are_refused() {
        for text in [
            "2023-02-29",
            "2024-13-01",
            "2024-00-10",
            "2024-04-31",
            "2024-09-18T24:00:00Z",
            "2024-09-18T22:60:00Z",
            "2024-9-18",
            "20240918",
            "",
            "2024-09-18x",
            "2024-09-18T22",
            "2024-09-18T22:00:00.Z",
        ] {
            assert_eq!(iso(text), None, "{text}");
        }
        assert!(iso("2024-02-29").is_some());
    }

    #[test]
    fn month_start_of_every_day_of_400_years() {
        let mut expected = 0;
        for year in 1970..2370 {
            for month in 1..=12 {
                for day in 1..=days_of_month(year, month) {
                    let days = midnight(year, month, day).expect("a day") / DAY;
                    if day == 1 {
                        expected = days;
                    }
                    assert_eq!(month_start(days * DAY + DAY - 1), expected, "{year}-{month}-{day}");
                    let next = expected + days_of_month(year, month);
                    assert_eq!(next_month_start(days * DAY), next, "{year}-{month}-{day}");
                }
            }
        }
    }
}
