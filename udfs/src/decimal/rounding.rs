//! The four rounding modes a contract can name.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// How a result that does not fit its scale is rounded.
///
/// Every mode is symmetric: the negative of a value rounds to the negative of its result, so a credit mirrors its charge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Rounding {
    /// To the nearest, a tie to the even digit: `0.125` is `0.12`, `0.135` is `0.14`. The default of every money function.
    #[default]
    HalfEven,
    /// To the nearest, a tie away from zero: `0.125` is `0.13`. What PostgreSQL's `round(numeric)` does.
    HalfUp,
    /// Toward zero: `0.129` is `0.12`.
    Down,
    /// Away from zero: `0.121` is `0.13`.
    Up,
}

impl Rounding {
    /// The names SQL functions accept, in the order of the variants.
    pub const NAMES: [&'static str; 4] = ["half_even", "half_up", "down", "up"];

    /// Returns the name SQL uses for this mode.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::HalfEven => "half_even",
            Self::HalfUp => "half_up",
            Self::Down => "down",
            Self::Up => "up",
        }
    }

    /// Decides whether a magnitude that was truncated is increased by one.
    ///
    /// `is_odd` tells whether the truncated magnitude is odd, `to_half` how the dropped part compares with one half of the
    /// last kept digit, `is_exact` whether nothing was dropped.
    #[must_use]
    pub const fn increments(self, is_odd: bool, to_half: Ordering, is_exact: bool) -> bool {
        match self {
            Self::HalfEven => match to_half {
                Ordering::Less => false,
                Ordering::Equal => is_odd,
                Ordering::Greater => true,
            },
            Self::HalfUp => !matches!(to_half, Ordering::Less),
            Self::Down => false,
            Self::Up => !is_exact,
        }
    }
}

impl fmt::Display for Rounding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The text is not the name of a rounding mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParseRoundingError;

impl fmt::Display for ParseRoundingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("unknown rounding mode: use 'half_even', 'half_up', 'down' or 'up'")
    }
}

impl std::error::Error for ParseRoundingError {}

impl FromStr for Rounding {
    type Err = ParseRoundingError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "half_even" => Ok(Self::HalfEven),
            "half_up" => Ok(Self::HalfUp),
            "down" => Ok(Self::Down),
            "up" => Ok(Self::Up),
            _ => Err(ParseRoundingError),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_parses_to_the_mode_that_has_it() {
        for name in Rounding::NAMES {
            assert_eq!(name.parse::<Rounding>().map(Rounding::name), Ok(name));
        }
        assert_eq!("HALF_EVEN".parse::<Rounding>(), Err(ParseRoundingError));
    }
}
