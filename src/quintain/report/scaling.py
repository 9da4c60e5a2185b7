"""How much of several devices arrives: throughput beside that of one device of the same store.

Efficiency is samples/s of N ranks over N times those of one process, seed by seed. Strong scaling
compares runs of the same batch, weak scaling runs of the same batch a rank; all else is equal.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from quintain.records.schema import Cost, Ranks, Record
from quintain.stats.intervals import mean_interval

Kind = Literal["strong", "weak"]


@dataclass
class Scaling:
    """One experiment on several ranks against the same on one; a value for each seed."""

    dataset: str
    model: str
    hardware: str
    world: int
    batch: int
    kind: Kind
    efficiency: list[float] = field(default_factory=list)
    lost: list[Ranks] = field(default_factory=list)

    def sentence(self) -> str:
        """For people, with the 95 % interval of the mean over seeds."""
        words = f"{self.dataset}/{self.model} on {self.hardware}, batch {self.batch}: {self.kind}"
        words += f" scaling to {self.world} ranks {_percent(self.efficiency, '.0%')}"
        return f"{words} of linear (n={len(self.efficiency)}); {_losses(self.lost)}"


def scaling(records: Iterable[Record]) -> list[Scaling]:
    """Every pair of a run of several ranks and its one-process reference on the same machine."""
    trained = [r for r in records if r.status == "ok" and not r.reference and r.cost]
    single = {_question(r, _batch(r)): r for r in trained if _cost(r).ranks is None}
    found: dict[tuple[str, Kind], Scaling] = {}
    for record in sorted(trained, key=lambda r: (r.group, r.seed)):
        ranks = _cost(record).ranks
        if ranks is None or _batch(record) == 0:
            continue
        batch = _batch(record)
        sizes: dict[Kind, float] = {"strong": batch, "weak": batch / ranks.world}
        for kind, size in sizes.items():
            one = single.get(_question(record, size))
            if one is not None:
                _add(found.setdefault((record.group, kind), _empty(record, kind)), record, one)
    return list(found.values())


def scaling_notes(records: Iterable[Record]) -> list[str]:
    """A sentence for each."""
    return [one.sentence() for one in scaling(records) if one.efficiency]


def _add(to: Scaling, record: Record, one: Record) -> None:
    ours, theirs = _cost(record).samples_per_second, _cost(one).samples_per_second
    ranks = _cost(record).ranks
    if ours and theirs and ranks:
        to.efficiency.append(ours / (ranks.world * theirs))
        to.lost.append(ranks)


def _empty(record: Record, kind: Kind) -> Scaling:
    ranks, names = _cost(record).ranks, record.names
    assert ranks is not None
    return Scaling(
        names.dataset, names.model, names.hardware, ranks.world, int(_batch(record)), kind
    )


def _question(record: Record, batch: float) -> str:
    """All that must be equal: each part but the devices, the seed, machine and batch."""
    parts: dict[str, Any] = {k: v for k, v in record.cell.items() if k != "sources"}
    hardware = parts.get("hardware")
    told = hardware if isinstance(hardware, dict) else {}
    parts["hardware"] = {name: told.get(name) for name in ("precision", "threads")}
    budget = parts.get("budget")
    parts["budget"] = (budget if isinstance(budget, dict) else {}) | {"batch_size": float(batch)}
    device = "gpu" if _on_gpu(record) else "cpu"
    return json.dumps([parts, record.seed, record.machine.get("host"), device], sort_keys=True)


def _on_gpu(record: Record) -> bool:
    return _cost(record).memory_mb.device_peak is not None


def _batch(record: Record) -> float:
    """Samples a step."""
    cost = _cost(record)
    return (cost.samples or 0) / (cost.steps or 1)


def _cost(record: Record) -> Cost:
    assert record.cost is not None  # the schema demands it of an ok record
    return record.cost


def _losses(ranks: Sequence[Ranks]) -> str:
    """Means over seeds with their intervals; what was not measured is said to be."""
    shares: dict[str, list[float]] = defaultdict(list)
    for one in ranks:
        for name in ("communication", "input", "imbalance"):
            value = getattr(one, f"{name}_share")
            if value is not None:
                shares[name].append(value)
    words = [f"{_percent(seen, '.1%')} to {name}" for name, seen in shares.items()]
    missing = next((one.absent for one in ranks if one.absent), "")
    return f"of training {', '.join(words)} was lost" + (f" ({missing})" if missing else "")


def _percent(values: Sequence[float], form: str) -> str:
    """Mean and 95 % interval; a share is not below nothing."""
    found = mean_interval(values)
    assert found.mean is not None
    words = f"{found.mean:{form}}"
    if found.low is None or found.high is None:
        return words
    return f"{words} [{max(0.0, found.low):{form}}, {found.high:{form}}]"
