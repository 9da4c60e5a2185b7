"""The true texts of validation and test samples: one answer is held against all of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence

from quintain.contracts import Split
from quintain.data.text.words import split_words

_BLEU_ORDER = 4  # words of the longest n-grams
_LANGUAGES = {"zh": "Chinese", "char": "a script without blanks, or Korean"}


def group_rows(keys: Sequence[Hashable]) -> list[list[int]]:
    """Return the positions of each key, in the order in which the keys first occur."""
    groups: dict[Hashable, list[int]] = defaultdict(list)
    for position, key in enumerate(keys):
        groups[key].append(position)
    return [*groups.values()]


def describe_references(
    counts: Mapping[Split, tuple[int, int]], samples: str, texts: str
) -> list[str]:
    """Return a note on splits that have several true texts for a sample.

    Args:
        counts: split → number of its samples, and of their true texts.
        samples, texts: what they are, such as "images" and "captions".
    """
    several = [
        f"{split}: {size:,} {samples} with {total:,} {texts}"
        for split, (size, total) in counts.items()
        if total > size
    ]
    if not several:
        return []
    return [f"{'; '.join(several)}; in val and test, one answer each, scored against all {texts}"]


def describe_bleu(tokens: str, references: Sequence[Sequence[str]]) -> list[str]:
    """Return notes on how BLEU splits texts, and whether it can be above 0 at all.

    Args:
        tokens: tokenizer of sacrebleu.
        references: true texts of the test.
    """
    notes = []
    if tokens in _LANGUAGES:
        notes.append(f"BLEU by sacrebleu's {tokens} tokens: texts are in {_LANGUAGES[tokens]}")
    count = len if tokens == "char" else lambda text: len(split_words(text))
    if all(count(text) < _BLEU_ORDER for texts in references for text in texts):
        notes.append(
            "no true text of test has four words, so BLEU is 0 for every answer: rank by another "
            "score (head.rank_by=chrf)"
        )
    return notes
