"""Every format shows the same numbers when it is read back, and no format interprets names."""

from __future__ import annotations

import csv
import io
import json
import re

import pytest
from helpers.paths import ROOT
from helpers.record_factory import make_record
from rich.console import Console

from quintain.cli.main import main
from quintain.records.store import Store
from quintain.report.formats.json_csv import json_schema, to_csv, to_json
from quintain.report.formats.latex import to_latex
from quintain.report.formats.markdown import to_markdown
from quintain.report.formats.render import render_leaderboard
from quintain.report.leaderboard import Leaderboard, build_leaderboard
from quintain.report.terminal.table import print_leaderboard

MARKUP = '=<script>alert("x|y")</script> 50%_{a}$\\^~#&*[z](u)`'
Numbers = dict[tuple[str, str], tuple[str, str, str]]
"""Dataset and model → mean and half of its interval as text, and the number of seeds."""


@pytest.fixture(scope="module")
def records():
    scores = {"cnn": (0.91, 0.93, 0.94), "lstm": (0.9, 0.905, 0.91), "mlp": (0.5,)}
    ok = [
        make_record(model=model, seed=seed, score=score)
        for model, by_seed in scores.items()
        for seed, score in enumerate(by_seed, 1)
    ]
    load = {"dataset": "load", "task": "forecast", "model": "cnn", "score": 123.25}
    ok += [make_record(seed=seed, **load) for seed in (1, 2)]
    ok.append(make_record(model="majority", baseline=True, score=0.1))
    return [
        *ok,
        make_record(model="gru", status="failed"),
        make_record(model="rnn", status="skipped"),
    ]


@pytest.fixture(scope="module")
def board(records):
    return build_leaderboard(records)


def from_json(board: Leaderboard) -> Numbers:
    """The numbers that all other formats are compared with, rounded as tables do it."""
    rows = json.loads(to_json(board))["rows"]
    return {(r["dataset"], r["model"]): rounded(r["dataset"], r) for r in rows}


def from_csv(board: Leaderboard) -> Numbers:
    read = csv.DictReader(io.StringIO(to_csv(board)))
    rows = [{k: float(v) if k in ("mean", "ci_low", "ci_high") and v else v for k, v in r.items()}
            for r in read]  # fmt: skip
    return {(r["dataset"], r["model"]): rounded(r["dataset"], r) for r in rows}


def rounded(dataset, row):
    places = {"digits": 4, "load": 1}[dataset]
    half = (row["ci_high"] - row["ci_low"]) / 2 if row["ci_high"] not in (None, "") else None
    shown = "–" if half is None else f"{half:.{places}f}"
    return f"{row['mean']:.{places}f}", shown, str(row["n"])


def from_lines(text: str, cells, heading: re.Pattern) -> Numbers:
    numbers, dataset = {}, ""
    for line in text.splitlines():
        dataset = match[1] if (match := heading.search(line)) else dataset
        texts = [text.strip(" *") for text in cells(line)]
        if len(texts) > 3 and (score := re.fullmatch(r"([\d.]+) ± ([\d.]+|–)", texts[2])):
            numbers[dataset, texts[1]] = (score[1], score[2], texts[3])
    return numbers


def from_markdown(board: Leaderboard) -> Numbers:
    text = re.sub(r"\\(.)", r"\1", to_markdown(board))
    return from_lines(text, lambda line: line.strip("|").split("|"), re.compile(r"^### (\w+)"))


def from_latex(board: Leaderboard) -> Numbers:
    text = to_latex(board).replace(r"$\pm$", "±").replace("--", "–")
    text = re.sub(r"\\textbf\{([^}]*)\}", r"\1", text).replace(r" \\", "")
    return from_lines(text, lambda line: line.split("&"), re.compile(r"\\caption\{(\w+)"))


def from_terminal(board: Leaderboard, records) -> Numbers:
    out = io.StringIO()
    print_leaderboard(records, Console(file=out, width=300))
    heading = re.compile(r"^(\w+)  \w+, \w+,")
    return from_lines(out.getvalue(), lambda line: re.split(r" {2,}", line.strip()), heading)


def test_every_format_has_the_same_numbers(board, records):
    expected = from_json(board)
    assert len(expected) == 5 and expected["digits", "cnn"] == ("0.9267", "0.0379", "3")
    assert from_csv(board) == expected
    assert from_markdown(board) == expected
    assert from_latex(board) == expected
    assert from_terminal(board, records) == expected


def test_markdown_and_latex_have_the_overall_tables(records):
    more = [*records, make_record(dataset="load", task="forecast", model="lstm", score=130.0)]
    naive = {"model": "naive", "baseline": True, "score": 200.0}
    more.append(make_record(dataset="load", task="forecast", **naive))
    board = build_leaderboard(more)
    (cnn, lstm) = (next(m for m in board.overall if m.model == name) for name in ("cnn", "lstm"))
    text = re.sub(r"\\(.)", r"\1", to_markdown(board))
    head = "| model | digits, accuracy ↑ | load, mae ↓ |\n| :-- | --: | --: |"
    assert f"### all datasets\n\n{head}" in text
    assert "| cnn | **0.9267** | **123.2** |" in text and "| lstm | 0.9050 | 130.0 |" in text
    assert "### over 2 tables  small" in text
    assert f"| cnn | {cnn.iqm:.3f} [{cnn.iqm_low:.3f}, {cnn.iqm_high:.3f}] | 1.00 | 100% |" in text
    assert "mlp: no result on load" in text
    latex = to_latex(board)
    assert r"\caption{all datasets}" in latex and r"cnn & \textbf{0.9267} & \textbf{123.2}" in latex
    assert f"lstm & {lstm.iqm:.3f} & 2.00" in latex


