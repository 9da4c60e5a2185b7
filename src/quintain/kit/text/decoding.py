"""Writing a sequence symbol by symbol: greedily, or with a beam.

Legend: B samples under way, N sequences under way, W sequences of a sample, K kinds of symbols, the
end included, C candidates, U symbols written.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

Step = Callable[[Tensor, Tensor], Tensor]
"""Samples, long (N,), and what was written for them, long (N, t) → log-probabilities (N, K) of the
next symbol, whose last kind is the end. The prefix holds no begin symbol; t is 0 at first."""

NOTHING = -1  # behind the end


def greedy(step: Step, samples: int, longest: int, device: torch.device) -> Tensor:
    """The likeliest symbol at each step → long (samples, U), U ≤ longest, -1 behind the end.

    Samples that have ended are not looked at again; all ended, it stops.
    """
    found = torch.full((samples, longest), NOTHING, device=device)
    rows_N = torch.arange(samples, device=device)
    prefix_NT = found[:, :0]
    for t in range(longest):
        said_NK = step(rows_N, prefix_NT)
        next_N = said_NK.argmax(-1)
        going_N = next_N < said_NK.shape[-1] - 1
        rows_N, next_N = rows_N[going_N], next_N[going_N]
        if not len(rows_N):
            return found[:, :t]
        found[rows_N, t] = next_N
        prefix_NT = torch.cat([prefix_NT[going_N], next_N[:, None]], dim=1)
    return found


def beam(step: Step, samples: int, longest: int, width: int, device: torch.device) -> Tensor:
    """The best of `width` sequences kept at each step → as `greedy`.

    A sequence is worth its mean log-probability a symbol, the end counted as one: the sum alone
    favours short answers. A sample is done when all its sequences have ended; one that has not
    after `longest` symbols counts as it stands.
    """
    found = torch.full((samples, longest), NOTHING, device=device)
    rows_B = torch.arange(samples, device=device)
    state = _Beams(
        written=found[:, None],
        total=torch.zeros(samples, 1, device=device),
        length=torch.zeros(samples, 1, device=device),
        ended=torch.zeros(samples, 1, dtype=torch.bool, device=device),
    )
    for t in range(longest):
        if not len(rows_B):
            break
        state = _next(state, _said(step, rows_B, state, t), width, t)
        found[rows_B] = state.written[:, 0]
        going_B = ~state.ended.all(1)
        rows_B, state = rows_B[going_B], _Beams(*(part[going_B] for part in state))
    used = int((found != NOTHING).sum(1).max()) if samples else 0
    return found[:, :used]


class _Beams(NamedTuple):
    """Sequences kept for each sample, the best first."""

    written: Tensor  # long (B, W, longest)
    total: Tensor  # log-probability (B, W)
    length: Tensor  # symbols it is of, the end included (B, W)
    ended: Tensor  # bool (B, W)


def _said(step: Step, rows_B: Tensor, state: _Beams, t: int) -> Tensor:
    """Log-probabilities (B, W, K); a sequence that has ended can only stay as it is."""
    going_BW = ~state.ended
    rows_BW = rows_B[:, None].expand_as(going_BW)
    said_NK = step(rows_BW[going_BW], state.written[going_BW][:, :t])
    shape = (*going_BW.shape, said_NK.shape[-1])
    said_BWK = said_NK.new_full(shape, -math.inf)
    said_BWK[..., -1] = 0
    said_BWK[going_BW] = said_NK
    return said_BWK


def _next(state: _Beams, said_BWK: Tensor, width: int, t: int) -> _Beams:
    """The `width` best of all sequences one symbol longer."""
    kinds = said_BWK.shape[-1]
    total_BC = (state.total[..., None] + said_BWK).flatten(1)
    length_BW = state.length + ~state.ended
    worth_BC = total_BC / length_BW.repeat_interleave(kinds, 1)
    best_BW = worth_BC.topk(min(width, worth_BC.shape[1])).indices
    parent_BW, symbol_BW = best_BW // kinds, best_BW % kinds
    across_B1 = torch.arange(len(best_BW), device=best_BW.device)[:, None]
    ended_BW = state.ended[across_B1, parent_BW] | (symbol_BW == kinds - 1)
    written = state.written[across_B1, parent_BW]
    written[..., t] = symbol_BW.masked_fill(ended_BW, NOTHING)
    return _Beams(written, total_BC.gather(1, best_BW), length_BW[across_B1, parent_BW], ended_BW)
