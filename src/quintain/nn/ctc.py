"""Connectionist temporal classification (Graves et al. 2006): its loss and two decoders.

A path assigns one of K = S + 1 labels to each frame: a symbol 0 … S - 1, or the blank, label S.
Merging equal neighbours and then dropping the blanks turns a path into a text.

Legend: B batch, T frames, K labels, U symbols of a text.
"""

from __future__ import annotations

import math
from collections import defaultdict

import torch
from torch import Tensor
from torch.nn import functional

from quintain.contracts import Lexicon
from quintain.nn.decoding import mark_not_a_number
from quintain.nn.mask import length_mask, mask_fill

LOG_ZERO = -1e6  # log-probability of a symbol in the padding; finite, so that no gradient is NaN
MIN_LOG_PROBABILITY = math.log(1e-4)  # `prefix_beam_search` skips symbols less likely in a frame

_Text = tuple[int, ...]
_Prefixes = dict[_Text, tuple[float, float]]
"""The log-probabilities of all paths to a text that end with a blank, and with a symbol."""


def compute_log_probabilities(logits_BTK: Tensor, mask_BT: Tensor | None) -> Tensor:
    """Return the log-softmax of every frame; in the padding the blank has probability 1.

    A padded sample then has the paths of its valid frames, followed by blanks, so its loss over all
    T frames equals that over its valid frames.
    """
    dtype = torch.promote_types(logits_BTK.dtype, torch.float32)
    log_BTK = mask_fill(logits_BTK, mask_BT).log_softmax(-1, dtype=dtype)
    if mask_BT is None:
        return log_BTK
    is_blank_K = torch.arange(log_BTK.shape[2], device=log_BTK.device) == log_BTK.shape[2] - 1
    padding_K = torch.where(is_blank_K, 0.0, LOG_ZERO).to(log_BTK)
    return torch.where(mask_BT[..., None], log_BTK, padding_K)


def ctc_loss(log_BTK: Tensor, y_BU: Tensor, y_lengths_B: Tensor) -> Tensor:
    """Return -log P(y) of each sample in nats, (B,), where P(y) is the sum over all paths to y.

    It is 0 where no path leads to y, because there are too few frames.
    """
    frames_B = torch.full_like(y_lengths_B, log_BTK.shape[1])
    nats_B = functional.ctc_loss(
        log_BTK.transpose(0, 1),
        y_BU,
        frames_B,
        y_lengths_B,
        blank=log_BTK.shape[2] - 1,
        reduction="none",
        zero_infinity=True,
    )
    is_possible_B = count_frames(log_BTK) >= count_needed_frames(y_BU, y_lengths_B)
    return torch.where(is_possible_B, nats_B, 0.0)


def count_frames(log_BTK: Tensor) -> Tensor:
    """Count the valid frames of each sample, long (B,): in padding all symbols have `LOG_ZERO`."""
    return (log_BTK[..., :-1].amax(-1) > LOG_ZERO / 2).sum(1)


def count_needed_frames(y_BU: Tensor, y_lengths_B: Tensor) -> Tensor:
    """Count the frames that a path to y needs, long (B,).

    It needs one for each symbol, and one for the blank between two equal neighbours.
    """
    is_equal_BU = y_BU[:, 1:] == y_BU[:, :-1]
    is_valid_BU = length_mask(y_lengths_B - 1, is_equal_BU.shape[1])
    return y_lengths_B + (is_equal_BU & is_valid_BU).sum(1)


def greedy_decode(log_BTK: Tensor) -> Tensor:
    """Return the text of the most likely path, long (B, U), padded with -1.

    The text of a sample with a NaN is marked, see `mark_not_a_number`; likewise in `beam_decode`.
    """
    best_BT = log_BTK.argmax(-1)
    previous_BT = functional.pad(best_BT[:, :-1], (1, 0), value=-1)
    is_symbol_BT = (best_BT != previous_BT) & (best_BT != log_BTK.shape[2] - 1)
    position_BT = is_symbol_BT.cumsum(1) - 1
    longest = int(is_symbol_BT.sum(1).max())
    text_BU = best_BT.new_full((len(best_BT), longest), -1)
    row_BT = torch.arange(len(best_BT), device=best_BT.device)[:, None].expand_as(best_BT)
    text_BU[row_BT[is_symbol_BT], position_BT[is_symbol_BT]] = best_BT[is_symbol_BT]
    return mark_not_a_number(text_BU, log_BTK.isnan().flatten(1).any(1))


