"""Text datasets from small files of the same layout, from damaged ones, and from the real ones."""

from __future__ import annotations

import gzip
import hashlib
import os
import sys
from pathlib import Path

import pytest
import torch
import yaml
from helpers.paths import ROOT

from quintain.contracts import Batch, DataSpec, Split
from quintain.data.files.download import RemoteFile, fetch_plain_or_gzip, read_plain_or_gzip
from quintain.data.text.token_windows import TokenStream
from quintain.data.text.vocabulary import Vocabulary, pad_tokens
from quintain.errors import DataError
from quintain.plan.cell import result_settings
from quintain.plugins.dataset.sst2 import Sst2
from quintain.plugins.dataset.stdlib_docs import StdlibDocs, _parse_docstrings
from quintain.plugins.dataset.tiny_shakespeare import TinyShakespeare
from quintain.plugins.dataset.wikitext2 import Wikitext2
from quintain.testing import dataset_checks

SPLITS: tuple[Split, ...] = ("train", "val", "test")
PLAY = (
    "First Citizen:\nBefore we proceed any further, hear me speak.\n\nAll:\nSpeak, speak.\n" * 15
)[:1000]


def card(name: str) -> dict[str, object]:
    text = (ROOT / "conf" / "dataset" / f"{name}.yaml").read_text()
    content: dict[str, object] = yaml.safe_load(text)["dataset"]["card"]
    return content


def real_data(folder: str) -> str:
    """Return the folder of real data; skip the test if it lacks `folder`."""
    where = os.environ.get("QUINTAIN_DATA")
    if not where or not (Path(where) / folder).is_dir():
        pytest.skip(f"set QUINTAIN_DATA to a folder that has {folder}")
    return where


def whole_split(data: TokenStream | Sst2 | StdlibDocs, split: Split) -> Batch:
    return data.batch(split, torch.arange(data.size(split)))


def write_files(folder: Path, files: dict[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")


# --- files, vocabularies and windows


def test_a_gzipped_file_is_verified_by_its_content(tmp_path: Path) -> None:
    content = b"to be or not to be\n" * 100
    remote = RemoteFile(url="http://127.0.0.1:9/file", sha256=hashlib.sha256(content).hexdigest())
    path, packed = tmp_path / "file.txt", tmp_path / "file.txt.gz"
    packed.write_bytes(gzip.compress(content, 1))
    fetch_plain_or_gzip(path, remote)
    packed.write_bytes(gzip.compress(content, 9))  # different bytes of the same content
    fetch_plain_or_gzip(path, remote)
    assert read_plain_or_gzip(path) == content and not path.exists()
    packed.write_bytes(gzip.compress(content + b"x"))
    with pytest.raises(DataError, match=r"1,901 bytes.*expected"):
        fetch_plain_or_gzip(path, remote)
    packed.write_bytes(gzip.compress(content)[:-12])
    with pytest.raises(DataError, match="cannot be unpacked"):
        fetch_plain_or_gzip(path, remote)
    packed.write_bytes(b"no gzip at all")
    with pytest.raises(DataError, match="cannot be unpacked"):
        read_plain_or_gzip(path)
    path.write_bytes(content)  # the plain file has precedence
    fetch_plain_or_gzip(path, remote)


def test_the_message_about_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"call prepare_data\(\) first"):
        read_plain_or_gzip(tmp_path / "absent.txt")
    remote = RemoteFile(url="http://127.0.0.1:9/absent.txt", sha256="0" * 64)
    with pytest.raises(DataError, match="could not be downloaded"):
        fetch_plain_or_gzip(tmp_path / "absent.txt", remote)


def test_a_file_that_unpacks_to_too_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file.gz").write_bytes(gzip.compress(bytes(5000)))
    monkeypatch.setattr("quintain.data.files.download.LARGEST", 4999)
    with pytest.raises(DataError, match="unpacks to over 4,999 bytes"):
        read_plain_or_gzip(tmp_path / "file")


def test_a_vocabulary_is_ordered_by_frequency_and_then_by_the_alphabet() -> None:
    vocabulary = Vocabulary([["b", "a", "c"], ["c", "a", "c", "d"]], 4)
    assert vocabulary.words == ("<unk>", "c", "a", "b")
    assert vocabulary.encode(["d", "c", "b"]) == [0, 1, 3]
    assert vocabulary.decode([0, 1, 3]) == ["<unk>", "c", "b"]
    x, lengths = pad_tokens([[1, 2], [1, 2, 3, 3], [3]], 3)
    assert x.tolist() == [[1, 2, 0], [1, 2, 3], [3, 0, 0]] and lengths.tolist() == [2, 3, 1]


class Counting(TokenStream):
    """The numbers 0 … 99, 10 of them for validation and the test each."""

    def __init__(self, context: int = 4, stride: int = 3) -> None:
        spec = DataSpec(
            name="counting", modality="text", task="next_token", shape=(context,), vocabulary=100
        )
        super().__init__(spec, stride)

    def read_tokens(self) -> dict[Split, torch.Tensor]:
        numbers = torch.arange(100)
        return {"train": numbers[:80], "val": numbers[80:90], "test": numbers[90:]}


def test_windows_of_a_stream_by_hand() -> None:
    data = Counting()
    data.setup()
    assert whole_split(data, "train").x[:2].tolist() == [[0, 1, 2, 3], [3, 4, 5, 6]]
    assert whole_split(data, "val").x.tolist() == [[80, 81, 82, 83], [84, 85, 86, 87]]
    assert whole_split(data, "val").y.tolist() == [[81, 82, 83, 84], [85, 86, 87, 88]]
    assert data.size("train") == 26  # starts 0, 3, … 75
    stored = data._splits["train"].x
    assert stored.untyped_storage().nbytes() == 100 * 8  # the windows are views of the text


def test_the_fingerprint_is_of_the_text_and_not_of_its_windows() -> None:
    fingerprints = []
    for settings in ({}, {"stride": 1}, {"context": 5}):
        data = Counting(**settings)
        data.setup()
        fingerprints.append(data.fingerprint())
    assert len(set(fingerprints)) == 1
    data._tokens["val"] = data._tokens["val"] + 1
    assert data.fingerprint() != fingerprints[0]


def test_too_short_texts_and_invalid_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="val has 10 tokens, too few for one window of context 10"):
        Counting(context=10).setup()
    with pytest.raises(ValueError, match=r"context must be .*; stride must be 1 or more, got 0"):
        Counting(context=0, stride=0)
    with pytest.raises(RuntimeError, match=r"call prepare_data\(\)"):
        Counting().fingerprint()


