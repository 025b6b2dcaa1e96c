#!/usr/bin/env python3
"""Compares decimal arithmetic with PostgreSQL 15, side by side, on random operands.

    python3 tests/postgres_decimals.py [--rows 12000] [--seed 20260315]

Starts a private PostgreSQL in a temporary folder, computes the same expressions there and in Ratehouse (the example
`numeric_shell` of the crate `udfs`), and compares every value as a number. Exit status 0: all equal; 1: differences;
0 with the word SKIPPED where PostgreSQL 15 is not installed.

Exceptions, each checked and counted rather than left out:
- Ratehouse keeps at most 38 digits after the point. Where PostgreSQL's own result has more (a * b * c has 54), the value
  must be PostgreSQL's rounded half away from zero to 38 digits; for a quotient, the exact quotient rounded that way.
- A result that does not fit the type (20 digits before the point for sums and totals of numeric(38,18), 38 for quotients,
  40 for products) must be an error in Ratehouse; PostgreSQL has room for it.
- Ratehouse has no display scale per value: after a division, scales are compared only as numbers. Expressions that divide a
  quotient again are not part of the comparison.
"""

import argparse
import contextlib
import csv
import os
import pathlib
import random
import shutil
import socket
import subprocess
import sys
import tempfile
from decimal import ROUND_HALF_UP, Context, Decimal
from fractions import Fraction

ROOT = pathlib.Path(__file__).resolve().parent.parent
CONTEXT = Context(prec=400)
TEN = Decimal(10)
LAST_DIGIT = Decimal("1e-38")

# (expression, digits before the point that its type holds, exact value of a quotient if it is one)
EXPRESSIONS = [
    ("a * b", 40, None),
    ("case when b = 0 then null else a / b end", 38, lambda r: r["b"] and Fraction(r["a"]) / Fraction(r["b"])),
    ("case when c = 0 then null else a * b / c end", 38,
     lambda r: r["c"] and Fraction(r["a"]) * Fraction(r["b"]) / Fraction(r["c"])),
    ("a * b * c", 38, None),
    ("a + b", 20, None),
    ("a - b", 20, None),
    ("a + b * c", 40, None),
    ("case when b = 0 then null else a % b end", 20, None),
    ("round(a, 2)", 36, None),
    ("round(a * b, 4)", 40, None),
    ("case when b = 0 then null else round(a / b, 6) end", 38, None),
    ("a * 1.15", 40, None),
    ("a * 0.000123", 40, None),
    ("a / 3.00", 38, lambda r: Fraction(r["a"]) / 3),
    ("a / 7", 38, lambda r: Fraction(r["a"]) / 7),
    ("a / 123456789.123456789", 38, lambda r: Fraction(r["a"]) / Fraction("123456789.123456789")),
    ("case when b = 0 then null else 1 / b end", 38, lambda r: r["b"] and 1 / Fraction(r["b"])),
    ("case when b = 0 then null else 99.95 / b end", 38, lambda r: r["b"] and Fraction("99.95") / Fraction(r["b"])),
    ("a * (1 + 15 / 100.0)", 38, None),
    ("-a * b", 40, None),
    ("abs(a) * 2", 40, None),
    ("ceil(a)", 38, None),
    ("floor(a)", 38, None),
    ("trunc(a, 3)", 38, None),
]

AGGREGATES = [
    ("sum(a)", 20, None),
    ("sum(b)", 20, None),
    ("sum(a * b)", 40, None),
    ("avg(b)", 38, lambda rows: mean(rows, lambda r: Fraction(r["b"]))),
    ("avg(a)", 38, lambda rows: mean(rows, lambda r: Fraction(r["a"]))),
    ("avg(b * c)", 38, lambda rows: mean(rows, lambda r: Fraction(r["b"]) * Fraction(r["c"]))),
    ("sum(distinct b)", 20, None),
    ("avg(id)", 38, lambda rows: mean(rows, lambda r: Fraction(r["id"]))),
    ("sum(id)", 38, None),
    ("sum(b * 0.0000001) / count(b)", 38, lambda rows: mean(rows, lambda r: Fraction(r["b"]) / 10**7)),
]


def mean(rows, value):
    values = [value(row) for row in rows]
    return sum(values) / len(values)


