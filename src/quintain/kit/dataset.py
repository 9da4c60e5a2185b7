"""The usual base of a dataset: whole splits in memory, batches by one `index_select` a tensor."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import get_args

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, RandomSampler, Sampler, SequentialSampler
from torch.utils.data import Dataset as TorchDataset

from quintain.contracts import Batch, DataSpec, Side, Split


class Base(pl.LightningDataModule, ABC):
    """What all datasets share: the spec, notes, and data loaders.

    The benchmark reads what `quintain.contracts.Dataset` lists. The data loaders are there so that
    a plain Lightning `Trainer` can use the data too; they give batches of `batch_size` samples, an
    attribute that may be set at any time.
    """

    batch_size: int = 64
    notes: tuple[str, ...] = ()
    """Sentences for people: what was inferred, skipped or cut."""

    def __init__(self, spec: DataSpec) -> None:
        super().__init__()
        self.spec = spec

    @abstractmethod
    def size(self, split: Split) -> int:
        """Number of samples in a split, after `setup`."""

    @abstractmethod
    def take(self, split: Split, indices: Tensor) -> Batch:
        """The samples at `indices`, long (B,), as one batch."""

    @abstractmethod
    def fingerprint(self) -> str:
        """`sha256:` of the content of all splits."""

    def lengths(self, split: Split) -> Tensor | None:
        """Nothing: all samples have one length, or they would have to be read for it."""
        return None

    def text(self, tokens: Sequence[int], side: Side) -> str:
        """A dataset with tokens says what they mean."""
        raise NotImplementedError(f"dataset {self.spec.name!r} has no text() for its tokens")

    def restore(self, y: Tensor) -> Tensor:
        """As it is: a dataset that standardises its targets undoes that here."""
        return y

    def train_dataloader(self) -> DataLoader[Batch]:
        """Shuffled batches of the train split; the last one may be smaller."""
        return self._loader("train", shuffle=True)

    def val_dataloader(self) -> DataLoader[Batch]:
        """Batches of the validation split in order."""
        return self._loader("val")

    def test_dataloader(self) -> DataLoader[Batch]:
        """Batches of the test split in order."""
        return self._loader("test")

    def _loader(self, split: Split, *, shuffle: bool = False) -> DataLoader[Batch]:
        view = _View(self, split)
        order: Sampler[int] = RandomSampler(view) if shuffle else SequentialSampler(view)
        batches = BatchSampler(order, self.batch_size, drop_last=False)
        return DataLoader(view, sampler=batches, batch_size=None)


class InMemory(Base):
    """A dataset that fits into memory: a subclass gives its `DataSpec` and writes `load`."""

    def __init__(self, spec: DataSpec) -> None:
        super().__init__(spec)
        self._splits: dict[Split, Batch] = {}

    @abstractmethod
    def load(self) -> dict[Split, Batch]:
        """All of train, val and test, each as one batch. Called once; no download here."""

    def setup(self, stage: str = "fit") -> None:
        """Load all splits, whatever the stage; a second call does nothing."""
        if not self._splits:
            self._splits = self.load()

    def size(self, split: Split) -> int:
        """Number of samples in a split.

        Raises:
            RuntimeError: `setup` was not called.
        """
        return len(self._whole(split).x)

    def take(self, split: Split, indices: Tensor) -> Batch:
        """The samples at `indices`, long (B,), cut to the longest of them."""
        x, y, lengths, y_lengths = self._whole(split)
        along = lengths if self.spec.task == "next_token" else y_lengths
        some_x, some_lengths = _some(x, lengths, indices)
        some_y, some_y_lengths = _some(y, along, indices)
        return Batch(some_x, some_y, some_lengths, None if y_lengths is None else some_y_lengths)

    def lengths(self, split: Split) -> Tensor | None:
        """Valid steps of `x` of each sample of a ragged dataset, long (N,)."""
        return self._whole(split).lengths

    def fingerprint(self) -> str:
        """`sha256:` of dtype, shape and bytes of every tensor as stored, train, val, test."""
        digest = hashlib.sha256()
        for split in get_args(Split):
            for field, tensor in self._whole(split)._asdict().items():
                if tensor is not None:
                    head = f"{split}.{field} {tensor.dtype} {tuple(tensor.shape)}\n"
                    digest.update(head.encode())
                    digest.update(tensor.contiguous().numpy())
        return f"sha256:{digest.hexdigest()}"

    def _whole(self, split: Split) -> Batch:
        if not self._splits:
            raise RuntimeError(
                f"dataset {self.spec.name!r} is not loaded: call prepare_data() and setup() first"
            )
        return self._splits[split]


def _some(whole: Tensor, lengths: Tensor | None, indices: Tensor) -> tuple[Tensor, Tensor | None]:
    """Rows of `whole` and their lengths, without the columns that none of them needs.

    One column stays where all are empty: no convolution or recurrent net reads zero steps.
    """
    if lengths is None:
        return whole.index_select(0, indices), None
    some = lengths.index_select(0, indices)
    longest = int(some.max()) if len(some) else 0
    return whole[:, : max(1, longest)].index_select(0, indices), some


class _View(TorchDataset[Batch]):
    """One split as a torch dataset whose index is a list of samples and whose item is a batch."""

    def __init__(self, data: Base, split: Split) -> None:
        self._data, self._split = data, split

    def __len__(self) -> int:
        return self._data.size(self._split)

    def __getitem__(self, indices: list[int]) -> Batch:
        return self._data.take(self._split, torch.tensor(indices))
