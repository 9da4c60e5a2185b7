"""A store for tests of the page: samples of every kind, curves, confusions, and markup as names."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import soundfile
from PIL import Image

from helpers.record_factory import cost_values, data_values, make_record, quality_values
from quintain.records.store import Store

MARKUP = "<script>document.title='hacked'</script>{{script}}"
SAMPLES = {
    "image": {"truth": "3", "prediction": "3", "input": {"kind": "image", "file": "0.png"}},
    "speech": {
        "truth": "yes",
        "prediction": "no",
        "input": {"kind": "speech", "log_mel": "0.png", "file": "0.wav"},
    },
    "video": {"truth": "up", "prediction": "up", "input": {"kind": "video", "file": "0.png"}},
    "text": {"truth": "neun", "prediction": MARKUP, "input": {"kind": "text", "text": MARKUP}},
    "series": {
        "truth": [[4.0], [5.0]],
        "prediction": [[4.5], [4.0]],
        "targets": ["load"],
        "input": {"kind": "series", "values": [[1.0], [2.0], [3.0]]},
    },
}
SCORES = {"cnn": (0.9, 0.92, 0.94), "lstm": (0.7, 0.75, 0.71), MARKUP: (0.5, 0.6, 0.55)}


def make_page_store(folder: Path) -> Store:
    """Three models with three seeds on five datasets, one for each modality."""
    store = Store(folder)
    for modality, sample in SAMPLES.items():
        task = "forecast" if modality == "series" else "classify"
        name = MARKUP if modality == "text" else f"{modality}_data"
        data = data_values(task) | {"modality": modality}
        for i, (model, scores) in enumerate(SCORES.items()):
            for seed, score in enumerate(scores, 1):
                cost = cost_values() | {"params": 10_000 * 30**i, "energy_kwh": 0.001}
                values = {"data": data, "cost": cost, "quality": _quality(task, score)}
                record = make_record(dataset=name, model=model, seed=seed, task=task, **values)
                store.write(record)
                _write_sample(store.samples(record.key), sample)
        quality = quality_values(task, 0.4) | {"curve": []}
        store.write(make_record(dataset=name, model="naive", baseline=True, seed=0, task=task,
                                data=data, score=0.4, quality=quality))  # fmt: skip
    store.write(make_record(dataset="image_data", model="gru", status="failed"))
    return store


def _quality(task: str, score: float) -> dict:
    quality = quality_values(task, score)
    if task == "classify":
        counts = [[8, 2, 0], [1, 9, 0], [0, 3, 7]]
        quality["confusion"] = {"classes": ["a", "b", MARKUP], "counts": counts}
    return quality


def _write_sample(folder: Path, sample: dict) -> None:
    folder.mkdir(parents=True)
    (folder / "samples.json").write_text(json.dumps([{"index": 7} | sample]))
    if "file" in sample["input"] or "log_mel" in sample["input"]:
        pixels = np.arange(64, dtype=np.uint8).reshape(8, 8) * 3
        Image.fromarray(pixels).save(folder / "0.png")
    if "log_mel" in sample["input"]:
        tone = np.sin(np.arange(800) / 3)  # a tenth of a second
        soundfile.write(folder / "0.wav", tone, 8000, subtype="PCM_16")
