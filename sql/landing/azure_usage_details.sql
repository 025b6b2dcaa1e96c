-- source: azure_usage_details
-- title: Azure usage details of a subscription (pay as you go)
-- provider: Microsoft
-- role: priced
-- detect: SubscriptionGuid, UsageDateTime, MeterId, UsageQuantity, ResourceRate, PreTaxCost
-- required: Currency, MeterCategory, UnitOfMeasure
-- conserved: billed_cost = PreTaxCost
-- timestamps: iso, month/day/year
-- inclusive ends: charge_period_end
-- numbers: UsageQuantity, ResourceRate, PreTaxCost
-- alias: SubscriptionGuid = SubscriptionId
-- alias: UsageDateTime = Date
-- alias: PreTaxCost = CostInBillingCurrency
--
-- Grain: one row per row of the export (a resource and meter a day). The file has no billing
-- account and no billing period: the subscription is the account, the period is the calendar
-- month of the usage. Headers may be translated, with the English name in parentheses.

with lines as (
    select
        number("UsageQuantity") as quantity,
        number("ResourceRate") as rate,
        number("PreTaxCost") as cost,
        number(coalesce(lookup('azure_units', "UnitOfMeasure", 'PricingBlockSize'), '1')) as block_size,
        lower(regexp_replace("InstanceId", '^.*/providers/([^/]+/[^/]+)(/.*)?$', '\1')) as resource_type,
        "Currency" as billing_currency,
        "InstanceId" as resource_id,
        "MeterCategory" as meter_category,
        "MeterId" as meter_id,
        "MeterName" as meter_name,
        "ResourceLocation" as resource_location,
        "SubscriptionGuid" as subscription_id,
        "Tags" as raw_tags,
        "UnitOfMeasure" as unit_of_measure,
        "UsageDateTime" as charge_date
    from source
)

select
    cost as billed_cost,
    subscription_id as billing_account_id,
    billing_currency,
    'Usage' as charge_category,
    'Usage-Based' as charge_frequency,
    charge_date as charge_period_end,
    charge_date as charge_period_start,
    product(quantity, block_size) as consumed_quantity,
    coalesce(lookup('azure_units', unit_of_measure, 'DistinctUnits'), unit_of_measure) as consumed_unit,
    cost as contracted_cost,
    rate as contracted_unit_price,
    cost as effective_cost,
    'Microsoft' as invoice_issuer_name,
    cost as list_cost,
    rate as list_unit_price,
    'Standard' as pricing_category,
    quantity as pricing_quantity,
    unit_of_measure as pricing_unit,
    coalesce(lookup('azure_regions', resource_location, 'RegionId'), resource_location) as region_id,
    coalesce(lookup('azure_regions', resource_location, 'RegionName'), resource_location) as region_name,
    resource_id,
    resource_type,
    coalesce(lookup('azure_services', resource_type, 'ServiceCategory'), 'Other') as service_category,
    coalesce(lookup('azure_services', resource_type, 'ServiceName'), meter_category) as service_name,
    'Microsoft' as service_provider_name,
    lookup('azure_services', resource_type, 'ServiceSubcategory') as service_subcategory,
    meter_id as sku_id,
    meter_name as sku_meter,
    subscription_id as sub_account_id,
    tag_object(raw_tags) as tags,
    meter_category as x_meter_category,
    case when tag_object(raw_tags) is null then raw_tags end as x_unparsed_tags
from lines
