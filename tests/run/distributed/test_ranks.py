"""Several ranks give the weights and scores of one, for every task and however they share."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.rank_jobs import build_rank_cell, train_on_ranks

JOBS = {
    "classify": build_rank_cell("example_image", "cnn"),
    "classify_ragged": build_rank_cell("example_speech", "lstm"),
    "regress": build_rank_cell("example_regress", "mlp"),
    "forecast": build_rank_cell("example_series", "transformer"),
    "next_token": build_rank_cell("example_text", "rnn"),
    "next_token_ragged": build_rank_cell(
        "example_ragged_text", "gru", optimizer={"clip_norm": 0.01}
    ),
    "transcribe": build_rank_cell("example_transcripts", "lstm"),
    "generate": build_rank_cell("example_translation", "gru", optimizer={"clip_norm": None}),
    "no_share": build_rank_cell(
        "example_image", "mlp", samples=(9, 2, 1), budget={"batch_size": 3}
    ),
    "dropout": build_rank_cell("example_translation", "gru", head={"dropout": 0.5}),
    "time": build_rank_cell("example_image", "mlp", budget={"steps": 100_000, "seconds": 0.2}),
    "nan": build_rank_cell(
        "example_image", "mlp", optimizer={"lr": 1e200, "clip_norm": None, "warmup": 0.0}
    ),
}
UNEQUAL = ("dropout", "time", "nan")
ONLY_TWO = {"classify", "next_token", "dropout", "time"}  # three ranks have similar jobs
TESTED = {1: list(JOBS), 2: list(JOBS), 3: [name for name in JOBS if name not in ONLY_TWO]}
FSDP = {"strategy": "fsdp"}
SHARDED_JOBS = {
    "classify_ragged": build_rank_cell("example_speech", "lstm", hardware=FSDP),
    "next_token": build_rank_cell("example_text", "transformer", hardware=FSDP),
    "no_share": build_rank_cell(
        "example_image", "mlp", samples=(9, 2, 1), budget={"batch_size": 3}, hardware=FSDP
    ),
}
EQUAL = [
    (world_size, job) for world_size in (2, 3) for job in TESTED[world_size] if job not in UNEQUAL
]


@pytest.fixture(scope="module")
def results():
    """Number of ranks → rank → job → result."""
    results = {}
    for world_size, jobs in TESTED.items():
        ranks = train_on_ranks(world_size, [JOBS[job].to_json() for job in jobs])
        results[world_size] = [dict(zip(jobs, rank, strict=True)) for rank in ranks]
    return results


@pytest.mark.parametrize(("world_size", "job"), EQUAL)
def test_the_weights_are_those_of_one_process(results, job, world_size):
    single = results[1][0][job]
    for rank in results[world_size]:
        assert "error" not in rank[job], rank[job]
        for name, weight in single["weights"].items():
            np.testing.assert_allclose(rank[job]["weights"][name], weight, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize(("world_size", "job"), EQUAL)
def test_scores_and_curve_are_those_of_one_process(results, job, world_size):
    single = results[1][0][job]
    for rank in results[world_size]:
        assert rank[job]["test"] == pytest.approx(single["test"], abs=1e-6, rel=1e-6, nan_ok=True)
        for (step, loss, scores), point in zip(rank[job]["curve"], single["curve"], strict=True):
            assert (step, loss) == (point[0], pytest.approx(point[1], rel=1e-9))
            assert scores == pytest.approx(point[2], abs=1e-6, rel=1e-6, nan_ok=True)


def test_a_sharded_model_trains_as_a_whole_one():
    """FSDP over gloo; `cuda_fsdp` does the same over NCCL."""
    cells = [cell.to_json() for cell in SHARDED_JOBS.values()]
    (whole,) = train_on_ranks(1, cells)
    for rank in train_on_ranks(2, cells):
        for single, sharded in zip(whole, rank, strict=True):
            assert "error" not in sharded, sharded
            assert sharded["test"] == pytest.approx(single["test"], abs=1e-6, rel=1e-6, nan_ok=True)
            assert [p[2] for p in sharded["curve"]] == [
                pytest.approx(p[2], abs=1e-6, rel=1e-6, nan_ok=True) for p in single["curve"]
            ]
            for name, weight in single["weights"].items():
                np.testing.assert_allclose(sharded["weights"][name], weight, rtol=1e-7, atol=1e-9)


def test_ranks_have_their_own_dropout_and_share_the_weights(results):
    first, second = (rank["dropout"] for rank in results[2])
    single = results[1][0]["dropout"]
    for name, weight in first["weights"].items():
        np.testing.assert_array_equal(weight, second["weights"][name])
    assert first["curve"][-1][1] != pytest.approx(single["curve"][-1][1], rel=1e-9)


def test_a_time_limit_stops_all_ranks_at_the_same_step(results):
    steps = {rank["time"]["steps"] for rank in results[2]}
    assert len(steps) == 1 and 0 < steps.pop() < 100_000


def test_a_nan_loss_ends_all_ranks(results):
    for world_size in (1, 2, 3):
        errors = {rank["nan"]["error"] for rank in results[world_size]}
        assert len(errors) == 1 and errors.pop().startswith("NonFiniteLoss: the training loss")


def test_every_rank_has_a_report(results):
    assert results[1][0]["regress"]["reports"] == [4]
    assert [results[world_size][0]["regress"]["reports"] for world_size in (2, 3)] == [
        [4] * 2,
        [4] * 3,
    ]


def test_a_run_of_two_ranks_resumes_bit_for_bit(tmp_path):
    """Dropout is on, so the random generators of both ranks must be restored."""
    job = JOBS["dropout"].to_json()
    preemptions = [None, (tmp_path, 1), (tmp_path, 10**6)]
    for rank in train_on_ranks(2, [job] * 3, preemptions):
        whole, interrupted, resumed = rank
        assert interrupted["error"].startswith("Interrupted")
        assert (resumed["resumed_at"], resumed["steps"], resumed["reports"]) == (2, 4, [4, 4])
        assert resumed["curve"] == whole["curve"] and resumed["test"] == whole["test"]
        for name, weight in whole["weights"].items():
            np.testing.assert_array_equal(resumed["weights"][name], weight)
    assert len(list(tmp_path.glob("*.pt"))) == 1
