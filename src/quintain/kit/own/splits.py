"""Reproducible splits of a user's own data: by content or group, or by time.

A split that depends on where a row stands changes when rows are sorted anew, and equal rows land on
both sides. Here a *key* decides: the content of a sample, or the group (speaker, subject, document)
it belongs to. Samples of one key stay together.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, get_args

import numpy as np
import numpy.typing as npt

from quintain.contracts import Split
from quintain.kit.files.download import DataError
from quintain.kit.files.problems import some

SHARES: Final = (0.7, 0.1, 0.2)  # of train, val, test
SPLITS: tuple[Split, ...] = get_args(Split)

Indices = npt.NDArray[np.int64]


def split_by_key(
    keys: Sequence[str | bytes],
    labels: Sequence[str] | None = None,
    shares: Sequence[float] = SHARES,
) -> dict[Split, Indices]:
    """Samples by split, each in the order given; the keys decide, not the order.

    The keys of each label are ordered by their hash and cut at the shares, at least one for each of
    train, val and test; a label with two keys has none in val.

    Args:
        keys: one a sample; samples of one key come into one split.
        labels: one a sample, where each label shall have its share in each split. A key with
            several labels counts as of the first of them in order.
        shares: of train, val and test among the keys of a label; they sum to 1. A share of 0
            leaves that split empty.

    Raises:
        DataError: labels with a single key (all are named), or fewer keys than splits.
    """
    check_shares(shares)
    label_of: dict[str | bytes, str] = {}
    for key, label in zip(keys, labels or [""] * len(keys), strict=True):
        label_of[key] = min(label, label_of.get(key, label))
    members: dict[str, list[str | bytes]] = defaultdict(list)
    for key, label in label_of.items():
        members[label].append(key)
    _check_members(members, shares, labels is not None)
    split_of: dict[str | bytes, Split] = {}
    for those in members.values():
        counts = _counts(len(those), shares)
        names = [split for split, count in zip(SPLITS, counts, strict=True) for _ in range(count)]
        split_of.update(zip(sorted(those, key=_hash), names, strict=True))
    found = np.array([SPLITS.index(split_of[key]) for key in keys])
    return {split: np.flatnonzero(found == k) for k, split in enumerate(SPLITS)}


def shares_without(given: Iterable[Split]) -> tuple[float, ...]:
    """The usual shares of the splits that are not given, so that they sum to 1."""
    left_out = set(given)
    kept = [0.0 if n in left_out else s for n, s in zip(SPLITS, SHARES, strict=True)]
    return tuple(share / sum(kept) for share in kept)


def check_shares(shares: Sequence[float]) -> None:
    """Raise ValueError where these are no three shares that sum to 1, or train has none."""
    if len(shares) != 3 or min(shares) < 0 or not shares[0] or abs(sum(shares) - 1) > 1e-6:
        raise ValueError(
            f"expected shares of train, val and test that sum to 1, such as {list(SHARES)}; came "
            f"{list(shares)}"
        )


def borders_in_time(
    count: int,
    borders: Sequence[float] | None = None,
    places: npt.NDArray[np.generic] | None = None,
) -> tuple[int, int, int]:
    """Where val begins, where test begins and where it ends, as steps of a series in time.

    Args:
        count: steps of the series.
        borders: two or three, all of one kind: shares of the steps (0.7, 0.8), numbers of steps
            (8640, 11520, 14400), or, with `places`, values to look up there, such as times. The
            third is where the test ends, else that is the end of the series. None: (0.7, 0.8).
        places: sorted, (count,); borders are then values of this kind.

    Raises:
        ValueError: another number of borders, or they leave a split empty.
    """
    given = list(borders if borders is not None else (SHARES[0], 1 - SHARES[2]))
    if len(given) not in (2, 3):
        raise ValueError(f"expected two or three borders (val, test, end), came {given}")
    if places is not None:
        steps = [int(step) for step in np.searchsorted(places, np.array(given, places.dtype))]
    elif all(isinstance(border, float) and 0 < border <= 1 for border in given):
        steps = [round(border * count) for border in given]
    elif all(isinstance(border, int) for border in given):
        steps = [int(border) for border in given]
    else:
        raise ValueError(f"expected shares (0.7, 0.8) or numbers of steps as borders, came {given}")
    val, test, end = (*steps, count)[:3]
    if not 0 < val < test < end <= count:
        raise ValueError(
            f"borders {given} put val at step {val}, test at {test} and the end at {end} of "
            f"{count} steps; they must rise, and none of train, val and test may be empty"
        )
    return val, test, end


def said(splits: Mapping[Split, Sequence[object] | Indices], how: str) -> str:
    """A note: `split by …: 70 for train, 10 for val, 20 for test`."""
    sizes = ", ".join(f"{len(splits[split]):,} for {split}" for split in SPLITS)
    return f"split {how}: {sizes}"


def how(given: Iterable[Split], else_by: str) -> str:
    """For `said`: what was given, and how the rest was split."""
    names = [split for split in SPLITS if split in set(given) - {"train"}]
    if len(names) == len(SPLITS) - 1:
        return "as given"
    return f"as given ({names[0]}), else {else_by}" if names else else_by


def leaks(keys: Mapping[Split, Iterable[str | bytes]]) -> list[str]:
    """Notes on splits that were given: how many samples of one stand in an earlier one."""
    seen: set[str | bytes] = set()
    notes = []
    for split in SPLITS:
        mine = list(keys[split])
        if again := sum(key in seen for key in mine):
            notes.append(
                f"{again:,} of {len(mine):,} samples of {split} stand in an earlier split too: "
                "their score tells what was learnt by heart"
            )
        seen.update(mine)
    return notes


def duplicates(keys: Sequence[str | bytes]) -> int:
    """How many samples have a key that came before."""
    return len(keys) - len(set(keys))


def _check_members(
    members: Mapping[str, Sequence[object]], shares: Sequence[float], labelled: bool
) -> None:
    wanted = sum(share > 0 for share in shares)
    lonely = [label for label, those in members.items() if len(those) == 1]
    if labelled and wanted > 1 and lonely:
        raise DataError(
            f"classes with one sample (equal ones count once) cannot be split: "
            f"{', '.join(some(map(repr, lonely)))}; add samples, or leave these classes out"
        )
    largest = Counter({label: len(those) for label, those in members.items()}).most_common(1)
    if not largest or largest[0][1] < wanted:
        raise DataError(
            f"{sum(map(len, members.values()))} different samples are too few for {wanted} splits"
        )


def _counts(size: int, shares: Sequence[float]) -> tuple[int, int, int]:
    """How many of so many keys come into train, val and test."""
    test = max(1, round(size * shares[2])) if shares[2] else 0
    val = max(1, round(size * shares[1])) if shares[1] and size > 1 + test else 0
    if size - test - val < 1:  # a tiny class: one each, as far as they go
        test, val = min(test, 1), min(val, 1)
    return size - test - val, val, test


def _hash(key: str | bytes) -> bytes:
    return hashlib.blake2b(key.encode() if isinstance(key, str) else key, digest_size=16).digest()
