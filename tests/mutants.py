#!/usr/bin/env python3
"""Shows that the tests of interference find leaks: plants one defect at a time and expects them to fail.

    python3 tests/mutants.py [--only NAME] [--pairs 2000]

Each defect is a change of one place in a copy of the sources, built and tested there; a build takes minutes, so this runs on
demand. Exit status 0: every defect was found and the unchanged sources pass; 1: one was not.
"""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent

# Not among them: the caller's expressions below the scope's filter (`is_leakproof` in security/scan.rs). A row group holds rows of one owner
# and the scope's filter leaves out row groups by their bounds, so that no hidden row is there to break an expression: a second line of defence.
#
# Name, file below engine/src, text that is there once, what takes its place.
DEFECTS = [
    ("a scan without the scope's filter", "session/lake_source.rs",
     "kept(kept(scan(files)?, rows)?, row_filter(&moment.scope, begins_at_seller))?", "kept(scan(files)?, rows)?"),
    ("parts of a row that changes above its reader", "session/fold.rs",
     "LakeTable::Charges if files.iter().all(|file| agree(file)) =>", "LakeTable::Charges =>"),
    ("groups of a roll-up that differ above their reader", "session/fold.rs",
     ".partition(|file| !must_fold && scope.prefixes.len() == 1 && agree(file) && is_alone(file))", ".partition(|_| !must_fold)"),
    ("paths from the root", "security/relations.rs",
     'Some((above, _)) => substr(col("node_path"), lit(count(above.chars().count() + 2))),', 'Some(_) => col("node_path"),'),
    ("reference rows of everybody", "session/scope_rows.rs",
     '"nodes" | "accounts" => within_then(text("node_id")),', '"nodes" | "accounts" => true,'),
    ("cards of everybody", "session/scope_rows.rs",
     "is_shown && (moment.scope.is_root || within(seller))", "is_shown"),
    ("documents of everybody", "session/scope_rows.rs",
     "moment.scope.is_root || moment.tree.is_within_throughout(seller, own, &begin(from), &begin(to))", "true"),
    ("logins of everybody in pg_roles", "session/facts.rs",
     ".filter(|row| text(row, 0) == *own || moment.tree.is_within_now(&text(row, 1), &moment.scope.node_id, &now))", ""),
    ("snapshot ids for everybody", "session/row_source.rs",
     "is_root || column.name != OF_THE_ROOT", "is_root || !OF_THE_ROOT.is_empty()"),
    ("a plan that shows what is inside a scan", "security/scan.rs",
     'write!(f, "ScopedScan: {}", self.name)', 'write!(f, "ScopedScan: {} {:?}", self.name, self.inner)'),
    ("partitions by the number of files", "security/scan.rs",
     "let partitions = self.source.partitions(state.config().target_partitions());",
     "let _ = state;\n        let partitions = inner.properties().partitioning.partition_count();"),
    ("values in errors", "security/errors.rs",
     'SessionError::new("22P02", "invalid input syntax or value")\n}', "SessionError::new(\"22P02\", text.to_owned())\n}"),
    ("a hash of a line and the lines beside it", "warehouse/line_identity.rs",
     "if array.is_valid(row) {\n                    hasher.write_u64(mark);",
     "if !array.is_valid(row) {\n                    hasher.write_u8(0);\n                } else {\n                    hasher.write_u64(mark);"),
    ("whose resource a share of a pool is of", "security/relations.rs",
     "if DISCLOSED.contains(&name) {", "if DISCLOSED.contains(&name) && name.is_empty() {"),
    ("what is left over of a pool for the first of its shares", "rating/charging.rs",
     "            rest.take(&part);", "            if !until_now.whole.steps.is_empty() {\n                part.amounts.list = part.amounts.list.map(|list| list + division.shares.len() as i128);\n            }\n            rest.take(&part);"),
    ("shares of each stretch that a row is cut into above", "rating/charging.rs",
     "held.row == cut.row && held.number + 1 == cut.number && divisions[held.division].has_shares_of(division)", "held.row != cut.row"),
    ("rules and pools above in explanations", "session/explain_charge/rows.rs",
     "path.is_some_and(|path| path.contains(&own))", "path.is_some_and(|path| path.contains(&own) || !path.is_empty())"),
    ("keys of tags that rules of others look at", "session/lake_source.rs",
     "column.value = tags_of(keys.clone()).call(vec![column.value.clone()]);", "drop(tags_of(keys.clone()));"),
    ("every relation for every role", "session/relation_catalog.rs",
     "        let Some(granted) = self.granted().find(|r| r.schema == schema && r.name == name) else {",
     "        let Some(granted) = RELATIONS.iter().find(|r| r.schema == schema && r.name == name) else {"),
]


def plant(sources, defect):
    _, file, old, new = defect
    path = sources / "engine" / "src" / file
    text = path.read_text()
    if text.count(old) != 1:
        sys.exit(f"{file}: the text of a defect is there {text.count(old)} times: {old!r}")
    path.write_text(text.replace(old, new))
    return path, text


def fails(sources, pairs):
    """Whether the tests fail, and how."""
    command = ["cargo", "test", "--offline", "-q", "-p", "ratehouse", "-p", "ratehouse-udfs", "--test", "main", "interference"]
    done = subprocess.run(command, cwd=sources, env={**os.environ, "RATEHOUSE_PAIRS": str(pairs)}, capture_output=True, text=True)
    output = done.stdout + done.stderr
    if "could not compile" in output:
        sys.exit(output)
    found = [line for line in output.splitlines() if "can tell the worlds apart" in line or "reads a hidden row" in line]
    return done.returncode != 0, (found or output.strip().splitlines()[-1:])[0]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", help="defects whose name holds this text")
    parser.add_argument("--pairs", type=int, default=2000)
    parser.add_argument("--sources", type=pathlib.Path, default=ROOT / "target" / "mutants")
    arguments = parser.parse_args()
    sources = arguments.sources
    shutil.rmtree(sources, ignore_errors=True)
    shutil.copytree(ROOT, sources, ignore=shutil.ignore_patterns("target", ".git"))
    chosen = [defect for defect in DEFECTS if not arguments.only or arguments.only in defect[0]]
    missed = []
    for defect in chosen:
        path, text = plant(sources, defect)
        failed, how = fails(sources, arguments.pairs)
        path.write_text(text)
        print(f"{'found ' if failed else 'MISSED'} {defect[0]}: {how}", flush=True)
        if not failed:
            missed.append(defect[0])
    failed, how = fails(sources, arguments.pairs)
    print(f"{'BROKEN' if failed else 'passes'} unchanged: {how}")
    print(f"{len(chosen) - len(missed)} of {len(chosen)} defects found")
    return 1 if missed or failed else 0


if __name__ == "__main__":
    sys.exit(main())
