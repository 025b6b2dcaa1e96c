-- object: public.completeness
-- grain: one row per provider
-- owner: marts
-- roles: admin, finance, sales_ops, engineering, executive, auditor, billing_job, portal
-- comment: Up to which day the caller's usage is complete: three days ago, or the newest charge if that is older. Forecasts, anomalies and budgets go by it.
-- column provider_name: the provider
-- column complete_until: the last day of which its usage is complete; of ratehouse, which are the sellers' own charges, as late as of any provider
-- column all_complete_until: the last day of which the usage of all providers is, but for those that were silent for a month and for ratehouse
with newest as (
  select provider_name, least(max(charge_date), current_date - 3) as complete_until
  from charges_daily
  where charge_category = 'Usage' and charge_class is distinct from 'Correction'
  group by provider_name
), known as (
  -- Sellers' own charges are booked on single days: what is not there is not late.
  select
    provider_name,
    case when provider_name = 'ratehouse' then max(complete_until) over () else complete_until end as complete_until,
    max(complete_until) over () as newest_until
  from newest
), final as (
  select
    provider_name,
    complete_until,
    coalesce(
      min(case when provider_name <> 'ratehouse' and complete_until >= newest_until - 30 then complete_until end) over (),
      newest_until
    ) as all_complete_until
  from known
)
select * from final
