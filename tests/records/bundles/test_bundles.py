"""Bundles carry records from one store to another, each once."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest
from helpers.record_factory import make_record, make_valid_record
from PIL import Image

from quintain.cli.main import main
from quintain.errors import BundleError, StoreError
from quintain.records.bundles.bundle import open_bundle
from quintain.records.bundles.exporter import export_bundle
from quintain.records.bundles.importer import import_bundle
from quintain.records.bundles.origins import read_origins
from quintain.records.samples import read_samples
from quintain.records.schema import Record
from quintain.records.store import Store

RECORDS = [
    make_valid_record(seed=i, score=0.8 + i / 100, model=m)
    for i in (1, 2, 3)
    for m in ("cnn", "mlp")
]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Return a store with six records, one with samples: an image and a recording."""
    store = Store(tmp_path / "source")
    for record in RECORDS:
        store.write(record)
    folder = store.samples(RECORDS[0].key)
    folder.mkdir(parents=True)
    Image.new("L", (8, 6), 77).save(folder / "0.png")
    (folder / "1.wav").write_bytes(b"RIFF\x24\0\0\0WAVEfmt ")
    inputs = [{"kind": "image", "file": "0.png"}, {"kind": "speech", "file": "1.wav"}]
    rows = [{"index": i, "truth": "<b>7</b>", "prediction": "1", "input": s}
            for i, s in enumerate(inputs)]  # fmt: skip
    (folder / "samples.json").write_text(json.dumps(rows))
    return store


def read_tree(folder: Path) -> dict[str, bytes]:
    files = (p for p in folder.rglob("*") if p.is_file() and p.suffix != ".lock")
    return {str(p.relative_to(folder)): p.read_bytes() for p in files}


def export_all(store: Store, *, samples: bool = True) -> Path:
    target = store.path.parent / "team.qb"
    export_bundle(store.all(), store, target, samples=samples)
    return target


def test_imported_bundle_gives_the_records_and_samples_of_the_store(store: Store, tmp_path: Path):
    target = Store(tmp_path / "target")
    result = import_bundle(export_all(store), target)
    assert (result.new, result.same, result.conflicts, result.unverified) == (6, 0, (), ())
    assert target.all() == store.all()
    files = read_tree(target.path).items()
    assert {n: b for n, b in files if not n.startswith("imports")} == read_tree(store.path)


def test_second_import_changes_nothing(store: Store, tmp_path: Path):
    bundle, target = export_all(store), Store(tmp_path / "target")
    import_bundle(bundle, target)
    before = read_tree(target.path)
    assert import_bundle(bundle, target).same == 6
    assert read_tree(target.path) == before


def test_equal_records_give_equal_bytes(store: Store, tmp_path: Path):
    first = export_all(store).read_bytes()
    target = Store(tmp_path / "target")
    import_bundle(export_all(store), target)
    assert export_all(target).read_bytes() == first


def test_local_record_is_never_replaced(store: Store, tmp_path: Path):
    target = Store(tmp_path / "target")
    local = make_valid_record(status="failed", seed=1, model="cnn")
    assert local.key == RECORDS[0].key
    target.write(local)
    result = import_bundle(export_all(store), target)
    assert (result.new, result.same, result.conflicts) == (5, 0, (local.key,))
    assert target.read(local.key) == local
    assert not target.samples(local.key).exists()


def test_imported_records_have_an_origin_until_a_run_replaces_them(store: Store, tmp_path: Path):
    bundle, target = export_all(store), Store(tmp_path / "target")
    import_bundle(bundle, target)
    origins = read_origins(target)
    assert set(origins) == {record.key for record in RECORDS}
    assert {o.bundle for o in origins.values()} == {hashlib.sha256(bundle.read_bytes()).hexdigest()}
    assert all(origin.verified for origin in origins.values())
    local = RECORDS[0].model_copy(update={"finished": "2026-11-02T10:00:42Z"})
    target.write(local)
    assert set(read_origins(target)) == {record.key for record in RECORDS[1:]}


