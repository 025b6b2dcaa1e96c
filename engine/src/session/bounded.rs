//! Functions whose result may be much larger than their arguments, bounded.
//!
//! Memory limits see what operators keep, not what an expression makes of one batch. These functions say beforehand how large their
//! result can become, and are refused what is beyond the bound.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, FieldRef, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit, TimeUnit,
};
use datafusion::common::{Result, resources_err};
use datafusion::execution::FunctionRegistry;
use datafusion::execution::SessionState;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};

/// Bytes that a function may make of one batch of rows.
const BATCH_BYTES_MAX: u64 = 128 << 20;
/// Bytes of an element of an array of numbers.
const ELEMENT_BYTES: u64 = 8;

/// How large the value of a row becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Growth {
    /// The first argument as often as the second says.
    Times,
    /// As long as the second argument says.
    Length,
    /// The first argument with the third for each of the second.
    Replaced,
    /// The same; a match may be empty, and the replacement may repeat what was matched.
    Matched,
    /// All arguments together.
    Sum,
    /// From the first argument to the second, by the third; or up to the only one.
    Range,
}

const BOUNDED: [(&str, Growth); 13] = [
    ("array_repeat", Growth::Times),
    ("repeat", Growth::Times),
    ("array_resize", Growth::Length),
    ("lpad", Growth::Length),
    ("rpad", Growth::Length),
    ("replace", Growth::Replaced),
    ("regexp_replace", Growth::Matched),
    ("concat", Growth::Sum),
    ("concat_ws", Growth::Sum),
    ("array_concat", Growth::Sum),
    ("overlay", Growth::Sum),
    ("generate_series", Growth::Range),
    ("range", Growth::Range),
];

/// Functions that PostgreSQL does not have and whose time or memory no bound here sees.
const REMOVED: [&str; 8] =
    ["array_except", "array_intersect", "array_union", "levenshtein", "make_map", "map", "map_extract", "map_values"];

