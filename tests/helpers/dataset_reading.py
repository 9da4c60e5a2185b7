"""Load datasets and whole splits."""

from functools import cache

import torch

SPLITS = ("train", "val", "test")


@cache
def load_once(make):
    data = make()
    data.setup()
    return data


def load_split(data, split):
    return data.batch(split, torch.arange(data.size(split)))


def decode_targets(data, split):
    batch = load_split(data, split)
    rows = zip(batch.y.tolist(), batch.y_lengths.tolist(), strict=True)
    return [data.decode(row[:length], "y") for row, length in rows]
