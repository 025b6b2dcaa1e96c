#!/usr/bin/env python3
"""What landing the sample files must give, computed without Ratehouse.

Reads the files of data/ with the standard library (csv, decimal), applies each source's
mapping row by row as its provider documents it, and prints JSON: rows, rejected rows, and exact
sums of every cost and quantity column. `landing_samples.rs` compares.

    python3 tests/landing_reference.py > tests/landing_reference.json
    python3 tests/landing_reference.py --check      # exit 1 if the committed file differs
"""
import csv
import datetime
import decimal
import io
import json
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent / "data"
decimal.getcontext().prec = 120
D = decimal.Decimal
UNIT = D("1e-18")
NUMBER = re.compile(r"-?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,6})?\Z")

DECISIONS = {
    "azure/EA_ActualCost_Small.csv": "effective cost = cost, 0 for what buys a commitment: what that costs a day is only in the amortised export",
    "azure/EA_AmortizedCost_Small.csv": "same header as the actual export; known by its file name; usage covered by a commitment has billed cost 0",
    "azure/ea_export_cad_sample.csv": "name says neither actual nor amortised: taken as actual (no row contradicts); PayGPrice is taken as the list price in CAD",
    "azure/Enterprise.csv": "made-up row: its date is three months before its billing period; landed as it is (a finding, not a rejection)",
    "azure/BOM.csv": "its only row has nothing but a date: rejected",
    "azure/YA.csv": "German, English and camelCase mixed; landed as usage details of a subscription",
    "azure/VirtualMachine.csv": "no currency, no quantity: refused",
    "azure/MissingBrackets.csv": "no currency, no quantity: refused",
    "azure/EA_*": "Quantity counts units of UnitOfMeasure (in all 66 rows quantity x effective price is the cost, also for 10K)",
    "aws/cur_legacy_sample.csv": "list cost of a tax row is its billed cost",
    "oci/oci_cost_report_sample.csv": "cost is myCost (myCostOverage is always empty); list = contracted price; the period is the month of usage",
    "partner_center/invoice_reconciliation.csv": "made up; the currency is part of the account, all lines are of the month in which the latest begins",
    "partner_center/daily_rated_usage.csv": "made up; reference: the usage of the invoice in days",
    "partner_center/azure_utilization.jsonl": "made up; reference: quantities at cost 0; the customer is the account, the period the month of use",
    "focus/synthetic_focus_1_4_invoice_detail.csv": "another FOCUS data set: no mapping of cost and usage takes it (landed by tests/data_sets.rs)",
    "azure/EnterpriseCamel.csv": "a CSP partner's row without billing account and period: the partner is the account, the month of its date the period",
    "azure/mca_*": "prices are in the pricing currency and are multiplied by the exchange rate; list cost is paygCostInBillingCurrency where it is not 0",
    "aws/cur2_commitments.csv": "split cost allocation rows have no cost and no quantity: their parent's row has them",
    "gcp/*": "a credit is a row of its own; the period is invoice.month",
}


class Rejected(Exception):
    def __init__(self, column):
        super().__init__(column)
        self.column = column


LOST = {"digits": False}


def money(text, column):
    if text is None:
        return None
    if not NUMBER.match(text):
        raise Rejected(column)
    exact = D(text)
    rounded = exact.quantize(UNIT, rounding=decimal.ROUND_HALF_EVEN)
    if rounded != exact:
        LOST["digits"] = True
    if abs(rounded) >= D(10) ** 20:
        raise Rejected(column)
    return rounded


def times(a, b):
    return None if a is None or b is None else (a * b).quantize(UNIT, rounding=decimal.ROUND_HALF_EVEN)


def moment(text, column, month_first=False):
    """A time as datetime, UTC; formats by trial of strptime, which landing does not use."""
    if text is None:
        return None
    forms = ["%Y-%m-%d", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M:%S UTC", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%MZ", "%Y-%m-%dT%H:%M:%S.%fZ"]
    for form in forms + (["%m/%d/%Y"] if month_first else []):
        try:
            return datetime.datetime.strptime(text, form)
        except ValueError:
            pass
    raise Rejected(column)


def snake(name):
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def need(out, names):
    for name, shown in names:
        if out.get(name) is None:
            raise Rejected(shown)


def month_of(day):
    return day.strftime("%Y-%m")


FOCUS_NUMBERS = """BilledCost CommitmentDiscountQuantity ConsumedQuantity ContractedCost ContractedUnitPrice EffectiveCost
ListCost ListUnitPrice PricingCurrencyContractedUnitPrice PricingCurrencyEffectiveCost PricingCurrencyListUnitPrice PricingQuantity""".split()
FOCUS_TIMES = ["BillingPeriodStart", "BillingPeriodEnd", "ChargePeriodStart", "ChargePeriodEnd"]
FOCUS_NEEDED = ["BilledCost", "BillingAccountId", "BillingCurrency", "BillingPeriodStart", "ChargeCategory", "ChargePeriodEnd", "ChargePeriodStart", "EffectiveCost"]


