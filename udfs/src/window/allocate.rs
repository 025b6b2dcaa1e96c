//! `allocate(amount, weight [, residue [, scale]]) over (partition by pool order by key)`.

use super::split::{Residue, SplitError, split};
use crate::decimal::{PRECISION, SCALE, power_of_ten};
use arrow::array::{ArrayRef, AsArray, Decimal128Array, new_null_array};
use arrow::datatypes::{DataType, Decimal128Type, Field, FieldRef};
use datafusion::common::{Result, ScalarValue, exec_datafusion_err, exec_err, internal_err, plan_err};
use datafusion::logical_expr::function::{PartitionEvaluatorArgs, WindowUDFFieldArgs};
use datafusion::logical_expr::{LimitEffect, PartitionEvaluator, Signature, Volatility, WindowUDFImpl};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Literal;
use std::sync::Arc;

const MONEY: DataType = DataType::Decimal128(PRECISION, SCALE);

/// Splits a pool over the rows of a partition by their weights, exactly.
///
/// `amount` is the pool's total, the same on every row; `weight` is zero or more (NULL counts as zero). The parts add up to
/// the pool to the last digit. Options, which are constants:
///
/// - `residue`: `'largest'` (default) gives what division leaves over to the largest remainders, ties in the window's order;
///   `'owner'` truncates every part toward zero and leaves the rest to the pool's owner.
/// - `scale`: the digits of a part, 0 to 18 (default 18).
///
/// Where all weights are zero every row is NULL: the caller sends the pool to its fallback or to `unallocated`. Order by a
/// key that is unique within the pool, else ties are decided by chance.
///
/// ```sql
/// select team, allocate(pool_cost, cpu_hours) over (partition by pool_id order by team) from shares;
/// select team, allocate(pool_cost, cpu_hours, 'owner', 2) over (partition by pool_id order by team) from shares;
/// select team, allocate(pool_cost, cpu_hours, residue => 'owner') over (partition by pool_id order by team) from shares;
/// ```
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Allocate {
    signature: Signature,
}

impl Default for Allocate {
    fn default() -> Self {
        Self::new()
    }
}

impl Allocate {
    /// Returns the function.
    #[must_use]
    pub fn new() -> Self {
        let mut signature = Signature::user_defined(Volatility::Immutable);
        signature.parameter_names = Some(["amount", "weight", "residue", "scale"].map(str::to_owned).to_vec());
        Self { signature }
    }
}

/// The type weights are read as: integers and decimals of up to 38 digits.
fn weight_type(data_type: &DataType) -> Result<DataType> {
    Ok(match data_type {
        DataType::Null => MONEY,
        DataType::Decimal128(_, scale) if *scale >= 0 => data_type.clone(),
        integer if integer.is_integer() => DataType::Decimal128(20, 0),
        decimal if decimal.is_decimal() => MONEY,
        other => {
            return plan_err!("allocate takes exact weights (integer or numeric), not {other}");
        }
    })
}

impl WindowUDFImpl for Allocate {
    fn name(&self) -> &str {
        "allocate"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        let [amount, weight, options @ ..] = arg_types else {
            return plan_err!("allocate takes an amount, a weight, and optionally a residue and a scale");
        };
        if !(amount.is_decimal() || amount.is_integer() || amount.is_null()) {
            return plan_err!("allocate takes an exact amount (numeric), not {amount}: cast it to numeric");
        }
        let mut types = vec![MONEY, weight_type(weight)?];
        match options.len() {
            0..=2 => types.extend([DataType::Utf8, DataType::Int64].into_iter().take(options.len())),
            _ => return plan_err!("allocate takes at most four arguments"),
        }
        Ok(types)
    }

    fn field(&self, field_args: WindowUDFFieldArgs) -> Result<FieldRef> {
        Ok(Arc::new(Field::new(field_args.name(), MONEY, true)))
    }

    fn partition_evaluator(&self, args: PartitionEvaluatorArgs) -> Result<Box<dyn PartitionEvaluator>> {
        let options = args.input_exprs().get(2..).unwrap_or_default();
        let residue = match options.first().map(constant).transpose()? {
            None => Residue::default(),
            Some(
                ScalarValue::Utf8(Some(text)) | ScalarValue::Utf8View(Some(text)) | ScalarValue::LargeUtf8(Some(text)),
            ) => text.parse().map_err(|()| exec_datafusion_err!("unknown residue: use 'largest' or 'owner'"))?,
            Some(_) => return plan_err!("the residue of allocate is 'largest' or 'owner'"),
        };
        let scale = match options.get(1).map(constant).transpose()? {
            None => i64::from(SCALE),
            Some(scalar) => match scalar.cast_to(&DataType::Int64)? {
                ScalarValue::Int64(Some(scale)) => scale,
                _ => -1,
            },
        };
        let places_dropped = u32::try_from(i64::from(SCALE) - scale).ok().filter(|dropped| *dropped <= 18);
        match places_dropped.and_then(power_of_ten) {
            Some(unit) => Ok(Box::new(AllocateEvaluator { residue, unit })),
            None => plan_err!("the scale of allocate is a constant from 0 to 18"),
        }
    }

    fn limit_effect(&self, _args: &[Arc<dyn PhysicalExpr>]) -> LimitEffect {
        // Every part depends on the whole partition.
        LimitEffect::Unknown
    }
}

fn constant(expr: &Arc<dyn PhysicalExpr>) -> Result<ScalarValue> {
    match expr.downcast_ref::<Literal>() {
        Some(literal) => Ok(literal.value().clone()),
        None => plan_err!("the residue and the scale of allocate are constants"),
    }
}

/// Splits one pool.
#[derive(Debug)]
struct AllocateEvaluator {
    residue: Residue,
    unit: i128,
}

impl PartitionEvaluator for AllocateEvaluator {
    fn evaluate_all(&mut self, values: &[ArrayRef], num_rows: usize) -> Result<ArrayRef> {
        let decimals = (values[0].as_primitive_opt::<Decimal128Type>(), values[1].as_primitive_opt::<Decimal128Type>());
        let (Some(amounts), Some(weights)) = decimals else {
            return internal_err!("the arguments of allocate were not coerced");
        };
        let Some(pool) = pool_of(amounts)? else {
            return Ok(new_null_array(&MONEY, num_rows));
        };
        let weights: Vec<i128> = weights.iter().map(Option::unwrap_or_default).collect();
        match split(pool, &weights, self.unit, self.residue) {
            Ok(parts) => Ok(Arc::new(Decimal128Array::from(parts).with_data_type(MONEY))),
            Err(SplitError::NoWeight) => Ok(new_null_array(&MONEY, num_rows)),
            Err(error @ SplitError::NegativeWeight) => exec_err!("allocate: {error}"),
        }
    }
}

/// Returns the amount that every row repeats, or `None` where every row is NULL.
fn pool_of(amounts: &Decimal128Array) -> Result<Option<i128>> {
    let mut rows = amounts.iter();
    let pool = rows.next().flatten();
    if rows.any(|amount| amount != pool) {
        return exec_err!("allocate: the amount is the pool's total, equal on every row of a partition");
    }
    Ok(pool)
}
