"""Malicious or damaged bundles are rejected with one message, and leave no file."""

from __future__ import annotations

import json
import random
import stat
import struct
import tempfile
import zipfile
from pathlib import Path

import pytest
from helpers import hostile_bundles as hostile
from helpers.record_factory import make_valid_record
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from quintain.cli.main import main
from quintain.errors import BundleError
from quintain.records.bundles import manifest as limits
from quintain.records.bundles.bundle import open_bundle
from quintain.records.bundles.exporter import export_bundle
from quintain.records.keys import recompute_key
from quintain.records.schema import SCHEMA
from quintain.records.store import Store

PNG = struct.Struct(">8sI4sII")


@pytest.fixture(scope="module")
def valid_bundle(tmp_path_factory) -> Path:
    """Return a bundle with two records, one with an image."""
    store = Store(tmp_path_factory.mktemp("valid"))
    for seed in (1, 2):
        store.write(make_valid_record(seed=seed))
    folder = store.samples(make_valid_record(seed=1).key)
    folder.mkdir(parents=True)
    Image.new("L", (8, 6), 77).save(folder / "0.png")
    row = {"index": 0, "truth": 7, "prediction": 1, "input": {"kind": "image", "file": "0.png"}}
    (folder / "samples.json").write_text(json.dumps([row]))
    target = store.path / "valid.qb"
    export_bundle(store.all(), store, target, samples=True)
    return target


@pytest.fixture
def members(valid_bundle: Path) -> hostile.Members:
    return hostile.read_members(valid_bundle)


@pytest.fixture(autouse=True)
def no_temporary_file_remains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Check that the temporary files of bundles are removed."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield
    assert list(folder.iterdir()) == []


def rejection(bundle: Path) -> str:
    """Return the message with which a bundle is rejected."""
    with pytest.raises(BundleError) as caught:
        open_bundle(bundle)
    message = str(caught.value)
    assert "\n" not in message and len(message) < 600
    return message


def test_valid_bundle_is_accepted(members, tmp_path: Path):
    assert len(open_bundle(hostile.write_bundle(tmp_path / "a.qb", members)).all()) == 2


INVALID_NAMES = ["../evil", "/etc/evil", "records/../../evil", "C:\\evil", "media/../x", "media/AB",
         "x.pkl", "records.jsonl/", "media/" + "0" * 63 + "\n", "réc"]  # fmt: skip


@pytest.mark.parametrize("name", INVALID_NAMES)
def test_member_with_an_invalid_name_is_rejected(members, tmp_path: Path, name: str):
    assert "is not expected in a bundle" in rejection(
        hostile.write_bundle(tmp_path / "a.qb", members | {name: b"x"})
    )


def test_links_and_duplicate_members_are_rejected(members, tmp_path: Path):
    link = zipfile.ZipInfo("media/" + "0" * 64)
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    assert "a link" in rejection(
        hostile.with_extra(hostile.write_bundle(tmp_path / "a.qb", members), link)
    )
    twice = hostile.with_extra(hostile.write_bundle(tmp_path / "b.qb", members), "records.jsonl")
    assert "twice" in rejection(twice)


def test_zip_bomb_is_not_unpacked(members, tmp_path: Path, monkeypatch):
    zeros = members | {"records.jsonl": bytes(4 * 2**20)}
    assert "over 200 times" in rejection(hostile.write_bundle(tmp_path / "a.qb", zeros))
    monkeypatch.setattr("quintain.records.bundles.archive.MAX_BYTES", 6000)
    spaces = members | {"records.jsonl": b" " * 6000}
    assert "unpacks to" in rejection(hostile.write_bundle(tmp_path / "b.qb", spaces))
    noise = members | {"records.jsonl": random.Random(0).randbytes(6000)}
    assert "it has" in rejection(hostile.write_bundle(tmp_path / "c.qb", noise))


