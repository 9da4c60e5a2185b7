"""`measure=speed`: cells that run with nothing beside them, after the others."""

from __future__ import annotations

import json
from datetime import datetime

import pytest
from cells_factory import cell as made
from words import QUIET, cell, composed, numbers, quintain, told

from quintain.compose.errors import UsageError
from quintain.compose.estimate import Estimate, totals
from quintain.compose.settings import settings_of
from quintain.compose.thaw import thaw
from quintain.launch.ray_cluster import whole_machine
from quintain.launch.resources import Resources, by_resources, resources_of
from quintain.launch.slurm import Slurm
from quintain.records.bundle import open_bundle
from quintain.records.store import Store
from quintain.report.leaderboard import leaderboard


def test_they_run_alone_and_last_and_their_numbers_are_the_same(tmp_path):
    suite = tmp_path / "mine" / "conf" / "suite" / "both.yaml"
    suite.parent.mkdir(parents=True)
    suite.write_text(
        "# @package _global_\nsweep:\n"
        "  - grid: {dataset: digits, model: mlp, measure: [speed, quality], seed: [1, 2]}\n"
    )
    words = ("sweep", "suite=both", "hardware=cpu", *QUIET, "store=store", "--no-references")
    more = ("launch.workers=2", "plugins_dir=mine")
    code, out, err = quintain(*words, *more, cwd=tmp_path)
    assert code == 0, out + err
    records = Store(tmp_path / "store").all()
    alone = {r.seed: r for r in records if "measure" in r.cell}
    beside = {r.seed: r for r in records if "measure" not in r.cell}
    assert sorted(alone) == sorted(beside) == [1, 2]
    assert all(r.changed == {"measure": "speed"} | beside[s].changed for s, r in alone.items())
    for seed in (1, 2):
        assert numbers(alone[seed]) == numbers(beside[seed])
        assert alone[seed].key != beside[seed].key
    spans = sorted((_moment(r.started), _moment(r.finished)) for r in alone.values())
    assert spans[0][1] <= spans[1][0]
    assert max(_moment(r.finished) for r in beside.values()) <= spans[0][0]
    titles = {row.comparison for row in leaderboard(records).rows}
    assert len(titles) == 2 and sum("measure=speed" in title for title in titles) == 1

    code, _, err = quintain("export", "store=store", "--to", "some.qb", cwd=tmp_path)
    assert code == 0, err
    bundle = open_bundle(tmp_path / "some.qb")  # which computes the keys again
    assert {record.key for record in bundle.all()} == {record.key for record in records}


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_a_frozen_one_is_read_again():
    one = cell("model=mlp", "measure=speed", "hardware=cpu")
    again = thaw(json.loads(one.to_json()))
    assert again == one and again.alone
    plain = json.loads(one.to_json())
    plain["config"]["measure"] = {"times": "whenever"}
    with pytest.raises(UsageError, match="config cannot be read"):
        thaw(plain)


def test_what_they_ask_of_schedulers():
    one, other = cell("model=mlp", "measure=speed", "hardware=cpu"), cell("hardware=cpu")
    assert one.alone and not other.alone and one.label == "digits/mlp/cpu alone/s1"
    assert resources_of(one) == Resources(1, 0, alone=True)
    assert str(resources_of(one)) == "1 CPU and 0 GPUs, alone on the machine"
    assert [list(found) for found in by_resources([one, other]).values()] == [[other], [one]]


def test_on_ray_they_take_the_largest_machine_that_lives_and_has_the_gpus():
    def node(cpus, gpus=0, alive=True):
        return {"Alive": alive, "Resources": {"CPU": cpus} | ({"GPU": gpus} if gpus else {})}

    nodes = [node(96.0), node(32.0, 8), node(16.0, 1), node(128.0, 8, alive=False)]
    assert whole_machine(nodes, Resources(1, 0, alone=True)) == 96.0
    assert whole_machine(nodes, Resources(1, 1, alone=True)) == 32.0
    assert whole_machine([{"Alive": True, "Resources": {}}], Resources(2, 0, alone=True)) == 2.0


def test_slurm_gives_a_node_of_their_own(tmp_path):
    (one,) = composed("launch.executor=slurm", "+launch.slurm.extra={constraint: a100}")
    slurm = Slurm(Store(tmp_path), settings_of(one.config), 2)
    asked = slurm._parameters(Resources(1, 0, alone=True))["additional_parameters"]
    assert asked == {"constraint": "a100", "exclusive": True}
    assert slurm._parameters(Resources(1, 0))["additional_parameters"] == {"constraint": "a100"}


def test_a_reference_is_never_alone():
    assert not made("digits", "mlp", reference="majority").alone


def test_a_plan_counts_them_one_after_another():
    each = [Estimate(3600, None, None, "x")] * 4
    assert totals(each, 2).wall_hours == 2
    assert totals(each, 2, [1, 1, None, None]).wall_hours == 3


def test_what_is_no_measure_is_said():
    assert told("measure=fast") == ["measure must be one of quality, speed; came 'fast'"]
