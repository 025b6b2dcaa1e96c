//! Time zones as settings and texts name them.

use super::write::DAY_US;
use chrono::{FixedOffset, NaiveDateTime, Offset, TimeZone};
use datafusion::common::config::ConfigOptions;

/// The `TimeZone` setting of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Zone {
    /// No offset, ever.
    Utc,
    /// A zone of the IANA database.
    Named(chrono_tz::Tz),
    /// The same offset all year.
    Fixed(FixedOffset),
}

impl Zone {
    /// Reads the setting; an unknown text is UTC, as the session refuses such a setting.
    #[must_use]
    pub fn of_setting(text: &str) -> Self {
        Self::named(text).unwrap_or(Self::Utc)
    }

    /// The zone of a name or of an offset; `None` if there is none.
    #[must_use]
    pub fn named(text: &str) -> Option<Self> {
        if ["utc", "etc/utc", "gmt", "z"].contains(&text.to_ascii_lowercase().as_str()) {
            return Some(Self::Utc);
        }
        let same_name = |zone: &&chrono_tz::Tz| zone.name().eq_ignore_ascii_case(text);
        if let Some(named) = chrono_tz::TZ_VARIANTS.iter().find(same_name) {
            return Some(Self::Named(*named));
        }
        // `SET TIME ZONE -3` is kept by PostgreSQL as `<-03>+03`: the sign in the brackets is the one that users mean.
        let inner = text.strip_prefix('<').and_then(|rest| rest.split('>').next()).unwrap_or(text);
        parse_offset(inner).and_then(FixedOffset::east_opt).map(Self::Fixed)
    }

    /// The zone of the session that an expression is evaluated for.
    #[must_use]
    pub fn of_session(options: &ConfigOptions) -> Self {
        options.execution.time_zone.as_deref().map_or(Self::Utc, Self::of_setting)
    }

    /// The zone that a text names; an offset counts west of UTC there, as in POSIX.
    #[must_use]
    pub fn of_text(text: &str) -> Option<Self> {
        match Self::named(text)? {
            Self::Fixed(offset) if !text.starts_with('<') => {
                FixedOffset::west_opt(offset.local_minus_utc()).map(Self::Fixed)
            }
            zone => Some(zone),
        }
    }

    /// Seconds east of UTC at an instant.
    #[must_use]
    pub fn offset_at(self, instant_us: i64) -> i64 {
        match self {
            Self::Utc => 0,
            Self::Fixed(offset) => i64::from(offset.local_minus_utc()),
            Self::Named(zone) => chrono::DateTime::from_timestamp_micros(instant_us)
                .map_or(0, |at| i64::from(zone.offset_from_utc_datetime(&at.naive_utc()).fix().local_minus_utc())),
        }
    }

    /// The instant of a local time; the later one where clocks are set back, the shifted one where they are set forward: both as
    /// PostgreSQL has it.
    #[must_use]
    pub fn instant_of(self, local: NaiveDateTime) -> i64 {
        let utc = local.and_utc().timestamp_micros();
        match self {
            Self::Utc => utc,
            Self::Fixed(offset) => utc - i64::from(offset.local_minus_utc()) * 1_000_000,
            Self::Named(zone) => match zone.from_local_datetime(&local).latest() {
                Some(found) => found.timestamp_micros(),
                None => utc - self.offset_at(utc - DAY_US) * 1_000_000,
            },
        }
    }
}

/// Seconds east of UTC of `+02`, `-0330`, `+05:30`.
pub(super) fn parse_offset(text: &str) -> Option<i32> {
    let (sign, rest) = match text.as_bytes().first()? {
        b'+' => (1, &text[1..]),
        b'-' => (-1, &text[1..]),
        _ => return None,
    };
    let digits: String = rest.chars().filter(|found| *found != ':').collect();
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let part = |range: std::ops::Range<usize>| digits.get(range).map_or(Some(0), |text| text.parse::<i32>().ok());
    let (hours, minutes, seconds) = match digits.len() {
        1 => (part(0..1)?, 0, 0),
        2 => (part(0..2)?, 0, 0),
        4 => (part(0..2)?, part(2..4)?, 0),
        6 => (part(0..2)?, part(2..4)?, part(4..6)?),
        _ => return None,
    };
    (hours <= 15 && minutes < 60 && seconds < 60).then_some(sign * ((hours * 60 + minutes) * 60 + seconds))
}
