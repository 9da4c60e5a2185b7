"""Runs every benchmark one after another and writes the tables of README.md. Needs an idle machine.

python benchmarks/run_all.py            everything
python benchmarks/run_all.py --only startup,isolation
python benchmarks/run_all.py --only none                  the tables alone
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

from _common import ROOT, arguments, cells

HERE = Path(__file__).resolve().parent
COLUMNS = ("what", "median", "range", "n", "target", "met", "note")
ORDER = ("startup", "sweep_time", "data_wait", "targets", "isolation", "harness_tax", "real_data")
ORDER += ("faults", "planning", "workers", "million")
FROM_A_STORE = ("sweep_time", "data_wait", "targets", "picture")
BUSY = 0.5  # load above which timings are not worth taking


def main() -> None:
    asked = arguments(__doc__, only=",".join([*ORDER, "picture"]), store=None)
    wanted = [name for name in asked.only.split(",") if name != "none"]
    if wanted and (load := os.getloadavg()[0]) > BUSY:
        print(f"the load is {load:.1f}: other processes will show in the times", file=sys.stderr)
    if "real_data" in wanted and "QUINTAIN_DATA" not in os.environ:
        print("real_data is left out: set QUINTAIN_DATA", file=sys.stderr)
        wanted.remove("real_data")
    with tempfile.TemporaryDirectory() as folder:
        store = asked.store or f"{folder}/store"
        for name in wanted:
            more = [f"--store={store}"] if name in FROM_A_STORE else []
            print(f"\n{name}", flush=True)
            words = [sys.executable, f"{name}.py", f"--out={asked.out}", *more]
            subprocess.run(words, cwd=HERE, check=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    if asked.out.resolve() == (HERE / "results").resolve():
        write_tables(asked.out)


def write_tables(results: Path) -> None:
    """Put each result between its markers in README.md."""
    readme = HERE / "README.md"
    text = readme.read_text()
    for file in sorted(results.glob("*.json")):
        name = file.stem
        marked = re.compile(rf"(<!-- {name} -->\n).*?(\n<!-- /{name} -->)", re.DOTALL)
        table = render(json.loads(file.read_text()))
        text = marked.sub(lambda match, table=table: match[1] + table + match[2], text)
    readme.write_text(text)
    print(f"wrote {readme.relative_to(ROOT)}")


def render(result: dict[str, Any]) -> str:
    """A Markdown table of one result, and where it was measured."""
    machine, versions = result["machine"], result["versions"]
    place = f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']} GiB"
    if machine["gpu"]:
        place += f", {machine['gpu']}"
    lines = [
        f"| {' | '.join(COLUMNS)} |",
        f"| {' | '.join('---' for _ in COLUMNS)} |",
        *(f"| {' | '.join(cells(reading))} |" for reading in result["readings"]),
        "",
        f"{result['date'][:10]}, commit {result['commit']}, {place}, load {result['load']:.1f} at"
        f" the end; Python {versions['python']}, torch {versions['torch']}.",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
