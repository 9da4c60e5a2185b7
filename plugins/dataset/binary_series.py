"""A user's table of series of 0 and 1, such as piano rolls: which values are 1 at the next step?

Legend: S rows of all series, N samples, B samples of a batch, T look-back, K columns.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from quintain.contracts import Batch, DataSpec, Split
from quintain.data.base import BaseDataset
from quintain.data.tables.binary_rows import BinaryRows, BinarySettings, read_binary_splits
from quintain.data.tables.columns import to_column_names
from quintain.data.tables.targets import Columns
from quintain.data.user_files.splits import SPLITS, split_summary


class BinarySeries(BaseDataset):
    """x (look_back, K) of 0 and 1; y (K,), the values of the next step (head=multilabel).

    Each step except the first of its series is a target once. Before the beginning of a series x is
    zero. Values are not standardised. Series are split 70 / 10 / 20 by their content, a single one
    in order of time.

    Args:
        path: CSV, TSV, JSON lines (.jsonl) or Parquet; text may be gzipped (.gz).
        group: column that identifies the series of each row; None: all rows are one series.
        label: columns of 0 and 1; None: all columns that have only these values.
        time: column that orders the rows of a series; None: a column with a usual name (t, step,
            time, …), else the order of the file.
        look_back: steps of the input.
        val_path, test_path: tables with the same columns. A column named split (train, val, test)
            is used too.
        delimiter: delimiter of a CSV file; None: inferred.

    Raises:
        DataError: one message with all problems of the files.
        ValueError: a setting is invalid.
    """

    def __init__(
        self,
        path: str,
        group: str | int | None = None,
        label: Columns = None,
        time: str | int | None = None,
        look_back: int = 16,
        val_path: str | None = None,
        test_path: str | None = None,
        delimiter: str | None = None,
    ) -> None:
        if look_back < 1:
            raise ValueError(f"look_back must be 1 or more, got {look_back}")
        settings = BinarySettings(
            group=None if group is None else str(group),
            labels=tuple(to_column_names(label) or ()),
            time=None if time is None else str(time),
            delimiter=delimiter,
        )
        paths: Mapping[Split, str | None] = {"train": path, "val": val_path, "test": test_path}
        self._rows, notes = read_binary_splits(paths, settings)
        self._look_back = look_back
        names = self._rows["train"].labels
        spec = DataSpec(
            name="binary_series", modality="series", task="multilabel",
            shape=(look_back, len(names)), classes=names,
        )  # fmt: skip
        super().__init__(spec)
        self.notes = (*notes, *_value_notes(self._rows, names))

    def setup(self, stage: str = "fit") -> None:
        """Do nothing: the constructor has read the tables."""

    def size(self, split: Split) -> int:
        return len(self._rows[split].targets)

    def batch(self, split: Split, indices: Tensor) -> Batch:
        """Return the samples at `indices`, int64 (B,)."""
        rows = self._rows[split]
        target_B, first_B = rows.targets[indices], rows.starts[indices]
        row_BT = target_B[:, None] - self._look_back + torch.arange(self._look_back)
        is_inside_BT1 = (row_BT >= first_B[:, None])[..., None]
        x_BTK = rows.values[row_BT.clamp(min=0)] * is_inside_BT1
        return Batch(x_BTK.float(), rows.values[target_B].float())

    def fingerprint(self) -> str:
        """Return the hash of the values and of the targets of all splits."""
        digest = hashlib.sha256(f"{self.spec.classes} {self._look_back}\n".encode())
        for split in SPLITS:
            rows = self._rows[split]
            for tensor in (rows.values, rows.targets, rows.starts):
                digest.update(f"{split} {tuple(tensor.shape)}\n".encode())
                digest.update(tensor.numpy().tobytes())
        return f"sha256:{digest.hexdigest()}"


def _value_notes(rows: Mapping[Split, BinaryRows], names: Sequence[str]) -> list[str]:
    """Return notes on the number of ones, and on columns without a 1."""
    targets = {split: r.values[r.targets].float() for split, r in rows.items()}
    mean = float(torch.cat([*targets.values()]).sum(1).mean())
    notes = [f"{len(names):,} columns of 0 and 1; {mean:.3g} are 1 at a step on average"]
    for split, y in targets.items():
        if absent := int((~y.any(0)).sum()):
            notes.append(f"columns that are never 1 in {split}: {absent:,}")
    method = "the steps to predict"
    return [*notes, split_summary({split: y for split, y in targets.items()}, method)]