def test_failed_import_leaves_no_record(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    bundle, target, replace = export_all(store), Store(tmp_path / "target"), os.replace

    def replace_on_full_disk(source: object, path: object) -> None:
        if Path(str(path)).stem == RECORDS[3].key:
            raise OSError(28, "No space left on device")
        replace(source, path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", replace_on_full_disk)
        with pytest.raises(StoreError, match="full disk"):
            import_bundle(bundle, target)
    assert target.all() == [] and read_origins(target) == {}
    assert list((target.path / "imports").iterdir()) == []
    assert import_bundle(bundle, target).new == 6
    assert len(read_origins(target)) == 6


def test_opened_bundle_is_a_store_whose_folder_is_removed_with_it(store: Store):
    opened = open_bundle(export_all(store))
    assert opened.all() == store.all()
    key = RECORDS[0].key
    assert read_samples(opened.fetch_samples(key)) == read_samples(store.samples(key))
    folder = opened.path
    del opened
    assert not folder.exists()


def test_records_with_a_wrong_key_are_not_exported(store: Store):
    store.write(make_record(seed=9))
    result = export_bundle(store.all(), store, store.path.parent / "x.qb")
    assert result.records == 6
    (note,) = result.notes
    assert note.startswith("1 record was left out, because an import would reject it: this quint")


def test_records_with_a_number_of_over_64_bits_are_not_exported(store: Store):
    """An import would refuse the whole bundle."""
    store.write(make_valid_record(seed=9, cell={"model": {"salt": 2**64 - 1}}))
    target = store.path.parent / "y.qb"
    result = export_bundle(store.all(), store, target)
    assert result.records == len(open_bundle(target).all()) == 6
    assert "a number does not fit into 64 bits" in result.notes[0]


def test_a_failed_second_import_leaves_the_entry_of_the_first(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    bundle, target = export_all(store), Store(tmp_path / "target")
    import_bundle(bundle, target)
    (entry,) = (target.path / "imports").iterdir()
    before = entry.read_bytes()
    target.file(RECORDS[0].key).unlink()

    def fail(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(StoreError, match="full disk"):
        patch.setattr("quintain.records.bundles.importer.filesystem.copy_folder", fail)
        import_bundle(bundle, target)
    assert entry.read_bytes() == before and len(target.all()) == 5


def test_records_with_redacted_cells_are_unverified(store: Store, tmp_path: Path):
    secret = make_record(seed=8, cell={"model": {"token": "[redacted]"}})
    store.write(secret)
    target = Store(tmp_path / "target")
    assert import_bundle(export_all(store), target).unverified == (secret.key,)
    assert {k for k, origin in read_origins(target).items() if not origin.verified} == {secret.key}


def test_export_replaces_only_bundles(store: Store, tmp_path: Path):
    export_all(store)
    export_all(store)
    notes = tmp_path / "notes.txt"
    notes.write_text("mine")
    for path in (notes, tmp_path):
        with pytest.raises(BundleError, match="is not a bundle"):
            export_bundle(RECORDS, store, path)
    assert notes.read_text() == "mine"


def test_commands_export_list_and_import_bundles(store: Store, tmp_path: Path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["export", "--to", "some.qb", str(store.path), "model=cnn", "seed=1,2"]) == 0
    size = f"{Path('some.qb').stat().st_size / 1024:.1f} KiB"  # no 0.00 MiB
    assert f"some.qb: 2 records, {size}" in capsys.readouterr().out
    assert main(["records", "some.qb", "--format", "json"]) == 0
    assert {r["model"] for r in json.loads(capsys.readouterr().out)} == {"cnn"}
    assert main(["leaderboard", "store=some.qb"]) == 0
    assert "cnn" in capsys.readouterr().out
    assert main(["import", "some.qb", "--store", "mine"]) == 0
    assert "mine: 2 records of some.qb are new, 0 were in the store" in capsys.readouterr().out
    assert {r.key for r in Store("mine").all()} < {r.key for r in RECORDS}


def test_filters_that_match_no_record_are_an_error(store: Store, capsys):
    arguments = [
        "export",
        "--to",
        "x.qb",
        str(store.path),
        "model=cnm",
        "seed=1,9",
        "launch.workers=2",
    ]
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert "no record has model=cnm; known values: cnn, mlp" in error and "seed=9" in error


def test_secrets_are_redacted_in_a_bundle(store: Store, monkeypatch: pytest.MonkeyPatch):
    record = make_valid_record(status="failed", seed=6)
    assert record.error
    error = record.error.model_copy(update={"message": "hunter2hunter2 refused"})
    monkeypatch.setenv("MY_TOKEN", "hunter2hunter2")
    target = store.path.parent / "x.qb"
    export_bundle([record.model_copy(update={"error": error})], store, target)
    (exported,) = open_bundle(target).all()
    assert isinstance(exported, Record) and exported.error
    assert exported.error.message == "[redacted] refused"


def test_list_of_records_shows_the_bundle_of_each(store: Store, tmp_path: Path, capsys):
    bundle, target = export_all(store), Store(tmp_path / "target")
    import_bundle(bundle, target)
    target.write(make_record(seed=9))
    assert main(["records", str(target.path), "--format", "json"]) == 0
    bundles = [row["bundle"] for row in json.loads(capsys.readouterr().out)]
    sha = hashlib.sha256(bundle.read_bytes()).hexdigest()
    assert sorted(bundles, key=str) == sorted([*[sha] * 6, None], key=str)


def test_exported_bundle_can_always_be_opened(tmp_path: Path):
    """The filters are long, and the records compress as well as a zip bomb."""
    values = make_valid_record().dump() | {"step_times_ms": [0.0] * 300_000}
    records = [Record.model_validate(values)]
    filters = ["seed=" + ",".join(map(str, range(200)))]
    export_bundle(records, Store(tmp_path), tmp_path / "x.qb", chosen=filters)
    assert open_bundle(tmp_path / "x.qb").all() == records


@pytest.mark.parametrize("name", ["a_file/x.qb", "x" * 300 + ".qb"])
def test_bundle_that_cannot_be_written_is_an_error(tmp_path: Path, name: str):
    (tmp_path / "a_file").write_text("")
    with pytest.raises(BundleError, match="cannot be written"):
        export_bundle(RECORDS, Store(tmp_path), tmp_path / name)


def test_second_import_extends_the_entry_of_the_first(tmp_path: Path):
    source, target = Store(tmp_path / "source"), Store(tmp_path / "target")
    keys = []
    for seed in (8, 9):
        secret = make_record(seed=seed, cell={"model": {"token": "[redacted]"}})
        source.write(secret)
        keys.append(secret.key)
    bundle = export_all(source)
    import_bundle(bundle, target)
    target.file(keys[0]).unlink()
    import_bundle(bundle, target)
    assert {k: origin.verified for k, origin in read_origins(target).items()} == dict.fromkeys(
        keys, False
    )
    (entry,) = (target.path / "imports").glob("*.json")
    entry.write_text("{")
    target.file(keys[1]).unlink()
    assert import_bundle(bundle, target).new == 1
    assert set(read_origins(target)) == {keys[1]}
