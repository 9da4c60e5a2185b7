"""Names that W&B accepts: it refuses long ones."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

from quintain.wandb_mirror.client import MAX_NAME

_TITLE_LENGTH = 80  # an artifact adds "run-leaderboard-curves" and "_table" to it
_DROPPED = re.compile(r"[^a-zA-Z0-9-_.]+")  # characters that W&B leaves out of artifact names


def shorten(name: str, limit: int = MAX_NAME) -> str:
    """Return a name of at most `limit` characters; one that was cut ends with … and its hash."""
    if len(name) <= limit:
        return name
    return f"{name[: limit - 10]}… {_digest(name)}"


def shorten_titles(titles: Iterable[str]) -> dict[str, str]:
    """Return a short name for each title, different also without the characters that W&B drops."""
    names: dict[str, str] = {}
    used: set[str] = set()
    for title in titles:
        name = shorten(title, _TITLE_LENGTH)
        if (bare := _DROPPED.sub("", name)) in used or not bare:
            name = f"{name[: _TITLE_LENGTH - 9]} {_digest(title)}"
        used.add(_DROPPED.sub("", name))
        names[title] = name
    return names


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:8]