def focus(row):
    row = {k: None if v in ("", "NULL", "(null)") or (k == "Tags" and v == "{}") else v for k, v in row.items()}
    out = {snake(k): money(row.get(k), k) for k in FOCUS_NUMBERS}
    times_ = {k: moment(row.get(k), k) for k in FOCUS_TIMES}
    provider = row.get("ServiceProviderName") or row.get("ProviderName")
    if provider is None:
        raise Rejected("ProviderName")
    for k in FOCUS_NEEDED:
        if row.get(k) is None:
            raise Rejected(k)
    out["period"] = month_of(times_["BillingPeriodStart"])
    for text in ("Tags", "ResourceId", "RegionName", "SkuPriceId", "ChargeDescription", "PublisherName"):
        out["has_" + snake(text)] = row.get(text) is not None
    return [out]


def cur(row):
    g = lambda k: row.get(k) or None
    numbers = {k: money(g(k), k) for k in row if k.split("/")[-1] in (
        "UsageAmount", "UnblendedRate", "UnblendedCost", "NetUnblendedCost", "publicOnDemandCost", "publicOnDemandRate")}
    kind = g("lineItem/LineItemType")
    # The sample has no commitments, credits or refunds; those are worked by hand in the Rust tests.
    if kind not in ("Usage", "Tax"):
        raise SystemExit(f"line item type {kind} is not in this computation")
    billed = numbers["lineItem/UnblendedCost"]
    out = dict.fromkeys(map(snake, FOCUS_NUMBERS))
    is_tax = kind == "Tax"
    amount = numbers["lineItem/UsageAmount"]
    public = numbers["pricing/publicOnDemandCost"]
    out.update(
        billed_cost=billed, effective_cost=billed, contracted_cost=billed,
        list_cost=billed if public is None else public,
        list_unit_price=None if is_tax else numbers["pricing/publicOnDemandRate"],
        contracted_unit_price=None if is_tax else numbers["lineItem/UnblendedRate"],
        pricing_quantity=None if is_tax else amount, consumed_quantity=None if is_tax else amount)
    need(out, [("billed_cost", "billed_cost"), ("effective_cost", "effective_cost")])
    moment(g("lineItem/UsageStartDate"), "charge_period_start")
    moment(g("lineItem/UsageEndDate"), "charge_period_end")
    out["period"] = month_of(moment(g("bill/BillingPeriodStartDate"), "billing_period_start"))
    return [out]


def cur2(row):
    """CUR 2.0, by what AWS documents of each line item type."""
    g = lambda k: row.get(k) or None
    n = lambda k: money(g(k), k)
    zero = D(0)
    kind, plan, reserved = g("line_item_line_item_type"), g("savings_plan_savings_plan_a_r_n"), g("reservation_reservation_a_r_n")
    net = n("line_item_net_unblended_cost")
    billed = n("line_item_unblended_cost") if net is None else net
    public, amount = n("pricing_public_on_demand_cost"), n("line_item_usage_amount")
    is_usage = kind in ("Usage", "DiscountedUsage", "SavingsPlanCoveredUsage")
    is_discount = kind.endswith("Discount")
    is_split = g("split_line_item_parent_resource_id") is not None
    amortized = {
        "SavingsPlanCoveredUsage": n("savings_plan_savings_plan_effective_cost"), "DiscountedUsage": n("reservation_effective_cost"),
        "SavingsPlanNegation": zero, "SavingsPlanRecurringFee": zero, "SavingsPlanUpfrontFee": zero, "RIFee": zero}
    effective = amortized.get(kind, zero if kind == "Fee" and reserved else billed)
    out = dict.fromkeys(map(snake, FOCUS_NUMBERS))
    out.update(
        billed_cost=billed, effective_cost=effective,
        list_cost=zero if kind == "SavingsPlanNegation" or is_discount else billed if public is None else public,
        contracted_cost=public if kind == "DiscountedUsage" else zero if kind == "SavingsPlanNegation" or is_discount else billed,
        list_unit_price=n("pricing_public_on_demand_rate") if is_usage else None,
        contracted_unit_price=n("line_item_unblended_rate") if kind == "Usage" else None,
        pricing_quantity=None if kind == "Tax" else zero if kind == "SavingsPlanNegation" or is_discount else amount,
        consumed_quantity=amount if is_usage else None)
    if is_split:
        assert billed == 0
        out.update(list_cost=zero, contracted_cost=zero, effective_cost=zero, pricing_quantity=zero, consumed_quantity=zero)
    out["period"] = month_of(moment(g("bill_billing_period_start_date"), "billing_period_start"))
    out["has_tags"] = g("resource_tags") is not None
    made = [out]
    unused = zero
    if kind == "SavingsPlanRecurringFee":
        unused = n("savings_plan_total_commitment_to_date") - n("savings_plan_used_commitment")
    if kind == "RIFee":
        unused = n("reservation_unused_amortized_upfront_fee_for_billing_period") + n("reservation_unused_recurring_fee")
    if unused != 0:
        more = dict.fromkeys(map(snake, FOCUS_NUMBERS))
        more.update(billed_cost=zero, effective_cost=unused, list_cost=unused, contracted_cost=unused, pricing_quantity=n("reservation_unused_quantity"))
        made.append({**more, "period": out["period"], "has_tags": out["has_tags"]})
    return made


