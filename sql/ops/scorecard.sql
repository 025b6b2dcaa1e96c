-- object: ops.scorecard
-- grain: one row per metric; of margin_against_target one per currency
-- owner: ops
-- roles: admin, finance, auditor; the root
-- comment: How the operation is, against the limits that are usual: what was collected, tagged, invoiced and earned.
-- column metric: collection_success, tag_compliance, invoice_delivery or margin_against_target. Collections of enabled sources are a success if they ended without an error and refused nothing, also where nothing was new; one that pauses is counted when it has ended, and each attempt after a failure counts. A source that was never looked at, or was due before yesterday and was not looked at, counts as one in vain
-- column billing_period: the period it is about: the newest one that has ended and has charges; null for collection_success, which is about the last 30 days
-- column currency: currency of a margin; null for others
-- column value_pct: the part that is as it should be, in percent; of a margin its distance to the target, in points
-- column healthy: from where on it is healthy
-- column critical: below what it is critical; of a margin, beyond what distance
-- column status: healthy, warning or critical; unknown where there is nothing to measure or no target
-- column counted: how many were looked at
-- column detail: what is missing, in words; null if nothing is
with ended as (
  select max(billing_period) as billing_period
  from charges_monthly
  where billing_period + interval '1 month' <= current_date
), runs as (
  select source, count(*) as ended, count(case when outcome = 'done' then 1 end) as good
  from ops.collection_runs
  where outcome <> 'paused' and cast(began_at as date) > current_date - 30
  group by source
), by_source as (
  select
    f.source,
    coalesce(r.good, 0) as good,
    coalesce(r.ended, 0) + case when f.state = 'never' or cast(f.next_due as date) < current_date - 1 then 1 else 0 end as counted
  from ops.freshness f
  left join runs r on r.source = f.source
  where f.item is null and f.provider_name is null and f.state <> 'disabled'
), behind as (
  select count(case when state = 'late' then 1 end) as late, count(case when state = 'missing' then 1 end) as missing
  from ops.freshness
), collected as (
  select
    coalesce(sum(counted), 0) as counted,
    sum(good) as good,
    string_agg(case when good < counted then concat(source, ' (', counted - good, ' of ', counted, ')') end, ', ' order by source) as in_vain
  from by_source
), tagged as (
  select sum(t.charges) as counted, sum(t.compliant_charges) as good
  from tag_compliance t
  inner join ended e on e.billing_period = t.billing_period
), billed as (
  select distinct t.seller_node_id, t.payer_node_id as buyer_node_id, t.currency
  from tiers_monthly t
  inner join ended e on e.billing_period = t.billing_period
  where t.seller_node_id is not null and t.outcome = 'billed' and t.amount <> 0
), issued as (
  select distinct i.seller_node_id, i.buyer_node_id, i.currency
  from invoices i
  inner join ended e on i.billing_period = to_char(e.billing_period, 'YYYY-MM')
  where i.document_type = 'invoice' and i.status in ('issued', 'paid', 'disputed')
), delivered as (
  select count(*) as counted, count(i.buyer_node_id) as good
  from billed b
  left join issued i
    on i.seller_node_id = b.seller_node_id
    and i.buyer_node_id = b.buyer_node_id
    and i.currency = b.currency
), earned as (
  select p.currency, count(*) as counted, 100 * sum(p.profit) / nullif(sum(p.revenue), 0) as margin_pct
  from client_profit p
  inner join ended e on e.billing_period = p.billing_period
  where p.revenue <> 0
  group by p.currency
), target as (
  select max(target_pct) as target_pct
  from ref.margin_targets
  where owner_node_id = current_node()
    and node_id is null
    and cast(valid_from as date) <= current_date
    and (valid_to is null or cast(valid_to as date) > current_date)
), measured as (
  select
    'collection_success' as metric,
    cast(null as date) as billing_period,
    cast(null as text) as currency,
    100 * cast(c.good as decimal(38, 9)) / nullif(c.counted, 0) as value_pct,
    99.5 as healthy,
    99 as critical,
    c.counted,
    nullif(
      concat_ws(
        '; ',
        case when c.in_vain is not null then concat('runs in vain: ', c.in_vain, ', see ops.collection_runs') end,
        case when b.late + b.missing > 0 then concat(b.late, ' late and ', b.missing, ' missing, see ops.freshness') end
      ),
      ''
    ) as detail
  from collected c
  cross join behind b
  union all
  select
    'tag_compliance' as metric,
    e.billing_period,
    cast(null as text) as currency,
    100 * cast(t.good as decimal(38, 9)) / nullif(t.counted, 0) as value_pct,
    90 as healthy,
    75 as critical,
    coalesce(t.counted, 0) as counted,
    case when t.good < t.counted then 'tag_compliance shows whose charges lack tags' end as detail
  from tagged t
  cross join ended e
  union all
  select
    'invoice_delivery' as metric,
    e.billing_period,
    cast(null as text) as currency,
    100 * cast(d.good as decimal(38, 9)) / nullif(d.counted, 0) as value_pct,
    98 as healthy,
    95 as critical,
    d.counted,
    case when d.good < d.counted then 'close the period and issue its invoices: ops.close_blockers says what is in the way' end as detail
  from delivered d
  cross join ended e
  union all
  select
    'margin_against_target' as metric,
    e.billing_period,
    m.currency,
    m.margin_pct - t.target_pct as value_pct,
    -2 as healthy,
    -5 as critical,
    m.counted,
    case when t.target_pct is null then 'ref.margin_targets has no target for all buyers' end as detail
  from earned m
  cross join target t
  cross join ended e
), final as (
  select
    metric,
    billing_period,
    currency,
    round(value_pct, 2) as value_pct,
    cast(healthy as decimal(38, 9)) as healthy,
    cast(critical as decimal(38, 9)) as critical,
    case
      when value_pct is null then 'unknown'
      when metric = 'margin_against_target' and abs(value_pct) > abs(critical) then 'critical'
      when metric = 'margin_against_target' and abs(value_pct) > abs(healthy) then 'warning'
      when value_pct < critical then 'critical'
      when value_pct <= healthy then 'warning'
      else 'healthy'
    end as status,
    counted,
    detail
  from measured
)
select * from final
