"""Lands, rates and closes a synthetic month in Ratehouse and does the same work in DuckDB, side by side in one run.

usage: month.py ROWS [--dir DIR] [--binary PATH] [--keep]

needs: a release build of ratehouse, ../shared/peer (generator and DuckDB job), PyPI duckdb. Prints one line a step with
seconds, rows per second and peak memory, then whether every invoice amount and total agrees to the last digit.
"""
import json
import os
import shutil
import subprocess
import sys
from decimal import Decimal, getcontext

from harness import PEER, TABLES, arguments, run, warehouse

getcontext().prec = 60


def main():
    parser = arguments()
    parser.add_argument("--keep", action="store_true", help="use the files of an earlier run")
    options = parser.parse_args()
    rows, data = int(options.rows), os.path.join(options.dir, f"month-{int(options.rows)}")
    directory = os.path.join(data, "warehouse")
    if not (options.keep and os.path.exists(os.path.join(data, "rate_rules.csv"))):
        run("generate", [sys.executable, os.path.join(PEER, "make_month.py"), str(rows), data, "csv"])
    usage = os.path.join(data, "focus_2026_10.csv")
    print(f"{rows:,} rows, {os.path.getsize(usage) / 1e9:.2f} GB of CSV")
    binary = options.binary
    warehouse(binary, data, directory)
    land, _ = run("ratehouse land (usage and charges)", [binary, "land", directory, usage], rows)
    close, _ = run("ratehouse close", [binary, "close", directory, "2026-10", "--json"], rows)

    copy = f"""
import duckdb
con = duckdb.connect()
con.execute("set threads=2; set memory_limit='12GB'; set timezone='UTC'; set temp_directory='{data}/spill'")
types = {{c: 'decimal(38,18)' for c in ('ListCost', 'ContractedCost', 'EffectiveCost', 'BilledCost', 'ListUnitPrice', 'ContractedUnitPrice', 'PricingQuantity', 'ConsumedQuantity')}}
con.execute(f\"\"\"copy (select * from read_csv('{usage}', header=true, types={{types}}) order by "BillingAccountId", "SubAccountId", "ChargePeriodStart")
  to '{data}/peer.parquet' (format parquet, compression zstd, row_group_size 131072)\"\"\")
"""
    peer_copy, _ = run("duckdb copy to sorted parquet", [sys.executable, "-c", copy], rows)
    peer_data = os.path.join(data, "peer")
    shutil.rmtree(peer_data, ignore_errors=True)
    os.makedirs(peer_data)
    for table in TABLES:
        shutil.copy(os.path.join(data, f"{table}.csv"), peer_data)
    shutil.move(os.path.join(data, "peer.parquet"), os.path.join(peer_data, "focus_2026_10.parquet"))
    peer_process, text = run("duckdb close (whole process)", [sys.executable, os.path.join(PEER, "duckdb_close.py"), peer_data, "2"], rows)
    peer_close = float(text.splitlines()[0].split(": ")[1].split()[0])
    print(f"  {text.strip().splitlines()[0]}")
    expected = eval(text.strip().splitlines()[1], {"Decimal": Decimal})

    answer = subprocess.run([binary, "sql", directory, "--format", "json", "-c", """
select sum(case when depth = 0 then amount end) as provider, sum(case when depth = 1 then amount end) as reseller,
       sum(case when depth = 2 then amount end) as customer, sum(case when depth = 2 then usage_rows end) as usage_rows
from tiers_monthly where billing_period = date '2026-10-01'"""], capture_output=True, text=True, check=True).stdout
    ours = json.loads(answer)
    amounts = subprocess.run([binary, "sql", directory, "--format", "json", "-c", """
with line as (
  select node_id, service_name, charge_category, round(sum(amount), 2) as amount from tiers_monthly
  where depth = 2 and billing_period = date '2026-10-01' group by node_id, seller_node_id, service_name, charge_category)
select count(*) as lines, sum(amount) as amount from line"""], capture_output=True, text=True, check=True).stdout
    lines = json.loads(amounts)
    got = (int(lines["lines"]), Decimal(ours["provider"]), Decimal(ours["reseller"]), Decimal(ours["customer"]), Decimal(lines["amount"]), int(ours["usage_rows"]))
    wanted = (int(expected[0]), *(Decimal(str(e)) for e in expected[1:5]), int(expected[5]))
    print(f"same answer: {got == wanted}")
    if got != wanted:
        print(f"  ratehouse {got}\n  duckdb    {wanted}")
    print(f"close: {peer_close / close:.1f} x faster than duckdb's close (its process as a whole: {peer_process / close:.1f} x)")
    print(f"land: {peer_copy / land:.2f} x duckdb's copy; land + close: {(peer_copy + peer_close) / (land + close):.2f} x duckdb's copy + close")
    if got != wanted:
        sys.exit(1)


if __name__ == "__main__":
    main()
