"""docs/analysis.md and docs/analysis.ipynb: their examples run."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import nbclient
import nbformat
import pytest
from helpers.paths import ROOT
from helpers.record_factory import make_record

import quintain
from quintain.records.store import Store

EXAMPLES = re.findall(
    r"```python\n(.*?)```", (ROOT / "docs" / "analysis.md").read_text(), re.DOTALL
)


def test_run_and_compare_example(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(EXAMPLES[0], names)
    output = capsys.readouterr().out
    assert "\nok: digits/cnn/cpu seed 1, accuracy " in output and output.rstrip().endswith("[]")
    assert len(quintain.load()) == 6  # two models with two seeds, and two baselines


def test_table_and_sql_examples(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(tmp_path / "results")
    for seed, score in ((1, 0.8), (2, 0.9)):
        store.write(make_record(model="a", seed=seed, score=score))
    store.write(make_record(model="b", score=0.5, baseline=True))
    store.write(make_record(model="c", status="failed"))
    monkeypatch.chdir(tmp_path)
    _, code, query = EXAMPLES
    *lines, last = code.strip().splitlines()
    names: dict[str, object] = {}
    exec("\n".join(lines), names)
    assert eval(last, names).loc["a", "digits"] == pytest.approx(0.85)
    exec(query, names)
    output = capsys.readouterr().out
    assert re.search(r"\ba\b.*\b2\b", output) and re.search(r"\bc\b.*\b1\b", output)


def test_notebook_runs_without_stored_outputs(tmp_path: Path) -> None:
    notebook = nbformat.read(ROOT / "docs" / "analysis.ipynb", as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.outputs == [] for cell in cells)
    nbclient.NotebookClient(notebook, resources={"metadata": {"path": tmp_path}}).execute()
    record, sweep, board, comparison, *_, counts = (_displayed(cell) for cell in cells)
    assert record["text/html"].startswith("<pre>ok: digits/cnn/cpu seed 1, accuracy ")
    assert sweep["text/plain"] == "6 records: 6 ok"
    assert "majority" in board["text/html"] and "mlp against cnn" in comparison["text/html"]
    expected = {"cnn": 2, "linear": 1, "majority": 1, "mlp": 2}
    assert ast.literal_eval(counts["text/plain"]) == expected
    progress = "".join(output.text for output in cells[1].outputs if "text" in output)
    assert "[5/5] ok" in progress and "6 cells: 5 ran, 1 were in the store" in progress


def _displayed(cell: nbformat.NotebookNode) -> dict[str, str]:
    """Return the value of a cell's last line by MIME type."""
    (result,) = [output for output in cell.outputs if output.output_type == "execute_result"]
    return dict(result.data)
