"""Creates valid records for tests: `make_record()` with the fields that the test is about."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from quintain.records.keys import recompute_key
from quintain.records.schema import SCHEMA, Record

SCORES = {"classify": ("accuracy", "max", "fraction"), "forecast": ("mae", "min", "1")}


def hash_json(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:32]


def record_values(
    *,
    dataset: str = "digits",
    model: str = "lstm",
    seed: int = 1,
    score: float | None = 0.9,
    status: str = "ok",
    cell: dict[str, Any] | None = None,
    baseline: bool = False,
    task: str = "classify",
    **changes: Any,
) -> dict[str, Any]:
    """Return the values of a record; `changes` replace top-level fields, `names` are merged."""
    names = {"dataset": dataset, "stem": "rows", "head": task, "model": model, "optimizer": "adam"}
    names |= {"budget": "small", "hardware": "cpu"} | changes.pop("names", {})
    settings = {kind: {"_target_": f"{kind}.{name}"} for kind, name in names.items()}
    settings["optimizer"]["lr"] = 0.01
    settings |= {"sources": {"model": "aa"}, "results_version": 1, "seed": seed} | (cell or {})
    group = hash_json({k: v for k, v in settings.items() if k != "seed"} | {"names": names})
    record = {
        "schema": SCHEMA,
        "key": hash_json([group, seed]),
        "group": group,
        "status": status,
        "baseline": baseline,
        "names": names,
        "seed": seed,
        "cell": settings,
        "machine": {"host": "0f3a", "cores": 2},
        "trust": {"deterministic": {"ok": True, "note": ""}},
        "versions": {"quintain": "0.1.0"},
        "started": "2026-11-01T10:00:00Z",
        "finished": "2026-11-01T10:00:42Z",
    }
    if status == "ok":
        record |= {"data": data_values(task), "cost": cost_values()}
        record["quality"] = quality_values(task, score)
        record["step_times_ms"] = [1.0 + i / 7 for i in range(5)]
    if status == "failed":
        record["error"] = {"kind": "oom", "type": "MemoryError", "message": "out of memory\nat 3"}
    if status == "skipped":
        record["reason"] = "needs a grid"
    return record | changes


def make_record(**changes: Any) -> Record:
    return Record.model_validate(record_values(**changes))


def make_valid_record(**changes: Any) -> Record:
    """Return a record whose key is that of its cell, as bundles require."""
    record = make_record(**changes)
    cell = {name: value for name, value in record.cell.items() if name != "seed"}
    record = record.model_copy(update={"cell": cell})
    key, group = recompute_key(record)
    return record.model_copy(update={"key": key, "group": group})


def data_values(task: str = "classify") -> dict[str, Any]:
    modality = "series" if task == "forecast" else "image"
    return {
        "modality": modality,
        "task": task,
        "generated": False,
        "reading": "rows",
        "fingerprint": "sha256:11",
        "card_fingerprint": "sha256:11",
        "sizes": {"train": 800, "val": 100, "test": 100},
    }


def quality_values(task: str = "classify", score: float | None = 0.9) -> dict[str, Any]:
    name, direction, unit = SCORES[task]
    value = {"direction": direction, "unit": unit, "val": score, "test": score}
    points = [
        {"step": 10, "seconds": 0.5, "train_loss": 1.5, "val": {name: 0.5}},
        {"step": 20, "seconds": 1.0, "train_loss": 0.7, "val": {name: score}},
    ]
    return {"main": name, "scores": {name: value}, "curve": points, "best_step": 20}


def cost_values() -> dict[str, Any]:
    clocks = {"setup": 0.1, "training": 12.5, "validation": 0.2, "test": 0.1, "logging": 0.0}
    return {
        "params": 49800,
        "params_total": 51000,
        "params_asked": 50000,
        "width": 0.93,
        "steps": 20,
        "samples": 640,
        "seconds": clocks | {"total": 13.0},
        "samples_per_second": 1234.5,
        "step_ms": {"p50": 1.0, "p95": 2.0, "p99": 3.0},
        "latency_ms": {"1": {"p50": 0.4, "p95": 0.6}},
        "memory_mb": {"host_peak": 300.0},
        "absent": {"energy_kwh": "no counter on this machine"},
    }
