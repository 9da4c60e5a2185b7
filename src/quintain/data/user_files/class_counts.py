"""Classes with few samples, and classes that a split lacks."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from unicodedata import normalize

import regex

from quintain.contracts import Split
from quintain.data.files.problems import Problems, abbreviate

_IGNORED = regex.compile(r"[\s_\-\p{Default_Ignorable_Code_Point}]+")


def find_small_classes(
    labels: Sequence[str], keys: Sequence[str], min_per_class: int, problems: Problems
) -> tuple[frozenset[str], list[str]]:
    """Return the classes with fewer different samples than `min_per_class`, and a note on them.

    Args:
        labels: class of each sample.
        keys: of each sample; samples with the same key count once (see `splits.split_by_key`).
        min_per_class: a setting of the user, which is checked.
        problems: collects the problems.
    """
    if min_per_class < 1:
        problems.add(f"min_per_class must be 1 or more, got {min_per_class}")
    counts = Counter(label for label, _ in set(zip(labels, keys, strict=True)))
    small = sorted(label for label, count in counts.items() if count < min_per_class)
    if not small:
        return frozenset(), []
    samples = sum(label in set(small) for label in labels)
    names = ", ".join(abbreviate(f"{label!r} ({counts[label]})" for label in small))
    return frozenset(small), [
        f"{len(small):,} classes with fewer than min_per_class={min_per_class} different samples, "
        f"left out with {samples:,} samples: {names}"
    ]


def missing_class_notes(labels: Mapping[Split, Iterable[str]]) -> list[str]:
    """Return a note for val and for test if it lacks classes of train."""
    train = set(labels["train"])
    splits: tuple[Split, ...] = ("val", "test")
    missing = {split: sorted(train - set(labels[split])) for split in splits}
    return [
        f"{split} lacks {', '.join(abbreviate(map(repr, classes)))}"
        for split, classes in missing.items()
        if classes
    ]


def similar_name_notes(labels: Iterable[str]) -> list[str]:
    """Return a note on classes with names that look alike.

    They differ only in case, blanks, hyphens, underscores, invisible or compatible characters.
    """
    by_letters: dict[str, list[str]] = defaultdict(list)
    for label in sorted(set(labels)):
        by_letters[_IGNORED.sub("", normalize("NFKC", label)).casefold()].append(label)
    similar = [" and ".join(map(repr, names)) for names in by_letters.values() if len(names) > 1]
    return [f"classes with similar names: {', '.join(abbreviate(similar))}"] if similar else []
