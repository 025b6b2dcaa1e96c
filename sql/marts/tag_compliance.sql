-- object: public.tag_compliance
-- grain: one row per billing period, tag policy, node that owns usage, and currency
-- owner: marts
-- roles: admin, finance, engineering, auditor
-- comment: How much of what nodes use has the tags that policies of ref.tag_policies ask for. A policy speaks of the usage of its owner and of the nodes below, by the day on which it was used; shares of pools have no tags and are left out.
-- column billing_period: first day of the billing period
-- column owner_node_id: whose policy it is
-- column policy_id: the policy
-- column node_id: the node that owns the usage
-- column node_path: its place in the tree at usage time, from the caller's node down
-- column charges: charges that the policy speaks of
-- column compliant_charges: those of them that violate nothing
-- column compliance_pct: compliant charges in percent of all
-- column currency: currency of cost, the caller's
-- column cost: what the caller pays for them, unrounded
-- column compliant_cost: what of it is for compliant ones
with days as (
  select billing_period, charge_date, node_id, node_path, rule_tags, cost_currency, cost, usage_rows
  from charges_daily
  where origin = 'usage' and charge_category = 'Usage' and fate <> 'allocated'
), policies as (
  select owner_node_id, policy_id, policy, cast(valid_from as date) as first_day, cast(valid_to as date) as end_day
  from ref.tag_policies
), judged as (
  select
    days.billing_period,
    policies.owner_node_id,
    policies.policy_id,
    days.node_id,
    days.node_path,
    days.cost_currency as currency,
    days.cost,
    days.usage_rows,
    tag_violations(coalesce(days.rule_tags, '{}'), policies.policy) = '[]' as is_compliant
  from days
  inner join policies
    on strpos('/' || days.node_path || '/', '/' || policies.owner_node_id || '/') > 0
    and days.charge_date >= policies.first_day
    and (policies.end_day is null or days.charge_date < policies.end_day)
), totals as (
  select
    billing_period,
    owner_node_id,
    policy_id,
    node_id,
    node_path,
    currency,
    cast(sum(usage_rows) as bigint) as charges,
    cast(coalesce(sum(case when is_compliant then usage_rows end), 0) as bigint) as compliant_charges,
    coalesce(sum(cost), 0) as cost,
    coalesce(sum(case when is_compliant then cost end), 0) as compliant_cost
  from judged
  group by billing_period, owner_node_id, policy_id, node_id, node_path, currency
), final as (
  select
    billing_period,
    owner_node_id,
    policy_id,
    node_id,
    node_path,
    charges,
    compliant_charges,
    cast(cast(100 * compliant_charges as decimal(38, 18)) / nullif(charges, 0) as decimal(38, 6)) as compliance_pct,
    currency,
    cost,
    compliant_cost
  from totals
)
select * from final
