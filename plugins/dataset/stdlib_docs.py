"""Which part of Python's standard library a docstring is from: text that every CPython has."""

from __future__ import annotations

import ast
import hashlib
import inspect
import re
import sysconfig
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from quintain.contracts import Batch, DataSpec, Side, Split
from quintain.kit.dataset import InMemory
from quintain.kit.files.download import DataError
from quintain.kit.text.words import Vocabulary, pad

# Modules written in Python, under the chapters of the Library Reference, some of them put together;
# what a release does not have is passed over.
_AREAS = {
    "text": "string re sre_parse sre_compile sre_constants difflib textwrap stringprep codecs "
    "gettext locale rlcompleter",
    "data types": "datetime _pydatetime zoneinfo calendar collections _collections_abc heapq "
    "bisect weakref _weakrefset types copy pprint reprlib enum graphlib",
    "numeric": "numbers decimal _pydecimal fractions random statistics functools operator colorsys",
    "files": "pathlib fileinput stat filecmp tempfile glob fnmatch linecache shutil os posixpath "
    "ntpath genericpath io _pyio",
    "storage": "pickle copyreg shelve dbm sqlite3 gzip bz2 lzma _compression compression zipfile "
    "tarfile csv configparser tomllib netrc plistlib hashlib hmac secrets",
    "concurrency": "threading multiprocessing concurrent subprocess sched queue asyncio "
    "contextvars selectors _threading_local",
    "networking": "socket ssl socketserver urllib http ftplib poplib imaplib smtplib uuid xmlrpc "
    "ipaddress webbrowser wsgiref nntplib telnetlib",
    "internet data": "email json mailbox mimetypes base64 quopri html xml",
    "interfaces": "argparse getopt optparse logging getpass cmd shlex platform pty tty",
    "development": "pydoc doctest unittest bdb pdb timeit trace tracemalloc profile cProfile "
    "pstats",
    "language": "warnings dataclasses contextlib abc traceback inspect site code codeop zipimport "
    "pkgutil modulefinder runpy importlib ast symtable token keyword tokenize tabnanny pyclbr "
    "py_compile compileall dis opcode pickletools typing annotationlib",
}
_LONGEST = 64  # words
_SHORTEST = 3
_RUN = 5  # words; a held-out text made of runs that were seen is no new text
_HELD_OUT: tuple[Split, ...] = ("test",) * 3 + ("val",) * 3  # of 20 parts
_LARGEST = 20  # docstrings under one name; else the 120 of Decimal could be a quarter of the test


class StdlibDocs(InMemory):
    """Docstrings of CPython's own modules, eleven areas; x long (64,) words, ragged.

    The source is parsed, no module is imported. A docstring is its first 64 words in lower case,
    punctuation marks being words. All docstrings under one top-level name of a module (a class
    and its methods, or a function) come into one split, by a hash of that name: three of twenty
    names each for validation and test, names with over 20 docstrings always for training. Of texts
    with the same words only the first is kept, and a held-out text is left out if half or more of
    its runs of five words stand in an earlier split.

    Modules are not kept apart: names that a module uses everywhere help, as they help a reader.
    Every release of CPython has a text of its own, and so its own counts.

    Args:
        vocabulary: number of tokens: the most frequent words of the train split; 0 is any other.
    """

    def __init__(self, vocabulary: int = 4000) -> None:
        if vocabulary < 2:
            raise ValueError(f"vocabulary must be 2 or more, came {vocabulary}")
        super().__init__(
            DataSpec(
                name="stdlib_docs",
                modality="text",
                task="classify",
                shape=(_LONGEST,),
                classes=tuple(_AREAS),
                vocabulary=vocabulary,
                separator=" ",
                ragged=True,
            )
        )

    def load(self) -> dict[Split, Batch]:
        """Docstrings in the order of area, module and place in the source.

        Raises:
            DataError: this Python comes without the source of its modules, or its text is too
                small for the vocabulary.
        """
        found = _distinct(_Doc(*doc) for doc in _all_docs(_library()))
        splits = _held_out_is_new(found)
        size = self.spec.vocabulary
        self._vocabulary = Vocabulary((doc.words for doc in splits["train"]), size)
        if len(self._vocabulary) < size:
            raise DataError(
                f"this Python's modules have docstrings of {len(self._vocabulary):,} words, fewer "
                f"than vocabulary={size:,}: ask for fewer, or use a Python that has its source"
            )
        return {split: self._batch(docs) for split, docs in splits.items()}

    def text(self, tokens: Sequence[int], side: Side) -> str:
        """Words with spaces between them."""
        return " ".join(self._vocabulary.decode(tokens))

    def _batch(self, docs: Sequence[_Doc]) -> Batch:
        x, lengths = pad([self._vocabulary.encode(doc.words) for doc in docs], _LONGEST)
        areas = [*_AREAS]
        return Batch(x, torch.tensor([areas.index(doc.area) for doc in docs]), lengths)


