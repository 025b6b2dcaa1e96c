//! What there is to tell: the rows of the views that are new, as the owner's finance role sees them.

use std::collections::BTreeSet;

use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use chrono::{DateTime, Utc};
use futures::TryStreamExt;
use serde_json::{Map, Value as Json};

use super::hours::next_at;
use super::{Alerter, Target, drivers};
use crate::catalog::{AlertDelivery, AlertLook, AlertRow, SnapshotId};
use crate::collect::instant_text;
use crate::error::Error;
use crate::security::policy::ALERTED;
use crate::session::{Answer, Session};

/// What one view has to tell: `dedup_key` and `severity`, then facts.
pub(super) struct Rule {
    pub(super) name: &'static str,
    sql: &'static str,
    summary: fn(&Facts<'_>) -> String,
}

/// All of them. What is older than a week is history and nobody's alert.
pub(super) const RULES: [Rule; 6] = [
    Rule {
        name: "anomalies",
        sql: "select concat_ws('|', node_id, provider_name, coalesce(service_name, ''), currency, anomaly_start) as dedup_key,
              case when impact_pct is null or abs(impact_pct) >= 100 then 'critical' else 'warning' end as severity,
              node_id, provider_name, service_name, currency, anomaly_start, anomaly_end, kind, direction, expected, actual, impact,
              impact_pct, max_score
              from anomalies where anomaly_end > complete_until - 7",
        summary: anomaly,
    },
    Rule {
        name: "spend_over_forecast",
        sql: "select concat_ws('|', level, period, node_id, coalesce(provider_name, ''), coalesce(service_name, ''), currency,
                        case when period = 'day' then charge_date else cast(date_trunc('month', charge_date) as date) end) as dedup_key,
              severity,
              level, period, node_id, provider_name, service_name, currency, charge_date, actual, expected, ratio_pct
              from spend_over_forecast
              where level <> 'subtree' and charge_date > (select max(complete_until) from completeness) - 7",
        summary: spend,
    },
    Rule {
        name: "budget_status",
        sql: "select concat_ws('|', budget_id, period_start) as dedup_key,
              case when status = 'over' or action_due is not null then 'critical' else 'warning' end as severity,
              budget_id, node_id, period_start, period_end, currency, amount, actual, used_pct, forecast, forecast_pct, exhausted_on,
              status, action_due
              from budget_status
              where status <> 'ok' and (current_date between period_start and period_end or complete_until between period_start and period_end)",
        summary: budget,
    },
    Rule {
        name: "deployment_velocity",
        sql: "select concat_ws('|', d.node_id, d.provider_name, d.charge_date) as dedup_key,
              'warning' as severity,
              d.node_id, d.provider_name, d.charge_date, d.new_resources, d.usual
              from deployment_velocity d
              inner join completeness c on c.provider_name = d.provider_name
              where d.is_unusual and d.charge_date > c.complete_until - 7",
        summary: velocity,
    },
    Rule {
        name: "underutilised",
        sql: "select concat_ws('|', node_id, provider_name, resource_id, currency, date_trunc('month', measured_until)) as dedup_key,
              'warning' as severity,
              node_id, provider_name, service_name, resource_id, measures, highest_pct, limit_pct, currency, monthly_cost, measured_until
              from underutilised
              where measured_until > (select max(all_complete_until) from completeness) - 7",
        summary: idle,
    },
    Rule {
        name: "licence_waste",
        sql: "select concat_ws('|', node_id, sku_id, currency, billing_period) as dedup_key,
              'warning' as severity,
              node_id, sku_id, product, billing_period, seats, seats_used, unused_seats, currency, monthly_cost, measured_until
              from licence_waste
              where cast(measured_until as date) > (select max(all_complete_until) from completeness) - 7",
        summary: seats,
    },
];

/// The facts of a row, to be put into words.
pub(super) struct Facts<'a>(pub(super) &'a Map<String, Json>);

impl<'a> Facts<'a> {
    /// A fact as text; one that is missing is empty.
    pub(super) fn text(&self, name: &str) -> &'a str {
        self.0.get(name).and_then(Json::as_str).unwrap_or_default()
    }

    /// A fact with words around it, nothing without it.
    fn with(&self, before: &str, name: &str, after: &str) -> String {
        let text = self.text(name);
        if text.is_empty() { String::new() } else { format!("{before}{text}{after}") }
    }
}

fn anomaly(facts: &Facts<'_>) -> String {
    let [node, provider, service, currency] =
        ["node_id", "provider_name", "service_name", "currency"].map(|name| facts.text(name));
    let what = if service.is_empty() { provider } else { service };
    let [actual, expected, since] = ["actual", "expected", "anomaly_start"].map(|name| facts.text(name));
    format!("{what} of {node}: {actual} {currency} instead of {expected} since {since}")
}

fn spend(facts: &Facts<'_>) -> String {
    let [node, service, currency, day] =
        ["node_id", "service_name", "currency", "charge_date"].map(|name| facts.text(name));
    let what = if service.is_empty() { "all usage" } else { service };
    let [actual, expected, ratio] = ["actual", "expected", "ratio_pct"].map(|name| facts.text(name));
    let when = if facts.text("period") == "day" { format!("on {day}") } else { format!("in the month up to {day}") };
    format!("{what} of {node}: {actual} {currency} instead of {expected} {when}, {ratio} %")
}

fn budget(facts: &Facts<'_>) -> String {
    let [budget, from, amount, currency] =
        ["budget_id", "period_start", "amount", "currency"].map(|name| facts.text(name));
    let (forecast, day) = (facts.with(", ", "forecast", " forecast"), facts.with(", used up on ", "exhausted_on", ""));
    format!("budget {budget} from {from}: {} of {amount} {currency} spent{forecast}{day}", facts.text("actual"))
}

