"""The frozen list of what a sweep will do."""

import json

from words import plan

from quintain.compose.jobs import REFERENCE_SEED
from quintain.compose.planfile import plain_cells

WORDS = ("dataset=sunspots", "model=rnn", "seed=1,2,3")


def test_a_plan_has_each_cell_and_each_reference_once():
    made = plan(*WORDS, references=True)
    references = [p.cell for p in made.cells if p.cell.reference]
    assert [c.reference for c in references] == ["persistence", "seasonal_naive", "linear"]
    assert {c.seed for c in references} == {REFERENCE_SEED}
    assert [p.cell.seed for p in made.cells if not p.cell.reference] == [1, 2, 3]
    assert [p.action for p in made.cells] == ["run"] * 6
    assert references[0].names["model"] == "persistence"


def test_what_is_in_the_store_is_cached_and_needs_no_preflight():
    every = plan(*WORDS)
    done = every.cells[1].cell.key
    made = plan(*WORDS, status=lambda store, key: "ok" if key == done else "failed")
    assert [p.action for p in made.cells] == ["run", "cached", "run"]
    assert made.cells[1].params is None


def test_repeats_of_an_experiment_are_examined_once():
    made = plan(*WORDS)
    assert len({p.cell.width for p in made.cells}) == 1
    assert len({p.cell.group for p in made.cells}) == 1


def test_a_plan_is_json_with_whole_cells():
    written = json.loads(plan(*WORDS).to_json())
    assert written["plan"] == 2
    assert [entry["action"] for entry in written["cells"]] == ["run"] * 3
    assert len(written["groups"]) == 1
    plain, _ = next(plain_cells(written))
    assert plain["config"]["budget"]["params"] == 50_000


def test_settings_do_not_enter_the_cells(tmp_path):
    made = plan(*WORDS, f"store={tmp_path}", "launch.workers=2", "launch.time_limit=1.5")
    assert (made.settings.store, made.settings.workers) == (tmp_path, 2)
    assert made.settings.time_limit == 1.5
    assert "launch" not in made.cells[0].cell.config
