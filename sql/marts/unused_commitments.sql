-- object: public.unused_commitments
-- grain: one row per billing period, node and currency
-- owner: marts
-- roles: admin, finance, auditor
-- comment: What the caller and the nodes below it are billed for what was left unused of reservations and savings plans.
-- column billing_period: first day of the billing period
-- column node_id: who bears it
-- column provider_name: null: below the root it has no provider
-- column commitment_id: null: below the root it has no name
-- column currency: currency of cost, the caller's
-- column cost: what the caller pays for it, unrounded
with own as (
  select * from charges_monthly
  where origin = 'adjustment' and provider_name = 'ratehouse' and service_name = 'Unused commitment' and cost is not null
), final as (
  select
    billing_period,
    node_id,
    cast(null as text) as provider_name,
    cast(null as text) as commitment_id,
    cost_currency as currency,
    sum(cost) as cost
  from own
  group by billing_period, node_id, cost_currency
)
select * from final
