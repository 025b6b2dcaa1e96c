//! The writers of one rating: charges and roll-ups of many slices at once, clustered into files
//! of one slice and one child of the root each, with what must add up added up on the way.

use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array, AsArray, BooleanArray, Decimal128Array, RecordBatch};
use arrow::compute::nullif;
use arrow::datatypes::{Decimal128Type, Int32Type, i256};
use hashbrown::HashMap;

use super::account_names::AccountNames;
use super::agreement::Agreement;
use super::{Core, HOT};
use crate::catalog::NewFile;
use crate::error::Error;
use crate::lake::{ACCOUNT_NAMES, AGREED_POSITIONS, ClusteredWriter, LakeTable, WriterOptions, WrittenFile};
use crate::period::BillingPeriod;
use crate::rating::{ChargeSink, Placement, Places, SliceName};

/// Tables that rating fills.
pub(super) const RATED: [LakeTable; 5] = [
    LakeTable::Charges,
    LakeTable::ChargesDaily,
    LakeTable::ChargesMonthly,
    LakeTable::EdgesMonthly,
    LakeTable::ChargesByTerms,
];

/// How much of the landing's memory each table's writer may use, in percent.
const SHARES: [(LakeTable, usize); 6] = [
    (LakeTable::Usage, 23),
    (LakeTable::Charges, 30),
    (LakeTable::ChargesDaily, 14),
    (LakeTable::ChargesMonthly, 4),
    (LakeTable::EdgesMonthly, 4),
    (LakeTable::ChargesByTerms, 5),
];
/// And how much the roll-ups may use before they go to disk.
pub(super) const ROLL_UPS_SHARE: usize = 20;

/// The options of a table's writer.
pub(super) fn writer(core: &Core, table: LakeTable) -> ClusteredWriter {
    let share = SHARES.iter().find(|(t, _)| *t == table).map_or(10, |(_, share)| *share);
    let options = WriterOptions {
        memory_bytes_max: core.config.landing_memory_bytes / 100 * share,
        threads: core.config.threads,
        ..WriterOptions::default()
    };
    core.lake.writer(table, HOT, options)
}

/// One table while it is written.
struct Output {
    writer: ClusteredWriter,
    /// Numbers of files by slice and child.
    files: HashMap<(u32, u32), u32>,
    names: Vec<(u32, u32)>,
    /// Sum of what the root pays, by slice.
    sums: Vec<i256>,
    rows: Vec<u64>,
    agreement: Agreement,
    accounts: AccountNames,
}

impl Output {
    fn new(core: &Core, table: LakeTable) -> Self {
        Self {
            writer: writer(core, table),
            files: HashMap::new(),
            names: Vec::new(),
            sums: Vec::new(),
            rows: Vec::new(),
            agreement: Agreement::new(table),
            accounts: AccountNames::default(),
        }
    }

    fn put(&mut self, rows: RecordBatch, place: &Placement) -> Result<(), Error> {
        let mut file_of_row = Vec::with_capacity(rows.num_rows());
        let mut last: Option<((u32, u32), u32)> = None;
        for (slice, child) in place.slice_of_row.iter().zip(&place.child_of_row) {
            let key = (*slice, *child);
            let file = match last {
                Some((held, file)) if held == key => file,
                _ => {
                    let next = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
                    let file = *self.files.entry(key).or_insert(next);
                    if file == next {
                        self.names.push(key);
                    }
                    last = Some((key, file));
                    file
                }
            };
            file_of_row.push(file);
        }
        self.add_up(&root_pays(&rows)?, place);
        self.agreement.add(&rows, &file_of_row)?;
        self.accounts.add(&rows, &file_of_row);
        self.writer.push(rows, &file_of_row, &place.owner_of_row)?;
        Ok(())
    }

    fn add_up(&mut self, paid: &Decimal128Array, place: &Placement) {
        for (row, slice) in place.slice_of_row.iter().enumerate() {
            let at = usize::try_from(*slice).unwrap_or(usize::MAX);
            if self.sums.len() <= at {
                self.sums.resize(at + 1, i256::ZERO);
                self.rows.resize(at + 1, 0);
            }
            self.rows[at] += 1;
            if paid.is_valid(row) {
                self.sums[at] = self.sums[at].wrapping_add(i256::from_i128(paid.value(row)));
            }
        }
    }
}

