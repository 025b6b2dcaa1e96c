//! `ops.freshness`: what is late, missing, waiting or failing, in words.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Months, TimeDelta, Utc};

use super::clock::{instant, text};
use super::months::month_of;
use super::settings::SourceSettings;
use crate::catalog::{CatalogError, CollectedItem, CollectedSlice, SourceState, Tx, Value};
use crate::period::BillingPeriod;

/// A secret that is older is due for rotation.
const ROTATION_AFTER: TimeDelta = TimeDelta::days(90);
/// Months back in which a missing period is looked for.
const MONTHS_MAX: u32 = 24;

/// What all rows of a source share.
struct Facts<'a> {
    source: &'a SourceSettings,
    state: SourceState,
    now: DateTime<Utc>,
}

/// One row, but for what all rows of the source share.
#[derive(Default)]
struct Line {
    item: Option<String>,
    slice: Option<[String; 3]>,
    state: &'static str,
    last_seen: Option<String>,
    last_landed: Option<String>,
    lag: Option<TimeDelta>,
    detail: Option<String>,
}

/// The rows of `ops.freshness` for a source, a row of `ref.sources` in the table's column order.
///
/// # Errors
/// When the catalog cannot be read.
pub fn freshness(tx: &dyn Tx, source: &[Value], now: DateTime<Utc>) -> Result<Vec<Vec<Value>>, CatalogError> {
    let source = SourceSettings::of(source).map_err(CatalogError::Refused)?;
    let state = SourceState::of(tx, &source.name)?;
    let facts = Facts { source: &source, state, now };
    let mut lines = vec![facts.itself(CollectedSlice::newest(tx, &source.name)?)];
    for state in ["waiting", "refused"] {
        for item in CollectedItem::in_state(tx, &source.name, state)? {
            lines.push(facts.item(item, state));
        }
    }
    let slices = CollectedSlice::of(tx, &source.name)?;
    let mut accounts: BTreeMap<(&str, &str), Vec<&CollectedSlice>> = BTreeMap::new();
    for slice in &slices {
        accounts.entry((&slice.provider_name, &slice.billing_account_id)).or_default().push(slice);
    }
    for slices in accounts.values() {
        lines.extend(facts.account(tx, slices)?);
    }
    Ok(lines.into_iter().map(|line| facts.row(line)).collect())
}

