-- object: ops.reconciliation
-- grain: one row per conservation check, billing period, scope and currency
-- owner: ops
-- roles: admin, finance, auditor, billing_job; the root only
-- comment: The conservation laws as rows: expected and actual add up, or the difference has a name.
-- column check: landed, priced, amortised, rolled_up, passed_on, invoice_lines, invoiced or provider_invoice
-- column billing_period: first day of the billing period
-- column scope: the slice, node or invoice that is checked; of a provider's invoice its issuer, account and number
-- column currency: currency of the amounts; null where the scope has only one
-- column expected: the amount that should be
-- column actual: the amount that is
-- column difference: actual less expected
-- column status: ok; rounding (less than one minor unit of the currency on a document); draft_outdated (charges changed since the draft); to_correct (charges changed since issue by what proposed_adjustments comes to); adjusted (by what was credited, or is billed with a later period); stale (the slice is to be rated anew); broken; of a provider's invoice also open, not_landed, not_invoiced or differs (see ops.invoice_reconciliation)
-- law 1: what a delivery said of a slice is what usage holds; law 2: and what its charges cost the root; law 3 is checked by allocate(), which returns
-- parts that add up; law 4: what a node pays is what it sells on and what it keeps; law 5: lines add up to the invoice, invoices to the charges
-- amortised is law 2 of the effective cost where there are two views of one cost: of lines of commitments it is what the amortised view
-- says, of others what the actual view says; the other lines of the amortised view are for reference
with slices as (
  select
    provider_name, billing_account_id, cast(billing_period || '-01' as date) as billing_period, delivery_id, billed_cost, effective_cost,
    stale_since
  from ops.slices
  -- what sellers bill by themselves no provider bills
  where role = 'priced' and source <> 'ratehouse'
), views as (
  -- what commitments cost is all that the provider does not bill there
  select
    provider_name, billing_account_id, cast(billing_period || '-01' as date) as billing_period, effective_cost - billed_cost as amount
  from ops.slices
  where role = 'amortised'
), landed_usage as (
  -- another view of the same cost (amortised beside actual) is another delivery
  select billing_period, provider_name, billing_account_id, delivery_id, coalesce(sum(billed_cost), 0) as amount
  from usage
  group by billing_period, provider_name, billing_account_id, delivery_id
), monthly as (
  select
    billing_period, provider_name, billing_account_id,
    coalesce(sum(cost), 0) as amount,
    coalesce(sum(effective_cost), 0) as effective
  from charges_monthly
  where origin = 'usage'
  group by billing_period, provider_name, billing_account_id
), daily as (
  select billing_period, provider_name, billing_account_id, coalesce(sum(cost), 0) as amount
  from charges_daily
  where origin = 'usage'
  group by billing_period, provider_name, billing_account_id
), edges as (
  select * from ops.edges_monthly
), landed as (
  select
    'landed' as "check",
    slices.billing_period,
    slices.provider_name || ' ' || slices.billing_account_id as scope,
    cast(null as varchar) as currency,
    slices.billed_cost as expected,
    coalesce(landed_usage.amount, 0) as actual,
    'broken' as otherwise
  from slices
  left join landed_usage
    on landed_usage.billing_period = slices.billing_period
    and landed_usage.provider_name = slices.provider_name
    and landed_usage.billing_account_id = slices.billing_account_id
    and landed_usage.delivery_id = slices.delivery_id
), priced as (
  select
    'priced' as "check",
    slices.billing_period,
    slices.provider_name || ' ' || slices.billing_account_id as scope,
    cast(null as varchar) as currency,
    slices.billed_cost as expected,
    coalesce(monthly.amount, 0) as actual,
    'broken' as otherwise
  from slices
  left join monthly
    on monthly.billing_period = slices.billing_period
    and monthly.provider_name = slices.provider_name
    and monthly.billing_account_id = slices.billing_account_id
), amortised as (
  select
    'amortised' as "check",
    slices.billing_period,
    slices.provider_name || ' ' || slices.billing_account_id as scope,
    cast(null as varchar) as currency,
    slices.effective_cost + views.amount as expected,
    coalesce(monthly.effective, 0) as actual,
    case when slices.stale_since is null then 'broken' else 'stale' end as otherwise
  from slices
  inner join views
    on views.billing_period = slices.billing_period
    and views.provider_name = slices.provider_name
    and views.billing_account_id = slices.billing_account_id
  left join monthly
    on monthly.billing_period = slices.billing_period
    and monthly.provider_name = slices.provider_name
    and monthly.billing_account_id = slices.billing_account_id
), rolled_up as (
  select
    'rolled_up' as "check",
    coalesce(daily.billing_period, monthly.billing_period) as billing_period,
    coalesce(daily.provider_name, monthly.provider_name) || ' ' || coalesce(daily.billing_account_id, monthly.billing_account_id, '') as scope,
    cast(null as varchar) as currency,
    coalesce(daily.amount, 0) as expected,
    coalesce(monthly.amount, 0) as actual,
    'broken' as otherwise
  from daily
  full join monthly
    on monthly.billing_period = daily.billing_period
    and monthly.provider_name = daily.provider_name
    and monthly.billing_account_id = daily.billing_account_id
), entries as (
  -- what a node pays, and what of it it keeps itself
  select
    billing_period, payer_node_id as node_id, currency, amount as paid, case when is_kept then amount end as passed_on, false as is_sold
  from edges
  where outcome in ('billed', 'reported')
  union all
  -- and what it sells on
  select
    billing_period, seller_node_id as node_id, seller_currency as currency, cast(null as decimal(38, 18)) as paid, seller_cost as passed_on,
    true as is_sold
  from edges
  where seller_node_id is not null and seller_cost is not null
), passed_on as (
  select
    'passed_on' as "check",
    billing_period,
    node_id as scope,
    currency,
    coalesce(sum(paid), 0) as expected,
    coalesce(sum(passed_on), 0) as actual,
    'broken' as otherwise
  from entries
  group by billing_period, node_id, currency
  -- who keeps its sales to itself shows none of them, and there is nothing to compare
  having bool_or(is_sold) or node_id not in (select node_id from ref.nodes where not disclose_up)
), documents as (
  select
    invoice_id, number, seller_node_id, buyer_node_id, cast(billing_period || '-01' as date) as billing_period, currency, status, total
  from invoices
), line_totals as (
  select invoice_id, sum(amount) as amount
  from invoice_lines
  group by invoice_id
), document_lines as (
  select
    'invoice_lines' as "check",
    documents.billing_period,
    documents.number as scope,
    documents.currency,
    documents.total as expected,
    coalesce(line_totals.amount, 0) as actual,
    'broken' as otherwise
  from documents
  left join line_totals on line_totals.invoice_id = documents.invoice_id
), billed as (
  select billing_period, seller_node_id, payer_node_id, currency, sum(amount) as amount
  from edges
  where is_invoiced and outcome = 'billed'
  group by billing_period, seller_node_id, payer_node_id, currency
), edge_documents as (
  -- a period may have a mid-cycle document beside the regular one: an edge's documents count together
  select billing_period, seller_node_id, buyer_node_id, currency,
    sum(total) as amount,
    count(*) as documents,
    min(number) as number,
    max(case when status in ('draft', 'approved') then 0 else 1 end) as is_issued
  from documents
  group by billing_period, seller_node_id, buyer_node_id, currency
), named as (
  -- what documents differ from charges by, as far as somebody decided on it or can
  select billing_period, seller_node_id, buyer_node_id, currency,
    sum(credited) as credited,
    sum(trued_up) as trued_up,
    sum(proposed) as proposed
  from (
    select
      cast(billing_period || '-01' as date) as billing_period, seller_node_id, buyer_node_id, currency,
      case when kind = 'credit' then amount else 0 end as credited,
      case when method = 'true_up' then amount else 0 end as trued_up,
      cast(0 as decimal(38, 18)) as proposed
    from adjustments
    where status = 'settled'
    union all
    select
      billing_period, seller_node_id, buyer_node_id, currency,
      cast(0 as decimal(38, 18)) as credited,
      cast(0 as decimal(38, 18)) as trued_up,
      difference as proposed
    from proposed_adjustments
  ) as differences
  group by billing_period, seller_node_id, buyer_node_id, currency
), edge_totals as (
  select
    edge_documents.*,
    coalesce(billed.amount, 0) as charged,
    coalesce(named.credited, 0) as credited,
    coalesce(named.trued_up, 0) as trued_up,
    coalesce(named.proposed, 0) as proposed
  from edge_documents
  left join billed
    on billed.billing_period = edge_documents.billing_period
    and billed.seller_node_id = edge_documents.seller_node_id
    and billed.payer_node_id = edge_documents.buyer_node_id
    and billed.currency = edge_documents.currency
  left join named
    on named.billing_period = edge_documents.billing_period
    and named.seller_node_id = edge_documents.seller_node_id
    and named.buyer_node_id = edge_documents.buyer_node_id
    and named.currency = edge_documents.currency
), invoiced as (
  select
    'invoiced' as "check",
    billing_period,
    number as scope,
    currency,
    charged as expected,
    amount as actual,
    case
      -- one rounding of the total, by any mode, is less than one minor unit a document
      when abs(amount - charged - credited + trued_up + proposed) >= cast(documents * case
        when currency in ('BHD', 'IQD', 'JOD', 'KWD', 'LYD', 'OMR', 'TND') then 0.001
        when currency in ('CLF', 'UYW') then 0.0001
        when currency in (
          'BIF', 'CLP', 'DJF', 'GNF', 'ISK', 'JPY', 'KMF', 'KRW', 'PYG', 'RWF', 'UGX', 'UYI', 'VND', 'VUV', 'XAF', 'XOF', 'XPF'
        ) then 1
        else 0.01
      end as decimal(38, 18)) then case when is_issued = 1 then 'broken' else 'draft_outdated' end
      when proposed <> 0 then 'to_correct'
      when credited <> 0 or trued_up <> 0 then 'adjusted'
      else 'rounding'
    end as otherwise
  from edge_totals
), provider_invoices as (
  select
    'provider_invoice' as "check",
    billing_period,
    invoice_issuer_name || ' ' || billing_account_id || coalesce(' ' || invoice_id, '') as scope,
    currency,
    coalesce(expected, 0) as expected,
    coalesce(actual, 0) as actual,
    status as otherwise
  from ops.invoice_reconciliation
), checks as (
  select * from landed
  union all select * from priced
  union all select * from amortised
  union all select * from rolled_up
  union all select * from passed_on
  union all select * from document_lines
  union all select * from invoiced
  union all select * from provider_invoices
), final as (
  select
    "check",
    billing_period,
    scope,
    currency,
    expected,
    actual,
    actual - expected as difference,
    case when actual = expected then 'ok' else otherwise end as status
  from checks
)
select * from final
