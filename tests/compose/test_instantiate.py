"""Settings against signatures: the Python signature is the schema."""

from typing import Any, Literal

import pytest

from quintain.compose.instantiate import accepts_setting, find_node_problems, instantiate, locate
from quintain.errors import UsageError

HERE = f"{__name__}."


class Thing:
    def __init__(
        self,
        positional: Any,
        *,
        count: int,
        rate: float = 0.5,
        kind: Literal["a", "b"] = "a",
        name: str | None = None,
        flag: bool = False,
        sizes: tuple[int, ...] = (),
    ) -> None:
        self.given, self.count, self.rate = positional, count, rate


def accept_anything(positional, **settings):
    return settings


def problems_of(target="Thing", *, filled_in=(), **node):
    return find_node_problems(
        "thing", {"_target_": HERE + target, **node}, positional=1, filled_in=filled_in
    )


def test_a_valid_node_has_no_problems():
    assert (
        problems_of(count=1, rate=2, kind="b", name=None, flag=True, sizes=[1], card={"about": 1})
        == []
    )


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        ({"count": "two"}, "thing.count: expected a whole number, got 'two'"),
        ({"count": 1.5}, "expected a whole number, got 1.5"),
        ({"count": True}, "expected a whole number, got True"),
        ({"count": 1, "rate": "x"}, "expected a number, got 'x'"),
        ({"count": 1, "kind": "c"}, "thing.kind: expected a or b, got 'c'"),
        ({"count": 1, "name": 3}, "expected text or null, got 3"),
        ({"count": 1, "flag": 1}, "expected true or false, got 1"),
        ({"count": 1, "raet": 1}, "thing.raet: there is no such setting; did you mean rate?"),
        ({}, "thing.count has to be given"),
    ],
)
def test_a_wrong_setting_gives_one_message(node, expected):
    (message,) = problems_of(**node)
    assert expected in message


def test_all_problems_of_a_node():
    assert len(problems_of(count="x", rate="y", foo=1)) == 3


def test_settings_of_the_engine_may_be_missing():
    assert problems_of(filled_in={"count"}) == []


def test_a_target_with_keyword_arguments_accepts_anything():
    assert problems_of("accept_anything", foo=1) == []


def test_a_node_without_target():
    (message,) = find_node_problems("model", {"width": 3})
    assert "expected a plugin with a _target_" in message


def test_a_missing_target_is_explained():
    with pytest.raises(UsageError, match="has no Thin; did you mean Thing"):
        locate(HERE + "Thin")
    with pytest.raises(UsageError, match="needs nosuchpackage: pip install nosuchpackage"):
        locate("nosuchpackage.part.Thing")


def test_instantiate_and_accepts():
    node = {"_target_": HERE + "Thing", "count": 1, "card": {}}
    instance = instantiate(node, "given", rate=3.0)
    assert (instance.given, instance.count, instance.rate) == ("given", 1, 3.0)
    assert accepts_setting(node, "rate")
    assert not accepts_setting(node, "width")


CORE = {"_target_": HERE + "Thing", "_partial_": True}


def test_a_partial_node_becomes_a_functools_partial():
    instance = instantiate(
        {"_target_": HERE + "accept_anything", "core": {**CORE, "rate": 3.0}}, "given"
    )
    assert instance["core"].func is Thing and instance["core"].keywords == {"rate": 3.0}
    thing = instance["core"]("given", count=2)
    assert (thing.given, thing.count, thing.rate) == ("given", 2, 3.0)


def test_nested_nodes_are_instantiated_also_inside_a_partial():
    plain = {"_target_": HERE + "Thing", "positional": 1, "count": 1}
    instance = instantiate(
        {"_target_": HERE + "accept_anything", "thing": plain, "table": {"a": 1}}, None
    )
    assert isinstance(instance["thing"], Thing) and instance["table"] == {"a": 1}
    wrapper = {"_target_": HERE + "accept_anything", "_partial_": True, "core": CORE}
    outer = instantiate({"_target_": HERE + "accept_anything", "wrapper": wrapper}, None)["wrapper"]
    assert outer(None)["core"](None, count=5).count == 5


def test_nested_nodes_are_checked_but_a_partial_may_lack_settings():
    def inner(**node):
        return find_node_problems(
            "thing", {"_target_": HERE + "accept_anything", "core": node}, positional=1
        )

    assert inner(**CORE, rate=1.0) == []
    (message,) = inner(**CORE, raet=1.0)
    assert "thing.core.raet: there is no such setting; did you mean rate?" in message
    (message,) = inner(_target_=HERE + "Thin", _partial_=True)
    assert message.startswith("thing.core._target_: ")
    missing = inner(_target_=HERE + "Thing")
    assert missing == [f"thing.core.{name} has to be given" for name in ("positional", "count")]
    deep = {**CORE, "_target_": HERE + "accept_anything", "core": {**CORE, "count": "x"}}
    (message,) = inner(**deep)
    assert "thing.core.core.count: expected a whole number, got 'x'" in message
