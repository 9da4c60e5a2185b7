"""Baselines of transcription: the best constant text, and a linear model of the features.

Both predict symbols, long (B, U), padded with -1, as the head does.

Legend: B batch, T frames, D features of a frame, K labels (the symbols and the blank), U symbols of
a text, F = (2 · CONTEXT + 1) · D.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from itertools import chain, groupby, zip_longest

import torch
from torch import Tensor
from torch.nn import functional
from torchmetrics.functional.text import word_error_rate

from quintain.baselines.batches import iterate_batches, predict_constant
from quintain.contracts import Batch, Dataset, Predictor, Stem
from quintain.nn import ctc
from quintain.nn.mask import mask_fill, unpad

MAX_CANDIDATES = 16  # number of train texts that are candidates for the constant text
MAX_COMPARED = 256  # number of train texts to which each candidate is compared
CONTEXT = 4  # neighbours on each side of a frame that the linear model reads
STEPS, BATCH_SIZE, LEARNING_RATE = 400, 32, 0.01  # of the training with Adam

Text = tuple[int, ...]


def majority_transcript(dataset: Dataset, stem: Stem) -> Predictor:
    """Predict, for every sample, the text with the lowest word error rate on the train split.

    The candidates are the text that has the most frequent word at each position, and up to 16 texts
    of the split. Each is compared to up to 256 texts of the split. Both are evenly spaced.
    """
    texts = [
        tuple(text)
        for batch in iterate_batches(dataset, "train")
        for text in unpad(batch.y, batch.y_lengths)
    ]
    targets = [dataset.decode(text, "y") for text in _select_evenly(texts, MAX_COMPARED)]

    def error_rate(text: Text) -> float:
        return float(word_error_rate([dataset.decode(text, "y")] * len(targets), targets))

    most_frequent = _join_most_frequent_words(texts, _find_space(dataset))
    best = min([most_frequent, *_select_evenly(texts, MAX_CANDIDATES)], key=error_rate)
    return predict_constant(torch.tensor(best, dtype=torch.long))


def linear_transcriber(dataset: Dataset, stem: Stem) -> Predictor:
    """Fit a linear softmax of each frame and its eight neighbours by CTC; decode it greedily.

    It is trained with Adam on 400 random batches of 32, with a fixed seed and a learning rate that
    decays to zero. Samples with too few frames for their transcript have a loss of zero.
    """
    dim, labels = (2 * CONTEXT + 1) * stem.out.dim, dataset.spec.symbols + 1
    weight_KF = torch.zeros(labels, dim, requires_grad=True)
    bias_K = torch.zeros(labels, requires_grad=True)
    optimizer = torch.optim.Adam([weight_KF, bias_K], lr=LEARNING_RATE)

    def log_probabilities(batch: Batch) -> Tensor:
        x_BTF, mask_BT = _load_frames(stem, batch)
        return ctc.compute_log_probabilities(functional.linear(x_BTF, weight_KF, bias_K), mask_BT)

    for step, batch in enumerate(_random_batches(dataset)):
        assert batch.y_lengths is not None
        optimizer.param_groups[0]["lr"] = LEARNING_RATE * (1 - step / STEPS)
        optimizer.zero_grad()
        nats_B = ctc.ctc_loss(log_probabilities(batch), batch.y, batch.y_lengths)
        torch.autograd.backward((nats_B / batch.y_lengths.clamp(min=1)).mean())
        optimizer.step()

    def predict(batch: Batch) -> Tensor:
        with torch.no_grad():
            return ctc.greedy_decode(log_probabilities(batch)).to(batch.x.device)

    return predict


def _select_evenly(texts: list[Text], limit: int) -> list[Text]:
    return texts[:: math.ceil(len(texts) / limit)]


def _find_space(dataset: Dataset) -> int | None:
    """Return the symbol that separates words; None where each symbol is a word."""
    symbols = range(dataset.spec.symbols)
    return next((s for s in symbols if dataset.decode([s], "y").isspace()), None)


def _join_most_frequent_words(texts: list[Text], space: int | None) -> Text:
    """Join the most frequent word at each position that at least half of the texts have."""
    best = []
    for words in zip_longest(*(_split_words(text, space) for text in texts)):
        counts = Counter(word for word in words if word is not None)
        if 2 * counts.total() >= len(texts):
            best.append(min(counts, key=lambda word: (-counts[word], word)))
    if space is None:
        return tuple(chain.from_iterable(best))
    return tuple(chain.from_iterable((*word, space) for word in best))[:-1]


def _split_words(text: Text, space: int | None) -> list[Text]:
    if space is None:
        return [(symbol,) for symbol in text]
    groups = groupby(text, key=lambda symbol: symbol == space)
    return [tuple(word) for is_space, word in groups if not is_space]


def _random_batches(dataset: Dataset) -> Iterator[Batch]:
    """Yield random batches of the train split, with a fixed seed."""
    generator = torch.Generator().manual_seed(0)
    size = dataset.size("train")
    for _ in range(STEPS):
        yield dataset.batch("train", torch.randint(size, (BATCH_SIZE,), generator=generator))


def _load_frames(stem: Stem, batch: Batch) -> tuple[Tensor, Tensor | None]:
    """Return each frame with its neighbours, (B, T, F), zero outside the sample, and the mask."""
    with torch.no_grad():
        x, mask_BT = stem(batch.x, batch.lengths)
    x_BTD = functional.pad(mask_fill(x, mask_BT).float().cpu(), (0, 0, CONTEXT, CONTEXT))
    x_BTF = x_BTD.unfold(1, 2 * CONTEXT + 1, 1).flatten(2)
    return x_BTF, None if mask_BT is None else mask_BT.cpu()
