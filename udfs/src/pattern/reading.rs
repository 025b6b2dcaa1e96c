//! Dates and time stamps read by pattern: after `do_to_timestamp` of PostgreSQL's `formatting.c`, without `FX`.

use super::lexer::{Affixes, Item, items};
use super::moment::{DAYS, KEYWORDS, MONTHS};
use crate::datetime::DateTimeError;
use chrono::{Datelike, Duration, NaiveDate, NaiveDateTime, NaiveTime};
use datafusion::common::{Result, not_impl_err};

/// What a text said.
#[derive(Debug, Default)]
struct Found {
    year: Option<i32>,
    is_before_christ: bool,
    month: Option<u32>,
    day: Option<u32>,
    day_of_year: Option<i64>,
    julian: Option<i64>,
    hour: i64,
    is_12_hours: bool,
    is_afternoon: Option<bool>,
    minute: i64,
    second: i64,
    second_of_day: Option<i64>,
    microsecond: i64,
    zone: Option<(i64, i64, i64)>,
}

/// A date and time, and the offset from UTC in seconds if the text has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reading {
    pub(super) local: NaiveDateTime,
    pub(super) offset: Option<i64>,
}

/// A pattern, cut.
#[derive(Debug)]
pub(super) struct ReadingPattern(Vec<Item>);

impl ReadingPattern {
    /// Cuts a pattern.
    pub(super) fn new(pattern: &str) -> Result<Self> {
        let items = items(pattern, KEYWORDS, Affixes::Kept)?;
        for item in &items {
            if let Item::Keyword { word, .. } = item {
                let known = word.to_ascii_uppercase();
                if !READ.contains(&known.as_str()) {
                    return not_impl_err!("reading dates by the pattern {word}");
                }
            }
        }
        Ok(Self(items))
    }

    /// Reads a text.
    pub(super) fn read(&self, text: &str) -> std::result::Result<Reading, DateTimeError> {
        let mut reader = Reader { rest: text, found: Found::default() };
        for (at, item) in self.0.iter().enumerate() {
            match item {
                Item::Text(character) => reader.pass(*character),
                Item::Keyword { word, .. } => {
                    let is_last_digits = match self.0.get(at + 1) {
                        None => true,
                        Some(Item::Text(next)) => !next.is_ascii_digit(),
                        Some(Item::Keyword { .. }) => false,
                    };
                    reader.keyword(&word.to_ascii_uppercase(), is_last_digits)?;
                }
            }
        }
        reader.found.whole()
    }
}

const READ: [&str; 39] = [
    "A.D.", "A.M.", "AD", "AM", "B.C.", "BC", "DAY", "DDD", "DD", "DY", "D", "FF1", "FF2", "FF3", "FF4", "FF5", "FF6",
    "HH24", "HH12", "HH", "J", "MI", "MM", "MONTH", "MON", "MS", "P.M.", "PM", "Q", "SSSSS", "SSSS", "SS", "TZH",
    "TZM", "US", "YYYY", "YYY", "YY", "Y",
];

const SYNTAX: DateTimeError = DateTimeError::Syntax("timestamp");

struct Reader<'a> {
    rest: &'a str,
    found: Found,
}

