-- object: public.unused_commitments
-- variant: root
-- grain: one row per billing period, commitment, node and currency
-- owner: marts
-- roles: admin, finance, auditor; the root only
-- comment: What was left unused of reservations and savings plans, of the ledger in commitment_benefits.
-- column billing_period: first day of the billing period
-- column node_id: who bears it
-- column provider_name: the provider
-- column commitment_id: the provider's id of the reservation or savings plan
-- column currency: the provider's billing currency
-- column cost: what it amortises to, unrounded
with final as (
  select
    billing_period,
    user_node_id as node_id,
    provider_name,
    commitment_id,
    currency,
    sum(effective) as cost
  from commitment_benefits
  where entry = 'unused'
  group by billing_period, user_node_id, provider_name, commitment_id, currency
)
select * from final
