"""CTC against a sum over all paths, scores against torchmetrics, and the baselines."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from torchmetrics.functional.text import char_error_rate, word_error_rate
from torchmetrics.text import WordErrorRate

from quintain.baselines.transcribe import (
    STEPS,
    _find_space,
    _join_most_frequent_words,
    linear_transcriber,
    majority_transcript,
)
from quintain.contracts import Batch, Features, Lexicon
from quintain.metrics.text_metrics import ExactMatch, TextMetric, decode_rows, target_symbols
from quintain.nn import ctc
from quintain.nn.mask import length_mask
from quintain.plugins.head.transcribe import Transcribe
from quintain.plugins.stem.speech import Speech
from quintain.testing import EXAMPLE_SPECS, ExampleDataset, fake_batch

SPEC = next(spec for spec in EXAMPLE_SPECS if spec.task == "transcribe")


def random_log_probabilities(frames: int, symbols: int, seed: int = 0) -> Tensor:
    """Return log-probabilities (1, T, K) that are neither uniform nor certain."""
    generator = torch.Generator().manual_seed(seed)
    return (1.5 * torch.randn(1, frames, symbols + 1, generator=generator)).log_softmax(-1)


def all_texts(log_TK: Tensor) -> dict[tuple[int, ...], float]:
    """Return the probability of each text, summed over all K^T paths."""
    probabilities: dict[tuple[int, ...], float] = defaultdict(float)
    frames, labels = log_TK.shape
    for path in itertools.product(range(labels), repeat=frames):
        merged = [label for label, _ in itertools.groupby(path)]
        text = tuple(label for label in merged if label != labels - 1)
        probabilities[text] += math.exp(sum(float(log_TK[t, k]) for t, k in enumerate(path)))
    return probabilities


@pytest.mark.parametrize("text", [(0,), (1, 0), (1, 1), (2, 2, 2), ()])
def test_ctc_loss_sums_over_all_paths(text: tuple[int, ...]) -> None:
    log_BTK = random_log_probabilities(5, 3).double()
    y = torch.tensor([[*text, 0]])  # a column of padding
    nats = ctc.ctc_loss(log_BTK, y, torch.tensor([len(text)]))
    assert nats.item() == pytest.approx(-math.log(all_texts(log_BTK[0])[text]), rel=1e-6)


def test_ctc_ignores_padded_frames() -> None:
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(3, 9, 5, generator=generator)
    lengths = torch.tensor([9, 6, 4])
    padded = logits.masked_fill(~length_mask(lengths, 9)[..., None], math.nan).requires_grad_()
    y, y_lengths = torch.tensor([[0, 1, 1], [2, 0, 0], [3, 2, 0]]), torch.tensor([3, 1, 2])
    log = ctc.compute_log_probabilities(padded, length_mask(lengths, 9))
    nats, texts = ctc.ctc_loss(log, y, y_lengths), ctc.greedy_decode(log)
    for k, length in enumerate(lengths.tolist()):
        alone = ctc.compute_log_probabilities(logits[k, None, :length], None)
        torch.testing.assert_close(
            nats[k, None], ctc.ctc_loss(alone, y[k, None], y_lengths[k, None])
        )
        row = texts[k][texts[k] >= 0]
        assert torch.equal(row, ctc.greedy_decode(alone)[0])
    assert torch.equal(ctc.count_frames(log), lengths)
    nats.sum().backward()
    assert padded.grad is not None and padded.grad.isfinite().all()
    assert not padded.grad[1, 6:].any() and padded.grad[1, :6].any()


def test_needed_frames_include_a_blank_between_equal_symbols() -> None:
    y = torch.tensor([[1, 1, 2], [1, 2, 1], [1, 1, 1], [0, 0, 0]])
    assert ctc.count_needed_frames(y, torch.tensor([3, 3, 2, 0])).tolist() == [4, 3, 3, 0]
    assert ctc.count_needed_frames(y[:, :0], torch.tensor([0, 0, 0, 0])).tolist() == [0] * 4


def test_greedy_decode_merges_and_then_drops_blanks() -> None:
    """Label 3 is the blank."""
    paths = torch.tensor(
        [[0, 0, 3, 0, 1, 1], [3, 3, 3, 3, 3, 3], [2, 1, 2, 3, 3, 2], [0, 0, 0, 0, 0, 0]]
    )
    log = functional.one_hot(paths, 4).float().log_softmax(-1)
    assert ctc.greedy_decode(log).tolist() == [
        [0, 0, 1, -1],
        [-1, -1, -1, -1],
        [2, 1, 2, 2],
        [0, -1, -1, -1],
    ]
    assert ctc.greedy_decode(log[1:2]).shape == (1, 0)


@pytest.mark.parametrize("seed", range(6))
def test_wide_beam_finds_the_most_likely_text(seed: int) -> None:
    log = random_log_probabilities(5, 2, seed)
    texts = all_texts(log[0])
    best = max(texts, key=lambda text: texts[text])
    assert ctc.beam_decode(log, 200).tolist() == [list(best)]


@pytest.mark.parametrize("seed", range(6))
def test_wide_beam_with_a_lexicon_finds_the_most_likely_text_of_its_words(seed: int) -> None:
    """The words are 0, 01 and 10, with 2 between them; compared to a sum over all paths."""
    lexicon = Lexicon(words=((0,), (0, 1), (1, 0)), between=2)
    log = random_log_probabilities(6, 3, seed)
    texts = {
        text: probability
        for text, probability in all_texts(log[0]).items()
        if not text or all(word in ("0", "01", "10") for word in _words(text))
    }
    best = max(texts, key=lambda text: texts[text])
    assert ctc.beam_decode(log, 500, lexicon).tolist() == [list(best)]


def _words(text: tuple[int, ...]) -> list[str]:
    return "".join(map(str, text)).split("2")


def test_incomplete_last_word_is_dropped() -> None:
    lexicon = Lexicon(words=((0, 1),), between=2)
    steps = [[0.97, 0.01, 0.01, 0.01], [0.01, 0.97, 0.01, 0.01], [0.01, 0.01, 0.97, 0.01]]
    log = torch.tensor([[*steps, steps[0]]]).log()  # too short for the second word
    assert ctc.beam_decode(log, 1, lexicon).tolist() == [[0, 1]]
    assert ctc.beam_decode(log[:, :1], 1, lexicon).tolist() == [[]]


def test_lexicon_without_separator_gives_one_word() -> None:
    lexicon = Lexicon(words=((0,), (0, 1)))
    steps = [[0.97, 0.01, 0.01, 0.01], [0.01, 0.97, 0.01, 0.01]]
    log = torch.tensor([[*steps, *steps]]).log()
    assert ctc.beam_decode(log, 8, lexicon).tolist() == [[0, 1]]


def test_lexicon_needs_words_and_a_beam() -> None:
    words = replace(SPEC, lexicon=Lexicon(words=((0,),), between=1))
    frames = Features(dim=3, grid=(40,), masked=True)
    with pytest.raises(
        ValueError, match=r"needs words that are spelt in symbols, which .* does not have"
    ):
        Transcribe(frames, SPEC, lexicon=True, beam=8)
    with pytest.raises(ValueError, match="needs a beam of at least 2, got 1"):
        Transcribe(frames, words, lexicon=True)
    assert Transcribe(frames, words, lexicon=True, beam=2).lexicon == words.lexicon


def test_most_likely_text_can_differ_from_that_of_the_most_likely_path() -> None:
    """Graves et al. 2006, figure 2: two frames, blank 0.6 and a symbol 0.4 in each."""
    log = torch.tensor([[[0.4, 0.6], [0.4, 0.6]]]).log()
    assert ctc.greedy_decode(log).tolist() == [[]]  # the path of two blanks has 0.36
    assert ctc.beam_decode(log, 4).tolist() == [[0]]  # three paths have 0.64 together
    assert ctc.beam_decode(torch.cat([log, log.flip(2)]), 4).tolist() == [[0], [0]]


class FixedTranscripts(ExampleDataset):
    """Silent recordings with the given transcripts."""

    alphabet = "ab c"

    def __init__(self, texts: list[str]) -> None:
        super().__init__(SPEC)
        lengths = torch.tensor([len(text) for text in texts])
        y = torch.zeros(len(texts), int(lengths.max()), dtype=torch.long)
        for row, text in zip(y, texts, strict=True):
            row[: len(text)] = torch.tensor([self.alphabet.index(c) for c in text])
        x = torch.zeros(len(texts), SPEC.shape[0])
        self._splits["train"] = Batch(x, y, torch.full_like(lengths, x.shape[1]), lengths)

    def decode(self, tokens: Any, side: str) -> str:
        return "".join(self.alphabet[token] if token < 4 else "?" for token in tokens)


def make_head(**settings: Any) -> Transcribe:
    torch.manual_seed(0)
    return Transcribe(Features(dim=3, grid=(22,), masked=True), SPEC, None, **settings)


def test_scores_equal_torchmetrics() -> None:
    true, predicted = ["ab c", "a b", "c"], ["ab c", "a", "b c"]
    batch = FixedTranscripts(true)._splits["train"]
    head, data = make_head(), FixedTranscripts(true)
    metrics = head.metrics(data)
    head.update(metrics, target_symbols(FixedTranscripts(predicted)._splits["train"]), batch)
    scores = {name: float(metric.compute()) for name, metric in metrics.items()}
    assert scores["wer"] == pytest.approx(float(word_error_rate(predicted, true))) == 2 / 5
    assert (
        scores["cer"]
        == pytest.approx(float(char_error_rate(predicted, true)))
        == pytest.approx(4 / 8)
    )
    assert scores["exact_match"] == pytest.approx(1 / 3)
    samples = head.samples(target_symbols(batch), batch, data)
    assert samples[1] == {"truth": "a b", "prediction": "a b"}


def test_text_metric_adds_up_batches_and_resets() -> None:
    data = FixedTranscripts(["a b", "c", "ab"])
    whole = data.batch("train", torch.arange(3))
    parts = [data.batch("train", torch.tensor(rows)) for rows in ([0], [1, 2])]
    wrong = torch.tensor([[0]])
    at_once = TextMetric(WordErrorRate(), data, multiple_references=False)
    at_once.update(wrong.expand(3, 1), whole)
    in_parts = TextMetric(WordErrorRate(), data, multiple_references=False)
    for _ in range(2):
        in_parts.reset()
        for part in parts:
            in_parts.update(wrong.expand(len(part.x), 1), part)
    assert at_once.compute() == in_parts.compute() == 3 / 4
    match = TextMetric(ExactMatch(), data)
    match.update(target_symbols(whole), whole)
    assert match.compute() == 1
    assert decode_rows(torch.tensor([[0, -1], [-1, -1]]), data.decode) == ["a", ""]


def test_rank_by_chooses_the_main_score() -> None:
    assert [score.name for score in make_head().scores] == ["wer", "cer", "exact_match"]
    scores = make_head(rank_by="exact_match").scores
    assert [s.name for s in scores] == ["exact_match", "wer", "cer"]
    assert [s.direction for s in scores] == ["max", "min", "min"]


def test_loss_is_the_mean_over_samples_of_nats_per_symbol() -> None:
    """torch's own mean divides by target lengths too."""
    head, batch = make_head(), fake_batch(SPEC)
    mask = length_mask(torch.tensor([22, 5, 9, 7, 20, 4]), 22)
    log = head(torch.randn(6, 22, 3, generator=torch.Generator().manual_seed(3)), mask, batch)
    expected = functional.ctc_loss(
        log.transpose(0, 1), batch.y, mask.sum(1), batch.y_lengths, blank=6, reduction="mean"
    )
    torch.testing.assert_close(head.loss(log, batch), expected)


