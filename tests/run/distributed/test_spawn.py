"""Ranks that Quintain starts: the record, ranks that are killed or fail, refused cells."""

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
from helpers.cell_factory import Points, build_cell, load_option, restore_threads

from quintain.errors import ExitCode
from quintain.plan.cell import make_cell
from quintain.records.schema import Record
from quintain.run.distributed import monitor
from quintain.run.distributed.spawn import join_ranks
from quintain.run.runner import run_to_record
from quintain.run.session import build_hardware


@pytest.fixture(autouse=True)
def _threads():
    with restore_threads():
        yield


def build_ddp_cell(devices: int = 2, **settings):
    hardware = load_option("hardware", "cpu_ddp") | {"devices": devices, "precision": "64-true"}
    return build_cell("digits", "mlp", hardware=hardware, **settings)


def find_rank_processes() -> list[psutil.Process]:
    return [p for p in psutil.Process().children() if "--rank" in " ".join(p.cmdline())]


class FailingOnRank1(Points):
    """Fails to load in ranks other than 0."""

    def setup(self, stage: str) -> None:
        if "--rank" in " ".join(psutil.Process().cmdline()):
            raise OSError("this rank has no disk")
        super().setup(stage)


def test_a_run_of_two_ranks_gives_one_record_and_changes_nothing_else():
    before = dict(os.environ)
    record = run_to_record(build_ddp_cell())
    assert record.error is None, record.error
    assert Record.model_validate_json(record.to_json()) == record
    cost, ranks = record.cost, record.cost.ranks
    assert (cost.steps, cost.samples, ranks.world) == (6, 48, 2)
    assert [len(rank) for rank in ranks.step_ms] == [len(r) for r in ranks.all_reduce_ms] == [6, 6]
    slowest = [max(step) for step in zip(*ranks.step_ms, strict=True)]
    assert record.step_times_ms == slowest
    median = torch.tensor(slowest, dtype=torch.float64).quantile(0.5).item()
    assert cost.step_ms.p50 == pytest.approx(median, abs=2e-3)
    assert cost.memory_mb.host_peak == max(ranks.host_peak_mb)
    assert ranks.host_sum_mb == pytest.approx(sum(ranks.host_peak_mb))
    shares = (ranks.communication_share, ranks.imbalance_share, ranks.input_share)
    assert all(share >= 0 for share in shares) and sum(shares) < 1
    names = {"MASTER_ADDR", "MASTER_PORT", "RANK", "LOCAL_RANK", "WORLD_SIZE"}
    assert names & set(os.environ) == names & set(before)
    assert find_rank_processes() == [] and not torch.distributed.is_initialized()


def test_a_killed_rank_ends_the_run_and_the_record_names_it():
    victims: list[int] = []

    def kill(step: int, steps: int) -> None:
        if step and not victims:
            (child,) = find_rank_processes()
            child.send_signal(signal.SIGKILL)
            victims.append(child.pid)

    record = run_to_record(
        build_ddp_cell(budget={"steps": 100_000, "validations": 100}), report_progress=kill
    )
    assert record.status == "failed" and record.error.kind == "killed"
    assert "rank 1 of 2 ended by SIGKILL" in record.error.message
    assert find_rank_processes() == []


def test_the_error_of_a_rank_is_in_the_record():
    cell = build_ddp_cell()
    changed = {
        "dataset": {"_target_": f"{__name__}.FailingOnRank1"},
        "stem": load_option("stem", "series"),
    }
    record = run_to_record(make_cell(cell.config | changed, cell.names, seed=1))
    assert record.status == "failed", record.quality
    assert "rank 1 of 2" in record.error.message and "has no disk" in record.error.message
    assert find_rank_processes() == []


def test_a_batch_smaller_than_the_ranks_is_refused():
    record = run_to_record(build_ddp_cell(3, budget={"batch_size": 2}))
    assert record.status == "failed"
    assert "a batch of 2 samples cannot be shared by 3 ranks" in record.error.message


def test_a_rank_that_fails_after_its_last_report_ends_no_other(monkeypatch, tmp_path):
    ended: list[int] = []
    monkeypatch.setattr(monitor, "NOTICE_SECONDS", 0.0)
    monkeypatch.setattr(monitor.os, "_exit", ended.append)
    failed = subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"])
    failed.wait()
    for stopped, codes in ((True, []), (False, [ExitCode.RANK_LOST])):
        rank_monitor = monitor.RankMonitor(2)
        if stopped:
            rank_monitor.stop()
        rank_monitor.add(monitor.RankProcess(1, failed, tmp_path / "log"))
        end = time.monotonic() + 60
        while (_is_watching() and stopped) or len(ended) < len(codes):
            assert time.monotonic() < end
            time.sleep(0.01)
        assert ended[: len(codes)] == codes and bool(ended) == bool(codes)
        rank_monitor.terminate(0.0)


def _is_watching() -> bool:
    return any(thread.name == "quintain-ranks" for thread in threading.enumerate())


def test_a_baseline_and_a_single_device_need_no_other_rank():
    for cell in (build_ddp_cell(1), build_cell("digits", baseline="majority")):
        with join_ranks(cell, build_hardware(cell)) as dist:
            assert dist.is_single and dist.all_gather(5) == [5] and dist.broadcast_flag(True)
        assert threading.active_count() < 50 and find_rank_processes() == []