def test_csv_keeps_every_digit_and_field(board):
    lines = list(csv.DictReader(io.StringIO(to_csv(board))))
    for line, row in zip(lines, json.loads(to_json(board))["rows"], strict=True):
        assert set(line) == set(row)
        assert line["mean"] == repr(row["mean"]) and json.loads(line["trust"]) == row["trust"]
        assert json.loads(line["seeds"]) == row["seeds"] and line["ci_low"] == (
            "" if row["ci_low"] is None else repr(row["ci_low"])
        )


def test_cells_without_a_score_are_listed_with_the_reason(board):
    assert "failed: digits/gru/s1 on cpu: oom: out of memory" in to_markdown(board)
    assert "% skipped: digits/rnn/s1 on cpu: needs a grid" in to_latex(board)


def test_markup_in_names_is_escaped():
    board = build_leaderboard([make_record(dataset=MARKUP, model=MARKUP)])
    for shown in (line for line in to_markdown(board).splitlines() if "script" in line):
        assert "<" not in shown and not re.search(r"(?<!\\)[`*\[\]]", shown.replace("**", ""))
    table = next(line for line in to_markdown(board).splitlines() if line.startswith("| **1"))
    rule = next(line for line in to_markdown(board).splitlines() if line.startswith("| --:"))
    assert len(re.findall(r"(?<!\\)\|", table)) == rule.count("|")
    body = to_latex(board).replace(r"\textbackslash{}", "").replace(r"\textasciitilde{}", "")
    body = re.sub(r"\$\\(pm|uparrow)\$", "", body.split("caption")[1])
    assert not re.search(r"(?<!\\)[%#_$&^~](?! )", body)
    assert next(csv.reader(io.StringIO(to_csv(board).split("\n", 1)[1])))[0] == f"'{MARKUP}"
    assert json.loads(to_json(board))["rows"][0]["model"] == MARKUP


def test_control_characters_of_names_and_messages_are_removed():
    """As in a bundle of unknown origin: an escape sequence and a carriage return."""
    error = {"kind": "oom", "type": "E", "message": "\x1b]0;owned\x07 \x9b2J"}
    nasty = "cnn\x1b[2J\r# owned"
    board = build_leaderboard(
        [
            make_record(),
            make_record(model=nasty),
            make_record(model=nasty, status="failed", error=error),
        ]
    )
    for text in (to_markdown(board), to_latex(board), to_csv(board), to_json(board)):
        assert "owned" in text
        assert all(character.isprintable() or character == "\n" for character in text)


def test_latex_is_well_formed(board):
    text = to_latex(board)
    assert text.count("{") == text.count("}")
    for table in re.findall(r"\\begin\{tabular\}.*?\\end\{tabular\}", text, re.DOTALL):
        columns = re.search(r"\\begin\{tabular\}\{([lr]+)\}", table)[1]
        lines = [line for line in table.splitlines() if line.endswith(r"\\")]
        assert lines and all(line.count("&") == len(columns) - 1 for line in lines)


def test_the_documented_schema_is_that_of_the_json(board):
    documented = json.loads((ROOT / "docs" / "leaderboard.schema.json").read_text())
    assert documented == json_schema(), (
        "write it again: python -c 'import json; from quintain.report.formats.json_csv import *; "
        "print(json.dumps(json_schema(), indent=1))' > docs/leaderboard.schema.json"
    )
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.validate(json.loads(to_json(board)), documented)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(json.loads(to_json(board)) | {"rows": [{"model": 3}]}, documented)


def test_the_documentation_explains_every_field():
    page = (ROOT / "docs" / "leaderboard.md").read_text()
    fields = json_schema()["$defs"]["Row"]["properties"]
    assert not [name for name in fields if f"`{name}`" not in page]


def test_an_empty_store_in_every_format(tmp_path):
    for format in ("table", "md", "latex", "csv", "json"):
        assert render_leaderboard(Store(tmp_path), format)


def test_the_suffix_of_a_file_decides_the_format(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Store("results").write(make_record())
    for name in ("a.md", "a.tex", "a.csv", "a.json", "a.txt"):
        assert main(["leaderboard", "--output", f"new/{name}"]) == 0
    assert capsys.readouterr().out.split()[0] == "new/a.md"
    assert (tmp_path / "new/a.md").read_text().startswith("### digits")
    assert "\\toprule" in (tmp_path / "new/a.tex").read_text()
    assert json.loads((tmp_path / "new/a.json").read_text())["version"] == 1
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == [
        "a.csv", "a.json", "a.md", "a.tex", "a.txt"]  # fmt: skip
    assert main(["leaderboard", "--format", "csv", "--output", "results"]) == 2
    assert "results cannot be written" in capsys.readouterr().err
