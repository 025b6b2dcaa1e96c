"""Lands months of synthetic usage, simulates a draft of a rate card over all of them, and rates the same months anew by it.

usage: simulate.py ROWS [--months 12] [--card dist-to-3] [--dir DIR] [--binary PATH] [--keep] [--only-simulate]

needs: a release build of ratehouse, ../shared/peer (generator). ROWS is of each month. Prints one line a step with seconds, rows
per second and peak memory; the time of a simulation is that of the query, over an open connection (PyPI psycopg 3). Every card with one
version is simulated by that version, which must give what rating the months gave, within 1e-9. Then the same months land in a warehouse in which the draft is the only version of its card, are rated anew there, and every amount of every edge, month
and node must be the simulated one within 1e-9.
"""
import csv
import os
import shutil
import sys
from decimal import Decimal

from harness import PASSWORD, PEER, TABLES, arguments, median, run, served, warehouse

RUNS = 5
SECONDS_MAX = 2.0
DRAFT = "9"


def written_draft(data, card):
    """Writes a draft of a card: every price of its version 1 a twentieth higher, and one by the hour. Gives the file."""
    with open(os.path.join(data, "rate_rules.csv")) as file:
        rules = [row for row in csv.DictReader(file) if row["card_id"] == card and row["version"] == "1"]
    path = os.path.join(data, "draft.csv")
    with open(path, "w", newline="") as file:
        rows = csv.DictWriter(file, fieldnames=rules[0].keys())
        rows.writeheader()
        for at, rule in enumerate(rules):
            if rule["method"] == "markup_pct":
                rule["value"] = str(Decimal(rule["value"]) + 5)
            if at == len(rules) // 2:
                rule.update(method="unit_price", value="0.25", base="")
            rows.writerow({**rule, "version": DRAFT})
    return path


def draft_of(data, directory, binary, card):
    """The draft in a warehouse in which the card's versions hold."""
    insert = f"insert into ref.rate_card_versions (card_id, version, valid_from) values ('{card}', {DRAFT}, '2030-01-01')"
    run(None, [binary, "sql", directory, "-c", insert])
    run(None, [binary, "sql", directory, "-c", "copy ref.rate_rules from stdin with (format csv, header)"], stdin=written_draft(data, card))


def only_draft(data, card):
    """The reference rows of `data` beside them, with the draft as the only version of its card. Gives their directory."""
    anew = data + "-anew"
    os.makedirs(anew, exist_ok=True)
    for table in TABLES:
        shutil.copy(os.path.join(data, f"{table}.csv"), anew)
    draft = csv.DictReader(open(os.path.join(data, "draft.csv")))
    for table, new in (("rate_card_versions", [{"card_id": card, "version": DRAFT, "valid_from": "2000-01-01T00:00:00Z"}]), ("rate_rules", list(draft))):
        with open(os.path.join(data, f"{table}.csv")) as file:
            rows = csv.DictReader(file)
            kept, names = [row for row in rows if row["card_id"] != card], rows.fieldnames
        with open(os.path.join(anew, f"{table}.csv"), "w", newline="") as file:
            written = csv.DictWriter(file, fieldnames=names)
            written.writeheader()
            written.writerows(kept + new)
    return anew


def as_charged(connection, first, last):
    """Simulates all cards that have one version by it: what comes out is what was charged. Gives cards, lines and the largest difference."""
    cards = connection.execute("select card_id, min(version) from ref.rate_card_versions group by 1 having count(*) = 1").fetchall()
    lines, furthest = 0, Decimal(0)
    for card, version in cards:
        sums = f"""select coalesce(sum(usage_rows), 0), coalesce(max(abs(simulated - charged)), 0)
                   from simulate_rate_card('{card}', {version}, '{first}', '{last}')"""
        rows, difference = connection.execute(sums).fetchone()
        lines, furthest = lines + rows, max(furthest, difference)
    return len(cards), lines, furthest


