-- source: aws_cur_legacy
-- title: AWS Cost and Usage Report, legacy and 2.0
-- provider: AWS
-- role: priced
-- detect: identity/LineItemId, bill/PayerAccountId, bill/BillingPeriodStartDate, lineItem/LineItemType, lineItem/UnblendedCost
-- required: bill/BillingPeriodEndDate, lineItem/UsageAccountId, lineItem/UsageStartDate, lineItem/UsageEndDate, lineItem/ProductCode, lineItem/UsageAmount, lineItem/CurrencyCode
-- timestamps: iso
-- numbers: lineItem/UsageAmount, lineItem/UnblendedRate, lineItem/UnblendedCost, lineItem/NetUnblendedCost, pricing/publicOnDemandCost, pricing/publicOnDemandRate
-- numbers: reservation/EffectiveCost, reservation/NetEffectiveCost, reservation/UnusedAmortizedUpfrontFeeForBillingPeriod, reservation/UnusedRecurringFee, reservation/UnusedQuantity
-- numbers: reservation/NetUnusedAmortizedUpfrontFeeForBillingPeriod, reservation/NetUnusedRecurringFee
-- numbers: savingsPlan/SavingsPlanEffectiveCost, savingsPlan/NetSavingsPlanEffectiveCost, savingsPlan/TotalCommitmentToDate, savingsPlan/UsedCommitment
-- tag columns: resourceTags/user: => , resourceTags/ => , resource_tags_user_ => , resource_tags_ => , costCategory/ => costCategory/, cost_category_ => costCategory/
-- conserved: billed_cost = lineItem/NetUnblendedCost, lineItem/UnblendedCost
--
-- Grain: one row per line item, and one more per fee of a commitment that was not fully used.
-- Legacy reports (a/B), Athena tables and CUR 2.0 of Data Exports (a_b) have the same columns under
-- other spellings; which product/… and resourceTags/… columns there are changes from month to month.
-- CUR 2.0 has them as the maps product, resource_tags (user_app is the tag app) and cost_category:
-- JSON text in CSV, MAP in Parquet. Its discount maps stay in x_columns.
--
-- Discounts (EDP, private rates): where the report has net columns, billed and effective cost are net.
-- Split cost allocation rows (a parent resource's cost by pod or task) repeat what the parent's own
-- row bills: they stay with cost and quantity 0, their shares in x_columns.
--
-- Savings Plans: SavingsPlanCoveredUsage and SavingsPlanNegation both stay and net to zero in
-- billed cost; the negation has quantity 0, so that nothing is counted twice. What a plan or a
-- reservation did not use is a Usage row of its own, status Unused, with the effective cost that
-- the fee's row (effective cost 0) does not carry.
-- No null spelling but the empty cell: None is an operation of AWS.

with lines as (
    select
        "lineItem/LineItemType" as line_item_type,
        "lineItem/LineItemType" like '%Discount' as is_discount,
        "splitLineItem/ParentResourceId" is not null as is_split,
        "splitLineItem/ParentResourceId" as split_parent_id,
        coalesce("savingsPlan/SavingsPlanARN", "reservation/ReservationARN") as commitment_id,
        "savingsPlan/SavingsPlanARN" is not null as is_savings_plan,
        number(coalesce("lineItem/NetUnblendedCost", "lineItem/UnblendedCost")) as billed,
        case when "splitLineItem/ParentResourceId" is null then number("lineItem/UsageAmount") else number('0') end as amount,
        number("lineItem/UnblendedRate") as rate,
        case when "splitLineItem/ParentResourceId" is null then number("pricing/publicOnDemandCost") else number('0') end as on_demand_cost,
        number("pricing/publicOnDemandRate") as on_demand_rate,
        number(coalesce("savingsPlan/NetSavingsPlanEffectiveCost", "savingsPlan/SavingsPlanEffectiveCost")) as plan_effective,
        number(coalesce("reservation/NetEffectiveCost", "reservation/EffectiveCost")) as reservation_effective,
        case "lineItem/LineItemType"
            when 'SavingsPlanRecurringFee' then
                coalesce(number("savingsPlan/TotalCommitmentToDate"), number('0')) - coalesce(number("savingsPlan/UsedCommitment"), number('0'))
            when 'RIFee' then
                coalesce(number(coalesce("reservation/NetUnusedAmortizedUpfrontFeeForBillingPeriod", "reservation/UnusedAmortizedUpfrontFeeForBillingPeriod")), number('0'))
                + coalesce(number(coalesce("reservation/NetUnusedRecurringFee", "reservation/UnusedRecurringFee")), number('0'))
            else number('0')
        end as unused,
        number("reservation/UnusedQuantity") as unused_quantity,
        "bill/InvoiceId" as invoice_id,
        coalesce("bill/InvoicingEntity", "lineItem/LegalEntity") as invoice_issuer_name,
        "bill/BillingEntity" = 'AWS Marketplace' as marketplace,
        "bill/PayerAccountId" as billing_account_id,
        "bill/PayerAccountName" as billing_account_name,
        "bill/BillingPeriodStartDate" as billing_period_start,
        "bill/BillingPeriodEndDate" as billing_period_end,
        "lineItem/UsageAccountId" as sub_account_id,
        "lineItem/UsageAccountName" as sub_account_name,
        "lineItem/UsageStartDate" as charge_period_start,
        "lineItem/UsageEndDate" as charge_period_end,
        "lineItem/ProductCode" as product_code,
        "lineItem/UsageType" as usage_type,
        "lineItem/AvailabilityZone" as availability_zone,
        "lineItem/CurrencyCode" as billing_currency,
        "lineItem/LineItemDescription" as charge_description,
        "lineItem/ResourceId" as resource_id,
        coalesce("product/ProductName", "product/servicename", "product" ->> 'product_name', "product" ->> 'servicename') as product_name,
        "product/productFamily" as product_family,
        coalesce("product/regionCode", "product/region", "product" ->> 'region') as region_id,
        case when "product/locationType" = 'AWS Region' then "product/location" end as region_name,
        "product/sku" as sku_id,
        "pricing/RateCode" as sku_price_id,
        "pricing/unit" as unit,
        join_tags(
            coalesce(tag_columns, rename_tags(tag_object("resourceTags"), 'user_', '')),
            rename_tags(tag_object("costCategory"), '', 'costCategory/')
        ) as tags
    from source
),

line_items as (
    select
        availability_zone,
        billed as billed_cost,
        billing_account_id,
        billing_account_name,
        billing_currency,
        billing_period_end,
        billing_period_start,
        case
            when line_item_type = 'Tax' then 'Tax'
            when line_item_type = 'Credit' then 'Credit'
            when line_item_type in ('Fee', 'RIFee', 'SavingsPlanRecurringFee', 'SavingsPlanUpfrontFee') then 'Purchase'
            when line_item_type = 'Refund' and commitment_id is not null then 'Purchase'
            else 'Usage'
        end as charge_category,
        case when line_item_type = 'Refund' then 'Correction' end as charge_class,
        charge_description,
        case
            when line_item_type in ('RIFee', 'SavingsPlanRecurringFee') then 'Recurring'
            when line_item_type in ('Fee', 'SavingsPlanUpfrontFee', 'Credit', 'Refund') then 'One-Time'
            else 'Usage-Based'
        end as charge_frequency,
        charge_period_end,
        charge_period_start,
        case when commitment_id is null then null when is_savings_plan then 'Spend' else 'Usage' end as commitment_discount_category,
        commitment_id as commitment_discount_id,
        case when line_item_type in ('DiscountedUsage', 'SavingsPlanCoveredUsage', 'SavingsPlanNegation') then 'Used' end as commitment_discount_status,
        case when commitment_id is null then null when is_savings_plan then 'Savings Plan' else 'Reserved Instance' end as commitment_discount_type,
        case when line_item_type in ('Usage', 'DiscountedUsage', 'SavingsPlanCoveredUsage') then amount end as consumed_quantity,
        case when line_item_type in ('Usage', 'DiscountedUsage', 'SavingsPlanCoveredUsage') then unit end as consumed_unit,
        case
            when is_split then number('0')
            when line_item_type = 'DiscountedUsage' then coalesce(on_demand_cost, reservation_effective)
            when line_item_type = 'SavingsPlanNegation' or is_discount then number('0')
            else billed
        end as contracted_cost,
        case when line_item_type = 'Usage' then rate end as contracted_unit_price,
        case
            when is_split then number('0')
            when line_item_type = 'SavingsPlanCoveredUsage' then plan_effective
            when line_item_type = 'DiscountedUsage' then reservation_effective
            when line_item_type in ('SavingsPlanNegation', 'SavingsPlanRecurringFee', 'SavingsPlanUpfrontFee', 'RIFee') then number('0')
            when line_item_type = 'Fee' and commitment_id is not null then number('0')
            else billed
        end as effective_cost,
        invoice_id,
        invoice_issuer_name,
        case
            when line_item_type = 'SavingsPlanNegation' or is_discount then number('0')
            else coalesce(on_demand_cost, billed)
        end as list_cost,
        case when line_item_type in ('Usage', 'DiscountedUsage', 'SavingsPlanCoveredUsage') then on_demand_rate end as list_unit_price,
        marketplace,
        case
            when line_item_type in ('Tax', 'Credit') then null
            when line_item_type in ('DiscountedUsage', 'SavingsPlanCoveredUsage') then 'Committed'
            when usage_type like '%SpotUsage%' then 'Dynamic'
            else 'Standard'
        end as pricing_category,
        case
            when line_item_type = 'Tax' then null
            when line_item_type = 'SavingsPlanNegation' or is_discount then number('0')
            else amount
        end as pricing_quantity,
        case when line_item_type = 'Tax' then null else unit end as pricing_unit,
        region_id,
        region_name,
        resource_id,
        case when resource_id is not null then product_family end as resource_type,
        coalesce(lookup('aws_services', product_code, 'service_category'), 'Other') as service_category,
        coalesce(product_name, lookup('aws_services', product_code, 'service_name'), product_code) as service_name,
        'AWS' as service_provider_name,
        sku_id,
        usage_type as sku_meter,
        sku_price_id,
        sub_account_id,
        sub_account_name,
        tags,
        line_item_type as x_line_item_type,
        product_code as x_line_item_product_code,
        split_parent_id as x_split_line_item_parent_resource_id,
        case
            when is_split and billed <> number('0') then 'a split cost allocation row has a cost of its own, which its parent resource has too'
            when is_discount or line_item_type in (
                'Usage', 'DiscountedUsage', 'SavingsPlanCoveredUsage', 'SavingsPlanNegation', 'SavingsPlanRecurringFee',
                'SavingsPlanUpfrontFee', 'Fee', 'RIFee', 'Tax', 'Credit', 'Refund'
            ) then null
            else 'lineItem/LineItemType is empty or one that this mapping does not know'
        end as reject_reason
    from lines
),

unused_commitments as (
    select
        availability_zone,
        number('0') as billed_cost,
        billing_account_id,
        billing_account_name,
        billing_currency,
        billing_period_end,
        billing_period_start,
        'Usage' as charge_category,
        null as charge_class,
        charge_description,
        'Usage-Based' as charge_frequency,
        charge_period_end,
        charge_period_start,
        case when is_savings_plan then 'Spend' else 'Usage' end as commitment_discount_category,
        commitment_id as commitment_discount_id,
        'Unused' as commitment_discount_status,
        case when is_savings_plan then 'Savings Plan' else 'Reserved Instance' end as commitment_discount_type,
        null as consumed_quantity,
        null as consumed_unit,
        unused as contracted_cost,
        null as contracted_unit_price,
        unused as effective_cost,
        invoice_id,
        invoice_issuer_name,
        unused as list_cost,
        null as list_unit_price,
        marketplace,
        'Committed' as pricing_category,
        unused_quantity as pricing_quantity,
        unit as pricing_unit,
        region_id,
        region_name,
        resource_id,
        case when resource_id is not null then product_family end as resource_type,
        coalesce(lookup('aws_services', product_code, 'service_category'), 'Other') as service_category,
        coalesce(product_name, lookup('aws_services', product_code, 'service_name'), product_code) as service_name,
        'AWS' as service_provider_name,
        sku_id,
        usage_type as sku_meter,
        sku_price_id,
        sub_account_id,
        sub_account_name,
        tags,
        line_item_type as x_line_item_type,
        product_code as x_line_item_product_code,
        split_parent_id as x_split_line_item_parent_resource_id,
        null as reject_reason
    from lines
    where unused <> number('0')
)

select * from line_items
union all
select * from unused_commitments
