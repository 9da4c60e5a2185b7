"""Find the commit that made cells worse: `git bisect`, in which the gate tests each commit.

All checkouts are in a separate worktree. Each step runs the cells with the code that is checked out
there, in processes of its own, and compares them with the results of the good commit. A commit that
cannot be compared is skipped with exit code 125, as git bisect expects.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from quintain.errors import UsageError
from quintain.gate.code_versions import open_version, open_worktree, run_git

FOUND, NOT_FOUND = 0, 3  # exit codes of the command
GOOD, BAD, SKIP = 0, 1, 125  # exit codes of a step, for git bisect


def bisect(
    good: str, bad: str, commands: Sequence[Sequence[str]], speed_options: Sequence[str] | None
) -> int:
    """Find the first bad commit and print it; return the exit code.

    Args:
        good: a commit that is known to be good.
        bad: a later commit that is worse.
        commands: the overrides of each sweep that runs the cells.
        speed_options: options of `quintain gate`; None to look for a loss of quality.

    Raises:
        UsageError: a commit is unknown, the good one cannot run the cells, or the working folder
            is not the top of the repository.
    """
    from quintain.launch.signals import sigterm_as_ctrl_c

    top = Path.cwd()
    if (expected := Path(run_git(top, "rev-parse", "--show-toplevel"))) != top.resolve():
        raise UsageError(f"bisect must run in the top folder of the repository, {expected}")
    with ExitStack() as stack:
        stack.enter_context(sigterm_as_ctrl_c())
        trees = {c: str(stack.enter_context(open_worktree(c))) for c in (good, bad)}
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="quintain-")))
        state, store = folder / "state.json", str(folder / "good")
        state.write_text(json.dumps({
            "top": str(top), "good": trees[good], "tree": trees[bad], "store": store,
            "commands": commands, "speed": speed_options,
        }))  # fmt: skip
        if speed_options is None and not _sweep(trees[good], commands, store):
            raise UsageError(f"{good} cannot run these cells; see above")
        if (code := compare_checkout(state)) != BAD:
            problem = "could not be compared with" if code == SKIP else "is no worse than"
            print(f"{bad} {problem} {good}; see above")
            return NOT_FOUND
        return _run_git_bisect(good, bad, Path(trees[bad]), state)


def _run_git_bisect(good: str, bad: str, worktree: Path, state: Path) -> int:
    hashes = [run_git(Path.cwd(), "rev-parse", commit) for commit in (bad, good)]
    run_git(worktree, "bisect", "start", *hashes)
    step = [sys.executable, "-m", "quintain.gate.bisect", str(state)]
    done = subprocess.run(
        ["git", "bisect", "run", *step], cwd=worktree, stdout=subprocess.PIPE, text=True
    )
    print(done.stdout, end="")
    first_bad = [line.split()[0] for line in done.stdout.splitlines()
                 if line.endswith("is the first bad commit")]  # fmt: skip
    if not first_bad:
        print("no first bad commit: too many commits could not be compared")
        return NOT_FOUND
    print(run_git(worktree, "log", "-1", "--format=first bad commit: %h %s", first_bad[-1]))
    return FOUND


def compare_checkout(state_file: Path) -> int:
    """Compare the commit that is checked out with the good one; return GOOD, BAD or SKIP."""
    state = json.loads(state_file.read_text())
    os.chdir(state["top"])  # git bisect runs in the worktree; plugin folders are relative to `top`
    worktree, commands = state["tree"], state["commands"]
    if state["speed"] is not None:
        options = ["--baseline-code", state["good"], "--candidate-code", worktree, *state["speed"]]
        codes = {_run_gate([*options, *overrides]) for overrides in commands}
    else:
        with TemporaryDirectory(prefix="quintain-") as store:
            if not _sweep(worktree, commands, store):
                return SKIP
            stores = ["--baseline", state["store"], "--candidate", store]
            codes = {_run_gate([*stores, "--slower", "off"])}
    if BAD in codes:
        return BAD
    return GOOD if codes == {GOOD} else SKIP


def _run_gate(arguments: Sequence[str]) -> int:
    return subprocess.run([sys.executable, "-m", "quintain", "gate", *arguments]).returncode


def _sweep(folder: str, commands: Sequence[Sequence[str]], store: str) -> bool:
    """Run the cells with the code of a folder; return whether every cell has a record."""
    common = ["--no-baselines", f"store={store}", "wandb.mode=disabled"]
    with open_version(folder) as version:
        for overrides in commands:
            done = subprocess.run(
                [version.python, "-m", "quintain", "sweep", *overrides, *common],
                cwd=version.folder,
                env=os.environ | version.environment,
            )
            if done.returncode not in (0, 1):  # 1: a cell failed, and its record says so
                return False
    return True


if __name__ == "__main__":
    sys.exit(compare_checkout(Path(sys.argv[1])))
