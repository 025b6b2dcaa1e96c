-- source: focus_1_0
-- title: FOCUS 1.0 Cost and Usage
-- role: priced
-- focus: 1.0
-- detect: BilledCost, BillingAccountId, BillingCurrency, BillingPeriodStart, ChargeCategory, ChargePeriodStart, EffectiveCost, ProviderName
-- absent: ServiceProviderName
-- required: BillingPeriodEnd, ChargePeriodEnd, ListCost, ContractedCost
-- nulls: NULL, (null)
-- nulls of Tags: '{}'
-- timestamps: iso
-- conserved: billed_cost = BilledCost
--
-- Grain: one row per row of the file. Every column is only renamed; PublisherName is kept as x_publisher_name.
-- ProviderName of 1.0 to 1.2 is ServiceProviderName of 1.3 and later.

select
    "AvailabilityZone" as availability_zone,
    "BilledCost" as billed_cost,
    "BillingAccountId" as billing_account_id,
    "BillingAccountName" as billing_account_name,
    "BillingCurrency" as billing_currency,
    "BillingPeriodEnd" as billing_period_end,
    "BillingPeriodStart" as billing_period_start,
    "ChargeCategory" as charge_category,
    "ChargeClass" as charge_class,
    "ChargeDescription" as charge_description,
    "ChargeFrequency" as charge_frequency,
    "ChargePeriodEnd" as charge_period_end,
    "ChargePeriodStart" as charge_period_start,
    "CommitmentDiscountCategory" as commitment_discount_category,
    "CommitmentDiscountId" as commitment_discount_id,
    "CommitmentDiscountName" as commitment_discount_name,
    "CommitmentDiscountStatus" as commitment_discount_status,
    "CommitmentDiscountType" as commitment_discount_type,
    "ConsumedQuantity" as consumed_quantity,
    "ConsumedUnit" as consumed_unit,
    "ContractedCost" as contracted_cost,
    "ContractedUnitPrice" as contracted_unit_price,
    "EffectiveCost" as effective_cost,
    "InvoiceIssuerName" as invoice_issuer_name,
    "ListCost" as list_cost,
    "ListUnitPrice" as list_unit_price,
    "PricingCategory" as pricing_category,
    "PricingQuantity" as pricing_quantity,
    "PricingUnit" as pricing_unit,
    "ProviderName" as provider_name,
    "ProviderName" as service_provider_name,
    "RegionId" as region_id,
    "RegionName" as region_name,
    "ResourceId" as resource_id,
    "ResourceName" as resource_name,
    "ResourceType" as resource_type,
    "ServiceCategory" as service_category,
    "ServiceName" as service_name,
    "SkuId" as sku_id,
    "SkuPriceId" as sku_price_id,
    "SubAccountId" as sub_account_id,
    "SubAccountName" as sub_account_name,
    "Tags" as tags
from source
