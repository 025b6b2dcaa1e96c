//! Dates and time stamps by pattern.

use super::lexer::{Affixes, Item, Ordinal, items};
use chrono::{Datelike, FixedOffset, NaiveDateTime, Timelike};
use datafusion::common::Result;
use std::fmt::Write;

/// PostgreSQL's template patterns for date/time formatting, each case of them that it knows.
pub(super) const KEYWORDS: &[&str] = &[
    "A.D.", "A.M.", "AD", "AM", "B.C.", "BC", "CC", "DAY", "DDD", "DD", "DY", "Day", "Dy", "D", "FF1", "FF2", "FF3",
    "FF4", "FF5", "FF6", "FX", "HH24", "HH12", "HH", "IDDD", "ID", "IW", "IYYY", "IYY", "IY", "I", "J", "MI", "MM",
    "MONTH", "MON", "MS", "Month", "Mon", "OF", "P.M.", "PM", "Q", "RM", "SSSSS", "SSSS", "SS", "TZH", "TZM", "TZ",
    "US", "WW", "W", "Y,YYY", "YYYY", "YYY", "YY", "Y", "a.d.", "a.m.", "ad", "am", "b.c.", "bc", "cc", "day", "ddd",
    "dd", "dy", "d", "ff1", "ff2", "ff3", "ff4", "ff5", "ff6", "fx", "hh24", "hh12", "hh", "iddd", "id", "iw", "iyyy",
    "iyy", "iy", "i", "j", "mi", "mm", "month", "mon", "ms", "of", "p.m.", "pm", "q", "rm", "sssss", "ssss", "ss",
    "tzh", "tzm", "tz", "us", "ww", "w", "y,yyy", "yyyy", "yyy", "yy", "y",
];

pub(super) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
pub(super) const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const ROMAN_MONTHS: [&str; 12] = ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"];
/// The Julian day before 0001-01-01, which `chrono` counts as 1.
const JULIAN_DAY_ZERO: i32 = 1_721_425;

/// A date and time as a zone's clock shows it.
#[derive(Debug, Clone)]
pub(super) struct Moment {
    /// What the clock shows.
    pub(super) local: NaiveDateTime,
    /// How far it is from UTC, and the zone's name for that; none for time stamps without time zone.
    pub(super) zone: Option<(FixedOffset, String)>,
}

/// A pattern, cut.
#[derive(Debug)]
pub(super) struct MomentPattern(Vec<Item>);

impl MomentPattern {
    /// Cuts a pattern.
    pub(super) fn new(pattern: &str) -> Result<Self> {
        items(pattern, KEYWORDS, Affixes::Kept).map(Self)
    }

    /// Shows a moment.
    pub(super) fn show(&self, moment: &Moment, out: &mut String) {
        for item in &self.0 {
            match item {
                Item::Text(character) => out.push(*character),
                Item::Keyword { word, fills, translates, ordinal } => {
                    Writer { moment, out, fills: *fills, translates: *translates, ordinal: *ordinal }.show(word);
                }
            }
        }
    }
}

struct Writer<'a> {
    moment: &'a Moment,
    out: &'a mut String,
    fills: bool,
    translates: bool,
    ordinal: Option<Ordinal>,
}

