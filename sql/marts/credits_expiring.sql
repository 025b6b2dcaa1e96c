-- object: public.credits_expiring
-- grain: one row per credit and edge on which something of it is left that can still be drawn and will be lost
-- owner: marts
-- roles: admin, finance, accounting, auditor, billing_job, portal
-- comment: What is left of credits that expire, on the edges whose postings the caller sees in credits_ledger.
-- column expires_at: when what is left is lost
-- column days_left: days from today until then
-- column credit_id: the credit
-- column kind: promotional, service_level or incentive
-- column source: the programme or contract that it comes from
-- column seller_node_id: who bills less for it
-- column buyer_node_id: whose charges it is drawn on
-- column currency: currency of the amounts
-- column granted: what arrived on the edge
-- column applied: what was drawn of it
-- column balance: what is left
with ledger as (
  select * from credits_ledger
  where account in ('balance', 'applied') and expires_at > now()
), final as (
  select
    expires_at,
    cast(expires_at as date) - current_date as days_left,
    credit_id,
    kind,
    source,
    seller_node_id,
    buyer_node_id,
    currency,
    coalesce(sum(case when entry = 'grant' then amount end), 0) as granted,
    coalesce(sum(case when account = 'applied' then amount end), 0) as applied,
    coalesce(sum(case when account = 'balance' then amount end), 0) as balance
  from ledger
  group by expires_at, credit_id, kind, source, seller_node_id, buyer_node_id, currency
)
select * from final
where balance <> 0
