"""Settings that are not there, or not in the YAML: what a user is told to type."""

import inspect
from typing import Literal

import pytest
from words import composed, told, write

from quintain.compose.bind import omitted, problems
from quintain.compose.preflight import misfits
from quintain.plugins.dataset.csv_series import CsvSeries
from quintain.plugins.stem.speech import Speech


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("stem.window=32", "the YAML of stem=speech does not list window; type +stem.window=32"),
        (
            "stem.windw=32",
            "has no setting windw; did you mean +stem.window=32? Known: faster, hop,",
        ),
        ("stem.hopp=3", "stem=speech has no setting hopp; did you mean hop? Known: faster, hop,"),
        ("stem.xyz=3", "has no setting xyz. Known: faster, "),
        ("stem.xyz=3", "stretch; not in its YAML: window, lowest, mean, std (+stem.window=…)"),
        ("stem.window.x=3", "type +stem.window.x=3"),
        ("~stem.window", "stem=speech has no setting window. Known: faster, "),
        ("dataset.memory=9", "the YAML of dataset=yesno does not list memory; type +dataset.memor"),
        ("head.lexico=true", "did you mean lexicon?"),
        (
            "launch.wrkers=3",
            "there is no setting launch.wrkers; did you mean workers? Known: checkpoint_every",
        ),
        ("lanch.workers=3", "there is no setting lanch; did you mean launch?"),
        ("lr=0.1", "there is no setting lr; did you mean optimizer.lr?"),
        ("batch_size=16", "did you mean budget.batch_size?"),
        ("head.rank_by=x", "head.rank_by: expected wer, cer or exact_match, came 'x'"),
    ],
)
def test_a_setting_that_is_not_there(word: str, says: str) -> None:
    (sentence,) = told("dataset=yesno", "hardware=cpu", "model=lstm", word)
    assert says in sentence


def test_columns_may_be_called_by_numbers_and_one_alone_is_a_list(tmp_path) -> None:
    rows = "\n".join(f"{n % 7},{n % 5},{n % 3}" for n in range(300))
    table = write(tmp_path / "t.csv", f"2022,price,other\n{rows}\n")
    words = ["dataset=csv_series", f"dataset.path={table}", "model=mlp", "dataset.target=2022"]
    (one,) = composed(*words, "dataset.covariates=price")
    assert misfits(one.config) == []
    assert CsvSeries(str(table), 2022, covariates="price").spec.shape[-1] == 2
    (told_,) = told(*words, "dataset.borders=0.8")
    assert "CsvSeries expects list[float] | list[str] | None, came 0.8" in told_
    (told_,) = told(*words, "dataset.covariates=[price,[other]]")
    assert "dataset.covariates: " in told_


@pytest.mark.parametrize("word", ["+stem.window=32", "+dataset.memory=9"])
def test_what_is_told_to_type_fits(word: str) -> None:
    (one,) = composed("dataset=yesno", "model=lstm", word)
    assert misfits(one.config) == []


def test_settings_of_a_model_in_a_model() -> None:
    (sentence,) = told("model=cnn_lstm", "dataset=digits", "hardware=cpu", "model.eye.num_block=3")
    assert "width" not in sentence and "+" not in sentence
    assert "no setting model.eye.num_block; did you mean num_blocks? Known: init, max_" in sentence


def test_what_a_yaml_omits_is_what_the_signature_has_more() -> None:
    (one,) = composed("dataset=yesno", "model=lstm")
    node = one.config["stem"]
    own = [*inspect.signature(Speech).parameters][1:]
    assert sorted([*omitted("stem", node), "reads", *(k for k in node if k in own)]) == sorted(own)
    assert omitted("model", {"_target_": "nowhere.Model"}) == omitted("launch", {}) == []


class Choosy:
    def __init__(
        self,
        one: Literal["a"] = "a",
        three: Literal["a", "b", 3] = "a",
        free: Literal["a", "b"] | None = None,
        size: Literal["auto"] | int = "auto",
    ) -> None: ...


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("one", "expected a, came 'x'"),
        ("three", "expected a, b or 3, came 'x'"),
        ("free", "expected a, b or null, came 'x'"),
        ("size", "expected auto or int, came 'x'"),
    ],
)
def test_choices_are_listed_as_a_user_types_them(setting: str, says: str) -> None:
    node = {"_target_": f"{__name__}.Choosy", setting: "x"}
    assert problems("thing", node, extra=set()) == [f"thing.{setting}: {says}"]


def test_a_setting_beside_hardware_that_is_chosen_later() -> None:
    words, word = ("dataset=digits", "hardware=auto", "model=mlp"), "hardware.threads=2"
    (sentence,) = told(*words, word)
    assert "hardware=auto is the first of cuda, mps, cpu that this machine has; name" in sentence
    assert f"(hardware=cpu {word}), or type +{word} for whichever it is" in sentence
    (one,) = composed(*words, f"+{word}")
    assert one.config["hardware"]["threads"] == 2
