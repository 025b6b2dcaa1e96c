-- edges_monthly: charges by billing period and edge of the chain, in long form; what the close adds up.
--
-- grain: billing period, origin, account, service, category, class, fate; position of the payer in the path (0: the root,
--        which pays the provider), seller, payer, whether the payer owns the usage; currency and outcome of the edge,
--        currency of the seller's own cost, exchange rate
-- owner layer: rating
-- exposed to: the root
--
-- rating/rollup computes it while rows are priced; a test holds that to this statement.
with charges_of_slices as (
    select
        origin, billing_period, provider_name, billing_account_id, service_name, charge_category, charge_class, fate,
        node_id, string_to_array(node_path, '/') as path, effective_cost, continues,
        [price_0, price_1, price_2, price_3, price_4, price_5, price_6, price_7, price_8] as prices,
        [currency_0, currency_1, currency_2, currency_3, currency_4, currency_5, currency_6, currency_7, currency_8] as currencies,
        [outcome_0, outcome_1, outcome_2, outcome_3, outcome_4, outcome_5, outcome_6, outcome_7, outcome_8] as outcomes,
        [fx_rate_0, fx_rate_1, fx_rate_2, fx_rate_3, fx_rate_4, fx_rate_5, fx_rate_6, fx_rate_7, fx_rate_8] as fx_rates
    from charges
), positions as (
    select * from (values (0), (1), (2), (3), (4), (5), (6), (7), (8)) as position (depth)
), edges as (
    -- elements of lists count from 1: depth + 1 is the payer's, depth the seller's
    select
        origin, billing_period, provider_name, billing_account_id, service_name, charge_category, charge_class, fate,
        cast(depth as int) as depth,
        case when depth > 0 then path[depth] end as seller_node_id,
        path[depth + 1] as payer_node_id,
        path[depth + 1] = node_id as is_kept,
        currencies[depth + 1] as currency,
        outcomes[depth + 1] as outcome,
        case when depth > 0 then currencies[depth] end as seller_currency,
        fx_rates[depth + 1] as fx_rate_id,
        prices[depth + 1] as amount,
        case when depth > 0 then prices[depth] end as seller_cost,
        -- only the root has a provider's effective cost
        case when depth = 1 then effective_cost end as effective_cost,
        continues
    from charges_of_slices
    cross join positions
), final as (
    select
        origin, billing_period, provider_name, billing_account_id, service_name, charge_category, charge_class, fate,
        depth, seller_node_id, payer_node_id, is_kept, currency, outcome, seller_currency, fx_rate_id,
        sum(amount) as amount, sum(seller_cost) as seller_cost, sum(effective_cost) as effective_cost, count(*) filter (where coalesce(continues, 0) = 0) as usage_rows
    from edges
    where outcome is not null
    group by
        origin, billing_period, provider_name, billing_account_id, service_name, charge_category, charge_class, fate,
        depth, seller_node_id, payer_node_id, is_kept, currency, outcome, seller_currency, fx_rate_id
)
select * from final
