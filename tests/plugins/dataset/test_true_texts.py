"""Predicted texts are scored against the file's own texts: unknown words, several answers."""

from __future__ import annotations

import random
import unicodedata
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from helpers.commands import write_file

from quintain.baselines.generate import majority, nearest
from quintain.contracts import Dataset
from quintain.metrics.corpus_scores import Bleu, ChrF
from quintain.metrics.text_metrics import ExactMatch, TextMetric, decode_samples, target_symbols
from quintain.plugins.dataset.parallel_text import ParallelText
from quintain.plugins.dataset.text_csv import TextCsv

DIGITS = {"zero": "零", "one": "一", "two": "二", "three": "三", "four": "四", "five": "五"}


def read_pairs(path: Path, rows: list[tuple[str, str]], **settings: Any) -> ParallelText:
    write_file(path, "a\tb\n" + "".join(f"{a}\t{b}\n" for a, b in rows))
    data = ParallelText(str(path), source="a", target="b", **settings)
    data.setup()
    return data


def score(data: Dataset, predict: Any) -> list[float]:
    """Return BLEU, chrF and exact match of the test."""
    batch = data.batch("test", torch.arange(data.size("test")))
    metrics = [Bleu(data.spec.bleu_tokens), ChrF(), ExactMatch()]  # type: ignore[arg-type]
    scores = []
    for metric in (TextMetric(metric, data) for metric in metrics):
        metric.update(predict(batch), batch)
        scores.append(float(metric.compute()))
    return scores


@pytest.mark.parametrize("tokens", ["words", "characters"])
def test_an_unknown_name_in_the_truth_is_never_right(tmp_path: Path, tokens: Any) -> None:
    letters = [chr(code) for code in range(0x4E00, 0x4E00 + 300)]  # each occurs once
    rows = [(f"this is {x}, and you", f"das ist {x}, und du") for x in letters]
    data = read_pairs(tmp_path / "p.tsv", rows, tokens=tokens)
    for predict in (majority(data, None), nearest(data, None), target_symbols):  # type: ignore[arg-type]
        bleu, chrf, exact = score(data, predict)
        assert exact == 0 and bleu < 90 and chrf < 99
    sample = decode_samples(
        target_symbols(batch := data.batch("test", torch.tensor([0]))), batch, data
    )
    assert sample[0]["truth"] in dict(rows).values() and "\ufffd" in sample[0]["prediction"]
    path = str(tmp_path / "p.tsv")
    given = {"val_path": path, "test_path": path}
    known = read_pairs(tmp_path / "k.tsv", rows, tokens=tokens, min_count=1, **given)
    assert score(known, target_symbols) == pytest.approx([100, 100, 1])


def test_a_right_answer_restores_the_text_of_the_file(tmp_path: Path) -> None:
    rows = [(f"x {k % 40}", f'"Number {k % 5}", (he said):  it\'s  co-op!') for k in range(200)]
    data = read_pairs(tmp_path / "p.tsv", rows, min_count=1)
    assert score(data, target_symbols) == pytest.approx([100, 100, 1])
    batch = data.batch("test", torch.tensor([0]))
    sample = decode_samples(target_symbols(batch), batch, data)[0]
    assert sample["prediction"].endswith("\", (he said): it's co-op!")
    # One source has one target here, five times.
    assert data.size("train") == 140 and data.size("test") == 8
    assert "truth" in sample and isinstance(sample["truth"], str)


def test_equal_sources_are_one_sample_with_all_their_targets(tmp_path: Path) -> None:
    forms = ("the number {} is here now", "here we have the number {}", "{} it is , says he")
    rows = [(f"source {k}", form.format(k % 5)) for k in range(50) for form in forms]
    random.Random(0).shuffle(rows)
    data = read_pairs(tmp_path / "p.tsv", rows, min_count=1)
    assert [data.size(split) for split in ("train", "val", "test")] == [105, 5, 10]
    note = "val: 5 sources with 15 targets; test: 10 sources with 30 targets; in val and test, one"
    assert any(note in n for n in data.notes)
    for form in range(3):

        def predict(batch: Any, form: int = form) -> torch.Tensor:
            texts = [data.references(number)[form] for number in batch.references.tolist()]
            rows = [torch.tensor(data._tokenizers["y"].encode(text)) for text in texts]
            return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=-1)

        assert score(data, predict) == pytest.approx([100, 100, 1])
    batch = data.batch("test", torch.tensor([3]))
    truth = decode_samples(target_symbols(batch), batch, data)[0]["truth"]
    assert len(truth) == 3 and len(data.references(int(batch.references))) == 3


