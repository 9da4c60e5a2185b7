"""Downloads from a real server on the loopback that are interrupted and resumed."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from quintain.data.files.download import RemoteFile, fetch
from quintain.data.files.resumable_transfer import BLOCK, MAX_REQUESTS
from quintain.errors import DataError

CONTENT = bytes(range(256)) * 8000  # 2 MB: eight blocks
OTHER = CONTENT[::-1]


class Server:
    """Serves `content`, and interrupts `breaks` responses after `break_after` bytes.

    Attributes:
        has_ranges: whether it answers range requests.
        tag: its ETag, or "" for none.
        requests: (Range, If-Range) of each request.
    """

    def __init__(self) -> None:
        self.content, self.breaks, self.break_after = CONTENT, 0, BLOCK + 1000
        self.has_ranges, self.tag = True, '"v1"'
        self.shift = 0
        self.requests: list[tuple[str, str]] = []
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                owner.answer(self)

            def log_message(self, *args: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/set.bin"

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        range_header, version = (
            handler.headers.get("Range", ""),
            handler.headers.get("If-Range", ""),
        )
        self.requests.append((range_header, version))
        start = int(range_header.removeprefix("bytes=").removesuffix("-")) if range_header else 0
        partial = self.has_ranges and bool(range_header) and version in ("", self.tag)
        if partial and start >= len(self.content):
            handler.send_error(416)
            return
        body = self.content[start:] if partial else self.content
        handler.send_response(206 if partial else 200)
        handler.send_header("Content-Length", str(len(body)))
        if self.has_ranges:
            handler.send_header("Accept-Ranges", "bytes")
        if self.tag:
            handler.send_header("ETag", self.tag)
        if partial:
            first, total = start + self.shift, len(self.content)
            handler.send_header("Content-Range", f"bytes {first}-{total - 1}/{total}")
        handler.end_headers()
        if self.breaks:
            self.breaks -= 1
            body = body[: self.break_after]
        handler.wfile.write(body)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("quintain.data.files.resumable_transfer.PAUSE", 0)
    server = Server()
    thread = threading.Thread(target=server.http.serve_forever, args=(0.02,))
    thread.start()
    yield server
    server.http.shutdown()
    thread.join()
    server.http.server_close()


def remote(server: Server, content: bytes = CONTENT) -> RemoteFile:
    return RemoteFile(url=server.url, sha256=hashlib.sha256(content).hexdigest())


def remaining_files(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if p.suffix not in (".lock", ".verified"))


def test_an_interruption_is_resumed_at_once(server: Server, tmp_path: Path) -> None:
    server.breaks = 2
    assert fetch(tmp_path / "set.bin", remote(server)).read_bytes() == CONTENT
    (first, second, third) = server.requests
    assert first == ("", "")
    starts = [int(requested.removeprefix("bytes=")[:-1]) for requested, _ in (second, third)]
    assert 0 < starts[0] < starts[1] < len(CONTENT) and second[1] == third[1] == '"v1"'
    assert remaining_files(tmp_path) == ["set.bin"]


def interrupt_download(server: Server, folder: Path) -> int:
    """Start a download that fails; return how many bytes it kept."""
    server.breaks = MAX_REQUESTS
    with pytest.raises(DataError, match=r"bytes are kept, and the next download resumes there"):
        fetch(folder / "set.bin", remote(server))
    assert remaining_files(folder) == [".set.bin.part", ".set.bin.part.from"]
    server.requests.clear()
    return (folder / ".set.bin.part").stat().st_size


def test_the_next_call_resumes(server: Server, tmp_path: Path) -> None:
    size = interrupt_download(server, tmp_path)
    assert BLOCK <= size < len(CONTENT)
    assert fetch(tmp_path / "set.bin", remote(server)).read_bytes() == CONTENT
    assert server.requests == [(f"bytes={size}-", '"v1"')]
    assert remaining_files(tmp_path) == ["set.bin"]


def test_content_that_changed_on_the_server_is_downloaded_anew(
    server: Server, tmp_path: Path
) -> None:
    interrupt_download(server, tmp_path)
    server.content, server.tag = OTHER, '"v2"'
    assert fetch(tmp_path / "set.bin", remote(server, OTHER)).read_bytes() == OTHER
    assert len(server.requests) == 1


def test_without_a_version_the_checksum_decides(server: Server, tmp_path: Path) -> None:
    server.tag = ""
    size = interrupt_download(server, tmp_path)
    server.content = OTHER  # of the same length, so that only the hash differs
    assert fetch(tmp_path / "set.bin", remote(server, OTHER)).read_bytes() == OTHER
    assert server.requests == [(f"bytes={size}-", ""), ("", "")]
    assert remaining_files(tmp_path) == ["set.bin"]


@pytest.mark.parametrize("change", ["shorter", "shifted", "other length"])
def test_a_part_of_another_range_is_discarded(server: Server, tmp_path: Path, change: str) -> None:
    server.tag = ""
    size = interrupt_download(server, tmp_path)
    expected = CONTENT
    if change == "shorter":
        server.content = expected = CONTENT[: size - 5]
    elif change == "shifted":
        server.shift = 7
    else:
        server.content = expected = CONTENT + b"more"
    assert fetch(tmp_path / "set.bin", remote(server, expected)).read_bytes() == expected
    assert len(server.requests) == 2 and server.requests[1] == ("", "")


def test_without_range_requests_nothing_is_resumed_or_left(server: Server, tmp_path: Path) -> None:
    server.has_ranges, server.breaks = False, 1
    with pytest.raises(DataError, match="could not be downloaded"):
        fetch(tmp_path / "set.bin", remote(server))
    assert remaining_files(tmp_path) == []
    assert fetch(tmp_path / "set.bin", remote(server)).read_bytes() == CONTENT
    assert [requested for requested, _ in server.requests] == ["", ""]


@pytest.mark.parametrize("note", ["", "[1]", '{"url": "http://elsewhere", "version": "v"}'])
def test_a_part_from_another_url_is_not_resumed(server: Server, tmp_path: Path, note: str) -> None:
    (tmp_path / ".set.bin.part").write_bytes(b"something else")
    (tmp_path / ".set.bin.part.from").write_text(note)
    assert fetch(tmp_path / "set.bin", remote(server)).read_bytes() == CONTENT
    assert server.requests == [("", "")] and remaining_files(tmp_path) == ["set.bin"]


def test_wrong_content_leaves_nothing_and_is_requested_once_more(
    server: Server, tmp_path: Path
) -> None:
    server.breaks = 1
    with pytest.raises(DataError, match="has SHA-256"):
        fetch(tmp_path / "set.bin", remote(server, OTHER))
    assert (
        len(server.requests) == 3 and remaining_files(tmp_path) == []
    )  # one resumed download, then one in a single response


def test_the_note_states_url_version_and_size(server: Server, tmp_path: Path) -> None:
    interrupt_download(server, tmp_path)
    note = json.loads((tmp_path / ".set.bin.part.from").read_text())
    assert note == {"url": server.url, "version": '"v1"', "total": len(CONTENT)}
