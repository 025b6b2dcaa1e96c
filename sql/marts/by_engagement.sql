-- object: public.by_engagement
-- grain: one row per seller, buyer, engagement and currency
-- owner: marts
-- roles: admin, finance, sales_ops, auditor
-- comment: What engagements came to, beside what was quoted for them: hours of ref.time_entries, lines of ref.quotes.
-- column seller_node_id: who worked and bills it
-- column node_id: for whom
-- column project: the engagement
-- column currency: currency of the amounts
-- column quoted_hours: hours offered; null where no quote says
-- column quoted_amount: what was offered; null where there is no quote
-- column hours: hours worked
-- column billable_hours: those of them that are billed
-- column amount: what these come to, unrounded
-- column difference: amount less what was quoted; null where there is no quote
with worked as (
  select
    seller_node_id,
    node_id,
    project,
    currency,
    sum(hours) as hours,
    coalesce(sum(case when billable then hours end), 0) as billable_hours,
    coalesce(sum(case when billable then cast(hours * rate as decimal(38, 18)) end), 0) as amount
  from ref.time_entries
  group by seller_node_id, node_id, project, currency
), quoted as (
  select seller_node_id, node_id, project, currency, sum(hours) as quoted_hours, sum(amount) as quoted_amount
  from ref.quotes
  group by seller_node_id, node_id, project, currency
), final as (
  select
    coalesce(worked.seller_node_id, quoted.seller_node_id) as seller_node_id,
    coalesce(worked.node_id, quoted.node_id) as node_id,
    coalesce(worked.project, quoted.project) as project,
    coalesce(worked.currency, quoted.currency) as currency,
    quoted.quoted_hours,
    quoted.quoted_amount,
    coalesce(worked.hours, 0) as hours,
    coalesce(worked.billable_hours, 0) as billable_hours,
    coalesce(worked.amount, 0) as amount,
    coalesce(worked.amount, 0) - quoted.quoted_amount as difference
  from worked
  full join quoted
    on quoted.seller_node_id = worked.seller_node_id
    and quoted.node_id = worked.node_id
    and quoted.project = worked.project
    and quoted.currency = worked.currency
)
select * from final
