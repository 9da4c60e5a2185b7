"""Records: standard JSON, nothing lost on the way, nothing contradictory, no secret."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from records_factory import cost, make, plain, quality

from quintain.records.schema import Record, utc_now
from quintain.records.scrub import HIDDEN, scrub, scrub_record, secrets

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


def refuse(token: str) -> None:
    raise AssertionError(f"{token} is not standard JSON")


@given(
    cell=st.dictionaries(st.text(), json_values, max_size=4),
    times=st.lists(st.floats(0, 1e6), max_size=5),
    score=st.none() | st.floats(),
    note=st.text(),
)
def test_round_trip(cell: Any, times: list[float], score: float | None, note: str) -> None:
    trust = {"throttled": {"ok": None, "note": note}}
    record = make(score=score, step_times_ms=times, trust=trust, machine=cell)
    text = record.to_json()
    json.loads(text, parse_constant=refuse)
    assert Record.model_validate_json(text.encode()) == record
    assert Record.model_validate(record.dump()) == record


@pytest.mark.parametrize("status", ["ok", "failed", "skipped"])
def test_every_status_round_trips(status: str) -> None:
    record = make(status=status, started=utc_now(), finished=utc_now())
    assert Record.model_validate_json(record.to_json()) == record
    assert record.finished_at().tzinfo is not None


def test_non_finite_becomes_null_with_a_reason() -> None:
    record = make(score=math.nan, machine={"load": [1.0, math.inf], "peak": -math.inf})
    assert record.main_test() is None and record.machine == {"load": [1.0, None], "peak": None}
    assert record.nonfinite == {
        "quality.scores.accuracy.val": "nan",
        "quality.scores.accuracy.test": "nan",
        "quality.curve.1.val.accuracy": "nan",
        "machine.load.1": "inf",
        "machine.peak": "-inf",
    }


def test_undecodable_log_lines_do_not_lose_the_record() -> None:
    line = b"caf\xe9".decode(errors="surrogateescape")  # how Python shows a stray byte
    failure = {"kind": "killed", "type": "", "message": line, "log_tail": line}
    record = make(status="failed", error=failure)
    assert record.error is not None and record.error.log_tail == "caf?"
    record.to_json().encode()


def test_unmeasured_has_a_reason_and_step_times_are_rounded() -> None:
    record = make(step_times_ms=[np.float64(1.23456)])
    assert record.step_times_ms == [1.235]
    assert record.cost is not None
    assert record.cost.absent["energy_kwh"] == "no counter on this machine"
    assert record.cost.absent["mfu"] == "not measured"


def test_reference_rows_may_lack_what_does_not_apply() -> None:
    lean = cost() | {"params": None, "params_total": None, "steps": None, "samples": None}
    assert make(reference=True, cost=lean).cost is not None
    with pytest.raises(ValueError, match=r"ok needs cost\.params"):
        make(cost=lean)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"quality": None}, "ok needs quality"),
        ({"cost": None}, "ok needs cost"),
        ({"error": {"kind": "nan", "type": "E", "message": "m"}}, "'ok' forbids an error"),
        ({"reason": "why"}, "'ok' forbids a reason"),
        ({"status": "failed", "error": None}, "'failed' needs an error"),
        ({"status": "skipped", "reason": None}, "'skipped' needs a reason"),
        ({"key": "ABCDEF12"}, "pattern"),
        ({"group": "../../../etc"}, "pattern"),
        ({"schema": 2}, "Input should be 1"),
        ({"seed": "1"}, "valid integer"),
        ({"seed": True}, "valid integer"),
        ({"finished": "yesterday"}, "pattern"),
        ({"surprise": 1}, "Extra inputs"),
        ({"quality": quality() | {"main": "f1"}}, "'f1' is not among the scores: accuracy"),
        ({"step_times_ms": [math.nan]}, "valid number"),
        ({"machine": {"x": object()}}, "JSON"),
        ({"finished": "2024-13-45T25:61:61Z"}, "finished"),
        ({"cost": cost() | {"params": 10**400}}, "cost.params"),
        ({"cost": cost() | {"samples_per_second": 10**400}}, "cost.samples_per_second"),
        ({"seed": 2**63}, "seed"),
    ],
)
def test_contradictions_and_wrong_types_are_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Record.model_validate(plain() | changes)


def test_records_do_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        make().seed = 2  # type: ignore[misc]


def test_secrets_leave_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
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
    record = make(
        status="failed",
        error=failure,
        machine={"env": ["s3cr3t-value-1"]},
        cell={"dataset": {"url": "s3://u:p@bucket", "s3cr3t-value-1": 1}},
    )
    text = scrub_record(record).to_json()
    assert not any(s in text for s in ("s3cr3t", "lines-of-secret", "pa55", "u:p@"))
    assert f"https://{HIDDEN}@host" in text and "cnn" in text
    clean = make()
    assert scrub_record(clean) is clean


def test_scrub_takes_the_longest_secret_first() -> None:
    environment = {"A_KEY": "abcdefgh", "B_KEY": "abcdefghij", "HOME": "abcdefgh"}
    assert secrets(environment) == ["abcdefghij", "abcdefgh"]
    assert scrub("x abcdefghij", secrets(environment)) == f"x {HIDDEN}"
    assert scrub("http://host:80/a@b", []) == "http://host:80/a@b"


def test_nothing_heavy_is_imported() -> None:
    code = (
        "import sys\n"
        "import quintain.records.schema, quintain.records.store, quintain.records.mirror\n"
        "import quintain.records.scrub, quintain.stats.intervals, quintain.report.leaderboard\n"
        "import quintain.report.table, quintain.report.records_list\n"
        "heavy = {'torch', 'pytorch_lightning', 'wandb', 'scipy', 'numpy', 'hydra'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=900, check=True
    )
    assert done.stdout == "[]\n"
