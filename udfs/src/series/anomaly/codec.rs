//! The stored form of a state: every number in eight, four or one little-endian bytes, in one order.

/// Goes over the numbers of a state, to write them or to read them.
///
/// One list of fields serves both ways, so that what is written cannot differ from what is read.
pub(super) trait Fields {
    /// A number of full precision.
    fn float(&mut self, field: &mut f64);
    /// A count, a position, or a [`super::ring::Brief`].
    fn word(&mut self, field: &mut u32);
    /// A small count or a choice.
    fn byte(&mut self, field: &mut u8);
    /// Numbers of full precision.
    fn floats(&mut self, fields: &mut [f64]) {
        fields.iter_mut().for_each(|field| self.float(field));
    }
    /// Counts, positions or brief numbers.
    fn words(&mut self, fields: &mut [u32]) {
        fields.iter_mut().for_each(|field| self.word(field));
    }
}

/// Writes a state.
#[derive(Debug)]
pub(super) struct Writer<'a>(pub(super) &'a mut Vec<u8>);

impl Fields for Writer<'_> {
    fn float(&mut self, field: &mut f64) {
        self.0.extend_from_slice(&field.to_le_bytes());
    }

    fn word(&mut self, field: &mut u32) {
        self.0.extend_from_slice(&field.to_le_bytes());
    }

    fn byte(&mut self, field: &mut u8) {
        self.0.push(*field);
    }
}

/// Reads a state. What is missing at the end is left as it was and remembered.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    is_short: bool,
}

impl<'a> Reader<'a> {
    /// Reads from these bytes.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, is_short: false }
    }

    /// True where every field was there and no byte is left over.
    pub(super) fn is_complete(&self) -> bool {
        !self.is_short && self.bytes.is_empty()
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let Some((taken, rest)) = self.bytes.split_first_chunk::<N>() else {
            self.is_short = true;
            return None;
        };
        self.bytes = rest;
        Some(*taken)
    }
}

impl Fields for Reader<'_> {
    fn float(&mut self, field: &mut f64) {
        *field = self.take().map_or(*field, f64::from_le_bytes);
    }

    fn word(&mut self, field: &mut u32) {
        *field = self.take().map_or(*field, u32::from_le_bytes);
    }

    fn byte(&mut self, field: &mut u8) {
        *field = self.take().map_or(*field, u8::from_le_bytes);
    }
}
