-- object: public.engineering
-- grain: one row per node, provider, service and currency with usage in the last fourteen complete days
-- owner: marts
-- roles: admin, finance, engineering, auditor
-- comment: What runs: what each service cost in the last seven complete days and in the seven before, on how many resources, and what is unusual or wasted there.
-- column node_id: whose usage it is
-- column provider_name: the provider
-- column service_name: the service
-- column currency: currency of the costs, the caller's
-- column cost: what the caller paid for its usage in the last seven complete days, rounded to the currency
-- column cost_before: the same of the seven days before
-- column change_pct: cost against cost_before, in percent; null without
-- column resources: resources used in the last seven complete days
-- column new_resources: those of them that were not used in the seven days before
-- column untagged_cost: cost of what has no tags at all
-- column anomalies: anomalies that reach into the last seven complete days
-- column wasted_a_month: monthly cost of its resources in underutilised
-- column complete_until: the last complete day
with used as (
  select
    c.node_id,
    c.provider_name,
    coalesce(c.service_name, '') as service_name,
    c.cost_currency as currency,
    c.resource_id,
    n.complete_until,
    c.charge_date > n.complete_until - 7 as is_recent,
    sum(c.cost) as cost,
    sum(case when c.tags is null or cast(c.tags as text) = '{}' then c.cost end) as untagged_cost
  from completeness n
  inner join charges c on c.provider_name = n.provider_name
  where c.charge_category = 'Usage'
    and c.cost is not null
    and c.charge_date > n.complete_until - 14
    and c.charge_date <= n.complete_until
  group by
    c.node_id,
    c.provider_name,
    coalesce(c.service_name, ''),
    c.cost_currency,
    c.resource_id,
    n.complete_until,
    c.charge_date > n.complete_until - 7
), resources as (
  select
    node_id,
    provider_name,
    service_name,
    currency,
    complete_until,
    resource_id,
    sum(case when is_recent then cost end) as cost,
    sum(case when not is_recent then cost end) as cost_before,
    sum(case when is_recent then untagged_cost end) as untagged_cost,
    bool_or(is_recent) as is_used,
    bool_or(not is_recent) as was_used
  from used
  group by node_id, provider_name, service_name, currency, complete_until, resource_id
), services as (
  select
    node_id,
    provider_name,
    service_name,
    currency,
    complete_until,
    coalesce(sum(cost), 0) as cost,
    coalesce(sum(cost_before), 0) as cost_before,
    coalesce(sum(untagged_cost), 0) as untagged_cost,
    count(case when is_used then resource_id end) as resources,
    count(case when is_used and not was_used then resource_id end) as new_resources
  from resources
  group by node_id, provider_name, service_name, currency, complete_until
), unusual as (
  select node_id, provider_name, service_name, currency, count(*) as anomalies
  from anomalies
  where anomaly_end > complete_until - 7
  group by node_id, provider_name, service_name, currency
), wasted as (
  select node_id, provider_name, coalesce(service_name, '') as service_name, currency, sum(monthly_cost) as cost
  from underutilised
  group by node_id, provider_name, coalesce(service_name, ''), currency
), final as (
  select
    s.node_id,
    s.provider_name,
    nullif(s.service_name, '') as service_name,
    s.currency,
    round_money(s.cost, s.currency) as cost,
    round_money(s.cost_before, s.currency) as cost_before,
    round(100 * (s.cost - s.cost_before) / nullif(s.cost_before, 0), 1) as change_pct,
    s.resources,
    s.new_resources,
    round_money(s.untagged_cost, s.currency) as untagged_cost,
    coalesce(u.anomalies, 0) as anomalies,
    coalesce(w.cost, 0) as wasted_a_month,
    s.complete_until
  from services s
  left join unusual u
    on u.node_id = s.node_id
    and u.provider_name = s.provider_name
    and u.service_name = s.service_name
    and u.currency = s.currency
  left join wasted w
    on w.node_id = s.node_id
    and w.provider_name = s.provider_name
    and w.service_name = s.service_name
    and w.currency = s.currency
)
select * from final
