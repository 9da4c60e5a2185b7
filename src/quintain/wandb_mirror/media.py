"""Logs the samples of a run to Weights & Biases: a table, images and audio."""

from __future__ import annotations

import json
import logging
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quintain.records.redact import redact
from quintain.records.samples import find_sample_file, read_samples

if TYPE_CHECKING:
    from wandb import Run

log = logging.getLogger(__name__)


def log_samples(run: Run, folder: Path) -> None:
    """Log the table `samples/table` (index, input, truth, prediction), and media with captions.

    W&B shows the images of one key in the size of the first, so each size has a key of its own.
    Media are not part of the table, because W&B would store those in the user's cache folder, but
    an offline run must keep them until it is synced.
    """
    import wandb

    if not (rows := read_samples(folder)):
        return
    table = wandb.Table(columns=["index", "input", "truth", "prediction"])
    media: dict[str, list[Any]] = defaultdict(list)
    for row in rows:
        sample = row["input"]
        truth, prediction = (_to_text(row[name]) for name in ("truth", "prediction"))
        shown = sample.get("text", sample.get("values", sample.get("file", "")))
        table.add_data(row["index"], _to_text(shown), truth, prediction)
        try:
            for kind, item in _load_media(folder, sample, f"{prediction} (truth: {truth})"):
                media[f"samples/{kind}{_describe_size(item)}"].append(item)
        except Exception as error:  # decoders raise many kinds of errors for damaged files
            reason = redact(str(error))
            log.warning("%s of %s cannot be shown: %s", sample.get("file"), folder, reason)
    run.log({"samples/table": table, **_merge_sizes(media)})


def _load_media(folder: Path, sample: dict[str, Any], caption: str) -> Iterator[tuple[str, Any]]:
    """Yield (kind, W&B media object) for each file of an input."""
    import wandb

    kind, file = sample.get("kind"), find_sample_file(folder, sample.get("file"))
    if kind in ("image", "video") and file:
        yield kind, wandb.Image(str(file), caption=caption)
    if kind == "speech" and file:
        yield "audio", wandb.Audio(str(file), caption=caption)
    if image := find_sample_file(folder, sample.get("log_mel")):
        yield "log_mel", wandb.Image(str(image), caption=caption)


def _describe_size(item: Any) -> str:
    image = getattr(item, "image", None)
    return f" {image.width}×{image.height}" if image is not None else ""


def _merge_sizes(media: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
    """Leave the size out of the key of a kind whose images all have one size."""
    kinds = Counter(key.partition(" ")[0] for key in media)
    merged = {}
    for key, items in media.items():
        kind = key.partition(" ")[0]
        merged[kind if kinds[kind] == 1 else key] = items
    return merged


def _to_text(value: Any) -> str:
    return redact(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
