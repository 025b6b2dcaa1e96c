//! Intervals: months, days and microseconds, as PostgreSQL keeps them.
//!
//! Text is `IntervalStyle postgres`: `1 year 2 mons -3 days +04:05:06.7`.

use super::parse::DateTimeError;
use super::write::{put, write_fraction};
use arrow::datatypes::IntervalMonthDayNano;
use std::fmt::Write;

/// An interval in PostgreSQL's three parts, which do not carry into each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Months, years being twelve of them.
    pub months: i32,
    /// Days, weeks being seven of them.
    pub days: i32,
    /// The rest.
    pub microseconds: i64,
}

impl Span {
    /// Writes the text form. A positive part after a negative one carries a plus, as `interval_out` does.
    pub fn write_text(self, out: &mut impl Write) {
        let mut any = false;
        let mut after_negative = false;
        for (value, unit) in
            [(i64::from(self.months / 12), "year"), (i64::from(self.months % 12), "mon"), (i64::from(self.days), "day")]
        {
            if value != 0 {
                let space = if any { " " } else { "" };
                let plus = if after_negative && value > 0 { "+" } else { "" };
                let plural = if value == 1 { "" } else { "s" };
                put(&format!("{space}{plus}{value} {unit}{plural}"), out);
                any = true;
                after_negative = value < 0;
            }
        }
        if any && self.microseconds == 0 {
            return;
        }
        if any {
            put(" ", out);
        }
        if self.microseconds < 0 {
            put("-", out);
        } else if after_negative {
            put("+", out);
        }
        let magnitude = self.microseconds.unsigned_abs();
        let seconds = magnitude / 1_000_000;
        put(&format!("{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60), out);
        write_fraction(i64::try_from(magnitude % 1_000_000).unwrap_or(0), out);
    }

    /// Reads the text form: numbers with units, and a time of day at the end.
    ///
    /// # Errors
    /// [`DateTimeError::Syntax`].
    pub fn from_text(text: &str) -> Result<Self, DateTimeError> {
        let wrong = || DateTimeError::Syntax("interval");
        let mut span = Self { months: 0, days: 0, microseconds: 0 };
        let mut words = text.split_whitespace().filter(|word| *word != "@").peekable();
        if words.peek().is_none() {
            return Err(wrong());
        }
        while let Some(word) = words.next() {
            if word.contains(':') {
                span.add_clock(word).ok_or_else(wrong)?;
                continue;
            }
            // The unit may be glued to its number: 5min.
            let split = word.find(|found: char| found.is_ascii_alphabetic()).unwrap_or(word.len());
            let (number, glued) = word.split_at(split);
            let unit = if glued.is_empty() { words.next().unwrap_or("second") } else { glued };
            let micros = scaled_micros(number).ok_or_else(wrong)?;
            span.add_unit(micros, unit).ok_or_else(wrong)?;
        }
        Ok(span)
    }

    /// In the engine's units; what is finer than a microsecond was rounded before.
    #[must_use]
    pub fn to_arrow(self) -> Option<IntervalMonthDayNano> {
        Some(IntervalMonthDayNano::new(self.months, self.days, self.microseconds.checked_mul(1_000)?))
    }

    /// From the engine's units.
    #[must_use]
    pub fn of_arrow(span: IntervalMonthDayNano) -> Self {
        Self { months: span.months, days: span.days, microseconds: span.nanoseconds / 1_000 }
    }

    fn add_clock(&mut self, word: &str) -> Option<()> {
        let (sign, word) = match word.strip_prefix('-') {
            Some(rest) => (-1, rest),
            None => (1, word.strip_prefix('+').unwrap_or(word)),
        };
        let mut parts = word.split(':');
        let hours: i64 = parts.next()?.parse().ok()?;
        let minutes: i64 = parts.next()?.parse().ok()?;
        let seconds = scaled_micros(parts.next().unwrap_or("0"))?;
        let total = hours.checked_mul(3_600_000_000)?.checked_add(minutes.checked_mul(60_000_000)?)?;
        self.microseconds = self.microseconds.checked_add(sign * total.checked_add(seconds)?)?;
        Some(())
    }

    /// Adds a number of units; `micros` is the number in millionths.
    fn add_unit(&mut self, micros: i64, unit: &str) -> Option<()> {
        let whole = |per_unit: i64| -> Option<i32> {
            let scaled = micros.checked_mul(per_unit)?;
            (scaled % 1_000_000 == 0).then(|| i32::try_from(scaled / 1_000_000).ok())?
        };
        let unit = unit.to_ascii_lowercase();
        let singular = unit.strip_suffix('s').filter(|stem| !stem.is_empty()).unwrap_or(&unit);
        match singular {
            "year" | "yr" | "y" => self.months = self.months.checked_add(whole(12)?)?,
            "month" | "mon" => self.months = self.months.checked_add(whole(1)?)?,
            "week" | "w" => self.days = self.days.checked_add(whole(7)?)?,
            "day" | "d" => self.days = self.days.checked_add(whole(1)?)?,
            _ => {
                let seconds = match singular {
                    "hour" | "hr" | "h" => 3_600,
                    "minute" | "min" | "m" => 60,
                    "second" | "sec" | "s" => 1,
                    "millisecond" | "msec" | "m_" | "ms" => return self.add_micros(micros / 1_000),
                    "microsecond" | "usec" | "us" => return self.add_micros(micros / 1_000_000),
                    _ => return None,
                };
                return self.add_micros(micros.checked_mul(seconds)?);
            }
        }
        Some(())
    }

    fn add_micros(&mut self, microseconds: i64) -> Option<()> {
        self.microseconds = self.microseconds.checked_add(microseconds)?;
        Some(())
    }
}

/// A decimal number in millionths, exactly.
fn scaled_micros(text: &str) -> Option<i64> {
    let (sign, body) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = body.split_once('.').unwrap_or((body, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || whole.len() + fraction.len() == 0 {
        return None;
    }
    let whole: i64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let fraction: i64 = format!("{fraction:0<6}").get(..6)?.parse().ok()?;
    Some(sign * whole.checked_mul(1_000_000)?.checked_add(fraction)?)
}
