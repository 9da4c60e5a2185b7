"""Reproducible splits of user data: predefined, by content, by group, or by time.

A split by row number would change when the rows are reordered, and could put equal rows into
several splits. So each sample has a *key*: its content, or its group (speaker, subject, document).
Samples with the same key are in the same split.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, Protocol, Self, TypeVar, get_args

import numpy as np
import numpy.typing as npt

from quintain.contracts import Split
from quintain.data.files.problems import Problems, abbreviate
from quintain.errors import DataError

SHARES: Final = (0.7, 0.1, 0.2)  # of train, val, test
SPLITS: tuple[Split, ...] = get_args(Split)
SPLIT_NAMES: Mapping[str, Split] = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
}
"""Names of the splits in folders, tables and columns, in lower case."""

Indices = npt.NDArray[np.int64]


class Rows(Protocol):
    """A table from which rows can be selected."""

    def select(self, rows: Sequence[int] | Indices) -> Self: ...


class RowsWithSplits(Rows, Protocol):
    """A table with the given split of each row; None: not given."""

    @property
    def given(self) -> Sequence[Split | None]: ...


T = TypeVar("T")
RowsWithSplitsT = TypeVar("RowsWithSplitsT", bound=RowsWithSplits)
RowsT = TypeVar("RowsT", bound=Rows)


def split_by_key(
    keys: Sequence[str | bytes],
    labels: Sequence[str] | None = None,
    shares: Sequence[float] = SHARES,
) -> dict[Split, Indices]:
    """Return the ascending indices of the samples of each split; they depend on the keys only.

    The keys of each label are sorted by their hash and cut at the shares, so that the splits are
    stratified. A label with three or more keys has at least one in each split; one with
    two keys has none in val.

    Args:
        keys: one for each sample; samples with the same key are in the same split.
        labels: one for each sample; None: not stratified. A key with several labels counts for the
            alphabetically first one.
        shares: fractions of the keys for train, val and test; 0 leaves a split empty.

    Raises:
        DataError: some labels have a single key (the message names them, abbreviated), or no label
            has a key for each split.
        ValueError: the shares are not three numbers that sum to 1.
    """
    check_shares(shares)
    label_of: dict[str | bytes, str] = {}
    for key, label in zip(keys, labels or [""] * len(keys), strict=True):
        label_of[key] = min(label, label_of.get(key, label))
    keys_of: dict[str, list[str | bytes]] = defaultdict(list)
    for key, label in label_of.items():
        keys_of[label].append(key)
    _check_key_counts(keys_of, shares, is_labelled=labels is not None)
    split_of: dict[str | bytes, int] = {}
    for group in keys_of.values():
        numbers = np.repeat(range(len(SPLITS)), _split_sizes(len(group), shares)).tolist()
        split_of.update(zip(sorted(group, key=_hash), numbers, strict=True))
    split_numbers = np.array([split_of[key] for key in keys])
    return {split: np.flatnonzero(split_numbers == k) for k, split in enumerate(SPLITS)}


def assign_splits(
    samples: Sequence[T],
    given: Sequence[Split | None],
    keys: Sequence[str] | None,
    labels: Sequence[str] | None,
    shares: Sequence[float],
    method: str,
    problems: Problems,
) -> tuple[dict[Split, list[T]], str] | None:
    """Return the samples of each split and a note; None if a problem was added.

    Predefined splits are not changed; missing ones are taken from train.

    Args:
        samples: of any type.
        given: predefined split of each sample; None: not predefined.
        keys: see `split_by_key`; None: computing them failed, and `problems` says why.
        labels, shares: see `split_by_key`.
        method: how the keys were computed, for the note.
        problems: collects the problems.
    """
    check_shares(shares)
    if keys is None:
        return None
    by_split = {split: [k for k, s in enumerate(given) if s == split] for split in SPLITS}
    missing = [split for split in SPLITS if not by_split[split]]
    if not missing:
        splits = {split: [samples[k] for k in by_split[split]] for split in SPLITS}
        return splits, split_summary(splits, "as given")
    free = [k for k, split in enumerate(given) if split in (None, "train")]
    if not free:
        problems.add("there are given splits, but none is train")
        return None
    parts = [share if split in missing else 0 for split, share in zip(SPLITS, shares, strict=True)]
    parts[0] = 1 - sum(parts[1:])
    free_labels = None if labels is None else [labels[k] for k in free]
    indices = problems.catch(split_by_key, [keys[k] for k in free], free_labels, parts)
    if indices is None:
        return None
    if len(missing) < len(SPLITS):
        method = f"as given, {' and '.join(missing)} from train {method}"
    for split in SPLITS:
        by_split[split] = [free[k] for k in indices[split]] or by_split[split]
    splits = {split: [samples[k] for k in by_split[split]] for split in SPLITS}
    return splits, split_summary(splits, method)


def complete_splits(
    tables: Mapping[Split, RowsT],
    keys: Sequence[str],
    labels: Sequence[str] | None,
    texts: Callable[[RowsT], list[str]],
    method: str,
) -> tuple[dict[Split, RowsT], list[str]]:
    """Return the rows of train, val and test, and notes; missing splits are taken from train.

    Args:
        tables: rows of train, and of val and test if they are predefined.
        keys, labels: of the rows of train; see `split_by_key`.
        texts: returns a text for each row; rows of several splits with equal texts are reported.
        method: how the keys were computed, for the note.

    Raises:
        DataError: train cannot be split.
    """
    train = tables["train"]
    given: dict[Split, RowsT] = {split: t for split, t in tables.items() if split != "train"}
    splits = {"train": train, **given}
    if len(given) < 2:
        parts = [0.0 if split in given else s for split, s in zip(SPLITS, SHARES, strict=True)]
        indices = split_by_key(keys, labels, [part / sum(parts) for part in parts])
        splits = {split: given.get(split) or train.select(indices[split]) for split in SPLITS}
        method = f"as given ({next(iter(given))}), else {method}" if given else method
    else:
        method = "as given"
    texts_by_split = {split: texts(splits[split]) for split in SPLITS}
    notes = [split_summary(texts_by_split, method)]
    return splits, notes + (leak_notes(texts_by_split) if given else [])


def apply_given_splits(rows: RowsWithSplitsT) -> dict[Split, RowsWithSplitsT]:
    """Return the rows of each split that is given; all are of train if none is.

    Raises:
        DataError: no row is of train.
    """
    if not any(rows.given):
        return {"train": rows}
    by_split = {split: [k for k, s in enumerate(rows.given) if s == split] for split in SPLITS}
    if not by_split["train"]:
        raise DataError("the column of splits has no row of train")
    return {split: rows.select(indices) for split, indices in by_split.items() if indices}


def normalize_texts(texts: Sequence[str], lower: bool) -> list[str]:
    """Return texts with single spaces, in lower case if `lower`, to compare them."""
    return [" ".join((text.lower() if lower else text).split()) for text in texts]


def match_groups(names: Sequence[str], group: str, problems: Problems) -> list[str] | None:
    """Return what the regular expression `group` matches in each name.

    If the expression has a capture group, return what its first capture group matches.

    None if it is invalid or does not match every name; `problems` says so.
    """
    try:
        pattern = re.compile(group)
    except re.error as error:
        problems.add(f"group={group!r} is not a regular expression ({error})")
        return None
    matches = [pattern.search(name) for name in names]
    if unmatched := [name for name, m in zip(names, matches, strict=True) if m is None]:
        problems.add(
            f"group={group!r} is not found in {len(unmatched):,} of {len(names):,} names: "
            f"{', '.join(abbreviate(unmatched, shown=3))}"
        )
        return None
    return [m[1] or "" if m.re.groups else m[0] for m in matches if m]


def check_shares(shares: Sequence[float]) -> None:
    """Raise ValueError unless the three shares sum to 1, and that of train is above 0."""
    if len(shares) != 3 or min(shares) < 0 or not shares[0] or abs(sum(shares) - 1) > 1e-6:
        raise ValueError(
            f"expected shares of train, val and test that sum to 1, such as {list(SHARES)}; got "
            f"{list(shares)}"
        )


def resolve_borders(
    count: int,
    borders: Sequence[float] | None = None,
    times: npt.NDArray[np.generic] | None = None,
) -> tuple[int, int, int]:
    """Return the first step of val, the first step of test, and the end of test (exclusive).

    Args:
        count: number of steps of the series.
        borders: first step of val, of test, and optionally the end of test (default: the end of
            the series), as fractions of the steps (0.7, 0.8), as steps (8640, 11520, 14400), or,
            with `times`, as times. None: (0.7, 0.8).
        times: ascending time of each step, (count,).

    Raises:
        ValueError: there are not two or three borders of one kind, or a split would be empty.
    """
    given = list(borders if borders is not None else (SHARES[0], 1 - SHARES[2]))
    if len(given) not in (2, 3):
        raise ValueError(f"expected two or three borders (val, test, end), got {given}")
    if times is not None:
        steps = [int(step) for step in np.searchsorted(times, np.array(given, times.dtype))]
    elif all(isinstance(border, float) and 0 < border <= 1 for border in given):
        steps = [round(border * count) for border in given]
    elif all(isinstance(border, int) for border in given):
        steps = [int(border) for border in given]
    else:
        raise ValueError(f"expected shares (0.7, 0.8) or numbers of steps as borders, got {given}")
    val, test, end = (*steps, count)[:3]
    if not 0 < val < test < end <= count:
        raise ValueError(
            f"borders {given} put val at step {val}, test at {test} and the end at {end} of "
            f"{count} steps; they must increase, and none of train, val and test may be empty"
        )
    return val, test, end


def split_summary(splits: Mapping[Split, Sequence[object] | Indices], method: str) -> str:
    """Return a note such as `split by …: 70 for train, 10 for val, 20 for test`."""
    sizes = ", ".join(f"{len(splits[split]):,} for {split}" for split in SPLITS)
    return f"split {method}: {sizes}"


def leak_notes(keys: Mapping[Split, Iterable[str | bytes]]) -> list[str]:
    """Return notes on samples of a split whose key also occurs in an earlier split."""
    earlier: set[str | bytes] = set()
    notes = []
    for split in SPLITS:
        split_keys = list(keys[split])
        if duplicates := sum(key in earlier for key in split_keys):
            notes.append(
                f"{duplicates:,} of {len(split_keys):,} samples of {split} occur in an earlier "
                "split too: their score shows what was memorised"
            )
        earlier.update(split_keys)
    return notes


def count_duplicates(keys: Sequence[str | bytes]) -> int:
    """Return the number of keys that are equal to an earlier one."""
    return len(keys) - len(set(keys))


def _check_key_counts(
    keys_of: Mapping[str, Sequence[object]], shares: Sequence[float], *, is_labelled: bool
) -> None:
    needed = sum(share > 0 for share in shares)
    single = [label for label, keys in keys_of.items() if len(keys) == 1]
    if is_labelled and needed > 1 and single:
        raise DataError(
            f"classes with one sample (equal ones count once) cannot be split: "
            f"{', '.join(abbreviate(map(repr, single)))}; add samples, or leave classes with fewer "
            "than two out (dataset.min_per_class=2)"
        )
    if (largest := max(map(len, keys_of.values()), default=0)) < needed:
        if is_labelled:
            raise DataError(
                f"expected a class with at least {needed} different samples, one for each split;"
                f" the largest has {largest}"
            )
        raise DataError(f"{largest} different samples are too few for {needed} splits")


def _split_sizes(size: int, shares: Sequence[float]) -> tuple[int, int, int]:
    """Return how many of `size` keys are in train, val and test."""
    test = max(1, round(size * shares[2])) if shares[2] else 0
    val = max(1, round(size * shares[1])) if shares[1] and size > 1 + test else 0
    if size - test - val < 1:  # too few for the shares: at most one for test and val
        test, val = min(test, 1), min(val, 1)
    return size - test - val, val, test


def _hash(key: str | bytes) -> bytes:
    return hashlib.blake2b(key.encode() if isinstance(key, str) else key, digest_size=16).digest()
