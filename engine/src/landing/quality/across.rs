//! Rules about names that must mean one thing throughout a delivery.

use std::sync::Arc;

use arrow::array::{Array, StringViewArray};
use arrow::buffer::BooleanBuffer;
use hashbrown::HashMap;

use super::columns::Columns;

/// Names that are remembered; beyond, new ones are not checked, so that memory stays bounded.
const NAMES_MAX: usize = 50_000;

/// What was seen first for each name.
#[derive(Debug, Clone, Default)]
struct Meaning {
    of: HashMap<Arc<str>, Arc<str>>,
}

impl Meaning {
    fn contradicts(&mut self, name: &str, meaning: &str) -> bool {
        match self.of.get(name) {
            Some(first) => **first != *meaning,
            None => {
                if self.of.len() < NAMES_MAX {
                    self.of.insert(name.into(), meaning.into());
                }
                false
            }
        }
    }

    fn observe(&mut self, names: &StringViewArray, meanings: &StringViewArray) -> BooleanBuffer {
        let mut last: Option<(&str, &str, bool)> = None;
        BooleanBuffer::collect_bool(names.len(), |row| {
            if names.is_null(row) || meanings.is_null(row) {
                return false;
            }
            let (name, meaning) = (names.value(row), meanings.value(row));
            if let Some((n, m, answer)) = last
                && n == name
                && m == meaning
            {
                return answer;
            }
            let answer = self.contradicts(name, meaning);
            last = Some((name, meaning, answer));
            answer
        })
    }

    /// What two threads saw first may differ; that their rows contradict is then not counted again.
    fn merge(&mut self, other: &Self) {
        for (name, meaning) in &other.of {
            if self.of.len() < NAMES_MAX {
                self.of.entry(Arc::clone(name)).or_insert_with(|| Arc::clone(meaning));
            }
        }
    }
}

/// The rules' memory.
#[derive(Debug, Clone, Default)]
pub(super) struct Across {
    skus: Meaning,
    services: Meaning,
}

impl Across {
    /// Rows that contradict earlier ones, by rule.
    pub(super) fn observe(&mut self, columns: &Columns<'_>) -> Vec<(&'static str, BooleanBuffer)> {
        let mut found = Vec::new();
        if let (Some(prices), Some(skus)) = (columns.text("sku_price_id"), columns.text("sku_id")) {
            found.push(("X1", self.skus.observe(prices, skus)));
        }
        if let (Some(services), Some(categories)) = (columns.text("service_name"), columns.text("service_category")) {
            found.push(("X2", self.services.observe(services, categories)));
        }
        found
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.skus.merge(&other.skus);
        self.services.merge(&other.services);
    }
}
