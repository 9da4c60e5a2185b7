"""Fashion-MNIST: 28×28 grey images of ten kinds of clothing."""

from __future__ import annotations

from quintain.data.files.download import RemoteFile, fetch
from quintain.data.image.mnist_format import MnistFormat, idx_path

_SITE = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com"
_FILES = {
    "train-images-idx3-ubyte": "a26751d72d89606ffbfdd4dd5d16911f01e93a7ff4783c95da7307a073d79fa7",
    "train-labels-idx1-ubyte": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
    "t10k-images-idx3-ubyte": "78cb45a589ec14266eab4ac0cb2e9e10a4c076ae2d337fe86383d761bff83f32",
    "t10k-labels-idx1-ubyte": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
}


class FashionMnist(MnistFormat):
    """Ten kinds of clothing; see `MnistFormat` for splits and settings."""

    option = "fashion_mnist"
    folder = "FashionMNIST"
    classes = (
        *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
        *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    )

    def prepare_data(self) -> None:
        """Download missing files; unpacked files are not verified."""
        for name, sha256 in _FILES.items():
            path = idx_path(self._raw, name)
            if path.suffix == ".gz":
                fetch(path, RemoteFile(url=f"{_SITE}/{path.name}", sha256=sha256))
