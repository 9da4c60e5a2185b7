"""The free rows of language models: frequencies, and a linear model of the last few tokens.

Legend: B batch, T steps, V vocabulary, N real positions, K tokens read, F = K·V + 1.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from quintain.contracts import Batch, Dataset, Predictor, Stem
from quintain.kit.mask import mask_of
from quintain.kit.references import batches

RECENT, STEPS, DRAWN, RATE = 8, 400, 4096, 0.03  # tokens read; Adam's steps, batch and rate


def unigram(dataset: Dataset, stem: Stem) -> Predictor:
    """Log-frequencies of tokens, add-one smoothed, at every position: (B, T, V)."""
    log_V = _log_frequencies(_pair_counts(dataset))
    return lambda batch: log_V.to(batch.x.device).expand(*batch.x.shape, -1)


def linear_next_token(dataset: Dataset, stem: Stem) -> Predictor:
    """Softmax regression on the one-hot of the last 8 tokens of the window: logits (B, T, V).

    Positions before the window add nothing. Adam in large random batches, seeded.
    """
    vocabulary = dataset.spec.vocabulary
    train = [(_recent(batch.x, vocabulary), batch) for batch in batches(dataset, "train")]
    keys_NK = torch.cat([_real(keys, batch) for keys, batch in train])
    y_N = torch.cat([_real(batch.y, batch) for _, batch in train])
    weight_FV = _fit_softmax(keys_NK, y_N, vocabulary)

    def predict(batch: Batch) -> Tensor:
        keys_BTK = _recent(batch.x.cpu(), vocabulary)
        logits = functional.embedding_bag(keys_BTK.flatten(0, 1), weight_FV, mode="sum")
        return logits.reshape(*batch.x.shape, -1).to(batch.x.device)

    return predict


def _real(value: Tensor, batch: Batch) -> Tensor:
    """The real positions of (B, T, …), side by side."""
    return value.flatten(0, 1) if (mask := _real_mask(batch)) is None else value[mask]


def _recent(x_BT: Tensor, vocabulary: int) -> Tensor:
    """Rows of the weights for the last RECENT tokens, (B, T, K); the last row means none."""
    window = functional.pad(x_BT, (RECENT - 1, 0), value=vocabulary).unfold(1, RECENT, 1)
    rows = window + torch.arange(RECENT) * vocabulary
    return torch.where(window < vocabulary, rows, RECENT * vocabulary)


def _fit_softmax(keys_NK: Tensor, y_N: Tensor, vocabulary: int) -> Tensor:
    """Weights (K·V + 1, V), the last row zero: Adam, with a rate that falls to zero."""
    draw = torch.Generator().manual_seed(0)
    weight = torch.zeros(RECENT * vocabulary + 1, vocabulary)
    mean, square = torch.zeros_like(weight), torch.zeros_like(weight)
    for step in range(STEPS):
        at = torch.randint(len(y_N), (DRAWN,), generator=draw)
        keys, y = keys_NK[at], y_N[at]
        error = functional.embedding_bag(keys, weight, mode="sum").softmax(1)
        error[torch.arange(DRAWN), y] -= 1
        slope = torch.zeros_like(weight)
        slope.index_add_(0, keys.flatten(), error.repeat_interleave(RECENT, 0) / DRAWN)
        slope[-1] = 0
        mean.lerp_(slope, 0.1)
        square.lerp_(slope.square(), 0.01)
        scale = (square / (1 - 0.99 ** (step + 1))).sqrt() + 1e-8
        weight -= RATE * (1 - step / STEPS) * mean / (1 - 0.9 ** (step + 1)) / scale
    return weight


def _pair_counts(dataset: Dataset) -> Tensor:
    """How often token v follows token u in the train split: float64 (V, V)."""
    vocabulary = dataset.spec.vocabulary
    count = torch.zeros(vocabulary * vocabulary, dtype=torch.long)
    for batch in batches(dataset, "train"):
        real = slice(None) if (mask := _real_mask(batch)) is None else mask
        pairs = (batch.x * vocabulary + batch.y)[real].flatten()
        count += torch.bincount(pairs, minlength=vocabulary * vocabulary)
    return count.reshape(vocabulary, vocabulary).double()


def _log_frequencies(count_VV: Tensor) -> Tensor:
    count_V = count_VV.sum(0) + 1
    return (count_V / count_V.sum()).log().float()


def _real_mask(batch: Batch) -> Tensor | None:
    return None if batch.lengths is None else mask_of(batch.lengths, batch.x.shape[1])
