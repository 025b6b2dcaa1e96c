-- object: public.unit_economics
-- grain: one row per month, driver, node and currency
-- owner: marts
-- roles: admin, finance, engineering, auditor
-- comment: What one unit of the caller's own drivers (orders, users, requests: rows of metrics) costs at each node: what the node and those below it pay, but for credits and tax. A driver's row counts for the month in which it begins.
-- column month: first day of the month
-- column driver: the driver
-- column node_id: whose quantity it is
-- column quantity: how many units
-- column currency: currency of cost, the caller's
-- column cost: what the caller pays for the node and those below it in the month, unrounded
-- column unit_cost: cost for one unit
-- column unit_cost_before: that of the month before
-- column change_pct: unit_cost against that of the month before, in percent
-- column days: days of the month for which there is a row of the driver
-- column correlation: how cost and quantity of the same day move together, from -1 to 1 (Pearson); null with fewer than 7 such days or if one of them never changes
with measured as (
  select
    driver,
    node_id,
    cast(valid_from as date) as first_day,
    quantity,
    valid_to <= valid_from + interval '1 day' as is_daily
  from metrics
  where owner_node_id = current_node()
), quantities as (
  select
    cast(date_trunc('month', first_day) as date) as month,
    driver,
    node_id,
    sum(quantity) as quantity
  from measured
  group by date_trunc('month', first_day), driver, node_id
), places as (
  select distinct node_id, node_path, cost_currency as currency
  from charges_daily
  where charge_category not in ('Credit', 'Tax') and cost is not null
), below as (
  select distinct q.node_id as at_node, p.node_id, p.node_path, p.currency
  from (select distinct node_id from measured) q
  inner join places p on strpos(concat('/', p.node_path, '/'), concat('/', q.node_id, '/')) > 0
), daily as (
  select b.at_node as node_id, d.charge_date, d.cost_currency as currency, sum(d.cost) as cost
  from below b
  inner join charges_daily d on d.node_id = b.node_id and d.node_path = b.node_path and d.cost_currency = b.currency
  where d.charge_category not in ('Credit', 'Tax') and d.cost is not null
  group by b.at_node, d.charge_date, d.cost_currency
), costs as (
  select node_id, cast(date_trunc('month', charge_date) as date) as month, currency, sum(cost) as cost
  from daily
  group by node_id, date_trunc('month', charge_date), currency
), together as (
  select
    cast(date_trunc('month', m.first_day) as date) as month,
    m.driver,
    m.node_id,
    d.currency,
    count(*) as days,
    corr(cast(d.cost as double), cast(m.quantity as double)) as correlation,
    min(d.cost) < max(d.cost) and min(m.quantity) < max(m.quantity) as does_move
  from (
    select driver, node_id, first_day, sum(quantity) as quantity
    from measured
    where is_daily
    group by driver, node_id, first_day
  ) m
  inner join daily d on d.node_id = m.node_id and d.charge_date = m.first_day
  group by date_trunc('month', m.first_day), m.driver, m.node_id, d.currency
), units as (
  select
    q.month,
    q.driver,
    q.node_id,
    q.quantity,
    c.currency,
    c.cost,
    cast(c.cost / nullif(q.quantity, 0) as decimal(38, 9)) as unit_cost
  from quantities q
  inner join costs c on c.node_id = q.node_id and c.month = q.month
), final as (
  select
    u.month,
    u.driver,
    u.node_id,
    u.quantity,
    u.currency,
    u.cost,
    u.unit_cost,
    b.unit_cost as unit_cost_before,
    round(100 * (u.unit_cost - b.unit_cost) / nullif(b.unit_cost, 0), 1) as change_pct,
    coalesce(t.days, 0) as days,
    case when t.days >= 7 and t.does_move then round(cast(t.correlation as decimal(38, 9)), 3) end as correlation
  from units u
  left join units b
    on b.driver = u.driver
    and b.node_id = u.node_id
    and b.currency = u.currency
    and b.month = cast(u.month - interval '1 month' as date)
  left join together t
    on t.month = u.month
    and t.driver = u.driver
    and t.node_id = u.node_id
    and t.currency = u.currency
)
select * from final
