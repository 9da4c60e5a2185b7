"""What a plan will take: numbers counted by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cells_factory import cell

from quintain.compose.errors import UsageError
from quintain.compose.estimate import Estimate, Past, check_limits, estimates, hours, totals
from quintain.compose.plan import Plan, Planned, Settings
from quintain.launch.status import status_of
from quintain.records.store import Store
from quintain.run.heartbeat import Heartbeat
from quintain.run.identity import failed, skipped

CLOCKS = {"setup": 1.0, "training": 6.0, "validation": 2.0, "test": 0.5, "logging": 0.0}
COST = {
    "steps": 6,
    "seconds": CLOCKS | {"total": 10.0},
    "memory_mb": {"host_peak": 500.4},
    "energy_kwh": 0.006,
    "validations": 2,
}


def past(of, **changes):
    budget = of.config["budget"]
    return Past(of.group, of.names, budget["batch_size"], budget["params"], COST | changes)


def test_repeats_tell_by_their_mean():
    made = cell()
    slower = COST["seconds"] | {"training": 10.0, "total": 14.0}
    known = estimates([made], [past(made), past(made, seconds=slower)])
    assert known[made.group] == Estimate(12.0, 500, 0.006, "2 runs of it in the store")


def test_like_cells_are_scaled_by_samples_and_readings():
    """Ten times the steps, five times the readings: 10 - 6 - 2 + 6 × 10 + 2 × 5 = 72 s."""
    made, longer = cell(), cell(budget={"steps": 60, "validations": 10})
    found = estimates([longer], [past(made)])[longer.group]
    assert (found.seconds, found.energy_kwh) == (72.0, 0.06)
    assert "1 run of digits/mlp in the store, scaled by steps" in found.basis


def test_a_budget_of_seconds_ends_training_and_its_energy():
    """Ten times the steps would train 60 s; the budget has 12, twice as long as the 6 before."""
    longer = cell(budget={"steps": 60, "seconds": 12})
    found = estimates([longer], [past(cell())])[longer.group]
    assert (found.seconds, found.energy_kwh) == (16.0, 0.012)


def test_validation_is_read_once_a_step_at_most():
    """6 steps, so 6 readings instead of 2: 10 - 2 + 3 × 2 s."""
    often = cell(budget={"validations": 1000})
    assert estimates([often], [past(cell())])[often.group].seconds == 14.0


def test_a_cell_of_several_slots_waits_for_all_of_them():
    """Two slots: 1 h beside 1 h, then 1 h of both, then 1 h of one."""
    each = [Estimate(3600, None, None, "x")] * 4
    assert totals(each, 2, [1, 1, 2, 1]).wall_hours == 3
    assert totals(each, 2, [2, 2, 2, 2]).wall_hours == 4
    assert totals(each, 2, [9, 9, 9, 9]).wall_hours == 4  # more than there are: alone


def test_cells_of_the_same_size_tell_more_than_others():
    made, other = cell(), cell(budget={"params": 1, "steps": 12})
    asked = cell(budget={"steps": 7})
    slow = past(other, seconds=CLOCKS | {"total": 99.0})
    assert "1 run" in estimates([asked], [past(made), slow])[asked.group].basis


def test_what_nothing_is_like_has_no_estimate():
    assert estimates([cell(model="rnn")], [past(cell())]) == {}


def test_totals_with_two_at_a_time():
    """3, 1, 1 and 2 s in this order: the second worker takes 1, 1 and 2 while the first takes 3."""
    each = [Estimate(s, 100 + s, None, "x") for s in (3, 1, 1, 2)] + [None]
    found = totals(each, 2)
    assert found.serial_hours * 3600 == pytest.approx(7)
    assert found.wall_hours * 3600 == pytest.approx(4)
    assert (found.unknown, found.memory_mb, found.energy_kwh) == (1, 103, None)
    assert [hours(h) for h in (0.0125, 0.5, 3.25)] == ["45 s", "30 min", "3.2 h"]


def test_limits_say_the_estimate_its_basis_and_what_to_change():
    found = totals([Estimate(7200, None, 2.0, "2 runs of it in the store")] * 3, 2)
    check_limits(found, [], 4.0, 6.0)
    with pytest.raises(UsageError) as error:
        check_limits(found, ["2 runs of it in the store"], 3.9, 5.9)
    first, second = error.value.problems
    assert first.startswith("max_hours=3.9: 3 cells take about 4 h with 2 at a time (6 h in all)")
    assert "2 runs of it in the store" in first and "launch.workers" in first
    assert "max_kwh=5.9: 3 cells take about 6 kWh" in second
    with pytest.raises(UsageError, match="have no estimate"):
        check_limits(totals([None], 1), [], 1.0, None)
    with pytest.raises(UsageError, match="energy is not known"):
        check_limits(totals([Estimate(1, None, None, "x")], 1), [], None, 1.0)


@pytest.fixture
def planned(tmp_path):
    """A store, its plan of five cells of 30 s each on one worker, and the plan's file."""
    cells = [cell(seed=seed) for seed in range(1, 6)]
    settings = Settings(tmp_path, 1, None, {}, table={"launch": {"workers": 1}})
    plan = Plan(settings, [Planned(one, "run") for one in cells])
    plan.estimates = {cells[0].group: Estimate(30.0, None, None, "told")}
    file = tmp_path / "plan.json"
    file.write_text(plan.to_json())
    return cells, Store(tmp_path), file


def test_status_counts_what_the_store_knows(planned):
    cells, store, file = planned
    error = {"kind": "oom", "type": "E", "message": "too large\nmore"}
    store.write(failed(cells[0], error, "2026-01-01T00:00:00Z"))
    store.write(skipped(cells[1], "cannot"))
    with Heartbeat(store.path, cells[2]) as beat:
        beat(5, 20)
        beat._write()
        found = status_of(file, store)
    assert (found.failed, found.skipped, found.waiting, found.done) == (1, 1, 2, 0)
    assert found.failures == [{"label": "digits/mlp/cpu/s1", "kind": "oom", "message": "too large"}]
    (run,) = found.running
    assert (run.key, run.step, run.steps, run.stale) == (cells[2].key, 5, 20, False)
    assert found.seconds_left == pytest.approx(60, abs=1)  # what runs is at a quarter at once
    assert status_of(file, store).running == []


def test_a_run_that_is_not_heard_of_is_said_so(planned):
    cells, store, file = planned
    with Heartbeat(store.path, cells[0]):
        (beat,) = store.path.glob("running/*.json")
        old = (datetime.now(UTC) - timedelta(minutes=3)).isoformat()
        text = json.dumps(json.loads(beat.read_text()) | {"beat": old})
    beat.write_text(text)
    (beat.parent / "broken.json").write_text("{")
    found = status_of(file, store)
    (run,) = found.running
    assert run.stale and "not heard of for 3 min: dead or stuck" in run.sentence()
    assert found.waiting == 5 and not replace(found, running=[], waiting=0).waiting
