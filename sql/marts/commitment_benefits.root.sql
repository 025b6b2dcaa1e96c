-- object: public.commitment_benefits
-- variant: root
-- grain: one row per billing period, commitment, currency, entry, policy, owner, user and beneficiary
-- owner: marts
-- roles: admin, finance, sales_ops, auditor; the root only
-- comment: The ledger of reservations and savings plans. Every unit that a commitment supplied has an owner, who is credited its amortised cost, and a user, who is debited it: the amounts of a billing period, commitment and currency add up to zero, and those of used and unused units to what was supplied. Policies of ref.commitment_policies decide who has the benefit and who bears what is unused; what they move between nodes are charges of origin adjustment.
-- column billing_period: first day of the billing period
-- column provider_name: the provider
-- column commitment_id: the provider's id of the reservation or savings plan
-- column currency: the provider's billing currency
-- column entry: purchased (what the provider billed for it), supplied (used and unused together), used, or unused
-- column policy: what decides about the entry: for used units who has the benefit (user, purchaser, seller), for unused ones who bears them (retain, purchaser, share), for the others what becomes of purchases (retain, pass)
-- column owner_node_id: who owns the commitment: the node that its policy names, else the one that owns the account of its last purchase or unused line up to the period, else the root
-- column user_node_id: who used the units, or bears what is unused
-- column beneficiary_node_id: who has the benefit of used units: the root where the user is not billed for them
-- column billed: what the provider billed, purchases and covered usage with its negation
-- column effective: amortised cost
-- column on_demand: what the same usage would have cost on demand
-- column benefit: on_demand less effective: negative for what was left unused
-- column amount: debit of the user (used, unused) or credit of the owner (supplied), at amortised cost; 0 for purchases
with lines as (
  select
    billing_period,
    provider_name,
    coalesce(commitment_discount_id, '') as commitment_id,
    charge_period_start,
    node_id,
    fate,
    outcome,
    cost_currency as currency,
    case
      when charge_category = 'Purchase' then 'purchased'
      when commitment_discount_status = 'Unused' then 'unused'
      else 'used'
    end as entry,
    split_part(commitment_policy, '/', 1) as benefit_policy,
    split_part(commitment_policy, '/', 2) as purchase_policy,
    split_part(commitment_policy, '/', 3) as unused_policy,
    commitment_owner_node_id as named_owner,
    coalesce(cost, 0) as billed,
    coalesce(effective_cost, 0) as effective,
    coalesce(list_cost, 0) as list
  from charges
  where commitment_policy is not null
), periods as (
  select distinct billing_period, provider_name, commitment_id from lines
), bought as (
  select distinct billing_period, provider_name, commitment_id, charge_period_start, node_id
  from lines
  where entry <> 'used' and fate = 'direct'
), buyers as (
  select
    periods.billing_period,
    periods.provider_name,
    periods.commitment_id,
    bought.node_id,
    row_number() over (
      partition by periods.billing_period, periods.provider_name, periods.commitment_id
      order by bought.billing_period desc, bought.charge_period_start desc, bought.node_id
    ) as from_last
  from periods
  inner join bought
    on bought.provider_name = periods.provider_name
    and bought.commitment_id = periods.commitment_id
    and bought.billing_period <= periods.billing_period
), owned as (
  select
    lines.billing_period,
    lines.provider_name,
    lines.commitment_id,
    lines.currency,
    lines.entry,
    lines.benefit_policy,
    lines.purchase_policy,
    lines.unused_policy,
    coalesce(lines.named_owner, buyers.node_id, current_node()) as owner_node_id,
    lines.node_id,
    lines.outcome = 'billed' as is_billed,
    sum(lines.billed) as billed,
    sum(lines.effective) as effective,
    sum(lines.list) as list
  from lines
  left join buyers
    on buyers.billing_period = lines.billing_period
    and buyers.provider_name = lines.provider_name
    and buyers.commitment_id = lines.commitment_id
    and buyers.from_last = 1
  group by
    lines.billing_period, lines.provider_name, lines.commitment_id, lines.currency, lines.entry, lines.benefit_policy,
    lines.purchase_policy, lines.unused_policy, coalesce(lines.named_owner, buyers.node_id, current_node()), lines.node_id,
    lines.outcome = 'billed'
), sides as (
  select 'own' as side
  union all
  select 'supplied' as side
), entries as (
  -- what was used or left unused is written twice: for the user, and for the owner who supplied it
  select
    billing_period,
    provider_name,
    commitment_id,
    currency,
    case when side = 'own' then entry else side end as entry,
    case
      when side = 'supplied' or entry = 'purchased' then purchase_policy
      when entry = 'used' then benefit_policy
      else unused_policy
    end as policy,
    owner_node_id,
    case
      when side = 'supplied' or entry = 'purchased' then null
      when entry = 'used' then node_id
      when unused_policy = 'purchaser' then owner_node_id
      else current_node()
    end as user_node_id,
    case
      when side = 'supplied' or entry <> 'used' then null
      when not is_billed or benefit_policy = 'seller' then current_node()
      when benefit_policy = 'purchaser' then owner_node_id
      else node_id
    end as beneficiary_node_id,
    case when side = 'own' then billed else 0 end as billed,
    effective,
    case when side = 'own' and entry = 'used' then list else 0 end as on_demand
  from owned
  cross join sides
  where side = 'own' and not (entry = 'unused' and unused_policy = 'share') or side = 'supplied' and entry <> 'purchased'
), by_node as (
  select
    billing_period,
    provider_name,
    commitment_id,
    currency,
    owner_node_id,
    case when entry = 'used' then node_id else current_node() end as node_id,
    sum(case when entry = 'used' and is_billed then effective else 0 end) as weight,
    sum(case when entry = 'unused' and unused_policy = 'share' then effective else 0 end) as unused,
    sum(case when entry = 'unused' and unused_policy = 'share' then billed else 0 end) as billed
  from owned
  group by
    billing_period, provider_name, commitment_id, currency, owner_node_id,
    case when entry = 'used' then node_id else current_node() end
), pooled as (
  select
    *,
    sum(unused) over (partition by billing_period, provider_name, commitment_id, currency, owner_node_id) as pool
  from by_node
), parts as (
  select
    *,
    case
      when node_id = current_node() then 0
      -- cut off after 18 digits, so that it depends on no other share; what that leaves stays with the root
      else coalesce(
        allocate(cast(pool as decimal(38, 18)), cast(greatest(weight, 0) as decimal(38, 18)), 'owner') over (
          partition by billing_period, provider_name, commitment_id, currency, owner_node_id
          order by node_id
        ),
        0
      )
    end as part
  from pooled
), shares as (
  select
    billing_period,
    provider_name,
    commitment_id,
    currency,
    owner_node_id,
    node_id,
    billed,
    case
      when node_id = current_node()
        then pool - sum(part) over (partition by billing_period, provider_name, commitment_id, currency, owner_node_id)
      else part
    end as effective
  from parts
), written as (
  select * from entries
  union all
  select
    billing_period,
    provider_name,
    commitment_id,
    currency,
    'unused' as entry,
    'share' as policy,
    owner_node_id,
    node_id as user_node_id,
    null as beneficiary_node_id,
    billed,
    effective,
    0 as on_demand
  from shares
  where effective <> 0 or billed <> 0
), totals as (
  select
    billing_period,
    provider_name,
    commitment_id,
    currency,
    entry,
    policy,
    owner_node_id,
    user_node_id,
    beneficiary_node_id,
    sum(billed) as billed,
    sum(effective) as effective,
    sum(on_demand) as on_demand
  from written
  group by
    billing_period, provider_name, commitment_id, currency, entry, policy, owner_node_id, user_node_id, beneficiary_node_id
), final as (
  select
    billing_period,
    provider_name,
    nullif(commitment_id, '') as commitment_id,
    currency,
    entry,
    policy,
    owner_node_id,
    user_node_id,
    beneficiary_node_id,
    cast(billed as decimal(38, 18)) as billed,
    cast(effective as decimal(38, 18)) as effective,
    cast(on_demand as decimal(38, 18)) as on_demand,
    cast(case when entry in ('used', 'unused') then on_demand - effective else 0 end as decimal(38, 18)) as benefit,
    cast(
      case entry when 'purchased' then 0 when 'supplied' then -effective else effective end as decimal(38, 18)
    ) as amount
  from totals
)
select * from final
