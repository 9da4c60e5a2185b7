"""A baseline is computed once in a sweep over settings that it does not read."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from quintain.compose.config import hydra_session
from quintain.plan.cell import Cell
from quintain.plan.cell_factory import make_cells


@pytest.fixture(autouse=True, scope="module")
def hydra() -> Iterator[None]:
    with hydra_session():
        yield


def make_baselines(*jobs: list[str]) -> list[Cell]:
    common = ["hardware=cpu", "model=mlp"]
    cells = make_cells([[*job, *common] for job in jobs], baselines=True)
    return [cell for cell in cells if cell.baseline]


def count(name: str, *jobs: list[str]) -> int:
    """Return the number of cells of a baseline."""
    return sum(cell.baseline == name for cell in make_baselines(*jobs))


def test_baselines_of_text_do_not_depend_on_the_stem_or_on_label_smoothing() -> None:
    settings = ["stem.std=1.0", "stem.dropout=0.5", "head.label_smoothing=0.1", "stem.dim=32"]
    jobs = [["dataset=sst2", setting] for setting in settings]
    default = make_baselines(["dataset=sst2"])
    cells = make_baselines(["dataset=sst2"], *jobs)
    assert [cell.baseline for cell in cells] == ["majority", "linear"]
    assert [cell.key for cell in cells] == [cell.key for cell in default]
    (alone, _) = make_baselines(jobs[1])
    assert alone.key == default[0].key and alone.non_defaults == {}


def test_a_baseline_of_features_depends_on_the_stem_but_not_on_augmentation() -> None:
    patches = ["dataset=digits", "stem.sequence=pixels"]
    shifted = ["dataset=digits", "stem.shift=1"]
    assert count("linear", ["dataset=digits"], patches, shifted) == 2
    assert count("majority", ["dataset=digits"], patches, shifted) == 1
    cells = make_baselines([*patches, "stem.shift=1"])
    assert cells[1].non_defaults == {"stem.sequence": "pixels"}


def test_the_main_score_and_the_dataset_count() -> None:
    jobs = [["dataset=number_words", f"head.rank_by={name}"] for name in ("bleu", "chrf")]
    jobs.append(["dataset=number_words", "head.rank_by=bleu", "head.dim=32"])
    assert count("majority", *jobs) == 2 and count("nearest", *jobs) == 2
    assert count("linear", ["dataset=sunspots"], ["dataset=sunspots", "stem.patch=2"]) == 1
    assert count("linear", ["dataset=fsdd"], ["dataset=fsdd", "stem.mels=20"]) == 2
    assert count("linear", ["dataset=fsdd"], ["dataset=fsdd", "stem.stretch=0.1"]) == 1


def test_another_head_keeps_its_own_defaults() -> None:
    job = ["dataset=text_csv", "dataset.path=.", "dataset.text=a", "dataset.target=b"]
    cells = make_baselines([*job, "head=regress"], [*job, "head=regress", "stem.dim=16"])
    assert [cell.baseline for cell in cells] == ["mean", "linear", "nearest"]
    assert all(cell.names["head"] == "regress" for cell in cells)
