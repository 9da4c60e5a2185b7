"""Loading of splits and of a stem's features, and constant predictions.

Legend: B batch, N samples of a split, F values of a sample, K values of a prediction.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional

from quintain.contracts import Batch, Dataset, Predictor, Split, Stem
from quintain.nn.mask import length_mask, mask_fill


def iterate_batches(
    dataset: Dataset, split: Split, batch_size: int = 256, *, indices: Tensor | None = None
) -> Iterator[Batch]:
    """Yield all samples of a split in order, or those at `indices`, long (N,)."""
    indices = torch.arange(dataset.size(split)) if indices is None else indices
    for part in torch.split(indices, batch_size):
        yield dataset.batch(split, part)


def load_targets(dataset: Dataset) -> Tensor:
    """Return y of the whole train split."""
    return torch.cat([batch.y for batch in iterate_batches(dataset, "train")])


def input_mask(batch: Batch) -> Tensor | None:
    """Return the mask (B, T) of x; None where all steps are valid."""
    return None if batch.lengths is None else length_mask(batch.lengths, batch.x.shape[1])


@torch.no_grad()
def flatten_features(stem: Stem, batch: Batch) -> Tensor:
    """Return a batch's features (B, F) on the CPU, zero in the padding."""
    x, mask = stem(batch.x, batch.lengths)
    x = mask_fill(x, mask)
    if mask is not None:  # the batch may be shorter than the longest sample of the dataset
        x = functional.pad(x, (0, 0) * (x.dim() - 2) + (0, stem.out.grid[0] - x.shape[1]))
    return x.flatten(1).float().cpu()


def load_features(dataset: Dataset, stem: Stem, split: Split) -> tuple[Tensor, Tensor]:
    """Return features (N, F) and y of a whole split."""
    rows = [(flatten_features(stem, batch), batch.y) for batch in iterate_batches(dataset, split)]
    return torch.cat([x for x, _ in rows]), torch.cat([y for _, y in rows])


def predict_constant(value: Tensor) -> Predictor:
    """Return a predictor of the same value, (K,), for every sample: (B, K)."""
    return lambda batch: value.to(batch.x.device).expand(len(batch.x), -1)
