"""Scores forecasts and anomalies as SQL gives them: lands a set as usage, asks for it, hands the answer to the scorers.

usage: insight.py forecast SET | anomaly SET | speed SERIES | views SERIES [--dir DIR] [--binary PATH]

needs: ../shared/insight (sets and scorers), numpy. SET is the name of a development set there, or the path of another one without
`.train.csv`, or of a directory with `series.csv`. Each series lands as a service of its own, each value as a charge; planned changes
are rows of ref.planned_changes. Prints what the scorer prints and the seconds of the query, start of the process and writing the
answer included.

`speed 100000` asks for forecasts and anomalies of so many series of 550 days, made by generate_series with weekday cycles and noise, and
prints the seconds and the largest memory of each process, beside those of a query that only reads them.

`views 10000` (needs ../shared/peer and PyPI duckdb) lands 18 months of so many services of 250 customers below 20 resellers, a charge a day
each, and asks the views as the root: anomalies once, once more, and again after a new day of usage has landed.
"""
import argparse
import calendar
import collections
import csv
import datetime
import json
import os
import shutil
import subprocess
import sys
import time

from harness import BINARY, PASSWORD, PEER, ROOT, run, warehouse

INSIGHT = os.path.join(ROOT, "..", "shared", "insight")
HEADER = (
    "BilledCost,BillingAccountId,BillingCurrency,BillingPeriodEnd,BillingPeriodStart,ChargeCategory,ChargePeriodEnd,ChargePeriodStart,"
    "EffectiveCost,ListCost,ContractedCost,InvoiceIssuerName,ProviderName,PublisherName,ServiceCategory,ServiceName,ConsumedQuantity,"
    "ConsumedUnit,PricingQuantity,PricingUnit,SubAccountId,ChargeDescription,ChargeFrequency,PricingCategory"
).split(",")
STEPS = {"D": "day", "W": "week", "M": "month", "h": "hour"}


def instant(text):
    return datetime.datetime.fromisoformat(text)


def until(start, step):
    """The end of a charge: of a month or a week too, its first day is its time."""
    return start + (datetime.timedelta(hours=1) if step == "h" else datetime.timedelta(days=1))


def init(binary, directory):
    """A new warehouse."""
    shutil.rmtree(directory, ignore_errors=True)
    os.makedirs(directory)
    password, place = (os.path.join(directory, name) for name in ("password", "warehouse"))
    with open(password, "w") as file:
        file.write(PASSWORD)
    subprocess.run([binary, "init", place, "--root", "dist", "--admin", "admin", "--password-file", password], check=True, stdout=subprocess.DEVNULL)
    return place