def test_too_many_members_are_rejected(members, tmp_path: Path, monkeypatch):
    monkeypatch.setattr("quintain.records.bundles.archive.MAX_MEMBERS", 3)
    assert "over 3 members" in rejection(hostile.write_bundle(tmp_path / "a.qb", members))


def test_member_larger_than_the_zip_says_is_rejected(members, tmp_path: Path):
    target = hostile.write_bundle(tmp_path / "a.qb", members)
    raw, size = bytearray(target.read_bytes()), len(members["records.jsonl"])
    entry = raw.rfind(b"PK\1\2", 0, raw.rfind(b"records.jsonl"))
    assert struct.unpack_from("<I", raw, entry + 24) == (size,)
    struct.pack_into("<I", raw, entry + 24, 10)
    target.write_bytes(raw)
    assert "checksum" in rejection(target) or "CRC" in rejection(target)


def test_encrypted_and_64_bit_zips_are_rejected(members, tmp_path: Path):
    target = hostile.write_bundle(tmp_path / "a.qb", members)
    raw = bytearray(target.read_bytes())
    raw[raw.find(b"PK\1\2") + 8] |= 1
    target.write_bytes(raw)
    assert "encrypted" in rejection(target)
    end = raw.rfind(b"PK\5\6")
    target.write_bytes(raw[:end] + b"PK\6\7" + bytes(16) + raw[end:])
    assert "ZIP64" in rejection(target)


