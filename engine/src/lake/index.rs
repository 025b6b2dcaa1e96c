//! Which files make up a table at a snapshot, in memory.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use hashbrown::HashMap;

use super::schema::LakeTable;
use super::{DataFile, FileList};

/// A file and the snapshots that have it: from `begin_snapshot` on, before `end_snapshot`.
#[derive(Debug, Clone)]
pub struct IndexedFile {
    /// The file.
    pub file: Arc<DataFile>,
    /// The snapshot that added it.
    pub begin_snapshot: i64,
    /// The snapshot that ended it.
    pub end_snapshot: Option<i64>,
}

impl IndexedFile {
    fn is_in(&self, snapshot: i64) -> bool {
        self.begin_snapshot <= snapshot && self.end_snapshot.is_none_or(|end| snapshot < end)
    }
}

/// The files of all tables, refreshed from the catalog after each commit.
///
/// Knows the snapshots from [`oldest`](Self::oldest) to [`newest`](Self::newest); what lies
/// outside is answered by an index loaded from the catalog for it. Files are grouped by table and
/// billing period, so that a refresh and a query of some periods do not touch the others.
/// Files of one period are answered in the order in which they were added.
#[derive(Debug)]
pub struct FileIndex {
    state: RwLock<State>,
}

#[derive(Debug, Default)]
struct State {
    oldest: i64,
    newest: i64,
    tables: HashMap<LakeTable, BTreeMap<i32, Vec<IndexedFile>>>,
    periods: HashMap<i64, (LakeTable, i32)>,
}

impl FileIndex {
    /// An index that is complete for one snapshot, `snapshot`: `files` are those in it, and any
    /// that ended before are ignored.
    pub fn new(snapshot: i64, files: impl IntoIterator<Item = IndexedFile>) -> Self {
        let mut state = State { oldest: snapshot, newest: snapshot, ..State::default() };
        for file in files {
            if file.end_snapshot.is_none_or(|end| end > snapshot) {
                state.add(file);
            }
        }
        Self { state: RwLock::new(state) }
    }

    /// The oldest snapshot that can be asked for.
    pub fn oldest(&self) -> i64 {
        self.read().oldest
    }

    /// The newest snapshot that can be asked for.
    pub fn newest(&self) -> i64 {
        self.read().newest
    }

    /// Takes in what happened up to `newest`: files that began and files that ended (id and
    /// snapshot). What is known already changes nothing, so refreshes may overlap.
    pub fn apply(&self, newest: i64, added: impl IntoIterator<Item = IndexedFile>, ended: &[(i64, i64)]) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        added.into_iter().for_each(|file| state.add(file));
        ended.iter().for_each(|(id, snapshot)| state.end(*id, *snapshot));
        state.newest = state.newest.max(newest);
    }

    /// Forgets files that no snapshot from `oldest` on has.
    pub fn forget_before(&self, oldest: i64) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let State { tables, periods, .. } = &mut *state;
        for table in tables.values_mut() {
            table.retain(|_, files| {
                files.retain(|file| {
                    let keep = file.end_snapshot.is_none_or(|end| end > oldest);
                    if !keep {
                        periods.remove(&file.file.id);
                    }
                    keep
                });
                !files.is_empty()
            });
        }
        state.oldest = state.oldest.max(oldest);
    }

    /// The files of a table at a snapshot that pass the filter.
    pub fn files(&self, table: LakeTable, snapshot: i64, filter: impl Fn(&DataFile) -> bool) -> FileList {
        self.files_of_periods(table, snapshot, i32::MIN..=i32::MAX, filter)
    }

    /// The same of some billing periods, given by their first days.
    pub fn files_of_periods(
        &self,
        table: LakeTable,
        snapshot: i64,
        periods: RangeInclusive<i32>,
        filter: impl Fn(&DataFile) -> bool,
    ) -> FileList {
        let state = self.read();
        let Some(of_table) = state.tables.get(&table) else {
            return FileList::default();
        };
        let files = of_table.range(periods).flat_map(|(_, files)| files);
        files.filter(|file| file.is_in(snapshot) && filter(&file.file)).map(|file| Arc::clone(&file.file)).collect()
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn add(&mut self, file: IndexedFile) {
        let (id, table, period) = (file.file.id, file.file.table, file.file.billing_period);
        if self.periods.insert(id, (table, period)).is_some() {
            if let Some(end) = file.end_snapshot {
                self.end(id, end);
            }
            return;
        }
        self.tables.entry(table).or_default().entry(period).or_default().push(file);
    }

    fn end(&mut self, id: i64, snapshot: i64) {
        let files = self.periods.get(&id).and_then(|(table, period)| self.tables.get_mut(table)?.get_mut(period));
        let file = files.into_iter().flatten().find(|file| file.file.id == id);
        if let Some(file) = file {
            file.end_snapshot = Some(snapshot);
        }
    }
}
