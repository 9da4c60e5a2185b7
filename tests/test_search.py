"""What may be searched, what is told of words that may not, and how a trial is ended early."""

from __future__ import annotations

import json

import pytest
from cells_factory import own_threads
from records_factory import make as record
from words import write

from quintain.compose.cells import Cell
from quintain.compose.errors import UsageError
from quintain.compose.preflight import Verdict, preflight
from quintain.compose.studies import make_studies
from quintain.compose.thaw import thaw
from quintain.launch.study import Search
from quintain.report.leaderboard import leaderboard
from quintain.run.execute import execute

SMALL = ("hardware=cpu", "budget.steps=20", "budget.validations=4", "budget.params=3000")


def made(*words, missing="", examine=preflight):
    return make_studies([*SMALL, *words], examine, references=False, missing=missing)


def unseen(cells):
    """In place of a preflight, for tests of words alone."""
    return {cell.key: Verdict() for cell in cells}


def told(*words, **options):
    with pytest.raises(UsageError) as error:
        made(*words, **options)
    return error.value.problems


def test_a_study_for_every_point_of_the_grid_but_not_for_seeds():
    studies = made("model=mlp,rnn", "dataset=digits,sunspots", "seed=1,2,1").studies
    labels = {f"{data}/{model}/cpu" for data in ("digits", "sunspots") for model in ("mlp", "rnn")}
    assert {study.label for study in studies} == labels
    assert all(len(study.seeds) == 2 for study in studies)
    assert len({study.name for study in studies}) == len(studies) == 4
    assert {study.direction for study in studies} == {"max", "min"}


def test_a_name_says_what_is_searched():
    (usual,) = made("model=mlp", examine=unseen).studies
    for more in (("seed=5",), ("tune.trials=99",), ("launch.workers=7",)):
        assert made("model=mlp", *more, examine=unseen).studies[0].name == usual.name
    for other in ("tune.seed=1", "tune.pruner=none", "model.num_layers=3", "budget.steps=21"):
        assert made("model=mlp", other, examine=unseen).studies[0].name != usual.name


def test_words_define_the_space():
    words = ("optimizer.lr=tag(log, interval(1e-4,1e-2))", "model.num_layers=choice(1,2)")
    (study,) = made(*words, "tune.space.optimizer.warmup=null", examine=unseen).studies
    assert study.plain_space() == {
        "model.num_layers": {"choices": [1, 2]},
        "optimizer.lr": {"low": 1e-4, "high": 1e-2, "log": True},
        "optimizer.weight_decay": {"low": 0.0, "high": 0.1},
    }
    (study,) = made("model.num_layers=interval(1,3)", examine=unseen).studies
    layers = next(d for d in study.space if d.name == "model.num_layers")
    assert layers.whole and layers.ends() == (1, 3)


def test_a_models_card_adds_settings_of_its_own(tmp_path, monkeypatch):
    yaml = "defaults: [/model/mlp@_here_]\ncard: {tune: {expand: {low: 1.0, high: 3.0}}}\n"
    write(tmp_path / "conf" / "model" / "wide.yaml", yaml)
    (tmp_path / "plugins").mkdir()
    monkeypatch.setenv("QUINTAIN_PLUGINS", str(tmp_path))
    plain, wide = made("model=mlp,wide").studies
    assert set(wide.plain_space()) - set(plain.plain_space()) == {"model.expand"}


def test_all_that_is_wrong_is_told_at_once():
    problems = told(
        "tune.trials=0",
        "tune.sampler=tpee",
        "tune.seed=-1",
        "tune.space.optimizer.lr.high=1e-5",
        "tune.space.optimizer.warmup.low=x",
        "budget.batch_size=interval(8,64)",
        "model.num_layers=interval(1.5,3)",
        "optimizer.weight_decay=0.02",
        missing="needs optuna: pip install 'quintain[tune]'",
    )
    for part in (
        "needs optuna: pip install 'quintain[tune]'",
        "tune.trials must be a whole number from 1, came 0",
        "tune.sampler=tpee: there is none; did you mean tpe?",
        "tune.seed must be a whole number from 0, came -1",
        "tune.space.optimizer.lr: low must be below high, came low 0.0003, high 1e-05",
        "tune.space.optimizer.warmup: low and high must be numbers, came low x, high 0.3",
        "tune.space.budget.batch_size: only settings of optimizer, model, stem, head",
        "tune.space.model.num_layers: the setting is a whole number",
        "optimizer.weight_decay is given a value and searched too",
    ):
        assert any(part in problem for problem in problems), (part, problems)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("tune.space=null",), "tune.space is empty: there is nothing to search"),
        (("model.dropuot=interval(0,0.3)",), "model.dropuot: Mlp has no setting dropuot"),
        (("optimizer.warmup=interval(0,2)",), "warmup must be in [0, 1), came 2"),
        (("tune.space.optimizer.lr.low=0",), "low must be above 0 where log is true, came 0"),
        (("optimizer.betas.a=interval(0,1)",), "tune.space.optimizer.betas.a: optimizer.betas has"),
        (("stem.nothing.at=choice(1,2)",), "stem.nothing has no settings"),
        (("optimizer.lr=choice(1,1)",), "choices must be two or more different plain values"),
        (("tune.speed=3",), "tune"),
    ],
)
def test_one_sentence_each(words, sentence):
    assert any(sentence in problem for problem in told("model=mlp", *words))