def test_missing_truncated_and_other_files_are_rejected(valid_bundle: Path, tmp_path: Path):
    raw, target = valid_bundle.read_bytes(), tmp_path / "a.qb"
    for content in (b"", b"PK", b"hello" * 100, raw[:-1], raw[: len(raw) // 2]):
        target.write_bytes(content)
        assert "truncated" in rejection(target)
    assert "there is no bundle" in rejection(tmp_path / "no.qb")
    assert "there is no bundle" in rejection(tmp_path)


def test_members_that_differ_from_the_manifest_are_rejected(
    valid_bundle: Path, members, tmp_path: Path
):
    changed = members["records.jsonl"].replace(b'"accuracy"', b'"ACCURACY"')
    wrong = members | {"records.jsonl": changed}
    assert "checksum" in rejection(hostile.write_bundle(tmp_path / "a.qb", wrong, fit=False))
    missing = {name: b for name, b in members.items() if name != "samples.jsonl"}
    assert "members differ" in rejection(
        hostile.write_bundle(tmp_path / "b.qb", missing, fit=False)
    )
    none = {name: b for name, b in members.items() if name != "manifest.json"}
    assert "no manifest.json" in rejection(hostile.write_bundle(tmp_path / "c.qb", none, fit=False))
    named = {("media/" + "0" * 64 if n.startswith("media/") else n): b for n, b in members.items()}
    assert "not the hash" in rejection(hostile.write_bundle(tmp_path / "d.qb", named))


@pytest.mark.parametrize(
    "change, message",
    [
        ({"format": 2}, "update quintain"),
        ({"format": "1"}, "is unknown"),
        ({"format": True}, "is unknown"),
        ({"counts": {"records": 3, "samples": 1, "media": 2}}, "the numbers of"),
        ({"counts": {"records": -1, "samples": 0, "media": 0}}, "greater than"),
        ({"quintain": "x" * 300}, "200"),
        ({"run": "import os"}, "run"),
    ],
    ids=str,
)
def test_invalid_manifest_is_rejected(members, tmp_path: Path, change, message: str):
    text = json.dumps(hostile.make_manifest(members) | change).encode()
    bundle = hostile.write_bundle(tmp_path / "a.qb", members | {"manifest.json": text}, fit=False)
    assert message in rejection(bundle)


def nest_deeply(value: dict) -> None:
    value["cell"]["model"] = json.loads("[" * 100 + "]" * 100)


def remove_status(value: dict) -> None:
    del value["status"]


INVALID_RECORDS = [
    (lambda v: v.update(schema=SCHEMA + 1), "update quintain"),
    (lambda v: v["cell"]["model"].update(_target_="os.system"), "the key of its cell is"),
    (lambda v: v.update(key="0" * 32), "the key of its cell is"),
    (lambda v: v.update(group="0" * 32), "the key of its cell is"),
    (lambda v: v.update(seed=3), "the key of its cell is"),
    (lambda v: v.update(key="../../evil"), "key"),
    (lambda v: v.update(seed=True), "seed"),
    (lambda v: v.update(seed=10**19), "64 bits"),
    (lambda v: v["cost"].update(params=10**30), "64 bits"),
    (lambda v: v["machine"].update(cores=10**19), "64 bits"),  # 20 digits
    (lambda v: v["machine"].update(cores=2**63), "64 bits"),
    (lambda v: v["cost"].update(params="many"), "params"),
    (lambda v: v["names"].update(model="x" * 300), "200 characters"),
    (lambda v: v["names"].update(model=["cnn"]), "names.model"),
    (lambda v: v["machine"].update(cpu="x" * 300_000), "at most"),
    (lambda v: v.update(run="import os"), "run"),
    (nest_deeply, "nested"),
    (remove_status, "status"),
    (lambda v: [v], "line 1"),
    (lambda v: "text", "line 1"),
]


@pytest.mark.parametrize("change, message", INVALID_RECORDS, ids=range(len(INVALID_RECORDS)))
def test_invalid_record_is_rejected(members, tmp_path: Path, change, message: str):
    bundle = hostile.write_bundle(tmp_path / "a.qb", hostile.with_record(members, change))
    assert message in rejection(bundle)


@pytest.mark.parametrize(
    "line, message",
    [
        (b'{"score": NaN}', "NaN"),
        (b'{"score": -Infinity}', "Infinity"),
        (b'{"score": 1e999}', "too large"),
        (b'{"score": ' + b"9" * 5000 + b"}", "64 bits"),
        (b'{"key": 1, "key": 2}', "twice"),
        (b"[" * 50_000, "nested"),
        (b"\xff\xfe", "decode"),
        (b"", "line 1"),
        (b"cos\nsystem\n(S'x'\ntR.", "line 1"),  # a pickle
    ],
    ids=range(9),
)
def test_line_that_is_not_standard_json_is_rejected(
    members, tmp_path: Path, line: bytes, message: str
):
    assert message in rejection(
        hostile.write_bundle(tmp_path / "a.qb", hostile.with_line(members, line))
    )


def test_duplicate_record_and_endless_line_are_rejected(members, tmp_path: Path, monkeypatch):
    twice = members | {"records.jsonl": members["records.jsonl"] * 2}
    assert "is repeated" in rejection(hostile.write_bundle(tmp_path / "a.qb", twice))
    monkeypatch.setattr("quintain.records.bundles.archive.MAX_LINE_BYTES", 100)
    assert "over 100 bytes" in rejection(hostile.write_bundle(tmp_path / "b.qb", members))


HUGE_IMAGE = PNG.pack(b"\x89PNG\r\n\x1a\n", 13, b"IHDR", 60_000, 60_000) + bytes(20)
INVALID_MEDIA = [
    ("1.png", b"<svg onload=alert(1)>", "not a PNG"),
    ("1.png", HUGE_IMAGE, "60000 × 60000"),
    ("1.wav", b"MZ\x90\0" + bytes(40), "not a WAV"),
    ("1.html", b"<script>", "unexpected file"),
    ("../1.png", b"x", "unexpected file"),
    ("samples.json", b'[{"index": 1}]', "is valid"),
    ("samples.json", b"{", "line"),
]


@pytest.mark.parametrize("name, content, message", INVALID_MEDIA, ids=range(len(INVALID_MEDIA)))
def test_invalid_media_are_rejected(
    members, tmp_path: Path, name: str, content: bytes, message: str
):
    bundle = hostile.write_bundle(tmp_path / "a.qb", hostile.with_media(members, name, content))
    assert message in rejection(bundle)


@pytest.mark.parametrize(
    "change",
    [{"key": "0" * 32}, {"key": 7}, {"files": []}, {"files": {"0.png": "0"}}, {"more": 1},
     {"files": {"0.png": "0" * 64}}, {"files": {f"{i}.png": "0" * 64 for i in range(99)}}],
    ids=range(7),
)  # fmt: skip
def test_invalid_list_of_samples_is_rejected(members, tmp_path: Path, change):
    entry = json.loads(members["samples.jsonl"]) | change
    changed = members | {"samples.jsonl": json.dumps(entry).encode() + b"\n"}
    rejection(hostile.write_bundle(tmp_path / "a.qb", changed))


def test_terminal_codes_in_records_are_not_printed(members, tmp_path: Path, capsys):
    evil = "<script>alert(1)</script>\x1b[2J"

    def insert_everywhere(value: dict) -> None:
        value["names"] |= dict.fromkeys(value["names"], evil)
        value["machine"] = {"host": evil, "cpu": evil, "cores": evil}
        value["trust"] = {evil: {"ok": False, "note": evil}}
        value["data"] |= {"reading": evil, "fingerprint": evil, "notes": [evil]}

    bundle = hostile.write_bundle(
        tmp_path / "a.qb", hostile.with_record(members, insert_everywhere)
    )
    assert main(["leaderboard", str(bundle)]) == 0
    output = capsys.readouterr().out
    assert "<script>" in output and "\x1b" not in output


def test_command_reports_an_invalid_bundle_in_one_line(tmp_path: Path, capsys):
    (tmp_path / "a.qb").write_bytes(b"x")
    assert main(["import", str(tmp_path / "a.qb"), f"store={tmp_path / 's'}"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("quintain: ") and not (tmp_path / "s").exists()


# Random changes -----------------------------------------------------------------------------------

VALID_KEYS = {recompute_key(make_valid_record(seed=seed)) for seed in (1, 2)}
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


def check_accepted_as_a_whole_or_rejected(bundle: Path) -> None:
    try:
        records = open_bundle(bundle).all()
    except BundleError as error:
        assert "\n" not in str(error)
    else:
        assert {recompute_key(record) for record in records} <= {*VALID_KEYS, None}
        assert {record.key for record in records if recompute_key(record)} <= {
            k for k, _ in VALID_KEYS
        }


@FUZZ
@given(data=st.data())
def test_bundle_with_damaged_bytes_is_accepted_or_rejected(
    valid_bundle: Path, tmp_path: Path, data: st.DataObject
):
    raw = bytearray(valid_bundle.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    target = tmp_path / "a.qb"
    target.write_bytes(raw[: data.draw(st.integers(0, len(raw)) | st.just(len(raw)))])
    check_accepted_as_a_whole_or_rejected(target)


def find_paths(value: object, start: tuple = ()) -> list[tuple]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(
        value, list) else ()  # fmt: skip
    return [start, *(p for name, item in inner for p in find_paths(item, (*start, name)))]


@FUZZ
@given(data=st.data())
def test_bundle_with_any_value_anywhere_is_accepted_or_rejected(
    valid_bundle: Path, tmp_path: Path, data: st.DataObject
):
    """The value is in a record or in the list of samples; the checksums are adapted."""
    members = hostile.read_members(valid_bundle)
    name = data.draw(st.sampled_from(["records.jsonl", "samples.jsonl"]))
    first, *others = members[name].splitlines()
    whole = {"": json.loads(first)}
    *above, last = data.draw(st.sampled_from(find_paths(whole[""], ("",))))
    node = whole
    for step in above:
        node = node[step]
    node[last] = data.draw(VALUES)
    text = json.dumps(whole[""]).encode()
    changed = members | {name: b"\n".join([text, *others]) + b"\n"}
    check_accepted_as_a_whole_or_rejected(hostile.write_bundle(tmp_path / "a.qb", changed))


def test_limits_are_below_those_of_the_zip_format():
    assert limits.MAX_MEMBERS < 2**16 - 1 and limits.MAX_BYTES < 2**31 - 1
