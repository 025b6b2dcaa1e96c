"""Computes what the demo must come to, with Python's decimal and nothing of the program.

usage: demo_reference.py [--data DIR] [--check]

Reads the provider files and reference rows of data/ and writes tests/demo_reference.json: what each provider billed, every edge's margin, what is
unallocated, every invoice's total. With --check it compares instead of writing, and fails on a difference. Amounts are exact to 18 digits;
margins and sums are given at 12, because prices of volume bands are spread over rows in thirds of nothing.
"""
import argparse
import csv
import json
import os
import sys
from collections import defaultdict
from datetime import datetime, timedelta, timezone
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal, getcontext
from fractions import Fraction

getcontext().prec = 120
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SCALE = Decimal(1).scaleb(-18)
SHOWN = Decimal(1).scaleb(-12)
FAR = datetime(9999, 1, 1, tzinfo=timezone.utc)
NULLS = {"", "NULL"}


def read(path):
    with open(path, encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def text(value):
    return None if value is None or value in NULLS else value


def number(value):
    value = text(value)
    return None if value is None else Decimal(value).quantize(SCALE, ROUND_HALF_EVEN)


def instant(value, default=None):
    if not value:
        return default
    parsed = datetime.fromisoformat(value.replace("Z", "+00:00"))
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=timezone.utc)


def rounded(fraction):
    """A fraction at scale 18, half-even."""
    scaled = fraction * 10**18
    whole = scaled.numerator // scaled.denominator
    rest = scaled - whole
    if rest > Fraction(1, 2) or (rest == Fraction(1, 2) and whole % 2):
        whole += 1
    return Decimal(whole).scaleb(-18)


# ---- provider files: each becomes rows with the same names ----

def focus(path, provider_column):
    for row in read(path):
        tags = text(row["Tags"])
        yield dict(
            provider=row[provider_column], billing_account=row["BillingAccountId"], account=text(row["SubAccountId"]), period=row["BillingPeriodStart"][:7],
            start=instant(row["ChargePeriodStart"]), end=instant(row["ChargePeriodEnd"]), category=row["ChargeCategory"],
            billed=number(row["BilledCost"]), effective=number(row["EffectiveCost"]), list=number(row["ListCost"]), quantity=number(row["PricingQuantity"]),
            unit=text(row["PricingUnit"]), service_category=text(row["ServiceCategory"]), service=text(row["ServiceName"]),
            pricing_category=text(row["PricingCategory"]), currency=row["BillingCurrency"], tags=json.loads(tags) if tags else {},
            is_root_commitment=bool(text(row["CommitmentDiscountId"])) and (row["ChargeCategory"] == "Purchase" or row["CommitmentDiscountStatus"] == "Unused"))


def native(**given):
    """A row of a native export: the demo's cards for these months price on the billed cost alone."""
    row = dict(effective=given["billed"], list=None, quantity=None, unit=None, service_category=None, service=None, pricing_category=None, tags={},
               is_root_commitment=False, is_view=False)
    row.update(given)
    return row


def cur(path):
    for row in read(path):
        yield native(provider="AWS", billing_account=row["bill/PayerAccountId"], account=row["lineItem/UsageAccountId"],
                     period=row["bill/BillingPeriodStartDate"][:7], start=instant(row["lineItem/UsageStartDate"]), end=instant(row["lineItem/UsageEndDate"]),
                     category=row["lineItem/LineItemType"], billed=number(row["lineItem/UnblendedCost"]), currency=row["lineItem/CurrencyCode"])


def azure(path, is_amortised=False):
    """Purchases of commitments come to nothing by themselves; what commitments cover costs what the amortised export says, and no other row of that counts."""
    for row in read(path):
        is_bought, is_covered = row["ChargeType"] == "Purchase" and bool(row["ReservationId"]), row["PricingModel"] in ("Reservation", "SavingsPlan")
        if is_amortised and not is_covered:
            continue
        cost = number(row["Cost"])
        start = datetime.strptime(row["Date"], "%m/%d/%Y").replace(tzinfo=timezone.utc)
        period = datetime.strptime(row["BillingPeriodStartDate"], "%m/%d/%Y").strftime("%Y-%m")
        yield native(provider="Microsoft", billing_account=row["BillingAccountId"], account=row["SubscriptionId"], period=period, start=start,
                     end=start + timedelta(days=1), category=row["ChargeType"], billed=Decimal(0) if is_amortised else cost,
                     effective=Decimal(0) if is_bought else cost, currency=row["BillingCurrency"], is_root_commitment=is_bought,
                     is_view=is_amortised)


