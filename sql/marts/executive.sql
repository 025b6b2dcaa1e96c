-- object: public.executive
-- grain: one row per billing period and currency
-- owner: marts
-- roles: admin, finance, sales_ops, executive, auditor, billing_job
-- comment: The caller's business month by month: what it pays, what it bills to those who buy from it, what it earns, and whether something is wrong.
-- column billing_period: first day of the billing period
-- column currency: currency of the amounts; what is bought in one and sold in another is two rows
-- column cost: what the caller is billed, rounded to the currency
-- column cost_change_pct: against the month before, in percent; null without one
-- column revenue: what the caller bills to those who buy from it, rounded to the currency
-- column revenue_change_pct: against the month before, in percent; null without one
-- column profit: revenue less what the caller pays for the same charges, rounded to the currency
-- column profit_pct: profit in percent of revenue; null without revenue
-- column customers: how many buy from the caller
-- column forecast_cost: what the usage of the calendar month will have cost, in the month of the last complete day
-- column budgets_over: the caller's budgets of this currency that are spent, or forecast to be, in a period that the month is part of
-- column anomalies: anomalies that began in the month
-- column anomaly_impact: what they cost more than was expected, less what others cost less
with edges as (
  select
    billing_period,
    currency,
    sum(case when payer_node_id = current_node() and outcome = 'billed' then amount end) as cost,
    sum(case when seller_node_id = current_node() and outcome = 'billed' then amount end) as revenue,
    count(distinct case when seller_node_id = current_node() and outcome = 'billed' then payer_node_id end) as customers
  from tiers_monthly
  where payer_node_id = current_node() or seller_node_id = current_node()
  group by billing_period, currency
), rates as (
  select fx_rate_id, base_currency, rate from ref.fx_rates
), sales as (
  -- As in margins: what was not priced has no rate, and stays in the seller's currency.
  select
    t.billing_period,
    case when t.seller_currency = t.currency or r.fx_rate_id is null then coalesce(t.seller_currency, t.currency) else t.currency end as currency,
    case
      when t.seller_currency = t.currency or r.fx_rate_id is null then t.seller_cost
      when r.base_currency = t.seller_currency then cast(t.seller_cost * r.rate as decimal(38, 18))
      else cast(t.seller_cost / r.rate as decimal(38, 18))
    end as cost,
    case when t.outcome = 'billed' then t.amount end as price
  from tiers_monthly t
  left join rates r on r.fx_rate_id = t.fx_rate_id
  where t.seller_node_id = current_node()
), sold as (
  select billing_period, currency, coalesce(sum(price), 0) - coalesce(sum(cost), 0) as profit
  from sales
  group by billing_period, currency
), ahead as (
  select forecast_date as month, currency, forecast_value as cost
  from forecasts
  where period = 'month' and level = 'total' and forecast_date <= complete_until
), unusual as (
  select cast(date_trunc('month', anomaly_start) as date) as month, currency, count(*) as anomalies, sum(impact) as impact
  from anomalies
  group by date_trunc('month', anomaly_start), currency
), months as (
  select
    coalesce(e.billing_period, s.billing_period) as billing_period,
    coalesce(e.currency, s.currency) as currency,
    e.cost,
    e.revenue,
    coalesce(e.customers, 0) as customers,
    s.profit
  from edges e
  full join sold s on s.billing_period = e.billing_period and s.currency = e.currency
), over_budget as (
  select m.billing_period, m.currency, count(*) as budgets
  from months m
  inner join budget_status b
    on b.currency = m.currency
    and b.period_start <= m.billing_period
    and b.period_end >= m.billing_period
    and b.status in ('over', 'forecast_over')
  group by m.billing_period, m.currency
), final as (
  select
    m.billing_period,
    m.currency,
    round_money(m.cost, m.currency) as cost,
    round(100 * (m.cost - b.cost) / nullif(b.cost, 0), 1) as cost_change_pct,
    round_money(m.revenue, m.currency) as revenue,
    round(100 * (m.revenue - b.revenue) / nullif(b.revenue, 0), 1) as revenue_change_pct,
    round_money(m.profit, m.currency) as profit,
    round(100 * m.profit / nullif(m.revenue, 0), 1) as profit_pct,
    m.customers,
    a.cost as forecast_cost,
    coalesce(o.budgets, 0) as budgets_over,
    coalesce(u.anomalies, 0) as anomalies,
    coalesce(u.impact, 0) as anomaly_impact
  from months m
  left join months b
    on b.currency = m.currency
    and b.billing_period = cast(m.billing_period - interval '1 month' as date)
  left join ahead a on a.month = m.billing_period and a.currency = m.currency
  left join over_budget o on o.billing_period = m.billing_period and o.currency = m.currency
  left join unusual u on u.month = m.billing_period and u.currency = m.currency
)
select * from final
