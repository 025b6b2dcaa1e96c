-- source: partner_center_invoice
-- title: Partner Center new commerce invoice reconciliation
-- provider: Microsoft
-- role: priced
-- detect: PartnerId, CustomerId, InvoiceNumber, OrderDate, ChargeType, Subtotal, TermAndBillingCycle, BillableQuantity, EffectiveUnitPrice
-- required: Currency, PricingCurrency, PCToBCExchangeRate, ChargeStartDate, ChargeEndDate, SubscriptionId, ProductId, SkuId, TaxTotal, UnitPrice
-- conserved: billed_cost = Subtotal + TaxTotal
-- delivery period: ChargeStartDate
-- timestamps: month/day/year, iso
-- inclusive ends: charge_period_end
-- numbers: UnitPrice, EffectiveUnitPrice, Quantity, BillableQuantity, PCToBCExchangeRate, Subtotal, TaxTotal, Total
-- nulls of BillingFrequency: NA, N/A
-- nulls of ResellerMpnId: -1, 0
-- nulls of PublisherId: N/A
--
-- Grain: one row per line of the file, and one more for the tax of a line that has any. A file is
-- an invoice, and an invoice is a calendar month in one currency: so the currency is part of the
-- account, and all lines are of the month in which the latest of them begins, also the credits
-- and the late usage of months before. Amounts are those that were published, also where they do
-- not follow from the line's own price, quantity and rate by the documented formula (a finding):
--   usage, which has a meter   ROUNDDOWN(ROUNDDOWN(EffectiveUnitPrice x BillableQuantity, 2) x rate, 2)
--   licences                   ROUNDDOWN(EffectiveUnitPrice x rate, 2) x BillableQuantity
-- A change of seats is a credit of what was billed and a line with the new number: purchases both,
-- with a negative quantity rather than a negative price where the subtotal is negative. The
-- effective price holds discounts and days together, so that a list cost is that of a whole cycle.
-- A reservation is a purchase like any other: what it covers is in no file of Partner Center.

with lines as (
    select
        number("Subtotal") as subtotal,
        number("TaxTotal") as tax,
        number("Total") as total,
        abs(number("UnitPrice")) as list_price,
        abs(number("EffectiveUnitPrice")) as price,
        number("EffectiveUnitPrice") as signed_price,
        number("BillableQuantity") as signed_quantity,
        case when number("Subtotal") < number('0') then - abs(number("BillableQuantity")) else abs(number("BillableQuantity")) end as quantity,
        coalesce(number("PCToBCExchangeRate"), case when "PricingCurrency" = "Currency" then number('1') end) as rate,
        number(coalesce(lookup('azure_units', "UnitType", 'PricingBlockSize'), '1')) as block_size,
        "MeterDescription" is not null as is_usage,
        "CreditReasonCode" is not null or lower("ChargeType") = 'customercredit' as is_credit,
        "PartnerId" || '/' || "Currency" as account,
        coalesce("SubscriptionId", "CustomerId") as sub_account,
        "ProductId" || ':' || "SkuId" as sku,
        coalesce("UnitType", case when "MeterDescription" is null then 'Licenses' end) as unit,
        coalesce("MeterDescription", "SkuName", "ProductName") as description,
        case when "ResellerMpnId" <> "MpnId" or "MpnId" is null then "ResellerMpnId" end as reseller_mpn_id,
        "AvailabilityId" as availability_id,
        "BillingFrequency" as billing_frequency,
        "ChargeEndDate" as charge_end,
        "ChargeStartDate" as charge_start,
        "ChargeType" as charge_type,
        "CreditReasonCode" as credit_reason_code,
        "Currency" as currency,
        "CustomerId" as customer_id,
        "InvoiceNumber" as invoice_number,
        "MeterDescription" as meter_description,
        "MpnId" as mpn_id,
        "PCToBCExchangeRate" as raw_rate,
        "PricingCurrency" as pricing_currency,
        "ProductName" as product_name,
        "PublisherName" as publisher_name,
        "SubscriptionDescription" as subscription_description,
        "SubscriptionId" as subscription_id,
        "TermAndBillingCycle" as term_and_billing_cycle,
        "UnitType" as unit_type
    from source
),

checked as (
    select
        *,
        case
            when is_usage then round_down(product(round_down(product(price, abs(quantity)), 2), rate), 2)
            else product(round_down(product(price, rate), 2), abs(quantity))
        end as expected
    from lines
),

