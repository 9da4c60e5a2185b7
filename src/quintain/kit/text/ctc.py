"""Connectionist temporal classification (Graves et al. 2006): its loss, and two ways to read it.

A path gives one of K = S + 1 labels to each frame: a symbol 0 … S - 1 or the blank, number S. Its
text is what is left after merging equal neighbours and then dropping the blanks.

Legend: B batch, T frames, K labels, U symbols of a text.
"""

from __future__ import annotations

import math
from collections import defaultdict

import torch
from torch import Tensor
from torch.nn import functional

from quintain.contracts import Lexicon
from quintain.kit.mask import keep

NEVER = -1e6  # log-probability of a symbol behind the mask; finite, so that no gradient is NaN
LEAST = math.log(1e-4)  # a symbol less likely than this in a frame is not tried by `prefix_beam`

_Chances = tuple[float, float]  # logarithms: of the paths that end in blank, and of the others


def log_probabilities(logits_BTK: Tensor, mask_BT: Tensor | None) -> Tensor:
    """Log-softmax of every frame; behind the mask the blank is certain.

    So the paths of a padded sample are those of its real frames, each with blanks behind it: the
    loss over all T frames is that over the real ones.
    """
    kind = torch.promote_types(logits_BTK.dtype, torch.float32)
    log_BTK = keep(logits_BTK, mask_BT).log_softmax(-1, dtype=kind)
    if mask_BT is None:
        return log_BTK
    blank_K = torch.arange(log_BTK.shape[2], device=log_BTK.device) == log_BTK.shape[2] - 1
    padding_K = torch.where(blank_K, 0.0, NEVER).to(log_BTK)
    return torch.where(mask_BT[..., None], log_BTK, padding_K)


def nats(log_BTK: Tensor, y_BU: Tensor, y_lengths_B: Tensor) -> Tensor:
    """- log P(y) of each sample, summed over all paths, in nats (B,); of what no path gives, 0."""
    frames_B = torch.full_like(y_lengths_B, log_BTK.shape[1])
    blank = log_BTK.shape[2] - 1
    nats_B = functional.ctc_loss(
        *(log_BTK.transpose(0, 1), y_BU, frames_B, y_lengths_B),
        blank=blank,
        reduction="none",
        zero_infinity=True,
    )
    return torch.where(frames(log_BTK) >= needed(y_BU, y_lengths_B), nats_B, 0.0)


def frames(log_BTK: Tensor) -> Tensor:
    """Number of real frames of each sample, long (B,), from what `log_probabilities` gave."""
    return (log_BTK[..., :-1].amax(-1) > NEVER / 2).sum(1)


def needed(y_BU: Tensor, y_lengths_B: Tensor) -> Tensor:
    """Frames without which no path gives y, long (B,): one a symbol, a blank between two equal."""
    equal_BU = y_BU[:, 1:] == y_BU[:, :-1]
    inside_BU = torch.arange(1, max(1, y_BU.shape[1]), device=y_BU.device) < y_lengths_B[:, None]
    return y_lengths_B + (equal_BU & inside_BU[:, : equal_BU.shape[1]]).sum(1)


def greedy(log_BTK: Tensor) -> Tensor:
    """The text of the likeliest path: long (B, U), -1 behind the end of each."""
    best_BT = log_BTK.argmax(-1)
    before_BT = functional.pad(best_BT[:, :-1], (1, 0), value=-1)
    kept_BT = (best_BT != before_BT) & (best_BT != log_BTK.shape[2] - 1)
    place_BT = kept_BT.cumsum(1) - 1
    longest = int(kept_BT.sum(1).max())
    text_BU = best_BT.new_full((len(best_BT), longest), -1)
    row_BT = torch.arange(len(best_BT), device=best_BT.device)[:, None].expand_as(best_BT)
    text_BU[row_BT[kept_BT], place_BT[kept_BT]] = best_BT[kept_BT]
    return text_BU


