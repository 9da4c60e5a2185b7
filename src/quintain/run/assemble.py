"""Puts a record together from what a run has measured."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from quintain.contracts import Meter, Score
from quintain.kit.widths import count
from quintain.records.schema import Record, utc_now
from quintain.run import measure, together, trust
from quintain.run.budget import Budget
from quintain.run.clocks import Phase
from quintain.run.failure import out_of_memory
from quintain.run.feed import TrainFeed
from quintain.run.identity import identity
from quintain.run.machine import machine, versions
from quintain.run.task import Point, Task, Trace

if TYPE_CHECKING:
    from quintain.run.execute import Run

PLACED = ("host_peak_mb", "device_peak_mb", "energy_kwh")  # meters with a field of their own
MEANS = ("gpu_utilisation", "gpu_clock_mhz")
"""Meters of a part of a run that say nothing of the whole."""
SUMS = ("energy_kwh", "throttled_events")
PHASES: tuple[Phase, ...] = ("setup", "training", "validation", "test", "logging")

NO_ROOM = "memory ran out"


def trained(
    run: Run,
    task: Task,
    forward: measure.Forward,
    feed: TrainFeed,
    budget: Budget,
    width: float | None,
    meters: list[Meter],
) -> Record:
    """The record of a run that trained a model."""
    training = run.clocks.read("training")
    share, asked = together.waiting(run.reports, feed.seconds) / training, budget.params
    params, total = count(task.model)
    step_ms = together.global_steps(run.reports) or task.trace.step_ms
    cost = {
        "params": params,
        "params_total": total,
        "params_asked": asked,
        "width": width,
        "steps": task.steps_done,
        "samples": task.steps_done * budget.batch_size,
        "samples_per_second": task.steps_done * budget.batch_size / training,
        "step_ms": measure.percentiles(step_ms, 50, 95, 99),
        "data_wait_share": share,
        **{"pieces": task.pieces.training, "resumed": resumed(run)},
        **_inference(run, forward, budget, training),
    }
    cost |= together.ranks_part(run.reports, training)
    return Record.model_validate(
        common(run, task.model.stem.reading)
        | {
            "quality": quality(task.trace, task.model.head.scores, budget),
            "cost": _on_device(cost, run, forward, meters, training),
            "step_times_ms": step_ms,
            "trust": _labels(run, forward, step_ms, share, asked, params)
            | {**_throttled(meters), **trust.pieces(task.pieces)},
            "finished": utc_now(),
        }
    )


def _on_device(
    cost: dict[str, Any],
    run: Run,
    forward: measure.Forward,
    meters: list[Meter],
    training: float,
) -> dict[str, Any]:
    """`cost` with what the hardware's meters tell, and what it could do at most."""
    peak = _peak_flops(run, forward, training)
    cost = metered(cost | _utilisation(cost, peak), run, meters)
    cost["meters"] |= _limits(run, forward, peak, training)  # last: it takes memory of its own
    return cost


def _labels(
    run: Run,
    forward: measure.Forward,
    step_ms: list[float],
    waited: float,
    asked: int | None,
    params: int,
) -> dict[str, Any]:
    """How far each measurement can be trusted."""
    alone = forward.device.type == "cpu" and run.hardware.threads() == 1
    return {
        "deterministic": trust.check(not run.nondeterministic, run.nondeterministic),
        "input_bound": trust.waiting(waited),
        "other_process": trust.undisturbed(run.cpu_share, alone),
        "noise_floor": trust.noise(step_ms),
        "fingerprint_matches": _fingerprint_label(run),
        "budget_met": trust.budget_met(asked, params),
        **_interruptions(run),
    }


