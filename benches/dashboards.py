"""Ten dashboard queries of a reseller over twelve months, in Ratehouse over the wire and in DuckDB in its own process.

usage: dashboards.py ROWS_A_MONTH [--dir DIR] [--binary PATH] [--keep] [--runs N]

needs: a release build of ratehouse, ../shared/peer, PyPI duckdb and psycopg. DuckDB gets what a good engineer would give it: the
same charges and roll-ups as one Parquet file a table, priced already, sorted by reseller, customer and date. Both use two threads;
prints the median of N runs of each query (after one that does not count) and whether the answers agree to the last digit.
"""
import glob
import os
import re
import shutil
import statistics
import sys
import time
from decimal import Decimal

import duckdb
import psycopg

from harness import PASSWORD, PEER, arguments, median, run, served, warehouse

RESELLER, CUSTOMER = "reseller-3", "cust-23"
# Names on both sides: the relation, and (where they differ) the column of the customer's price.
QUERIES = {
    "month by month": "select billing_period, sum(cost), sum(price) from charges_monthly {w} group by 1 order by 1",
    "customers of a month": "select node_id, sum(cost), sum(price), sum(price) - sum(cost) from charges_monthly {w} and billing_period = date '2026-10-01' group by 1 order by 4 desc, 1 limit 10",
    "top services of the year": "select service_name, sum(price) from charges_monthly {w} group by 1 order by 2 desc, 1 limit 10",
    "categories by month": "select billing_period, charge_category, sum(price), sum(usage_rows) from charges_monthly {w} group by 1, 2 order by 1, 2",
    "customer by service and month": "select billing_period, service_name, sum(price) from charges_monthly {w} and node_id = '{customer}' group by 1, 2 order by 1, 2",
    "days of a quarter": "select charge_date, sum(cost), sum(price) from charges_daily {w} and charge_date >= date '2026-08-01' group by 1 order by 1",
    "regions of a month": "select region_id, service_category, sum(price) from charges_daily {w} and billing_period = date '2026-10-01' group by 1, 2 order by 1, 2",
    "SKUs of a customer": "select sku_id, sum(quantity), sum(price) from charges_daily {w} and node_id = '{customer}' group by 1 order by 3 desc, 1 limit 20",
    "an account day by day": "select charge_date, sum(price) from charges_daily {w} and sub_account_id = '{account}' group by 1 order by 1",
    "resources of a customer": "select resource_id, sum(price) from charges {w} and node_id = '{customer}' and billing_period = date '2026-10-01' group by 1 order by 2 desc, 1 limit 50",
}


def peer_tables(lake, target, con):
    """Writes DuckDB's tables from the charges: priced for the reseller's tier, sorted as its queries select."""
    for table, date in (("charges", "charge_period_start"), ("charges_daily", "charge_date"), ("charges_monthly", "service_name")):
        files = os.path.join(lake, table, "**", "*.parquet")
        names = [row[0] for row in con.execute(f"describe from read_parquet('{files}')").fetchall()]
        kept = ", ".join(name for name in names if not re.fullmatch(r"(price_\d|(currency|outcome|rule|fx_rate)_[3-8])", name))
        con.execute(f"""
copy (select split_part(node_path, '/', 2) as reseller_id, {kept}, price_1 as cost, price_2 as price
      from read_parquet('{files}') order by reseller_id, node_id, {date})
to '{target}/{table}.parquet' (format parquet, compression zstd, row_group_size 122880)""")


def plain(rows):
    return [tuple(Decimal(value).normalize() if isinstance(value, (int, Decimal)) else str(value) for value in row) for row in rows]


def main():
    parser = arguments()
    parser.add_argument("--keep", action="store_true", help="use the warehouse of an earlier run")
    parser.add_argument("--runs", type=int, default=7)
    options = parser.parse_args()
    rows, data = int(options.rows), os.path.join(options.dir, f"year-{int(options.rows)}")
    directory, peer = os.path.join(data, "warehouse"), os.path.join(data, "peer")
    con = duckdb.connect()
    con.execute(f"set threads=2; set timezone='UTC'; set memory_limit='8GB'; set temp_directory='{data}/spill'")
    if not (options.keep and os.path.isdir(directory)):
        shutil.rmtree(data, ignore_errors=True)
        run("generate", [sys.executable, os.path.join(PEER, "make_month.py"), str(rows), data, "parquet", "--months", "12"])
        password = warehouse(options.binary, data, directory)
        run("ratehouse user add", [options.binary, "user", "add", directory, f"finance@{RESELLER}", "--node", RESELLER, "--role", "finance", "--password-file", password])
        files = sorted(glob.glob(os.path.join(data, "focus_*.parquet")))
        run("ratehouse land", [options.binary, "land", directory, *files], 12 * rows)
    if not (options.keep and os.path.isdir(peer)):
        os.makedirs(peer, exist_ok=True)
        start = time.perf_counter()
        peer_tables(os.path.join(directory, "hot"), peer, con)
        print(f"duckdb's tables written in {time.perf_counter() - start:.1f} s")
    with served(options.binary, directory) as port:
        pg = psycopg.connect(host="127.0.0.1", port=port, user=f"finance@{RESELLER}", password=PASSWORD, dbname="ratehouse", autocommit=True)
        account = pg.execute(f"select sub_account_id from charges_daily where node_id = '{CUSTOMER}' order by 1 limit 1").fetchone()[0]
        for table in ("charges", "charges_daily", "charges_monthly"):
            con.execute(f"create view {table} as from '{peer}/{table}.parquet'")
        ratios, same = [], True
        print(f"{'query':32} {'ratehouse':>12} {'duckdb':>12}   duckdb / ratehouse")
        for name, text in QUERIES.items():
            own, theirs = (text.format(w=where, customer=CUSTOMER, account=account) for where in ("where true", f"where reseller_id = '{RESELLER}'"))
            ours, answer = median(options.runs, lambda: pg.execute(own).fetchall())
            other, expected = median(options.runs, lambda: con.execute(theirs).fetchall())
            equal = plain(answer) == plain(expected)
            same &= equal
            ratios.append(other / ours)
            print(f"{name:32} {ours * 1000:9.1f} ms {other * 1000:9.1f} ms   {other / ours:6.2f} {'' if equal else 'DIFFERENT'} ({len(answer)} rows)", flush=True)
        print(f"median: {statistics.median(ratios):.2f} x DuckDB's speed; same answers: {same}")
    sys.exit(0 if same else 1)


if __name__ == "__main__":
    main()
