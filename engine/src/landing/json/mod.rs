//! JSON lines: one object a line, numbers by their digits, objects by dotted paths.
//!
//! Such a file has no header: a member that is null is often left out, and one that nobody has
//! seen may come in the last line. So the names in the first megabyte (`sample`) only tell the
//! source; the rows (`lines`) look every member up by its path. A member that the mapping does not
//! name goes to `x_columns`, whenever it comes.
//!
//! Values stay as they are written: `0.10` is that text, never a float, and an array or an object
//! that a mapping names whole is its JSON text.

mod lines;
mod members;
mod sample;

pub(crate) use lines::read_lines;
pub(crate) use members::Members;
pub(crate) use sample::{first_object, names_in};

/// Most levels of objects in objects that become paths; a row with more is rejected.
pub(crate) const DEPTH_MAX: usize = 16;

/// Most bytes of a member's name; BigQuery allows 300.
pub(crate) const NAME_BYTES_MAX: usize = 300;

/// The bytes of the byte-order mark at the beginning of a file.
pub(crate) fn mark_bytes(first: &[u8]) -> usize {
    if first.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 }
}

/// The path of a member below another.
pub(crate) fn joined(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}
