"""Run all benchmarks, and write their tables into README.md. Needs an idle machine.

python benchmarks/run_all.py                              everything
python benchmarks/run_all.py --only startup,isolation     some of them
python benchmarks/run_all.py --only none                  write the tables only
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from _common import ROOT, parse_arguments, table_row

HERE = Path(__file__).resolve().parent
COLUMNS = ("what", "median", "range", "n", "target", "met", "note")
ORDER = (
    "startup",
    "sweep_time",
    "data_wait",
    "targets",
    "isolation",
    "harness_overhead",
    "real_data",
)
ORDER += ("faults", "planning", "workers", "million")
NEED_STORE = ("sweep_time", "data_wait", "targets", "screenshot")
MAX_LOAD = 0.5  # load average above which timings are not reliable


def main() -> None:
    options = parse_arguments(__doc__, only=",".join([*ORDER, "screenshot"]), store=None)
    names = [name for name in options.only.split(",") if name != "none"]
    if names and (load := os.getloadavg()[0]) > MAX_LOAD:
        print(f"the load is {load:.1f}: other processes will affect the times", file=sys.stderr)
    if "real_data" in names and "QUINTAIN_DATA" not in os.environ:
        print("real_data is left out: set QUINTAIN_DATA", file=sys.stderr)
        names.remove("real_data")
    with tempfile.TemporaryDirectory() as folder:
        store = options.store or f"{folder}/store"
        for name in names:
            store_option = [f"--store={store}"] if name in NEED_STORE else []
            print(f"\n{name}", flush=True)
            command = [sys.executable, f"{name}.py", f"--out={options.out}", *store_option]
            subprocess.run(command, cwd=HERE, check=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    if options.out.resolve() == (HERE / "results").resolve():
        write_tables(options.out)


def write_tables(results: Path) -> None:
    """Write each result between its markers in README.md."""
    readme = HERE / "README.md"
    text = readme.read_text()
    for file in sorted(results.glob("*.json")):
        name = file.stem
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(\n<!-- /{name} -->)", re.DOTALL)
        table = format_table(json.loads(file.read_text()))
        text = pattern.sub(lambda match, table=table: match[1] + table + match[2], text)
    readme.write_text(text)
    print(f"wrote {readme.relative_to(ROOT)}")


def format_table(result: dict[str, Any]) -> str:
    """Return a result as a Markdown table, with the machine that measured it."""
    machine, versions = result["machine"], result["versions"]
    hardware = f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']} GiB"
    if machine["gpu"]:
        hardware += f", {machine['gpu']}"
    lines = [
        f"| {' | '.join(COLUMNS)} |",
        f"| {' | '.join('---' for _ in COLUMNS)} |",
        *(f"| {' | '.join(row)} |" for row in map(table_row, result["readings"])),
        "",
        f"{result['date'][:10]}, commit {result['commit']}, {hardware}, load {result['load']:.1f}"
        f" at the end; Python {versions['python']}, torch {versions['torch']}.",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
