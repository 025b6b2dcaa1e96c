-- object: public.deployment_velocity
-- grain: one row per node, provider and day of the last 31 complete ones on which there were new resources
-- owner: marts
-- roles: admin, finance, sales_ops, engineering, auditor, billing_job, portal
-- comment: How many resources a node began to use on a day, and whether that is unusual: at least five, and more than five times the median of the same weekday in the eight weeks before, or what effective_thresholds says.
-- column node_id: whose resources they are
-- column provider_name: the provider
-- column charge_date: the day
-- column new_resources: resources that were first used on that day
-- column usual: the median of the same weekday in the eight weeks before; of fewer weeks where the node is newer, and null for its first
-- column is_unusual: whether there are at least five, and more than the threshold's part of usual; null where fewer than four weeks are known
with used as (
  select node_id, provider_name, resource_id, min(charge_date) as first_day
  from charges
  where charge_category = 'Usage' and resource_id is not null and origin = 'usage'
  group by node_id, provider_name, resource_id
), daily as (
  select node_id, provider_name, first_day as charge_date, count(*) as new_resources
  from used
  group by node_id, provider_name, first_day
), begun as (
  -- What a node has on its first day is not new: it is what was there.
  select node_id, provider_name, min(charge_date) as first_day
  from charges_daily
  where charge_category = 'Usage'
  group by node_id, provider_name
), weeks as (
  select * from (values (0), (1), (2), (3), (4), (5), (6), (7), (8)) v(week)
), spread as (
  -- A day counts for itself and for the same weekday of the eight weeks after it.
  select d.node_id, d.provider_name, d.charge_date + 7 * w.week as charge_date, w.week, d.new_resources
  from weeks w
  cross join daily d
), placed as (
  select s.*, least((s.charge_date - b.first_day - 1) / 7, 8) as weeks_known
  from completeness c
  inner join spread s on s.provider_name = c.provider_name
  inner join begun b on b.node_id = s.node_id and b.provider_name = s.provider_name
  where s.charge_date > c.complete_until - 31
    and s.charge_date <= c.complete_until
    and (s.week = 0 or s.charge_date - 7 * s.week > b.first_day)
), ranked as (
  -- Weeks without new resources have no row: they are the smallest.
  select
    *,
    weeks_known
      - count(case when week > 0 then 1 end) over (partition by node_id, provider_name, charge_date)
      + row_number() over (partition by node_id, provider_name, charge_date, week = 0 order by new_resources, week) as place
  from placed
), counted as (
  select
    node_id,
    provider_name,
    charge_date,
    max(weeks_known) as weeks_known,
    max(case when week = 0 then new_resources end) as new_resources,
    coalesce(sum(case when week > 0 and place = (weeks_known + 1) / 2 then new_resources end), 0)
      + coalesce(sum(case when week > 0 and place = (weeks_known + 2) / 2 then new_resources end), 0) as twice_usual
  from ranked
  group by node_id, provider_name, charge_date
), final as (
  select
    c.node_id,
    c.provider_name,
    c.charge_date,
    c.new_resources,
    case when c.weeks_known > 0 then round(cast(c.twice_usual as decimal(38, 9)) / 2, 1) end as usual,
    case
      when c.weeks_known >= 4 then c.new_resources >= 5 and 200 * c.new_resources > t.warning_pct * c.twice_usual
    end as is_unusual
  from counted c
  left join effective_thresholds t on t.node_id = c.node_id and t.rule = 'deployment_velocity'
  where c.new_resources is not null
)
select * from final
