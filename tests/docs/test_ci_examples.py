"""action.yml and the examples of docs/ci.md: YAML, shell commands and the gate that they run."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from helpers.paths import ROOT
from helpers.plugin_repository import CELL, MODEL, commit
from helpers.record_factory import make_record

from quintain.cli.main import build_parser
from quintain.compose.config import hydra_session
from quintain.compose.overrides import expand_overrides
from quintain.records.store import Store

PAGE = (ROOT / "docs" / "ci.md").read_text()
EXAMPLES = [yaml.safe_load(text) for text in re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.S | re.M)]
ACTION = yaml.safe_load((ROOT / "action.yml").read_text())


def shell_lines() -> list[str]:
    """Return the commands of docs/ci.md, including those of the GitLab example."""
    indented = re.findall(r"^    (quintain .*)$", PAGE, re.M)
    scripts = [line for example in EXAMPLES for line in example.get("gate", {}).get("script", [])]
    return [*indented, *(line for line in scripts if line.startswith("quintain"))]


@pytest.mark.parametrize("line", shell_lines())
def test_lines_are_commands(line: str) -> None:
    words = shlex.split(line, comments=True)[1:]
    arguments, unknown = build_parser().parse_known_args(words)
    assert not [word for word in unknown if word.startswith("-")]
    assert arguments.command == words[0]
    suite = [f"suite={arguments.suite}"] if getattr(arguments, "suite", None) else []
    with hydra_session():
        assert expand_overrides(
            [*suite, *(word for word in words if "=" in word and word[0] != "-")]
        )


def test_examples_have_the_inputs_and_fields_of_github_and_gitlab() -> None:
    github, _, gitlab = EXAMPLES
    steps = github["jobs"]["gate"]["steps"]
    gate_step = next(step for step in steps if step.get("uses") == "./")
    assert set(gate_step["with"]) <= set(ACTION["inputs"])
    assert gitlab["gate"]["allow_failure"]["exit_codes"] == 3


def run_action(folder: Path, **inputs: str) -> subprocess.CompletedProcess[str]:
    """Run the script of the action, without a suite."""
    (step,) = ACTION["runs"]["steps"]
    script = step["run"].replace('--suite "$SUITE"', "").replace("store=gate-results", "")
    environment = {"BASELINE": "good", "CODE": "", "SETTINGS": "--candidate new"} | inputs
    environment |= {"PYTHON": sys.executable, "GITHUB_STEP_SUMMARY": "summary"}
    return subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", script],
        cwd=folder, env=os.environ | environment | {"GITHUB_OUTPUT": "out"},
        capture_output=True, text=True,
    )  # fmt: skip


@pytest.mark.parametrize(("after", "code"), [(0.9, 0), (0.5, 1)])
def test_the_action_runs_the_gate_and_writes_the_summary(
    tmp_path: Path, after: float, code: int
) -> None:
    for name, score in (("good", 0.9), ("new", after)):
        for seed in range(1, 5):
            Store(tmp_path / name).write(make_record(seed=seed, score=score, changed={}))
    done = run_action(tmp_path)
    assert done.returncode == code, done.stdout + done.stderr
    word = "passed" if code == 0 else "REGRESSION"
    assert (tmp_path / "summary").read_text().startswith(f"### gate: {word}")
    assert (tmp_path / "out").read_text().startswith(f"verdict=gate: {word}")
    assert (tmp_path / "gate.xml").exists()
    assert (tmp_path / "out").read_text().endswith(f"\nexit-code={code}\n")


def test_the_action_says_why_it_was_not_possible(tmp_path: Path) -> None:
    """There is no baseline; then the option does not exist."""
    done = run_action(tmp_path)
    reason = "there is no store at good: --baseline expects a folder"
    assert done.returncode == 2 and reason in done.stderr
    assert (tmp_path / "out").read_text().startswith(f"verdict=gate: not possible: {reason}")
    summary = (tmp_path / "summary").read_text()
    assert summary.startswith("### gate: not possible\n\n* there is no store at good")
    assert "no store at good" in (tmp_path / "gate.xml").read_text()
    (tmp_path / "out").unlink()
    assert run_action(tmp_path, SETTINGS="--rounds many").returncode == 2
    ended = "gate: ended with exit code 2 before a verdict; see the log"
    assert (tmp_path / "out").read_text() == f"verdict={ended}\nexit-code=2\n"
    assert (tmp_path / "summary").read_text().endswith(f"### {ended}\n")


@pytest.mark.slow
def test_the_workflow_of_a_plugin_repository_makes_its_baseline_and_passes(tmp_path: Path) -> None:
    """Its shell commands, with fewer steps; the model does not change."""
    _, plugins, _ = EXAMPLES
    folder = tmp_path / "checkout"
    folder.mkdir()
    base = commit(folder, MODEL, "base")
    commit(folder, MODEL + "# a comment\n", "change")
    steps = [step["run"] for step in plugins["jobs"]["gate"]["steps"] if "run" in step]
    cells = [*CELL, "budget.steps=50", "budget.validations=1", "seed=1,2", "wandb.mode=disabled"]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {"BASE": base, "CELLS": " ".join(cells), "GITHUB_WORKSPACE": str(folder)}
    environment |= {"PATH": path, "GITHUB_STEP_SUMMARY": str(tmp_path / "summary")}
    for script in steps[1:]:  # the first one installs Quintain
        script = script.replace('--baseline-code "$BASE"', "--slower off")
        done = subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", script],
            cwd=folder, env=os.environ | environment, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "summary").read_text().startswith("### gate: passed: no worse in quality")


def test_the_ci_suite_needs_no_data_files() -> None:
    with hydra_session():
        jobs = expand_overrides(["suite=ci"])
    used = {word.partition("=")[2] for job in jobs for word in job if word.startswith("dataset=")}
    offline = (ROOT / "conf" / "suite" / "offline.yaml").read_text()
    assert used == {"digits", "pydoc"} and all(name in offline for name in used)
    assert len(jobs) == 64
