-- object: public.spend_over_forecast
-- grain: one row per level, node, provider, service, currency, period and day on which spend is above what was expected
-- owner: marts
-- roles: admin, finance, sales_ops, engineering, executive, auditor, billing_job, portal
-- comment: Spend above 110 % (warning) or 120 % (critical) of what was expected, or what ref.thresholds say: a node's day, against the sum of what was expected of its services by the days before; its month to date, against the forecast of the day before the month; a single service's day, only where that is unusual for the service, too. Usage only; days count as complete three days after they ended, and of a provider whose usage came late neither counts. The last 31 complete days.
-- column level: node or service
-- column period: day, or month_to_date
-- column node_id: whose usage it is
-- column provider_name: the provider; null for a node
-- column service_name: the service; null for a node
-- column currency: currency of the amounts, the caller's
-- column charge_date: the day, or the last day of the month to date
-- column actual: what it cost, rounded to the currency
-- column expected: what was expected, rounded to the currency
-- column ratio_pct: actual as a part of expected, in percent
-- column severity: warning or critical
with daily as (
  select
    d.charge_date,
    d.node_id,
    d.provider_name,
    d.service_name,
    d.cost_currency as currency,
    c.complete_until,
    c.newest_until,
    cast(date_trunc('month', c.newest_until) as date) as month_start,
    cast(date_trunc('month', c.newest_until) as date) - 1 as known_until,
    d.cost
  from (select *, max(complete_until) over () as newest_until from completeness) c
  inner join charges_daily d on d.provider_name = c.provider_name
  where d.charge_category = 'Usage' and d.charge_class is distinct from 'Correction' and d.charge_date <= c.complete_until and d.cost is not null
), judged as (
  select *
  from detect_anomalies(
    (select node_id, provider_name, service_name, currency, charge_date, cost, complete_until from daily),
    data_col => 'cost', timestamp_col => 'charge_date', id_cols => array['node_id', 'provider_name', 'service_name', 'currency'],
    as_of_col => 'complete_until', missing => 'zero', decimals => 9, target_last_n_points => 31,
    planned => (select * from ref.planned_changes), holidays => (select * from days_off)
  )
), levels as (
  select * from (values ('service'), ('node')) v(level)
), of_days as (
  -- What cannot be judged yet was neither expected nor not.
  select
    l.level,
    'day' as period,
    j.node_id,
    case when l.level = 'service' then j.provider_name end as provider_name,
    case when l.level = 'service' then j.service_name end as service_name,
    j.currency,
    j.time_series_timestamp as charge_date,
    sum(j.time_series_data) as actual,
    sum(coalesce(j.expected_value, j.time_series_data)) as expected
  from levels l
  cross join judged j
  where l.level = 'node' or j.is_anomaly and j.direction = 'up'
  group by
    l.level,
    j.node_id,
    case when l.level = 'service' then j.provider_name end,
    case when l.level = 'service' then j.service_name end,
    j.currency,
    j.time_series_timestamp
), before_month as (
  select
    f.node_id,
    f.provider_name,
    coalesce(f.service_name, '') as service_name,
    f.currency,
    max(f.forecast_status) as forecast_status,
    sum(case when f.forecast_timestamp <= c.complete_until then f.forecast_mean end) as expected
  from completeness c
  inner join forecast(
    (
      select node_id, provider_name, service_name, currency, charge_date, cost, known_until
      from daily
      where charge_date < month_start and complete_until >= known_until
    ),
    data_col => 'cost', timestamp_col => 'charge_date', id_cols => array['node_id', 'provider_name', 'service_name', 'currency'],
    as_of_col => 'known_until', missing => 'zero', horizon => 31, decimals => 9,
    planned => (select * from ref.planned_changes), holidays => (select * from days_off)
  ) f on f.provider_name = c.provider_name
  group by f.node_id, f.provider_name, coalesce(f.service_name, ''), f.currency
), this_month as (
  select
    node_id,
    provider_name,
    coalesce(service_name, '') as service_name,
    currency,
    sum(cost) as actual,
    max(newest_until) as charge_date
  from daily
  where charge_date >= month_start
  group by node_id, provider_name, coalesce(service_name, ''), currency
), month_to_date as (
  -- What was too new to be forecast was neither expected nor not; what was not there at all comes on top.
  select
    coalesce(t.node_id, b.node_id) as node_id,
    coalesce(t.currency, b.currency) as currency,
    max(t.charge_date) as charge_date,
    sum(coalesce(t.actual, 0)) as actual,
    sum(coalesce(b.expected, 0)) as expected
  from this_month t
  full join before_month b
    on b.node_id = t.node_id
    and b.provider_name = t.provider_name
    and b.service_name = t.service_name
    and b.currency = t.currency
  where b.forecast_status is null or b.forecast_status <> 'short_history'
  group by coalesce(t.node_id, b.node_id), coalesce(t.currency, b.currency)
), compared as (
  select * from of_days
  union all
  select
    'node' as level,
    'month_to_date' as period,
    node_id,
    cast(null as text) as provider_name,
    cast(null as text) as service_name,
    currency,
    charge_date,
    actual,
    expected
  from month_to_date
), final as (
  select
    c.level,
    c.period,
    c.node_id,
    provider_name,
    service_name,
    currency,
    charge_date,
    round_money(actual, currency) as actual,
    round_money(expected, currency) as expected,
    round(100 * actual / expected, 1) as ratio_pct,
    case when 100 * actual > t.critical_pct * expected then 'critical' else 'warning' end as severity
  from compared c
  inner join effective_thresholds t on t.node_id = c.node_id and t.rule = 'spend_over_forecast'
  where round_money(expected, currency) > 0 and 100 * actual > t.warning_pct * expected
)
select * from final
