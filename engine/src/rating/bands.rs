//! Prices that depend on the period's total quantity: graduated, volume and package.
//!
//! The total of a counter is priced once and spread over its rows by quantity, so that the order
//! of rows does not matter and a correction changes the total, not its own row only.

use arrow::datatypes::i256;
use ratehouse_udfs::decimal::{ArithmeticError, ONE, Rounding, mul_div_round, parse_decimal};
use serde_json::Value;

/// How the bands of a rule apply to a total.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BandMethod {
    /// Each band's part of the total at that band's price.
    Graduated,
    /// The whole total at the price of the band in which it ends.
    Volume,
    /// Whole blocks, the started one included.
    Package,
}

/// Whose quantity one counter adds up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Scope {
    /// One provider account.
    Account,
    /// The node that owns the row.
    Node,
    /// Everything that the buyer of the edge buys.
    Subtree,
}

impl Scope {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "account" => Self::Account,
            "node" | "" => Self::Node,
            "subtree" => Self::Subtree,
            _ => return None,
        })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Band {
    /// The last quantity in the band, inclusive; none has no end.
    up_to: Option<i128>,
    price: i128,
}

/// The bands of one rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bands {
    method: BandMethod,
    bands: Vec<Band>,
}

/// What a total costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TotalPrice {
    /// This much, to be spread over the rows by quantity.
    Spread {
        /// The total quantity.
        quantity: i128,
        /// Its price.
        price: i128,
    },
    /// The quantities cancel out: each row at this price of a unit.
    Unit(i128),
    /// Beyond the last band: no price.
    Beyond,
}

impl Bands {
    /// Reads `[{"up_to": "100", "price": "0.10"}, {"up_to": null, "price": "0.08"}]`.
    ///
    /// A package has one entry: `up_to` is the size of a block and `price`, or the rule's value,
    /// what a block costs. None when the text is anything else, or bounds do not rise.
    pub(crate) fn parse(method: BandMethod, text: &str, value: Option<i128>) -> Option<Self> {
        let Value::Array(entries) = serde_json::from_str(text).ok()? else { return None };
        let mut bands = Vec::with_capacity(entries.len());
        for entry in &entries {
            let up_to = match entry.get("up_to") {
                None | Some(Value::Null) => None,
                Some(bound) => Some(decimal(bound)?),
            };
            let price = match entry.get("price") {
                Some(price) => decimal(price)?,
                None if method == BandMethod::Package => value?,
                None => return None,
            };
            bands.push(Band { up_to, price });
        }
        let rising = bands.windows(2).all(|pair| match (pair[0].up_to, pair[1].up_to) {
            (Some(lower), Some(upper)) => lower < upper,
            (Some(_), None) => true,
            (None, _) => false,
        });
        let positive = bands.first()?.up_to.is_none_or(|bound| bound > 0);
        let whole = method != BandMethod::Package || (bands.len() == 1 && bands[0].up_to.is_some());
        (rising && positive && whole).then_some(Self { method, bands })
    }

    /// Whether there are totals that lie beyond the last band.
    pub(crate) fn is_limited(&self) -> bool {
        self.method != BandMethod::Package && self.bands.last().is_some_and(|band| band.up_to.is_some())
    }

    /// Prices the total quantity of a counter; a negative total mirrors the positive one.
    pub(crate) fn price_total(&self, quantity: i128) -> Result<TotalPrice, ArithmeticError> {
        if quantity == 0 {
            let first = if self.method == BandMethod::Package { 0 } else { self.bands[0].price };
            return Ok(TotalPrice::Unit(first));
        }
        let magnitude = quantity.checked_abs().ok_or(ArithmeticError::Overflow)?;
        let priced = match self.method {
            BandMethod::Graduated => self.graduated(magnitude)?,
            BandMethod::Volume => self.volume(magnitude)?,
            BandMethod::Package => Some(self.package(magnitude)?),
        };
        Ok(match priced {
            None => TotalPrice::Beyond,
            Some(price) if quantity < 0 => TotalPrice::Spread { quantity, price: -price },
            Some(price) => TotalPrice::Spread { quantity, price },
        })
    }

    fn graduated(&self, total: i128) -> Result<Option<i128>, ArithmeticError> {
        let mut sum = i256::ZERO;
        let mut priced = 0;
        for band in &self.bands {
            let end = band.up_to.map_or(total, |bound| bound.min(total));
            let product = i256::from_i128(end - priced)
                .checked_mul(i256::from_i128(band.price))
                .ok_or(ArithmeticError::Overflow)?;
            sum = sum.checked_add(product).ok_or(ArithmeticError::Overflow)?;
            priced = end;
            if priced == total {
                return round_wide(sum).map(Some);
            }
        }
        Ok(None)
    }

    fn volume(&self, total: i128) -> Result<Option<i128>, ArithmeticError> {
        let band = self.bands.iter().find(|band| band.up_to.is_none_or(|bound| total <= bound));
        band.map(|band| mul_div_round(total, band.price, ONE, Rounding::HalfEven)).transpose()
    }

    fn package(&self, total: i128) -> Result<i128, ArithmeticError> {
        let size = self.bands[0].up_to.unwrap_or(ONE);
        let blocks = total / size + i128::from(total % size != 0);
        blocks.checked_mul(self.bands[0].price).ok_or(ArithmeticError::Overflow)
    }
}

