//! Exact decimal arithmetic on integers: parsing, formatting, rounding and the wide intermediate results.
//!
//! A decimal is an integer and a scale: `12.50` is `1250` at scale 2. Stored money, prices and quantities are `i128` at
//! [`SCALE`]; products and quotients of two of them need up to 512 bits before they are rounded, which the module `wide` provides.
//! Nothing here touches a float, except [`parse_f64`], which reads one through its shortest decimal text.

mod format;
mod mul_div;
#[cfg(test)]
pub(crate) mod oracle;
mod parse;
mod powers;
mod quotient;
mod rounding;
pub(crate) mod wide;

pub use format::{format_decimal, format_trimmed, write_decimal};
pub use mul_div::{ArithmeticError, div_round, mul_div_round, mul_round, rescale_round};
pub(crate) use mul_div::{divide_rounded, within_precision};
pub use parse::{
    DecimalParseError, ParsedDecimal, parse_decimal, parse_decimal_at, parse_f64, parse_f64_at, parse_text_at,
};
pub use powers::{POWERS_OF_TEN, power_of_ten};
pub use quotient::{QUOTIENT_SCALE, divide, division_scale};
pub use rounding::{ParseRoundingError, Rounding};

/// Digits after the point of every stored amount, price and quantity.
pub const SCALE: i8 = 18;

/// Digits of every stored amount, price and quantity.
pub const PRECISION: u8 = 38;

/// The integer that stands for 1 at [`SCALE`].
pub const ONE: i128 = 1_000_000_000_000_000_000;
