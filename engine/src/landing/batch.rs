//! What landing hands on: usage rows, rejected rows and totals.

use arrow::array::RecordBatch;
use arrow::datatypes::i256;

/// Rows of one stretch of a part, mapped to `usage`.
///
/// Invariant: `raw.rows` = source rows accepted + `rejected.len()`, and `raw.provider_cost` = Σ of
/// the source's conserved column over `usage` + Σ `rejected.billed_cost`.
#[derive(Debug)]
pub struct LandedBatch {
    /// Columns of `lake::schema::usage()`. `delivery_id`, `line_key` and `line_no` are 0, `source_file` is the part's index,
    /// `source_row` the 1-based number of the data row in that part. A mapping may make several
    /// usage rows of one source row (they then share `source_row`), or none.
    pub usage: RecordBatch,
    /// Source rows that are not in `usage`.
    pub rejected: Vec<RejectedRow>,
    /// What the mapping itself finds odd about rows of `usage`.
    pub noted: Vec<Noted>,
    /// Accepted source rows in which a number lost non-zero digits beyond scale 18.
    pub lossy_rows: u64,
    /// Uncompressed bytes of these rows (0 where a columnar format does not say).
    pub bytes: u64,
    /// What the source said, before mapping.
    pub raw: Totals,
}

/// Something odd that a mapping says of rows that land.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Noted {
    /// What it says.
    pub says: String,
    /// Of how many rows.
    pub rows: u64,
    /// Part and data row of the first of them.
    pub first: (i32, i64),
}

/// A source row that could not be landed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectedRow {
    /// Index of the part.
    pub source_file: i32,
    /// 1-based number of the data row in the part.
    pub source_row: i64,
    /// The column at fault, by its name in the file or, if computed, in `usage`.
    pub column: Option<String>,
    /// What kind of value was there, such as `text of 12 characters`; never the value.
    pub value_class: String,
    /// Why, with the line of the file where that is known.
    pub reason: String,
    /// The row as it came. Kept in quarantine only: it holds whatever the provider wrote.
    pub raw: String,
    /// The row's provider cost in units of 1e-18, if it parses.
    pub billed_cost: Option<i128>,
    /// Where it belongs, as far as that can be read.
    pub place: RejectedPlace,
}

/// The slice that a rejected row belongs to, as far as the row says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RejectedPlace {
    /// The provider.
    pub provider_name: Option<String>,
    /// The provider's billing account.
    pub billing_account_id: Option<String>,
    /// A day of the billing period, in days since 1970-01-01.
    pub billing_period: Option<i32>,
}

/// Sums over source rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Source rows read, accepted and rejected ones.
    pub rows: u64,
    /// Source rows rejected.
    pub rejected_rows: u64,
    /// Rows of `usage` made of the accepted ones.
    pub usage_rows: u64,
    /// Σ of the provider's cost column over all rows in which it parses, in units of 1e-18.
    /// 256 bits, because a sum of 38-digit numbers does not fit 128.
    pub provider_cost: i256,
}

impl Totals {
    /// Adds another stretch's totals.
    pub fn merge(&mut self, other: &Self) {
        self.rows += other.rows;
        self.rejected_rows += other.rejected_rows;
        self.usage_rows += other.usage_rows;
        self.provider_cost = self.provider_cost.wrapping_add(other.provider_cost);
    }
}