def test_a_target_that_is_too_long_is_a_true_text_if_another_one_fits(tmp_path: Path) -> None:
    rows = [(f"s {k}", text) for k in range(20) for text in ("w " * 9, f"t {k}")]
    rows += [("long", "w " * 9)] * 2
    data = read_pairs(tmp_path / "p.tsv", rows, min_count=1, max_length=5)
    sizes = [data.size(split) for split in ("train", "val", "test")]
    assert sum(sizes) == 20
    assert all(len(data.references(k)) == 2 for k in range(sum(sizes[1:])))


def test_the_content_of_true_texts_is_part_of_the_fingerprint(tmp_path: Path) -> None:
    rows = [(f"word {k}", f"name{k}") for k in range(60)]
    first = read_pairs(tmp_path / "a.tsv", rows).fingerprint()
    assert first == read_pairs(tmp_path / "b.tsv", rows).fingerprint()
    rows = [(source, f"{target}x") for source, target in rows]  # unknown before and after
    assert first != read_pairs(tmp_path / "c.tsv", rows).fingerprint()


def test_chinese_is_written_without_blanks_and_scored_by_character(tmp_path: Path) -> None:
    generator = random.Random(1)
    numbers = [generator.choices([*DIGITS], k=4) for _ in range(200)]
    rows = [(" ".join(n), f"号码是{''.join(DIGITS[w] for w in n)}。") for n in numbers]
    data = read_pairs(tmp_path / "p.tsv", rows)
    assert data.spec.bleu_tokens == "zh" and data.spec.symbols == 11
    assert any("BLEU by sacrebleu's zh tokens" in note for note in data.notes)
    assert any("targets: Han has no blanks" in note for note in data.notes)
    assert score(data, target_symbols) == pytest.approx([100, 100, 1])
    assert 0 < score(data, nearest(data, None))[0] < 100  # type: ignore[arg-type]
    batch = data.batch("test", torch.tensor([0]))
    assert decode_samples(target_symbols(batch), batch, data)[0]["truth"] in dict(rows).values()


def test_targets_of_fewer_than_four_words_get_a_note_on_bleu(tmp_path: Path) -> None:
    rows = [(f"n {k % 30}", f"two words{k % 3}") for k in range(90)]
    data = read_pairs(tmp_path / "p.tsv", rows)
    assert any("BLEU is 0 for every answer" in note for note in data.notes)
    assert score(data, target_symbols) == pytest.approx([0, 100, 1])


def decompose(text: str) -> str:
    return unicodedata.normalize("NFD", text)


def test_unicode_forms_of_texts_labels_and_columns_are_one(tmp_path: Path) -> None:
    texts = [f"un café crème numéro {k}" for k in range(60)]
    labels = [("café", "thé")[k % 2] for k in range(60)]
    frame = pd.DataFrame({"téxte": texts, "là": labels})
    both = pd.concat([frame, frame.map(decompose)])
    both.to_csv(tmp_path / "t.csv", index=False)
    data = TextCsv(str(tmp_path / "t.csv"), decompose("téxte"), "là", min_count=1)
    data.setup()
    assert data.spec.classes == ("café", "thé")
    assert any("duplicate texts: 60; equal texts are in the same split" in n for n in data.notes)
    assert any("column 'là': texts brought to one Unicode form (NFC): 60" in n for n in data.notes)
    frame.to_csv(tmp_path / "train.csv", index=False)
    frame[:48].map(decompose).to_json(tmp_path / "test.jsonl", orient="records", lines=True)
    paths = str(tmp_path / "train.csv"), str(tmp_path / "test.jsonl")
    given = TextCsv(paths[0], "téxte", "là", test_path=paths[1])
    assert any("48 of 48 samples of test occur in an earlier split" in n for n in given.notes)