impl Reader<'_> {
    /// A character of the pattern that is no keyword: a separator stands for any, or for none; another one for any character.
    fn pass(&mut self, expected: char) {
        let is_separator = |c: char| c.is_ascii_punctuation();
        if expected.is_whitespace() || is_separator(expected) {
            let trimmed = self.rest.trim_start();
            match trimmed.chars().next() {
                Some(next) if is_separator(next) && !(matches!(next, '+' | '-') && expected.is_whitespace()) => {
                    self.rest = trimmed[next.len_utf8()..].trim_start();
                }
                _ => self.rest = trimmed,
            }
        } else {
            let mut characters = self.rest.chars();
            characters.next();
            self.rest = characters.as_str();
        }
    }

    /// A number of so many digits; of any number of them where what follows is not more digits.
    fn number(&mut self, digits: usize, is_open: bool) -> std::result::Result<(i64, usize), DateTimeError> {
        let (is_negative, unsigned) = match self.rest.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, self.rest.strip_prefix('+').unwrap_or(self.rest)),
        };
        let most = if is_open { 18 } else { digits };
        let length = unsigned.bytes().take(most).take_while(u8::is_ascii_digit).count();
        let value: i64 = unsigned[..length].parse().map_err(|_| SYNTAX)?;
        self.rest = &unsigned[length..];
        Ok((if is_negative { -value } else { value }, length))
    }

    /// The place of the name that the text begins with.
    fn name(&mut self, names: &[&str], letters: Option<usize>) -> std::result::Result<usize, DateTimeError> {
        let found = names.iter().enumerate().find_map(|(at, name)| {
            let name = &name[..letters.unwrap_or(name.len())];
            let begins = self.rest.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
            begins.then_some((at, name.len()))
        });
        let (at, length) = found.ok_or(SYNTAX)?;
        self.rest = &self.rest[length..];
        Ok(at)
    }

    fn keyword(&mut self, word: &str, is_open: bool) -> std::result::Result<(), DateTimeError> {
        self.rest = self.rest.trim_start();
        let small = |value: i64| u32::try_from(value).map_err(|_| DateTimeError::OutOfRange);
        match word {
            "YYYY" | "YYY" | "YY" | "Y" => {
                let (year, length) = self.number(word.len(), is_open)?;
                // Few digits are of the years around 2020.
                let year = match length {
                    1 | 2 if word.len() < 4 || length < 3 && word.len() < 4 => {
                        year + if year < 70 { 2000 } else { 1900 }
                    }
                    3 if word.len() < 4 => year + if year < 520 { 2000 } else { 1000 },
                    _ => year,
                };
                self.found.year = Some(i32::try_from(year).map_err(|_| DateTimeError::OutOfRange)?);
            }
            "MM" => self.found.month = Some(small(self.number(2, is_open)?.0)?),
            "MON" => self.found.month = Some(small(self.name(&MONTHS, Some(3))? as i64 + 1)?),
            "MONTH" => {
                // May is its own abbreviation.
                let place = self.name(&MONTHS, None).or_else(|_| self.name(&MONTHS, Some(3)))?;
                self.found.month = Some(small(place as i64 + 1)?);
            }
            "DD" => self.found.day = Some(small(self.number(2, is_open)?.0)?),
            "DDD" => self.found.day_of_year = Some(self.number(3, is_open)?.0),
            "J" => self.found.julian = Some(self.number(9, true)?.0),
            "D" | "Q" => drop(self.number(1, is_open)?),
            "DAY" => drop(self.name(&DAYS, None)?),
            "DY" => drop(self.name(&DAYS, Some(3))?),
            "HH24" => self.found.hour = self.number(2, is_open)?.0,
            "HH12" | "HH" => {
                self.found.hour = self.number(2, is_open)?.0;
                self.found.is_12_hours = true;
            }
            "MI" => self.found.minute = self.number(2, is_open)?.0,
            "SS" => self.found.second = self.number(2, is_open)?.0,
            "SSSS" | "SSSSS" => self.found.second_of_day = Some(self.number(5, is_open)?.0),
            "MS" => self.fraction(3, is_open)?,
            "US" => self.fraction(6, is_open)?,
            "FF1" | "FF2" | "FF3" | "FF4" | "FF5" | "FF6" => {
                self.fraction(usize::from(word.as_bytes()[2] - b'0'), is_open)?;
            }
            "AM" | "PM" | "A.M." | "P.M." => {
                let names = if word.len() == 2 { ["AM", "PM"] } else { ["A.M.", "P.M."] };
                self.found.is_afternoon = Some(self.name(&names, None)? == 1);
                self.found.is_12_hours = true;
            }
            "AD" | "BC" | "A.D." | "B.C." => {
                let names = if word.len() == 2 { ["AD", "BC"] } else { ["A.D.", "B.C."] };
                self.found.is_before_christ = self.name(&names, None)? == 1;
            }
            "TZH" => {
                let sign = if self.rest.starts_with('-') { -1 } else { 1 };
                let hours = self.number(2, is_open)?.0;
                self.found.zone = Some((sign, hours.abs(), 0));
            }
            // TZM; patterns with other keywords were refused.
            _ => {
                let minutes = self.number(2, is_open)?.0;
                let (sign, hours, _) = self.found.zone.unwrap_or((1, 0, 0));
                self.found.zone = Some((sign, hours, minutes));
            }
        }
        Ok(())
    }

    fn fraction(&mut self, digits: usize, is_open: bool) -> std::result::Result<(), DateTimeError> {
        let (value, length) = self.number(digits, is_open)?;
        let missing = u32::try_from(6_usize.checked_sub(length).ok_or(DateTimeError::OutOfRange)?).unwrap_or_default();
        self.found.microsecond = value * 10_i64.pow(missing);
        Ok(())
    }
}

impl Found {
    fn whole(self) -> std::result::Result<Reading, DateTimeError> {
        const RANGE: DateTimeError = DateTimeError::OutOfRange;
        let is_in = |value: i64, most: i64| (0..=most).contains(&value);
        let mut hour = self.hour;
        if self.is_12_hours {
            if !(1..=12).contains(&hour) {
                return Err(RANGE);
            }
            hour = match self.is_afternoon {
                Some(true) if hour < 12 => hour + 12,
                Some(false) if hour == 12 => 0,
                _ => hour,
            };
        }
        let time_us = match self.second_of_day {
            Some(seconds) if is_in(seconds, 86_400) => seconds * 1_000_000,
            Some(_) => return Err(RANGE),
            None if is_in(hour, 24) && is_in(self.minute, 59) && is_in(self.second, 59) => {
                ((hour * 60 + self.minute) * 60 + self.second) * 1_000_000
            }
            None => return Err(RANGE),
        };
        // 1 BC is the year 0; where no year was said, it is that.
        let year = match self.year {
            Some(year) if self.is_before_christ => 1 - year,
            Some(year) => year,
            None => 0,
        };
        let date = match (self.julian, self.day_of_year) {
            (Some(day), _) => {
                let day = i32::try_from(day - 1_721_425).map_err(|_| RANGE)?;
                NaiveDate::from_num_days_from_ce_opt(day).ok_or(RANGE)?
            }
            (None, Some(day)) if self.month.is_none() => {
                let first = NaiveDate::from_ymd_opt(year, 1, 1).ok_or(RANGE)?;
                let date = first + Duration::days(day - 1);
                if day < 1 || date.year() != year {
                    return Err(RANGE);
                }
                date
            }
            _ => NaiveDate::from_ymd_opt(year, self.month.unwrap_or(1), self.day.unwrap_or(1)).ok_or(RANGE)?,
        };
        let local = date.and_time(NaiveTime::MIN) + Duration::microseconds(time_us + self.microsecond);
        let offset = match self.zone {
            Some((_, hours, minutes)) if !is_in(hours, 15) || !is_in(minutes, 59) => return Err(RANGE),
            zone => zone.map(|(sign, hours, minutes)| sign * (hours * 60 + minutes) * 60),
        };
        Ok(Reading { local, offset })
    }
}
