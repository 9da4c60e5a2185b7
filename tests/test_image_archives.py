"""Pictures and films out of the archives and lists of others."""

import gzip
import hashlib
import io
import struct
import tarfile

import numpy as np
import pytest
import torch
from films import bar, write_film
from taken import SPLITS, whole

from quintain.kit.files.download import DataError, Remote
from quintain.plugins.dataset import cifar10, mnist
from quintain.plugins.dataset.cifar10 import Cifar10
from quintain.plugins.dataset.hmdb51 import Hmdb51
from quintain.plugins.dataset.mnist import Mnist
from quintain.plugins.dataset.ucf101 import Ucf101


def records(count, first=0):
    """CIFAR's binary form by hand: a label, then 1,024 bytes of each colour."""
    return b"".join(
        bytes([(first + k) % 10, *[k % 256] * 1024, *[100] * 1024, *[200] * 1024])
        for k in range(count)
    )


def cifar(folder, per_file=1100):
    names = [*(f"data_batch_{k}.bin" for k in range(1, 6)), "test_batch.bin"]
    content = {name: records(per_file, k) for k, name in enumerate(names)}
    with tarfile.open(folder / "cifar-10-binary.tar.gz", "w:gz") as archive:
        for name, data in content.items():
            entry = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return {name: hashlib.sha256(data).hexdigest() for name, data in content.items()}


def test_cifar10_from_its_archive(tmp_path, monkeypatch):
    hashes = cifar(tmp_path)
    archive = (tmp_path / "cifar-10-binary.tar.gz").read_bytes()
    remote = Remote(url=cifar10._ARCHIVE.url, sha256=hashlib.sha256(archive).hexdigest())
    with pytest.raises(DataError, match="expected c4a38c50"):
        Cifar10(str(tmp_path)).prepare_data()
    monkeypatch.setattr(cifar10, "_ARCHIVE", remote)
    with pytest.raises(DataError, match=r"data_batch_1\.bin, .*test_batch\.bin missing, truncated"):
        Cifar10(str(tmp_path)).prepare_data()
    monkeypatch.setattr(cifar10, "_FILES", hashes)
    data = Cifar10(str(tmp_path))
    data.prepare_data()
    data.setup()
    assert [data.size(split) for split in SPLITS] == [500, 5000, 1100]
    x, y, *_ = data.take("train", torch.tensor([0, 13]))
    assert x.shape == (2, 3, 32, 32) and x.dtype == torch.uint8
    assert x[1, :, 0, 0].tolist() == [13, 100, 200] and y.tolist() == [0, 3]
    (tmp_path / "cifar-10-batches-bin" / "test_batch.bin").write_bytes(bytes(5))
    with pytest.raises(DataError, match="has 5 bytes, expected some records of 3,073"):
        Cifar10(str(tmp_path)).setup()
    (tmp_path / "cifar-10-batches-bin" / "test_batch.bin").write_bytes(b"\x0b" + bytes(3072))
    with pytest.raises(DataError, match="has the label 11"):
        Cifar10(str(tmp_path)).setup()


def test_mnist_is_verified_by_what_is_in_its_files(tmp_path, monkeypatch):
    raw, known = tmp_path / "MNIST" / "raw", {}
    raw.mkdir(parents=True)
    for part, count in (("train", 5002), ("t10k", 4)):
        for kind, shape in (("images-idx3", (count, 28, 28)), ("labels-idx1", (count,))):
            values = (np.arange(np.prod(shape)) % 10).astype(np.uint8)
            content = struct.pack(f">HBB{len(shape)}I", 0, 8, len(shape), *shape)
            content += values.tobytes()
            name = f"{part}-{kind}-ubyte"
            known[name] = ("0" * 64, hashlib.sha256(content).hexdigest())
            (raw / f"{name}.gz").write_bytes(gzip.compress(content, 1 + count % 9))
    with pytest.raises(DataError, match=r"unpacks to .* expected ba891046"):
        Mnist(str(tmp_path)).prepare_data()
    monkeypatch.setattr(mnist, "_FILES", known)
    data = Mnist(str(tmp_path))
    data.prepare_data()
    data.setup()
    assert [data.size(split) for split in SPLITS] == [2, 5000, 4]
    assert data.take("test", torch.tensor([3])).y.tolist() == [3]


