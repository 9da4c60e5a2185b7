"""Head generate: scores against sacrebleu, decoding against exhaustive search, baselines."""

from __future__ import annotations

import itertools
from functools import partial

import pytest
import sacrebleu
import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import log_loss
from sklearn.metrics.pairwise import cosine_similarity

from quintain.baselines import generate as baselines
from quintain.baselines import neighbours
from quintain.contracts import Batch, DataSpec, Features
from quintain.metrics.text_metrics import decode_rows, target_symbols
from quintain.nn import decoding
from quintain.nn.mask import length_mask
from quintain.nn.widths import count_parameters
from quintain.plugins.head.generate import Generate
from quintain.plugins.model.cnn import Cnn
from quintain.plugins.model.mlp import Mlp
from quintain.plugins.model.recurrent import Recurrent
from quintain.plugins.model.transformer import Transformer
from quintain.plugins.stem.image import Image
from quintain.plugins.stem.text import Text
from quintain.testing import EXAMPLE_SPECS, ExampleDataset, build_from_classes, fake_batch
from quintain.testing.model_building import build_seeded

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


def make_model(core=Recurrent, spec=SPEC, width=12.0, **settings):
    stem = Text if spec.modality == "text" else Image
    head = partial(Generate, **settings)
    return build_seeded(lambda: build_from_classes(stem, core, head, spec, width=width)).eval()


def compute_scores(head, dataset, parts):
    """Return all scores after several pairs of (prediction, batch)."""
    metrics = head.metrics(dataset)
    for prediction, batch in parts:
        head.update(metrics, prediction, batch)
    return {name: float(metric.compute()) for name, metric in metrics.items()}


class Sentences(ExampleDataset):
    """Symbols are words, some with punctuation, so that they differ from BLEU's tokens."""

    def decode(self, tokens, side):
        words = ("a", "man", "runs", "past", "the", "red", "house.", "(dog)", "it's")
        return " ".join(words[token % len(words)] for token in tokens)


def test_scores_equal_sacrebleu():
    dataset = Sentences(SPEC)
    generator = torch.Generator().manual_seed(5)
    parts = []
    for seed, size in enumerate((9, 9, 4)):
        batch = fake_batch(SPEC, size, seed)
        prediction = target_symbols(batch)
        is_wrong = (torch.rand(prediction.shape, generator=generator) < 0.2) & (prediction >= 0)
        prediction = torch.where(is_wrong, (prediction + 1) % SPEC.symbols, prediction)
        parts.append((torch.nn.functional.pad(prediction, (0, 2), value=-1), batch))
    predicted = [text for symbols, _ in parts for text in decode_rows(symbols, dataset.decode)]
    true = [
        text for _, batch in parts for text in decode_rows(target_symbols(batch), dataset.decode)
    ]
    got = compute_scores(make_model().head, dataset, parts)
    bleu = sacrebleu.corpus_bleu(predicted, [true], smooth_method="none").score
    assert 20 < bleu < 90
    assert got["bleu"] == pytest.approx(bleu, rel=1e-5)
    assert got["chrf"] == pytest.approx(sacrebleu.corpus_chrf(predicted, [true]).score, rel=1e-5)
    matches = sum(a == b for a, b in zip(predicted, true, strict=True))
    assert got["exact_match"] == pytest.approx(matches / len(true)) and 0 < matches < len(true)


def test_scores_of_exact_and_of_empty_predictions():
    dataset, batch = Sentences(SPEC), fake_batch(SPEC, 12, seed=1)
    head = make_model().head
    assert compute_scores(head, dataset, [(target_symbols(batch), batch)]) == pytest.approx(
        {"bleu": 100, "chrf": 100, "exact_match": 1}
    )
    empty = torch.full((12, 0), -1)
    assert compute_scores(head, dataset, [(empty, batch)]) == {
        "bleu": 0,
        "chrf": 0,
        "exact_match": 0,
    }


