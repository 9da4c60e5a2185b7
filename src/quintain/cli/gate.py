"""The commands `quintain gate` (judge results) and `quintain bisect` (find the commit)."""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping
from pathlib import Path

from quintain.cli.arguments import Subparsers, add_command
from quintain.cli.output import write_output_file
from quintain.errors import StoreError, UsageError, printable

GATE_EPILOG = """examples:
  quintain gate --baseline main --candidate results      two stores
  quintain gate --baseline main --suite ci               run the suite now, then compare
  quintain gate --baseline main store=mine               the store mine as it is
  quintain gate --baseline-code main --suite ci          speed, against a commit or folder
Exit codes: 0 not worse; 1 a regression; 2 wrong arguments or settings; 3 inconclusive, with the
number of seeds or rounds that would probably decide. docs/ci.md explains the margins."""
BISECT_EPILOG = """examples:
  quintain bisect v1.0 HEAD --only gate.txt                   the cells that a gate found worse
  quintain bisect v1.0 HEAD dataset=digits model=gru seed=1,2,3,4,5
  quintain bisect v1.0 HEAD --speed model=gru                 speed, against GOOD
Exit codes: 0 found; 2 wrong arguments or settings; 3 not found, the last line says why."""
CELLS_FILE_HELP = "judge only the cells in a file that `quintain gate --regressed` wrote"


def add_parser(commands: Subparsers) -> None:
    add = add_command(
        commands, "gate", run_gate_command, "judge results against a baseline", GATE_EPILOG,
        writes_records=True,
    )  # fmt: skip
    add("overrides", nargs="*", help="overrides of the runs, such as model=cnn, and store=FOLDER")
    add("--baseline", type=Path, metavar="STORE", help="results that are good")
    add(
        "--candidate", type=Path, metavar="STORE",
        help="results to be judged (default: those of the suite or settings, else store=…)",
    )  # fmt: skip
    add("--suite", help="run this suite into store=… and judge its results")
    add(
        "--baseline-code", metavar="VERSION",
        help="judge the speed of the current code against this folder or commit",
    )  # fmt: skip
    add("--candidate-code", metavar="VERSION", help="instead of the current code")
    add(
        "--rounds", type=int, default=192, metavar="MAX",
        help="with --baseline-code: timing rounds per cell, at most 55 s of them (default: 192)",
    )  # fmt: skip
    add(
        "--margin", action="append", default=[], metavar="SCORE=LOSS",
        help="loss above which a cell is worse, in the unit of the score: accuracy=0.01",
    )  # fmt: skip
    add(
        "--slower", metavar="FRACTION",
        help="slowdown above which a cell is worse: 0.2 is 20 %% more time (default: 0.2 between "
        "two stores, 0.05 with --baseline-code); off: judge quality only",
    )  # fmt: skip
    add("--only", type=Path, metavar="FILE", help=CELLS_FILE_HELP)
    add("--junit", type=Path, metavar="FILE", help="write JUnit XML")
    add("--markdown", type=Path, metavar="FILE", help="write a Markdown summary")
    add(
        "--regressed", type=Path, metavar="FILE",
        help="write the commands that run the regressed cells again",
    )  # fmt: skip
    _add_bisect_parser(commands)


def _add_bisect_parser(commands: Subparsers) -> None:
    add = add_command(
        commands, "bisect", run_bisect, "find the commit that made cells worse", BISECT_EPILOG
    )
    add("good", metavar="GOOD", help="a commit that is known to be good")
    add("bad", metavar="BAD", help="a later commit that is worse")
    add("overrides", nargs="*", help="the cells, as overrides such as model=gru")
    add("--only", type=Path, metavar="FILE", help=CELLS_FILE_HELP)
    add("--speed", action="store_true", help="look for a slowdown instead of a loss of quality")
    speed_help = "with --speed: as for quintain gate"
    add("--slower", type=float, metavar="FRACTION", help=speed_help)
    add("--rounds", type=int, metavar="MAX", help=speed_help)