def oci(path):
    for row in read(path):
        start = instant(row["lineItem/intervalUsageStart"])
        yield native(provider="Oracle", billing_account=row["cost/subscriptionId"], account=row["lineItem/tenantId"], period=start.strftime("%Y-%m"),
                     start=start, end=instant(row["lineItem/intervalUsageEnd"]), category="Usage", billed=number(row["cost/myCost"]),
                     currency=row["cost/currencyCode"])


def usage(data):
    yield from focus(f"{data}/focus/focus_1_0_sample.csv", "ProviderName")
    yield from focus(f"{data}/focus/synthetic_focus_1_4_cost_and_usage.csv", "ServiceProviderName")
    yield from cur(f"{data}/aws/cur_legacy_sample.csv")
    yield from azure(f"{data}/azure/EA_ActualCost_Small.csv")
    yield from azure(f"{data}/azure/EA_AmortizedCost_Small.csv", is_amortised=True)
    yield from oci(f"{data}/oci/oci_cost_report_sample.csv")


# ---- reference rows ----

class Reference:
    def __init__(self, data):
        table = lambda name: read(f"{data}/demo/{name}.csv")
        self.nodes = {row["node_id"]: row for row in table("nodes")}
        self.accounts, self.attribution = table("accounts"), table("attribution_rules")
        self.cards = {row["card_id"]: row for row in table("rate_cards")}
        self.versions, self.policies, self.fx = table("rate_card_versions"), table("charge_policies"), table("fx_rates")
        for row in self.accounts + self.attribution + self.versions + self.policies:
            row["from"], row["to"] = instant(row["valid_from"]), instant(row["valid_to"], FAR)
        own = defaultdict(dict)
        for rule in table("rate_rules"):
            own[rule["card_id"], rule["version"]][rule["rule_id"]] = rule
        self.rules = {}
        for version in self.versions:
            key = version["card_id"], version["version"]
            merged = {}
            if version["base_card_id"]:
                merged.update(own[version["base_card_id"], version["base_version"]])
            merged.update(own[key])
            self.rules[key] = list(merged.values())
        self.cuts = sorted({at for row in self.accounts + self.attribution + self.versions + self.policies for at in (row["from"], row["to"])})

    def path(self, node):
        above = self.nodes[node]["parent_id"]
        return (self.path(above) if above else []) + [node]

    def owner(self, row, at):
        """The owner's path, or None where nobody is named."""
        fits = [a for a in self.accounts if (a["provider_name"], a["billing_account_id"]) == (row["provider"], row["billing_account"])
                and a["sub_account_id"] in ("", row["account"]) and a["from"] <= at < a["to"]]
        if not fits:
            return None
        path = self.path(max(fits, key=lambda a: a["sub_account_id"] != "")["node_id"])
        for rule in sorted(self.attribution, key=lambda r: -int(r["priority"])):
            if rule["owner_node_id"] in path and rule["from"] <= at < rule["to"] and rule["provider_name"] in ("", row["provider"]) \
                    and rule["billing_account_id"] in ("", row["billing_account"]) and rule["sub_account_id"] in ("", row["account"]) \
                    and row["tags"].get(rule["tag_key"]) == rule["tag_value"]:
                return self.path(rule["node_id"])
        return path

    def version(self, card, at):
        return next((v["version"] for v in self.versions if v["card_id"] == card and v["from"] <= at < v["to"]), None)

    def matching(self, card, row, at):
        """The rule of a card that prices a row, the most specific one."""
        def matches(rule):
            category = rule["charge_category"]
            return (row["category"] in ("Usage", "Purchase") if not category else category == row["category"]) and all(
                rule[column] in ("", row[field]) for column, field in (
                    ("provider_name", "provider"), ("service_category", "service_category"), ("service_name", "service"),
                    ("pricing_category", "pricing_category")))
        order = ("charge_category", "service_name", "pricing_category", "service_category", "provider_name")
        version = self.version(card, at)
        found = [rule for rule in self.rules.get((card, version), []) if matches(rule)]
        return (card, version, max(found, key=lambda r: (int(r["priority"]), [bool(r[d]) for d in order]))) if found else None

    def rule(self, seller, buyer, row, at):
        for wanted in (buyer, ""):
            for card in self.cards.values():
                if (card["seller_node_id"], card["buyer_node_id"]) == (seller, wanted):
                    found = self.matching(card["card_id"], row, at)
                    if found:
                        return found
        return None

    def policy(self, seller, buyer, category, at):
        found = [p for p in self.policies if p["node_id"] == seller and p["buyer_node_id"] in ("", buyer) and p["charge_category"] == category
                 and p["from"] <= at < p["to"]]
        return max(found, key=lambda p: p["buyer_node_id"] != "")["policy"] if found else None

    def rate(self, buyer, currency, at):
        """Units of the buyer's currency for one of `currency`."""
        quote = self.nodes[buyer]["currency"]
        if quote == currency:
            return None
        found = [r for r in self.fx if (r["source"], r["base_currency"], r["quote_currency"]) == (self.nodes[buyer]["fx_policy"], currency, quote)
                 and instant(r["valid_from"]) <= at.replace(hour=0, minute=0, second=0, microsecond=0)]
        return Decimal(max(found, key=lambda r: r["valid_from"])["rate"])

    def resolution(self, row, at):
        """All that decides a portion's prices: equal neighbours are one portion."""
        path = self.owner(row, at)
        steps = tuple(self.rule(path[k], path[k + 1], row, at) and self.rule(path[k], path[k + 1], row, at)[:2] for k in range(len(path or []) - 1))
        return tuple(path or ()), steps

    def portions(self, row):
        start, end = row["start"], row["end"]
        points = [start] + ([cut for cut in self.cuts if start < cut < end] if row["category"] == "Usage" else [])
        kept = []
        for at in points:
            if not kept or self.resolution(row, at) != self.resolution(row, kept[-1]):
                kept.append(at)
        rest = {name: row[name] for name in ("billed", "effective", "list", "quantity")}
        for n, at in enumerate(kept):
            if n + 1 == len(kept):
                yield at, rest
            else:
                share = Fraction(int((kept[n + 1] - at).total_seconds()), int((end - start).total_seconds()))
                part = {name: None if row[name] is None else rounded(Fraction(row[name]) * share) for name in rest}
                rest = {name: None if row[name] is None else rest[name] - part[name] for name in rest}
                yield at, part


