-- source: azure_ea_actual
-- title: Azure Enterprise Agreement, actual cost
-- provider: Microsoft
-- role: priced
-- detect: AccountName, BillingAccountId, BillingPeriodStartDate, Date, MeterId, CostInBillingCurrency, PartNumber
-- required: BillingPeriodEndDate, BillingCurrency, ChargeType, PricingModel, Quantity, SubscriptionId, UnitOfMeasure, UnitPrice
-- conserved: billed_cost = CostInBillingCurrency
-- timestamps: month/day/year, iso
-- inclusive ends: billing_period_end, charge_period_end
-- nulls of InvoiceSectionName: Unassigned, 0 Unassigned
-- nulls of InvoiceSectionId: -2
-- nulls of CostCenter: Unassigned
-- nulls of ResourceLocation: Unassigned
-- nulls of Term: N/A, NA
-- numbers: Quantity, UnitPrice, PayGPrice, CostInBillingCurrency
-- alias: CostInBillingCurrency = Cost
-- alias: BillingCurrency = BillingCurrencyCode
-- alias: ProductName = Product
-- alias: InvoiceSectionName = InvoiceSection
-- alias: ResourceGroup = ResourceGroupName
--
-- Grain: one row per row of the export (a resource and meter a day). The amortised export has the
-- same header: it is known by its name or its manifest's type, and a row that only the amortised
-- view can have is rejected here, so that the two are never mistaken for one another.
-- Quantity counts units of UnitOfMeasure (10K = 10,000 requests): price x quantity is the cost, and
-- the consumed quantity is quantity x block size. Effective cost is the cost, and nothing for what
-- buys a commitment and for usage that one covers: what commitments cost each day is only in the
-- amortised export, whose lines take the place of covered usage here. Billing period and Date are the last day inside.

with lines as (
    select
        "ChargeType" as charge_type,
        "PricingModel" as pricing_model,
        "ChargeType" in ('UnusedReservation', 'UnusedSavingsPlan') as is_unused,
        "PricingModel" in ('Reservation', 'SavingsPlan') and "ChargeType" in ('Usage', 'UnusedReservation', 'UnusedSavingsPlan') as is_committed,
        "ChargeType" in ('Purchase', 'Refund')
        and ("PricingModel" in ('Reservation', 'SavingsPlan') or coalesce("benefitId", "ReservationId") is not null) as is_commitment_bought,
        coalesce("benefitId", "ReservationId") as commitment_id,
        coalesce("benefitName", "ReservationName") as commitment_name,
        number("CostInBillingCurrency") as cost,
        number("Quantity") as quantity,
        number("UnitPrice") as unit_price,
        number("PayGPrice") as retail_price,
        number(coalesce(lookup('azure_units', "UnitOfMeasure", 'PricingBlockSize'), '1')) as block_size,
        lower(regexp_replace("ResourceId", '^.*/providers/([^/]+/[^/]+)(/.*)?$', '\1')) as resource_type,
        "AvailabilityZone" as availability_zone,
        "BillingAccountId" as billing_account_id,
        "BillingAccountName" as billing_account_name,
        "BillingCurrency" as billing_currency,
        "BillingPeriodStartDate" as billing_period_start,
        "BillingPeriodEndDate" as billing_period_end,
        "Date" as charge_date,
        "Frequency" as frequency,
        "MeterCategory" as meter_category,
        "MeterId" as meter_id,
        "MeterName" as meter_name,
        "PartNumber" as part_number,
        "ProductName" as product_name,
        "PublisherType" as publisher_type,
        "ResourceId" as resource_id,
        "ResourceLocation" as resource_location,
        "ResourceName" as resource_name,
        "SubscriptionId" as subscription_id,
        "SubscriptionName" as subscription_name,
        "Tags" as raw_tags,
        "UnitOfMeasure" as unit_of_measure
    from source
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
        case when commitment_id is null then null when pricing_model = 'SavingsPlan' then 'Spend' else 'Usage' end as commitment_discount_category,
        commitment_id as commitment_discount_id,
        case when commitment_id is not null then commitment_name end as commitment_discount_name,
        case when commitment_id is null or not is_committed then null when is_unused then 'Unused' else 'Used' end as commitment_discount_status,
        case when commitment_id is null then null when pricing_model = 'SavingsPlan' then 'Savings plan' else 'Reservation' end as commitment_discount_type,
        case when charge_type = 'Usage' then product(quantity, block_size) end as consumed_quantity,
        case when charge_type = 'Usage' then coalesce(lookup('azure_units', unit_of_measure, 'DistinctUnits'), unit_of_measure) end as consumed_unit,
        case when charge_type in ('Tax', 'RoundingAdjustment') then cost else coalesce(product(unit_price, quantity), cost) end as contracted_cost,
        case when charge_type in ('Tax', 'RoundingAdjustment') then null else unit_price end as contracted_unit_price,
        case when is_commitment_bought then number('0') else cost end as effective_cost,
        'Microsoft' as invoice_issuer_name,
        case
            when charge_type in ('Tax', 'RoundingAdjustment') then cost
            else coalesce(product(coalesce(nullif(retail_price, number('0')), unit_price), quantity), cost)
        end as list_cost,
        case
            when charge_type in ('Tax', 'RoundingAdjustment') then null
            else coalesce(nullif(retail_price, number('0')), unit_price)
        end as list_unit_price,
        publisher_type = 'Marketplace' as marketplace,
        case
            when charge_type in ('Tax', 'RoundingAdjustment') then null
            when is_committed then 'Committed'
            when pricing_model = 'Spot' then 'Dynamic'
            else 'Standard'
        end as pricing_category,
        case when charge_type in ('Tax', 'RoundingAdjustment') then null else quantity end as pricing_quantity,
        case when charge_type in ('Tax', 'RoundingAdjustment') then null else unit_of_measure end as pricing_unit,
        coalesce(lookup('azure_regions', resource_location, 'RegionId'), resource_location) as region_id,
        coalesce(lookup('azure_regions', resource_location, 'RegionName'), resource_location) as region_name,
        resource_id,
        resource_name,
        case when resource_id is not null then resource_type end as resource_type,
        coalesce(lookup('azure_services', resource_type, 'ServiceCategory'), 'Other') as service_category,
        coalesce(lookup('azure_services', resource_type, 'ServiceName'), meter_category) as service_name,
        'Microsoft' as service_provider_name,
        lookup('azure_services', resource_type, 'ServiceSubcategory') as service_subcategory,
        meter_id as sku_id,
        meter_name as sku_meter,
        part_number as sku_price_id,
        subscription_id as sub_account_id,
        subscription_name as sub_account_name,
        tag_object(raw_tags) as tags,
        charge_type as x_charge_type,
        meter_category as x_meter_category,
        pricing_model as x_pricing_model,
        publisher_type as x_publisher_type,
        case when tag_object(raw_tags) is null then raw_tags end as x_unparsed_tags,
        case
            when charge_type is null or charge_type not in (
                'Usage', 'UnusedReservation', 'UnusedSavingsPlan', 'Purchase', 'Refund', 'Tax', 'RoundingAdjustment'
            ) then 'ChargeType is empty or one that this mapping does not know'
            when is_unused or (is_committed and cost <> number('0')) then 'only an amortized export has such a row; land it with --source azure_ea_amortized'
        end as reject_reason
    from lines
)

select * from charges
