-- object: public.waste_candidates
-- grain: one row per thing that is paid for and not used, or hardly, and currency
-- owner: marts
-- roles: admin, finance, auditor
-- comment: Where money could be saved, the largest amounts by monthly_cost: seats of licence_waste, resources of underutilised, and what was left unused of commitments in the newest billing period that has ended.
-- column kind: unused_seats, underutilised or unused_commitment
-- column node_id: whose it is
-- column provider_name: the provider; null for seats, and below the root for commitments
-- column service_name: the service or product; null for commitments
-- column item: the SKU, the resource or the commitment; below the root commitments have no name
-- column reason: why it is here, in words
-- column currency: currency of the cost, the caller's
-- column monthly_cost: what the caller pays for it in a month, rounded to the currency
with newest as (
  select max(billing_period) as billing_period
  from charges_monthly
  where billing_period + interval '1 month' <= current_date
), final as (
  select
    'unused_seats' as kind,
    node_id,
    cast(null as text) as provider_name,
    product as service_name,
    sku_id as item,
    concat(
      rtrim(rtrim(cast(unused_seats as text), '0'), '.'), ' of ', rtrim(rtrim(cast(seats as text), '0'), '.'), ' seats were not used for 30 days'
    ) as reason,
    currency,
    monthly_cost
  from licence_waste
  union all
  select
    'underutilised' as kind,
    node_id,
    provider_name,
    service_name,
    resource_id as item,
    concat(measures, ' at most ', rtrim(rtrim(cast(highest_pct as text), '0'), '.'), ' percent on each of 7 days') as reason,
    currency,
    monthly_cost
  from underutilised
  union all
  select
    'unused_commitment' as kind,
    c.node_id,
    c.provider_name,
    cast(null as text) as service_name,
    c.commitment_id as item,
    concat('left unused in the billing period of ', c.billing_period) as reason,
    c.currency,
    round_money(c.cost, c.currency) as monthly_cost
  from unused_commitments c
  inner join newest n on n.billing_period = c.billing_period
  where c.cost > 0
)
select * from final
