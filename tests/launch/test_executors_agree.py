"""This machine, Slurm and Ray write the same records for models × datasets × hardware × seeds."""

from __future__ import annotations

import pytest
from helpers.commands import comparable_quality, run_quintain

from quintain.records.store import Store

pytest.importorskip("ray", reason="Ray is not installed: pip install 'quintain[ray]'")

SWEEP = (
    *("sweep", "dataset=digits,sunspots", "model=mlp,gru", "hardware=cpu,cpu_ddp", "seed=1,2"),
    *("budget.steps=20", "budget.validations=2", "wandb.mode=disabled", "--no-baselines"),
)
TIMEOUT = 1200.0  # seconds: 16 cells, each of which imports torch


@pytest.mark.slow
def test_this_machine_slurm_and_ray_write_the_same_records(tmp_path, slurm):
    qualities = {}
    for executor in ("local", "slurm", "ray"):
        arguments = (*SWEEP, f"launch.executor={executor}", f"store={executor}", "launch.workers=2")
        code, out, err = run_quintain(*arguments, cwd=tmp_path, timeout=TIMEOUT, **slurm)
        assert code == 0, out + err
        records = Store(tmp_path / executor).all()
        assert [record.status for record in records] == ["ok"] * 16
        qualities[executor] = {record.key: comparable_quality(record) for record in records}
    assert qualities["slurm"] == qualities["local"]
    assert qualities["ray"] == qualities["local"]
