"""Killed runs and killed sweeps, as `benchmarks/faults.py` does it: a few here, many in a soak."""

from __future__ import annotations

import importlib.util
import random
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPTS = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture(scope="module")
def faults() -> ModuleType:
    sys.path.insert(0, str(SCRIPTS))  # for what the scripts share
    try:
        spec = importlib.util.spec_from_file_location("faults_script", SCRIPTS / "faults.py")
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module  # where dataclasses look their module up
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(SCRIPTS))
    return module


def settings(cells: int, steps: int) -> list[str]:
    seeds = ",".join(str(seed) for seed in range(1, cells // 2 + 1))
    return [f"budget.steps={steps}", "launch.workers=2", f"seed={seeds}"]


@pytest.mark.parametrize(
    ("kills", "cells", "steps"),
    [pytest.param(3, 6, 30), pytest.param(50, 20, 60, marks=pytest.mark.slow)],
)
def test_killed_runs_lose_nothing_and_the_same_command_finishes(
    faults: ModuleType, tmp_path: Path, kills: int, cells: int, steps: int
) -> None:
    seen = faults.kill_runs(tmp_path, settings(cells, steps), kills, random.Random(kills))
    assert len(seen.damaged) >= kills and not any(seen.damaged)
    assert set(seen.complete) == {cells}
    assert max(seen.commands) >= 2  # something was killed, and ran again


@pytest.mark.parametrize("times", [1, pytest.param(10, marks=pytest.mark.slow)])
def test_a_killed_sweep_leaves_no_process_and_no_claim(
    faults: ModuleType, tmp_path: Path, times: int
) -> None:
    seen = faults.kill_sweeps(tmp_path, settings(6, 60), times, random.Random(times))
    assert min(seen.alive) >= 3  # the sweep, its server, and a run
    assert not any(seen.orphans)  # within how many seconds is for benchmarks/faults.py to say
    assert not any(seen.damaged) and not any(seen.held)
