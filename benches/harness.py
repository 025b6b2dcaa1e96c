"""What the side-by-side scripts share: running a command with its cost, and a warehouse with the peer's reference data."""
import argparse
import contextlib
import os
import shutil
import socket
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
PEER = os.path.join(ROOT, "..", "shared", "peer")
TABLES = ("nodes", "accounts", "rate_cards", "rate_card_versions", "rate_rules")
BINARY = os.path.join(os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "target")), "release", "ratehouse")
PASSWORD = "bench-password"


def arguments():
    """A parser with what every script takes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("rows", type=float)
    parser.add_argument("--dir", default="/tmp/ratehouse-bench")
    parser.add_argument("--binary", default=BINARY)
    return parser


def median(runs, query):
    """The median seconds of a query's runs after one that does not count, and its answer."""
    answer, seconds = query(), []
    for _ in range(runs):
        start = time.perf_counter()
        query()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds), answer


def run(step, command, rows=None, stdin=None):
    """Runs a command; prints and gives its seconds and its output. Memory is the peak of its process."""
    start = time.perf_counter()
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.dup2(write, 1)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2) if step is None else None
        if stdin:
            os.dup2(os.open(stdin, os.O_RDONLY), 0)
        os.execvp(command[0], command)
    os.close(write)
    with os.fdopen(read, "rb") as output:
        text = output.read().decode()
    _, status, usage = os.wait4(pid, 0)
    seconds = time.perf_counter() - start
    if status:
        sys.exit(f"{step or ' '.join(command[:3])} failed:\n{text}")
    if step:
        speed = f"{rows / seconds:14,.0f} rows/s" if rows else ""
        print(f"{step:34} {seconds:8.2f} s  {usage.ru_utime + usage.ru_stime:8.2f} cpu s  {usage.ru_maxrss / 1024:8.0f} MiB {speed}", flush=True)
    return seconds, text


def warehouse(binary, data, directory):
    """Makes a warehouse in `directory` with the reference rows of `data`, all card versions active."""
    shutil.rmtree(directory, ignore_errors=True)
    password = os.path.join(data, "password")
    with open(password, "w") as file:
        file.write(PASSWORD)
    run(None, [binary, "init", directory, "--root", "dist", "--admin", "admin", "--password-file", password])
    for table in TABLES:
        run(None, [binary, "sql", directory, "-c", f"copy ref.{table} from stdin with (format csv, header)"],
            stdin=os.path.join(data, f"{table}.csv"))
    with open(os.path.join(data, "rate_card_versions.csv")) as file:
        versions = [line.split(",")[:2] for line in file.read().splitlines()[1:]]
    submits = ";".join(f"call submit('rate_card_version', '{card}/{version}', 'bench')" for card, version in versions)
    run(None, [binary, "sql", directory, "-c", submits])
    return password


@contextlib.contextmanager
def served(binary, directory):
    """Serves a warehouse with two threads; gives the port once connections are accepted."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen([binary, "serve", directory, "--listen", f"127.0.0.1:{port}"], stdout=subprocess.DEVNULL,
                              env={**os.environ, "RATEHOUSE_THREADS": "2"})
    try:
        for _ in range(200):
            with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
                break
            time.sleep(0.05)
        yield port
    finally:
        server.terminate()
        server.wait()
