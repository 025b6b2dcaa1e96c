-- object: public.forecast_accuracy
-- grain: one row per node, provider, service and currency
-- owner: marts
-- roles: admin, finance, sales_ops, engineering, executive, auditor, billing_job, portal
-- comment: How good forecasts are: what would have been forecast 31 days before the last complete day, without knowing what came, beside what came. Planned changes are those of today.
-- column node_id: whose usage it is
-- column provider_name: the provider
-- column service_name: the service
-- column currency: currency of the amounts, the caller's
-- column forecast_from: the first day that was forecast
-- column forecast_to: the last one
-- column forecast: sum of the days' means, rounded to the currency
-- column actual: what these days cost, rounded to the currency
-- column error_pct: forecast less actual as a part of actual, in percent; null where nothing was billed
-- column mean_absolute_error: mean distance of a day from its forecast, rounded to the currency
-- column within_80: part of the days within the interval of 80 %, in percent
-- column within_95: part of the days within the interval of 95 %, in percent
-- column forecast_status: empty, or why the forecast was weak or missing
with lines as (
  select
    d.charge_date,
    d.node_id,
    d.provider_name,
    coalesce(d.service_name, '') as service_name,
    d.cost_currency as currency,
    c.complete_until - 31 as known_until,
    d.cost
  from completeness c
  inner join charges_daily d on d.provider_name = c.provider_name
  where d.charge_category = 'Usage' and d.charge_class is distinct from 'Correction' and d.charge_date <= c.complete_until and d.cost is not null
), forecasts_made as (
  select *
  from forecast(
    (
      select node_id, provider_name, service_name, currency, charge_date, cost, known_until
      from lines
      where charge_date <= known_until
    ),
    data_col => 'cost', timestamp_col => 'charge_date', id_cols => array['node_id', 'provider_name', 'service_name', 'currency'],
    as_of_col => 'known_until', missing => 'zero', horizon => 31, confidence_level => array[0.8, 0.95], decimals => 9,
    planned => (select * from ref.planned_changes), holidays => (select * from days_off)
  )
), days as (
  select
    node_id,
    provider_name,
    service_name,
    currency,
    forecast_timestamp as forecast_date,
    max(forecast_mean) as mean,
    max(forecast_value) as middle,
    max(case when confidence_level = 0.8 then prediction_interval_lower_bound end) as lower_80,
    max(case when confidence_level = 0.8 then prediction_interval_upper_bound end) as upper_80,
    max(case when confidence_level = 0.95 then prediction_interval_lower_bound end) as lower_95,
    max(case when confidence_level = 0.95 then prediction_interval_upper_bound end) as upper_95,
    max(forecast_status) as forecast_status
  from forecasts_made
  group by node_id, provider_name, service_name, currency, forecast_timestamp
), daily as (
  select node_id, provider_name, service_name, currency, charge_date, sum(cost) as cost
  from lines
  where charge_date > known_until
  group by node_id, provider_name, service_name, currency, charge_date
), compared as (
  select
    days.*,
    coalesce(daily.cost, 0) as actual
  from days
  left join daily
    on daily.node_id = days.node_id
    and daily.provider_name = days.provider_name
    and daily.service_name = days.service_name
    and daily.currency = days.currency
    and daily.charge_date = days.forecast_date
), final as (
  select
    node_id,
    provider_name,
    nullif(service_name, '') as service_name,
    currency,
    min(forecast_date) as forecast_from,
    max(forecast_date) as forecast_to,
    round_money(sum(mean), currency) as forecast,
    round_money(sum(actual), currency) as actual,
    case when sum(actual) <> 0 then round(100 * (sum(mean) - sum(actual)) / abs(sum(actual)), 1) end as error_pct,
    round_money(avg(abs(middle - actual)), currency) as mean_absolute_error,
    round(100 * avg(case when actual between lower_80 and upper_80 then 1.0 else 0.0 end), 1) as within_80,
    round(100 * avg(case when actual between lower_95 and upper_95 then 1.0 else 0.0 end), 1) as within_95,
    max(forecast_status) as forecast_status
  from compared
  group by node_id, provider_name, service_name, currency
)
select * from final