def land(binary, directory, series, step):
    """A new warehouse with a charge for each value."""
    place, usage = init(binary, directory), os.path.join(directory, "usage.csv")
    with open(usage, "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(HEADER)
        for row in csv.DictReader(open(series)):
            start = instant(row["ds"])
            month = start.replace(day=1, hour=0, minute=0)
            after = (month + datetime.timedelta(days=32)).replace(day=1)
            begin, end, first, last = (f"{at:%Y-%m-%dT%H:%M:%SZ}" for at in (start, until(start, step), month, after))
            cost = row["y"]
            rows.writerow([cost, "B1", "USD", last, first, "Usage", end, begin, cost, cost, cost, "Globex", "Globex", "Globex", "Compute",
                           row["unique_id"], 1, "Units", 1, "Units", "a1", "a value", "Usage-Based", "Standard"])
    subprocess.run([binary, "land", place, usage], check=True, stdout=subprocess.DEVNULL)
    return place


def plan(binary, place, planned):
    """The announced steps."""
    if not os.path.exists(planned):
        return
    rows = ["owner_node_id,plan_id,service_name,change_type,value,valid_from"]
    for at, row in enumerate(csv.DictReader(open(planned))):
        rows.append(f"dist,p{at},{row['unique_id']},percent,{float(row['pct']) * 100:.9f},{row['ds']}")
    copy = "copy ref.planned_changes from stdin with (format csv, header)"
    subprocess.run([binary, "sql", place, "-c", copy], input="\n".join(rows) + "\n", text=True, check=True, stdout=subprocess.DEVNULL)


PLANNED = "table ref.planned_changes"


def ask(binary, place, query):
    """The rows of a query as CSV."""
    start = time.perf_counter()
    answer = subprocess.run([binary, "sql", place, "-c", f"copy ({query}) to stdout with (format csv, header)"], check=True, text=True, capture_output=True)
    print(f"query {time.perf_counter() - start:.2f} s", flush=True)
    return list(csv.DictReader(answer.stdout.splitlines()))


def forecast(binary, directory, name):
    base = name if os.sep in name else os.path.join(INSIGHT, "forecast", name)
    folder, name = os.path.dirname(base), os.path.basename(base)
    kind = json.load(open(os.path.join(folder, "manifest.json")))[name]
    place = land(binary, directory, f"{base}.train.csv", kind["freq"])
    plan(binary, place, f"{base}.planned.csv")
    rows = ask(binary, place, (
        "select service_name, forecast_timestamp, forecast_value, confidence_level, prediction_interval_lower_bound as low, "
        "prediction_interval_upper_bound as high from forecast((select service_name, charge_date, cost from charges_daily), "
        f"data_col => 'cost', timestamp_col => 'charge_date', id_cols => array['service_name'], horizon => {kind['h']}, "
        f"frequency => '{STEPS[kind['freq']]}', confidence_level => array[0.8, 0.95], decimals => 9, planned => {PLANNED})"))
    answers = collections.defaultdict(dict)
    for row in rows:
        answer = answers[row["service_name"], row["forecast_timestamp"]]
        answer["yhat"] = row["forecast_value"]
        level = str(round(float(row["confidence_level"]) * 100))
        answer["lo" + level], answer["hi" + level] = row["low"], row["high"]
    path = os.path.join(directory, "forecast.csv")
    with open(path, "w", newline="") as file:
        written = csv.DictWriter(file, ["unique_id", "ds", "yhat", "lo80", "hi80", "lo95", "hi95"])
        written.writeheader()
        for (series, time_of), answer in answers.items():
            written.writerow({"unique_id": series, "ds": time_of, **answer})
    subprocess.run([sys.executable, os.path.join(INSIGHT, "score_forecast.py"), folder, name, path], check=True)


def anomaly(binary, directory, name):
    folder = name if os.sep in name else os.path.join(INSIGHT, "anomaly", name)
    step = json.load(open(os.path.join(folder, "meta.json")))["step"]
    place = land(binary, directory, os.path.join(folder, "series.csv"), step)
    plan(binary, place, os.path.join(folder, "planned.csv"))
    time_of, source = ("charge_period_start", "charges") if step == "h" else ("charge_date", "charges_daily")
    rows = ask(binary, place, (
        "select service_name, time_series_timestamp, is_anomaly, anomaly_score from detect_anomalies("
        f"(select service_name, {time_of}, cost from {source}), data_col => 'cost', timestamp_col => '{time_of}', "
        f"id_cols => array['service_name'], frequency => '{STEPS[step]}', decimals => 9, planned => {PLANNED})"))
    times = {row["ds"] for row in csv.DictReader(open(os.path.join(folder, "series.csv")))}
    path = os.path.join(directory, "flags.csv")
    with open(path, "w", newline="") as file:
        written = csv.writer(file)
        written.writerow(["unique_id", "ds", "is_anomaly", "score"])
        for row in rows:
            at = instant(row["time_series_timestamp"]).replace(tzinfo=None)
            written_as = next((text for text in (f"{at:%Y-%m-%d}", f"{at:%Y-%m-%dT%H:%M}") if text in times), None)
            if written_as:
                written.writerow([row["service_name"], written_as, row["is_anomaly"][0] == "t", row["anomaly_score"]])
    subprocess.run([sys.executable, os.path.join(INSIGHT, "score_anomaly.py"), folder, path], check=True)


SERIES = """(select cast(s as text) as id, date '2025-01-01' + cast(d as int) as day,
  cast(100 + s % 50 + case when d % 7 < 5 then 20 else 0 end + (s * 7919 + d * 104729 + s * d % 31) % 17 as decimal(38, 18)) as cost
  from generate_series(1, {series}) a(s) cross join generate_series(0, 549) b(d))"""
TIMED = {
    "read": "select count(*), sum(cost), count(distinct id) from {series} t",
    "forecast": "select count(*), sum(forecast_value) from forecast({series}, data_col => 'cost', timestamp_col => 'day', "
    "id_cols => array['id'], horizon => 31, confidence_level => array[0.8, 0.95])",
    "anomalies": "select count(*), sum(case when is_anomaly then 1 else 0 end) from detect_anomalies({series}, data_col => 'cost', "
    "timestamp_col => 'day', id_cols => array['id'])",
}


def speed(binary, directory, series):
    """Seconds and memory for so many series."""
    place = init(binary, directory)
    for name, query in TIMED.items():
        query = query.format(series=SERIES.format(series=int(series)))
        process = subprocess.Popen([binary, "sql", place, "-c", query], stdout=subprocess.PIPE, text=True)
        start = time.perf_counter()
        answer = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        if status:
            sys.exit(f"{name} failed")
        print(f"{name}: {time.perf_counter() - start:.1f} s, {used.ru_maxrss / 1048576:.1f} GB\n{answer}", flush=True)


VIEWS = {
    "forecasts": "select count(*), sum(forecast_value) from forecasts",
    "anomalies": "select count(*), sum(impact) from anomalies",
    "anomalies, once more": "select count(*), sum(impact) from anomalies",
    "spend_over_forecast": "select count(*), sum(actual) from spend_over_forecast",
}
MONTHS = 18


def usage(path, services, first, days):
    """Writes usage of a month as Parquet: 250 customers' services with a weekend and noise, on its first days."""
    import duckdb

    provider = "case when c % 10 < 5 then 'AWS' when c % 10 < 8 then 'Microsoft' else 'Google Cloud' end"
    instant = "strftime({}, '%Y-%m-%dT%H:%M:%SZ')".format
    duckdb.sql(f"""
        copy (
          with daily as (
            select (date '{first}' + i::int)::timestamp as day, c, s, hash(c * 1000003 + s * 7919 + epoch(day)::bigint) as noise
            from range({days}) d(i), range(250) a(c), range({services}) b(s)
          ), priced as (
            select *, ((20 + (c * 31 + s * 17) % 200) * case when dayofweek(day) in (0, 6) then 0.6 else 1 end
              * (0.95 + (noise % 1000) / 10000.0))::decimal(18, 4) as cost
            from daily
          )
          select {provider} as "ProviderName", {provider} as "InvoiceIssuerName", 'payer-' || (c % 20) as "BillingAccountId",
            'USD' as "BillingCurrency", {instant(f"timestamp '{first}'")} as "BillingPeriodStart",
            {instant(f"timestamp '{first}' + interval 1 month")} as "BillingPeriodEnd", {instant("day")} as "ChargePeriodStart",
            {instant("day + interval 1 day")} as "ChargePeriodEnd", 'acct-' || lpad(c::varchar, 4, '0') as "SubAccountId",
            'Usage' as "ChargeCategory", 'usage' as "ChargeDescription", 'Usage-Based' as "ChargeFrequency",
            'Standard' as "PricingCategory", 'Compute' as "ServiceCategory", 'Service ' || s as "ServiceName", 'sku-' || s as "SkuId",
            1 as "ConsumedQuantity", 'Hours' as "ConsumedUnit", 1 as "PricingQuantity", 'Hours' as "PricingUnit",
            cost as "BilledCost", cost as "EffectiveCost", cost as "ListCost", cost as "ContractedCost"
          from priced
        ) to '{path}' (format parquet, compression zstd, row_group_size 500000)""")


def views(binary, directory, series):
    """Seconds and memory of the views over so many series."""
    data, place = os.path.join(directory, "data"), os.path.join(directory, "warehouse")
    os.makedirs(directory, exist_ok=True)
    run(None, [sys.executable, os.path.join(PEER, "make_month.py"), "1000", data, "parquet"])
    warehouse(binary, data, place)
    services = int(series) // 250

    def land_month(step, month, missing=0):
        days = calendar.monthrange(month.year, month.month)[1] - missing
        path = os.path.join(directory, f"{month}.parquet")
        usage(path, services, month, days)
        run(step, [binary, "land", place, path], 250 * services * days)

    def ask_views(names):
        for name in names:
            print(run(name, [binary, "sql", place, "-c", VIEWS[name]])[1])

    months = [datetime.date(2025 + (4 + number) // 12, (4 + number) % 12 + 1, 1) for number in range(MONTHS)]
    for month in months[:-1]:
        land_month(f"land {month:%Y-%m}", month)
    land_month("land the last month but for a day", months[-1], missing=1)
    ask_views(VIEWS)
    land_month("land that day, too", months[-1])
    ask_views(["anomalies"])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=["forecast", "anomaly", "speed", "views"])
    parser.add_argument("set")
    parser.add_argument("--dir", default="/tmp/ratehouse-insight")
    parser.add_argument("--binary", default=BINARY)
    options = parser.parse_args()
    score = {"forecast": forecast, "anomaly": anomaly, "speed": speed, "views": views}[options.kind]
    score(options.binary, os.path.join(options.dir, options.set.strip(os.sep).replace(os.sep, "_")), options.set)


if __name__ == "__main__":
    main()
