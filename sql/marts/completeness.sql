-- object: public.completeness
-- grain: one row per provider
-- owner: marts
-- roles: admin, finance, sales_ops, engineering, executive, auditor, billing_job, portal
-- comment: Up to which day the caller's usage is complete: three days ago, or the newest charge if that is older. Forecasts, anomalies and budgets go by it.
-- column provider_name: the provider
-- column complete_until: the last day of which its usage is complete
-- column all_complete_until: the last day of which the usage of all providers is, but for those that were silent for a month
with newest as (
  select provider_name, least(max(charge_date), current_date - 3) as complete_until
  from charges_daily
  where charge_category = 'Usage'
  group by provider_name
), final as (
  select
    provider_name,
    complete_until,
    min(case when complete_until >= (select max(complete_until) from newest) - 30 then complete_until end) over () as all_complete_until
  from newest
)
select * from final