def test_too_long_transcript_raises_or_is_left_out() -> None:
    batch = Batch(
        *(torch.zeros(2, 2000), torch.tensor([[1, 1], [1, 2]])),
        *(torch.tensor([2000, 400]), torch.tensor([2, 2])),
    )
    x = torch.randn(2, 22, 3, generator=torch.Generator().manual_seed(4))
    mask = length_mask(torch.tensor([2, 2]), 22)
    head, lenient = make_head(), make_head(too_long="leave_out")
    with pytest.raises(
        ValueError, match=r"1 of 2 .*2 symbols need 3 frames, but there are 2.*stack"
    ):
        head.loss(head(x, mask, batch), batch)
    log = lenient(x, mask, batch)
    loss = lenient.loss(log, batch)
    alone = ctc.ctc_loss(log[1:], batch.y[1:], torch.tensor([2]))
    torch.testing.assert_close(loss, alone[0] / 2 / 2)
    loss.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in lenient.parameters())


def test_transcripts_that_are_too_long_are_named_before_training() -> None:
    """At 8 kHz a window has 256 samples, and the next one starts 80 later."""
    stem = Speech(SPEC, input_layout="sequence")
    assert SPEC.sample_rate == 8000 and (stem.size, stem.hop) == (256, 80)
    transcripts: Any = {
        "train": [("a.wav (line 2)", 256 + 2 * 80, (1, 2, 3)), ("b.wav (line 3)", 336, (1, 2, 3))],
        "val": [],
        "test": [("c.wav (line 4)", 100, (1,)), ("d.wav (line 5)", 336, (1, 1))],
    }
    message = (
        "2 of 4 transcripts need more frames than their samples have%s: b.wav (line 3) in train (3 "
        "symbols need 3 frames, it has 2), d.wav (line 5) in test (2 symbols need 3 frames, it has "
        "2)"
    )
    with pytest.raises(ValueError, match=r"in train.*head\.too_long=leave_out") as error:
        make_head().check_transcripts(stem, transcripts)
    assert str(error.value).startswith(message % "")
    (note,) = make_head(too_long="leave_out").check_transcripts(stem, transcripts)
    assert note == message % "; they are scored, but left out of the loss"
    stacked = Speech(SPEC, input_layout="sequence", stack=2)
    assert len(make_head(too_long="leave_out").check_transcripts(stacked, transcripts)) == 1
    transcripts["train"], transcripts["test"] = transcripts["train"][:1], transcripts["test"][:1]
    assert make_head().check_transcripts(stem, transcripts) == ()


