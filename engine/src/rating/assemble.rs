//! Builds batches of `charges`: usage columns pass through as they are, what pricing adds is taken
//! from arrays of constants.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Date32Array, Decimal128Array, Int32Array, Int64Array, RecordBatch,
    StringViewArray, TimestampMicrosecondArray, UInt32Array, new_null_array,
};
use arrow::buffer::NullBuffer;
use arrow::compute::kernels::zip::zip;
use arrow::compute::{not, nullif, take};
use arrow::datatypes::{DataType, Int64Type, SchemaRef};
use chrono::{DateTime, Offset, TimeZone};
use chrono_tz::Tz;
use hashbrown::HashMap;

use super::division::salted;
use super::error::RatingError;
use super::lanes::Lane;
use super::outcome::{Fate, Origin, Outcome};
use super::portion::{Amounts, Commitment, Portion, Step};
use super::portions::{Continuity, Cut};
use super::run::RatingRun;
use super::span::DAY_US;
use super::texts::{NULL, Texts};
use super::vocabulary::STANDARD;
use crate::lake::schema::{self, MAX_POSITIONS, MONEY_PRECISION, MONEY_SCALE};

/// Columns of `charges` that usage has under another name.
const RENAMED: [(&str, &str); 3] =
    [("description", "charge_description"), ("quantity", "pricing_quantity"), ("unit", "pricing_unit")];

/// Amounts with their nulls.
#[derive(Debug, Default)]
struct MoneyColumn {
    values: Vec<i128>,
    is_valid: Vec<bool>,
}

impl MoneyColumn {
    fn with_capacity(rows: usize) -> Self {
        Self { values: Vec::with_capacity(rows), is_valid: Vec::with_capacity(rows) }
    }

    #[inline]
    fn push(&mut self, value: Option<i128>) {
        self.values.push(value.unwrap_or_default());
        self.is_valid.push(value.is_some());
    }

    fn finish(self) -> Result<ArrayRef, RatingError> {
        let nulls = NullBuffer::from(self.is_valid);
        let nulls = (nulls.null_count() > 0).then_some(nulls);
        let array = Decimal128Array::new(self.values.into(), nulls);
        Ok(Arc::new(array.with_precision_and_scale(MONEY_PRECISION, MONEY_SCALE)?))
    }
}

/// What a charge says of where it comes from and how it came to its owner.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark {
    pub(crate) origin: Origin,
    /// How many positions, from the root down, it does not exist at: those down to the seller that originates it.
    pub(crate) above: usize,
    pub(crate) fate: Fate,
    /// Number of the text of the pool's name; null where it is no share of one.
    pub(crate) pool: u32,
    /// Number of the text of the driver's name.
    pub(crate) driver: u32,
    /// Position of the pool's owner.
    pub(crate) depth: Option<i32>,
    /// The last position that sees whose resource it is; none for all.
    pub(crate) disclosed_to: Option<i32>,
    /// Names the share among those of its row; 0 is the row itself.
    pub(crate) salt: u64,
    /// Numbers of the texts of a commitment's terms and of the owner that they name; none for what is no commitment's.
    pub(crate) terms: Option<(u32, u32)>,
}

impl Mark {
    /// Of a provider's line that is no share of a pool.
    pub(crate) fn of(fate: Fate) -> Self {
        Self {
            origin: Origin::Usage,
            above: 0,
            fate,
            pool: NULL,
            driver: NULL,
            depth: None,
            disclosed_to: None,
            salt: 0,
            terms: None,
        }
    }

    /// What became of a charge at the root, if it exists there.
    pub(crate) fn first_outcome(&self, amounts: &Amounts) -> Option<Outcome> {
        let is_paid = amounts.billed.is_some();
        (self.above == 0).then_some(if is_paid { Outcome::Billed } else { Outcome::Unrated })
    }
}

/// One position of the paths of a batch.
#[derive(Debug, Default)]
struct PositionColumns {
    prices: MoneyColumn,
    currencies: Vec<u32>,
    outcomes: Vec<u32>,
    rules: Vec<u32>,
    fx_rates: Vec<u32>,
}

/// What pricing adds to a batch, as it is collected.
#[derive(Debug)]
pub(crate) struct Output {
    outcomes: [u32; 4],
    commitments: [u32; Commitment::ALL.len()],
    fates: [u32; Fate::ALL.len()],
    dates: Vec<i32>,
    continues: Vec<Option<i32>>,
    /// Filled only when some row became several charges: what each is a part of.
    cuts: Vec<Cut>,
    /// Kept only when some are shares of pools.
    marks: Option<Vec<Mark>>,
    node_ids: Vec<u32>,
    node_paths: Vec<u32>,
    row_fates: Vec<u32>,
    row_commitments: Vec<u32>,
    first_outcomes: Vec<u32>,
    /// Of commitments: terms, and the owner that they name.
    terms: Vec<u32>,
    terms_owners: Vec<u32>,
    /// Whether it is sold as if nothing had covered it.
    is_on_demand: Vec<bool>,
    positions: Vec<PositionColumns>,
    /// Filled only when some row was cut: billed, quantity, list, contracted, effective.
    amounts: [MoneyColumn; 5],
    is_split: bool,
}

