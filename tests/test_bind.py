"""Settings against signatures: the Python signature is the schema."""

from typing import Any, Literal

import pytest

from quintain.compose.bind import accepts, instantiate, locate, problems
from quintain.compose.errors import UsageError

HERE = f"{__name__}."


class Thing:
    def __init__(
        self,
        given: Any,
        *,
        count: int,
        rate: float = 0.5,
        kind: Literal["a", "b"] = "a",
        name: str | None = None,
        flag: bool = False,
        sizes: tuple[int, ...] = (),
    ) -> None:
        self.given, self.count, self.rate = given, count, rate


def anything(given, **settings):
    return settings


def found(target="Thing", *, extra=frozenset(), **node):
    return problems("thing", {"_target_": HERE + target, **node}, given=1, extra=set(extra))


def test_what_fits_has_no_problems():
    assert (
        found(count=1, rate=2, kind="b", name=None, flag=True, sizes=[1], card={"about": 1}) == []
    )


@pytest.mark.parametrize(
    ("node", "says"),
    [
        ({"count": "two"}, "thing.count: Thing expects int, came 'two'"),
        ({"count": 1.5}, "expects int, came 1.5"),
        ({"count": True}, "expects int, came True"),
        ({"count": 1, "rate": "x"}, "expects float, came 'x'"),
        ({"count": 1, "kind": "c"}, "thing.kind: expected a or b, came 'c'"),
        ({"count": 1, "name": 3}, "expects str | None, came 3"),
        ({"count": 1, "flag": 1}, "expects bool, came 1"),
        ({"count": 1, "raet": 1}, "Thing has no setting raet; did you mean rate?"),
        ({}, "thing: Thing needs a value for count"),
    ],
)
def test_one_sentence_for_what_does_not_fit(node, says):
    (sentence,) = found(**node)
    assert says in sentence


def test_all_problems_of_a_node():
    assert len(found(count="x", rate="y", foo=1)) == 3


def test_what_the_engine_fills_in_need_not_be_there():
    assert found(extra={"count"}) == []


def test_a_target_that_takes_anything():
    assert found("anything", foo=1) == []


def test_a_node_without_target():
    (sentence,) = problems("model", {"width": 3}, extra=set())
    assert "expected a plugin with a _target_" in sentence


def test_a_target_that_is_not_there():
    with pytest.raises(UsageError, match="has no Thin; did you mean Thing"):
        locate(HERE + "Thin")
    with pytest.raises(UsageError, match="needs nosuchpackage: pip install nosuchpackage"):
        locate("nosuchpackage.part.Thing")


def test_instantiate_and_accepts():
    node = {"_target_": HERE + "Thing", "count": 1, "card": {}}
    made = instantiate(node, "given", rate=3.0)
    assert (made.given, made.count, made.rate) == ("given", 1, 3.0)
    assert accepts(node, "rate")
    assert not accepts(node, "width")


CORE = {"_target_": HERE + "Thing", "_partial_": True}


def test_a_partial_node_is_something_to_call():
    made = instantiate({"_target_": HERE + "anything", "core": {**CORE, "rate": 3.0}}, "given")
    assert made["core"].func is Thing and made["core"].keywords == {"rate": 3.0}
    thing = made["core"]("given", count=2)
    assert (thing.given, thing.count, thing.rate) == ("given", 2, 3.0)


def test_a_node_inside_a_node_is_made_and_one_inside_a_partial_too():
    plain = {"_target_": HERE + "Thing", "given": 1, "count": 1}
    made = instantiate({"_target_": HERE + "anything", "thing": plain, "table": {"a": 1}}, None)
    assert isinstance(made["thing"], Thing) and made["table"] == {"a": 1}
    wrapper = {"_target_": HERE + "anything", "_partial_": True, "core": CORE}
    outer = instantiate({"_target_": HERE + "anything", "wrapper": wrapper}, None)["wrapper"]
    assert outer(None)["core"](None, count=5).count == 5


def test_settings_of_inner_nodes_are_checked_but_a_partial_may_lack_some():
    def inner(**node):
        return problems(
            "thing", {"_target_": HERE + "anything", "core": node}, given=1, extra=set()
        )

    assert inner(**CORE, rate=1.0) == []
    (sentence,) = inner(**CORE, raet=1.0)
    assert "thing.core.raet: Thing has no setting raet; did you mean rate?" in sentence
    (sentence,) = inner(_target_=HERE + "Thin", _partial_=True)
    assert sentence.startswith("thing.core._target_: ")
    missing = inner(_target_=HERE + "Thing")
    assert missing == [f"thing.core: Thing needs a value for {name}" for name in ("given", "count")]
    deep = {**CORE, "_target_": HERE + "anything", "core": {**CORE, "count": "x"}}
    (sentence,) = inner(**deep)
    assert "thing.core.core.count: Thing expects int, came 'x'" in sentence
