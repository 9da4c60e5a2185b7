"""The space of a search, messages about settings that cannot be searched, and pruned trials."""

from __future__ import annotations

import json

import pytest
from helpers.cell_factory import restore_threads
from helpers.commands import PlanServices, write_file
from helpers.record_factory import make_record

from quintain.errors import UsageError
from quintain.plan.cell import Cell
from quintain.plan.cell_file import load_cell
from quintain.plan.preflight import PreflightResult
from quintain.report.leaderboard import build_leaderboard
from quintain.run.session import run_cell
from quintain.tuning.search import Search
from quintain.tuning.studies import plan_tuning

SMALL = ("hardware=cpu", "budget.steps=20", "budget.validations=4", "budget.params=3000")


def tuning_plan(*overrides, missing="", services=None):
    services = services or PlanServices()
    return plan_tuning([*SMALL, *overrides], services, baselines=False, missing=missing)


class WithoutPreflight(PlanServices):
    """For tests of the overrides alone."""

    def preflight(self, cells, check_devices=True):
        return {cell.key: PreflightResult() for cell in cells}


def usage_problems(*overrides, **options):
    with pytest.raises(UsageError) as error:
        tuning_plan(*overrides, **options)
    return error.value.problems


def test_there_is_one_study_for_each_configuration_and_all_its_seeds():
    studies = tuning_plan("model=mlp,rnn", "dataset=digits,sunspots", "seed=1,2,1").studies
    labels = {f"{data}/{model}/cpu" for data in ("digits", "sunspots") for model in ("mlp", "rnn")}
    assert {study.label for study in studies} == labels
    assert all(len(study.compositions) == 2 for study in studies)
    assert len({study.name for study in studies}) == len(studies) == 4
    assert {study.direction for study in studies} == {"max", "min"}


def test_the_name_of_a_study_depends_on_what_is_searched():
    (default,) = tuning_plan("model=mlp", services=WithoutPreflight()).studies
    for overrides in (("seed=5",), ("tune.trials=99",), ("launch.workers=7",)):
        assert (
            tuning_plan("model=mlp", *overrides, services=WithoutPreflight()).studies[0].name
            == default.name
        )
    for override in ("tune.seed=1", "tune.pruner=none", "model.num_layers=3", "budget.steps=21"):
        assert (
            tuning_plan("model=mlp", override, services=WithoutPreflight()).studies[0].name
            != default.name
        )


def test_overrides_define_the_space():
    overrides = ("optimizer.lr=tag(log, interval(1e-4,1e-2))", "model.num_layers=choice(1,2)")
    (study,) = tuning_plan(
        *overrides, "tune.space.optimizer.warmup=null", services=WithoutPreflight()
    ).studies
    assert study.plain_space() == {
        "model.num_layers": {"choices": [1, 2]},
        "optimizer.lr": {"low": 1e-4, "high": 1e-2, "log": True},
        "optimizer.weight_decay": {"low": 0.0, "high": 0.1},
    }
    (study,) = tuning_plan("model.num_layers=interval(1,3)", services=WithoutPreflight()).studies
    layers = next(d for d in study.space if d.name == "model.num_layers")
    assert layers.is_int and layers.extremes() == (1, 3)


def test_a_models_card_adds_its_own_settings(tmp_path, monkeypatch):
    yaml = "defaults: [/model/mlp@_here_]\ncard: {tune: {expand: {low: 1.0, high: 3.0}}}\n"
    write_file(tmp_path / "conf" / "model" / "wide.yaml", yaml)
    (tmp_path / "plugins").mkdir()
    monkeypatch.setenv("QUINTAIN_PLUGINS", str(tmp_path))
    untuned, wide = tuning_plan("model=mlp,wide").studies
    assert set(wide.plain_space()) - set(untuned.plain_space()) == {"model.expand"}
    override = "+tune.space.model.expand={low:1.5,high:2.0}"
    (narrow,) = tuning_plan("model=wide", override).studies
    assert narrow.plain_space()["model.expand"]["high"] == 2.0
    (without,) = tuning_plan("model=wide", "+tune.space.model.expand=null").studies
    assert without.plain_space() == untuned.plain_space()


