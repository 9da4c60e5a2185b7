"""Settings that change no result are no part of a cell's key, and are checked to change none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from test_ondisk import Sounds, files
from words import cell

from quintain.compose.bind import locate
from quintain.kit.ondisk import OnDisk
from quintain.testing.dataset_checks import Case, neutral

__all__ = ["files"]  # a fixture
CONF = Path(__file__).parents[1] / "conf" / "dataset"
NEUTRAL = {"memory": 0, "workers": 1}


def test_a_cell_has_one_key_wherever_its_data_are_kept() -> None:
    words = ("dataset=speech_commands", "model=lstm", "hardware=cpu")
    key = cell(*words).key
    assert cell(*words, "dataset.memory=7").key == key
    assert cell(*words, "+dataset.workers=1").key == key
    assert cell(*words, "stem.mels=20").key != key


def test_every_data_set_of_files_says_what_is_neutral() -> None:
    nodes = {path.stem: yaml.safe_load(path.read_text())["dataset"] for path in CONF.glob("*.yaml")}
    on_disk = {n for n, node in nodes.items() if issubclass(locate(node["_target_"]), OnDisk)}  # type: ignore[arg-type]
    said = {n: node["card"]["neutral"] for n, node in nodes.items() if "neutral" in node["card"]}
    assert said == dict.fromkeys(on_disk, NEUTRAL) and len(on_disk) >= 12


def test_the_check_compares_the_data(files: list[Path]) -> None:
    made: list[dict[str, Any]] = []

    def make(**other: Any) -> Sounds:
        made.append(other)
        return Sounds(files, **other)

    neutral(Case.load(make, {"neutral": NEUTRAL}))
    assert made == [{}, NEUTRAL]
    neutral(Case.load(lambda: Sounds(files), {}))
    louder = Case.load(lambda *, half=0: Sounds(files[: 30 - 3 * half]), {"neutral": {"half": 2}})
    with pytest.raises(AssertionError, match="with half=2 the fingerprint is another"):
        neutral(louder)


def test_the_check_sees_other_samples(files: list[Path]) -> None:
    class Quiet(Sounds):
        quiet = False

        def take(self, *args: Any) -> Any:
            batch = super().take(*args)
            return batch._replace(x=batch.x / 2) if self.quiet else batch

    def make(*, quiet: bool = False) -> Quiet:
        data = Quiet(files)
        data.quiet = quiet
        return data

    with pytest.raises(AssertionError, match="with quiet=True train is another"):
        neutral(Case.load(make, {"neutral": {"quiet": True}}))
