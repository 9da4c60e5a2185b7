"""How often the gate errs: false alarms between equals, and injected losses that it finds.

python benchmarks/gate/prove.py --minutes 60          both proofs, as far as the time goes
python benchmarks/gate/prove.py --only quality        from a pool of runs of the suite ci

Quality: a pool of real runs of the suite's digits cells with many seeds, and one more with fewer
optimizer steps (the injected loss, as large as it is measured to be). Gates are drawn from the
pools with seeds that have nothing to do with each other: the hard case, of a change that moves all
numbers and loses nothing. Once more with exactly one point taken from every score.

Speed: real gates, side by side, of a GRU against itself and against itself with a pause of a tenth
of its step, as long as the step is at the moment. Needs an idle machine.

Runs and gates that were done are kept in --work and not done again; n is told with each result.
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

from _common import QUINTAIN, Reading, arguments, publish

from quintain.launch.rivals import Match
from quintain.launch.versions import Version
from quintain.records.schema import Record
from quintain.records.store import Store
from quintain.report.gate.rounds import decide
from quintain.report.gate.verdict import compare

SEEDS = 12  # of the suite, a cell
MODELS = "cnn,rnn,lstm,gru,transformer"
POINT = 0.01
SLOWER = 0.1  # of the step
GRU = """
import time
from collections import deque
from statistics import median
from torch import nn
from quintain.contracts import Features

class Timed(nn.Module):
    reads = "sequence"

    def __init__(self, inp: Features, *, width: float = 64.0):
        super().__init__()
        self.out = Features(**{{**vars(inp), "dim": int(width)}})
        self.net = nn.GRU(inp.dim, int(width), batch_first=True)
        self.steps, self.last = deque(maxlen=15), None

    def forward(self, x, mask):
        now = time.perf_counter()
        if self.last is not None:
            self.steps.append(now - self.last)
            end = now + {slower} * median(self.steps)
            while time.perf_counter() < end:  # time.sleep takes a twentieth of a millisecond more
                pass
        self.last = time.perf_counter()
        return self.net(x)[0], mask
