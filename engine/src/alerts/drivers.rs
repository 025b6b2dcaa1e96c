//! What is behind what is told: services, SKUs and resources, the strongest first, and who answers for them by tag.

use serde_json::{Map, Value as Json};

use super::raise::{Facts, Found, rows};
use crate::error::Error;
use crate::session::Session;

/// As many of them are told.
const DRIVERS_MAX: usize = 5;

/// What is behind the alerts of some rules.
struct Behind {
    rules: &'static [&'static str],
    /// A query for all of these alerts at once.
    sql: fn(&[&Found]) -> String,
    /// What is told of its rows.
    columns: [&'static str; 4],
    /// Whether a row is behind an alert.
    is_of: fn(&Facts<'_>, &Found) -> bool,
}

const BEHIND: [Behind; 3] = [
    Behind {
        rules: &["anomalies", "spend_over_forecast"],
        sql: moved,
        columns: ["sku_id", "resource_id", "owner", "impact"],
        is_of: moved_with,
    },
    Behind {
        rules: &["budget_status"],
        sql: spent,
        columns: ["service_name", "resource_id", "owner", "cost"],
        is_of: |row, found| is_same(row, found, &["budget_id", "period_start"]),
    },
    Behind {
        rules: &["deployment_velocity"],
        sql: deployed,
        columns: ["service_name", "resource_id", "owner", "cost"],
        is_of: |row, found| is_same(row, found, &["node_id", "provider_name", "charge_date"]),
    },
];

/// Adds `owner` and `drivers` to the facts of those that have some.
pub(super) async fn add(session: &Session, all: &mut [Found]) -> Result<(), Error> {
    for behind in &BEHIND {
        let told: Vec<&Found> = all.iter().filter(|found| behind.rules.contains(&found.rule)).collect();
        if told.is_empty() {
            continue;
        }
        let drivers = rows(session, &(behind.sql)(&told)).await?;
        for found in all.iter_mut().filter(|found| behind.rules.contains(&found.rule)) {
            let of_found = drivers.iter().filter(|driver| (behind.is_of)(&Facts(driver), found)).take(DRIVERS_MAX);
            let shown: Vec<Json> = of_found
                .map(|driver| {
                    let part = |name: &str| (name.to_owned(), driver.get(name).cloned().unwrap_or(Json::Null));
                    behind.columns.into_iter().map(part).collect::<Map<_, _>>().into()
                })
                .collect();
            let owner = shown.iter().filter_map(|driver| driver.get("owner")).find(|owner| !owner.is_null());
            found.facts.insert("owner".to_owned(), owner.cloned().unwrap_or(Json::Null));
            found.facts.insert("drivers".to_owned(), Json::Array(shown));
        }
    }
    Ok(())
}

fn is_same(row: &Facts<'_>, found: &Found, names: &[&str]) -> bool {
    names.iter().all(|name| row.text(name) == Facts(&found.facts).text(name))
}

/// What moved with anomalies.
fn moved(_told: &[&Found]) -> String {
    "with moved as (
      select d.*, abs(d.impact) as size
      from anomaly_drivers d
      inner join completeness c on c.provider_name = d.provider_name
      where d.anomaly_end > c.complete_until - 7
    )
    select node_id, provider_name, service_name, currency, anomaly_start, anomaly_end, sku_id, resource_id, owner,
      round_money(impact, currency) as impact
    from moved
    order by size desc, sku_id, resource_id"
        .to_owned()
}

/// Whether what moved with an anomaly moved with what is told, too.
fn moved_with(driver: &Facts<'_>, found: &Found) -> bool {
    let facts = Facts(&found.facts);
    let is_anomaly = found.rule == "anomalies";
    // Spend of a node is that of all its services.
    let is_of = |name: &str| {
        driver.text(name) == facts.text(name) || (!is_anomaly && name != "node_id" && facts.text(name).is_empty())
    };
    let [start, end] = ["anomaly_start", "anomaly_end"].map(|name| driver.text(name));
    let is_then = match facts.text("period") {
        "" => start == facts.text("anomaly_start"),
        // Days are written in one form, so that they compare as texts.
        "day" => (start..=end).contains(&facts.text("charge_date")),
        _ => end.get(..7) >= facts.text("charge_date").get(..7),
    };
    ["node_id", "provider_name", "service_name", "currency"].into_iter().all(is_of) && is_then
}

