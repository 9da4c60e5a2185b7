"""What a gate leaves for machines: JUnit XML, a Markdown summary, the cells to run again.

Names come from records that others may have written: XML and Markdown show them as text.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from xml.etree import ElementTree

from quintain.report.formats.markdown import escaped
from quintain.report.gate.judge import Judged
from quintain.report.gate.values import COLUMNS, row, rows
from quintain.report.gate.verdict import Verdict
from quintain.report.gate.words import seeds_word


def junit(verdict: Verdict) -> str:
    """JUnit XML as CI systems read it: a suite for each kind, a test case for each cell.

    A regression is a failure; what is not known is an error where it fails the gate, else skipped.
    """
    top = ElementTree.Element("testsuites", name="quintain gate")
    for side in verdict.sides:
        suite = ElementTree.SubElement(top, "testsuite", name=side.kind)
        for judged in side.every:
            _case(suite, judged)
        for tag, name in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
            suite.set(name, str(len(suite.findall(f"testcase/{tag}"))))
        suite.set("tests", str(len(side.every)))
    if verdict.missing:
        suite = ElementTree.SubElement(top, "testsuite", name="missing", failures="0", skipped="0",
                                       tests=str(len(verdict.missing)))  # fmt: skip
        suite.set("errors", str(len(verdict.missing)))
        for label in verdict.missing:
            case = ElementTree.SubElement(suite, "testcase", name=_xml(label), classname="missing")
            ElementTree.SubElement(case, "error", message="the candidate did not run it")
    ElementTree.indent(top)
    return ElementTree.tostring(top, encoding="unicode", xml_declaration=True) + "\n"


def _case(suite: ElementTree.Element, judged: Judged) -> None:
    series = judged.series
    case = ElementTree.SubElement(suite, "testcase", name=_xml(series.label), classname=series.kind)
    told = "; ".join(f"{name} {value}" for name, value in zip(COLUMNS, row(judged), strict=True))
    message = _xml(series.lost or series.unjudged or told)
    if judged.outcome == "regression":
        ElementTree.SubElement(case, "failure", message=message)
    elif judged.outcome == "inconclusive" or (
        judged.outcome == "not judged" and series.kind == "quality" and not series.never
    ):
        ElementTree.SubElement(case, "error", message=message)
    elif judged.outcome == "not judged":
        ElementTree.SubElement(case, "skipped", message=message)
    else:
        ElementTree.SubElement(case, "system-out").text = message


def _xml(text: str) -> str:
    """Without the characters that XML 1.0 cannot hold at all."""
    return "".join(c if c.isprintable() or c in "\n\t" else "�" for c in text)


def markdown(verdict: Verdict) -> str:
    """A job summary: the verdict, the table, the notes."""
    lines = [f"### {_cell(verdict.sentence)}", "", f"| {' | '.join(COLUMNS)} |"]
    lines.append(f"|{'|'.join(' --- ' for _ in COLUMNS)}|")
    lines += [f"| {' | '.join(map(_cell, cells))} |" for cells in rows(verdict)]
    lines += ["", *(f"* {_cell(note)}" for note in verdict.notes)]
    return "\n".join(lines).rstrip() + "\n"


def _cell(text: str) -> str:
    """Shown as it is: no markup, no HTML, no control character."""
    return escaped(_xml(text))


def regressed(verdict: Verdict) -> str:
    """One command a regressed cell, which runs it again; empty where there is none."""
    return "".join(f"{line}\n" for line in dict.fromkeys(_again(verdict)))


def _again(verdict: Verdict) -> Iterator[str]:
    """Where only the mean over cells is worse, every cell that lost counts."""
    for side in verdict.sides:
        worse = [cell for cell in side.cells if cell.outcome == "regression"]
        if not worse and any(one.outcome == "regression" for one in side.together):
            worse = [cell for cell in side.cells if cell.gain is not None and cell.gain < 0]
        for cell in worse:
            words = [*cell.series.words, seeds_word(cell.series.seeds or (1,))]
            yield shlex.join(["quintain", "sweep", *words, "--no-references"])
