-- source: gcp_billing_export
-- title: Google Cloud billing export to BigQuery, standard and detailed
-- provider: Google Cloud
-- role: priced
-- detect: billing_account_id, service.description, sku.id, usage_start_time, cost, currency, invoice.month
-- required: usage_end_time
-- elements: credit = credits
-- conserved: billed_cost = cost + credits[].amount
-- timestamps: iso
-- numbers: cost, cost_at_list, currency_conversion_rate, usage.amount, usage.amount_in_pricing_units, price.effective_price, price.pricing_unit_quantity
--
-- Grain: one row per row of the export, and one more per element of credits: a credit is a row of its
-- own (category Credit) with its own amount, so that cost, credits and their sum are all there and
-- nothing is netted or cut off at zero. Fees of spend commitments have one more, with nothing billed.
-- JSON lines and Parquet as BigQuery extracts them, and flattened CSV with dotted names (credits and
-- labels then hold JSON) are read alike. The columns of the detailed export (resource, price) may be absent.
--
-- The billing period is invoice.month, whose day begins in America/Los_Angeles: 08:00 UTC from
-- December to March, 07:00 UTC from April to November. Late usage keeps its charge period and is in the
-- month that invoices it. Prices are per pricing_unit_quantity pricing units.
-- A row without cost_type is from before Google wrote one: regular.
--
-- Fees of committed use discounts are purchases; they are known by their SKUs and by their offsets. Google
-- bills what commitments cover in two ways (https://docs.cloud.google.com/docs/cuds-multiprice):
-- - Spend commitments by consumption models (from July 2025, all by January 2026, but for a few products):
--   covered usage costs the discounted price, and the part of the fee that was used comes back as a credit
--   FEE_UTILIZATION_OFFSET. So covered usage is billed what it effectively costs; the fee is a purchase without
--   effective cost and, once more, unused; its offset takes from that what was used. What is used and what is
--   left are together what was bought, to the last digit.
-- - Resource commitments and the other spend commitments by credits: covered usage costs the on-demand price,
--   which COMMITTED_USAGE_DISCOUNT or COMMITTED_USAGE_DISCOUNT_DOLLAR_BASE takes back. Nothing says what covered
--   usage amortises to, or of which commitment a credit is: credits.id is the name of its type, and only fees
--   have a subscription. So usage and credits are what they are for other credits, and the fee, which nothing
--   else carries, has its own cost as effective cost.
-- The commitment is subscription.instance_id, of which the standard export has none: there the consumption model
-- and the SKU of the fee stand for it.
-- project.labels become tags project/…, resource tags tag/…; system_labels keep their own names.

with rows as (
    select *, cast(null as varchar) as element, 'line' as part from source
    union all
    select *, 'credit' as part from credit
    union all
    select *, cast(null as varchar) as element, 'unused' as part from source
    where coalesce("cost_type", 'regular') = 'regular'
        and (lower("sku.description") like '%committed use discount%' or "credits" like '%"FEE_UTILIZATION_OFFSET"%')
),

lines as (
    select
        part,
        coalesce("cost_type", 'regular') as cost_type,
        case when part = 'credit' then number(element ->> 'amount') else number("cost") end as cost,
        case when part = 'line' then number("cost_at_list") end as cost_at_list,
        case when part = 'line' and coalesce("cost_type", 'regular') = 'regular' then number("usage.amount") end as usage_amount,
        case when part = 'line' and coalesce("cost_type", 'regular') = 'regular' then number("usage.amount_in_pricing_units") end as pricing_quantity,
        ratio(number("price.effective_price"), coalesce(nullif(number("price.pricing_unit_quantity"), number('0')), number('1'))) as effective_price,
        number("currency_conversion_rate") as conversion_rate,
        "currency_conversion_rate" as raw_conversion_rate,
        element ->> 'id' as credit_id,
        coalesce(element ->> 'full_name', element ->> 'name') as credit_name,
        element ->> 'type' as credit_type,
        coalesce((element ->> 'type') in ('COMMITTED_USAGE_DISCOUNT', 'COMMITTED_USAGE_DISCOUNT_DOLLAR_BASE'), false) as is_discount,
        coalesce((element ->> 'type') = 'FEE_UTILIZATION_OFFSET' and coalesce("cost_type", 'regular') = 'regular', false) as is_offset,
        coalesce("cost_type", 'regular') = 'regular' and coalesce(
            lower("sku.description") like '%committed use discount%' or "credits" like '%"FEE_UTILIZATION_OFFSET"%', false
        ) as is_fee_of_model,
        coalesce("cost_type", 'regular') = 'regular' and coalesce(lower("sku.description") like 'commitment%', false) as is_fee_of_credits,
        -- There are consumption models that no commitment has to do with.
        coalesce("cost_type", 'regular') = 'regular' and coalesce(
            "consumption_model.description" <> 'Default'
            and ("subscription.instance_id" is not null or "consumption_model.description" like '%CUD%'),
            false
        ) as is_of_model,
        regexp_like("invoice.month", '^[0-9]{4}(0[1-9]|1[0-2])$') as has_month,
        substr("invoice.month", 1, 4) as invoice_year,
        substr("invoice.month", 5, 2) as invoice_month,
        "adjustment_info.mode" as adjustment_mode,
        "billing_account_id" as billing_account_id,
        "consumption_model.description" as consumption_model,
        "consumption_model.id" as consumption_model_id,
        "currency" as billing_currency,
        "usage_start_time" as charge_period_start,
        "usage_end_time" as charge_period_end,
        "location.zone" as zone,
        coalesce("location.region", "location.location") as region,
        "project.id" as project_id,
        "project.name" as project_name,
        "resource.global_name" as resource_global_name,
        "resource.name" as resource_name,
        "seller_name" as seller_name,
        "service.description" as service_description,
        "service.id" as service_id,
        "sku.description" as sku_description,
        "sku.id" as sku_id,
        "subscription.instance_id" as subscription_id,
        "transaction_type" as transaction_type,
        "usage.pricing_unit" as pricing_unit,
        "usage.unit" as usage_unit,
        "labels" as raw_labels,
        join_tags(
            join_tags(tag_object("labels"), rename_tags(tag_object("project.labels"), '', 'project/')),
            join_tags(rename_tags(tag_object("tags"), '', 'tag/'), tag_object("system_labels"))
        ) as tags
    from rows
),

kinds as (
    select
        *,
        case
            when part = 'unused' or part = 'credit' and is_offset then 'unused'
            when part = 'credit' and is_discount then 'discount'
            when part = 'credit' then 'credit'
            when is_fee_of_model then 'fee_of_model'
            when is_fee_of_credits then 'fee_of_credits'
            when is_of_model then 'covered'
            else 'line'
        end as kind
    from lines
),

months as (
    select
        *,
        part = 'credit' and kind <> 'unused' as is_credit,
        kind in ('fee_of_model', 'fee_of_credits') as is_fee,
        kind in ('fee_of_model', 'unused', 'covered') as is_by_model,
        case when kind in ('line', 'covered') then usage_amount end as consumed_quantity,
        case when kind = 'fee_of_model' then number('0') else cost end as effective,
        concat(invoice_year, '-', invoice_month) as first_month,
        case
            when invoice_month = '12' then concat(cast(try_cast(invoice_year as bigint) + 1 as varchar), '-01')
            else concat(invoice_year, '-', lpad(cast(try_cast(invoice_month as bigint) + 1 as varchar), 2, '0'))
        end as next_month
    from kinds
)

select
    zone as availability_zone,
    case when part = 'unused' then number('0') else cost end as billed_cost,
    billing_account_id,
    billing_currency,
    case when has_month then concat(next_month, case when substr(next_month, 6) between '04' and '11' then '-01T07:00:00Z' else '-01T08:00:00Z' end) end as billing_period_end,
    case when has_month then concat(first_month, case when invoice_month between '04' and '11' then '-01T07:00:00Z' else '-01T08:00:00Z' end) end as billing_period_start,
    case
        when is_credit then 'Credit'
        when cost_type = 'tax' then 'Tax'
        when cost_type in ('adjustment', 'rounding_error') then 'Adjustment'
        when is_fee then 'Purchase'
        else 'Usage'
    end as charge_category,
    case when adjustment_mode is not null and not is_credit then 'Correction' end as charge_class,
    coalesce(credit_name, sku_description) as charge_description,
    case when is_credit or cost_type <> 'regular' then 'One-Time' when is_fee then 'Recurring' else 'Usage-Based' end as charge_frequency,
    charge_period_end,
    charge_period_start,
    case
        when is_by_model then 'Spend'
        when kind = 'fee_of_credits' then case when lower(sku_description) like 'commitment - dollar%' then 'Spend' else 'Usage' end
        when kind = 'discount' then case credit_type when 'COMMITTED_USAGE_DISCOUNT' then 'Usage' else 'Spend' end
    end as commitment_discount_category,
    case
        when kind = 'covered' then coalesce(subscription_id, consumption_model_id)
        when is_fee or is_by_model then coalesce(subscription_id, sku_id)
        when kind = 'discount' then coalesce(credit_id, credit_name)
    end as commitment_discount_id,
    case
        when kind = 'covered' then consumption_model
        when is_fee or is_by_model then sku_description
        when kind = 'discount' then credit_name
    end as commitment_discount_name,
    case kind when 'covered' then 'Used' when 'unused' then 'Unused' end as commitment_discount_status,
    case when is_fee or is_by_model or kind = 'discount' then 'Committed Use Discount' end as commitment_discount_type,
    consumed_quantity,
    case when consumed_quantity is not null then usage_unit end as consumed_unit,
    cost as contracted_cost,
    case when pricing_quantity is not null then effective_price end as contracted_unit_price,
    effective as effective_cost,
    coalesce(seller_name, 'Google Cloud') as invoice_issuer_name,
    coalesce(cost_at_list, cost) as list_cost,
    case when pricing_quantity is not null then ratio(cost_at_list, pricing_quantity) end as list_unit_price,
    transaction_type <> 'GOOGLE' as marketplace,
    case when kind in ('covered', 'unused') then 'Committed' when pricing_quantity is not null then 'Standard' end as pricing_category,
    case when conversion_rate is not null then 'USD' end as pricing_currency,
    ratio(effective, conversion_rate) as pricing_currency_effective_cost,
    pricing_quantity,
    case when pricing_quantity is not null then pricing_unit end as pricing_unit,
    region as region_id,
    region as region_name,
    coalesce(resource_global_name, resource_name) as resource_id,
    resource_name,
    coalesce(lookup('gcp_services', service_description, 'service_category'), 'Other') as service_category,
    service_description as service_name,
    'Google Cloud' as service_provider_name,
    sku_id,
    sku_description as sku_meter,
    project_id as sub_account_id,
    project_name as sub_account_name,
    tags,
    adjustment_mode as x_adjustment_info_mode,
    consumption_model as x_consumption_model_description,
    consumption_model_id as x_consumption_model_id,
    cost_type as x_cost_type,
    credit_id as x_credit_id,
    credit_type as x_credit_type,
    raw_conversion_rate as x_currency_conversion_rate,
    service_id as x_service_id,
    subscription_id as x_subscription_instance_id,
    transaction_type as x_transaction_type,
    case when raw_labels <> '[]' and tag_object(raw_labels) is null then raw_labels end as x_unparsed_labels,
    case
        when has_month is not true then 'invoice.month is empty or no month such as 202311'
        when cost_type not in ('regular', 'tax', 'adjustment', 'rounding_error') then 'cost_type is one that this mapping does not know'
    end as reject_reason
from months