impl Output {
    /// Makes room for as many positions as the batch's paths have, once rows have been cut.
    pub(crate) fn open(&mut self, depth: usize, portions: usize, has_pools: bool) {
        self.marks = has_pools.then(|| Vec::with_capacity(portions));
        self.is_split = has_pools || portions != self.dates.capacity();
        self.positions = (0..depth)
            .map(|_| PositionColumns {
                prices: MoneyColumn::with_capacity(portions),
                currencies: Vec::with_capacity(portions),
                outcomes: Vec::with_capacity(portions),
                rules: Vec::with_capacity(portions),
                fx_rates: Vec::with_capacity(portions),
            })
            .collect();
    }

    /// Adds a priced portion.
    #[inline]
    pub(crate) fn push(
        &mut self,
        continuity: Continuity,
        (cut, lane): (&Cut, &Lane),
        (portion, steps): (&Portion<'_>, &[Step]),
        mark: &Mark,
    ) {
        let amounts = &portion.amounts;
        self.dates.push(continuity.date);
        if self.is_split {
            self.continues.push(continuity.continues);
            self.cuts.push(*cut);
        }
        if let Some(marks) = &mut self.marks {
            marks.push(*mark);
        }
        self.node_ids.push(lane.node_id);
        self.node_paths.push(lane.node_path);
        self.row_fates.push(self.fates[mark.fate as usize]);
        let commitment = Step::commitment_sold(steps, portion.commitment);
        self.row_commitments.push(self.commitments[commitment as usize]);
        let first = mark.first_outcome(amounts);
        self.first_outcomes.push(first.map_or(NULL, |outcome| self.outcomes[outcome as usize]));
        let (terms, owner) = mark.terms.unwrap_or((NULL, NULL));
        self.terms.push(terms);
        self.terms_owners.push(owner);
        self.is_on_demand.push(Step::is_sold_on_demand(steps));
        if self.is_split {
            let own = [amounts.billed, amounts.quantity, amounts.list, amounts.contracted, amounts.effective];
            for (column, amount) in self.amounts.iter_mut().zip(own) {
                column.push(amount);
            }
        }
        for (at, columns) in self.positions.iter_mut().enumerate() {
            match steps.get(at).filter(|_| at + 1 >= mark.above) {
                Some(step) => {
                    columns.prices.push(step.price);
                    columns.currencies.push(lane.edges[at].currency);
                    columns.outcomes.push(self.outcomes[step.outcome as usize]);
                    columns.rules.push(step.rule);
                    columns.fx_rates.push(step.fx_rate);
                }
                None => {
                    columns.prices.push(None);
                    columns.currencies.push(NULL);
                    columns.outcomes.push(NULL);
                    columns.rules.push(NULL);
                    columns.fx_rates.push(NULL);
                }
            }
        }
    }
}

/// The key of a share of a line.
fn share_key((line_key, mark): (&i64, &Mark)) -> i64 {
    match mark.salt {
        0 => *line_key,
        salt => salted(salt, &line_key.to_le_bytes()).cast_signed(),
    }
}

/// The day of an instant in a time zone, days since 1970.
#[inline]
pub(crate) fn local_day(at: i64, time_zone: Tz) -> i32 {
    let offset_us = if time_zone == Tz::UTC { 0 } else { offset_us(at, time_zone) };
    i32::try_from((at + offset_us).div_euclid(DAY_US)).unwrap_or_default()
}

fn offset_us(at: i64, time_zone: Tz) -> i64 {
    DateTime::from_timestamp_micros(at).map_or(0, |instant| {
        let offset = time_zone.offset_from_utc_datetime(&instant.naive_utc()).fix();
        i64::from(offset.local_minus_utc()) * 1_000_000
    })
}

/// Builds the batches of one worker.
#[derive(Debug)]
pub(crate) struct Assembler {
    schema: SchemaRef,
    outcomes: [u32; 4],
    commitments: [u32; Commitment::ALL.len()],
    fates: [u32; Fate::ALL.len()],
    terms: StringViewArray,
    /// The same without a null.
    dense_terms: StringViewArray,
    /// Arrays of one repeated value, sliced to length.
    repeated: HashMap<&'static str, ArrayRef>,
    nulls: HashMap<DataType, ArrayRef>,
}

impl Assembler {
    pub(crate) fn new(run: &RatingRun) -> Self {
        Self {
            schema: schema::charges(),
            outcomes: Outcome::ALL.map(|outcome| run.terms.number(outcome.name())),
            commitments: Commitment::ALL
                .map(|commitment| commitment.name().map_or(NULL, |name| run.terms.number(name))),
            fates: Fate::ALL.map(|fate| run.terms.number(fate.name())),
            terms: StringViewArray::new_null(0),
            dense_terms: StringViewArray::new_null(0),
            repeated: HashMap::new(),
            nulls: HashMap::new(),
        }
    }

