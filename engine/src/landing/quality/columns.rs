//! Columns of a usage batch as masks.

use std::cell::OnceCell;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringViewArray, make_view};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::{Decimal128Type, TimestampMicrosecondType, i256};

use crate::landing::number::ONE;

/// A batch and the masks that several rules share.
pub(super) struct Columns<'a> {
    batch: &'a RecordBatch,
    pub(super) rows: usize,
    usage: OnceCell<BooleanBuffer>,
    purchase: OnceCell<BooleanBuffer>,
    correction: OnceCell<BooleanBuffer>,
}

impl<'a> Columns<'a> {
    /// `None` for a batch without rows.
    pub(super) fn of(batch: &'a RecordBatch) -> Option<Self> {
        let rows = batch.num_rows();
        (rows > 0).then(|| Self {
            batch,
            rows,
            usage: OnceCell::new(),
            purchase: OnceCell::new(),
            correction: OnceCell::new(),
        })
    }

    fn column(&self, name: &str) -> Option<&'a ArrayRef> {
        self.batch.column_by_name(name)
    }

    /// A text column.
    pub(super) fn text(&self, name: &str) -> Option<&'a StringViewArray> {
        self.column(name)?.as_string_view_opt()
    }

    /// Where a column is not null.
    pub(super) fn has(&self, name: &str) -> BooleanBuffer {
        match self.column(name) {
            None => BooleanBuffer::new_unset(self.rows),
            Some(column) => {
                column.nulls().map_or_else(|| BooleanBuffer::new_set(self.rows), |nulls| nulls.inner().clone())
            }
        }
    }

    /// Where a column is null.
    pub(super) fn lacks(&self, name: &str) -> BooleanBuffer {
        !&self.has(name)
    }

    /// Where any of some columns is not null.
    pub(super) fn has_any(&self, names: &[&str]) -> BooleanBuffer {
        names.iter().fold(BooleanBuffer::new_unset(self.rows), |any, name| &any | &self.has(name))
    }

    /// Where any of some columns is null.
    pub(super) fn lacks_any(&self, names: &[&str]) -> BooleanBuffer {
        names.iter().fold(BooleanBuffer::new_unset(self.rows), |any, name| &any | &self.lacks(name))
    }

    /// Where a text column is `value`, which has at most 12 bytes, so that a view holds it whole.
    pub(super) fn is(&self, name: &str, value: &str) -> BooleanBuffer {
        debug_assert!(value.len() <= 12, "a longer text is not inlined in its view");
        let Some(text) = self.text(name) else {
            return BooleanBuffer::new_unset(self.rows);
        };
        let wanted = make_view(value.as_bytes(), 0, 0);
        let views = text.views();
        &BooleanBuffer::collect_bool(self.rows, |row| views[row] == wanted) & &self.has(name)
    }

    /// Where a text column is one of some short values.
    pub(super) fn is_any(&self, name: &str, values: &[&str]) -> BooleanBuffer {
        values.iter().fold(BooleanBuffer::new_unset(self.rows), |any, value| &any | &self.is(name, value))
    }

    pub(super) fn usage(&self) -> &BooleanBuffer {
        self.usage.get_or_init(|| self.is("charge_category", "Usage"))
    }

    pub(super) fn purchase(&self) -> &BooleanBuffer {
        self.purchase.get_or_init(|| self.is("charge_category", "Purchase"))
    }

    pub(super) fn correction(&self) -> &BooleanBuffer {
        self.correction.get_or_init(|| self.is("charge_class", "Correction"))
    }

    /// Where a money column has a value for which `holds`.
    pub(super) fn money_where(&self, name: &str, holds: fn(i128) -> bool) -> BooleanBuffer {
        let Some(column) = self.column(name) else {
            return BooleanBuffer::new_unset(self.rows);
        };
        let values = column.as_primitive::<Decimal128Type>().values();
        &BooleanBuffer::collect_bool(self.rows, |row| holds(values[row])) & &self.has(name)
    }

    /// Where both instants are there and `holds`.
    pub(super) fn instants_where(&self, first: &str, second: &str, holds: fn(i64, i64) -> bool) -> BooleanBuffer {
        let (Some(a), Some(b)) = (self.column(first), self.column(second)) else {
            return BooleanBuffer::new_unset(self.rows);
        };
        let (a, b) = (
            a.as_primitive::<TimestampMicrosecondType>().values(),
            b.as_primitive::<TimestampMicrosecondType>().values(),
        );
        let holding = BooleanBuffer::collect_bool(self.rows, |row| holds(a[row], b[row]));
        &(&holding & &self.has(first)) & &self.has(second)
    }

    /// Where both costs are there and differ by more than the tolerance.
    pub(super) fn differ(&self, first: &str, second: &str) -> BooleanBuffer {
        let (Some(a), Some(b)) = (self.column(first), self.column(second)) else {
            return BooleanBuffer::new_unset(self.rows);
        };
        let (a, b) = (a.as_primitive::<Decimal128Type>().values(), b.as_primitive::<Decimal128Type>().values());
        let differing = BooleanBuffer::collect_bool(self.rows, |row| {
            a[row] != b[row] && a[row].abs_diff(b[row]) > tolerance(a[row])
        });
        &(&differing & &self.has(first)) & &self.has(second)
    }

    /// Where cost, price and quantity are there and cost is not price × quantity within the tolerance.
    pub(super) fn is_not_product(&self, cost: &str, price: &str, quantity: &str) -> BooleanBuffer {
        let (Some(c), Some(p), Some(q)) = (self.column(cost), self.column(price), self.column(quantity)) else {
            return BooleanBuffer::new_unset(self.rows);
        };
        let all = &(&self.has(cost) & &self.has(price)) & &self.has(quantity);
        let (c, p, q) = (
            c.as_primitive::<Decimal128Type>().values(),
            p.as_primitive::<Decimal128Type>().values(),
            q.as_primitive::<Decimal128Type>().values(),
        );
        let wrong = BooleanBuffer::collect_bool(self.rows, |row| is_wrong_product(c[row], p[row], q[row]));
        &all & &wrong
    }
}