def _throttled(meters: list[Meter]) -> dict[str, Any]:
    """Whether heat or power held the device back, where one of its meters tells."""
    values, _ = measure.read_meters([m for m in meters if m.name.startswith("throttled_")])
    share, events = values.get("throttled_share"), values.get("throttled_events")
    if share or (share is not None and not events):
        words = f"in {share:.0%} of the looks at the device heat or power held it back"
    elif events is not None:
        words = f"heat held the CPU back {events:.0f} times during the run"
    else:
        return {"throttled": trust.unknown("this machine tells no throttling")}
    return {"throttled": trust.check(not (share or events), words)}


def _interruptions(run: Run) -> dict[str, Any]:
    """How often the run was interrupted, and which of its checkpoints were no use."""
    notes = list(run.keeper.notes) if run.keeper else []
    if run.before is not None:
        times, step = resumed(run), run.before["steps"]
        notes.insert(0, f"resumed {times} time{'s'[: times > 1]}, last at step {step}")
    return {"interruptions": trust.unknown("; ".join(notes))} if notes else {}


def about(run: Run, feed: TrainFeed, meters: list[Meter]) -> dict[str, Any]:
    """What a checkpoint keeps beside the state of training."""
    values, _ = measure.read_meters(meters)
    return {
        "started": run.started,
        "waited": feed.seconds,
        "resumed": resumed(run),
        "meters": _with_earlier(values, run),
    }


def resumed(run: Run) -> int:
    """How many times the run went on from a checkpoint."""
    return 0 if run.before is None else run.before["about"]["resumed"] + 1


def _with_earlier(values: dict[str, float | None], run: Run) -> dict[str, float | None]:
    """Readings, and those of the run's earlier parts."""
    if run.before is None:
        return dict(values)
    earlier = run.before["about"]["meters"]
    return {name: joined(name, now, earlier.get(name)) for name, now in values.items()}


def joined(name: str, now: float | None, then: float | None) -> float | None:
    """Energy and counts add up where all parts are known; a mean of one part is no mean of the run;
    of all else the highest counts.
    """
    if name in MEANS:
        return None
    if name in SUMS:
        return None if now is None or then is None else now + then
    return max((value for value in (now, then) if value is not None), default=None)


def common(run: Run, reading: str) -> dict[str, Any]:
    """What trained and reference records share."""
    cell, spec = run.cell, run.dataset.spec
    card = cell.config["dataset"].get("card") or {}
    sizes = {split: run.dataset.size(split) for split in ("train", "val", "test")}
    return identity(cell) | {
        "status": "ok",
        "started": run.started,
        "data": {
            "modality": spec.modality,
            "task": spec.task,
            "generated": spec.generated,
            "reading": reading,
            "fingerprint": run.dataset.fingerprint(),
            "card_fingerprint": card.get("fingerprint"),
            "sizes": sizes,
            "notes": [*getattr(run.dataset, "notes", ()), *run.notes],
        },
        "machine": machine(run.hardware.threads()),
        "versions": versions(),
    }


def metered(cost: dict[str, Any], run: Run, meters: list[Meter]) -> dict[str, Any]:
    """`cost` with clocks and meters, and a reason for each value that is absent."""
    values, reasons = measure.read_meters(meters)
    values = _with_earlier(values, run)
    absent = {**cost.pop("absent", {}), **reasons}
    if run.before is not None and values.get("energy_kwh") is None:
        absent.setdefault("energy_kwh", "not known of all parts of this interrupted run")
    return cost | {
        "seconds": {p: run.clocks.read(p) for p in PHASES} | {"total": run.clocks.total()},
        "memory_mb": {
            "host_peak": values.get("host_peak_mb"),
            "device_peak": values.get("device_peak_mb"),
        },
        "energy_kwh": values.get("energy_kwh"),
        "meters": {
            name: value
            for name, value in values.items()
            if name not in PLACED and value is not None
        },
        "absent": absent,
    }