"""
CARD = "_target_: quintain_local.model.timed.Timed\nwidth: 64\ncard: {about: timed}\n"
WORDS = ["dataset=digits", "model=timed", "plugins_dir=own", "hardware=cpu", "budget.params=null"]


def main() -> None:
    asked = arguments(
        __doc__, minutes=30.0, only="quality,speed", work="results_gate", pool=30, gates=200,
        slow=200, loss_steps=150, workers=2,
    )  # fmt: skip
    end, work = time.monotonic() + 60 * asked.minutes, Path(asked.work).absolute()
    work.mkdir(parents=True, exist_ok=True)
    if "quality" in asked.only:
        publish("gate_quality", quality(asked, work), asked.out)
    if "speed" in asked.only:
        publish("gate_speed", speed(asked, work, end), asked.out)


def quality(asked: Any, work: Path) -> list[Reading]:
    """Shares of gates, over three injections."""
    usual = pool(work / "usual", 600, asked)
    less = pool(work / "less", asked.loss_steps, asked)
    loss = mean(usual) - mean(less)
    found = [
        share("A/A, unrelated seeds: alarms", gates(usual, usual, asked.gates), 1, at_most=0.01),
        share("A/A: passed", gates(usual, usual, asked.gates), 0),
        share("one point taken from every score: found",
              gates(usual, shifted(usual, -POINT), asked.gates), 1, at_least=0.95),
        share(f"{asked.loss_steps} steps for 600, {100 * loss:.2f} points lost: found",
              gates(usual, less, asked.gates), 1),
    ]  # fmt: skip
    for reading in found:
        reading.note += f"; pool of {len(usual)} and {len(less)} runs"
    return found


def pool(store: Path, steps: int, asked: Any) -> list[Record]:
    """The runs of many seeds; what is there is not run again."""
    words = ["dataset=digits", f"model={MODELS}", f"seed=range(1,{asked.pool + 1})"]
    more = [f"budget.steps={steps}", "hardware=cpu", "wandb.mode=disabled", f"store={store}"]
    last = [f"launch.workers={asked.workers}", "--no-references"]
    subprocess.run([*QUINTAIN, "sweep", *words, *more, *last], check=True, stdout=sys.stderr)
    return [r.model_copy(update={"changed": {}}) for r in Store(store).all() if r.status == "ok"]


def gates(before: Sequence[Record], after: Sequence[Record], number: int) -> list[int]:
    """Exit codes of gates whose two sides are drawn from the pools, seeds apart."""
    codes = []
    for gate in range(number):
        draw = random.Random(gate)
        seeds = sorted({record.seed for record in before})
        if len(seeds) < 2 * SEEDS:
            ours, theirs = draw.choices(seeds, k=SEEDS), draw.choices(seeds, k=SEEDS)
        else:
            drawn = draw.sample(seeds, 2 * SEEDS)
            ours, theirs = drawn[:SEEDS], drawn[SEEDS:]
        sides = renumbered(before, ours), renumbered(after, theirs)
        codes.append(compare(*sides, slower=None).exit_code)
    return codes


def renumbered(records: Sequence[Record], seeds: Sequence[int]) -> list[Record]:
    """The runs of these seeds as those of seeds 1, 2, 3 …"""
    found = {(record.names.model, record.seed): record for record in records}
    models = sorted({record.names.model for record in records})
    return [
        found[model, seed].model_copy(update={"seed": number})
        for model in models
        for number, seed in enumerate(seeds, 1)
    ]


def shifted(records: Sequence[Record], by: float) -> list[Record]:
    """The same runs with another main score on test."""
    found = []
    for record in records:
        assert record.quality
        score = record.quality.scores[record.quality.main]
        value = score.model_copy(update={"test": (score.test or 0.0) + by})
        scores = record.quality.scores | {record.quality.main: value}
        changed = record.quality.model_copy(update={"scores": scores})
        found.append(record.model_copy(update={"quality": changed}))
    return found


def mean(records: Sequence[Record]) -> float:
    """Over all runs."""
    return sum(record.main_test() or 0.0 for record in records) / len(records)


def share(what: str, codes: Sequence[int], code: int, **target: float) -> Reading:
    """How many gates ended with this code."""
    count = sum(one == code for one in codes)
    return Reading(what, "", [count / len(codes)], note=f"{count} of {len(codes)} gates", **target)


def speed(asked: Any, work: Path, end: float) -> list[Reading]:
    """Gates of two kinds in turns until there are enough of each, or the time is over."""
    log = work / "speed.jsonl"
    write(work / "plain", 0.0)
    write(work / "slow", SLOWER)
    plain, slow = at(work, "plain"), at(work, "slow")
    with Match(plain, plain) as equal, Match(plain, slow) as unequal:
        wanted = {"same": (asked.gates, equal), "slow": (asked.slow, unequal)}
        while time.monotonic() < end and (left := lacking(log, wanted)):
            for kind in left:
                keep(log, kind, wanted[kind][1])
    found = []
    for kind, what, target in (
        ("same", "A/A side by side: alarms", {"at_most": 0.01}),
        ("slow", f"a pause of {SLOWER:.0%} of each step: found", {"at_least": 0.95}),
    ):
        done = [one for one in kept(log) if one["kind"] == kind]
        if done:
            found.append(share(what, [one["code"] for one in done], 1, **target))
            ratio = statistics.median(math.exp(-one["gain"]) for one in done)
            passed = sum(one["code"] == 0 for one in done)
            found[-1].note += f"; {passed} passed; median ratio of times {ratio:.3f}"
    seconds = [one["seconds"] for one in kept(log)]
    return [*found, Reading("wall time of one cell's gate", "s", seconds, at_most=60)]


def lacking(log: Path, wanted: Mapping[str, tuple[int, Match]]) -> list[str]:
    """The kinds of which there are too few."""
    count = Counter(one["kind"] for one in kept(log))
    return [kind for kind, (number, _) in wanted.items() if count[kind] < number]


def write(folder: Path, slower: float) -> None:
    for kind, name, text in (
        ("plugins", "timed.py", GRU.format(slower=slower)),
        ("conf", "timed.yaml", CARD),
    ):
        file = folder / "own" / kind / "model" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def at(work: Path, name: str) -> Version:
    return Version(name, work / name)


def keep(log: Path, kind: str, match: Match) -> None:
    """One gate more, written down."""
    began = time.monotonic()
    with match.cell(WORDS) as (label, rounds):
        found = decide(label, WORDS, rounds, cells=1)
    code = {"passed": 0, "regression": 1}.get(found.outcome, 3)
    entry = {"kind": kind, "code": code, "n": found.n, "gain": found.gain,
             "seconds": time.monotonic() - began}  # fmt: skip
    with log.open("a") as file:
        file.write(json.dumps(entry) + "\n")


def kept(log: Path) -> list[dict[str, Any]]:
    """Every gate that was written down."""
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


if __name__ == "__main__":
    main()
