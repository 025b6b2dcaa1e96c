-- object: public.seat_counts
-- grain: one row per billing period, node and SKU that somebody licenses
-- owner: marts
-- roles: admin, finance, sales_ops, auditor
-- comment: Seats of ref.licences at the end of each billing period, beside the quantities that the provider's own purchase lines of the same SKU come to.
-- column billing_period: first day of the billing period
-- column node_id: who has the seats
-- column sku_id: the product's SKU, as ref.licences and the provider have it
-- column product: what is licensed
-- column seats: of active licences, as they are at the end of the period
-- column provider_seats: what the provider's purchases add up to: credit lines take away what rebill lines add; null where it has none
-- column difference: provider_seats less seats: above zero, seats are bought and not billed
with periods as (
  select distinct billing_period, cast(billing_period + interval '1 month' as timestamp with time zone) as period_end
  from charges_monthly
), held as (
  select
    periods.billing_period,
    licences.node_id,
    licences.sku_id,
    licences.product,
    case when licences.status = 'active' and (licences.valid_to is null or licences.valid_to >= periods.period_end) then licences.seats else 0 end as seats,
    row_number() over (
      partition by periods.billing_period, licences.seller_node_id, licences.licence_id order by licences.valid_from desc
    ) as from_last
  from periods
  inner join ref.licences as licences on licences.valid_from < periods.period_end
), licensed as (
  select billing_period, node_id, sku_id, max(product) as product, sum(seats) as seats
  from held
  where from_last = 1 and sku_id is not null
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
