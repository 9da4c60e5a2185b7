"""Images with several captions: one answer an image, held against all of them."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import pytest
import torch
from helpers import media_files as media

from quintain.baselines.generate import nearest
from quintain.errors import DataError
from quintain.metrics.corpus_scores import Bleu
from quintain.metrics.text_metrics import ExactMatch, TextMetric, decode_samples, target_symbols
from quintain.plugins.dataset.audio_transcripts import AudioTranscripts
from quintain.plugins.dataset.image_captions import ImageCaptions
from quintain.plugins.stem.image import Image

FORMS = ("a {} square.", "one {} box on black .", "there is a {} square here", "it is {}", "{}!")
COLOURS = {"red": (220, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 220)}


@pytest.fixture(autouse=True)
def separate_cache(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def captions(tmp_path: Path) -> dict[str, list[str]]:
    """Write 30 images; return five captions for each."""
    texts = {}
    for k in range(30):
        colour = [*COLOURS][k % 3]
        media.write_image(tmp_path / "images" / f"{k}.png", COLOURS[colour], k, (8, 8))
        texts[f"{k}.png"] = [form.format(colour) for form in FORMS]
    return texts


def write_table(root: Path, name: str, texts: dict[str, list[str]]) -> str:
    rows = [(file, n, text) for file, several in texts.items() for n, text in enumerate(several)]
    lines = {
        "captions.txt": ["image,caption", *(f"{file},{text}" for file, _, text in rows)],
        "Flickr8k.token.txt": [f"{file}#{n}\t{text}" for file, n, text in rows],
        "results.csv": [
            "image_name| comment_number| comment", *(f"{f}| {n}| {text}" for f, n, text in rows)
        ],
        "metadata.jsonl": [json.dumps({"file_name": f, "captions": t}) for f, t in texts.items()],
    }  # fmt: skip
    (root / name).write_text("\n".join(lines[name]) + "\n")
    return str(root / name)


TABLES = ("captions.txt", "Flickr8k.token.txt", "results.csv", "metadata.jsonl")


def test_every_layout_of_captions_gives_the_same_samples(
    captions: dict[str, list[str]], tmp_path: Path
) -> None:
    fingerprints = set()
    for name in TABLES:
        path = write_table(tmp_path, name, captions)
        data = ImageCaptions(path)
        data.setup()
        fingerprints.add(data.fingerprint())
        assert [data.size(split) for split in ("train", "val", "test")] == [105, 3, 6]
        note = "train: 21 images with 105 captions; val: 3 images with 15 captions; test: 6 images"
        assert any(note in n for n in data.notes)
        assert any("30 for test; different files: 21, 3 and 6" in n for n in data.notes)
        assert ImageCaptions(str(tmp_path)).notes == data.notes[:-1]  # found in its folder
        Path(path).unlink()
    assert len(fingerprints) == 1


def test_every_caption_of_an_image_is_right_and_nearest_finds_one(
    captions: dict[str, list[str]], tmp_path: Path
) -> None:
    data = ImageCaptions(write_table(tmp_path, "captions.txt", captions))
    data.setup()
    batch = data.batch("test", torch.arange(6))
    assert batch.references is not None
    paths = [item.path.name for item in data.items()["test"]]
    for form in range(len(FORMS)):
        texts = [captions[name][form] for name in paths]
        symbols = [torch.tensor(data._captions.tokenizer.encode(text)) for text in texts]
        predicted = torch.nn.utils.rnn.pad_sequence(symbols, batch_first=True, padding_value=-1)
        exact = TextMetric(ExactMatch(), data)
        exact.update(predicted, batch)
        assert float(exact.compute()) == 1
    bleu = TextMetric(Bleu(), data)
    bleu.update(nearest(data, Image(data.spec, input_layout="sequence"))(batch), batch)
    assert float(bleu.compute()) == pytest.approx(100)
    truth = decode_samples(target_symbols(batch), batch, data)[0]["truth"]
    assert truth == captions[paths[0]]


def test_images_of_equal_content_are_one_sample(tmp_path: Path) -> None:
    rows = ["file,caption"]
    for k in range(20):
        for copy in ("a", "b"):
            media.write_image(tmp_path / f"{k}{copy}.png", (9 * k, 5, 5), k, (8, 8))
            rows.append(f"{k}{copy}.png,this is number {k} of copy {copy}")
    (tmp_path / "captions.csv").write_text("\n".join(rows) + "\n")
    data = ImageCaptions(str(tmp_path))
    data.setup()
    assert [data.size(split) for split in ("train", "val", "test")] == [28, 2, 4]
    assert all(len(item.references) == 2 for item in data.items()["test"])


def test_names_in_another_unicode_form_are_found(tmp_path: Path) -> None:
    rows = ["file,caption"]
    for k in range(12):
        name = f"Zoë café {k}.png"
        media.write_image(tmp_path / unicodedata.normalize("NFD", name), (9 * k, 5, 5), k, (8, 8))
        rows.append(f"{unicodedata.normalize('NFC', name)},Zoë is at café number {k} here")
    (tmp_path / "captions.csv").write_text("\n".join(rows) + "\n")
    data = ImageCaptions(str(tmp_path))
    data.setup()
    assert sum(data.size(split) for split in ("train", "val", "test")) == 12


def test_a_file_whose_name_ends_in_a_number_sign_is_not_confused(tmp_path: Path) -> None:
    rows = ["file,caption"]
    for k in range(12):
        media.write_image(tmp_path / f"shot#{k}.png", (9 * k, 5, 5), k, (8, 8))
        rows.append(f"shot#{k},this is shot number {k}")
    (tmp_path / "captions.csv").write_text("\n".join(rows) + "\n")
    data = ImageCaptions(str(tmp_path))
    data.setup()
    assert sum(len({item.path for item in items}) for items in data.items().values()) == 12


def test_a_transcript_with_an_unknown_word_is_never_right(tmp_path: Path) -> None:
    rows = ["path\tsentence"]
    for k in range(30):
        media.write_recording(tmp_path / f"{k}.wav", 300 + 9 * k, k, samples=4000)
        rows.append(f"{k}.wav\tthe word {k} null NA")  # each number occurs once
    (tmp_path / "t.tsv").write_text("\n".join(rows) + "\n")
    data = AudioTranscripts(str(tmp_path / "t.tsv"), symbols="words")
    data.setup()
    batch = data.batch("test", torch.arange(data.size("test")))
    exact = TextMetric(ExactMatch(), data)
    exact.update(target_symbols(batch), batch)
    assert float(exact.compute()) == 0
    sample = decode_samples(target_symbols(batch), batch, data)[0]
    assert sample["prediction"] == "the word \ufffd null na"
    assert sample["truth"].split()[-2:] == ["null", "na"] and "\ufffd" not in sample["truth"]


def test_a_table_in_another_encoding_is_read(tmp_path: Path) -> None:
    rows = ["file,caption"]
    for k in range(12):
        media.write_image(tmp_path / f"{k}.png", (9 * k, 5, 5), k, (8, 8))
        rows.append(f"{k}.png,ein schöner Käfer Nummer {k}")
    (tmp_path / "captions.csv").write_text("\n".join(rows) + "\n", encoding="cp1252")
    with pytest.raises(DataError, match=r"is not UTF-8; .*dataset\.encoding=cp1252"):
        ImageCaptions(str(tmp_path))
    data = ImageCaptions(str(tmp_path), encoding="cp1252")
    assert data.items()["test"][0].references[0].startswith("ein schöner käfer nummer")
