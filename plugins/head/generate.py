"""The head of generation: a decoder attends to the core's output and predicts symbol by symbol.

Legend: B batch, U target positions (the begin symbol and all of y), S positions and D features of
the encoder, E features of the decoder, K symbol types including the end, N selected positions.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, ClassVar, Literal, cast, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics import Metric

from quintain.baselines.generate import majority, nearest
from quintain.contracts import Batch, Dataset, DataSpec, Features, Json, MakeCore, Score
from quintain.metrics.corpus_scores import Bleu, BleuTokens, ChrF
from quintain.metrics.text_metrics import ExactMatch, TextMetric, decode_samples
from quintain.nn import decoding
from quintain.nn.attention import CrossAttention, EncoderMemory
from quintain.nn.checks import check_at_least_one, check_task, raise_problems
from quintain.nn.mask import length_mask, mask_fill

RankBy = Literal["bleu", "chrf", "exact_match"]

_SCORES = {
    "bleu": Score(name="bleu", direction="max", unit="0 to 100"),
    "chrf": Score(name="chrf", direction="max", unit="0 to 100"),
    "exact_match": Score(name="exact_match", direction="max", unit="fraction"),
}


class Generate(nn.Module):
    """An encoder-decoder that predicts the next symbol from the previous ones and the input.

    The core is the encoder. The decoder is another core of the same architecture and width; the
    attention block is the same for all architectures. The embedding table is also the output layer
    (Press & Wolf 2017). Like all embedding tables, it does not count towards the budget.

    Args:
        make_core: builds the decoder.
        dim: size of the vector of a symbol.
        num_heads: number of heads of the attention to the encoder.
        dropout: dropout rate of the encoder's output, the embedded symbols, both branches of the
            attention block, and the decoder's output.
        label_smoothing: probability that is distributed evenly over all symbols, in training only.
        beam: width of the beam search; 1 is greedy decoding. See `quintain.nn.decoding`.
        rank_by: the main score.
        bleu_tokens: tokenizer of sacrebleu for BLEU; None: the dataset's.

    Raises:
        ValueError: another task, no symbols, or an invalid setting.
    """

    causal = False
    output_mode = "memory"
    baselines: ClassVar = {"majority": majority, "nearest": nearest}

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
        bleu_tokens: BleuTokens | None = None,
    ) -> None:
        super().__init__()
        check_task(spec, "generate")
        check_at_least_one(dim=dim, num_heads=num_heads, beam=beam)
        self.bleu_tokens = cast("BleuTokens", bleu_tokens or spec.bleu_tokens)
        raise_problems(_find_problems(spec, dropout, label_smoothing, rank_by, self.bleu_tokens))
        self.scores = tuple(sorted(_SCORES.values(), key=lambda score: score.name != rank_by))
        self.end, self.begin, self.max_length = spec.symbols, spec.symbols + 1, spec.target_length
        self.label_smoothing, self.beam, self.dim = label_smoothing, beam, dim
        self.table = nn.Embedding(spec.symbols + 2, dim)
        nn.init.normal_(self.table.weight, std=1 / math.sqrt(dim))
        features = Features(
            dim=dim, grid=(self.max_length + 1,), masked=True, causal=True, output_mode="positions"
        )
        self.decoder = cast(Any, make_core(features))
        decoder_dim = self.decoder.out.dim
        self.attention = CrossAttention(
            decoder_dim, inp.dim, num_heads=num_heads, expand=2.0, dropout=dropout
        )
        self.norm = nn.LayerNorm(decoder_dim)
        self.project = nn.Linear(decoder_dim, dim)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor | None, batch: Batch) -> Tensor:
        """(B, S, D), mask → output of the decoder (B, U, dim); `loss` turns it into logits.

        Logits are computed for valid positions only, because with thousands of symbols they would
        take as long as a whole model, and more than half of the positions can be padding.
        """
        assert batch.y_lengths is not None
        mask_BU = length_mask(batch.y_lengths + 1, batch.y.shape[1] + 1)
        return self._decode(self._encode(x, mask), batch.y, mask_BU)

    def loss(self, prediction: Tensor, batch: Batch) -> Tensor:
        """Return the mean cross-entropy in nats per symbol, including the end of each sample."""
        assert batch.y_lengths is not None
        ends_B1 = batch.y_lengths[:, None]
        target_BU = F.pad(batch.y, (0, 1)).scatter(1, ends_B1, self.end)
        mask_BU = length_mask(batch.y_lengths + 1, target_BU.shape[1])
        smoothing = self.label_smoothing if self.training else 0.0
        logits_NK = self._logits(prediction[mask_BU])
        return F.cross_entropy(logits_NK, target_BU[mask_BU], label_smoothing=smoothing)

    def num_targets(self, batch: Batch) -> int:
        """Return the number of symbols, including the end of each sample."""
        assert batch.y_lengths is not None
        return int((batch.y_lengths + 1).sum())

    def predict(self, x: Tensor, mask: Tensor | None, batch: Batch) -> Tensor:
        """Return the decoded symbols, long (B, U), padded with -1; U ≤ `spec.target_length`."""
        memory = self._encode(x, mask)

        def step(rows_N: Tensor, prefix_NT: Tensor) -> Tensor:
            mask_NU = torch.ones(len(rows_N), prefix_NT.shape[1] + 1, dtype=torch.bool)
            state = self._decode(
                memory.select(rows_N), prefix_NT, mask_NU.to(x.device), only_last=True
            )
            return self._logits(state[:, -1]).log_softmax(-1)

        if self.beam == 1:
            return decoding.greedy_search(step, len(x), self.max_length, x.device)
        return decoding.beam_search(step, len(x), self.max_length, self.beam, x.device)

    def metrics(self, dataset: Dataset) -> dict[str, Metric]:
        """Return BLEU, chrF2 and exact match of the decoded texts of a whole split.

        All are scored against the true texts of a sample, of which there may be several. BLEU and
        chrF2 equal those of sacrebleu. BLEU: case-sensitive, not smoothed, so it is 0 where no
        four-gram matches (Post 2018). chrF2: n-grams of up to 6 characters and no words (Popović
        2015).
        """
        metrics = {
            "bleu": TextMetric(Bleu(self.bleu_tokens), dataset),
            "chrf": TextMetric(ChrF(), dataset),
            "exact_match": TextMetric(ExactMatch(), dataset),
        }
        return {score.name: metrics[score.name] for score in self.scores}

    def update(self, metrics: dict[str, Metric], prediction: Tensor, batch: Batch) -> None:
        for metric in metrics.values():
            metric.update(prediction, batch)

    def samples(self, prediction: Tensor, batch: Batch, dataset: Dataset) -> list[Json]:
        return decode_samples(prediction, batch, dataset)

    def _encode(self, x: Tensor, mask: Tensor | None) -> EncoderMemory:
        return self.attention.encode_memory(self.drop(mask_fill(x, mask)), mask)

    def _decode(
        self, memory: EncoderMemory, y_BU: Tensor, mask_BU: Tensor, *, only_last: bool = False
    ) -> Tensor:
        """Symbols without the begin symbol (B, U - 1) → (B, U, dim), or the last (B, 1, dim)."""
        symbols_BU = F.pad(y_BU, (1, 0), value=self.begin)
        embedded = mask_fill(self.table(symbols_BU) * math.sqrt(self.dim), mask_BU)
        state_BUE, _ = self.decoder(self.drop(embedded), mask_BU)
        state_BUE = self.attention(state_BUE[:, -1:] if only_last else state_BUE, memory)
        projected: Tensor = self.project(self.drop(self.norm(state_BUE)))
        return projected

    def _logits(self, projected: Tensor) -> Tensor:
        """(N, dim) → (N, K)."""
        return F.linear(projected, self.table.weight[: self.begin])


def _find_problems(
    spec: DataSpec, dropout: float, label_smoothing: float, rank_by: str, bleu_tokens: str
) -> Iterator[str]:
    if spec.symbols < 1 or spec.target_length < 1:
        yield (
            f"{spec.name} has {spec.symbols} symbols and a target_length of "
            f"{spec.target_length}; both must be at least 1"
        )
    for name, rate in (("dropout", dropout), ("label_smoothing", label_smoothing)):
        if not 0 <= rate < 1:
            yield f"{name} must be in [0, 1), got {rate}"
    if rank_by not in _SCORES:
        yield f"rank_by must be one of {', '.join(_SCORES)}; got {rank_by!r}"
    if bleu_tokens not in get_args(BleuTokens):
        yield f"bleu_tokens must be one of {', '.join(get_args(BleuTokens))}; got {bleu_tokens!r}"
