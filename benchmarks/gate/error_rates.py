"""Error rates of the gate: how often it raises a false alarm, and how often it finds a loss.

python benchmarks/gate/error_rates.py --minutes 60          quality and speed, within this time
python benchmarks/gate/error_rates.py --only quality

Quality: many seeds of the digits cells of `suite=ci` are run with the usual and with fewer
optimizer steps. Gates compare random seeds with other seeds of the same runs (A/A: a change that
alters all scores and loses nothing), with seeds of the shorter runs, and with scores that are
reduced by one point.

Speed: side by side gates of a GRU against itself, and against itself with a pause of a tenth of the
duration of its recent steps. Needs an idle machine.

Runs and gates are stored in --work and not repeated; each result has its n.
"""

from __future__ import annotations

import json
import math
import random
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from _common import QUINTAIN, Reading, parse_arguments, write_results

from quintain.gate.code_versions import Version
from quintain.gate.gate_result import compare_records
from quintain.gate.interleaved_timing import InterleavedTimer
from quintain.gate.sequential_timing import time_until_decided
from quintain.records.schema import Record
from quintain.records.store import Store

SEEDS = 12  # per cell in the suite ci
MODELS = "cnn,rnn,lstm,gru,transformer"
POINT = 0.01
PAUSE = 0.1  # as a fraction of the step
GRU = """
import time
from collections import deque
from statistics import median
from torch import nn
from quintain.contracts import Features

class Timed(nn.Module):
    input_layout = "sequence"

    def __init__(self, inp: Features, *, width: float = 64.0):
        super().__init__()
        self.out = Features(**{{**vars(inp), "dim": int(width)}})
        self.net = nn.GRU(inp.dim, int(width), batch_first=True)
        self.steps, self.last = deque(maxlen=15), None

    def forward(self, x, mask):
        now = time.perf_counter()
        if self.last is not None:
            self.steps.append(now - self.last)
            end = now + {pause} * median(self.steps)
            while time.perf_counter() < end:  # time.sleep would take 0.05 ms longer
                pass
        self.last = time.perf_counter()
        return self.net(x)[0], mask
"""
CARD = "_target_: quintain_local.model.timed.Timed\nwidth: 64\ncard: {about: timed}\n"
OVERRIDES = [
    "dataset=digits",
    "model=timed",
    "plugins_dir=own",
    "hardware=cpu",
    "budget.params=null",
]


def main() -> None:
    options = parse_arguments(
        __doc__, minutes=30.0, only="quality,speed", work="results_gate", pool=30, gates=200,
        slow=200, loss_steps=150, workers=2,
    )  # fmt: skip
    end, work = time.monotonic() + 60 * options.minutes, Path(options.work).absolute()
    work.mkdir(parents=True, exist_ok=True)
    if "quality" in options.only:
        write_results("gate_quality", quality(options, work), options.out)
    if "speed" in options.only:
        write_results("gate_speed", speed(options, work, end), options.out)


def quality(options: Any, work: Path) -> list[Reading]:
    """Return the fractions of gates that raise an alarm, pass, or find a loss."""
    full = run_pool(work / "usual", 600, options)
    short = run_pool(work / "less", options.loss_steps, options)
    loss = mean_score(full) - mean_score(short)
    readings = [
        count_share("A/A, unrelated seeds: alarms",
                    draw_gates(full, full, options.gates), 1, at_most=0.01),
        count_share("A/A: passed", draw_gates(full, full, options.gates), 0),
        count_share("one point taken from every score: found",
              draw_gates(full, shift_scores(full, -POINT), options.gates), 1, at_least=0.95),
        count_share(f"{options.loss_steps} steps for 600, {100 * loss:.2f} points lost: found",
              draw_gates(full, short, options.gates), 1),
    ]  # fmt: skip
    for reading in readings:
        reading.note += f"; pool of {len(full)} and {len(short)} runs"
    return readings


def run_pool(store: Path, steps: int, options: Any) -> list[Record]:
    """Run many seeds, unless their records are in the store, and return the records."""
    command = ["dataset=digits", f"model={MODELS}", f"seed=range(1,{options.pool + 1})"]
    command += [f"budget.steps={steps}", "hardware=cpu", "wandb.mode=disabled", f"store={store}"]
    command += [f"launch.workers={options.workers}", "--no-baselines"]
    subprocess.run([*QUINTAIN, "sweep", *command], check=True, stdout=sys.stderr)
    return [r.model_copy(update={"changed": {}}) for r in Store(store).all() if r.status == "ok"]