    /// An empty output for a batch of so many rows.
    pub(crate) fn output(&self, rows: usize) -> Output {
        Output {
            outcomes: self.outcomes,
            commitments: self.commitments,
            fates: self.fates,
            dates: Vec::with_capacity(rows),
            continues: Vec::new(),
            cuts: Vec::new(),
            marks: None,
            node_ids: Vec::with_capacity(rows),
            node_paths: Vec::with_capacity(rows),
            row_fates: Vec::with_capacity(rows),
            row_commitments: Vec::with_capacity(rows),
            first_outcomes: Vec::with_capacity(rows),
            terms: Vec::with_capacity(rows),
            terms_owners: Vec::with_capacity(rows),
            is_on_demand: Vec::with_capacity(rows),
            positions: Vec::new(),
            amounts: Default::default(),
            is_split: false,
        }
    }

    /// Puts a batch together.
    pub(crate) fn assemble(
        &mut self,
        usage: &RecordBatch,
        run: &RatingRun,
        output: Output,
    ) -> Result<RecordBatch, RatingError> {
        let rows = output.dates.len();
        self.refresh(&run.terms);
        let cuts = output.cuts;
        let indices = output
            .is_split
            .then(|| UInt32Array::from_iter_values(cuts.iter().map(|cut| u32::try_from(cut.row).unwrap_or(u32::MAX))));
        let pass = |name: &str| -> Result<ArrayRef, RatingError> {
            let source = RENAMED.iter().find(|(own, _)| *own == name).map_or(name, |(_, from)| from);
            let column = usage.column_by_name(source).ok_or(RatingError::Column("of usage"))?;
            match &indices {
                None => Ok(Arc::clone(column)),
                Some(indices) => Ok(take(column, indices, None)?),
            }
        };
        let mut made: HashMap<String, ArrayRef> = HashMap::new();
        let mut put = |name: &str, array: ArrayRef| made.insert(name.to_owned(), array);
        put("origin", self.origin(usage, rows));
        put("charge_date", Arc::new(Date32Array::from(output.dates)));
        put("node_id", self.terms_of(output.node_ids)?);
        put("node_path", self.terms_of(output.node_paths)?);
        put("fate", self.terms_of(output.row_fates)?);
        put("commitment", self.terms_of(output.row_commitments)?);
        put("rated_snapshot", Arc::new(Int64Array::from_value(run.book.snapshot, rows)));
        if output.is_split {
            put("portion", Arc::new(Int32Array::from_iter_values(cuts.iter().map(|cut| cut.number))));
            put("continues", Arc::new(Int32Array::from(output.continues)));
        } else {
            put("portion", Arc::new(Int32Array::from_value(0, rows)));
            put("continues", self.null(&DataType::Int32, rows));
        }
        if let Some(marks) = output.marks {
            let keys = pass("line_key")?;
            let keys = keys.as_primitive_opt::<Int64Type>().ok_or(RatingError::Column("line_key"))?;
            let keys = keys.values().iter().zip(&marks).map(share_key);
            put("line_key", Arc::new(Int64Array::from_iter_values(keys)));
            put("pool_id", self.terms_of(marks.iter().map(|mark| mark.pool).collect())?);
            put("driver", self.terms_of(marks.iter().map(|mark| mark.driver).collect())?);
            put("pool_depth", Arc::new(Int32Array::from_iter(marks.iter().map(|mark| mark.depth))));
            put("disclosed_to", Arc::new(Int32Array::from_iter(marks.iter().map(|mark| mark.disclosed_to))));
        } else {
            for name in ["pool_id", "driver"] {
                put(name, self.null(&DataType::Utf8View, rows));
            }
            for name in ["pool_depth", "disclosed_to"] {
                put(name, self.null(&DataType::Int32, rows));
            }
        }
        put("outcome_0", self.terms_of(output.first_outcomes)?);
        put("commitment_policy", self.terms_of(output.terms)?);
        put("commitment_owner_node_id", self.terms_of(output.terms_owners)?);
        if output.is_on_demand.contains(&true) {
            let (sold, covered) = sold_as_standard(&pass("pricing_category")?, output.is_on_demand)?;
            put("pricing_category", sold);
            put("covered_pricing_category", covered);
        } else {
            put("covered_pricing_category", self.null(&DataType::Utf8View, rows));
        }
        put("currency_0", pass("billing_currency")?);
        put("marketplace", self.known(&pass("marketplace")?));
        let ends = usage.column_by_name("charge_period_end");
        if output.is_split || ends.is_some_and(|ends| ends.null_count() > 0) {
            let starts = cuts.iter().map(|cut| cut.start);
            put("charge_period_start", instants(starts));
            put("charge_period_end", instants(cuts.iter().map(|cut| cut.end)));
        }
        if output.is_split {
            let names = ["price_0", "quantity", "list_cost", "contracted_cost", "effective_cost"];
            for (name, column) in names.into_iter().zip(output.amounts) {
                put(name, column.finish()?);
            }
        } else {
            put("price_0", pass("billed_cost")?);
        }
        for (at, columns) in output.positions.into_iter().enumerate() {
            let k = at + 1;
            put(&format!("price_{k}"), columns.prices.finish()?);
            put(&format!("currency_{k}"), self.terms_of(columns.currencies)?);
            put(&format!("outcome_{k}"), self.terms_of(columns.outcomes)?);
            put(&format!("rule_{k}"), self.terms_of(columns.rules)?);
            put(&format!("fx_rate_{k}"), self.terms_of(columns.fx_rates)?);
        }
        let schema = Arc::clone(&self.schema);
        let first_position = schema.fields().len() - MAX_POSITIONS * 5;
        let mut arrays = Vec::with_capacity(schema.fields().len());
        for (at, field) in schema.fields().iter().enumerate() {
            let array = match made.remove(field.name().as_str()) {
                Some(array) => array,
                None if at >= first_position => self.null(field.data_type(), rows),
                None => pass(field.name())?,
            };
            arrays.push(array);
        }
        Ok(RecordBatch::try_new(schema, arrays)?)
    }

