-- object: public.deployment_velocity
-- grain: one row per node, provider and day of the last 31 complete ones on which there were new resources
-- owner: marts
-- roles: admin, finance, sales_ops, engineering, auditor, billing_job, portal
-- comment: How many resources a node began to use on a day, and whether that is unusual: more than five times as many a day as in the 28 days before, or what effective_thresholds says, and at least five more.
-- column node_id: whose resources they are
-- column provider_name: the provider
-- column charge_date: the day
-- column new_resources: resources that were first used on that day
-- column usual: how many a day there were in the 28 days before
-- column is_unusual: whether there are more than the threshold's part of that, and at least five more; null where fewer than 14 of those days had usage
with used as (
  select node_id, provider_name, resource_id, min(charge_date) as first_day
  from charges
  where charge_category = 'Usage' and resource_id is not null and origin = 'usage'
  group by node_id, provider_name, resource_id
), days as (
  select distinct node_id, provider_name, charge_date
  from charges_daily
  where charge_category = 'Usage'
), daily as (
  select node_id, provider_name, first_day as charge_date, count(*) as new_resources
  from used
  group by node_id, provider_name, first_day
), usual as (
  select
    d.node_id,
    d.provider_name,
    d.charge_date,
    d.new_resources,
    coalesce(sum(b.new_resources), 0) as before
  from daily d
  inner join completeness c on c.provider_name = d.provider_name
  left join daily b
    on b.node_id = d.node_id
    and b.provider_name = d.provider_name
    and b.charge_date < d.charge_date
    and b.charge_date >= d.charge_date - 28
  where d.charge_date > c.complete_until - 31 and d.charge_date <= c.complete_until
  group by d.node_id, d.provider_name, d.charge_date, d.new_resources
), known as (
  select u.node_id, u.provider_name, u.charge_date, count(*) as days_known
  from usual u
  inner join days d
    on d.node_id = u.node_id
    and d.provider_name = u.provider_name
    and d.charge_date < u.charge_date
    and d.charge_date >= u.charge_date - 28
  group by u.node_id, u.provider_name, u.charge_date
), final as (
  select
    u.node_id,
    u.provider_name,
    u.charge_date,
    u.new_resources,
    round(cast(u.before as decimal(38, 9)) / 28, 2) as usual,
    -- What a node has in its first days is not new: it is what was there.
    case
      when k.days_known >= 14
        then 2800 * u.new_resources > t.warning_pct * u.before and 28 * (u.new_resources - 5) >= u.before
    end as is_unusual
  from usual u
  left join effective_thresholds t on t.node_id = u.node_id and t.rule = 'deployment_velocity'
  left join known k on k.node_id = u.node_id and k.provider_name = u.provider_name and k.charge_date = u.charge_date
)
select * from final
