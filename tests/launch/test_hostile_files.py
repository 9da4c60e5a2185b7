"""Plans and heartbeats with arbitrary content: shown, refused with a message or skipped."""

from __future__ import annotations

import copy
import json
import math
from pathlib import Path
from typing import Any

import pytest
from helpers.commands import PlanServices, plan_overrides
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from quintain.errors import UsageError
from quintain.launch.status import read_heartbeats, read_status, render_status
from quintain.plan.resume import resume_plan
from quintain.records.schema import utc_now
from quintain.records.store import Store

HUGE = [10**400, -(10**30), 2**63, math.inf, -math.inf, math.nan, 1e308, -1]
PATHS = ["../../../etc/passwd", "/dev/zero", "", "\x00", "a/../b", "x" * 5000, "0" * 32]
PLAIN = st.sampled_from([*HUGE, *PATHS, None, True, 0, "two\nlines\x1b[31m"]) | st.text(max_size=5)
VALUES = st.recursive(
    PLAIN,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["seconds", "..", "key"]), inner)
    ),
    max_leaves=5,
)
MANY = settings(
    max_examples=150,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
BEAT = {"key": "ab" * 16, "label": "digits/mlp", "host": "here", "pid": 7, "step": 3, "steps": 9}
BEAT |= {name: utc_now() for name in ("started", "stepped", "beat")}


@pytest.fixture(scope="module")
def content() -> dict[str, Any]:
    """A plan as a sweep writes it, with an estimate and a number of workers."""
    overrides = ["dataset=digits", "model=mlp", "seed=1,2", "hardware=cpu", "launch.workers=2"]
    content: dict[str, Any] = json.loads(plan_overrides(*overrides).to_json())
    for group in content["groups"].values():
        group["estimate"] = {"seconds": 3.0}
    return content


def value_paths(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of each value inside nested dicts and lists."""
    inner = node.items() if isinstance(node, dict) else enumerate(node)
    paths = []
    for key, value in inner:
        paths.append((*path, key))
        paths += value_paths(value, (*path, key)) if isinstance(value, dict | list) else []
    return paths


def with_value(node: Any, path: tuple[Any, ...], value: Any) -> Any:
    changed = copy.deepcopy(node)
    at = changed
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    return changed


def write_plan(folder: Path, content: dict[str, Any], path: tuple[Any, ...], value: Any) -> Path:
    file = folder / "store" / "plans" / "p.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(with_value(content, path, value)))
    return file


@MANY
@given(data=st.data(), value=VALUES)
def test_a_plan_with_any_value_is_shown_or_refused(content, tmp_path, data, value) -> None:
    path = data.draw(st.sampled_from([p for p in value_paths(content) if p[0] != "parts"]))
    file = write_plan(tmp_path, content, path, value)
    try:
        render_status(read_status(file, Store(tmp_path / "store")))
    except UsageError as error:
        (message,) = error.problems
        assert len(message) < 1500


@settings(MANY, max_examples=15)
@given(data=st.data(), value=VALUES)
def test_a_plan_with_any_value_is_resumed_or_refused(content, tmp_path, data, value) -> None:
    path = data.draw(st.sampled_from([p for p in value_paths(content) if len(p) < 4]))
    file = write_plan(tmp_path, content, path, value)
    try:
        resume_plan(file, [], PlanServices())
    except UsageError as error:
        assert error.problems and max(map(len, error.problems)) < 1500


@pytest.mark.parametrize(
    "path", [("overrides",), ("notes",), ("settings", "launch"), ("groups",), ("quintain",)]
)
def test_a_value_of_the_wrong_type_is_named(content, tmp_path, path) -> None:
    with pytest.raises(UsageError, match=path[-1].capitalize() + "|" + path[-1]):
        resume_plan(write_plan(tmp_path, content, path, 10**400), [], PlanServices())


@MANY
@given(st.sampled_from(sorted(BEAT)), VALUES)
@example("steps", 10**400)
@example("host", "two\nlines\x1b[31m")
@example("pid", math.inf)
@example("beat", "0001-01-01T00:00:00+23:59")
def test_a_heartbeat_with_any_value_is_shown_or_skipped(tmp_path, name, value) -> None:
    folder = tmp_path / "running"
    folder.mkdir(exist_ok=True)
    (folder / "a.json").write_text(json.dumps(BEAT | {name: value}))
    (folder / "b.json").write_text(json.dumps(BEAT))
    runs = read_heartbeats(tmp_path)
    assert 1 <= len(runs) <= 2 and any(run.host == "here" for run in runs)
    assert all("\n" not in run.describe() and "\x1b" not in run.describe() for run in runs)


@pytest.mark.parametrize("text", ["[" * 100_000, "", "null", "3", '"x"', "\ud800", "9" * 5000])
def test_files_without_a_json_object_are_refused_or_skipped(tmp_path: Path, text: str) -> None:
    (tmp_path / "running").mkdir()
    for file in (tmp_path / "running" / "a.json", tmp_path / "p.json"):
        file.write_bytes(text.encode(errors="surrogatepass"))
    assert read_heartbeats(tmp_path) == []
    with pytest.raises(UsageError, match=r"p\.json is not a plan"):
        read_status(tmp_path / "p.json", Store(tmp_path))


def test_a_key_that_points_outside_the_store_is_refused(content, tmp_path: Path) -> None:
    file = tmp_path / "p.json"
    file.write_text(json.dumps(with_value(content, ("cells", 0, "key"), "../../../etc/passwd")))
    with pytest.raises(UsageError, match="expected its key, group, seed and action"):
        read_status(file, Store(tmp_path))
