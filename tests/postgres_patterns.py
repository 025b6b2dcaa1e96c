#!/usr/bin/env python3
"""Compares to_char with PostgreSQL 15's, side by side, on random numbers, time stamps and patterns.

    python3 tests/postgres_patterns.py [--patterns 3000] [--seed 20261101]

Exit status 0: all equal; 1: differences; 0 with the word SKIPPED where PostgreSQL 15 is not installed. A pattern that
PostgreSQL refuses must be refused.

Exceptions:
- EEEE, RN, C, E, SP and B are not generated: the first two are not offered, PostgreSQL ignores the others.
- Patterns of numbers have a digit at least: without one PostgreSQL refuses some numbers and shows others.
"""

import argparse
import random
import sys

from postgres_decimals import postgres_15, quoted, side_by_side

NUMBER_PIECES = ["9", "9", "9", "99", "999", "0", "00", ",", "G", " ", "x", '"a\\"b"', "L", "th", "TH"]
SIGNS = [("", ""), ("", ""), ("S", ""), ("", "S"), ("", "MI"), ("MI", ""), ("PL", ""), ("", "PL"), ("SG", ""), ("", "PR"), ("", "SG")]
DATE_WORDS = (
    "A.D. A.M. AD AM B.C. BC CC DAY DDD DD DY Day Dy D FF1 FF2 FF3 FF4 FF5 FF6 FX HH24 HH12 HH IDDD ID IW IYYY IYY IY I J MI MM "
    "MONTH MON MS Month Mon OF P.M. PM Q RM SSSSS SSSS SS TZH TZM TZ US WW W Y,YYY YYYY YYY YY Y a.d. a.m. ad am b.c. bc cc day "
    "ddd dd dy d ff1 ff6 fx hh24 hh12 hh iddd id iw iyyy iyy iy i j mi mm month mon ms of p.m. pm q rm sssss ssss ss tzh tzm tz us "
    "ww w y,yyy yyyy yyy yy y"
).split()
SEPARATORS = ["-", "/", " ", ":", ".", ",", "", "", "T", '"of the"', "é", '\\"', "\\"]


def number_pattern(rng):
    before = "".join(rng.choice(NUMBER_PIECES) for _ in range(rng.randrange(1, 6))) + rng.choice(["9", "9", "0"])
    after = "".join(rng.choice(["9", "0", "99", "00", "0000"]) for _ in range(rng.randrange(4)))
    point = rng.choice([".", "D"]) if after else ""
    if not after and rng.random() < 0.1:
        point, after = rng.choice(["V", "v"]), "9" * rng.randrange(1, 4)
    head, tail = rng.choice(SIGNS)
    return rng.choice(["", "FM", "FM", "fm"]) + head + before + point + after + tail


def date_pattern(rng):
    pieces = []
    for _ in range(rng.randrange(1, 6)):
        pieces.append(rng.choice(["", "", "", "FM", "fm", "TM"]) + rng.choice(DATE_WORDS) + rng.choice(["", "", "", "TH", "th", "SP"]))
        pieces.append(rng.choice(SEPARATORS))
    return "".join(pieces)


def numbers(rng):
    for text in ["0", "1", "-1", "0.1", "-0.1", "9.995", "-9.995", "999.5", "1485", "0.05", "0.5", "-0.004"]:
        yield text
    for _ in range(28):
        whole = rng.choice(["", "0", str(rng.randrange(10)), str(rng.randrange(10**3)), str(rng.randrange(10**7)), str(rng.randrange(10**15))])
        fraction = rng.choice(["", "0", "5", f"{rng.randrange(100):02}", f"{rng.randrange(10**6):06}", f"{rng.randrange(10**12):012}"])
        if whole or fraction:
            yield rng.choice(["", "-"]) + (whole or "0") + ("." + fraction if fraction else "")


def moments(rng):
    for _ in range(40):
        year = rng.choice([1, 99, 999, 1582, 1900, 1970, 1999, 2000, 2024, 2026, 2100, 9999, rng.randrange(1, 9999)])
        day = rng.choice(["01-01", "12-31", "02-28", f"{rng.randrange(1, 13):02}-{rng.randrange(1, 29):02}"])
        time = rng.choice(["00:00:00", "12:00:00", "23:59:59.999999", f"{rng.randrange(24):02}:{rng.randrange(60):02}:{rng.randrange(60):02}.{rng.randrange(10**6):06}"])
        yield f"{year:04}-{day} {time}"


def theirs(postgres, values, kind, pattern):
    rows = ", ".join(f"({at}, {quoted(value)})" for at, value in enumerate(values))
    lines = postgres.sql(f"select id::text || ':' || total(v::{kind}, {quoted(pattern)}) from (values {rows}) as given(id, v)")
    return dict(line.split(":", 1) for line in lines)


def ours(ratehouse, values, kind, pattern):
    rows = ", ".join(f"({at}, {quoted(value)})" for at, value in enumerate(values))
    lines = ratehouse.sql(
        f"select cast(id as text) || ':' || to_char(cast(v as {kind}), {quoted(pattern)}) from (values {rows}) as given(id, v)",
        may_fail=True,
    )
    return {str(at): "!" for at in range(len(values))} if lines is None else dict(line.split(":", 1) for line in lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--patterns", type=int, default=3_000)
    parser.add_argument("--seed", type=int, default=20261101)
    arguments = parser.parse_args()
    binaries = postgres_15()
    if binaries is None:
        return 0
    rng = random.Random(arguments.seed)
    compared = refused = differences = 0
    with side_by_side(binaries) as (postgres, ratehouse):
        version = postgres.sql("show server_version")[0]
        for kind in ["numeric", "timestamp"]:
            postgres.sql(
                f"create function total(v {kind}, p text) returns text language plpgsql as $$ begin "
                f"return to_char(v, p); exception when others then return '!'; end $$"
            )
        for _ in range(arguments.patterns):
            kind, values, pattern = rng.choice([
                ("numeric", list(numbers(rng)), number_pattern(rng)),
                ("timestamp", list(moments(rng)), date_pattern(rng)),
            ])
            expected = theirs(postgres, values, kind, pattern)
            shown = ours(ratehouse, values, "decimal(38, 12)" if kind == "numeric" else kind, pattern)
            for at, text in expected.items():
                compared += 1
                refused += text == "!"
                if shown.get(at) != text:
                    differences += 1
                    if differences <= 20:
                        print(f"DIFFERENT {values[int(at)]} by {pattern!r}: PostgreSQL {text!r}, Ratehouse {shown.get(at)!r}")
    print(
        f"{compared} values compared with PostgreSQL {version} (seed {arguments.seed}), {refused} of them refused: "
        f"{differences} differences"
    )
    return 1 if differences or refused == compared else 0


if __name__ == "__main__":
    sys.exit(main())
