"""The command `quintain gate`: where its two sides come from, and where its verdict goes."""

from __future__ import annotations

import argparse
import contextlib
import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from quintain.records.schema import Record
    from quintain.report.gate.verdict import Verdict

MORE = """examples:
  quintain gate --baseline main --candidate results      two stores
  quintain gate --baseline main --suite ci               run the suite now, then compare
  quintain gate --baseline-code main --suite ci          speed, side by side with a commit or folder
Exit codes: 0 no worse, 1 a regression, 2 it cannot be done as asked, 3 inconclusive, and the line
says how many seeds or rounds would probably decide. docs/ci.md explains the margins."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("settings", nargs="*", help="of the runs, as key=value; store=FOLDER")
    parser.add_argument("--baseline", type=Path, metavar="STORE", help="results that were good")
    parser.add_argument("--candidate", type=Path, metavar="STORE", help="results to be judged")
    parser.add_argument("--suite", help="run this suite into store=… and judge its results")
    parser.add_argument(
        "--baseline-code", metavar="VERSION",
        help="time this folder or commit and the present code side by side",
    )  # fmt: skip
    parser.add_argument("--candidate-code", metavar="VERSION", help="instead of the present code")
    parser.add_argument(
        "--rounds", type=int, default=192, metavar="MOST",
        help="side by side: at most so many (192), and as many as 55 s have",
    )  # fmt: skip
    parser.add_argument(
        "--margin", action="append", default=[], metavar="SCORE=LOSS",
        help="the loss that matters in one cell, in the score's unit: accuracy=0.01",
    )  # fmt: skip
    parser.add_argument(
        "--slower", metavar="SHARE",
        help="the slowdown that matters: 0.2 is 20 %% more time, as of two stores; side by side "
        "0.05; off: quality only",
    )  # fmt: skip
    parser.add_argument("--only", type=Path, metavar="FILE", help="the cells of a --regressed file")
    parser.add_argument("--junit", type=Path, metavar="FILE", help="write JUnit XML")
    parser.add_argument(
        "--markdown", type=Path, metavar="FILE", help="add a job summary in Markdown"
    )
    parser.add_argument(
        "--regressed", type=Path, metavar="FILE", help="write commands that run worse cells again"
    )  # fmt: skip


def gate(arguments: argparse.Namespace) -> int:
    """Compare, report, and give the exit code.

    Raises:
        UsageError: what cannot be compared, and why.
        StoreError: a store cannot be read, or a report not written.
    """
    from quintain.launch.leave import as_by_ctrl_c

    margins, slower = _margins(arguments)
    verdicts = []
    with as_by_ctrl_c():
        if arguments.baseline is not None:
            verdicts.append(_of_stores(arguments, margins, slower))
        if arguments.baseline_code is not None and slower is not None:
            verdicts.append(_side_by_side(arguments, slower))
    verdict = reduce(joined, verdicts)
    report(verdict, arguments)
    return verdict.exit_code


def joined(one: Verdict, other: Verdict) -> Verdict:
    """Both as one."""
    return replace(
        one,
        sides=[*one.sides, *other.sides],
        missing=[*one.missing, *other.missing],
        notes=[*one.notes, *other.notes],
        unit={**one.unit, **other.unit},
    )


def _of_stores(
    arguments: argparse.Namespace, margins: dict[str, float], slower: float | None
) -> Verdict:
    """Two stores compared; of quality alone, where speed is measured side by side."""
    from quintain.report.gate.verdict import compare

    whole, notes = _records(arguments.baseline, "baseline")
    _check_margins(margins, whole)
    before = _chosen(whole, arguments.only)
    after, more = _candidate(arguments)
    speed = None if arguments.baseline_code else slower
    taken = arguments.candidate is not None  # as it is; else the words say which seeds are run
    verdict = compare(before, after, margins=margins, slower=speed, every_seed=taken)
    _check_shared(verdict, before, after)
    return replace(verdict, notes=[*notes, *more, *verdict.notes])


def _side_by_side(arguments: argparse.Namespace, slower: float) -> Verdict:
    """Each cell once, whatever its seeds."""
    from quintain.launch.rivals import Match
    from quintain.launch.versions import present, version
    from quintain.report.gate.judge import Side
    from quintain.report.gate.rounds import decide
    from quintain.report.gate.verdict import Verdict

    cells, judged = _cells(arguments), []
    with contextlib.ExitStack() as ends:
        before = ends.enter_context(version(arguments.baseline_code))
        now = arguments.candidate_code
        after = ends.enter_context(version(now)) if now else present()
        match = ends.enter_context(Match(before, after))
        for words in cells:
            with match.cell(words) as (label, rounds):
                how = {"cells": len(cells), "slower": slower, "most": arguments.rounds}
                judged.append(decide(label.rpartition("/")[0], words, rounds, **how))
    return Verdict(
        sides=[Side("speed", judged, [])], missing=[], notes=[], unit={"speed": "rounds"}
    )


def _cells(arguments: argparse.Namespace) -> list[list[str]]:
    """The words of each cell to be timed, its seed left out."""
    from quintain.compose.config import composer
    from quintain.compose.errors import UsageError
    from quintain.compose.expand import expand

    words = _words(arguments)
    if not words and not arguments.only:
        raise UsageError("what is to be timed? give --suite ci, or settings such as model=cnn")
    commands = [[*cell, *words] for cell in cells_in(arguments.only)] if arguments.only else [words]
    with composer():
        jobs = [job for command in commands for job in expand(command)]
    seedless = [tuple(word for word in job if not word.startswith("seed=")) for job in jobs]
    return [list(cell) for cell in dict.fromkeys(seedless)]


def report(verdict: Verdict, arguments: argparse.Namespace) -> None:
    """Print the verdict and write the files that were asked for."""
    from quintain.report.command import write
    from quintain.report.gate import files
    from quintain.report.gate.show import print_verdict

    print_verdict(verdict)
    if arguments.junit:
        write(arguments.junit, files.junit(verdict))
    if arguments.markdown:
        write(arguments.markdown, files.markdown(verdict))
    if arguments.regressed:
        write(arguments.regressed, files.regressed(verdict))


def _margins(arguments: argparse.Namespace) -> tuple[dict[str, float], float | None]:
    """The margins that were asked for; every problem in one error."""
    from quintain.compose.errors import UsageError

    problems, margins = [], {}
    for word in arguments.margin:
        score, _, text = word.partition("=")
        value = _positive(text)
        if not score or value is None:
            problems.append(f"--margin {word}: expected SCORE=LOSS with a loss above 0, "
                            "as in accuracy=0.01")  # fmt: skip
        else:
            margins[score] = value
    asked = arguments.slower or ("0.05" if arguments.baseline_code else "0.2")
    slower = None if asked == "off" else _positive(asked)
    if slower is None and asked != "off":
        problems.append(f"--slower {asked}: expected a share above 0, or off")
    if arguments.rounds < 8:
        problems.append(f"--rounds {arguments.rounds}: expected 8 or more")
    if arguments.baseline is None and (arguments.baseline_code is None or slower is None):
        problems.append("--baseline is missing: give the store that was good, "
                        "or --baseline-code for speed alone")  # fmt: skip
    if problems:
        raise UsageError(problems)
    return margins, slower


def _check_margins(margins: Mapping[str, float], before: Sequence[Record]) -> None:
    """Raises UsageError for a margin of what is no main score of the baseline."""
    from quintain.compose.errors import UsageError, nearest

    known = sorted({record.quality.main for record in before if record.quality})
    problems = [
        f"--margin {name}: the baseline is not judged by it{nearest(name, known)}"
        for name in margins if name not in known
    ]  # fmt: skip
    if known and problems:
        raise UsageError(problems)


def _positive(text: str) -> float | None:
    with contextlib.suppress(ValueError):
        value = float(text)
        if math.isfinite(value) and value > 0:
            return value
    return None


def _records(path: Path, what: str) -> tuple[list[Record], list[str]]:
    """The records of a store, and what could not be used of it."""
    from quintain.commands.words import store_at
    from quintain.compose.errors import UsageError

    path = path.expanduser()
    if not path.exists():
        raise UsageError(f"there is no store at {path}: --{what} is a folder that "
                         "`quintain sweep store=…` has made")  # fmt: skip
    store = store_at(path)
    found = store.all()
    if not any(not r.reference and r.trial is None for r in found):
        held = f"{len(found)} records of reference rows and trials" if found else "no record"
        raise UsageError([f"the {what} {path} has nothing to compare: it holds {held}",
                          *store.problems])  # fmt: skip
    return found, list(store.problems)


def _chosen(records: list[Record], only: Path | None) -> list[Record]:
    """The records of the cells that a `--regressed` file names."""
    if only is None:
        return records
    from quintain.compose.errors import UsageError
    from quintain.report.gate.words import same_words, words_of

    wanted = cells_in(only)
    found = [r for r in records if any(same_words(words_of(r), words) for words in wanted)]
    if not found:
        raise UsageError(f"{only}: the baseline has none of its {len(wanted)} cells")
    return found


def cells_in(file: Path) -> list[list[str]]:
    """The words of each command in a `--regressed` file.

    Raises:
        UsageError: the file cannot be read, or is none.
    """
    from quintain.compose.errors import UsageError

    try:
        lines = [shlex.split(line) for line in file.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError) as error:
        raise UsageError(f"{file} cannot be read: {error}") from error
    if not any(lines):
        raise UsageError(f"{file} names no cell: no cell was worse when it was written")
    found = [[w for w in line[2:] if not w.startswith("--")] for line in lines if line]
    if not found or any(line[:2] != ["quintain", "sweep"] for line in lines if line):
        raise UsageError(f"{file}: expected one `quintain sweep …` a line, as --regressed writes")
    return found


def _candidate(arguments: argparse.Namespace) -> tuple[list[Record], list[str]]:
    from quintain.compose.errors import UsageError

    beside = arguments.baseline_code is not None  # the words then say what is timed
    if arguments.candidate is not None and (beside or not _words(arguments)):
        return _records(arguments.candidate, "candidate")
    if arguments.candidate is not None:
        raise UsageError("--candidate takes results as they are: leave out --suite and settings")
    if arguments.suite is None and not arguments.settings and not arguments.only:
        raise UsageError("what is to be judged? give --candidate STORE, or --suite ci to run it")
    return _run(_words(arguments), arguments.only), []


def _words(arguments: argparse.Namespace) -> list[str]:
    """What is to be run."""
    suite = [f"suite={arguments.suite}"] if arguments.suite else []
    return [*suite, *arguments.settings]


def _run(words: Sequence[str], only: Path | None) -> list[Record]:
    """Run what the words say, with this code; what is in the store already is not run again."""
    commands = [[*cell, *words] for cell in cells_in(only)] if only else [list(words)]
    return [record for command in commands for record in _swept(command)]


def _swept(words: Sequence[str]) -> list[Record]:
    from quintain.compose.plan import make_plan
    from quintain.launch.server import examine, warm
    from quintain.launch.sweep import run_plan, say
    from quintain.records.store import Store
    from quintain.report.text import console

    plan = make_plan(words, _statuses, examine, references=False, warm=warm)
    out = console()
    outcome = run_plan(plan, out)
    say(plan, outcome, out)
    if outcome.interrupted:
        raise KeyboardInterrupt
    store = Store(plan.settings.store)
    return [record for one in plan.cells if (record := store.read(one.cell.key))]


def _statuses(store: Path, keys: Sequence[str]) -> dict[str, str]:
    from quintain.records.store import Store

    return dict(Store(store).statuses(keys))


def _check_shared(verdict: Verdict, before: Sequence[Record], after: Sequence[Record]) -> None:
    from quintain.compose.errors import UsageError

    if any(side.cells for side in verdict.sides):
        return
    raise UsageError(
        "the baseline shares no cell with the candidate; "
        f"the baseline has {_held(before)}; the candidate has {_held(after)}"
    )


def _held(records: Sequence[Record]) -> str:
    from quintain.report.gate.words import words_of

    cells = sorted({" ".join(words_of(r)) for r in records if not r.reference and r.trial is None})
    return "; ".join(cells[:4]) + (f" and {len(cells) - 4} more" if len(cells) > 4 else "")
