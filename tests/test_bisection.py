"""`quintain bisect` on a real repository of plugins, in which one commit spoils the model."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from test_rounds import CELL, MODEL, commit
from words import hear_ctrl_c, quintain

from quintain import bisection

SPOILT = MODEL.replace("return self.net(x), mask", "return 0 * self.net(x), mask")
WAIT = 600.0  # seconds for anything that must happen, on a slow machine too
CELLS = (*CELL, "budget.steps=200", "seed=1,2,3,4")


def history(folder: Path, spoilt: str) -> tuple[str, str]:
    """Six commits, the fourth and later ones spoilt; the first and the last."""
    found = [
        commit(folder, f"# {n}\n{spoilt if n >= 4 else MODEL}", f"commit {n}") for n in range(1, 7)
    ]
    return found[0], found[-1]


@pytest.mark.slow
def test_the_commit_is_found(tmp_path: Path) -> None:
    good, bad = history(tmp_path, SPOILT)
    done = subprocess.run(
        [sys.executable, "-m", "quintain", "bisect", good, bad, *CELLS],
        cwd=tmp_path, capture_output=True, text=True, timeout=1800,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].endswith("commit 4")
    left = subprocess.run(
        ["git", "worktree", "list"], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    assert len(left.stdout.splitlines()) == 1


def test_sigterm_leaves_neither_worktree_nor_process(tmp_path: Path) -> None:
    good, bad = history(tmp_path, SPOILT)
    own = tmp_path / "tmp"
    own.mkdir()
    words = ["bisect", good, bad, *CELL, "budget.steps=1000000", "seed=1"]
    process = subprocess.Popen(
        [sys.executable, "-m", "quintain", *words], cwd=tmp_path, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, env=os.environ | {"TMPDIR": str(own)}, preexec_fn=hear_ctrl_c,
    )  # fmt: skip
    end = time.monotonic() + WAIT
    while not list(own.glob("*/good/running/*.json")):
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.05)
    family = psutil.Process(process.pid).children(recursive=True)
    process.terminate()
    assert process.wait(WAIT) == 130
    assert not psutil.wait_procs(family, timeout=WAIT)[1]
    left = subprocess.run(
        ["git", "worktree", "list"], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    assert len(left.stdout.splitlines()) == 1 and not list(own.glob("quintain-*"))


def test_a_step_hands_the_options_of_speed_to_the_gate(tmp_path: Path, monkeypatch) -> None:
    asked = []
    monkeypatch.setattr(bisection, "_gate", lambda words: asked.append(words) or 0)
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
        assert bisection.step(state) == 0
    beside = ["--baseline-code", "g", "--candidate-code", "t"]
    assert asked == [
        [*beside, "model=gru"],
        [*beside, "--slower", "0.2", "--rounds", "8", "model=gru"],
    ]


def test_what_cannot_be_done_is_said(tmp_path: Path) -> None:
    good = commit(tmp_path, MODEL, "good")
    code, _, err = quintain("bisect", good, "HEAD", cwd=tmp_path)
    assert code == 2 and "which cells?" in err
    code, _, err = quintain("bisect", good, "HEAD", *CELLS, cwd=tmp_path / "own")
    assert code == 2 and "top folder" in err
    code, _, err = quintain("bisect", good, "HEAD", "--rounds", "8", *CELLS, cwd=tmp_path)
    assert code == 2 and "--rounds goes with --speed" in err
    for words, why in {
        ("--rounds", "7"): "expected 8 or more",
        ("--rounds", "many"): "invalid int",
        ("--slower", "0"): "expected a share above 0",
        ("--slower", "nan"): "expected a share above 0",
    }.items():
        code, _, err = quintain("bisect", good, "HEAD", "--speed", *words, *CELLS, cwd=tmp_path)
        assert code == 2 and why in err
    code, _, err = quintain("bisect", "nothing", "HEAD", *CELLS, cwd=tmp_path)
    assert code == 2 and "neither a folder nor a commit" in err
