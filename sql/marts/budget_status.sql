-- object: public.budget_status
-- grain: one row per budget and period that has cost, and the period of today
-- owner: marts
-- roles: admin, finance, sales_ops, engineering, executive, auditor, billing_job, portal
-- comment: How far the caller's own budgets are used, period by period, and how far they will be. Days up to the last complete one count as they are, usage of later ones as it is forecast.
-- column budget_id: the budget
-- column node_id: whose usage it is for, with that of the nodes below; null: all that the caller pays
-- column period_start: the first day
-- column period_end: the last day
-- column currency: currency of the amounts
-- column amount: what may be spent
-- column actual: what was spent so far, rounded to the currency
-- column used_pct: actual as a part of the amount, in percent
-- column forecast: what will have been spent on the last day, rounded to the currency; null where charges end too long before
-- column forecast_pct: forecast as a part of the amount, in percent
-- column exhausted_on: the day on which forecast goes above the amount; null if it does not
-- column status: ok, warning (as much is used as the budget warns of), forecast_over (it will be above its amount) or over (it is)
-- column action_due: what is to be done now: notify, approve or stop; null: nothing
-- column complete_until: the last day of which usage is complete; null without any
with budgets as (
  select
    row_number() over (order by budget_id, valid_from) as budget_row,
    budget_id,
    node_id,
    provider_name,
    service_category,
    service_name,
    charge_category,
    currency,
    period,
    case period when 'month' then interval '1 month' when 'quarter' then interval '3 months' else interval '1 year' end as step,
    amount,
    warning_pct,
    basis,
    action,
    cast(valid_from as date) as first_day,
    cast(valid_to as date) as end_day
  from ref.budgets
  where status = 'active' and owner_node_id = current_node()
), daily as (
  select
    d.charge_date,
    d.node_id,
    d.node_path,
    d.provider_name,
    coalesce(d.service_category, '') as service_category,
    coalesce(d.service_name, '') as service_name,
    d.charge_category,
    d.cost_currency as currency,
    d.charge_category <> 'Usage' or d.charge_date <= n.complete_until as is_complete,
    d.charge_class is distinct from 'Correction' as is_regular,
    n.complete_until,
    sum(d.cost) as cost
  from completeness n
  right join charges_daily d on d.provider_name = n.provider_name
  where d.cost is not null
  group by
    d.charge_date,
    d.node_id,
    d.node_path,
    d.provider_name,
    coalesce(d.service_category, ''),
    coalesce(d.service_name, ''),
    d.charge_category,
    d.cost_currency,
    d.charge_class is distinct from 'Correction',
    n.complete_until
), places as (
  -- What a node will spend is counted where the node stood last.
  select node_id, last_value(node_path order by charge_date, node_path) as node_path
  from daily
  group by node_id
), usage_daily as (
  select node_id, provider_name, service_category, service_name, currency, charge_date, complete_until, cost
  from daily
  where charge_category = 'Usage' and is_regular and is_complete
), by_month as (
  select *
  from forecast(
    (select * from usage_daily where 'month' in (select period from budgets)),
    data_col => 'cost', timestamp_col => 'charge_date',
    id_cols => array['node_id', 'provider_name', 'service_category', 'service_name', 'currency'],
    as_of_col => 'complete_until', missing => 'zero', horizon => 62, decimals => 9, planned => (select * from ref.planned_changes), holidays => (select * from days_off)
  )
), by_year as (
  select *
  from forecast(
    (select * from usage_daily where 'quarter' in (select period from budgets) or 'year' in (select period from budgets)),
    data_col => 'cost', timestamp_col => 'charge_date',
    id_cols => array['node_id', 'provider_name', 'service_category', 'service_name', 'currency'],
    as_of_col => 'complete_until', missing => 'zero', horizon => 397, decimals => 9, planned => (select * from ref.planned_changes), holidays => (select * from days_off)
  )
), flows as (
  select
    'any' as horizon,
    node_path,
    provider_name,
    service_category,
    service_name,
    charge_category,
    currency,
    charge_date,
    cost as actual,
    case when is_complete then cost else 0 end as forecast
  from daily
  union all
  select
    f.horizon,
    p.node_path,
    f.provider_name,
    f.service_category,
    f.service_name,
    'Usage' as charge_category,
    f.currency,
    f.forecast_timestamp as charge_date,
    cast(null as numeric) as actual,
    f.forecast_mean as forecast
  from (
    select 'month' as horizon, * from by_month
    union all
    select 'year' as horizon, * from by_year
  ) f
  inner join places p on p.node_id = f.node_id
), matches as (
  select b.budget_row, b.period, d.*
  from (
    select distinct node_path, provider_name, service_category, service_name, charge_category, currency from flows
  ) d
  inner join budgets b
    on b.currency = d.currency
    and (b.node_id is null or strpos(concat('/', d.node_path, '/'), concat('/', b.node_id, '/')) > 0)
    and (b.provider_name is null or b.provider_name = d.provider_name)
    and (b.service_category is null or b.service_category = d.service_category)
    and (b.service_name is null or b.service_name = d.service_name)
    and (b.charge_category = d.charge_category or b.charge_category is null and d.charge_category not in ('Credit', 'Tax'))
), days as (
  select
    m.budget_row,
    cast(
      case m.period
        when 'month' then date_trunc('month', f.charge_date)
        when 'quarter' then date_trunc('quarter', f.charge_date)
        else date_trunc('year', f.charge_date)
      end as date
    ) as period_start,
    f.charge_date,
    sum(f.actual) as actual,
    sum(f.forecast) as forecast
  from flows f
  inner join matches m
    on m.node_path = f.node_path
    and m.provider_name = f.provider_name
    and m.service_category = f.service_category
    and m.service_name = f.service_name
    and m.charge_category = f.charge_category
    and m.currency = f.currency
  where f.horizon = 'any' or (f.horizon = 'month') = (m.period = 'month')
  group by m.budget_row, m.period, f.charge_date
), running as (
  select
    budget_row,
    period_start,
    charge_date,
    actual,
    forecast,
    sum(forecast) over (partition by budget_row, period_start order by charge_date) as forecast_to_date
  from days
), periods as (
  select budget_row, period_start from running where actual is not null
  union
  select
    budget_row,
    cast(
      case period
        when 'month' then date_trunc('month', current_date)
        when 'quarter' then date_trunc('quarter', current_date)
        else date_trunc('year', current_date)
      end as date
    ) as period_start
  from budgets
), valid as (
  -- The amount of a period is the one that holds on its last day, or today.
  select
    b.*,
    p.period_start,
    cast(p.period_start + b.step as date) - 1 as period_end,
    coalesce(n.complete_until, c.complete_until) as complete_until
  from periods p
  inner join budgets b on b.budget_row = p.budget_row
  left join completeness n on n.provider_name = b.provider_name
  left join (select min(all_complete_until) as complete_until from completeness) c on true
  where b.first_day <= least(cast(p.period_start + b.step as date) - 1, current_date)
    and (b.end_day is null or b.end_day > least(cast(p.period_start + b.step as date) - 1, current_date))
), sums as (
  select
    v.budget_row,
    v.period_start,
    coalesce(sum(r.actual), 0) as actual,
    case
      when v.period_end <= v.complete_until + case v.period when 'month' then 62 else 397 end
        then greatest(coalesce(sum(r.forecast), 0), coalesce(sum(r.actual), 0))
    end as forecast,
    min(case when r.forecast_to_date > v.amount then r.charge_date end) as exhausted_on
  from valid v
  left join running r on r.budget_row = v.budget_row and r.period_start = v.period_start
  group by v.budget_row, v.period_start, v.period_end, v.complete_until, v.period
), judged as (
  select
    v.*,
    s.actual,
    s.forecast,
    s.exhausted_on,
    case
      when s.actual > v.amount then 'over'
      when s.forecast > v.amount then 'forecast_over'
      when 100 * s.actual >= v.warning_pct * v.amount then 'warning'
      else 'ok'
    end as status
  from valid v
  inner join sums s on s.budget_row = v.budget_row and s.period_start = v.period_start
), final as (
  select
    j.budget_id,
    j.node_id,
    j.period_start,
    j.period_end,
    j.currency,
    round_money(j.amount, j.currency) as amount,
    round_money(j.actual, j.currency) as actual,
    round(100 * j.actual / j.amount, 1) as used_pct,
    round_money(j.forecast, j.currency) as forecast,
    round(100 * j.forecast / j.amount, 1) as forecast_pct,
    j.exhausted_on,
    j.status,
    case when j.status = 'over' or (j.status = 'forecast_over' and j.basis = 'forecast') then j.action end as action_due,
    j.complete_until
  from judged j
)
select * from final