fn velocity(facts: &Facts<'_>) -> String {
    let [node, provider, day] = ["node_id", "provider_name", "charge_date"].map(|name| facts.text(name));
    let [new, usual] = ["new_resources", "usual"].map(|name| facts.text(name));
    format!("{new} new resources of {provider} at {node} on {day}; usual are {usual}")
}

fn idle(facts: &Facts<'_>) -> String {
    let [resource, node, highest, cost, currency] =
        ["resource_id", "node_id", "highest_pct", "monthly_cost", "currency"].map(|name| facts.text(name));
    format!("{resource} of {node}: at most {highest} % used on each of seven days, {cost} {currency} a month")
}

fn seats(facts: &Facts<'_>) -> String {
    let [unused, seats, product, node] = ["unused_seats", "seats", "product", "node_id"].map(|name| facts.text(name));
    let cost = facts.with(", ", "monthly_cost", &format!(" {} a month", facts.text("currency")));
    format!("{unused} of {seats} seats of {product} at {node} were not used for thirty days{cost}")
}

/// A row of a rule.
pub(super) struct Found {
    pub(super) rule: &'static str,
    key: String,
    severity: String,
    summary: String,
    pub(super) facts: Map<String, Json>,
}

impl Alerter {
    /// Writes what is new into the outbox; gives how much that is.
    pub(super) async fn raise(&self, targets: &[Target]) -> Result<usize, Error> {
        let owners: BTreeSet<&str> = targets.iter().map(|target| target.owner.as_str()).collect();
        let mut raised = 0;
        for owner in owners {
            let now = self.clock.now();
            let catalog = self.warehouse.catalog();
            let (snapshot, look) =
                catalog.read::<_, Error>(|tx| Ok((crate::catalog::head(tx)?, AlertLook::of(tx, owner)?)))?;
            if look.is_some_and(|look| !self.is_due(&look, snapshot, now)) {
                continue;
            }
            let session = self.warehouse.session_of(owner, ALERTED, snapshot);
            let found = found(&session).await?;
            let of_owner: Vec<&Target> = targets.iter().filter(|target| target.owner == owner).collect();
            raised += catalog.remember::<_, Error>(|tx| {
                let mut raised = 0;
                for found in found {
                    let Some(alert) = AlertRow::raise(
                        tx,
                        (owner, found.rule, &found.key),
                        (&found.severity, &found.summary, &Json::Object(found.facts).to_string()),
                        &instant_text(now),
                    )?
                    else {
                        continue;
                    };
                    raised += 1;
                    for target in of_owner.iter().filter(|target| target.wants(&alert)) {
                        let digest = target.digest_at.filter(|_| !alert.is_critical());
                        let from = digest.map_or(now, |time| next_at(now, time, target.zone));
                        AlertDelivery::queue(tx, &alert, &target.name, &instant_text(from))?;
                    }
                }
                AlertLook { snapshot, day: now.date_naive().to_string(), at: instant_text(now) }.keep(tx, owner)?;
                Ok(raised)
            })?;
        }
        Ok(raised)
    }

    /// Whether something may be new since a look: another state of the warehouse, or another day.
    fn is_due(&self, look: &AlertLook, snapshot: SnapshotId, now: DateTime<Utc>) -> bool {
        let has_rested = crate::collect::instant(&look.at).is_none_or(|at| now - at >= self.rest);
        has_rested && (look.snapshot != snapshot || look.day != now.date_naive().to_string())
    }
}

/// All that the views of a session have to tell.
async fn found(session: &Session) -> Result<Vec<Found>, Error> {
    let mut all = Vec::new();
    for rule in &RULES {
        // In one order, so that numbers do not depend on which part of a plan was first.
        for mut facts in rows(session, &format!("{} order by dedup_key", rule.sql)).await? {
            let mut text = |name: &str| match facts.remove(name) {
                Some(Json::String(text)) => text,
                _ => String::new(),
            };
            let (key, severity) = (text("dedup_key"), text("severity"));
            let summary = (rule.summary)(&Facts(&facts));
            all.push(Found { rule: rule.name, key, severity, summary, facts });
        }
    }
    drivers::add(session, &mut all).await?;
    Ok(all)
}

/// The rows of a query as JSON; numbers as texts, so that no digit is lost on the way.
pub(super) async fn rows(session: &Session, sql: &str) -> Result<Vec<Map<String, Json>>, Error> {
    let Answer::Rows { stream, .. } = session.sql(sql).await? else { return Ok(Vec::new()) };
    let batches: Vec<RecordBatch> = stream.try_collect().await?;
    let mut rows = Vec::new();
    for batch in &batches {
        let options = FormatOptions::default();
        let columns = batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options));
        let columns: Vec<ArrayFormatter<'_>> = columns.collect::<Result<_, _>>()?;
        for row in 0..batch.num_rows() {
            let value = |at: usize| {
                let array = batch.column(at);
                if array.is_null(row) {
                    return Json::Null;
                }
                let text = columns[at].value(row).to_string();
                Json::String(if array.data_type().is_decimal() { plain(&text).to_owned() } else { text })
            };
            let names = batch.schema_ref().fields().iter().map(|field| field.name().clone());
            rows.push(names.enumerate().map(|(at, name)| (name, value(at))).collect());
        }
    }
    Ok(rows)
}

/// A decimal without zeros at its end.
fn plain(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}
