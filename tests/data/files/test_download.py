"""Downloads from a real server on the loopback: complete, broken, missing, and two at once."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import socket
import stat
import threading
import time
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from quintain.data.files.archives import fetch_zip_folder, tree_hash, unpack_zip
from quintain.data.files.download import RemoteFile, data_folder, fetch
from quintain.errors import DataError

CONTENT = bytes(range(256)) * 4000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server:
    """Serves `files`; `short` ones announce more bytes than they send. Records the requests."""

    def __init__(self) -> None:
        self.files = {"/good.bin": CONTENT, "/short.bin": CONTENT, "/empty.bin": b""}
        self.requests: list[str] = []
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                owner.requests.append(self.path)
                if self.path not in owner.files:
                    self.send_error(404)
                    return
                body = owner.files[self.path]
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body[: len(body) // 2] if "short" in self.path else body)

            def log_message(self, *args: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = Server()
    thread = threading.Thread(target=server.http.serve_forever, args=(0.02,))
    thread.start()
    yield server
    server.http.shutdown()
    thread.join()
    server.http.server_close()


def remaining_files(folder: Path) -> list[str]:
    """Return the files that a download left, except locks and notes on verified files."""
    return sorted(
        path.name for path in folder.iterdir() if path.suffix not in (".lock", ".verified")
    )


def test_a_file_is_downloaded_once(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "new" / "good.bin"
    remote = RemoteFile(url=f"{server.url}/good.bin", sha256=SHA256)
    for _ in range(2):
        assert fetch(path, remote).read_bytes() == CONTENT
    assert server.requests == ["/good.bin"]
    assert remaining_files(path.parent) == ["good.bin"]


@pytest.mark.parametrize(
    ("name", "sha256", "message"),
    [
        ("good.bin", "0" * 64, f"has SHA-256 {SHA256}, expected {'0' * 64}"),
        ("short.bin", SHA256, "could not be downloaded"),
        ("empty.bin", SHA256, "is empty"),
        ("absent.bin", SHA256, "404"),
    ],
)
def test_a_failed_download_leaves_nothing(
    server: Server, tmp_path: Path, name: str, sha256: str, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        fetch(tmp_path / name, RemoteFile(url=f"{server.url}/{name}", sha256=sha256))
    assert remaining_files(tmp_path) == []


def test_without_network_the_message_says_what_to_do(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/file"
    with pytest.raises(DataError, match=r"missing and .* or set QUINTAIN_DATA"):
        fetch(tmp_path / "file", RemoteFile(url=url, sha256=SHA256))
    assert remaining_files(tmp_path) == []


def test_a_damaged_file_is_named_and_not_replaced(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "good.bin"
    path.write_bytes(CONTENT[:-1])
    with pytest.raises(DataError, match=r"1,023,999 bytes.*truncated, damaged or another version"):
        fetch(path, RemoteFile(url=f"{server.url}/good.bin", sha256=SHA256))
    assert path.read_bytes() == CONTENT[:-1] and not server.requests


def test_a_verified_file_is_hashed_again_only_when_it_changes(tmp_path: Path) -> None:
    path, remote = tmp_path / "file", RemoteFile(url="http://nowhere.invalid", sha256=SHA256)
    path.write_bytes(CONTENT)
    fetch(path, remote)
    assert (tmp_path / ".file.verified").read_text().endswith(f" {SHA256}\n")
    times = path.stat().st_atime_ns, path.stat().st_mtime_ns
    time.sleep(0.02)  # longer than a tick of the file system's clock
    path.write_bytes(b"X" + CONTENT[1:])
    os.utime(path, ns=times)  # size and modification time are equal
    with pytest.raises(DataError, match="expected"):
        fetch(path, remote)


def test_a_read_only_folder_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_bytes(CONTENT)

    def refuse(*_: object) -> None:
        raise PermissionError("read-only")

    monkeypatch.setattr(Path, "write_text", refuse)  # root, who may run this, ignores modes
    assert fetch(path, RemoteFile(url="http://nowhere.invalid", sha256=SHA256)) == path
    assert remaining_files(tmp_path) == ["file"] and not list(tmp_path.glob(".*"))


def test_a_folder_that_cannot_be_created_is_an_error_with_advice(tmp_path: Path) -> None:
    (tmp_path / "blocked").write_text("a file where a folder should be")
    with pytest.raises(DataError, match="cannot be written to"):
        fetch(
            tmp_path / "blocked" / "file", RemoteFile(url="http://nowhere.invalid", sha256=SHA256)
        )


def test_two_processes_download_once(server: Server, tmp_path: Path) -> None:
    remote = RemoteFile(url=f"{server.url}/good.bin", sha256=SHA256)
    context = multiprocessing.get_context("spawn")
    processes = [
        context.Process(target=fetch, args=(tmp_path / "good.bin", remote)) for _ in range(2)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(300)
    assert [process.exitcode for process in processes] == [0, 0]
    assert server.requests == ["/good.bin"] and remaining_files(tmp_path) == ["good.bin"]


def make_zip(path: Path, entries: dict[str, bytes]) -> bytes:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return path.read_bytes()


def test_a_folder_from_a_zip_is_verified_by_its_content(server: Server, tmp_path: Path) -> None:
    entries = {"top/in/a.wav": b"a", "top/in/b.wav": b"b", "top/README": b"r"}
    server.files["/tree.zip"] = make_zip(tmp_path / "tree.zip", entries)
    lines = "".join(f"{n}.wav {hashlib.sha256(n.encode()).hexdigest()}\n" for n in "ab")
    tree = hashlib.sha256(lines.encode()).hexdigest()
    data = tmp_path / "data"
    folder = fetch_zip_folder(data / "in", "top/in", f"{server.url}/tree.zip", tree, ".wav")
    assert remaining_files(folder) == ["a.wav", "b.wav"] and remaining_files(data) == ["in"]
    assert tree_hash(folder, ".wav") == tree

    (folder / "b.wav").unlink()
    with pytest.raises(DataError, match=r"the 1 \.wav of .* expected"):
        fetch_zip_folder(folder, "top/in", f"{server.url}/tree.zip", tree, ".wav")
    (folder / "a.wav").unlink()
    with pytest.raises(DataError, match=r"has no \.wav"):
        fetch_zip_folder(folder, "top/in", f"{server.url}/tree.zip", tree, ".wav")
    with pytest.raises(DataError, match="expected"):
        fetch_zip_folder(data / "other", "top/in", f"{server.url}/tree.zip", "0" * 64, ".wav")
    with pytest.raises(DataError, match="has no folder elsewhere"):
        fetch_zip_folder(data / "other", "elsewhere", f"{server.url}/tree.zip", tree, ".wav")
    with pytest.raises(DataError, match="not a complete zip"):
        fetch_zip_folder(data / "other", "top/in", f"{server.url}/good.bin", tree, ".wav")
    assert remaining_files(data) == ["in"] and len(server.requests) == 4


@pytest.mark.parametrize("name", ["../evil", "/evil", "a/../../evil"])
def test_a_zip_cannot_write_outside_its_folder(tmp_path: Path, name: str) -> None:
    make_zip(tmp_path / "evil.zip", {"fine": b"x", name: b"y"})
    with pytest.raises(DataError, match="points outside"):
        unpack_zip(tmp_path / "evil.zip", tmp_path / "into")
    assert remaining_files(tmp_path) == ["evil.zip"]


def test_a_zip_cannot_contain_links(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "link.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(DataError, match="points outside"):
        unpack_zip(tmp_path / "link.zip", tmp_path / "into")


def test_a_truncated_zip_is_refused(tmp_path: Path) -> None:
    content = make_zip(tmp_path / "short.zip", {"a": b"x" * 1000})
    (tmp_path / "short.zip").write_bytes(content[:-30])
    with pytest.raises(DataError, match="not a complete zip"):
        unpack_zip(tmp_path / "short.zip", tmp_path / "into")


def test_the_data_folder_is_the_setting_then_the_environment_then_the_cache(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("QUINTAIN_DATA", "/from/environment")
    assert data_folder("/given") == Path("/given")
    assert data_folder(None) == Path("/from/environment")
    monkeypatch.delenv("QUINTAIN_DATA")
    assert "quintain" in str(data_folder(None))


def test_damaged_or_encrypted_zip_entries_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "damaged.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", bytes(range(256)) * 9)
    content = bytearray((tmp_path / "damaged.zip").read_bytes())
    content[40:60] = b"\xff" * 20
    (tmp_path / "damaged.zip").write_bytes(content)
    encrypted = bytearray(make_zip(tmp_path / "locked.zip", {"a": b"secret"}))
    for header, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):  # the flag "encrypted" of both headers
        encrypted[encrypted.find(header) + offset] |= 1
    (tmp_path / "locked.zip").write_bytes(encrypted)
    for name in ("damaged.zip", "locked.zip"):
        with pytest.raises(DataError, match="is not a complete zip file"):
            unpack_zip(tmp_path / name, tmp_path / "into")
