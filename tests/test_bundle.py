"""Bundles: out of one store and into another, the same records, once."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest
from PIL import Image
from records_factory import genuine, make

from quintain.cli import main
from quintain.records.bundle import open_bundle
from quintain.records.bundles.export import export
from quintain.records.bundles.importing import import_bundle
from quintain.records.bundles.manifest import BundleError
from quintain.records.bundles.origins import origins
from quintain.records.faults import StoreError
from quintain.records.media import read_samples
from quintain.records.schema import Record
from quintain.records.store import Store

RECORDS = [genuine(seed=i, score=0.8 + i / 100, model=m) for i in (1, 2, 3) for m in ("cnn", "mlp")]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Six records, one with samples: a picture and a sound."""
    store = Store(tmp_path / "theirs")
    for record in RECORDS:
        store.write(record)
    folder = store.samples(RECORDS[0].key)
    folder.mkdir(parents=True)
    Image.new("L", (8, 6), 77).save(folder / "0.png")
    (folder / "1.wav").write_bytes(b"RIFF\x24\0\0\0WAVEfmt ")
    shown = [{"kind": "image", "file": "0.png"}, {"kind": "speech", "file": "1.wav"}]
    rows = [{"index": i, "truth": "<b>7</b>", "prediction": "1", "input": s}
            for i, s in enumerate(shown)]  # fmt: skip
    (folder / "samples.json").write_text(json.dumps(rows))
    return store


def tree(folder: Path) -> dict[str, bytes]:
    files = (p for p in folder.rglob("*") if p.is_file() and p.suffix != ".lock")
    return {str(p.relative_to(folder)): p.read_bytes() for p in files}


def out(store: Store, *, samples: bool = True) -> Path:
    target = store.path.parent / "team.qb"
    export(store.all(), store, target, samples=samples)
    return target


def test_a_bundle_holds_what_the_store_holds(store: Store, tmp_path: Path):
    ours = Store(tmp_path / "ours")
    done = import_bundle(out(store), ours)
    assert (done.new, done.same, done.kept, done.unverified) == (6, 0, (), ())
    assert ours.all() == store.all()
    theirs = tree(store.path)
    assert {n: b for n, b in tree(ours.path).items() if not n.startswith("imports")} == theirs


def test_a_second_import_changes_nothing(store: Store, tmp_path: Path):
    bundle, ours = out(store), Store(tmp_path / "ours")
    import_bundle(bundle, ours)
    before = tree(ours.path)
    assert import_bundle(bundle, ours).same == 6
    assert tree(ours.path) == before


def test_the_same_records_give_the_same_bytes(store: Store, tmp_path: Path):
    first = out(store).read_bytes()
    ours = Store(tmp_path / "ours")
    import_bundle(out(store), ours)
    assert out(ours).read_bytes() == first


def test_a_local_record_is_never_overwritten(store: Store, tmp_path: Path):
    ours = Store(tmp_path / "ours")
    mine = genuine(status="failed", seed=1, model="cnn")
    assert mine.key == RECORDS[0].key
    ours.write(mine)
    done = import_bundle(out(store), ours)
    assert (done.new, done.same, done.kept) == (5, 0, (mine.key,))
    assert ours.read(mine.key) == mine
    assert not ours.samples(mine.key).exists()


def test_origins_stand_beside_the_records(store: Store, tmp_path: Path):
    bundle, ours = out(store), Store(tmp_path / "ours")
    import_bundle(bundle, ours)
    found = origins(ours)
    assert set(found) == {record.key for record in RECORDS}
    assert {o.bundle for o in found.values()} == {hashlib.sha256(bundle.read_bytes()).hexdigest()}
    assert all(origin.verified for origin in found.values())
    own = RECORDS[0].model_copy(update={"finished": "2026-11-02T10:00:42Z"})
    ours.write(own)  # a run of our own
    assert set(origins(ours)) == {record.key for record in RECORDS[1:]}