def beam_decode(log_BTK: Tensor, beam: int, lexicon: Lexicon | None = None) -> Tensor:
    """Return the text that `prefix_beam_search` finds, long (B, U), padded with -1."""
    rows = log_BTK.double().cpu().tolist()
    trie = None if lexicon is None else LexiconTrie(lexicon)
    texts = [torch.tensor(prefix_beam_search(row, beam, trie), dtype=torch.long) for row in rows]
    padded = torch.nn.utils.rnn.pad_sequence(texts, batch_first=True, padding_value=-1)
    return mark_not_a_number(padded.to(log_BTK.device), log_BTK.isnan().flatten(1).any(1))


class LexiconTrie:
    """The words of a lexicon as a prefix tree, which tells the symbols that may follow a text."""

    def __init__(self, lexicon: Lexicon) -> None:
        self._words, self._separator = set(lexicon.words), lexicon.between
        self._next_symbols: dict[_Text, set[int]] = defaultdict(set)
        for word in lexicon.words:
            for position, symbol in enumerate(word):
                self._next_symbols[word[:position]].add(symbol)
            if self._separator is not None:
                self._next_symbols[word].add(self._separator)

    def next_symbols(self, text: _Text) -> set[int]:
        """Return the symbols that may follow; the separator follows complete words only."""
        return self._next_symbols.get(self._last_word(text), set())

    def is_complete(self, text: _Text) -> bool:
        """Return whether the text is empty or its last word is in the lexicon."""
        return not text or self._last_word(text) in self._words

    def drop_last_word(self, text: _Text) -> _Text:
        """Return the text without its last word and the separator before it."""
        return text[: max(0, len(text) - len(self._last_word(text)) - 1)]

    def _last_word(self, text: _Text) -> _Text:
        reversed_text = text[::-1]
        if self._separator is None or self._separator not in reversed_text:
            return text
        return text[len(text) - reversed_text.index(self._separator) :]


def prefix_beam_search(
    log_TK: list[list[float]], beam: int, trie: LexiconTrie | None = None
) -> _Text:
    """Find the most likely text by prefix beam search (Hannun et al. 2014, no language model).

    The probabilities of all paths to a text are added up, so the result can be a text with many
    fairly likely paths instead of the text of the most likely path.

    Args:
        log_TK: log-probabilities of one sample.
        beam: number of most likely texts that are kept after each frame.
        trie: where given, the result consists of its words. If no text that is kept ends with a
            complete word, the result is the most likely one without its last word.
    """
    prefixes: _Prefixes = {(): (0.0, -math.inf)}
    for row in log_TK:
        extended = _extend_prefixes(prefixes, row, trie)
        ranked = sorted(extended.items(), key=lambda item: (-_log_add(*item[1]), item[0]))
        prefixes = dict(ranked[:beam])
    best = next(iter(prefixes))
    if trie is None:
        return best
    return next(filter(trie.is_complete, prefixes), trie.drop_last_word(best))


def _extend_prefixes(prefixes: _Prefixes, row: list[float], trie: LexiconTrie | None) -> _Prefixes:
    """Return all prefixes after one more frame, whose log-probabilities are `row`."""
    symbols = [symbol for symbol, log in enumerate(row[:-1]) if log > MIN_LOG_PROBABILITY]
    extended: _Prefixes = defaultdict(lambda: (-math.inf, -math.inf))
    for text, (log_blank, log_symbol) in prefixes.items():
        log_total = _log_add(log_blank, log_symbol)
        allowed = None if trie is None else trie.next_symbols(text)
        extended[text] = (_log_add(extended[text][0], log_total + row[-1]), extended[text][1])
        for symbol in symbols:
            log_start = log_total
            if text and text[-1] == symbol:  # equal frames merge unless a blank separates them
                log_repeated = _log_add(extended[text][1], log_symbol + row[symbol])
                extended[text] = (extended[text][0], log_repeated)
                log_start = log_blank
            if allowed is None or symbol in allowed:
                longer = (*text, symbol)
                log_longer = _log_add(extended[longer][1], log_start + row[symbol])
                extended[longer] = (extended[longer][0], log_longer)
    return extended


def _log_add(a: float, b: float) -> float:
    """Return log(exp a + exp b)."""
    high, low = max(a, b), min(a, b)
    return high if low == -math.inf else high + math.log1p(math.exp(low - high))