class _Doc(NamedTuple):
    """A docstring as words, its area, and the module and top-level name it stands under."""

    area: str
    unit: str
    words: tuple[str, ...]


def _library() -> Path:
    return Path(sysconfig.get_path("stdlib"))


def _all_docs(library: Path) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Area, unit and words of every docstring of the modules named above."""
    for area, names in _AREAS.items():
        for name in names.split():
            for path in _sources(library, name):
                module = path.relative_to(library).with_suffix("").as_posix()
                for unit, text in _docstrings(path.read_bytes()):
                    words = tuple(_words(text)[:_LONGEST])
                    if len(words) >= _SHORTEST:
                        yield area, f"{module}:{unit}", words


def _sources(library: Path, name: str) -> list[Path]:
    """The file of a module, or all files of a package but its tests, by name."""
    file, folder = library / f"{name}.py", library / name
    if file.is_file():
        return [file]
    inside = sorted(folder.rglob("*.py"), key=lambda path: path.relative_to(library).as_posix())
    return [path for path in inside if not {"test", "tests"} & set(path.parts)]


def _docstrings(source: bytes) -> Iterator[tuple[str, str]]:
    """Top-level name and docstring of every module, class and function of a source, in order."""
    tree = ast.parse(source)
    if text := ast.get_docstring(tree, clean=False):
        yield "", text
    for top in tree.body:
        for node in _definitions([top]):
            if text := ast.get_docstring(node, clean=False):
                yield getattr(top, "name", ""), text


def _definitions(
    body: list[Any],
) -> Iterator[ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]:
    """Classes and functions among these statements and inside them; no expression holds one."""
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node
        for field in ("body", "orelse", "handlers", "finalbody"):
            yield from _definitions(getattr(node, field, []))


def _words(text: str) -> list[str]:
    """Letters, digits and punctuation marks, each by itself: `os.path` is os . path."""
    return re.findall(r"[a-z]+|[0-9]+|[^\sa-z0-9]", inspect.cleandoc(text).lower())


def _distinct(docs: Iterable[_Doc]) -> list[_Doc]:
    """The first of those that have the same words, whatever stands between them."""
    first: dict[tuple[str, ...], _Doc] = {}
    for doc in docs:
        first.setdefault(tuple(word for word in doc.words if word[0].isalpha()), doc)
    return list(first.values())


def _held_out_is_new(docs: Sequence[_Doc]) -> dict[Split, list[_Doc]]:
    splits: dict[Split, list[_Doc]] = {"train": [], "val": [], "test": []}
    sizes = Counter(doc.unit for doc in docs)
    for doc in docs:
        splits["train" if sizes[doc.unit] > _LARGEST else _split_of(doc.unit)].append(doc)
    seen: set[tuple[str, ...]] = set()
    for split, some in splits.items():
        if split != "train":
            splits[split] = [doc for doc in some if _share(doc, seen) < 0.5]
        seen |= {run for doc in splits[split] for run in _runs(doc)}
    return splits


def _split_of(unit: str) -> Split:
    part = int(hashlib.sha256(unit.encode()).hexdigest(), 16) % 20
    return _HELD_OUT[part] if part < len(_HELD_OUT) else "train"


def _share(doc: _Doc, seen: set[tuple[str, ...]]) -> float:
    runs = _runs(doc)
    return sum(run in seen for run in runs) / len(runs)


def _runs(doc: _Doc) -> list[tuple[str, ...]]:
    words = doc.words
    return [words[k : k + _RUN] for k in range(max(1, len(words) - _RUN + 1))]