def test_an_import_that_fails_leaves_no_record(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    bundle, ours, real = out(store), Store(tmp_path / "ours"), os.replace

    def full(source: object, target: object) -> None:
        if Path(str(target)).stem == RECORDS[3].key:
            raise OSError(28, "No space left on device")
        real(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        with pytest.raises(StoreError, match="full disk"):
            import_bundle(bundle, ours)
    assert ours.all() == [] and origins(ours) == {}
    assert import_bundle(bundle, ours).new == 6
    assert len(origins(ours)) == 6


def test_a_bundle_is_read_as_a_store_and_leaves_nothing(store: Store):
    opened = open_bundle(out(store))
    assert opened.all() == store.all()
    key = RECORDS[0].key
    assert read_samples(opened.bring_samples(key)) == read_samples(store.samples(key))
    place = opened.path
    del opened
    assert not place.exists()


def test_records_of_another_key_stay_behind(store: Store):
    store.write(make(seed=9))
    done = export(store.all(), store, store.path.parent / "x.qb")
    assert done.records == 6
    assert done.notes == ("1 record was left out: the cell does not give the key, "
                          "by this quintain's way",)  # fmt: skip


def test_what_cannot_be_checked_is_marked(store: Store, tmp_path: Path):
    secret = make(seed=8, cell={"model": {"token": "[redacted]"}})
    store.write(secret)
    ours = Store(tmp_path / "ours")
    assert import_bundle(out(store), ours).unverified == (secret.key,)
    assert {k for k, origin in origins(ours).items() if not origin.verified} == {secret.key}


def test_export_overwrites_bundles_alone(store: Store, tmp_path: Path):
    out(store)
    out(store)
    notes = tmp_path / "notes.txt"
    notes.write_text("mine")
    for target in (notes, tmp_path):
        with pytest.raises(BundleError, match="no bundle"):
            export(RECORDS, store, target)
    assert notes.read_text() == "mine"


def test_commands(store: Store, tmp_path: Path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["export", "--to", "some.qb", str(store.path), "model=cnn", "seed=1,2"]) == 0
    size = f"{Path('some.qb').stat().st_size / 1024:.1f} KiB"  # no 0.00 MiB
    assert f"some.qb: 2 records, {size}" in capsys.readouterr().out
    assert main(["records", "some.qb", "--format", "json"]) == 0
    assert {r["model"] for r in json.loads(capsys.readouterr().out)} == {"cnn"}
    assert main(["leaderboard", "store=some.qb"]) == 0
    assert "cnn" in capsys.readouterr().out
    assert main(["import", "some.qb", "--store", "mine"]) == 0
    assert "mine: 2 records of some.qb are new, 0 were there" in capsys.readouterr().out
    assert {r.key for r in Store("mine").all()} < {r.key for r in RECORDS}


def test_a_choice_that_chooses_nothing_is_an_error(store: Store, capsys):
    words = ["export", "--to", "x.qb", str(store.path), "model=cnm", "seed=1,9", "launch.workers=2"]
    assert main(words) == 2
    told = capsys.readouterr().err
    assert "model=cnm: no record has it; there are: cnn, mlp" in told and "seed=9" in told


def test_secrets_stay_at_home(store: Store, monkeypatch: pytest.MonkeyPatch):
    record = genuine(status="failed", seed=6)
    assert record.error
    error = record.error.model_copy(update={"message": "hunter2hunter2 refused"})
    monkeypatch.setenv("MY_TOKEN", "hunter2hunter2")
    target = store.path.parent / "x.qb"
    export([record.model_copy(update={"error": error})], store, target)
    (taken,) = open_bundle(target).all()
    assert isinstance(taken, Record) and taken.error
    assert taken.error.message == "[redacted] refused"


def test_the_list_of_records_names_the_bundle(store: Store, tmp_path: Path, capsys):
    bundle, ours = out(store), Store(tmp_path / "ours")
    import_bundle(bundle, ours)
    ours.write(make(seed=9))
    assert main(["records", str(ours.path), "--format", "json"]) == 0
    found = [row["bundle"] for row in json.loads(capsys.readouterr().out)]
    sha = hashlib.sha256(bundle.read_bytes()).hexdigest()
    assert sorted(found, key=str) == sorted([*[sha] * 6, None], key=str)


def test_what_export_writes_can_be_read(tmp_path: Path):
    """Many words chose the records, and they repeat themselves as much as a zip bomb does."""
    plain = genuine().dump() | {"step_times_ms": [0.0] * 300_000}
    records = [Record.model_validate(plain)]
    words = ["seed=" + ",".join(map(str, range(200)))]
    export(records, Store(tmp_path), tmp_path / "x.qb", chosen=words)
    assert open_bundle(tmp_path / "x.qb").all() == records


@pytest.mark.parametrize("name", ["a_file/x.qb", "x" * 300 + ".qb"])
def test_a_bundle_that_cannot_be_written_is_a_sentence(tmp_path: Path, name: str):
    (tmp_path / "a_file").write_text("")
    with pytest.raises(BundleError, match="cannot be written"):
        export(RECORDS, Store(tmp_path), tmp_path / name)


def test_an_import_goes_on_from_what_an_earlier_one_noted(tmp_path: Path):
    theirs, ours = Store(tmp_path / "theirs"), Store(tmp_path / "ours")
    keys = []
    for seed in (8, 9):
        secret = make(seed=seed, cell={"model": {"token": "[redacted]"}})
        theirs.write(secret)
        keys.append(secret.key)
    bundle = out(theirs)
    import_bundle(bundle, ours)
    ours.file(keys[0]).unlink()
    import_bundle(bundle, ours)
    assert {k: origin.verified for k, origin in origins(ours).items()} == dict.fromkeys(keys, False)
    (noted,) = (ours.path / "imports").glob("*.json")
    noted.write_text("{")
    ours.file(keys[1]).unlink()
    assert import_bundle(bundle, ours).new == 1
    assert set(origins(ours)) == {keys[1]}
