-- source: azure_mca_actual
-- title: Azure Customer Agreement and CSP partner, actual cost
-- provider: Microsoft
-- role: priced
-- detect: Date, MeterId, CostInBillingCurrency, CostInUsd, ChargeType, BillingCurrency, ServicePeriodStartDate
-- required: Quantity, SubscriptionId, UnitOfMeasure, EffectivePrice
-- conserved: billed_cost = CostInBillingCurrency
-- timestamps: month/day/year, iso
-- inclusive ends: billing_period_end, charge_period_end
-- nulls of InvoiceSectionName: Unassigned
-- nulls of CostCenter: Unassigned
-- nulls of ResourceLocation: Unassigned
-- nulls of Term: N/A, NA
-- numbers: Quantity, UnitPrice, EffectivePrice, PayGPrice, CostInBillingCurrency, PaygCostInBillingCurrency, ExchangeRatePricingToBilling
-- alias: ProductName = Product
-- alias: ResourceGroup = ResourceGroupName
-- alias: ResourceId = InstanceName
--
-- Grain: one row per row of the export (a resource and meter a day). A Customer Agreement's billing
-- account is its billing profile, the unit that is invoiced; a partner's export names no account by id, so its
-- name, or the partner's, is the account, and each customer's subscriptions are sub accounts
-- (customerTenantId stays in x_columns). A row without a billing period belongs to the month of its date.
-- Prices are in the pricing currency: times the exchange rate they are in the billing currency, as the
-- costs are. Quantity counts units of UnitOfMeasure, as in the Enterprise Agreement's exports.
-- The amortised export has the same header: it is known by its name or its manifest's type, and a row that
-- only the amortised view can have is rejected here. Effective cost is as in azure_ea_actual.
-- Headers of the Customer Agreement before 2023 have no PricingModel: a row with a reservation's id is its usage.

with lines as (
    select
        "ChargeType" as charge_type,
        "PricingModel" as pricing_model,
        "ChargeType" in ('UnusedReservation', 'UnusedSavingsPlan') as is_unused,
        "ChargeType" in ('Usage', 'UnusedReservation', 'UnusedSavingsPlan')
        and ("PricingModel" in ('Reservation', 'SavingsPlan') or ("PricingModel" is null and "ReservationId" is not null)) as is_committed,
        "PricingModel" = 'SavingsPlan' or "ChargeType" = 'UnusedSavingsPlan' as is_savings_plan,
        "ChargeType" in ('Purchase', 'Refund')
        and ("PricingModel" in ('Reservation', 'SavingsPlan') or coalesce("benefitId", "ReservationId") is not null) as is_commitment_bought,
        coalesce("benefitId", "ReservationId") as commitment_id,
        coalesce("benefitName", "ReservationName") as commitment_name,
        number("CostInBillingCurrency") as cost,
        number("PaygCostInBillingCurrency") as retail_cost,
        number("Quantity") as quantity,
        number(coalesce("UnitPrice", "EffectivePrice")) as price,
        nullif(number("PayGPrice"), number('0')) as retail_price,
        coalesce(nullif(number("ExchangeRatePricingToBilling"), number('0')), number('1')) as exchange_rate,
        "ExchangeRatePricingToBilling" as raw_exchange_rate,
        number(coalesce(lookup('azure_units', "UnitOfMeasure", 'PricingBlockSize'), '1')) as block_size,
        lower(regexp_replace("ResourceId", '^.*/providers/([^/]+/[^/]+)(/.*)?$', '\1')) as resource_type,
        "AvailabilityZone" as availability_zone,
        coalesce("BillingProfileId", "BillingAccountId", "BillingAccountName", "PartnerName") as billing_account_id,
        coalesce("BillingProfileName", "BillingAccountName") as billing_account_name,
        "BillingCurrency" as billing_currency,
        coalesce(
            "BillingPeriodStartDate",
            regexp_replace(regexp_replace("Date", '^([0-9]+)/[0-9]+/([0-9]{4})$', '\1/1/\2'), '^([0-9]{4}-[0-9]{2})-[0-9]{2}.*$', '\1-01')
        ) as billing_period_start,
        "BillingPeriodEndDate" as billing_period_end,
        "Date" as charge_date,
        "Frequency" as frequency,
        "invoiceId" as invoice_id,
        "Location" as location,
        "MeterCategory" as meter_category,
        "MeterId" as meter_id,
        "MeterName" as meter_name,
        "PartnerName" as partner_name,
        "PricingCurrency" as pricing_currency,
        "ProductId" as product_id,
        "ProductName" as product_name,
        "PublisherType" as publisher_type,
        "ResourceId" as resource_id,
        "ResourceLocation" as resource_location,
        "SubscriptionId" as subscription_id,
        "SubscriptionName" as subscription_name,
        "Tags" as raw_tags,
        "UnitOfMeasure" as unit_of_measure
    from source
),

