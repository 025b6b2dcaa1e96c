-- object: public.client_profit
-- grain: one row per billing period, buyer that the caller sells to, and currency of the edge
-- owner: marts
-- roles: admin, finance, sales_ops, executive, auditor, billing_job; nodes that sell
-- comment: What the caller earns on each of those that buy from it, month by month: usage of the providers, and what the caller bills by itself.
-- column billing_period: first day of the billing period
-- column buyer_node_id: who buys
-- column currency: currency of the amounts: the edge's
-- column revenue: what the buyer is billed, unrounded
-- column cost: what the caller pays for the same charges, unrounded; what it bills by itself costs it nothing
-- column profit: revenue less cost
-- column profit_pct: profit in percent of revenue; null without revenue
-- column target_pct: the margin in percent of price that the caller aims at with this buyer, of ref.margin_targets; null without one
-- column gap_points: profit_pct less target_pct
-- column profit_before: profit of the month before; null if there were no charges
-- column profit_change: profit less that of the month before
-- column share_pct: the part of the caller's profit of that month and currency, in percent; null where the caller earns nothing
with months as (
  select
    billing_period,
    buyer_node_id,
    currency,
    sum(price) as revenue,
    sum(cost) as cost,
    sum(margin) as profit
  from margins
  where basis = 'billed' and seller_node_id = current_node()
  group by billing_period, buyer_node_id, currency
), targets as (
  select
    b.buyer_node_id,
    coalesce(max(case when t.node_id is not null then t.target_pct end), max(t.target_pct)) as target_pct
  from (select distinct buyer_node_id from months) b
  inner join ref.margin_targets t
    on t.owner_node_id = current_node()
    and (t.node_id is null or t.node_id = b.buyer_node_id)
    and cast(t.valid_from as date) <= current_date
    and (t.valid_to is null or cast(t.valid_to as date) > current_date)
  group by b.buyer_node_id
), final as (
  select
    m.billing_period,
    m.buyer_node_id,
    m.currency,
    m.revenue,
    m.cost,
    m.profit,
    cast(100 * m.profit / nullif(m.revenue, 0) as decimal(38, 6)) as profit_pct,
    t.target_pct,
    cast(100 * m.profit / nullif(m.revenue, 0) as decimal(38, 6)) - t.target_pct as gap_points,
    b.profit as profit_before,
    m.profit - b.profit as profit_change,
    case
      when sum(m.profit) over (partition by m.billing_period, m.currency) > 0
        then round(100 * m.profit / sum(m.profit) over (partition by m.billing_period, m.currency), 1)
    end as share_pct
  from months m
  left join targets t on t.buyer_node_id = m.buyer_node_id
  left join months b
    on b.buyer_node_id = m.buyer_node_id
    and b.currency = m.currency
    and b.billing_period = cast(m.billing_period - interval '1 month' as date)
)
select * from final