def test_data_in_memory_tell_the_sizes_of_their_samples() -> None:
    data = FixedTranscripts(["ab c", "a"])
    assert data.transcripts() == {
        "train": [("sample 0", 2000, [0, 1, 2, 3]), ("sample 1", 2000, [0])]
    }


def test_the_longest_transcript_must_fit_if_sizes_are_unknown() -> None:
    head = Transcribe(Features(dim=3, grid=(1,)), SPEC)
    with pytest.raises(
        ValueError, match=r"the longest transcript of .* has 1 frames: .*stem\.stack"
    ):
        head.check_transcripts(make_stem(), None)
    assert make_head().check_transcripts(make_stem(), None) == ()


@pytest.mark.parametrize("settings", [{}, {"stack": 3}, {"stretch": 0.2, "faster": True}])
def test_steps_are_counted_as_the_stem_makes_them(settings: dict[str, Any]) -> None:
    stem = Speech(SPEC, input_layout="sequence", **settings)
    lengths = torch.tensor([1, 255, 256, 335, 336, 1000, 1999, 2000])
    fewest = torch.stack([stem(torch.rand(8, 2000), lengths)[1].sum(1) for _ in range(60)]).amin(0)
    counted = stem.count_steps(lengths)
    assert (counted <= fewest).all() and (fewest - counted <= 1).all()
    if not settings.get("stretch"):
        assert torch.equal(counted, fewest)


