-- object: public.credits_received_vs_passed
-- grain: one row per node that passes credits on, way, kind and currency
-- owner: marts
-- roles: admin, finance, auditor, billing_job; nodes that sell
-- comment: What nodes receive in credits, what they keep of it and what they pass on: of credits that were granted, and of credit lines of providers.
-- column node_id: who receives and passes on: the caller, and below it every node whose sales it sees
-- column way: grant: by ref.credits; charge: as lines of providers, which ref.charge_policies pass on as negative charges (the caller's own only)
-- column kind: promotional, service_level or incentive; null for lines
-- column currency: currency of the amounts; of lines what the node pays in
-- column received: what arrived at the node; a line that opened a credit is received as a charge and as a grant
-- column kept: what stayed there
-- column passed: what went on; of lines at what they are worth to the node
-- column applied: what was drawn of that on the buyers' charges
-- column expired: what was lost of it
-- column open: what is left of it
with ledger as (
  -- what the caller's own purchases are lowered by is its seller's to pass on
  select * from credits_ledger
  where buyer_node_id is null or buyer_node_id <> current_node()
), grants as (
  select
    seller_node_id as node_id,
    'grant' as way,
    kind,
    currency,
    -coalesce(sum(case when account = 'received' then amount end), 0) as received,
    coalesce(sum(case when account = 'retained' then amount end), 0) as kept,
    coalesce(sum(case when entry = 'grant' and account = 'balance' then amount end), 0) as passed,
    coalesce(sum(case when account = 'applied' then amount end), 0) as applied,
    coalesce(sum(case when account = 'breakage' then amount end), 0) as expired,
    coalesce(sum(case when account = 'balance' then amount end), 0) as open
  from ledger
  group by seller_node_id, kind, currency
), lines as (
  select depth, currency, amount, seller_currency, seller_cost
  from tiers_monthly
  where origin = 'usage' and charge_category = 'Credit' and outcome = 'billed' and depth <= 1
), sums as (
  select currency, amount as received, cast(0 as decimal(38, 18)) as passed
  from lines
  where depth = 0
  union all
  select seller_currency as currency, cast(0 as decimal(38, 18)) as received, seller_cost as passed
  from lines
  where depth = 1
), charges as (
  select
    current_node() as node_id,
    'charge' as way,
    cast(null as varchar) as kind,
    currency,
    -coalesce(sum(received), 0) as received,
    coalesce(sum(passed), 0) - coalesce(sum(received), 0) as kept,
    -coalesce(sum(passed), 0) as passed,
    -coalesce(sum(passed), 0) as applied,
    cast(0 as decimal(38, 18)) as expired,
    cast(0 as decimal(38, 18)) as open
  from sums
  group by currency
), final as (
  select * from grants
  union all select * from charges
)
select * from final
