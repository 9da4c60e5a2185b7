"""What the benchmark scripts share: readings with n, median and spread, and one JSON file each."""

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
    """Values of one quantity; `judged` says which number is held against the target.

    Attributes:
        what: the quantity, in words.
        unit: of the values.
        values: every reading, in the order taken.
        at_most, at_least: the target; None where there is none.
        judged: the median, or the worst value where every single one has to meet the target.
        note: what else a reader needs.
    """

    what: str
    unit: str
    values: list[float]
    at_most: float | None = None
    at_least: float | None = None
    judged: Literal["median", "worst"] = "median"
    note: str = ""
    summary: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        low, high = min(self.values), max(self.values)
        middle = statistics.median(self.values)
        worst = low if self.at_least is not None else high
        value = worst if self.judged == "worst" else middle
        limits = (self.at_most, self.at_least)
        met = None if limits == (None, None) else _within(value, *limits)
        self.summary = {
            "n": len(self.values),
            "median": middle,
            "low": low,
            "high": high,
            "met": met,
        }


def _within(value: float, at_most: float | None, at_least: float | None) -> bool:
    return (at_most is None or value <= at_most) and (at_least is None or value >= at_least)


def arguments(doc: str | None, **defaults: Any) -> argparse.Namespace:
    """Command-line arguments of a script: one option a default, and `--out`."""
    parser = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, value in defaults.items():
        kind = str if value is None else type(value)
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, default=value)
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the JSON file")
    return parser.parse_args()


def publish(name: str, readings: Sequence[Reading], out: Path) -> None:
    """Print the readings and write `<out>/<name>.json`."""
    from quintain.run.machine import machine, versions

    facts = {k: v for k, v in machine().items() if k not in ("host", "threads")}
    result = {
        "name": name,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "load": os.getloadavg()[0],
        "machine": facts,
        "versions": versions(),
        "readings": [asdict(reading) for reading in readings],
    }
    out.mkdir(parents=True, exist_ok=True)
    (out / f"{name}.json").write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    for reading in readings:
        print("  ".join(cells(asdict(reading))))


def cells(reading: dict[str, Any]) -> list[str]:
    """A reading as the cells of a table: what, median, range, n, target, met, note."""
    summary, unit = reading["summary"], reading["unit"]
    at_most, at_least = reading["at_most"], reading["at_least"]
    target = "–" if at_most is None else f"≤ {at_most:g} {unit}"
    if at_least is not None:
        target = f"≥ {at_least:g} {unit}"
    if target != "–" and reading["judged"] == "worst" and summary["n"] > 1:
        target = f"{target.strip()} each"
    return [
        reading["what"],
        f"{summary['median']:.4g} {unit}".strip(),
        f"{summary['low']:.4g} to {summary['high']:.4g}",
        str(summary["n"]),
        target,
        {True: "yes", False: "**no**", None: "–"}[summary["met"]],
        reading["note"],
    ]


def commit() -> str:
    """Short hash of the commit, with a + where the tree has changes."""
    try:
        head = _git("rev-parse", "--short", "HEAD")
        return head + ("+" if _git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def timed(words: Sequence[str], **environment: str) -> float:
    """Seconds that a command takes from start to exit; its output is shown where it fails."""
    began = time.perf_counter()
    done = subprocess.run(
        words, capture_output=True, text=True, env=os.environ | environment, cwd=ROOT
    )
    seconds = time.perf_counter() - began
    if done.returncode:
        sys.exit(f"{' '.join(words)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return seconds


def quintain_json(*words: str) -> Any:
    """What a quintain command prints with `--format json`."""
    done = subprocess.run(
        [*QUINTAIN, *words, "--format", "json"], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


@contextmanager
def scratch(keep: str | None = None) -> Iterator[Path]:
    """A store that is removed afterwards, or the folder to keep."""
    if keep is not None:
        yield Path(keep)
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder) / "store"


def default_cells(*settings: str) -> list[Any]:
    """The cells of the quick suite with other settings, preflighted, their widths solved."""
    from quintain.compose.plan import make_plan
    from quintain.compose.preflight import preflight

    words = ["suite=quick", "hardware=cpu", *settings]
    plan = make_plan(words, lambda store, keys: {}, preflight, references=False)
    return plan.to_run()
