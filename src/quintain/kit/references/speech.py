"""The free rows of transcription: the best text that is always the same, and a linear model.

Both answer as the head does: long (B, U), -1 behind the end of each.

Legend: B batch, T frames, D features of a frame, K symbols and the blank, U symbols of a text,
W frames of a window, F = W · D.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional
from torchmetrics.functional.text import word_error_rate

from quintain.contracts import Batch, Dataset, Predictor, Stem
from quintain.kit.mask import keep
from quintain.kit.references.simple import batches
from quintain.kit.text import ctc
from quintain.kit.text.written import truth

CANDIDATES, COMPARED = 16, 256  # texts of the train split that are tried, and on how many others
REACH = 4  # frames to each side that the linear model sees
STEPS, DRAWN, RATE = 400, 32, 0.01  # Adam's steps, batch and rate

Text = tuple[int, ...]


def majority_transcript(dataset: Dataset, stem: Stem) -> Predictor:
    """The text with the fewest word errors on the train split, the same for each sample.

    Tried are the commonest word at each place of a text, one after the other, and some texts of
    the split; the rate is that of up to 256 texts, evenly spread.
    """
    texts = [_plain(row) for batch in batches(dataset, "train") for row in truth(batch).tolist()]
    compared = _some(texts, COMPARED)
    true = [dataset.text(text, "y") for text in compared]

    def errors(text: Text) -> float:
        return float(word_error_rate([dataset.text(text, "y")] * len(true), true))

    best = min([_common(texts, _space(dataset)), *_some(texts, CANDIDATES)], key=errors)
    row_U = torch.tensor(best, dtype=torch.long)
    return lambda batch: row_U.to(batch.x.device).expand(len(batch.x), -1)


def linear_transcriber(dataset: Dataset, stem: Stem) -> Predictor:
    """A linear softmax over the stem's features of nine frames, trained by CTC, read greedily.

    Adam, 400 random batches of 32, seeded, with a rate that falls to zero. Samples whose
    transcript needs more frames than they have are left out.
    """
    dim, labels = (2 * REACH + 1) * stem.out.dim, dataset.spec.symbols + 1
    weight_KF = torch.zeros(labels, dim, requires_grad=True)
    bias_K = torch.zeros(labels, requires_grad=True)
    optimizer = torch.optim.Adam([weight_KF, bias_K], lr=RATE)

    def read(batch: Batch) -> Tensor:
        x_BTF, mask_BT = _windows(stem, batch)
        return ctc.log_probabilities(functional.linear(x_BTF, weight_KF, bias_K), mask_BT)

    for step, batch in enumerate(_drawn(dataset)):
        assert batch.y_lengths is not None
        optimizer.param_groups[0]["lr"] = RATE * (1 - step / STEPS)
        optimizer.zero_grad()
        nats_B = ctc.nats(read(batch), batch.y, batch.y_lengths)
        torch.autograd.backward((nats_B / batch.y_lengths.clamp(min=1)).mean())
        optimizer.step()

    def predict(batch: Batch) -> Tensor:
        with torch.no_grad():
            return ctc.greedy(read(batch)).to(batch.x.device)

    return predict


def _plain(row: list[int]) -> Text:
    return tuple(symbol for symbol in row if symbol >= 0)


def _some(texts: list[Text], most: int) -> list[Text]:
    """At most so many, evenly spread."""
    return texts[:: -(-len(texts) // most)]


def _space(dataset: Dataset) -> int | None:
    """The symbol that stands between words; None where each symbol is a word."""
    symbols = range(dataset.spec.symbols)
    return next((s for s in symbols if dataset.text([s], "y").isspace()), None)


def _common(texts: list[Text], space: int | None) -> Text:
    """The commonest word at each place, as far as half of the texts go."""
    places: list[Counter[Text]] = []
    for text in texts:
        for place, word in enumerate(_words(text, space)):
            if place == len(places):
                places.append(Counter())
            places[place][word] += 1
    kept = [count for count in places if 2 * count.total() >= len(texts)]
    best = [min(count, key=lambda word: (-count[word], word)) for count in kept]
    between = () if space is None else (space,)
    return tuple(s for k, word in enumerate(best) for s in (*(between if k else ()), *word))


def _words(text: Text, space: int | None) -> Iterator[Text]:
    """The words of a text as symbols, without what separates them."""
    if space is None:
        yield from ((symbol,) for symbol in text)
        return
    word: list[int] = []
    for symbol in (*text, space):
        if symbol != space:
            word.append(symbol)
        elif word:
            yield tuple(word)
            word = []


def _drawn(dataset: Dataset) -> Iterator[Batch]:
    """Random batches of the train split, the same in every run."""
    draw = torch.Generator().manual_seed(0)
    for _ in range(STEPS):
        yield dataset.take("train", torch.randint(dataset.size("train"), (DRAWN,), generator=draw))


def _windows(stem: Stem, batch: Batch) -> tuple[Tensor, Tensor | None]:
    """Each frame of a batch beside its neighbours, zeros outside: (B, T, F), and the mask."""
    with torch.no_grad():
        x, mask_BT = stem(batch.x, batch.lengths)
    x_BTD = functional.pad(keep(x, mask_BT).float().cpu(), (0, 0, REACH, REACH))
    x_BTF = x_BTD.unfold(1, 2 * REACH + 1, 1).flatten(2)
    return x_BTF, None if mask_BT is None else mask_BT.cpu()