def draw_gates(before: Sequence[Record], after: Sequence[Record], number: int) -> list[int]:
    """Return the exit codes of gates that compare random seeds of two pools, none in common."""
    codes = []
    for gate in range(number):
        generator = random.Random(gate)
        seeds = sorted({record.seed for record in before})
        if len(seeds) < 2 * SEEDS:
            old, new = generator.choices(seeds, k=SEEDS), generator.choices(seeds, k=SEEDS)
        else:
            sample = generator.sample(seeds, 2 * SEEDS)
            old, new = sample[:SEEDS], sample[SEEDS:]
        stores = renumber_seeds(before, old), renumber_seeds(after, new)
        codes.append(compare_records(*stores, max_slowdown=None).exit_code)
    return codes


def renumber_seeds(records: Sequence[Record], seeds: Sequence[int]) -> list[Record]:
    """Return the runs of these seeds as runs of seeds 1, 2, 3 …"""
    by_cell = {(record.names.model, record.seed): record for record in records}
    models = sorted({record.names.model for record in records})
    return [
        by_cell[model, seed].model_copy(update={"seed": number})
        for model in models
        for number, seed in enumerate(seeds, 1)
    ]


def shift_scores(records: Sequence[Record], by: float) -> list[Record]:
    """Return the same runs, with `by` added to their main scores on the test split."""
    shifted = []
    for record in records:
        assert record.quality
        score = record.quality.scores[record.quality.main]
        value = score.model_copy(update={"test": (score.test or 0.0) + by})
        scores = record.quality.scores | {record.quality.main: value}
        quality = record.quality.model_copy(update={"scores": scores})
        shifted.append(record.model_copy(update={"quality": quality}))
    return shifted


def mean_score(records: Sequence[Record]) -> float:
    """Return the mean test score of all runs."""
    return sum(record.main_test_score() or 0.0 for record in records) / len(records)


def count_share(what: str, codes: list[int], code: int, **target: float) -> Reading:
    """Return the fraction of gates that ended with this exit code."""
    count = codes.count(code)
    return Reading(what, "", [count / len(codes)], note=f"{count} of {len(codes)} gates", **target)


def speed(options: Any, work: Path, end: float) -> list[Reading]:
    """Run gates of two kinds alternately, until there are enough of each or time is up."""
    log = work / "speed.jsonl"
    plain, slow = write_version(work / "plain", 0.0), write_version(work / "slow", PAUSE)
    with InterleavedTimer(plain, plain) as equal, InterleavedTimer(plain, slow) as unequal:
        wanted = {"same": (options.gates, equal), "slow": (options.slow, unequal)}
        while time.monotonic() < end and (kinds := find_incomplete(log, wanted)):
            for kind in kinds:
                run_gate(log, kind, wanted[kind][1])
    readings = []
    for kind, what, target in (
        ("same", "A/A side by side: alarms", {"at_most": 0.01}),
        ("slow", f"a pause of {PAUSE:.0%} of each step: found", {"at_least": 0.95}),
    ):
        gates = [gate for gate in read_gates(log) if gate["kind"] == kind]
        if gates:
            readings.append(count_share(what, [gate["code"] for gate in gates], 1, **target))
            ratio = statistics.median(math.exp(-gate["gain"]) for gate in gates)
            passed = sum(gate["code"] == 0 for gate in gates)
            readings[-1].note += f"; {passed} passed; median ratio of times {ratio:.3f}"
    seconds = [gate["seconds"] for gate in read_gates(log)]
    return [*readings, Reading("wall time of one cell's gate", "s", seconds, at_most=60)]


def find_incomplete(log: Path, wanted: Mapping[str, tuple[int, InterleavedTimer]]) -> list[str]:
    """Return the kinds of which there are too few gates."""
    count = Counter(gate["kind"] for gate in read_gates(log))
    return [kind for kind, (number, _) in wanted.items() if count[kind] < number]


def write_version(folder: Path, pause: float) -> Version:
    """Write a plugin folder whose model pauses for this fraction of its step."""
    for kind, name, text in (
        ("plugins", "timed.py", GRU.format(pause=pause)),
        ("conf", "timed.yaml", CARD),
    ):
        file = folder / "own" / kind / "model" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return Version(folder.name, folder)


def run_gate(log: Path, kind: str, timer: InterleavedTimer) -> None:
    """Run one gate and append its result to the log."""
    began = time.monotonic()
    with timer.time_cell(OVERRIDES) as (label, rounds):
        decision = time_until_decided(label, OVERRIDES, rounds, cells=1)
    code = {"passed": 0, "regression": 1}.get(decision.outcome, 3)
    entry = {"kind": kind, "code": code, "n": decision.n, "gain": decision.gain,
             "seconds": time.monotonic() - began}  # fmt: skip
    with log.open("a") as file:
        file.write(json.dumps(entry) + "\n")


def read_gates(log: Path) -> list[dict[str, Any]]:
    """Return the results of all gates in the log."""
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


if __name__ == "__main__":
    main()
