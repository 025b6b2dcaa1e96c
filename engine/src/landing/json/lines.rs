//! The rows of a chunk of JSON lines.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, StringViewBuilder};
use ratehouse_udfs::json::{members, shown};

use super::members::{Members, Target, Targets};
use super::{DEPTH_MAX, NAME_BYTES_MAX, joined};
use crate::landing::csv::{COLUMNS_MAX, FIELD_BYTES_MAX, into_text};
use crate::landing::rows::{Others, RawRows, Reading, SourceRows, Unreadable};
use crate::landing::tags::push_json_text;
use crate::landing::typed_columns::type_columns;

/// Parses a chunk of whole lines.
pub(crate) fn read_lines(chunk: Vec<u8>, reading: &Reading, named: &Members) -> SourceRows {
    let bytes = chunk.len() as u64;
    let (text, invalid) = into_text(chunk);
    let mut rows = Rows::new(reading.columns.len(), named);
    let mut ordinals = Vec::new();
    let mut ranges = Vec::new();
    let mut unreadable = Vec::new();
    let (mut at, mut lines, mut all_rows) = (0, 0, 0);
    let mut invalid = invalid.into_iter().peekable();
    while at < text.len() {
        let end = memchr::memchr(b'\n', &text.as_bytes()[at..]).map_or(text.len(), |offset| at + offset);
        let line = text.get(at..end).unwrap_or_default();
        let mut is_text = true;
        while invalid.next_if(|position| *position < end).is_some() {
            is_text = false;
        }
        if !line.trim().is_empty() {
            let taken = if is_text { rows.take(line) } else { Err("has bytes that are not UTF-8 text".to_owned()) };
            match taken {
                Ok(()) => {
                    ordinals.push(all_rows);
                    ranges.push((narrow(at), narrow(end)));
                }
                Err(reason) => {
                    let raw = line.trim_end_matches('\r').to_owned();
                    unreadable.push(Unreadable { ordinal: all_rows, raw, reason, line: Some(lines) });
                }
            }
            all_rows += 1;
        }
        lines += 1;
        at = end + 1;
    }
    let (columns, others) = rows.finish();
    let lines = memchr::memchr_iter(b'\n', text.as_bytes()).count() as u64;
    let mut source = type_columns(&columns, ordinals.len(), reading);
    source.ordinals = ordinals;
    source.all_rows = all_rows;
    source.unreadable = unreadable;
    source.raw = RawRows::Chunk { text, ranges };
    source.lines = lines;
    source.bytes = bytes;
    source.others = Some(others);
    source
}

/// Members of one row that may become one key.
const SAME_KEY_MAX: usize = 8;

/// Positions in a chunk fit 32 bits: chunks are megabytes.
fn narrow(position: usize) -> u32 {
    u32::try_from(position).unwrap_or(u32::MAX)
}

/// Rows under construction.
struct Rows<'a> {
    targets: Targets<'a>,
    columns: Vec<StringViewBuilder>,
    tags: StringViewBuilder,
    extensions: StringViewBuilder,
    /// The cells of the row that is being read.
    cells: Vec<Option<String>>,
    row: RowObjects,
}

/// The members of a row that are no columns.
#[derive(Default)]
struct RowObjects {
    members: usize,
    keys: HashSet<String>,
    tags: String,
    extensions: String,
}

impl<'a> Rows<'a> {
    fn new(width: usize, named: &'a Members) -> Self {
        Self {
            targets: Targets::new(named),
            columns: (0..width).map(|_| StringViewBuilder::new()).collect(),
            tags: StringViewBuilder::new(),
            extensions: StringViewBuilder::new(),
            cells: vec![None; width],
            row: RowObjects::default(),
        }
    }

    /// Takes a line, or says why it cannot be read and takes nothing of it.
    fn take(&mut self, line: &str) -> Result<(), String> {
        self.row = RowObjects::default();
        self.cells.fill(None);
        self.visit("", line, 0, false)?;
        for (column, cell) in self.columns.iter_mut().zip(&mut self.cells) {
            column.append_option(cell.take());
        }
        append_object(&mut self.tags, &self.row.tags);
        append_object(&mut self.extensions, &self.row.extensions);
        Ok(())
    }

    /// Takes the members of an object. Below an object that is a column itself only other columns
    /// are taken: the rest is in its text.
    fn visit(&mut self, path: &str, object: &str, depth: usize, is_covered: bool) -> Result<(), String> {
        if depth > DEPTH_MAX {
            return Err(format!("has objects in more than {DEPTH_MAX} levels"));
        }
        let found = members(object).ok_or("is not one JSON object in one line")?;
        self.row.members += found.len();
        if self.row.members > COLUMNS_MAX {
            return Err(format!("has more than {COLUMNS_MAX} members"));
        }
        for (name, value) in found {
            if name.len() > NAME_BYTES_MAX {
                return Err(format!("has a member whose name has {} bytes", name.len()));
            }
            let own = joined(path, &name);
            let target = self.targets.of(&own).clone();
            let is_object = value.starts_with('{');
            if is_object && (target.is_parent || (target.column.is_none() && !is_covered)) {
                self.visit(&own, value, depth + 1, is_covered || target.column.is_some())?;
            }
            let is_kept = target.column.is_some() || (!is_object && !is_covered);
            if !is_kept || value == "null" {
                continue;
            }
            let text = shown(value)
                .ok_or_else(|| format!("has a text in {own} that is no text (\\u0000, or half of a pair)"))?;
            if text.len() > FIELD_BYTES_MAX {
                return Err(format!("has {} bytes in {own}", text.len()));
            }
            match target.column {
                Some(column) if self.cells[column].is_some() => {
                    return Err(format!("has two members that both mean {own}"));
                }
                Some(column) => self.cells[column] = Some(text.into_owned()),
                None => self.row.add(target, &text)?,
            }
        }
        Ok(())
    }