prices as (
    select
        *,
        case when is_commitment_bought then number('0') else cost end as effective_cost,
        product(price, exchange_rate) as unit_price,
        product(coalesce(retail_price, price), exchange_rate) as list_price,
        charge_type in ('Tax', 'RoundingAdjustment') as is_priceless
    from lines
),

charges as (
    select
        availability_zone,
        cost as billed_cost,
        billing_account_id,
        billing_account_name,
        billing_currency,
        billing_period_end,
        billing_period_start,
        case
            when charge_type in ('Purchase', 'Refund') then 'Purchase'
            when charge_type = 'Tax' then 'Tax'
            when charge_type = 'RoundingAdjustment' then 'Adjustment'
            else 'Usage'
        end as charge_category,
        case when charge_type = 'Refund' then 'Correction' end as charge_class,
        product_name as charge_description,
        case frequency when 'UsageBased' then 'Usage-Based' when 'OneTime' then 'One-Time' else frequency end as charge_frequency,
        charge_date as charge_period_end,
        charge_date as charge_period_start,
        case when commitment_id is null then null when is_savings_plan then 'Spend' else 'Usage' end as commitment_discount_category,
        commitment_id as commitment_discount_id,
        case when commitment_id is not null then commitment_name end as commitment_discount_name,
        case when commitment_id is null or is_committed is not true then null when is_unused then 'Unused' else 'Used' end as commitment_discount_status,
        case when commitment_id is null then null when is_savings_plan then 'Savings plan' else 'Reservation' end as commitment_discount_type,
        case when charge_type = 'Usage' then product(quantity, block_size) end as consumed_quantity,
        case when charge_type = 'Usage' then coalesce(lookup('azure_units', unit_of_measure, 'DistinctUnits'), unit_of_measure) end as consumed_unit,
        case when is_priceless then cost else coalesce(product(unit_price, quantity), cost) end as contracted_cost,
        case when is_priceless then null else unit_price end as contracted_unit_price,
        effective_cost,
        invoice_id,
        coalesce(partner_name, 'Microsoft') as invoice_issuer_name,
        case when is_priceless then cost else coalesce(nullif(retail_cost, number('0')), product(list_price, quantity), cost) end as list_cost,
        case when is_priceless then null else list_price end as list_unit_price,
        publisher_type = 'Marketplace' as marketplace,
        case
            when is_priceless then null
            when is_committed then 'Committed'
            when pricing_model = 'Spot' then 'Dynamic'
            else 'Standard'
        end as pricing_category,
        pricing_currency,
        case when exchange_rate <> number('1') or pricing_currency = billing_currency then ratio(effective_cost, exchange_rate) end as pricing_currency_effective_cost,
        case when is_priceless then null else quantity end as pricing_quantity,
        case when is_priceless then null else unit_of_measure end as pricing_unit,
        coalesce(lookup('azure_regions', resource_location, 'RegionId'), resource_location) as region_id,
        coalesce(lookup('azure_regions', resource_location, 'RegionName'), location, resource_location) as region_name,
        resource_id,
        case when resource_id like '/%' then regexp_replace(resource_id, '^.*/', '') else resource_id end as resource_name,
        case when resource_id like '/%' then resource_type end as resource_type,
        coalesce(lookup('azure_services', resource_type, 'ServiceCategory'), 'Other') as service_category,
        coalesce(lookup('azure_services', resource_type, 'ServiceName'), meter_category) as service_name,
        'Microsoft' as service_provider_name,
        lookup('azure_services', resource_type, 'ServiceSubcategory') as service_subcategory,
        meter_id as sku_id,
        meter_name as sku_meter,
        product_id as sku_price_id,
        subscription_id as sub_account_id,
        subscription_name as sub_account_name,
        tag_object(raw_tags) as tags,
        charge_type as x_charge_type,
        raw_exchange_rate as x_exchange_rate_pricing_to_billing,
        meter_category as x_meter_category,
        partner_name as x_partner_name,
        pricing_model as x_pricing_model,
        publisher_type as x_publisher_type,
        case when tag_object(raw_tags) is null then raw_tags end as x_unparsed_tags,
        case
            when charge_type is null or charge_type not in (
                'Usage', 'UnusedReservation', 'UnusedSavingsPlan', 'Purchase', 'Refund', 'Tax', 'RoundingAdjustment'
            ) then 'ChargeType is empty or one that this mapping does not know'
            when is_unused or (is_committed and cost <> number('0')) then 'only an amortized export has such a row; land it with --source azure_mca_amortized'
        end as reject_reason
    from prices
)

select * from charges
