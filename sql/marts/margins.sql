-- object: public.margins
-- grain: one row per billing period, edge (seller and buyer), service, currency of the edge and cost basis
-- owner: marts
-- roles: admin, finance, sales_ops, executive, auditor, billing_job; nodes that sell
-- comment: What every edge earns on which the caller or a node below it sells; the caller's own purchases are not in it.
-- column billing_period: first day of the provider's billing period
-- column seller_node_id: who sells
-- column buyer_node_id: who buys
-- column service_name: the provider's service
-- column currency: currency of cost, price and margin: the edge's, the buyer's; the seller's for what the seller keeps on an edge that changes currency
-- column basis: billed: cost is what the seller pays for the same charges
-- column cost: what the seller pays for the charges of this edge, by the rate that priced them, unrounded
-- column price: what the buyer is billed, unrounded; charges the seller retains or only reports add to cost and not to price
-- column margin: price less cost
-- column margin_pct: margin in percent of price; null where price is zero
with edges as (
  select * from tiers_monthly
  where seller_node_id is not null and payer_node_id <> current_node()
), rates as (
  select fx_rate_id, base_currency, rate from ref.fx_rates
), amounts as (
  select
    edges.billing_period,
    edges.seller_node_id,
    edges.payer_node_id as buyer_node_id,
    edges.service_name,
    -- what was not priced has no rate: it stays in the seller's currency; what the seller bills by itself costs it nothing
    case when edges.seller_currency = edges.currency or rates.fx_rate_id is null then coalesce(edges.seller_currency, edges.currency) else edges.currency end as currency,
    case
      when edges.seller_currency = edges.currency or rates.fx_rate_id is null then edges.seller_cost
      when rates.base_currency = edges.seller_currency then cast(edges.seller_cost * rates.rate as decimal(38, 18))
      else cast(edges.seller_cost / rates.rate as decimal(38, 18))
    end as cost,
    case when edges.outcome = 'billed' then edges.amount end as price
  from edges
  left join rates on rates.fx_rate_id = edges.fx_rate_id
), totals as (
  select
    billing_period,
    seller_node_id,
    buyer_node_id,
    service_name,
    currency,
    coalesce(sum(cost), 0) as cost,
    coalesce(sum(price), 0) as price
  from amounts
  group by billing_period, seller_node_id, buyer_node_id, service_name, currency
), final as (
  select
    billing_period,
    seller_node_id,
    buyer_node_id,
    service_name,
    currency,
    'billed' as basis,
    cost,
    price,
    price - cost as margin,
    cast(100 * (price - cost) / nullif(price, 0) as decimal(38, 6)) as margin_pct
  from totals
)
select * from final
