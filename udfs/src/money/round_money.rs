//! `round_money(amount, currency [, mode])`.

use super::arguments::{MONEY, Parsed, Text, amount_type, parse_rounding, round_to, text_type};
use super::currency::Currency;
use crate::columnar::shaped;
use crate::decimal::{Rounding, SCALE};
use crate::numeric::Operand;
use arrow::array::Decimal128Builder;
use arrow::datatypes::{DataType, i256};
use datafusion::common::{Result, exec_datafusion_err, plan_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};
use std::sync::Arc;

/// Rounds an amount to the minor unit of its currency (JPY 0, USD 2, KWD 3 digits).
///
/// The mode is one of `half_even` (default), `half_up`, `down`, `up`. The amount is rounded once, from all the digits it
/// has; the result keeps the type of stored money. An unknown currency is an error: it is not rounded as if it had two
/// digits.
///
/// ```sql
/// select round_money(sum(price), currency) from charges group by currency;
/// select round_money(12.345, 'USD');            -- 12.34
/// select round_money(12.345, 'USD', 'half_up'); -- 12.35
/// ```
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct RoundMoney {
    signature: Signature,
}

impl Default for RoundMoney {
    fn default() -> Self {
        Self::new()
    }
}

impl RoundMoney {
    /// Returns the function.
    #[must_use]
    pub fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

fn parse_currency(text: &str) -> Result<Currency> {
    Currency::of(text).map_err(|error| exec_datafusion_err!("{error}"))
}

impl ScalarUDFImpl for RoundMoney {
    fn name(&self) -> &str {
        "round_money"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        let (amount, currency, mode) = match arg_types {
            [amount, currency] => (amount, currency, None),
            [amount, currency, mode] => (amount, currency, Some(mode)),
            _ => {
                return plan_err!("round_money takes an amount, a currency and optionally a rounding mode");
            }
        };
        let mut types = vec![amount_type(self.name(), amount)?, text_type(self.name(), "the currency", currency)?];
        if let Some(mode) = mode {
            types.push(text_type(self.name(), "the rounding mode", mode)?);
        }
        Ok(types)
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(MONEY)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let amount = Operand::new(&args.args[0])?;
        let currency = Text::new(&args.args[1])?;
        let mode = args.args.get(2).map(Text::new).transpose()?;
        let is_constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if is_constant { 1 } else { args.number_rows };

        let value = amount.wide();
        let mut currencies = Parsed::new(&currency, parse_currency);
        let mut modes = mode.as_ref().map(|mode| Parsed::new(mode, parse_rounding));
        let mut rounded = Decimal128Builder::with_capacity(rows).with_data_type(MONEY);
        for row in 0..rows {
            let mode = match &mut modes {
                None => Some(Rounding::default()),
                Some(modes) => modes.at(row)?,
            };
            // The currency is looked up before NULL amounts are passed over, so that a wrong one does not hide.
            let (currency, known) = (currencies.at(row)?, amount.is_valid(row).then(|| value(row)));
            let result = match (known, currency, mode) {
                (Some(value), Some(currency), Some(mode)) => Some(round(value, amount.scale, currency, mode)?),
                _ => None,
            };
            rounded.append_option(result);
        }
        let array = rounded.finish();
        shaped(Arc::new(array), is_constant)
    }
}

fn round(value: i256, scale: i8, currency: Currency, mode: Rounding) -> Result<i128> {
    Ok(round_to(value, scale, currency.minor_unit(), SCALE, mode)?)
}
