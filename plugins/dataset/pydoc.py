"""The next character of the Python manual's help topics, which every CPython brings along."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pydoc_data import topics

import torch
from torch import Tensor

from quintain.contracts import Batch, DataSpec, Side, Split
from quintain.kit.dataset import InMemory

_OTHER = 0
_CHARACTERS = "\n" + "".join(chr(code) for code in range(32, 127))
_HELD_OUT = 20  # val and test are each a twentieth of the text


class Pydoc(InMemory):
    """English about Python, 350,000 characters; x and y long (context,), y one character ahead.

    The topics in the order of their names make one text: 90% train, then 5% val, then 5% test.
    Topics quote each other, so that a line that stood before is left out: else a sixth of the test
    text would stand word for word in train. Every release of CPython has a text of its own.
    Token 0 stands for all characters but printable ASCII and newline. Validation and test are
    windows side by side, so that each of their characters is predicted once; the few that fill
    no window stay with train, whose windows begin at every `stride`-th character.

    Args:
        context: characters of a window.
        stride: characters between the starts of two training windows.
    """

    def __init__(self, context: int = 64, stride: int = 16) -> None:
        super().__init__(
            DataSpec(
                name="pydoc",
                modality="text",
                task="next_token",
                shape=(context,),
                vocabulary=1 + len(_CHARACTERS),
            )
        )
        self._context, self._stride = context, stride

    def load(self) -> dict[Split, Batch]:
        """Windows as views of the text: overlapping ones take no memory of their own."""
        text = _encode(manual())
        held_out = len(text) // _HELD_OUT // self._context * self._context + 1
        train, val, test = text.split([len(text) - 2 * held_out, held_out, held_out])
        return {
            "train": self._windows(train, self._stride),
            "val": self._windows(val, self._context),
            "test": self._windows(test, self._context),
        }

    def text(self, tokens: Sequence[int], side: Side) -> str:
        """Characters; what is not ASCII is shown as ·."""
        return "".join("·" if t == _OTHER else _CHARACTERS[t - 1] for t in tokens)

    def _windows(self, text: Tensor, stride: int) -> Batch:
        x = text[:-1].unfold(0, self._context, stride)
        return Batch(x, text[1:].unfold(0, self._context, stride))


def manual() -> str:
    """The help topics as one text, each line where it stands first, no two blank lines in a row."""
    text = "\n".join(topics.topics[name] for name in sorted(topics.topics))
    seen: set[str] = set()
    kept = []
    for line in text.split("\n"):
        bare = line.strip()
        if not bare or bare not in seen:
            seen.add(bare)
            kept.append(line)
    return re.sub(r"\n{3,}", "\n\n", "\n".join(kept))


def _encode(text: str) -> Tensor:
    """Characters → tokens, long (len(text),)."""
    tokens = {character: place for place, character in enumerate(_CHARACTERS, start=1)}
    return torch.tensor([tokens.get(character, _OTHER) for character in text])
