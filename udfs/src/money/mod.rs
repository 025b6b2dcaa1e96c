//! Money functions with declared conventions: every rounding, proration and time zone is an argument.

mod arguments;
mod billing_period;
mod convert;
mod currency;
mod div_round;
mod mask_margin;
mod prorate;
mod round_money;

#[cfg(test)]
mod tests;

pub use billing_period::{BillingPeriod, billing_period};
pub use convert::{FxConvert, Quotation, convert};
pub use currency::{Currency, CurrencyError, MINOR_UNITS};
pub use div_round::DivRound;
pub use mask_margin::{MaskMargin, mask_margin};
pub use prorate::{Convention, Prorate, prorate};
pub use round_money::RoundMoney;
