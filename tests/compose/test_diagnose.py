"""Messages about unknown settings, and about settings that the YAML does not list."""

import inspect
from typing import Literal

import pytest
from helpers.commands import compose_overrides, usage_problems, write_file

from quintain.compose.instantiate import find_node_problems, omitted_settings
from quintain.plan.preflight import find_signature_problems
from quintain.plugins.dataset.csv_series import CsvSeries
from quintain.plugins.stem.speech import Speech


@pytest.mark.parametrize(
    ("override", "expected"),
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
        ("head.rank_by=x", "head.rank_by: expected wer, cer or exact_match, got 'x'"),
    ],
)
def test_an_unknown_setting_gives_one_message(override: str, expected: str) -> None:
    (message,) = usage_problems("dataset=yesno", "hardware=cpu", "model=lstm", override)
    assert expected in message


def test_columns_may_have_numbers_as_names_and_a_single_one_is_a_list(tmp_path) -> None:
    rows = "\n".join(f"{n % 7},{n % 5},{n % 3}" for n in range(300))
    table = write_file(tmp_path / "t.csv", f"2022,price,other\n{rows}\n")
    overrides = ["dataset=csv_series", f"dataset.path={table}", "model=mlp", "dataset.target=2022"]
    (composition,) = compose_overrides(*overrides, "dataset.covariates=price")
    assert find_signature_problems(composition.config) == []
    assert CsvSeries(str(table), 2022, covariates="price").spec.shape[-1] == 2
    (message,) = usage_problems(*overrides, "dataset.borders=0.8")
    assert "expected a list of numbers, a list of texts or null, got 0.8" in message
    (message,) = usage_problems(*overrides, "dataset.covariates=[price,[other]]")
    assert "dataset.covariates: " in message


@pytest.mark.parametrize("override", ["+stem.window=32", "+dataset.memory=9"])
def test_the_suggested_override_is_valid(override: str) -> None:
    (composition,) = compose_overrides("dataset=yesno", "model=lstm", override)
    assert find_signature_problems(composition.config) == []


def test_settings_of_a_nested_model() -> None:
    (message,) = usage_problems(
        "model=cnn_lstm", "dataset=digits", "hardware=cpu", "model.frame_encoder.num_block=3"
    )
    assert "width" not in message and "+" not in message
    assert (
        "no setting model.frame_encoder.num_block; did you mean num_blocks? Known: init, max_"
        in message
    )


def test_omitted_settings_are_those_of_the_signature_alone() -> None:
    (composition,) = compose_overrides("dataset=yesno", "model=lstm")
    node = composition.config["stem"]
    parameters = [*inspect.signature(Speech).parameters][1:]
    assert sorted(
        [*omitted_settings("stem", node), "input_layout", *(k for k in node if k in parameters)]
    ) == sorted(parameters)
    assert (
        omitted_settings("model", {"_target_": "nowhere.Model"})
        == omitted_settings("launch", {})
        == []
    )


class Choosy:
    def __init__(
        self,
        only: Literal["a"] = "a",
        three: Literal["a", "b", 3] = "a",
        free: Literal["a", "b"] | None = None,
        size: Literal["auto"] | int = "auto",
    ) -> None: ...


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("only", "expected a, got 'x'"),
        ("three", "expected a, b or 3, got 'x'"),
        ("free", "expected a, b or null, got 'x'"),
        ("size", "expected auto or a whole number, got 'x'"),
    ],
)
def test_choices_are_listed_as_the_user_types_them(setting: str, expected: str) -> None:
    node = {"_target_": f"{__name__}.Choosy", setting: "x"}
    assert find_node_problems("thing", node) == [f"thing.{setting}: {expected}"]


def test_a_setting_beside_auto_hardware_explains_what_to_type() -> None:
    overrides = ("dataset=digits", "hardware=auto", "model=mlp")
    (message,) = usage_problems(*overrides, override := "hardware.precision=bf16-mixed")
    assert "hardware=auto chooses the first of cuda, mps, cpu that this machine has; " in message
    assert f"(hardware=cpu {override}), or type +{override} to set it whichever is" in message
    (composition,) = compose_overrides(*overrides, f"+{override}")
    assert composition.config["hardware"]["precision"] == "bf16-mixed"
    (message,) = usage_problems(*overrides, "hardware.threads=2")
    assert message.endswith("choose one yourself (hardware=cpu hardware.threads=2)")
    (message,) = usage_problems(*overrides, "hardware.devices=2")
    assert message.endswith("have it: hardware=cpu_ddp hardware.devices=2")
    (message,) = usage_problems(*overrides, "hardware.thraeds=2")
    assert "no hardware has a setting thraeds; did you mean threads?" in message
