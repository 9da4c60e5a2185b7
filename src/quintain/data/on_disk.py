"""Base class of datasets of many files, decoded into memory if they fit, else read when needed.

Legend: B samples of a batch, N samples of a split.
"""

from __future__ import annotations

import hashlib
import json
import math
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, get_args

import torch
from torch import Tensor

from quintain.contracts import Batch, DataSpec, Split, Transcripts
from quintain.data.base import BaseDataset, to_float_audio
from quintain.data.files.file_hashes import forget_hashes, hash_file, read_stamp
from quintain.data.files.problems import abbreviate, describe_read_error
from quintain.errors import DataError

Input = TypeVar("Input")
Output = TypeVar("Output")

_MIB = 2**20


@dataclass(frozen=True)
class Item:
    """The file and the target of a sample.

    Attributes:
        path: path of the file.
        y: index of the class (classify), 0 or 1 for each label (multilabel), standardised targets
            (regress), or symbols (transcribe, generate).
        steps: length of the first axis of `read`'s result; 0: unknown.
        part: identifies one of several samples of a file, for `read`.
        name: for messages, such as a file and its line in a table; "": the name of the file.
        references: true texts of the sample; (): the decoded y (transcribe, generate).
        sha256: of the file when it was scanned for spec and splits; "": it was not.
    """

    path: Path
    y: int | Sequence[float] | Sequence[int]
    steps: int = 0
    part: tuple[int, ...] = ()
    references: tuple[str, ...] = ()
    name: str = ""
    sha256: str = ""