/// What the root pays for each row: `price_0`, or the amount of the edge from the provider to the root.
fn root_pays(rows: &RecordBatch) -> Result<Decimal128Array, Error> {
    let column = |name| rows.column_by_name(name);
    if let Some(prices) = column("price_0") {
        return Ok(prices.as_primitive::<Decimal128Type>().clone());
    }
    let (Some(amounts), Some(depths)) = (column("amount"), column("depth")) else {
        return Err(Error::Conservation("rows without what the root pays".to_owned()));
    };
    let is_below = BooleanArray::from_unary(depths.as_primitive::<Int32Type>(), |depth| depth != 0);
    Ok(nullif(amounts, &is_below)?.as_primitive::<Decimal128Type>().clone())
}

/// Takes what rating makes and writes it.
pub(super) struct SliceFiles {
    outputs: [Mutex<Output>; RATED.len()],
}

impl SliceFiles {
    pub(super) fn new(core: &Core) -> Arc<Self> {
        Arc::new(Self { outputs: RATED.map(|table| Mutex::new(Output::new(core, table))) })
    }

    fn output(&self, table: LakeTable) -> Option<&Mutex<Output>> {
        RATED.iter().position(|t| *t == table).and_then(|at| self.outputs.get(at))
    }

    /// Makes the files durable; gives each table's files with the slice and child of each, and
    /// each table's sums of what the root pays by slice.
    pub(super) async fn finish(self: Arc<Self>, places: &Places) -> Result<RatedFiles, Error> {
        let this = Arc::into_inner(self).ok_or_else(|| Error::Refused("rating has not ended".to_owned()))?;
        let (slices, children) = (places.slices(), places.children());
        let mut rated = RatedFiles::default();
        // The days of a month agree where its months do: both roll-ups are made of the same terms.
        let mut of_roll_ups: HashMap<(u32, u32), usize> = HashMap::new();
        for (table, output) in RATED.into_iter().zip(this.outputs) {
            let output = output.into_inner().unwrap_or_else(PoisonError::into_inner);
            let names = output.names;
            let (agreement, accounts) = (output.agreement, output.accounts);
            let prefix = |file: u32| {
                let (slice, child) = names[usize::try_from(file).unwrap_or_default()];
                let slice = &slices[usize::try_from(slice).unwrap_or_default()];
                let child = children.get(usize::try_from(child).unwrap_or_default()).map_or("", String::as_str);
                prefix_of(slice, child)
            };
            let written = output.writer.finish(&prefix).await?;
            if table == LakeTable::ChargesMonthly {
                of_roll_ups = names.iter().copied().zip((0..).map(|file| agreement.positions(file))).collect();
            }
            for file in written {
                let (slice, child) = names[usize::try_from(file.file).unwrap_or_default()];
                let agreed = (table == LakeTable::Charges).then(|| agreement.positions(file.file));
                let name = children.get(usize::try_from(child).unwrap_or_default()).cloned().unwrap_or_default();
                let accounts = accounts.text(file.file);
                rated.files.push(RatedFile { table, slice, child, name, agreed, accounts, file });
            }
            rated.sums.push((table, output.sums, output.rows));
        }
        for file in &mut rated.files {
            if matches!(file.table, LakeTable::ChargesDaily | LakeTable::ChargesMonthly) {
                file.agreed = of_roll_ups.get(&(file.slice, file.child)).copied();
            }
        }
        Ok(rated)
    }
}

/// Directories of a slice's files below their table's.
pub(super) fn prefix_of(slice: &SliceName, child: &str) -> String {
    let period = BillingPeriod::of_day(slice.billing_period).map(|p| p.to_string()).unwrap_or_default();
    let plain = |text: &str| -> String {
        let kept: String = text
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') { c } else { '_' })
            .take(48)
            .collect();
        if kept.is_empty() { "none".to_owned() } else { kept }
    };
    let child = if child.is_empty() { "root".to_owned() } else { plain(child) };
    format!("{period}/{}/{}/{child}", plain(&slice.provider_name), plain(&slice.billing_account_id))
}

