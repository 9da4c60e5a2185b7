"""Base classes of datasets, and of those whose splits fit into memory."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TypeVar, get_args

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, RandomSampler, Sampler, SequentialSampler
from torch.utils.data import Dataset as TorchDataset

from quintain.contracts import Batch, DataSpec, Side, Split, Transcripts

T = TypeVar("T")


class BaseDataset(pl.LightningDataModule, ABC):
    """The spec, the notes and the data loaders of all datasets.

    Quintain uses the methods of `quintain.contracts.Dataset`; the data loaders are for a plain
    Lightning `Trainer`. `prepare_data` downloads and verifies the files; it and the methods that
    read files raise DataError if files are missing, damaged or different.
    """

    batch_size: int = 64
    """Samples in a batch of the data loaders; may be changed at any time."""
    notes: tuple[str, ...] = ()
    """Remarks about the data, such as what was inferred or left out; shown and recorded."""

    def __init__(self, spec: DataSpec) -> None:
        super().__init__()
        self.spec = spec
        self._true_texts: Sequence[Sequence[str]] = ()

    @abstractmethod
    def size(self, split: Split) -> int:
        """Return the number of samples of a split, after `setup`."""

    @abstractmethod
    def batch(self, split: Split, indices: Tensor) -> Batch:
        """Return the samples at `indices`, int64 (B,), as one batch."""

    @abstractmethod
    def fingerprint(self) -> str:
        """Return `sha256:…`, a hash of the content of all splits."""

    def lengths(self, split: Split) -> Tensor | None:
        """Return the lengths of the samples; None: they are equal, or unknown before reading."""
        return None

    def decode(self, tokens: Sequence[int], side: Side) -> str:
        """Return the text of tokens; datasets without text raise NotImplementedError."""
        raise NotImplementedError(f"dataset {self.spec.name!r} has no decode() for its tokens")

    def references(self, number: int) -> Sequence[str]:
        """Return the true texts of the sample that has this number in `Batch.references`."""
        return self._true_texts[number]

    def inverse_transform(self, y: Tensor) -> Tensor:
        """Return targets or predictions in original units; unchanged by default."""
        return y

    def train_dataloader(self) -> DataLoader[Batch]:
        return self._loader("train", shuffle=True)

    def val_dataloader(self) -> DataLoader[Batch]:
        return self._loader("val")

    def test_dataloader(self) -> DataLoader[Batch]:
        return self._loader("test")

    def _get_loaded(self, splits: Mapping[Split, T], split: Split) -> T:
        """Return an entry of `splits`, which is empty before `setup`."""
        if not splits:
            raise RuntimeError(
                f"dataset {self.spec.name!r} is not loaded: call prepare_data() and setup() first"
            )
        return splits[split]

    def _loader(self, split: Split, *, shuffle: bool = False) -> DataLoader[Batch]:
        view = _SplitView(self, split)
        order: Sampler[int] = RandomSampler(view) if shuffle else SequentialSampler(view)
        batches = BatchSampler(order, self.batch_size, drop_last=False)
        return DataLoader(view, sampler=batches, batch_size=None)


class InMemory(BaseDataset):
    """A dataset that fits into memory; a subclass passes its `DataSpec` and implements `load`.

    To take half of the memory, speech may be stored as int16 and tokens as int32; in batches, they
    are converted to floats and int64. Where `load` returns `references`, they are positions in
    `_true_texts`, which the subclass sets.
    """

    def __init__(self, spec: DataSpec) -> None:
        super().__init__(spec)
        self._splits: dict[Split, Batch] = {}

    @abstractmethod
    def load(self) -> dict[Split, Batch]:
        """Return train, val and test, each as one batch; called once, must not download."""

    def setup(self, stage: str = "fit") -> None:
        """Load all splits on the first call; the stage is ignored."""
        if not self._splits:
            self._splits = self.load()

    def size(self, split: Split) -> int:
        """Return the number of samples; raise RuntimeError before `setup`."""
        return len(self._get_loaded(self._splits, split).x)

    def batch(self, split: Split, indices: Tensor) -> Batch:
        """Return the samples at `indices`, int64 (B,), without steps that only have padding."""
        x, y, lengths, y_lengths, references = self._get_loaded(self._splits, split)
        x, x_lengths = _select(x, lengths, indices)
        if self.spec.modality == "speech" and not x.is_floating_point():
            x = to_float_audio(x)
        if self.spec.task == "next_token":
            return Batch(x, _select(y, lengths, indices)[0], x_lengths)
        y, y_lengths = _select(y, y_lengths, indices)
        if self.spec.modality == "text":
            x, y = (tokens.long() if tokens.dtype == torch.int32 else tokens for tokens in (x, y))
        if references is not None:
            references = references.index_select(0, indices)
        return Batch(x, y, x_lengths, y_lengths, references)

    def lengths(self, split: Split) -> Tensor | None:
        """Return the number of valid steps of each sample, int64 (N,); None if not ragged."""
        return self._get_loaded(self._splits, split).lengths

    def transcripts(self) -> Transcripts | None:
        """Return the sizes of all samples (transcribe); None for other tasks."""
        result: dict[Split, list[tuple[str, int, list[int]]]] = {}
        for split, batch in self._splits.items():
            if self.spec.task != "transcribe" or batch.y_lengths is None:
                return None
            steps = [batch.x.shape[1]] * len(batch.x)
            steps = steps if batch.lengths is None else batch.lengths.tolist()
            rows = zip(steps, batch.y.tolist(), batch.y_lengths.tolist(), strict=True)
            result[split] = [(f"sample {k}", n, y[:u]) for k, (n, y, u) in enumerate(rows)]
        return result

    def fingerprint(self) -> str:
        """Return `sha256:…`, a hash of dtype, shape and bytes of all tensors, and of true texts."""
        digest = hashlib.sha256("".join(map(repr, self._true_texts)).encode())
        for split in get_args(Split):
            for field, tensor in self._get_loaded(self._splits, split)._asdict().items():
                if tensor is not None:
                    head = f"{split}.{field} {tensor.dtype} {tuple(tensor.shape)}\n"
                    digest.update(head.encode())
                    digest.update(tensor.contiguous().numpy())
        return f"sha256:{digest.hexdigest()}"


def to_float_audio(x: Tensor) -> Tensor:
    """Convert 16-bit audio samples to floats in [-1, 1]."""
    return x.float().div_(32768)


def _select(
    tensor: Tensor, lengths: Tensor | None, indices: Tensor
) -> tuple[Tensor, Tensor | None]:
    """Return rows of a tensor and their lengths, without columns that are padding in all rows.

    At least one column remains, because convolutional and recurrent networks need one step.
    """
    if lengths is None:
        return tensor.index_select(0, indices), None
    row_lengths = lengths.index_select(0, indices)
    longest = int(row_lengths.max()) if len(row_lengths) else 0
    return tensor[:, : max(1, longest)].index_select(0, indices), row_lengths


class _SplitView(TorchDataset[Batch]):
    """One split as a torch dataset; its index is a list of indices, its item a batch."""

    def __init__(self, data: BaseDataset, split: Split) -> None:
        self._data, self._split = data, split

    def __len__(self) -> int:
        return self._data.size(self._split)

    def __getitem__(self, indices: list[int]) -> Batch:
        return self._data.batch(self._split, torch.tensor(indices))
