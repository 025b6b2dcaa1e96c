//! Rules about the values that a column may have.

use std::sync::LazyLock;

use arrow::array::{Array, StringViewArray};
use arrow::buffer::BooleanBuffer;
use hashbrown::{HashMap, HashSet};

use super::FocusVersion;
use super::columns::Columns;

pub(super) fn r10(c: &Columns<'_>, _: FocusVersion) -> Option<BooleanBuffer> {
    Some(c.purchase() & &c.is("charge_frequency", "Usage-Based"))
}

pub(super) fn r11(c: &Columns<'_>, _: FocusVersion) -> Option<BooleanBuffer> {
    let listed: [(&str, &[&str]); 7] = [
        ("charge_category", &["Usage", "Purchase", "Tax", "Credit", "Adjustment"]),
        ("charge_class", &["Correction"]),
        ("charge_frequency", &["One-Time", "Recurring", "Usage-Based"]),
        ("commitment_discount_category", &["Spend", "Usage"]),
        ("commitment_discount_status", &["Used", "Unused"]),
        ("capacity_reservation_status", &["Used", "Unused"]),
        ("pricing_category", &["Standard", "Dynamic", "Committed", "Other"]),
    ];
    let mut broken = BooleanBuffer::new_unset(c.rows);
    for (column, values) in listed {
        broken = &broken | &(&c.has(column) & &!&c.is_any(column, values));
    }
    let is_unknown = |text: &str| !CATEGORIES.contains(text);
    Some(&broken | &where_text(c, c.text("service_category"), is_unknown))
}

pub(super) fn r18(c: &Columns<'_>, _: FocusVersion) -> Option<BooleanBuffer> {
    let mut broken = BooleanBuffer::new_unset(c.rows);
    for column in ["tags", "sku_price_details", "allocated_tags"] {
        broken = &broken | &where_text(c, c.text(column), |text| !is_flat_object(text));
    }
    Some(broken)
}

/// A JSON object whose values are text, numbers, booleans or null.
fn is_flat_object(text: &str) -> bool {
    let parsed: Result<serde_json::Map<String, serde_json::Value>, _> = serde_json::from_str(text);
    parsed.is_ok_and(|object| object.values().all(|v| !v.is_object() && !v.is_array()))
}

pub(super) fn r19(c: &Columns<'_>, _: FocusVersion) -> Option<BooleanBuffer> {
    let (categories, subcategories) = (c.text("service_category")?, c.text("service_subcategory")?);
    let both = &c.has("service_category") & &c.has("service_subcategory");
    let parents = BooleanBuffer::collect_bool(c.rows, |row| {
        both.value(row) && PARENTS.get(subcategories.value(row)).is_none_or(|parent| parent != categories.value(row))
    });
    Some(parents)
}

pub(super) fn r20(c: &Columns<'_>, _: FocusVersion) -> Option<BooleanBuffer> {
    Some(where_text(c, c.text("billing_currency"), |text| !CURRENCIES.contains(text)))
}

/// Texts that a batch is asked about once.
const REMEMBERED_MAX: usize = 4_096;

/// Where a text is there and `holds`, asked once for every distinct text as long as those are few.
fn where_text(c: &Columns<'_>, column: Option<&StringViewArray>, holds: impl Fn(&str) -> bool) -> BooleanBuffer {
    let Some(column) = column else {
        return BooleanBuffer::new_unset(c.rows);
    };
    let mut known: HashMap<&str, bool> = HashMap::new();
    let mut last = (None, false);
    BooleanBuffer::collect_bool(c.rows, |row| {
        if column.is_null(row) {
            return false;
        }
        let text = column.value(row);
        if last.0 == Some(text) {
            return last.1;
        }
        let answer = known.get(text).copied().unwrap_or_else(|| {
            let answer = holds(text);
            if known.len() < REMEMBERED_MAX {
                known.insert(text, answer);
            }
            answer
        });
        last = (Some(text), answer);
        answer
    })
}

/// Service subcategories and the category each belongs to (FOCUS 1.4).
static PARENTS: LazyLock<std::collections::HashMap<String, String>> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../../../data/reference/focus_service_subcategories.json"))
        .unwrap_or_default()
});

static CATEGORIES: LazyLock<HashSet<&'static str>> = LazyLock::new(|| PARENTS.values().map(String::as_str).collect());

/// National currencies of ISO 4217. Codes that begin with X are none, except those that are
/// money in several countries.
static CURRENCIES: LazyLock<HashSet<String>> = LazyLock::new(|| {
    let listed: serde_json::Value =
        serde_json::from_str(include_str!("../../../../data/reference/iso_4217_currencies.json")).unwrap_or_default();
    let codes = listed["codes"].as_array().into_iter().flatten().filter_map(serde_json::Value::as_str);
    codes
        .filter(|code| !code.starts_with('X') || matches!(*code, "XAF" | "XCD" | "XCG" | "XOF" | "XPF"))
        .map(str::to_owned)
        .collect()
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_there() {
        // FOCUS 1.4: 19 categories; ISO 4217 has about 160 national currencies.
        assert_eq!(CATEGORIES.len(), 19);
        assert!(
            CURRENCIES.contains("USD")
                && CURRENCIES.contains("XOF")
                && !CURRENCIES.contains("XAU")
                && CURRENCIES.len() > 140
        );
        assert!(is_flat_object(r#"{"a": 1, "b": null}"#) && !is_flat_object(r#"{"a": {}}"#) && !is_flat_object("a"));
    }
}
