"""Order samples for stratified splits."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def stratified_order(labels: npt.ArrayLike, seed: int) -> npt.NDArray[np.int64]:
    """Return a shuffled order of the samples, (N,), in which every prefix is stratified.

    Cutting it anywhere gives stratified splits. The k-th of the n samples of a class is at the
    fraction (k + ½) / n of the order.

    Args:
        labels: class of each sample, (N,).
        seed: seed of the shuffle; a constant of the dataset, not the seed of a run.
    """
    labels = np.asarray(labels)
    shuffled = np.random.default_rng(seed).permutation(len(labels))
    position = np.empty(len(labels))
    for label in np.unique(labels):
        members = shuffled[labels[shuffled] == label]
        position[members] = (np.arange(len(members)) + 0.5) / len(members)
    # A stable sort of the shuffled order, so that ties are not in the order of the file.
    return shuffled[np.argsort(position[shuffled], kind="stable")]
