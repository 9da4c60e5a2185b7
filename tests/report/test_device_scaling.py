"""Scaling efficiency against values computed by hand."""

from __future__ import annotations

import pytest
from helpers.record_factory import cost_values, make_record

from quintain.report.device_scaling import measure_scaling
from quintain.report.leaderboard import build_leaderboard


def ranks(world: int, **changes):
    values = {"world": world, "step_ms": [[1.0]] * world, "input_seconds": [0.1] * world}
    values |= {"host_peak_mb": [100.0] * world, "host_sum_mb": 100.0 * world, "how": "as it is"}
    values |= {"input_share": 0.02, "communication_share": 0.2, "imbalance_share": 0.03}
    return values | changes


def run(rate: float, batch: int, *, world: int = 1, seed: int = 1, host: str = "a", **changes):
    """100 steps of `batch` samples at `rate` samples/s."""
    costs = cost_values() | {"samples_per_second": rate, "steps": 100, "samples": 100 * batch}
    costs |= {"ranks": ranks(world, **changes)} if world > 1 else {}
    name = "cpu_ddp" if world > 1 else "cpu"
    hardware = {"_target_": name, "precision": "32-true", "threads": 1}
    return make_record(
        seed=seed,
        cost=costs,
        names={"hardware": name},
        machine={"host": host},
        cell={"hardware": hardware, "budget": {"batch_size": batch}},
    )


def test_strong_and_weak_scaling_by_hand():
    single = [run(100.0, 32, seed=1), run(200.0, 64, seed=1)]
    results = {s.kind: s for s in measure_scaling([*single, run(300.0, 64, world=2)])}
    assert results["strong"].efficiency == [pytest.approx(300 / (2 * 200))]
    assert results["weak"].efficiency == [pytest.approx(300 / (2 * 100))]
    assert (results["weak"].batch_size, results["weak"].world_size) == (64, 2)


def test_the_interval_is_over_seeds():
    rates = {1: 120.0, 2: 130.0, 3: 140.0}
    records = [run(100.0, 32, seed=seed) for seed in rates]
    input_share = {1: 0.01, 2: 0.02, 3: 0.03}
    records += [
        run(rate, 32, world=2, seed=seed, input_share=input_share[seed])
        for seed, rate in rates.items()
    ]
    (result,) = measure_scaling(records)
    sentence = result.describe()
    # mean 0.65; Student's t of 2 degrees 4.3027 × 0.05 / √3 = 0.1242
    assert "strong scaling to 2 ranks 65% [53%, 77%] of linear (n=3)" in sentence
    # input: mean 0.02; 4.3027 × 0.01 / √3 = 0.0248, cut off at zero
    lost = "20.0% [20.0%, 20.0%] to communication, 2.0% [0.0%, 4.5%] to input"
    assert f"{lost}, 3.0% [3.0%, 3.0%] to imbalance" in sentence
    assert sentence in build_leaderboard(records).notes


def test_only_runs_that_differ_only_in_the_ranks_are_compared():
    other_host = run(100.0, 32, host="b")
    other_batch = run(100.0, 16 + 1)
    assert measure_scaling([other_host, other_batch, run(150.0, 32, world=2)]) == []
    assert measure_scaling([run(100.0, 32), run(90.0, 32, seed=2)]) == []


def test_losses_that_were_not_measured_have_a_reason():
    changes = {"communication_share": None, "imbalance_share": None, "absent": "it overlaps"}
    (result,) = measure_scaling([run(100.0, 32), run(150.0, 32, world=2, **changes)])
    sentence = result.describe()
    assert sentence.endswith("of training 2.0% to input was lost (it overlaps)")
    assert "75% of linear (n=1)" in sentence
