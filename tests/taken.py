"""What a dataset gives, taken whole; shared by several tests."""

from functools import cache

import torch

SPLITS = ("train", "val", "test")


@cache
def loaded(make):
    data = make()
    data.setup()
    return data


def whole(data, split):
    return data.take(split, torch.arange(data.size(split)))


def texts(data, split):
    batch = whole(data, split)
    rows = zip(batch.y.tolist(), batch.y_lengths.tolist(), strict=True)
    return [data.text(row[:length], "y") for row, length in rows]
