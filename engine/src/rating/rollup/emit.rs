//! Sums the logs of all workers and writes groups as batches.

use std::hash::BuildHasher;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Int32Array, Int64Array, RecordBatch, StringViewArray,
    UInt32Array, new_null_array,
};
use arrow::buffer::NullBuffer;
use arrow::compute::take;
use arrow::datatypes::DataType;
use hashbrown::HashMap;

use super::edges::{EdgeSums, EdgeTerms};
use super::groups::{Groups, Record, Records};
use super::log::LOGS;
use super::terms::{COMMITMENT, FIRST_PRICE_BY_TERMS, MARKETPLACE, POOL_DEPTH, TERMS_KEY, commitment_name};
use super::{
    DAILY_KEY, FIRST_PRICE, MONTHLY_KEY, PRICING_CATEGORY, RollUpLogs, RollUpShared, SUMS_MAX, TERMS_HEAD, TERMS_STEP,
    Terms, monthly_key,
};
use crate::lake::schema::{LakeTable, MAX_POSITIONS, MONEY_PRECISION, MONEY_SCALE, money};
use crate::rating::error::RatingError;
use crate::rating::places::{Placement, SliceName};
use crate::rating::run::RatingRun;
use crate::rating::texts::NULL;

const BATCH_ROWS: usize = 8192;
/// Columns of each position.
const POSITION_COLUMNS: usize = 4;
/// Places of provider, billing account and marketplace in a key, and of each dimension's text.
const DAILY_TEXTS: [(&str, usize); 13] = [
    ("provider_name", 2),
    ("billing_account_id", 3),
    ("sub_account_id", 4),
    ("service_category", 5),
    ("service_name", 6),
    ("sku_id", 7),
    ("region_id", 8),
    ("resource_type", 9),
    ("charge_category", 10),
    ("charge_class", 11),
    ("pricing_category", PRICING_CATEGORY),
    ("unit", 14),
    ("rule_tags", 15),
];
const DAILY_MARKETPLACE: usize = 13;
const DAILY_DISCLOSED: usize = 16;
const MONTHLY_TEXTS: [(&str, usize); 6] = [
    ("provider_name", 1),
    ("billing_account_id", 2),
    ("service_category", 3),
    ("service_name", 4),
    ("charge_category", 5),
    ("charge_class", 6),
];
const BY_TERMS_TEXTS: [(&str, usize); 13] = [
    ("provider_name", 2),
    ("billing_account_id", 3),
    ("sub_account_id", 4),
    ("service_category", 5),
    ("service_name", 6),
    ("sku_id", 7),
    ("region_id", 8),
    ("resource_type", 9),
    ("charge_category", 10),
    ("charge_class", 11),
    ("pricing_category", 12),
    ("unit", 16),
    ("rule_tags", 17),
];
pub(super) const NODE: usize = 0;
pub(super) const PATH: usize = 1;
pub(super) const FATE: usize = 2;
const TERMS_TEXTS: [(&str, usize); 4] = [("node_id", NODE), ("node_path", PATH), ("fate", FATE), ("origin", ORIGIN)];
const OWNER_PLACE: usize = 3;
const CHILD_PLACE: usize = 4;
pub(super) const ORIGIN: usize = 5;
pub(super) const FIRST_CURRENCY: usize = 6;
pub(super) const FIRST_OUTCOME: usize = 7;

/// What turns numbers back into texts; made once all rows are in.
#[derive(Debug)]
pub(crate) struct Emitter {
    run: Arc<RatingRun>,
    shared: Arc<RollUpShared>,
    terms: Vec<Arc<Terms>>,
    edges: EdgeTerms,
    term_texts: StringViewArray,
    value_texts: StringViewArray,
    /// Nulls for positions below the deepest path of a batch.
    no_text: ArrayRef,
    no_money: ArrayRef,
}

/// Receives the batches of a roll-up.
pub(crate) type Give<'a> = &'a mut dyn FnMut(LakeTable, RecordBatch, Placement) -> Result<(), RatingError>;

impl Emitter {
    pub(crate) fn new(run: &Arc<RatingRun>, shared: &Arc<RollUpShared>) -> Self {
        let terms = shared.terms();
        // Numbers the nodes of paths: before the texts become an array.
        let edges = EdgeTerms::new(&run.terms, &terms);
        Self {
            run: Arc::clone(run),
            shared: Arc::clone(shared),
            terms,
            edges,
            term_texts: run.terms.array(),
            value_texts: run.values.array(),
            no_text: new_null_array(&DataType::Utf8View, BATCH_ROWS),
            no_money: new_null_array(&money(), BATCH_ROWS),
        }
    }

    /// How many parts a roll-up has; each can be written by another thread.
    pub(crate) const PARTS: usize = LOGS;

