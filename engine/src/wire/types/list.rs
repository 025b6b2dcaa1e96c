//! Arrays and byte strings from the client.

use arrow::datatypes::DataType;
use datafusion::scalar::ScalarValue;

use super::parameter::null_of;
use super::presentation;
use crate::wire::backend::Failure;

/// The type of a list's items.
pub(crate) fn item_type(target: &DataType) -> &DataType {
    match target {
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => item.data_type(),
        other => other,
    }
}

/// Makes a list of items that may be decimals of different scales.
pub(crate) fn list(items: Vec<Option<ScalarValue>>, element: u32, target: &DataType) -> Result<ScalarValue, Failure> {
    let own = presentation::to_arrow(element).unwrap_or(DataType::Utf8);
    let mut item_type = items.iter().flatten().map(ScalarValue::data_type).next().unwrap_or(own);
    let mixed = items.iter().flatten().any(|item| item.data_type() != item_type);
    let mut values = Vec::with_capacity(items.len());
    if mixed {
        item_type = widest_decimal(items.iter().flatten()).unwrap_or_else(|| target.clone());
    }
    for item in items {
        values.push(match item {
            None => null_of(&item_type)?,
            Some(item) if item.data_type() == item_type => item,
            Some(item) => item.cast_to(&item_type).map_err(|_| Failure::new("22003", "numeric array out of range"))?,
        });
    }
    Ok(ScalarValue::List(ScalarValue::new_list(&values, &item_type, true)))
}

fn widest_decimal<'a>(items: impl Iterator<Item = &'a ScalarValue>) -> Option<DataType> {
    let (mut whole, mut fraction) = (0, 0);
    for item in items {
        let (DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale)) = item.data_type() else {
            return None;
        };
        let scale_digits = u8::try_from(scale).ok()?;
        fraction = fraction.max(scale_digits);
        whole = whole.max(precision.saturating_sub(scale_digits));
    }
    let scale = i8::try_from(fraction).ok()?;
    Some(match whole + fraction {
        precision @ 0..=38 => DataType::Decimal128(precision.max(1), scale),
        precision => DataType::Decimal256(precision.min(76), scale),
    })
}

/// Reads the text of a bytea, hexadecimal or with escapes.
pub(crate) fn bytea(text: &str) -> Option<Vec<u8>> {
    if let Some(hex) = text.strip_prefix("\\x") {
        let digits: Vec<u8> = hex.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
        let nibble = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        return digits
            .len()
            .is_multiple_of(2)
            .then(|| digits.chunks(2).map(|pair| Some(nibble(pair[0])? << 4 | nibble(pair[1])?)).collect())?;
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'\\' {
            bytes.push(byte);
        } else if rest.first() == Some(&b'\\') {
            bytes.push(b'\\');
            rest = &rest[1..];
        } else {
            let octal = std::str::from_utf8(rest.get(..3)?).ok()?;
            bytes.push(u8::from_str_radix(octal, 8).ok()?);
            rest = &rest[3..];
        }
    }
    Some(bytes)
}

/// Cuts the binary form of a one-dimensional array into its elements.
pub(crate) fn split_binary_array(bytes: &[u8], element: u32) -> Option<Vec<Option<&[u8]>>> {
    let mut rest = bytes;
    let word = |rest: &mut &[u8]| -> Option<i32> {
        let (head, tail) = rest.split_first_chunk::<4>()?;
        *rest = tail;
        Some(i32::from_be_bytes(*head))
    };
    let dimensions = word(&mut rest)?;
    word(&mut rest)?;
    let declared = word(&mut rest)?;
    if u32::from_be_bytes(declared.to_be_bytes()) != element {
        return None;
    }
    if dimensions == 0 {
        return Some(Vec::new());
    }
    let count = usize::try_from(word(&mut rest)?).ok()?;
    word(&mut rest)?;
    if dimensions != 1 || count > rest.len() / 4 {
        return None;
    }
    let mut items = Vec::with_capacity(count);
    for _ in 0..count {
        match usize::try_from(word(&mut rest)?) {
            Err(_) => items.push(None),
            Ok(length) => {
                let (item, tail) = rest.split_at_checked(length)?;
                items.push(Some(item));
                rest = tail;
            }
        }
    }
    rest.is_empty().then_some(items)
}
