-- object: public.anomaly_drivers
-- grain: one row per anomaly of the last 31 complete days, and SKU and resource that moved with it, at most ten
-- owner: marts
-- roles: admin, finance, sales_ops, engineering, auditor, billing_job, portal
-- comment: Which SKUs and resources drove what public.anomalies names: what a day of them costs in the anomaly, against the 28 days before it.
-- column node_id: whose usage it is
-- column provider_name: the provider
-- column service_name: the service
-- column currency: currency of the amounts, the caller's
-- column anomaly_start: the anomaly's first day
-- column anomaly_end: its last day
-- column rank: from 1, the strongest first
-- column sku_id: the provider's SKU
-- column resource_id: the resource; null where the provider names none
-- column owner: who answers for it: the value of its tag owner or Owner
-- column daily_before: what a day of it cost in the 28 days before, unrounded
-- column daily_during: what a day of it costs in the anomaly, unrounded
-- column impact: what it cost more, or less, in the whole anomaly, unrounded
with recent as (
  select a.node_id, a.provider_name, a.service_name, a.currency, a.anomaly_start, a.anomaly_end, a.direction
  from anomalies a
  where a.anomaly_end > a.complete_until - 31
), lines as (
  select
    r.node_id,
    r.provider_name,
    r.service_name,
    r.currency,
    r.anomaly_start,
    r.anomaly_end,
    r.direction,
    c.sku_id,
    c.resource_id,
    max(coalesce(c.tags ->> 'owner', c.tags ->> 'Owner')) as owner,
    sum(case when c.charge_date < r.anomaly_start then c.cost else 0 end) as before,
    sum(case when c.charge_date >= r.anomaly_start then c.cost else 0 end) as during
  from recent r
  inner join charges c
    on c.node_id = r.node_id
    and c.provider_name = r.provider_name
    and coalesce(c.service_name, '') = coalesce(r.service_name, '')
    and c.cost_currency = r.currency
    and c.charge_date >= r.anomaly_start - 28
    and c.charge_date <= r.anomaly_end
  where c.charge_category = 'Usage' and c.charge_class is distinct from 'Correction' and c.cost is not null
  group by r.node_id, r.provider_name, r.service_name, r.currency, r.anomaly_start, r.anomaly_end, r.direction, c.sku_id, c.resource_id
), compared as (
  select
    *,
    cast(before / 28 as decimal(38, 18)) as daily_before,
    cast(during / (anomaly_end - anomaly_start + 1) as decimal(38, 18)) as daily_during,
    during - cast(before * (anomaly_end - anomaly_start + 1) / 28 as decimal(38, 18)) as impact
  from lines
), ranked as (
  select
    *,
    row_number() over (
      partition by node_id, provider_name, service_name, currency, anomaly_start
      order by case when direction = 'up' then -impact else impact end, sku_id, resource_id
    ) as rank
  from compared
  where (direction = 'up' and impact > 0) or (direction = 'down' and impact < 0)
), final as (
  select
    node_id,
    provider_name,
    service_name,
    currency,
    anomaly_start,
    anomaly_end,
    cast(rank as bigint) as rank,
    sku_id,
    resource_id,
    owner,
    daily_before,
    daily_during,
    impact
  from ranked
  where rank <= 10
)
select * from final
