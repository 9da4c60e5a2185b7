"""The action and the examples of docs/ci.md: valid YAML, and shell lines that really gate."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from records_factory import make
from words import ROOT

from quintain import cli
from quintain.compose.config import composer
from quintain.compose.expand import expand
from quintain.records.store import Store

PAGE = (ROOT / "docs" / "ci.md").read_text()
EXAMPLES = [yaml.safe_load(text) for text in re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.S | re.M)]
ACTION = yaml.safe_load((ROOT / "action.yml").read_text())


def shell_lines() -> list[str]:
    """The commands of the page, and those of GitLab's script."""
    indented = re.findall(r"^    (quintain .*)$", PAGE, re.M)
    scripts = [line for example in EXAMPLES for line in example.get("gate", {}).get("script", [])]
    return [*indented, *(line for line in scripts if line.startswith("quintain"))]


@pytest.mark.parametrize("line", shell_lines())
def test_lines_are_commands(line: str) -> None:
    words = shlex.split(line, comments=True)[1:]
    arguments, unknown = cli._parser().parse_known_args(words)
    assert not [word for word in unknown if word.startswith("-")]
    assert arguments.command == words[0]
    suite = [f"suite={arguments.suite}"] if getattr(arguments, "suite", None) else []
    with composer():
        assert expand([*suite, *(word for word in words if "=" in word and word[0] != "-")])


def test_examples_are_what_the_two_services_read() -> None:
    github, gitlab = EXAMPLES
    steps = github["jobs"]["gate"]["steps"]
    ours = next(step for step in steps if step.get("uses") == "./")
    assert set(ours["with"]) <= set(ACTION["inputs"])
    assert gitlab["gate"]["allow_failure"]["exit_codes"] == 3


@pytest.mark.parametrize(("after", "code"), [(0.9, 0), (0.5, 1)])
def test_the_actions_shell_gates_and_writes_the_summary(
    tmp_path: Path, after: float, code: int
) -> None:
    """With `--candidate` in place of a suite to run; the rest is the action's own text."""
    for name, score in (("good", 0.9), ("new", after)):
        for seed in range(1, 5):
            Store(tmp_path / name).write(make(seed=seed, score=score, changed={}))
    (step,) = ACTION["runs"]["steps"]
    script = step["run"].replace('--suite "$SUITE"', "").replace("store=gate-results", "")
    environment = {"BASELINE": "good", "CODE": "", "SETTINGS": "--candidate new"}
    environment |= {"PYTHON": sys.executable, "GITHUB_STEP_SUMMARY": "summary"}
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", script],
        cwd=tmp_path, env=os.environ | environment | {"GITHUB_OUTPUT": "out"},
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    word = "passed" if code == 0 else "REGRESSION"
    assert (tmp_path / "summary").read_text().startswith(f"### gate: {word}")
    assert (tmp_path / "out").read_text().startswith(f"verdict=gate: {word}")
    assert (tmp_path / "gate.xml").exists()


def test_the_ci_suite_needs_no_file() -> None:
    with composer():
        jobs = expand(["suite=ci"])
    used = {word.partition("=")[2] for job in jobs for word in job if word.startswith("dataset=")}
    offline = (ROOT / "conf" / "suite" / "offline.yaml").read_text()
    assert used == {"digits", "pydoc"} and all(name in offline for name in used)
    assert len(jobs) == 64
