"""CIFAR-10: 32×32 colour photographs of ten classes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from quintain.contracts import Batch, DataSpec, Split
from quintain.data.base import InMemory
from quintain.data.files.archives import fetch_tar_folder
from quintain.data.files.download import RemoteFile, data_folder
from quintain.data.files.file_hashes import hash_file
from quintain.data.image.mnist_format import split_validation
from quintain.errors import DataError

_ARCHIVE = RemoteFile(
    url="https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
    sha256="c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
)
_FOLDER = "cifar-10-batches-bin"
_FILES = {
    "data_batch_1.bin": "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
    "data_batch_2.bin": "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
    "data_batch_3.bin": "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
    "data_batch_4.bin": "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
    "data_batch_5.bin": "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
    "test_batch.bin": "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b",
}
_CLASSES = (
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
)
_SHAPE = (3, 32, 32)
_RECORD = 1 + 3 * 32 * 32  # bytes: the label, then the red, green and blue plane


class Cifar10(InMemory):
    """60,000 photographs; x uint8 (3, 32, 32); 45,000 / 5,000 (the last of train) / 10,000.

    This is the binary version of the authors; the other versions are pickles, which can run code
    when they are loaded. The files are in `<data_dir>/cifar-10-batches-bin`.
    """

    def __init__(self, data_dir: str | None = None) -> None:
        spec = DataSpec(
            name="cifar10", modality="image", task="classify", shape=_SHAPE, classes=_CLASSES
        )
        super().__init__(spec)
        self._folder = data_folder(data_dir) / _FOLDER

    def prepare_data(self) -> None:
        fetch_tar_folder(self._folder, _ARCHIVE, _FOLDER)
        invalid = [
            name
            for name, sha256 in _FILES.items()
            if not (path := self._folder / name).is_file() or hash_file(path) != sha256
        ]
        if invalid:
            raise DataError(
                f"{self._folder}: {', '.join(invalid)} missing, truncated, damaged or of another "
                "version: remove the folder, and it is downloaded again"
            )

    def load(self) -> dict[Split, Batch]:
        *train, test = _FILES
        return split_validation(self._read(train), self._read([test]), 5000)

    def _read(self, names: Sequence[str]) -> Batch:
        records = []
        for name in names:
            path = self._folder / name
            content = path.read_bytes() if path.is_file() else b""
            if not content or len(content) % _RECORD:
                raise DataError(
                    f"{path} has {len(content):,} bytes, expected a multiple of {_RECORD:,}: "
                    "call prepare_data() first, which downloads and verifies it"
                )
            records.append(np.frombuffer(content, np.uint8).reshape(-1, _RECORD))
        data = torch.from_numpy(np.concatenate(records))
        if (label := int(data[:, 0].max())) >= len(_CLASSES):
            raise DataError(
                f"{self._folder} has the label {label}, expected 0 to 9: remove the folder, and it "
                "is downloaded again"
            )
        return Batch(data[:, 1:].reshape(-1, *_SHAPE).contiguous(), data[:, 0].long())
