//! The oracle's arithmetic and its reading of one rule.

use arrow::datatypes::i256;

use super::fixtures::Line;
use crate::rating::RuleRow;

/// `numerator / denominator` to the nearest integer, a tie to the even one.
pub(super) fn nearest(numerator: i256, denominator: i256) -> i128 {
    let two = i256::from_i128(2);
    let quotient = numerator.checked_div(denominator).expect("a divisor");
    let rest = numerator.wrapping_sub(quotient.wrapping_mul(denominator));
    let magnitude = |x: i256| if x.is_negative() { x.wrapping_neg() } else { x };
    let twice = magnitude(rest).wrapping_mul(two);
    let is_odd = quotient.checked_rem(two).expect("two") != i256::ZERO;
    let away = twice > magnitude(denominator) || (twice == magnitude(denominator) && is_odd);
    let sign = if numerator.is_negative() != denominator.is_negative() { -1 } else { 1 };
    quotient.to_i128().expect("in range") + if away { sign } else { 0 }
}

pub(super) fn times(a: i128, b: i128, divisor: i128) -> i128 {
    nearest(i256::from_i128(a).wrapping_mul(i256::from_i128(b)), i256::from_i128(divisor))
}

pub(super) fn matches(rule: &RuleRow, line: &Line) -> bool {
    let category = line.get("charge_category").unwrap_or("");
    let wants = |wanted: &Option<String>, column: &str| wanted.is_none() || wanted.as_deref() == line.get(column);
    let is_category = match &rule.charge_category {
        None => category == "Usage" || category == "Purchase",
        Some(wanted) => wanted == category,
    };
    let tag = match (&rule.tag_key, &rule.tag_value) {
        (None, _) => String::new(),
        (Some(key), None) => format!("\"{key}\":"),
        (Some(key), Some(value)) => format!("\"{key}\":\"{value}\""),
    };
    is_category
        && wants(&rule.provider_name, "provider_name")
        && wants(&rule.service_category, "service_category")
        && wants(&rule.service_name, "service_name")
        && wants(&rule.sku_id, "sku_id")
        && wants(&rule.region_id, "region_id")
        && wants(&rule.pricing_category, "pricing_category")
        && wants(&rule.resource_type, "resource_type")
        && rule.marketplace.is_none_or(|wanted| wanted == line.marketplace.unwrap_or(false))
        && line.get("tags").unwrap_or("").contains(&tag)
}

/// Which dimensions a rule sets, the most specific first.
pub(super) fn specificity(rule: &RuleRow) -> [bool; 11] {
    [
        rule.charge_category.is_some(),
        rule.sku_id.is_some(),
        rule.tag_key.is_some() && rule.tag_value.is_some(),
        rule.tag_key.is_some(),
        rule.resource_type.is_some(),
        rule.marketplace.is_some(),
        rule.service_name.is_some(),
        rule.region_id.is_some(),
        rule.pricing_category.is_some(),
        rule.service_category.is_some(),
        rule.provider_name.is_some(),
    ]
}
