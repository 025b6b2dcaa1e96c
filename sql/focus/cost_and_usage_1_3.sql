-- object: focus.cost_and_usage_1_3
-- grain: one row per charge that the caller pays its seller for
-- owner: focus
-- roles: admin, finance, sales_ops, engineering, auditor, billing_job, portal
-- comment: The caller's own charges re-issued as FOCUS 1.3 Cost and Usage: its seller is the invoice issuer, its price the billed cost; nothing of what anybody above pays.
-- column BilledCost: what the caller pays its seller for the charge, unrounded, in BillingCurrency
-- column BillingAccountId: the caller's node: its account with its seller
-- column BillingAccountName: null: the account is named by BillingAccountId
-- column BillingCurrency: currency of every cost here
-- column BillingPeriodEnd: end of the billing period, exclusive, UTC
-- column BillingPeriodStart: start of the billing period, UTC
-- column ChargeCategory: Usage, Purchase, Tax, Credit or Adjustment
-- column ChargeClass: Correction, or null
-- column ChargeDescription: what the charge is for
-- column ChargePeriodEnd: end of the charge period, exclusive, UTC
-- column ChargePeriodStart: start of the charge period, UTC
-- column ConsumedQuantity: quantity used, for Usage
-- column ConsumedUnit: unit of ConsumedQuantity
-- column ContractedCost: what the caller's contract with its seller makes of the charge: the same as BilledCost
-- column ContractedUnitPrice: what the caller pays for one unit; null where the quantity does not determine it
-- column EffectiveCost: the caller buys no commitments from its seller: the same as BilledCost
-- column HostProviderName: whose platform it ran on
-- column InvoiceIssuerName: who invoices the caller: its seller; for the root, the provider
-- column ListCost: the provider's public list price of the same quantity; where that is in another currency, what the caller pays
-- column ListUnitPrice: list price of one unit; null where the quantity does not determine it
-- column PricingCategory: Standard, Dynamic, Committed or Other
-- column PricingQuantity: quantity the price is for
-- column PricingUnit: unit of PricingQuantity
-- column ProviderName: who made the resource or service available
-- column PublisherName: who produced the resource or service
-- column RegionId: provider's region
-- column ResourceId: provider's resource
-- column ResourceType: kind of resource
-- column ServiceCategory: FOCUS service category
-- column ServiceName: provider's service
-- column ServiceProviderName: who provides the service
-- column ServiceSubcategory: the category's own rest value: charges keep no finer one
-- column SkuId: provider's SKU
-- column SkuPriceId: one price per SKU is published to the caller
-- column SubAccountId: provider's sub account
-- column Tags: tags as a JSON object
-- Left out, all conditional or recommended in FOCUS because charges do not keep them or they are the provider's terms:
--   AllocatedMethodDetails, AllocatedMethodId, AllocatedResourceId, AllocatedResourceName, AllocatedTags, AvailabilityZone,
--   BillingAccountType, CapacityReservationId, CapacityReservationStatus, ChargeFrequency, CommitmentDiscountCategory,
--   CommitmentDiscountId, CommitmentDiscountName, CommitmentDiscountQuantity, CommitmentDiscountStatus, CommitmentDiscountType,
--   CommitmentDiscountUnit, ContractApplied, InvoiceId, PricingCurrency, PricingCurrencyContractedUnitPrice, PricingCurrencyEffectiveCost,
--   PricingCurrencyListUnitPrice, RegionName, ResourceName, SkuMeter, SkuPriceDetails, SubAccountName, SubAccountType.
with own_charges as (
  select
    *,
    coalesce(cost, 0) as amount,
    coalesce(case when list_currency = cost_currency then list_cost end, cost, 0) as list_amount
  from charges
), priced as (
  select
    *,
    -- a unit price exists where the quantity says something, and FOCUS knows no negative one
    charge_category in ('Usage', 'Purchase') and sku_id is not null and coalesce(quantity, 0) <> 0
      and (quantity > 0 and amount >= 0 and list_amount >= 0 or quantity < 0 and amount <= 0 and list_amount <= 0) as is_priced
  from own_charges
), final as (
  select
    amount as "BilledCost",
    current_node() as "BillingAccountId",
    cast(null as varchar) as "BillingAccountName",
    cost_currency as "BillingCurrency",
    cast(billing_period + interval '1 month' as timestamp with time zone) as "BillingPeriodEnd",
    cast(billing_period as timestamp with time zone) as "BillingPeriodStart",
    charge_category as "ChargeCategory",
    charge_class as "ChargeClass",
    description as "ChargeDescription",
    charge_period_end as "ChargePeriodEnd",
    charge_period_start as "ChargePeriodStart",
    case when charge_category = 'Usage' then quantity end as "ConsumedQuantity",
    case when charge_category = 'Usage' then unit end as "ConsumedUnit",
    amount as "ContractedCost",
    case when is_priced then cast(amount / quantity as decimal(38, 18)) end as "ContractedUnitPrice",
    amount as "EffectiveCost",
    provider_name as "HostProviderName",
    coalesce(current_seller(), provider_name) as "InvoiceIssuerName",
    list_amount as "ListCost",
    case when is_priced then cast(list_amount / quantity as decimal(38, 18)) end as "ListUnitPrice",
    case when charge_category in ('Usage', 'Purchase') then pricing_category end as "PricingCategory",
    case when charge_category in ('Usage', 'Purchase') then quantity end as "PricingQuantity",
    case when charge_category in ('Usage', 'Purchase') then unit end as "PricingUnit",
    provider_name as "ProviderName",
    provider_name as "PublisherName",
    region_id as "RegionId",
    resource_id as "ResourceId",
    case when resource_id is not null then resource_type end as "ResourceType",
    coalesce(service_category, 'Other') as "ServiceCategory",
    coalesce(service_name, 'Other') as "ServiceName",
    provider_name as "ServiceProviderName",
    'Other (' || coalesce(service_category, 'Other') || ')' as "ServiceSubcategory",
    case when charge_category in ('Usage', 'Purchase') then sku_id end as "SkuId",
    case when is_priced then sku_id end as "SkuPriceId",
    sub_account_id as "SubAccountId",
    tags as "Tags"
  from priced
)
select * from final