def test_rank_by_puts_a_score_first():
    names = [score.name for score in make_model(rank_by="chrf").head.scores]
    assert names == ["chrf", "bleu", "exact_match"]
    assert list(make_model(rank_by="chrf").head.metrics(ExampleDataset(SPEC))) == names


def test_wrong_settings_are_reported_together():
    with pytest.raises(
        ValueError, match=r"dropout must be in \[0, 1\).*rank_by must be one of bleu"
    ):
        make_model(dropout=1.0, rank_by="wer")
    with pytest.raises(ValueError, match=r"bleu_tokens must be one of 13a, .*; got 'ja'"):
        make_model(bleu_tokens="ja")
    with pytest.raises(ValueError, match="beam must be at least 1"):
        make_model(beam=0)
    with pytest.raises(ValueError, match="has 0 symbols"):
        Generate(Features(dim=4, grid=(3,)), DataSpec(**{**vars(SPEC), "symbols": 0}), None)
    with pytest.raises(ValueError, match="try head=next_token"):
        Generate(Features(dim=4, grid=(3,)), SPECS["example_text"], None)


def test_loss_equals_scikit_learn_over_valid_symbols_and_ends():
    model, batch = make_model(label_smoothing=0.3), fake_batch(SPEC)
    with torch.no_grad():
        prediction = model(batch)
        logits = model.head._logits(prediction).double()
        rows, true = [], []
        for k, n in enumerate(batch.y_lengths.tolist()):
            rows += logits[k, : n + 1].softmax(-1).tolist()
            true += [*batch.y[k, :n].tolist(), SPEC.symbols]
        expected = log_loss(true, rows, labels=list(range(SPEC.symbols + 1)))
        assert float(model.head.loss(prediction, batch)) == pytest.approx(expected, rel=1e-5)
        smoothed = float(model.head.train().loss(prediction, batch))
    uniform = -sum(float(torch.tensor(row).log().mean()) for row in rows) / len(rows)
    assert smoothed == pytest.approx(0.7 * expected + 0.3 * uniform, rel=1e-4)


@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize("spec", [SPEC, CAPTION], ids=lambda spec: spec.name)
def test_greedy_equals_the_argmax_under_teacher_forcing(core, spec):
    """With a prediction as y, the argmax at each position is that prediction, then the end."""
    model, batch = make_model(CORES[core], spec), fake_batch(spec)
    with torch.no_grad():
        model.head.table.weight[model.head.end] *= 1.5  # so that some samples end early
        symbols = model.predict(batch)
        lengths = (symbols >= 0).sum(1)
        as_target = batch._replace(y=symbols.clamp(min=0), y_lengths=lengths)
        best = model.head._logits(model(as_target)).argmax(-1)
    assert symbols.shape[1] <= spec.target_length
    for k, n in enumerate(lengths.tolist()):
        assert symbols[k, n:].eq(-1).all()
        assert best[k, :n].equal(symbols[k, :n])
        assert n == spec.target_length or best[k, n] == spec.symbols


def test_predict_does_not_depend_on_y():
    model, batch = make_model(), fake_batch(SPEC)
    y_batch = fake_batch(SPEC, seed=3)
    with torch.no_grad():
        prediction = model.predict(batch._replace(y=y_batch.y, y_lengths=y_batch.y_lengths))
        assert torch.equal(model.predict(batch), prediction)


def table_step(table, calls):
    """Return a step function whose result depends on the sample and the whole prefix."""

    def step(rows, prefix):
        calls.append(rows.tolist())
        num_types = table.shape[-1]
        index = torch.zeros_like(rows)
        for column in prefix.T:
            index = index * (num_types - 1) + column + 1
        return table[rows, index].log_softmax(-1)

    return step


