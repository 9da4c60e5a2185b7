"""The linear row of text against scikit-learn on the same words, and the bound of next tokens."""

from __future__ import annotations

import pytest
import torch
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from quintain.contracts import Batch, DataSpec, Skip, Split
from quintain.kit.dataset import InMemory
from quintain.kit.references import simple as references
from quintain.kit.references import text as text_references


class Texts(InMemory):
    """Random tokens; those of class 1 hold 5 followed by 6, those of class 0 both, apart."""

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
        return {"train": self._some(400, 0), "val": self._some(100, 1), "test": self._some(100, 2)}

    def _some(self, size: int, seed: int) -> Batch:
        draw = torch.Generator().manual_seed(seed)
        x = torch.randint(10, 40, (size, 12), generator=draw)
        lengths = torch.randint(7, 13, (size,), generator=draw)
        y = torch.arange(size) % 2
        x[:, 1] = 5
        x[:, 2] = torch.where(y == 1, 6, x[:, 2])
        x[:, 5] = torch.where(y == 0, 6, x[:, 5])
        return Batch(x.masked_fill(torch.arange(12) >= lengths[:, None], 0), y, lengths)


def stem(x: Tensor, lengths: Tensor | None) -> tuple[Tensor, None]:
    raise AssertionError("a bag needs no stem")


@pytest.mark.parametrize(("vocabulary", "longest"), [(40, 4), (300, 2)])
def test_the_linear_row_of_text_is_scikit_learns_bag(vocabulary: int, longest: int) -> None:
    data = Texts(vocabulary)
    data.setup()

    def words(split: Split) -> tuple[list[str], list[int]]:
        batch = data.take(split, torch.arange(data.size(split)))
        assert batch.lengths is not None
        rows = zip(batch.x.tolist(), batch.lengths.tolist(), strict=True)
        return [" ".join(f"w{t}" for t in row[:n]) for row, n in rows], batch.y.tolist()

    bag = CountVectorizer(ngram_range=(1, longest), binary=True)
    train, val, test = words("train"), words("val"), words("test")
    x = bag.fit_transform(train[0])
    models = [LogisticRegression(C=c, max_iter=100).fit(x, train[1]) for c in (0.01, 0.1, 1, 10)]
    model = max(models, key=lambda m: m.score(bag.transform(val[0]), val[1]))
    expected = model.predict_log_proba(bag.transform(test[0]))

    predict = references.linear_classifier(data, stem)  # type: ignore[arg-type]
    got = predict(data.take("test", torch.arange(100)))
    assert got.shape == (100, 3)
    assert got[:, :2].numpy() == pytest.approx(expected, abs=1e-3)
    assert (got[:, 2] < -20).all()  # a class that train lacks
    assert (got.argmax(1).numpy() == test[1]).mean() == 1.0  # pairs of words, not only words


def test_what_lies_behind_a_texts_end_is_not_in_the_bag() -> None:
    data = Texts(40)
    data.setup()
    predict = references.linear_classifier(data, stem)  # type: ignore[arg-type]
    batch = data.take("test", torch.arange(20))
    assert batch.lengths is not None
    dirty = torch.where(torch.arange(batch.x.shape[1]) < batch.lengths[:, None], batch.x, 6)
    assert torch.equal(predict(batch), predict(batch._replace(x=dirty)))


def test_a_linear_model_of_next_words_is_bounded_and_frequencies_are_not() -> None:
    data = Texts(33_278, task="next_token")
    data.setup()
    data._splits = {k: v._replace(y=v.x.roll(-1, 1)) for k, v in data._splits.items()}
    with pytest.raises(Skip, match=r"8 of 33,278 token types has 8,859,402,272 weights; at most"):
        text_references.linear_next_token(data, stem)  # type: ignore[arg-type]
    batch = data.take("test", torch.arange(3))
    got = text_references.unigram(data, stem)(batch)  # type: ignore[arg-type]
    assert got.shape == (3, batch.x.shape[1], 33_278)
    assert got[0, 0].exp().sum() == pytest.approx(1, abs=1e-4)


def test_a_linear_model_of_next_tokens_draws_from_what_is_too_large(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = Texts(40, task="next_token")
    data.setup()
    data._splits = {k: v._replace(y=v.x.roll(-1, 1)) for k, v in data._splits.items()}
    every = torch.cat([batch.x for batch in text_references._some_batches(data)])
    assert len(every) == 400
    monkeypatch.setattr(text_references, "MOST_POSITIONS", 12 * 300)
    drawn = [batch.x for batch in text_references._some_batches(data)]
    assert [len(x) for x in drawn] == [256, 44]
    rows = {tuple(row) for x in drawn for row in x.tolist()}
    assert len(rows) > 290 and rows <= {tuple(row) for row in every.tolist()}