/// A durable file and whose rows it holds.
struct RatedFile {
    table: LakeTable,
    slice: u32,
    child: u32,
    /// The child's.
    name: String,
    /// In how many positions its rows agree, where scans ask for it.
    agreed: Option<usize>,
    /// The accounts of its rows, where they are few.
    accounts: Option<String>,
    file: WrittenFile,
}

/// Durable files of a rating that nothing lists yet.
#[derive(Default)]
pub(super) struct RatedFiles {
    files: Vec<RatedFile>,
    sums: Vec<(LakeTable, Vec<i256>, Vec<u64>)>,
}

impl RatedFiles {
    /// The sum of what the root pays and the number of rows of a slice in a table.
    pub(super) fn sum(&self, table: LakeTable, slice: usize) -> (i256, u64) {
        self.sums
            .iter()
            .find(|(t, ..)| *t == table)
            .map(|(_, sums, rows)| {
                (sums.get(slice).copied().unwrap_or(i256::ZERO), rows.get(slice).copied().unwrap_or_default())
            })
            .unwrap_or((i256::ZERO, 0))
    }

    /// The files of one slice as the catalog lists them.
    pub(super) fn of_slice(&self, slice: usize, slice_id: i64) -> Vec<NewFile> {
        self.files
            .iter()
            .filter(|rated| usize::try_from(rated.slice).is_ok_and(|of| of == slice))
            .map(|rated| {
                let mut listed = listed(rated.table, slice_id, &rated.name, &rated.file);
                let positions = rated.agreed.map(|positions| positions.to_string());
                for (name, said) in [(AGREED_POSITIONS, positions), (ACCOUNT_NAMES, rated.accounts.clone())] {
                    if said.is_some() {
                        listed.stats.push((name.to_owned(), said.clone(), said, 0));
                    }
                }
                listed
            })
            .collect()
    }

    /// Every path, to remove them when the commit does not happen.
    pub(super) fn paths(&self) -> Vec<String> {
        self.files.iter().map(|rated| rated.file.path.clone()).collect()
    }
}

/// A written file as the catalog lists it.
pub(super) fn listed(table: LakeTable, slice_id: i64, child: &str, file: &WrittenFile) -> NewFile {
    NewFile {
        table_id: table.id(),
        path: file.path.clone(),
        rows: file.rows,
        bytes: file.bytes,
        footer_bytes: file.footer_bytes,
        slice_id,
        child: child.to_owned(),
        stats: file.stats.iter().map(|s| (s.column.clone(), s.min.clone(), s.max.clone(), s.nulls)).collect(),
    }
}

impl ChargeSink for SliceFiles {
    fn put(
        &self,
        table: LakeTable,
        rows: RecordBatch,
        place: &Placement,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let output = self.output(table).ok_or("rating made rows of a table that it does not fill")?;
        output.lock().unwrap_or_else(PoisonError::into_inner).put(rows, place)?;
        Ok(())
    }
}

/// Decimal text of a sum at scale 18, trailing zeros removed.
pub(super) fn money_text(sum: i256) -> String {
    let text = format!("{sum}");
    let (sign, digits) = text.strip_prefix('-').map_or(("", text.as_str()), |digits| ("-", digits));
    let digits = format!("{digits:0>19}");
    let (whole, part) = digits.split_at(digits.len() - 18);
    let part = part.trim_end_matches('0');
    if part.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{part}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_written_as_decimals() {
        let one = i256::from_i128(1_000_000_000_000_000_000);
        assert_eq!(money_text(i256::ZERO), "0");
        assert_eq!(money_text(one), "1");
        assert_eq!(money_text(i256::from_i128(-1_500_000_000_000_000_000)), "-1.5");
        assert_eq!(money_text(i256::from_i128(1)), "0.000000000000000001");
    }

    #[test]
    fn directories_hold_plain_names() {
        let slice = SliceName {
            provider_name: "Google Cloud".to_owned(),
            billing_account_id: "/providers/x".to_owned(),
            billing_period: 20_727,
        };
        assert_eq!(prefix_of(&slice, ""), "2026-10/Google_Cloud/_providers_x/root");
    }
}
