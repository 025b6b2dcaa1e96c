//! What the catalog knows of a delivery and its rejected rows.

use serde_json::{Map, Value as Json};

use super::arguments::Asked;
use crate::catalog::{CatalogError, Row, SnapshotId, Tx, Value};
use crate::period::BillingPeriod;

/// A delivery, as far as it says what became of a row.
#[derive(Debug)]
pub(super) struct Recorded {
    /// `landed`, `empty` or `stale`.
    pub(super) state: String,
    /// `priced`, `amortised`, `reference`, or `statement`.
    pub(super) role: String,
    /// First days of the billing periods that it had rows of, in days since 1970.
    pub(super) periods: Vec<i32>,
    pub(super) rejected: Vec<Rejected>,
    /// What other deliveries have taken the place of.
    pub(super) replaced: Vec<Replaced>,
}

/// A row in quarantine.
#[derive(Debug)]
pub(super) struct Rejected {
    pub(super) source_file: Option<i32>,
    /// `open` or `replaced`.
    pub(super) state: String,
    pub(super) column_name: Option<String>,
    pub(super) reason: String,
    /// Decimal text.
    pub(super) billed_cost: Option<String>,
    pub(super) period: Option<i32>,
    pub(super) details: Map<String, Json>,
}

/// A slice that holds another delivery now.
#[derive(Debug)]
pub(super) struct Replaced {
    /// Provider, billing account and billing period.
    pub(super) slice: String,
    pub(super) period: Option<i32>,
    pub(super) delivery_id: i64,
    pub(super) name: String,
}

fn first_day(period: &str) -> Option<i32> {
    period.parse::<BillingPeriod>().ok().map(BillingPeriod::first_day_number)
}

fn rejected(row: &Row) -> Result<Rejected, CatalogError> {
    let text = |at| row.opt_text(at).map(|text| text.map(str::to_owned));
    let mut details = Map::new();
    for (at, name) in [(1, "state"), (5, "value_class"), (6, "raw"), (7, "provider_name"), (8, "billing_account_id")] {
        details.extend(text(at)?.map(|value| (name.to_owned(), Json::from(value))));
    }
    Ok(Rejected {
        source_file: i32::try_from(row.int(0)?).ok(),
        state: row.text(1)?.to_owned(),
        column_name: text(2)?,
        reason: row.text(3)?.to_owned(),
        billed_cost: text(4)?,
        period: row.opt_text(9)?.and_then(first_day),
        details,
    })
}

fn replaced(row: &Row) -> Result<Replaced, CatalogError> {
    let period = row.text(2)?;
    Ok(Replaced {
        slice: format!("{} {} of {period}", row.text(0)?, row.text(1)?),
        period: first_day(period),
        delivery_id: row.int(3)?,
        name: row.text(4)?.to_owned(),
    })
}

impl Recorded {
    /// Reads it as it was at a snapshot; none where there was no such delivery.
    pub(super) fn read(tx: &dyn Tx, snapshot: SnapshotId, asked: Asked) -> Result<Option<Self>, CatalogError> {
        let of: [Value; 2] = [asked.delivery_id.into(), snapshot.into()];
        let delivery = tx.row("select state, role from delivery where delivery_id = ?1 and snapshot_id <= ?2", &of)?;
        let Some(delivery) = delivery else { return Ok(None) };
        let periods = tx.rows(
            "select distinct s.billing_period from delivery_slice p join slice s on s.slice_id = p.slice_id \
             where p.delivery_id = ?1 and p.begin_snapshot <= ?2 order by 1",
            &of,
        )?;
        let periods = periods.iter().map(|row| row.text(0).map(first_day)).collect::<Result<Vec<_>, _>>()?;
        let rows = tx.rows(
            "select source_file, case when end_snapshot <= ?2 then 'replaced' else 'open' end, column_name, reason, billed_cost, \
             value_class, raw, provider_name, billing_account_id, billing_period from rejected_row \
             where delivery_id = ?1 and begin_snapshot <= ?2 and source_row = ?3 order by source_file",
            &[asked.delivery_id.into(), snapshot.into(), asked.source_row.into()],
        )?;
        let rows = rows.iter().map(rejected).collect::<Result<Vec<_>, _>>()?;
        let is_asked = |row: &Rejected| asked.source_file.is_none() || row.source_file == asked.source_file;
        let slices = tx.rows(
            "select s.provider_name, s.billing_account_id, s.billing_period, d.delivery_id, d.name \
             from delivery_slice p join slice s on s.slice_id = p.slice_id \
             join delivery_slice n on n.slice_id = p.slice_id and n.delivery_id <> p.delivery_id \
             and n.begin_snapshot <= ?2 and (n.end_snapshot is null or n.end_snapshot > ?2) \
             join delivery d on d.delivery_id = n.delivery_id \
             where p.delivery_id = ?1 and p.begin_snapshot <= ?2 order by s.slice_id",
            &of,
        )?;
        Ok(Some(Self {
            state: delivery.text(0)?.to_owned(),
            role: delivery.text(1)?.to_owned(),
            periods: periods.into_iter().flatten().collect(),
            rejected: rows.into_iter().filter(is_asked).collect(),
            replaced: slices.iter().map(replaced).collect::<Result<_, _>>()?,
        }))
    }
}
