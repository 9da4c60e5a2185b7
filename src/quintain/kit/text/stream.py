"""One long text as a data set: windows of tokens and the tokens that follow."""

from __future__ import annotations

import hashlib
from abc import abstractmethod

import torch
from torch import Tensor

from quintain.contracts import Batch, DataSpec, Split
from quintain.kit.dataset import InMemory


class TokenStream(InMemory):
    """Windows of `context` tokens as views of one text a split; a subclass writes `streams`.

    Held-out windows stand side by side, so that each of their tokens is predicted once; what is
    left at the end and fills no window is left out. Train windows may overlap.

    Args:
        spec: task next_token, shape (context,).
        stride: tokens between the starts of two train windows; 1 gives a window at every token.
    """

    def __init__(self, spec: DataSpec, stride: int) -> None:
        (context,) = spec.shape
        wrong = [
            f"{name} must be 1 or more, came {value}"
            for name, value in (("context", context), ("stride", stride))
            if value < 1
        ]
        if wrong:
            raise ValueError("; ".join(wrong))
        super().__init__(spec)
        self._context, self._stride = context, stride
        self._streams: dict[Split, Tensor] = {}

    @abstractmethod
    def streams(self) -> dict[Split, Tensor]:
        """The tokens of train, val and test, long (tokens,) each, in the order of the text."""

    def load(self) -> dict[Split, Batch]:
        """Windows that take no memory of their own."""
        self._streams = self.streams()
        return {
            split: self._windows(split, tokens, self._stride if split == "train" else self._context)
            for split, tokens in self._streams.items()
        }

    def fingerprint(self) -> str:
        """`sha256:` of the tokens of each split, however windows are cut from them.

        Those of stride 1 would be `context` times as long.
        """
        self._whole("train")  # says so where nothing is loaded
        digest = hashlib.sha256()
        for split in ("train", "val", "test"):
            tokens = self._streams[split]
            digest.update(f"{split} {len(tokens)}\n".encode())
            digest.update(tokens.to(torch.int64).contiguous().numpy().tobytes())
        return f"sha256:{digest.hexdigest()}"

    def _windows(self, split: Split, tokens: Tensor, stride: int) -> Batch:
        if len(tokens) <= self._context:
            raise ValueError(
                f"{split} has {len(tokens):,} tokens, too few for one window of context "
                f"{self._context} and the token after it: use a shorter context"
            )
        x = tokens[:-1].unfold(0, self._context, stride)
        return Batch(x, tokens[1:].unfold(0, self._context, stride))
