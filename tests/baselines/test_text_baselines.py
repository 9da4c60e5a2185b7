"""Linear baselines of text: against scikit-learn on the same words, and their size limits."""

from __future__ import annotations

import pytest
import torch
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from quintain.baselines import next_token
from quintain.baselines.classify import linear_classifier
from quintain.contracts import Batch, DataSpec, Split, Unsupported
from quintain.data.base import InMemory


class Texts(InMemory):
    """Random tokens; in class 1, a 5 is followed by a 6; in class 0 they are not neighbours."""

    def __init__(self, vocabulary: int, task: str = "classify") -> None:
        super().__init__(
            DataSpec(
                name="texts",
                modality="text",
                task=task,  # type: ignore[arg-type]
                shape=(12,),
                classes=("apart", "together", "never"),
                vocabulary=vocabulary,
                ragged=True,
            )
        )

    def load(self) -> dict[Split, Batch]:
        return {
            split: self._random_batch(size, seed)
            for seed, (split, size) in enumerate({"train": 400, "val": 100, "test": 100}.items())
        }

    def _random_batch(self, size: int, seed: int) -> Batch:
        generator = torch.Generator().manual_seed(seed)
        x = torch.randint(10, 40, (size, 12), generator=generator)
        lengths = torch.randint(7, 13, (size,), generator=generator)
        y = torch.arange(size) % 2
        x[:, 1] = 5
        x[:, 2] = torch.where(y == 1, 6, x[:, 2])
        x[:, 5] = torch.where(y == 0, 6, x[:, 5])
        return Batch(x.masked_fill(torch.arange(12) >= lengths[:, None], 0), y, lengths)


def stem(x: Tensor, lengths: Tensor | None) -> tuple[Tensor, None]:
    raise AssertionError("a bag of tokens needs no stem")


@pytest.mark.parametrize(("vocabulary", "longest"), [(40, 4), (300, 2)])
def test_linear_classifier_of_text_equals_scikit_learns_bag_of_words(
    vocabulary: int, longest: int
) -> None:
    data = Texts(vocabulary)
    data.setup()

    def load_texts(split: Split) -> tuple[list[str], list[int]]:
        batch = data.batch(split, torch.arange(data.size(split)))
        assert batch.lengths is not None
        rows = zip(batch.x.tolist(), batch.lengths.tolist(), strict=True)
        return [" ".join(f"w{t}" for t in row[:n]) for row, n in rows], batch.y.tolist()

    bag = CountVectorizer(ngram_range=(1, longest), binary=True)
    train, val, test = load_texts("train"), load_texts("val"), load_texts("test")
    x = bag.fit_transform(train[0])
    models = [LogisticRegression(C=c, max_iter=100).fit(x, train[1]) for c in (0.01, 0.1, 1, 10)]
    model = max(models, key=lambda m: m.score(bag.transform(val[0]), val[1]))
    expected = model.predict_log_proba(bag.transform(test[0]))

    predict = linear_classifier(data, stem)  # type: ignore[arg-type]
    got = predict(data.batch("test", torch.arange(100)))
    assert got.shape == (100, 3)
    assert got[:, :2].numpy() == pytest.approx(expected, abs=1e-3)
    assert (got[:, 2] < -20).all()  # a class that train lacks
    assert (got.argmax(1).numpy() == test[1]).mean() == 1.0  # needs pairs of words


def test_bag_of_tokens_ignores_padding() -> None:
    data = Texts(40)
    data.setup()
    predict = linear_classifier(data, stem)  # type: ignore[arg-type]
    batch = data.batch("test", torch.arange(20))
    assert batch.lengths is not None
    padded = torch.where(torch.arange(batch.x.shape[1]) < batch.lengths[:, None], batch.x, 6)
    assert torch.equal(predict(batch), predict(batch._replace(x=padded)))


def test_linear_next_token_limits_its_weights_and_unigram_does_not() -> None:
    data = Texts(33_278, task="next_token")
    data.setup()
    data._splits = {k: v._replace(y=v.x.roll(-1, 1)) for k, v in data._splits.items()}
    with pytest.raises(
        Unsupported, match=r"8 of 33,278 token types has 8,859,402,272 weights; at most"
    ):
        next_token.linear_next_token(data, stem)  # type: ignore[arg-type]
    batch = data.batch("test", torch.arange(3))
    got = next_token.unigram(data, stem)(batch)  # type: ignore[arg-type]
    assert got.shape == (3, batch.x.shape[1], 33_278)
    assert got[0, 0].exp().sum() == pytest.approx(1, abs=1e-4)


def test_linear_next_token_trains_on_a_subset_of_large_data(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = Texts(40, task="next_token")
    data.setup()
    data._splits = {k: v._replace(y=v.x.roll(-1, 1)) for k, v in data._splits.items()}
    all_rows = torch.cat([batch.x for batch in next_token._iterate_training_batches(data)])
    assert len(all_rows) == 400
    monkeypatch.setattr(next_token, "MAX_POSITIONS", 12 * 300)
    subset = [batch.x for batch in next_token._iterate_training_batches(data)]
    assert [len(x) for x in subset] == [256, 44]
    rows = {tuple(row) for x in subset for row in x.tolist()}
    assert len(rows) > 290 and rows <= {tuple(row) for row in all_rows.tolist()}
