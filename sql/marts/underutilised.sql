-- object: public.underutilised
-- grain: one row per resource of which less was used than the threshold on each of the last seven days that are measured
-- owner: marts
-- roles: admin, finance, engineering, auditor
-- comment: Resources that are paid for and hardly used, by the drivers in metrics whose names end in _pct: how much of a resource's capacity was used, in percent (cpu_pct, memory_pct ...). A resource is shown if the average of every one of them was below the threshold on every one of seven days; effective_thresholds says from where on, 10 percent where nobody says otherwise.
-- column node_id: whose resource it is
-- column provider_name: the provider
-- column service_name: the service
-- column resource_id: the resource
-- column resource_type: what it is
-- column measures: what was measured
-- column highest_pct: the highest average of a day
-- column limit_pct: below what it is shown
-- column currency: currency of the costs, the caller's
-- column cost: what the caller paid for its usage in those seven days, rounded to the currency
-- column monthly_cost: the same for thirty days
-- column measured_until: the last day that is measured
with measured as (
  select
    resource_id,
    driver,
    quantity,
    cast(valid_from as date) as measured_on,
    max(cast(valid_from as date)) over (partition by resource_id) as measured_until
  from metrics
  where right(driver, 4) = '_pct' and resource_id is not null
), days as (
  select resource_id, driver, measured_on, measured_until, avg(quantity) as used_pct
  from measured
  where measured_on > measured_until - 7
  group by resource_id, driver, measured_on, measured_until
), resources as (
  select
    resource_id,
    measured_until,
    string_agg(distinct driver, ', ' order by driver) as measures,
    max(used_pct) as highest_pct
  from days
  group by resource_id, measured_until
  having count(distinct measured_on) = 7
), costs as (
  select
    c.node_id,
    c.provider_name,
    c.service_name,
    c.resource_id,
    max(c.resource_type) as resource_type,
    r.measures,
    r.highest_pct,
    r.measured_until,
    c.cost_currency as currency,
    sum(c.cost) as cost
  from resources r
  inner join charges c on c.resource_id = r.resource_id
  where c.charge_category = 'Usage'
    and c.cost is not null
    and c.charge_date > r.measured_until - 7
    and c.charge_date <= r.measured_until
  group by
    c.node_id,
    c.provider_name,
    c.service_name,
    c.resource_id,
    r.measures,
    r.highest_pct,
    r.measured_until,
    c.cost_currency
), final as (
  select
    c.node_id,
    c.provider_name,
    c.service_name,
    c.resource_id,
    c.resource_type,
    c.measures,
    round(c.highest_pct, 2) as highest_pct,
    t.warning_pct as limit_pct,
    c.currency,
    round_money(c.cost, c.currency) as cost,
    round_money(c.cost * 30 / 7, c.currency) as monthly_cost,
    c.measured_until
  from costs c
  inner join effective_thresholds t on t.node_id = c.node_id and t.rule = 'underutilised'
  where c.highest_pct < t.warning_pct
)
select * from final
