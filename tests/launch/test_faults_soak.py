"""Killed runs and sweeps, with the functions of `benchmarks/faults.py`; many if marked slow."""

from __future__ import annotations

import importlib.util
import random
import sys
from pathlib import Path
from types import ModuleType

import pytest
from helpers.paths import ROOT

SCRIPTS = ROOT / "benchmarks"


@pytest.fixture(scope="module")
def faults() -> ModuleType:
    sys.path.insert(0, str(SCRIPTS))  # for the modules that the scripts share
    try:
        spec = importlib.util.spec_from_file_location("faults_script", SCRIPTS / "faults.py")
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module  # dataclasses look up their module there
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
def test_killed_runs_damage_no_record_and_the_same_command_finishes(
    faults: ModuleType, tmp_path: Path, kills: int, cells: int, steps: int
) -> None:
    result = faults.kill_runs(tmp_path, settings(cells, steps), kills, random.Random(kills))
    assert len(result.damaged) >= kills and not any(result.damaged)
    assert set(result.complete) == {cells}
    assert max(result.commands) >= 2  # a killed run was started again


@pytest.mark.parametrize("times", [1, pytest.param(10, marks=pytest.mark.slow)])
def test_a_killed_sweep_leaves_no_process_and_no_claim(
    faults: ModuleType, tmp_path: Path, times: int
) -> None:
    result = faults.kill_sweeps(tmp_path, settings(6, 60), times, random.Random(times))
    assert min(result.alive) >= 3  # the sweep, its server, and a run
    assert not any(result.orphans)  # benchmarks/faults.py measures how many seconds that takes
    assert not any(result.damaged) and not any(result.held)
