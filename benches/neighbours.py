"""What another login's statements do to a small query: huge sorts that spill, clients that do not read.

usage: neighbours.py ROWS [--dir DIR] [--binary PATH]

Lands a synthetic month and serves it with two threads. A customer's small query runs 200 times alone and then beside each; prints the medians
and 95th percentiles in milliseconds. Needs a release build, ../shared/peer, PyPI psycopg.
"""
import contextlib
import os
import statistics
import sys
import threading
import time

import psycopg
from harness import PASSWORD, PEER, arguments, run, served, warehouse

SMALL = "select service_category, sum(cost) from charges_monthly group by service_category order by 1"
SORT = "select charge_id, resource_id, cost from charges order by resource_id desc, charge_id"
ROWS = b"select * from charges\0"


def sorting(login, stop):
    """Sorts everything again and again, and reads one row. Ten of them share one login's memory, which not all of them get."""
    with psycopg.connect(login, autocommit=True) as connection:
        while not stop.is_set():
            with contextlib.suppress(psycopg.errors.OutOfMemory):
                connection.execute(f"select max(cost) from ({SORT} limit 900000) t").fetchall()


def not_reading(login, stop):
    """Asks for everything and leaves it in the socket."""
    with psycopg.connect(login, autocommit=True) as connection:
        descriptor = connection.fileno()
        os.write(descriptor, b"Q" + (len(ROWS) + 4).to_bytes(4, "big") + ROWS)
        stop.wait()
        os.close(descriptor)


def timed(login):
    """Milliseconds of the small query, 200 times."""
    with psycopg.connect(login, autocommit=True) as connection:
        connection.execute(SMALL).fetchall()
        times = []
        for _ in range(200):
            start = time.perf_counter()
            connection.execute(SMALL).fetchall()
            times.append((time.perf_counter() - start) * 1000)
    return statistics.median(times), sorted(times)[190]


def main():
    options = arguments().parse_args()
    rows, data = int(options.rows), os.path.join(options.dir, f"neighbours-{int(options.rows)}")
    directory = os.path.join(data, "warehouse")
    run("generate", [sys.executable, os.path.join(PEER, "make_month.py"), str(rows), data, "csv"])
    warehouse(options.binary, data, directory)
    run(None, [options.binary, "sql", directory, "-c", f"create user customer password '{PASSWORD}' node 'cust-7' role finance"])
    run("land", [options.binary, "land", directory, os.path.join(data, "focus_2026_10.csv")], rows)
    with served(options.binary, directory) as port:
        login = lambda user: f"host=127.0.0.1 port={port} user={user} password={PASSWORD} dbname=ratehouse sslmode=disable"
        alone, tail = timed(login("customer"))
        print(f"{'alone':34} median {alone:6.2f} ms, 95th percentile {tail:6.2f} ms")
        for name, work, count in (("a sort", sorting, 1), ("ten sorts", sorting, 10), ("a client that does not read", not_reading, 1),
                                  ("ten clients that do not read", not_reading, 10)):
            stop = threading.Event()
            others = [threading.Thread(target=work, args=(login("admin"), stop), daemon=True) for _ in range(count)]
            for other in others:
                other.start()
            time.sleep(2)
            median, tail = timed(login("customer"))
            print(f"beside {name:27} median {median:6.2f} ms, 95th percentile {tail:6.2f} ms: {median / alone:.2f} x", flush=True)
            stop.set()
            with contextlib.suppress(RuntimeError):
                for other in others:
                    other.join(60)


if __name__ == "__main__":
    main()
