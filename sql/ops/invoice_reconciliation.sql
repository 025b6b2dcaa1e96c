-- object: ops.invoice_reconciliation
-- grain: one row per invoice of a provider, and one per account, period and currency whose landed cost no invoice covers
-- owner: ops
-- roles: admin, finance, auditor, billing_job; the root only
-- comment: What providers invoiced (ops.provider_invoices) against the billed cost that was landed, from the first period on of which an account's invoices were delivered.
-- column invoice_issuer_name: who issued the invoice
-- column billing_account_id: the provider's billing account
-- column billing_period: first day of the billing period
-- column invoice_id: the provider's number of the invoice; null where landed cost names none
-- column currency: currency of the amounts
-- column expected: the sum of the invoice's lines, nothing for a voided one; null where there is no invoice
-- column actual: the billed cost of landed lines that are priced; null where there are none
-- column difference: actual less expected
-- column status: ok; rounding (all lines are written to the minor unit, and the difference is at most half a unit a line); open (not issued yet); not_landed (invoiced, and no landed line is of it); not_invoiced (landed, and no invoice covers it); differs
-- Landed lines are compared by invoice where any line of the account's period and currency names one, otherwise by account, period
-- and currency together. Usage of accounts whose provider delivers no invoices is not read.
with lines as (
  select
    invoice_issuer_name,
    billing_account_id,
    cast(billing_period || '-01' as date) as billing_period,
    invoice_id,
    billing_currency as currency,
    invoice_issue_status,
    case when invoice_issue_status = 'Voided' then cast(0 as decimal(38, 18)) else billed_cost end as amount,
    case
      when billing_currency in ('BHD', 'IQD', 'JOD', 'KWD', 'LYD', 'OMR', 'TND') then cast(0.001 as decimal(38, 18))
      when billing_currency in ('CLF', 'UYW') then cast(0.0001 as decimal(38, 18))
      when billing_currency in (
        'BIF', 'CLP', 'DJF', 'GNF', 'ISK', 'JPY', 'KMF', 'KRW', 'PYG', 'RWF', 'UGX', 'UYI', 'VND', 'VUV', 'XAF', 'XOF', 'XPF'
      ) then cast(1 as decimal(38, 18))
      else cast(0.01 as decimal(38, 18))
    end as minor_unit
  from ops.provider_invoices
), accounts as (
  select invoice_issuer_name, billing_account_id, min(billing_period) as first_period
  from lines
  group by invoice_issuer_name, billing_account_id
), slices as (
  select provider_name, billing_account_id, cast(billing_period || '-01' as date) as billing_period, delivery_id
  from ops.slices
  where role = 'priced'
), entries as (
  select
    invoice_issuer_name,
    billing_account_id,
    billing_period,
    invoice_id,
    currency,
    amount as expected,
    cast(null as decimal(38, 18)) as actual,
    -- what rounding the line to the minor unit can have added, twice; null where it was not rounded
    case when amount % minor_unit = cast(0 as decimal(38, 18)) then minor_unit end as rounding,
    case when invoice_issue_status = 'Open' then 1 else 0 end as is_open,
    0 as names_invoice
  from lines
  union all
  select
    accounts.invoice_issuer_name,
    accounts.billing_account_id,
    usage.billing_period,
    usage.invoice_id,
    usage.billing_currency as currency,
    cast(null as decimal(38, 18)) as expected,
    usage.billed_cost as actual,
    cast(0 as decimal(38, 18)) as rounding,
    0 as is_open,
    case when usage.invoice_id is null then 0 else 1 end as names_invoice
  from accounts
  inner join slices
    on slices.billing_account_id = accounts.billing_account_id
    and slices.billing_period >= accounts.first_period
  -- another view of the same cost (amortised beside actual) is another delivery
  inner join usage
    on usage.provider_name = slices.provider_name
    and usage.billing_account_id = slices.billing_account_id
    and usage.billing_period = slices.billing_period
    and usage.delivery_id = slices.delivery_id
    and coalesce(usage.invoice_issuer_name, usage.provider_name) = accounts.invoice_issuer_name
), invoices as (
  select
    invoice_issuer_name,
    billing_account_id,
    billing_period,
    invoice_id,
    currency,
    sum(expected) as expected,
    sum(actual) as actual,
    sum(rounding) as rounding,
    sum(case when rounding is null then 1 else 0 end) as exact_lines,
    max(is_open) as is_open,
    max(names_invoice) as names_invoice
  from entries
  group by invoice_issuer_name, billing_account_id, billing_period, invoice_id, currency
), named as (
  select
    *,
    max(names_invoice) over (partition by invoice_issuer_name, billing_account_id, billing_period, currency) as is_by_invoice
  from invoices
), compared as (
  select
    invoice_issuer_name,
    billing_account_id,
    billing_period,
    case when is_by_invoice = 1 then invoice_id end as invoice_id,
    currency,
    sum(expected) as expected,
    sum(actual) as actual,
    sum(rounding) as rounding,
    sum(exact_lines) as exact_lines,
    max(is_open) as is_open
  from named
  group by invoice_issuer_name, billing_account_id, billing_period, case when is_by_invoice = 1 then invoice_id end, currency
), final as (
  select
    invoice_issuer_name,
    billing_account_id,
    billing_period,
    invoice_id,
    currency,
    expected,
    actual,
    coalesce(actual, 0) - coalesce(expected, 0) as difference,
    case
      when coalesce(actual, 0) = coalesce(expected, 0) then 'ok'
      when is_open = 1 then 'open'
      when actual is null then 'not_landed'
      when expected is null then 'not_invoiced'
      when exact_lines = 0 and abs(actual - expected) + abs(actual - expected) <= rounding then 'rounding'
      else 'differs'
    end as status
  from compared
)
select * from final
