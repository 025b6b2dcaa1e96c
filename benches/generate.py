"""Writes synthetic months of FOCUS 1.4 usage, 52 columns, for benchmarks of any size.

usage: generate.py ROWS OUTDIR [--months N] [--tenants N] [--format csv|parquet] [--seed N]        (needs PyPI duckdb)

Deterministic: the same arguments give the same content. Rows are spread over tenants and SKUs like Zipf's law (the top few
tenants hold half of them), hourly, with resource ids and JSON tags; months end with October 2026, ROWS each. Amounts have at most
9 decimals. Accounts and the hierarchy are those of the peer job (../shared/peer/make_month.py), so its reference rows fit.
"""
import argparse
import os

import duckdb

parser = argparse.ArgumentParser()
parser.add_argument("rows", type=float)
parser.add_argument("outdir")
parser.add_argument("--months", type=int, default=1)
parser.add_argument("--tenants", type=int, default=1000)
parser.add_argument("--format", default="csv", choices=["csv", "parquet"])
parser.add_argument("--seed", type=int, default=0)
options = parser.parse_args()
os.makedirs(options.outdir, exist_ok=True)
con = duckdb.connect()
con.execute("set preserve_insertion_order=false; set memory_limit='8GB'; set timezone='UTC'")
how = "format parquet, compression zstd, row_group_size 500000" if options.format == "parquet" else "format csv, header"
months = [row[0] for row in con.execute(f"select (date '2026-10-01' - to_months(i::int))::date from range({options.months}) t(i) order by 1").fetchall()]
for number, month in enumerate(months):
    con.execute(f"""
copy (
  with line as (
    select hash(i + {number}::bigint * 1000000007 + {options.seed}) a, hash(i * 7 + 1 + {number} + {options.seed}) b,
           hash(i * 13 + 5 + {number} + {options.seed}) c
    from range({int(options.rows)}) t(i)
  ), pick as (
    -- Zipf: the rank's probability falls with 1/rank
    select *, least(floor(exp((a % 1000000) / 1000000.0 * ln({options.tenants} + 1)))::int - 1, {options.tenants} - 1) as tenant,
           least(floor(exp((b % 1000000) / 1000000.0 * ln(121)))::int - 1, 119) as nth
    from line
  ), sku as (
    select *, ((tenant * 37 + nth * 101) % 3000)::int as sku,
           case when tenant % 10 < 5 then 'AWS' when tenant % 10 < 8 then 'Microsoft' else 'Google Cloud' end as provider
    from pick
  ), price as (
    select *, (((sku * 7919) % 100000 + 7) / 100000.0)::decimal(18, 5) as unit_price,
      ((c // 100 % 100000) / 1000.0)::decimal(18, 3) as qty,
      timestamp '{month}' + to_days((c % day(last_day(date '{month}')))::int) + to_hours((c // 31 % 24)::int) as start_at,
      case when c % 100 < 90 then 'Usage' when c % 100 < 94 then 'Purchase' when c % 100 < 97 then 'Tax' else 'Credit' end as category
    from sku
  ), cost as (
    select *, (case category when 'Credit' then -1 else 1 end * qty * unit_price)::decimal(38, 18) as list_cost from price
  )
  select
    provider as "ServiceProviderName", provider as "HostProviderName", provider as "InvoiceIssuerName",
    'payer-' || (tenant % 20) as "BillingAccountId", 'payer-' || (tenant % 20) as "BillingAccountName", 'Payer' as "BillingAccountType",
    'USD' as "BillingCurrency",
    strftime(timestamp '{month}', '%Y-%m-%dT%H:%M:%SZ') as "BillingPeriodStart",
    strftime(timestamp '{month}' + interval 1 month, '%Y-%m-%dT%H:%M:%SZ') as "BillingPeriodEnd",
    strftime(start_at, '%Y-%m-%dT%H:%M:%SZ') as "ChargePeriodStart",
    strftime(start_at + interval 1 hour, '%Y-%m-%dT%H:%M:%SZ') as "ChargePeriodEnd",
    'acct-' || lpad(tenant::varchar, 4, '0') as "SubAccountId", 'Account ' || tenant as "SubAccountName", 'Account' as "SubAccountType",
    category as "ChargeCategory", null::varchar as "ChargeClass", 'usage of sku ' || sku as "ChargeDescription",
    case category when 'Purchase' then 'One-Time' else 'Usage-Based' end as "ChargeFrequency",
    case when category in ('Usage', 'Purchase') then case when b % 100 < 70 then 'Standard' when b % 100 < 92 then 'Committed' else 'Dynamic' end end as "PricingCategory",
    ['Compute', 'Storage', 'Databases', 'Networking', 'AI and Machine Learning', 'Security', 'Analytics', 'Management and Governance'][1 + sku % 8] as "ServiceCategory",
    'Other (' || ['Compute', 'Storage', 'Databases', 'Networking', 'AI and Machine Learning', 'Security', 'Analytics', 'Management and Governance'][1 + sku % 8] || ')' as "ServiceSubcategory",
    'Service ' || (sku % 120) as "ServiceName",
    'sku-' || sku as "SkuId", 'sku-' || sku || '-price' as "SkuPriceId", 'meter ' || (sku % 700) as "SkuMeter",
    '{{"CoreCount":' || (1 + sku % 64) || '}}' as "SkuPriceDetails",
    'region-' || (b // 7 % 18) as "RegionId", 'Region ' || (b // 7 % 18) as "RegionName", 'region-' || (b // 7 % 18) || 'a' as "AvailabilityZone",
    'res-' || tenant || '-' || (b % 400) as "ResourceId", 'Resource ' || (b % 400) as "ResourceName", 'Instance' as "ResourceType",
    '{{"CostCenter":"CC-' || (1000 + (a // 11) % 40) || '","Project":"proj-' || ((a // 17) % 200) || '"}}' as "Tags",
    case category when 'Usage' then qty end as "ConsumedQuantity", case category when 'Usage' then 'Hours' end as "ConsumedUnit",
    qty as "PricingQuantity", 'Hours' as "PricingUnit", 'USD' as "PricingCurrency",
    unit_price as "ListUnitPrice", unit_price as "ContractedUnitPrice",
    unit_price as "PricingCurrencyListUnitPrice", unit_price as "PricingCurrencyContractedUnitPrice",
    (list_cost * 0.9)::decimal(38, 18) as "PricingCurrencyEffectiveCost",
    list_cost as "ListCost", list_cost as "ContractedCost", (list_cost * 0.9)::decimal(38, 18) as "EffectiveCost", (list_cost * 0.9)::decimal(38, 18) as "BilledCost",
    null::varchar as "CommitmentDiscountId", null::varchar as "CommitmentDiscountStatus", null::varchar as "CapacityReservationId",
    'inv-{month:%Y%m}-' || (tenant % 20) as "InvoiceId", 'cluster-' || (b % 7) as "x_Cluster"
  from cost
) to '{options.outdir}/focus_{month:%Y_%m}.{options.format}' ({how})
""")
    print(f"{options.outdir}/focus_{month:%Y_%m}.{options.format}", flush=True)