class Edge:
    """One portion on one edge: what the seller pays, and how the buyer's price comes about."""

    def __init__(self, seller, buyer, period, cost, currency):
        self.seller, self.buyer, self.period = seller, buyer, period
        self.costs, self.currency = {"billed": cost}, currency
        self.price, self.rate, self.outcome, self.counter, self.quantity = None, None, "billed", None, None


def convert(amount, rate):
    return amount if rate is None else rounded(Fraction(amount) * Fraction(rate))


def by_rule(reference, found, edge, row, part, base_amounts, owner):
    card, version, rule = found
    value = Fraction(Decimal(rule["value"])) if rule["value"] else None
    if rule["unit"] and rule["unit"] != row["unit"]:
        edge.outcome = "unrated"
        return
    method = rule["method"]
    if method == "unit_price":
        edge.price, edge.rate = rounded(value * Fraction(part["quantity"])), None
        return
    if method == "graduated":
        edge.counter = (edge.seller, edge.buyer, card, version, rule["rule_id"], row["period"], owner)
        edge.quantity = part["quantity"]
        return
    base = base_amounts[rule["base"]]
    if base is None:
        edge.outcome = "unrated"
        return
    factor = {"markup_pct": lambda: 1 + value / 100, "margin_pct": lambda: 1 / (1 - value / 100), "discount_pct": lambda: 1 - value / 100,
              "pass_through": lambda: Fraction(1)}[method]()
    edge.price = rounded(Fraction(convert(base, edge.rate)) * factor)


def graduated(bands, total):
    price, below = Fraction(0), Fraction(0)
    for band in bands:
        upper = total if band["up_to"] is None else min(total, Fraction(Decimal(band["up_to"])))
        price += max(upper - below, Fraction(0)) * Fraction(Decimal(band["price"]))
        below = max(below, upper)
    return price


