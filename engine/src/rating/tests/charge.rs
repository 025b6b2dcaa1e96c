//! Charges as texts, for assertions.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Date32Type, Decimal128Type, Int32Type, Int64Type, TimestampMicrosecondType};
use ratehouse_udfs::decimal::format_trimmed;

use super::fixtures::dec;
use super::oracle::Expected;
use crate::lake::schema;

/// A charge as text, for assertions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Charge {
    pub(crate) path: String,
    pub(crate) fate: String,
    pub(crate) portion: i32,
    pub(crate) date: i32,
    pub(crate) start: i64,
    pub(crate) end: i64,
    pub(crate) quantity: Option<String>,
    pub(crate) steps: Vec<Position>,
}

/// One position of a charge: price, currency, outcome, rule, rate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) price: Option<String>,
    pub(crate) currency: String,
    pub(crate) outcome: String,
    pub(crate) rule: Option<String>,
    pub(crate) fx_rate: Option<String>,
}

impl Charge {
    pub(crate) fn read(charges: &RecordBatch) -> Vec<Self> {
        (0..charges.num_rows()).map(|row| Self::at(charges, row)).collect()
    }

    fn at(charges: &RecordBatch, row: usize) -> Self {
        let column = |name: &str| charges.column_by_name(name).expect("a column");
        let text = |name: &str| {
            let array = column(name).as_string_view();
            (!array.is_null(row)).then(|| array.value(row).to_owned())
        };
        let money = |name: &str| {
            let array = column(name).as_primitive::<Decimal128Type>();
            (!array.is_null(row)).then(|| format_trimmed(array.value(row), 18, 2))
        };
        let instant = |name: &str| column(name).as_primitive::<TimestampMicrosecondType>().value(row);
        let steps = (0..schema::MAX_POSITIONS)
            .map_while(|k| {
                Some(Position {
                    price: money(&format!("price_{k}")),
                    currency: text(&format!("currency_{k}")).unwrap_or_default(),
                    outcome: text(&format!("outcome_{k}"))?,
                    rule: text(&format!("rule_{k}")),
                    fx_rate: text(&format!("fx_rate_{k}")),
                })
            })
            .collect();
        Self {
            path: text("node_path").expect("a path"),
            fate: text("fate").expect("a fate"),
            portion: column("portion").as_primitive::<Int32Type>().value(row),
            date: column("charge_date").as_primitive::<Date32Type>().value(row),
            start: instant("charge_period_start"),
            end: instant("charge_period_end"),
            quantity: money("quantity"),
            steps,
        }
    }

    /// `10.00 USD billed` at a position; a missing price is `-`.
    pub(crate) fn step(&self, k: usize) -> String {
        self.steps.get(k).map_or_else(
            || "absent".to_owned(),
            |step| {
                let price = step.price.as_deref().unwrap_or("-");
                format!("{price} {} {}", step.currency, step.outcome)
            },
        )
    }

    /// The rule at a position, without card and version.
    pub(crate) fn rule(&self, k: usize) -> &str {
        let rule = self.steps.get(k).and_then(|step| step.rule.as_deref()).unwrap_or("-");
        rule.rsplit('/').next().unwrap_or("-")
    }
}

/// Charges in the oracle's form: exact integers, one piece after the other.
pub(crate) fn exactly(charges: &RecordBatch) -> Vec<Expected> {
    let source = charges.column_by_name("source_row").expect("a column");
    let source = source.as_primitive::<Int64Type>().values();
    let of_position = |position: &Position| {
        let word = |word: &Option<String>| word.clone().unwrap_or("-".to_owned());
        let price = position.price.as_deref().map(dec);
        let price = price.map_or("-".to_owned(), |price| price.to_string());
        let (rule, rate) = (word(&position.rule), word(&position.fx_rate));
        format!("{price} {} {} {rule} {rate}", position.currency, position.outcome)
    };
    source
        .iter()
        .zip(Charge::read(charges))
        .map(|(row, charge)| Expected {
            row: usize::try_from(row - 1).expect("a row"),
            start: charge.start,
            end: charge.end,
            path: charge.path,
            fate: charge.fate,
            steps: charge.steps.iter().map(of_position).collect(),
        })
        .collect()
}
