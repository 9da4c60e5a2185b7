"""Baselines of sequence generation: a constant target, and the target of the nearest sample.

Both predict symbols, long (B, U), padded with -1, as the head does.

Legend: B batch, N train samples, F features of a sample, V vocabulary, U symbols.
"""

from __future__ import annotations

from collections import Counter

import torch
from torch.nn import functional

from quintain.baselines.batches import iterate_batches, predict_constant
from quintain.baselines.neighbours import fit_similarity
from quintain.contracts import Dataset, Predictor, Stem
from quintain.metrics.text_metrics import target_symbols
from quintain.nn.mask import unpad


def majority(dataset: Dataset, stem: Stem) -> Predictor:
    """Predict the most frequent target of the train split, the first one on a tie."""
    counts = Counter(
        tuple(target)
        for batch in iterate_batches(dataset, "train")
        for target in unpad(batch.y, batch.y_lengths)
    )
    return predict_constant(torch.tensor(counts.most_common(1)[0][0], dtype=torch.long))


def nearest(dataset: Dataset, stem: Stem) -> Predictor:
    """Predict the target of the most similar train sample; see `fit_similarity`."""
    indices_N, similarity = fit_similarity(dataset, stem)
    longest = dataset.spec.target_length
    y_NU = torch.cat(
        [
            functional.pad(y_BU, (0, longest - y_BU.shape[1]), value=-1)
            for y_BU in map(target_symbols, iterate_batches(dataset, "train", indices=indices_N))
        ]
    )
    return lambda batch: y_NU[similarity(batch).argmax(1)].to(batch.x.device)
