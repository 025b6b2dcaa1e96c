"""Reads the same charges from Ratehouse and from PostgreSQL, side by side in one run: exports, a point query, aggregates.

usage: postgres.py ROWS --postgres "host=... port=... user=... password=... dbname=..." [--dir DIR] [--binary PATH] [--seconds 5]

Lands a synthetic month, serves it, and copies the root's charges into a table of that PostgreSQL (indexed by account and start,
vacuumed). Exports are read as bytes from the socket by the same client, which decodes nothing; queries are pgbench's, prepared, with 1, 8
and 64 connections. Needs a release build, ../shared/peer, PostgreSQL 15 with its pgbench, PyPI psycopg and duckdb.
"""
import os
import re
import socket
import struct
import subprocess
import sys
import tempfile
import time

import psycopg
from harness import PASSWORD, PEER, arguments, run, served, warehouse

COLUMNS = {
    "charge_id": "text", "charge_period_start": "timestamptz", "sub_account_id": "text", "resource_id": "text",
    "service_category": "text", "service_name": "text", "sku_id": "text", "quantity": "numeric",
    "cost": "numeric", "price": "numeric", "cost_currency": "text",
}
NAMES = ", ".join(COLUMNS)
QUERIES = {
    "one account's rows of an hour": """
\\set account random(0, {accounts} - 1)
\\set hour random(0, 719)
select service_name, sku_id, quantity, cost, cost_currency from charges
 where sub_account_id = 'acct-' || lpad((:account)::text, 4, '0')
   and charge_period_start = timestamptz '2026-10-01 00:00:00+00' + (:hour) * interval '1 hour';
""",
    "one account's month by service": """
\\set account random(0, {accounts} - 1)
select service_category, count(*), sum(cost) from charges
 where sub_account_id = 'acct-' || lpad((:account)::text, 4, '0') group by service_category;
""",
    "everybody's month by service": "select service_category, count(*), sum(cost) from charges group by service_category;\n",
}


def message(kind, body):
    return kind + struct.pack("!i", len(body) + 4) + body


def read_all(connection, request):
    """Sends bytes and reads until the server is ready again; gives seconds and bytes."""
    with socket.socket(fileno=os.dup(connection.fileno())) as wire:
        wire.setblocking(True)
        buffer, total, tail = bytearray(1 << 20), 0, b""
        start = time.perf_counter()
        wire.sendall(request)
        while tail[-6:] != b"Z\0\0\0\x05I":
            count = wire.recv_into(buffer)
            if count == 0:
                sys.exit("the server closed the connection")
            total += count
            tail = (tail + bytes(buffer[max(0, count - 16):count]))[-16:]
        seconds = time.perf_counter() - start
        if total < 1000:
            sys.exit(f"no rows: {bytes(buffer[:total])!r}")
        return seconds, total


def exports(name, connection, rows):
    select = f"select {NAMES} from charges".encode()
    simple = lambda text: message(b"Q", text + b"\0")
    binary = (message(b"P", b"\0" + select + b"\0\0\0") + message(b"B", b"\0\0" + struct.pack("!hhhh", 0, 0, 1, 1))
              + message(b"E", b"\0" + struct.pack("!i", 0)) + message(b"S", b""))
    ways = {
        "rows in text": simple(select),
        "rows in binary": binary,
        "copy in text": simple(b"copy (" + select + b") to stdout"),
        "copy in csv": simple(b"copy (" + select + b") to stdout (format csv)"),
        "copy in binary": simple(b"copy (" + select + b") to stdout (format binary)"),
    }
    speeds = {}
    for way, request in ways.items():
        seconds, size = min(read_all(connection, request) for _ in range(3))
        speeds[way] = rows / seconds
        print(f"  {name:12} {way:16} {rows / seconds:12,.0f} rows/s {size / seconds / 1e6:8.0f} MB/s", flush=True)
    return speeds


def latencies(name, conninfo, script, seconds):
    """Milliseconds a query, by the number of connections."""
    found = {}
    parts = dict(part.split("=", 1) for part in conninfo.split())
    environment = {**os.environ, "PGHOST": parts["host"], "PGPORT": parts["port"], "PGUSER": parts["user"],
                   "PGPASSWORD": parts["password"], "PGDATABASE": parts["dbname"], "PGSSLMODE": "disable"}
    for clients in (1, 8, 64):
        command = ["pgbench", "-n", "-M", "prepared", "-f", script, "-c", str(clients), "-j", "1", "-T", str(seconds)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        match = re.search(r"latency average = ([\d.]+) ms", done.stdout)
        if done.returncode or not match:
            sys.exit(f"pgbench against {name} failed:\n{done.stdout}{done.stderr}")
        found[clients] = float(match.group(1))
    return found


def main():
    parser = arguments()
    parser.add_argument("--postgres", required=True)
    parser.add_argument("--seconds", type=int, default=5)
    options = parser.parse_args()
    rows, data = int(options.rows), os.path.join(options.dir, f"postgres-{int(options.rows)}")
    directory = os.path.join(data, "warehouse")
    run("generate", [sys.executable, os.path.join(PEER, "make_month.py"), str(rows), data, "csv"])
    warehouse(options.binary, data, directory)
    with open(os.path.join(directory, "ratehouse.toml"), "a") as file:
        file.write("connections_per_login_max = 100\n")
    run("land", [options.binary, "land", directory, os.path.join(data, "focus_2026_10.csv")], rows)
    with open(os.path.join(data, "accounts.csv")) as file:
        accounts = len(file.read().splitlines()) - 1
    with served(options.binary, directory) as port:
        ours = f"host=127.0.0.1 port={port} user=admin password={PASSWORD} dbname=ratehouse"
        theirs = options.postgres
        with psycopg.connect(ours + " sslmode=disable", autocommit=True) as from_us, \
                psycopg.connect(theirs + " sslmode=disable", autocommit=True) as into:
            into.execute("drop table if exists charges")
            into.execute(f"create table charges ({', '.join(' '.join(column) for column in COLUMNS.items())})")
            with from_us.cursor().copy(f"copy (select {NAMES} from charges) to stdout") as out, \
                    into.cursor().copy("copy charges from stdin") as back:
                for piece in out:
                    back.write(piece)
            into.execute("create index on charges (sub_account_id, charge_period_start)")
            into.execute("vacuum analyze charges")
            sums = "select count(*), sum(cost), sum(price), sum(quantity) from charges"
            answers = [connection.execute(sums).fetchone() for connection in (from_us, into)]
            print(f"{answers[0][0]:,} rows; sums {'agree to the last digit' if answers[0] == answers[1] else f'DIFFER: {answers}'}")
            speeds = [exports(name, connection, answers[0][0]) for name, connection in (("ratehouse", from_us), ("postgresql", into))]
            for way in speeds[0]:
                print(f"{way:34} {speeds[0][way] / speeds[1][way]:6.2f} x PostgreSQL's speed")
        for query, text in QUERIES.items():
            with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
                script.write(text.format(accounts=accounts))
                script.flush()
                found = [latencies(name, conninfo, script.name, options.seconds) for name, conninfo in (("ratehouse", ours), ("postgresql", theirs))]
            for clients, ms in found[0].items():
                print(f"{query:34} {clients:3} connections: {ms:9.2f} ms, PostgreSQL {found[1][clients]:9.2f} ms: {ms / found[1][clients]:6.2f} x its time", flush=True)


if __name__ == "__main__":
    main()
