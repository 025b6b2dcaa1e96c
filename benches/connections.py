#!/usr/bin/env python3
"""Many connections: what idle ones cost, and whether half-open ones keep others out.

    python benches/connections.py [--binary target/release/ratehouse] [--idle 10000] [--half-open 2000]

Makes a warehouse in a temporary directory, serves it, and prints resident memory before and after so many idle logins, the time of a
query beside them, and then how long half-open sockets live and how long an honest login takes meanwhile. Needs PyPI `psycopg` and as
many file descriptors as connections (the script raises the limit where it may).
"""

import argparse
import concurrent.futures
import pathlib
import re
import resource
import socket
import statistics
import subprocess
import tempfile
import time

import psycopg
from harness import BINARY, PASSWORD


def resident_mib(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status).group(1)) / 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", type=pathlib.Path, default=BINARY)
    parser.add_argument("--idle", type=int, default=10_000)
    parser.add_argument("--half-open", type=int, default=2_000)
    arguments = parser.parse_args()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if most < max(arguments.idle, arguments.half_open) + 1_000:
        parser.error(f"this process may have {most} file descriptors: fewer connections fit")
    with tempfile.TemporaryDirectory() as folder:
        warehouse = pathlib.Path(folder) / "warehouse"
        password = pathlib.Path(folder) / "password"
        password.write_text(PASSWORD)
        init = [arguments.binary, "init", warehouse, "--root", "dist", "--admin", "admin", "--password-file", password]
        subprocess.run(init, check=True, stdout=subprocess.DEVNULL)
        limits = f"{arguments.idle + 100}"
        settings = [f"{name} = {limits}" for name in ("connections_max", "connections_per_login_max", "connections_per_node_max")]
        (warehouse / "ratehouse.toml").write_text("\n".join(settings) + "\n")
        serve = [arguments.binary, "serve", warehouse, "--listen", "127.0.0.1:0"]
        server = subprocess.Popen(serve, stdout=subprocess.PIPE, text=True)
        try:
            port = int(re.search(r":(\d+) ", server.stdout.readline()).group(1))
            measure(server.pid, port, arguments)
        finally:
            server.terminate()
            server.wait()


def measure(pid, port, arguments):
    def login(_=None):
        return psycopg.connect(host="127.0.0.1", port=port, user="admin", password=PASSWORD, dbname="ratehouse", autocommit=True)

    def query(connection):
        begin = time.perf_counter()
        connection.execute("select count(*) from charges").fetchall()
        return (time.perf_counter() - begin) * 1000

    first = login()
    alone = statistics.median(query(first) for _ in range(50))
    before = resident_mib(pid)
    begin = time.perf_counter()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        idle = list(pool.map(login, range(arguments.idle)))
    took = time.perf_counter() - begin
    after = resident_mib(pid)
    beside = statistics.median(query(first) for _ in range(50))
    print(f"{len(idle)} idle logins in {took:.0f} s: {before:.0f} MiB before, {after:.0f} MiB after, "
          f"{(after - before) * 1024 / len(idle):.1f} KiB each; a small query takes {alone:.1f} ms alone, {beside:.1f} ms beside them")
    for connection in idle:
        connection.close()

    sockets = []
    for _ in range(arguments.half_open):
        sockets.append(socket.create_connection(("127.0.0.1", port)))
    begin = time.perf_counter()
    times = []
    while time.perf_counter() - begin < 5:
        at = time.perf_counter()
        login().close()
        times.append((time.perf_counter() - at) * 1000)
    longest = 0.0
    for half_open in sockets:
        half_open.settimeout(30)
        half_open.recv(1)
        longest = time.perf_counter() - begin
    times.sort()
    print(f"{len(sockets)} half-open sockets: the last was closed after {longest:.1f} s; meanwhile {len(times)} logins, "
          f"median {statistics.median(times):.0f} ms, 99th percentile {times[int(len(times) * 0.99) - 1]:.0f} ms")


if __name__ == "__main__":
    main()
