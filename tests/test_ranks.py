"""Several ranks give the weights and the scores of one, for every task and however they share."""

from __future__ import annotations

import numpy as np
import pytest
from rank_jobs import learn_together, spread

JOBS = {
    "classify": spread("example_image", "cnn"),
    "classify_ragged": spread("example_speech", "lstm"),
    "regress": spread("example_regress", "mlp"),
    "forecast": spread("example_series", "transformer"),
    "next_token": spread("example_text", "rnn"),
    "next_token_ragged": spread("example_ragged_text", "gru", optimizer={"clip_norm": 0.01}),
    "transcribe": spread("example_transcripts", "lstm"),
    "generate": spread("example_translation", "gru", optimizer={"clip_norm": None}),
    "no_share": spread("example_image", "mlp", samples=(9, 2, 1), budget={"batch_size": 3}),
    "dropout": spread("example_translation", "gru", head={"dropout": 0.5}),
    "time": spread("example_image", "mlp", budget={"steps": 100_000, "seconds": 0.2}),
    "no_number": spread(
        "example_image", "mlp", optimizer={"lr": 1e200, "clip_norm": None, "warmup": 0.0}
    ),
}
OTHER = ("dropout", "time", "no_number")
TWO = {"classify", "next_token", "dropout", "time"}  # whose like three ranks do too
DONE = {1: list(JOBS), 2: list(JOBS), 3: [name for name in JOBS if name not in TWO]}
FSDP = {"strategy": "fsdp"}
SPREAD = {
    "classify_ragged": spread("example_speech", "lstm", hardware=FSDP),
    "next_token": spread("example_text", "transformer", hardware=FSDP),
    "no_share": spread(
        "example_image", "mlp", samples=(9, 2, 1), budget={"batch_size": 3}, hardware=FSDP
    ),
}
SAME = [(world, job) for world in (2, 3) for job in DONE[world] if job not in OTHER]


@pytest.fixture(scope="module")
def found():
    """Number of ranks → rank → job → what it learned."""
    found = {}
    for world, jobs in DONE.items():
        ranks = learn_together(world, [JOBS[job].to_json() for job in jobs])
        found[world] = [dict(zip(jobs, rank, strict=True)) for rank in ranks]
    return found


@pytest.mark.parametrize(("world", "job"), SAME)
def test_the_weights_are_those_of_one_process(found, job, world):
    one = found[1][0][job]
    for rank in found[world]:
        assert "error" not in rank[job], rank[job]
        for name, weight in one["weights"].items():
            np.testing.assert_allclose(rank[job]["weights"][name], weight, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize(("world", "job"), SAME)
def test_scores_and_curve_are_those_of_one_process(found, job, world):
    one = found[1][0][job]
    for rank in found[world]:
        assert rank[job]["test"] == pytest.approx(one["test"], abs=1e-6, rel=1e-6, nan_ok=True)
        for (step, loss, scores), point in zip(rank[job]["curve"], one["curve"], strict=True):
            assert (step, loss) == (point[0], pytest.approx(point[1], rel=1e-9))
            assert scores == pytest.approx(point[2], abs=1e-6, rel=1e-6, nan_ok=True)


def test_a_model_that_is_spread_learns_as_a_whole_one():
    """FSDP over gloo; `cuda_fsdp` does the same over NCCL."""
    cells = [cell.to_json() for cell in SPREAD.values()]
    (whole,) = learn_together(1, cells)
    for rank in learn_together(2, cells):
        for one, two in zip(whole, rank, strict=True):
            assert "error" not in two, two
            assert two["test"] == pytest.approx(one["test"], abs=1e-6, rel=1e-6, nan_ok=True)
            assert [p[2] for p in two["curve"]] == [
                pytest.approx(p[2], abs=1e-6, rel=1e-6, nan_ok=True) for p in one["curve"]
            ]
            for name, weight in one["weights"].items():
                np.testing.assert_allclose(two["weights"][name], weight, rtol=1e-7, atol=1e-9)


def test_ranks_draw_their_own_dropout_and_share_the_weights(found):
    first, second = (rank["dropout"] for rank in found[2])
    one = found[1][0]["dropout"]
    for name, weight in first["weights"].items():
        np.testing.assert_array_equal(weight, second["weights"][name])
    assert first["curve"][-1][1] != pytest.approx(one["curve"][-1][1], rel=1e-9)


def test_time_is_up_for_all_ranks_at_the_same_step(found):
    steps = {rank["time"]["steps"] for rank in found[2]}
    assert len(steps) == 1 and 0 < steps.pop() < 100_000


def test_a_loss_that_is_no_number_ends_all_ranks(found):
    for world in (1, 2, 3):
        errors = {rank["no_number"]["error"] for rank in found[world]}
        assert len(errors) == 1 and errors.pop().startswith("NonFiniteLoss: the training loss")


def test_rank_0_hears_from_all(found):
    assert found[1][0]["regress"]["reports"] == []
    assert [found[world][0]["regress"]["reports"] for world in (2, 3)] == [[4] * 2, [4] * 3]


def test_a_run_of_two_ranks_goes_on_bit_for_bit(tmp_path):
    """Dropout is on, so the generators of both ranks must be put back."""
    job = JOBS["dropout"].to_json()
    leaves = [None, (tmp_path, 1), (tmp_path, 10**6)]
    for rank in learn_together(2, [job] * 3, leaves):
        whole, left, resumed = rank
        assert left["error"].startswith("Interrupted")
        assert (resumed["resumed_at"], resumed["steps"], resumed["reports"]) == (2, 4, [4, 4])
        assert resumed["curve"] == whole["curve"] and resumed["test"] == whole["test"]
        for name, weight in whole["weights"].items():
            np.testing.assert_array_equal(resumed["weights"][name], weight)
    assert len(list(tmp_path.glob("*.pt"))) == 1