def blocks():
    found = {}
    with open(ROOT / "reference/PricingUnits.csv", encoding="utf-8-sig", newline="") as f:
        for unit in csv.DictReader(f):
            found.setdefault(unit["UnitOfMeasure"].lower(), D(unit["PricingBlockSize"]))
    return found


BLOCKS = blocks()


def azure_ea(row, is_amortized):
    low = {re.sub(r"[^a-z0-9]", "", k.lower()): v or None for k, v in row.items()}
    cost = money(low.get("costinbillingcurrency", low.get("cost")), "CostInBillingCurrency")
    quantity, price, retail = money(low["quantity"], "Quantity"), money(low["unitprice"], "UnitPrice"), money(low["paygprice"], "PayGPrice")
    kind, model = low["chargetype"], low["pricingmodel"]
    is_committed = model in ("Reservation", "SavingsPlan") and kind in ("Usage", "UnusedReservation", "UnusedSavingsPlan")
    if not is_amortized and (kind.startswith("Unused") or (is_committed and cost != 0)):
        raise Rejected(None)
    block = BLOCKS.get((low["unitofmeasure"] or "").lower(), D(1))
    listed = retail if retail else price
    is_bought = kind in ("Purchase", "Refund") and (model in ("Reservation", "SavingsPlan") or low.get("benefitid") or low.get("reservationid"))
    out = dict.fromkeys(map(snake, FOCUS_NUMBERS))
    out.update(
        billed_cost=D(0) if is_amortized and is_committed else cost, effective_cost=D(0) if is_bought and not is_amortized else cost,
        contracted_cost=times(price, quantity), contracted_unit_price=price,
        list_cost=times(listed, quantity), list_unit_price=listed,
        pricing_quantity=quantity, consumed_quantity=times(quantity, block) if kind == "Usage" else None)
    moment(low["date"], "charge_period_start", True)
    out["period"] = month_of(moment(low["billingperiodstartdate"], "billing_period_start", True))
    return [out]


def azure_mca(row, is_amortized):
    low = {re.sub(r"[^a-z0-9]", "", k.lower()): v or None for k, v in row.items()}
    g = low.get
    n = lambda k: money(g(k), k)
    cost, quantity, kind = n("costinbillingcurrency"), n("quantity"), g("chargetype")
    rate = n("exchangeratepricingtobilling") or D(1)
    price = n("unitprice") if g("unitprice") else n("effectiveprice")
    is_committed = kind in ("Usage", "UnusedReservation", "UnusedSavingsPlan") and (
        g("pricingmodel") in ("Reservation", "SavingsPlan") or g("pricingmodel") is None and g("reservationid") is not None)
    if not is_amortized and (kind.startswith("Unused") or is_committed and cost != 0):
        raise Rejected(None)
    is_priceless = kind in ("Tax", "RoundingAdjustment")
    unit, listed = times(price, rate), times(n("paygprice") or price, rate)
    block = BLOCKS.get((g("unitofmeasure") or "").lower(), D(1))
    is_bought = kind in ("Purchase", "Refund") and (g("pricingmodel") in ("Reservation", "SavingsPlan") or g("benefitid") or g("reservationid"))
    effective = D(0) if is_bought and not is_amortized else cost
    out = dict.fromkeys(map(snake, FOCUS_NUMBERS))
    out.update(
        billed_cost=D(0) if is_amortized and is_committed else cost, effective_cost=effective,
        contracted_cost=cost if is_priceless else times(unit, quantity), contracted_unit_price=None if is_priceless else unit,
        list_cost=cost if is_priceless else n("paygcostinbillingcurrency") or times(listed, quantity),
        list_unit_price=None if is_priceless else listed, pricing_quantity=None if is_priceless else quantity,
        consumed_quantity=times(quantity, block) if kind == "Usage" else None)
    if rate != 1 or g("pricingcurrency") == g("billingcurrency"):
        out["pricing_currency_effective_cost"] = (effective / rate).quantize(UNIT, rounding=decimal.ROUND_HALF_EVEN)
    out["period"] = month_of(moment(g("billingperiodstartdate") or g("date"), "billing_period_start", True))
    return [out]


