"""Images and videos from small files in the format of public archives and lists."""

import gzip
import hashlib
import io
import struct
import tarfile

import numpy as np
import pytest
import torch
from helpers.dataset_reading import SPLITS, load_split
from helpers.video_files import moving_bar, write_video

from quintain.data.files.download import RemoteFile
from quintain.errors import DataError
from quintain.plugins.dataset import cifar10, mnist
from quintain.plugins.dataset.cifar10 import Cifar10
from quintain.plugins.dataset.hmdb51 import Hmdb51
from quintain.plugins.dataset.mnist import Mnist
from quintain.plugins.dataset.ucf101 import Ucf101


def cifar_records(count, first=0):
    """Return records of CIFAR's binary version: a label, then 1,024 bytes of each colour."""
    return b"".join(
        bytes([(first + k) % 10, *[k % 256] * 1024, *[100] * 1024, *[200] * 1024])
        for k in range(count)
    )


def write_cifar(folder, per_file=1100):
    """Write the archive; return the SHA-256 of its files."""
    names = [*(f"data_batch_{k}.bin" for k in range(1, 6)), "test_batch.bin"]
    content = {name: cifar_records(per_file, k) for k, name in enumerate(names)}
    with tarfile.open(folder / "cifar-10-binary.tar.gz", "w:gz") as archive:
        for name, data in content.items():
            entry = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return {name: hashlib.sha256(data).hexdigest() for name, data in content.items()}


def test_cifar10_reads_its_archive(tmp_path, monkeypatch):
    hashes = write_cifar(tmp_path)
    archive = (tmp_path / "cifar-10-binary.tar.gz").read_bytes()
    remote = RemoteFile(url=cifar10._ARCHIVE.url, sha256=hashlib.sha256(archive).hexdigest())
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
    x, y, *_ = data.batch("train", torch.tensor([0, 13]))
    assert x.shape == (2, 3, 32, 32) and x.dtype == torch.uint8
    assert x[1, :, 0, 0].tolist() == [13, 100, 200] and y.tolist() == [0, 3]
    (tmp_path / "cifar-10-batches-bin" / "test_batch.bin").write_bytes(bytes(5))
    with pytest.raises(DataError, match="has 5 bytes, expected a multiple of 3,073"):
        Cifar10(str(tmp_path)).setup()
    (tmp_path / "cifar-10-batches-bin" / "test_batch.bin").write_bytes(b"\x0b" + bytes(3072))
    with pytest.raises(DataError, match="has the label 11"):
        Cifar10(str(tmp_path)).setup()


def test_mnist_verifies_the_content_of_gzipped_files(tmp_path, monkeypatch):
    raw, hashes = tmp_path / "MNIST" / "raw", {}
    raw.mkdir(parents=True)
    for part, count in (("train", 5002), ("t10k", 4)):
        for kind, shape in (("images-idx3", (count, 28, 28)), ("labels-idx1", (count,))):
            values = (np.arange(np.prod(shape)) % 10).astype(np.uint8)
            content = struct.pack(f">HBB{len(shape)}I", 0, 8, len(shape), *shape)
            content += values.tobytes()
            name = f"{part}-{kind}-ubyte"
            hashes[name] = ("0" * 64, hashlib.sha256(content).hexdigest())
            (raw / f"{name}.gz").write_bytes(gzip.compress(content, 1 + count % 9))
    with pytest.raises(DataError, match=r"the content of .* expected ba891046"):
        Mnist(str(tmp_path)).prepare_data()
    monkeypatch.setattr(mnist, "_FILES", hashes)
    data = Mnist(str(tmp_path))
    data.prepare_data()
    data.setup()
    assert [data.size(split) for split in SPLITS] == [2, 5000, 4]
    assert data.batch("test", torch.tensor([3])).y.tolist() == [3]


def write_ucf(folder):
    lists = folder / "ucf101" / "ucfTrainTestlist"
    lists.mkdir(parents=True)
    lines = {"train": [], "test": []}
    for number, label in enumerate(("Archery", "YoYo")):
        for group in range(1, 5):
            for clip in (1, 2):
                name = f"{label}/v_{label}_g{group:02}_c{clip:02}.avi"
                frames = moving_bar([8 * number] * (5 + group))
                write_video(folder / "ucf101" / "UCF-101" / name, frames)
                kind = "test" if group == 1 else "train"
                lines[kind].append(name if kind == "test" else f"{name} {number + 1}")
    for kind, names in lines.items():
        (lists / f"{kind}list01.txt").write_text("\r\n".join(names) + "\r\n")


def test_ucf101_reads_its_lists(tmp_path):
    write_ucf(tmp_path)
    decoded, streamed = (
        Ucf101(str(tmp_path), frames=4, side=16, memory=memory) for memory in (64, 0)
    )
    for data in (decoded, streamed):
        data.prepare_data()
        data.setup()
        assert [data.size(split) for split in SPLITS] == [8, 4, 4]
    assert streamed.streams and not decoded.streams
    for split in SPLITS:
        batch, streamed_batch = load_split(decoded, split), load_split(streamed, split)
        assert torch.equal(batch.x, streamed_batch.x) and torch.equal(batch.y, streamed_batch.y)
        assert {decoded.spec.classes[label] for label in batch.y} == {"Archery", "YoYo"}
    groups = {s: {decoded.recording(i.path) for i in decoded.items()[s]} for s in SPLITS}
    assert not groups["train"] & groups["val"] and groups["test"] == {"v_Archery_g01", "v_YoYo_g01"}
    (tmp_path / "ucf101" / "UCF-101" / "YoYo" / "v_YoYo_g02_c01.avi").unlink()
    with pytest.raises(DataError, match=r"lacks 1 of 16 listed videos \(v_YoYo_g02_c01\.avi\)"):
        Ucf101(str(tmp_path)).prepare_data()
    with pytest.raises(DataError, match=r"trainlist02\.txt is missing: expected UCF-101/<class>"):
        Ucf101(str(tmp_path), fold=2).prepare_data()
    with pytest.raises(ValueError, match=r"side must be at least 1, got 0; fold must be 1, 2 or"):
        Ucf101(side=0, fold=4)


def test_list_that_names_other_files_raises(tmp_path):
    write_ucf(tmp_path)
    path = tmp_path / "ucf101" / "ucfTrainTestlist" / "testlist01.txt"
    for name in ("Archery/../../secret.avi", "../secret.avi", "Archery/..", "Other/a.avi"):
        path.write_text(name)
        with pytest.raises(DataError, match="which is not one of its videos"):
            Ucf101(str(tmp_path)).prepare_data()


def test_hmdb51_reads_its_lists(tmp_path):
    folder = tmp_path / "hmdb51"
    lists = folder / "testTrainMulti_7030_splits"
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
                write_video(folder / "videos" / label / name, moving_bar([k] * 6))
        lines = "\n".join(f"{name} {mark} " for name, mark in marks.items())
        (lists / f"{label}_test_split1.txt").write_text(lines)
    data.prepare_data()
    data.setup()
    train, val, test = (data.size(split) for split in SPLITS)
    assert (train + val, test) == (10, 4) and 2 <= val <= 4  # one recording of each class
    items = data.items()
    recordings = {
        s: {(i.path.parent.name, data.recording(i.path)) for i in items[s]} for s in SPLITS
    }
    assert not recordings["train"] & recordings["val"]
    assert ("wave", "Film2") in recordings["test"]
    with pytest.raises(DataError, match=r"brush_hair_test_split2\.txt is missing"):
        Hmdb51(str(tmp_path), fold=2).prepare_data()
