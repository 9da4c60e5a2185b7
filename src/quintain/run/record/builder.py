"""Builds the record of a run from its measurements."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from quintain.contracts import OptionalDatasetAttributes, Score
from quintain.nn.widths import count_parameters
from quintain.records.schema import Record, utc_now
from quintain.run.clocks import Phase
from quintain.run.context import RunContext, TrainResult
from quintain.run.distributed.rank_stats import (
    compute_mean_input_seconds,
    compute_step_ms,
    describe_ranks,
)
from quintain.run.measure import trust_checks
from quintain.run.measure.machine import describe_machine, read_package_versions
from quintain.run.measure.profiling import (
    TrainedModel,
    compute_percentiles,
    measure_trained_model,
)
from quintain.run.measure.readings import Readings, merge_rank_readings
from quintain.run.record.data_cautions import find_cautions
from quintain.run.record.identity import build_identity_fields
from quintain.run.train.history import TrainingHistory

COST_FIELDS = ("host_peak_mb", "device_peak_mb", "energy_kwh")
"""Meters whose readings have their own field in a record's cost."""
PHASES: tuple[Phase, ...] = ("setup", "training", "validation", "test", "logging")


def build_training_record(
    context: RunContext, result: TrainResult, trained: TrainedModel
) -> Record:
    """Measure the trained model and return the record of its run."""
    training, step_ms = context.clocks.read("training"), compute_step_ms(result.reports)
    readings = merge_readings(result)
    cost = build_training_cost(context, result) | {
        "step_ms": compute_percentiles(step_ms, 50, 95, 99),
        "data_wait_share": compute_mean_input_seconds(result.reports) / training,
        "pieces": result.module.micro_batcher.training,
        "resumed": result.num_resumes,
        **describe_ranks(result.reports, training),
    }
    batch_size, speed = result.budget.batch_size, cost["samples_per_second"]
    measured, meters = measure_trained_model(context, trained, batch_size, speed)
    cost = add_readings(cost | measured, context, readings)
    cost["meters"] |= meters
    if result.compile_seconds:
        cost["meters"]["compile_seconds"] = result.compile_seconds
    return build_record(
        context,
        result,
        quality=build_training_quality(result),
        cost=cost,
        step_times_ms=step_ms,
        trust=_build_trust(context, result, cost, step_ms, readings),
    )


def build_training_cost(context: RunContext, result: TrainResult) -> dict[str, Any]:
    """Return the fields of the cost that every trained model has."""
    params, total = count_parameters(result.module.model)
    steps, seconds = result.module.steps_done, context.clocks.read("training")
    samples = steps * result.budget.batch_size
    return {
        "params": params,
        "params_total": total,
        "params_asked": result.budget.params,
        "width": result.width,
        "steps": steps,
        "samples": samples,
        "samples_per_second": samples / seconds if seconds > 0 else None,
    }


def build_record(
    context: RunContext, result: TrainResult | None, layout: str = "", **fields: Any
) -> Record:
    """Return a record of the given fields and of those that all successful runs share.

    Args:
        context: of the run.
        result: of training; None for a baseline.
        layout: the input layout of a baseline's stem.
        fields: further fields of the record.
    """
    dataset, spec = context.dataset, context.dataset.spec
    card = context.cell.config["dataset"].get("card") or {}
    notes = [*getattr(dataset, "notes", OptionalDatasetAttributes.notes)]
    budget, steps = (result.budget, result.module.steps_done) if result else (None, 0)
    notes += find_cautions(dataset, budget, steps)
    shared = build_identity_fields(context.cell) | {
        "status": "ok",
        "started": result.started if result else context.started,
        "finished": utc_now(),
        "data": {
            "modality": spec.modality,
            "task": spec.task,
            "generated": spec.generated,
            "reading": result.module.model.stem.layout if result else layout,
            "fingerprint": dataset.fingerprint(),
            "card_fingerprint": card.get("fingerprint"),
            "sizes": {split: dataset.size(split) for split in ("train", "val", "test")},
            "notes": [*notes, *(result.notes if result else ())],
        },
        "machine": describe_machine(context.hardware.threads()),
        "versions": read_package_versions(),
    }
    return Record.model_validate(shared | fields)


