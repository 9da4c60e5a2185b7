"""Code that the benchmark scripts share: measurements, their JSON files, and running commands."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
QUINTAIN = [sys.executable, "-m", "quintain"]


@dataclass
class Reading:
    """The measurements of one quantity, and its target."""

    what: str  # description of the quantity
    unit: str
    values: list[float]  # in the order of measurement
    at_most: float | None = None  # the target, if there is one
    at_least: float | None = None
    judged: Literal["median", "worst"] = "median"  # the value that must meet the target
    note: str = ""
    summary: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        low, high = min(self.values), max(self.values)
        median = statistics.median(self.values)
        worst = low if self.at_least is not None else high
        value = worst if self.judged == "worst" else median
        met = None
        if self.at_most is not None or self.at_least is not None:
            met = (self.at_most is None or value <= self.at_most) and (
                self.at_least is None or value >= self.at_least
            )
        self.summary = {"n": len(self.values), "median": median, "low": low, "high": high,
                        "met": met}  # fmt: skip


def parse_arguments(doc: str | None, **defaults: Any) -> argparse.Namespace:
    """Parse the command line of a script: one option for each default, and `--out`."""
    parser = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, value in defaults.items():
        kind = str if value is None else type(value)
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, default=value)
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the JSON file")
    return parser.parse_args()


def write_results(name: str, readings: Sequence[Reading], out: Path) -> None:
    """Print the readings, and write them with the machine and versions to `<out>/<name>.json`."""
    from quintain.run.measure.machine import describe_machine, read_package_versions

    machine = {k: v for k, v in describe_machine().items() if k not in ("host", "threads")}
    result = {
        "name": name,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": current_commit(),
        "load": os.getloadavg()[0],
        "machine": machine,
        "versions": read_package_versions(),
        "readings": [asdict(reading) for reading in readings],
    }
    out.mkdir(parents=True, exist_ok=True)
    (out / f"{name}.json").write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    for reading in readings:
        print("  ".join(table_row(asdict(reading))))


def table_row(reading: dict[str, Any]) -> list[str]:
    """Return a reading as the cells of a table row: the `COLUMNS` of run_all.py."""
    summary, unit = reading["summary"], reading["unit"]
    at_most, at_least = reading["at_most"], reading["at_least"]
    target = "–" if at_most is None else f"≤ {at_most:g} {unit}"
    if at_least is not None:
        target = f"≥ {at_least:g} {unit}"
    if target != "–" and reading["judged"] == "worst" and summary["n"] > 1:
        target = f"{target.strip()} each"  # strip: a unit may be empty
    return [
        reading["what"],
        f"{summary['median']:.4g} {unit}".strip(),
        f"{summary['low']:.4g} to {summary['high']:.4g}",
        str(summary["n"]),
        target,
        {True: "yes", False: "**no**", None: "–"}[summary["met"]],
        reading["note"],
    ]


def current_commit() -> str:
    """Return the short hash of the commit, and a + if tracked files have changed since."""
    try:
        head = _git("rev-parse", "--short", "HEAD")
        return head + ("+" if _git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def time_command(command: Sequence[str], **environment: str) -> float:
    """Return the seconds from start to exit of a command; exit with its output if it fails."""
    began = time.perf_counter()
    done = subprocess.run(
        command, capture_output=True, text=True, env=os.environ | environment, cwd=ROOT
    )
    seconds = time.perf_counter() - began
    if done.returncode:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return seconds


def read_json(*arguments: str) -> Any:
    """Return the JSON values that a quintain command prints with `--format json`."""
    done = subprocess.run(
        [*QUINTAIN, *arguments, "--format", "json"], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


@contextmanager
def temporary_store(keep: str | None = None) -> Iterator[Path]:
    """Yield the folder `keep`, or a temporary folder, for a store."""
    if keep is not None:
        yield Path(keep)
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder) / "store"


def plan_quick_suite(*settings: str) -> list[Any]:
    """Return the cells of the quick suite with these settings, ready to run."""
    from quintain.launch.planning import LaunchServices
    from quintain.plan.plan import make_plan

    overrides = ["suite=quick", "hardware=cpu", *settings]
    plan = make_plan(overrides, LaunchServices(), baselines=False, force=True)
    return plan.to_run()
