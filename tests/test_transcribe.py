"""CTC against a sum over all paths by hand, scores against torchmetrics, and the free rows."""

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

from quintain.contracts import Batch, Features, Lexicon
from quintain.kit.mask import mask_of
from quintain.kit.references.speech import (
    STEPS,
    _common,
    _space,
    linear_transcriber,
    majority_transcript,
)
from quintain.kit.text import ctc
from quintain.kit.text.written import ExactMatch, Written, strings, truth
from quintain.plugins.head.transcribe import Transcribe
from quintain.plugins.stem.speech import Speech
from quintain.testing import EXAMPLE_SPECS, ExampleDataset, fake_batch

SPEC = next(spec for spec in EXAMPLE_SPECS if spec.task == "transcribe")


def chances(frames: int, symbols: int, seed: int = 0) -> Tensor:
    """Log-probabilities (1, T, K) that are neither even nor sure."""
    draw = torch.Generator().manual_seed(seed)
    return (1.5 * torch.randn(1, frames, symbols + 1, generator=draw)).log_softmax(-1)


def all_texts(log_TK: Tensor) -> dict[tuple[int, ...], float]:
    """Probability of each text: the sum over every one of the K^T paths."""
    found: dict[tuple[int, ...], float] = defaultdict(float)
    frames, labels = log_TK.shape
    for path in itertools.product(range(labels), repeat=frames):
        merged = [label for label, _ in itertools.groupby(path)]
        text = tuple(label for label in merged if label != labels - 1)
        found[text] += math.exp(sum(float(log_TK[t, k]) for t, k in enumerate(path)))
    return found


def answer_of(rows: list[list[int]]) -> Tensor:
    return torch.tensor(rows)


@pytest.mark.parametrize("text", [(0,), (1, 0), (1, 1), (2, 2, 2), ()])
def test_the_loss_is_the_sum_over_all_paths(text: tuple[int, ...]) -> None:
    log_BTK = chances(5, 3).double()
    y = torch.tensor([[*text, 0]])  # a column of padding, as where another sample is longer
    nats = ctc.nats(log_BTK, y, torch.tensor([len(text)]))
    assert nats.item() == pytest.approx(-math.log(all_texts(log_BTK[0])[text]), rel=1e-6)


def test_frames_behind_the_mask_change_neither_loss_nor_text() -> None:
    draw = torch.Generator().manual_seed(1)
    logits = torch.randn(3, 9, 5, generator=draw)
    lengths = torch.tensor([9, 6, 4])
    soiled = logits.masked_fill(~mask_of(lengths, 9)[..., None], math.nan).requires_grad_()
    y, y_lengths = torch.tensor([[0, 1, 1], [2, 0, 0], [3, 2, 0]]), torch.tensor([3, 1, 2])
    log = ctc.log_probabilities(soiled, mask_of(lengths, 9))
    nats, texts = ctc.nats(log, y, y_lengths), ctc.greedy(log)
    for k, length in enumerate(lengths.tolist()):
        alone = ctc.log_probabilities(logits[k, None, :length], None)
        torch.testing.assert_close(nats[k, None], ctc.nats(alone, y[k, None], y_lengths[k, None]))
        row = texts[k][texts[k] >= 0]
        assert torch.equal(row, ctc.greedy(alone)[0])
    assert torch.equal(ctc.frames(log), lengths)
    nats.sum().backward()
    assert soiled.grad is not None and soiled.grad.isfinite().all()
    assert not soiled.grad[1, 6:].any() and soiled.grad[1, :6].any()


def test_a_text_needs_a_blank_between_equal_symbols() -> None:
    y = torch.tensor([[1, 1, 2], [1, 2, 1], [1, 1, 1], [0, 0, 0]])
    assert ctc.needed(y, torch.tensor([3, 3, 2, 0])).tolist() == [4, 3, 3, 0]
    assert ctc.needed(y[:, :0], torch.tensor([0, 0, 0, 0])).tolist() == [0] * 4