    fn refresh(&mut self, terms: &Texts) {
        if terms.len() != self.terms.len() {
            self.terms = terms.array();
            let (views, buffers, _) = self.terms.clone().into_parts();
            self.dense_terms = StringViewArray::new(views, buffers, None);
        }
    }

    /// The texts of numbers. What has no null takes from an array without, what is all null is not built.
    fn terms_of(&mut self, numbers: Vec<u32>) -> Result<ArrayRef, RatingError> {
        let nulls = numbers.iter().filter(|number| **number == NULL).count();
        if nulls == numbers.len() {
            return Ok(self.null(&DataType::Utf8View, nulls));
        }
        let texts = if nulls == 0 { &self.dense_terms } else { &self.terms };
        Ok(take(texts, &UInt32Array::from(numbers), None)?)
    }

    /// Marketplace, false where the provider does not say.
    fn known(&self, marketplace: &ArrayRef) -> ArrayRef {
        match marketplace.as_boolean_opt() {
            Some(array) if array.null_count() > 0 => {
                let truths = array.iter().map(|truth| Some(truth.unwrap_or(false)));
                Arc::new(BooleanArray::from_iter(truths))
            }
            _ => Arc::clone(marketplace),
        }
    }

    /// Where rows come from: providers, unless they say otherwise.
    fn origin(&mut self, rows: &RecordBatch, count: usize) -> ArrayRef {
        match rows.column_by_name("origin") {
            Some(origin) => Arc::clone(origin),
            None => self.repeat(Origin::Usage.name(), count),
        }
    }

    fn repeat(&mut self, text: &'static str, rows: usize) -> ArrayRef {
        let held = self.repeated.get(text).filter(|array| array.len() >= rows);
        match held {
            Some(array) => array.slice(0, rows),
            None => {
                let array: ArrayRef = Arc::new(StringViewArray::from_iter_values(std::iter::repeat_n(text, rows)));
                self.repeated.insert(text, Arc::clone(&array));
                array
            }
        }
    }

    fn null(&mut self, kind: &DataType, rows: usize) -> ArrayRef {
        let held = self.nulls.get(kind).filter(|array| array.len() >= rows);
        match held {
            Some(array) => array.slice(0, rows),
            None => {
                let array = new_null_array(kind, rows);
                self.nulls.insert(kind.clone(), Arc::clone(&array));
                array
            }
        }
    }
}

/// Pricing categories as charges are sold, and the provider's where these are others.
fn sold_as_standard(categories: &ArrayRef, is_on_demand: Vec<bool>) -> Result<(ArrayRef, ArrayRef), RatingError> {
    let is_on_demand = BooleanArray::from(is_on_demand);
    let standard = StringViewArray::new_scalar(STANDARD);
    Ok((zip(&is_on_demand, &standard, categories)?, nullif(categories, &not(&is_on_demand)?)?))
}

fn instants(values: impl Iterator<Item = i64>) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from_iter_values(values).with_timezone("UTC"))
}