# --- tiny_shakespeare


def test_shakespeare_is_split_into_90_5_and_5_percent(tmp_path: Path) -> None:
    write_files(tmp_path / "tinyshakespeare", {"input.txt": PLAY})
    data = TinyShakespeare(context=10, stride=1, data_dir=str(tmp_path))
    data.setup()
    assert data.spec.vocabulary == 65
    assert [data.size(split) for split in SPLITS] == [890, 4, 4]
    text = "".join(data.decode(row, "x") for row in whole_split(data, "val").x.tolist())
    assert text == PLAY[900:940]
    assert data.decode(whole_split(data, "test").y[0].tolist(), "y") == PLAY[951:961]
    assert data.decode(whole_split(data, "train").y[-1].tolist(), "y") == PLAY[890:900]


def test_shakespeares_whole_validation_is_that_of_nanogpt(tmp_path: Path) -> None:
    write_files(tmp_path / "tinyshakespeare", {"input.txt": PLAY})
    data = TinyShakespeare(context=10, validation="whole", data_dir=str(tmp_path))
    data.setup()
    assert torch.equal(whole_split(data, "val").x, whole_split(data, "test").x)
    assert data.decode(whole_split(data, "val").x.flatten().tolist(), "x") == PLAY[900:990]
    with pytest.raises(ValueError, match="validation must be half or whole, got 'both'"):
        TinyShakespeare(validation="both")  # type: ignore[arg-type]


def test_another_text_is_refused_as_shakespeare(tmp_path: Path) -> None:
    write_files(tmp_path / "tinyshakespeare", {"input.txt": PLAY})
    with pytest.raises(DataError, match="expected 86c4e6aa"):
        TinyShakespeare(data_dir=str(tmp_path)).prepare_data()
    write_files(tmp_path / "tinyshakespeare", {"input.txt": PLAY + "caf\u00e9"})
    with pytest.raises(DataError, match="byte 195 is not one of the 65 characters"):
        TinyShakespeare(data_dir=str(tmp_path)).setup()
    with pytest.raises(DataError, match="is missing"):
        TinyShakespeare(data_dir=str(tmp_path / "nowhere")).setup()


