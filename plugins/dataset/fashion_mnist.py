"""Fashion-MNIST: 28×28 grey pictures of ten kinds of clothing."""

from __future__ import annotations

import torch

from quintain.contracts import Batch, DataSpec, Split
from quintain.kit.dataset import InMemory
from quintain.kit.files.download import Remote, data_folder, fetch
from quintain.kit.files.idx import idx_path, read_labelled

_SITE = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com"
_FILES = {
    "train-images-idx3-ubyte": "a26751d72d89606ffbfdd4dd5d16911f01e93a7ff4783c95da7307a073d79fa7",
    "train-labels-idx1-ubyte": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
    "t10k-images-idx3-ubyte": "78cb45a589ec14266eab4ac0cb2e9e10a4c076ae2d337fe86383d761bff83f32",
    "t10k-labels-idx1-ubyte": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
}
_CLASSES = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)
_VALIDATION = 5000


class FashionMnist(InMemory):
    """70,000 pictures; x (1, 28, 28) in bytes; 55,000 / 5,000 (the last of train) / 10,000.

    Args:
        data_dir: where `FashionMNIST/raw/*.gz` lies or is downloaded to, torchvision's layout
            (files that it has unpacked are read too); None as in `data_folder`.
    """

    def __init__(self, data_dir: str | None = None) -> None:
        super().__init__(
            DataSpec(
                name="fashion_mnist",
                modality="image",
                task="classify",
                shape=(1, 28, 28),
                classes=_CLASSES,
            )
        )
        self._raw = data_folder(data_dir) / "FashionMNIST" / "raw"

    def prepare_data(self) -> None:
        """Download and verify what is missing.

        Raises:
            DataError: a file cannot be had, or is not what it should be.
        """
        for name, sha256 in _FILES.items():
            path = idx_path(self._raw, name)
            if path.suffix == ".gz":
                fetch(path, Remote(url=f"{_SITE}/{path.name}", sha256=sha256))

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
