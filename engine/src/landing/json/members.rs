//! What becomes of a member, by its path.

use hashbrown::{HashMap, HashSet};

use crate::landing::directives::TagColumns;
use crate::landing::header_names::{extension_key, loose};

/// Paths that one chunk remembers; a file that has more makes its chunks look paths up again.
const REMEMBERED_MAX: usize = 8_192;

/// The members that a mapping names, under every spelling that means one of them.
#[derive(Debug, Clone)]
pub(crate) struct Members {
    columns: HashMap<String, usize>,
    /// Objects that have a named member somewhere below.
    parents: HashSet<String>,
    tags: Vec<TagColumns>,
}

/// What becomes of the member at one path.
#[derive(Debug, Clone)]
pub(super) struct Target {
    /// The column whose cell it is.
    pub(super) column: Option<usize>,
    /// Whether a member below it is a column.
    pub(super) is_parent: bool,
    /// The key under which it is kept otherwise.
    pub(super) key: String,
    /// Whether that is the key of a tag.
    pub(super) is_tag: bool,
}

impl Members {
    /// `names` are the columns' names in order, `others` further spellings with the column each means.
    pub(crate) fn new(names: &[String], others: &[(String, usize)], tags: &[TagColumns]) -> Self {
        let own = names.iter().enumerate().map(|(i, name)| (loose(name), i));
        let columns: HashMap<String, usize> = others.iter().map(|(name, i)| (loose(name), *i)).chain(own).collect();
        let spelt = names.iter().chain(others.iter().map(|(name, _)| name));
        let parents = spelt.flat_map(|name| name.match_indices('.').map(|(at, _)| loose(&name[..at]))).collect();
        Self { columns, parents, tags: tags.to_vec() }
    }

    fn target(&self, path: &str) -> Target {
        let spelling = loose(path);
        let family = self.tags.iter().filter(|f| path.starts_with(&f.prefix)).max_by_key(|f| f.prefix.len());
        Target {
            column: self.columns.get(&spelling).copied(),
            is_parent: self.parents.contains(&spelling),
            key: match family {
                Some(family) => format!("{}{}", family.key_prefix, &path[family.prefix.len()..]),
                None => extension_key(path),
            },
            is_tag: family.is_some(),
        }
    }
}

/// The targets of the paths of one chunk.
pub(super) struct Targets<'a> {
    members: &'a Members,
    by_path: HashMap<String, Target>,
}

impl<'a> Targets<'a> {
    pub(super) fn new(members: &'a Members) -> Self {
        Self { members, by_path: HashMap::new() }
    }

    pub(super) fn of(&mut self, path: &str) -> &Target {
        if self.by_path.len() >= REMEMBERED_MAX {
            self.by_path.clear();
        }
        let members = self.members;
        self.by_path.entry_ref(path).or_insert_with(|| members.target(path))
    }
}