class OnDisk(BaseDataset):
    """A dataset of files; a subclass passes its `DataSpec` and implements `items` and `read`.

    Samples are stored as `read` returns them; speech as int16 becomes floats in [-1, 1] in batches.

    Args:
        spec: spec of a task other than next_token and forecast.
        memory: limit for the decoded samples in MiB; above it, files are read when they are needed.
        workers: number of threads that read and decode.

    Raises:
        ValueError: `workers` is less than 1.
    """

    def __init__(self, spec: DataSpec, *, memory: float = 1024, workers: int = 2) -> None:
        super().__init__(spec)
        if workers < 1:
            raise ValueError(f"workers must be at least 1, got {workers}")
        self._memory, self._workers = memory, workers
        self._items: Mapping[Split, Sequence[Item]] = {}
        self._decoded: dict[Split, Tensor | list[Tensor]] = {}
        self._lengths: dict[Split, Tensor] = {}
        self._fingerprint = ""
        self._compared: dict[Path, list[int]] = {}  # stamps of files that are as scanned
        self.streams = False

    @abstractmethod
    def items(self) -> Mapping[Split, Sequence[Item]]:
        """Return all samples of train, val and test in a fixed order; called once."""

    @abstractmethod
    def read(self, item: Item) -> Tensor:
        """Return a decoded sample of the spec's shape: pixels as uint8, audio as int16 or floats.

        The first axis may be shorter if the spec is ragged. Must be thread-safe.
        """

    def setup(self, stage: str = "fit") -> None:
        """List the samples of all splits, and decode them if they fit into `memory`.

        Raises:
            DataError: a split is empty, or files cannot be read, which are listed.
        """
        if self._items:
            return
        items = {split: tuple(samples) for split, samples in self.items().items()}
        if empty := [split for split in get_args(Split) if not items.get(split)]:
            raise DataError(f"dataset {self.spec.name!r}: no samples for {' and '.join(empty)}")
        size = self._decoded_size(items)
        self.streams = size > self._memory * _MIB
        if self.streams:
            note = (
                f"decoded, the data take {size / _MIB:,.0f} MiB, more than memory="
                f"{self._memory:g}: each file is read whenever it is needed"
            )
        else:
            self._decoded = {split: self._decode(samples) for split, samples in items.items()}
            note = f"decoded once into {size / _MIB:,.1f} MiB of memory"
        self._items = items
        self._true_texts = [item.references for samples in items.values() for item in samples]
        self.notes = (*self.notes, note)

    def size(self, split: Split) -> int:
        """Return the number of samples; raise RuntimeError before `setup`."""
        return len(self._get_loaded(self._items, split))

    def batch(self, split: Split, indices: Tensor) -> Batch:
        """Return the samples at `indices`, int64 (B,), padded to the longest of them.

        Raises:
            DataError: a file can no longer be read.
        """
        items = [self._get_loaded(self._items, split)[index] for index in indices.tolist()]
        decoded = self._decoded.get(split)
        lengths = None
        if isinstance(decoded, Tensor):
            x = decoded.index_select(0, indices)
        elif decoded is not None:
            x, lengths = _pad([decoded[index] for index in indices.tolist()])
        else:
            x, lengths = _pad(self._map(self._read, items))
        if self.spec.modality == "speech" and not x.is_floating_point():
            x = to_float_audio(x)
        y, y_lengths = self._targets(items)
        references = None
        if items and items[0].references:
            references = indices + self._first_number(split)
        return Batch(x, y, lengths if self.spec.ragged else None, y_lengths, references)

    def lengths(self, split: Split) -> Tensor | None:
        """Return the number of valid steps of each sample, int64 (N,); None if not ragged.

        They are taken from the items or the samples in memory; else each file is read once.
        """
        if not self.spec.ragged:
            return None
        if split not in self._lengths:
            items = self._get_loaded(self._items, split)
            steps = [item.steps for item in items]
            if not all(steps):
                steps = (
                    self._map(lambda item: len(self._read(item)), items)
                    if self.streams
                    else [len(sample) for sample in self._decoded[split]]
                )
            self._lengths[split] = torch.tensor(steps)
        return self._lengths[split]

    def transcripts(self) -> Transcripts | None:
        """Return the sizes of all samples (transcribe), None if files would have to be read."""
        items = self._items or self.items()
        if self.streams and not all(item.steps for split in items.values() for item in split):
            return None
        result: dict[Split, list[tuple[str, int, tuple[int, ...]]]] = {}
        for split, samples in items.items():
            steps = [item.steps or self.spec.shape[0] for item in samples]
            if self._decoded:
                steps = [len(sample) for sample in self._decoded[split]]
            names = [item.name or item.path.name for item in samples]
            targets = [() if isinstance(item.y, int) else item.y for item in samples]
            symbols = [tuple(map(int, target)) for target in targets]
            result[split] = list(zip(names, steps, symbols, strict=True))
        return result

    def fingerprint(self) -> str:
        """Return `sha256:…`, a hash of shape, sample rate, classes, and all samples.

        A sample is hashed as its split, part, target and file content, but not its path.
        """
        if not self._fingerprint:
            splits = [
                (split, item)
                for split in get_args(Split)
                for item in self._get_loaded(self._items, split)
            ]
            hashes = {item.path: item.sha256 for _, item in splits}
            paths = [path for path, sha256 in hashes.items() if not sha256]
            hashes |= dict(zip(paths, self._map(hash_file, paths), strict=True))
            head = json.dumps([self.spec.shape, self.spec.sample_rate, self.spec.classes])
            digest = hashlib.sha256(f"{head}\n".encode())
            for split, item in splits:
                y = item.y if isinstance(item.y, int) else tuple(item.y)
                texts = f" {item.references}" if item.references else ""
                digest.update(f"{split} {item.part} {y} {hashes[item.path]}{texts}\n".encode())
            self._fingerprint = f"sha256:{digest.hexdigest()}"
        return self._fingerprint

    def _read(self, item: Item) -> Tensor:
        """Call `read`, add the path to its errors, and check the shape."""
        try:
            x = self.read(item)
            self._compare_with_scan(item)
        except DataError as error:
            is_named = str(item.path) in str(error)
            raise DataError(str(error) if is_named else f"{item.path} {error}") from error
        except MemoryError:
            raise
        except Exception as error:  # decoders raise many kinds of errors for a damaged file
            why = describe_read_error(error, item.path)
            raise DataError(f"{item.path} cannot be read ({why}): repair or remove it") from error
        longest, *rest = self.spec.shape
        steps, *other_axes = x.shape
        is_complete = steps == longest or (self.spec.ragged and steps < longest)
        if other_axes != rest or not is_complete:
            raise DataError(
                f"{item.path} has the shape {tuple(x.shape)}, expected {self.spec.shape}"
                f"{' or shorter' if self.spec.ragged else ''}: convert it or remove it"
            )
        return x

    def _compare_with_scan(self, item: Item) -> None:
        """Compare a file with its scan, from which spec, splits and fingerprint were made.

        Raises:
            DataError: the content is another one.
        """
        stamp = read_stamp(item.path)
        if not item.sha256 or self._compared.get(item.path) == stamp:
            return
        if hash_file(item.path) != item.sha256:
            forget_hashes()
            raise DataError(
                f"{item.path} has changed since the data were scanned: run the command again"
            )
        self._compared[item.path] = stamp

    def _decode(self, items: Sequence[Item]) -> Tensor | list[Tensor]:
        """Return all samples as one tensor (N, *shape), or as a list of tensors if ragged.

        Raises:
            DataError: files cannot be read; the first ones are listed.
        """
        problems: list[str] = []
        is_ragged = self.spec.ragged
        if not is_ragged:  # filled in place, because stacking at the end needs twice the memory
            dtype = self._read(items[0]).dtype
            stacked = torch.empty(len(items), *self.spec.shape, dtype=dtype)

        def read_row(row: int) -> Tensor:
            try:
                x = self._read(items[row])
            except DataError as error:
                problems.append(str(error))
                return torch.empty(0)
            return x if is_ragged else stacked[row].copy_(x)

        samples = self._map(read_row, range(len(items)))
        if problems:
            raise DataError("\n".join(abbreviate(sorted(problems), "\n")))
        return samples if is_ragged else stacked

    def _first_number(self, split: Split) -> int:
        """Return the position of the split's first sample in `_true_texts`."""
        names = [*self._items]
        return sum(len(self._items[name]) for name in names[: names.index(split)])

    def _targets(self, items: Sequence[Item]) -> tuple[Tensor, Tensor | None]:
        values = [item.y for item in items]
        if self.spec.task in ("transcribe", "generate"):
            return _pad([torch.tensor(value, dtype=torch.long) for value in values])
        dtype = torch.long if self.spec.task == "classify" else torch.float32
        return torch.tensor(values, dtype=dtype), None

    def _decoded_size(self, items: Mapping[Split, Sequence[Item]]) -> int:
        """Return the bytes of all decoded samples; the first one is read to get the dtype."""
        longest, *rest = self.spec.shape
        samples = [item for split in items.values() for item in split]
        steps = sum(item.steps or longest if self.spec.ragged else longest for item in samples)
        return steps * math.prod(rest) * self._read(items["train"][0]).element_size()

    def _map(self, function: Callable[[Input], Output], inputs: Iterable[Input]) -> list[Output]:
        """Return the function's results, computed in several threads."""
        with ThreadPoolExecutor(self._workers) as pool:
            return list(pool.map(function, inputs))


def _pad(samples: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Pad samples (steps, …) with zeros to (B, longest, …); also return the steps, int64 (B,).

    There is at least one step, because convolutional and recurrent networks need one.
    """
    lengths = torch.tensor([len(sample) for sample in samples])
    longest = max(1, int(lengths.max()))
    padded = samples[0].new_zeros(len(samples), longest, *samples[0].shape[1:])
    for row, sample in zip(padded, samples, strict=True):
        row[: len(sample)] = sample
    return padded, lengths
