//! Rules about which columns come together.

use arrow::buffer::BooleanBuffer;

use super::FocusVersion;
use super::columns::Columns;

pub(super) fn r5(c: &Columns<'_>, _: FocusVersion) -> Option<BooleanBuffer> {
    let priced =
        ["list_unit_price", "contracted_unit_price", "pricing_quantity", "pricing_category", "sku_id", "sku_price_id"];
    let taxes = &c.is("charge_category", "Tax") & &c.has_any(&priced);
    let others = &(&(c.usage() | c.purchase()) & &!c.correction()) & &c.lacks_any(&priced);
    Some(&taxes | &others)
}

pub(super) fn r6(c: &Columns<'_>, _: FocusVersion) -> Option<BooleanBuffer> {
    let dependent = [
        "list_unit_price",
        "contracted_unit_price",
        "pricing_quantity",
        "pricing_category",
        "consumed_quantity",
        "commitment_discount_quantity",
    ];
    let without = &c.lacks("sku_price_id") & &c.has_any(&dependent);
    let with = &c.has("sku_price_id") & &c.lacks_any(&["list_unit_price", "contracted_unit_price"]);
    Some(&without | &with)
}

pub(super) fn r7(c: &Columns<'_>, _: FocusVersion) -> Option<BooleanBuffer> {
    let pairs = [
        ("pricing_unit", "pricing_quantity"),
        ("consumed_unit", "consumed_quantity"),
        ("commitment_discount_unit", "commitment_discount_quantity"),
    ];
    Some(
        pairs
            .iter()
            .fold(BooleanBuffer::new_unset(c.rows), |any, (unit, quantity)| &any | &(&c.has(unit) ^ &c.has(quantity))),
    )
}

pub(super) fn r8(c: &Columns<'_>, _: FocusVersion) -> Option<BooleanBuffer> {
    let consuming = c.usage() & &!&c.is("commitment_discount_status", "Unused");
    let extra = &c.has("consumed_quantity") & &!&consuming;
    let missing = &(&consuming & &!c.correction()) & &c.lacks("consumed_quantity");
    Some(&extra | &missing)
}

pub(super) fn r9(c: &Columns<'_>, version: FocusVersion) -> Option<BooleanBuffer> {
    let only_with = |names: &[&str], id: &str| &c.has_any(names) & &c.lacks(id);
    let mut broken = only_with(&["sub_account_name", "sub_account_type"], "sub_account_id");
    broken = &broken | &(&c.has("region_name") ^ &c.has("region_id"));
    broken = &broken | &only_with(&["resource_name", "resource_type"], "resource_id");
    broken = &broken | &only_with(&["sku_meter"], "sku_id");
    broken = &broken | &only_with(&["sku_price_details"], "sku_price_id");
    let commitment = [
        "commitment_discount_category",
        "commitment_discount_type",
        "commitment_discount_name",
        "commitment_discount_status",
    ];
    broken = &broken | &only_with(&commitment, "commitment_discount_id");
    broken = &broken
        | &(&c.has("commitment_discount_id")
            & &c.lacks_any(&["commitment_discount_category", "commitment_discount_type"]));
    let stateless = &(&c.has("commitment_discount_id") & c.usage()) & &c.lacks("commitment_discount_status");
    broken = &broken | &stateless;
    if version >= (1, 1) {
        broken = &broken | &only_with(&["commitment_discount_quantity"], "commitment_discount_id");
        broken = &broken | &only_with(&["capacity_reservation_status"], "capacity_reservation_id");
    }
    Some(broken)
}
