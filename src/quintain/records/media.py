"""The samples of a run in Weights & Biases."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quintain.records.plain import plain_json
from quintain.records.scrub import scrub

if TYPE_CHECKING:
    from wandb import Run

log = logging.getLogger(__name__)

MOST = 2**20  # bytes of samples.json that are read; ours has a few thousand


def show_samples(run: Run, folder: Path) -> None:
    """Log `samples/table` (index, input, truth, prediction), and pictures and sounds with captions.

    Media lie in the run's own folder, where an offline run keeps them until it is synced; a table
    of media would leave them in a cache of the user's.
    """
    if not (rows := read_samples(folder)):
        return
    import wandb

    table = wandb.Table(columns=["index", "input", "truth", "prediction"])
    media: dict[str, list[Any]] = {}
    for row in rows:
        shown = row["input"]
        truth, said = (scrub(_words(row[side])) for side in ("truth", "prediction"))
        words = scrub(_words(shown.get("text", shown.get("values", shown.get("file", "")))))
        table.add_data(row["index"], words, truth, said)
        try:
            for name, one in _media(folder, shown, f"{said} (truth: {truth})"):
                media.setdefault(f"samples/{name}", []).append(one)
        except Exception as error:  # a broken picture raises what its decoder likes
            log.warning("%s of %s is not shown: %s", shown.get("file"), folder, scrub(str(error)))
    run.log({"samples/table": table, **media})


def read_samples(folder: Path) -> list[dict[str, Any]]:
    """The rows of a run's samples, [] where there are none that can be used."""
    try:
        if not (file := inside(folder, "samples.json")) or file.stat().st_size > MOST:
            return []
        rows = plain_json(json.loads(file.read_text(encoding="utf-8")), {})
        return [row for row in rows if _usable(row)]
    except (OSError, ValueError, TypeError, RecursionError):
        return []


def _usable(row: Any) -> bool:
    wanted = {"index", "truth", "prediction", "input"}
    if not isinstance(row, dict) or not wanted <= set(row):
        return False
    return isinstance(row["index"], int) and isinstance(row["input"], dict)


def _media(folder: Path, shown: dict[str, Any], caption: str) -> Iterator[tuple[str, Any]]:
    """What W&B can show of an input, under the name of its kind."""
    import wandb

    kind, file = shown.get("kind"), inside(folder, shown.get("file"))
    if kind in ("image", "video") and file:
        yield kind, wandb.Image(str(file), caption=caption)
    if kind == "speech" and file:
        yield "sound", wandb.Audio(str(file), caption=caption)
    if picture := inside(folder, shown.get("log_mel")):
        yield "log_mel", wandb.Image(str(picture), caption=caption)


def inside(folder: Path, name: Any) -> Path | None:
    """A file of this folder, and no link out of it: a samples.json may come from anybody."""
    if not isinstance(name, str) or Path(name).name != name or name.startswith("."):
        return None
    file = folder / name
    try:
        linked = folder.is_symlink() or file.is_symlink()
        return file if file.is_file() and not linked else None
    except (OSError, ValueError):  # a name that no file can have
        return None


def _words(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
