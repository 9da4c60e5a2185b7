"""Test samples beside a record: images, recordings and texts, and their upload to W&B."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from helpers.cell_factory import restore_threads
from helpers.record_factory import make_record
from helpers.wandb_log import read_run
from PIL import Image

from quintain.compose.config import compose_job, hydra_session
from quintain.plan.cell import make_cell
from quintain.records.samples import read_samples
from quintain.records.store import Store
from quintain.run.record.samples import save_samples
from quintain.run.runner import run_to_record
from quintain.wandb_mirror.mirror import mirror_records

KINDS = {
    "digits": "image",
    "moving_digits": "video",
    "spoken_words": "speech",
    "pydoc": "text",
    "sunspots": "series",
}


@pytest.fixture(autouse=True)
def _threads():
    with restore_threads():
        yield


def run_and_read(dataset: str, folder: Path, *overrides: str) -> list[dict[str, Any]]:
    with hydra_session():
        job = compose_job([f"dataset={dataset}", "model=rnn", "hardware=cpu", *overrides])
    cell = make_cell(job.config, job.choices, seed=1)
    record = run_to_record(cell, samples_folder=folder)
    assert record.status == "ok", record.error
    return json.loads((folder / "samples.json").read_text())


SHORT = ("budget.steps=3", "budget.validations=1", "budget.params=2000")


@pytest.mark.parametrize("dataset", KINDS)
def test_each_modality_is_written_for_people(dataset: str, tmp_path: Path) -> None:
    rows = run_and_read(dataset, tmp_path / "samples", *SHORT)
    assert len(rows) == 4 and [row["input"]["kind"] for row in rows] == [KINDS[dataset]] * 4
    assert all({"index", "truth", "prediction"} <= set(row) for row in rows)
    written = {p.name for p in (tmp_path / "samples").iterdir()}
    named = {row["input"].get(key) for row in rows for key in ("file", "log_mel")} - {None}
    assert written == named | {"samples.json"}
    assert [p.name for p in tmp_path.iterdir()] == ["samples"]


def test_an_image_is_the_sample(tmp_path: Path) -> None:
    from quintain.plugins.dataset.digits import Digits

    rows = run_and_read("digits", tmp_path / "samples", *SHORT)
    data = Digits()
    data.setup()
    for k, row in enumerate(rows):
        batch = data.batch("test", torch.tensor([row["index"]]))
        with Image.open(tmp_path / "samples" / f"{k}.png") as image:
            pixels = np.asarray(image)
        assert np.array_equal(pixels, (batch.x[0, 0] * 255).round().byte().numpy())
        assert row["truth"] == str(int(batch.y[0])) and row["prediction"] in "0123456789"


def test_a_recording_is_the_sample_without_padding(tmp_path: Path) -> None:
    from quintain.plugins.dataset.spoken_words import SpokenWords

    rows = run_and_read("spoken_words", tmp_path / "samples", *SHORT)
    data = SpokenWords()
    data.setup()
    batch = data.batch("test", torch.tensor([rows[1]["index"]]))
    recording, rate = soundfile.read(tmp_path / "samples" / "1.wav", dtype="float32")
    assert rate == data.spec.sample_rate and len(recording) == int(batch.lengths[0])
    assert np.abs(recording - batch.x[0, : len(recording)].numpy()).max() < 1 / 16384
    with Image.open(tmp_path / "samples" / "1.png") as log_mel:
        assert log_mel.size[1] == 40  # mel bands


def test_a_forecast_is_in_the_units_of_the_data(tmp_path: Path) -> None:
    from statsmodels.datasets import sunspots

    rows = run_and_read("sunspots", tmp_path / "samples", *SHORT)
    series = sunspots.load_pandas().data["SUNACTIVITY"].to_numpy()
    first, last = rows[0], rows[-1]
    assert np.array(last["truth"])[:, 0] == pytest.approx(series[-11:], abs=1e-3)
    assert np.array(last["input"]["values"])[:, 0] == pytest.approx(series[-33:-11], abs=1e-3)
    assert np.array(first["prediction"]).shape == (11, 1)


def test_a_text_is_written_as_text(tmp_path: Path) -> None:
    rows = run_and_read("pydoc", tmp_path / "samples", *SHORT)
    assert all(row["truth"][:-1] == row["input"]["text"][1:] for row in rows)


def test_an_error_while_writing_samples_fails_no_run(tmp_path: Path, capfd: Any) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    save_samples(blocked / "samples", None, None, None, None)  # type: ignore[arg-type]
    assert "NotADirectoryError" in capfd.readouterr().err


def test_samples_are_uploaded_to_weights_and_biases(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    store, record = Store(tmp_path / "store"), make_record(seed=3)
    rows = run_and_read("spoken_words", store.samples(record.key), *SHORT)
    store.write(record)
    report = mirror_records([record], store, mode="offline")
    assert (report.written, report.notes) == (1, ())
    (file,) = (store.path / "wandb").glob(f"offline-run-*-{record.key}/*.wandb")
    logged: dict[str, Any] = {}
    for row in read_run(file)["history"]:
        logged |= row
    files = file.parent / "files"
    table = json.loads((files / logged["samples/table/path"]).read_text())
    assert [row[2] for row in table["data"]] == [row["truth"] for row in rows]
    spectrograms = {name: value for name, value in logged.items() if "log_mel" in name}
    counts = [value for name, value in spectrograms.items() if name.endswith("/count")]
    assert logged["samples/audio/_type"] == "audio" and sum(counts) == 4, spectrograms
    recordings = [*(files / "media").rglob("*.wav")]
    assert [soundfile.info(file).samplerate for file in recordings] == [8000] * 4
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
def test_malformed_samples_are_ignored(tmp_path: Path, text: str) -> None:
    (tmp_path / "samples.json").write_text(text)
    assert read_samples(tmp_path) == []


@pytest.mark.parametrize(
    "name", ["../secret.png", "/etc/passwd", ".hidden", "", 7, None, "a" * 300, "a\0b", "\ud800"]
)
def test_no_file_outside_the_folder_is_read(tmp_path: Path, name: Any) -> None:
    from quintain.records.samples import find_sample_file

    (tmp_path / "secret.png").write_text("x")
    (tmp_path / "samples").mkdir()
    (tmp_path / "samples" / ".hidden").write_text("x")
    assert find_sample_file(tmp_path / "samples", name) is None


def test_no_symbolic_link_is_followed(tmp_path: Path) -> None:
    from quintain.records.samples import find_sample_file

    folder, secret = tmp_path / "samples", tmp_path / "secret.png"
    folder.mkdir()
    secret.write_text("x")
    (folder / "0.png").write_text("x")
    (folder / "1.png").symlink_to(secret)
    (tmp_path / "linked").symlink_to(folder)
    assert find_sample_file(folder, "0.png") == folder / "0.png"
    assert (
        find_sample_file(folder, "1.png") is None
        and find_sample_file(tmp_path / "linked", "0.png") is None
    )