def run_gate_command(arguments: argparse.Namespace) -> int:
    """Judge the results, print the verdict, and write the requested files.

    If the comparison is not possible, the last line of the output and the files say why.
    """
    from quintain.gate.output import format_junit_problem, format_markdown_problem

    try:
        return _judge(arguments)
    except (UsageError, StoreError) as error:
        problems = error.problems if isinstance(error, UsageError) else [str(error)]
        if arguments.junit:
            write_output_file(arguments.junit, format_junit_problem(problems))
        if arguments.markdown:
            write_output_file(arguments.markdown, format_markdown_problem(problems))
        print(f"gate: not possible: {printable(problems[0])}".replace("\n", " "))
        raise


def _judge(arguments: argparse.Namespace) -> int:
    from quintain.gate import output
    from quintain.gate.run_gate import GateRequest, run_gate

    margins, max_slowdown = _parse_margins(arguments)
    suite = [f"suite={arguments.suite}"] if arguments.suite else []
    result = run_gate(GateRequest(
        overrides=[*suite, *arguments.overrides],
        baseline=arguments.baseline,
        candidate=arguments.candidate,
        baseline_code=arguments.baseline_code,
        candidate_code=arguments.candidate_code,
        cells_file=arguments.only,
        margins=margins,
        max_slowdown=max_slowdown,
        max_rounds=arguments.rounds,
    ))  # fmt: skip
    output.print_result(result)
    for file, format_result in (
        (arguments.junit, output.format_junit),
        (arguments.markdown, output.format_markdown),
        (arguments.regressed, output.format_sweep_commands),
    ):
        if file:
            write_output_file(file, format_result(result))
    return result.exit_code


def _parse_margins(arguments: argparse.Namespace) -> tuple[Mapping[str, float], float | None]:
    """Return the margin of each score, and the slowdown that counts, None if speed does not."""
    from quintain.gate.sequential_timing import MIN_ROUNDS

    problems, margins = [], {}
    for text in arguments.margin:
        score, _, loss = text.partition("=")
        value = _parse_positive(loss)
        if not score or value is None:
            problems.append(
                f"--margin {text}: expected SCORE=LOSS with a loss above 0, as in accuracy=0.01"
            )
        else:
            margins[score] = value
    slower = arguments.slower or ("0.05" if arguments.baseline_code else "0.2")
    max_slowdown = None if slower == "off" else _parse_positive(slower)
    if max_slowdown is None and slower != "off":
        problems.append(f"--slower {slower}: expected a fraction above 0, or off")
    if arguments.rounds < MIN_ROUNDS:
        problems.append(f"--rounds {arguments.rounds}: expected {MIN_ROUNDS} or more")
    if arguments.baseline is None and (arguments.baseline_code is None or max_slowdown is None):
        problems.append(
            "--baseline is missing: give a store of good results, or --baseline-code to judge speed"
        )
    if problems:
        raise UsageError(problems)
    return margins, max_slowdown


def _parse_positive(text: str) -> float | None:
    """Return a finite number above 0, None for any other text."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and value > 0 else None


def run_bisect(arguments: argparse.Namespace) -> int:
    """Find the first bad commit and print it."""
    from quintain.gate.bisect import bisect
    from quintain.gate.cell_overrides import expand_cells_file

    if arguments.only is None and not arguments.overrides:
        raise UsageError("which cells? give --only FILE, or settings such as model=cnn seed=1,2,3")
    return bisect(
        good=arguments.good,
        bad=arguments.bad,
        commands=expand_cells_file(arguments.overrides, arguments.only),
        speed_options=_parse_speed_options(arguments),
    )


def _parse_speed_options(arguments: argparse.Namespace) -> list[str] | None:
    """Return the options for `quintain gate` with `--speed`, else None."""
    from quintain.gate.sequential_timing import MIN_ROUNDS

    options = {name: value for name in ("slower", "rounds")
               if (value := getattr(arguments, name)) is not None}  # fmt: skip
    if options and not arguments.speed:
        raise UsageError(f"--{next(iter(options))} needs --speed")
    if _parse_positive(str(options.get("slower", 1))) is None:
        raise UsageError(f"--slower {options['slower']}: expected a fraction above 0, as in 0.05")
    if options.get("rounds", MIN_ROUNDS) < MIN_ROUNDS:
        raise UsageError(f"--rounds {options['rounds']}: expected {MIN_ROUNDS} or more")
    if not arguments.speed:
        return None
    return [text for name, value in options.items() for text in (f"--{name}", str(value))]
