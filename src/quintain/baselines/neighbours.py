"""Predictions by the most similar samples of the train split.

Legend: B batch, N train samples, M nearest samples, F features, K targets, V vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from scipy.sparse import csr_array, vstack
from sklearn.feature_extraction.text import TfidfTransformer
from torch import Tensor
from torch.nn import functional

from quintain.baselines.batches import input_mask, iterate_batches
from quintain.contracts import Batch, Dataset, Predictor, Stem
from quintain.nn.mask import mask_fill, masked_mean

MAX_VALUES = 2**26  # of the features of train samples that are kept in memory, 256 MiB
COUNTS = (1, 3, 10, 30)  # numbers of nearest samples that are tried

Similarity = Callable[[Batch], Tensor]
"""A function that returns the similarity to each train sample, (B, N)."""
Combine = Callable[[Tensor], Tensor]
"""A function of the targets of the nearest samples, (B, M, K), that returns a prediction (B, K)."""
Error = Callable[[Tensor, Tensor], Tensor]
"""A function of predictions and true targets, (B, K) each, that returns their mean error."""


def fit_nearest(dataset: Dataset, stem: Stem, combine: Combine, error: Error) -> Predictor:
    """Predict from the targets of the nearest train samples.

    Texts are compared by the cosine of tf-idf, other inputs by the Euclidean distance of the stem's
    features; see `fit_similarity`. The number of samples is the one of `COUNTS` with the smallest
    error on the validation split.
    """
    indices_N, compare = fit_similarity(dataset, stem, use_cosine=False)
    y_NK = torch.cat([batch.y for batch in iterate_batches(dataset, "train", indices=indices_N)])
    counts = [count for count in COUNTS if count <= len(y_NK)]

    def find_targets(batch: Batch) -> Tensor:
        return y_NK[compare(batch).topk(counts[-1], dim=1).indices]

    totals = dict.fromkeys(counts, 0.0)
    for batch in iterate_batches(dataset, "val"):
        y_BMK = find_targets(batch)
        for count in counts:
            totals[count] += len(batch.y) * float(error(combine(y_BMK[:, :count]), batch.y))
    best = min(counts, key=lambda count: totals[count])
    return lambda batch: combine(find_targets(batch)[:, :best]).to(batch.x.device)


def fit_similarity(
    dataset: Dataset, stem: Stem, *, use_cosine: bool = True
) -> tuple[Tensor, Similarity]:
    """Return the numbers of the train samples that are compared, long (N,), and their similarity.

    It orders samples like the cosine. Texts are compared by tf-idf of their tokens. Other inputs
    are compared by the stem's features minus their mean over the train split; where samples differ
    in length, the features are first averaged over time. Without `use_cosine` their similarity is
    the negative Euclidean distance, up to its order. A large train split is thinned evenly until
    its features fit into 256 MiB.
    """
    if dataset.spec.modality == "text":
        return torch.arange(dataset.size("train")), _compare_texts(dataset)
    indices_N = _choose_indices(dataset, stem)
    return indices_N, _compare_features(dataset, stem, indices_N, use_cosine)


def _compare_texts(dataset: Dataset) -> Similarity:
    vocabulary = dataset.spec.vocabulary
    counts = [_count_tokens(batch, vocabulary) for batch in iterate_batches(dataset, "train")]
    tfidf = TfidfTransformer()
    train_VN = tfidf.fit_transform(vstack(counts, format="csr")).T.tocsc()

    def compare(batch: Batch) -> Tensor:
        x_BV = tfidf.transform(_count_tokens(batch, vocabulary))
        return torch.as_tensor((x_BV @ train_VN).toarray())

    return compare


def _compare_features(
    dataset: Dataset, stem: Stem, indices_N: Tensor, use_cosine: bool
) -> Similarity:
    batches = iterate_batches(dataset, "train", indices=indices_N)
    train_NF = torch.cat([_compute_features(stem, batch) for batch in batches])
    mean_F = train_NF.mean(0)
    train_NF = train_NF.sub_(mean_F)
    if use_cosine:
        train_NF = functional.normalize(train_NF)
        return lambda batch: (_compute_features(stem, batch) - mean_F) @ train_NF.T
    half_square_N = train_NF.square().sum(1) / 2
    # |x - a|² = |x|² - 2 (x·a - |a|² / 2), where |x|² is the same for all train samples a.
    return lambda batch: (_compute_features(stem, batch) - mean_F) @ train_NF.T - half_square_N


def _choose_indices(dataset: Dataset, stem: Stem) -> Tensor:
    """Return the numbers of the train samples that are searched, long (N,)."""
    values = _compute_features(stem, dataset.batch("train", torch.arange(1))).shape[1]
    size = dataset.size("train")
    return torch.arange(0, size, math.ceil(size * values / MAX_VALUES))


@torch.no_grad()
def _compute_features(stem: Stem, batch: Batch) -> Tensor:
    """Return features (B, F) on the CPU, averaged over time where samples differ in length."""
    x, mask = stem(batch.x, batch.lengths)
    x_BF = x.flatten(1) if mask is None else masked_mean(x, mask)
    return x_BF.float().cpu()


def _count_tokens(batch: Batch, vocabulary: int) -> csr_array:
    """Count the tokens of each text, (B, V)."""
    x_BT = mask_fill(batch.x, input_mask(batch), -1).cpu()
    rows, columns = torch.nonzero(x_BT >= 0, as_tuple=True)
    entries = (rows.numpy(), x_BT[rows, columns].numpy())
    return csr_array((np.ones(len(rows)), entries), shape=(len(x_BT), vocabulary))