def all_sequences(table, sample, longest):
    """Yield (mean log-probability per symbol, sequence) for all sequences, ends included."""
    end = table.shape[-1] - 1
    step = table_step(table, [])

    def log_probabilities(prefix):
        return step(torch.tensor([sample]), torch.tensor([prefix], dtype=torch.long))[0]

    for n in range(longest + 1):
        for symbols in itertools.product(range(end), repeat=n):
            logs = [log_probabilities(list(symbols[:k]))[s] for k, s in enumerate(symbols)]
            logs += [log_probabilities(list(symbols))[end]] if n < longest else []
            yield float(sum(logs) / len(logs)), list(symbols)


def test_wide_beam_finds_the_best_of_all_sequences():
    generator = torch.Generator().manual_seed(1)
    table = 2 * torch.randn(30, 40, 3, generator=generator)
    beam = decoding.beam_search(table_step(table, []), 30, 3, 100, torch.device("cpu"))
    greedy = decoding.greedy_search(table_step(table, []), 30, 3, torch.device("cpu"))
    assert not torch.equal(beam, greedy)
    for sample in range(30):
        best = max(all_sequences(table, sample, 3))[1]
        assert [s for s in beam[sample].tolist() if s >= 0] == best


def test_beam_of_one_is_greedy_and_skips_finished_samples():
    generator = torch.Generator().manual_seed(2)
    table = torch.randn(6, 200, 3, generator=generator)
    greedy_calls, beam_calls = [], []
    greedy = decoding.greedy_search(table_step(table, greedy_calls), 6, 4, torch.device("cpu"))
    beam = decoding.beam_search(table_step(table, beam_calls), 6, 4, 1, torch.device("cpu"))
    assert torch.equal(greedy, beam) and greedy_calls == beam_calls
    lengths = (greedy >= 0).sum(1).tolist()
    assert len(set(lengths)) > 1
    for t, rows in enumerate(greedy_calls):
        assert rows == [k for k, n in enumerate(lengths) if n >= t]


def test_beam_is_more_likely_than_greedy_and_independent_of_the_batch():
    narrow, wide, batch = make_model(), make_model(beam=4), fake_batch(SPEC, 8)
    wide.load_state_dict(narrow.state_dict())
    with torch.no_grad():
        together = wide.predict(batch)
        for k in range(8):
            single = Batch(*(None if part is None else part[k, None] for part in batch))
            alone = wide.predict(single)[0]
            assert alone[alone >= 0].tolist() == together[k][together[k] >= 0].tolist()
        beam, greedy = (mean_nats(narrow, batch, s) for s in (together, narrow.predict(batch)))
    assert (beam <= greedy + 1e-5).float().mean() > 0.7
    assert beam.mean() < greedy.mean()


def mean_nats(model, batch, symbols):
    """Return the mean nats per symbol of each prediction, including its end where it has one."""
    lengths = (symbols >= 0).sum(1)
    as_target = batch._replace(y=symbols.clamp(min=0), y_lengths=lengths)
    log = model.head._logits(model(as_target)).log_softmax(-1)
    target = torch.nn.functional.pad(as_target.y, (0, 1))
    target = target.scatter(1, lengths[:, None], SPEC.symbols)
    count = lengths + (lengths < SPEC.target_length)
    nats = -log.gather(2, target[..., None])[..., 0]
    return (nats * length_mask(count, target.shape[1])).sum(1) / count


@pytest.mark.parametrize("core", CORES)
def test_sample_without_valid_steps_has_finite_loss_and_gradients(core):
    model, batch = make_model(CORES[core]), fake_batch(SPEC)
    lengths = batch.lengths.clone()
    lengths[2] = 0
    batch = batch._replace(x=batch.x * length_mask(lengths, SPEC.shape[0]), lengths=lengths)
    loss = model.head.loss(model(batch), batch)
    torch.autograd.backward(loss)
    assert loss.isfinite()
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)
    with torch.no_grad():
        assert model.predict(batch).shape[0] == len(batch.x)


def test_embedding_table_does_not_count_towards_the_budget():
    counted, total = count_parameters(make_model(dim=10).head)
    tables = (SPEC.symbols + 2) * 10
    assert total - counted == tables


