"""The plan of a sweep: the action of each cell."""

import json

from helpers.commands import PlanServices, plan_overrides

from quintain.plan.cell_factory import BASELINE_SEED
from quintain.plan.plan import make_plan
from quintain.plan.plan_file import iterate_cells

OVERRIDES = ("dataset=sunspots", "model=rnn", "seed=1,2,3")


def test_a_plan_has_each_cell_and_each_baseline_once():
    plan = plan_overrides(*OVERRIDES, baselines=True)
    baselines = [p.cell for p in plan.cells if p.cell.baseline]
    assert [c.baseline for c in baselines] == ["persistence", "seasonal_naive", "linear"]
    assert {c.seed for c in baselines} == {BASELINE_SEED}
    assert [p.cell.seed for p in plan.cells if not p.cell.baseline] == [1, 2, 3]
    assert [p.action for p in plan.cells] == ["run"] * 6
    assert baselines[0].names["model"] == "persistence"


def test_cells_with_a_record_are_cached_and_need_no_preflight():
    uncached = plan_overrides(*OVERRIDES)
    cached_key = uncached.cells[1].cell.key
    plan = plan_overrides(
        *OVERRIDES, status=lambda store, key: "ok" if key == cached_key else "failed"
    )
    assert [p.action for p in plan.cells] == ["run", "cached", "run"]
    assert plan.cells[1].params is None


def test_repeats_share_one_preflight():
    plan = plan_overrides(*OVERRIDES)
    assert len({p.cell.width for p in plan.cells}) == 1
    assert len({p.cell.group for p in plan.cells}) == 1


def test_a_plan_is_json_with_whole_cells():
    content = json.loads(plan_overrides(*OVERRIDES).to_json())
    assert content["plan"] == 3
    assert [entry["action"] for entry in content["cells"]] == ["run"] * 3
    assert len(content["groups"]) == 1
    values, _ = next(iterate_cells(content))
    assert values["config"]["budget"]["params"] == 50_000


def test_execution_settings_do_not_enter_the_cells(tmp_path):
    plan = plan_overrides(
        *OVERRIDES, f"store={tmp_path}", "launch.workers=2", "launch.time_limit=1.5"
    )
    assert (plan.settings.store, plan.settings.workers) == (tmp_path, 2)
    assert plan.settings.time_limit == 1.5
    assert "launch" not in plan.cells[0].cell.config


class CountingServices(PlanServices):
    """Count how often planning announces that a cell will run."""

    warm_ups = 0

    def warm_up(self):
        self.warm_ups += 1


def test_preflight_is_prepared_only_if_a_cell_will_run():
    cached, empty = CountingServices(lambda store, key: "ok"), CountingServices()
    make_plan(OVERRIDES, cached)
    make_plan(OVERRIDES, empty)
    forced = CountingServices(lambda store, key: "ok")
    plan = make_plan(OVERRIDES, forced, force=True)
    assert (cached.warm_ups, empty.warm_ups, forced.warm_ups) == (0, 1, 1)
    assert {planned.action for planned in plan.cells} == {"run"}


def test_a_plan_of_the_same_cells_has_the_same_file(tmp_path):
    store = f"store={tmp_path}"
    path = plan_overrides(*OVERRIDES, store).path
    assert path.parent == tmp_path / "plans"
    assert plan_overrides(*reversed(OVERRIDES), store, status=lambda store, key: "ok").path == path
    assert plan_overrides("seed=1,2", *OVERRIDES[:2], store).path != path
