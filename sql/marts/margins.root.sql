-- object: public.margins
-- variant: root
-- grain: one row per billing period, edge (seller and buyer), service, currency of the edge and cost basis
-- owner: marts
-- roles: admin, finance, sales_ops, executive, auditor, billing_job; the root only
-- comment: What every edge of the chain earns; the root's own edges twice, on what the provider billed and on what the usage effectively cost.
-- column billing_period: first day of the provider's billing period
-- column seller_node_id: who sells
-- column buyer_node_id: who buys
-- column service_name: the provider's service
-- column currency: currency of cost, price and margin: the edge's, the buyer's; the seller's for what the seller keeps on an edge that changes currency
-- column basis: billed: cost is what the seller pays for the same charges; effective (root's edges only): cost is the amortised EffectiveCost
-- column cost: what the seller pays for the charges of this edge, by the rate that priced them, unrounded
-- column price: what the buyer is billed, unrounded; charges the seller retains or only reports add to cost and not to price
-- column margin: price less cost
-- column margin_pct: margin in percent of price; null where price is zero
with edges as (
  select * from ops.edges_monthly
  where seller_node_id is not null
), rates as (
  select fx_rate_id, base_currency, rate from ref.fx_rates
), based as (
  select
    billing_period, seller_node_id, payer_node_id, service_name, currency, seller_currency, fx_rate_id, outcome, amount,
    'billed' as basis,
    seller_cost
  from edges
  union all
  -- only the root has a provider's effective cost
  select
    billing_period, seller_node_id, payer_node_id, service_name, currency, seller_currency, fx_rate_id, outcome, amount,
    'effective' as basis,
    effective_cost as seller_cost
  from edges
  where depth = 1
), amounts as (
  select
    based.billing_period,
    based.seller_node_id,
    based.payer_node_id as buyer_node_id,
    based.service_name,
    -- what was not priced has no rate: it stays in the seller's currency; what the seller bills by itself costs it nothing
    case when based.seller_currency = based.currency or rates.fx_rate_id is null then coalesce(based.seller_currency, based.currency) else based.currency end as currency,
    based.basis,
    case
      when based.seller_currency = based.currency or rates.fx_rate_id is null then based.seller_cost
      when rates.base_currency = based.seller_currency then cast(based.seller_cost * rates.rate as decimal(38, 18))
      else cast(based.seller_cost / rates.rate as decimal(38, 18))
    end as cost,
    case when based.outcome = 'billed' then based.amount end as price
  from based
  left join rates on rates.fx_rate_id = based.fx_rate_id
), totals as (
  select
    billing_period,
    seller_node_id,
    buyer_node_id,
    service_name,
    currency,
    basis,
    coalesce(sum(cost), 0) as cost,
    coalesce(sum(price), 0) as price
  from amounts
  group by billing_period, seller_node_id, buyer_node_id, service_name, currency, basis
), final as (
  select
    billing_period,
    seller_node_id,
    buyer_node_id,
    service_name,
    currency,
    basis,
    cost,
    price,
    price - cost as margin,
    cast(100 * (price - cost) / nullif(price, 0) as decimal(38, 6)) as margin_pct
  from totals
)
select * from final
