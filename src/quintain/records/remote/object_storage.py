"""Lists, reads and writes the objects below a URL through fsspec."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from quintain.errors import RemoteError, StoreError
from quintain.records.redact import redact

TIMEOUTS = {"connect_timeout": 5, "read_timeout": 30, "retries": {"max_attempts": 2}}
FLAT = ("s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "oci", "memory")
"""Protocols without folders, where `makedirs` might create a bucket."""
_USER = re.compile(r"://[^/@:]+@")  # a user name or a container is no secret
_URL = re.compile(r"([a-z][a-z0-9+.-]*)://(.+)")
_EXTRAS = {"s3": "'quintain[s3]'", "s3a": "'quintain[s3]'"}
_REFUSALS = (FileNotFoundError, PermissionError)  # the remote was reached


class ObjectStorage:
    """The objects below a URL such as `s3://bucket/results`.

    Credentials come from the environment. Every method turns any error of the file system into a
    `RemoteError`, because these errors have no common class.

    Raises:
        StoreError: it is not a URL, it contains credentials, or its file system is not installed.
    """

    def __init__(self, url: str) -> None:
        match = _URL.fullmatch(url)
        if match is None:
            raise StoreError(f"store={redact(url)}: expected a URL like s3://bucket/results")
        if redact(without_user := _USER.sub("://", url), []) != without_user:
            raise StoreError(
                f"store={redact(url)}: a URL must not contain credentials, because it is shown and "
                "stored; set them in the environment or in the provider's configuration file"
            )
        self.url = url
        self.fs = open_filesystem(match[1])
        self._has_folders = match[1] not in FLAT
        self._root = str(self.fs._strip_protocol(url)).rstrip("/")

    def read_start(self, name: str, length: int) -> bytes | None:
        """Return the first bytes of an object; None if the object or the bucket does not exist."""
        with self._translate_errors():
            try:
                content: bytes = self.fs.cat_file(f"{self._root}/{name}", end=length)
            except FileNotFoundError:
                return None
        return content

    def list_sizes(self, folder: str) -> dict[str, int]:
        """Return path (as `read` expects) → size in bytes of all objects in a folder."""
        with self._translate_errors():
            self.fs.invalidate_cache()
            try:
                objects = self.fs.find(f"{self._root}/{folder}", detail=True)
            except FileNotFoundError:
                return {}
        return {path: int(info.get("size") or 0) for path, info in objects.items()}

    def read(self, paths: Sequence[str]) -> dict[str, bytes]:
        """Return path → content of objects; objects that cannot be read are left out.

        Raises:
            RemoteError: none can be read.
        """
        if not paths:
            return {}
        with self._translate_errors():
            contents = self.fs.cat(list(paths), on_error="return")
            errors = [value for value in contents.values() if isinstance(value, Exception)]
            if len(errors) == len(contents):
                raise errors[0]
        return {path: value for path, value in contents.items() if isinstance(value, bytes)}

    def write(self, contents: dict[str, bytes]) -> None:
        """Write objects (name below the URL → content)."""
        with self._translate_errors():
            paths = {f"{self._root}/{name}": content for name, content in contents.items()}
            if self._has_folders:
                for folder in {path.rpartition("/")[0] for path in paths}:
                    self.fs.makedirs(folder, exist_ok=True)
            if paths:
                self.fs.pipe(paths)

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            refused = isinstance(error, _REFUSALS) or "Credential" in type(error).__name__
            lines = redact(str(error)).strip().splitlines() or [type(error).__name__]
            problem = "refuses" if refused else "cannot be reached"
            message = f"{self.url} {problem} ({lines[0]})"
            raise RemoteError(message, is_unreachable=not refused) from error


def open_filesystem(protocol: str) -> Any:
    """Return the fsspec file system of a protocol.

    Raises:
        StoreError: the protocol is unknown or its package is not installed.
    """
    import fsspec
    from fsspec.registry import known_implementations

    options: dict[str, Any] = {"skip_instance_cache": True}
    if protocol in ("s3", "s3a"):
        options |= {"config_kwargs": TIMEOUTS, "use_listings_cache": False}
    try:
        fs = fsspec.filesystem(protocol, **options)
    except ImportError as error:
        implementation = known_implementations.get(protocol, {}).get("class", protocol)
        package = "s3fs" if protocol in _EXTRAS else implementation.split(".")[0]
        install = f"pip install {_EXTRAS.get(protocol, package)}"
        raise StoreError(f"{protocol}:// needs {package}: {install} ({error})") from error
    except ValueError as error:
        raise StoreError(f"{protocol}:// is unknown; known are s3, gs, abfs and sftp") from error
    if fs.async_impl:
        fs.loop.set_exception_handler(ignore_connection_errors)
    return fs


def ignore_connection_errors(loop: Any, context: dict[str, Any]) -> None:
    """Keep asyncio from printing a traceback when a server goes away during a request.

    aiohttp writes the body of a request in a task of its own. If the connection ends, the request
    itself raises, which becomes a `RemoteError`; the error of the task tells nothing more.
    """
    if not isinstance(context.get("exception"), ConnectionError):
        loop.default_exception_handler(context)
