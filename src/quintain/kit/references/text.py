"""The free rows of text: frequencies and a linear model of the last few tokens; a bag of tokens.

Legend: B batch, T steps, V vocabulary, N real positions, K tokens read, F = K·V + 1.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from quintain.contracts import Batch, Dataset, Predictor, Skip, Split, Stem
from quintain.kit.mask import mask_of
from quintain.kit.references.simple import batches

RECENT, STEPS, DRAWN, RATE = 8, 400, 4096, 0.03  # tokens read; Adam's steps, batch and rate
MOST_POSITIONS = 1 << 22  # that it is fitted on: 256 MiB; overlapping windows can have many more
MOST_WEIGHTS = 1 << 24  # of the linear next-token model: 64 MiB, four times over while fitted
CHARACTERS = 256  # vocabularies up to this size are taken for characters, above for words
RUNS = {"characters": 4, "words": 2}  # tokens of the longest run in a bag
PENALTIES = (0.01, 0.1, 1.0, 10.0)  # C of the logistic regression over a bag
RARE = 1e-9  # probability of a class that the train split lacks; its logarithm stays finite


def unigram(dataset: Dataset, stem: Stem) -> Predictor:
    """Log-frequencies of tokens, add-one smoothed, at every position: (B, T, V)."""
    log_V = _log_frequencies(dataset)
    return lambda batch: log_V.to(batch.x.device).expand(*batch.x.shape, -1)


def linear_next_token(dataset: Dataset, stem: Stem) -> Predictor:
    """Softmax regression on the one-hot of the last 8 tokens of the window: logits (B, T, V).

    Positions before the window add nothing. Adam in large random batches, seeded; of a train split
    with over four million positions a part is drawn.

    Raises:
        Skip: the weights, 8 · V², would be too many.
    """
    vocabulary = dataset.spec.vocabulary
    if (weights := RECENT * vocabulary**2) > MOST_WEIGHTS:
        raise Skip(
            f"a linear model of the last {RECENT} of {vocabulary:,} token types has {weights:,} "
            f"weights; at most {MOST_WEIGHTS:,} are fitted"
        )
    train = [(_recent(batch.x, vocabulary), batch) for batch in _some_batches(dataset)]
    keys_NK = torch.cat([_real(keys, batch) for keys, batch in train])
    y_N = torch.cat([_real(batch.y, batch) for _, batch in train])
    weight_FV = _fit_softmax(keys_NK, y_N, vocabulary)

    def predict(batch: Batch) -> Tensor:
        keys_BTK = _recent(batch.x.cpu(), vocabulary)
        logits = functional.embedding_bag(keys_BTK.flatten(0, 1), weight_FV, mode="sum")
        return logits.reshape(*batch.x.shape, -1).to(batch.x.device)

    return predict


def bag_of_tokens(dataset: Dataset, stem: Stem) -> Predictor:
    """Logistic regression on which runs of tokens a text has: log-probabilities (B, classes).

    Runs of one and two words, or of one to four characters, of the train split; a run counts once
    however often it stands. The L2 penalty is chosen on the validation split.
    """
    from sklearn.feature_extraction.text import CountVectorizer

    kind = "words" if dataset.spec.vocabulary > CHARACTERS else "characters"
    vectors = CountVectorizer(
        tokenizer=_as_it_is,
        lowercase=False,
        token_pattern=None,
        binary=True,
        ngram_range=(1, RUNS[kind]),
    )
    texts, y_N = _texts(dataset, "train")
    val, y_val = _texts(dataset, "val")
    model = _logistic(vectors.fit_transform(texts), y_N, vectors.transform(val), y_val)
    present_K = torch.as_tensor(model.classes_)

    def predict(batch: Batch) -> Tensor:
        found = model.predict_proba(vectors.transform(_rows(batch)))
        share_BK = torch.zeros(len(batch.x), len(dataset.spec.classes))
        share_BK[:, present_K] = torch.as_tensor(found, dtype=torch.float32)
        return share_BK.clamp(min=RARE).log().to(batch.x.device)

    return predict


def _as_it_is(row: list[str]) -> list[str]:
    return row


def _texts(dataset: Dataset, split: Split) -> tuple[list[list[str]], Tensor]:
    parts = [(_rows(batch), batch.y) for batch in batches(dataset, split)]
    return [row for rows, _ in parts for row in rows], torch.cat([y for _, y in parts])


def _rows(batch: Batch) -> list[list[str]]:
    """Each text's real tokens as strings, of which scikit-learn makes runs."""
    lengths = [batch.x.shape[1]] * len(batch.x)
    lengths = lengths if batch.lengths is None else batch.lengths.tolist()
    rows = zip(batch.x.tolist(), lengths, strict=True)
    return [[str(token) for token in row[:length]] for row, length in rows]


