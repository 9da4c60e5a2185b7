"""Write audio files, and serve archives of them."""

from __future__ import annotations

import hashlib
import shutil
import tarfile
import threading
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from quintain.data.files.download import RemoteFile


def random_audio(samples: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(-9000, 9000, samples, dtype=np.int16)


def write_audio(path: Path, samples: int, seed: int, rate: int = 16_000) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, random_audio(samples, seed), rate, subtype="PCM_16")


@pytest.fixture
def serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., RemoteFile]]:
    """Return a function that moves a folder into an archive on a local HTTP server."""
    site = tmp_path / "site"
    site.mkdir()

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args, directory=str(site))

        def log_message(self, *args: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    thread = threading.Thread(target=http.serve_forever, args=(0.02,))
    thread.start()

    def pack(folder: Path, top: str, name: str = "set.tar.gz") -> RemoteFile:
        with tarfile.open(site / name, "w:gz") as archive:
            archive.add(folder, top)
        shutil.rmtree(folder)
        digest = hashlib.sha256((site / name).read_bytes()).hexdigest()
        return RemoteFile(url=f"http://127.0.0.1:{http.server_port}/{name}", sha256=digest)

    yield pack
    http.shutdown()
    thread.join()
    http.server_close()


def list_files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".lock")
