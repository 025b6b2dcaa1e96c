-- charges_by_terms: charges by what prices depend on; what a simulation of a rate card prices anew.
--
-- grain: billing period, UTC month of use, origin, owner, account, category, class, marketplace, commitment, position of the pool's
--        owner, which amounts there are; service, SKU, region, resource type, pricing category, unit, sub-account and tags only where
--        rules of some card look at them; and for every position of the path its currency, outcome and exchange rate
-- owner layer: rating
-- exposed to: nobody; simulate_rate_card reads it
--
-- rating/rollup computes it while rows are priced; a test holds that to this statement.
with charges_of_slices as (
    select
        *,
        cast(date_trunc('month', charge_period_start) as date) as usage_month,
        looked_at('sub_account_id', sub_account_id) as kept_sub_account_id,
        looked_at('service_category', service_category) as kept_service_category,
        looked_at('service_name', service_name) as kept_service_name,
        looked_at('sku_id', sku_id) as kept_sku_id,
        looked_at('region_id', region_id) as kept_region_id,
        looked_at('resource_type', resource_type) as kept_resource_type,
        looked_at('pricing_category', pricing_category) as kept_pricing_category,
        looked_at('unit', unit) as kept_unit,
        looked_at('tags', tags) as kept_tags
    from charges
), final as (
    select
        origin, billing_period, usage_month, provider_name, billing_account_id,
        kept_sub_account_id as sub_account_id, node_id, node_path,
        kept_service_category as service_category, kept_service_name as service_name, kept_sku_id as sku_id,
        kept_region_id as region_id, kept_resource_type as resource_type, charge_category, charge_class,
        kept_pricing_category as pricing_category, marketplace, kept_unit as unit, kept_tags as rule_tags, commitment, pool_depth,
        sum(quantity) as quantity, sum(list_cost) as list_cost, sum(contracted_cost) as contracted_cost,
        sum(effective_cost) as effective_cost,
        -- a part of a cut row that the owner sees as more of the part before it is no charge of its own
        count(*) filter (where coalesce(continues, 0) = 0) as usage_rows,
        sum(price_0) as price_0, currency_0, outcome_0, fx_rate_0,
        sum(price_1) as price_1, currency_1, outcome_1, fx_rate_1,
        sum(price_2) as price_2, currency_2, outcome_2, fx_rate_2,
        sum(price_3) as price_3, currency_3, outcome_3, fx_rate_3,
        sum(price_4) as price_4, currency_4, outcome_4, fx_rate_4,
        sum(price_5) as price_5, currency_5, outcome_5, fx_rate_5,
        sum(price_6) as price_6, currency_6, outcome_6, fx_rate_6,
        sum(price_7) as price_7, currency_7, outcome_7, fx_rate_7,
        sum(price_8) as price_8, currency_8, outcome_8, fx_rate_8
    from charges_of_slices
    group by
        origin, billing_period, usage_month, provider_name, billing_account_id, kept_sub_account_id, node_id, node_path,
        kept_service_category, kept_service_name, kept_sku_id, kept_region_id, kept_resource_type, charge_category,
        charge_class, kept_pricing_category, marketplace, kept_unit, kept_tags, commitment, pool_depth,
        quantity is null, list_cost is null, contracted_cost is null, effective_cost is null,
        currency_0, outcome_0, fx_rate_0,
        currency_1, outcome_1, fx_rate_1,
        currency_2, outcome_2, fx_rate_2,
        currency_3, outcome_3, fx_rate_3,
        currency_4, outcome_4, fx_rate_4,
        currency_5, outcome_5, fx_rate_5,
        currency_6, outcome_6, fx_rate_6,
        currency_7, outcome_7, fx_rate_7,
        currency_8, outcome_8, fx_rate_8
)
select * from final
