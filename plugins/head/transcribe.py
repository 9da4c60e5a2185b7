"""The head of transcription: text from frames by connectionist temporal classification (CTC).

Legend: B batch, T frames, K labels (the symbols, then the blank), U symbols of a text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import ClassVar, Literal, get_args

import torch
from torch import Tensor, nn
from torchmetrics import Metric
from torchmetrics.text import CharErrorRate, WordErrorRate

from quintain.baselines.transcribe import linear_transcriber, majority_transcript
from quintain.contracts import (
    Batch,
    Dataset,
    DataSpec,
    Features,
    Json,
    MakeCore,
    Score,
    Stem,
    Transcripts,
)
from quintain.data.files.problems import abbreviate
from quintain.metrics.text_metrics import ExactMatch, TextMetric, decode_samples
from quintain.nn import ctc
from quintain.nn.checks import check_task, raise_problems

RankBy = Literal["wer", "cer", "exact_match"]
TooLong = Literal["error", "leave_out"]

_CURE = (
    "use shorter steps (stem.hop, stem.stack), or leave such samples out of the loss with "
    "head.too_long=leave_out"
)
_SCORES = {
    "wer": Score(name="wer", direction="min", unit="fraction"),
    "cer": Score(name="cer", direction="min", unit="fraction"),
    "exact_match": Score(name="exact_match", direction="max", unit="fraction"),
}


class Transcribe(nn.Module):
    """A linear map of each frame to log-probabilities (B, T, K), trained with the CTC loss.

    A transcript needs a frame for each symbol, and one more between two equal symbols.

    Args:
        beam: width of the prefix beam search, which runs in Python and is slow. 1: greedy decoding.
        lexicon: whether the beam search may return only words of the dataset's lexicon; use it if
            val and test contain no other words.
        rank_by: the main score.
        too_long: treatment of a sample whose transcript needs more frames than the sample has.
            "error" raises; "leave_out" leaves it out of the loss, but not of the scores.

    Raises:
        ValueError: an invalid setting.
    """

    causal = False
    output_mode = "positions"
    baselines: ClassVar = {"majority": majority_transcript, "linear": linear_transcriber}

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
        raise_problems(_find_problems(inp, spec, beam, lexicon, rank_by, too_long))
        self.lexicon = spec.lexicon if lexicon else None
        self.scores = tuple(sorted(_SCORES.values(), key=lambda score: score.name != rank_by))
        self.beam, self.too_long = beam, too_long
        self._spec, self._max_frames = spec, inp.grid[0]
        self.logits = nn.Linear(inp.dim, spec.symbols + 1)

    def forward(self, x: Tensor, mask: Tensor | None, batch: Batch) -> Tensor:
        """(B, T, dim), mask → log-probabilities (B, T, K); in the padding the blank is certain."""
        return ctc.compute_log_probabilities(self.logits(x), mask)

    def loss(self, prediction: Tensor, batch: Batch) -> Tensor:
        """Return -log P(y) in nats per symbol of y, averaged over the samples.

        Raises:
            ValueError: a transcript needs more frames than there are, and too_long is "error".
        """
        assert batch.y_lengths is not None
        if self.too_long == "error":
            _check_enough_frames(prediction, batch.y, batch.y_lengths)
        nats_B = ctc.ctc_loss(prediction, batch.y, batch.y_lengths)
        return (nats_B / batch.y_lengths.clamp(min=1)).mean()

    def check_transcripts(self, stem: Stem, transcripts: Transcripts | None) -> tuple[str, ...]:
        """Return a note on transcripts that need more frames than their samples have.

        Raises:
            ValueError: there are such transcripts, and too_long is "error".
        """
        count_steps = getattr(stem, "count_steps", None)
        if transcripts is None or count_steps is None:
            longest = self._spec.target_length
            if self.too_long == "error" and longest > self._max_frames:
                raise ValueError(
                    f"the longest transcript of {self._spec.name} has {longest} symbols, but its "
                    f"longest input has {self._max_frames} frames: {_CURE}"
                )
            return ()
        too_long = [
            f"{name} in {split} ({len(symbols)} symbols need {needed} frames, it has {frames})"
            for split, samples in transcripts.items()
            for name, symbols, needed, frames in _count_frames(samples, count_steps)
            if needed > frames
        ]
        if not too_long:
            return ()
        total = sum(map(len, transcripts.values()))
        count = f"{len(too_long):,} of {total:,} transcripts"
        text = f"{count} need more frames than their samples have"
        names = ", ".join(abbreviate(too_long))
        if self.too_long == "error":
            raise ValueError(f"{text}: {names}: {_CURE}")
        return (f"{text}; they are scored, but left out of the loss: {names}",)

    def num_targets(self, batch: Batch) -> int:
        return len(batch.y)

    def predict(self, x: Tensor, mask: Tensor | None, batch: Batch) -> Tensor:
        """Return the decoded symbols, long (B, U), padded with -1."""
        log_BTK = self(x, mask, batch)
        if self.beam == 1:
            return ctc.greedy_decode(log_BTK)
        return ctc.beam_decode(log_BTK, self.beam, self.lexicon)

    def metrics(self, dataset: Dataset) -> dict[str, Metric]:
        """Return word error rate, character error rate and exact match of a whole split."""
        metrics = {"wer": WordErrorRate(), "cer": CharErrorRate(), "exact_match": ExactMatch()}
        return {
            s.name: TextMetric(
                metrics[s.name], dataset, multiple_references=s.name == "exact_match"
            )
            for s in self.scores
        }

    def update(self, metrics: dict[str, Metric], prediction: Tensor, batch: Batch) -> None:
        for metric in metrics.values():
            metric.update(prediction, batch)

    def samples(self, prediction: Tensor, batch: Batch, dataset: Dataset) -> list[Json]:
        return decode_samples(prediction, batch, dataset)


def _find_problems(
    inp: Features, spec: DataSpec, beam: int, lexicon: bool, rank_by: str, too_long: str
) -> Iterator[str]:
    if beam < 1:
        yield f"beam must be at least 1, got {beam}"
    if lexicon and spec.lexicon is None:
        yield (
            f"lexicon=true needs words that are spelt in symbols, which {spec.name} does not have: "
            "each of its symbols is a word, or its words are not known in advance"
        )
    elif lexicon and beam == 1:
        yield "lexicon=true needs a beam of at least 2, got 1; try beam=8"
    if rank_by not in get_args(RankBy):
        yield f"rank_by must be one of {', '.join(get_args(RankBy))}; got {rank_by!r}"
    if too_long not in get_args(TooLong):
        yield f"too_long must be error or leave_out, got {too_long!r}"
    if len(inp.grid) != 1:
        yield (
            f"transcribe needs frames, (B, T, dim), but the model returns the grid {inp.grid}; "
            "where inp.output_mode is 'positions', a model must return (B, inp.grid[0], dim) and "
            "flatten the other axes into dim"
        )


def _count_frames(
    samples: Sequence[tuple[str, int, Sequence[int]]], count_steps: Callable[[Tensor], Tensor]
) -> Iterator[tuple[str, Sequence[int], int, int]]:
    """Yield name and symbols of each sample, and the numbers of frames that it needs and has."""
    frames = count_steps(torch.tensor([steps for _, steps, _ in samples])).tolist()
    for (name, _, symbols), count in zip(samples, frames, strict=True):
        y_1U, y_lengths_1 = torch.tensor([symbols]), torch.tensor([len(symbols)])
        yield name, symbols, int(ctc.count_needed_frames(y_1U, y_lengths_1)), count


def _check_enough_frames(log_BTK: Tensor, y_BU: Tensor, y_lengths_B: Tensor) -> None:
    """Raise `ValueError`, with up to three examples, if a transcript needs too many frames."""
    frames_B = ctc.count_frames(log_BTK)
    needed_B = ctc.count_needed_frames(y_BU, y_lengths_B)
    rows = torch.nonzero(needed_B > frames_B).flatten().tolist()
    if not rows:
        return
    examples = [
        f"{int(y_lengths_B[k])} symbols need {int(needed_B[k])} frames, but there are "
        f"{int(frames_B[k])}"
        for k in rows[:3]
    ]
    raise ValueError(
        f"{len(rows)} of {len(log_BTK)} transcripts of a batch are too long for their samples "
        f"({'; '.join(examples)}{'; …' if len(rows) > 3 else ''}): {_CURE}"
    )
