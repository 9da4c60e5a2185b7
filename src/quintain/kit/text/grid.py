"""The sentences of the GRID corpus (Cooke et al. 2006): six slots, a word of each."""

from __future__ import annotations

SLOTS = (
    ("bin", "lay", "place", "set"),
    ("blue", "green", "red", "white"),
    ("at", "by", "in", "with"),
    tuple("abcdefghijklmnopqrstuvxyz"),  # no w, whose name alone has three syllables
    ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
    ("again", "now", "please", "soon"),
)
WORDS = tuple(word for slot in SLOTS for word in slot)
