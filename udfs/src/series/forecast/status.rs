//! What a forecast says about the series it was made from.

use std::fmt::{Display, Formatter, Result};

/// Why a forecast is weak or missing; `Fine` reads as the empty text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Status {
    /// Nothing to say.
    #[default]
    Fine,
    /// No finite value at all: every row of the forecast is NaN.
    NoData,
    /// Fewer than three values give no forecast, fewer than fifteen the mean of them.
    ShortHistory,
    /// The last values are missing, so the forecast starts from older ones.
    NoRecentData,
    /// Every value is zero, and so is the forecast.
    AllZero,
    /// The values are too large to be computed with: what does not fit is NaN.
    OutOfRange,
}

impl Status {
    /// The text that SQL shows.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fine => "",
            Self::NoData => "no_data",
            Self::ShortHistory => "short_history",
            Self::NoRecentData => "no_recent_data",
            Self::AllZero => "all_zero",
            Self::OutOfRange => "out_of_range",
        }
    }
}

impl Display for Status {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> Result {
        formatter.write_str(self.as_str())
    }
}
