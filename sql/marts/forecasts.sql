-- object: public.forecasts
-- grain: one row per period, level, node, provider, service, account, currency and first day
-- owner: marts
-- roles: admin, finance, sales_ops, engineering, executive, auditor, billing_job, portal
-- comment: What the caller will pay, with planned changes and the holidays of a node's country; usage only, no credits, refunds or tax. Days count as complete three days after they ended. Services add up to their node, nodes to those above them and to the total, and accounts to the same as services. Filter by period and level: rows of one are parts of another.
-- column period: day, of the 31 after the last complete one; month, that of the last complete day and the next; quarter, that of the last complete day: as far as the forecast reaches their end
-- column level: service, account, node for the sum of its services, subtree for a node that has others below it, with those, or total for the sum of all nodes
-- column node_id: whose usage it is; null for the total
-- column provider_name: the provider; null for nodes and the total
-- column service_name: the service; null but for services
-- column sub_account_id: the account; null but for accounts
-- column currency: currency of the amounts, the caller's
-- column forecast_date: the day, or the first of the month or quarter
-- column forecast_value: the mean of what can come, rounded to the currency: sums of days and services are what to expect of them; with what a month or quarter has cost already
-- column lower_80: lower end of the interval that holds the day with a chance of 80 %, and forecast_value; of a month or quarter the sum of its days, which holds it with a higher chance
-- column upper_80: upper end of that interval
-- column lower_95: lower end of the interval of 95 %
-- column upper_95: upper end of that interval
-- column actual: what the complete days of the month or quarter have cost; null for days
-- column planned_change: what planned changes that begin later than the last complete day add to the middle of the interval; null for accounts
-- column forecast_status: empty, or why the forecast is weak or missing: short_history, no_recent_data, all_zero
-- column complete_until: the last day that the forecast knows
with final as (
  select *
  from forecast(
    (select *, cost_currency as currency from charges_daily),
    data_col => 'cost', timestamp_col => 'charge_date',
    id_cols => array['node_id', 'provider_name', 'service_name', 'sub_account_id', 'currency'],
    grouping_sets => array[
      'node_id, provider_name, service_name, currency', 'node_id, provider_name, sub_account_id, currency', 'node_id, currency',
      'parents(node_id), currency', 'currency'
    ],
    parents => (select node_id, subtree_id as counts_to from subtrees where subtree_id <> current_node()),
    as_of => (
      select provider_name, complete_until
      from completeness
      union all
      select null, max(all_complete_until)
      from completeness
    ),
    missing => 'zero', horizon => 92, confidence_level => array[0.8, 0.95], wide => true, periods => array['day', 'month', 'quarter'],
    planned => (select * from ref.planned_changes),
    holidays => (select * from days_off)
  )
)
select
  period,
  case grouping_set when 1 then 'service' when 2 then 'account' when 3 then 'node' when 4 then 'subtree' else 'total' end as level,
  node_id,
  provider_name,
  service_name,
  sub_account_id,
  currency,
  forecast_timestamp as forecast_date,
  forecast_mean as forecast_value,
  least(lower_80, forecast_mean) as lower_80,
  greatest(upper_80, forecast_mean) as upper_80,
  least(lower_95, forecast_mean) as lower_95,
  greatest(upper_95, forecast_mean) as upper_95,
  known_value as actual,
  case when grouping_set <> 2 then planned_change_value end as planned_change,
  forecast_status,
  last_known_timestamp as complete_until
from final
where forecast_timestamp <= last_known_timestamp + case period when 'quarter' then 0 else 31 end
