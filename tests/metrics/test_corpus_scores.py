"""BLEU, chrF and exact match with several true texts, against sacrebleu."""

from __future__ import annotations

import pytest
import sacrebleu

from quintain.metrics.corpus_scores import Bleu, ChrF
from quintain.metrics.text_metrics import ExactMatch

PREDICTED = ["the cat sat on the mat", "a dog", "the small red house is here now", ""]
REFERENCES = [
    ("a cat sat on the mat", "the cat is on a mat", "the cat sat on that mat over there"),
    ("one dog runs", "a dog"),
    ("the red house is small and here now .",),
    ("nothing",),
]
STREAMS = [[texts[k] if k < len(texts) else None for texts in REFERENCES] for k in range(3)]


@pytest.mark.parametrize("tokens", ["13a", "intl", "char"])
def test_bleu_of_several_references_equals_sacrebleu(tokens: str) -> None:
    metric = Bleu(tokens)  # type: ignore[arg-type]
    for part in (slice(0, 3), slice(3, None)):
        metric.update(PREDICTED[part], REFERENCES[part])
    expected = sacrebleu.corpus_bleu(PREDICTED, STREAMS, smooth_method="none", tokenize=tokens)  # type: ignore[arg-type]
    assert (
        float(metric.compute()) == pytest.approx(expected.score, rel=1e-6) and expected.score > 20
    )


def test_chrf_of_several_references_equals_sacrebleu() -> None:
    metric = ChrF()
    metric.update(PREDICTED, REFERENCES)
    expected = sacrebleu.corpus_chrf(PREDICTED, STREAMS).score  # type: ignore[arg-type]
    assert float(metric.compute()) == pytest.approx(expected, rel=1e-6)


def test_one_of_several_true_texts_is_an_exact_match() -> None:
    metric = ExactMatch()
    metric.update(PREDICTED, REFERENCES)
    assert float(metric.compute()) == 0.25


def test_chinese_is_compared_by_character() -> None:
    metric = Bleu("zh")
    metric.update(["号码是一二三。", "号码是九。"], [("号码是一二四。",), ("号码是九。",)])
    expected = sacrebleu.corpus_bleu(
        ["号码是一二三。", "号码是九。"],
        [["号码是一二四。", "号码是九。"]],
        tokenize="zh",
        smooth_method="none",
    )
    assert float(metric.compute()) == pytest.approx(expected.score, rel=1e-6)
    assert expected.precisions[0] == pytest.approx(100 * 11 / 12)  # 11 of 12 characters, by hand
