-- object: ops.restatements
-- grain: one row per issued invoice whose charges changed since
-- owner: ops
-- roles: admin, finance, auditor, billing_job; the root only
-- comment: Issued invoices that no longer say what is charged: what proposed_adjustments comes to, and what becomes of it.
-- column billing_period: first day of the billing period
-- column seller_node_id: who issued the invoice
-- column buyer_node_id: who got it
-- column invoice_number: the invoice
-- column currency: currency of the amounts
-- column things: rows of proposed_adjustments
-- column billed: what those were billed, unrounded, by the invoice and what corrected it since
-- column charged: what they are charged now, unrounded
-- column difference: charged - billed
-- column method: what becomes of it once it is approved: note, true_up or wait (ref.adjustment_policies)
-- column submitted: what of it was submitted and waits for approval, unrounded; null if nothing was
with proposed as (
  select
    billing_period, seller_node_id, buyer_node_id, invoice_number, currency,
    count(*) as things,
    sum(billed) as billed,
    sum(charged) as charged,
    sum(difference) as difference
  from proposed_adjustments
  group by billing_period, seller_node_id, buyer_node_id, invoice_number, currency
), policies as (
  select seller_node_id, buyer_node_id, method from ref.adjustment_policies
), submitted as (
  select invoice_number, sum(amount) as amount
  from adjustments
  where kind = 'restatement' and status = 'submitted'
  group by invoice_number
), final as (
  select
    proposed.billing_period,
    proposed.seller_node_id,
    proposed.buyer_node_id,
    proposed.invoice_number,
    proposed.currency,
    proposed.things,
    proposed.billed,
    proposed.charged,
    proposed.difference,
    coalesce(of_buyer.method, of_all.method, 'note') as method,
    submitted.amount as submitted
  from proposed
  left join policies as of_buyer
    on of_buyer.seller_node_id = proposed.seller_node_id
    and of_buyer.buyer_node_id = proposed.buyer_node_id
  left join policies as of_all
    on of_all.seller_node_id = proposed.seller_node_id
    and of_all.buyer_node_id is null
  left join submitted on submitted.invoice_number = proposed.invoice_number
)
select * from final
