"""Writes holidays.csv from the PyPI package holidays (MIT).

usage: python data/holidays/make_holidays.py > data/holidays/holidays.csv
"""
import csv
import sys

import holidays

YEARS = range(2024, 2031)
COUNTRIES = """AE AR AT AU BE BG BR CA CH CL CN CO CY CZ DE DK EE ES FI FR GB GR HK HR HU ID IE IL IN IS IT JP KR LT LU LV MT MX MY NL NO NZ PE PH
PL PT RO RS SA SE SG SI SK TH TR TW US VN ZA""".split()
PARTS = ("AU", "CA", "CH", "DE", "GB")


def rows(code, country, part=None):
    for day, names in sorted(holidays.country_holidays(country, subdiv=part, years=YEARS).items()):
        for name in names.split("; "):
            # A day whose date is not certain yet is the same holiday.
            yield code, day.isoformat(), name.replace(" (estimated)", "")


def main():
    out = csv.writer(sys.stdout, lineterminator="\n")
    out.writerow(("country", "holiday_date", "name"))
    for country in COUNTRIES:
        out.writerows(dict.fromkeys(rows(country, country)))
        if country in PARTS:
            for part in (part for part in holidays.country_holidays(country).subdivisions if len(part) <= 3):
                out.writerows(dict.fromkeys(rows(f"{country}-{part}", country, part)))


if __name__ == "__main__":
    main()