/// Puts bounds around the functions of a state.
pub(super) fn bound(state: &mut SessionState) {
    for (name, growth) in BOUNDED {
        if let Ok(inner) = state.udf(name) {
            let _ = state.register_udf(Arc::new(ScalarUDF::from(Bounded { inner, growth })));
        }
    }
    for name in REMOVED {
        let _ = state.deregister_udf(name);
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Bounded {
    inner: Arc<ScalarUDF>,
    growth: Growth,
}

impl ScalarUDFImpl for Bounded {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(arg_types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(arg_types)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if is_constant { 1 } else { args.number_rows };
        if self.bytes(&args.args, rows)? > BATCH_BYTES_MAX {
            return resources_err!("a value is too large");
        }
        self.inner.invoke_with_args(args)
    }
}

/// An argument, row by row.
enum Argument {
    /// The same in all rows.
    One(ArrayRef),
    Each(ArrayRef),
}

impl Argument {
    fn new(value: &ColumnarValue) -> Result<Self> {
        Ok(match value {
            ColumnarValue::Scalar(value) => Self::One(value.to_array()?),
            ColumnarValue::Array(values) => Self::Each(Arc::clone(values)),
        })
    }

    fn array(&self) -> &ArrayRef {
        match self {
            Self::One(array) | Self::Each(array) => array,
        }
    }

    fn place(&self, row: usize) -> usize {
        match self {
            Self::One(_) => 0,
            Self::Each(_) => row,
        }
    }

    /// Bytes of each row's value.
    fn lengths(&self) -> Result<Vec<u64>> {
        let array = self.array();
        Ok(match array.data_type() {
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
                let texts = cast(array, &DataType::Utf8View)?;
                texts.as_string_view().iter().map(|text| text.map_or(0, str::len) as u64).collect()
            }
            DataType::List(_) => {
                let lists = array.as_list::<i32>();
                let each = (lists.get_array_memory_size() / lists.values().len().max(1)) as u64;
                (0..lists.len()).map(|row| u64::from(lists.value_length(row).unsigned_abs()) * each).collect()
            }
            _ => vec![ELEMENT_BYTES; array.len()],
        })
    }

    /// Each row's number, of times and intervals in microseconds; none where it is none.
    fn counts(&self) -> Vec<Option<i64>> {
        let array = self.array();
        let micros = |zone: &Option<Arc<str>>| DataType::Timestamp(TimeUnit::Microsecond, zone.clone());
        let array = match array.data_type() {
            DataType::Date32 => cast(array, &micros(&None)),
            DataType::Timestamp(_, zone) => cast(array, &micros(zone)),
            DataType::Interval(IntervalUnit::MonthDayNano) => {
                let of = |span: IntervalMonthDayNano| {
                    let days = i64::from(span.months) * 30 + i64::from(span.days);
                    days * 86_400_000_000 + span.nanoseconds / 1_000
                };
                let spans = array.as_primitive::<IntervalMonthDayNanoType>();
                return spans.iter().map(|span| span.map(of)).collect();
            }
            _ => Ok(Arc::clone(array)),
        };
        match array.and_then(|array| cast(&array, &DataType::Int64)) {
            Ok(numbers) => numbers.as_primitive::<Int64Type>().iter().collect(),
            Err(_) => vec![None; self.array().len()],
        }
    }
}

impl Bounded {
    /// How many bytes the result has at most.
    fn bytes(&self, args: &[ColumnarValue], rows: usize) -> Result<u64> {
        let args = args.iter().map(Argument::new).collect::<Result<Vec<_>>>()?;
        let size =
            |of: &[u64], argument: &Argument, row: usize| of.get(argument.place(row)).copied().unwrap_or_default();
        let mut sum = 0_u64;
        match (self.growth, args.as_slice()) {
            (Growth::Times | Growth::Length, [value, count, ..]) => {
                let (lengths, counts) = (value.lengths()?, count.counts());
                // A character has up to four bytes.
                let of_length = |length: u64| if self.growth == Growth::Times { length.max(1) } else { 4 };
                for row in 0..rows {
                    let count = counts.get(count.place(row)).copied().flatten().unwrap_or_default();
                    let count = u64::try_from(count).unwrap_or_default();
                    sum = sum.saturating_add(count.saturating_mul(of_length(size(&lengths, value, row))));
                }
            }
            (Growth::Replaced | Growth::Matched, [value, from, to, ..]) => {
                let (lengths, froms, tos) = (value.lengths()?, from.lengths()?, to.lengths()?);
                let repeats = self.growth == Growth::Matched && has_references(to.array())?;
                for row in 0..rows {
                    let length = size(&lengths, value, row);
                    let found = match self.growth {
                        Growth::Matched => length + 1,
                        _ => length / size(&froms, from, row).max(1),
                    };
                    let put = size(&tos, to, row);
                    // A reference is two bytes that stand for at most the whole.
                    let put = if repeats { put.saturating_mul(length.max(1)) } else { put };
                    sum = sum.saturating_add(length).saturating_add(found.saturating_mul(put));
                }
            }
            (Growth::Sum, args) => {
                for argument in args {
                    let lengths = argument.lengths()?;
                    let all: u64 = (0..rows).map(|row| size(&lengths, argument, row)).fold(0, u64::saturating_add);
                    sum = sum.saturating_add(all);
                }
            }
            (Growth::Range, args) => {
                let counts: Vec<_> = args.iter().map(Argument::counts).collect();
                let at = |place: usize, row: usize| -> Option<i64> {
                    counts.get(place)?.get(args.get(place)?.place(row)).copied().flatten()
                };
                for row in 0..rows {
                    let span = match (at(0, row), at(1, row)) {
                        (Some(until), None) if args.len() == 1 => until.unsigned_abs(),
                        (Some(from), Some(until)) => from.abs_diff(until),
                        _ => 0,
                    };
                    let step = at(2, row).map_or(1, i64::unsigned_abs).max(1);
                    sum = sum.saturating_add((span / step).saturating_add(1).saturating_mul(ELEMENT_BYTES));
                }
            }
            _ => {}
        }
        Ok(sum)
    }
}

fn has_references(replacement: &ArrayRef) -> Result<bool> {
    let texts = cast(replacement, &DataType::Utf8View)?;
    Ok(texts.as_string_view().iter().flatten().any(|text| text.contains(['\\', '$'])))
}

#[cfg(test)]
mod tests {
    use datafusion::prelude::SessionContext;

    use super::bound;

    async fn is_small(sql: &str) -> bool {
        let mut state = SessionContext::new().state();
        bound(&mut state);
        let frame = SessionContext::new_with_state(state).sql(sql).await.expect("a plan");
        frame.collect().await.is_ok()
    }

    #[tokio::test]
    async fn values_are_bounded_by_what_they_become() {
        for small in [
            "select repeat('x', 1000000)",
            "select replace(repeat('ab', 1000), 'a', 'xyz')",
            "select regexp_replace(repeat('ab', 1000), '(a)', '<$1>', 'g')",
            "select concat('a', 1, null)",
            "select range(0, 1000000)",
            "select generate_series(timestamp '2026-01-01', timestamp '2026-12-31', interval '1 day')",
            "select generate_series(timestamp '2026-01-01', timestamp '2026-12-31', interval '1 month')",
            "select lpad('x', 20, 'y')",
        ] {
            assert!(is_small(small).await, "{small}");
        }
        // Each more than 128 MiB: lengths come from columns, so that no constant is folded away before.
        for large in [
            "select repeat('x', n) from (values (200000000)) t(n)",
            "select lpad('x', n) from (values (200000000)) t(n)",
            "select array_repeat(1, n) from (values (20000000)) t(n)",
            "select range(0, n) from (values (20000000)) t(n)",
            "select generate_series(a, timestamp '2026-12-31', interval '1 second') from (values (timestamp '2026-01-01')) t(a)",
            "select replace(repeat('a', n), 'a', repeat('b', n)) from (values (20000)) t(n)",
            "select regexp_replace(repeat('a', n), '(.*)', '$1$1') from (values (20000)) t(n)",
        ] {
            assert!(!is_small(large).await, "{large}");
        }
    }
}