def test_the_real_shakespeare() -> None:
    data = TinyShakespeare(data_dir=real_data("tinyshakespeare"))
    data.prepare_data()
    data.setup()
    streams = data._tokens
    assert {split: data.size(split) for split in SPLITS} == card("tiny_shakespeare")["counts"]
    assert data.fingerprint() == card("tiny_shakespeare")["fingerprint"]
    assert sum(len(tokens) for tokens in streams.values()) == 1_115_394
    assert len(streams["train"]) == 1_003_854  # as printed by nanoGPT's prepare.py
    assert len(torch.cat([*streams.values()]).unique()) == 65


# --- wikitext2

WIKI = {
    "train.txt": " \n = A title = \n \n the cat sat on the <unk> mat \n",
    "valid.txt": " the mat \n",
    "test.txt": " the cat sat \n <unk> \n",
}


def wiki(folder: Path, **settings: int) -> Wikitext2:
    return Wikitext2(data_dir=str(folder), **settings)


def test_wikitext_words_and_windows_by_hand(tmp_path: Path) -> None:
    write_files(tmp_path / "wikitext2", WIKI)
    data = wiki(tmp_path, context=2, stride=2)
    data.setup()
    words = data._vocabulary.words
    assert words[:4] == ("<unk>", "\n", "=", "the")
    assert [len(data._tokens[split]) for split in SPLITS] == [15, 3, 6]
    assert data.decode(data._tokens["test"].tolist(), "y") == "the cat sat \n <unk> \n"
    assert data.spec.separator == " "
    assert whole_split(data, "val").x.tolist() == [data._vocabulary.encode(["the", "mat"])]


def test_bad_files_of_wikitext_are_refused(tmp_path: Path) -> None:
    write_files(tmp_path / "wikitext2", WIKI | {"test.txt": " the dog sat \n"})
    with pytest.raises(DataError, match=r"1 words of valid.txt and test.txt .* such as 'dog'"):
        wiki(tmp_path, context=2).setup()
    with pytest.raises(DataError, match="expected 9e9fa1ad"):
        wiki(tmp_path).prepare_data()
    (tmp_path / "wikitext2" / "valid.txt").unlink()
    with pytest.raises(DataError, match=r"valid.txt is missing"):
        wiki(tmp_path, context=2).setup()


def test_the_real_wikitext() -> None:
    where = real_data("wikitext2")
    data = Wikitext2(data_dir=where)
    data.prepare_data()
    data.setup()
    assert [len(tokens) for tokens in data._tokens.values()] == [2_088_628, 217_646, 245_569]
    assert len(data._vocabulary) == data.spec.vocabulary == 33_278
    assert {split: data.size(split) for split in SPLITS} == card("wikitext2")["counts"]
    assert data.fingerprint() == card("wikitext2")["fingerprint"]
    # Words and separators make up the file, so bits are per character of the file.
    text = read_plain_or_gzip(Path(where) / "wikitext2" / "test.txt").decode()
    stream = data._tokens["test"].tolist()
    assert data.decode(stream, "y").split() == text.split()
    characters = sum(len(data.decode([token], "y") + data.spec.separator) for token in stream)
    assert characters == pytest.approx(len(text), rel=1e-4)


# --- sst2

REVIEWS = {
    "train.tsv": "a good film\t1\na bad bad film\t0\nrare\t1\n",
    "dev.tsv": "good\t1\n",
    "test.tsv": "a strange film\t0\nbad film\t0\n",
}


def test_sst2_sentences_and_labels_by_hand(tmp_path: Path) -> None:
    write_files(tmp_path / "sst2", REVIEWS)
    data = Sst2(str(tmp_path))
    data.setup()
    train = data.batch("train", torch.tensor([1, 0]))
    assert train.y.tolist() == [0, 1] and train.lengths is not None
    assert train.lengths.tolist() == [4, 3] and train.x.shape == (2, 4)
    assert data.decode(train.x[0].tolist(), "x") == "a bad bad film"
    test = data.batch("test", torch.tensor([0]))
    assert data.decode(test.x[0].tolist(), "x") == "a <unk> film"


@pytest.mark.parametrize("line", ["no label", "two tabs\tx", "\t1", "w " * 54 + "\t0"])
def test_a_malformed_line_of_sst2_is_refused(tmp_path: Path, line: str) -> None:
    write_files(tmp_path / "sst2", REVIEWS | {"dev.tsv": f"good\t1\n{line}\n"})
    with pytest.raises(DataError, match=r"dev\.tsv, line 2: .* expected 1 to 53 words, a tab"):
        Sst2(str(tmp_path)).setup()


