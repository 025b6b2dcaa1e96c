-- object: public.forecasts
-- grain: one row per period, level, node, provider, service, account, currency and first day
-- owner: marts
-- roles: admin, finance, sales_ops, engineering, executive, auditor, billing_job, portal
-- comment: What the caller will pay, with planned changes and the holidays of a node's country; usage only, no credits, refunds or tax. Days count as complete three days after they ended. Services add up to their node, nodes to the total, and accounts to the same as services. Filter by period and level: rows of one are parts of another.
-- column period: day, of the 31 after the last complete one; month, that of the last complete day and the next; quarter, that of the last complete day: as far as the forecast reaches their end
-- column level: service, account, node for the sum of its services, or total for the sum of all nodes
-- column node_id: whose usage it is; null for the total
-- column provider_name: the provider; null for nodes and the total
-- column service_name: the service; null but for services
-- column sub_account_id: the account; null but for accounts
-- column currency: currency of the amounts, the caller's
-- column forecast_date: the day, or the first of the month or quarter
-- column forecast_value: the mean of what can come, rounded to the currency: sums of days and services are what to expect of them; with what a month or quarter has cost already
-- column lower_80: lower end of the interval that holds the day with a chance of 80 %; of a month or quarter the sum of its days, which holds it with a higher chance
-- column upper_80: upper end of that interval
-- column lower_95: lower end of the interval of 95 %
-- column upper_95: upper end of that interval
-- column actual: what the complete days of the month or quarter have cost; null for days
-- column planned_change: what planned changes that begin later than the last complete day add to the middle of the interval; null for accounts
-- column forecast_status: empty, or why the forecast is weak or missing: short_history, no_recent_data, all_zero
-- column complete_until: the last day that the forecast knows
with daily as (
  select
    d.charge_date,
    d.node_id,
    d.provider_name,
    d.service_name,
    d.sub_account_id,
    d.cost_currency as currency,
    c.complete_until,
    c.all_complete_until as all_until,
    d.cost
  from completeness c
  inner join charges_daily d on d.provider_name = c.provider_name
  where d.charge_category = 'Usage' and d.charge_class is distinct from 'Correction' and d.charge_date <= c.complete_until and d.cost is not null
), levels as (
  select * from (values ('service'), ('account'), ('node'), ('total')) v(level)
), series as (
  select
    l.level,
    case when l.level = 'total' then '' else d.node_id end as node_id,
    case when l.level in ('service', 'account') then d.provider_name else '' end as provider_name,
    case when l.level = 'service' then coalesce(d.service_name, '') else '' end as service_name,
    case when l.level = 'account' then coalesce(d.sub_account_id, '') else '' end as sub_account_id,
    d.currency,
    d.charge_date,
    case when l.level in ('service', 'account') then d.complete_until else d.all_until end as complete_until,
    d.all_until,
    d.cost
  from levels l
  cross join daily d
  where l.level in ('service', 'account') or d.charge_date <= d.all_until
), forecast_rows as (
  select *
  from forecast(
    (select * from series),
    data_col => 'cost', timestamp_col => 'charge_date',
    id_cols => array['node_id', 'provider_name', 'service_name', 'sub_account_id', 'level', 'currency'],
    as_of_col => 'complete_until', missing => 'zero', horizon => 92, confidence_level => array[0.8, 0.95], decimals => 9,
    planned => (select * from ref.planned_changes),
    holidays => (select * from days_off)
  )
), spent_days as (
  -- By month, but for days of which not all is complete: there a sum is of what was spent and of what is forecast.
  select
    *,
    case when charge_date <= all_until then cast(date_trunc('month', charge_date) as date) else charge_date end as spent_date
  from series
  where charge_date >= date_trunc('quarter', complete_until)
), spent as (
  select
    level,
    node_id,
    provider_name,
    service_name,
    sub_account_id,
    currency,
    spent_date as charge_date,
    complete_until,
    cast(sum(cost) as decimal(38, 9)) as cost
  from spent_days
  group by level, node_id, provider_name, service_name, sub_account_id, currency, spent_date, complete_until
), days as (
  select
    level,
    node_id,
    provider_name,
    service_name,
    sub_account_id,
    currency,
    forecast_timestamp as forecast_date,
    last_known_timestamp as complete_until,
    max(forecast_mean) as mean,
    max(case when confidence_level = 0.8 then prediction_interval_lower_bound end) as lower_80,
    max(case when confidence_level = 0.8 then prediction_interval_upper_bound end) as upper_80,
    max(case when confidence_level = 0.95 then prediction_interval_lower_bound end) as lower_95,
    max(case when confidence_level = 0.95 then prediction_interval_upper_bound end) as upper_95,
    max(planned_change_value) as planned_change,
    max(forecast_status) as forecast_status,
    cast(null as decimal(38, 9)) as actual
  from forecast_rows
  group by
    level,
    node_id,
    provider_name,
    service_name,
    sub_account_id,
    currency,
    forecast_timestamp,
    last_known_timestamp
  union all
  -- What the quarter has cost so far: of one provider maybe longer than of all.
  select
    level,
    node_id,
    provider_name,
    service_name,
    sub_account_id,
    currency,
    charge_date as forecast_date,
    complete_until,
    cost as mean,
    cost as lower_80,
    cost as upper_80,
    cost as lower_95,
    cost as upper_95,
    cast(null as decimal(38, 9)) as planned_change,
    cast(null as text) as forecast_status,
    cost as actual
  from spent
), sums as (
  select
    *,
    sum(case when level = 'service' then mean end) over (partition by node_id, provider_name, currency, forecast_date) as of_provider,
    sum(case when level = 'account' then mean end) over (partition by node_id, provider_name, currency, forecast_date) as of_accounts,
    count(case when level = 'account' then 1 end) over (partition by node_id, provider_name, currency, forecast_date) as accounts,
    sum(case when level = 'service' then mean end) over (partition by node_id, currency, forecast_date) as of_node,
    sum(case when level = 'service' then planned_change end) over (partition by node_id, currency, forecast_date) as planned_of_node,
    sum(case when level = 'service' then mean end) over (partition by currency, forecast_date) as of_all,
    sum(case when level = 'service' then planned_change end) over (partition by currency, forecast_date) as planned_of_all
  from days
), reconciled as (
  -- A sum's own errors are those of its interval, around the sum of its services; accounts share theirs in proportion.
  select
    *,
    cast(
      case
        when actual is not null then mean
        when level = 'node' then of_node
        when level = 'total' then of_all
        when level = 'account' and of_accounts = 0 then of_provider / accounts
        when level = 'account' then mean * of_provider / of_accounts
        else mean
      end
      as decimal(38, 9)
    ) as value,
    case level when 'service' then planned_change when 'node' then planned_of_node when 'total' then planned_of_all end as planned
  from sums
), periods as (
  select * from (values ('day'), ('month'), ('quarter')) v(period)
), placed as (
  select
    p.period,
    case p.period
      when 'day' then r.forecast_date
      when 'month' then cast(date_trunc('month', r.forecast_date) as date)
      else cast(date_trunc('quarter', r.forecast_date) as date)
    end as first_day,
    case p.period
      when 'day' then r.forecast_date
      when 'month' then cast(date_trunc('month', r.forecast_date) + interval '1 month' as date) - 1
      else cast(date_trunc('quarter', r.forecast_date) + interval '3 months' as date) - 1
    end as last_day,
    r.*
  from periods p
  cross join reconciled r
  where p.period <> 'day' or r.actual is null and r.forecast_date <= r.complete_until + 31
), final as (
  select
    period,
    level,
    node_id,
    provider_name,
    service_name,
    sub_account_id,
    currency,
    first_day as forecast_date,
    sum(value) as forecast_value,
    sum(lower_80 + value - mean) as lower_80,
    sum(upper_80 + value - mean) as upper_80,
    sum(lower_95 + value - mean) as lower_95,
    sum(upper_95 + value - mean) as upper_95,
    case when period <> 'day' then coalesce(sum(actual), 0) end as actual,
    sum(planned) as planned_change,
    max(forecast_status) as forecast_status,
    max(case when actual is null then complete_until end) as complete_until
  from placed
  group by period, level, node_id, provider_name, service_name, sub_account_id, currency, first_day, last_day
  having max(case when actual is null then forecast_date end) = last_day
    and first_day <= case period when 'quarter' then max(complete_until) else max(complete_until) + 31 end
)
select
  period,
  level,
  nullif(node_id, '') as node_id,
  nullif(provider_name, '') as provider_name,
  nullif(service_name, '') as service_name,
  nullif(sub_account_id, '') as sub_account_id,
  currency,
  forecast_date,
  round_money(forecast_value, currency) as forecast_value,
  round_money(lower_80, currency) as lower_80,
  round_money(upper_80, currency) as upper_80,
  round_money(lower_95, currency) as lower_95,
  round_money(upper_95, currency) as upper_95,
  round_money(actual, currency) as actual,
  round_money(planned_change, currency) as planned_change,
  forecast_status,
  complete_until
from final
