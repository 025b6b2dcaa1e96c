//! Digests of rows: equal rows in equal order have equal digests, and no others do.

use sha2::{Digest as _, Sha256};

use crate::catalog::Value;

/// The running digest of rows that all have the same number of values.
#[derive(Debug, Default)]
pub(in crate::catalog) struct RowsDigest(Sha256);

impl RowsDigest {
    /// Adds a row. Every value has its type before it and a text its length, so that no two rows have the same bytes.
    pub(in crate::catalog) fn add(&mut self, values: &[Value]) {
        for value in values {
            match value {
                Value::Null => self.0.update([0]),
                Value::Int(int) => {
                    self.0.update([1]);
                    self.0.update(int.to_be_bytes());
                }
                Value::Text(text) => {
                    self.0.update([2]);
                    add_text(&mut self.0, text);
                }
            }
        }
    }

    /// The digest in hexadecimal digits.
    pub(in crate::catalog) fn finish(self) -> String {
        hex(&self.0.finalize())
    }
}

/// Adds a text with its length before it.
pub(super) fn add_text(digest: &mut Sha256, text: &str) {
    digest.update((text.len() as u64).to_be_bytes());
    digest.update(text.as_bytes());
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |text, byte| text + &format!("{byte:02x}"))
}