    /// Sums one part of the logs of all workers, writes its groups by day, month and terms and adds them to the sums of edges.
    pub(crate) fn part(
        &self,
        logs: &[RollUpLogs],
        part: usize,
        edges: &mut EdgeSums,
        give: Give<'_>,
    ) -> Result<(), RatingError> {
        let hasher = &self.shared.hasher;
        let mut daily = Groups::<DAILY_KEY>::new();
        let mut sums = [0; SUMS_MAX];
        for log in logs {
            log.days.read(part, &mut |bytes| {
                let mut records = Records { bytes };
                while let Some(record) = records.next::<DAILY_KEY>(&mut sums) {
                    daily.merge(hasher.hash_one(record.key), &record)?;
                }
                Ok(())
            })?;
        }
        let mut monthly = Groups::<MONTHLY_KEY>::new();
        for at in 0..daily.len() {
            let Record { key, mask, rows, sums } = daily.get(at);
            let record = Record { key: monthly_key(&key), mask, rows, sums };
            monthly.merge(hasher.hash_one(record.key), &record)?;
        }
        for at in 0..monthly.len() {
            edges.add(&monthly.get(at), &self.edges, hasher)?;
        }
        self.write(LakeTable::ChargesDaily, &daily, give)?;
        self.write(LakeTable::ChargesMonthly, &monthly, give)?;
        drop((daily, monthly));
        let mut by_terms = Groups::<TERMS_KEY>::new();
        for log in logs {
            log.terms.read(part, &mut |bytes| {
                let mut records = Records { bytes };
                while let Some(record) = records.next::<TERMS_KEY>(&mut sums) {
                    by_terms.merge(hasher.hash_one(record.key), &record)?;
                }
                Ok(())
            })?;
        }
        self.write(LakeTable::ChargesByTerms, &by_terms, give)
    }

    /// Merges the sums of edges of all workers and writes them: rows of a slice lie together, whoever owns the usage.
    pub(crate) fn edges(&self, sums: Vec<EdgeSums>, give: Give<'_>) -> Result<(), RatingError> {
        let groups = EdgeSums::merge(sums, &self.shared.hasher)?;
        let everyone = self.run.places.child("");
        let mut slices = HashMap::new();
        for rows in batches(&groups) {
            let place = Placement {
                slice_of_row: rows
                    .iter()
                    .map(|row| self.slice([row.key[0], row.key[1], row.key[2]], &mut slices))
                    .collect(),
                child_of_row: vec![everyone; rows.len()],
                owner_of_row: vec![0; rows.len()],
            };
            let batch = self.edges.batch(&rows, &self.value_texts, &self.term_texts)?;
            give(LakeTable::EdgesMonthly, batch, place)?;
        }
        Ok(())
    }

    fn slice(&self, key: [u32; 3], slices: &mut HashMap<[u32; 3], u32>) -> u32 {
        *slices.entry(key).or_insert_with(|| {
            self.run.slice(|| SliceName {
                provider_name: self.run.values.text(key[1]).as_ref().to_owned(),
                billing_account_id: self.run.values.text(key[2]).as_ref().to_owned(),
                billing_period: key[0].cast_signed(),
            })
        })
    }

    fn write<const K: usize>(&self, table: LakeTable, groups: &Groups<K>, give: Give<'_>) -> Result<(), RatingError> {
        let mut slices = HashMap::new();
        for rows in batches(groups) {
            let place = self.place(table, &rows, &mut slices);
            give(table, self.batch(table, &rows)?, place)?;
        }
        Ok(())
    }

    fn terms_of<const K: usize>(&self, record: &Record<'_, K>) -> &Terms {
        let number = record.key[K - 1];
        let at = usize::try_from(number).unwrap_or(usize::MAX);
        self.terms.get(at).map_or(&[], |terms| terms)
    }