def price(reference, rows):
    """Every edge of every portion, root edges first; and what is left with whom."""
    edges, kept, totals, chains = [], [], defaultdict(Fraction), []
    for row in rows:
        for at, part in reference.portions(row):
            path = reference.owner(row, at)
            kept.append((row, part, path))
            if path is None:
                continue
            chains.append((row, at, part, path))
    # Prices of bands need the period's totals: nothing below a band is priced before all quantities are known.
    def walk(row, at, part, path, prices):
        cost, currency = part["effective"], row["currency"]
        for k in range(len(path) - 1):
            seller, buyer = path[k], path[k + 1]
            paid = part["billed"] if k == 0 else cost
            edge = Edge(seller, buyer, row["period"], paid, currency)
            if k == 0:
                edge.costs["effective"] = part["effective"]
            edge.rate = reference.rate(buyer, currency, at)
            found = reference.rule(seller, buyer, row, at)
            policy = None if found and found[2]["charge_category"] else reference.policy(seller, buyer, row["category"], at)
            bases = {"cost": cost, "list": part["list"]} | ({"billed": part["billed"], "effective": part["effective"]} if k == 0 else {})
            if k == 0 and row["is_root_commitment"]:
                edge.outcome = "retained"
            elif policy == "pass" or (not found and policy is None and row["category"] == "Adjustment"):
                edge.price = convert(cost, edge.rate)
            elif policy == "retain" or (not found and row["category"] in ("Tax", "Credit")):
                edge.outcome = "retained"
            elif found:
                by_rule(reference, found, edge, row, part, bases, path[-1])
            else:
                edge.outcome = "unrated"
            if edge.counter:
                if prices is None:
                    totals[edge.counter] += Fraction(edge.quantity)
                    return
                edge.price = rounded(prices[edge.counter] * Fraction(edge.quantity))
            if prices is not None:
                edges.append(edge)
            if edge.outcome != "billed":
                return
            cost, currency = edge.price, reference.nodes[buyer]["currency"]
    for chain in chains:
        walk(*chain, None)
    unit_prices = {}
    for counter, total in totals.items():
        rule = next(r for r in reference.rules[counter[2], counter[3]] if r["rule_id"] == counter[4])
        unit_prices[counter] = graduated(json.loads(rule["bands"]), total) / total
    for chain in chains:
        walk(*chain, unit_prices)
    return edges, kept


def shown(amount):
    return str(amount.quantize(SHOWN, ROUND_HALF_EVEN))


def compute(data):
    reference = Reference(data)
    rows = list(usage(data))
    edges, kept = price(reference, rows)
    provider, unallocated, own = defaultdict(lambda: [0, Decimal(0)]), defaultdict(Decimal), defaultdict(Decimal)
    for row in rows:
        sums = provider[row["period"], row["provider"], row["billing_account"]]
        sums[0] += not row.get("is_view")
        sums[1] += row["billed"]
    for row, part, path in kept:
        if path is None:
            unallocated[row["period"], row["provider"], row["currency"]] += part["billed"]
        else:
            own[row["period"], path[-1], row["currency"]] += part["billed"]
    margins, charges, unrated = defaultdict(lambda: [Decimal(0), Decimal(0)]), defaultdict(Decimal), 0
    for edge in edges:
        currency = reference.nodes[edge.buyer]["currency"]
        unrated += edge.outcome == "unrated"
        if edge.outcome == "billed":
            charges[edge.period, edge.seller, edge.buyer, currency] += edge.price
        for basis, cost in edge.costs.items():
            if edge.outcome == "billed":
                margins[edge.period, edge.seller, edge.buyer, currency, basis][1] += edge.price
            # What is retained, or priced without a rate, keeps the seller's currency.
            if edge.outcome == "billed" and (edge.rate is not None or edge.currency == currency):
                margins[edge.period, edge.seller, edge.buyer, currency, basis][0] += convert(cost, edge.rate)
            else:
                margins[edge.period, edge.seller, edge.buyer, edge.currency, basis][0] += cost
    invoices = []
    for (period, seller, buyer, currency), amount in sorted(charges.items()):
        mode = {"half_even": ROUND_HALF_EVEN, "half_up": ROUND_HALF_UP}[reference.nodes[buyer]["rounding_mode"]]
        if amount:
            invoices.append(dict(billing_period=period, seller_node_id=seller, buyer_node_id=buyer, currency=currency, charges_total=shown(amount),
                                 total=str(amount.quantize(Decimal("0.01"), mode))))
    return dict(
        provider=[dict(billing_period=p, provider_name=n, billing_account_id=a, rows=v[0], billed_cost=shown(v[1])) for (p, n, a), v in sorted(provider.items())],
        owners=[dict(billing_period=p, node_id=n, currency=c, billed_cost=shown(v)) for (p, n, c), v in sorted(own.items())],
        unallocated=[dict(billing_period=p, provider_name=n, currency=c, billed_cost=shown(v)) for (p, n, c), v in sorted(unallocated.items())],
        unrated=unrated,
        margins=[dict(billing_period=p, seller_node_id=s, buyer_node_id=b, currency=c, basis=basis, cost=shown(v[0]), price=shown(v[1]),
                      margin=shown(v[1] - v[0])) for (p, s, b, c, basis), v in sorted(margins.items())],
        invoices=invoices)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", default=f"{ROOT}/data")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    found = json.dumps(compute(options.data), indent=1) + "\n"
    path = f"{ROOT}/tests/demo_reference.json"
    if not options.check:
        with open(path, "w", encoding="utf-8") as file:
            file.write(found)
    elif open(path, encoding="utf-8").read() != found:
        sys.exit(f"{path} is not what the files come to: run tests/demo_reference.py and look at the difference")


main()
