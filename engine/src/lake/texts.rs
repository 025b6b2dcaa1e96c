//! Texts of columns: in buffers of their own, and as numbers.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ByteView, StringViewArray};
use arrow::buffer::{Buffer, ScalarBuffer};
use arrow::error::ArrowError;

/// Bytes behind the texts of a column that are kept without asking how many of them are needed.
const LOOSE_BYTES: usize = 1 << 20;

/// Texts up to this length lie in the view itself.
const INLINE_BYTES: u32 = 12;

/// Texts remembered while copying; a power of two.
const REMEMBERED: usize = 1 << 12;

/// Whether views keep much more alive than they show.
pub(super) fn is_loose(texts: &StringViewArray) -> bool {
    let kept: usize = texts.data_buffers().iter().map(|buffer| buffer.capacity().max(buffer.len())).sum();
    kept > LOOSE_BYTES && kept > 4 * texts.total_buffer_bytes_used()
}

/// Copies texts out of the buffers they are in.
///
/// Rows that share a text in the buffers, as those from a dictionary do, mostly share it in the
/// copy: a view that was copied a moment ago is recognised by its bits, without looking at the
/// text.
pub(super) fn packed(texts: &StringViewArray) -> Result<ArrayRef, ArrowError> {
    let mut content: Vec<u8> = Vec::new();
    let mut remembered: Vec<(u128, u128)> = Vec::new();
    let mut views = Vec::with_capacity(texts.len());
    for (row, view) in texts.views().iter().enumerate() {
        if texts.is_null(row) {
            views.push(0);
            continue;
        }
        let from = ByteView::from(*view);
        if from.length <= INLINE_BYTES {
            views.push(*view);
            continue;
        }
        if remembered.is_empty() {
            remembered.resize(REMEMBERED, (0, 0));
        }
        let slot = &mut remembered[slot_of(from)];
        if slot.0 != *view {
            let offset = u32::try_from(content.len()).map_err(|_| ArrowError::OffsetOverflowError(content.len()))?;
            content.extend_from_slice(texts.value(row).as_bytes());
            *slot = (*view, ByteView { buffer_index: 0, offset, ..from }.as_u128());
        }
        views.push(slot.1);
    }
    let buffers = if content.is_empty() { Vec::new() } else { vec![Buffer::from_vec(content)] };
    let copied = StringViewArray::try_new(views.into(), buffers, texts.nulls().cloned())?;
    Ok(Arc::new(copied))
}

/// Where a view is remembered. Texts next to each other get different places.
fn slot_of(view: ByteView) -> usize {
    let mixed = (view.offset ^ view.buffer_index.rotate_left(16)).wrapping_mul(0x9E37_79B1);
    (mixed >> 20) as usize % REMEMBERED
}

/// Slots for texts that are recognised: as many as these bits can name.
const SLOT_BITS: u32 = 10;
const SLOTS: usize = 1 << SLOT_BITS;

/// A slot without a text.
const VACANT: u16 = u16::MAX;

/// Texts by number, from 0 in the order in which they came. Equal ones mostly have the same number: a text is recognised by the
/// bits of its view, or, if it lies elsewhere, by itself, until another one takes its slot.
#[derive(Debug)]
pub(super) struct Numbering<'a> {
    by_view: Vec<(u128, u32, u16)>,
    by_text: Vec<u16>,
    texts: Vec<Option<&'a str>>,
    null: Option<u16>,
}

impl<'a> Numbering<'a> {
    pub(super) fn new() -> Self {
        Self { by_view: vec![(0, 0, VACANT); SLOTS], by_text: vec![VACANT; SLOTS], texts: Vec::new(), null: None }
    }

    /// The number of a row's text. `array` tells arrays apart. There must not be more texts than numbers: [`Self::len`].
    pub(super) fn of(&mut self, array: usize, texts: &'a StringViewArray, row: usize) -> u16 {
        if texts.is_null(row) {
            return match self.null {
                Some(number) => number,
                None => *self.null.insert(add(&mut self.texts, None)),
            };
        }
        let view = texts.views()[row];
        // A short text is the same in every array.
        let is_short = ByteView::from(view).length <= INLINE_BYTES;
        let array = if is_short { 0 } else { u32::try_from(array).unwrap_or(u32::MAX) };
        let slot = &mut self.by_view[slot_of_view(view)];
        if slot.2 != VACANT && slot.0 == view && slot.1 == array {
            return slot.2;
        }
        let text = texts.value(row);
        let same = &mut self.by_text[slot_of_text(text)];
        if *same == VACANT || self.texts[usize::from(*same)] != Some(text) {
            *same = add(&mut self.texts, Some(text));
        }
        *slot = (view, array, *same);
        *same
    }

