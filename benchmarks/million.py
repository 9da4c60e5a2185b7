"""How long the index of a large store takes, and what memory: all of it, then 1,000 records more.

python benchmarks/million.py                        1,000,000 records: 8 GB of disk, half an hour
python benchmarks/million.py --records 100000

Records are generated: one text of a real record's size, with a key, seed and score for each. They
are in the system's cache when they are read: what is measured is the work and not the disk.
Each build is a process of its own, as it is for a user.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from _common import ROOT, Reading, arguments, publish, scratch

NEW = 1000
BUILD = """
import json, os, resource, sys, time
began = time.perf_counter()
from quintain.records.store import Store
from quintain.records.table import table
with table(Store(sys.argv[1])) as con:
    built = time.perf_counter() - began
    cpu = sum(os.times()[:2])
    (rows,) = con.sql("select count(*) from records").fetchall()
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"wall": built, "cpu": cpu, "rows": rows[0], "peak": peak}))
"""


def main() -> None:
    asked = arguments(__doc__, records=1_000_000, n=3, keep=None)
    with scratch(asked.keep) as store:
        generate(store, 0, asked.records)
        first = build(store, asked.records)
        later = []
        for turn in range(asked.n):
            have = asked.records + turn * NEW
            generate(store, have, have + NEW)
            later.append(build(store, have + NEW))
        size = sum(file.stat().st_size for file in (store / "index").iterdir()) / 2**20
    publish("million", readings(asked.records, first, later, size), asked.out)


def build(store: Path, expected: int) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-c", BUILD, str(store)], capture_output=True, text=True, check=True
    )
    found: dict[str, float] = json.loads(done.stdout)
    assert found["rows"] == expected, f"{found['rows']} rows, not {expected}"
    return found


def readings(
    records: int, first: dict[str, float], later: list[dict[str, float]], size: float
) -> list[Reading]:
    whole = records == 1_000_000  # the targets are for this number
    every = [first, *later]
    peaks = [build["peak"] for build in every]
    more = f"{NEW:,} records more"
    return [
        Reading(f"index of {records:,} records", "s", [first["wall"]], 60 if whole else None),
        Reading("the same: CPU", "s", [first["cpu"]]),
        Reading(more, "s", [build["wall"] for build in later], 2 if whole else None),
        Reading("the same: CPU", "s", [build["cpu"] for build in later]),
        Reading("peak memory", "MiB", peaks, 1024 if whole else None, judged="worst"),
        Reading("size of the index", "MiB", [size]),
    ]


def generate(store: Path, start: int, stop: int) -> None:
    """Write the records of these numbers; keys are spread evenly over the folders."""
    plain = template()
    for shard in range(256):
        (store / "records" / f"{shard:02x}").mkdir(parents=True, exist_ok=True)
    text = json.dumps(plain).replace('"seed": 1', '"seed": @seed@').encode()
    score = json.dumps(plain["quality"]["scores"]["accuracy"]["test"]).encode()
    for number in range(start, stop):
        key = hashlib.sha256(str(number).encode()).hexdigest()[:32]
        filled = text.replace(plain["key"].encode(), key.encode()).replace(
            b'"seed": @seed@', b'"seed": %d' % number
        )
        filled = filled.replace(b'"test": ' + score, b'"test": %.6f' % (number % 9973 / 9973))
        file = os.open(store / "records" / key[:2] / f"{key}.json", os.O_WRONLY | os.O_CREAT, 0o644)
        os.write(file, filled)
        os.close(file)


def template() -> dict[str, Any]:
    """A record of some 7 kB, as a run of 150 steps leaves it."""
    sys.path.insert(0, str(ROOT / "tests"))
    from records_factory import make

    steps = [round(20 + i * 7919 % 1000 / 37, 3) for i in range(150)]
    classes = [str(digit) for digit in range(10)]
    counts = [[i * j for j in range(10)] for i in range(10)]
    cell = {f"setting_{i}": {"_target_": "quintain.some.plugin", "value": i} for i in range(30)}
    record = make(score=0.123456789, cell=cell, step_times_ms=steps).dump()
    point = record["quality"]["curve"][0]
    record["quality"]["curve"] = [point | {"step": step} for step in range(20)]
    record["quality"]["confusion"] = {"classes": classes, "counts": counts}
    return record


if __name__ == "__main__":
    main()
