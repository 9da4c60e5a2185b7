"""MNIST: 28×28 grey images of handwritten digits."""

from __future__ import annotations

from quintain.data.files.download import RemoteFile, fetch, fetch_plain_or_gzip
from quintain.data.image.mnist_format import MnistFormat, idx_path

_SITE = "https://ossci-datasets.s3.amazonaws.com/mnist"
# SHA-256 of the gzip file on the site and of its content, because other gzip files differ.
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


class Mnist(MnistFormat):
    """Handwritten digits; see `MnistFormat` for splits and settings."""

    option = "mnist"
    folder = "MNIST"
    classes = tuple("0123456789")

    def prepare_data(self) -> None:
        for name, (gzip_sha256, content_sha256) in _FILES.items():
            path, url = idx_path(self._raw, name), f"{_SITE}/{name}.gz"
            if path.exists():
                fetch_plain_or_gzip(self._raw / name, RemoteFile(url=url, sha256=content_sha256))
            else:
                fetch(path, RemoteFile(url=url, sha256=gzip_sha256))