def test_unicode_forms_of_sources_and_targets_are_one(tmp_path: Path) -> None:
    rows = [(f"thé {k}", f"café {k}") for k in range(30)]
    data = read_pairs(tmp_path / "p.tsv", rows + [(decompose(a), decompose(b)) for a, b in rows])
    assert any("duplicate sources: 30" in note for note in data.notes)
    assert all(len(data.references(k)) == 1 for k in range(data.size("val") + data.size("test")))
    for name, side in (("t.fr", 0), ("t.en", 1)):
        lines = [row[side] for row in rows] + [decompose(row[side]) for row in rows]
        write_file(tmp_path / name, "\n".join(lines) + "\n")
    lines_data = ParallelText(str(tmp_path / "t.fr"), str(tmp_path / "t.en"))
    lines_data.setup()
    assert lines_data.fingerprint() == data.fingerprint()
    assert sum("brought to one Unicode form (NFC): 30" in note for note in lines_data.notes) == 2


def test_hindi_words_are_whole_words(tmp_path: Path) -> None:
    words = ("यह", "किताब", "बहुत", "अच्छी", "है", "बुरी")
    rows = [f"{' '.join(words[(k + j) % 6] for j in range(5))},{'ab'[k % 2]}" for k in range(60)]
    write_file(tmp_path / "t.csv", "text,label\n" + "\n".join(f"{r}" for r in rows) + "\n")
    data = TextCsv(str(tmp_path / "t.csv"), "text", "label", min_count=1)
    data.setup()
    assert data.spec.vocabulary == 7 and data.spec.shape == (5,)


def test_texts_without_a_visible_character_are_counted(tmp_path: Path) -> None:
    texts = [f"good film {k % 5}" for k in range(60)]
    empty = [
        "\u200b",
        "\u200b\u200d",
        "\ufeff",
        "\u2060",
        "\u00ad",
        "\u180e",
        "\u202e\u202c",
        "\u3164",
    ]
    lines = [f'"{text}",{"ab"[k % 2]}\n' for k, text in enumerate([*texts, *empty])]
    write_file(tmp_path / "t.csv", "text,label\n" + "".join(lines))
    data = TextCsv(str(tmp_path / "t.csv"), "text", "label")
    data.setup()
    assert "texts without a token, which have no visible character: 8 of 68" in data.notes


def test_small_classes_can_be_left_out_and_missing_ones_are_named(tmp_path: Path) -> None:
    rows = [f"text {k},{'None' if k % 3 else 'pos'}\n" for k in range(60)]
    rows += ["once,once\n", "a,twice\n", "b,twice\n", "b,twice\n"]
    path = write_file(tmp_path / "t.csv", "text,label\n" + "".join(rows))
    with pytest.raises(Exception, match=r"'once'; add samples, .*dataset\.min_per_class=2"):
        TextCsv(str(path), "text", "label")
    data = TextCsv(str(path), "text", "label", min_per_class=2)
    assert data.spec.classes == ("None", "pos", "twice")
    assert any("left out with 1 samples: 'once' (1)" in note for note in data.notes)
    assert "val lacks 'twice'" in data.notes
    assert TextCsv(str(path), "text", "label", min_per_class=3).spec.classes == ("None", "pos")
    test = write_file(tmp_path / "u.csv", "text,label\nx,once\ny,pos\nz,twice\n")
    data = TextCsv(str(path), "text", "label", min_per_class=3, test_path=str(test))
    data.setup()
    assert data.size("test") == 1 and "test lacks 'None'" in data.notes


def test_labels_that_look_alike_are_named(tmp_path: Path) -> None:
    labels = ("pos", "Pos", "pos\u200b", "ｐｏｓ", "neg")
    lines = [f"text {k},{labels[k % 5]}\n" for k in range(100)]
    path = write_file(tmp_path / "t.csv", "text,label\n" + "".join(lines))
    note = next(n for n in TextCsv(str(path), "text", "label").notes if "similar names" in n)
    assert all(repr(name) in note for name in labels[:4]) and "neg" not in note
