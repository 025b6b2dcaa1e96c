-- object: public.seat_counts
-- grain: one row per billing period, node and SKU that somebody licenses
-- owner: marts
-- roles: admin, finance, sales_ops, auditor, billing_job
-- comment: Seats that are billed as licences, beside the quantities that the provider's own purchase lines of the same SKU come to.
-- column billing_period: first day of the billing period
-- column node_id: who has the seats
-- column sku_id: the product's SKU, as ref.licences and the provider have it
-- column product: what is licensed
-- column seats: billed, as they are at the end of the period
-- column provider_seats: what the provider's purchases add up to: credit lines take away what rebill lines add; null where it has none
-- column difference: provider_seats less seats: above zero, seats are bought and not billed
with stretches as (
  select
    billing_period,
    node_id,
    sku_id,
    service_name,
    quantity,
    row_number() over (
      partition by billing_period, node_id, sku_id, resource_id order by charge_period_start desc
    ) as from_last
  from charges
  where origin = 'licence' and sku_id is not null
), licensed as (
  select billing_period, node_id, sku_id, max(service_name) as product, sum(quantity) as seats
  from stretches
  where from_last = 1
  group by billing_period, node_id, sku_id
), bought as (
  select billing_period, node_id, sku_id, max(service_name) as product, sum(quantity) as provider_seats
  from charges
  where origin = 'usage' and charge_category = 'Purchase' and sku_id is not null
  group by billing_period, node_id, sku_id
), skus as (
  select distinct sku_id from licensed
), final as (
  select
    coalesce(licensed.billing_period, bought.billing_period) as billing_period,
    coalesce(licensed.node_id, bought.node_id) as node_id,
    coalesce(licensed.sku_id, bought.sku_id) as sku_id,
    coalesce(licensed.product, bought.product) as product,
    coalesce(licensed.seats, 0) as seats,
    bought.provider_seats,
    coalesce(bought.provider_seats, 0) - coalesce(licensed.seats, 0) as difference
  from licensed
  full join bought
    on bought.billing_period = licensed.billing_period
    and bought.node_id = licensed.node_id
    and bought.sku_id = licensed.sku_id
)
-- what nobody licenses is no seat
select final.* from final
inner join skus on skus.sku_id = final.sku_id
