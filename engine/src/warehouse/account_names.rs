//! Which sub-accounts a file has rows of, as long as they are few.
//!
//! Rows of a file are in the order of their owners, and owners have accounts of all names: the bounds of a file leave out no account. Whoever
//! asks for one would read something of every file.

use std::collections::BTreeSet;

use arrow::array::{Array, AsArray, RecordBatch};
use hashbrown::HashMap;

/// Accounts of one file beyond which they are not kept.
const ACCOUNTS_MAX: usize = 128;
/// Bytes of their names.
const BYTES_MAX: usize = 4 << 10;
const COLUMN: &str = "sub_account_id";

/// The accounts of each file by its number; none where there are too many.
#[derive(Debug, Default)]
pub(super) struct AccountNames {
    files: HashMap<u32, Option<BTreeSet<String>>>,
}

impl AccountNames {
    /// Takes note of rows; `file_of_row` says which file each goes to.
    pub(super) fn add(&mut self, rows: &RecordBatch, file_of_row: &[u32]) {
        let Some(accounts) = rows.column_by_name(COLUMN).and_then(|column| column.as_string_view_opt()) else {
            return;
        };
        let mut last = None;
        for (row, file) in file_of_row.iter().enumerate() {
            if accounts.is_null(row) {
                continue;
            }
            let account = accounts.value(row);
            if last.replace((*file, account)) == Some((*file, account)) {
                continue;
            }
            let names = self.files.entry(*file).or_insert_with(|| Some(BTreeSet::new()));
            if let Some(held) = names
                && !held.contains(account)
            {
                held.insert(account.to_owned());
                if held.len() > ACCOUNTS_MAX || account.contains('\n') {
                    *names = None;
                }
            }
        }
    }

    /// The accounts of a file, each between line ends; none where they are too many.
    pub(super) fn text(&self, file: u32) -> Option<String> {
        let names = self.files.get(&file)?.as_ref()?;
        let text = names.iter().fold("\n".to_owned(), |text, name| text + name + "\n");
        (text.len() <= BYTES_MAX).then_some(text)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, StringViewArray};

    use super::*;

    #[test]
    fn the_accounts_of_each_file_are_noted_while_they_are_few() {
        let mut noted = AccountNames::default();
        let mut add = |accounts: Vec<Option<String>>, files: &[u32]| {
            let array: ArrayRef = Arc::new(accounts.into_iter().collect::<StringViewArray>());
            noted.add(&RecordBatch::try_from_iter([(COLUMN, array)]).expect("a column"), files);
        };
        let name = |text: &str| Some(text.to_owned());
        add(vec![name("b"), name("a"), None, name("b"), name("x\ny")], &[0, 0, 0, 1, 2]);
        add(vec![name("a")], &[0]);
        add((0..=ACCOUNTS_MAX).map(|at| Some(at.to_string())).collect(), &[3; ACCOUNTS_MAX + 1]);
        assert_eq!([0, 1, 2, 3, 4].map(|file| noted.text(file)), [name("\na\nb\n"), name("\nb\n"), None, None, None]);
    }
}