    fn finish(mut self) -> (Vec<ArrayRef>, Others) {
        let columns = self.columns.iter_mut().map(|c| Arc::new(c.finish()) as ArrayRef).collect();
        let others = Others { tags: Arc::new(self.tags.finish()), extensions: Arc::new(self.extensions.finish()) };
        (columns, others)
    }
}

impl RowObjects {
    /// Adds a member. A key that is taken gets `_2`: `costCenter` and `cost_center` both stay.
    fn add(&mut self, target: Target, value: &str) -> Result<(), String> {
        let mut key = target.key;
        for _ in 0..SAME_KEY_MAX {
            if self.keys.insert(key.clone()) {
                let json = if target.is_tag { &mut self.tags } else { &mut self.extensions };
                json.push(if json.is_empty() { '{' } else { ',' });
                push_json_text(json, &key);
                json.push(':');
                push_json_text(json, value);
                return Ok(());
            }
            key.push_str("_2");
        }
        Err(format!("has too many members that are {key}"))
    }
}

/// Appends the object whose closing brace is still missing, null if it has no members.
fn append_object(objects: &mut StringViewBuilder, open: &str) {
    if open.is_empty() {
        objects.append_null();
    } else {
        objects.append_value(format!("{open}}}"));
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, AsArray};

    use super::*;
    use crate::landing::rows::{ColumnReading, Need, Nulls};

    fn read(names: &[&str], text: &str) -> SourceRows {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let nulls = Arc::new(Nulls::new([]));
        let need = Need { text: true, ..Need::default() };
        let column =
            |name: &String| ColumnReading { name: name.as_str().into(), need: need.clone(), nulls: Arc::clone(&nulls) };
        let reading = Reading { columns: names.iter().map(column).collect(), formats: Vec::new().into() };
        read_lines(text.as_bytes().to_vec(), &reading, &Members::new(&names, &[], &[]))
    }

    fn cell(source: &SourceRows, column: usize, row: usize) -> Option<String> {
        let texts = source.text[column].as_ref().expect("text").as_string_view();
        texts.is_valid(row).then(|| texts.value(row).to_owned())
    }

    fn others(source: &SourceRows, row: usize) -> Option<String> {
        let texts = source.others.as_ref().expect("others").extensions.as_string_view();
        texts.is_valid(row).then(|| texts.value(row).to_owned())
    }

    #[test]
    fn members_are_columns_by_path_and_the_rest_is_kept() {
        let text = "{\"a\": {\"b\": 0.10, \"c\": \"x\\ny\"}, \"d\": [1, {\"e\": 2}], \"f\": true}\n{\"a\": null}\n{\"A\": {\"B\": \"\"}}";
        let source = read(&["a.b", "d"], text);
        assert_eq!(cell(&source, 0, 0).as_deref(), Some("0.10"));
        assert_eq!(cell(&source, 1, 0).as_deref(), Some(r#"[1, {"e": 2}]"#));
        assert_eq!(others(&source, 0).as_deref(), Some(r#"{"x_a_c":"x\ny","x_f":"true"}"#));
        assert_eq!((cell(&source, 0, 1), others(&source, 1)), (None, None));
        // Names are compared without case; an empty text is null.
        assert_eq!((cell(&source, 0, 2), others(&source, 2)), (None, None));
        assert_eq!((source.rows, source.all_rows, source.lines), (3, 3, 2));
    }

    #[test]
    fn an_object_that_is_named_is_its_text_and_still_has_members() {
        let source = read(&["a", "a.b.c"], r#"{"a": {"b": {"c": 1, "d": 2}, "e": 3}, "f": {"g": 4}}"#);
        assert_eq!(cell(&source, 0, 0).as_deref(), Some(r#"{"b": {"c": 1, "d": 2}, "e": 3}"#));
        assert_eq!(cell(&source, 1, 0).as_deref(), Some("1"));
        assert_eq!(others(&source, 0).as_deref(), Some(r#"{"x_f_g":"4"}"#));
    }

    #[test]
    fn what_is_rejected_takes_nothing_with_it() {
        let deep = format!("{}1{}", "{\"x\":".repeat(18), "}".repeat(18));
        let wide: Vec<String> = (0..=COLUMNS_MAX).map(|i| format!("\"m{i}\":{i}")).collect();
        let lines = [
            "{\"a\": 1, \"b\": 2}".to_owned(),
            "{\"a\": 1, \"A\": 2}".to_owned(),
            deep,
            format!("{{{}}}", wide.join(",")),
            format!("{{\"{}\": 1}}", "n".repeat(NAME_BYTES_MAX + 1)),
            format!("{{\"b\": \"{}\"}}", "v".repeat(FIELD_BYTES_MAX + 1)),
            "[1]".to_owned(),
            "{\"b\": 3, \"b_2\": 4, \"B\": 5}".to_owned(),
        ];
        let source = read(&["a"], &lines.join("\n"));
        let reasons: Vec<&str> = source.unreadable.iter().map(|row| row.reason.as_str()).collect();
        assert_eq!(
            reasons,
            [
                "has two members that both mean A",
                "has objects in more than 16 levels",
                "has more than 4096 members",
                "has a member whose name has 301 bytes",
                "has 1048577 bytes in b",
                "is not one JSON object in one line",
            ]
        );
        assert_eq!(source.ordinals, [0, 7]);
        assert_eq!(others(&source, 0).as_deref(), Some(r#"{"x_b":"2"}"#));
        assert_eq!(others(&source, 1).as_deref(), Some(r#"{"x_b":"3","x_b_2":"4","x_b_2_2":"5"}"#));
    }
}
