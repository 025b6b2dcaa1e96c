-- object: ops.close_blockers
-- grain: one row per billing period and reason why it cannot be closed
-- owner: ops
-- roles: admin, finance, auditor, billing_job; the root only
-- comment: What stands between a billing period and its invoices; a period can be closed when no row names it and none is without a period.
-- column billing_period: first day of the billing period that is blocked; null: every period is, as the one that the rows belong to cannot be read
-- column blocker: missing_slice, missing_view, not_rated, stale_slice, rejected_rows, unrated, missing_fx, rollup_mismatch, unreconciled, open_period, invoice_difference, missing_invoice or credit_passed_and_granted
-- column scope: what is affected: a slice, an edge, a node, a credit, or a provider's period or invoice
-- column currency: currency of expected and actual
-- column expected: the amount that should be, where the blocker is a difference or an unpriced cost
-- column actual: the amount that is
-- column usage_rows: rows affected, where known
-- column detail: what is wrong
-- column remedy: what to do
with slices as (
  select
    slice_id, source, provider_name, billing_account_id, cast(billing_period || '-01' as date) as billing_period, delivery_id, rows,
    billed_cost, rated_snapshot, stale_since, stale_reason
  from ops.slices
  where role = 'priced'
), amortised as (
  select provider_name, billing_account_id, cast(billing_period || '-01' as date) as billing_period, rows
  from ops.slices
  where role = 'amortised'
), periods as (
  select distinct
    billing_period,
    cast(billing_period as timestamp with time zone) as period_start,
    cast(billing_period + interval '1 month' as timestamp with time zone) as period_end
  from slices
), edges as (
  select * from ops.edges_monthly
), provider_totals as (
  select billing_period, provider_name, billing_account_id, sum(amount) as cost
  from edges
  where depth = 0 and origin = 'usage'
  group by billing_period, provider_name, billing_account_id
), expected_accounts as (
  select distinct periods.billing_period, accounts.provider_name, accounts.billing_account_id
  from ref.accounts as accounts
  inner join periods
    on accounts.valid_from < periods.period_end
    and (accounts.valid_to is null or accounts.valid_to > periods.period_start)
), missing_slices as (
  select
    expected_accounts.billing_period,
    'missing_slice' as blocker,
    expected_accounts.provider_name || ' ' || expected_accounts.billing_account_id as scope,
    cast(null as varchar) as currency,
    cast(null as decimal(38, 18)) as expected,
    cast(null as decimal(38, 18)) as actual,
    cast(null as bigint) as usage_rows,
    'no delivery covers this account in the period' as detail,
    'land its file, or end its assignment in ref.accounts' as remedy
  from expected_accounts
  left join slices
    on slices.billing_period = expected_accounts.billing_period
    and slices.provider_name = expected_accounts.provider_name
    and slices.billing_account_id = expected_accounts.billing_account_id
  where slices.slice_id is null
), uncosted as (
  -- usage that a commitment covered, in a view that does not say what it costs; only Azure has two views of one cost, so no other
  -- provider's usage is read
  select billing_period, provider_name, billing_account_id, delivery_id, count(*) as usage_rows
  from usage
  where provider_name = 'Microsoft' and charge_category = 'Usage' and pricing_category = 'Committed' and effective_cost = 0
  group by billing_period, provider_name, billing_account_id, delivery_id
), missing_views as (
  select
    slices.billing_period,
    'missing_view' as blocker,
    slices.provider_name || ' ' || slices.billing_account_id as scope,
    cast(null as varchar) as currency,
    cast(null as decimal(38, 18)) as expected,
    cast(null as decimal(38, 18)) as actual,
    uncosted.usage_rows,
    'commitments covered usage, and only the amortised view says what that costs' as detail,
    'land the amortised view of this account and period too, then call refresh()' as remedy
  from slices
  inner join uncosted
    on uncosted.billing_period = slices.billing_period
    and uncosted.provider_name = slices.provider_name
    and uncosted.billing_account_id = slices.billing_account_id
    and uncosted.delivery_id = slices.delivery_id
  left join amortised
    on amortised.billing_period = slices.billing_period
    and amortised.provider_name = slices.provider_name
    and amortised.billing_account_id = slices.billing_account_id
  where slices.source like '%actual' and amortised.rows is null
  union all
  select
    amortised.billing_period,
    'missing_view' as blocker,
    amortised.provider_name || ' ' || amortised.billing_account_id as scope,
    cast(null as varchar) as currency,
    cast(null as decimal(38, 18)) as expected,
    cast(null as decimal(38, 18)) as actual,
    amortised.rows as usage_rows,
    'only the amortised view is here: nothing is priced without the actual view, which has what the provider bills' as detail,
    'land the actual view of this account and period too' as remedy
  from amortised
  left join slices
    on slices.billing_period = amortised.billing_period
    and slices.provider_name = amortised.provider_name
    and slices.billing_account_id = amortised.billing_account_id
  where slices.slice_id is null
), stale_slices as (
  select
    billing_period,
    case when rated_snapshot is null then 'not_rated' else 'stale_slice' end as blocker,
    provider_name || ' ' || billing_account_id as scope,
    cast(null as varchar) as currency,
    cast(null as decimal(38, 18)) as expected,
    cast(null as decimal(38, 18)) as actual,
    cast(null as bigint) as usage_rows,
    coalesce(stale_reason, 'its usage was never priced') as detail,
    'call refresh()' as remedy
  from slices
  where stale_since is not null or rated_snapshot is null
), rejected as (
  -- A row that says its billing period blocks that one, whatever else of its delivery was accepted; a row that does not may
  -- belong to any period and blocks them all, until a corrected delivery settles it (see ops.rejected_rows.state).
  select
    cast(billing_period || '-01' as date) as billing_period,
    'rejected_rows' as blocker,
    coalesce(provider_name || ' ' || billing_account_id, name) as scope,
    cast(null as varchar) as currency,
    cast(null as decimal(38, 18)) as expected,
    cast(null as decimal(38, 18)) as actual,
    count(*) as usage_rows,
    'delivery ' || cast(delivery_id as varchar) || ' (' || name || ') has rows in quarantine'
    || case when billing_period is null then ' whose billing period cannot be read' else '' end || ': ' || min(reason) as detail,
    'see ops.rejected_rows; land the corrected file under the same name, without rows to withdraw it'
    || case when billing_period is null or provider_name is null or billing_account_id is null then ''
      else ', or a newer delivery of this account and period' end as remedy
  from ops.rejected_rows
  where state = 'open' and role in ('priced', 'amortised', 'statement')
  group by delivery_id, name, billing_period, provider_name, billing_account_id
), unrated_edges as (
  select
    billing_period,
    seller_node_id,
    payer_node_id,
    service_name,
    seller_currency,
    coalesce(sum(seller_cost), 0) as seller_cost,
    cast(sum(usage_rows) as bigint) as usage_rows
  from edges
  where outcome = 'unrated'
  group by billing_period, seller_node_id, payer_node_id, service_name, seller_currency
), buyers as (
  select node_id, max(currency) as currency, max(fx_policy) as fx_policy
  from ref.nodes
  group by node_id
), rated_pairs as (
  select distinct source, base_currency, quote_currency from ref.fx_rates
  union
  select distinct source, quote_currency as base_currency, base_currency as quote_currency from ref.fx_rates
), unrated as (
  select
    unrated_edges.billing_period,
    case
      when buyers.currency <> unrated_edges.seller_currency and rated_pairs.source is null then 'missing_fx'
      else 'unrated'
    end as blocker,
    unrated_edges.seller_node_id || ' to ' || unrated_edges.payer_node_id || ': ' || coalesce(unrated_edges.service_name, 'no service') as scope,
    unrated_edges.seller_currency as currency,
    unrated_edges.seller_cost as expected,
    cast(null as decimal(38, 18)) as actual,
    unrated_edges.usage_rows,
    case
      when buyers.currency <> unrated_edges.seller_currency and rated_pairs.source is null
        then 'no rate from ' || unrated_edges.seller_currency || ' to ' || buyers.currency || ' in source ' || buyers.fx_policy
      else 'no rule prices these charges'
    end as detail,
    case
      when buyers.currency <> unrated_edges.seller_currency and rated_pairs.source is null
        then 'insert the rate into ref.fx_rates, then call refresh()'
      else 'add a rule to the seller''s card and have it approved, then call refresh()'
    end as remedy
  from unrated_edges
  left join buyers on buyers.node_id = unrated_edges.payer_node_id
  left join rated_pairs
    on rated_pairs.source = buyers.fx_policy
    and rated_pairs.base_currency = unrated_edges.seller_currency
    and rated_pairs.quote_currency = buyers.currency
), entries as (
  -- what a node pays, and what of it it keeps itself
  select
    billing_period, payer_node_id as node_id, currency, coalesce(amount, 0) as paid, case when is_kept then amount end as passed_on,
    false as is_sold
  from edges
  where outcome in ('billed', 'reported')
  union all
  -- and what it sells on
  select
    billing_period, seller_node_id as node_id, seller_currency as currency, cast(null as decimal(38, 18)) as paid, seller_cost as passed_on,
    true as is_sold
  from edges
  where seller_node_id is not null and seller_cost is not null
), balances as (
  select billing_period, node_id, currency, sum(paid) as paid, coalesce(sum(passed_on), 0) as passed_on
  from entries
  group by billing_period, node_id, currency
  -- who keeps its sales to itself shows none of them, and there is nothing to compare
  having bool_or(is_sold) or node_id not in (select node_id from ref.nodes where not disclose_up)
), rollup_mismatches as (
  select
    billing_period,
    'rollup_mismatch' as blocker,
    node_id as scope,
    currency,
    paid as expected,
    passed_on as actual,
    cast(null as bigint) as usage_rows,
    'what the node pays is not the sum of what it sells on and what it keeps' as detail,
    'call refresh(); if it stays, run ratehouse verify' as remedy
  from balances
  -- null where the node pays nothing
  where paid <> passed_on
), unreconciled as (
  select
    slices.billing_period,
    'unreconciled' as blocker,
    slices.provider_name || ' ' || slices.billing_account_id as scope,
    cast(null as varchar) as currency,
    slices.billed_cost as expected,
    coalesce(provider_totals.cost, 0) as actual,
    slices.rows as usage_rows,
    'the charges do not add up to what the provider billed' as detail,
    'call refresh(); if it stays, land the delivery again' as remedy
  from slices
  left join provider_totals
    on provider_totals.billing_period = slices.billing_period
    and provider_totals.provider_name = slices.provider_name
    and provider_totals.billing_account_id = slices.billing_account_id
  where slices.billed_cost <> coalesce(provider_totals.cost, 0)
), open_periods as (
  -- only a provider that delivers its billing periods says that one is open
  select
    cast(billing_period || '-01' as date) as billing_period,
    'open_period' as blocker,
    invoice_issuer_name as scope,
    cast(null as varchar) as currency,
    cast(null as decimal(38, 18)) as expected,
    cast(null as decimal(38, 18)) as actual,
    cast(null as bigint) as usage_rows,
    'the provider has not closed this billing period' as detail,
    'wait for the provider, then land its newer billing periods and its last delivery of the period' as remedy
  from ops.provider_billing_periods
  where billing_period_status = 'Open'
), invoice_differences as (
  select
    billing_period,
    case when status = 'not_invoiced' then 'missing_invoice' else 'invoice_difference' end as blocker,
    invoice_issuer_name || ' ' || billing_account_id || coalesce(' ' || invoice_id, '') as scope,
    currency,
    expected,
    actual,
    cast(null as bigint) as usage_rows,
    case status
      when 'not_invoiced' then 'no invoice of the provider covers this landed cost'
      when 'not_landed' then 'no landed line is of this invoice of the provider'
      else 'the landed cost is not what the provider invoiced'
    end as detail,
    'land the corrected usage or the corrected invoice details; see ops.invoice_reconciliation' as remedy
  from ops.invoice_reconciliation
  where status in ('differs', 'not_landed', 'not_invoiced')
), granted_charges as (
  select credit_id, charge_id, currency, amount
  from ref.credits
  where status = 'active' and charge_id is not null
), granted_twice as (
  -- a provider's credit is either billed through or granted on
  select
    charges.billing_period,
    'credit_passed_and_granted' as blocker,
    granted_charges.credit_id as scope,
    granted_charges.currency,
    cast(0 as decimal(38, 18)) as expected,
    charges.cost as actual,
    cast(null as bigint) as usage_rows,
    'the provider''s credit is billed through and was granted as well' as detail,
    'retain it by ref.charge_policies, then call refresh()' as remedy
  from granted_charges
  inner join charges on charges.charge_id = granted_charges.charge_id
  where charges.origin = 'usage' and charges.charge_category = 'Credit' and charges.outcome = 'billed' and charges.node_id <> current_node()
), final as (
  select * from missing_slices
  union all select * from missing_views
  union all select * from stale_slices
  union all select * from rejected
  union all select * from unrated
  union all select * from rollup_mismatches
  union all select * from unreconciled
  union all select * from open_periods
  union all select * from invoice_differences
  union all select * from granted_twice
)
select * from final
