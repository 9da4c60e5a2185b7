"""Head generate: scores against sacrebleu, decoding against exhaustive search, the free rows."""

from __future__ import annotations

import itertools
from functools import partial

import pytest
import sacrebleu
import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import log_loss
from sklearn.metrics.pairwise import cosine_similarity

from quintain.contracts import Batch, DataSpec, Features
from quintain.kit.mask import mask_of
from quintain.kit.references import generate as generate_references
from quintain.kit.text import decoding
from quintain.kit.text.written import strings, truth
from quintain.kit.widths import count
from quintain.plugins.head.generate import Generate
from quintain.plugins.model.cnn import Cnn
from quintain.plugins.model.mlp import Mlp
from quintain.plugins.model.recurrent import Recurrent
from quintain.plugins.model.transformer import Transformer
from quintain.plugins.stem.image import Image
from quintain.plugins.stem.text import Text
from quintain.testing import EXAMPLE_SPECS, ExampleDataset, build, fake_batch
from quintain.testing.wiring import seeded

SPECS = {spec.name: spec for spec in EXAMPLE_SPECS}
SPEC, CAPTION = SPECS["example_translation"], SPECS["example_caption"]
CORES = {
    "mlp": Mlp,
    "cnn": Cnn,
    "rnn": partial(Recurrent, cell="rnn"),
    "lstm": Recurrent,
    "gru": partial(Recurrent, cell="gru"),
    "transformer": Transformer,
}


def model(core=Recurrent, spec=SPEC, width=12.0, **settings):
    stem = Text if spec.modality == "text" else Image
    head = partial(Generate, **settings)
    return seeded(lambda: build(stem, core, head, spec, width=width)).eval()


def score(head, dataset, parts):
    """All scores after some batches of (answer, batch)."""
    metrics = head.metrics(dataset)
    for answer, batch in parts:
        head.update(metrics, answer, batch)
    return {name: float(metric.compute()) for name, metric in metrics.items()}


class Sentences(ExampleDataset):
    """Symbols are words, some with signs, so that BLEU's tokens and words differ."""

    def text(self, tokens, side):
        words = ("a", "man", "runs", "past", "the", "red", "house.", "(dog)", "it's")
        return " ".join(words[token % len(words)] for token in tokens)


def test_scores_are_those_of_sacrebleu():
    dataset = Sentences(SPEC)
    draw = torch.Generator().manual_seed(5)
    parts = []
    for seed, size in enumerate((9, 9, 4)):
        batch = fake_batch(SPEC, size, seed)
        answer = truth(batch)
        wrong = torch.rand(answer.shape, generator=draw) < 0.2
        answer = torch.where(wrong & (answer >= 0), (answer + 1) % SPEC.symbols, answer)
        parts.append((torch.nn.functional.pad(answer, (0, 2), value=-1), batch))
    said = [text for answer, _ in parts for text in strings(answer, dataset.text)]
    true = [text for _, batch in parts for text in strings(truth(batch), dataset.text)]
    got = score(model().head, dataset, parts)
    bleu = sacrebleu.corpus_bleu(said, [true], smooth_method="none").score
    assert 20 < bleu < 90
    assert got["bleu"] == pytest.approx(bleu, rel=1e-5)
    assert got["chrf"] == pytest.approx(sacrebleu.corpus_chrf(said, [true]).score, rel=1e-5)
    right = sum(a == b for a, b in zip(said, true, strict=True))
    assert got["exact_match"] == pytest.approx(right / len(true)) and 0 < right < len(true)


def test_right_answers_score_full_and_empty_ones_nothing():
    dataset, batch = Sentences(SPEC), fake_batch(SPEC, 12, seed=1)
    head = model().head
    assert score(head, dataset, [(truth(batch), batch)]) == pytest.approx(
        {"bleu": 100, "chrf": 100, "exact_match": 1}
    )
    nothing = torch.full((12, 0), -1)
    assert score(head, dataset, [(nothing, batch)]) == {"bleu": 0, "chrf": 0, "exact_match": 0}


def test_rank_by_puts_a_score_first():
    names = [score.name for score in model(rank_by="chrf").head.scores]
    assert names == ["chrf", "bleu", "exact_match"]
    assert list(model(rank_by="chrf").head.metrics(ExampleDataset(SPEC))) == names


def test_wrong_settings_come_in_one_message():
    with pytest.raises(ValueError, match=r"dropout must be in \[0, 1\).*rank_by is one of bleu"):
        model(dropout=1.0, rank_by="wer")
    with pytest.raises(ValueError, match="beam must be at least 1"):
        model(beam=0)
    with pytest.raises(ValueError, match="names 0 symbols"):
        Generate(Features(dim=4, grid=(3,)), DataSpec(**{**vars(SPEC), "symbols": 0}), None)
    with pytest.raises(ValueError, match="try head=next_token"):
        Generate(Features(dim=4, grid=(3,)), SPECS["example_text"], None)


