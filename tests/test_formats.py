"""The same leaderboard in every format: read back, the numbers are the same; text stays text."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import pytest
from records_factory import make
from rich.console import Console

from quintain.cli import main
from quintain.records.store import Store
from quintain.report.formats.latex import latex
from quintain.report.formats.markdown import markdown
from quintain.report.formats.values import csv_text, json_schema, json_text
from quintain.report.formats.write import rendered
from quintain.report.leaderboard import Board, leaderboard
from quintain.report.table import print_leaderboard

NASTY = '=<script>alert("x|y")</script> 50%_{a}$\\^~#&*[z](u)`'
ROOT = Path(__file__).parent.parent
Numbers = dict[tuple[str, str], tuple[str, str, str]]
"""Dataset and model → mean and half of its interval as words, and the number of seeds."""


@pytest.fixture(scope="module")
def records():
    scores = {"cnn": (0.91, 0.93, 0.94), "lstm": (0.9, 0.905, 0.91), "mlp": (0.5,)}
    found = [
        make(model=model, seed=seed, score=score)
        for model, of in scores.items()
        for seed, score in enumerate(of, 1)
    ]
    other = {"dataset": "load", "task": "forecast", "model": "cnn", "score": 123.25}
    found += [make(seed=seed, **other) for seed in (1, 2)]
    found.append(make(model="majority", reference=True, score=0.1))
    return [*found, make(model="gru", status="failed"), make(model="rnn", status="skipped")]


@pytest.fixture(scope="module")
def board(records):
    return leaderboard(records)


def from_json(board: Board) -> Numbers:
    """Rounded as the tables do it, for all others to be compared with."""
    rows = json.loads(json_text(board))["rows"]
    return {(r["dataset"], r["model"]): rounded(r["dataset"], r) for r in rows}


def from_csv(board: Board) -> Numbers:
    read = csv.DictReader(io.StringIO(csv_text(board)))
    rows = [{k: float(v) if k in ("mean", "ci_low", "ci_high") and v else v for k, v in r.items()}
            for r in read]  # fmt: skip
    return {(r["dataset"], r["model"]): rounded(r["dataset"], r) for r in rows}


def rounded(dataset, row):
    places = {"digits": 4, "load": 1}[dataset]
    half = (row["ci_high"] - row["ci_low"]) / 2 if row["ci_high"] not in (None, "") else None
    shown = "–" if half is None else f"{half:.{places}f}"
    return f"{row['mean']:.{places}f}", shown, str(row["n"])


def from_lines(text: str, cells, heading: re.Pattern) -> Numbers:
    found, dataset = {}, ""
    for line in text.splitlines():
        dataset = match[1] if (match := heading.search(line)) else dataset
        words = [word.strip(" *") for word in cells(line)]
        if len(words) > 3 and (score := re.fullmatch(r"([\d.]+) ± ([\d.]+|–)", words[2])):
            found[dataset, words[1]] = (score[1], score[2], words[3])
    return found


def from_markdown(board: Board) -> Numbers:
    text = re.sub(r"\\(.)", r"\1", markdown(board))
    return from_lines(text, lambda line: line.strip("|").split("|"), re.compile(r"^### (\w+)"))


def from_latex(board: Board) -> Numbers:
    text = latex(board).replace(r"$\pm$", "±").replace("--", "–")
    text = re.sub(r"\\textbf\{([^}]*)\}", r"\1", text).replace(r" \\", "")
    return from_lines(text, lambda line: line.split("&"), re.compile(r"\\caption\{(\w+)"))


def from_terminal(board: Board, records) -> Numbers:
    out = io.StringIO()
    print_leaderboard(records, Console(file=out, width=300))
    heading = re.compile(r"^(\w+)  \w+, \w+,")
    return from_lines(out.getvalue(), lambda line: re.split(r" {2,}", line.strip()), heading)


def test_every_format_has_the_same_numbers(board, records):
    wanted = from_json(board)
    assert len(wanted) == 5 and wanted["digits", "cnn"] == ("0.9267", "0.0379", "3")
    assert from_csv(board) == wanted
    assert from_markdown(board) == wanted
    assert from_latex(board) == wanted
    assert from_terminal(board, records) == wanted


def test_csv_keeps_every_digit_and_field(board):
    lines = list(csv.DictReader(io.StringIO(csv_text(board))))
    for line, row in zip(lines, json.loads(json_text(board))["rows"], strict=True):
        assert set(line) == set(row)
        assert line["mean"] == repr(row["mean"]) and json.loads(line["trust"]) == row["trust"]
        assert json.loads(line["seeds"]) == row["seeds"] and line["ci_low"] == (
            "" if row["ci_low"] is None else repr(row["ci_low"])
        )


def test_what_has_no_score_is_said_in_words(board):
    assert "failed: digits/gru/s1 on cpu: oom: out of memory" in markdown(board)
    assert "% skipped: digits/rnn/s1 on cpu: needs a grid" in latex(board)


def test_markup_in_a_name_is_text():
    board = leaderboard([make(dataset=NASTY, model=NASTY)])
    for shown in (line for line in markdown(board).splitlines() if "script" in line):
        assert "<" not in shown and not re.search(r"(?<!\\)[`*\[\]]", shown.replace("**", ""))
    table = next(line for line in markdown(board).splitlines() if line.startswith("| **1"))
    rule = next(line for line in markdown(board).splitlines() if line.startswith("| --:"))
    assert len(re.findall(r"(?<!\\)\|", table)) == rule.count("|")
    body = latex(board).replace(r"\textbackslash{}", "").replace(r"\textasciitilde{}", "")
    body = re.sub(r"\$\\(pm|uparrow)\$", "", body.split("caption")[1])
    assert not re.search(r"(?<!\\)[%#_$&^~](?! )", body)
    assert next(csv.reader(io.StringIO(csv_text(board).split("\n", 1)[1])))[0] == f"'{NASTY}"
    assert json.loads(json_text(board))["rows"][0]["model"] == NASTY


def test_no_terminal_obeys_a_name_or_a_message():
    """Of a stranger's bundle: an escape sequence, and the end of a line that is no newline."""
    told = {"kind": "oom", "type": "E", "message": "\x1b]0;owned\x07 \x9b2J"}
    nasty = "cnn\x1b[2J\r# owned"
    board = leaderboard([make(), make(model=nasty), make(model=nasty, status="failed", error=told)])
    for text in (markdown(board), latex(board), csv_text(board), json_text(board)):
        assert "owned" in text
        assert all(character.isprintable() or character == "\n" for character in text)


