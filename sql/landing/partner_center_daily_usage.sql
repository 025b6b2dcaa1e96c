-- source: partner_center_daily_usage
-- title: Partner Center daily rated usage
-- provider: Microsoft
-- role: reference
-- detect: PartnerId, CustomerId, UsageDate, MeterId, BillingPreTaxTotal, PricingPreTaxTotal, EntitlementId, EffectiveUnitPrice
-- required: BillingCurrency, PricingCurrency, PCToBCExchangeRate, ChargeStartDate, Quantity, UnitPrice, SubscriptionId
-- conserved: billed_cost = BillingPreTaxTotal
-- delivery period: ChargeStartDate
-- timestamps: month/day/year, iso
-- inclusive ends: charge_period_end
-- numbers: UnitPrice, EffectiveUnitPrice, Quantity, PCToBCExchangeRate, BillingPreTaxTotal, PricingPreTaxTotal
-- nulls of Tier2MpnId: -1, 0
-- nulls of Tags: '{}'
-- nulls of CreditType: Credit Not Applied
--
-- Grain: one row per row of the file (a resource and meter a day). It is the invoice's usage again,
-- in days: shown beside the invoice's lines and never priced. The Azure subscription is the
-- entitlement; SubscriptionId is the Azure plan. As for the invoice, the currency is part of the
-- account, and the rows are of the month in which the latest billing cycle begins. Taxes are on
-- the invoice alone. BillingPreTaxTotal is cut at two places or not rounded at all; where it is
-- neither, within the digits of a float, the row is kept and a finding.

with lines as (
    select
        number("BillingPreTaxTotal") as cost,
        abs(number("UnitPrice")) as list_price,
        abs(number("EffectiveUnitPrice")) as price,
        number("EffectiveUnitPrice") as signed_price,
        number("Quantity") as signed_quantity,
        case when number("BillingPreTaxTotal") < number('0') then - abs(number("Quantity")) else abs(number("Quantity")) end as quantity,
        coalesce(number("PCToBCExchangeRate"), case when "PricingCurrency" = "BillingCurrency" then number('1') end) as rate,
        coalesce("Unit", "UnitType") as unit,
        lower(regexp_replace("ResourceURI", '^.*/providers/([^/]+/[^/]+)(/.*)?$', '\1')) as resource_type,
        "PartnerId" || '/' || "BillingCurrency" as account,
        coalesce("EntitlementId", "SubscriptionId") as sub_account,
        coalesce("EntitlementDescription", "SubscriptionDescription") as sub_account_name,
        "AvailabilityId" as availability_id,
        "BillingCurrency" as currency,
        "ChargeEndDate" as charge_end,
        "ChargeStartDate" as charge_start,
        "CreditType" as credit_type,
        "InvoiceNumber" as invoice_number,
        "MeterCategory" as meter_category,
        "MeterId" as meter_id,
        "MeterName" as meter_name,
        "MpnId" as mpn_id,
        "PCToBCExchangeRate" as raw_rate,
        "PricingCurrency" as pricing_currency,
        "ProductId" as product_id,
        "ProductName" as product_name,
        "PublisherName" as publisher_name,
        "ResourceLocation" as resource_location,
        "ResourceURI" as resource_uri,
        "SkuId" as sku_id,
        "SubscriptionId" as subscription_id,
        "Tags" as raw_tags,
        case when "Tier2MpnId" <> "MpnId" or "MpnId" is null then "Tier2MpnId" end as tier_2_mpn_id,
        "UsageDate" as usage_date
    from source
),

priced as (
    select
        *,
        number(coalesce(lookup('azure_units', unit, 'PricingBlockSize'), '1')) as block_size,
        product(product(price, abs(quantity)), rate) as exact
    from lines
),

-- FLOOR goes down: away from zero where the row is negative.
floored as (
    select
        *,
        round_down(exact, 2) + case when cost < number('0') and round_down(exact, 2) <> exact then number('0.01') else number('0') end as expected
    from priced
)

select
    cost as billed_cost,
    account as billing_account_id,
    currency as billing_currency,
    'Usage' as charge_category,
    coalesce(meter_name, product_name) as charge_description,
    'Usage-Based' as charge_frequency,
    usage_date as charge_period_end,
    usage_date as charge_period_start,
    product(quantity, block_size) as consumed_quantity,
    coalesce(lookup('azure_units', unit, 'DistinctUnits'), unit) as consumed_unit,
    coalesce(product(product(price, rate), quantity), cost) as contracted_cost,
    product(price, rate) as contracted_unit_price,
    cost as effective_cost,
    invoice_number as invoice_id,
    'Microsoft' as invoice_issuer_name,
    coalesce(product(product(list_price, rate), quantity), cost) as list_cost,
    product(list_price, rate) as list_unit_price,
    publisher_name not like 'Microsoft%' as marketplace,
    'Standard' as pricing_category,
    pricing_currency,
    price as pricing_currency_contracted_unit_price,
    list_price as pricing_currency_list_unit_price,
    quantity as pricing_quantity,
    unit as pricing_unit,
    coalesce(lookup('azure_regions', resource_location, 'RegionId'), resource_location) as region_id,
    coalesce(lookup('azure_regions', resource_location, 'RegionName'), resource_location) as region_name,
    resource_uri as resource_id,
    case when resource_uri is not null then resource_type end as resource_type,
    coalesce(lookup('azure_services', resource_type, 'ServiceCategory'), 'Other') as service_category,
    coalesce(lookup('azure_services', resource_type, 'ServiceName'), meter_category, product_name) as service_name,
    'Microsoft' as service_provider_name,
    lookup('azure_services', resource_type, 'ServiceSubcategory') as service_subcategory,
    coalesce(product_id || ':' || sku_id, meter_id) as sku_id,
    meter_name as sku_meter,
    product_id || ':' || sku_id || ':' || availability_id as sku_price_id,
    sub_account as sub_account_id,
    sub_account_name,
    tag_object(raw_tags) as tags,
    charge_end as x_charge_end_date,
    charge_start as x_charge_start_date,
    credit_type as x_credit_type,
    meter_category as x_meter_category,
    meter_id as x_meter_id,
    mpn_id as x_mpn_id,
    raw_rate as x_pc_to_bc_exchange_rate,
    subscription_id as x_plan_subscription_id,
    publisher_name as x_publisher_name,
    tier_2_mpn_id as x_tier_2_mpn_id,
    case when tag_object(raw_tags) is null then raw_tags end as x_unparsed_tags,
    case
        when abs(cost) <> expected and abs(abs(cost) - exact) > product(number('1e-9'), greatest(number('1'), exact))
            then 'BillingPreTaxTotal does not follow from the row''s EffectiveUnitPrice, Quantity and PCToBCExchangeRate'
        when cost > number('0') and product(signed_price, signed_quantity) < number('0')
            then 'BillingPreTaxTotal has another sign than EffectiveUnitPrice x Quantity'
    end as finding
from floored