def _inference(
    run: Run, forward: measure.Forward, budget: Budget, training: float
) -> dict[str, Any]:
    sizes = sorted({1, min(budget.batch_size, run.dataset.size("val"))})
    latency, absent = {}, {}
    for size in sizes:
        try:
            batch = forward.first(run.dataset, "val", size)
            wait = run.hardware.synchronize
            readings = measure.latency(forward.answer, batch, wait, training)
        except Exception as error:
            if not out_of_memory(error):
                raise
            absent[f"latency_ms.{size}"] = NO_ROOM
        else:
            latency[str(size)] = measure.percentiles(readings, 50, 95)
    flops = measure.flops_per_sample(forward, forward.first(run.dataset, "val", 1))
    if isinstance(flops, str):
        return {"latency_ms": latency, "absent": absent | {"flops_per_sample": flops}}
    return {"latency_ms": latency, "flops_per_sample": flops, "absent": absent}


def _peak_flops(run: Run, forward: measure.Forward, training: float) -> float | None:
    """Of all ranks; None where the memory is too small for the large matrices."""
    try:
        return forward.peak_flops(run.hardware.synchronize, training) * run.ranks.world
    except Exception as error:
        if not out_of_memory(error):
            raise
        return None


def _limits(
    run: Run, forward: measure.Forward, peak: float | None, training: float
) -> dict[str, float]:
    """What the device could do at most, measured in this run: the two lines of a roofline
    (Williams et al. 2009). Of one rank; bandwidth of a run that is long enough to afford it.
    """
    if peak is None:
        return {}
    found = {"peak_gflops": peak / run.ranks.world / 1e9}
    if training >= measure.BANDWIDTH_FROM:
        try:
            copied = forward.bandwidth(run.hardware.synchronize)
        except Exception as error:
            if not out_of_memory(error):
                raise
        else:
            found["bandwidth_gb_s"] = copied / 1e9
    return found


def _utilisation(cost: dict[str, Any], peak: float | None) -> dict[str, Any]:
    """Model FLOPs of training over the peak that was measured in this run (Chowdhery et al. 2022,
    appendix B); absent where the operations were not counted.
    """
    flops = cost.get("flops_per_sample")
    if flops is None:
        absent = cost["absent"] | {"mfu": "the model's operations were not counted"}
        return {"absent": absent}
    if peak is None:
        return {"absent": cost["absent"] | {"mfu": NO_ROOM}}
    return {"mfu": measure.PASSES * flops * cost["samples_per_second"] / peak}


def quality(trace: Trace, scores: tuple[Score, ...], budget: Budget) -> dict[str, Any]:
    assert trace.best is not None
    return {
        "main": scores[0].name,
        "scores": {
            score.name: {
                "direction": score.direction,
                "unit": score.unit,
                "val": trace.best.scores[score.name],
                "test": trace.test.get(score.name),  # of a trial none
            }
            for score in scores
        },
        "curve": [_curve_point(point) for point in trace.curve],
        "best_step": trace.best.step,
        "target": _target(trace.curve, scores[0], budget.target),
        "confusion": trace.confusion,
    }


def _curve_point(point: Point) -> dict[str, Any]:
    plain = asdict(point)
    return plain | {"val": plain.pop("scores")}


def _target(curve: list[Point], score: Score, value: float | None) -> dict[str, Any] | None:
    if value is None:
        return None
    sign = 1 if score.direction == "max" else -1
    reached = [p for p in curve if sign * p.scores[score.name] >= sign * value]
    first = reached[0] if reached else None
    return {
        "score": score.name,
        "value": float(value),
        "step": first.step if first else None,
        "seconds": first.seconds if first else None,
    }


def _fingerprint_label(run: Run) -> dict[str, Any]:
    """The card speaks of the default settings only."""
    node = run.cell.config["dataset"]
    card = node.get("card") or {}
    idle = {"_target_", "card", "data_dir", *(card.get("neutral") or ())}
    changed = bool(set(node) - idle)
    return trust.same_data(run.dataset.fingerprint(), card.get("fingerprint"), changed)
