//! Intervals: months, days and microseconds, as Postgres keeps them.
//!
//! Text is `IntervalStyle postgres`: `1 year 2 mons -3 days +04:05:06.7`. Binary is microseconds, days, months.

use bytes::{BufMut, BytesMut};

use super::datetime::write_fraction;
use crate::wire::backend::Failure;

/// An interval in Postgres' three parts, which do not carry into each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Interval {
    /// Months, years being twelve of them.
    pub(crate) months: i32,
    /// Days, weeks being seven of them.
    pub(crate) days: i32,
    /// The rest.
    pub(crate) microseconds: i64,
}

impl Interval {
    /// Writes the text form. A positive part after a negative one carries a plus, as `interval_out` does.
    pub(crate) fn write_text(self, out: &mut BytesMut) {
        let mut any = false;
        let mut after_negative = false;
        for (value, unit) in
            [(i64::from(self.months / 12), "year"), (i64::from(self.months % 12), "mon"), (i64::from(self.days), "day")]
        {
            if value != 0 {
                let space = if any { " " } else { "" };
                let plus = if after_negative && value > 0 { "+" } else { "" };
                let plural = if value == 1 { "" } else { "s" };
                out.put_slice(format!("{space}{plus}{value} {unit}{plural}").as_bytes());
                any = true;
                after_negative = value < 0;
            }
        }
        if any && self.microseconds == 0 {
            return;
        }
        if any {
            out.put_u8(b' ');
        }
        if self.microseconds < 0 {
            out.put_u8(b'-');
        } else if after_negative {
            out.put_u8(b'+');
        }
        let magnitude = self.microseconds.unsigned_abs();
        let seconds = magnitude / 1_000_000;
        out.put_slice(format!("{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60).as_bytes());
        write_fraction(i64::try_from(magnitude % 1_000_000).unwrap_or(0), out);
    }

    /// Writes the binary form.
    pub(crate) fn write_binary(self, out: &mut BytesMut) {
        out.put_i64(self.microseconds);
        out.put_i32(self.days);
        out.put_i32(self.months);
    }

    /// Reads the binary form. Errors: 22P03.
    pub(crate) fn from_binary(bytes: &[u8]) -> Result<Self, Failure> {
        let wrong = || Failure::new("22P03", "incorrect binary data format for type interval");
        let bytes: [u8; 16] = bytes.try_into().map_err(|_| wrong())?;
        let (microseconds, rest) = bytes.split_at(8);
        let (days, months) = rest.split_at(4);
        Ok(Self {
            microseconds: i64::from_be_bytes(microseconds.try_into().map_err(|_| wrong())?),
            days: i32::from_be_bytes(days.try_into().map_err(|_| wrong())?),
            months: i32::from_be_bytes(months.try_into().map_err(|_| wrong())?),
        })
    }

    /// Reads the text form: numbers with units, and a time of day at the end. Errors: 22007.
    pub(crate) fn from_text(text: &str) -> Result<Self, Failure> {
        let wrong = || Failure::new("22007", "invalid input syntax for type interval");
        let mut interval = Self { months: 0, days: 0, microseconds: 0 };
        let mut words = text.split_whitespace().filter(|word| *word != "@").peekable();
        if words.peek().is_none() {
            return Err(wrong());
        }
        while let Some(word) = words.next() {
            if word.contains(':') {
                interval.add_clock(word).ok_or_else(wrong)?;
                continue;
            }
            // The unit may be glued to its number: 5min.
            let split = word.find(|found: char| found.is_ascii_alphabetic()).unwrap_or(word.len());
            let (number, glued) = word.split_at(split);
            let unit = if glued.is_empty() { words.next().unwrap_or("second") } else { glued };
            let micros = scaled_micros(number).ok_or_else(wrong)?;
            interval.add_unit(micros, unit).ok_or_else(wrong)?;
        }
        Ok(interval)
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