def gcp(row):
    """A row of Google's export by dotted names, as CSV has them; JSON lines are flattened to that."""
    g = lambda k: row.get(k) or None
    n = lambda k: money(g(k), k)
    kind = g("cost_type") or "regular"
    if kind not in ("regular", "tax", "adjustment", "rounding_error"):
        raise Rejected(None)
    cost, listed, rate, usage = n("cost"), n("cost_at_list"), n("currency_conversion_rate"), kind == "regular"
    divided = lambda a, b: None if a is None or not b else (a / b).quantize(UNIT, rounding=decimal.ROUND_HALF_EVEN)
    quantity = n("usage.amount_in_pricing_units") if usage else None
    out = dict.fromkeys(map(snake, FOCUS_NUMBERS))
    out.update(
        billed_cost=cost, effective_cost=cost, contracted_cost=cost, list_cost=cost if listed is None else listed,
        consumed_quantity=n("usage.amount") if usage else None, pricing_quantity=quantity,
        contracted_unit_price=None if quantity is None else divided(n("price.effective_price"), n("price.pricing_unit_quantity") or D(1)),
        list_unit_price=divided(listed, quantity), pricing_currency_effective_cost=divided(cost, rate))
    month = g("invoice.month")
    out["period"] = month[:4] + "-" + month[4:]
    made = [out]
    for credit in json.loads(row.get("credits") or "[]", parse_float=str, parse_int=str):
        amount = money(credit["amount"], "amount")
        more = dict.fromkeys(map(snake, FOCUS_NUMBERS))
        more.update(
            billed_cost=amount, effective_cost=amount, contracted_cost=amount, list_cost=amount,
            pricing_currency_effective_cost=divided(amount, rate), period=out["period"])
        made.append(more)
    for made_row in made:
        made_row["has_tags"] = any((row.get(k) or "[]") != "[]" for k in ("labels", "project.labels", "system_labels", "tags"))
    return made


def gcp_cost(row):
    credits = json.loads(row.get("credits") or "[]", parse_float=str, parse_int=str)
    return D(row["cost"]) + sum((D(credit["amount"]) for credit in credits), D(0))


def flattened(value, path=""):
    """A JSON object as texts by dotted names; arrays stay JSON."""
    if isinstance(value, dict):
        found = {}
        for key, inner in value.items():
            found.update(flattened(inner, f"{path}.{key}" if path else key))
        return found
    return {path: json.dumps(value) if isinstance(value, list) else value}


def azure_details(row):
    names = {}
    for k, v in row.items():
        inner = re.search(r"\((\w+)\)$", k)
        names[re.sub(r"[^a-z0-9]", "", (inner.group(1) if inner else k).lower())] = v or None
    cost = money(names.get("pretaxcost", names.get("costinbillingcurrency")), "PreTaxCost")
    quantity, rate = money(names["usagequantity"], "UsageQuantity"), money(names["resourcerate"], "ResourceRate")
    account = names.get("subscriptionguid", names.get("subscriptionid"))
    need({"a": cost, "b": account}, [("a", "billed_cost"), ("b", "billing_account_id")])
    block = BLOCKS.get((names["unitofmeasure"] or "").lower(), D(1))
    out = dict.fromkeys(map(snake, FOCUS_NUMBERS))
    out.update(
        billed_cost=cost, effective_cost=cost, contracted_cost=cost, list_cost=cost, list_unit_price=rate,
        contracted_unit_price=rate, pricing_quantity=quantity, consumed_quantity=times(quantity, block))
    out["period"] = month_of(moment(names.get("usagedatetime", names.get("date")), "charge_period_start", True))
    return [out]


def oci(row):
    row = {k: v or None for k, v in row.items()}
    cost, price, quantity = (money(row[k], k) for k in ("cost/myCost", "cost/unitPrice", "usage/billedQuantity"))
    out = dict.fromkeys(map(snake, FOCUS_NUMBERS))
    out.update(
        billed_cost=cost, effective_cost=cost, contracted_cost=cost, list_cost=cost, list_unit_price=price,
        contracted_unit_price=price, pricing_quantity=quantity, consumed_quantity=quantity)
    need(out, [("billed_cost", "cost/myCost")])
    out["period"] = month_of(moment(row["lineItem/intervalUsageStart"], "lineItem/intervalUsageStart"))
    moment(row["lineItem/intervalUsageEnd"], "lineItem/intervalUsageEnd")
    out["has_tags"] = any(v for k, v in row.items() if k.startswith("tags/"))
    return [out]


def cut(value):
    return value.quantize(D("0.01"), rounding=decimal.ROUND_DOWN)


def slashed(text, column):
    """m/d/yyyy, with or without a clock."""
    if text is None:
        raise Rejected(column)
    for form in ("%m/%d/%Y", "%m/%d/%Y %H:%M"):
        try:
            return datetime.datetime.strptime(text, form)
        except ValueError:
            pass
    raise Rejected(column)


DELIVERY = {"rows": []}


