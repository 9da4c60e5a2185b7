"""MNIST: 28×28 grey pictures of handwritten digits."""

from __future__ import annotations

import torch

from quintain.contracts import Batch, DataSpec, Split
from quintain.kit.dataset import InMemory
from quintain.kit.files.download import Remote, data_folder, fetch
from quintain.kit.files.idx import idx_path, read_labelled
from quintain.kit.files.packed import fetch_packed

_SITE = "https://ossci-datasets.s3.amazonaws.com/mnist"
# SHA-256 of the packed file as the site has it, and of what is in it: packings differ.
_FILES = {
    "train-images-idx3-ubyte": (
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    ),
    "train-labels-idx1-ubyte": (
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    ),
    "t10k-images-idx3-ubyte": (
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    ),
    "t10k-labels-idx1-ubyte": (
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
}
_VALIDATION = 5000


class Mnist(InMemory):
    """70,000 pictures; x (1, 28, 28) in bytes; 55,000 / 5,000 (the last of train) / 10,000.

    Args:
        data_dir: where `MNIST/raw` lies or is downloaded to, torchvision's layout, packed or
            unpacked. None as in `data_folder`.
    """

    def __init__(self, data_dir: str | None = None) -> None:
        super().__init__(
            DataSpec(
                name="mnist",
                modality="image",
                task="classify",
                shape=(1, 28, 28),
                classes=tuple("0123456789"),
            )
        )
        self._raw = data_folder(data_dir) / "MNIST" / "raw"

    def prepare_data(self) -> None:
        """Download what is missing, and verify the content of all files.

        Raises:
            DataError: a file cannot be had, or is not what it should be.
        """
        for name, (packed, content) in _FILES.items():
            path, url = idx_path(self._raw, name), f"{_SITE}/{name}.gz"
            if path.exists():
                fetch_packed(self._raw / name, Remote(url=url, sha256=content))
            else:
                fetch(path, Remote(url=url, sha256=packed))

    def load(self) -> dict[Split, Batch]:
        """Pixels as bytes, in the order of the files."""
        train, test = self._part("train"), self._part("t10k")
        cut = len(train.x) - _VALIDATION
        return {
            "train": Batch(train.x[:cut], train.y[:cut]),
            "val": Batch(train.x[cut:], train.y[cut:]),
            "test": test,
        }

    def _part(self, name: str) -> Batch:
        images, labels = read_labelled(self._raw, name)
        return Batch(torch.tensor(images).unsqueeze(1), torch.tensor(labels).long())
