-- source: focus_1_4
-- title: FOCUS 1.4 Cost and Usage
-- role: priced
-- focus: 1.4
-- detect: BilledCost, BillingAccountId, BillingCurrency, BillingPeriodStart, ChargeCategory, ChargePeriodStart, EffectiveCost, ServiceProviderName
-- absent: ProviderName
-- required: BillingPeriodEnd, ChargePeriodEnd, ListCost, ContractedCost
-- nulls: NULL, (null)
-- nulls of Tags: '{}'
-- timestamps: iso
-- conserved: billed_cost = BilledCost
--
-- Grain: one row per row of the file. Every column is only renamed.

select
    "AllocatedMethodDetails" as allocated_method_details,
    "AllocatedMethodId" as allocated_method_id,
    "AllocatedResourceId" as allocated_resource_id,
    "AllocatedResourceName" as allocated_resource_name,
    "AllocatedTags" as allocated_tags,
    "AvailabilityZone" as availability_zone,
    "BilledCost" as billed_cost,
    "BillingAccountId" as billing_account_id,
    "BillingAccountName" as billing_account_name,
    "BillingAccountType" as billing_account_type,
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
    "CommitmentProgramEligibilityDetails" as commitment_program_eligibility_details,
    "ConsumedQuantity" as consumed_quantity,
    "ConsumedUnit" as consumed_unit,
    "ContractApplied" as contract_applied,
    "ContractedCost" as contracted_cost,
    "ContractedUnitPrice" as contracted_unit_price,
    "EffectiveCost" as effective_cost,
    "HostProviderName" as host_provider_name,
    "InvoiceDetailId" as invoice_detail_id,
    "InvoiceId" as invoice_id,
    "InvoiceIssuerName" as invoice_issuer_name,
    "ListCost" as list_cost,
    "ListUnitPrice" as list_unit_price,
    "PricingCategory" as pricing_category,
    "PricingCurrency" as pricing_currency,
    "PricingCurrencyContractedUnitPrice" as pricing_currency_contracted_unit_price,
    "PricingCurrencyEffectiveCost" as pricing_currency_effective_cost,
    "PricingCurrencyListUnitPrice" as pricing_currency_list_unit_price,
    "PricingQuantity" as pricing_quantity,
    "PricingUnit" as pricing_unit,
    "RegionId" as region_id,
    "RegionName" as region_name,
    "ResourceId" as resource_id,
    "ResourceName" as resource_name,
    "ResourceType" as resource_type,
    "ServiceCategory" as service_category,
    "ServiceName" as service_name,
    "ServiceProviderName" as provider_name,
    "ServiceProviderName" as service_provider_name,
    "ServiceSubcategory" as service_subcategory,
    "SkuId" as sku_id,
    "SkuMeter" as sku_meter,
    "SkuPriceDetails" as sku_price_details,
    "SkuPriceId" as sku_price_id,
    "SubAccountId" as sub_account_id,
    "SubAccountName" as sub_account_name,
    "SubAccountType" as sub_account_type,
    "Tags" as tags
from source
