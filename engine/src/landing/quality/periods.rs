//! Rules about billing and charge periods.

use arrow::buffer::BooleanBuffer;

use super::FocusVersion;
use super::columns::Columns;

pub(super) fn r12(c: &Columns<'_>, _: FocusVersion) -> Option<BooleanBuffer> {
    let ends = |start, end| c.instants_where(start, end, |start, end| start >= end);
    let inverted =
        &ends("billing_period_start", "billing_period_end") | &ends("charge_period_start", "charge_period_end");
    let early = c.instants_where("charge_period_start", "billing_period_start", |charge, period| charge < period);
    let late = c.instants_where("charge_period_end", "billing_period_end", |charge, period| charge > period);
    Some(&inverted | &(&(&early | &late) & &!c.correction()))
}

pub(super) fn r13(c: &Columns<'_>, _: FocusVersion) -> Option<BooleanBuffer> {
    let current = c.instants_where("charge_period_start", "billing_period_start", |charge, period| charge >= period);
    Some(c.correction() & &current)
}
