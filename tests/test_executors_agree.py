"""Models × datasets × hardware × seeds: this machine, Slurm and Ray leave the same records."""

from __future__ import annotations

import pytest
from words import numbers, quintain

from quintain.records.store import Store

pytest.importorskip("ray", reason="Ray is not installed: pip install 'quintain[ray]'")
pytest_plugins = ["slurm_cluster"]

WORDS = (
    *("sweep", "dataset=digits,sunspots", "model=mlp,gru", "hardware=cpu,cpu_ddp", "seed=1,2"),
    *("budget.steps=20", "budget.validations=2", "wandb.mode=disabled", "--no-references"),
)
LONG = 1200.0  # seconds: 16 cells, each of which imports torch


@pytest.mark.slow
def test_the_same_records_on_this_machine_on_slurm_and_on_ray(tmp_path, slurm):
    found = {}
    for executor in ("local", "slurm", "ray"):
        words = (*WORDS, f"launch.executor={executor}", f"store={executor}", "launch.workers=2")
        code, out, err = quintain(*words, cwd=tmp_path, timeout=LONG, **slurm)
        assert code == 0, out + err
        records = Store(tmp_path / executor).all()
        assert [record.status for record in records] == ["ok"] * 16
        found[executor] = {record.key: numbers(record) for record in records}
    assert found["slurm"] == found["local"]
    assert found["ray"] == found["local"]
