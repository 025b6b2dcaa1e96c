-- object: focus.provider_cost_and_usage
-- variant: root
-- grain: one row per line of a provider's file
-- owner: focus
-- roles: admin, finance, auditor, billing_job; the root only
-- comment: What providers sent, as FOCUS 1.4 Cost and Usage, every column of the specification; other views of a cost that is priced elsewhere (amortised beside actual) are in it.
-- column AllocatedMethodDetails: FOCUS 1.4 AllocatedMethodDetails, as the provider sent it
-- column AllocatedMethodId: FOCUS 1.4 AllocatedMethodId, as the provider sent it
-- column AllocatedResourceId: FOCUS 1.4 AllocatedResourceId, as the provider sent it
-- column AllocatedResourceName: FOCUS 1.4 AllocatedResourceName, as the provider sent it
-- column AllocatedTags: FOCUS 1.4 AllocatedTags, as the provider sent it
-- column AvailabilityZone: FOCUS 1.4 AvailabilityZone, as the provider sent it
-- column BilledCost: FOCUS 1.4 BilledCost, as the provider sent it
-- column BillingAccountId: FOCUS 1.4 BillingAccountId, as the provider sent it
-- column BillingAccountName: FOCUS 1.4 BillingAccountName, as the provider sent it
-- column BillingAccountType: FOCUS 1.4 BillingAccountType, as the provider sent it
-- column BillingCurrency: FOCUS 1.4 BillingCurrency, as the provider sent it
-- column BillingPeriodEnd: FOCUS 1.4 BillingPeriodEnd, as the provider sent it
-- column BillingPeriodStart: FOCUS 1.4 BillingPeriodStart, as the provider sent it
-- column CapacityReservationId: FOCUS 1.4 CapacityReservationId, as the provider sent it
-- column CapacityReservationStatus: FOCUS 1.4 CapacityReservationStatus, as the provider sent it
-- column ChargeCategory: FOCUS 1.4 ChargeCategory, as the provider sent it
-- column ChargeClass: FOCUS 1.4 ChargeClass, as the provider sent it
-- column ChargeDescription: FOCUS 1.4 ChargeDescription, as the provider sent it
-- column ChargeFrequency: FOCUS 1.4 ChargeFrequency, as the provider sent it
-- column ChargePeriodEnd: FOCUS 1.4 ChargePeriodEnd, as the provider sent it
-- column ChargePeriodStart: FOCUS 1.4 ChargePeriodStart, as the provider sent it
-- column CommitmentDiscountCategory: FOCUS 1.4 CommitmentDiscountCategory, as the provider sent it
-- column CommitmentDiscountId: FOCUS 1.4 CommitmentDiscountId, as the provider sent it
-- column CommitmentDiscountName: FOCUS 1.4 CommitmentDiscountName, as the provider sent it
-- column CommitmentDiscountQuantity: FOCUS 1.4 CommitmentDiscountQuantity, as the provider sent it
-- column CommitmentDiscountStatus: FOCUS 1.4 CommitmentDiscountStatus, as the provider sent it
-- column CommitmentDiscountType: FOCUS 1.4 CommitmentDiscountType, as the provider sent it
-- column CommitmentDiscountUnit: FOCUS 1.4 CommitmentDiscountUnit, as the provider sent it
-- column CommitmentProgramEligibilityDetails: FOCUS 1.4 CommitmentProgramEligibilityDetails, as the provider sent it
-- column ConsumedQuantity: FOCUS 1.4 ConsumedQuantity, as the provider sent it
-- column ConsumedUnit: FOCUS 1.4 ConsumedUnit, as the provider sent it
-- column ContractApplied: FOCUS 1.4 ContractApplied, as the provider sent it
-- column ContractedCost: FOCUS 1.4 ContractedCost, as the provider sent it
-- column ContractedUnitPrice: FOCUS 1.4 ContractedUnitPrice, as the provider sent it
-- column EffectiveCost: FOCUS 1.4 EffectiveCost, as the provider sent it
-- column HostProviderName: FOCUS 1.4 HostProviderName, as the provider sent it
-- column InvoiceDetailId: FOCUS 1.4 InvoiceDetailId, as the provider sent it
-- column InvoiceId: FOCUS 1.4 InvoiceId, as the provider sent it
-- column InvoiceIssuerName: FOCUS 1.4 InvoiceIssuerName, as the provider sent it
-- column ListCost: FOCUS 1.4 ListCost, as the provider sent it
-- column ListUnitPrice: FOCUS 1.4 ListUnitPrice, as the provider sent it
-- column PricingCategory: FOCUS 1.4 PricingCategory, as the provider sent it
-- column PricingCurrency: FOCUS 1.4 PricingCurrency, as the provider sent it
-- column PricingCurrencyContractedUnitPrice: FOCUS 1.4 PricingCurrencyContractedUnitPrice, as the provider sent it
-- column PricingCurrencyEffectiveCost: FOCUS 1.4 PricingCurrencyEffectiveCost, as the provider sent it
-- column PricingCurrencyListUnitPrice: FOCUS 1.4 PricingCurrencyListUnitPrice, as the provider sent it
-- column PricingQuantity: FOCUS 1.4 PricingQuantity, as the provider sent it
-- column PricingUnit: FOCUS 1.4 PricingUnit, as the provider sent it
-- column RegionId: FOCUS 1.4 RegionId, as the provider sent it
-- column RegionName: FOCUS 1.4 RegionName, as the provider sent it
-- column ResourceId: FOCUS 1.4 ResourceId, as the provider sent it
-- column ResourceName: FOCUS 1.4 ResourceName, as the provider sent it
-- column ResourceType: FOCUS 1.4 ResourceType, as the provider sent it
-- column ServiceCategory: FOCUS 1.4 ServiceCategory, as the provider sent it
-- column ServiceName: FOCUS 1.4 ServiceName, as the provider sent it
-- column ServiceProviderName: FOCUS 1.4 ServiceProviderName, as the provider sent it
-- column ServiceSubcategory: FOCUS 1.4 ServiceSubcategory, as the provider sent it
-- column SkuId: FOCUS 1.4 SkuId, as the provider sent it
-- column SkuMeter: FOCUS 1.4 SkuMeter, as the provider sent it
-- column SkuPriceDetails: FOCUS 1.4 SkuPriceDetails, as the provider sent it
-- column SkuPriceId: FOCUS 1.4 SkuPriceId, as the provider sent it
-- column SubAccountId: FOCUS 1.4 SubAccountId, as the provider sent it
-- column SubAccountName: FOCUS 1.4 SubAccountName, as the provider sent it
-- column SubAccountType: FOCUS 1.4 SubAccountType, as the provider sent it
-- column Tags: FOCUS 1.4 Tags, as the provider sent it
-- column x_DeliveryId: the delivery it came with
-- column x_SourceFile: which part file of the delivery, from 0
-- column x_SourceRow: which line of that file
-- column x_SourceColumns: source columns that FOCUS has no place for, as a JSON object
select
  allocated_method_details as "AllocatedMethodDetails",
  allocated_method_id as "AllocatedMethodId",
  allocated_resource_id as "AllocatedResourceId",
  allocated_resource_name as "AllocatedResourceName",
  allocated_tags as "AllocatedTags",
  availability_zone as "AvailabilityZone",
  billed_cost as "BilledCost",
  billing_account_id as "BillingAccountId",
  billing_account_name as "BillingAccountName",
  billing_account_type as "BillingAccountType",
  billing_currency as "BillingCurrency",
  billing_period_end as "BillingPeriodEnd",
  billing_period_start as "BillingPeriodStart",
  capacity_reservation_id as "CapacityReservationId",
  capacity_reservation_status as "CapacityReservationStatus",
  charge_category as "ChargeCategory",
  charge_class as "ChargeClass",
  charge_description as "ChargeDescription",
  charge_frequency as "ChargeFrequency",
  charge_period_end as "ChargePeriodEnd",
  charge_period_start as "ChargePeriodStart",
  commitment_discount_category as "CommitmentDiscountCategory",
  commitment_discount_id as "CommitmentDiscountId",
  commitment_discount_name as "CommitmentDiscountName",
  commitment_discount_quantity as "CommitmentDiscountQuantity",
  commitment_discount_status as "CommitmentDiscountStatus",
  commitment_discount_type as "CommitmentDiscountType",
  commitment_discount_unit as "CommitmentDiscountUnit",
  commitment_program_eligibility_details as "CommitmentProgramEligibilityDetails",
  consumed_quantity as "ConsumedQuantity",
  consumed_unit as "ConsumedUnit",
  contract_applied as "ContractApplied",
  contracted_cost as "ContractedCost",
  contracted_unit_price as "ContractedUnitPrice",
  effective_cost as "EffectiveCost",
  host_provider_name as "HostProviderName",
  invoice_detail_id as "InvoiceDetailId",
  invoice_id as "InvoiceId",
  invoice_issuer_name as "InvoiceIssuerName",
  list_cost as "ListCost",
  list_unit_price as "ListUnitPrice",
  pricing_category as "PricingCategory",
  pricing_currency as "PricingCurrency",
  pricing_currency_contracted_unit_price as "PricingCurrencyContractedUnitPrice",
  pricing_currency_effective_cost as "PricingCurrencyEffectiveCost",
  pricing_currency_list_unit_price as "PricingCurrencyListUnitPrice",
  pricing_quantity as "PricingQuantity",
  pricing_unit as "PricingUnit",
  region_id as "RegionId",
  region_name as "RegionName",
  resource_id as "ResourceId",
  resource_name as "ResourceName",
  resource_type as "ResourceType",
  service_category as "ServiceCategory",
  service_name as "ServiceName",
  service_provider_name as "ServiceProviderName",
  service_subcategory as "ServiceSubcategory",
  sku_id as "SkuId",
  sku_meter as "SkuMeter",
  sku_price_details as "SkuPriceDetails",
  sku_price_id as "SkuPriceId",
  sub_account_id as "SubAccountId",
  sub_account_name as "SubAccountName",
  sub_account_type as "SubAccountType",
  tags as "Tags",
  delivery_id as "x_DeliveryId",
  source_file as "x_SourceFile",
  source_row as "x_SourceRow",
  x_columns as "x_SourceColumns"
from usage
