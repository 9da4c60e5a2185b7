"""Docstrings of Python's standard library, classified by area; part of every CPython."""

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
from quintain.data.base import InMemory
from quintain.data.text.vocabulary import Vocabulary, pad_tokens
from quintain.errors import DataError

# Modules written in Python, by chapter of the Library Reference (some are joined); modules that a
# release does not have are skipped.
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
_NGRAM = 5  # words
_HELD_OUT: tuple[Split, ...] = ("test",) * 3 + ("val",) * 3  # splits of the first 6 of 20 buckets
_MAX_PER_NAME = 20  # docstrings; the 120 of Decimal could otherwise be a quarter of the test


class StdlibDocs(InMemory):
    """Docstrings of CPython's modules, eleven areas; x int64 (64,) words, ragged.

    The source is parsed without importing a module. A docstring is cut to its first 64 words, in
    lower case; punctuation marks are words. All docstrings of one top-level class or function are
    in the same split, by a hash of its name: 15 % of the names in validation, 15 % in the test;
    names with over 20 docstrings are in train. Duplicate texts are left out, and so are validation
    and test texts of which half or more of the 5-grams of words occur in an earlier split.

    One module may be in several splits, so names that occur throughout a module help a model. The
    texts and the number of samples depend on the release of CPython.

    Args:
        vocabulary: number of tokens, for the most frequent words of train and the unknown word (0).
    """

    def __init__(self, vocabulary: int = 4000) -> None:
        if vocabulary < 2:
            raise ValueError(f"vocabulary must be 2 or more, got {vocabulary}")
        spec = DataSpec(
            name="stdlib_docs",
            modality="text",
            task="classify",
            shape=(_LONGEST,),
            classes=tuple(_AREAS),
            vocabulary=vocabulary,
            separator=" ",
            ragged=True,
        )
        super().__init__(spec)

    def load(self) -> dict[Split, Batch]:
        """Return the docstrings; raise DataError if this Python lacks the source of its modules."""
        splits = _split(_remove_duplicates(_read_docs(_library_folder())))
        size = self.spec.vocabulary
        self._vocabulary = Vocabulary((doc.words for doc in splits["train"]), size)
        if len(self._vocabulary) < size:
            raise DataError(
                f"this Python's modules have docstrings of {len(self._vocabulary):,} words, fewer "
                f"than vocabulary={size:,}: set fewer, or use a Python that has its source"
            )
        return {split: self._make_batch(docs) for split, docs in splits.items()}

    def decode(self, tokens: Sequence[int], side: Side) -> str:
        return " ".join(self._vocabulary.decode(tokens))

    def _make_batch(self, docs: Sequence[_Doc]) -> Batch:
        x, lengths = pad_tokens([self._vocabulary.encode(doc.words) for doc in docs], _LONGEST)
        areas = [*_AREAS]
        return Batch(x, torch.tensor([areas.index(doc.area) for doc in docs]), lengths)


class _Doc(NamedTuple):
    """The words of a docstring, its area, and its module and top-level name."""

    area: str
    name: str
    words: tuple[str, ...]


def _library_folder() -> Path:
    return Path(sysconfig.get_path("stdlib"))


def _read_docs(library: Path) -> Iterator[_Doc]:
    """Yield every docstring of the modules of all areas."""
    for area, modules in _AREAS.items():
        for module in modules.split():
            for path in _source_files(library, module):
                source = path.relative_to(library).with_suffix("").as_posix()
                for name, text in _parse_docstrings(path.read_bytes()):
                    words = tuple(_split_words(text)[:_LONGEST])
                    if len(words) >= _SHORTEST:
                        yield _Doc(area, f"{source}:{name}", words)


def _source_files(library: Path, name: str) -> list[Path]:
    """Return the file of a module, or the sorted files of a package except its tests."""
    file, folder = library / f"{name}.py", library / name
    if file.is_file():
        return [file]
    inside = sorted(folder.rglob("*.py"), key=lambda path: path.relative_to(library).as_posix())
    return [path for path in inside if not {"test", "tests"} & set(path.parts)]


def _parse_docstrings(source: bytes) -> Iterator[tuple[str, str]]:
    """Yield each docstring of a module with its top-level name ("" for the module's own)."""
    tree = ast.parse(source)
    if text := ast.get_docstring(tree, clean=False):
        yield "", text
    for top in tree.body:
        for node in _find_definitions([top]):
            if text := ast.get_docstring(node, clean=False):
                yield getattr(top, "name", ""), text


def _find_definitions(
    body: list[Any],
) -> Iterator[ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]:
    """Yield all classes and functions in these statements, nested ones too."""
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node
        for field in ("body", "orelse", "handlers", "finalbody"):
            yield from _find_definitions(getattr(node, field, []))


def _split_words(text: str) -> list[str]:
    """Return runs of letters, runs of digits, and punctuation marks: `os.path` is os . path."""
    return re.findall(r"[a-z]+|[0-9]+|[^\sa-z0-9]", inspect.cleandoc(text).lower())


def _remove_duplicates(docs: Iterable[_Doc]) -> list[_Doc]:
    """Return the first of the docstrings with the same words, ignoring digits and punctuation."""
    first: dict[tuple[str, ...], _Doc] = {}
    for doc in docs:
        first.setdefault(tuple(word for word in doc.words if word[0].isalpha()), doc)
    return list(first.values())


def _split(docs: Sequence[_Doc]) -> dict[Split, list[_Doc]]:
    """Return the docstrings of each split, without those that resemble an earlier split."""
    splits: dict[Split, list[_Doc]] = {"train": [], "val": [], "test": []}
    counts = Counter(doc.name for doc in docs)
    for doc in docs:
        bucket = int(hashlib.sha256(doc.name.encode()).hexdigest(), 16) % 20
        is_held_out = bucket < len(_HELD_OUT) and counts[doc.name] <= _MAX_PER_NAME
        splits[_HELD_OUT[bucket] if is_held_out else "train"].append(doc)
    known: set[tuple[str, ...]] = set()
    for split, split_docs in splits.items():
        if split != "train":
            splits[split] = [doc for doc in split_docs if _share_of_known(doc, known) < 0.5]
        known |= {ngram for doc in splits[split] for ngram in _ngrams(doc)}
    return splits


def _share_of_known(doc: _Doc, known: set[tuple[str, ...]]) -> float:
    ngrams = _ngrams(doc)
    return sum(ngram in known for ngram in ngrams) / len(ngrams)


def _ngrams(doc: _Doc) -> list[tuple[str, ...]]:
    words = doc.words
    return [words[k : k + _NGRAM] for k in range(max(1, len(words) - _NGRAM + 1))]
