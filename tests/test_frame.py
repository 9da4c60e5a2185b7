"""`quintain.load`: records as a DataFrame, and what it says where it cannot."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from records_factory import make

import quintain
from quintain.records.store import Store, StoreError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    store = Store(tmp_path / "results")
    for seed, score in ((1, 0.8), (2, 0.9)):
        store.write(make(model="a", seed=seed, score=score))
    store.write(make(model="b", score=0.5, reference=True))
    store.write(make(model="c", status="failed"))
    return tmp_path


def test_one_row_a_record_with_dotted_names(folder: Path) -> None:
    runs = quintain.load(folder / "results")
    assert len(runs) == 4 and runs["key"].is_monotonic_increasing
    done = runs[(runs.status == "ok") & ~runs.reference]
    assert done["test"].mean() == pytest.approx(0.85)
    assert set(done["cost.seconds.training"]) == {12.5} and set(done["metric"]) == {"accuracy"}
    assert runs.set_index("names.model").loc["c", "error.kind"] == "oom"
    assert runs[runs.status == "failed"]["test"].isna().all()
    assert not any(name.startswith(("step_times", "quality.curve")) for name in runs.columns)


def test_the_example_of_the_page_runs(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (Path(__file__).parent.parent / "docs" / "analysis.md").read_text()
    code, query = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    monkeypatch.chdir(folder)
    *lines, last = code.strip().splitlines()
    names: dict[str, object] = {}
    exec("\n".join(lines), names)
    table = eval(last, names)
    assert table.loc["a", "digits"] == pytest.approx(0.85)
    exec(query, names)
    shown = capsys.readouterr().out
    assert re.search(r"\ba\b.*\b2\b", shown) and re.search(r"\bc\b.*\b1\b", shown)


def test_the_notebook_runs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    book = json.loads((Path(__file__).parent.parent / "docs" / "analysis.ipynb").read_text())
    monkeypatch.chdir(folder)
    names: dict[str, Any] = {}
    shown = []
    for cell in book["cells"]:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []
            *lines, last = ast.parse("".join(cell["source"])).body
            exec(compile(ast.Module(lines, []), "notebook", "exec"), names)
            shown.append(eval(ast.unparse(last), names))
    head, mean, cost, counted = shown
    assert len(head) == 4 and mean.loc["a", "digits"] == pytest.approx(0.85)
    assert list(cost.loc["a"]) == [49800, 12.5] and counted == {"a": 2, "b": 1, "c": 1}


def test_what_is_missing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StoreError, match="there is no store at"):
        quintain.load(tmp_path / "none")
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(StoreError, match=r"pip install 'quintain\[frame\]'"):
        quintain.load(tmp_path)


def test_importing_quintain_stays_light() -> None:
    code = "import quintain, sys; print({'pandas', 'pydantic', 'torch'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
