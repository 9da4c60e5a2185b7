"""A user's texts and pairs of texts: tokens, splits, and rows that are left out."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest
import torch
from helpers.commands import write_file
from helpers.user_tables import make_files, reviews

from quintain.errors import DataError
from quintain.plugins.dataset.parallel_text import ParallelText
from quintain.plugins.dataset.text_csv import TextCsv


def test_texts_become_tokens_of_the_train_split(tmp_path: Path) -> None:
    frame = reviews()
    frame.loc[3, "review"] = " "
    frame.loc[4, "verdict"] = None
    frame = pd.concat([frame, frame.iloc[[7, 8]]])
    frame.to_csv(tmp_path / "t.csv", index=False)
    data = TextCsv(str(tmp_path / "t.csv"), "review", "verdict", max_length=6)
    data.setup()
    assert data.spec.classes == ("no", "yes")
    notes = "\n".join(data.notes)
    assert "rows without a text, left out: 1 (line 5)" in notes
    assert "rows without a label, left out: 1 (line 6)" in notes
    assert "duplicate texts: 2" in notes
    assert "texts cut to 6 tokens: 120" in notes
    x, y, lengths, *_ = data.batch("test", torch.tensor([0]))
    # Each number occurs once, so it is unknown.
    expected = f"a {['bad', 'good'][int(y[0])]} film , number \ufffd"
    assert data.decode(x[0, : lengths[0]].tolist(), "x") == expected


def test_samples_in_several_given_splits_are_noted_for_texts(tmp_path: Path) -> None:
    frame = reviews()
    frame[:100].to_csv(tmp_path / "t.csv", index=False)
    frame[95:].to_csv(tmp_path / "u.csv", index=False)
    t, u = str(tmp_path / "t.csv"), str(tmp_path / "u.csv")
    data = TextCsv(t, "review", "verdict", test_path=u)
    data.setup()
    assert data.size("test") == 25 and data.size("train") + data.size("val") == 100
    assert any("5 of 25 samples of test occur in an earlier split" in note for note in data.notes)
    frame.replace({"verdict": {"no": "maybe"}}).to_csv(tmp_path / "u.csv", index=False)
    with pytest.raises(DataError, match="labels of test that train does not have: 'maybe'"):
        TextCsv(t, "review", "verdict", test_path=u)


def test_texts_of_a_group_are_in_one_split(tmp_path: Path) -> None:
    frame = reviews().assign(author=[f"author {k % 12}" for k in range(120)])
    frame.to_csv(tmp_path / "t.csv", index=False)
    data = TextCsv(str(tmp_path / "t.csv"), "review", "verdict", group="author")
    data.setup()
    assert all(data.size(split) % 10 == 0 for split in ("train", "val", "test"))


def test_problems_of_several_files_are_reported_together(tmp_path: Path) -> None:
    reviews().drop(columns="verdict").to_csv(tmp_path / "t.csv", index=False)
    write_file(tmp_path / "u.csv", "review,verdict\n")
    with pytest.raises(DataError) as error:
        TextCsv(str(tmp_path / "t.csv"), "reviews", "verdict", test_path=str(tmp_path / "u.csv"))
    for message in ("did you mean 'review'?", "no column 'verdict'", "no rows"):
        assert message in str(error.value)
    with pytest.raises(ValueError, match=r"give dataset\.label=COLUMN to classify, or dataset\.t"):
        TextCsv(str(tmp_path / "t.csv"), "review")


def test_numbers_are_standardised_and_transformed_back(tmp_path: Path) -> None:
    reviews().to_parquet(tmp_path / "t.parquet")
    data = TextCsv(str(tmp_path / "t.parquet"), "review", target="stars")
    data.setup()
    y = data.batch("train", torch.arange(data.size("train"))).y
    assert abs(float(y.mean())) < 1e-5 and abs(float(y.std(correction=0)) - 1) < 1e-5
    assert set(data.inverse_transform(y)[:, 0].mul(2).round().tolist()) <= {3, 4, 5, 9, 10, 11}


def test_files_of_pairs_need_equally_many_lines(tmp_path: Path) -> None:
    write_file(tmp_path / "t.de", "eins\nzwei\ndrei\n")
    write_file(tmp_path / "t.en", "one\ntwo\n")
    path, target_path = str(tmp_path / "t.de"), str(tmp_path / "t.en")
    with pytest.raises(
        DataError, match=r"t\.de has 3 lines and .*t\.en 2; expected a source and its target"
    ):
        ParallelText(path, target_path)
    with pytest.raises(ValueError, match=r"give dataset\.target_path=FILE"):
        ParallelText(path)
    with pytest.raises(ValueError, match="give both val_path and val_target_path"):
        ParallelText(path, target_path, val_path=path)


def test_pairs_from_a_table_and_from_lines_are_the_same(tmp_path: Path) -> None:
    make_files(tmp_path)
    sources, targets = ((tmp_path / f"t.{s}").read_text().splitlines() for s in ("de", "en"))
    pd.DataFrame({"de": sources, "en": targets}).to_parquet(tmp_path / "p.parquet")
    lines = ParallelText(str(tmp_path / "t.de"), str(tmp_path / "t.en"), min_count=1)
    table = ParallelText(str(tmp_path / "p.parquet"), source="de", target="en", min_count=1)
    lines.setup()
    table.setup()
    assert lines.fingerprint() == table.fingerprint()
    x, y, lengths, y_lengths, _ = lines.batch("train", torch.arange(lines.size("train")))
    for k in range(len(x)):
        source = lines.decode(x[k, : lengths[k]].tolist(), "x")
        assert lines.decode(y[k, : y_lengths[k]].tolist(), "y") == source.upper()


def test_long_and_empty_pairs_are_left_out_and_counted(tmp_path: Path) -> None:
    rows = [f"x {k}\ty {k}" for k in range(30)]
    rows += ["z\t", *(f"{'long ' * 9}{k}\ty" for k in range(10))]
    write_file(tmp_path / "t.tsv", "a\tb\n" + "\n".join(rows))
    data = ParallelText(str(tmp_path / "t.tsv"), source="a", target="b", max_length=5)
    data.setup()
    assert sum(data.size(split) for split in ("train", "val", "test")) == 30
    assert "pairs with an empty text, left out: 1" in data.notes
    assert any(note.startswith("pairs with more than 5 tokens, left out") for note in data.notes)


def test_texts_that_differ_by_case_or_spaces_are_in_one_split(tmp_path: Path) -> None:
    variants = (str, str.upper, lambda text: text.replace(" ", "  "))
    texts = [variant(f"this is text {k}") for k in range(60) for variant in variants]
    frame = pd.DataFrame({"a": texts, "b": [f"y {k // 3}" for k in range(180)]})
    frame["c"] = ["yes" if k % 6 < 3 else "no" for k in range(180)]
    path = str(tmp_path / "t.csv")
    frame.to_csv(path, index=False)
    pairs = ParallelText(path, source="a", target="b", lower=True, min_count=1)
    for data in (pairs, TextCsv(path, "a", "c", lower=True)):
        data.setup()
        assert all(data.size(split) % 3 == 0 for split in ("train", "val", "test"))
        assert any(re.match("duplicate (sources|texts): 120;", note) for note in data.notes)
    frame[-3:-2].to_csv(tmp_path / "u.csv", index=False)
    frame[-2:-1].to_csv(tmp_path / "v.csv", index=False)
    u, v = str(tmp_path / "u.csv"), str(tmp_path / "v.csv")
    few_rows = pd.concat([frame[:6], frame[-1:]])
    few_rows.to_csv(path, index=False)
    given = ParallelText(
        path, source="a", target="b", val_path=u, test_path=v, lower=True, min_count=1
    )
    assert sum("1 of 1 samples of" in note for note in given.notes) == 2


def test_texts_with_several_labels_are_read_from_one_column_or_from_flags(tmp_path: Path) -> None:
    frame = reviews()
    frame["tags"] = [["good", "bad", "good|even", "bad|odd", ""][k % 5] for k in range(120)]
    for name in ("bad", "even", "good", "odd"):
        frame[name] = [int(name in tags.split("|")) for tags in frame["tags"]]
    frame.to_csv(tmp_path / "t.csv", index=False)
    path = str(tmp_path / "t.csv")
    joined = TextCsv(path, "review", "tags", separator="|")
    flags = TextCsv(path, "review", ["bad", "even", "good", "odd"])
    for data in (joined, flags):
        data.setup()
        assert data.spec.task == "multilabel"
        assert data.spec.classes == ("bad", "even", "good", "odd")
        batches = [data.batch(s, torch.arange(data.size(s))) for s in ("train", "val", "test")]
        assert sum(len(batch.y) for batch in batches) == 120
        assert sum(batch.y.sum(0) for batch in batches).tolist() == [48, 24, 48, 24]
        assert all(batch.y.sum(0).min() > 0 for batch in batches)
        assert "samples without any label: 24 of 120" in data.notes
    with pytest.raises(ValueError, match="separator belongs to one column of labels"):
        TextCsv(path, "review", ["good", "bad"], separator="|")
    single = TextCsv(path, "review", "tags")
    hint = "head=multilabel dataset.separator=bar splits them"
    assert any(hint in note for note in single.notes)


def test_a_column_of_splits_is_used(tmp_path: Path) -> None:
    frame = reviews().assign(split=["train", "dev", "test", "train"] * 30)
    frame.to_csv(tmp_path / "t.csv", index=False)
    data = TextCsv(str(tmp_path / "t.csv"), "review", "verdict")
    data.setup()
    assert [data.size(split) for split in ("train", "val", "test")] == [60, 30, 30]
    assert "splits: column 'split' (inferred)" in data.notes
    frame.assign(split="maybe").to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(DataError, match="column 'split': expected train, val or test; got 'maybe'"):
        TextCsv(str(tmp_path / "t.csv"), "review", "verdict")
    renamed = frame.rename(columns={"split": "set"}).assign(set="maybe")
    renamed.to_csv(tmp_path / "t.csv", index=False)
    assert TextCsv(str(tmp_path / "t.csv"), "review", "verdict").spec.classes == ("no", "yes")


def test_pairs_have_a_column_of_splits_and_an_encoding(tmp_path: Path) -> None:
    rows = [f"thé {k}\tté {k}\t{('train', 'dev', 'test')[k % 3]}\n" for k in range(30)]
    (tmp_path / "p.tsv").write_bytes(("a\tb\tsplit\n" + "".join(rows)).encode("latin-1"))
    path = str(tmp_path / "p.tsv")
    with pytest.raises(DataError, match=r"is not UTF-8; .*dataset\.encoding=cp1252"):
        ParallelText(path, source="a", target="b")
    data = ParallelText(path, source="a", target="b", encoding="cp1252")
    data.setup()
    assert [data.size(split) for split in ("train", "val", "test")] == [10, 10, 10]
    assert {data.references(k)[0] for k in range(20)} == {f"té {k}" for k in range(30) if k % 3}
    for name, column in (("t.fr", 0), ("t.en", 1)):
        lines = [row.split("\t")[column] for row in rows]
        (tmp_path / name).write_bytes("\n".join(lines).encode("latin-1"))
    files = str(tmp_path / "t.fr"), str(tmp_path / "t.en")
    assert ParallelText(*files, encoding="latin-1").spec.symbols == 2
    frame = pd.DataFrame({"x": [f"è {k}" for k in range(30)], "y": ["ü", "ä"] * 15})
    frame.to_csv(tmp_path / "c.csv", index=False, encoding="cp1252")
    texts = TextCsv(str(tmp_path / "c.csv"), "x", "y", encoding="cp1252")
    assert texts.spec.classes == ("ä", "ü")
