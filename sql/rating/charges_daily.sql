-- charges_daily: charges by day and every dimension that rules and dashboards use.
--
-- grain: charge date, billing period, origin, owner, account, service, SKU, region, resource type, category, class,
--        pricing category, marketplace, unit, the tags that rules use, fate, to whom the resource is disclosed; and for every position of the path its
--        currency, outcome and exchange rate
-- owner layer: rating
-- exposed to: the root reads it as it is; a session reads `charges_daily` with its own cost and price only
--
-- rating/rollup computes it while rows are priced; a test holds that to this statement.
with charges_of_slices as (
    select * from charges
), final as (
    select
        origin, billing_period, charge_date, provider_name, billing_account_id, sub_account_id, node_id,
        node_path, service_category, service_name, sku_id, region_id, resource_type, charge_category,
        charge_class, pricing_category, marketplace, unit, rule_tags(tags) as rule_tags, fate, disclosed_to,
        sum(quantity) as quantity, sum(list_cost) as list_cost, sum(effective_cost) as effective_cost,
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
        origin, billing_period, charge_date, provider_name, billing_account_id, sub_account_id, node_id,
        node_path, service_category, service_name, sku_id, region_id, resource_type, charge_category,
        charge_class, pricing_category, marketplace, unit, rule_tags(tags), fate, disclosed_to,
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
