"""Recomputed keys of records equal the keys that `plan.cell` computes before the run."""

from __future__ import annotations

from dataclasses import replace

import pytest
from helpers.cell_factory import build_cell
from helpers.record_factory import make_record, make_valid_record

from quintain.plan.cell import make_cell
from quintain.records.keys import recompute_key
from quintain.records.schema import Record
from quintain.run.record.identity import build_skipped_record


def read_back(record: Record) -> Record:
    return Record.model_validate_json(record.to_json())


@pytest.mark.parametrize(
    "planned",
    [
        build_cell(),
        build_cell("sunspots", "lstm", seed=7, optimizer={"lr": 0.5}),
        build_cell("pydoc", "transformer"),  # a text that comes with Python
        build_cell(baseline="majority"),
    ],
    ids=["digits", "sunspots", "pydoc", "baseline"],
)
def test_recomputed_key_is_the_key_of_the_cell(planned):
    record = read_back(build_skipped_record(planned, "a test"))
    assert recompute_key(record) == (planned.key, planned.group)


def test_recomputed_key_of_a_trial_includes_its_study():
    plain = build_cell()
    trial = {"study": "ab" * 8, "number": 3}
    planned = make_cell(plain.config, plain.names | {"stem": "rows"}, seed=2, trial=trial)
    record = read_back(build_skipped_record(planned, "a test"))
    assert recompute_key(record) == (planned.key, planned.group)
    without_trial = build_skipped_record(replace(planned, trial=None), "a test")
    assert recompute_key(without_trial) != (planned.key, planned.group)


@pytest.mark.parametrize(
    "changes",
    [{"seed": 2}, {"baseline": True}, {"cell": {"optimizer": {"lr": 0.02}}}],
    ids=str,
)
def test_seed_settings_and_kind_of_record_change_the_key(changes):
    assert recompute_key(make_record(**changes)) != recompute_key(make_record())


def test_key_is_unknown_if_a_secret_or_a_number_was_removed_from_the_cell():
    assert recompute_key(make_valid_record()) is not None
    assert recompute_key(make_record(cell={"model": {"token": "[redacted]"}})) is None
    assert recompute_key(make_record(cell={"model": {"scale": float("inf")}})) is None
