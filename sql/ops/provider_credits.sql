-- object: ops.provider_credits
-- grain: one row per credit line of a provider, and per credit of ref.credits whose line is not there any more
-- owner: ops
-- roles: admin, finance, auditor, billing_job; the root only
-- comment: What providers give in credits and what became of each: billed through, kept, or granted on by a credit that names it.
-- column charge_id: the charge; what charge_id of ref.credits names
-- column billing_period: first day of the provider's billing period
-- column provider_name: the provider
-- column billing_account_id: the provider's billing account
-- column sub_account_id: the provider's sub account
-- column node_id: the node whose account it was given to
-- column service_name: the provider's service
-- column description: what the provider calls it
-- column kind: promotional, service_level or incentive: the first that a description_pattern of the root in ref.credit_policies says; null: none does
-- column amount: what the provider gave: above zero
-- column currency: currency of the amounts
-- column credit_id: the active credit that grants it on
-- column granted: the amount of that
-- column status: retained; passed: billed through as a negative charge; granted; both: passed and granted, which blocks the close; exceeded: the provider has come to give less than was granted; gone: the line was withdrawn or replaced after it was granted
with lines as (
  select
    charge_id, billing_period, cast(charge_date as timestamp with time zone) as given_at, provider_name, billing_account_id, sub_account_id, node_id,
    service_name, description, -cost as amount, cost_currency as currency, outcome = 'billed' and node_id <> current_node() as is_passed
  from charges
  where origin = 'usage' and charge_category = 'Credit'
), patterns as (
  select kind, lower(description_pattern) as pattern, valid_from, valid_to
  from ref.credit_policies
  where node_id = current_node() and description_pattern is not null
), kinds as (
  select lines.charge_id, min(patterns.kind) as kind
  from lines
  inner join patterns
    on (lower(lines.description) like patterns.pattern or lower(lines.service_name) like patterns.pattern)
    and patterns.valid_from <= lines.given_at
    and (patterns.valid_to is null or lines.given_at < patterns.valid_to)
  group by lines.charge_id
), grants as (
  select charge_id, credit_id, currency, amount as granted
  from ref.credits
  where status = 'active' and charge_id is not null
), final as (
  select
    coalesce(lines.charge_id, grants.charge_id) as charge_id,
    lines.billing_period,
    lines.provider_name,
    lines.billing_account_id,
    lines.sub_account_id,
    lines.node_id,
    lines.service_name,
    lines.description,
    kinds.kind,
    lines.amount,
    coalesce(lines.currency, grants.currency) as currency,
    grants.credit_id,
    grants.granted,
    case
      when lines.charge_id is null then 'gone'
      when lines.is_passed and grants.credit_id is not null then 'both'
      when lines.is_passed then 'passed'
      when grants.credit_id is null then 'retained'
      when grants.granted > lines.amount then 'exceeded'
      else 'granted'
    end as status
  from lines
  left join kinds on kinds.charge_id = lines.charge_id
  full join grants on grants.charge_id = lines.charge_id
)
select * from final
