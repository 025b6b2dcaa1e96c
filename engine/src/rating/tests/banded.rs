//! The oracle's bands: what the whole quantity of a counter costs, and a row's part of that.

use arrow::datatypes::i256;
use serde_json::Value;

use super::fixtures::dec;
use super::plain::{nearest, times};
use crate::rating::RuleRow;

const ONE: i128 = 1_000_000_000_000_000_000;

/// One step of a price: up to which quantity, that included, a unit or a block costs how much.
struct Band {
    up_to: Option<i128>,
    price: i128,
}

/// Why a banded rule has no price.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoPart {
    /// Its bands cannot be understood.
    Malformed,
    /// The whole is more than the last band takes.
    Beyond,
}

/// Whether a rule prices by what its counter comes to.
pub(super) fn is_banded(rule: &RuleRow) -> bool {
    matches!(rule.method.as_str(), "graduated" | "volume" | "package")
}

fn bands_of(rule: &RuleRow) -> Option<Vec<Band>> {
    let entries: Value = serde_json::from_str(rule.bands.as_deref()?).ok()?;
    let mut bands: Vec<Band> = Vec::new();
    for entry in entries.as_array()? {
        let up_to = entry.get("up_to").and_then(Value::as_str).map(dec);
        // What a block costs may be the rule's value.
        let price = match entry.get("price").and_then(Value::as_str) {
            Some(price) => dec(price),
            None if rule.method == "package" => rule.value?,
            None => return None,
        };
        // Only the last one has no end, and each ends after the one before it.
        let above = bands.last().map_or(Some(0), |last| last.up_to)?;
        if up_to.is_some_and(|up_to| up_to <= above) {
            return None;
        }
        bands.push(Band { up_to, price });
    }
    let is_block = bands.len() == 1 && bands[0].up_to.is_some();
    (!bands.is_empty() && (rule.method != "package" || is_block)).then_some(bands)
}

/// What so much of something costs, to scale 18.
fn price_of(rule: &RuleRow, bands: &[Band], size: i128) -> Result<i128, NoPart> {
    match rule.method.as_str() {
        "package" => {
            let (block, mut blocks) = (bands[0].up_to.ok_or(NoPart::Malformed)?, 0);
            while blocks * block < size {
                blocks += 1;
            }
            Ok(blocks * bands[0].price)
        }
        "volume" => {
            let held = bands.iter().find(|band| band.up_to.is_none_or(|up_to| size <= up_to));
            held.map(|band| times(size, band.price, ONE)).ok_or(NoPart::Beyond)
        }
        _ => {
            // Exactly, at scale 36, and rounded once.
            let (mut sum, mut below) = (i256::ZERO, 0);
            for band in bands {
                let until = band.up_to.map_or(size, |up_to| up_to.min(size));
                sum = sum.wrapping_add(i256::from_i128(until - below).wrapping_mul(i256::from_i128(band.price)));
                below = until;
            }
            if below < size { Err(NoPart::Beyond) } else { Ok(nearest(sum, i256::from_i128(ONE))) }
        }
    }
}

/// What a quantity has to pay of all that its counter adds up: the total is priced once, and spread by quantity. Less than nothing
/// costs what as much would, below zero.
pub(super) fn part(rule: &RuleRow, quantity: i128, total: i128) -> Result<i128, NoPart> {
    let bands = bands_of(rule).ok_or(NoPart::Malformed)?;
    if total == 0 {
        // Nothing is due for all of them: each shows what the first unit costs; of blocks none was begun.
        let unit = if rule.method == "package" { 0 } else { bands[0].price };
        return Ok(times(unit, quantity, ONE));
    }
    let price = price_of(rule, &bands, total.abs())? * total.signum();
    Ok(times(price, quantity, total))
}

fn rule(method: &str, bands: &str) -> RuleRow {
    RuleRow { method: method.to_owned(), bands: Some(bands.to_owned()), ..RuleRow::default() }
}

/// A row's part, both in whole units.
fn units(rule: &RuleRow, quantity: i128, total: i128) -> Result<i128, NoPart> {
    part(rule, quantity * ONE, total * ONE).map(|part| part / ONE)
}

#[test]
fn the_oracle_prices_bands_as_they_are_worked_out_by_hand() {
    let two = r#"[{"up_to": "5", "price": "10"}, {"up_to": "20", "price": "8"}]"#;
    // 8 units: 5 x 10 + 3 x 8 = 74, a quarter of it 18.5; all at 8: 64.
    assert_eq!(units(&rule("graduated", two), 8, 8), Ok(74));
    assert_eq!(part(&rule("graduated", two), 2 * ONE, 8 * ONE), Ok(18 * ONE + ONE / 2));
    assert_eq!(units(&rule("volume", two), 8, 8), Ok(64));
    // The bound belongs to the lower band; less than nothing mirrors it; beyond the last there is no price.
    assert_eq!(units(&rule("volume", two), 5, 5), Ok(50));
    assert_eq!(units(&rule("graduated", two), -8, -8), Ok(-74));
    assert_eq!(units(&rule("graduated", two), 1, 21), Err(NoPart::Beyond));
    // Rows that cancel out: the first price of each.
    assert_eq!(units(&rule("graduated", two), 3, 0), Ok(30));
    // 8 units begin 3 blocks of 3: 3 x 7 = 21.
    assert_eq!(units(&rule("package", r#"[{"up_to": "3", "price": "7"}]"#), 8, 8), Ok(21));
    assert_eq!(units(&rule("package", two), 8, 8), Err(NoPart::Malformed));
    let open = r#"[{"up_to": null, "price": "1"}, {"price": "2"}]"#;
    assert_eq!(units(&rule("volume", open), 1, 1), Err(NoPart::Malformed));
}