impl TotalPrice {
    /// The part of a row with this quantity; none beyond the last band.
    pub(crate) fn part(self, quantity: i128) -> Result<Option<i128>, ArithmeticError> {
        match self {
            Self::Spread { quantity: total, price } => {
                mul_div_round(price, quantity, total, Rounding::HalfEven).map(Some)
            }
            Self::Unit(price) => mul_div_round(price, quantity, ONE, Rounding::HalfEven).map(Some),
            Self::Beyond => Ok(None),
        }
    }
}

fn decimal(value: &Value) -> Option<i128> {
    let parsed = match value {
        Value::String(text) => parse_decimal(text).ok()?,
        // A whole number is exact; a fraction would have been a float.
        Value::Number(number) if number.is_i64() => parse_decimal(&number.to_string()).ok()?,
        _ => return None,
    };
    Some(parsed.value)
}

/// Rounds a value of scale 36 half-even to scale 18.
fn round_wide(value: i256) -> Result<i128, ArithmeticError> {
    let one = i256::from_i128(ONE);
    let quotient = value.wrapping_div(one);
    let rest = value.wrapping_sub(quotient.wrapping_mul(one));
    let quotient = quotient.to_i128().ok_or(ArithmeticError::Overflow)?;
    let doubled = rest.to_i128().map_or(0, i128::abs) * 2;
    let away = doubled > ONE || (doubled == ONE && quotient % 2 != 0);
    let step = if value.is_negative() { -1 } else { 1 };
    Ok(if away { quotient + step } else { quotient })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CENT: i128 = ONE / 100;

    fn bands(method: BandMethod, text: &str) -> Bands {
        Bands::parse(method, text, None).expect("well-formed bands")
    }

    const TWO: &str = r#"[{"up_to": "100", "price": "0.10"}, {"up_to": null, "price": "0.08"}]"#;

    #[test]
    fn graduated_prices_each_part_at_its_band() {
        let bands = bands(BandMethod::Graduated, TWO);
        // 100 x 0.10 + 50 x 0.08 = 10.00 + 4.00
        let total = bands.price_total(150 * ONE).expect("in range");
        assert_eq!(total, TotalPrice::Spread { quantity: 150 * ONE, price: 14 * ONE });
        // A row with a third of the quantity carries a third: 4.666666666666666667
        assert_eq!(total.part(50 * ONE), Ok(Some(4_666_666_666_666_666_667)));
        // The bound belongs to the lower band: 100 x 0.10
        let bound = bands.price_total(100 * ONE).expect("in range");
        assert_eq!(bound.part(100 * ONE), Ok(Some(10 * ONE)));
    }

    #[test]
    fn volume_prices_all_at_the_band_of_the_total() {
        let bands = bands(BandMethod::Volume, TWO);
        // 150 x 0.08 = 12.00; 100 x 0.10 = 10.00
        assert_eq!(bands.price_total(150 * ONE), Ok(TotalPrice::Spread { quantity: 150 * ONE, price: 12 * ONE }));
        assert_eq!(bands.price_total(100 * ONE), Ok(TotalPrice::Spread { quantity: 100 * ONE, price: 10 * ONE }));
    }

    #[test]
    fn a_started_block_counts_whole() {
        let bands = bands(BandMethod::Package, r#"[{"up_to": "1000", "price": "2.50"}]"#);
        // 1001 units are 2 blocks of 1000: 5.00; 1000 are one: 2.50
        assert_eq!(bands.price_total(1001 * ONE), Ok(TotalPrice::Spread { quantity: 1001 * ONE, price: 5 * ONE }));
        assert_eq!(bands.price_total(1000 * ONE), Ok(TotalPrice::Spread { quantity: 1000 * ONE, price: 250 * CENT }));
    }

    #[test]
    fn corrections_mirror_and_cancel() {
        let bands = bands(BandMethod::Graduated, TWO);
        assert_eq!(bands.price_total(-150 * ONE), Ok(TotalPrice::Spread { quantity: -150 * ONE, price: -14 * ONE }));
        // +5 and -5: nothing is due, and each row shows the first band's price
        let none = bands.price_total(0).expect("in range");
        assert_eq!(none.part(5 * ONE), Ok(Some(50 * CENT)));
        assert_eq!(none.part(-5 * ONE), Ok(Some(-50 * CENT)));
    }

    #[test]
    fn a_total_beyond_the_last_bound_has_no_price() {
        let bands = bands(BandMethod::Graduated, r#"[{"up_to": "100", "price": "0.10"}]"#);
        assert_eq!(bands.price_total(101 * ONE), Ok(TotalPrice::Beyond));
    }

    #[test]
    fn malformed_bands_are_refused() {
        for text in [
            "{}",
            "[]",
            r#"[{"up_to": "100"}]"#,
            r#"[{"up_to": "100", "price": 0.1}]"#,
            r#"[{"up_to": null, "price": "1"}, {"up_to": "5", "price": "1"}]"#,
            r#"[{"up_to": "5", "price": "1"}, {"up_to": "5", "price": "1"}]"#,
            r#"[{"up_to": "0", "price": "1"}]"#,
        ] {
            assert_eq!(Bands::parse(BandMethod::Graduated, text, None), None, "{text}");
        }
    }
}
