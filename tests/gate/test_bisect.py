"""`quintain bisect` on a real repository of plugins in which one commit breaks the model."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest
from helpers.commands import enable_ctrl_c, run_quintain
from helpers.plugin_repository import CELL, MODEL, commit

from quintain.gate import bisect

BROKEN_MODEL = MODEL.replace("return self.net(x), mask", "return 0 * self.net(x), mask")
TIMEOUT = 600.0  # seconds; generous for slow machines
CELLS = (*CELL, "budget.steps=200", "seed=1,2,3,4")


def make_history(folder: Path, broken: str) -> tuple[str, str]:
    """Make six commits, broken from the fourth on; return the first and the last."""
    commits = [
        commit(folder, f"# {n}\n{broken if n >= 4 else MODEL}", f"commit {n}") for n in range(1, 7)
    ]
    return commits[0], commits[-1]


@pytest.mark.slow
def test_the_first_bad_commit_is_found(tmp_path: Path) -> None:
    good, bad = make_history(tmp_path, BROKEN_MODEL)
    done = subprocess.run(
        [sys.executable, "-m", "quintain", "bisect", good, bad, *CELLS],
        cwd=tmp_path, capture_output=True, text=True, timeout=1800,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].endswith("commit 4")
    worktrees = subprocess.run(
        ["git", "worktree", "list"], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    assert len(worktrees.stdout.splitlines()) == 1


def test_sigterm_leaves_neither_worktree_nor_process(tmp_path: Path) -> None:
    good, bad = make_history(tmp_path, BROKEN_MODEL)
    # Short, because the socket of the fork server in it may have 107 characters at most.
    temporary = Path(tempfile.mkdtemp(prefix="q"))
    command = ["bisect", good, bad, *CELL, "budget.steps=1000000", "seed=1"]
    process = subprocess.Popen(
        [sys.executable, "-m", "quintain", *command],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"TMPDIR": str(temporary)},
        preexec_fn=enable_ctrl_c,
    )
    end = time.monotonic() + TIMEOUT
    while not list(temporary.glob("*/good/running/*.json")):
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.05)
    children = psutil.Process(process.pid).children(recursive=True)
    process.terminate()
    assert process.wait(TIMEOUT) == 130
    assert not psutil.wait_procs(children, timeout=TIMEOUT)[1]
    worktrees = subprocess.run(
        ["git", "worktree", "list"], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    assert len(worktrees.stdout.splitlines()) == 1 and not list(temporary.glob("quintain-*"))
    shutil.rmtree(temporary)


def test_a_step_passes_the_speed_options_to_the_gate(tmp_path: Path, monkeypatch) -> None:
    calls = []
    monkeypatch.setattr(bisect, "_run_gate", lambda arguments: calls.append(arguments) or 0)
    monkeypatch.chdir(tmp_path)
    state = tmp_path / "state.json"
    plan = {
        "top": str(tmp_path),
        "good": "g",
        "tree": "t",
        "commands": [["model=gru"]],
        "store": "",
    }
    for speed in ([], ["--slower", "0.2", "--rounds", "8"]):
        state.write_text(json.dumps(plan | {"speed": speed}))
        assert bisect.compare_checkout(state) == 0
    versions = ["--baseline-code", "g", "--candidate-code", "t"]
    assert calls == [
        [*versions, "model=gru"],
        [*versions, "--slower", "0.2", "--rounds", "8", "model=gru"],
    ]


def test_usage_errors(tmp_path: Path) -> None:
    good = commit(tmp_path, MODEL, "good")
    code, _, err = run_quintain("bisect", good, "HEAD", cwd=tmp_path)
    assert code == 2 and "which cells?" in err
    code, _, err = run_quintain("bisect", good, "HEAD", *CELLS, cwd=tmp_path / "own")
    assert code == 2 and "top folder" in err
    code, _, err = run_quintain("bisect", good, "HEAD", "--rounds", "8", *CELLS, cwd=tmp_path)
    assert code == 2 and "--rounds needs --speed" in err
    for options, message in {
        ("--rounds", "7"): "expected 8 or more",
        ("--rounds", "many"): "invalid int",
        ("--slower", "0"): "expected a fraction above 0",
        ("--slower", "nan"): "expected a fraction above 0",
    }.items():
        code, _, err = run_quintain(
            "bisect", good, "HEAD", "--speed", *options, *CELLS, cwd=tmp_path
        )
        assert code == 2 and message in err
    code, _, err = run_quintain("bisect", "nothing", "HEAD", *CELLS, cwd=tmp_path)
    assert code == 2 and "neither a folder nor a commit" in err
