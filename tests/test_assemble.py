"""Configurations that are put together from parts, held against what Hydra composes."""

from __future__ import annotations

import json
import random

import pytest
from words import write

from quintain.compose.config import agree, assembler, compose_by_hydra, compose_one, composer
from quintain.compose.errors import UsageError
from quintain.compose.jobs import cells_of

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


def random_words(known, drawn: random.Random) -> list[str]:
    groups = ["dataset", "model"]
    groups += [g for g in known if g not in groups and drawn.random() < 0.3]
    words = [f"{group}={drawn.choice(sorted(known[group]))}" for group in groups]
    words += [word for word in SETTINGS if drawn.random() < 0.2]
    drawn.shuffle(words)
    return words


def test_assembling_equals_composing():
    """Also what Hydra refuses is not assembled."""
    drawn, compared = random.Random(7), 0
    with composer() as known:
        for _ in range(25):
            words = random_words(known, drawn)
            found = assembler().assemble(words)
            try:
                exact = compose_by_hydra(words, {})
            except UsageError:
                assert found is None, words
                continue
            if found is not None:
                compared += 1
                expected = json.dumps([exact.config, exact.choices], sort_keys=True)
                assert json.dumps(found, sort_keys=True) == expected, words
    assert compared >= 8


@pytest.mark.parametrize(
    "word", ["+model.extra=1", "~dataset.card", "model.nothing=1", "hydra.verbose=true",
             "seed=${oc.env:HOME}", "dataset={a: 1}", "model=missing", "budget.steps=1,2"]
)  # fmt: skip
def test_what_is_not_plain_is_left_to_hydra(word):
    with composer():
        assert assembler().assemble(["dataset=digits", word]) is None


FORMS = {
    "packaged": "# @package model.inner\nx: 1\n",
    "inherits": "defaults:\n  - mlp\nx: 1\n",
    "computed": "_target_: quintain.plugins.model.mlp.MLP\nx: ${oc.env:HOME}\n",
    "relative": "_target_: quintain.plugins.model.mlp.MLP\nx: 1\ny: ${.x}\n",
}


def test_files_of_other_forms_are_left_to_hydra(tmp_path, monkeypatch):
    for name, text in FORMS.items():
        write(tmp_path / "conf" / "model" / f"{name}.yaml", text)
    monkeypatch.setenv("QUINTAIN_PLUGINS", str(tmp_path))
    with composer():
        assert assembler().assemble(["model=mlp"]) is not None
        for name in FORMS:
            assert assembler().assemble([f"model={name}"]) is None, name
        assert compose_one(["model=relative"]).config["model"]["y"] == 1


def test_where_they_differ_hydra_composes_all(monkeypatch):
    with composer():
        maker = assembler()
        agree(["dataset=digits"])
        assert maker.assemble(["dataset=digits"]) is not None
        right = maker.assemble(["model=lstm"])
        wrong = {**right[0], "store": "elsewhere"}, right[1]
        monkeypatch.setattr(maker, "_assemble", lambda words: wrong)
        agree(["model=lstm"])
        assert maker.assemble(["model=lstm"]) is None
        assert compose_one(["model=lstm"]).config["store"] == "results"


def test_cells_share_what_is_equal():
    with composer():
        models, seeds = ("rnn", "gru"), (1, 2, 3)
        jobs = [["dataset=digits", f"model={m}", f"seed={s}"] for m in models for s in seeds]
        cells = cells_of(jobs, references=False)
    assert len({cell.key for cell in cells}) == 6
    assert len({id(cell.config["dataset"]) for cell in cells}) == 1
    assert len({id(cell.config) for cell in cells}) == len({c.group for c in cells}) == 2


def test_an_interpolated_seed_is_that_of_each_repeat(tmp_path, monkeypatch):
    folder = tmp_path / "conf" / "model"
    write(folder / "odd.yaml", "_target_: quintain.plugins.model.mlp.Mlp\nwidth: ${seed}\n")
    monkeypatch.setenv("QUINTAIN_PLUGINS", str(tmp_path))
    with composer():
        for seed in (1, 2):
            words = ["model=odd", f"seed={seed}"]
            assert compose_one(words).config["model"]["width"] == seed
