"""The command `quintain bisect GOOD BAD`: git bisect, with the gate as its judge.

All checkouts happen in a worktree of their own. Each step runs the cells with the code that is
checked out there, in a process of its own, and compares them with what GOOD gave. A commit that
cannot be judged is skipped, as git bisect has it (exit code 125).
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

MORE = """examples:
  quintain bisect v1.0 HEAD --only gate.txt                   the cells that a gate found worse
  quintain bisect v1.0 HEAD dataset=digits model=gru seed=1,2,3,4,5
  quintain bisect v1.0 HEAD --speed model=gru                 side by side with GOOD, step by step
Exit codes: 0 found, 2 it cannot be done as asked, 3 not found, and the last line says why."""

FOUND, NOT_FOUND = 0, 3
SPEED = ("slower", "rounds")  # options that are handed on to the gate
SKIP = 125  # to git bisect: this commit cannot be judged


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("good", metavar="GOOD", help="a commit that was good")
    parser.add_argument("bad", metavar="BAD", help="a later one that is worse")
    parser.add_argument("settings", nargs="*", help="the cells, as key=value")
    parser.add_argument("--only", type=Path, metavar="FILE", help="the cells of a --regressed file")
    parser.add_argument("--speed", action="store_true", help="look for a slowdown, not for a loss")
    parser.add_argument("--slower", type=float, metavar="SHARE", help="with --speed: as of gate")
    parser.add_argument("--rounds", type=int, metavar="MOST", help="with --speed: as of gate")


def bisect(arguments: argparse.Namespace) -> int:
    """Find the first bad commit, and print it.

    Raises:
        UsageError: a commit is unknown, or GOOD cannot run the cells.
    """
    from quintain.compose.errors import UsageError
    from quintain.launch.leave import as_by_ctrl_c
    from quintain.launch.versions import git, worktree

    commands, top = _commands(arguments), Path.cwd()
    if Path(git(top, "rev-parse", "--show-toplevel")) != top.resolve():
        raise UsageError("bisect runs in the top folder of the repository; this is one inside it")
    with ExitStack() as ends:
        ends.enter_context(as_by_ctrl_c())
        good, tree = (ends.enter_context(worktree(one)) for one in (arguments.good, arguments.bad))
        place = Path(ends.enter_context(TemporaryDirectory(prefix="quintain-")))
        state, store = place / "state.json", str(place / "good")
        plan = {"top": str(top), "good": str(good), "tree": str(tree), "commands": commands,
                "speed": _speed(arguments), "store": store}  # fmt: skip
        state.write_text(json.dumps(plan))
        if not arguments.speed and not _sweep(str(good), commands, store):
            raise UsageError(f"{arguments.good} cannot run these cells; see above")
        if (found := step(state)) != 1:
            words = "could not be judged against" if found == SKIP else "is no worse than"
            print(f"{arguments.bad} {words} {arguments.good}; see above")
            return NOT_FOUND
        return _git_bisect(arguments, tree, state)


def _commands(arguments: argparse.Namespace) -> list[list[str]]:
    from quintain.compose.errors import UsageError
    from quintain.gate import cells_in

    if arguments.only is None and not arguments.settings:
        raise UsageError("which cells? give --only FILE, or settings such as model=cnn seed=1,2,3")
    if arguments.only is None:
        return [list(arguments.settings)]
    return [[*cell, *arguments.settings] for cell in cells_in(arguments.only)]


def _speed(arguments: argparse.Namespace) -> list[str] | None:
    """The gate's options where a slowdown is looked for, else None."""
    from quintain.compose.errors import UsageError
    from quintain.report.gate.rounds import FIRST

    given = {name: value for name in SPEED if (value := getattr(arguments, name)) is not None}
    if given and not arguments.speed:
        raise UsageError(f"--{next(iter(given))} goes with --speed, which is not given")
    if not (math.isfinite(slower := given.get("slower", 1)) and slower > 0):
        raise UsageError(f"--slower {slower}: expected a share above 0, as in 0.05")
    if given.get("rounds", FIRST) < FIRST:
        raise UsageError(f"--rounds {given['rounds']}: expected {FIRST} or more")
    words = [word for name, value in given.items() for word in (f"--{name}", str(value))]
    return words if arguments.speed else None


def _git_bisect(arguments: argparse.Namespace, tree: Path, state: Path) -> int:
    from quintain.launch.versions import git

    bad, good = (git(Path.cwd(), "rev-parse", c) for c in (arguments.bad, arguments.good))
    git(tree, "bisect", "start", bad, good)
    judge = [sys.executable, "-m", "quintain.bisection", str(state)]
    done = subprocess.run(
        ["git", "bisect", "run", *judge], cwd=tree, stdout=subprocess.PIPE, text=True
    )
    print(done.stdout, end="")
    found = [line for line in done.stdout.splitlines() if line.endswith("is the first bad commit")]
    if not found:
        print("no first bad commit: too many commits could not be judged")
        return NOT_FOUND
    print(git(tree, "log", "-1", "--format=first bad commit: %h %s", found[-1].split()[0]))
    return FOUND


def step(state: Path) -> int:
    """Judge what is checked out: 0 good, 1 bad, 125 not to be judged."""
    plan = json.loads(state.read_text())
    os.chdir(plan["top"])  # git bisect is in the worktree; plugins are named as from here
    tree, commands = plan["tree"], plan["commands"]
    if plan["speed"] is not None:
        beside = ["--baseline-code", plan["good"], "--candidate-code", tree, *plan["speed"]]
        codes = [_gate([*beside, *words]) for words in commands]
    else:
        with TemporaryDirectory(prefix="quintain-") as store:
            if not _sweep(tree, commands, store):
                return SKIP
            codes = [_gate(["--baseline", plan["store"], "--candidate", store, "--slower", "off"])]
    if 1 in codes:
        return 1
    return 0 if set(codes) == {0} else SKIP


def _gate(words: list[str]) -> int:
    return subprocess.run([sys.executable, "-m", "quintain", "gate", *words]).returncode


def _sweep(folder: str, commands: list[list[str]], store: str) -> bool:
    """Run the cells with the code of a folder; whether there is a record of every one."""
    from quintain.launch.versions import version

    more = ["--no-references", f"store={store}", "wandb.mode=disabled"]
    with version(folder) as there:
        for words in commands:
            command = [there.python, "-m", "quintain", "sweep", *words, *more]
            environment = os.environ | there.environment
            done = subprocess.run(command, cwd=there.folder, env=environment)
            if done.returncode not in (0, 1):  # 1: a cell failed, and its record says so
                return False
    return True


if __name__ == "__main__":
    sys.exit(step(Path(sys.argv[1])))