def latest_month():
    """The month of a delivery that is one invoice."""
    return max(month_of(slashed(row["ChargeStartDate"], None)) for row in DELIVERY["rows"])


def fx(*factors):
    """The product of factors from left to right, each step at scale 18."""
    result = factors[0]
    for factor in factors[1:]:
        result = times(result, factor)
    return result


def with_sign(value, of):
    return value.copy_abs() * (-1 if of < 0 else 1)


def partner_center_invoice(row):
    row = {k: v or None for k, v in row.items()}
    n = {k: money(row[k], k) for k in (
        "UnitPrice", "EffectiveUnitPrice", "Quantity", "BillableQuantity", "PCToBCExchangeRate", "Subtotal", "TaxTotal", "Total")}
    subtotal, tax, rate = n["Subtotal"], n["TaxTotal"], n["PCToBCExchangeRate"]
    listed, price = abs(n["UnitPrice"]), abs(n["EffectiveUnitPrice"])
    quantity = with_sign(n["BillableQuantity"], subtotal)
    is_usage = row["MeterDescription"] is not None
    is_credit = row["CreditReasonCode"] is not None or row["ChargeType"] == "customerCredit"
    # The formulas as Microsoft writes them, in exact arithmetic: no product here needs more than 18 places.
    if is_usage:
        formula = cut(cut(price * abs(quantity)) * rate)
    else:
        formula = cut(price * rate) * abs(quantity)
    notes = []
    if formula != abs(subtotal):
        notes.append("Subtotal does not follow from the line's EffectiveUnitPrice, BillableQuantity and PCToBCExchangeRate")
    elif n["Total"] != subtotal + (tax or 0):
        notes.append("Total is not Subtotal and TaxTotal")
    block = BLOCKS.get((row["UnitType"] or "").lower(), D(1))
    out = dict.fromkeys(map(snake, FOCUS_NUMBERS))
    out.update(
        billed_cost=subtotal, effective_cost=subtotal,
        contracted_cost=subtotal if is_credit else fx(price, rate, quantity), contracted_unit_price=fx(price, rate),
        list_cost=subtotal if is_credit else fx(listed, rate, quantity), list_unit_price=fx(listed, rate),
        pricing_currency_contracted_unit_price=price, pricing_currency_list_unit_price=listed, pricing_quantity=quantity,
        consumed_quantity=fx(quantity, block) if is_usage and not is_credit else None)
    slashed(row["ChargeStartDate"], "charge_period_start")
    out["period"] = latest_month()
    made = [dict(out, notes=notes, has_sku_price_id=True)]
    if tax:
        taxed = dict.fromkeys(map(snake, FOCUS_NUMBERS))
        taxed.update(billed_cost=tax, effective_cost=tax, contracted_cost=tax, list_cost=tax, period=out["period"], has_sku_price_id=False)
        made.append(taxed)
    return made


def partner_center_daily(row):
    row = {k: v or None for k, v in row.items()}
    n = {k: money(row[k], k) for k in (
        "UnitPrice", "EffectiveUnitPrice", "Quantity", "PCToBCExchangeRate", "BillingPreTaxTotal", "PricingPreTaxTotal")}
    cost, rate = n["BillingPreTaxTotal"], n["PCToBCExchangeRate"]
    listed, price = abs(n["UnitPrice"]), abs(n["EffectiveUnitPrice"])
    quantity = with_sign(n["Quantity"], cost)
    exact = price * quantity * rate
    floor = exact.quantize(D("0.01"), rounding=decimal.ROUND_FLOOR)
    is_right = cost == floor or close(cost, exact, exact)
    out = dict.fromkeys(map(snake, FOCUS_NUMBERS))
    out.update(
        billed_cost=cost, effective_cost=cost, contracted_cost=fx(price, rate, quantity), contracted_unit_price=fx(price, rate),
        list_cost=fx(listed, rate, quantity), list_unit_price=fx(listed, rate), pricing_currency_contracted_unit_price=price,
        pricing_currency_list_unit_price=listed, pricing_quantity=quantity, consumed_quantity=quantity)
    slashed(row["UsageDate"], "charge_period_start")
    out["period"] = latest_month()
    out["has_tags"] = row["Tags"] not in (None, "{}")
    out["notes"] = [] if is_right else [
        "BillingPreTaxTotal does not follow from the row's EffectiveUnitPrice, Quantity and PCToBCExchangeRate"]
    return [out]


def partner_center_utilization(row):
    """A record by dotted names: quantities, and nothing of cost. What is of a month before the first asked for is left out."""
    g = lambda k: row.get(k) or None
    instant = lambda k: datetime.datetime.fromisoformat(g(k).replace("Z", "+00:00")).astimezone(datetime.timezone.utc)
    quantity = money(g("quantity"), "quantity")
    if instant("usageStartTime") < instant("reportedFrom"):
        return []
    out = dict.fromkeys(map(snake, FOCUS_NUMBERS))
    out.update(dict.fromkeys(("billed_cost", "effective_cost", "list_cost", "contracted_cost"), D(0)))
    out.update(pricing_quantity=quantity, consumed_quantity=times(quantity, BLOCKS.get((g("unit") or "").lower(), D(1))))
    out["period"] = month_of(instant("usageStartTime"))
    out["has_tags"] = any(name.startswith("instanceData.tags.") and row[name] for name in row)
    return [out]


