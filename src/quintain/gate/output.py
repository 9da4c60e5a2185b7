"""The result of a gate as a terminal table, Markdown, JUnit XML, or commands to run cells again.

Names come from records that other people may have written, so every format escapes them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from xml.etree import ElementTree

from rich.console import Console

from quintain.gate.cell_decisions import Decision
from quintain.gate.cell_overrides import sweep_command
from quintain.gate.gate_result import INCONCLUSIVE, PASSED, REGRESSION, GateResult, is_blocking
from quintain.report.formats.markdown import escape_markdown, table_line
from quintain.report.formatting import ABSENT, decimal_places, format_number
from quintain.report.terminal.console import make_console, make_table, safe_text

COLUMNS = ("verdict", "cell", "measure", "baseline", "candidate", "change", "margin", "n", "p")
_RIGHT_ALIGNED = ("baseline", "candidate", "n", "p")
_SUMMARY_STYLE = {PASSED: "bold green", REGRESSION: "bold red", INCONCLUSIVE: "bold yellow"}
_ROW_STYLE = {"regression": "red", "inconclusive": "yellow", "not judged": "dim", "better": "green"}


def print_result(result: GateResult, console: Console | None = None) -> None:
    """Print the table and the notes, and the verdict as the last line."""
    console, table = console or make_console(), make_table()
    for name in COLUMNS:
        is_number = name in _RIGHT_ALIGNED
        table.add_column(name, justify="right" if is_number else "left", overflow="fold")
    for row in format_rows(result):
        table.add_row(*(safe_text(cell) for cell in row), style=_ROW_STYLE.get(row[0], ""))
    console.print(table)
    for note in result.notes:
        console.print(safe_text(note, "dim"))
    style = _SUMMARY_STYLE[result.exit_code]
    if result.exit_code == PASSED and result.describe_unjudged_speed():
        style = _SUMMARY_STYLE[INCONCLUSIVE]
    summary = safe_text(result.summary, style)
    console.print(summary, soft_wrap=True)  # not wrapped, because scripts read the last line


def format_markdown(result: GateResult) -> str:
    """Return a job summary in Markdown: the verdict, the table, the notes."""
    rows = [map(escape_markdown, row) for row in format_rows(result)]
    lines = [
        f"### {escape_markdown(result.summary)}",
        "",
        *(table_line(cells) for cells in (COLUMNS, ["---"] * len(COLUMNS), *rows)),
        "",
        *(f"* {escape_markdown(note)}" for note in result.notes),
    ]
    return "\n".join(lines).rstrip() + "\n"


def format_markdown_problem(problems: Sequence[str]) -> str:
    """Return a job summary of a gate that could not compare anything."""
    lines = "\n".join(f"* {escape_markdown(problem)}" for problem in problems)
    return f"### gate: not possible\n\n{lines}\n"


def format_junit_problem(problems: Sequence[str]) -> str:
    """Return JUnit XML of a gate that could not compare anything: one error."""
    root = ElementTree.Element("testsuites", name="quintain gate")
    suite = ElementTree.SubElement(root, "testsuite", name="gate", tests="1", errors="1")
    case = ElementTree.SubElement(suite, "testcase", name="gate", classname="gate")
    ElementTree.SubElement(case, "error", message=_xml_text("; ".join(problems)))
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def format_junit(result: GateResult) -> str:
    """Return JUnit XML: a test suite for each kind, a test case for each cell.

    A regression is a failure. Any other cell that does not pass is an error if it makes the gate
    inconclusive, else it is skipped.
    """
    root = ElementTree.Element("testsuites", name="quintain gate")
    for kind in result.kinds:
        suite = ElementTree.SubElement(root, "testsuite", name=kind.kind)
        for decision in kind.decisions:
            _add_test_case(suite, decision)
    if result.missing:
        suite = ElementTree.SubElement(root, "testsuite", name="missing")
        for label in result.missing:
            case = ElementTree.SubElement(
                suite, "testcase", name=_xml_text(label), classname="missing"
            )
            ElementTree.SubElement(case, "error", message="the candidate did not run it")
    for suite in root:
        for tag, name in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
            suite.set(name, str(len(suite.findall(f"testcase/{tag}"))))
        suite.set("tests", str(len(suite)))
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _add_test_case(suite: ElementTree.Element, decision: Decision) -> None:
    differences = decision.differences
    case = ElementTree.SubElement(
        suite, "testcase", name=_xml_text(differences.label), classname=differences.kind
    )
    row = zip(COLUMNS, format_row(decision), strict=True)
    details = "; ".join(f"{name} {value}" for name, value in row)
    message = _xml_text(differences.failure or differences.reason or details)
    if decision.outcome == "passed":
        ElementTree.SubElement(case, "system-out").text = message
        return
    tag = {"regression": "failure", "inconclusive": "error"}.get(
        decision.outcome, "error" if is_blocking(decision) else "skipped"
    )
    ElementTree.SubElement(case, tag, message=message)


def _xml_text(text: str) -> str:
    """Replace control characters, most of which XML 1.0 does not allow."""
    return safe_text(text).plain


def format_sweep_commands(result: GateResult) -> str:
    """Return a command for each regressed cell that runs it again, one per line."""
    return "".join(f"{line}\n" for line in dict.fromkeys(_sweep_commands(result)))


def _sweep_commands(result: GateResult) -> Iterator[str]:
    for kind in result.kinds:
        worse = [cell for cell in kind.cells if cell.outcome == "regression"]
        if not worse and any(decision.outcome == "regression" for decision in kind.aggregates):
            # Only the mean over cells is worse; every cell with a loss contributes to it.
            worse = [cell for cell in kind.cells if cell.gain is not None and cell.gain < 0]
        for cell in worse:
            yield sweep_command(cell.differences.overrides, cell.differences.seeds or (1,))


def format_rows(result: GateResult) -> list[tuple[str, ...]]:
    """Return the rows of the table, one for each decision, regressions first."""
    order = ("regression", "inconclusive", "not judged", "passed")
    return [format_row(d) for d in sorted(result.decisions, key=lambda d: order.index(d.outcome))]


def format_row(decision: Decision) -> tuple[str, ...]:
    """Return the `COLUMNS` of one decision as text."""
    differences = decision.differences
    means = differences.baseline_mean, differences.candidate_mean
    places, unit = decimal_places(means), " ms" if differences.kind == "speed" else ""
    is_better = decision.outcome == "passed" and decision.improved
    return (
        "better" if is_better else decision.outcome,
        differences.label,
        differences.measure or differences.kind,
        *(format_number(mean, places) + unit * (mean is not None) for mean in means),
        _format_change(decision),
        _format_margin(decision),
        str(decision.n) if decision.n else ABSENT,
        ABSENT if decision.p is None else f"{decision.p:.2g}",
    )


def _format_change(decision: Decision) -> str:
    """Return the gain with its bounds; for speed the ratio of times, candidate / baseline."""
    differences = decision.differences
    if decision.gain is None or decision.outcome == "not judged":
        return ABSENT
    if differences.exact:
        return "the same, bit for bit"
    if differences.is_aggregate and differences.shared_margin is None:
        return _format_interval(decision, lambda gain: _format_signed(gain, 2)) + " margins"
    unit = differences.shared_margin or 1.0
    if differences.kind == "speed":  # a higher gain is a lower ratio of times
        return _format_interval(
            decision, lambda gain: _format_ratio(-gain * unit), is_reversed=True
        )
    places = min(decimal_places([differences.margin * unit]), 4)
    return _format_interval(decision, lambda gain: _format_signed(gain * unit, places))


def _format_ratio(logarithm: float) -> str:
    try:
        return f"{format_number(math.exp(logarithm), 3)}×"
    except OverflowError:
        return "∞×"


def _format_signed(value: float, places: int) -> str:
    return ("+" if value >= 0 else "") + format_number(value, places)


def _format_interval(
    decision: Decision, format_gain: Callable[[float], str], is_reversed: bool = False
) -> str:
    assert decision.gain is not None
    if decision.low is None or decision.high is None:
        return format_gain(decision.gain)
    bounds = [format_gain(decision.low), format_gain(decision.high)]
    return f"{format_gain(decision.gain)} [{', '.join(bounds[::-1] if is_reversed else bounds)}]"


def _format_margin(decision: Decision) -> str:
    differences = decision.differences
    if not differences.margin:
        return ABSENT
    if differences.is_aggregate and differences.shared_margin is None:
        return f"-{differences.margin:g} margins"
    loss = differences.margin * (differences.shared_margin or 1.0)
    return f"{math.exp(loss):.3g}×" if differences.kind == "speed" else f"-{loss:.3g}"
