-- object: public.unallocated
-- grain: one row per billing period, node that is left with it, provider, billing account, service, charge category and currency
-- owner: marts
-- roles: admin, finance, sales_ops, engineering, auditor, billing_job, portal
-- comment: Cost that no account assignment, attribution rule or share of a pool gives to anybody: it stays with the node named here and is billed to nobody below it.
-- column billing_period: first day of the provider's billing period
-- column node_id: the node that is left with it
-- column node_path: its place in the tree at usage time, from the caller's node down
-- column provider_name: the provider
-- column billing_account_id: the provider's billing account; assign its sub accounts in ref.accounts
-- column service_category: FOCUS service category
-- column service_name: the provider's service
-- column charge_category: Usage, Purchase, Tax, Credit or Adjustment
-- column currency: currency of cost, the caller's
-- column cost: what the caller pays for it, unrounded
-- column usage_rows: charges behind the row
with charges as (
  select * from charges_monthly
  where fate = 'unallocated'
), final as (
  select
    billing_period,
    node_id,
    node_path,
    provider_name,
    billing_account_id,
    service_category,
    service_name,
    charge_category,
    cost_currency as currency,
    coalesce(sum(cost), 0) as cost,
    cast(sum(usage_rows) as bigint) as usage_rows
  from charges
  group by billing_period, node_id, node_path, provider_name, billing_account_id, service_category, service_name, charge_category, cost_currency
)
select * from final