def test_samples_are_texts():
    dataset, batch = Sentences(SPEC), fake_batch(SPEC)
    samples = make_model().head.samples(target_symbols(batch), batch, dataset)
    first = dataset.decode(batch.y[0, : batch.y_lengths[0]].tolist(), "y")
    assert samples[0] == {"truth": first, "prediction": first}


class RepeatedTarget(ExampleDataset):
    """Train has 40 samples, and the most frequent target is that of the third."""

    def load(self):
        batch = fake_batch(self.spec, 40, seed=4)
        y, lengths = batch.y.clone(), batch.y_lengths.clone()
        y[30:], lengths[30:] = y[2], lengths[2]
        train = batch._replace(y=y, y_lengths=lengths)
        return {"train": train, "val": fake_batch(self.spec, 9, 8), "test": train}


def load_repeated_target(spec):
    dataset = RepeatedTarget(spec)
    dataset.setup()
    stem = build_seeded(
        lambda: (Text if spec.modality == "text" else Image)(spec, input_layout="sequence")
    )
    return dataset, stem


@pytest.mark.parametrize("spec", [SPEC, CAPTION], ids=lambda spec: spec.name)
def test_majority_predicts_the_most_frequent_target(spec):
    dataset, stem = load_repeated_target(spec)
    predicted = baselines.majority(dataset, stem)(dataset.batch("val", torch.arange(9)))
    third = dataset.batch("train", torch.tensor([2]))
    assert predicted.tolist() == [third.y[0, : third.y_lengths[0]].tolist()] * 9


def test_nearest_text_has_the_largest_cosine_similarity_of_tf_idf():
    """Compared to scikit-learn on texts of letters; on a tie any of the nearest is right."""
    dataset, stem = load_repeated_target(SPEC)
    train, val = (dataset.batch(s, torch.arange(n)) for s, n in (("train", 40), ("val", 9)))
    letters = TfidfVectorizer(analyzer="char")
    weights = letters.fit_transform(to_letters(train)), letters.transform(to_letters(val))
    similarity = cosine_similarity(weights[1], weights[0])
    predicted = without_padding(baselines.nearest(dataset, stem)(val))
    targets = without_padding(target_symbols(train))
    for row, target in zip(similarity, predicted, strict=True):
        best = [targets[k] for k in (row > row.max() - 1e-9).nonzero()[0]]
        assert target in best


def to_letters(batch):
    rows = zip(batch.x.tolist(), batch.lengths.tolist(), strict=True)
    return ["".join(chr(ord("a") + token) for token in row[:n]) for row, n in rows]


def without_padding(symbols):
    return [[symbol for symbol in row if symbol >= 0] for row in symbols.tolist()]


def test_nearest_image_has_the_largest_cosine_similarity():
    dataset, stem = load_repeated_target(CAPTION)
    train, val = (dataset.batch(s, torch.arange(n)) for s, n in (("train", 40), ("val", 9)))
    pixels = [stem(batch.x, None)[0].flatten(1) for batch in (val, train)]
    centre = pixels[1].mean(0)
    best = cosine_similarity(pixels[0] - centre, pixels[1] - centre).argmax(1)
    predicted = baselines.nearest(dataset, stem)(val)
    expected = target_symbols(train)[torch.as_tensor(best)]
    assert torch.equal(predicted[:, : expected.shape[1]], expected)


def test_nearest_searches_a_subset_of_large_data(monkeypatch):
    dataset, stem = load_repeated_target(CAPTION)
    monkeypatch.setattr(neighbours, "MAX_VALUES", 20 * 192)
    assert neighbours._choose_indices(dataset, stem).tolist() == list(range(0, 40, 2))
    batch = dataset.batch("test", torch.arange(0, 40, 2))
    predicted = baselines.nearest(dataset, stem)(batch)
    assert torch.equal(predicted[:, : batch.y.shape[1]], target_symbols(batch))
