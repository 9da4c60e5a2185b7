"""Baselines of sequence generation: a constant target, and the target of the nearest sample.

Both predict symbols, long (B, U), padded with -1, as the head does.

Legend: B batch, N train samples, F features of a sample, V vocabulary, U symbols.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable

import numpy as np
import torch
from scipy.sparse import csr_array, vstack
from sklearn.feature_extraction.text import TfidfTransformer
from torch import Tensor
from torch.nn import functional

from quintain.baselines.batches import input_mask, iterate_batches, predict_constant
from quintain.contracts import Batch, Dataset, Predictor, Stem
from quintain.metrics.text_metrics import target_symbols
from quintain.nn.mask import mask_fill, masked_mean, unpad

MAX_VALUES = 2**26  # of the features of train samples that are kept in memory, 256 MiB

FindNearest = Callable[[Batch], Tensor]
"""A function that returns the number of the most similar train sample, long (B,)."""


def majority(dataset: Dataset, stem: Stem) -> Predictor:
    """Predict the most frequent target of the train split, the first one on a tie."""
    counts = Counter(
        tuple(target)
        for batch in iterate_batches(dataset, "train")
        for target in unpad(batch.y, batch.y_lengths)
    )
    return predict_constant(torch.tensor(counts.most_common(1)[0][0], dtype=torch.long))


def nearest(dataset: Dataset, stem: Stem) -> Predictor:
    """Predict the target of the train sample whose input has the largest cosine similarity.

    Texts are compared by tf-idf of their tokens. Other inputs are compared by the stem's features
    minus their mean over the train split; where samples differ in length, the features are first
    averaged over time. A large train split is thinned evenly until its features fit into 256 MiB.
    """
    if dataset.spec.modality == "text":
        find_nearest = _nearest_text(dataset)
        indices_N = torch.arange(dataset.size("train"))
    else:
        indices_N = _choose_indices(dataset, stem)
        find_nearest = _nearest_features(dataset, stem, indices_N)
    longest = dataset.spec.target_length
    y_NU = torch.cat(
        [
            functional.pad(y_BU, (0, longest - y_BU.shape[1]), value=-1)
            for y_BU in map(target_symbols, iterate_batches(dataset, "train", indices=indices_N))
        ]
    )
    return lambda batch: y_NU[find_nearest(batch)].to(batch.x.device)


def _nearest_text(dataset: Dataset) -> FindNearest:
    vocabulary = dataset.spec.vocabulary
    counts = [_count_tokens(batch, vocabulary) for batch in iterate_batches(dataset, "train")]
    tfidf = TfidfTransformer()
    train_VN = tfidf.fit_transform(vstack(counts, format="csr")).T.tocsc()

    def find_nearest(batch: Batch) -> Tensor:
        x_BV = tfidf.transform(_count_tokens(batch, vocabulary))
        return torch.as_tensor((x_BV @ train_VN).toarray().argmax(1))

    return find_nearest


def _nearest_features(dataset: Dataset, stem: Stem, indices_N: Tensor) -> FindNearest:
    batches = iterate_batches(dataset, "train", indices=indices_N)
    train_NF = torch.cat([_compute_features(stem, batch) for batch in batches])
    mean_F = train_NF.mean(0)
    train_NF = functional.normalize(train_NF.sub_(mean_F))

    def find_nearest(batch: Batch) -> Tensor:
        return ((_compute_features(stem, batch) - mean_F) @ train_NF.T).argmax(1)

    return find_nearest


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
