"""The base of a dataset of many files: decoded into memory where they fit, else read as needed.

Legend: B batch, N samples of a split. What `read` gives is stored as it is, so bytes for pixels
and 16 bits for sound keep a dataset small; `take` gives the same numbers either way.
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

from quintain.contracts import Batch, DataSpec, Split
from quintain.kit.dataset import Base
from quintain.kit.files.download import DataError
from quintain.kit.files.problems import reason, some

Asked = TypeVar("Asked")
Found = TypeVar("Found")

_MIB = 2**20


@dataclass(frozen=True)
class Item:
    """One sample: where it lies and its target.

    Attributes:
        path: of the file.
        y: classify, a class' index; regress, a number for each target, standardised; transcribe
            and generate, the symbols.
        steps: what `read` gives along the first axis, if known; 0: up to the longest.
        part: which part of the file, where a file holds several samples; for `read` to interpret.
    """

    path: Path
    y: int | Sequence[float] | Sequence[int]
    steps: int = 0
    part: tuple[int, ...] = ()


class OnDisk(Base):
    """A dataset of files: a subclass gives its `DataSpec`, `items` and `read`.

    Sound is stored in 16 bits and handed out as float in [-1, 1]; all else is handed out as read.

    Args:
        spec: tasks with one target a file: classify, regress, transcribe, generate.
        memory: MiB that the decoded samples may take; where they would take more, each is read
            and decoded whenever it is needed. The numbers are the same.
        workers: threads that read and decode.
    """

    def __init__(self, spec: DataSpec, *, memory: float = 1024, workers: int = 2) -> None:
        super().__init__(spec)
        if workers < 1:
            raise ValueError(f"workers must be at least 1, came {workers}")
        self._memory, self._workers = memory, workers
        self._items: Mapping[Split, Sequence[Item]] = {}
        self._decoded: dict[Split, Tensor | list[Tensor]] = {}
        self._lengths: dict[Split, Tensor] = {}
        self._fingerprint = ""
        self.streams = False

    @abstractmethod
    def items(self) -> Mapping[Split, Sequence[Item]]:
        """All samples of train, val and test, always in the same order. Called once, by `setup`."""

    @abstractmethod
    def read(self, item: Item) -> Tensor:
        """Decode one sample: `x` without B, of the spec's shape; the first axis may be shorter
        where the spec says ragged. Sound as int16 (N,). Called from several threads at once.
        """

    def setup(self, stage: str = "fit") -> None:
        """List the samples of all splits, and decode them where they fit into `memory`.

        Raises:
            DataError: a split is empty, or files cannot be read; one message names them.
        """
        if self._items:
            return
        items = {split: tuple(found) for split, found in self.items().items()}
        if empty := [split for split in get_args(Split) if not items.get(split)]:
            raise DataError(f"dataset {self.spec.name!r}: no samples for {' and '.join(empty)}")
        needed = self._bytes(items)
        self.streams = needed > self._memory * _MIB
        if not self.streams:
            self._decoded = {split: self._decode(found) for split, found in items.items()}
        self._items = items
        self.notes = (*self.notes, self._way(needed / _MIB))

    def size(self, split: Split) -> int:
        """Number of samples in a split.

        Raises:
            RuntimeError: `setup` was not called.
        """
        return len(self._listed(split))

    def take(self, split: Split, indices: Tensor) -> Batch:
        """The samples at `indices`, long (B,), padded to the longest of them.

        Raises:
            DataError: a file can no longer be read; the first one is named.
        """
        items = [self._listed(split)[index] for index in indices.tolist()]
        if not self.streams and isinstance(stacked := self._decoded[split], Tensor):
            x, lengths = stacked.index_select(0, indices), None
        else:
            x, lengths = _padded(self._samples(split, indices))
        if self.spec.modality == "speech":
            x = x.float().div_(32768)
        y, y_lengths = self._targets(items)
        return Batch(x, y, lengths if self.spec.ragged else None, y_lengths)

    def lengths(self, split: Split) -> Tensor | None:
        """Valid steps of `x` of each sample of a ragged dataset, long (N,).

        As the items say; where they do not, of what is in memory, else each file is read once.
        """
        if not self.spec.ragged:
            return None
        if split not in self._lengths:
            items = self._listed(split)
            steps = [item.steps for item in items]
            if not all(steps):
                steps = (
                    self._at_once(lambda item: len(self._read(item)), items)
                    if self.streams
                    else [len(sample) for sample in self._decoded[split]]
                )
            self._lengths[split] = torch.tensor(steps)
        return self._lengths[split]

    def fingerprint(self) -> str:
        """`sha256:` over shape and classes and, for each sample, split, part, target and content.

        Nothing is decoded. Where the files lie and what they are called makes no difference.
        """
        if not self._fingerprint:
            splits = [(split, item) for split in get_args(Split) for item in self._listed(split)]
            paths = list(dict.fromkeys(item.path for _, item in splits))
            content = dict(zip(paths, self._at_once(file_hash, paths), strict=True))
            form = json.dumps([self.spec.shape, self.spec.sample_rate, self.spec.classes])
            digest = hashlib.sha256(f"{form}\n".encode())
            for split, item in splits:
                y = item.y if isinstance(item.y, int) else tuple(item.y)
                digest.update(f"{split} {item.part} {y} {content[item.path]}\n".encode())
            self._fingerprint = f"sha256:{digest.hexdigest()}"
        return self._fingerprint

    def _listed(self, split: Split) -> Sequence[Item]:
        if not self._items:
            raise RuntimeError(
                f"dataset {self.spec.name!r} is not loaded: call prepare_data() and setup() first"
            )
        return self._items[split]

    def _samples(self, split: Split, indices: Tensor) -> list[Tensor]:
        wanted = indices.tolist()
        if not self.streams:
            return [self._decoded[split][index] for index in wanted]
        items = self._listed(split)
        return self._at_once(self._read, [items[index] for index in wanted])

    def _read(self, item: Item) -> Tensor:
        """`read`, with its errors named and its shape checked."""
        try:
            x = self.read(item)
        except DataError as error:
            named = str(item.path) in str(error)
            raise DataError(str(error) if named else f"{item.path} {error}") from error
        except MemoryError:
            raise
        except Exception as error:  # decoders raise whatever a broken file trips them over
            why = reason(error, item.path)
            raise DataError(f"{item.path} cannot be read ({why}): mend or remove it") from error
        longest, *rest = self.spec.shape
        steps, *came = x.shape
        if came != rest or steps > longest or (steps != longest and not self.spec.ragged):
            raise DataError(
                f"{item.path} has the shape {tuple(x.shape)}, expected {self.spec.shape}"
                f"{' or shorter' if self.spec.ragged else ''}: convert it or remove it"
            )
        return x

    def _decode(self, items: Sequence[Item]) -> Tensor | list[Tensor]:
        """All samples: one tensor (N, *shape), or a list of them where they differ in length.

        Raises:
            DataError: one message for all files that cannot be read.
        """
        problems: list[str] = []
        found: list[Tensor] = []
        if not self.spec.ragged:  # filled in place: a stack at the end would need twice as much
            kind = self._read(items[0]).dtype
            found = list(whole := torch.empty(len(items), *self.spec.shape, dtype=kind))

        def attempt(row: int) -> Tensor:
            try:
                x = self._read(items[row])
            except DataError as error:
                problems.append(str(error))
                return torch.empty(0)
            return x if self.spec.ragged else found[row].copy_(x)

        samples = self._at_once(attempt, range(len(items)))
        if problems:
            raise DataError("\n".join(some(sorted(problems), "\n")))
        return samples if self.spec.ragged else whole

    def _targets(self, items: Sequence[Item]) -> tuple[Tensor, Tensor | None]:
        values = [item.y for item in items]
        if self.spec.task in ("transcribe", "generate"):
            return _padded([torch.tensor(value, dtype=torch.long) for value in values])
        kind = torch.long if self.spec.task == "classify" else torch.float32
        return torch.tensor(values, dtype=kind), None

    def _bytes(self, items: Mapping[Split, Sequence[Item]]) -> int:
        """What all samples take when decoded; one is read to see the type that `read` gives."""
        longest, *rest = self.spec.shape
        steps = sum(item.steps or longest for found in items.values() for item in found)
        if not self.spec.ragged:
            steps = sum(map(len, items.values())) * longest
        return steps * math.prod(rest) * self._read(items["train"][0]).element_size()

    def _way(self, mebibytes: float) -> str:
        if self.streams:
            return (
                f"decoded, the data take {mebibytes:,.0f} MiB, more than memory={self._memory:g}: "
                "each file is read whenever it is needed"
            )
        return f"decoded once into {mebibytes:,.1f} MiB of memory"

    def _at_once(self, work: Callable[[Asked], Found], on: Iterable[Asked]) -> list[Found]:
        """`work` on each in several threads, in order; no thread is left when it returns."""
        with ThreadPoolExecutor(self._workers) as pool:
            return list(pool.map(work, on))


def file_hash(path: Path) -> str:
    """SHA-256 of a file's content in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _padded(samples: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """(steps, …) each → (B, longest, …) with zeros behind, and the steps, long (B,).

    One step stays where all are empty: no convolution or recurrent net reads zero steps.
    """
    lengths = torch.tensor([len(sample) for sample in samples])
    longest = max(1, int(lengths.max()))
    whole = samples[0].new_zeros(len(samples), longest, *samples[0].shape[1:])
    for row, sample in zip(whole, samples, strict=True):
        row[: len(sample)] = sample
    return whole, lengths