def test_wrong_settings_are_reported_together() -> None:
    with pytest.raises(ValueError, match=r"beam must .*rank_by must .*too_long must"):
        Transcribe(
            Features(dim=3, grid=(1,)),
            SPEC,
            beam=0,
            rank_by="bleu",  # type: ignore[arg-type]
            too_long="no",  # type: ignore[arg-type]
        )
    with pytest.raises(ValueError, match="a model must return"):
        Transcribe(Features(dim=3, grid=(22, 40)), SPEC)


def test_beam_equals_greedy_where_the_model_is_certain() -> None:
    batch = fake_batch(SPEC)
    x = 40 * torch.randn(6, 22, 3, generator=torch.Generator().manual_seed(5))
    mask = length_mask(torch.tensor([22, 5, 9, 7, 20, 4]), 22)
    greedy, beam = make_head(), make_head(beam=3)
    beam.load_state_dict(greedy.state_dict())
    assert torch.equal(greedy.predict(x, mask, batch), beam.predict(x, mask, batch))


def make_stem(mels: int = 8) -> Speech:
    return Speech(SPEC, input_layout="sequence", mels=mels)


def test_majority_transcript_is_the_best_constant_text() -> None:
    """The most frequent word at each position beats every text of the split."""
    texts = ["a b", "a c", "c b", "a bb", "b b"]
    data = FixedTranscripts(texts)
    predicted = majority_transcript(data, make_stem())(data.batch("train", torch.tensor([0, 3])))
    assert decode_rows(predicted, data.decode) == ["a b", "a b"]
    assert _find_space(data) == 2
    candidates = ("a b", "a c", "c b", "b b")
    rates = {text: float(word_error_rate([text] * 5, texts)) for text in candidates}
    assert min(rates, key=lambda text: rates[text]) == "a b"
    assert _join_most_frequent_words([(0, 2, 1), (0,), (3, 2, 1, 2, 1), (3, 2, 3), (3,)], 2) == (
        3,
        2,
        1,
    )
    assert _join_most_frequent_words([(0, 1), (0, 0)], None) == (0, 0)


