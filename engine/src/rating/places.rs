//! Where a charge belongs, as dense numbers: its slice, its root's child and its owner.

use std::sync::{Mutex, MutexGuard, PoisonError};

use hashbrown::HashMap;

/// Names a slice as far as rows say it; the source is the caller's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SliceName {
    /// The provider.
    pub provider_name: String,
    /// The provider's billing account; empty where the row has none.
    pub billing_account_id: String,
    /// The billing period, days since 1970 of its first day.
    pub billing_period: i32,
}

#[derive(Debug)]
struct Names<T> {
    index: HashMap<T, u32>,
    list: Vec<T>,
}

impl<T> Default for Names<T> {
    fn default() -> Self {
        Self { index: HashMap::new(), list: Vec::new() }
    }
}

impl<T: Clone + Eq + std::hash::Hash> Names<T> {
    fn number(&mut self, name: &T) -> u32 {
        if let Some(number) = self.index.get(name) {
            return *number;
        }
        let number = u32::try_from(self.list.len()).unwrap_or(u32::MAX);
        self.index.insert(name.clone(), number);
        self.list.push(name.clone());
        number
    }
}

#[derive(Debug, Default)]
struct Held {
    slices: Names<SliceName>,
    children: Names<String>,
    owners: Names<String>,
}

/// The names behind the numbers of a [`Placement`]; one registry for all workers of a run.
#[derive(Debug, Default)]
pub struct Places(Mutex<Held>);

impl Places {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn slice(&self, name: &SliceName) -> u32 {
        self.held().slices.number(name)
    }

    pub(crate) fn child(&self, name: &str) -> u32 {
        self.held().children.number(&name.to_owned())
    }

    pub(crate) fn owner(&self, path: &str) -> u32 {
        self.held().owners.number(&path.to_owned())
    }

    /// The slices, by number.
    pub fn slices(&self) -> Vec<SliceName> {
        self.held().slices.list.clone()
    }

    /// The root's children that own rows, by number; empty where the root itself owns them.
    pub fn children(&self) -> Vec<String> {
        self.held().children.list.clone()
    }

    /// The owners' paths, by number.
    pub fn owners(&self) -> Vec<String> {
        self.held().owners.list.clone()
    }
}

/// Where each row of a batch belongs: numbers of [`Places`].
#[derive(Debug, Clone, Default)]
pub struct Placement {
    /// The slice.
    pub slice_of_row: Vec<u32>,
    /// The root's child on the row's path.
    pub child_of_row: Vec<u32>,
    /// The owner's path.
    pub owner_of_row: Vec<u32>,
}