def close(a, b, cost):
    return abs(a - b) <= D("1e-9") * max(D(1), abs(cost))


PARENTS = json.loads((ROOT / "reference/focus_service_subcategories.json").read_text())
CODES = set(json.loads((ROOT / "reference/iso_4217_currencies.json").read_text())["codes"])
LISTED = {
    "ChargeCategory": "Usage Purchase Tax Credit Adjustment", "ChargeClass": "Correction",
    "ChargeFrequency": "One-Time Recurring Usage-Based", "CommitmentDiscountCategory": "Spend Usage",
    "CommitmentDiscountStatus": "Used Unused", "CapacityReservationStatus": "Used Unused",
    "PricingCategory": "Standard Dynamic Committed Other"}


def broken_rules(raw, version, skus, services):
    """Rules that one FOCUS row breaks, read from the rule texts one by one."""
    v = {k: None if x in ("", "NULL", "(null)") or (k == "Tags" and x == "{}") else x for k, x in raw.items()}
    g = v.get
    n = {k: None if g(k) is None else D(g(k)) for k in FOCUS_NUMBERS}
    t = {k: moment(g(k), k) for k in FOCUS_TIMES}
    kind, fix = g("ChargeCategory"), g("ChargeClass") == "Correction"
    status, commitment = g("CommitmentDiscountStatus"), g("CommitmentDiscountId")
    out = set()
    for rule, cost, price in (("R1", "ListCost", "ListUnitPrice"), ("R2", "ContractedCost", "ContractedUnitPrice")):
        c, p, q = n[cost], n[price], n["PricingQuantity"]
        if None not in (c, p, q) and not close(p * q, c, c) and (version >= (1, 3) or not fix):
            out.add(rule)
    if None in (n["BilledCost"], n["EffectiveCost"], n["ListCost"], n["ContractedCost"]):
        out.add("R3")
    if any(n[k] is not None and n[k] < 0 for k in n if k.endswith("UnitPrice")):
        out.add("R4")
    priced = ["ListUnitPrice", "ContractedUnitPrice", "PricingQuantity", "PricingCategory", "SkuId", "SkuPriceId"]
    if kind == "Tax" and any(g(k) for k in priced) or kind in ("Usage", "Purchase") and not fix and not all(g(k) for k in priced):
        out.add("R5")
    if version >= (1, 3):
        dependent = ["ListUnitPrice", "ContractedUnitPrice", "PricingQuantity", "PricingCategory", "ConsumedQuantity", "CommitmentDiscountQuantity"]
        if g("SkuPriceId") is None and any(g(k) for k in dependent):
            out.add("R6")
        if g("SkuPriceId") and not (g("ListUnitPrice") and g("ContractedUnitPrice")):
            out.add("R6")
    for what in ("Pricing", "Consumed", "CommitmentDiscount"):
        if (g(what + "Unit") is None) != (g(what + "Quantity") is None):
            out.add("R7")
    expects = kind == "Usage" and status != "Unused"
    if g("ConsumedQuantity") and not expects or expects and not fix and not g("ConsumedQuantity"):
        out.add("R8")
    belongs = [("SubAccountName", "SubAccountId"), ("SubAccountType", "SubAccountId"), ("RegionName", "RegionId"), ("RegionId", "RegionName"),
               ("ResourceName", "ResourceId"), ("ResourceType", "ResourceId"), ("SkuMeter", "SkuId"), ("SkuPriceDetails", "SkuPriceId")]
    belongs += [("CommitmentDiscount" + x, "CommitmentDiscountId") for x in ("Category", "Type", "Name", "Status")]
    belongs += [("CommitmentDiscountId", "CommitmentDiscountCategory"), ("CommitmentDiscountId", "CommitmentDiscountType")]
    if version >= (1, 1):
        belongs += [("CommitmentDiscountQuantity", "CommitmentDiscountId"), ("CapacityReservationStatus", "CapacityReservationId")]
    if any(g(a) and not g(b) for a, b in belongs) or commitment and kind == "Usage" and not status:
        out.add("R9")
    if kind == "Purchase" and g("ChargeFrequency") == "Usage-Based":
        out.add("R10")
    if any(g(k) and g(k) not in values.split() for k, values in LISTED.items()) or g("ServiceCategory") and g("ServiceCategory") not in PARENTS.values():
        out.add("R11")
    if t["BillingPeriodStart"] >= t["BillingPeriodEnd"] or t["ChargePeriodStart"] >= t["ChargePeriodEnd"]:
        out.add("R12")
    if not fix and not t["BillingPeriodStart"] <= t["ChargePeriodStart"] <= t["ChargePeriodEnd"] <= t["BillingPeriodEnd"]:
        out.add("R12")
    if fix and t["ChargePeriodStart"] >= t["BillingPeriodStart"]:
        out.add("R13")
    b, e, c = n["BilledCost"], n["EffectiveCost"], n["ContractedCost"]
    if version >= (1, 4) and kind in ("Tax", "Credit") and not close(b, e, b):
        out.add("R14")
    if version >= (1, 4) and kind == "Credit" and c is not None and not close(b, c, b):
        out.add("R14")
    if kind in ("Usage", "Purchase") and not commitment and not close(b, e, b):
        out.add("R15")
    if kind == "Usage" and status in ("Used", "Unused") and b != 0 or kind == "Purchase" and commitment and e != 0:
        out.add("R16")
    for k in ("Tags", "SkuPriceDetails", "AllocatedTags"):
        if g(k):
            try:
                if any(isinstance(x, (dict, list)) for x in json.loads(g(k)).values()):
                    out.add("R18")
            except (ValueError, AttributeError):
                out.add("R18")
    if version >= (1, 1) and g("ServiceSubcategory") and PARENTS.get(g("ServiceSubcategory")) != g("ServiceCategory"):
        out.add("R19")
    if g("BillingCurrency") not in CODES or g("BillingCurrency")[0] == "X":
        out.add("R20")
    for rule, seen, name, meaning in (("X1", skus, g("SkuPriceId"), g("SkuId")), ("X2", services, g("ServiceName"), g("ServiceCategory"))):
        if name and meaning and seen.setdefault(name, meaning) != meaning:
            out.add(rule)
    return out