class Tones(ExampleDataset):
    """Each recording has two tones, and each tone is a symbol."""

    def load(self) -> dict[Any, Batch]:
        return {
            split: self._random_batch(seed) for seed, split in enumerate(("train", "val", "test"))
        }

    def _random_batch(self, seed: int) -> Batch:
        generator = torch.Generator().manual_seed(seed)
        first = torch.randint(6, (40,), generator=generator)
        step = torch.randint(
            1, 6, (40,), generator=generator
        )  # two equal tones would sound like one
        y = torch.stack([first, (first + step) % 6], 1)
        time = torch.arange(1000) / 8000
        hertz = 300 + 500 * y[..., None]
        x = 0.3 * torch.sin(2 * math.pi * hertz * time + seed).flatten(1)
        return Batch(x, y, torch.full((40,), 2000), torch.full((40,), 2))


def test_linear_transcriber_learns_tones() -> None:
    assert STEPS <= 500
    data = Tones(SPEC)
    data.setup()
    batch = data.batch("test", torch.arange(40))
    predictions = [linear_transcriber(data, make_stem(20))(batch) for _ in range(2)]
    assert torch.equal(*predictions)
    correct = [a == b for a, b in zip(predictions[0].tolist(), batch.y.tolist(), strict=True)]
    assert len(correct) == 40 and sum(correct) > 36


def test_stretch_of_transcribed_speech_is_only_slower_by_default() -> None:
    x, lengths = torch.rand(300, 2000) - 0.5, torch.full((300,), 2000)
    spec = replace(SPEC, shape=(2000,), sample_rate=8000)
    assert spec.ragged
    for faster, least in ((None, 22), (True, 17)):  # 22 frames without stretch
        stem = Speech(spec, input_layout="sequence", stretch=0.2, faster=faster)
        frames = stem(x, lengths)[1].sum(1)
        assert (int(frames.min()), int(frames.max())) == (least, 26)
