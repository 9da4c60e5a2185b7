"""Sweeps on a slow disk, on a disk that becomes full, and with a lock that is never released."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from filelock import FileLock
from helpers.cell_factory import build_cell
from helpers.record_factory import make_record

from quintain.errors import StoreError
from quintain.records import claims
from quintain.records.store import Store

SLOW_DISK = """
import os, time
for name in ("fsync", "replace", "link"):
    def delayed(*args, real=getattr(os, name), **kwargs):
        time.sleep(0.3)
        return real(*args, **kwargs)
    setattr(os, name, delayed)
"""
OVERRIDES = ["dataset=digits", "model=mlp", "seed=1,2,3", "budget.steps=6", "budget.params=9000"]
OVERRIDES += ["hardware=cpu", "wandb.mode=disabled", "launch.workers=2", "--no-baselines"]


def run_sweep(store: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "quintain", "sweep", *OVERRIDES, f"store={store}"],
        env=os.environ | {"OMP_NUM_THREADS": "1"} | environment,
        capture_output=True,
        text=True,
        cwd=store.parent,
        timeout=900,
    )


@pytest.mark.slow
def test_sweep_on_a_slow_disk_succeeds(tmp_path: Path) -> None:
    """Each flush and rename takes 0.3 s, in the fork server and its runs too."""
    (tmp_path / "slow").mkdir()
    (tmp_path / "slow" / "sitecustomize.py").write_text(SLOW_DISK)
    path = os.pathsep.join([str(tmp_path / "slow"), os.environ.get("PYTHONPATH", "")])
    done = run_sweep(tmp_path / "store", PYTHONPATH=path)
    assert done.returncode == 0, done.stdout + done.stderr
    store = Store(tmp_path / "store")
    assert [record.status for record in store.all()] == ["ok"] * 3 and not store.problems
    assert not list(store.path.rglob("*.tmp"))


def test_lock_that_is_never_released_is_an_error(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(claims, "LOCK_TIMEOUT", 0.2)
    store = Store(tmp_path / "store")
    store.check_writable()
    with FileLock(store.path / "claims" / "write.lock"):
        for operation in (store.check_writable, lambda: store.write(make_record())):
            with pytest.raises(StoreError, match="timed out waiting for another process"):
                operation()
    assert store.write(make_record()) and store.all() == [make_record()]
    assert not list(store.path.rglob("*.tmp"))


@pytest.mark.slow
def test_sweep_on_a_full_disk_fails_and_succeeds_after_space_is_freed(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(disk)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("mounting a tmpfs needs root")
    try:
        filler = disk / "filler"
        process = subprocess.Popen(
            [sys.executable, "-m", "quintain", "sweep", *OVERRIDES, f"store={disk / 'store'}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=tmp_path,
        )
        plans = disk / "store" / "plans"
        while not list(plans.glob("*.json")):  # written after the store was found writable
            assert process.poll() is None, process.communicate()[0]
            time.sleep(0.01)
        fill_disk(filler)
        output = process.communicate(timeout=900)[0]
        assert process.returncode == 1, output
        assert "full disk: free some space" in output and "Traceback" not in output
        for file in (disk / "store" / "records").rglob("*.json"):
            json.loads(file.read_text())
        assert not list(disk.rglob("*.tmp"))
        second = run_sweep(disk / "store")
        assert second.returncode == 2 and "full disk" in second.stderr
        filler.unlink()
        assert run_sweep(disk / "store").returncode == 0
        assert {record.status for record in Store(disk / "store").all()} == {"ok"}
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def fill_disk(file: Path) -> None:
    with pytest.raises(OSError), file.open("wb", buffering=0) as handle:
        while True:
            handle.write(b"x" * 1024)


def test_single_run_accepts_a_url_as_store(tmp_path, monkeypatch) -> None:
    planned = build_cell("digits", "mlp", budget={"steps": 1})
    (tmp_path / "cell.json").write_text(planned.to_json())
    command = [sys.executable, "-m", "quintain.run", str(tmp_path / "cell.json")]
    url = f"file://{tmp_path / 'store'}"
    done = subprocess.run([*command, "--store", url], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert Store(tmp_path / "store").status(planned.key) == "ok"
    refused = subprocess.run([*command, "--store", "no://x"], capture_output=True, text=True)
    assert refused.returncode == 2 and "no:// is unknown" in refused.stderr
