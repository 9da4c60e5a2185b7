"""Plans and heartbeats with anything in them: told in a sentence or passed over, never a crash."""

from __future__ import annotations

import copy
import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from words import plan

from quintain.compose.errors import UsageError
from quintain.compose.resume import resume
from quintain.launch.status import beats, show, status_of
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
    words = ["dataset=digits", "model=mlp", "seed=1,2", "hardware=cpu", "launch.workers=2"]
    made: dict[str, Any] = json.loads(plan(*words).to_json())
    for group in made["groups"].values():
        group["estimate"] = {"seconds": 3.0}
    return made


def places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of each value in nested dicts and lists, but for the whole."""
    inner = node.items() if isinstance(node, dict) else enumerate(node)
    found = []
    for key, value in inner:
        found.append((*path, key))
        found += places(value, (*path, key)) if isinstance(value, dict | list) else []
    return found


def spoilt(node: Any, path: tuple[Any, ...], value: Any) -> Any:
    made = copy.deepcopy(node)
    at = made
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    return made


def written(folder: Path, content: dict[str, Any], path: tuple[Any, ...], value: Any) -> Path:
    file = folder / "store" / "plans" / "p.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(spoilt(content, path, value)))
    return file


@MANY
@given(data=st.data(), value=VALUES)
def test_a_plan_of_anything_is_shown_or_refused(content, tmp_path, data, value) -> None:
    path = data.draw(st.sampled_from([p for p in places(content) if p[0] != "parts"]))
    file = written(tmp_path, content, path, value)
    try:
        show(status_of(file, Store(tmp_path / "store")))
    except UsageError as error:
        (sentence,) = error.problems
        assert len(sentence) < 1500


@settings(MANY, max_examples=15)
@given(data=st.data(), value=VALUES)
def test_a_plan_of_anything_goes_on_or_is_refused(content, tmp_path, data, value) -> None:
    path = data.draw(st.sampled_from([p for p in places(content) if len(p) < 4]))
    file = written(tmp_path, content, path, value)
    try:
        resume(file, [], lambda store, keys: {})
    except UsageError as error:
        assert error.problems and max(map(len, error.problems)) < 1500


@pytest.mark.parametrize(
    "path", [("words",), ("notes",), ("settings", "launch"), ("groups",), ("quintain",)]
)
def test_what_is_of_another_type_is_named(content, tmp_path, path) -> None:
    with pytest.raises(UsageError, match=path[-1].capitalize() + "|" + path[-1]):
        resume(written(tmp_path, content, path, 10**400), [], lambda store, keys: {})


@MANY
@given(st.sampled_from(sorted(BEAT)), VALUES)
@example("steps", 10**400)
@example("host", "two\nlines\x1b[31m")
@example("pid", math.inf)
@example("beat", "0001-01-01T00:00:00+23:59")
def test_a_heartbeat_of_anything_is_shown_or_passed_over(tmp_path, name, value) -> None:
    folder = tmp_path / "running"
    folder.mkdir(exist_ok=True)
    (folder / "a.json").write_text(json.dumps(BEAT | {name: value}))
    (folder / "b.json").write_text(json.dumps(BEAT))
    found = beats(tmp_path)
    assert 1 <= len(found) <= 2 and any(run.host == "here" for run in found)
    assert all("\n" not in run.sentence() and "\x1b" not in run.sentence() for run in found)


@pytest.mark.parametrize("text", ["[" * 100_000, "", "null", "3", '"x"', "\ud800", "9" * 5000])
def test_files_that_are_no_tables(tmp_path: Path, text: str) -> None:
    (tmp_path / "running").mkdir()
    for file in (tmp_path / "running" / "a.json", tmp_path / "p.json"):
        file.write_bytes(text.encode(errors="surrogatepass"))
    assert beats(tmp_path) == []
    with pytest.raises(UsageError, match=r"p\.json is no plan"):
        status_of(tmp_path / "p.json", Store(tmp_path))


def test_a_key_that_leads_out_of_the_store_is_refused(content, tmp_path: Path) -> None:
    file = tmp_path / "p.json"
    file.write_text(json.dumps(spoilt(content, ("cells", 0, "key"), "../../../etc/passwd")))
    with pytest.raises(UsageError, match="expected its key, group, seed and action"):
        status_of(file, Store(tmp_path))