def main():
    parser = arguments()
    parser.add_argument("--months", type=int, default=12)
    parser.add_argument("--card", default="dist-to-3")
    parser.add_argument("--keep", action="store_true", help="use the files and the warehouse of an earlier run")
    parser.add_argument("--only-simulate", action="store_true", help="do not rate the months anew")
    options = parser.parse_args()
    rows, binary = int(options.rows), options.binary
    data = os.path.join(options.dir, f"simulate-{rows}-{options.months}")
    directory = os.path.join(data, "warehouse")
    if not (options.keep and os.path.exists(os.path.join(data, "rate_rules.csv"))):
        run("generate", [sys.executable, os.path.join(PEER, "make_month.py"), str(rows), data, "parquet", "--months", str(options.months)])
    files = sorted(name for name in os.listdir(data) if name.startswith("focus_"))
    if not (options.keep and os.path.exists(directory)):
        warehouse(binary, data, directory)
        draft_of(data, directory, binary, options.card)
        for name in files:
            run(f"land {name}", [binary, "land", directory, os.path.join(data, name)], rows)
    months = [name[6:13].replace("_", "-") for name in files]
    first, last = min(months), max(months)

    import psycopg
    edges = f"""select billing_period, seller_node_id, buyer_node_id, node_id, currency, simulated, charged, unrated_rows, source
                from simulate_rate_card('{options.card}', {DRAFT}, '{first}', '{last}')"""
    with served(binary, directory) as port:
        with psycopg.connect(f"host=127.0.0.1 port={port} user=admin password={PASSWORD} dbname=ratehouse") as connection:
            seconds, answer = median(RUNS, lambda: connection.execute(edges).fetchall())
            cards, lines, furthest = as_charged(connection, first, last)
    total = rows * len(files)
    print(f"{'simulate ' + options.card:34} {seconds:8.2f} s  {total:,} lines, {len(answer):,} results, from {sorted({row[8] for row in answer})}")
    print(f"{cards} cards by the version that priced {lines:,} charges: furthest from what was charged {furthest}")
    if furthest > Decimal("1e-9"):
        sys.exit("a simulation differs from what was charged")
    if total >= 12 * 100_000_000 and seconds > SECONDS_MAX:
        sys.exit(f"a simulation takes more than {SECONDS_MAX} s")
    if options.only_simulate:
        return
    simulated = {row[:5]: row[5] for row in answer}

    # The same months where the draft holds alone; a policy about tags changes no price and has all rated anew.
    anew_data = only_draft(data, options.card)
    other = os.path.join(anew_data, "warehouse")
    warehouse(binary, anew_data, other)
    for name in files:
        run(f"land {name} by the draft", [binary, "land", other, os.path.join(data, name)], rows)
    policy = "insert into ref.tag_policies (owner_node_id, policy_id, policy) values ('dist', 'bench', '{\"tags\": {\"bench\": {}}}')"
    run(None, [binary, "sql", other, "-c", policy])
    anew, _ = run("rate the months anew", [binary, "sql", other, "-c", "set statement_timeout = 0; call refresh()"], total)
    charged = f"""select billing_period, seller_node_id, buyer_node_id, node_id, currency, charged
                  from simulate_rate_card('{options.card}', {DRAFT}, '{first}', '{last}')"""
    with served(binary, other) as port:
        with psycopg.connect(f"host=127.0.0.1 port={port} user=admin password={PASSWORD} dbname=ratehouse") as connection:
            # What was charged is the sum of what rating wrote; the tiers say the same by edge.
            rated = {row[:5]: row[5] for row in connection.execute(charged).fetchall()}
            tiers = connection.execute("""select billing_period, seller_node_id, payer_node_id, sum(amount) from tiers_monthly
                                          where depth > 0 and outcome = 'billed' group by 1, 2, 3""").fetchall()
    sums = {}
    for (period, seller, buyer, _, _), amount in rated.items():
        sums[period, seller, buyer] = sums.get((period, seller, buyer), 0) + amount
    edge_wrong = [key for *key, amount in tiers if tuple(key) in sums and abs(sums[tuple(key)] - amount) > 0]
    wrong = [key for key in simulated.keys() | rated.keys() if abs(simulated.get(key, 0) - rated.get(key, 0)) > Decimal("1e-9")]
    worst = max((abs(simulated.get(key, 0) - rated.get(key, 0)) for key in simulated.keys() | rated.keys()), default=0)
    print(f"amounts: {len(simulated):,}, furthest from those rated anew {worst}, more than 1e-9: {len(wrong)}; edges that do not add up: {len(edge_wrong)}")
    print(f"simulate: {anew / seconds:,.0f} x faster than rating the months anew")
    if wrong or edge_wrong or not simulated:
        sys.exit(1)


if __name__ == "__main__":
    main()
