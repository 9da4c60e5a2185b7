"""Bundles of strangers: refused in one sentence, and nothing is written anywhere."""

from __future__ import annotations

import json
import random
import stat
import struct
import tempfile
import zipfile
from pathlib import Path

import hostile_bundles as hostile
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from records_factory import genuine

from quintain.cli import main
from quintain.records.bundle import open_bundle
from quintain.records.bundles import manifest as limits
from quintain.records.bundles.export import export
from quintain.records.bundles.manifest import BundleError
from quintain.records.keys import recomputed
from quintain.records.store import Store

PNG = struct.Struct(">8sI4sII")


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> Path:
    """Two records, one with a picture."""
    store = Store(tmp_path_factory.mktemp("good"))
    for seed in (1, 2):
        store.write(genuine(seed=seed))
    folder = store.samples(genuine(seed=1).key)
    folder.mkdir(parents=True)
    Image.new("L", (8, 6), 77).save(folder / "0.png")
    row = {"index": 0, "truth": 7, "prediction": 1, "input": {"kind": "image", "file": "0.png"}}
    (folder / "samples.json").write_text(json.dumps([row]))
    target = store.path / "good.qb"
    export(store.all(), store, target, samples=True)
    return target


@pytest.fixture
def members(good: Path) -> hostile.Members:
    return hostile.members_of(good)


@pytest.fixture(autouse=True)
def nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Temporary files of a bundle stand here, and are gone at the end."""
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    yield
    assert list(place.iterdir()) == []


def why(bundle: Path) -> str:
    """The sentence by which it is refused."""
    with pytest.raises(BundleError) as caught:
        open_bundle(bundle)
    sentence = str(caught.value)
    assert "\n" not in sentence and len(sentence) < 600
    return sentence


def test_the_good_one_is_taken(members, tmp_path: Path):
    assert len(open_bundle(hostile.write(tmp_path / "a.qb", members)).all()) == 2


NAMES = ["../evil", "/etc/evil", "records/../../evil", "C:\\evil", "media/../x", "media/AB",
         "x.pkl", "records.jsonl/", "media/" + "0" * 63 + "\n", "réc"]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_names_that_no_bundle_has(members, tmp_path: Path, name: str):
    assert "none that a bundle has" in why(hostile.write(tmp_path / "a.qb", members | {name: b"x"}))


def test_links_and_members_twice(members, tmp_path: Path):
    link = zipfile.ZipInfo("media/" + "0" * 64)
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    assert "a link" in why(hostile.with_extra(hostile.write(tmp_path / "a.qb", members), link))
    twice = hostile.with_extra(hostile.write(tmp_path / "b.qb", members), "records.jsonl")
    assert "twice" in why(twice)


def test_a_zip_bomb_is_not_unpacked(members, tmp_path: Path, monkeypatch):
    zeros = members | {"records.jsonl": bytes(4 * 2**20)}
    assert "over 200 times" in why(hostile.write(tmp_path / "a.qb", zeros))
    monkeypatch.setattr("quintain.records.bundles.archive.MOST_BYTES", 6000)
    spaces = members | {"records.jsonl": b" " * 6000}
    assert "unpacks to" in why(hostile.write(tmp_path / "b.qb", spaces))
    noise = members | {"records.jsonl": random.Random(0).randbytes(6000)}
    assert "it has" in why(hostile.write(tmp_path / "c.qb", noise))


def test_too_many_members(members, tmp_path: Path, monkeypatch):
    monkeypatch.setattr("quintain.records.bundles.archive.MOST_MEMBERS", 3)
    assert "over 3 members" in why(hostile.write(tmp_path / "a.qb", members))


def test_a_member_that_is_larger_than_it_says(members, tmp_path: Path):
    """The zip's own word for a size: what comes out is never more than that."""
    target = hostile.write(tmp_path / "a.qb", members)
    raw, size = bytearray(target.read_bytes()), len(members["records.jsonl"])
    at = raw.rfind(b"PK\1\2", 0, raw.rfind(b"records.jsonl"))
    assert struct.unpack_from("<I", raw, at + 24) == (size,)
    struct.pack_into("<I", raw, at + 24, 10)
    target.write_bytes(raw)
    assert "checksum" in why(target) or "CRC" in why(target)


def test_encrypted_and_64_bit_zips(members, tmp_path: Path):
    target = hostile.write(tmp_path / "a.qb", members)
    raw = bytearray(target.read_bytes())
    raw[raw.find(b"PK\1\2") + 8] |= 1
    target.write_bytes(raw)
    assert "encrypted" in why(target)
    end = raw.rfind(b"PK\5\6")
    target.write_bytes(raw[:end] + b"PK\6\7" + bytes(16) + raw[end:])
    assert "64-bit" in why(target)


