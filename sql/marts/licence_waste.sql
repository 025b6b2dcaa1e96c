-- object: public.licence_waste
-- grain: one row per node, SKU and currency of which seats were not used for thirty days
-- owner: marts
-- roles: admin, finance, engineering, auditor
-- comment: Seats that are paid for and were not used for thirty days. Seats are those of the newest billing period that has ended, of licences and of the providers' purchases; how many are used is in metrics: rows of driver seats_in_use, with the SKU as resource_id, that cover thirty days.
-- column node_id: who has the seats
-- column sku_id: the product's SKU
-- column product: what is licensed
-- column billing_period: the period whose seats are counted
-- column seats: seats of a whole month
-- column seats_used: the most that were in use at a time in the thirty days
-- column unused_seats: seats less seats_used
-- column currency: currency of the cost, the caller's; null for what it sells itself, which costs it nothing
-- column monthly_cost: what the caller pays for the seats that are not used, rounded to the currency
-- column measured_until: the end of what is measured
with measured as (
  select
    node_id,
    resource_id as sku_id,
    quantity,
    valid_from,
    valid_to,
    max(valid_to) over (partition by node_id, resource_id) as measured_until
  from metrics
  where driver = 'seats_in_use' and resource_id is not null
), used as (
  select node_id, sku_id, measured_until, max(quantity) as seats_used
  from measured
  where valid_to > measured_until - interval '30 days'
  group by node_id, sku_id, measured_until
  having min(valid_from) <= measured_until - interval '30 days'
), bought as (
  select node_id, sku_id, service_name, billing_period, quantity, cost, cost_currency
  from charges
  where sku_id is not null
    and (origin = 'licence' or origin = 'usage' and charge_category = 'Purchase')
    and billing_period + interval '1 month' <= current_date
), newest as (
  select node_id, sku_id, max(billing_period) as billing_period
  from bought
  group by node_id, sku_id
), paid as (
  select
    b.node_id,
    b.sku_id,
    b.billing_period,
    b.cost_currency as currency,
    max(b.service_name) as product,
    sum(b.quantity) as seats,
    sum(b.cost) as cost
  from bought b
  inner join newest n on n.node_id = b.node_id and n.sku_id = b.sku_id and n.billing_period = b.billing_period
  group by b.node_id, b.sku_id, b.billing_period, b.cost_currency
), final as (
  select
    p.node_id,
    p.sku_id,
    p.product,
    p.billing_period,
    p.seats,
    u.seats_used,
    p.seats - u.seats_used as unused_seats,
    p.currency,
    round_money(p.cost * (p.seats - u.seats_used) / p.seats, p.currency) as monthly_cost,
    u.measured_until
  from paid p
  inner join used u on u.node_id = p.node_id and u.sku_id = p.sku_id
  where p.seats > u.seats_used
)
select final.* from final
inner join effective_thresholds t on t.node_id = final.node_id and t.rule = 'licence_waste'
where coalesce(final.monthly_cost, 0) >= t.min_impact
