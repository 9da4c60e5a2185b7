"""`quintain.load` returns records as a DataFrame."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from helpers.record_factory import make_record

import quintain
from quintain.errors import StoreError
from quintain.records.store import Store


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    store = Store(tmp_path / "results")
    for seed, score in ((1, 0.8), (2, 0.9)):
        store.write(make_record(model="a", seed=seed, score=score))
    store.write(make_record(model="b", score=0.5, baseline=True))
    store.write(make_record(model="c", status="failed"))
    return tmp_path


def test_frame_has_one_row_per_record_with_dotted_column_names(folder: Path) -> None:
    runs = quintain.load(folder / "results")
    assert len(runs) == 4 and runs["key"].is_monotonic_increasing
    done = runs[(runs.status == "ok") & ~runs.baseline]
    assert done["test"].mean() == pytest.approx(0.85)
    assert set(done["cost.seconds.training"]) == {12.5} and set(done["metric"]) == {"accuracy"}
    assert runs.set_index("names.model").loc["c", "error.kind"] == "oom"
    assert runs[runs.status == "failed"]["test"].isna().all()
    assert not any(name.startswith(("step_times", "quality.curve")) for name in runs.columns)


def test_loading_a_missing_store_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no store at"):
        quintain.load(tmp_path / "none")


def test_importing_quintain_imports_no_heavy_package() -> None:
    code = "import quintain, sys; print({'pandas', 'pydantic', 'torch'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