def test_another_sst2_is_refused(tmp_path: Path) -> None:
    write_files(tmp_path / "sst2", REVIEWS)
    with pytest.raises(DataError, match="expected ec192f83"):
        Sst2(str(tmp_path)).prepare_data()
    (tmp_path / "sst2" / "train.tsv").unlink()
    with pytest.raises(DataError, match=r"train\.tsv is missing"):
        Sst2(str(tmp_path)).setup()


def test_the_real_sst2() -> None:
    data = Sst2(real_data("sst2"))
    data.prepare_data()
    data.setup()
    assert [data.size(split) for split in SPLITS] == [6920, 872, 1821]
    assert data.fingerprint() == card("sst2")["fingerprint"]
    assert len(data._vocabulary) == data.spec.vocabulary
    assert [whole_split(data, split).y.sum().item() for split in SPLITS] == [3610, 444, 909]
    longest = max(int(whole_split(data, s).x.shape[1]) for s in SPLITS)
    assert (longest,) == data.spec.shape
    counts = torch.bincount(whole_split(data, "train").x.flatten(), minlength=data.spec.vocabulary)
    assert counts[1:].min() == 2  # every known word occurs twice or more


# --- stdlib_docs


@pytest.fixture(scope="module")
def docs() -> StdlibDocs:
    data = StdlibDocs()
    data.setup()
    return data


def test_docstrings_are_parsed_with_their_top_level_name() -> None:
    source = b'''"""Module."""
def f():
    """Function."""
class C:
    """Class."""
    async def m(self):
        """Method."""
if True:
    def g():
        """Under a condition."""
raise RuntimeError("must not run")
'''
    assert list(_parse_docstrings(source)) == [
        ("", "Module."),
        ("f", "Function."),
        ("C", "Class."),
        ("C", "Method."),
        ("", "Under a condition."),
    ]


def test_stdlib_docs_fulfil_the_contract_of_datasets(docs: StdlibDocs) -> None:
    case = dataset_checks.Case(docs, StdlibDocs, card("stdlib_docs"))
    for name, check in dataset_checks.DATASET_CHECKS:
        if name not in ("light", "fingerprint"):  # tested below, without loading the data again
            check(case)
    assert StdlibDocs().spec == docs.spec


def test_stdlib_docs_have_every_area_and_new_texts_in_the_test(docs: StdlibDocs) -> None:
    assert docs.size("train") > 3000 and min(docs.size("val"), docs.size("test")) > 300
    known: set[tuple[str, ...]] = set()
    for split in SPLITS:
        batch = whole_split(docs, split)
        share = torch.bincount(batch.y, minlength=len(docs.spec.classes)) / len(batch.y)
        assert share.min() > 0.01 and share.max() < 0.3
        assert batch.lengths is not None
        ngrams = [
            [tuple(row[k : k + 5]) for k in range(max(1, n - 4))]
            for row, n in zip(batch.x.tolist(), batch.lengths.tolist(), strict=True)
        ]
        if split != "train":
            # A few n-grams with different words are equal, because these words are unknown.
            assert (
                sum(sum(r in known for r in rs) / len(rs) >= 0.5 for rs in ngrams)
                < len(ngrams) / 10
            )
        known |= {ngram for rs in ngrams for ngram in rs}


def test_a_python_without_source_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("quintain.plugins.dataset.stdlib_docs._library_folder", lambda: tmp_path)
    (tmp_path / "string.py").write_text('"""Only a few words are here."""')
    with pytest.raises(DataError, match=r"fewer than vocabulary=4,000.*a Python that has its sou"):
        StdlibDocs().setup()
    with pytest.raises(ValueError, match="vocabulary must be 2 or more"):
        StdlibDocs(vocabulary=1)


def test_the_same_python_gives_the_same_text_and_its_version_is_in_the_key(
    docs: StdlibDocs,
) -> None:
    again = StdlibDocs()
    again.setup()
    assert again.fingerprint() == docs.fingerprint()
    kept = result_settings({"card": {"python_text": "sys.version"}})
    release = ".".join(map(str, sys.version_info))
    assert kept["text"] == f"{sys.implementation.name} {release}"