charges as (
    select
        subtotal as billed_cost,
        account as billing_account_id,
        currency as billing_currency,
        case when is_credit then 'Credit' when is_usage then 'Usage' else 'Purchase' end as charge_category,
        description as charge_description,
        case
            when is_usage then 'Usage-Based'
            when subscription_id is null or lower(billing_frequency) in ('onetime', 'one-time', 'one time') then 'One-Time'
            else 'Recurring'
        end as charge_frequency,
        charge_end as charge_period_end,
        charge_start as charge_period_start,
        case when is_usage and not is_credit then product(quantity, block_size) end as consumed_quantity,
        case when is_usage and not is_credit then coalesce(lookup('azure_units', unit_type, 'DistinctUnits'), unit_type) end as consumed_unit,
        case when is_credit then subtotal else coalesce(product(product(price, rate), quantity), subtotal) end as contracted_cost,
        product(price, rate) as contracted_unit_price,
        subtotal as effective_cost,
        invoice_number as invoice_id,
        'Microsoft' as invoice_issuer_name,
        case when is_credit then subtotal else coalesce(product(product(list_price, rate), quantity), subtotal) end as list_cost,
        product(list_price, rate) as list_unit_price,
        publisher_name not like 'Microsoft%' as marketplace,
        'Standard' as pricing_category,
        pricing_currency,
        price as pricing_currency_contracted_unit_price,
        list_price as pricing_currency_list_unit_price,
        quantity as pricing_quantity,
        unit as pricing_unit,
        'Other' as service_category,
        product_name as service_name,
        'Microsoft' as service_provider_name,
        sku as sku_id,
        meter_description as sku_meter,
        sku || ':' || availability_id || coalesce(':' || term_and_billing_cycle, '') as sku_price_id,
        sub_account as sub_account_id,
        case when subscription_id is not null then subscription_description end as sub_account_name,
        charge_type as x_charge_type,
        credit_reason_code as x_credit_reason_code,
        customer_id as x_customer_id,
        mpn_id as x_mpn_id,
        raw_rate as x_pc_to_bc_exchange_rate,
        publisher_name as x_publisher_name,
        reseller_mpn_id as x_reseller_mpn_id,
        term_and_billing_cycle as x_term_and_billing_cycle,
        case
            when abs(subtotal) <> expected or (subtotal > number('0') and product(signed_price, signed_quantity) < number('0'))
                then 'Subtotal does not follow from the line''s EffectiveUnitPrice, BillableQuantity and PCToBCExchangeRate'
            when total <> subtotal + coalesce(tax, number('0')) then 'Total is not Subtotal and TaxTotal'
        end as finding
    from checked

    union all

    select
        tax as billed_cost,
        account as billing_account_id,
        currency as billing_currency,
        'Tax' as charge_category,
        'Tax: ' || description as charge_description,
        'Recurring' as charge_frequency,
        charge_end as charge_period_end,
        charge_start as charge_period_start,
        null as consumed_quantity,
        null as consumed_unit,
        tax as contracted_cost,
        null as contracted_unit_price,
        tax as effective_cost,
        invoice_number as invoice_id,
        'Microsoft' as invoice_issuer_name,
        tax as list_cost,
        null as list_unit_price,
        publisher_name not like 'Microsoft%' as marketplace,
        null as pricing_category,
        pricing_currency,
        null as pricing_currency_contracted_unit_price,
        null as pricing_currency_list_unit_price,
        null as pricing_quantity,
        null as pricing_unit,
        'Other' as service_category,
        product_name as service_name,
        'Microsoft' as service_provider_name,
        null as sku_id,
        null as sku_meter,
        null as sku_price_id,
        sub_account as sub_account_id,
        case when subscription_id is not null then subscription_description end as sub_account_name,
        charge_type as x_charge_type,
        credit_reason_code as x_credit_reason_code,
        customer_id as x_customer_id,
        mpn_id as x_mpn_id,
        raw_rate as x_pc_to_bc_exchange_rate,
        publisher_name as x_publisher_name,
        reseller_mpn_id as x_reseller_mpn_id,
        term_and_billing_cycle as x_term_and_billing_cycle,
        null as finding
    from checked
    where tax <> number('0')
)

select * from charges
