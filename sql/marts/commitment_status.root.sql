-- object: public.commitment_status
-- variant: root
-- grain: one row per commitment of a contract with a provider
-- owner: marts
-- roles: admin, finance, auditor, billing_job; the root only
-- comment: What is committed to providers (ops.contract_commitments) beside what cost and usage applies to it: how far each commitment is fulfilled, what is left, whether it is on pace and when it ends. Lines name commitments in contract_applied; those without it count for the one in commitment_discount_id. A commitment that ended short is shown and does not hold a close.
-- column provider_name: whose services it is for
-- column commitment_id: the provider's id of the commitment
-- column contract_id: the contract that it is part of
-- column description: what the provider calls it
-- column category: Spend or Usage: whether cost or quantity fulfils it
-- column commitment_type: the provider's word for its kind
-- column lifecycle_status: what the provider says of it: Proposed, Pending, Active, Exhausted, Expired, Canceled or Superseded
-- column fulfillment_interval: over what interval the provider measures it; amounts here are of its whole period
-- column period_start: from this instant it holds (inclusive), UTC
-- column period_end: until this instant it holds (exclusive), UTC
-- column unit: currency of what is committed, or its unit
-- column committed: what is committed for the whole period
-- column applied: what charges of the period have fulfilled of it, purchases of the commitment itself and what it left unused not counted
-- column applied_pct: applied as a part of what is committed, in percent
-- column remaining: committed less applied; negative: more was used than committed
-- column unused: what cost and usage says was left unused and is lost
-- column expected: what would be applied by now if each day of the period fulfilled as much, rounded to the currency or to 6 digits
-- column expected_pct: expected as a part of what is committed, in percent
-- column status: fulfilled, ended_short, not_started, on_track (as much is applied as is expected) or behind; null: it binds to nothing (Proposed, Canceled, Superseded), or no usage has landed
-- column days_left: days up to the end of the period after complete_until
-- column complete_until: the last day of which the provider's usage is complete
-- column uncounted: lines that name it with an amount in another currency or unit, or with none: they are not in applied
with commitments as (
  select
    *,
    case category when 'Spend' then contract_commitment_cost else contract_commitment_quantity end as committed,
    case category when 'Spend' then billing_currency else contract_commitment_unit end as unit
  from (
    select
      *,
      coalesce(
        contract_commitment_category, case when contract_commitment_cost is null then 'Usage' else 'Spend' end
      ) as category
    from ops.contract_commitments
  )
), lines as (
  -- Slices for reference say the same cost a second time.
  select * from usage
  where delivery_id in (select delivery_id from ops.slices where role <> 'reference')
    and (contract_applied is not null or commitment_discount_id is not null)
), elements as (
  -- Each element names its commitment once, as ...Id or, in the text of FOCUS 1.3, as ...ID: so many elements are there at most.
  select
    *,
    unnest(generate_series(
      1, (length(lower(contract_applied)) - length(replace(lower(contract_applied), '"contractcommitmentid"', ''))) / 22
    )) as number
  from lines
  where contract_applied is not null
), named as (
  select *, contract_applied -> 'Elements' -> (cast(number as int) - 1) as element from elements
), told as (
  select
    provider_name,
    invoice_issuer_name,
    charge_category,
    charge_period_start,
    commitment_discount_id,
    commitment_discount_status,
    resource_id,
    billing_currency,
    coalesce(element ->> 'ContractCommitmentId', element ->> 'ContractCommitmentID') as commitment_id,
    coalesce(element ->> 'ContractId', element ->> 'ContractID') as contract_id,
    element ->> 'ContractCommitmentAppliedCost' as applied_cost,
    element ->> 'ContractCommitmentAppliedQuantity' as applied_quantity,
    element ->> 'ContractCommitmentAppliedUnit' as applied_unit
  from named
), applications as (
  select
    provider_name,
    invoice_issuer_name,
    charge_period_start,
    commitment_discount_status,
    billing_currency,
    commitment_id,
    contract_id,
    -- What is no number is null, and counted as uncounted.
    case when applied_cost ~ '^-?[0-9]{1,20}([.][0-9]+)?([eE][-+]?[0-9]{1,2})?$' then cast(applied_cost as numeric) end as cost,
    case when applied_quantity ~ '^-?[0-9]{1,20}([.][0-9]+)?([eE][-+]?[0-9]{1,2})?$' then cast(applied_quantity as numeric) end as quantity,
    applied_unit as quantity_unit
  from told
  -- The purchase of a commitment states its value and fulfils none of it; purchases of other things may.
  where not (
    charge_category = 'Purchase'
    and (
      coalesce(resource_id in (commitment_id, contract_id), false)
      or coalesce(commitment_discount_id in (commitment_id, contract_id), false)
    )
  )
  union all
  select
    provider_name,
    invoice_issuer_name,
    charge_period_start,
    commitment_discount_status,
    billing_currency,
    commitment_discount_id as commitment_id,
    null as contract_id,
    effective_cost as cost,
    commitment_discount_quantity as quantity,
    commitment_discount_unit as quantity_unit
  from lines
  where contract_applied is null and charge_category = 'Usage'
), matched as (
  select
    c.provider_name,
    c.commitment_id,
    a.commitment_discount_status is not distinct from 'Unused' as is_unused,
    case
      when c.category = 'Spend' then case when a.billing_currency = c.unit then a.cost end
      when lower(coalesce(a.quantity_unit, '')) = lower(coalesce(c.unit, '')) then a.quantity
    end as amount
  from (
    select
      service_provider_name as provider_name,
      invoice_issuer_name,
      contract_commitment_id as commitment_id,
      contract_id,
      contract_commitment_period_start,
      contract_commitment_period_end,
      category,
      unit
    from commitments
  ) c
  inner join applications a
    on a.commitment_id = c.commitment_id
    and (a.contract_id is null or a.contract_id = c.contract_id)
    -- Ids are a provider's own. A marketplace's services fulfil commitments to whoever invoices them.
    and (a.provider_name = c.provider_name or a.invoice_issuer_name = c.invoice_issuer_name)
    and a.charge_period_start >= c.contract_commitment_period_start
    and a.charge_period_start < c.contract_commitment_period_end
), sums as (
  select
    provider_name,
    commitment_id,
    sum(case when not is_unused then amount end) as applied,
    sum(case when is_unused then amount end) as unused,
    sum(case when amount is null then 1 else 0 end) as uncounted
  from matched
  group by provider_name, commitment_id
), dated as (
  select
    c.*,
    coalesce(s.applied, 0) as applied,
    coalesce(s.unused, 0) as unused,
    coalesce(s.uncounted, 0) as uncounted,
    coalesce(own.complete_until, everyone.complete_until) as complete_until
  from commitments c
  left join sums s on s.provider_name = c.service_provider_name and s.commitment_id = c.contract_commitment_id
  left join completeness own on own.provider_name = c.service_provider_name
  left join (select min(all_complete_until) as complete_until from completeness) everyone on true
), elapsed as (
  select
    *,
    cast(extract(epoch from contract_commitment_period_end) as bigint)
      - cast(extract(epoch from contract_commitment_period_start) as bigint) as seconds,
    least(
      cast(extract(epoch from cast(complete_until + 1 as timestamptz)) as bigint),
      cast(extract(epoch from contract_commitment_period_end) as bigint)
    ) - cast(extract(epoch from contract_commitment_period_start) as bigint) as seconds_elapsed,
    cast(complete_until + 1 as timestamptz) >= contract_commitment_period_end as is_over
  from dated
), paced as (
  select
    *,
    case when complete_until is not null then committed * greatest(seconds_elapsed, 0) / nullif(seconds, 0) end as expected
  from elapsed
), final as (
  select
    service_provider_name as provider_name,
    contract_commitment_id as commitment_id,
    contract_id,
    contract_commitment_description as description,
    category,
    contract_commitment_type as commitment_type,
    contract_commitment_lifecycle_status as lifecycle_status,
    contract_commitment_fulfillment_interval as fulfillment_interval,
    contract_commitment_period_start as period_start,
    contract_commitment_period_end as period_end,
    unit,
    committed,
    cast(applied as decimal(38, 18)) as applied,
    round(100 * applied / nullif(committed, 0), 2) as applied_pct,
    cast(committed - applied as decimal(38, 18)) as remaining,
    cast(unused as decimal(38, 18)) as unused,
    case category when 'Spend' then round_money(expected, unit) else round(expected, 6) end as expected,
    round(100 * expected / nullif(committed, 0), 2) as expected_pct,
    case
      when contract_commitment_lifecycle_status in ('Proposed', 'Canceled', 'Superseded') then null
      when applied >= committed then 'fulfilled'
      when is_over or contract_commitment_lifecycle_status = 'Expired' then 'ended_short'
      when seconds_elapsed <= 0 then 'not_started'
      when applied >= expected then 'on_track'
      when applied < expected then 'behind'
    end as status,
    case
      when complete_until is not null
        then greatest(cast(contract_commitment_period_end - interval '1 microsecond' as date) - complete_until, 0)
    end as days_left,
    complete_until,
    uncounted
  from paced
)
select * from final
