//! Rules about costs, prices and what they must add up to.

use arrow::buffer::BooleanBuffer;

use super::FocusVersion;
use super::columns::Columns;

pub(super) fn r1(c: &Columns<'_>, version: FocusVersion) -> Option<BooleanBuffer> {
    Some(except_old_corrections(c, version, &c.is_not_product("list_cost", "list_unit_price", "pricing_quantity")))
}

pub(super) fn r2(c: &Columns<'_>, version: FocusVersion) -> Option<BooleanBuffer> {
    Some(except_old_corrections(
        c,
        version,
        &c.is_not_product("contracted_cost", "contracted_unit_price", "pricing_quantity"),
    ))
}

/// Until 1.2 corrections need not multiply out; since 1.3 they must (`CAU-ListCost-C-011`).
fn except_old_corrections(c: &Columns<'_>, version: FocusVersion, broken: &BooleanBuffer) -> BooleanBuffer {
    if version >= (1, 3) { broken.clone() } else { broken & &!c.correction() }
}

pub(super) fn r3(c: &Columns<'_>, _: FocusVersion) -> Option<BooleanBuffer> {
    Some(c.lacks_any(&["billed_cost", "effective_cost", "list_cost", "contracted_cost"]))
}

pub(super) fn r4(c: &Columns<'_>, _: FocusVersion) -> Option<BooleanBuffer> {
    let prices = [
        "list_unit_price",
        "contracted_unit_price",
        "pricing_currency_list_unit_price",
        "pricing_currency_contracted_unit_price",
    ];
    Some(prices.iter().fold(BooleanBuffer::new_unset(c.rows), |any, price| &any | &c.money_where(price, |v| v < 0)))
}

pub(super) fn r14(c: &Columns<'_>, _: FocusVersion) -> Option<BooleanBuffer> {
    let credit = c.is("charge_category", "Credit");
    let effective = &(&c.is("charge_category", "Tax") | &credit) & &c.differ("billed_cost", "effective_cost");
    Some(&effective | &(&credit & &c.differ("billed_cost", "contracted_cost")))
}

pub(super) fn r15(c: &Columns<'_>, _: FocusVersion) -> Option<BooleanBuffer> {
    let plain = &(c.usage() | c.purchase()) & &c.lacks("commitment_discount_id");
    Some(&plain & &c.differ("billed_cost", "effective_cost"))
}

pub(super) fn r16(c: &Columns<'_>, _: FocusVersion) -> Option<BooleanBuffer> {
    let covered = c.usage() & &c.is_any("commitment_discount_status", &["Used", "Unused"]);
    let covering = c.purchase() & &c.has("commitment_discount_id");
    let billed = &covered & &c.money_where("billed_cost", |v| v != 0);
    Some(&billed | &(&covering & &c.money_where("effective_cost", |v| v != 0)))
}
