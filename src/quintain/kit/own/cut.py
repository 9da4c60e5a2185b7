"""Samples of a user's own come into splits: as their folders or tables say, else by a key."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from quintain.contracts import Split
from quintain.kit.files.problems import Problems, some
from quintain.kit.own.splits import SPLITS, check_shares, said, split_by_key

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
"""What folders, tables and columns call the splits, in small letters."""


def cut(
    given: Sequence[Split | None],
    keys: Sequence[str],
    labels: Sequence[str] | None,
    shares: Sequence[float],
    how: str,
    problems: Problems,
) -> tuple[dict[Split, list[int]], str] | None:
    """Numbers of the samples of each split, in order, and a note; None where there is a problem.
    Splits that are given stay as they are, and what is missing is cut out of train.

    Args:
        given: the split of each sample, or None for all of them.
        keys: samples of one key come into one split.
        labels: of each sample, where splits are stratified by them.
        shares: of train, val and test; ValueError where they are none.
        how: words for the keys, for the note.
        problems: notes what is wrong.
    """
    check_shares(shares)
    found = {split: [n for n, one in enumerate(given) if one == split] for split in SPLITS}
    missing = [split for split in SPLITS if not found[split]]
    if not missing:
        return found, said(found, "as given")
    free = [n for n, one in enumerate(given) if one in (None, "train")]
    if not free:
        problems.add("there are given splits, but none is train")
        return None
    parts = [share if s in missing else 0.0 for s, share in zip(SPLITS, shares, strict=True)]
    parts[0] = 1 - sum(parts[1:])
    some_labels = None if labels is None else [labels[n] for n in free]
    indices = problems.ask(split_by_key, [keys[n] for n in free], some_labels, parts)
    if indices is None:
        return None
    if len(missing) < len(SPLITS):
        how = f"as given, {' and '.join(missing)} out of train {how}"
    result = {s: [free[i] for i in indices[s]] or found[s] for s in SPLITS}
    return result, said(result, how)


def groups(names: Sequence[str], group: str, problems: Problems) -> list[str] | None:
    """The match of a regular expression in each name; None where it is none, or misses some.

    Where the expression has groups, the first of them counts.
    """
    try:
        pattern = re.compile(group)
    except re.error as error:
        problems.add(f"group={group!r} is no regular expression ({error})")
        return None
    found = [pattern.search(name) for name in names]
    if missed := [name for name, match in zip(names, found, strict=True) if match is None]:
        problems.add(
            f"group={group!r} is not found in {len(missed):,} of {len(names):,} names: "
            f"{', '.join(some(missed, shown=3))}"
        )
        return None
    return [match[1] or "" if match.re.groups else match[0] for match in found if match]