def _logistic(x: Any, y_N: Tensor, x_val: Any, y_val: Tensor) -> Any:
    """The regression with the best validation accuracy, the stronger penalty on a tie."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # bounded on purpose
        models = [LogisticRegression(C=c, max_iter=100).fit(x, y_N.numpy()) for c in PENALTIES]
    return max(models, key=lambda model: float(model.score(x_val, y_val.numpy())))


def _real(value: Tensor, batch: Batch) -> Tensor:
    """The real positions of (B, T, …), side by side."""
    return value.flatten(0, 1) if (mask := _real_mask(batch)) is None else value[mask]


def _some_batches(dataset: Dataset) -> Iterator[Batch]:
    """The train split, or windows drawn from it if it is too large."""
    size, most = dataset.size("train"), max(1, MOST_POSITIONS // dataset.spec.shape[0])
    if size <= most:
        yield from batches(dataset, "train")
        return
    drawn = torch.randperm(size, generator=torch.Generator().manual_seed(0))[:most]
    for some in torch.split(drawn.sort().values, 256):
        yield dataset.take("train", some)


def _recent(x_BT: Tensor, vocabulary: int) -> Tensor:
    """Rows of the weights for the last RECENT tokens, (B, T, K); the last row means none."""
    window = functional.pad(x_BT, (RECENT - 1, 0), value=vocabulary).unfold(1, RECENT, 1)
    rows = window + torch.arange(RECENT) * vocabulary
    return torch.where(window < vocabulary, rows, RECENT * vocabulary)


def _fit_softmax(keys_NK: Tensor, y_N: Tensor, vocabulary: int) -> Tensor:
    """Weights (K·V + 1, V), the last row zero: Adam, with a rate that falls to zero."""
    draw = torch.Generator().manual_seed(0)
    weight = torch.zeros(RECENT * vocabulary + 1, vocabulary)
    mean, square = torch.zeros_like(weight), torch.zeros_like(weight)
    for step in range(STEPS):
        at = torch.randint(len(y_N), (DRAWN,), generator=draw)
        keys, y = keys_NK[at], y_N[at]
        error = functional.embedding_bag(keys, weight, mode="sum").softmax(1)
        error[torch.arange(DRAWN), y] -= 1
        slope = torch.zeros_like(weight)
        slope.index_add_(0, keys.flatten(), error.repeat_interleave(RECENT, 0) / DRAWN)
        slope[-1] = 0
        mean.lerp_(slope, 0.1)
        square.lerp_(slope.square(), 0.01)
        scale = (square / (1 - 0.99 ** (step + 1))).sqrt() + 1e-8
        weight -= RATE * (1 - step / STEPS) * mean / (1 - 0.9 ** (step + 1)) / scale
    return weight


def _log_frequencies(dataset: Dataset) -> Tensor:
    """Of the tokens to predict in the train split, add-one smoothed: (V,)."""
    count_V = torch.ones(dataset.spec.vocabulary, dtype=torch.long)
    for batch in batches(dataset, "train"):
        count_V += torch.bincount(_real(batch.y, batch).flatten(), minlength=len(count_V))
    count = count_V.double()
    return (count / count.sum()).log().float()


def _real_mask(batch: Batch) -> Tensor | None:
    return None if batch.lengths is None else mask_of(batch.lengths, batch.x.shape[1])
