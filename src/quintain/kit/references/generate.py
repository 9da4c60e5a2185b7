"""The free rows of sequence generation: one answer for all, and the nearest sample's answer.

Both answer as the head does: long (B, U), -1 behind the end of each.

Legend: B batch, N train samples, F features of a sample, V vocabulary, U symbols.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from scipy.sparse import csr_array, vstack
from sklearn.feature_extraction.text import TfidfTransformer
from torch import Tensor
from torch.nn import functional

from quintain.contracts import Batch, Dataset, Predictor, Stem
from quintain.kit.mask import keep, mask_of, masked_mean
from quintain.kit.references.simple import batches
from quintain.kit.text.written import truth

MOST = 2**26  # values of train samples that are kept for comparison, 256 MB

Similar = Callable[[Batch], Tensor]
"""A batch → long (B,), the place of the train sample that is most like each."""


def majority(dataset: Dataset, stem: Stem) -> Predictor:
    """The commonest target of the train split, of several the first; the same for each sample."""
    seen: dict[tuple[int, ...], int] = {}
    for batch in batches(dataset, "train"):
        for row in truth(batch).tolist():
            text = tuple(symbol for symbol in row if symbol >= 0)
            seen[text] = seen.get(text, 0) + 1
    best_U = torch.tensor(max(seen, key=seen.__getitem__), dtype=torch.long)
    return lambda batch: best_U.to(batch.x.device).expand(len(batch.x), -1)


def nearest(dataset: Dataset, stem: Stem) -> Predictor:
    """The target of the train sample whose input has the largest cosine with the one asked.

    Texts are compared by how often they have each token, rare ones weighing more (tf-idf); all
    else by the stem's features less their mean over the train split: side by side where samples
    are equally long, else their mean over time. Of large data only so many samples are searched,
    evenly spread, as fit into 256 MB.
    """
    of_text = dataset.spec.modality == "text"
    similar = _similar_text(dataset) if of_text else _similar_features(dataset, stem)
    some_N = torch.arange(dataset.size("train")) if of_text else _spread(dataset, stem)
    longest = dataset.spec.target_length
    y_NU = torch.cat([_wide(truth(batch), longest) for batch in _taken(dataset, some_N)])
    return lambda batch: y_NU[similar(batch)].to(batch.x.device)


def _similar_text(dataset: Dataset) -> Similar:
    counts = [_bag(batch, dataset.spec.vocabulary) for batch in batches(dataset, "train")]
    weights = TfidfTransformer()
    known_VN = weights.fit_transform(vstack(counts, format="csr")).T.tocsc()

    def similar(batch: Batch) -> Tensor:
        asked_BV = weights.transform(_bag(batch, dataset.spec.vocabulary))
        return torch.as_tensor((asked_BV @ known_VN).toarray().argmax(1))

    return similar


def _similar_features(dataset: Dataset, stem: Stem) -> Similar:
    taken = _taken(dataset, _spread(dataset, stem))
    known_NF = torch.cat([_features(stem, batch) for batch in taken])
    mean_F = known_NF.mean(0)
    known_NF = functional.normalize(known_NF.sub_(mean_F))

    def similar(batch: Batch) -> Tensor:
        return ((_features(stem, batch) - mean_F) @ known_NF.T).argmax(1)

    return similar


def _spread(dataset: Dataset, stem: Stem) -> Tensor:
    """Which samples are kept, long (N,)."""
    values = _features(stem, dataset.take("train", torch.arange(1))).shape[1]
    size = dataset.size("train")
    return torch.arange(0, size, -(-size * values // MOST))


def _taken(dataset: Dataset, some_N: Tensor) -> Iterator[Batch]:
    for part in torch.split(some_N, 256):
        yield dataset.take("train", part)


@torch.no_grad()
def _features(stem: Stem, batch: Batch) -> Tensor:
    """(B, F) on the CPU."""
    x, mask = stem(batch.x, batch.lengths)
    x_BF = x.flatten(1) if mask is None else masked_mean(x, mask)
    return x_BF.float().cpu()


def _bag(batch: Batch, vocabulary: int) -> csr_array:
    """How often each text has each token, (B, V)."""
    x_BT = batch.x.cpu()
    if batch.lengths is not None:
        x_BT = keep(x_BT, mask_of(batch.lengths.cpu(), x_BT.shape[1]), -1)
    rows, columns = torch.nonzero(x_BT >= 0, as_tuple=True)
    places = (rows.numpy(), x_BT[rows, columns].numpy())
    return csr_array((np.ones(len(rows)), places), shape=(len(x_BT), vocabulary))


def _wide(y_BU: Tensor, longest: int) -> Tensor:
    """-1 behind, up to the longest target."""
    return functional.pad(y_BU, (0, longest - y_BU.shape[1]), value=-1)