def test_latex_that_a_compiler_would_take(board):
    text = latex(board)
    assert text.count("{") == text.count("}")
    for table in re.findall(r"\\begin\{tabular\}.*?\\end\{tabular\}", text, re.DOTALL):
        columns = re.search(r"\\begin\{tabular\}\{([lr]+)\}", table)[1]
        lines = [line for line in table.splitlines() if line.endswith(r"\\")]
        assert lines and all(line.count("&") == len(columns) - 1 for line in lines)


def test_the_schema_on_the_page_is_that_of_the_json(board):
    stands = json.loads((ROOT / "docs" / "leaderboard.schema.json").read_text())
    assert stands == json_schema(), (
        "write it anew: python -c 'import json; from quintain.report.formats.values import *; "
        "print(json.dumps(json_schema(), indent=1))' > docs/leaderboard.schema.json"
    )
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.validate(json.loads(json_text(board)), stands)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(json.loads(json_text(board)) | {"rows": [{"model": 3}]}, stands)


def test_the_page_explains_every_field():
    page = (ROOT / "docs" / "leaderboard.md").read_text()
    fields = json_schema()["$defs"]["Row"]["properties"]
    assert not [name for name in fields if f"`{name}`" not in page]


def test_an_empty_store_in_every_format(tmp_path):
    for format in ("table", "md", "latex", "csv", "json"):
        assert rendered(Store(tmp_path), format)


def test_a_file_is_written_in_the_format_its_name_says(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Store("results").write(make())
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
