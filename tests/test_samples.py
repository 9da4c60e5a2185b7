"""What a run keeps to be looked at: real pictures, sounds and texts, and their way to W&B."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from cells_factory import own_threads
from PIL import Image
from records_factory import make
from wandb_log import contents

from quintain.compose.cells import make_cell
from quintain.compose.config import compose_one, composer
from quintain.records.media import read_samples
from quintain.records.mirror import mirror
from quintain.records.store import Store
from quintain.run.attempt import attempt
from quintain.run.samples import keep_samples

KINDS = {
    "digits": "image",
    "moving_digits": "video",
    "spoken_words": "speech",
    "pydoc": "text",
    "sunspots": "series",
}


@pytest.fixture(autouse=True)
def _threads():
    with own_threads():
        yield


def run(dataset: str, folder: Path, *words: str) -> list[dict[str, Any]]:
    with composer():
        one = compose_one([f"dataset={dataset}", "model=rnn", "hardware=cpu", *words])
    cell = make_cell(one.config, one.choices, seed=1)
    record = attempt(cell, samples=folder)
    assert record.status == "ok", record.error
    return json.loads((folder / "samples.json").read_text())


SHORT = ("budget.steps=3", "budget.validations=1", "budget.params=2000")


@pytest.mark.parametrize("dataset", KINDS)
def test_each_kind_of_data_is_kept_as_people_look_at_it(dataset: str, tmp_path: Path) -> None:
    rows = run(dataset, tmp_path / "kept", *SHORT)
    assert len(rows) == 4 and [row["input"]["kind"] for row in rows] == [KINDS[dataset]] * 4
    assert all({"index", "truth", "prediction"} <= set(row) for row in rows)
    kept = {p.name for p in (tmp_path / "kept").iterdir()}
    named = {row["input"].get(key) for row in rows for key in ("file", "log_mel")} - {None}
    assert kept == named | {"samples.json"}
    assert [p.name for p in tmp_path.iterdir()] == ["kept"]


def test_a_picture_is_the_sample(tmp_path: Path) -> None:
    from quintain.plugins.dataset.digits import Digits

    rows = run("digits", tmp_path / "kept", *SHORT)
    data = Digits()
    data.setup()
    for k, row in enumerate(rows):
        batch = data.take("test", torch.tensor([row["index"]]))
        with Image.open(tmp_path / "kept" / f"{k}.png") as picture:
            pixels = np.asarray(picture)
        assert np.array_equal(pixels, (batch.x[0, 0] * 255).round().byte().numpy())
        assert row["truth"] == str(int(batch.y[0])) and row["prediction"] in "0123456789"


def test_a_sound_is_the_sample_without_its_padding(tmp_path: Path) -> None:
    from quintain.plugins.dataset.spoken_words import SpokenWords

    rows = run("spoken_words", tmp_path / "kept", *SHORT)
    data = SpokenWords()
    data.setup()
    batch = data.take("test", torch.tensor([rows[1]["index"]]))
    sound, rate = soundfile.read(tmp_path / "kept" / "1.wav", dtype="float32")
    assert rate == data.spec.sample_rate and len(sound) == int(batch.lengths[0])
    assert np.abs(sound - batch.x[0, : len(sound)].numpy()).max() < 1 / 16384
    with Image.open(tmp_path / "kept" / "1.png") as log_mel:
        assert log_mel.size[1] == 40  # mel bands


def test_a_forecast_is_kept_in_the_data_s_own_units(tmp_path: Path) -> None:
    from statsmodels.datasets import sunspots

    rows = run("sunspots", tmp_path / "kept", *SHORT)
    series = sunspots.load_pandas().data["SUNACTIVITY"].to_numpy()
    first, last = rows[0], rows[-1]
    assert np.array(last["truth"])[:, 0] == pytest.approx(series[-11:], abs=1e-3)
    assert np.array(last["input"]["values"])[:, 0] == pytest.approx(series[-33:-11], abs=1e-3)
    assert np.array(first["prediction"]).shape == (11, 1)


def test_a_text_is_kept_as_text(tmp_path: Path) -> None:
    rows = run("pydoc", tmp_path / "kept", *SHORT)
    assert all(row["truth"][:-1] == row["input"]["text"][1:] for row in rows)


def test_a_fault_while_keeping_loses_no_measurement(tmp_path: Path, capfd: Any) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    keep_samples(blocked / "kept", None, None, None, None)  # type: ignore[arg-type]
    assert "NotADirectoryError" in capfd.readouterr().err


def test_they_reach_weights_and_biases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    store, record = Store(tmp_path / "store"), make(seed=3)
    rows = run("spoken_words", store.samples(record.key), *SHORT)
    report = mirror([record], store, mode="offline")
    assert (report.written, report.notes) == (1, ())
    (file,) = (store.path / "wandb").glob(f"offline-run-*-{record.key}/*.wandb")
    logged: dict[str, Any] = {}
    for row in contents(file)["history"]:
        logged |= row
    files = file.parent / "files"
    table = json.loads((files / logged["samples/table/path"]).read_text())
    assert [row[2] for row in table["data"]] == [row["truth"] for row in rows]
    assert logged["samples/sound/_type"] == "audio" and logged["samples/log_mel/count"] == 4
    sounds = [*(files / "media").rglob("*.wav")]
    assert [soundfile.info(sound).samplerate for sound in sounds] == [8000] * 4
    assert len([*(files / "media").rglob("*.png")]) == 4


@pytest.mark.parametrize(
    "text",
    [
        *("", "[1, 2]", "{}", '[{"index": 1}]', "[" * 100_000, "nonsense", '"text"'),
        '[["index", "truth", "prediction", "input"]]',
        '[{"index": 1, "truth": "a", "prediction": "b", "input": "c"}]',
        '[{"index": [1], "truth": "a", "prediction": "b", "input": {}}]',
    ],
)
def test_samples_of_others_that_make_no_sense_are_left_out(tmp_path: Path, text: str) -> None:
    (tmp_path / "samples.json").write_text(text)
    assert read_samples(tmp_path) == []


@pytest.mark.parametrize(
    "name", ["../secret.png", "/etc/passwd", ".hidden", "", 7, None, "a" * 300, "a\0b", "\ud800"]
)
def test_no_file_outside_the_folder_is_shown(tmp_path: Path, name: Any) -> None:
    from quintain.records.media import inside

    (tmp_path / "secret.png").write_text("x")
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / ".hidden").write_text("x")
    assert inside(tmp_path / "kept", name) is None


def test_no_link_is_followed(tmp_path: Path) -> None:
    from quintain.records.media import inside

    kept, secret = tmp_path / "kept", tmp_path / "secret.png"
    kept.mkdir()
    secret.write_text("x")
    (kept / "0.png").write_text("x")
    (kept / "1.png").symlink_to(secret)
    (tmp_path / "linked").symlink_to(kept)
    assert inside(kept, "0.png") == kept / "0.png"
    assert inside(kept, "1.png") is None and inside(tmp_path / "linked", "0.png") is None
