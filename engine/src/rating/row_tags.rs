//! The tags of a batch's rows as numbers: each different text is read once.

use arrow::array::StringViewArray;
use hashbrown::HashMap;

use super::run::RatingRun;
use super::tags;
use super::texts::NULL;
use super::vocabulary::Dimension;

/// Sets of tags kept before the memory of them is cleared.
const SETS_MAX: usize = 1 << 16;

/// What one text of tags says.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct TagSet {
    from: usize,
    until: usize,
    /// The number of the text of those tags that rules look at or policies speak of; null when there are none.
    pub(crate) text: u32,
    /// The same of those that rules look at.
    pub(crate) of_rules: u32,
}

/// The tags of the rows of a batch, and of the batches before it.
#[derive(Debug, Default)]
pub(crate) struct RowTags {
    sets: HashMap<Box<str>, TagSet>,
    pairs: Vec<(u32, u32)>,
    of_row: Vec<TagSet>,
}

impl RowTags {
    /// Reads a column of JSON objects; nothing where no rule and no policy knows a tag.
    pub(crate) fn read(&mut self, column: &StringViewArray, run: &RatingRun) {
        self.of_row.clear();
        let vocabulary = &run.book.vocabulary;
        if vocabulary.tag_keys.is_empty() {
            return;
        }
        if self.sets.len() > SETS_MAX {
            self.sets.clear();
            self.pairs.clear();
        }
        for row in column {
            let Some(json) = row else {
                self.of_row.push(TagSet::default());
                continue;
            };
            if let Some(known) = self.sets.get(json) {
                self.of_row.push(*known);
                continue;
            }
            let from = self.pairs.len();
            let (keys, values) = (vocabulary.words(Dimension::TagKey), vocabulary.words(Dimension::TagValue));
            let pairs = &mut self.pairs;
            tags::each_tag(json, &mut |key, value| {
                let key = keys.number(key);
                if key != 0 {
                    pairs.push((key, values.number(value)));
                }
            });
            let text = |keys| tags::only(json, keys).map_or(NULL, |text| run.values.number(&text));
            let set = TagSet {
                from,
                until: self.pairs.len(),
                text: text(&vocabulary.tag_keys),
                of_rules: text(&vocabulary.rule_keys),
            };
            self.sets.insert(Box::from(json), set);
            self.of_row.push(set);
        }
    }

    /// What the tags of a row say.
    #[inline]
    pub(crate) fn set(&self, row: usize) -> TagSet {
        self.of_row.get(row).copied().unwrap_or_default()
    }

    /// Numbers of key and value of each tag of a row that rules look at.
    #[inline]
    pub(crate) fn pairs(&self, row: usize) -> &[(u32, u32)] {
        self.of_row.get(row).map_or(&[], |set| &self.pairs[set.from..set.until])
    }
}
