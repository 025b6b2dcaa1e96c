//! In how many positions, from the root on, all rows of a file agree.
//!
//! A node sees nothing of what is above it. Rows that differ only there are one row to it, and its scans fold them
//! (`session/fold.rs`). Most files hold no such rows; that is found out here, once, while they are written.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use hashbrown::HashMap;

use crate::error::Error;
use crate::lake::LakeTable;
use crate::lake::schema::MAX_POSITIONS;

/// What a position says besides amounts.
const TERMS: [&str; 3] = ["currency", "outcome", "fx_rate"];

/// The rows of one file, as far as they agree.
#[derive(Debug)]
struct Agreed {
    positions: usize,
    /// The first row's nodes, and its terms at each position.
    path: Vec<String>,
    terms: Vec<[Option<String>; TERMS.len()]>,
}

/// Agreement within the files of one table, by the file's number.
#[derive(Debug)]
pub(super) struct Agreement {
    table: LakeTable,
    files: HashMap<u32, Agreed>,
}

impl Agreement {
    pub(super) fn new(table: LakeTable) -> Self {
        Self { table, files: HashMap::new() }
    }

    /// Takes note of rows; `file_of_row` says which file each goes to.
    pub(super) fn add(&mut self, rows: &RecordBatch, file_of_row: &[u32]) -> Result<(), Error> {
        match self.table {
            // Parts of a cut row may be one charge to somebody.
            LakeTable::Charges => {
                let continues = column(rows, "continues")?;
                if continues.null_count() < continues.len() {
                    for row in (0..rows.num_rows()).filter(|row| continues.is_valid(*row)) {
                        self.files.entry(file_of_row[row]).or_insert_with(Agreed::nowhere);
                    }
                }
                Ok(())
            }
            LakeTable::ChargesMonthly => self.compare(rows, file_of_row),
            LakeTable::Usage | LakeTable::ChargesDaily | LakeTable::EdgesMonthly | LakeTable::ChargesByTerms => Ok(()),
        }
    }

    fn compare(&mut self, rows: &RecordBatch, file_of_row: &[u32]) -> Result<(), Error> {
        let paths = column(rows, "node_path")?.as_string_view();
        let mut positions: Vec<[&ArrayRef; TERMS.len()]> = Vec::with_capacity(MAX_POSITIONS);
        for k in 0..MAX_POSITIONS {
            let [a, b, c] = TERMS.map(|term| column(rows, &format!("{term}_{k}")));
            positions.push([a?, b?, c?]);
        }
        let text = |array: &ArrayRef, row: usize| {
            let array = array.as_string_view();
            (!array.is_null(row)).then(|| array.value(row).to_owned())
        };
        for (row, file) in file_of_row.iter().enumerate() {
            let agreed = self.files.entry(*file).or_insert_with(|| Agreed {
                positions: MAX_POSITIONS,
                path: paths.value(row).split('/').map(str::to_owned).collect(),
                terms: positions.iter().map(|terms| terms.map(|array| text(array, row))).collect(),
            });
            let mut nodes = paths.value(row).split('/');
            for (k, terms) in positions.iter().enumerate().take(agreed.positions) {
                let is_same = nodes.next() == agreed.path.get(k).map(String::as_str)
                    && terms.iter().zip(&agreed.terms[k]).all(|(array, first)| {
                        let array = array.as_string_view();
                        first.as_deref() == (!array.is_null(row)).then(|| array.value(row))
                    });
                if !is_same {
                    agreed.positions = k;
                    break;
                }
            }
        }
        Ok(())
    }

    /// The number of positions in which all rows of a file agree.
    pub(super) fn positions(&self, file: u32) -> usize {
        self.files.get(&file).map_or(MAX_POSITIONS, |agreed| agreed.positions)
    }
}

impl Agreed {
    fn nowhere() -> Self {
        Self { positions: 0, path: Vec::new(), terms: Vec::new() }
    }
}

fn column<'a>(rows: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef, Error> {
    rows.column_by_name(name).ok_or_else(|| Error::Conservation(format!("rows without {name}")))
}
