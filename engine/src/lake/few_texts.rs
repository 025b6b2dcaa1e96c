//! Column chunks of texts that repeat: the rows of a row group are numbers already, see [`super::texts::Numbering`].

use parquet::errors::Result;
use parquet::schema::types::ColumnDescPtr;

use super::batches::Selection;
use super::own_chunk::{self, Content, OwnChunk, hybrid, plain_text, run, text_statistics};

/// Texts that a chunk may have although fewer rows do.
const TEXTS_MIN: usize = 512;
/// Bytes of a dictionary at most, as Parquet's encoder has it.
const DICTIONARY_BYTES_MAX: usize = 1 << 20;

/// Encodes the texts of a column; `None` where they do not repeat enough for a dictionary to be shorter.
pub(super) fn encode(
    description: &ColumnDescPtr,
    has_statistics: bool,
    (selection, column): (&Selection<'_>, usize),
    level: i32,
) -> Result<Option<OwnChunk>> {
    let Some((numbers, texts)) = selection.numbered(column, TEXTS_MIN.max(selection.len() / 2)) else {
        return Ok(None);
    };
    let (mut plain, mut count) = (Vec::new(), 0_u16);
    let mut place_of_number = Vec::with_capacity(texts.len());
    for text in &texts {
        place_of_number.push(text.map(|_| count));
        if let Some(text) = text {
            plain_text(text, &mut plain)?;
            count += 1;
        }
        if plain.len() > DICTIONARY_BYTES_MAX {
            return Ok(None);
        }
    }
    let places: Vec<u16> = numbers.iter().filter_map(|number| place_of_number[usize::from(*number)]).collect();
    let Some(last) = count.checked_sub(1) else { return Ok(None) };
    let rows = u32::try_from(numbers.len()).map_err(|_| own_chunk::too_long())?;
    let nulls = rows - u32::try_from(places.len()).unwrap_or(rows);
    let mut levels = Vec::new();
    if description.max_def_level() > 0 {
        if nulls == 0 {
            run(&mut levels, numbers.len(), 1, 1);
        } else {
            let has_text = |number: &u16| u16::from(place_of_number[usize::from(*number)].is_some());
            hybrid(&mut levels, &numbers.iter().map(has_text).collect::<Vec<_>>(), 1);
        }
    }
    let width = u8::try_from((u16::BITS - last.leading_zeros()).max(1)).unwrap_or(16);
    let mut content = vec![width];
    hybrid(&mut content, &places, width);
    let statistics = has_statistics.then(|| {
        let present = || texts.iter().copied().flatten();
        text_statistics(present().min().zip(present().max()), u64::from(nulls))
    });
    let content = Content { dictionary: Some((plain, u32::from(count))), levels, places: content, rows, nulls };
    own_chunk::encode(description, content, statistics, level).map(Some)
}
