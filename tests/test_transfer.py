"""Downloads that break off in the middle, from a real server on the loopback."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from quintain.kit.files.download import DataError, Remote, fetch
from quintain.kit.files.transfer import ATTEMPTS, BLOCK

CONTENT = bytes(range(256)) * 8000  # 2 MB: eight blocks
OTHER = CONTENT[::-1]


class Server:
    """Serves `content`, and breaks off after `lasting` bytes of an answer, `breaks` times.

    Attributes:
        ranges: it answers range requests.
        tag: its ETag, or "" for none.
        asked: (Range, If-Range) of each request.
    """

    def __init__(self) -> None:
        self.content, self.breaks, self.lasting = CONTENT, 0, BLOCK + 1000
        self.ranges, self.tag = True, '"v1"'
        self.shift = 0
        self.asked: list[tuple[str, str]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.answer(self)

            def log_message(self, *args: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/set.bin"

    def answer(self, to: BaseHTTPRequestHandler) -> None:
        wanted, version = to.headers.get("Range", ""), to.headers.get("If-Range", "")
        self.asked.append((wanted, version))
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
        partial = self.ranges and bool(wanted) and version in ("", self.tag)
        if partial and start >= len(self.content):
            to.send_error(416)
            return
        body = self.content[start:] if partial else self.content
        to.send_response(206 if partial else 200)
        to.send_header("Content-Length", str(len(body)))
        if self.ranges:
            to.send_header("Accept-Ranges", "bytes")
        if self.tag:
            to.send_header("ETag", self.tag)
        if partial:
            first, total = start + self.shift, len(self.content)
            to.send_header("Content-Range", f"bytes {first}-{total - 1}/{total}")
        to.end_headers()
        if self.breaks:
            self.breaks -= 1
            body = body[: self.lasting]
        to.wfile.write(body)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("quintain.kit.files.transfer.PAUSE", 0)
    server = Server()
    thread = threading.Thread(target=server.http.serve_forever, args=(0.02,))
    thread.start()
    yield server
    server.http.shutdown()
    thread.join()
    server.http.server_close()


def remote(server: Server, content: bytes = CONTENT) -> Remote:
    return Remote(url=server.url, sha256=hashlib.sha256(content).hexdigest())


def left_in(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if p.suffix not in (".lock", ".verified"))


def test_a_break_is_continued_at_once(server: Server, tmp_path: Path) -> None:
    server.breaks = 2
    assert fetch(tmp_path / "set.bin", remote(server)).read_bytes() == CONTENT
    (first, second, third) = server.asked
    assert first == ("", "")
    starts = [int(asked.removeprefix("bytes=")[:-1]) for asked, _ in (second, third)]
    assert 0 < starts[0] < starts[1] < len(CONTENT) and second[1] == third[1] == '"v1"'
    assert left_in(tmp_path) == ["set.bin"]


def broken(server: Server, folder: Path) -> int:
    """A download that gave up; how many bytes it left."""
    server.breaks = ATTEMPTS
    with pytest.raises(DataError, match=r"bytes are kept, and the next try continues there"):
        fetch(folder / "set.bin", remote(server))
    assert left_in(folder) == [".set.bin.part", ".set.bin.part.from"]
    server.asked.clear()
    return (folder / ".set.bin.part").stat().st_size


def test_the_next_call_continues(server: Server, tmp_path: Path) -> None:
    size = broken(server, tmp_path)
    assert BLOCK <= size < len(CONTENT)
    assert fetch(tmp_path / "set.bin", remote(server)).read_bytes() == CONTENT
    assert server.asked == [(f"bytes={size}-", '"v1"')]
    assert left_in(tmp_path) == ["set.bin"]


def test_what_changed_on_the_server_begins_anew(server: Server, tmp_path: Path) -> None:
    broken(server, tmp_path)
    server.content, server.tag = OTHER, '"v2"'
    assert fetch(tmp_path / "set.bin", remote(server, OTHER)).read_bytes() == OTHER
    assert len(server.asked) == 1


def test_without_a_version_the_checksum_decides(server: Server, tmp_path: Path) -> None:
    server.tag = ""
    size = broken(server, tmp_path)
    server.content = OTHER  # of the same length: nothing tells but the hash
    assert fetch(tmp_path / "set.bin", remote(server, OTHER)).read_bytes() == OTHER
    assert server.asked == [(f"bytes={size}-", ""), ("", "")]
    assert left_in(tmp_path) == ["set.bin"]


@pytest.mark.parametrize("how", ["shorter", "shifted", "other length"])
def test_a_part_that_does_not_fit_is_dropped(server: Server, tmp_path: Path, how: str) -> None:
    server.tag = ""
    size = broken(server, tmp_path)
    wanted = CONTENT
    if how == "shorter":
        server.content = wanted = CONTENT[: size - 5]
    elif how == "shifted":
        server.shift = 7
    else:
        server.content = wanted = CONTENT + b"more"
    assert fetch(tmp_path / "set.bin", remote(server, wanted)).read_bytes() == wanted
    assert len(server.asked) == 2 and server.asked[1] == ("", "")


def test_a_server_without_ranges_begins_anew_and_leaves_nothing(
    server: Server, tmp_path: Path
) -> None:
    server.ranges, server.breaks = False, 1
    with pytest.raises(DataError, match="could not be downloaded"):
        fetch(tmp_path / "set.bin", remote(server))
    assert left_in(tmp_path) == []
    assert fetch(tmp_path / "set.bin", remote(server)).read_bytes() == CONTENT
    assert [asked for asked, _ in server.asked] == ["", ""]


@pytest.mark.parametrize("note", ["", "[1]", '{"url": "http://elsewhere", "version": "v"}'])
def test_a_part_from_elsewhere_is_not_continued(server: Server, tmp_path: Path, note: str) -> None:
    (tmp_path / ".set.bin.part").write_bytes(b"something else")
    (tmp_path / ".set.bin.part.from").write_text(note)
    assert fetch(tmp_path / "set.bin", remote(server)).read_bytes() == CONTENT
    assert server.asked == [("", "")] and left_in(tmp_path) == ["set.bin"]


def test_wrong_content_leaves_nothing_and_is_not_asked_for_for_ever(
    server: Server, tmp_path: Path
) -> None:
    server.breaks = 1
    with pytest.raises(DataError, match="has SHA-256"):
        fetch(tmp_path / "set.bin", remote(server, OTHER))
    assert len(server.asked) == 3 and left_in(tmp_path) == []  # two pieces, then once in one


def test_the_note_is_plain(server: Server, tmp_path: Path) -> None:
    broken(server, tmp_path)
    note = json.loads((tmp_path / ".set.bin.part.from").read_text())
    assert note == {"url": server.url, "version": '"v1"', "total": len(CONTENT)}