def beam_search(log_BTK: Tensor, beam: int, lexicon: Lexicon | None = None) -> Tensor:
    """The likeliest texts that `prefix_beam` finds: long (B, U), -1 behind the end of each."""
    rows = log_BTK.double().cpu().tolist()
    trie = None if lexicon is None else Trie(lexicon)
    texts = [torch.tensor(prefix_beam(row, beam, trie), dtype=torch.long) for row in rows]
    padded = torch.nn.utils.rnn.pad_sequence(texts, batch_first=True, padding_value=-1)
    return padded.to(log_BTK.device)


class Trie:
    """The beginnings of words of a lexicon: which symbols may follow on a text."""

    def __init__(self, lexicon: Lexicon) -> None:
        self._between = lexicon.between
        self._next: dict[tuple[int, ...], set[int]] = defaultdict(set)
        for word in lexicon.words:
            for place, symbol in enumerate(word):
                self._next[word[:place]].add(symbol)
            if self._between is not None:
                self._next[word].add(self._between)
        self._words = set(lexicon.words)

    def follow(self, text: tuple[int, ...]) -> set[int]:
        """The symbols by which the last word is continued, or ended where it is one."""
        return self._next.get(self._last(text), set())

    def ends(self, text: tuple[int, ...]) -> bool:
        """Whether the last word is one, or there is none."""
        return not text or self._last(text) in self._words

    def whole(self, text: tuple[int, ...]) -> tuple[int, ...]:
        """The text without a last word that is none, and without what stood before that."""
        if self.ends(text):
            return text
        return text[: max(0, len(text) - len(self._last(text)) - 1)]

    def _last(self, text: tuple[int, ...]) -> tuple[int, ...]:
        backwards = text[::-1]
        if self._between is None or self._between not in backwards:
            return text
        return text[len(text) - backwards.index(self._between) :]


def prefix_beam(log_TK: list[list[float]], beam: int, trie: Trie | None = None) -> tuple[int, ...]:
    """Prefix beam search (Hannun et al. 2014, without a language model): the likeliest text.

    Adds up all paths of the `beam` likeliest beginnings, so that a text with many middling paths
    can win over that of the single best path. With a trie, of its words only; should none of the
    beginnings that are left end with a word, the likeliest of them without its unfinished one.
    """
    alive: dict[tuple[int, ...], _Chances] = {(): (0.0, -math.inf)}
    for row in log_TK:
        tried = [symbol for symbol, chance in enumerate(row[:-1]) if chance > LEAST]
        grown = _grow(alive, row, tried, trie)
        ranked = sorted(grown.items(), key=lambda item: (-_add(*item[1]), item[0]))
        alive = dict(ranked[:beam])
    likeliest = next(iter(alive))
    if trie is None:
        return likeliest
    return next(filter(trie.ends, alive), trie.whole(likeliest))


def _grow(
    alive: dict[tuple[int, ...], _Chances],
    row: list[float],
    tried: list[int],
    trie: Trie | None,
) -> dict[tuple[int, ...], _Chances]:
    """All beginnings after one more frame."""
    grown: dict[tuple[int, ...], _Chances] = defaultdict(lambda: (-math.inf, -math.inf))
    for text, (blank, symbol) in alive.items():
        total = _add(blank, symbol)
        following = None if trie is None else trie.follow(text)
        grown[text] = (_add(grown[text][0], total + row[-1]), grown[text][1])
        for new in tried:
            start = total
            if text and text[-1] == new:  # without a blank between, the frames merge
                grown[text] = (grown[text][0], _add(grown[text][1], symbol + row[new]))
                start = blank
            if following is not None and new not in following:
                continue
            longer = (*text, new)
            grown[longer] = (grown[longer][0], _add(grown[longer][1], start + row[new]))
    return grown


def _add(a: float, b: float) -> float:
    """log(exp a + exp b)."""
    high, low = max(a, b), min(a, b)
    return high if low == -math.inf else high + math.log1p(math.exp(low - high))
