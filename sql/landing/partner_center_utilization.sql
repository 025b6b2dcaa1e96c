-- source: partner_center_utilization
-- title: Partner Center Azure utilization records
-- provider: Microsoft
-- role: reference
-- detect: customerId, subscriptionId, usageStartTime, usageEndTime, resource.id, quantity
-- nullable: billing_currency
-- numbers: quantity
-- nulls of infoFields: '{}'
-- nulls of instanceData.additionalInfo: '{}'
-- nulls of instanceData.tags: '{}'
--
-- Grain: one row per record of the API (a resource and meter a day). The records say what was used
-- and neither price nor currency: they are shown beside the invoice's lines and never priced. Costs
-- are 0, so that they add nothing to any sum, and the currency is null. No record names the partner:
-- the customer is the account. The Azure subscription is the one that the resource's URI names;
-- subscriptionId is Partner Center's.
-- The API is asked by when usage was reported and answers when it was consumed. What was consumed in
-- months before the first that was asked for (reportedFrom) is only what came late of them and would
-- take the place of all else that is known of such a month: it is left out.

with records as (
    select
        number("quantity") as quantity,
        number(coalesce(lookup('azure_units', "unit", 'PricingBlockSize'), '1')) as block_size,
        lower(regexp_replace("instanceData.resourceUri", '^.*/providers/([^/]+/[^/]+)(/.*)?$', '\1')) as resource_type,
        case
            when lower("instanceData.resourceUri") like '/subscriptions/%'
                then lower(regexp_replace("instanceData.resourceUri", '^/[^/]+/([^/]+).*$', '\1'))
            else "subscriptionId"
        end as sub_account,
        "customerId" as customer_id,
        "infoFields" as info_fields,
        "instanceData.additionalInfo" as additional_info,
        "instanceData.location" as resource_location,
        "instanceData.orderNumber" as order_number,
        "instanceData.partNumber" as part_number,
        "instanceData.resourceUri" as resource_uri,
        "instanceData.tags" as raw_tags,
        "reportedFrom" as reported_from,
        "resource.category" as meter_category,
        "resource.id" as meter_id,
        "resource.name" as meter_name,
        "resource.region" as meter_region,
        "resource.subcategory" as meter_subcategory,
        "subscriptionId" as subscription_id,
        "unit" as unit,
        "usageEndTime" as usage_end,
        "usageStartTime" as usage_start
    from source
)

select
    number('0') as billed_cost,
    customer_id as billing_account_id,
    cast(null as varchar) as billing_currency,
    'Usage' as charge_category,
    meter_name as charge_description,
    'Usage-Based' as charge_frequency,
    usage_end as charge_period_end,
    usage_start as charge_period_start,
    product(quantity, block_size) as consumed_quantity,
    coalesce(lookup('azure_units', unit, 'DistinctUnits'), unit) as consumed_unit,
    number('0') as contracted_cost,
    number('0') as effective_cost,
    'Microsoft' as invoice_issuer_name,
    number('0') as list_cost,
    coalesce(part_number, order_number) is not null as marketplace,
    quantity as pricing_quantity,
    unit as pricing_unit,
    coalesce(lookup('azure_regions', resource_location, 'RegionId'), resource_location) as region_id,
    coalesce(lookup('azure_regions', resource_location, 'RegionName'), resource_location) as region_name,
    resource_uri as resource_id,
    case when resource_uri is not null then resource_type end as resource_type,
    coalesce(lookup('azure_services', resource_type, 'ServiceCategory'), 'Other') as service_category,
    coalesce(lookup('azure_services', resource_type, 'ServiceName'), meter_category) as service_name,
    'Microsoft' as service_provider_name,
    lookup('azure_services', resource_type, 'ServiceSubcategory') as service_subcategory,
    meter_id as sku_id,
    meter_name as sku_meter,
    sub_account as sub_account_id,
    tag_object(raw_tags) as tags,
    additional_info as x_additional_info,
    info_fields as x_info_fields,
    meter_category as x_meter_category,
    meter_region as x_meter_region,
    meter_subcategory as x_meter_subcategory,
    order_number as x_order_number,
    part_number as x_part_number,
    subscription_id as x_subscription_id,
    case when tag_object(raw_tags) is null then raw_tags end as x_unparsed_tags
from records
where coalesce(try_cast(usage_start as timestamp) >= try_cast(reported_from as timestamp), true)
