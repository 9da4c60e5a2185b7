"""Estimates of what a plan costs, compared with numbers computed by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from helpers.cell_factory import build_cell

from quintain.errors import UsageError
from quintain.launch.status import read_status
from quintain.plan.estimate import (
    Estimate,
    PastRun,
    check_limits,
    compute_totals,
    estimate_groups,
    format_hours,
)
from quintain.plan.plan import Plan, PlannedCell, Settings
from quintain.records.store import Store
from quintain.run.heartbeat import Heartbeat
from quintain.run.record.identity import build_failed_record, build_skipped_record

CLOCKS = {"setup": 1.0, "training": 6.0, "validation": 2.0, "test": 0.5, "logging": 0.0}
COST = {
    "steps": 6,
    "seconds": CLOCKS | {"total": 10.0},
    "memory_mb": {"host_peak": 500.4},
    "energy_kwh": 0.006,
    "validations": 2,
}


def past_run(cell, **changed_cost):
    budget = cell.config["budget"]
    return PastRun(
        cell.group, cell.names, budget["batch_size"], budget["params"], COST | changed_cost
    )


def test_repeats_are_averaged():
    short = build_cell()
    slower = COST["seconds"] | {"training": 10.0, "total": 14.0}
    known = estimate_groups([short], [past_run(short), past_run(short, seconds=slower)])
    assert known[short.group] == Estimate(12.0, 500, 0.006, "2 runs of it in the store")


def test_similar_runs_are_scaled_by_samples_and_validations():
    """Ten times the steps, five times the validations: 10 - 6 - 2 + 6 × 10 + 2 × 5 = 72 s."""
    short, longer = build_cell(), build_cell(budget={"steps": 60, "validations": 10})
    estimate = estimate_groups([longer], [past_run(short)])[longer.group]
    assert (estimate.seconds, estimate.energy_kwh) == (72.0, 0.06)
    assert "1 run of digits/mlp in the store, scaled by steps" in estimate.basis


def test_a_budget_of_seconds_limits_training_time_and_energy():
    """Ten times the steps would train 60 s; the budget allows 12, twice the 6 of the run."""
    longer = build_cell(budget={"steps": 60, "seconds": 12})
    estimate = estimate_groups([longer], [past_run(build_cell())])[longer.group]
    assert (estimate.seconds, estimate.energy_kwh) == (16.0, 0.012)


def test_there_is_at_most_one_validation_per_step():
    """6 steps, so 6 validations instead of 2: 10 - 2 + 3 × 2 s."""
    often = build_cell(budget={"validations": 1000})
    assert estimate_groups([often], [past_run(build_cell())])[often.group].seconds == 14.0


def test_a_cell_that_needs_several_slots_waits_for_all_of_them():
    """Two slots: 1 h beside 1 h, then 1 h of both, then 1 h of one."""
    each = [Estimate(3600, None, None, "x")] * 4
    assert compute_totals(each, 2, [1, 1, 2, 1]).wall_hours == 3
    assert compute_totals(each, 2, [2, 2, 2, 2]).wall_hours == 4
    # Cells that need more slots than there are run one at a time.
    assert compute_totals(each, 2, [9, 9, 9, 9]).wall_hours == 4


def test_runs_with_the_same_parameter_budget_are_preferred():
    short, other = build_cell(), build_cell(budget={"params": 1, "steps": 12})
    target = build_cell(budget={"steps": 7})
    slow = past_run(other, seconds=CLOCKS | {"total": 99.0})
    assert "1 run" in estimate_groups([target], [past_run(short), slow])[target.group].basis


def test_a_cell_without_similar_runs_has_no_estimate():
    assert estimate_groups([build_cell(model="rnn")], [past_run(build_cell())]) == {}


def test_totals_with_two_workers():
    """3, 1, 1 and 2 s in this order: the second worker takes 1, 1 and 2 while the first takes 3."""
    each = [Estimate(s, 100 + s, None, "x") for s in (3, 1, 1, 2)] + [None]
    totals = compute_totals(each, 2)
    assert totals.serial_hours * 3600 == pytest.approx(7)
    assert totals.wall_hours * 3600 == pytest.approx(4)
    assert (totals.unknown, totals.memory_mb, totals.energy_kwh) == (1, 103, None)
    assert [format_hours(h) for h in (0.0125, 0.5, 3.25)] == ["45 s", "30 min", "3.2 h"]


def test_limit_errors_name_estimate_basis_and_advice():
    totals = compute_totals([Estimate(7200, None, 2.0, "2 runs of it in the store")] * 3, 2)
    check_limits(totals, [], 4.0, 6.0)
    with pytest.raises(UsageError) as error:
        check_limits(totals, ["2 runs of it in the store"], 3.9, 5.9)
    first, second = error.value.problems
    assert first.startswith("max_hours=3.9: 3 cells take about 4 h with 2 at a time (6 h in all)")
    assert "2 runs of it in the store" in first and "launch.workers" in first
    assert "max_kwh=5.9: 3 cells take about 6 kWh" in second
    with pytest.raises(UsageError, match="have no estimate"):
        check_limits(compute_totals([None], 1), [], 1.0, None)
    with pytest.raises(UsageError, match="energy is not known"):
        check_limits(compute_totals([Estimate(1, None, None, "x")], 1), [], None, 1.0)


@pytest.fixture
def planned(tmp_path):
    """A store, its plan of five cells of 30 s each on one worker, and the plan's file."""
    cells = [build_cell(seed=seed) for seed in range(1, 6)]
    settings = Settings(tmp_path, 1, None, {}, config={"launch": {"workers": 1}})
    plan = Plan(settings, [PlannedCell(cell, "run") for cell in cells])
    plan.estimates = {cells[0].group: Estimate(30.0, None, None, "1 run")}
    file = tmp_path / "plan.json"
    file.write_text(plan.to_json())
    return cells, Store(tmp_path), file


def test_status_counts_the_cells_of_a_plan(planned):
    cells, store, file = planned
    error = {"kind": "oom", "type": "E", "message": "too large\nmore"}
    store.write(build_failed_record(cells[0], error, "2026-01-01T00:00:00Z"))
    store.write(build_skipped_record(cells[1], "cannot"))
    with Heartbeat(store.path, cells[2]) as beat:
        beat(5, 20)
        beat._write()
        status = read_status(file, store)
    assert (status.failed, status.skipped, status.waiting, status.done) == (1, 1, 2, 0)
    assert status.failures == [
        {"label": "digits/mlp/cpu/s1", "kind": "oom", "message": "too large"}
    ]
    (run,) = status.running
    assert (run.key, run.step, run.steps, run.stale) == (cells[2].key, 5, 20, False)
    # Two waiting cells of 30 s; the first quarter of the running cell took almost no time.
    assert status.seconds_left == pytest.approx(60, abs=1)
    assert read_status(file, store).running == []


def test_a_run_without_recent_heartbeat_is_stale(planned):
    cells, store, file = planned
    with Heartbeat(store.path, cells[0]):
        (beat,) = store.path.glob("running/*.json")
        old = (datetime.now(UTC) - timedelta(minutes=3)).isoformat()
        text = json.dumps(json.loads(beat.read_text()) | {"beat": old})
    beat.write_text(text)
    (beat.parent / "broken.json").write_text("{")
    status = read_status(file, store)
    (run,) = status.running
    assert run.stale and "no heartbeat for 3 min: dead or stuck" in run.describe()
    assert status.waiting == 5 and not replace(status, running=[], waiting=0).waiting