def test_greedy_merges_and_then_drops_blanks() -> None:
    """Labels by hand; 3 is the blank."""
    paths = torch.tensor(
        [[0, 0, 3, 0, 1, 1], [3, 3, 3, 3, 3, 3], [2, 1, 2, 3, 3, 2], [0, 0, 0, 0, 0, 0]]
    )
    log = functional.one_hot(paths, 4).float().log_softmax(-1)
    assert ctc.greedy(log).tolist() == [
        [0, 0, 1, -1],
        [-1, -1, -1, -1],
        [2, 1, 2, 2],
        [0, -1, -1, -1],
    ]
    assert ctc.greedy(log[1:2]).shape == (1, 0)


@pytest.mark.parametrize("seed", range(6))
def test_a_wide_beam_finds_the_likeliest_text(seed: int) -> None:
    log = chances(5, 2, seed)
    texts = all_texts(log[0])
    best = max(texts, key=lambda text: texts[text])
    assert ctc.beam_search(log, 200).tolist() == [list(best)]


@pytest.mark.parametrize("seed", range(6))
def test_with_a_lexicon_the_likeliest_text_of_its_words_is_found(seed: int) -> None:
    """Words a, ab and ba, spelt 0, 0 1 and 1 0, with 2 between them; against all paths."""
    lexicon = Lexicon(words=((0,), (0, 1), (1, 0)), between=2)
    log = chances(6, 3, seed)
    texts = {
        text: chance
        for text, chance in all_texts(log[0]).items()
        if not text or all(word in ("0", "01", "10") for word in _words(text))
    }
    best = max(texts, key=lambda text: texts[text])
    assert ctc.beam_search(log, 500, lexicon).tolist() == [list(best)]


def _words(text: tuple[int, ...]) -> list[str]:
    return "".join(map(str, text)).split("2")


def test_an_unfinished_word_is_left_out() -> None:
    lexicon = Lexicon(words=((0, 1),), between=2)
    steps = [[0.97, 0.01, 0.01, 0.01], [0.01, 0.97, 0.01, 0.01], [0.01, 0.01, 0.97, 0.01]]
    log = torch.tensor([[*steps, steps[0]]]).log()  # time for one of the second word's symbols
    assert ctc.beam_search(log, 1, lexicon).tolist() == [[0, 1]]
    assert ctc.beam_search(log[:, :1], 1, lexicon).tolist() == [[]]


def test_a_lexicon_of_single_words_gives_one_word() -> None:
    lexicon = Lexicon(words=((0,), (0, 1)))
    steps = [[0.97, 0.01, 0.01, 0.01], [0.01, 0.97, 0.01, 0.01]]
    log = torch.tensor([[*steps, *steps]]).log()
    assert ctc.beam_search(log, 8, lexicon).tolist() == [[0, 1]]


def test_a_lexicon_needs_words_that_are_spelt_and_a_beam() -> None:
    words = replace(SPEC, lexicon=Lexicon(words=((0,),), between=1))
    frames = Features(dim=3, grid=(40,), masked=True)
    with pytest.raises(ValueError, match=r"needs words spelt in symbols, and .* has none"):
        Transcribe(frames, SPEC, lexicon=True, beam=8)
    with pytest.raises(ValueError, match="needs a beam of 2 or more, came 1"):
        Transcribe(frames, words, lexicon=True)
    assert Transcribe(frames, words, lexicon=True, beam=2).lexicon == words.lexicon


def test_the_likeliest_text_is_not_always_that_of_the_likeliest_path() -> None:
    """Graves et al. 2006, figure 2: two frames, blank 0.6 and a symbol 0.4 in each."""
    log = torch.tensor([[[0.4, 0.6], [0.4, 0.6]]]).log()
    assert ctc.greedy(log).tolist() == [[]]  # the path of two blanks has 0.36
    assert ctc.beam_search(log, 4).tolist() == [[0]]  # three paths have 0.64 together
    assert ctc.beam_search(torch.cat([log, log.flip(2)]), 4).tolist() == [[0], [0]]


