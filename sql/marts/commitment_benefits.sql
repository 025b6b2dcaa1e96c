-- object: public.commitment_benefits
-- grain: one row per billing period, node and kind of entry
-- owner: marts
-- roles: admin, finance, sales_ops, auditor
-- comment: What the caller and the nodes below it are given or billed for reservations and savings plans of the provider: the benefit of those that they own, shares of what was left unused, purchases and what these amortise to.
-- column billing_period: first day of the billing period
-- column entry: Commitment benefit, Unused commitment, Commitment purchase or Commitment amortisation
-- column node_id: the node that has it
-- column node_path: its place in the tree, from the caller's node down
-- column currency: currency of amount, the caller's
-- column amount: what the caller pays for it, unrounded; what it is given is negative
with own as (
  select * from charges_monthly
  where origin = 'adjustment'
    and provider_name = 'ratehouse'
    and service_name in ('Commitment benefit', 'Unused commitment', 'Commitment purchase', 'Commitment amortisation')
), final as (
  select
    billing_period,
    service_name as entry,
    node_id,
    node_path,
    cost_currency as currency,
    coalesce(sum(cost), 0) as amount
  from own
  group by billing_period, service_name, node_id, node_path, cost_currency
)
select * from final