def ucf(folder):
    lists = folder / "ucf101" / "ucfTrainTestlist"
    lists.mkdir(parents=True)
    lines = {"train": [], "test": []}
    for number, label in enumerate(("Archery", "YoYo")):
        for group in range(1, 5):
            for clip in (1, 2):
                name = f"{label}/v_{label}_g{group:02}_c{clip:02}.avi"
                film = bar([8 * number] * (5 + group))
                write_film(folder / "ucf101" / "UCF-101" / name, film)
                kind = "test" if group == 1 else "train"
                lines[kind].append(name if kind == "test" else f"{name} {number + 1}")
    for kind, found in lines.items():
        (lists / f"{kind}list01.txt").write_text("\r\n".join(found) + "\r\n")


def test_ucf101_from_its_lists(tmp_path):
    ucf(tmp_path)
    kept, streamed = (Ucf101(str(tmp_path), frames=4, side=16, memory=memory) for memory in (64, 0))
    for data in (kept, streamed):
        data.prepare_data()
        data.setup()
        assert [data.size(split) for split in SPLITS] == [8, 4, 4]
    assert streamed.streams and not kept.streams
    for split in SPLITS:
        ours, theirs = whole(kept, split), whole(streamed, split)
        assert torch.equal(ours.x, theirs.x) and torch.equal(ours.y, theirs.y)
        assert {kept.spec.classes[label] for label in ours.y} == {"Archery", "YoYo"}
    groups = {s: {kept.source(i.path) for i in kept.items()[s]} for s in SPLITS}
    assert not groups["train"] & groups["val"] and groups["test"] == {"v_Archery_g01", "v_YoYo_g01"}
    (tmp_path / "ucf101" / "UCF-101" / "YoYo" / "v_YoYo_g02_c01.avi").unlink()
    with pytest.raises(DataError, match=r"lacks 1 of 16 listed films \(v_YoYo_g02_c01\.avi\)"):
        Ucf101(str(tmp_path)).prepare_data()
    with pytest.raises(DataError, match=r"trainlist02\.txt is missing: expected UCF-101/<class>"):
        Ucf101(str(tmp_path), fold=2).prepare_data()
    with pytest.raises(ValueError, match=r"side must be at least 1, came 0; fold must be 1, 2 or"):
        Ucf101(side=0, fold=4)


def test_a_list_that_leads_elsewhere_is_refused(tmp_path):
    ucf(tmp_path)
    path = tmp_path / "ucf101" / "ucfTrainTestlist" / "testlist01.txt"
    for name in ("Archery/../../secret.avi", "../secret.avi", "Archery/..", "Other/a.avi"):
        path.write_text(name)
        with pytest.raises(DataError, match="which is none of its films"):
            Ucf101(str(tmp_path)).prepare_data()


def test_hmdb51_from_its_lists(tmp_path):
    home = tmp_path / "hmdb51"
    lists = home / "testTrainMulti_7030_splits"
    lists.mkdir(parents=True)
    data = Hmdb51(str(tmp_path), frames=2, side=16)
    for label in data.spec.classes:
        (lists / f"{label}_test_split1.txt").write_text("")
    for label in ("wave", "climb_stairs"):
        marks = {}
        for k, mark in enumerate("11112201"):
            name = f"Film{k // 2}_{label}_u_nm_np1_ba_goo_{k}.avi"
            marks[name] = mark
            if mark != "0":
                write_film(home / "videos" / label / name, bar([k] * 6))
        lines = "\n".join(f"{name} {mark} " for name, mark in marks.items())
        (lists / f"{label}_test_split1.txt").write_text(lines)
    data.prepare_data()
    data.setup()
    train, val, test = (data.size(split) for split in SPLITS)
    assert (train + val, test) == (10, 4) and 2 <= val <= 4  # one recording of each class
    items = data.items()
    sources = {s: {(i.path.parent.name, data.source(i.path)) for i in items[s]} for s in SPLITS}
    assert not sources["train"] & sources["val"] and ("wave", "Film2") in sources["test"]
    with pytest.raises(DataError, match=r"brush_hair_test_split2\.txt is missing"):
        Hmdb51(str(tmp_path), fold=2).prepare_data()