class Spoken(ExampleDataset):
    """Given texts; what their sounds are does not matter."""

    words = "ab c"

    def __init__(self, texts: list[str]) -> None:
        super().__init__(SPEC)
        lengths = torch.tensor([len(text) for text in texts])
        y = torch.zeros(len(texts), int(lengths.max()), dtype=torch.long)
        for row, text in zip(y, texts, strict=True):
            row[: len(text)] = torch.tensor([self.words.index(c) for c in text])
        x = torch.zeros(len(texts), SPEC.shape[0])
        self._splits["train"] = Batch(x, y, torch.full_like(lengths, x.shape[1]), lengths)

    def text(self, tokens: Any, side: str) -> str:
        return "".join(self.words[token] if token < 4 else "?" for token in tokens)


def build(**settings: Any) -> Transcribe:
    torch.manual_seed(0)
    return Transcribe(Features(dim=3, grid=(22,), masked=True), SPEC, None, **settings)


def test_scores_are_those_of_torchmetrics() -> None:
    true, said = ["ab c", "a b", "c"], ["ab c", "a", "b c"]
    batch = Spoken(true)._splits["train"]
    head, data = build(), Spoken(true)
    metrics = head.metrics(data)
    head.update(metrics, truth(Spoken(said)._splits["train"]), batch)
    read = {name: float(metric.compute()) for name, metric in metrics.items()}
    assert read["wer"] == pytest.approx(float(word_error_rate(said, true))) == 2 / 5
    assert read["cer"] == pytest.approx(float(char_error_rate(said, true))) == pytest.approx(4 / 8)
    assert read["exact_match"] == pytest.approx(1 / 3)
    shown = head.samples(truth(batch), batch, data)
    assert shown[1] == {"truth": "a b", "prediction": "a b"}


def test_batches_add_up_and_a_reset_forgets() -> None:
    data = Spoken(["a b", "c", "ab"])
    whole = data.take("train", torch.arange(3))
    parts = [data.take("train", torch.tensor(some)) for some in ([0], [1, 2])]
    wrong = answer_of([[0]])
    together = Written(WordErrorRate(), data.text)
    together.update(wrong.expand(3, 1), whole)
    apart = Written(WordErrorRate(), data.text)
    for _ in range(2):
        apart.reset()
        for part in parts:
            apart.update(wrong.expand(len(part.x), 1), part)
    assert together.compute() == apart.compute() == 3 / 4
    match = Written(ExactMatch(), data.text)
    match.update(truth(whole), whole)
    assert match.compute() == 1
    assert strings(answer_of([[0, -1], [-1, -1]]), data.text) == ["a", ""]


def test_rank_by_chooses_the_main_score() -> None:
    assert [score.name for score in build().scores] == ["wer", "cer", "exact_match"]
    scores = build(rank_by="exact_match").scores
    assert [s.name for s in scores] == ["exact_match", "wer", "cer"]
    assert [s.direction for s in scores] == ["max", "min", "min"]


def test_the_loss_is_a_mean_over_samples_of_nats_a_symbol() -> None:
    """Against torch's own mean, which divides by target lengths too."""
    head, batch = build(), fake_batch(SPEC)
    mask = mask_of(torch.tensor([22, 5, 9, 7, 20, 4]), 22)
    log = head(torch.randn(6, 22, 3, generator=torch.Generator().manual_seed(3)), mask, batch)
    expected = functional.ctc_loss(
        log.transpose(0, 1), batch.y, mask.sum(1), batch.y_lengths, blank=6, reduction="mean"
    )
    torch.testing.assert_close(head.loss(log, batch), expected)


def test_a_transcript_too_long_for_its_sound_is_refused_or_left_out() -> None:
    batch = Batch(
        *(torch.zeros(2, 2000), torch.tensor([[1, 1], [1, 2]])),
        *(torch.tensor([2000, 400]), torch.tensor([2, 2])),
    )
    x = torch.randn(2, 22, 3, generator=torch.Generator().manual_seed(4))
    mask = mask_of(torch.tensor([2, 2]), 22)
    head, careless = build(), build(too_long="leave_out")
    with pytest.raises(ValueError, match=r"1 of 2 .*2 symbols need 3 frames, there are 2.*stack"):
        head.loss(head(x, mask, batch), batch)
    log = careless(x, mask, batch)
    loss = careless.loss(log, batch)
    alone = ctc.nats(log[1:], batch.y[1:], torch.tensor([2]))
    torch.testing.assert_close(loss, alone[0] / 2 / 2)
    loss.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in careless.parameters())


