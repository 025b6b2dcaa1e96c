//! Texts as numbers, the same in every worker of a run.
//!
//! Roll-ups group by numbers and write texts once at the end; the columns that pricing adds are
//! taken from one array of all texts, so that no row copies a text.

use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{StringViewArray, StringViewBuilder};
use hashbrown::HashMap;

/// The number of null.
pub(crate) const NULL: u32 = 0;

#[derive(Debug)]
struct Held {
    index: HashMap<Arc<str>, u32>,
    list: Vec<Arc<str>>,
}

/// All texts of a run. Numbers count from 1; 0 is null.
#[derive(Debug)]
pub(crate) struct Texts(Mutex<Held>);

impl Default for Texts {
    fn default() -> Self {
        Self(Mutex::new(Held { index: HashMap::new(), list: vec![Arc::from("")] }))
    }
}

impl Texts {
    fn held(&self) -> std::sync::MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of a text.
    pub(crate) fn number(&self, text: &str) -> u32 {
        let mut held = self.held();
        if let Some(number) = held.index.get(text) {
            return *number;
        }
        let number = u32::try_from(held.list.len()).unwrap_or(u32::MAX);
        let shared: Arc<str> = Arc::from(text);
        held.list.push(Arc::clone(&shared));
        held.index.insert(shared, number);
        number
    }

    /// The text of a number; empty for null.
    pub(crate) fn text(&self, number: u32) -> Arc<str> {
        let held = self.held();
        let at = usize::try_from(number).unwrap_or(usize::MAX);
        held.list.get(at).map_or_else(|| Arc::from(""), Arc::clone)
    }

    /// How many numbers there are, null included.
    pub(crate) fn len(&self) -> usize {
        self.held().list.len()
    }

    /// All texts as one array; the element at 0 is null.
    pub(crate) fn array(&self) -> StringViewArray {
        let held = self.held();
        let mut builder = StringViewBuilder::with_capacity(held.list.len());
        builder.append_null();
        for text in held.list.iter().skip(1) {
            builder.append_value(text);
        }
        builder.finish()
    }
}
