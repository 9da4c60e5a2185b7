"""Cells with `measure=speed` run alone on a machine, after the others."""

from __future__ import annotations

import json
from datetime import datetime

import pytest
from helpers.cell_factory import build_cell
from helpers.commands import (
    SHORT_RUN,
    comparable_quality,
    compose_cell,
    compose_overrides,
    run_quintain,
    usage_problems,
)

from quintain.compose.settings import read_settings
from quintain.errors import UsageError
from quintain.launch.cluster.ray import whole_machine_cpus
from quintain.launch.cluster.slurm import SlurmCluster
from quintain.launch.resources import Resources, group_by_resources, required_resources
from quintain.plan.cell_file import load_cell
from quintain.plan.estimate import Estimate, compute_totals
from quintain.records.bundles.bundle import open_bundle
from quintain.records.store import Store
from quintain.report.leaderboard import build_leaderboard


def test_exclusive_cells_run_alone_and_last_with_the_same_quality(tmp_path):
    suite = tmp_path / "mine" / "conf" / "suite" / "both.yaml"
    suite.parent.mkdir(parents=True)
    suite.write_text(
        "# @package _global_\nsweep:\n"
        "  - grid: {dataset: digits, model: mlp, measure: [speed, quality], seed: [1, 2]}\n"
    )
    arguments = ("sweep", "suite=both", "hardware=cpu", *SHORT_RUN, "store=store", "--no-baselines")
    settings = ("launch.workers=2", "plugins_dir=mine")
    code, out, err = run_quintain(*arguments, *settings, cwd=tmp_path)
    assert code == 0, out + err
    records = Store(tmp_path / "store").all()
    exclusive = {r.seed: r for r in records if "measure" in r.cell}
    shared = {r.seed: r for r in records if "measure" not in r.cell}
    assert sorted(exclusive) == sorted(shared) == [1, 2]
    assert all(r.changed == {"measure": "speed"} | shared[s].changed for s, r in exclusive.items())
    for seed in (1, 2):
        assert comparable_quality(exclusive[seed]) == comparable_quality(shared[seed])
        assert exclusive[seed].key != shared[seed].key
    spans = sorted((_parse_time(r.started), _parse_time(r.finished)) for r in exclusive.values())
    assert spans[0][1] <= spans[1][0]
    assert max(_parse_time(r.finished) for r in shared.values()) <= spans[0][0]
    titles = {row.comparison for row in build_leaderboard(records).rows}
    assert len(titles) == 2 and sum("measure=speed" in title for title in titles) == 1

    code, _, err = run_quintain("export", "store=store", "--to", "some.qb", cwd=tmp_path)
    assert code == 0, err
    bundle = open_bundle(tmp_path / "some.qb")  # recomputes the keys
    assert {record.key for record in bundle.all()} == {record.key for record in records}


def _parse_time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_an_exclusive_cell_is_loaded_from_its_json():
    cell = compose_cell("model=mlp", "measure=speed", "hardware=cpu")
    loaded = load_cell(json.loads(cell.to_json()))
    assert loaded == cell and loaded.exclusive
    plain = json.loads(cell.to_json())
    plain["config"]["measure"] = {"times": "whenever"}
    with pytest.raises(UsageError, match="config cannot be read"):
        load_cell(plain)


def test_exclusive_cells_need_a_machine_for_themselves():
    exclusive, shared = (
        compose_cell("model=mlp", "measure=speed", "hardware=cpu"),
        compose_cell("hardware=cpu"),
    )
    assert exclusive.exclusive and not shared.exclusive
    assert exclusive.label == "digits/mlp/cpu alone/s1"
    assert required_resources(exclusive) == Resources(1, 0, exclusive=True)
    assert str(required_resources(exclusive)) == "1 CPU and 0 GPUs, alone on the machine"
    groups = group_by_resources([exclusive, shared])
    assert list(groups.values()) == [[shared], [exclusive]]


def test_on_ray_they_take_the_largest_live_machine_with_enough_gpus():
    def node(cpus, gpus=0, alive=True):
        return {"Alive": alive, "Resources": {"CPU": cpus} | ({"GPU": gpus} if gpus else {})}

    nodes = [node(96.0), node(32.0, 8), node(16.0, 1), node(128.0, 8, alive=False)]
    assert whole_machine_cpus(nodes, Resources(1, 0, exclusive=True)) == 96.0
    assert whole_machine_cpus(nodes, Resources(1, 1, exclusive=True)) == 32.0
    assert (
        whole_machine_cpus([{"Alive": True, "Resources": {}}], Resources(2, 0, exclusive=True))
        == 2.0
    )


def test_on_slurm_they_get_a_whole_node(tmp_path):
    (composition,) = compose_overrides(
        "launch.executor=slurm", "+launch.slurm.extra={constraint: a100}"
    )
    slurm = SlurmCluster(Store(tmp_path), read_settings(composition.config), 2)
    options = slurm._sbatch_parameters(Resources(1, 0, exclusive=True))["additional_parameters"]
    assert options == {"constraint": "a100", "exclusive": True}
    assert slurm._sbatch_parameters(Resources(1, 0))["additional_parameters"] == {
        "constraint": "a100"
    }


def test_a_baseline_is_never_exclusive():
    assert not build_cell("digits", "mlp", baseline="majority").exclusive


def test_estimated_totals_add_exclusive_cells_one_after_another():
    each = [Estimate(3600, None, None, "x")] * 4
    assert compute_totals(each, 2).wall_hours == 2
    assert compute_totals(each, 2, [1, 1, None, None]).wall_hours == 3


def test_an_unknown_measure_is_refused():
    assert usage_problems("measure=fast") == ["measure must be one of quality, speed; got 'fast'"]