def operand(rng, is_extreme):
    """A numeric(38,18) as text: money-like, tiny, huge, or any number of digits on both sides."""
    kind = rng.random()
    if is_extreme and kind < 0.2:
        unscaled = rng.choice([10**38 - 1, 10**38 - rng.randrange(1, 10**6), 10**37, 1, 9, 0, 10**18, 5 * 10**17, 25 * 10**16])
    elif kind < 0.5:
        unscaled = rng.randrange(10**7) * 10 ** (18 - rng.randrange(7))
    else:
        unscaled = rng.randrange(10 ** rng.randrange(1, 39 if is_extreme else 25))
    sign = "-" if rng.random() < 0.4 else ""
    digits = str(unscaled).rjust(19, "0")
    return f"{sign}{digits[:-18]}.{digits[-18:]}"


def write_operands(path, rows, seed):
    rng = random.Random(seed)
    operands = []
    for identifier in range(1, rows + 1):
        is_extreme = rng.random() < 0.3
        a, b, c = (operand(rng, is_extreme) for _ in range(3))
        operands.append({"id": str(identifier), "g": str(identifier % 97), "a": a, "b": b, "c": c})
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, ["id", "g", "a", "b", "c"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(operands)
    for row in operands:
        row.update({name: Decimal(row[name]) for name in "abc"})
    return operands


class Postgres:
    """A private server that ends with the block."""

    def __init__(self, binaries, folder):
        self.binaries, self.folder = binaries, folder
        self.user = "pgtest" if os.getuid() == 0 else None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]

    def run(self, *command):
        command = [f"{self.binaries}/{command[0]}", *command[1:]]
        if self.user:
            command = ["runuser", "-u", self.user, "--", *command]
        return subprocess.run(command, check=True, capture_output=True, text=True, cwd=self.folder).stdout

    def __enter__(self):
        if self.user:
            if subprocess.run(["id", self.user], capture_output=True).returncode != 0:
                subprocess.run(["useradd", "-m", self.user], check=True)
            shutil.chown(self.folder, self.user)
        self.run("initdb", "-D", f"{self.folder}/data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8")
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c fsync=off -c unix_socket_directories={self.folder}"
        subprocess_log = f"{self.folder}/log"
        self.run("pg_ctl", "-D", f"{self.folder}/data", "-l", subprocess_log, "-o", options, "-w", "start")
        return self

    def __exit__(self, *_):
        self.run("pg_ctl", "-D", f"{self.folder}/data", "-m", "immediate", "-w", "stop")

    def sql(self, text):
        connection = f"host=127.0.0.1 port={self.port} user=postgres dbname=postgres"
        return self.run("psql", connection, "-qAt", "-F", ",", "-v", "ON_ERROR_STOP=1", "-c", text).splitlines()


