//! The names at the beginning of a file, which tell its source.

use std::collections::HashSet;

use ratehouse_udfs::json::members;

use super::{DEPTH_MAX, NAME_BYTES_MAX, joined, mark_bytes};
use crate::landing::csv::COLUMNS_MAX;

/// Whether the bytes begin with an object: JSON lines, or a JSON text of another form.
pub(crate) fn first_object(first: &[u8]) -> bool {
    let rest = &first[mark_bytes(first)..];
    rest.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{')
}

/// The paths of all members in the whole lines of `first`, in order, objects and what is in them;
/// `None` if no line is an object. Beyond `COLUMNS_MAX` names no more are collected: enough to
/// tell a source.
pub(crate) fn names_in(first: &[u8], is_end: bool) -> Option<Vec<String>> {
    let mut names = Names::default();
    let mut has_object = false;
    let mut lines: Vec<&[u8]> = first[mark_bytes(first)..].split(|byte| *byte == b'\n').collect();
    if !is_end && lines.len() > 1 {
        // The last line is cut off.
        lines.pop();
    }
    for line in lines {
        has_object |= std::str::from_utf8(line).is_ok_and(|text| names.add("", text, 0).is_some());
    }
    has_object.then_some(names.ordered)
}

#[derive(Default)]
struct Names {
    ordered: Vec<String>,
    known: HashSet<String>,
}

impl Names {
    /// Adds the members of an object; `None` if the text is none.
    fn add(&mut self, path: &str, text: &str, depth: usize) -> Option<()> {
        for (name, value) in members(text)?.into_iter().filter(|(name, _)| name.len() <= NAME_BYTES_MAX) {
            let own = joined(path, &name);
            if value.starts_with('{') && depth < DEPTH_MAX {
                self.add(&own, value, depth + 1);
            }
            if self.ordered.len() < COLUMNS_MAX && self.known.insert(own.clone()) {
                self.ordered.push(own);
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_paths_of_members_in_order() {
        let text = b"\xef\xbb\xbf{\"a\": 1, \"b\": {\"c\": {\"d\": []}}}\nno object\n\n{\"a\": 2, \"e\": null}\n{\"cut";
        let names = names_in(text, false).expect("two objects");
        assert_eq!(names, ["a", "b.c.d", "b.c", "b", "e"]);
    }

    #[test]
    fn what_has_no_object_a_line_is_none() {
        assert_eq!(names_in(b"{\n  \"a\": 1\n}\n", true), None);
        assert_eq!(names_in(b"[1]\n", true), None);
        assert_eq!(names_in(b"{}", true), Some(Vec::new()));
    }
}
