"""Next-character prediction on the help topics of the Python manual, part of every CPython."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pydoc_data import topics

import torch
from torch import Tensor

from quintain.contracts import DataSpec, Side, Split
from quintain.data.text.token_windows import TokenStream

_OTHER = 0
_CHARACTERS = "\n" + "".join(chr(code) for code in range(32, 127))
_HELD_OUT = 20  # val and test each have a twentieth of the text


class Pydoc(TokenStream):
    """350,000 characters of English about Python; x and y int64 (context,).

    The topics in alphabetical order are one text: 90 % train, then 5 % val, then 5 % test.
    Duplicate lines are left out, because topics quote each other and a sixth of the test text would
    also be in train. The text depends on the release of CPython. Token 0 is any character except
    printable ASCII and newline. Held-out characters that do not fill a window are in train.

    Args:
        context: characters in a window.
        stride: characters between the starts of two train windows.
    """

    def __init__(self, context: int = 64, stride: int = 16) -> None:
        spec = DataSpec(
            name="pydoc",
            modality="text",
            task="next_token",
            shape=(context,),
            vocabulary=1 + len(_CHARACTERS),
        )
        super().__init__(spec, stride)

    def read_tokens(self) -> dict[Split, Tensor]:
        tokens = _encode(unique_lines())
        (context,) = self.spec.shape
        held_out = len(tokens) // _HELD_OUT // context * context + 1
        train, val, test = tokens.split([len(tokens) - 2 * held_out, held_out, held_out])
        return {"train": train, "val": val, "test": test}

    def decode(self, tokens: Sequence[int], side: Side) -> str:
        """Return the text of tokens, with · for token 0."""
        return "".join("·" if token == _OTHER else _CHARACTERS[token - 1] for token in tokens)


def unique_lines() -> str:
    """Return the help topics as one text without duplicate lines and repeated blank lines."""
    text = "\n".join(topics.topics[name] for name in sorted(topics.topics))
    known: set[str] = set()
    lines = []
    for line in text.split("\n"):
        content = line.strip()
        if not content or content not in known:
            known.add(content)
            lines.append(line)
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines))


def _encode(text: str) -> Tensor:
    """Encode characters as tokens, int64 (len(text),)."""
    token_of = {character: token for token, character in enumerate(_CHARACTERS, start=1)}
    return torch.tensor([token_of.get(character, _OTHER) for character in text])