def test_the_loss_is_scikit_learns_over_real_symbols_and_ends():
    whole, batch = model(label_smoothing=0.3), fake_batch(SPEC)
    with torch.no_grad():
        said = whole(batch)
        logits = whole.head._logits(said).double()
        rows, true = [], []
        for k, n in enumerate(batch.y_lengths.tolist()):
            rows += logits[k, : n + 1].softmax(-1).tolist()
            true += [*batch.y[k, :n].tolist(), SPEC.symbols]
        expected = log_loss(true, rows, labels=list(range(SPEC.symbols + 1)))
        assert float(whole.head.loss(said, batch)) == pytest.approx(expected, rel=1e-5)
        smoothed = float(whole.head.train().loss(said, batch))
    uniform = -sum(float(torch.tensor(row).log().mean()) for row in rows) / len(rows)
    assert smoothed == pytest.approx(0.7 * expected + 0.3 * uniform, rel=1e-4)


@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize("spec", [SPEC, CAPTION], ids=lambda spec: spec.name)
def test_greedy_writes_what_teacher_forcing_finds_likeliest(core, spec):
    """The answer, fed back as y, is the argmax at each of its positions, and then the end."""
    whole, batch = model(CORES[core], spec), fake_batch(spec)
    with torch.no_grad():
        whole.head.table.weight[whole.head.end] *= 1.5  # so that some samples end early
        found = whole.answer(batch)
        lengths = (found >= 0).sum(1)
        again = batch._replace(y=found.clamp(min=0), y_lengths=lengths)
        likeliest = whole.head._logits(whole(again)).argmax(-1)
    assert found.shape[1] <= spec.target_length
    for k, n in enumerate(lengths.tolist()):
        assert found[k, n:].eq(-1).all()
        assert likeliest[k, :n].equal(found[k, :n])
        assert n == spec.target_length or likeliest[k, n] == spec.symbols


def test_an_answer_does_not_read_y():
    whole, batch = model(), fake_batch(SPEC)
    other = fake_batch(SPEC, seed=3)
    with torch.no_grad():
        same = whole.answer(batch._replace(y=other.y, y_lengths=other.y_lengths))
        assert torch.equal(whole.answer(batch), same)


def table_step(table, rows_seen):
    """Log-probabilities that depend on the sample and on all that was written."""

    def step(rows, prefix):
        rows_seen.append(rows.tolist())
        kinds = table.shape[-1]
        place = torch.zeros_like(rows)
        for column in prefix.T:
            place = place * (kinds - 1) + column + 1
        return table[rows, place].log_softmax(-1)

    return step


def all_answers(table, sample, longest):
    """Every sequence and its mean log-probability a symbol, the end counted where it is."""
    end = table.shape[-1] - 1
    step = table_step(table, [])

    def next_of(prefix):
        return step(torch.tensor([sample]), torch.tensor([prefix], dtype=torch.long))[0]

    for n in range(longest + 1):
        for written in itertools.product(range(end), repeat=n):
            parts = [next_of(list(written[:k]))[symbol] for k, symbol in enumerate(written)]
            parts += [next_of(list(written))[end]] if n < longest else []
            yield float(sum(parts) / len(parts)), list(written)


def test_a_wide_beam_finds_the_best_of_all_sequences():
    draw = torch.Generator().manual_seed(1)
    table = 2 * torch.randn(30, 40, 3, generator=draw)
    found = decoding.beam(table_step(table, []), 30, 3, 100, torch.device("cpu"))
    greedy = decoding.greedy(table_step(table, []), 30, 3, torch.device("cpu"))
    assert not torch.equal(found, greedy)
    for sample in range(30):
        best = max(all_answers(table, sample, 3))[1]
        assert [s for s in found[sample].tolist() if s >= 0] == best


def test_a_beam_of_one_is_greedy_and_ended_samples_cost_nothing():
    draw = torch.Generator().manual_seed(2)
    table = torch.randn(6, 200, 3, generator=draw)
    seen_greedy, seen_beam = [], []
    greedy = decoding.greedy(table_step(table, seen_greedy), 6, 4, torch.device("cpu"))
    beam = decoding.beam(table_step(table, seen_beam), 6, 4, 1, torch.device("cpu"))
    assert torch.equal(greedy, beam) and seen_greedy == seen_beam
    lengths = (greedy >= 0).sum(1).tolist()
    assert len(set(lengths)) > 1
    for t, rows in enumerate(seen_greedy):
        assert rows == [k for k, n in enumerate(lengths) if n >= t]


def test_a_beam_is_at_least_as_likely_as_greedy_and_alone_the_same():
    narrow, wide, batch = model(), model(beam=4), fake_batch(SPEC, 8)
    wide.load_state_dict(narrow.state_dict())
    with torch.no_grad():
        together = wide.answer(batch)
        for k in range(8):
            one = Batch(*(None if part is None else part[k, None] for part in batch))
            alone = wide.answer(one)[0]
            assert alone[alone >= 0].tolist() == together[k][together[k] >= 0].tolist()
        worth = [mean_nats(narrow, batch, found) for found in (together, narrow.answer(batch))]
    assert (worth[0] <= worth[1] + 1e-5).float().mean() > 0.7
    assert worth[0].mean() < worth[1].mean()


