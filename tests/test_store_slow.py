"""A sweep on a slow disk, on one that fills up, and with a lock that nobody gives back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cells_factory import cell
from filelock import FileLock
from records_factory import make

from quintain.records import store as store_module
from quintain.records.store import Store, StoreError

SLOW = """
import os, time
for name in ("fsync", "replace", "link"):
    def late(*words, real=getattr(os, name), **more):
        time.sleep(0.3)
        return real(*words, **more)
    setattr(os, name, late)
"""
WORDS = ["dataset=digits", "model=mlp", "seed=1,2,3", "budget.steps=6", "budget.params=9000"]
WORDS += ["hardware=cpu", "wandb.mode=disabled", "launch.workers=2", "--no-references"]


def sweep(store: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "quintain", "sweep", *WORDS, f"store={store}"],
        env=os.environ | {"OMP_NUM_THREADS": "1"} | environment,
        capture_output=True,
        text=True,
        cwd=store.parent,
        timeout=900,
    )


@pytest.mark.slow
def test_a_slow_disk_delays_and_breaks_nothing(tmp_path: Path) -> None:
    """Each flush and rename of each process takes 0.3 s, in the fork server and its runs too."""
    (tmp_path / "slow").mkdir()
    (tmp_path / "slow" / "sitecustomize.py").write_text(SLOW)
    path = os.pathsep.join([str(tmp_path / "slow"), os.environ.get("PYTHONPATH", "")])
    done = sweep(tmp_path / "store", PYTHONPATH=path)
    assert done.returncode == 0, done.stdout + done.stderr
    store = Store(tmp_path / "store")
    assert [record.status for record in store.all()] == ["ok"] * 3 and not store.problems
    assert not list(store.path.rglob("*.tmp"))


def test_a_lock_that_is_not_given_back_is_a_sentence(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(store_module, "LOCK_WAIT", 0.2)
    store = Store(tmp_path / "store")
    store.check_writable()
    with FileLock(store.path / "claims" / "write.lock"):
        for question in (store.check_writable, lambda: store.write(make())):
            with pytest.raises(StoreError, match="waited in vain for another process"):
                question()
    assert store.write(make()) and store.all() == [make()]
    assert not list(store.path.rglob("*.tmp"))


@pytest.mark.slow
def test_a_disk_that_fills_up_in_the_middle_and_is_freed(tmp_path: Path) -> None:
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
            [sys.executable, "-m", "quintain", "sweep", *WORDS, f"store={disk / 'store'}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=tmp_path,
        )
        plans = disk / "store" / "plans"
        while not list(plans.glob("*.json")):  # written after the store was found writable
            assert process.poll() is None, process.communicate()[0]
            time.sleep(0.01)
        _fill(filler)
        said = process.communicate(timeout=900)[0]
        assert process.returncode == 1, said
        assert "full disk: free some space" in said and "Traceback" not in said
        for file in (disk / "store" / "records").rglob("*.json"):
            json.loads(file.read_text())
        assert not list(disk.rglob("*.tmp"))
        again = sweep(disk / "store")
        assert again.returncode == 2 and "full disk" in again.stderr
        filler.unlink()
        assert sweep(disk / "store").returncode == 0
        assert {record.status for record in Store(disk / "store").all()} == {"ok"}
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def _fill(file: Path) -> None:
    with pytest.raises(OSError), file.open("wb", buffering=0) as handle:
        while True:
            handle.write(b"x" * 1024)


def test_a_run_by_hand_reads_its_store_from_a_url(tmp_path, monkeypatch) -> None:
    made = cell("digits", "mlp", budget={"steps": 1})
    (tmp_path / "cell.json").write_text(made.to_json())
    command = [sys.executable, "-m", "quintain.run", str(tmp_path / "cell.json")]
    url = f"file://{tmp_path / 'store'}"
    done = subprocess.run([*command, "--store", url], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert Store(tmp_path / "store").status(made.key) == "ok"
    refused = subprocess.run([*command, "--store", "no://x"], capture_output=True, text=True)
    assert refused.returncode == 2 and "no:// is not known" in refused.stderr