def add_readings(cost: dict[str, Any], context: RunContext, readings: Readings) -> dict[str, Any]:
    """Return a cost with the seconds of each phase, the meters' values and their reasons."""
    values = {name: value for name, value in readings.items() if not isinstance(value, str)}
    reasons = {name: value for name, value in readings.items() if isinstance(value, str)}
    clocks = context.clocks
    return cost | {
        "seconds": {p: clocks.read(p) for p in PHASES} | {"total": clocks.read_total()},
        "memory_mb": {
            "host_peak": values.get("host_peak_mb"),
            "device_peak": values.get("device_peak_mb"),
        },
        "energy_kwh": values.get("energy_kwh"),
        "meters": {name: value for name, value in values.items() if name not in COST_FIELDS},
        "absent": cost.get("absent", {}) | reasons,
    }


def merge_readings(result: TrainResult) -> Readings:
    """Return the meters' readings of all ranks together."""
    ranks = [report.readings for report in result.reports]
    return merge_rank_readings(ranks, result.reports[0].whole_machine)


def build_training_quality(result: TrainResult) -> dict[str, Any]:
    """Return the scores of the best weights, the curve, and when the target was reached."""
    history, scores = result.module.history, result.module.model.head.scores
    assert history.best is not None
    quality = build_quality(scores, history.best.scores, history.test, history.confusion)
    points = [asdict(point) for point in history.curve]
    return quality | {
        "curve": [point | {"val": point.pop("scores")} for point in points],
        "best_step": history.best.step,
        "target": _find_target(history, scores[0], result.budget.target),
    }


def build_quality(
    scores: tuple[Score, ...],
    val: Mapping[str, float],
    test: Mapping[str, float],
    confusion: dict[str, Any] | None,
) -> dict[str, Any]:
    """Return the quality of a model from its scores by name; `test` is empty for a trial."""
    return {
        "main": scores[0].name,
        "scores": {
            score.name: {
                "direction": score.direction,
                "unit": score.unit,
                "val": val[score.name],
                "test": test.get(score.name),
            }
            for score in scores
        },
        "confusion": confusion,
    }


def _find_target(
    history: TrainingHistory, score: Score, target: float | None
) -> dict[str, Any] | None:
    """Return step and seconds of the first validation that reached the target."""
    if target is None:
        return None
    sign = 1 if score.direction == "max" else -1
    points = (p for p in history.curve if sign * p.scores[score.name] >= sign * target)
    first = next(points, None)
    return {
        "score": score.name,
        "value": float(target),
        "step": first.step if first else None,
        "seconds": first.seconds if first else None,
    }


def _build_trust(
    context: RunContext,
    result: TrainResult,
    cost: dict[str, Any],
    step_ms: list[float],
    readings: Readings,
) -> dict[str, Any]:
    is_one_cpu_thread = context.accelerator == "cpu" and context.hardware.threads() == 1
    warning, micro_batcher = result.nondeterminism_warning, result.module.micro_batcher
    checks = {
        "deterministic": trust_checks.make_check(not warning, warning),
        "input_bound": trust_checks.check_input(cost["data_wait_share"]),
        "other_process": trust_checks.check_cpu_share(result.cpu_share, is_one_cpu_thread),
        "noise_floor": trust_checks.check_noise(step_ms),
        "fingerprint_matches": _check_fingerprint(context),
        "budget_met": trust_checks.check_budget(result.budget.params, cost["params"]),
        "throttled": trust_checks.check_throttling(readings),
    }
    notes = list(context.checkpointer.notes)
    if result.num_resumes:
        times = "1 time" if result.num_resumes == 1 else f"{result.num_resumes} times"
        notes.insert(0, f"resumed {times}, last at step {result.resume_step}")
    if notes:
        checks["interruptions"] = trust_checks.make_check(None, "; ".join(notes))
    counts = micro_batcher.training, micro_batcher.evaluation
    if counts != (1, 1):
        checks["whole_batches"] = trust_checks.report_micro_batches(*counts)
    return checks


def _check_fingerprint(context: RunContext) -> dict[str, Any]:
    """Compare with the card's fingerprint, which holds for the default settings only."""
    settings = context.cell.config["dataset"]
    card = settings.get("card") or {}
    neutral = {"_target_", "card", "data_dir", *(card.get("neutral") or ())}
    has_other_settings = bool(set(settings) - neutral)
    fingerprint = context.dataset.fingerprint()
    return trust_checks.check_fingerprint(
        fingerprint, card.get("fingerprint"), has_other_settings=has_other_settings
    )
