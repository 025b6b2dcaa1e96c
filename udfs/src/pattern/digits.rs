//! A number as its sign and digits, rounded where the pattern ends.

/// A number before it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Digits {
    /// Whether it is below zero.
    pub(super) is_negative: bool,
    whole: String,
    fraction: String,
}

impl Digits {
    /// A decimal of that scale: `-1234` of scale 2 is -12.34.
    pub(super) fn of_decimal(unscaled: &str, scale: i8) -> Self {
        let (is_negative, digits) = match unscaled.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, unscaled),
        };
        let places = usize::from(scale.max(0).unsigned_abs());
        let zeros_after = usize::from(scale.min(0).unsigned_abs());
        let digits = format!("{digits:0>width$}{:0<zeros_after$}", "", width = places + 1);
        let (whole, fraction) = digits.split_at(digits.len() - places);
        let whole = match whole.trim_start_matches('0') {
            "" => "0",
            whole => whole,
        };
        Self { is_negative, whole: whole.to_owned(), fraction: fraction.to_owned() }
    }

    /// The number times a power of ten, for `V`.
    #[must_use]
    pub(super) fn shifted(mut self, places: usize) -> Self {
        self.fraction = format!("{:0<places$}", self.fraction);
        let moved: String = self.fraction.drain(..places).collect();
        self.whole.push_str(&moved);
        let whole = self.whole.trim_start_matches('0');
        self.whole = if whole.is_empty() { "0".to_owned() } else { whole.to_owned() };
        self
    }

    /// The digits with exactly that many places, rounded half away from zero: `12.35`, or `12` for none.
    pub(super) fn rounded(&self, places: usize) -> (String, String) {
        if self.fraction.len() <= places {
            return (self.whole.clone(), format!("{:0<places$}", self.fraction));
        }
        let mut kept: Vec<u8> = self.whole.bytes().chain(self.fraction.bytes().take(places)).collect();
        if self.fraction.as_bytes()[places] >= b'5' {
            let nines = kept.iter().rev().take_while(|digit| **digit == b'9').count();
            let first_nine = kept.len() - nines;
            kept[first_nine..].fill(b'0');
            match first_nine.checked_sub(1) {
                Some(at) => kept[at] += 1,
                None => kept.insert(0, b'1'),
            }
        }
        let text = String::from_utf8(kept).unwrap_or_default();
        let (whole, fraction) = text.split_at(text.len() - places);
        (whole.to_owned(), fraction.to_owned())
    }
}