def test_settings_that_cannot_be_are_all_named_at_once() -> None:
    with pytest.raises(ValueError, match=r"beam must .*rank_by must .*too_long must .*stem.stack"):
        Transcribe(
            Features(dim=3, grid=(1,)),
            SPEC,
            beam=0,
            rank_by="bleu",  # type: ignore[arg-type]
            too_long="no",  # type: ignore[arg-type]
        )
    with pytest.raises(ValueError, match="a core must keep"):
        Transcribe(Features(dim=3, grid=(22, 40)), SPEC)


def test_beam_and_path_agree_where_a_model_is_sure() -> None:
    batch = fake_batch(SPEC)
    x = 40 * torch.randn(6, 22, 3, generator=torch.Generator().manual_seed(5))
    mask = mask_of(torch.tensor([22, 5, 9, 7, 20, 4]), 22)
    one, several = build(), build(beam=3)
    several.load_state_dict(one.state_dict())
    assert torch.equal(one.answer(x, mask, batch), several.answer(x, mask, batch))


def stem(mels: int = 8) -> Speech:
    return Speech(SPEC, reads="sequence", mels=mels)


def test_the_naive_row_is_the_best_constant_text() -> None:
    """The commonest word at each place beats every text of the split."""
    texts = ["a b", "a c", "c b", "a bb", "b b"]
    data = Spoken(texts)
    said = majority_transcript(data, stem())(data.take("train", torch.tensor([0, 3])))
    assert strings(said, data.text) == ["a b", "a b"]
    assert _space(data) == 2
    rates = {one: float(word_error_rate([one] * 5, texts)) for one in ("a b", "a c", "c b", "b b")}
    assert min(rates, key=lambda one: rates[one]) == "a b"
    assert _common([(0, 2, 1), (0,), (3, 2, 1, 2, 1), (3, 2, 3), (3,)], 2) == (3, 2, 1)
    assert _common([(0, 1), (0, 0)], None) == (0, 0)


class Tones(ExampleDataset):
    """Two tones in a row, each of which is a symbol."""

    def load(self) -> dict[Any, Batch]:
        return {split: self._made(seed) for seed, split in enumerate(("train", "val", "test"))}

    def _made(self, seed: int) -> Batch:
        draw = torch.Generator().manual_seed(seed)
        first = torch.randint(6, (40,), generator=draw)
        other = torch.randint(1, 6, (40,), generator=draw)  # equal ones in a row cannot be told
        y = torch.stack([first, (first + other) % 6], 1)
        time = torch.arange(1000) / 8000
        hertz = 300 + 500 * y[..., None]
        x = 0.3 * torch.sin(2 * math.pi * hertz * time + seed).flatten(1)
        return Batch(x, y, torch.full((40,), 2000), torch.full((40,), 2))


def test_the_linear_row_learns_what_frames_tell() -> None:
    assert STEPS <= 500
    data = Tones(SPEC)
    data.setup()
    batch = data.take("test", torch.arange(40))
    twice = [linear_transcriber(data, stem(20))(batch) for _ in range(2)]
    assert torch.equal(*twice)
    right = [a == b for a, b in zip(twice[0].tolist(), batch.y.tolist(), strict=True)]
    assert len(right) == 40 and sum(right) > 36


def test_stretched_speech_keeps_the_frames_of_its_transcript() -> None:
    """Only slower, unless asked for."""
    x, lengths = torch.rand(300, 2000) - 0.5, torch.full((300,), 2000)
    spec = replace(SPEC, shape=(2000,), sample_rate=8000)
    assert spec.ragged
    for faster, least in ((None, 22), (True, 17)):  # 22 frames as they come
        stem = Speech(spec, reads="sequence", stretch=0.2, faster=faster)
        frames = stem(x, lengths)[1].sum(1)
        assert (int(frames.min()), int(frames.max())) == (least, 26)
