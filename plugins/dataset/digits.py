"""Handwritten digits, 8×8 grey images that scikit-learn includes."""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits

from quintain.plugin_api import Batch, DataSpec, InMemory, Split, stratified_order

_SEED = 1797
_SLICES: dict[Split, slice] = {
    "train": slice(0, 1100),
    "val": slice(1100, 1400),
    "test": slice(1400, None),
}


class Digits(InMemory):
    """1,797 digits of 13 writers; x (1, 8, 8) in [0, 1]; 1,100 / 300 / 397, stratified."""

    def __init__(self) -> None:
        spec = DataSpec(
            name="digits",
            modality="image",
            task="classify",
            shape=(1, 8, 8),
            classes=tuple("0123456789"),
        )
        super().__init__(spec)

    def load(self) -> dict[Split, Batch]:
        images, labels = load_digits(return_X_y=True)
        order = stratified_order(labels, _SEED)
        x = torch.from_numpy(images[order]).float().div(16).reshape(-1, 1, 8, 8)
        y = torch.from_numpy(labels[order]).long()
        return {split: Batch(x[rows].clone(), y[rows].clone()) for split, rows in _SLICES.items()}
