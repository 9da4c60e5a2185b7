"""Fast composition from cached parts, compared with Hydra's compose."""

from __future__ import annotations

import json
import random

import pytest
from helpers.commands import write_file

from quintain.compose.config import (
    check_fast_compose,
    compose_job,
    compose_with_hydra,
    fast_composer,
    hydra_session,
)
from quintain.errors import UsageError
from quintain.plan.cell_factory import make_cells

SETTINGS = [
    "optimizer.lr=0.01",
    "budget.steps=7",
    "budget.params=null",
    "store=/tmp/x",
    "data_dir=/d",
    "dataset.data_dir=/q",
    "launch.workers=2",
    "wandb.mode=disabled",
    "model.num_layers=3",
    "model.dropout='0.5'",
    "stem.sequence=pixels",
    "hardware.choose_from=[cpu]",
]


def random_overrides(known, rng: random.Random) -> list[str]:
    groups = ["dataset", "model"]
    groups += [g for g in known if g not in groups and rng.random() < 0.3]
    overrides = [f"{group}={rng.choice(sorted(known[group]))}" for group in groups]
    overrides += [override for override in SETTINGS if rng.random() < 0.2]
    rng.shuffle(overrides)
    return overrides


def test_fast_composition_equals_hydras():
    """Overrides that Hydra refuses are not composed either."""
    rng, compared = random.Random(7), 0
    with hydra_session() as known:
        for _ in range(25):
            overrides = random_overrides(known, rng)
            composed = fast_composer().compose(overrides)
            try:
                expected = compose_with_hydra(overrides, {})
            except UsageError:
                assert composed is None, overrides
                continue
            if composed is not None:
                compared += 1
                expected_json = json.dumps([expected.config, expected.choices], sort_keys=True)
                assert json.dumps(composed, sort_keys=True) == expected_json, overrides
    assert compared >= 8


@pytest.mark.parametrize(
    "override", ["+model.extra=1", "~dataset.card", "model.nothing=1", "hydra.verbose=true",
             "seed=${oc.env:HOME}", "dataset={a: 1}", "model=missing", "budget.steps=1,2"]
)  # fmt: skip
def test_overrides_that_are_not_plain_are_left_to_hydra(override):
    with hydra_session():
        assert fast_composer().compose(["dataset=digits", override]) is None


FORMS = {
    "packaged": "# @package model.inner\nx: 1\n",
    "inherits": "defaults:\n  - mlp\nx: 1\n",
    "computed": "_target_: quintain.plugins.model.mlp.MLP\nx: ${oc.env:HOME}\n",
    "relative": "_target_: quintain.plugins.model.mlp.MLP\nx: 1\ny: ${.x}\n",
}


def test_files_of_other_forms_are_left_to_hydra(tmp_path, monkeypatch):
    for name, text in FORMS.items():
        write_file(tmp_path / "conf" / "model" / f"{name}.yaml", text)
    monkeypatch.setenv("QUINTAIN_PLUGINS", str(tmp_path))
    with hydra_session():
        assert fast_composer().compose(["model=mlp"]) is not None
        for name in FORMS:
            assert fast_composer().compose([f"model={name}"]) is None, name
        assert compose_job(["model=relative"]).config["model"]["y"] == 1


def test_after_a_difference_hydra_composes_everything(monkeypatch):
    with hydra_session():
        composer = fast_composer()
        check_fast_compose(["dataset=digits"])
        assert composer.compose(["dataset=digits"]) is not None
        composed = composer.compose(["model=lstm"])
        different = {**composed[0], "store": "elsewhere"}, composed[1]
        monkeypatch.setattr(composer, "_compose", lambda overrides: different)
        check_fast_compose(["model=lstm"])
        assert composer.compose(["model=lstm"]) is None
        assert compose_job(["model=lstm"]).config["store"] == "results"


def test_cells_share_equal_parts():
    with hydra_session():
        models, seeds = ("rnn", "gru"), (1, 2, 3)
        jobs = [["dataset=digits", f"model={m}", f"seed={s}"] for m in models for s in seeds]
        cells = make_cells(jobs, baselines=False)
    assert len({cell.key for cell in cells}) == 6
    assert len({id(cell.config["dataset"]) for cell in cells}) == 1
    assert len({id(cell.config) for cell in cells}) == len({c.group for c in cells}) == 2


def test_an_interpolated_seed_is_resolved_for_each_repeat(tmp_path, monkeypatch):
    folder = tmp_path / "conf" / "model"
    write_file(folder / "odd.yaml", "_target_: quintain.plugins.model.mlp.Mlp\nwidth: ${seed}\n")
    monkeypatch.setenv("QUINTAIN_PLUGINS", str(tmp_path))
    with hydra_session():
        for seed in (1, 2):
            overrides = ["model=odd", f"seed={seed}"]
            assert compose_job(overrides).config["model"]["width"] == seed
