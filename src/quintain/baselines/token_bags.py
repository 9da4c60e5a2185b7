"""Binary features of texts: the token n-grams that a text contains.

Legend: N texts, F n-grams.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from quintain.baselines.batches import iterate_batches
from quintain.contracts import Batch, Dataset, Split
from quintain.nn.mask import unpad

MAX_CHARACTERS = 256  # a vocabulary up to this size consists of characters, a larger one of words


class TokenBags:
    """The n-grams of the train split: one or two words, or one to four characters.

    Args:
        dataset: a text dataset.
        max_features: only so many n-grams are used, the most frequent ones; None: all.
    """

    def __init__(self, dataset: Dataset, max_features: int | None = None) -> None:
        from sklearn.feature_extraction.text import CountVectorizer

        max_order = 4 if dataset.spec.vocabulary <= MAX_CHARACTERS else 2
        self._dataset = dataset
        self._vectorizer = CountVectorizer(
            tokenizer=list,  # the texts are lists of tokens already
            lowercase=False,
            token_pattern=None,
            binary=True,
            ngram_range=(1, max_order),
            max_features=max_features,
        )
        self._vectorizer.fit(_load_texts(dataset, "train")[0])

    def load(self, split: Split) -> tuple[Any, Tensor]:
        """Return the features of a split, a sparse matrix (N, F) of 0 and 1, and its y."""
        texts, y = _load_texts(self._dataset, split)
        return self._vectorizer.transform(texts), y

    def encode(self, batch: Batch) -> Any:
        """Return the features of a batch, a sparse matrix (B, F)."""
        return self._vectorizer.transform(_to_token_strings(batch))


def _load_texts(dataset: Dataset, split: Split) -> tuple[list[list[str]], Tensor]:
    """Return the texts of a split as lists of tokens, and their y."""
    batches = list(iterate_batches(dataset, split))
    texts = [text for batch in batches for text in _to_token_strings(batch)]
    return texts, torch.cat([batch.y for batch in batches])


def _to_token_strings(batch: Batch) -> list[list[str]]:
    """Return the tokens of each text as strings, which scikit-learn needs."""
    return [[str(token) for token in text] for text in unpad(batch.x, batch.lengths)]
