"""Time and memory to build the index of a large store, and to update it by 1,000 records.

python benchmarks/million.py                        1,000,000 records: 8 GB of disk, half an hour
python benchmarks/million.py --records 100000

The records are copies of one record of realistic size, each with its own key, seed and score. They
are in the cache of the file system when they are read, so the disk is not measured. Each build runs
in a process of its own, as for a user.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from _common import ROOT, Reading, parse_arguments, temporary_store, write_results

NUM_NEW = 1000
BUILD = """
import json, os, resource, sys, time
start = time.perf_counter()
from quintain.records.store import Store
from quintain.records.index.table import open_table
with open_table(Store(sys.argv[1])) as connection:
    wall = time.perf_counter() - start
    cpu = sum(os.times()[:2])
    (rows,) = connection.sql("select count(*) from records").fetchall()
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"wall": wall, "cpu": cpu, "rows": rows[0], "peak": peak}))
"""


def main() -> None:
    options = parse_arguments(__doc__, records=1_000_000, n=3, keep=None)
    with temporary_store(options.keep) as store:
        generate(store, 0, options.records)
        first = build(store, options.records)
        updates = []
        for _ in range(options.n):
            stop = options.records + (len(updates) + 1) * NUM_NEW
            generate(store, stop - NUM_NEW, stop)
            updates.append(build(store, stop))
        size = sum(file.stat().st_size for file in (store / "index").iterdir()) / 2**20
    write_results("million", make_readings(options.records, first, updates, size), options.out)


def build(store: Path, expected: int) -> dict[str, float]:
    """Open the index in a new process; return wall time, CPU time (s), rows and peak (MiB)."""
    process = subprocess.run(
        [sys.executable, "-c", BUILD, str(store)], capture_output=True, text=True, check=True
    )
    result: dict[str, float] = json.loads(process.stdout)
    assert result["rows"] == expected, f"expected {expected} rows, got {result['rows']}"
    return result


def make_readings(
    records: int, first: dict[str, float], updates: list[dict[str, float]], size: float
) -> list[Reading]:
    has_targets = records == 1_000_000
    peaks = [result["peak"] for result in (first, *updates)]
    update = f"{NUM_NEW:,} records more"
    return [
        Reading(f"index of {records:,} records", "s", [first["wall"]], 60 if has_targets else None),
        Reading("the same: CPU", "s", [first["cpu"]]),
        Reading(update, "s", [result["wall"] for result in updates], 2 if has_targets else None),
        Reading("the same: CPU", "s", [result["cpu"] for result in updates]),
        Reading("peak memory", "MiB", peaks, 1024 if has_targets else None, judged="worst"),
        Reading("size of the index", "MiB", [size]),
    ]


def generate(store: Path, start: int, stop: int) -> None:
    """Write the records with the numbers from `start` to `stop`, evenly over all folders."""
    values = make_template()
    for shard in range(256):
        (store / "records" / f"{shard:02x}").mkdir(parents=True, exist_ok=True)
    text = json.dumps(values).replace('"seed": 1', '"seed": @seed@').encode()
    score = json.dumps(values["quality"]["scores"]["accuracy"]["test"]).encode()
    for number in range(start, stop):
        key = hashlib.sha256(str(number).encode()).hexdigest()[:32]
        record = text.replace(values["key"].encode(), key.encode()).replace(
            b'"seed": @seed@', b'"seed": %d' % number
        )
        record = record.replace(b'"test": ' + score, b'"test": %.6f' % (number % 9973 / 9973))
        file = os.open(store / "records" / key[:2] / f"{key}.json", os.O_WRONLY | os.O_CREAT, 0o644)
        os.write(file, record)
        os.close(file)


def make_template() -> dict[str, Any]:
    """Return the values of a record of about 7 kB, as a run of 150 steps writes it."""
    sys.path.insert(0, str(ROOT / "tests"))
    from helpers.record_factory import make_record

    steps = [round(20 + i * 7919 % 1000 / 37, 3) for i in range(150)]
    classes = [str(digit) for digit in range(10)]
    counts = [[i * j for j in range(10)] for i in range(10)]
    cell = {f"setting_{i}": {"_target_": "quintain.some.plugin", "value": i} for i in range(30)}
    record = make_record(score=0.123456789, cell=cell, step_times_ms=steps).dump()
    point = record["quality"]["curve"][0]
    record["quality"]["curve"] = [point | {"step": step} for step in range(20)]
    record["quality"]["confusion"] = {"classes": classes, "counts": counts}
    return record


if __name__ == "__main__":
    main()
