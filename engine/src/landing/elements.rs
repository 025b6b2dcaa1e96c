//! Arrays whose elements become usage rows of their own, such as the credits of a line.

use arrow::array::{ArrayRef, AsArray, StringViewArray, StringViewBuilder, UInt32Array};
use ratehouse_udfs::json::{elements, member, shown};

use super::number::parse_number;
use super::rows::{Fault, class_of};

/// Most elements that one source row may have: what one row becomes is bounded, as the row is.
pub(crate) const ELEMENTS_MAX: usize = 1_000;

/// The relation that a mapping's `elements` directive declares, and the column with the arrays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ElementsOf {
    pub(crate) relation: String,
    pub(crate) column: String,
}

/// The elements of all arrays in a column, and the row of each. What is no array has none: `faults` rejects its row.
pub(crate) fn expand(arrays: &StringViewArray) -> (StringViewArray, UInt32Array) {
    let mut texts = StringViewBuilder::new();
    let mut rows = Vec::new();
    for (row, array) in (0_u32..).zip(arrays) {
        for element in array.and_then(elements).unwrap_or_default().into_iter().take(ELEMENTS_MAX) {
            texts.append_value(element);
            rows.push(row);
        }
    }
    (texts.finish(), rows.into())
}

/// The rows whose cell is no array, or one that is too long.
pub(crate) fn faults(arrays: &ArrayRef, column: &str) -> Vec<Fault> {
    let arrays = arrays.as_string_view();
    let fault = |row: u32, text: &str| {
        let reason = match elements(text) {
            None => "is not a JSON array".to_owned(),
            Some(found) if found.len() > ELEMENTS_MAX => {
                format!("has {} elements, {ELEMENTS_MAX} are allowed", found.len())
            }
            Some(_) => return None,
        };
        Some(Fault { row, column: column.into(), value_class: class_of(text.chars().count()), reason })
    };
    (0_u32..).zip(arrays).filter_map(|(row, text)| fault(row, text?)).collect()
}

/// Σ of a member over the elements of one array, in units of 1e-18; `None` where it does not parse. `keys` lead to the member: those of the
/// objects around it, from the element inwards, and its own.
pub(crate) fn sum_of(array: &str, keys: &[String]) -> Option<i128> {
    let mut sum = 0_i128;
    for element in elements(array)? {
        let found = keys.iter().try_fold(element, |object, key| member(object, key));
        if let Some(text) = found.and_then(shown) {
            sum = sum.checked_add(parse_number(text.as_bytes()).ok()?.units)?;
        }
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn elements_follow_their_rows() {
        let arrays = StringViewArray::from(vec![Some(r#"[{"a": 1}, 2]"#), None, Some("[]"), Some("{}"), Some("[3]")]);
        let (texts, rows) = expand(&arrays);
        assert_eq!(texts.iter().flatten().collect::<Vec<_>>(), [r#"{"a": 1}"#, "2", "3"]);
        assert_eq!(rows.values().as_ref(), &[0, 0, 4]);
        let found = faults(&(Arc::new(arrays) as ArrayRef), "credits");
        assert_eq!(found.iter().map(|f| (f.row, f.reason.as_str())).collect::<Vec<_>>(), [(3, "is not a JSON array")]);
    }

    #[test]
    fn a_row_has_so_many_elements_and_no_more() {
        let array = |n: usize| format!("[{}]", vec!["1"; n].join(","));
        let arrays = StringViewArray::from(vec![array(ELEMENTS_MAX), array(ELEMENTS_MAX + 1)]);
        let found = faults(&(Arc::new(arrays) as ArrayRef), "credits");
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].row, found[0].reason.as_str()), (1, "has 1001 elements, 1000 are allowed"));
    }

    fn sum(array: &str, path: &str) -> Option<i128> {
        sum_of(array, &path.split('.').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn sums_are_exact() {
        // −0.1 − 0.2 + 1e-18, numbers and texts; an element without the member adds nothing.
        let array = r#"[{"amount": -0.1}, {"amount": "-0.2"}, {"amount": 1e-18}, {"name": "x"}, {"amount": null}]"#;
        assert_eq!(sum(array, "amount"), Some(-300_000_000_000_000_000 + 1));
        assert_eq!(sum(r#"[{"amount": "x"}]"#, "amount"), None);
        assert_eq!(sum("[]", "amount"), Some(0));
    }

    #[test]
    fn a_member_may_lie_in_objects_of_the_element() {
        // 1.2345678901 + 20 + 1e-18. Where an object on the way is missing, null or none, there is no member.
        let array = r#"[{"m": {"cost": {"amount": "1.2345678901", "unit": "USD"}}}, {"m": {"cost": {"amount": 20}}},
            {"m": {"cost": {"amount": 1e-18}}}, {"m": {"cost": {}}}, {"m": {"other": 3}}, {"m": null}, {"m": [5]}, {"amount": 7}, 9]"#;
        assert_eq!(sum(array, "m.cost.amount"), Some(21_234_567_890_100_000_000 + 1));
        // Of two members of one name the last, as the query reads it.
        assert_eq!(sum(r#"[{"m": {"a": 1}, "m": {"a": 2}}]"#, "m.a"), Some(2_000_000_000_000_000_000));
        assert_eq!(sum(r#"[{"m": {"a": 1}}, {"m": {"a": "x"}}]"#, "m.a"), None);
        // An object is no number.
        assert_eq!(sum(r#"[{"m": {"a": 1}}]"#, "m"), None);
    }
}
