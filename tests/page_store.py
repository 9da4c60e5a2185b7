"""A store for tests of the page: every kind of sample, curves, confusions, and markup as names."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import soundfile
from PIL import Image
from records_factory import cost, data, make, quality

from quintain.records.store import Store

NASTY = "<script>document.title='hacked'</script>{{script}}"
SAID = {
    "image": {"truth": "3", "prediction": "3", "input": {"kind": "image", "file": "0.png"}},
    "speech": {
        "truth": "yes",
        "prediction": "no",
        "input": {"kind": "speech", "log_mel": "0.png", "file": "0.wav"},
    },
    "video": {"truth": "up", "prediction": "up", "input": {"kind": "video", "file": "0.png"}},
    "text": {"truth": "neun", "prediction": NASTY, "input": {"kind": "text", "text": NASTY}},
    "series": {
        "truth": [[4.0], [5.0]],
        "prediction": [[4.5], [4.0]],
        "targets": ["load"],
        "input": {"kind": "series", "values": [[1.0], [2.0], [3.0]]},
    },
}
SCORES = {"cnn": (0.9, 0.92, 0.94), "lstm": (0.7, 0.75, 0.71), NASTY: (0.5, 0.6, 0.55)}


def filled(folder: Path) -> Store:
    """Three models with three seeds on five datasets, one a modality."""
    store = Store(folder)
    for modality, said in SAID.items():
        task = "forecast" if modality == "series" else "classify"
        name = NASTY if modality == "text" else f"{modality}_data"
        about = data(task) | {"modality": modality}
        for place, (model, scores) in enumerate(SCORES.items()):
            for seed, score in enumerate(scores, 1):
                spent = cost() | {"params": 10_000 * 30**place, "energy_kwh": 0.001}
                measured = {"data": about, "cost": spent, "quality": _quality(task, score)}
                record = make(dataset=name, model=model, seed=seed, task=task, **measured)
                store.write(record)
                _keep(store.samples(record.key), said)
        store.write(make(dataset=name, model="naive", reference=True, seed=0, task=task, data=about,
                         score=0.4, quality=quality(task, 0.4) | {"curve": []}))  # fmt: skip
    store.write(make(dataset="image_data", model="gru", status="failed"))
    return store


def _quality(task: str, score: float) -> dict:
    found = quality(task, score)
    if task == "classify":
        counts = [[8, 2, 0], [1, 9, 0], [0, 3, 7]]
        found["confusion"] = {"classes": ["a", "b", NASTY], "counts": counts}
    return found


def _keep(folder: Path, said: dict) -> None:
    folder.mkdir(parents=True)
    (folder / "samples.json").write_text(json.dumps([{"index": 7} | said]))
    if "file" in said["input"] or "log_mel" in said["input"]:
        pixels = np.arange(64, dtype=np.uint8).reshape(8, 8) * 3
        Image.fromarray(pixels).save(folder / "0.png")
    if "log_mel" in said["input"]:
        tone = np.sin(np.arange(800) / 3)  # a tenth of a second
        soundfile.write(folder / "0.wav", tone, 8000, subtype="PCM_16")