def other_issuers(billed):
    """R17 as far as a file tells: billed rows of other issuers than the one with most rows of an account, the first of equals."""
    rows = []
    for issuers in billed.values():
        paid = max(issuers, key=lambda name: (len(issuers[name]), -issuers[name][0]))
        rows += [number for name, numbers in issuers.items() if name != paid for number in numbers]
    return rows


def findings(path, version):
    found, skus, services, billed = {}, {}, {}, {}
    with open(ROOT / path, encoding="utf-8-sig", newline="") as f:
        for number, row in enumerate(csv.DictReader(f), 1):
            for rule in broken_rules(row, version, skus, services):
                rows, first = found.get(rule, (0, number))
                found[rule] = (rows + 1, first)
            if row["InvoiceIssuerName"] and D(row["BilledCost"] or 0):
                account = (row.get("ProviderName") or row.get("ServiceProviderName"), row["BillingAccountId"])
                billed.setdefault(account, {}).setdefault(row["InvoiceIssuerName"], []).append(number)
    others = other_issuers(billed)
    if others and version >= (1, 2):
        found["R17"] = (len(others), min(others))
    return {rule: list(found[rule]) for rule in sorted(found)}


SAMPLES = [
    ("focus/focus_1_0_sample.csv", "focus_1_0", focus, "BilledCost"),
    ("focus/synthetic_focus_1_4_cost_and_usage.csv", "focus_1_4", focus, "BilledCost"),
    ("aws/cur_legacy_sample.csv", "aws_cur_legacy", cur, "lineItem/UnblendedCost"),
    ("aws/cur2_commitments.csv", "aws_cur_legacy", cur2, "line_item_net_unblended_cost"),
    ("azure/EA_ActualCost_Small.csv", "azure_ea_actual", lambda r: azure_ea(r, False), "Cost"),
    ("azure/EA_AmortizedCost_Small.csv", "azure_ea_amortized", lambda r: azure_ea(r, True), "Cost"),
    ("azure/EA_NoRows.csv", "azure_ea_actual", lambda r: azure_ea(r, False), "Cost"),
    ("azure/ea_export_cad_sample.csv", "azure_ea_actual", lambda r: azure_ea(r, False), "CostInBillingCurrency"),
    ("azure/Enterprise.csv", "azure_ea_actual", lambda r: azure_ea(r, False), "CostInBillingCurrency"),
    ("azure/mca_ActualCost.csv", "azure_mca_actual", lambda r: azure_mca(r, False), "costInBillingCurrency"),
    ("azure/mca_AmortizedCost.csv", "azure_mca_amortized", lambda r: azure_mca(r, True), "costInBillingCurrency"),
    ("azure/csp_partner.csv", "azure_mca_actual", lambda r: azure_mca(r, False), "costInBillingCurrency"),
    ("azure/EnterpriseCamel.csv", "azure_mca_actual", lambda r: azure_mca(r, False), "costInBillingCurrency"),
    ("azure/PayAsYouGo.csv", "azure_usage_details", azure_details, "PreTaxCost"),
    ("azure/German.csv", "azure_usage_details", azure_details, "PreTaxCost (PreTaxCost)"),
    ("azure/YA.csv", "azure_usage_details", azure_details, "costInBillingCurrency"),
    ("azure/BOM.csv", "azure_usage_details", azure_details, "PreTaxCost"),
    ("gcp/detailed_export.jsonl", "gcp_billing_export", gcp, gcp_cost),
    ("gcp/detailed_export_flat.csv", "gcp_billing_export", gcp, gcp_cost),
    ("oci/oci_cost_report_sample.csv", "oci_cost_report", oci, "cost/myCost"),
    ("partner_center/invoice_reconciliation.csv", "partner_center_invoice", partner_center_invoice, "Subtotal + TaxTotal"),
    ("partner_center/daily_rated_usage.csv", "partner_center_daily_usage", partner_center_daily, "BillingPreTaxTotal"),
    ("partner_center/azure_utilization.jsonl", "partner_center_utilization", partner_center_utilization, lambda row: D(0)),
]
# By the rules of 1.2, which ask more than its own version.
OTHER_ISSUERS = "focus/focus_1_0_sample.csv"
FINDINGS = [("focus/focus_1_0_sample.csv", (1, 0)), ("focus/synthetic_focus_1_4_cost_and_usage.csv", (1, 4))]
REFUSED = [
    "azure/VirtualMachine.csv", "azure/MissingBrackets.csv",
    "focus/synthetic_focus_1_4_invoice_detail.csv",
]