impl Writer<'_> {
    fn show(&mut self, word: &str) {
        let local = self.moment.local;
        // Before the year 1 comes the year 1 BC.
        let adjusted = |year: i32| if year <= 0 { 1 - year } else { year };
        let (hour, year) = (local.hour(), adjusted(local.year()));
        let iso = local.iso_week();
        let week_day = local.weekday().num_days_from_sunday();
        let is_lower = word.starts_with(|first: char| first.is_ascii_lowercase());
        match word.to_ascii_uppercase().as_str() {
            "A.M." | "P.M." => self.cased(if hour >= 12 { "P.M." } else { "A.M." }, is_lower),
            "AM" | "PM" => self.cased(if hour >= 12 { "PM" } else { "AM" }, is_lower),
            "A.D." | "B.C." => self.cased(if local.year() <= 0 { "B.C." } else { "A.D." }, is_lower),
            "AD" | "BC" => self.cased(if local.year() <= 0 { "BC" } else { "AD" }, is_lower),
            "HH" | "HH12" => self.number(if hour % 12 == 0 { 12 } else { hour % 12 }, 2),
            "HH24" => self.number(hour, 2),
            "MI" => self.number(local.minute(), 2),
            "SS" => self.number(local.second(), 2),
            "MS" | "FF3" => self.fraction(3),
            "US" | "FF6" => self.fraction(6),
            "FF1" => self.fraction(1),
            "FF2" => self.fraction(2),
            "FF4" => self.fraction(4),
            "FF5" => self.fraction(5),
            "SSSS" | "SSSSS" => self.number(local.num_seconds_from_midnight(), 0),
            "TZ" => {
                let name = self.moment.zone.as_ref().map_or("", |(_, name)| name.as_str()).to_owned();
                self.out.push_str(&if is_lower { name.to_lowercase() } else { name });
            }
            "TZH" => {
                let (sign, seconds) = self.offset();
                let _ = write!(self.out, "{sign}{:02}", seconds / 3600);
            }
            "TZM" => {
                let (_, seconds) = self.offset();
                let _ = write!(self.out, "{:02}", seconds % 3600 / 60);
            }
            "OF" => {
                let (sign, seconds) = self.offset();
                let width = if self.fills { 0 } else { 2 };
                let _ = write!(self.out, "{sign}{:0width$}", seconds / 3600);
                if seconds % 3600 != 0 {
                    let _ = write!(self.out, ":{:02}", seconds % 3600 / 60);
                }
            }
            "MONTH" => self.name(MONTHS[local.month0() as usize], word, 9),
            "MON" => self.name(&MONTHS[local.month0() as usize][..3], word, 0),
            "MM" => self.number(local.month(), 2),
            "DAY" => self.name(DAYS[week_day as usize], word, 9),
            "DY" => self.name(&DAYS[week_day as usize][..3], word, 0),
            "DDD" => self.number(local.ordinal(), 3),
            "IDDD" => {
                let day = (iso.week() - 1) * 7 + local.weekday().number_from_monday();
                self.number(day, 3);
            }
            "DD" => self.number(local.day(), 2),
            "D" => self.number(week_day + 1, 0),
            "ID" => self.number(local.weekday().number_from_monday(), 0),
            "WW" => self.number((local.ordinal() - 1) / 7 + 1, 2),
            "IW" => self.number(iso.week(), 2),
            "W" => self.number((local.day() - 1) / 7 + 1, 0),
            "Q" => self.number(local.month0() / 3 + 1, 0),
            "CC" => {
                let century = if local.year() > 0 { (local.year() - 1) / 100 + 1 } else { local.year() / 100 - 1 };
                self.number(century, if century >= 0 { 2 } else { 3 });
            }
            "Y,YYY" => {
                let _ = write!(self.out, "{},{:03}", year / 1000, year % 1000);
                self.end(year);
            }
            "YYYY" => self.number(year, 4),
            "YYY" => self.number(year % 1000, 3),
            "YY" => self.number(year % 100, 2),
            "Y" => self.number(year % 10, 0),
            "IYYY" => self.number(adjusted(iso.year()), 4),
            "IYY" => self.number(adjusted(iso.year()) % 1000, 3),
            "IY" => self.number(adjusted(iso.year()) % 100, 2),
            "I" => self.number(adjusted(iso.year()) % 10, 0),
            "RM" => {
                let name = ROMAN_MONTHS[local.month0() as usize];
                self.padded(&if is_lower { name.to_lowercase() } else { name.to_owned() }, 4);
            }
            "J" => self.number(local.num_days_from_ce() + JULIAN_DAY_ZERO, 0),
            // FX is for reading only.
            _ => {}
        }
    }

    fn cased(&mut self, text: &str, is_lower: bool) {
        self.out.push_str(&if is_lower { text.to_lowercase() } else { text.to_owned() });
    }

    /// A name in the case of the keyword: MONTH, Month or month.
    fn name(&mut self, name: &str, word: &str, width: usize) {
        let all_upper = word.chars().all(char::is_uppercase);
        let all_lower = word.chars().all(char::is_lowercase);
        let name = match (all_upper, all_lower) {
            (true, _) => name.to_uppercase(),
            (_, true) => name.to_lowercase(),
            _ => name.to_owned(),
        };
        self.padded(&name, if self.translates { 0 } else { width });
    }

    fn padded(&mut self, text: &str, width: usize) {
        let width = if self.fills { 0 } else { width };
        let _ = write!(self.out, "{text:<width$}");
    }

    fn number<N: std::fmt::Display + Copy>(&mut self, number: N, width: usize) {
        let width = if self.fills { 0 } else { width };
        let _ = write!(self.out, "{number:0width$}");
        self.end(number);
    }

    fn end<N: std::fmt::Display>(&mut self, number: N) {
        if let Some(ordinal) = self.ordinal {
            self.out.push_str(ordinal.of(&number.to_string()));
        }
    }

    fn fraction(&mut self, digits: u32) {
        // A leap second is kept as nanoseconds beyond 10^9.
        let microseconds = self.moment.local.nanosecond() % 1_000_000_000 / 1_000;
        let value = microseconds / 10_u32.pow(6 - digits);
        let width = digits as usize;
        let _ = write!(self.out, "{value:0width$}");
        self.end(value);
    }

    fn offset(&self) -> (char, i32) {
        let seconds = self.moment.zone.as_ref().map_or(0, |(offset, _)| offset.local_minus_utc());
        (if seconds >= 0 { '+' } else { '-' }, seconds.abs())
    }
}
