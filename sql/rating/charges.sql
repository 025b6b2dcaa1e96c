-- charges: usage cut into portions, each owned by a node and priced on every edge of its path.
--
-- grain: one row per usage row, share of a pool and stretch of time in which its owner and its terms stay the same
--        (delivery_id, source_file, source_row, line_key, portion); what sellers bill themselves has other origins
-- owner layer: rating
-- exposed to: the root reads it as it is; a session reads `charges` with its own cost and price only
--
-- priced_usage prices each row once, on all edges in one evaluation (rating/operator.rs).
select
    origin, billing_period, charge_period_start, charge_period_end, charge_date, provider_name,
    billing_account_id, sub_account_id, node_id, node_path, service_category, service_name, sku_id,
    region_id, resource_id, resource_type, charge_category, charge_class, pricing_category, marketplace,
    description, quantity, unit, list_cost, contracted_cost, effective_cost, commitment, tags, fate, pool_id, driver, pool_depth, disclosed_to,
    commitment_discount_id, commitment_discount_status, commitment_policy, commitment_owner_node_id, covered_pricing_category,
    delivery_id, source_file, source_row, line_key, line_no, portion, continues, rated_snapshot,
    price_0, currency_0, outcome_0, rule_0, fx_rate_0,
    price_1, currency_1, outcome_1, rule_1, fx_rate_1,
    price_2, currency_2, outcome_2, rule_2, fx_rate_2,
    price_3, currency_3, outcome_3, rule_3, fx_rate_3,
    price_4, currency_4, outcome_4, rule_4, fx_rate_4,
    price_5, currency_5, outcome_5, rule_5, fx_rate_5,
    price_6, currency_6, outcome_6, rule_6, fx_rate_6,
    price_7, currency_7, outcome_7, rule_7, fx_rate_7,
    price_8, currency_8, outcome_8, rule_8, fx_rate_8
from priced_usage
