"""Neutral settings are not part of a cell's key, and a check compares the data with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from helpers.audio_dataset import AudioFiles
from helpers.commands import compose_cell
from helpers.paths import ROOT

from quintain.compose.instantiate import locate
from quintain.data.on_disk import OnDisk
from quintain.testing.dataset_checks import Case, check_neutral_settings

CONF = ROOT / "conf" / "dataset"
NEUTRAL = {"memory": 0, "workers": 1}


def test_neutral_settings_do_not_change_the_key() -> None:
    overrides = ("dataset=speech_commands", "model=lstm", "hardware=cpu")
    key = compose_cell(*overrides).key
    assert compose_cell(*overrides, "dataset.memory=7").key == key
    assert compose_cell(*overrides, "+dataset.workers=1").key == key
    assert compose_cell(*overrides, "stem.mels=20").key != key


def test_every_dataset_on_disk_declares_its_neutral_settings() -> None:
    nodes = {path.stem: yaml.safe_load(path.read_text())["dataset"] for path in CONF.glob("*.yaml")}
    on_disk = {n for n, node in nodes.items() if issubclass(locate(node["_target_"]), OnDisk)}  # type: ignore[arg-type]
    neutral = {n: node["card"]["neutral"] for n, node in nodes.items() if "neutral" in node["card"]}
    assert neutral == dict.fromkeys(on_disk, NEUTRAL) and len(on_disk) >= 12


def test_the_check_compares_the_data(audio_files: list[Path]) -> None:
    calls: list[dict[str, Any]] = []

    def make(**settings: Any) -> AudioFiles:
        calls.append(settings)
        return AudioFiles(audio_files, **settings)

    check_neutral_settings(Case.load(make, {"neutral": NEUTRAL}))
    assert calls == [{}, NEUTRAL]
    check_neutral_settings(Case.load(lambda: AudioFiles(audio_files), {}))
    shorter = Case.load(
        lambda *, half=0: AudioFiles(audio_files[: 30 - 3 * half]), {"neutral": {"half": 2}}
    )
    with pytest.raises(AssertionError, match="half=2 changes the fingerprint"):
        check_neutral_settings(shorter)


def test_the_check_notices_other_samples(audio_files: list[Path]) -> None:
    class Quiet(AudioFiles):
        quiet = False

        def batch(self, *args: Any) -> Any:
            batch = super().batch(*args)
            return batch._replace(x=batch.x / 2) if self.quiet else batch

    def make(*, quiet: bool = False) -> Quiet:
        data = Quiet(audio_files)
        data.quiet = quiet
        return data

    with pytest.raises(AssertionError, match="quiet=True changes train"):
        check_neutral_settings(Case.load(make, {"neutral": {"quiet": True}}))