impl Facts<'_> {
    fn since(&self, at: Option<&str>) -> Option<TimeDelta> {
        Some(self.now - instant(at?)?)
    }

    fn itself(&self, newest: Option<String>) -> Line {
        let state = &self.state;
        // Two looks missed: whoever should look does not.
        let is_overdue =
            state.due_at.as_deref().and_then(instant).is_some_and(|due| self.now > due + self.source.cadence);
        let is_old = self.since(newest.as_deref()).is_none_or(|age| age > self.source.expected_lag);
        let (word, detail) = match state {
            _ if !self.source.is_enabled => ("disabled", None),
            SourceState { attempted_at: None, .. } => {
                ("never", Some("it was never looked at: run ratehouse serve, or ratehouse collect by cron".to_owned()))
            }
            SourceState { failures: 1.., last_error, .. } => ("failing", last_error.clone()),
            _ if is_overdue => (
                "late",
                Some(
                    "it is not looked at when it is due: run ratehouse serve, or ratehouse collect by cron".to_owned(),
                ),
            ),
            SourceState { last_error: Some(reason), .. } => ("paused", Some(reason.clone())),
            _ if is_old => {
                let since = newest.as_deref().map_or("yet".to_owned(), |at| format!("since {at}"));
                ("late", Some(format!("nothing has landed {since}")))
            }
            _ => ("fresh", None),
        };
        Line {
            state: word,
            last_seen: state.succeeded_at.clone(),
            lag: self.since(newest.as_deref()),
            last_landed: newest,
            detail,
            ..Line::default()
        }
    }

    fn item(&self, item: CollectedItem, state: &'static str) -> Line {
        Line {
            state,
            lag: self.since(Some(&item.since)),
            item: Some(item.item),
            last_seen: Some(item.seen_at),
            detail: item.detail,
            ..Line::default()
        }
    }

    /// The newest period of a billing account, and the periods that it should have and has not.
    fn account(&self, tx: &dyn Tx, slices: &[&CollectedSlice]) -> Result<Vec<Line>, CatalogError> {
        let period = |slice: &&CollectedSlice| slice.billing_period.parse::<BillingPeriod>().ok();
        let delivered: BTreeSet<BillingPeriod> = slices.iter().filter_map(period).collect();
        let newest = slices.iter().max_by_key(|slice| &slice.billing_period);
        let (Some(newest), Some(first)) = (newest, delivered.first()) else { return Ok(Vec::new()) };
        let mut lines = vec![self.newest(newest)];
        let expected = month_of((self.now - self.source.expected_lag).date_naive());
        let earliest = self.now.date_naive().checked_sub_months(Months::new(MONTHS_MAX)).and_then(month_of);
        let mut next = earliest.map_or(*first, |earliest| earliest.max(*first));
        while expected.is_some_and(|expected| next <= expected) {
            let (begins, ends) = (begin(next), end(next));
            if !delivered.contains(&next) && newest.is_expected(tx, &text(begins), &text(ends))? {
                let of = [newest.provider_name.clone(), newest.billing_account_id.clone(), next.to_string()];
                lines.push(Line {
                    slice: Some(of),
                    state: "missing",
                    lag: Some(self.now - (begins + self.source.expected_lag)),
                    detail: Some("the account had deliveries for earlier periods and has none for this one".to_owned()),
                    ..Line::default()
                });
            }
            let Some(after) = month_of(end(next).date_naive()) else { break };
            next = after;
        }
        Ok(lines)
    }

    /// A period that runs, or ended so recently that it may still be delivered again, is late when its delivery is old.
    fn newest(&self, slice: &CollectedSlice) -> Line {
        let lag = self.since(Some(&slice.landed_at));
        let runs = slice.billing_period.parse().ok().is_some_and(|period| self.now < end(period));
        let is_late = runs && lag.is_some_and(|lag| lag > self.source.expected_lag);
        Line {
            slice: Some([&slice.provider_name, &slice.billing_account_id, &slice.billing_period].map(String::clone)),
            state: if is_late { "late" } else { "fresh" },
            last_landed: Some(slice.landed_at.clone()),
            lag,
            detail: is_late.then(|| "the period runs and no newer delivery came".to_owned()),
            ..Line::default()
        }
    }

    fn row(&self, line: Line) -> Vec<Value> {
        let age = self.source.credential_issued_at.map(|at| self.now - at);
        let [provider, account, period] = line.slice.map_or([None, None, None], |slice| slice.map(Some));
        vec![
            self.source.name.as_str().into(),
            kind(self.source).into(),
            line.item.into(),
            provider.into(),
            account.into(),
            period.into(),
            line.state.into(),
            line.last_seen.into(),
            line.last_landed.into(),
            self.state.due_at.clone().into(),
            line.lag.map(|lag| lag.num_seconds()).into(),
            self.state.failures.into(),
            line.detail.into(),
            age.map(|age| age.num_days()).into(),
            age.map(|age| age > ROTATION_AFTER).into(),
        ]
    }
}

fn kind(source: &SourceSettings) -> &'static str {
    use super::settings::SourceKind::{Folder, HttpsFiles, JsonApi, ObjectStore, PartnerCenter};
    match source.kind {
        Folder => "folder",
        ObjectStore => "object_store",
        HttpsFiles => "https_files",
        JsonApi => "json_api",
        PartnerCenter => "partner_center",
    }
}

fn begin(period: BillingPeriod) -> DateTime<Utc> {
    period.first_day().and_time(chrono::NaiveTime::MIN).and_utc()
}

fn end(period: BillingPeriod) -> DateTime<Utc> {
    let next = period.first_day().checked_add_months(Months::new(1)).unwrap_or(period.first_day());
    next.and_time(chrono::NaiveTime::MIN).and_utc()
}
