#!/usr/bin/env python3
"""Compares -> ->> #> #>> over JSON text with PostgreSQL 15's over json, side by side, on random documents.

    python3 tests/postgres_json.py [--documents 4000] [--seed 20260315]

About a third of the documents are broken by one character; where PostgreSQL then refuses the text, Ratehouse must give NULL.
Exit status 0: all equal; 1: differences; 0 with the word SKIPPED where PostgreSQL 15 is not installed.

Exceptions:
- Of a whole document (path {}) PostgreSQL keeps spaces before a scalar: compared away.
- A path through members that repeat: PostgreSQL's json finds what any of them leads to, its jsonb and Ratehouse follow the
  last. Paths are compared on documents without repeated names.
- For \\u0000 and halves of surrogate pairs anywhere PostgreSQL refuses the whole document, Ratehouse gives NULL for that one
  string: the documents have none.
"""

import argparse
import random
import sys

from postgres_decimals import postgres_15, quoted, side_by_side

# A query is one line, and so is each row of an answer: this stands for the line break.
BREAK = "¶"
NULL = "∅"
KEYS = ["a", "b", "team", "", "0", "é", 'q"', "back\\slash", "A"]
PATHS = ["{}", "{a}", "{a,b}", "{a,0}", "{0}", "{-1,a}", "{b,1,a}", '{"", " 0"}', "{null,a}", "{a,+1}", "{a,0x}"]
PIECES = ["x", "red", " ", "é", "😀", "\\n", "\\t", '\\"', "\\\\", "\\/", "\\b", "\\u00e9", "\\u20ac", "\\u0041", "{", "]", ",", ":"]
NUMBERS = ["0", "-0", "1.50", "12345678901234567890.000000000000000001", "1e5", "1E-7", "-2.5e+10", "0.10"]
# Without d: a surrogate must not come about.
BREAKERS = '{}[]",:\\-+.01e9tfn ' + BREAK


def space(rng):
    return rng.choice(["", "", "", "", " ", BREAK, "\t", " \t "])


def string(rng):
    return '"' + "".join(rng.choice(PIECES) for _ in range(rng.randrange(5))) + '"'


def name(rng, key):
    written = key.replace("\\", "\\\\").replace('"', '\\"')
    if rng.random() < 0.2:
        written = written.replace("a", "\\u0061").replace("A", "\\u0041")
    return f'"{written}"'


def value(rng, depth, repeats):
    # Nearly all documents are objects, as tags are, or arrays.
    kind = rng.random() * (0.55 if depth == 0 else 1)
    if depth < 4 and kind < 0.3:
        count = rng.randrange(9)
        keys = rng.choices(KEYS, k=count) if repeats else rng.sample(KEYS, count)
        members = (f"{space(rng)}{name(rng, key)}{space(rng)}:{space(rng)}{value(rng, depth + 1, repeats)}{space(rng)}" for key in keys)
        return "{" + ",".join(members) + "}"
    if depth < 4 and kind < 0.5:
        elements = (f"{space(rng)}{value(rng, depth + 1, repeats)}{space(rng)}" for _ in range(rng.randrange(5)))
        return "[" + ",".join(elements) + "]"
    if kind < 0.75:
        return string(rng)
    return rng.choice([*NUMBERS, "true", "false", "null"])


def document(rng, repeats):
    text = value(rng, 0, repeats)
    if rng.random() < 0.1:
        # A pair cannot be broken: these documents stay whole.
        return space(rng) + text.replace("red", "\\ud83d\\ude00") + space(rng)
    text = space(rng) + text + space(rng)
    if text and rng.random() < 0.35:
        at = rng.randrange(len(text))
        text = text[:at] + rng.choice(["", rng.choice(BREAKERS)]) + text[at + rng.randrange(2):]
    return text


def questions():
    for key in KEYS:
        for operator in ["->", "->>"]:
            yield operator, quoted(key)
    for place in [0, 1, 2, -1, -3]:
        for operator in ["->", "->>"]:
            yield operator, str(place)
    for path in PATHS:
        for operator in ["#>", "#>>"]:
            yield operator, quoted(path)


def answers(server, documents, expression):
    """What `expression` over the column doc gives, by number."""
    shown = {}
    for start in range(0, len(documents), 200):
        rows = ", ".join(f"({start + at}, {quoted(text)})" for at, text in enumerate(documents[start:start + 200]))
        lines = server.sql(
            f"select cast(id as text) || ':' || coalesce(replace({expression}, chr(10), '{BREAK}'), '{NULL}') "
            f"from (select id, replace(doc, '{BREAK}', chr(10)) as doc from (values {rows}) as given(id, doc)) as documents"
        )
        shown.update((int(number), text) for number, text in (line.split(":", 1) for line in lines))
    return shown


def compare(postgres, ratehouse, count, rng):
    with_repeats, without = ([document(rng, repeats) for _ in range(count)] for repeats in [True, False])
    compared = found = differences = 0
    for operator, right in questions():
        kind = "int" if operator.startswith("-") and not right.startswith("'") else "text[]" if operator.startswith("#") else "text"
        postgres.sql(
            f"create or replace function total(doc text) returns text language plpgsql as $$ begin "
            f"return (doc::json {operator} {right}::{kind})::text; exception when others then return null; end $$"
        )
        documents = without if operator.startswith("#") else with_repeats
        theirs = answers(postgres, documents, "total(doc)")
        ours = answers(ratehouse, documents, f"(doc {operator} {right})")
        assert theirs.keys() == ours.keys() and len(theirs) == len(documents)
        for at, text in theirs.items():
            compared += 1
            found += text != NULL
            if right == "'{}'":
                text, ours[at] = text.strip(BREAK + "\t "), ours[at].strip(BREAK + "\t ")
            if text != ours[at]:
                differences += 1
                if differences <= 20:
                    print(f"DIFFERENT {documents[at][:300]!r} {operator} {right}: PostgreSQL {text!r}, Ratehouse {ours[at]!r}")
    return compared, found, differences


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--documents", type=int, default=4_000)
    parser.add_argument("--seed", type=int, default=20260315)
    arguments = parser.parse_args()
    binaries = postgres_15()
    if binaries is None:
        return 0
    rng = random.Random(arguments.seed)
    with side_by_side(binaries) as (postgres, ratehouse):
        version = postgres.sql("show server_version")[0]
        compared, found, differences = compare(postgres, ratehouse, arguments.documents, rng)
    print(
        f"{compared} values compared with PostgreSQL {version} (seed {arguments.seed}), {found} of them not null: "
        f"{differences} differences"
    )
    return 1 if differences or not found else 0


if __name__ == "__main__":
    sys.exit(main())
