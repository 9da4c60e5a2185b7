"""Symbols in the order of the input but not aligned with it: connectionist temporal classification.

Legend: B batch, T frames, S symbols (the blank is number S), K = S + 1, U symbols of a text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar, Literal, get_args

import torch
from torch import Tensor, nn
from torchmetrics import Metric
from torchmetrics.text import CharErrorRate, WordErrorRate

from quintain.contracts import (
    Asks,
    Batch,
    Dataset,
    DataSpec,
    Features,
    Json,
    Lexicon,
    MakeCore,
    Predictor,
    Score,
    Stem,
)
from quintain.kit.heads import check_task
from quintain.kit.references import speech as speech_references
from quintain.kit.text import ctc
from quintain.kit.text.written import ExactMatch, Written, strings, truth

RankBy = Literal["wer", "cer", "exact_match"]
TooLong = Literal["error", "leave_out"]

_SCORES = {
    "wer": Score(name="wer", direction="min", unit="fraction"),
    "cer": Score(name="cer", direction="min", unit="fraction"),
    "exact_match": Score(name="exact_match", direction="max", unit="fraction"),
}


class Transcribe(nn.Module):
    """A linear map of every frame → log-probabilities (B, T, K), trained by CTC.

    A transcript needs a frame for each symbol, and one more between two equal symbols.

    Args:
        inp: features (B, T, dim).
        spec: of a transcribe dataset.
        make_core: not used.
        beam: 1 reads the likeliest path; more: prefix beam search, in Python and slow.
        lexicon: the beam search finds words of the train split only. Fit for a closed vocabulary:
            no other word can ever come out.
        rank_by: the score that chooses the weights and ranks the models.
        too_long: what becomes of a training sample whose transcript needs more frames than its
            sound has: "error", or "leave_out" of the loss (the scores count it all the same).

    Raises:
        ValueError: a setting that is not known, or no frames enough for the longest transcript.
    """

    causal: ClassVar[bool] = False
    asks: ClassVar[Asks] = "positions"
    references: ClassVar[Mapping[str, Callable[[Dataset, Stem], Predictor]]] = {
        "majority": speech_references.majority_transcript,
        "linear": speech_references.linear_transcriber,
    }

    def __init__(
        self,
        inp: Features,
        spec: DataSpec,
        make_core: MakeCore | None = None,
        *,
        beam: int = 1,
        lexicon: bool = False,
        rank_by: RankBy = "wer",
        too_long: TooLong = "error",
    ) -> None:
        super().__init__()
        check_task(spec, "transcribe")
        _check(inp, spec, beam, rank_by, too_long)
        self.lexicon = _lexicon(spec, beam) if lexicon else None
        self.scores = tuple(sorted(_SCORES.values(), key=lambda score: score.name != rank_by))
        self.beam, self.too_long = beam, too_long
        self.logits = nn.Linear(inp.dim, spec.symbols + 1)

    def forward(self, x: Tensor, mask: Tensor | None, batch: Batch) -> Tensor:
        """(B, T, dim), mask → log-probabilities (B, T, K); behind the mask the blank is certain."""
        return ctc.log_probabilities(self.logits(x), mask)

    def loss(self, prediction: Tensor, batch: Batch) -> Tensor:
        """- log P(y) in nats a symbol of y, mean over the samples.

        Raises:
            ValueError: with too_long=error, a transcript that no path gives.
        """
        assert batch.y_lengths is not None
        if self.too_long == "error":
            _refuse_too_long(prediction, batch.y, batch.y_lengths)
        nats_B = ctc.nats(prediction, batch.y, batch.y_lengths)
        return (nats_B / batch.y_lengths.clamp(min=1)).mean()

    def weight(self, batch: Batch) -> int:
        """Samples."""
        return len(batch.y)

    def answer(self, x: Tensor, mask: Tensor | None, batch: Batch) -> Tensor:
        """The symbols that were found, long (B, U), -1 behind the end of each."""
        log_BTK = self(x, mask, batch)
        return (
            ctc.greedy(log_BTK)
            if self.beam == 1
            else ctc.beam_search(log_BTK, self.beam, self.lexicon)
        )

    def metrics(self, dataset: Dataset) -> dict[str, Metric]:
        """Edits over words, edits over characters (each of the whole split), share without any."""
        made = {"wer": WordErrorRate(), "cer": CharErrorRate(), "exact_match": ExactMatch()}
        return {score.name: Written(made[score.name], dataset.text) for score in self.scores}

    def update(self, metrics: dict[str, Metric], answer: Tensor, batch: Batch) -> None:
        """Add one batch."""
        for metric in metrics.values():
            metric.update(answer, batch)

    def samples(self, answer: Tensor, batch: Batch, dataset: Dataset) -> list[Json]:
        """What was said, and what the model heard."""
        rows = zip(strings(truth(batch), dataset.text), strings(answer, dataset.text), strict=True)
        return [{"truth": true, "prediction": said} for true, said in rows]


def _check(inp: Features, spec: DataSpec, beam: int, rank_by: str, too_long: str) -> None:
    problems = []
    if beam < 1:
        problems.append(f"beam must be at least 1, came {beam}")
    if rank_by not in get_args(RankBy):
        problems.append(f"rank_by must be one of {', '.join(get_args(RankBy))}, not {rank_by!r}")
    if too_long not in get_args(TooLong):
        problems.append(f"too_long must be error or leave_out, not {too_long!r}")
    if len(inp.grid) != 1:
        problems.append(
            f"transcribe needs frames, (B, T, dim), but the core puts out a grid {inp.grid}; a "
            "core must keep what inp.asks 'positions' of"
        )
    elif inp.grid[0] < spec.target_length:
        problems.append(
            f"the longest transcript of {spec.name} has {spec.target_length} symbols, and its "
            f"longest sound {inp.grid[0]} frames: take shorter steps (stem.hop, stem.stack)"
        )
    if problems:
        raise ValueError("; ".join(problems))


def _lexicon(spec: DataSpec, beam: int) -> Lexicon:
    if spec.lexicon is None:
        raise ValueError(
            f"lexicon=true needs words spelt in symbols, and {spec.name} has none: its symbols are "
            "words themselves, or its words are not known beforehand"
        )
    if beam < 2:
        raise ValueError(f"lexicon=true needs a beam of 2 or more, came {beam}; try beam=8")
    return spec.lexicon


def _refuse_too_long(log_BTK: Tensor, y_BU: Tensor, y_lengths_B: Tensor) -> None:
    frames_B, needed_B = ctc.frames(log_BTK), ctc.needed(y_BU, y_lengths_B)
    bad = torch.nonzero(needed_B > frames_B).flatten().tolist()
    if not bad:
        return
    named = [
        f"{int(y_lengths_B[k])} symbols need {int(needed_B[k])} frames, there are "
        f"{int(frames_B[k])}"
        for k in bad[:3]
    ]
    raise ValueError(
        f"{len(bad)} of {len(log_BTK)} transcripts of a batch are too long for their sounds "
        f"({'; '.join(named)}{'; …' if len(bad) > 3 else ''}): take shorter steps (stem.hop, "
        "stem.stack), or leave such samples out of the loss with head.too_long=leave_out"
    )
