#!/usr/bin/env python3
"""DuckDB reads a warehouse through the catalog's DuckLake views, now and at a past snapshot.

    python3 tests/ducklake.py [target/debug/ratehouse]

Builds a small warehouse with the real program: a distributor, a reseller, two customers, a real FOCUS file, then a changed delivery
of part of it. What the official ducklake extension reads is compared, to the last digit, with what Python's decimal computes from
the two files. Needs duckdb and two of its extensions from PyPI; they are put in a virtual environment of their own under
$RATEHOUSE_TEST_CACHE or ~/.cache/ratehouse-tests and loaded from there (DuckDB itself downloads nothing). Exit status 77: they
cannot be had.
"""
import collections
import csv
import decimal
import importlib.util
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import venv

ROOT = pathlib.Path(__file__).resolve().parent.parent
VERSION = "1.5.5"
PACKAGES = [f"{name}=={VERSION}" for name in ("duckdb", "duckdb-extension-ducklake", "duckdb-extension-sqlite-scanner")]
EXTENSIONS = ("sqlite_scanner", "ducklake")
SKIPPED = 77
SAMPLE = ROOT / "data" / "focus" / "focus_1_0_sample.csv"
ACCOUNT = "1234567890123"  # AWS; its deliveries come twice
D = decimal.Decimal
decimal.getcontext().prec = 60

REFERENCE = {
    "nodes": "node_id,parent_id,kind,name,currency\nreseller,root,reseller,Reseller,USD\ncustomer,reseller,customer,Customer,USD\n",
    "accounts": f"provider_name,billing_account_id,node_id\nAWS,{ACCOUNT},customer\n",
    "rate_cards": "card_id,seller_node_id,buyer_node_id,currency,name\nwholesale,root,reseller,USD,Wholesale\nretail,reseller,customer,USD,Retail\n",
    "rate_card_versions": "card_id,version,valid_from\nwholesale,1,2024-01-01T00:00:00Z\nretail,1,2024-01-01T00:00:00Z\n",
    "rate_rules": "card_id,version,rule_id,priority,method,value,base,scope\n"
    "wholesale,1,all,0,markup_pct,10,billed,node\nretail,1,all,0,markup_pct,20,cost,node\n",
}


def skip(reason):
    print(f"skipped: {reason}")
    sys.exit(SKIPPED)


def with_duckdb():
    """Goes on in a Python that has duckdb and its extensions, made when there is none."""
    if importlib.util.find_spec("duckdb_extension_ducklake") and importlib.util.find_spec("duckdb_extension_sqlite_scanner"):
        import duckdb

        if duckdb.__version__ == VERSION:
            return duckdb
    cache = os.environ.get("RATEHOUSE_TEST_CACHE") or pathlib.Path.home() / ".cache" / "ratehouse-tests"
    home = pathlib.Path(cache) / f"duckdb-{VERSION}"
    python = home / "bin" / "python"
    if pathlib.Path(sys.prefix) == home:
        skip(f"{home} lacks duckdb {VERSION}; remove it and try again")
    if not (home / "complete").exists():
        shutil.rmtree(home, ignore_errors=True)
        try:
            venv.create(home, with_pip=True)
        except (subprocess.CalledProcessError, OSError):
            skip("python3 cannot make a virtual environment (python3-venv)")
        install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PACKAGES]
        if subprocess.run(install).returncode != 0:
            shutil.rmtree(home, ignore_errors=True)
            skip(f"packages are not reachable: {', '.join(PACKAGES)}")
        (home / "complete").touch()
    os.execv(python, [python, *sys.argv])


def connect(duckdb):
    connection = duckdb.connect()
    connection.execute("set autoinstall_known_extensions = false")
    for name in EXTENSIONS:
        package = pathlib.Path(importlib.util.find_spec(f"duckdb_extension_{name}").origin).parent
        (path,) = package.glob(f"extensions/*/{name}.duckdb_extension")
        connection.execute(f"load '{path}'")
    return connection


