-- object: public.spend_over_forecast
-- grain: one row per level, node, provider, service, currency, period and day on which spend is above what was expected
-- owner: marts
-- roles: admin, finance, sales_ops, engineering, executive, auditor, billing_job, portal
-- comment: Spend above 110 % (warning) or 120 % (critical) of what was expected, or what ref.thresholds say: the day of a node or of a subtree, against the sum of what was expected of its services by the days before; its month to date, against the forecast of the day before the month; a single service's day, only where that is unusual for the service, too. Usage only; days count as complete three days after they ended, and of a provider whose usage came late neither counts. The last 31 complete days.
-- column level: service, node, or subtree for a node that has others below it, with those; the caller's own is the subtree of all
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
with judged as (
  select *
  from detect_anomalies(
    (select *, cost_currency as currency from charges_daily),
    data_col => 'cost', timestamp_col => 'charge_date', id_cols => array['node_id', 'provider_name', 'service_name', 'currency'],
    as_of => (select provider_name, complete_until from completeness),
    missing => 'zero', decimals => 9, target_last_n_points => 31,
    planned => (select * from ref.planned_changes), holidays => (select * from days_off)
  )
), months as (
  -- Of a provider that is not complete until the month began nothing was forecast.
  select provider_name, complete_until, newest_until, cast(date_trunc('month', newest_until) as date) - 1 as known_until
  from (select *, max(complete_until) over () as newest_until from completeness) c
  where complete_until >= cast(date_trunc('month', newest_until) as date) - 1
), before_month as (
  select *
  from forecast(
    (select *, cost_currency as currency from charges_daily),
    data_col => 'cost', timestamp_col => 'charge_date', id_cols => array['node_id', 'provider_name', 'service_name', 'currency'],
    as_of => (select provider_name, known_until as complete_until from months),
    missing => 'zero', horizon => 31, backtest => true, decimals => 9,
    planned => (select * from ref.planned_changes), holidays => (select * from days_off)
  )
), of_services as (
  -- What cannot be judged yet was neither expected nor not.
  select
    'day' as period,
    node_id,
    provider_name,
    service_name,
    currency,
    time_series_timestamp as charge_date,
    time_series_data as actual,
    coalesce(expected_value, time_series_data) as expected,
    is_anomaly and direction = 'up' as is_unusual
  from judged
  union all
  -- What was too new to be forecast was neither expected nor not; what was not there at all comes on top.
  select
    'month_to_date' as period,
    f.node_id,
    f.provider_name,
    f.service_name,
    f.currency,
    m.newest_until as charge_date,
    coalesce(f.actual_value, 0) as actual,
    coalesce(f.forecast_mean, 0) as expected,
    false as is_unusual
  from months m
  inner join before_month f on f.provider_name = m.provider_name
  where f.forecast_timestamp <= m.complete_until and f.forecast_status <> 'short_history'
), places as (
  select distinct level, node_id, node_id as at_node
  from charges_monthly
  cross join (values ('service'), ('node')) v(level)
  union all
  select 'subtree' as level, node_id, subtree_id as at_node
  from subtrees
), compared as (
  select
    p.level,
    s.period,
    p.at_node as node_id,
    case when p.level = 'service' then s.provider_name end as provider_name,
    case when p.level = 'service' then s.service_name end as service_name,
    s.currency,
    s.charge_date,
    sum(s.actual) as actual,
    sum(s.expected) as expected
  from places p
  inner join of_services s on s.node_id = p.node_id
  where p.level <> 'service' or s.is_unusual
  group by
    p.level,
    s.period,
    p.at_node,
    case when p.level = 'service' then s.provider_name end,
    case when p.level = 'service' then s.service_name end,
    s.currency,
    s.charge_date
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
