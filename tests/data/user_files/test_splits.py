"""Splits of user data by key and by time, and notes on samples in several splits."""

from __future__ import annotations

import numpy as np
import pytest

from quintain.data.user_files.splits import SPLITS, leak_notes, resolve_borders, split_by_key
from quintain.errors import DataError


def test_splits_depend_on_content_and_not_on_order() -> None:
    keys = [f"text {k % 180}" for k in range(200)]  # twenty are repeated
    labels = ["ab"[k % 180 % 2] for k in range(200)]
    first = split_by_key(keys, labels)
    reversed_splits = split_by_key(keys[::-1], labels[::-1])
    keys_of = []
    for split in SPLITS:
        reversed_keys = {keys[::-1][k] for k in reversed_splits[split]}
        assert {keys[k] for k in first[split]} == reversed_keys
        keys_of.append(reversed_keys)
        assert sum(labels[k] == "a" for k in first[split]) >= 8
    assert [len(split_keys) for split_keys in keys_of] == [126, 18, 36]
    assert sum(len(first[split]) for split in SPLITS) == 200
    # One more text changes the split of few others.
    more = split_by_key([*keys, "new"], [*labels, "a"])
    assert len({keys[k] for k in more["test"] if k < 200} ^ keys_of[2]) <= 2


def test_classes_too_small_to_split_are_named() -> None:
    with pytest.raises(DataError, match=r"one sample .*: 'b', 'c'; add samples"):
        split_by_key(["1", "2", "3", "4", "4", "5"], ["a", "a", "a", "b", "b", "c"])
    tiny = split_by_key(["1", "2", "3", "4", "5"], ["a", "a", "a", "b", "b"])
    assert [len(tiny[split]) for split in SPLITS] == [2, 1, 2]
    with pytest.raises(DataError, match="2 different samples are too few for 3 splits"):
        split_by_key(["1", "2", "2"])
    with pytest.raises(ValueError, match="sum to 1"):
        split_by_key(["1", "2", "3"], shares=(0.5, 0.1, 0.1))


def test_borders_are_shares_steps_or_times() -> None:
    assert resolve_borders(100) == (70, 80, 100)
    assert resolve_borders(17420, [8640, 11520, 14400]) == (8640, 11520, 14400)
    assert resolve_borders(10, [3, 8], np.arange(0, 20, 2)) == (2, 4, 10)
    for borders in ([0.7], [0.8, 0.7], [0.5, 9], [5, 20], [5, 5]):
        with pytest.raises(ValueError, match="borders"):
            resolve_borders(10, borders)


def test_samples_in_several_given_splits_are_noted() -> None:
    assert leak_notes({"train": ["a", "b"], "val": ["c"], "test": ["b", "c", "d"]}) == [
        "2 of 3 samples of test occur in an earlier split too: their score shows what was memorised"
    ]
