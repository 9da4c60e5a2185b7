"""Records: standard JSON, lossless, consistent, without secrets; old versions are read."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from helpers.paths import ROOT
from helpers.record_factory import cost_values, make_record, quality_values, record_values
from hypothesis import given
from hypothesis import strategies as st

from quintain.records.bundles.bundle import open_bundle
from quintain.records.keys import recompute_key
from quintain.records.redact import REDACTED, find_secrets, redact, redact_record
from quintain.records.schema import SCHEMA, Record, utc_now
from quintain.records.store import Store

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


def reject_constant(token: str) -> None:
    raise AssertionError(f"{token} is not standard JSON")


@given(
    cell=st.dictionaries(st.text(), json_values, max_size=4),
    times=st.lists(st.floats(0, 1e6), max_size=5),
    score=st.none() | st.floats(),
    note=st.text(),
)
def test_json_round_trip_preserves_a_record(
    cell: Any, times: list[float], score: float | None, note: str
) -> None:
    trust = {"throttled": {"ok": None, "note": note}}
    record = make_record(score=score, step_times_ms=times, trust=trust, machine=cell)
    text = record.to_json()
    json.loads(text, parse_constant=reject_constant)
    assert Record.model_validate_json(text.encode()) == record
    assert Record.model_validate(record.dump()) == record


@pytest.mark.parametrize("status", ["ok", "failed", "skipped"])
def test_json_round_trip_preserves_every_status(status: str) -> None:
    record = make_record(status=status, started=utc_now(), finished=utc_now())
    assert Record.model_validate_json(record.to_json()) == record
    assert record.finished_at().tzinfo is not None


def test_nonfinite_values_become_null_and_are_listed() -> None:
    record = make_record(score=math.nan, machine={"load": [1.0, math.inf], "peak": -math.inf})
    assert record.main_test_score() is None and record.machine == {
        "load": [1.0, None],
        "peak": None,
    }
    assert record.nonfinite == {
        "quality.scores.accuracy.val": "nan",
        "quality.scores.accuracy.test": "nan",
        "quality.curve.1.val.accuracy": "nan",
        "machine.load.1": "inf",
        "machine.peak": "-inf",
    }


def test_undecodable_characters_in_a_log_are_replaced() -> None:
    line = b"caf\xe9".decode(errors="surrogateescape")  # how Python shows a stray byte
    failure = {"kind": "killed", "type": "", "message": line, "log_tail": line}
    record = make_record(status="failed", error=failure)
    assert record.error is not None and record.error.log_tail == "caf?"
    record.to_json().encode()


def test_missing_measurements_have_a_reason_and_step_times_are_rounded() -> None:
    record = make_record(step_times_ms=[np.float64(1.23456)])
    assert record.step_times_ms == [1.235]
    assert record.cost is not None
    assert record.cost.absent["energy_kwh"] == "no counter on this machine"
    assert record.cost.absent["mfu"] == "not measured"


def test_baselines_may_have_no_parameter_counts_and_steps() -> None:
    lean = cost_values() | {"params": None, "params_total": None, "steps": None, "samples": None}
    assert make_record(baseline=True, cost=lean).cost is not None
    with pytest.raises(ValueError, match=r"ok needs cost\.params"):
        make_record(cost=lean)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"quality": None}, "ok needs quality"),
        ({"cost": None}, "ok needs cost"),
        ({"error": {"kind": "nan", "type": "E", "message": "m"}}, "'ok' forbids an error"),
        ({"reason": "why"}, "'ok' forbids a reason"),
        ({"status": "failed", "error": None}, "'failed' needs an error"),
        ({"status": "skipped", "reason": None}, "'skipped' needs a reason"),
        ({"key": "ABCDEF12"}, "pattern"),
        ({"group": "../../../etc"}, "pattern"),
        ({"schema": SCHEMA + 1}, f"Input should be {SCHEMA}"),
        ({"seed": "1"}, "valid integer"),
        ({"seed": True}, "valid integer"),
        ({"finished": "yesterday"}, "pattern"),
        ({"surprise": 1}, "Extra inputs"),
        ({"quality": quality_values() | {"main": "f1"}}, "'f1' is not among the scores: accuracy"),
        ({"step_times_ms": [math.nan]}, "valid number"),
        ({"machine": {"x": object()}}, "JSON"),
        ({"finished": "2024-13-45T25:61:61Z"}, "finished"),
        ({"cost": cost_values() | {"params": 10**400}}, "cost.params"),
        ({"cost": cost_values() | {"samples_per_second": 10**400}}, "cost.samples_per_second"),
        ({"seed": 2**63}, "seed"),
    ],
)
def test_contradictions_and_wrong_types_are_rejected(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Record.model_validate(record_values() | changes)


def test_records_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        make_record().seed = 2  # type: ignore[misc]


def test_redacted_record_contains_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_API_KEY", "s3cr3t-value-1")
    monkeypatch.setenv("DB_password", "two\nlines-of-secret")
    monkeypatch.setenv("SHORT_TOKEN", "cnn")
    failure = {
        "kind": "data",
        "type": "OSError",
        "message": "GET https://me:pa55@host/x?k=s3cr3t-value-1",
        "traceback": "lines-of-secret",
        "log_tail": "key s3cr3t-value-1 cnn",
    }
    record = make_record(
        status="failed",
        error=failure,
        machine={"env": ["s3cr3t-value-1"]},
        cell={"dataset": {"url": "s3://u:p@bucket", "s3cr3t-value-1": 1}},
    )
    text = redact_record(record).to_json()
    assert not any(s in text for s in ("s3cr3t", "lines-of-secret", "pa55", "u:p@"))
    assert f"https://{REDACTED}@host" in text and "cnn" in text
    clean = make_record()
    assert redact_record(clean) is clean


def test_longest_secret_is_removed_first() -> None:
    environment = {"A_KEY": "abcdefgh", "B_KEY": "abcdefghij", "HOME": "abcdefgh"}
    assert find_secrets(environment) == ["abcdefghij", "abcdefgh"]
    assert redact("x abcdefghij", find_secrets(environment)) == f"x {REDACTED}"
    assert redact("http://host:80/a@b", []) == "http://host:80/a@b"


def test_records_and_reports_import_no_heavy_package() -> None:
    code = (
        "import sys\n"
        "import quintain.records.schema, quintain.records.store, quintain.wandb_mirror.mirror\n"
        "import quintain.records.redact, quintain.stats.intervals, quintain.report.leaderboard\n"
        "import quintain.report.terminal.table, quintain.report.terminal.records_list\n"
        "heavy = {'torch', 'pytorch_lightning', 'wandb', 'scipy', 'numpy', 'hydra'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=900, check=True
    )
    assert done.stdout == "[]\n"


# Records of schema 1 ------------------------------------------------------------------------------


def to_schema_1(values: dict[str, Any]) -> dict[str, Any]:
    renamed = {"reference" if name == "baseline" else name: v for name, v in values.items()}
    return renamed | {"schema": 1}


def test_record_of_schema_1_is_read_as_the_same_record() -> None:
    for baseline in (False, True):
        record = make_record(baseline=baseline)
        old = Record.model_validate_json(json.dumps(to_schema_1(record.dump())))
        assert old == record and old.baseline is baseline
        values = json.loads(old.to_json())
        assert values["schema"] == SCHEMA and "reference" not in values
    with pytest.raises(ValueError, match="Extra inputs"):
        Record.model_validate(record_values() | {"reference": True})


def test_later_record_replaces_a_stored_record_of_schema_1(tmp_path) -> None:
    store, later = Store(tmp_path), make_record(finished="2027-01-01T00:00:00Z")
    file = store.file(later.key)
    file.parent.mkdir(parents=True)
    values = to_schema_1(make_record().dump())
    file.write_text("{" + ",\n ".join(f'"{k}": {json.dumps(v)}' for k, v in values.items()) + "}\n")
    assert store.statuses([later.key]) == {later.key: "ok"} and store.all() == [make_record()]
    failed = make_record(status="failed", finished="2027-01-01T00:00:00Z")
    assert not store.merge_record(later.key, failed.to_json().encode())
    assert store.merge_record(later.key, later.to_json().encode()) and store.all() == [later]


@pytest.mark.parametrize("path", ["records/scaling_cpu.qb", "records/schema_1"])
def test_published_records_are_read_with_their_keys(path: str) -> None:
    """Opening a bundle recomputes every key."""
    source = ROOT / "benchmarks" / path
    store = open_bundle(source) if source.is_file() else Store(source)
    records = store.all()
    assert records and not store.problems
    assert all(recompute_key(record) == (record.key, record.group) for record in records)