def plain(value):
    text = format(value, "f")
    return (text.rstrip("0").rstrip(".") if "." in text else text) or "0"


def sample(path, source, mapping, cost_column):
    text = (ROOT / path).read_bytes().decode("utf-8-sig")
    if path.endswith(".jsonl"):
        objects = [flattened(json.loads(line, parse_float=str, parse_int=str)) for line in text.splitlines()]
        header = sorted({name for each in objects for name in each})
        reader = ([each.get(name) for name in header] for each in objects)
    else:
        reader = csv.reader(io.StringIO(text, newline=""))
        header = next(reader)
    result = {"source": source, "rows": 0, "rejected": [], "usage_rows": 0, "lossy_rows": 0, "provider_cost": D(0)}
    sums, filled, flags, periods, noted = {}, {}, {}, {}, {}
    lines = list(reader)
    DELIVERY["rows"] = [dict(zip(header, cells)) for cells in lines if len(cells) == len(header)]
    for cells in lines:
        if not cells:
            continue
        result["rows"] += 1
        if len(cells) != len(header):
            result["rejected"].append([result["rows"], None])
            continue
        row = dict(zip(header, cells))
        if callable(cost_column):
            result["provider_cost"] += cost_column(row)
        else:
            for column in cost_column.split(" + "):
                if NUMBER.match(row[column]):
                    result["provider_cost"] += D(row[column]).quantize(UNIT, rounding=decimal.ROUND_HALF_EVEN)
        LOST["digits"] = False
        try:
            made = mapping(row)
        except Rejected as rejected:
            result["rejected"].append([result["rows"], rejected.column])
            continue
        result["lossy_rows"] += LOST["digits"]
        for out in made:
            for says in out.pop("notes", []):
                first = noted.setdefault(says, [0, result["rows"]])[1]
                noted[says] = [noted[says][0] + 1, first]
            result["usage_rows"] += 1
            periods[out["period"]] = periods.get(out["period"], 0) + 1
            for name, value in out.items():
                if name.startswith("has_"):
                    flags[name[4:]] = flags.get(name[4:], 0) + bool(value)
                elif name != "period" and value is not None:
                    sums[name] = sums.get(name, D(0)) + value
                    filled[name] = filled.get(name, 0) + 1
    result["provider_cost"] = plain(result["provider_cost"])
    result["sums"] = {k: plain(v) for k, v in sorted(sums.items())}
    result["filled"] = dict(sorted(filled.items()))
    result["texts"] = dict(sorted(flags.items()))
    result["periods"] = dict(sorted(periods.items()))
    result["noted"] = dict(sorted(noted.items()))
    return result


def main():
    found = {
        "samples": {path: sample(path, *rest) for path, *rest in SAMPLES},
        "findings": {path: findings(path, version) for path, version in FINDINGS},
        "other_issuers": {OTHER_ISSUERS: findings(OTHER_ISSUERS, (1, 2))["R17"]},
        "refused": REFUSED,
        "decisions": DECISIONS,
    }
    text = json.dumps(found, indent=2, ensure_ascii=False) + "\n"
    if sys.argv[1:] == ["--check"]:
        committed = pathlib.Path(__file__).with_suffix(".json").read_text(encoding="utf-8")
        if committed != text:
            sys.exit("tests/landing_reference.json differs from what the script computes")
        print("tests/landing_reference.json is what the script computes")
    else:
        sys.stdout.write(text)


if __name__ == "__main__":
    main()