/// 1e-9 × max(1, |cost|), in units of 1e-18.
fn tolerance(cost: i128) -> u128 {
    cost.unsigned_abs().max(ONE.unsigned_abs()) / 1_000_000_000
}

/// Whether `cost` is farther from `price` × `quantity` than the tolerance. Nothing is rounded:
/// both sides are compared at scale 36, in 128 bits where they fit and in 256 otherwise.
fn is_wrong_product(cost: i128, price: i128, quantity: i128) -> bool {
    let (Some(product), Some(scaled)) = (price.checked_mul(quantity), cost.checked_mul(ONE)) else {
        let product = i256::from_i128(price).wrapping_mul(i256::from_i128(quantity));
        let difference = i256::from_i128(cost).wrapping_mul(i256::from_i128(ONE)).wrapping_sub(product);
        let magnitude = if difference < i256::ZERO { difference.wrapping_neg() } else { difference };
        let allowed =
            i256::from_i128(i128::try_from(tolerance(cost)).unwrap_or(i128::MAX)).wrapping_mul(i256::from_i128(ONE));
        return magnitude > allowed;
    };
    let difference = scaled.abs_diff(product);
    difference > tolerance(cost).saturating_mul(ONE.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tolerance_is_one_part_in_a_billion_of_the_cost_or_of_one() {
        // 2 × 3 = 6: 6e-9 allowed. In units: 6e18 ± 6e9.
        let six = 6 * ONE;
        assert!(!is_wrong_product(six + 6_000_000_000, 2 * ONE, 3 * ONE));
        assert!(is_wrong_product(six + 6_000_000_001 + 6, 2 * ONE, 3 * ONE));
        // 0.001 × 0.001 = 0.000001: 1e-9 allowed.
        let thousandth = ONE / 1_000;
        assert!(!is_wrong_product(ONE / 1_000_000 - 1_000_000_000, thousandth, thousandth));
        assert!(is_wrong_product(ONE / 1_000_000 - 1_000_000_001, thousandth, thousandth));
        // Beyond 128 bits: a million times a million.
        let million = 1_000_000 * ONE;
        assert!(!is_wrong_product(1_000_000 * million, million, million));
        assert!(is_wrong_product(1_000_000 * million + 1_001 * ONE, million, million));
    }
}
