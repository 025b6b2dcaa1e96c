-- object: public.days_off
-- grain: one row per node with a country and holiday of that country
-- owner: marts
-- roles: admin, finance, sales_ops, engineering, executive, auditor, billing_job, portal
-- comment: On which days the nodes that the caller sees do not work: ref.holidays of the country that ref.nodes says. Forecasts and anomalies know them.
-- column node_id: the node
-- column holiday_date: the day
-- column name: what it is called
with final as (
  select distinct n.node_id, cast(h.holiday_date as date) as holiday_date, h.name
  from ref.holidays h
  inner join ref.nodes n on n.country = h.country
)
select * from final
