-- source: focus_1_1
-- title: FOCUS 1.1 Cost and Usage
-- role: priced
-- focus: 1.1
-- detect: BilledCost, BillingAccountId, BillingCurrency, BillingPeriodStart, ChargeCategory, ChargePeriodStart, EffectiveCost, ProviderName
-- detect any: CapacityReservationId, CapacityReservationStatus, CommitmentDiscountQuantity, CommitmentDiscountUnit, ServiceSubcategory, SkuMeter, SkuPriceDetails
-- absent: ServiceProviderName, BillingAccountType, InvoiceId, PricingCurrency, SubAccountType
-- required: BillingPeriodEnd, ChargePeriodEnd, ListCost, ContractedCost
-- nulls: NULL, (null)
-- nulls of Tags: '{}'
-- timestamps: iso
-- conserved: billed_cost = BilledCost
--
-- Grain: one row per row of the file. Every column is only renamed; PublisherName is kept as x_publisher_name.

select
    "AvailabilityZone" as availability_zone,
    "BilledCost" as billed_cost,
    "BillingAccountId" as billing_account_id,
    "BillingAccountName" as billing_account_name,
    "BillingCurrency" as billing_currency,
    "BillingPeriodEnd" as billing_period_end,
    "BillingPeriodStart" as billing_period_start,
    "CapacityReservationId" as capacity_reservation_id,
    "CapacityReservationStatus" as capacity_reservation_status,
    "ChargeCategory" as charge_category,
    "ChargeClass" as charge_class,
    "ChargeDescription" as charge_description,
    "ChargeFrequency" as charge_frequency,
    "ChargePeriodEnd" as charge_period_end,
    "ChargePeriodStart" as charge_period_start,
    "CommitmentDiscountCategory" as commitment_discount_category,
    "CommitmentDiscountId" as commitment_discount_id,
    "CommitmentDiscountName" as commitment_discount_name,
    "CommitmentDiscountQuantity" as commitment_discount_quantity,
    "CommitmentDiscountStatus" as commitment_discount_status,
    "CommitmentDiscountType" as commitment_discount_type,
    "CommitmentDiscountUnit" as commitment_discount_unit,
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
    "ServiceSubcategory" as service_subcategory,
    "SkuId" as sku_id,
    "SkuMeter" as sku_meter,
    "SkuPriceDetails" as sku_price_details,
    "SkuPriceId" as sku_price_id,
    "SubAccountId" as sub_account_id,
    "SubAccountName" as sub_account_name,
    "Tags" as tags
from source
