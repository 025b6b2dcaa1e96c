-- source: oci_cost_report
-- title: OCI cost report
-- provider: Oracle
-- role: priced
-- detect: lineItem/referenceNo, lineItem/tenantId, lineItem/intervalUsageStart, cost/productSku, cost/myCost
-- required: lineItem/intervalUsageEnd, product/service, usage/billedQuantity, cost/subscriptionId, cost/unitPrice, cost/currencyCode
-- timestamps: iso
-- tag columns: tags/
-- conserved: billed_cost = cost/myCost
--
-- Grain: one row per line of the report. A month arrives as many files, each with some hours:
-- land the folder, so that they are one delivery.
-- Cost is cost/myCost; cost/myCostOverage is empty in real reports. The report has one price, the
-- contract's: list and contracted are the same. The billing period is the month of the usage.

select
    "product/availabilityDomain" as availability_zone,
    "cost/myCost" as billed_cost,
    "cost/subscriptionId" as billing_account_id,
    "cost/currencyCode" as billing_currency,
    'Usage' as charge_category,
    case when lower("lineItem/isCorrection") = 'true' then 'Correction' end as charge_class,
    "product/Description" as charge_description,
    'Usage-Based' as charge_frequency,
    "lineItem/intervalUsageEnd" as charge_period_end,
    "lineItem/intervalUsageStart" as charge_period_start,
    "usage/billedQuantity" as consumed_quantity,
    "cost/skuUnitDescription" as consumed_unit,
    "cost/myCost" as contracted_cost,
    "cost/unitPrice" as contracted_unit_price,
    "cost/myCost" as effective_cost,
    'Oracle' as invoice_issuer_name,
    "cost/myCost" as list_cost,
    "cost/unitPrice" as list_unit_price,
    'Standard' as pricing_category,
    "usage/billedQuantity" as pricing_quantity,
    "cost/skuUnitDescription" as pricing_unit,
    "product/region" as region_id,
    "product/resourceId" as resource_id,
    coalesce(lookup('oci_services', "product/service", 'service_category'), 'Other') as service_category,
    coalesce(lookup('oci_services', "product/service", 'service_name'), "product/service") as service_name,
    'Oracle' as service_provider_name,
    "cost/productSku" as sku_id,
    "lineItem/tenantId" as sub_account_id,
    "product/service" as x_product_service
from source
