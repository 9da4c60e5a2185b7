"""A sequence from a sample: the core as encoder, its causal twin as decoder, attention between.

Legend: B batch, U target positions (the begin symbol and all of y), S places and D
features of the memory, E features of the decoder, K kinds of symbols with the end.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics import Metric
from torchmetrics.text import SacreBLEUScore

from quintain.contracts import (
    Asks,
    Batch,
    Dataset,
    DataSpec,
    Features,
    Json,
    MakeCore,
    Predictor,
    Score,
    Stem,
)
from quintain.kit.attention import CrossAttention, Memory
from quintain.kit.heads import check_task
from quintain.kit.mask import keep, mask_of
from quintain.kit.references import generate as generate_references
from quintain.kit.text import decoding
from quintain.kit.text.chrf import Chrf
from quintain.kit.text.written import ExactMatch, Written, strings, truth
from quintain.kit.widths import at_least_one

RankBy = Literal["bleu", "chrf", "exact_match"]

_SCORES = {
    "bleu": Score(name="bleu", direction="max", unit="0 to 100"),
    "chrf": Score(name="chrf", direction="max", unit="0 to 100"),
    "exact_match": Score(name="exact_match", direction="max", unit="fraction"),
}


class Generate(nn.Module):
    """Symbols so far → embedding → decoder core → attention to the memory → the next symbol.

    The decoder is the core's own architecture at the same width; the attention block is the same
    for all architectures, so that they differ in nothing else. One table embeds the symbols and
    gives the logits (Press & Wolf 2017), and like all tables it is outside the budget.

    Args:
        inp: the encoder's features.
        spec: of a dataset to generate; the head adds an end and a begin symbol to its symbols.
        make_core: builds the decoder.
        dim: size of a symbol's vector.
        num_heads: of the attention to the memory.
        dropout: on the memory, the embedded symbols, what attention adds, and the decoder's output.
        label_smoothing: share of the truth that is spread evenly over all symbols.
        beam: sequences kept while decoding; 1 is greedy. See `kit.decoding`.
        rank_by: the main score, which chooses the weights and ranks the models.

    Raises:
        ValueError: another task, no symbols, or a setting out of its range.
    """

    causal: ClassVar[bool] = False
    asks: ClassVar[Asks] = "memory"
    references: ClassVar[Mapping[str, Callable[[Dataset, Stem], Predictor]]] = {
        "majority": generate_references.majority,
        "nearest": generate_references.nearest,
    }

    def __init__(
        self,
        inp: Features,
        spec: DataSpec,
        make_core: MakeCore,
        *,
        dim: int = 64,
        num_heads: int = 4,
        dropout: float = 0.0,
        label_smoothing: float = 0.0,
        beam: int = 1,
        rank_by: RankBy = "bleu",
    ) -> None:
        super().__init__()
        check_task(spec, "generate")
        at_least_one(dim=dim, num_heads=num_heads, beam=beam)
        _check(spec, dropout=dropout, label_smoothing=label_smoothing, rank_by=rank_by)
        self.scores = tuple(sorted(_SCORES.values(), key=lambda score: score.name != rank_by))
        self.end, self.begin, self.longest = spec.symbols, spec.symbols + 1, spec.target_length
        self.label_smoothing, self.beam, self.dim = label_smoothing, beam, dim
        self.table = nn.Embedding(spec.symbols + 2, dim)
        nn.init.normal_(self.table.weight, std=1 / math.sqrt(dim))
        features = Features(
            dim=dim, grid=(self.longest + 1,), masked=True, causal=True, asks="positions"
        )
        self.decoder = cast(Any, make_core(features))
        inner = self.decoder.out.dim
        self.attention = CrossAttention(
            inner, inp.dim, num_heads=num_heads, expand=2.0, dropout=dropout
        )
        self.norm = nn.LayerNorm(inner)
        self.project = nn.Linear(inner, dim)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor | None, batch: Batch) -> Tensor:
        """Features (B, S, D), mask → (B, U, dim), whose products with the table are the logits.

        Not the logits themselves: more than half of them would be of padding, and with thousands
        of symbols they cost as much as a model.
        """
        assert batch.y_lengths is not None
        real_BU = mask_of(batch.y_lengths + 1, batch.y.shape[1] + 1)
        return self._decode(self._remember(x, mask), batch.y, real_BU)

    def loss(self, prediction: Tensor, batch: Batch) -> Tensor:
        """Cross-entropy in nats, mean over all symbols and ends."""
        assert batch.y_lengths is not None
        ends_B1 = batch.y_lengths[:, None]
        truth_BU = F.pad(batch.y, (0, 1)).scatter(1, ends_B1, self.end)
        real_BU = mask_of(batch.y_lengths + 1, truth_BU.shape[1])
        smooth = self.label_smoothing if self.training else 0.0
        logits_NK = self._logits(prediction[real_BU])
        return F.cross_entropy(logits_NK, truth_BU[real_BU], label_smoothing=smooth)

    def weight(self, batch: Batch) -> int:
        """Symbols, with the end of each sample."""
        assert batch.y_lengths is not None
        return int((batch.y_lengths + 1).sum())

    def answer(self, x: Tensor, mask: Tensor | None, batch: Batch) -> Tensor:
        """Symbols found, long (B, U), -1 behind the end; at most `spec.target_length`."""
        memory = self._remember(x, mask)

        def step(rows_N: Tensor, prefix_NT: Tensor) -> Tensor:
            real = torch.ones(len(rows_N), prefix_NT.shape[1] + 1, dtype=torch.bool)
            said = self._decode(memory.rows(rows_N), prefix_NT, real.to(x.device), last=True)
            return self._logits(said[:, -1]).log_softmax(-1)

        if self.beam == 1:
            return decoding.greedy(step, len(x), self.longest, x.device)
        return decoding.beam(step, len(x), self.longest, self.beam, x.device)

    def metrics(self, dataset: Dataset) -> dict[str, Metric]:
        """Of texts as the dataset writes them, over the whole split.

        BLEU and chrF are sacrebleu's, 0 to 100: BLEU on 13a tokens, case-sensitive, not smoothed,
        so that it is 0 where no four words agree (Post 2018); chrF2 of up to 6 characters and no
        words (Popović 2015).
        """
        made = {
            "bleu": 100 * Written(SacreBLEUScore(), dataset.text, listed=True),
            "chrf": 100 * Written(Chrf(), dataset.text),
            "exact_match": Written(ExactMatch(), dataset.text),
        }
        return {score.name: made[score.name] for score in self.scores}

    def update(self, metrics: dict[str, Metric], answer: Tensor, batch: Batch) -> None:
        """Add one batch; an answer may be shorter or longer than the truth."""
        for metric in metrics.values():
            metric.update(answer, batch)

    def samples(self, answer: Tensor, batch: Batch, dataset: Dataset) -> list[Json]:
        """Texts."""
        rows = zip(strings(truth(batch), dataset.text), strings(answer, dataset.text), strict=True)
        return [{"truth": true, "prediction": said} for true, said in rows]

    def _remember(self, x: Tensor, mask: Tensor | None) -> Memory:
        return self.attention.remember(self.drop(keep(x, mask)), mask)

    def _decode(
        self, memory: Memory, y_BU: Tensor, real_BU: Tensor, *, last: bool = False
    ) -> Tensor:
        """Symbols so far, without the begin → (B, U + 1, dim), or (B, 1, dim) of the last."""
        symbols_BU = F.pad(y_BU, (1, 0), value=self.begin)
        embedded = keep(self.table(symbols_BU) * math.sqrt(self.dim), real_BU)
        state_BUE, _ = self.decoder(self.drop(embedded), real_BU)
        state_BUE = self.attention(state_BUE[:, -1:] if last else state_BUE, memory)
        said: Tensor = self.project(self.drop(self.norm(state_BUE)))
        return said

    def _logits(self, said: Tensor) -> Tensor:
        """(N, dim) → (N, K)."""
        return F.linear(said, self.table.weight[: self.begin])


def _check(spec: DataSpec, *, dropout: float, label_smoothing: float, rank_by: str) -> None:
    """Raise ValueError with everything that is wrong."""
    wrong = []
    if spec.symbols < 1 or spec.target_length < 1:
        wrong.append(
            f"{spec.name} names {spec.symbols} symbols and a target_length of "
            f"{spec.target_length}; both must be 1 or more"
        )
    for name, share in (("dropout", dropout), ("label_smoothing", label_smoothing)):
        if not 0 <= share < 1:
            wrong.append(f"{name} must be in [0, 1), came {share}")
    if rank_by not in _SCORES:
        wrong.append(f"rank_by is one of {', '.join(_SCORES)}; came {rank_by!r}")
    if wrong:
        raise ValueError("; ".join(wrong))