class Warehouse:
    def __init__(self, program, directory):
        self.program, self.directory = program, directory

    def run(self, *arguments, given=None):
        done = subprocess.run([self.program, *map(str, arguments)], input=given, capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"{arguments} failed: {done.stdout}{done.stderr}")
        return done.stdout

    def sql(self, statement, given=None):
        return self.run("sql", self.directory, "--format", "csv", "-c", statement, given=given)

    def head(self):
        return int(self.sql("select max(snapshot_id) from ops.snapshots").split()[1])

    def build(self):
        self.run("init", self.directory, "--root", "root", "--admin", "admin")
        for table, rows in REFERENCE.items():
            self.sql(f"copy ref.{table} from stdin with (format csv, header)", rows)
        for card in "wholesale", "retail":
            self.sql(f"call submit('rate_card_version', '{card}/1', 'terms')")


def read(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def changed(rows):
    """A later delivery of one account: without every seventh row, and dearer."""
    later = [dict(row) for row in rows if row["BillingAccountId"] == ACCOUNT]
    del later[::7]
    for row in later:
        for column in "BilledCost", "EffectiveCost", "ListCost", "ContractedCost":
            row[column] = str(D(row[column]) * 3)
    return later


def key(row):
    return row["ProviderName"], row["BillingAccountId"], row["BillingPeriodStart"][:10]


def expected(*deliveries):
    """By slice, of the newest delivery that has it: rows, exact sums, and what usage of the account costs the reseller."""
    slices = {}
    for rows in deliveries:
        of_delivery = collections.defaultdict(lambda: [0, D(0), D(0), D(0), D(0)])
        for row in rows:
            found = of_delivery[key(row)]
            found[0] += 1
            for at, column in enumerate(("BilledCost", "EffectiveCost", "ListCost"), 1):
                found[at] += D(row[column])
            if row["BillingAccountId"] == ACCOUNT and row["ChargeCategory"] == "Usage":
                found[4] += D(row["BilledCost"]) * D("1.1")
        slices.update(of_delivery)
    return {name: tuple(sums) for name, sums in slices.items()}


SLICE = "provider_name, billing_account_id, billing_period::varchar"
RESELLER_PAYS = "coalesce(sum(price_1) filter (where charge_category = 'Usage' and outcome_1 = 'billed'), 0)"
EDGES = (
    "sum(usage_rows) filter (where depth = 0), sum(amount) filter (where depth = 0), "
    "coalesce(sum(amount) filter (where depth = 1 and charge_category = 'Usage' and outcome = 'billed'), 0)"
)
LAYERS = {
    "usage": "count(*), sum(billed_cost), sum(effective_cost), sum(list_cost)",
    "charges": f"count(*), sum(price_0), sum(effective_cost), sum(list_cost), {RESELLER_PAYS}",
    "charges_daily": f"sum(usage_rows), sum(price_0), sum(effective_cost), sum(list_cost), {RESELLER_PAYS}",
    "charges_monthly": f"sum(usage_rows), sum(price_0), sum(effective_cost), sum(list_cost), {RESELLER_PAYS}",
    "charges_by_terms": f"sum(usage_rows), sum(price_0), sum(effective_cost), sum(list_cost), {RESELLER_PAYS}",
}


class Check:
    """Compares, counts, and remembers what differs."""

    def __init__(self, connection):
        self.connection, self.compared, self.differences = connection, 0, []

    def equal(self, what, found, wanted):
        self.compared += 1
        if found != wanted:
            self.differences.append(f"{what}: DuckDB reads {found}, the files say {wanted}")

    def rows(self, sql):
        return self.connection.execute(sql).fetchall()

    def state(self, when, version, slices):
        at = f" at (version => {version})" if version else ""
        for table, sums in LAYERS.items():
            found = {row[:3]: row[3:] for row in self.rows(f"select {SLICE}, {sums} from lake.{table}{at} group by all")}
            wanted = {name: values[: len(sums.split(", ")) if table == "usage" else 5] for name, values in slices.items()}
            self.equal(f"{table} {when}", found, wanted)
        found = {row[:3]: row[3:] for row in self.rows(f"select {SLICE}, {EDGES} from lake.edges_monthly{at} group by all")}
        self.equal(f"edges_monthly {when}", found, {name: (v[0], v[1], v[4]) for name, v in slices.items()})
        total = sum(values[0] for values in slices.values())
        self.equal(f"usage {when}, counted", self.rows(f"select count(*) from lake.usage{at}"), [(total,)])
        # Files are left out by their statistics here, and none too many may be.
        for (provider, account, period), values in slices.items():
            where = f"provider_name = '{provider}' and billing_account_id = '{account}' and billing_period = date '{period}'"
            found = self.rows(f"select count(*), sum(billed_cost) from lake.usage{at} where {where}")
            self.equal(f"usage {when} where {where}", found, [values[:2]])

    def refused(self, statement):
        import duckdb

        try:
            self.rows(statement)
        except duckdb.Error:
            self.compared += 1
            return
        self.differences.append(f"{statement}: was not refused")


def days(check, rows):
    """Ranges of instants, which prune files and row groups by statistics."""
    for day in "2024-09-10", "2024-09-20", "2024-09-30":
        wanted = [row for row in rows if row["ChargePeriodStart"] >= day]
        found = check.rows(f"select count(*), sum(billed_cost) from lake.usage where charge_period_start >= timestamptz '{day} 00:00:00+00'")
        check.equal(f"usage from {day}", found, [(len(wanted), sum((D(row["BilledCost"]) for row in wanted), D(0)))])


def attach(check, directory, options="read_only"):
    check.rows(f"attach 'ducklake:sqlite:{directory}/catalog.sqlite' as lake ({options})")


def main():
    duckdb = with_duckdb()
    program = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("CARGO_BIN", ROOT / "target/debug/ratehouse")).resolve()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        warehouse = Warehouse(program, pathlib.Path("warehouse"))
        warehouse.build()
        first = read(SAMPLE)
        warehouse.run("land", warehouse.directory, SAMPLE)
        past = warehouse.head()
        second = changed(first)
        with open("later.csv", "w", newline="") as file:
            writer = csv.DictWriter(file, first[0].keys())
            writer.writeheader()
            writer.writerows(second)
        warehouse.run("land", warehouse.directory, "later.csv")
        head = warehouse.head()

        check = Check(connect(duckdb))
        attach(check, warehouse.directory)
        check.state("now", None, expected(first, second))
        check.state("at the snapshot of the first delivery", past, expected(first))
        replaced = {key(row) for row in second}
        days(check, [row for row in first if key(row) not in replaced] + second)
        check.equal("rows before any delivery", check.rows(f"select count(*) from lake.usage at (version => {past - 1})"), [(0,)])
        check.equal("snapshots", check.rows("select count(*), max(snapshot_id) from ducklake_snapshots('lake')"), [(head, head)])
        check.equal("row ids", check.rows("select count(distinct rowid) = count(*) from lake.usage"), [(True,)])
        for statement in "delete from lake.usage", "insert into lake.usage (sku_id) values ('x')", "create table lake.more (i int)":
            check.refused(statement)

        # The same directory elsewhere: named to DuckDB, or found after the program has opened it once.
        check.rows("detach lake")
        moved = warehouse.directory.rename("moved")
        attach(check, moved, "read_only, data_path 'moved/', override_data_path true")
        check.state("after a move", None, expected(first, second))
        check.rows("detach lake")
        warehouse.directory = moved
        warehouse.run("verify", moved)
        attach(check, moved)
        check.state("after a move and an opening", None, expected(first, second))

        # Attached for writing by mistake: DuckDB cannot commit to views.
        check.rows("detach lake")
        attach(check, moved, "data_path 'moved/', override_data_path true")
        for statement in "insert into lake.usage (sku_id) values ('x')", "delete from lake.usage", "drop table lake.usage", "create table lake.more (i int)":
            check.refused(statement)
        check.rows("detach lake")
        warehouse.run("verify", moved)
        check.equal("the head after all this", warehouse.head(), head)

    for difference in check.differences:
        print(f"DIFFERENT {difference}")
    print(f"DuckDB {duckdb.__version__}: {check.compared} comparisons, {len(check.differences)} differences")
    return 1 if check.differences else 0


if __name__ == "__main__":
    sys.exit(main())
