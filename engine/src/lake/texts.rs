//! Texts in buffers of their own.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ByteView, StringViewArray};
use arrow::buffer::Buffer;
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

#[cfg(test)]
mod tests {
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
}
