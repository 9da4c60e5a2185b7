"""Read a user's text file: unpack it and decode it."""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Final

from quintain.data.files.problems import abbreviate, require_file
from quintain.errors import DataError

_UNPACKERS: Final[Mapping[bytes, tuple[str, Callable[[bytes], bytes]]]] = {
    b"\x1f\x8b": (".gz", gzip.decompress),
    b"BZh": (".bz2", bz2.decompress),
    b"\xfd7zXZ\x00": (".xz", lzma.decompress),
}
"""First bytes of a packed file → its extension and what unpacks it."""
_BYTE_ORDER_MARKS: Final = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",  # after UTF-32, whose mark begins with the same bytes
    codecs.BOM_UTF16_BE: "utf-16",
}
SPREADSHEETS: Final = (".xlsx", ".xlsm", ".xls", ".ods", ".numbers")
_SPREADSHEET_MEMBERS: Final = ("xl/workbook.xml", "xl/workbook.bin", "content.xml")


def read_text(path: str | Path, encoding: str | None = None) -> str:
    """Return the text of a file, unpacked if it is a gzip, bzip2, xz or zip file.

    Args:
        path: path of the file.
        encoding: such as cp1252; None: UTF-8, or UTF-16 or UTF-32 with a byte-order mark.

    Raises:
        DataError: the file does not exist, is empty, cannot be unpacked or decoded, or has NUL
            characters.
        ValueError: Python has no such encoding.
    """
    file = require_file(path)
    return decode_text(file, read_unpacked(file)[0], encoding)


def decode_text(file: Path, data: bytes, encoding: str | None) -> str:
    """Return the text of the unpacked content of a file; see `read_text`."""
    text = _decode(file, data, encoding)
    if not text.strip():
        raise DataError(f"{file} is empty")
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise DataError(
            f"{file}, line {line}: a NUL character; the file is damaged, or in an encoding such as "
            "UTF-16 (dataset.encoding=utf-16-le)"
        )
    return text


def read_lines(path: str | Path, encoding: str | None = None) -> list[str]:
    """Return the lines of a text file without their ends; see `read_text`."""
    text = read_text(path, encoding)
    return [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")]


def read_unpacked(file: Path) -> tuple[bytes, str]:
    """Return the content of a file, unpacked, and the extension of the content's name.

    A zip file must have a single member, whose name counts.

    Raises:
        DataError: the file cannot be read or unpacked, or is a spreadsheet.
    """
    try:
        data = file.read_bytes()
        for start, (extension, unpack) in _UNPACKERS.items():
            if data.startswith(start) or file.suffix.lower() == extension:
                name = file.with_suffix("") if file.suffix.lower() == extension else file
                return unpack(data), name.suffix.lower()
        if data.startswith(b"PK\x03\x04"):
            return _read_zip(file, data)
    except (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile) as error:
        raise DataError(f"{file} cannot be read ({error}); replace it") from error
    return data, file.suffix.lower()


def _read_zip(file: Path, data: bytes) -> tuple[bytes, str]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/")]
        if any(name in _SPREADSHEET_MEMBERS for name in names):
            raise spreadsheet_error(file)
        names = [name for name in names if not name.startswith("__MACOSX/")]
        if len(names) != 1:
            raise DataError(
                f"{file} has {len(names)} files ({', '.join(abbreviate(names, shown=3))}); "
                "expected one table: unpack it, and give the path of the table"
            )
        try:
            return archive.read(names[0]), PurePosixPath(names[0]).suffix.lower()
        except (RuntimeError, NotImplementedError) as error:  # a password; an unknown method
            raise DataError(f"{file} cannot be unpacked ({error}); unpack it yourself") from error


def spreadsheet_error(file: Path) -> DataError:
    return DataError(f"{file} is a spreadsheet; save it as CSV (UTF-8)")


def _decode(file: Path, data: bytes, encoding: str | None) -> str:
    marked = next((name for mark, name in _BYTE_ORDER_MARKS.items() if data.startswith(mark)), None)
    chosen = encoding or marked or "utf-8-sig"
    try:
        return data.decode(chosen)
    except LookupError as error:
        raise ValueError(
            f"encoding must be one that Python knows, such as cp1252 or utf-16; got {encoding!r}"
        ) from error
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        hint = (
            "save it as UTF-8, or name its encoding if the dataset has the setting "
            "(dataset.encoding=cp1252 for Western Europe)"
            if encoding is None
            else "name another encoding, or save it as UTF-8"
        )
        raise DataError(
            f"{file}, line {line}: byte 0x{data[error.start]:02x} is not "
            f"{chosen.upper().removesuffix('-SIG')}; {hint}"
        ) from error
