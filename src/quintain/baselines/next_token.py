"""Baselines of next-token prediction: token frequencies, and a linear model of recent tokens.

Legend: B batch, T steps, V vocabulary, N valid positions, K recent tokens, F = K·V + 1.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional

from quintain.baselines.batches import input_mask, iterate_batches
from quintain.contracts import Batch, Dataset, Predictor, Stem, Unsupported
from quintain.nn.mask import select_valid

NUM_RECENT = 8  # K, the tokens that the linear model reads
STEPS, BATCH_SIZE, LEARNING_RATE = 400, 4096, 0.03  # of the training with Adam
MAX_POSITIONS = 1 << 22  # of the train split that are used; their K token indices take 256 MiB
MAX_WEIGHTS = 1 << 24  # 64 MiB; gradient and optimizer state need three times as much again


def unigram(dataset: Dataset, stem: Stem) -> Predictor:
    """Predict the log-frequencies of tokens, add-one smoothed, at every position: (B, T, V)."""
    count_V = torch.ones(dataset.spec.vocabulary, dtype=torch.long)
    for batch in iterate_batches(dataset, "train"):
        count_V += torch.bincount(select_valid(batch.y, input_mask(batch)), minlength=len(count_V))
    count = count_V.double()
    log_V = (count / count.sum()).log().float()
    return lambda batch: log_V.to(batch.x.device).expand(*batch.x.shape, -1)


def linear_next_token(dataset: Dataset, stem: Stem) -> Predictor:
    """Fit multinomial logistic regression to the last 8 tokens, one-hot encoded: logits (B, T, V).

    Adam trains it with a fixed seed. If the train split has more than four million positions, it is
    fitted to a random subset of the samples.

    Raises:
        Unsupported: the model would have too many weights, 8 · V².
    """
    vocabulary = dataset.spec.vocabulary
    if (weights := NUM_RECENT * vocabulary**2) > MAX_WEIGHTS:
        raise Unsupported(
            f"a linear model of the last {NUM_RECENT} of {vocabulary:,} token types has "
            f"{weights:,} weights; at most {MAX_WEIGHTS:,} are fitted"
        )
    batches = list(_iterate_training_batches(dataset))
    masks = [input_mask(batch) for batch in batches]
    indices = [_find_weight_rows(batch.x, vocabulary) for batch in batches]
    indices_NK = torch.cat([select_valid(*pair) for pair in zip(indices, masks, strict=True)])
    y_N = torch.cat([select_valid(b.y, mask) for b, mask in zip(batches, masks, strict=True)])
    weight_FV = _fit_logistic(indices_NK, y_N, vocabulary)

    def predict(batch: Batch) -> Tensor:
        indices_BTK = _find_weight_rows(batch.x.cpu(), vocabulary)
        logits = functional.embedding_bag(indices_BTK.flatten(0, 1), weight_FV, mode="sum")
        return logits.reshape(*batch.x.shape, -1).to(batch.x.device)

    return predict


def _iterate_training_batches(dataset: Dataset) -> Iterator[Batch]:
    """Iterate over the train split, or over a random subset of its samples if it is too large."""
    size, limit = dataset.size("train"), max(1, MAX_POSITIONS // dataset.spec.shape[0])
    subset = None
    if size > limit:
        subset = torch.randperm(size, generator=torch.Generator().manual_seed(0))[:limit]
        subset = subset.sort().values
    return iterate_batches(dataset, "train", indices=subset)


def _find_weight_rows(x_BT: Tensor, vocabulary: int) -> Tensor:
    """Return the rows of the weight that belong to the last K tokens, (B, T, K).

    The last row of the weight stands for positions before the first token.
    """
    window = functional.pad(x_BT, (NUM_RECENT - 1, 0), value=vocabulary).unfold(1, NUM_RECENT, 1)
    rows = window + torch.arange(NUM_RECENT) * vocabulary
    return torch.where(window < vocabulary, rows, NUM_RECENT * vocabulary)


def _fit_logistic(indices_NK: Tensor, y_N: Tensor, vocabulary: int) -> Tensor:
    """Return the weight (F, V); its last row is zero."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.zeros(NUM_RECENT * vocabulary + 1, vocabulary, requires_grad=True)
    optimizer = torch.optim.Adam([weight], lr=LEARNING_RATE, betas=(0.9, 0.99), foreach=False)
    decay = torch.optim.lr_scheduler.LinearLR(
        optimizer, start_factor=1.0, end_factor=1 / STEPS, total_iters=STEPS - 1
    )
    for _ in range(STEPS):
        rows = torch.randint(len(y_N), (BATCH_SIZE,), generator=generator)
        logits = functional.embedding_bag(
            indices_NK[rows], weight, mode="sum", padding_idx=len(weight) - 1
        )
        optimizer.zero_grad()
        torch.autograd.backward(functional.cross_entropy(logits, y_N[rows]))
        optimizer.step()
        decay.step()
    return weight.detach()
