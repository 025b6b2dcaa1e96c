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
-- column mase: that distance as a part of how far days before the forecast were from those a week earlier: below 1 it is nearer than the same weekday of the week before would have been; null where these never differed
-- column within_80: part of the days within the interval of 80 %, in percent
-- column within_95: part of the days within the interval of 95 %, in percent
-- column forecast_status: empty, or why the forecast was weak or missing
with made as (
  select *
  from forecast(
    (select *, cost_currency as currency from charges_daily),
    data_col => 'cost', timestamp_col => 'charge_date', id_cols => array['node_id', 'provider_name', 'service_name', 'currency'],
    as_of => (select provider_name, complete_until - 31 as complete_until from completeness),
    missing => 'zero', horizon => 31, confidence_level => array[0.8, 0.95], wide => true, backtest => true, decimals => 9,
    planned => (select * from ref.planned_changes), holidays => (select * from days_off)
  )
), compared as (
  select *, coalesce(actual_value, 0) as actual
  from made
  where forecast_status <> 'no_history' and forecast_timestamp <= last_known_timestamp + 31
), final as (
  select
    node_id,
    provider_name,
    service_name,
    currency,
    min(forecast_timestamp) as forecast_from,
    max(forecast_timestamp) as forecast_to,
    round_money(sum(forecast_mean), currency) as forecast,
    round_money(sum(actual), currency) as actual,
    case when sum(actual) <> 0 then round(100 * (sum(forecast_mean) - sum(actual)) / abs(sum(actual)), 1) end as error_pct,
    round_money(avg(abs(forecast_value - actual)), currency) as mean_absolute_error,
    round(avg(abs(forecast_value - actual)) / nullif(max(seasonal_naive_error), 0), 3) as mase,
    round(100 * avg(case when actual between lower_80 and upper_80 then 1.0 else 0.0 end), 1) as within_80,
    round(100 * avg(case when actual between lower_95 and upper_95 then 1.0 else 0.0 end), 1) as within_95,
    max(forecast_status) as forecast_status
  from compared
  group by node_id, provider_name, service_name, currency
)
select * from final