def test_all_problems_are_reported_at_once():
    problems = usage_problems(
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
        "tune.trials must be a whole number from 1, got 0",
        "tune.sampler=tpee: there is no such sampler; did you mean tpe?",
        "tune.seed must be a whole number from 0, got -1",
        "tune.space.optimizer.lr: low must be below high, got low 0.0003, high 1e-05",
        "tune.space.optimizer.warmup: low and high must be numbers, got low x, high 0.3",
        "tune.space.budget.batch_size: only settings of optimizer, model, stem, head",
        "tune.space.model.num_layers: the setting is a whole number",
        "optimizer.weight_decay is both set by an override and searched",
    ):
        assert any(part in problem for problem in problems), (part, problems)


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (("tune.space=null",), "tune.space is empty: there is nothing to search"),
        (("model.dropuot=interval(0,0.3)",), "model.dropuot: there is no such setting"),
        (("optimizer.warmup=interval(0,2)",), "warmup must be in [0, 1), got 2.0"),
        (("tune.space.optimizer.lr.low=0",), "low must be above 0 where log is true, got 0"),
        (("optimizer.betas.a=interval(0,1)",), "tune.space.optimizer.betas.a: optimizer.betas has"),
        (("stem.nothing.at=choice(1,2)",), "stem.nothing has no settings"),
        (("optimizer.lr=choice(1,1)",), "choices must be two or more different plain values"),
        (("tune.speed=3",), "tune"),
    ],
)
def test_a_wrong_space_gives_a_message(overrides, expected):
    assert any(expected in problem for problem in usage_problems("model=mlp", *overrides))


def first_cell(tmp_path, *overrides) -> tuple[Search, Cell]:
    (study,) = tuning_plan("model=mlp", "dataset=digits", *overrides).studies
    search = Search(study, tmp_path)
    cell = search.next_cell()
    assert cell is not None
    return search, cell


def test_a_pruned_trial_ends_early_and_is_counted(tmp_path):
    search, cell = first_cell(tmp_path, "tune.startup=1", "tune.trials=3")
    with restore_threads():
        search.store.write(run_cell(cell))
    assert search.record_result(cell, "", 0)[0][0] == 0
    # The second trial's rate is so low that it cannot keep up with the first.
    second = search.next_cell()
    second.config["optimizer"]["lr"] = 1e-9
    with restore_threads():
        ended = run_cell(second)
    assert ended.status == "ok" and ended.trial.pruned and ended.trial.number == 1
    assert 0 < ended.cost.steps < 20 and len(ended.quality.curve) < 4
    search.store.write(ended)
    ((number, description),) = search.record_result(second, "", 0)
    assert number == 1 and f"pruned at step {ended.cost.steps}" in description
    best = search.best_trial()
    tuned = search.summarize(best)
    assert best.number == 0 and (tuned["trials"], tuned["pruned"]) == (2, 1)
    assert tuned["steps"] == 20 + ended.cost.steps


def test_the_trial_of_a_killed_process_is_continued(tmp_path):
    search, cell = first_cell(tmp_path, "tune.trials=2")
    second_search = Search(search.study, tmp_path)
    assert second_search.next_cell() == cell  # no process holds its claim
    with search.store.claim(cell.key):
        third_search = Search(search.study, tmp_path)
        assert third_search.next_cell().key != cell.key  # it runs, so a new trial starts
        assert third_search.next_cell() is None
    assert len(search.trials()) == 2


def test_a_trial_without_a_record_has_failed(tmp_path):
    search, cell = first_cell(tmp_path, "tune.trials=1")
    assert search.record_result(cell, "the run's process ended by signal SIGKILL", 7) == [
        (0, "failed: the run's process ended by signal SIGKILL")
    ]
    assert search.is_finished() and search.best_trial() is None
    assert search.explain_failure().startswith("all 1 trials failed; the first: the run's process")


def test_a_trial_has_another_key_than_a_run(tmp_path):
    search, cell = first_cell(tmp_path)
    (untuned,) = search.study.make_best_cells(search.values(0), {})
    assert untuned.config == cell.config and untuned.key != cell.key
    assert load_cell(json.loads(cell.to_json())) == cell


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


def test_the_leaderboard_notes_which_models_were_tuned():
    records = [
        make_record(model="cnn", tuned=TUNED),
        make_record(model="lstm", tuned=TUNED | {"trials": 10}),
        make_record(model="mlp"),
    ]
    notes = {row.model: row.notes for row in build_leaderboard(records).rows}
    assert notes["mlp"] == ["not tuned, unlike other rows of this table"]
    assert notes["cnn"] == [
        "tuned: best of 20 trials (1,234 steps, 3 stopped early) over optimizer.lr;"
        " accuracy 0.93 on validation",
        "other rows of this table were tuned with other trials or settings",
    ]
    assert (
        build_leaderboard([make_record(model="cnn", tuned=TUNED)]).rows[0].notes == notes["cnn"][:1]
    )


def test_records_of_trials_are_never_ranked():
    trial = {"study": "ab" * 16, "number": 0, "pruned": False}
    assert not build_leaderboard([make_record(model="cnn", trial=trial)]).rows
