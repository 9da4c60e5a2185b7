"""Fixed splits in which every class has its share."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def stratified_order(labels: npt.ArrayLike, seed: int) -> npt.NDArray[np.int64]:
    """A shuffled order of the samples in which every prefix holds each class in proportion.

    Cutting it anywhere gives stratified splits of any wanted size. The k-th of the n samples of
    a class is placed at (k + ½) / n of the whole.

    Args:
        labels: class of each sample, (N,).
        seed: of the shuffle; a constant of the dataset, never the seed of a run.

    Returns:
        Indices, (N,), each sample once.
    """
    labels = np.asarray(labels)
    shuffled = np.random.default_rng(seed).permutation(len(labels))
    place = np.empty(len(labels))
    for name in np.unique(labels):
        members = shuffled[labels[shuffled] == name]
        place[members] = (np.arange(len(members)) + 0.5) / len(members)
    # Shuffled again where classes of one size tie, else neighbours would come in file order.
    return shuffled[np.argsort(place[shuffled], kind="stable")]