class Ratehouse:
    """The shell with this repository's functions."""

    def __init__(self, operands):
        # With the package that the tests are built for: alone, the crate would need another build of the engine below it.
        build = ["cargo", "build", "-q", "-p", "ratehouse", "-p", "ratehouse-udfs", "--example", "numeric_shell", "-j2"]
        subprocess.run(build, check=True, cwd=ROOT)
        target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
        shell = target / "debug" / "examples" / "numeric_shell"
        self.process = subprocess.Popen([shell, operands], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def sql(self, text, may_fail=False):
        """The rows, or None for an error; other errors than overflows end the comparison unless they are expected."""
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()
        rows = []
        while (line := self.process.stdout.readline().rstrip("\n")) != ".":
            if line.startswith("!"):
                if not may_fail and "out of range" not in line and "verflow" not in line:
                    sys.exit(f"{text}\n{line}")
                rows = None
            elif rows is not None:
                rows.append(line)
        return rows

    def close(self):
        self.process.stdin.close()
        self.process.wait()

    def by_id(self, expression, count, refused):
        """Values by id. Rows that are expected to be errors are asked for one by one, the runs between them at once."""
        values, start = {}, 1
        for identifier in [*sorted(refused), count + 1]:
            if start < identifier:
                values.update(self.between(expression, start, identifier - 1))
            if identifier <= count:
                values.update(self.between(expression, identifier, identifier))
            start = identifier + 1
        return values

    def between(self, expression, low, high):
        """Values of a range of ids; a row whose value is an error is found by halving."""
        # All columns are selected: DataFusion moves a narrower select list below the filter, and then computes (and fails
        # on) rows that were not asked for.
        rows = self.sql(f"select id, a, b, c, {expression} from operands where id between {low} and {high}")
        if rows is not None:
            return {line.split(",", 1)[0]: line.rsplit(",", 1)[1] for line in rows}
        if low == high:
            return {str(low): "error"}
        middle = (low + high) // 2
        return {**self.between(expression, low, middle), **self.between(expression, middle + 1, high)}


@contextlib.contextmanager
def side_by_side(binaries):
    """PostgreSQL and Ratehouse, for expressions over values that a query spells out."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        operands = f"{folder}/operands.csv"
        with open(operands, "w") as file:
            file.write("id\n1\n")
        with contextlib.closing(Ratehouse(operands)) as ratehouse, Postgres(binaries, folder) as postgres:
            yield postgres, ratehouse


def quoted(text):
    """A literal."""
    return "'" + text.replace("'", "''") + "'"


def rounded(fraction):
    """An exact quotient, rounded half away from zero to 38 digits after the point."""
    scaled = abs(fraction) * 10**38
    unscaled = (2 * scaled.numerator + scaled.denominator) // (2 * scaled.denominator)
    return CONTEXT.scaleb(Decimal(unscaled if fraction >= 0 else -unscaled), -38)


class Report:
    """Counts, and the first differences of each expression."""

    def __init__(self):
        self.compared = self.beyond = self.refused = self.differences = 0

    def check(self, where, theirs, ours, digits, exact):
        self.compared += 1
        if theirs == "" or ours == "":
            return self.expect(where, theirs, ours, theirs == ours)
        expected = Decimal(theirs)
        if expected.copy_abs() >= TEN**digits:
            self.refused += 1
            return self.expect(where, f"an error for {theirs}", ours, ours == "error")
        if -expected.as_tuple().exponent > 38:
            self.beyond += 1
            expected = rounded(exact()) if exact else expected.quantize(LAST_DIGIT, ROUND_HALF_UP, CONTEXT)
        if ours == "error":
            return self.expect(where, theirs, ours, False)
        return self.expect(where, expected, ours, expected == Decimal(ours))

    def expect(self, where, theirs, ours, is_equal):
        if not is_equal:
            self.differences += 1
            if self.differences <= 20:
                print(f"DIFFERENT {where}: PostgreSQL {theirs}, Ratehouse {ours}")


def compare(postgres, ratehouse, operands):
    report = Report()
    by_id = {row["id"]: row for row in operands}
    for expression, digits, exact in EXPRESSIONS:
        theirs = dict(line.split(",", 1) for line in postgres.sql(f"select id, {expression} from operands"))
        refused = [int(key) for key, value in theirs.items() if value and Decimal(value).copy_abs() >= TEN**digits]
        ours = ratehouse.by_id(expression, len(operands), refused)
        assert theirs.keys() == ours.keys() == by_id.keys(), expression
        for key, value in theirs.items():
            row = by_id[key]
            report.check(f"{expression} of row {row}", value, ours[key], digits, exact and (lambda: exact(row)))
    for expression, digits, exact in AGGREGATES:
        lines = postgres.sql(f"select g, {expression} from operands group by g")
        for key, value in (line.split(",", 1) for line in lines):
            rows = ratehouse.sql(f"select g, {expression} from operands where g = {key} group by g")
            ours = "error" if rows is None else rows[0].split(",", 1)[1]
            members = [row for row in operands if row["g"] == key]
            report.check(f"{expression} of group {key}", value, ours, digits, exact and (lambda: exact(members)))
    return report


def postgres_15():
    """Where PostgreSQL 15 is; says so where it is not."""
    path = "/usr/lib/postgresql/15/bin"
    if os.path.exists(f"{path}/postgres"):
        return path
    print(f"SKIPPED: no PostgreSQL 15 in {path} (apt-get install postgresql-15)")
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=12_000)
    parser.add_argument("--seed", type=int, default=20260315)
    arguments = parser.parse_args()
    binaries = postgres_15()
    if binaries is None:
        return 0
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        operands_path = f"{folder}/operands.csv"
        operands = write_operands(operands_path, arguments.rows, arguments.seed)
        ratehouse = Ratehouse(operands_path)
        with Postgres(binaries, folder) as postgres:
            version = postgres.sql("show server_version")[0]
            postgres.sql("create table operands (id bigint, g bigint, a numeric(38,18), b numeric(38,18), c numeric(38,18))")
            postgres.sql(f"copy operands from '{operands_path}' (format csv, header)")
            report = compare(postgres, ratehouse, operands)
        ratehouse.close()
    print(
        f"{report.compared} values compared with PostgreSQL {version} (seed {arguments.seed}): "
        f"{report.differences} differences; {report.beyond} beyond 38 digits after the point, "
        f"{report.refused} do not fit and are refused"
    )
    return 1 if report.differences else 0


if __name__ == "__main__":
    sys.exit(main())