/// What costs most of what counts for budgets, as `budget_status` counts. Their periods are whole months: charges of these months are
/// summed up once for all budgets.
fn spent(told: &[&Found]) -> String {
    let rows = literals(told, ["budget_id", "period_start", "period_end"]);
    let (from, until) = (first(told, "period_start"), last(told, "period_end"));
    format!(
        "with told as (
          select budget_id, cast(period_start as date) as period_start, cast(period_end as date) as period_end
          from (values {rows}) t(budget_id, period_start, period_end)
        ), budgets as (
          select t.*, b.node_id, b.provider_name, b.service_category, b.service_name, b.charge_category, b.currency
          from told t
          inner join ref.budgets b on b.budget_id = t.budget_id
          where b.owner_node_id = current_node() and b.status = 'active'
            and cast(b.valid_from as date) <= least(t.period_end, current_date)
            and (b.valid_to is null or cast(b.valid_to as date) > least(t.period_end, current_date))
        ), lines as (
          select date_trunc('month', charge_date) as month, node_path, provider_name, service_category, service_name, charge_category,
            cost_currency, resource_id, max(coalesce(tags ->> 'owner', tags ->> 'Owner')) as owner, sum(cost) as cost
          from charges
          where cost is not null and charge_date between date '{from}' and date '{until}'
          group by date_trunc('month', charge_date), node_path, provider_name, service_category, service_name, charge_category,
            cost_currency, resource_id
        ), sums as (
          select b.budget_id, b.period_start, b.currency, l.service_name, l.resource_id, max(l.owner) as owner, sum(l.cost) as cost
          from budgets b
          inner join lines l
            on l.cost_currency = b.currency
            and l.month between b.period_start and b.period_end
            and (b.node_id is null or strpos(concat('/', l.node_path, '/'), concat('/', b.node_id, '/')) > 0)
            and (b.provider_name is null or b.provider_name = l.provider_name)
            and (b.service_category is null or b.service_category = l.service_category)
            and (b.service_name is null or b.service_name = l.service_name)
            and (b.charge_category = l.charge_category or b.charge_category is null and l.charge_category not in ('Credit', 'Tax'))
          group by b.budget_id, b.period_start, b.currency, l.service_name, l.resource_id
        ), ranked as (
          select *, row_number() over (partition by budget_id, period_start order by cost desc, service_name, resource_id) as rank
          from sums
          where cost > 0
        )
        select budget_id, period_start, service_name, resource_id, owner, round_money(cost, currency) as cost
        from ranked
        where rank <= {DRIVERS_MAX}
        order by rank"
    )
}

/// What costs most of the resources that are new on a day. For `deployment_velocity` a resource is new once; here one that was not used
/// for a year is, too, so that not the whole history of its node is read.
fn deployed(told: &[&Found]) -> String {
    let rows = literals(told, ["node_id", "provider_name", "charge_date"]);
    let (from, until) = (first(told, "charge_date"), last(told, "charge_date"));
    let (nodes, providers) = (literals(told, ["node_id"]), literals(told, ["provider_name"]));
    format!(
        "with told as (
          select node_id, provider_name, cast(charge_date as date) as charge_date
          from (values {rows}) t(node_id, provider_name, charge_date)
        ), used as (
          select *
          from charges
          where charge_category = 'Usage' and origin = 'usage' and resource_id is not null
            and node_id in ({nodes}) and provider_name in ({providers})
            and charge_date between date '{from}' - 366 and date '{until}'
        ), begun as (
          select node_id, provider_name, resource_id, min(charge_date) as charge_date
          from used
          group by node_id, provider_name, resource_id
        ), costs as (
          select t.node_id, t.provider_name, t.charge_date, u.service_name, u.resource_id, u.cost_currency,
            max(coalesce(u.tags ->> 'owner', u.tags ->> 'Owner')) as owner, sum(u.cost) as cost
          from told t
          inner join begun b on b.node_id = t.node_id and b.provider_name = t.provider_name and b.charge_date = t.charge_date
          inner join used u
            on u.node_id = b.node_id
            and u.provider_name = b.provider_name
            and u.resource_id = b.resource_id
            and u.charge_date = b.charge_date
          where u.charge_date >= date '{from}'
          group by t.node_id, t.provider_name, t.charge_date, u.service_name, u.resource_id, u.cost_currency
        ), ranked as (
          select *, row_number() over (partition by node_id, provider_name, charge_date order by cost desc nulls last, resource_id) as rank
          from costs
        )
        select node_id, provider_name, charge_date, service_name, resource_id, owner, round_money(cost, cost_currency) as cost
        from ranked
        where rank <= {DRIVERS_MAX}
        order by rank"
    )
}

/// Facts of alerts as rows of literals.
fn literals<const N: usize>(told: &[&Found], names: [&str; N]) -> String {
    let row = |found: &&Found| {
        let literal = |name: &str| format!("'{}'", Facts(&found.facts).text(name).replace('\'', "''"));
        format!("({})", names.map(literal).join(", "))
    };
    told.iter().map(row).collect::<Vec<_>>().join(", ")
}

/// Days are written in one form, so that they compare as texts.
fn first<'a>(told: &[&'a Found], name: &str) -> &'a str {
    told.iter().map(|found| Facts(&found.facts).text(name)).min().unwrap_or_default()
}

fn last<'a>(told: &[&'a Found], name: &str) -> &'a str {
    told.iter().map(|found| Facts(&found.facts).text(name)).max().unwrap_or_default()
}
