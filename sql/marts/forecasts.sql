-- object: public.forecasts
-- grain: one row per level, node, provider, service, currency and day of the 31 after the last complete one
-- owner: marts
-- roles: admin, finance, sales_ops, engineering, executive, auditor, billing_job, portal
-- comment: What the caller will pay, by node and service, with planned changes; usage only, no credits, refunds or tax. Days count as complete three days after they ended. A node's total is the sum of its services.
-- column level: service, or node for the sum of its services
-- column node_id: whose usage it is
-- column provider_name: the provider; null for a node
-- column service_name: the service; null for a node
-- column currency: currency of the amounts, the caller's
-- column forecast_date: the day
-- column forecast_value: the mean of what can come, rounded to the currency: sums of days and services are what to expect of them
-- column lower_80: lower end of the interval that holds the day with a chance of 80 %
-- column upper_80: upper end of that interval
-- column lower_95: lower end of the interval of 95 %
-- column upper_95: upper end of that interval
-- column planned_change: what planned changes that begin later than the last complete day add to the middle of the interval
-- column forecast_status: empty, or why the forecast is weak or missing: short_history, no_recent_data, all_zero
-- column complete_until: the last day that the forecast knows
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
), by_service as (
  select *
  from forecast(
    (select node_id, provider_name, service_name, currency, charge_date, cost, complete_until from daily),
    data_col => 'cost', timestamp_col => 'charge_date', id_cols => array['node_id', 'provider_name', 'service_name', 'currency'],
    as_of_col => 'complete_until', missing => 'zero', horizon => 62, confidence_level => array[0.8, 0.95], decimals => 9,
    planned => (select * from ref.planned_changes)
  )
), services as (
  select
    node_id,
    provider_name,
    service_name,
    currency,
    forecast_timestamp as forecast_date,
    last_known_timestamp as complete_until,
    max(forecast_mean) as mean,
    max(forecast_value) as middle,
    max(case when confidence_level = 0.8 then prediction_interval_lower_bound end) as lower_80,
    max(case when confidence_level = 0.8 then prediction_interval_upper_bound end) as upper_80,
    max(case when confidence_level = 0.95 then prediction_interval_lower_bound end) as lower_95,
    max(case when confidence_level = 0.95 then prediction_interval_upper_bound end) as upper_95,
    max(planned_change_value) as planned_change,
    max(forecast_status) as forecast_status
  from by_service
  group by node_id, provider_name, service_name, currency, forecast_timestamp, last_known_timestamp
), by_node as (
  select *
  from forecast(
    (select node_id, currency, charge_date, cost, all_until from daily where charge_date <= all_until),
    data_col => 'cost', timestamp_col => 'charge_date', id_cols => array['node_id', 'currency'],
    as_of_col => 'all_until', missing => 'zero', horizon => 31, confidence_level => array[0.8, 0.95], decimals => 9
  )
), nodes as (
  select
    node_id,
    currency,
    forecast_timestamp as forecast_date,
    last_known_timestamp as complete_until,
    max(forecast_mean) as mean,
    max(case when confidence_level = 0.8 then prediction_interval_lower_bound end) as lower_80,
    max(case when confidence_level = 0.8 then prediction_interval_upper_bound end) as upper_80,
    max(case when confidence_level = 0.95 then prediction_interval_lower_bound end) as lower_95,
    max(case when confidence_level = 0.95 then prediction_interval_upper_bound end) as upper_95,
    max(forecast_status) as forecast_status
  from by_node
  group by node_id, currency, forecast_timestamp, last_known_timestamp
), sums as (
  select node_id, currency, forecast_date, sum(mean) as mean, sum(planned_change) as planned_change
  from services
  group by node_id, currency, forecast_date
), final as (
  select
    'service' as level,
    node_id,
    provider_name,
    service_name,
    currency,
    forecast_date,
    mean as forecast_value,
    lower_80,
    upper_80,
    lower_95,
    upper_95,
    planned_change,
    forecast_status,
    complete_until
  from services
  where forecast_date <= complete_until + 31
  union all
  -- The total's own errors are those of its interval, around the sum of its services.
  select
    'node' as level,
    n.node_id,
    cast(null as text) as provider_name,
    cast(null as text) as service_name,
    n.currency,
    n.forecast_date,
    s.mean as forecast_value,
    n.lower_80 + s.mean - n.mean as lower_80,
    n.upper_80 + s.mean - n.mean as upper_80,
    n.lower_95 + s.mean - n.mean as lower_95,
    n.upper_95 + s.mean - n.mean as upper_95,
    s.planned_change,
    n.forecast_status,
    n.complete_until
  from nodes n
  inner join sums s on s.node_id = n.node_id and s.currency = n.currency and s.forecast_date = n.forecast_date
)
select
  level,
  node_id,
  provider_name,
  service_name,
  currency,
  forecast_date,
  round_money(forecast_value, currency) as forecast_value,
  round_money(lower_80, currency) as lower_80,
  round_money(upper_80, currency) as upper_80,
  round_money(lower_95, currency) as lower_95,
  round_money(upper_95, currency) as upper_95,
  round_money(planned_change, currency) as planned_change,
  forecast_status,
  complete_until
from final
