-- object: public.spend_over_forecast
-- grain: one row per level, node, provider, service, currency, period and day on which spend is above what was expected
-- owner: marts
-- roles: admin, finance, sales_ops, engineering, executive, auditor, billing_job, portal
-- comment: Spend above 110 % (warning) or 120 % (critical) of what was expected by the days before, or what ref.thresholds say: of a node's whole day and of its month to date, of a single service's day only where that is unusual for the service, too. Usage only; days count as complete three days after they ended. The last 31 complete days.
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
    c.all_complete_until as all_until,
    sum(d.cost) as cost
  from charges_daily d
  inner join completeness c on c.provider_name = d.provider_name
  where d.charge_category = 'Usage' and d.charge_date <= c.complete_until and d.cost is not null
  group by d.charge_date, d.node_id, d.provider_name, d.service_name, d.cost_currency, c.complete_until, c.all_complete_until
), services as (
  select
    'service' as level,
    'day' as period,
    node_id,
    provider_name,
    service_name,
    currency,
    time_series_timestamp as charge_date,
    time_series_data as actual,
    expected_value as expected
  from detect_anomalies(
    (select node_id, provider_name, service_name, currency, charge_date, cost, complete_until from daily),
    data_col => 'cost', timestamp_col => 'charge_date', id_cols => array['node_id', 'provider_name', 'service_name', 'currency'],
    as_of_col => 'complete_until', missing => 'zero', decimals => 9, target_last_n_points => 31, planned => (select * from ref.planned_changes), holidays => (select * from days_off)
  )
  where is_anomaly and direction = 'up'
), nodes as (
  select
    node_id,
    currency,
    time_series_timestamp as charge_date,
    time_series_data as actual,
    expected_value as expected
  from detect_anomalies(
    (select node_id, currency, charge_date, cost, all_until from daily where charge_date <= all_until),
    data_col => 'cost', timestamp_col => 'charge_date', id_cols => array['node_id', 'currency'],
    as_of_col => 'all_until', missing => 'zero', decimals => 9, target_last_n_points => 62,
    planned => (select * from ref.planned_changes where provider_name is null and service_name is null)
  )
  where expected_value is not null
), last_days as (
  select node_id, currency, max(charge_date) as last_day
  from nodes
  group by node_id, currency
), to_date as (
  select
    n.*,
    sum(n.actual) over (
      partition by n.node_id, n.currency, date_trunc('month', n.charge_date) order by n.charge_date
    ) as month_actual,
    sum(n.expected) over (
      partition by n.node_id, n.currency, date_trunc('month', n.charge_date) order by n.charge_date
    ) as month_expected
  from nodes n
), compared as (
  select * from services
  union all
  select
    'node' as level,
    'day' as period,
    t.node_id,
    cast(null as text) as provider_name,
    cast(null as text) as service_name,
    t.currency,
    t.charge_date,
    t.actual,
    t.expected
  from to_date t
  inner join last_days l on l.node_id = t.node_id and l.currency = t.currency
  where t.charge_date > l.last_day - 31
  union all
  select
    'node' as level,
    'month_to_date' as period,
    t.node_id,
    cast(null as text) as provider_name,
    cast(null as text) as service_name,
    t.currency,
    t.charge_date,
    t.month_actual,
    t.month_expected
  from to_date t
  inner join last_days l on l.node_id = t.node_id and l.currency = t.currency
  where t.charge_date = l.last_day
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
