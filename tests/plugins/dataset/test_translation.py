"""Translation datasets: names of numbers, Multi30k, and its subwords."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest
import torch
import yaml
from helpers.paths import ROOT
from num2words import num2words

from quintain.data.text.tokenizers import UNKNOWN, Subwords
from quintain.errors import DataError
from quintain.plugins.dataset.multi30k import Multi30k
from quintain.plugins.dataset.number_words import NumberWords, _draw_numbers

SPLITS = ("train", "val", "test")
DATA = Path(os.environ.get("QUINTAIN_DATA", ROOT.parent / "shared" / "data"))


def card(name):
    return yaml.safe_load((ROOT / "conf" / "dataset" / f"{name}.yaml").read_text())["dataset"][
        "card"
    ]


def texts(dataset, split):
    """Return the decoded texts of x and y of a split."""
    batch = dataset.batch(split, torch.arange(dataset.size(split)))
    sides = (("x", batch.x, batch.lengths), ("y", batch.y, batch.y_lengths))
    return [
        [dataset.decode(row[:n], side) for row, n in zip(t.tolist(), ns.tolist(), strict=True)]
        for side, t, ns in sides
    ]


@pytest.mark.parametrize(
    ("direction", "unit", "test"),
    [("en-de", "words", "seen"), ("de-en", "words", "longer"), ("de-en", "characters", "longer")],
)
def test_names_are_those_of_num2words(direction, unit, test, monkeypatch):
    """Encode and decode a tenth of the numbers, since num2words is slow."""
    numbers_of = _draw_numbers(test == "longer")
    few = {split: numbers[:10] + numbers[10::10] for split, numbers in numbers_of.items()}
    monkeypatch.setattr("quintain.plugins.dataset.number_words._draw_numbers", lambda longer: few)
    dataset = NumberWords(direction, unit, test)
    dataset.setup()
    for split in SPLITS:
        for side, language in zip(texts(dataset, split), direction.split("-"), strict=True):
            assert side == [num2words(number, lang=language) for number in few[split]]


def test_number_words_match_their_card():
    dataset = NumberWords()
    dataset.setup()
    assert {split: dataset.size(split) for split in SPLITS} == card("number_words")["counts"]
    assert dataset.fingerprint() == card("number_words")["fingerprint"]
    train = dataset.batch("train", torch.arange(dataset.size("train")))
    assert train.x.max() == dataset.spec.vocabulary - 1 and len(train.x.unique()) == 31
    assert len(train.y.unique()) == dataset.spec.symbols  # each German word occurs


def test_numbers_of_the_test_are_new_and_the_longer_ones_longer():
    usual, longer = _draw_numbers(False), _draw_numbers(True)
    assert usual["train"] == longer["train"] and usual["val"] == longer["val"]
    for numbers in (usual, longer):
        everything = [number for split in SPLITS for number in numbers[split]]
        assert len(set(everything)) == len(everything)
    assert {len(str(number)) for number in usual["test"]} == {2, 3, 4, 5}
    assert {len(str(number)) for number in longer["test"]} == {6}
    assert set(range(10)) <= set(usual["train"])


def test_the_longest_names_fit():
    for unit in ("words", "characters"):
        spec = NumberWords("en-de", unit).spec
        back = NumberWords("de-en", unit).spec
        assert (spec.shape[0], spec.target_length) == (back.target_length, back.shape[0])
    hundreds = range(1000)  # the longest name below a million is the longest hundreds, twice
    for language, longest in (("en", spec.shape[0]), ("de", spec.target_length)):
        most = max(hundreds, key=lambda n: len(num2words(n, lang=language)))
        assert len(num2words(1001 * most, lang=language)) == longest


def test_invalid_settings_of_number_words_are_reported_together():
    with pytest.raises(ValueError, match=r"must be one of en-de, de-en; got 'fr-de'; unit"):
        NumberWords("fr-de", "letters")


LINES = ["Zwei  Männer – im Freien.", "Ein Mädchen, ein Haus!", "Der Hund läuft über Gras."] * 9


def test_subwords_decode_to_the_text_and_are_deterministic():
    first, second = Subwords(LINES, 60), Subwords(LINES, 60)
    assert len(first) == 60
    for line in [*LINES[:3], "Drei Hunde im Haus"]:
        tokens = first.encode(line)
        assert tokens == second.encode(line) and 0 not in tokens
        assert first.decode(tokens) == " ".join(line.split())
    assert first.encode("Z€")[-1] == 0


@pytest.mark.parametrize("size", [10, 4000])
def test_subwords_of_an_impossible_size_are_an_error(size):
    with pytest.raises(ValueError, match=f"cannot learn {size:,} subwords"):
        Subwords(LINES, size)


@pytest.fixture
def folder(tmp_path):
    """Write a Multi30k of nine pairs in each split."""
    target = tmp_path / "multi30k"
    target.mkdir()
    german, english = LINES[:9], ["two men outdoors .", "a girl", "the dog runs on grass"] * 3
    for name in ("train", "val", "test_2016_flickr"):
        for language, lines in (("de", german), ("en", english)):
            text = "".join(f"{line}\n" for line in lines)
            (target / f"{name}.{language}.gz").write_bytes(gzip.compress(text.encode()))
    return tmp_path


def test_multi30k_reads_pairs_in_both_directions(folder):
    for direction, shared in (("de-en", False), ("en-de", True)):
        dataset = Multi30k(str(folder), direction=direction, vocabulary=50, shared=shared)
        dataset.setup()
        decoded = dict(zip(direction.split("-"), texts(dataset, "test"), strict=True))
        assert decoded["de"] == [" ".join(line.split()) for line in LINES[:9]]
        assert decoded["en"][:3] == ["two men outdoors .", "a girl", "the dog runs on grass"]


def append_pair(folder, split, german, english):
    for language, text in (("de", german), ("en", english)):
        path = folder / "multi30k" / f"{split}.{language}.gz"
        path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()) + f"{text}\n".encode()))


def test_longer_pairs_are_left_out_of_train_and_refused_in_val(folder):
    append_pair(folder, "train", "Hund " * 31, "a girl")
    append_pair(folder, "train", "Hund", "girl " * 31)
    dataset = Multi30k(str(folder), vocabulary=50, longest=30)
    dataset.setup()
    assert dataset.size("train") == 9
    append_pair(folder, "val", "Hund " * 31, "a girl")
    with pytest.raises(DataError, match="pairs of val with more than 30 tokens: 1"):
        Multi30k(str(folder), vocabulary=50, longest=30).setup()


def test_broken_files_of_multi30k_are_named(folder):
    with pytest.raises(DataError, match="SHA-256"):
        Multi30k(str(folder)).prepare_data()
    path = folder / "multi30k" / "train.en.gz"
    path.write_bytes(gzip.compress(b"one line\n"))
    with pytest.raises(DataError, match=r"9 lines and train\.en\.gz 1"):
        Multi30k(str(folder), vocabulary=50).setup()
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataError, match="cannot be read"):
        Multi30k(str(folder), vocabulary=50).setup()
    with pytest.raises(ValueError, match="direction must be de-en or en-de"):
        Multi30k(direction="de-fr")


def test_the_real_multi30k():
    if not (DATA / "multi30k").is_dir():
        pytest.skip("multi30k needs files: set QUINTAIN_DATA to a folder that has them")
    dataset = Multi30k(str(DATA))
    dataset.prepare_data()
    dataset.setup()
    assert {split: dataset.size(split) for split in SPLITS} == card("multi30k")["counts"]
    assert dataset.fingerprint() == card("multi30k")["fingerprint"]
    for side, language in zip(texts(dataset, "test"), ("de", "en"), strict=True):
        packed = (DATA / "multi30k" / f"test_2016_flickr.{language}.gz").read_bytes()
        assert side == gzip.decompress(packed).decode().splitlines()


def test_subwords_are_learned_from_long_texts_too() -> None:
    known = Subwords(["ab " * 9, "éxyz " * 2000], 12)
    assert UNKNOWN not in known.encode("xyzé") and known.decode(known.encode("xyzé")) == "xyzé"