    /// How many numbers there are.
    pub(super) fn len(&self) -> usize {
        self.texts.len()
    }

    /// The texts by number.
    pub(super) fn into_texts(self) -> Vec<Option<&'a str>> {
        self.texts
    }
}

fn add<'a>(texts: &mut Vec<Option<&'a str>>, text: Option<&'a str>) -> u16 {
    let number = u16::try_from(texts.len()).unwrap_or(VACANT);
    texts.push(text);
    number
}

fn slot_of_view(view: u128) -> usize {
    let [a, b] = [view, view >> 64].map(|half| u64::try_from(half & u128::from(u64::MAX)).unwrap_or_default());
    mixed(a.rotate_left(17) ^ b)
}

/// A text's slot by its length, its middle and its end: what resources of one kind, or tags, differ in.
fn slot_of_text(text: &str) -> usize {
    let bytes = text.as_bytes();
    let part = |end: usize| {
        let part = &bytes[end.saturating_sub(8)..end];
        let mut padded = [0; 8];
        padded[..part.len()].copy_from_slice(part);
        u64::from_le_bytes(padded)
    };
    let (middle, end) = (part(bytes.len().min(bytes.len() / 2 + 4)), part(bytes.len()));
    mixed(middle.rotate_left(21) ^ end ^ bytes.len() as u64)
}

/// A slot of bits, all of which count.
fn mixed(bits: u64) -> usize {
    usize::try_from(bits.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (u64::BITS - SLOT_BITS)).unwrap_or_default()
}

/// The texts of a column, each once or few times, and the number of each row's; none if there are too many for that to be shorter.
pub(super) fn numbered(texts: &StringViewArray) -> Option<(ArrayRef, ScalarBuffer<u16>)> {
    let most = (texts.len() / 4).min(usize::from(VACANT));
    let mut numbering = Numbering::new();
    let mut numbers = Vec::with_capacity(texts.len());
    for row in 0..texts.len() {
        numbers.push(numbering.of(0, texts, row));
        if numbering.len() > most {
            return None;
        }
    }
    Some((Arc::new(StringViewArray::from_iter(numbering.into_texts())), numbers.into()))
}

#[cfg(test)]
mod tests {
    use arrow::array::AsArray;

    use super::*;

    #[test]
    fn shared_texts_are_copied_once() {
        let shared = "a text too long for a view";
        let other = "and another one of that kind";
        let buffer = Buffer::from([shared, other].concat().into_bytes());
        let view = |text: &str, offset| {
            ByteView::new(u32::try_from(text.len()).expect("short"), &text.as_bytes()[..4])
                .with_offset(offset)
                .as_u128()
        };
        let length = u32::try_from(shared.len()).expect("short");
        let views = vec![view(shared, 0), view(other, length), view(shared, 0), view(shared, 0)];
        let texts = StringViewArray::try_new(views.into(), vec![buffer], None).expect("valid views");
        let copied = packed(&texts).expect("a copy");
        assert_eq!(&copied, &(Arc::new(texts.clone()) as ArrayRef));
        assert_eq!(copied.to_data().buffers()[1].len(), shared.len() + other.len());
    }

    #[test]
    fn nulls_and_short_texts_need_no_buffer() {
        let texts = StringViewArray::from(vec![Some("short"), None, Some(""), Some("twelve bytes")]);
        let copied = packed(&texts).expect("a copy");
        assert_eq!(&copied, &(Arc::new(texts) as ArrayRef));
        assert_eq!(copied.to_data().buffers().len(), 1);
    }

    #[test]
    fn equal_texts_have_one_number() {
        let texts: Vec<Option<String>> = (0..1000)
            .map(|row| match row % 5 {
                0 => None,
                1 => Some("short".to_owned()),
                // The same text elsewhere in the buffer.
                2 => Some("a text too long for a view".to_owned()),
                _ => Some(format!("one of several texts that are long, number {}", row % 7)),
            })
            .collect();
        let column = StringViewArray::from_iter(texts.iter());
        let (values, numbers) = numbered(&column).expect("few texts");
        assert_eq!(values.len(), 3 + 7);
        let values = values.as_string_view();
        let back = numbers.iter().map(|number| {
            let place = usize::from(*number);
            values.is_valid(place).then(|| values.value(place).to_owned())
        });
        assert_eq!(back.collect::<Vec<_>>(), texts);
    }

    #[test]
    fn what_is_mostly_different_stays_as_it_is() {
        let different = StringViewArray::from_iter_values((0..100).map(|row| format!("row {}", row % 26)));
        assert!(numbered(&different).is_none());
        let fewer = StringViewArray::from_iter_values((0..100).map(|row| format!("row {}", row % 25)));
        assert_eq!(numbered(&fewer).expect("few texts").0.len(), 25);
    }
}
