-- object: public.finance
-- grain: one row per billing period, buyer that the caller sells to, and currency of the edge
-- owner: marts
-- roles: admin, finance, auditor, billing_job; nodes that sell
-- comment: What each of those that buy from the caller is billed and what of it is on paper: what is not invoiced yet, and what changed since.
-- column billing_period: first day of the billing period
-- column buyer_node_id: who buys
-- column currency: currency of the amounts: the edge's
-- column revenue: what the buyer is billed, unrounded
-- column cost: what the caller pays for the same charges, unrounded
-- column profit: revenue less cost
-- column profit_pct: profit in percent of revenue; null without revenue
-- column issued: what issued invoices and notes come to before tax, credits taken off
-- column drafts: the same of drafts
-- column tax: tax of issued documents
-- column adjustments_open: what is proposed to be charged more, or less, because charges changed after the invoice was issued
-- column is_invoiced: whether an invoice of the period was issued
with documents as (
  select
    cast(concat(billing_period, '-01') as date) as billing_period,
    buyer_node_id,
    currency,
    sum(case when status <> 'draft' then subtotal + credits else 0 end) as issued,
    sum(case when status = 'draft' then subtotal + credits else 0 end) as drafts,
    sum(case when status <> 'draft' then tax else 0 end) as tax,
    count(case when status <> 'draft' and document_type = 'invoice' then 1 end) > 0 as is_invoiced
  from invoices
  where seller_node_id = current_node()
  group by billing_period, buyer_node_id, currency
), open as (
  select billing_period, buyer_node_id, currency, sum(difference) as difference
  from proposed_adjustments
  where seller_node_id = current_node()
  group by billing_period, buyer_node_id, currency
), final as (
  select
    p.billing_period,
    p.buyer_node_id,
    p.currency,
    p.revenue,
    p.cost,
    p.profit,
    p.profit_pct,
    coalesce(d.issued, 0) as issued,
    coalesce(d.drafts, 0) as drafts,
    coalesce(d.tax, 0) as tax,
    coalesce(o.difference, 0) as adjustments_open,
    coalesce(d.is_invoiced, false) as is_invoiced
  from client_profit p
  left join documents d
    on d.billing_period = p.billing_period
    and d.buyer_node_id = p.buyer_node_id
    and d.currency = p.currency
  left join open o
    on o.billing_period = p.billing_period
    and o.buyer_node_id = p.buyer_node_id
    and o.currency = p.currency
)
select * from final