def first_cell(tmp_path, *words) -> tuple[Search, Cell]:
    (study,) = made("model=mlp", "dataset=digits", *words).studies
    search = Search(study, tmp_path)
    cell = search.next_cell()
    assert cell is not None
    return search, cell


def test_a_hopeless_trial_is_ended_early_counts_and_says_so(tmp_path):
    search, cell = first_cell(tmp_path, "tune.startup=1", "tune.trials=3")
    with own_threads():
        search.store.write(execute(cell))
    assert search.take(cell, "", 0)[0][0] == 0
    # The second trial's rate is so low that it cannot keep up with the first.
    second = search.next_cell()
    second.config["optimizer"]["lr"] = 1e-9
    with own_threads():
        ended = execute(second)
    assert ended.status == "ok" and ended.trial.pruned and ended.trial.number == 1
    assert 0 < ended.cost.steps < 20 and len(ended.quality.curve) < 4
    search.store.write(ended)
    ((number, words),) = search.take(second, "", 0)
    assert number == 1 and f"ended early at step {ended.cost.steps}" in words
    best = search.best()
    tuned = search.tuned(best)
    assert best.number == 0 and (tuned["trials"], tuned["pruned"]) == (2, 1)
    assert tuned["steps"] == 20 + ended.cost.steps


def test_what_a_killed_process_left_is_taken_up_again(tmp_path):
    search, cell = first_cell(tmp_path, "tune.trials=2")
    other = Search(search.study, tmp_path)
    assert other.next_cell() == cell  # nobody holds it: whoever drew it is gone
    with search.store.claim(cell.key):
        third = Search(search.study, tmp_path)
        assert third.next_cell().key != cell.key  # it runs, so the next is drawn
        assert third.next_cell() is None
    assert len(search.trials()) == 2


def test_a_trial_that_left_no_record_failed(tmp_path):
    search, cell = first_cell(tmp_path, "tune.trials=1")
    assert search.take(cell, "the run's process ended by signal SIGKILL", 7) == [
        (0, "failed: the run's process ended by signal SIGKILL")
    ]
    assert search.done() and search.best() is None
    assert search.why_none().startswith("all 1 trials failed; the first: the run's process")


def test_a_trials_key_is_not_that_of_a_run(tmp_path):
    search, cell = first_cell(tmp_path)
    (plain,) = search.study.best_cells(search.values(0), {})
    assert plain.config == cell.config and plain.key != cell.key
    assert thaw(json.loads(cell.to_json())) == cell


TUNED = {
    "study": "ab" * 16,
    "trials": 20,
    "pruned": 3,
    "failed": 0,
    "steps": 1234,
    "space": {"optimizer.lr": {"low": 1e-4, "high": 1e-2}},
    "sampler": "tpe",
    "pruner": "median",
    "seed": 0,
    "metric": "accuracy",
    "best": {"optimizer.lr": 0.002},
    "best_value": 0.93,
    "best_trial": 4,
}


def test_the_leaderboard_says_what_was_tuned_and_what_was_not():
    found = [
        record(model="cnn", tuned=TUNED),
        record(model="lstm", tuned=TUNED | {"trials": 10}),
        record(model="mlp"),
    ]
    notes = {row.model: row.notes for row in leaderboard(found).rows}
    assert notes["mlp"] == ["not tuned, unlike others of this table"]
    assert notes["cnn"] == [
        "tuned: best of 20 trials (1,234 steps, 3 ended early) over optimizer.lr;"
        " accuracy 0.93 on validation",
        "others of this table were tuned with other trials or settings",
    ]
    assert leaderboard([record(model="cnn", tuned=TUNED)]).rows[0].notes == notes["cnn"][:1]


def test_records_of_trials_are_never_ranked():
    trial = {"study": "ab" * 16, "number": 0, "pruned": False}
    assert not leaderboard([record(model="cnn", trial=trial)]).rows