def mean_nats(whole, batch, found):
    """Of each answer, the end counted where there is one."""
    lengths = (found >= 0).sum(1)
    again = batch._replace(y=found.clamp(min=0), y_lengths=lengths)
    log = whole.head._logits(whole(again)).log_softmax(-1)
    said = torch.nn.functional.pad(again.y, (0, 1)).scatter(1, lengths[:, None], SPEC.symbols)
    counted = lengths + (lengths < SPEC.target_length)
    picked = -log.gather(2, said[..., None])[..., 0]
    return (picked * mask_of(counted, said.shape[1])).sum(1) / counted


@pytest.mark.parametrize("core", CORES)
def test_a_sample_with_nothing_to_attend_to_stays_finite(core):
    whole, batch = model(CORES[core]), fake_batch(SPEC)
    lengths = batch.lengths.clone()
    lengths[2] = 0
    batch = batch._replace(x=batch.x * mask_of(lengths, SPEC.shape[0]), lengths=lengths)
    loss = whole.head.loss(whole(batch), batch)
    torch.autograd.backward(loss)
    assert loss.isfinite()
    assert all(p.grad.isfinite().all() for p in whole.parameters() if p.grad is not None)
    with torch.no_grad():
        assert whole.answer(batch).shape[0] == len(batch.x)


def test_the_table_is_outside_the_budget():
    counted, total = count(model(dim=10).head)
    tables = (SPEC.symbols + 2) * 10
    assert total - counted == tables


def test_samples_are_texts():
    dataset, batch = Sentences(SPEC), fake_batch(SPEC)
    shown = model().head.samples(truth(batch), batch, dataset)
    first = dataset.text(batch.y[0, : batch.y_lengths[0]].tolist(), "y")
    assert shown[0] == {"truth": first, "prediction": first}


class Known(ExampleDataset):
    """Train has 40 samples and the commonest target is the third's."""

    def load(self):
        batch = fake_batch(self.spec, 40, seed=4)
        y, lengths = batch.y.clone(), batch.y_lengths.clone()
        y[30:], lengths[30:] = y[2], lengths[2]
        train = batch._replace(y=y, y_lengths=lengths)
        return {"train": train, "val": fake_batch(self.spec, 9, 8), "test": train}


def known(spec):
    dataset = Known(spec)
    dataset.setup()
    stem = seeded(lambda: (Text if spec.modality == "text" else Image)(spec, reads="sequence"))
    return dataset, stem


@pytest.mark.parametrize("spec", [SPEC, CAPTION], ids=lambda spec: spec.name)
def test_majority_says_the_commonest_target(spec):
    dataset, stem = known(spec)
    found = generate_references.majority(dataset, stem)(dataset.take("val", torch.arange(9)))
    whole = dataset.take("train", torch.tensor([2]))
    assert found.tolist() == [whole.y[0, : whole.y_lengths[0]].tolist()] * 9


def test_nearest_text_is_the_one_with_the_largest_cosine_of_tf_idf():
    """Against scikit-learn on texts of letters; of several that are equally near, any will do."""
    dataset, stem = known(SPEC)
    train, asked = (dataset.take(s, torch.arange(n)) for s, n in (("train", 40), ("val", 9)))
    letters = TfidfVectorizer(analyzer="char")
    weights = letters.fit_transform(letters_of(train)), letters.transform(letters_of(asked))
    near = cosine_similarity(weights[1], weights[0])
    found = plain(generate_references.nearest(dataset, stem)(asked))
    known_targets = plain(truth(train))
    for row, target in zip(near, found, strict=True):
        best = [known_targets[k] for k in (row > row.max() - 1e-9).nonzero()[0]]
        assert target in best


def letters_of(batch):
    rows = zip(batch.x.tolist(), batch.lengths.tolist(), strict=True)
    return ["".join(chr(ord("a") + token) for token in row[:n]) for row, n in rows]


def plain(symbols):
    return [[symbol for symbol in row if symbol >= 0] for row in symbols.tolist()]


def test_nearest_picture_is_the_one_with_the_largest_cosine():
    dataset, stem = known(CAPTION)
    train, asked = (dataset.take(s, torch.arange(n)) for s, n in (("train", 40), ("val", 9)))
    pixels = [stem(batch.x, None)[0].flatten(1) for batch in (asked, train)]
    centre = pixels[1].mean(0)
    near = cosine_similarity(pixels[0] - centre, pixels[1] - centre).argmax(1)
    found = generate_references.nearest(dataset, stem)(asked)
    expected = truth(train)[torch.as_tensor(near)]
    assert torch.equal(found[:, : expected.shape[1]], expected)


def test_of_large_data_the_nearest_row_searches_a_part(monkeypatch):
    dataset, stem = known(CAPTION)
    monkeypatch.setattr(generate_references, "MOST", 20 * 192)
    assert generate_references._spread(dataset, stem).tolist() == list(range(0, 40, 2))
    batch = dataset.take("test", torch.arange(0, 40, 2))
    found = generate_references.nearest(dataset, stem)(batch)
    assert torch.equal(found[:, : batch.y.shape[1]], truth(batch))