    fn place<const K: usize>(
        &self,
        table: LakeTable,
        rows: &[Record<'_, K>],
        slices: &mut HashMap<[u32; 3], u32>,
    ) -> Placement {
        let (provider, billing) = if table == LakeTable::ChargesMonthly { (1, 2) } else { (2, 3) };
        let mut place = Placement::default();
        for row in rows {
            let key = [row.key[0], row.key[provider], row.key[billing]];
            let terms = self.terms_of(row);
            place.slice_of_row.push(self.slice(key, slices));
            place.child_of_row.push(terms[CHILD_PLACE]);
            place.owner_of_row.push(terms[OWNER_PLACE]);
        }
        place
    }

    fn batch<const K: usize>(&self, table: LakeTable, rows: &[Record<'_, K>]) -> Result<RecordBatch, RatingError> {
        let schema = table.schema();
        let (texts, first_price): (&[(&str, usize)], usize) = match table {
            LakeTable::ChargesDaily => (&DAILY_TEXTS, FIRST_PRICE),
            LakeTable::ChargesMonthly => (&MONTHLY_TEXTS, FIRST_PRICE),
            LakeTable::ChargesByTerms => (&BY_TERMS_TEXTS, FIRST_PRICE_BY_TERMS),
            LakeTable::Usage | LakeTable::Charges | LakeTable::EdgesMonthly => {
                return Err(RatingError::Column("of a roll-up"));
            }
        };
        let is_by_terms = table == LakeTable::ChargesByTerms;
        let deepest = rows.iter().map(|row| row.sums.len()).max().unwrap_or(first_price) - first_price;
        let first_empty = schema.fields().len() - (MAX_POSITIONS - deepest) * POSITION_COLUMNS;
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(schema.fields().len());
        for (at, field) in schema.fields().iter().enumerate() {
            if at >= first_empty {
                let nulls = if field.data_type() == &DataType::Utf8View { &self.no_text } else { &self.no_money };
                arrays.push(nulls.slice(0, rows.len()));
                continue;
            }
            let name = field.name().as_str();
            let named = |list: &[(&str, usize)]| list.iter().find(|(own, _)| *own == name).map(|(_, place)| *place);
            let array: ArrayRef = if let Some(place) = named(texts) {
                take_texts(&self.value_texts, rows.iter().map(|row| row.key[place]))?
            } else if let Some(place) = named(&TERMS_TEXTS) {
                take_texts(&self.term_texts, rows.iter().map(|row| self.terms_of(row)[place]))?
            } else {
                match name {
                    "billing_period" => dates(rows.iter().map(|row| row.key[0])),
                    "charge_date" | "usage_month" => dates(rows.iter().map(|row| row.key[1])),
                    "marketplace" => {
                        let place = if is_by_terms { MARKETPLACE } else { DAILY_MARKETPLACE };
                        Arc::new(BooleanArray::from_iter(rows.iter().map(|row| Some(row.key[place] != 0))))
                    }
                    "disclosed_to" | "pool_depth" => {
                        let place = if is_by_terms { POOL_DEPTH } else { DAILY_DISCLOSED };
                        let positions = rows.iter().map(|row| row.key[place].cast_signed());
                        Arc::new(Int32Array::from_iter(positions.map(|next| (next > 0).then(|| next - 1))))
                    }
                    "commitment" => {
                        let names = rows.iter().map(|row| commitment_name(row.key[COMMITMENT]));
                        Arc::new(StringViewArray::from_iter(names))
                    }
                    "quantity" => sums(rows, 0)?,
                    "list_cost" => sums(rows, 1)?,
                    "effective_cost" => sums(rows, 2)?,
                    "contracted_cost" => sums(rows, 3)?,
                    "usage_rows" => Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.rows))),
                    _ => self.position(name, first_price, rows)?,
                }
            };
            arrays.push(array);
        }
        Ok(RecordBatch::try_new(schema, arrays)?)
    }

    /// A column of a position: `price_2`, `currency_2`, `outcome_2` or `fx_rate_2`.
    fn position<const K: usize>(
        &self,
        name: &str,
        first_price: usize,
        rows: &[Record<'_, K>],
    ) -> Result<ArrayRef, RatingError> {
        let (what, k) = name.rsplit_once('_').unwrap_or((name, ""));
        let k: usize = k.parse().unwrap_or(MAX_POSITIONS);
        let place = match (what, k) {
            ("price", _) => return sums(rows, first_price + k),
            ("currency", 0) => FIRST_CURRENCY,
            ("outcome", 0) => FIRST_OUTCOME,
            (_, 0) => usize::MAX,
            ("currency", _) => TERMS_HEAD + (k - 1) * TERMS_STEP,
            ("outcome", _) => TERMS_HEAD + (k - 1) * TERMS_STEP + 1,
            ("fx_rate", _) => TERMS_HEAD + (k - 1) * TERMS_STEP + 2,
            _ => return Err(RatingError::Column("of a roll-up")),
        };
        let numbers = rows.iter().map(|row| self.terms_of(row).get(place).copied().unwrap_or(NULL));
        take_texts(&self.term_texts, numbers)
    }
}

pub(super) fn take_texts(texts: &StringViewArray, numbers: impl Iterator<Item = u32>) -> Result<ArrayRef, RatingError> {
    Ok(take(texts, &UInt32Array::from_iter_values(numbers), None)?)
}

/// The groups, a batch of rows at a time.
fn batches<const K: usize>(groups: &Groups<K>) -> impl Iterator<Item = Vec<Record<'_, K>>> {
    let batch = |first: usize| (first..groups.len().min(first + BATCH_ROWS)).map(|row| groups.get(row)).collect();
    (0..groups.len()).step_by(BATCH_ROWS).map(batch)
}

pub(super) fn dates(days: impl Iterator<Item = u32>) -> ArrayRef {
    Arc::new(Date32Array::from_iter_values(days.map(u32::cast_signed)))
}

pub(super) fn sums<const K: usize>(rows: &[Record<'_, K>], place: usize) -> Result<ArrayRef, RatingError> {
    let values: Vec<i128> = rows.iter().map(|row| row.sums.get(place).copied().unwrap_or_default()).collect();
    let nulls: NullBuffer = rows.iter().map(|row| row.mask & 1 << place != 0).collect();
    let array = Decimal128Array::new(values.into(), Some(nulls));
    Ok(Arc::new(array.with_precision_and_scale(MONEY_PRECISION, MONEY_SCALE)?))
}
