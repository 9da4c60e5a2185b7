"""The grammar and the splits of the GRID corpus (Cooke et al. 2006)."""

from __future__ import annotations

from collections.abc import Iterable

from quintain.contracts import Split

SLOTS = (
    ("bin", "lay", "place", "set"),
    ("blue", "green", "red", "white"),
    ("at", "by", "in", "with"),
    tuple("abcdefghijklmnopqrstuvxyz"),  # no w, whose name alone has three syllables
    ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
    ("again", "now", "please", "soon"),
)
"""The words at each of the six positions of a sentence."""
WORDS = tuple(word for slot in SLOTS for word in slot)


def split_ids(ids: Iterable[str]) -> dict[Split, list[str]]:
    """Return the ids of each split, sorted: every tenth is in test, the next one in val."""
    names = sorted(ids)
    train = [name for k, name in enumerate(names) if k % 10 > 1]
    return {"train": train, "val": names[1::10], "test": names[::10]}
