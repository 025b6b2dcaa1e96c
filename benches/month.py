"""Lands, rates and closes a synthetic month in Ratehouse and does the same work in DuckDB, side by side in one run.

usage: month.py ROWS [--dir DIR] [--binary PATH] [--keep]

needs: a release build of ratehouse, ../shared/peer (generator and DuckDB job), PyPI duckdb. Prints one line a step with
seconds, rows per second and peak memory, then whether every invoice amount and total agrees to the last digit.
"""
import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from decimal import Decimal, getcontext

getcontext().prec = 60
HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
PEER = os.path.join(ROOT, "..", "shared", "peer")
TABLES = ("nodes", "accounts", "rate_cards", "rate_card_versions", "rate_rules")


def run(step, command, rows=None, stdin=None, env=None):
    """Runs a command; gives its seconds, peak memory in MiB and output."""
    start = time.perf_counter()
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.dup2(write, 1)
        if stdin:
            os.dup2(os.open(stdin, os.O_RDONLY), 0)
        os.environ.update(env or {})
        os.execvp(command[0], command)
    os.close(write)
    with os.fdopen(read, "rb") as output:
        text = output.read().decode()
    _, status, usage = os.wait4(pid, 0)
    seconds = time.perf_counter() - start
    if status:
        sys.exit(f"{step} failed:\n{text}")
    speed = f"{rows / seconds:14,.0f} rows/s" if rows else ""
    print(f"{step:34} {seconds:8.2f} s  {usage.ru_utime + usage.ru_stime:8.2f} cpu s  {usage.ru_maxrss / 1024:8.0f} MiB {speed}", flush=True)
    return seconds, text


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("rows", type=float)
    parser.add_argument("--dir", default="/tmp/ratehouse-bench")
    parser.add_argument("--binary", default=os.path.join(os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "target")), "release", "ratehouse"))
    parser.add_argument("--keep", action="store_true", help="use the files of an earlier run")
    options = parser.parse_args()
    rows, data = int(options.rows), os.path.join(options.dir, f"month-{int(options.rows)}")
    warehouse = os.path.join(data, "warehouse")
    if not (options.keep and os.path.exists(os.path.join(data, "rate_rules.csv"))):
        run("generate", [sys.executable, os.path.join(PEER, "make_month.py"), str(rows), data, "csv"])
    shutil.rmtree(warehouse, ignore_errors=True)
    usage = os.path.join(data, "focus_2026_10.csv")
    print(f"{rows:,} rows, {os.path.getsize(usage) / 1e9:.2f} GB of CSV")
    password = os.path.join(data, "password")
    with open(password, "w") as file:
        file.write("bench-password")
    binary = options.binary
    run("ratehouse init", [binary, "init", warehouse, "--root", "dist", "--admin", "admin", "--password-file", password])
    for table in TABLES:
        run(f"ratehouse copy ref.{table}", [binary, "sql", warehouse, "-c", f"copy ref.{table} from stdin with (format csv, header)"],
            stdin=os.path.join(data, f"{table}.csv"))
    with open(os.path.join(data, "rate_card_versions.csv")) as file:
        versions = [line.split(",")[:2] for line in file.read().splitlines()[1:]]
    submits = ";".join(f"call submit('rate_card_version', '{card}/{version}', 'bench')" for card, version in versions)
    run("ratehouse submit cards", [binary, "sql", warehouse, "-c", submits])
    land, _ = run("ratehouse land (usage and charges)", [binary, "land", warehouse, usage], rows)
    close, _ = run("ratehouse close", [binary, "close", warehouse, "2026-10", "--json"], rows)

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

    answer = subprocess.run([binary, "sql", warehouse, "--format", "json", "-c", """
select sum(case when depth = 0 then amount end) as provider, sum(case when depth = 1 then amount end) as reseller,
       sum(case when depth = 2 then amount end) as customer, sum(case when depth = 2 then usage_rows end) as usage_rows
from tiers_monthly where billing_period = date '2026-10-01'"""], capture_output=True, text=True, check=True).stdout
    ours = json.loads(answer)
    amounts = subprocess.run([binary, "sql", warehouse, "--format", "json", "-c", """
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
