"""Does a customer's query cost more when other customers' data grows ten times?

usage: growth.py ROWS [--dir DIR] [--binary PATH] [--runs N]

needs: a release build of ratehouse, ../shared/peer, PyPI duckdb and psycopg. Makes a month of ROWS rows and one of ten times as many
in which one customer has exactly the rows that it has in the first; lands both, and runs the customer's queries against both over
the wire. Prints landing's time per row of each, the median of each query's runs, and whether the answers are the same.
"""
import os
import shutil
import sys

import duckdb
import psycopg

from harness import PASSWORD, PEER, arguments, median, run, served, warehouse

CUSTOMER = "cust-23"
QUERIES = {
    "services of the month": "select service_name, sum(cost) from charges_monthly group by 1 order by 2 desc, 1",
    "day by day": "select charge_date, sum(cost), count(*) from charges_daily group by 1 order by 1",
    "SKUs": "select sku_id, sum(quantity), sum(cost) from charges_daily group by 1 order by 3 desc, 1 limit 20",
    "resources": "select resource_id, sum(cost) from charges group by 1 order by 2 desc, 1 limit 50",
    "one service, line by line": "select charge_period_start, resource_id, cost from charges where service_name = (select min(service_name) from charges_monthly) order by 3 desc, 1, 2 limit 100",
    "invoice lines": "select service_name, sum(amount) from invoice_lines group by 1 order by 1",
}


def months(rows, data):
    """Writes both months; the reference rows are the same."""
    small, large = os.path.join(data, "small"), os.path.join(data, "large")
    for directory, count in ((small, rows), (large, 10 * rows)):
        run("generate", [sys.executable, os.path.join(PEER, "make_month.py"), str(count), directory, "parquet"])
    con = duckdb.connect()
    con.execute(f"set threads=2; set timezone='UTC'; set memory_limit='8GB'; set temp_directory='{data}/spill'")
    own = f"(select sub_account_id from '{small}/accounts.csv' where node_id = '{CUSTOMER}')"
    con.execute(f"""
copy (from '{large}/focus_2026_10.parquet' where "SubAccountId" not in {own} union all
      from '{small}/focus_2026_10.parquet' where "SubAccountId" in {own})
to '{large}/month.parquet' (format parquet, compression zstd)""")
    os.replace(os.path.join(large, "month.parquet"), os.path.join(large, "focus_2026_10.parquet"))
    return small, large


def main():
    parser = arguments()
    parser.add_argument("--runs", type=int, default=11)
    options = parser.parse_args()
    rows, data = int(options.rows), os.path.join(options.dir, f"growth-{int(options.rows)}")
    shutil.rmtree(data, ignore_errors=True)
    medians, answers, per_row = [], [], []
    for directory, count in zip(months(rows, data), (rows, 10 * rows)):
        made = os.path.join(directory, "warehouse")
        password = warehouse(options.binary, directory, made)
        run(None, [options.binary, "user", "add", made, f"portal@{CUSTOMER}", "--node", CUSTOMER, "--role", "finance", "--password-file", password])
        seconds, _ = run("ratehouse land", [options.binary, "land", made, os.path.join(directory, "focus_2026_10.parquet")], count)
        run("ratehouse close", [options.binary, "close", made, "2026-10", "--json"])
        per_row.append(seconds / count)
        with served(options.binary, made) as port:
            pg = psycopg.connect(host="127.0.0.1", port=port, user=f"portal@{CUSTOMER}", password=PASSWORD, dbname="ratehouse", autocommit=True)
            times, rows_of = {}, {}
            for name, sql in QUERIES.items():
                times[name], rows_of[name] = median(options.runs, lambda: pg.execute(sql).fetchall())
            pg.close()
        medians.append(times)
        answers.append(rows_of)
    print(f"landing: {per_row[0] * 1e6:.1f} and {per_row[1] * 1e6:.1f} microseconds a row")
    for name in QUERIES:
        before, after = medians[0][name], medians[1][name]
        print(f"{name:28} {before * 1000:8.1f} ms {after * 1000:8.1f} ms   {after / before:5.2f}  ({len(answers[0][name])} rows)")
    same = answers[0] == answers[1]
    print(f"same answers: {same}")
    sys.exit(0 if same else 1)


if __name__ == "__main__":
    main()
