-- object: public.allocations
-- grain: one row per billing period, owning node, provider, service, charge category, fate and currency
-- owner: marts
-- roles: admin, finance, sales_ops, engineering, executive, auditor, billing_job, portal
-- comment: Who consumed what: the caller's own cost by the node of its subtree that owns the usage (showback and chargeback).
-- column billing_period: first day of the provider's billing period
-- column node_id: the node that owns the usage
-- column node_path: its place in the tree at usage time, from the caller's node down
-- column provider_name: the provider
-- column service_category: FOCUS service category
-- column service_name: the provider's service
-- column charge_category: Usage, Purchase, Tax, Credit or Adjustment
-- column fate: direct (the account or a rule named the owner) or allocated (a share of a pool)
-- column currency: currency of cost, the caller's
-- column cost: what the caller pays for it, unrounded
-- column usage_rows: charges behind the row
with charges as (
  select * from charges_monthly
  where fate <> 'unallocated'
), final as (
  select
    billing_period,
    node_id,
    node_path,
    provider_name,
    service_category,
    service_name,
    charge_category,
    fate,
    cost_currency as currency,
    coalesce(sum(cost), 0) as cost,
    cast(sum(usage_rows) as bigint) as usage_rows
  from charges
  group by billing_period, node_id, node_path, provider_name, service_category, service_name, charge_category, fate, cost_currency
)
select * from final
