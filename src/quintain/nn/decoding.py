"""Autoregressive decoding, one symbol at a time: greedy search and beam search.

Legend: B unfinished samples, N unfinished sequences, W sequences of a sample (the beam), K symbol
types (the last is the end symbol), C = W · K candidates, U symbols of the result.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

StepFunction = Callable[[Tensor, Tensor], Tensor]
"""A function that returns log-probabilities of the next symbol, (N, K).

Its arguments are the number of each sequence's sample, long (N,), and the symbols decoded so far
without a begin symbol, long (N, t), t ≥ 0.
"""

PADDING = -1
NOT_A_NUMBER = -2
"""Every symbol of a sample for which a model has returned NaN instead of log-probabilities."""


def greedy_search(
    step: StepFunction, num_samples: int, max_length: int, device: torch.device
) -> Tensor:
    """Choose the most likely symbol at each step, until each sample has an end or `max_length`.

    Returns:
        The symbols, long (num_samples, U), U ≤ max_length, padded with -1; see `mark_not_a_number`.
    """
    checked = _CheckedStep(step, num_samples, device)
    symbols = torch.full((num_samples, max_length), PADDING, device=device)
    rows_N = torch.arange(num_samples, device=device)
    prefix_NT = symbols[:, :0]
    for t in range(max_length):
        log_NK = checked(rows_N, prefix_NT)
        next_N = log_NK.argmax(-1)
        is_unfinished_N = next_N < log_NK.shape[-1] - 1
        rows_N, next_N = rows_N[is_unfinished_N], next_N[is_unfinished_N]
        if not len(rows_N):
            return mark_not_a_number(symbols[:, :t], checked.is_bad_B)
        symbols[rows_N, t] = next_N
        prefix_NT = torch.cat([prefix_NT[is_unfinished_N], next_N[:, None]], dim=1)
    return mark_not_a_number(symbols, checked.is_bad_B)


def beam_search(
    step: StepFunction, num_samples: int, max_length: int, width: int, device: torch.device
) -> Tensor:
    """Keep the `width` best sequences of each sample at each step, and return the best one.

    Sequences are ranked by their mean log-probability per symbol, including the end symbol, because
    the sum would favour short sequences. A sequence that reaches `max_length` needs no end.

    Returns:
        The symbols, long (num_samples, U), U ≤ max_length, padded with -1; see `mark_not_a_number`.
    """
    checked = _CheckedStep(step, num_samples, device)
    symbols = torch.full((num_samples, max_length), PADDING, device=device)
    rows_B = torch.arange(num_samples, device=device)
    beams = _Beams(
        symbols=symbols[:, None],
        total=torch.zeros(num_samples, 1, device=device),
        length=torch.zeros(num_samples, 1, device=device),
        has_ended=torch.zeros(num_samples, 1, dtype=torch.bool, device=device),
    )
    for t in range(max_length):
        if not len(rows_B):
            break
        beams = _extend_beams(beams, _score_next_symbols(checked, rows_B, beams, t), width, t)
        symbols[rows_B] = beams.symbols[:, 0]
        is_unfinished_B = ~beams.has_ended.all(1)
        rows_B = rows_B[is_unfinished_B]
        beams = _Beams(*(tensor[is_unfinished_B] for tensor in beams))
    length = int((symbols != PADDING).sum(1).max()) if num_samples else 0
    return mark_not_a_number(symbols[:, :length], checked.is_bad_B)


def mark_not_a_number(symbols_BU: Tensor, is_bad_B: Tensor) -> Tensor:
    """Set every symbol of the bad samples to `NOT_A_NUMBER`, in one column at least."""
    if not is_bad_B.any():
        return symbols_BU
    if not symbols_BU.shape[1]:
        symbols_BU = symbols_BU.new_full((len(symbols_BU), 1), PADDING)
    return symbols_BU.masked_fill(is_bad_B[:, None], NOT_A_NUMBER)


class _CheckedStep:
    """Calls a step function, and remembers the samples for which it has returned NaN."""

    def __init__(self, step: StepFunction, num_samples: int, device: torch.device) -> None:
        self._step = step
        self.is_bad_B = torch.zeros(num_samples, dtype=torch.bool, device=device)

    def __call__(self, rows_N: Tensor, prefix_NT: Tensor) -> Tensor:
        log_NK = self._step(rows_N, prefix_NT)
        self.is_bad_B[rows_N[log_NK.isnan().any(-1)]] = True
        return log_NK


class _Beams(NamedTuple):
    """The sequences kept for each sample, the best first."""

    symbols: Tensor  # long (B, W, max_length), padded with -1
    total: Tensor  # log-probability (B, W)
    length: Tensor  # number of symbols including the end (B, W)
    has_ended: Tensor  # bool (B, W)


def _score_next_symbols(step: StepFunction, rows_B: Tensor, beams: _Beams, t: int) -> Tensor:
    """Return log-probabilities (B, W, K); only the end can follow a sequence that has ended."""
    is_unfinished_BW = ~beams.has_ended
    rows_BW = rows_B[:, None].expand_as(is_unfinished_BW)
    log_NK = step(rows_BW[is_unfinished_BW], beams.symbols[is_unfinished_BW][:, :t])
    log_BWK = log_NK.new_full((*is_unfinished_BW.shape, log_NK.shape[-1]), -math.inf)
    log_BWK[..., -1] = 0
    log_BWK[is_unfinished_BW] = log_NK
    return log_BWK


def _extend_beams(beams: _Beams, log_BWK: Tensor, width: int, t: int) -> _Beams:
    """Extend each sequence by each symbol; return the `width` best results of each sample."""
    num_types = log_BWK.shape[-1]
    total_BC = (beams.total[..., None] + log_BWK).flatten(1)
    length_BW = beams.length + ~beams.has_ended
    mean_BC = total_BC / length_BW.repeat_interleave(num_types, 1)
    best_BW = mean_BC.topk(min(width, mean_BC.shape[1])).indices
    parent_BW, symbol_BW = best_BW // num_types, best_BW % num_types
    row_B1 = torch.arange(len(best_BW), device=best_BW.device)[:, None]
    has_ended_BW = beams.has_ended[row_B1, parent_BW] | (symbol_BW == num_types - 1)
    symbols = beams.symbols[row_B1, parent_BW]
    symbols[..., t] = symbol_BW.masked_fill(has_ended_BW, PADDING)
    return _Beams(symbols, total_BC.gather(1, best_BW), length_BW[row_B1, parent_BW], has_ended_BW)
