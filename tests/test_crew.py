"""Ranks that Quintain starts: the record, a rank that is killed or fails, what is refused."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import psutil
import pytest
import torch
from cells_factory import Points, cell, node, own_threads

from quintain.compose.cells import make_cell
from quintain.records.schema import Record
from quintain.run import watch
from quintain.run.attempt import attempt
from quintain.run.crew import assembled
from quintain.run.execute import hardware_of


@pytest.fixture(autouse=True)
def _threads():
    with own_threads():
        yield


def over_ranks(devices: int = 2, **settings):
    hardware = node("hardware", "cpu_ddp") | {"devices": devices, "precision": "64-true"}
    return cell("digits", "mlp", hardware=hardware, **settings)


def children() -> list[psutil.Process]:
    return [p for p in psutil.Process().children() if "--rank" in " ".join(p.cmdline())]


class Fragile(Points):
    """Cannot be loaded by a rank that is not 0."""

    def setup(self, stage: str) -> None:
        if "--rank" in " ".join(psutil.Process().cmdline()):
            raise OSError("this rank has no disk")
        super().setup(stage)


def test_a_run_of_two_ranks_leaves_one_whole_record_and_nothing_else():
    before = dict(os.environ)
    record = attempt(over_ranks())
    assert record.error is None, record.error
    assert Record.model_validate_json(record.to_json()) == record
    cost, ranks = record.cost, record.cost.ranks
    assert (cost.steps, cost.samples, ranks.world) == (6, 48, 2)
    assert [len(rank) for rank in ranks.step_ms] == [len(r) for r in ranks.all_reduce_ms] == [6, 6]
    slowest = [max(step) for step in zip(*ranks.step_ms, strict=True)]
    assert record.step_times_ms == slowest
    middle = torch.tensor(slowest, dtype=torch.float64).quantile(0.5).item()
    assert cost.step_ms.p50 == pytest.approx(middle, abs=2e-3)
    assert cost.memory_mb.host_peak == max(ranks.host_peak_mb)
    assert ranks.host_sum_mb == pytest.approx(sum(ranks.host_peak_mb))
    lost = (ranks.communication_share, ranks.imbalance_share, ranks.input_share)
    assert all(share >= 0 for share in lost) and sum(lost) < 1
    names = {"MASTER_ADDR", "MASTER_PORT", "RANK", "LOCAL_RANK", "WORLD_SIZE"}
    assert names & set(os.environ) == names & set(before)
    assert children() == [] and not torch.distributed.is_initialized()


def test_a_rank_that_is_killed_ends_the_run_and_is_named():
    victims: list[int] = []

    def kill(step: int, steps: int) -> None:
        if step and not victims:
            (child,) = children()
            child.send_signal(signal.SIGKILL)
            victims.append(child.pid)

    record = attempt(over_ranks(budget={"steps": 100_000, "validations": 100}), progress=kill)
    assert record.status == "failed" and record.error.kind == "killed"
    assert "rank 1 of 2 ended by SIGKILL" in record.error.message
    assert children() == []


def test_a_rank_that_fails_by_itself_is_the_reason():
    plain = over_ranks()
    changed = {"dataset": {"_target_": f"{__name__}.Fragile"}, "stem": node("stem", "series")}
    record = attempt(make_cell(plain.config | changed, plain.names, seed=1))
    assert record.status == "failed", record.quality
    assert "rank 1 of 2" in record.error.message and "has no disk" in record.error.message
    assert children() == []


def test_a_batch_smaller_than_the_ranks_is_refused():
    record = attempt(over_ranks(3, budget={"batch_size": 2}))
    assert record.status == "failed"
    assert "a batch of 2 samples cannot be shared by 3 ranks" in record.error.message


def test_a_rank_that_ends_badly_after_its_last_word_ends_nobody(monkeypatch, tmp_path):
    ended: list[int] = []
    monkeypatch.setattr(watch, "GRACE", 0.0)
    monkeypatch.setattr(watch.os, "_exit", ended.append)
    failed = subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"])
    failed.wait()
    for dismissed, codes in ((True, []), (False, [watch.LOST])):
        crew = watch.Crew(2)
        if dismissed:
            crew.dismiss()
        crew.add(watch.Member(1, failed, tmp_path / "log"))
        end = time.monotonic() + 60
        while (_watching() and dismissed) or len(ended) < len(codes):
            assert time.monotonic() < end
            time.sleep(0.01)
        assert ended[: len(codes)] == codes and bool(ended) == bool(codes)
        crew.end(0.0)


def _watching() -> bool:
    return any(thread.name == "quintain-ranks" for thread in threading.enumerate())


def test_a_reference_and_one_device_need_no_other_rank():
    for made in (over_ranks(1), cell("digits", reference="majority")):
        with assembled(made, hardware_of(made)) as ranks:
            assert ranks.alone and ranks.gather(5) == [5] and ranks.agree(True)
        assert threading.active_count() < 50 and children() == []