def test_what_is_no_zip_or_cut_short(good: Path, tmp_path: Path):
    raw, target = good.read_bytes(), tmp_path / "a.qb"
    for content in (b"", b"PK", b"hello" * 100, raw[:-1], raw[: len(raw) // 2]):
        target.write_bytes(content)
        assert "cut short" in why(target)
    assert "there is no bundle" in why(tmp_path / "no.qb")
    assert "there is no bundle" in why(tmp_path)


def test_checksums_and_sizes(good: Path, members, tmp_path: Path):
    changed = members["records.jsonl"].replace(b'"accuracy"', b'"ACCURACY"')
    wrong = members | {"records.jsonl": changed}
    assert "checksum" in why(hostile.write(tmp_path / "a.qb", wrong, fit=False))
    missing = {name: b for name, b in members.items() if name != "samples.jsonl"}
    assert "lists" in why(hostile.write(tmp_path / "b.qb", missing, fit=False))
    none = {name: b for name, b in members.items() if name != "manifest.json"}
    assert "no manifest.json" in why(hostile.write(tmp_path / "c.qb", none, fit=False))
    named = {("media/" + "0" * 64 if n.startswith("media/") else n): b for n, b in members.items()}
    assert "named by its content" in why(hostile.write(tmp_path / "d.qb", named))


@pytest.mark.parametrize(
    "change, told",
    [
        ({"format": 2}, "update quintain"),
        ({"format": "1"}, "no format"),
        ({"format": True}, "no format"),
        ({"counts": {"records": 3, "samples": 1, "media": 2}}, "as many"),
        ({"counts": {"records": -1, "samples": 0, "media": 0}}, "greater than"),
        ({"quintain": "x" * 300}, "200"),
        ({"run": "import os"}, "run"),
    ],
    ids=str,
)
def test_manifests(members, tmp_path: Path, change, told: str):
    text = json.dumps(hostile.manifest_of(members) | change).encode()
    bundle = hostile.write(tmp_path / "a.qb", members | {"manifest.json": text}, fit=False)
    assert told in why(bundle)


def deep(value: dict) -> None:
    value["cell"]["model"] = json.loads("[" * 100 + "]" * 100)


def pop_status(value: dict) -> None:
    del value["status"]


RECORDS = [
    (lambda v: v.update(schema=2), "update quintain"),
    (lambda v: v["cell"]["model"].update(_target_="os.system"), "its cell gives"),
    (lambda v: v.update(key="0" * 32), "its cell gives"),
    (lambda v: v.update(group="0" * 32), "its cell gives"),
    (lambda v: v.update(seed=3), "its cell gives"),
    (lambda v: v.update(key="../../evil"), "key"),
    (lambda v: v.update(seed=True), "seed"),
    (lambda v: v.update(seed=10**19), "seed"),
    (lambda v: v["cost"].update(params=10**30), "digits"),
    (lambda v: v["cost"].update(params="many"), "params"),
    (lambda v: v["names"].update(model="x" * 300), "200 characters"),
    (lambda v: v["names"].update(model=["cnn"]), "names.model"),
    (lambda v: v["machine"].update(cpu="x" * 300_000), "at most"),
    (lambda v: v.update(run="import os"), "run"),
    (deep, "nested"),
    (pop_status, "status"),
    (lambda v: [v], "line 1"),
    (lambda v: "text", "line 1"),
]


@pytest.mark.parametrize("change, told", RECORDS, ids=range(len(RECORDS)))
def test_records(members, tmp_path: Path, change, told: str):
    bundle = hostile.write(tmp_path / "a.qb", hostile.with_record(members, change))
    assert told in why(bundle)


@pytest.mark.parametrize(
    "line, told",
    [
        (b'{"score": NaN}', "NaN"),
        (b'{"score": -Infinity}', "Infinity"),
        (b'{"score": 1e999}', "too large"),
        (b'{"score": ' + b"9" * 5000 + b"}", "digits"),
        (b'{"key": 1, "key": 2}', "twice"),
        (b"[" * 50_000, "nested"),
        (b"\xff\xfe", "decode"),
        (b"", "line 1"),
        (b"cos\nsystem\n(S'x'\ntR.", "line 1"),  # a pickle
    ],
    ids=range(9),
)
def test_lines_that_are_no_standard_json(members, tmp_path: Path, line: bytes, told: str):
    assert told in why(hostile.write(tmp_path / "a.qb", hostile.with_line(members, line)))


def test_a_record_twice_and_a_line_without_end(members, tmp_path: Path, monkeypatch):
    twice = members | {"records.jsonl": members["records.jsonl"] * 2}
    assert "is there twice" in why(hostile.write(tmp_path / "a.qb", twice))
    monkeypatch.setattr("quintain.records.bundles.archive.MOST_LINE", 100)
    assert "over 100 bytes" in why(hostile.write(tmp_path / "b.qb", members))


HUGE = PNG.pack(b"\x89PNG\r\n\x1a\n", 13, b"IHDR", 60_000, 60_000) + bytes(20)
MEDIA = [
    ("1.png", b"<svg onload=alert(1)>", "no PNG"),
    ("1.png", HUGE, "60000 × 60000"),
    ("1.wav", b"MZ\x90\0" + bytes(40), "no WAV"),
    ("1.html", b"<script>", "no run writes"),
    ("../1.png", b"x", "no run writes"),
    ("samples.json", b'[{"index": 1}]', "can be shown"),
    ("samples.json", b"{", "line"),
]


@pytest.mark.parametrize("name, content, told", MEDIA, ids=range(len(MEDIA)))
def test_media(members, tmp_path: Path, name: str, content: bytes, told: str):
    bundle = hostile.write(tmp_path / "a.qb", hostile.with_media(members, name, content))
    assert told in why(bundle)


@pytest.mark.parametrize(
    "change",
    [{"key": "0" * 32}, {"key": 7}, {"files": []}, {"files": {"0.png": "0"}}, {"more": 1},
     {"files": {"0.png": "0" * 64}}, {"files": {f"{i}.png": "0" * 64 for i in range(99)}}],
    ids=range(7),
)  # fmt: skip
def test_lists_of_samples(members, tmp_path: Path, change):
    entry = json.loads(members["samples.jsonl"]) | change
    changed = members | {"samples.jsonl": json.dumps(entry).encode() + b"\n"}
    why(hostile.write(tmp_path / "a.qb", changed))


def test_html_and_terminal_codes_are_text(members, tmp_path: Path, capsys):
    evil = "<script>alert(1)</script>\x1b[2J"

    def everywhere(value: dict) -> None:
        value["names"] |= dict.fromkeys(value["names"], evil)
        value["machine"] = {"host": evil, "cpu": evil, "cores": evil}
        value["trust"] = {evil: {"ok": False, "note": evil}}
        value["data"] |= {"reading": evil, "fingerprint": evil, "notes": [evil]}

    bundle = hostile.write(tmp_path / "a.qb", hostile.with_record(members, everywhere))
    assert main(["leaderboard", str(bundle)]) == 0
    shown = capsys.readouterr().out
    assert "<script>" in shown and "\x1b" not in shown


def test_the_command_says_it_in_one_line(tmp_path: Path, capsys):
    (tmp_path / "a.qb").write_bytes(b"x")
    assert main(["import", str(tmp_path / "a.qb"), f"store={tmp_path / 's'}"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("quintain: ") and not (tmp_path / "s").exists()


# Anything at all ----------------------------------------------------------------------------------

KEPT = {recomputed(genuine(seed=seed)) for seed in (1, 2)}
FUZZ = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=5,
)


def taken_whole_or_refused(bundle: Path) -> None:
    try:
        records = open_bundle(bundle).all()
    except BundleError as error:
        assert "\n" not in str(error)
    else:
        assert {recomputed(record) for record in records} <= {*KEPT, None}
        assert {record.key for record in records if recomputed(record)} <= {k for k, _ in KEPT}


@FUZZ
@given(data=st.data())
def test_damaged_bytes(good: Path, tmp_path: Path, data: st.DataObject):
    raw = bytearray(good.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    target = tmp_path / "a.qb"
    target.write_bytes(raw[: data.draw(st.integers(0, len(raw)) | st.just(len(raw)))])
    taken_whole_or_refused(target)


def places(value: object, at: tuple = ()) -> list[tuple]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(
        value, list) else ()  # fmt: skip
    return [at, *(p for name, item in inner for p in places(item, (*at, name)))]


@FUZZ
@given(data=st.data())
def test_any_value_anywhere(good: Path, tmp_path: Path, data: st.DataObject):
    """In a record or the list of samples, with checksums that fit."""
    members = hostile.members_of(good)
    name = data.draw(st.sampled_from(["records.jsonl", "samples.jsonl"]))
    first, *others = members[name].splitlines()
    whole = {"": json.loads(first)}
    *above, last = data.draw(st.sampled_from(places(whole[""], ("",))))
    node = whole
    for step in above:
        node = node[step]
    node[last] = data.draw(VALUES)
    text = json.dumps(whole[""]).encode()
    changed = members | {name: b"\n".join([text, *others]) + b"\n"}
    taken_whole_or_refused(hostile.write(tmp_path / "a.qb", changed))


def test_limits_allow_what_is_written():
    assert limits.MOST_MEMBERS < 2**16 - 1 and limits.MOST_BYTES < 2**31 - 1
