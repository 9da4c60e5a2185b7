"""The contract of a dataset, as checks that raise AssertionError with a text an author can use."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args

import torch
from torch import Tensor

from quintain.contracts import Batch, Dataset, DataSpec, Split
from quintain.kit.mask import mask_of
from quintain.kit.references.simple import batches
from quintain.testing.specs import WRITTEN

MOST_DUPLICATES = 0.01  # share of a split whose input also stands in an earlier split
CARD = ("about", "source", "licence", "citation")
PIXELS = (torch.uint8, torch.float32)
DTYPES = {"text": (torch.long,), "image": PIXELS, "video": PIXELS}
CUT = ("next_token", "transcribe", "generate")
COMPARED = 64  # samples of a split
SPLITS: tuple[Split, ...] = get_args(Split)


@dataclass(frozen=True)
class Case:
    """A loaded dataset, how to make another, and its card (`dataset.card` of its YAML).

    Where the card has `neutral` settings, `make` takes them as keyword arguments.
    """

    dataset: Dataset
    make: Callable[..., Dataset]
    card: Mapping[str, Any]

    @classmethod
    def load(cls, make: Callable[..., Dataset], card: Mapping[str, Any]) -> Case:
        """Prepare and set up a fresh dataset."""
        return cls(_loaded(make), make, card)


Check = Callable[[Case], None]


def light(case: Case) -> None:
    """The constructor knows the spec already, before any download."""
    fresh = case.make().spec
    assert fresh == case.dataset.spec, f"the spec changed from {fresh} by setup; it must not"


def spec_matches(case: Case) -> None:
    """Shapes, dtypes and ranges of what `take` gives are those of the spec."""
    spec = case.dataset.spec
    for split, batch in _all(case):
        size = len(batch.x)
        expected = (size, *spec.shape)
        assert _within(batch.x, expected, cut=spec.ragged), (
            f"{split}: x is {tuple(batch.x.shape)}; the spec says {expected}"
        )
        assert batch.x.dtype in DTYPES.get(spec.modality, (torch.float32,)), (
            f"{split}: x is {batch.x.dtype}; text is long, pixels are bytes or floats, all else is"
            " float"
        )
        problem = _wrong_target(spec, batch)
        assert problem is None, f"{split}: {problem}"


def values(case: Case) -> None:
    """Inputs are finite; sound lies in [-1, 1], tokens in the vocabulary."""
    spec = case.dataset.spec
    for split, batch in _all(case):
        assert not batch.x.is_floating_point() or batch.x.isfinite().all(), f"{split}: x has NaN"
        low, high = float(batch.x.min()), float(batch.x.max())
        if spec.modality == "speech":
            assert low >= -1 and high <= 1, f"{split}: sound in [{low:g}, {high:g}], not [-1, 1]"
        if spec.modality == "text":
            assert low >= 0 and high < spec.vocabulary, (
                f"{split}: tokens {low:g} to {high:g}, but the vocabulary has {spec.vocabulary}"
            )


def lengths(case: Case) -> None:
    """Lengths come where the spec says ragged, lie within x, and leave zeros behind them."""
    spec = case.dataset.spec
    for split, batch in _all(case):
        assert (batch.lengths is not None) == spec.ragged, (
            f"{split}: the spec says ragged={spec.ragged}, lengths are {batch.lengths}"
        )
        if batch.lengths is None:
            continue
        low, high = int(batch.lengths.min()), int(batch.lengths.max())
        assert low >= 1 and high <= batch.x.shape[1], (
            f"{split}: lengths from {low} to {high}, but x has {batch.x.shape[1]} steps"
        )
        behind = batch.x[~mask_of(batch.lengths, batch.x.shape[1])]
        assert not behind.any(), f"{split}: x is not zero behind its lengths"


def splits(case: Case) -> None:
    """No split is empty, and hardly a sample stands in two of them."""
    seen: set[bytes] = set()
    for split in SPLITS:
        size = case.dataset.size(split)
        assert size > 0, f"split {split} is empty"
        mine = [_digest(x) for batch in batches(case.dataset, split) for x in batch.x]
        assert len(mine) == size, f"size({split!r}) is {size}, but take gives {len(mine)}"
        share = sum(digest in seen for digest in mine) / size
        assert share <= MOST_DUPLICATES, (
            f"{share:.1%} of {split} stands in an earlier split, bit for bit; at most "
            f"{MOST_DUPLICATES:.0%} may: split by content, or drop duplicates first"
        )
        seen |= set(mine)


def fingerprint(case: Case) -> None:
    """Loaded twice, the data has the same fingerprint, and it is the one on its card, if any."""
    first, second = case.dataset.fingerprint(), _loaded(case.make).fingerprint()
    assert first.startswith("sha256:"), f"a fingerprint starts with sha256:, not {first[:12]!r}"
    assert first == second, f"two loads differ: {first} and {second}"
    stated = case.card.get("fingerprint")
    assert stated in (None, first), f"the card says {stated}, the data {first}"


def neutral(case: Case) -> None:
    """Settings that the card calls neutral change neither the data nor their lengths."""
    others = case.card.get("neutral") or {}
    if not others:
        return
    ours, other = case.dataset, _loaded(lambda: case.make(**others))
    said = ", ".join(f"{name}={value}" for name, value in others.items())
    assert other.fingerprint() == ours.fingerprint(), f"with {said} the fingerprint is another"
    for split in SPLITS:
        size = ours.size(split)
        assert other.size(split) == size, f"with {said} {split} has another size"
        some = torch.arange(size).flip(0)[:COMPARED]
        pairs = [*zip(ours.take(split, some), other.take(split, some), strict=True)]
        pairs.append((ours.lengths(split), other.lengths(split)))
        assert all(_same(one, two) for one, two in pairs), f"with {said} {split} is another"


def card_complete(case: Case) -> None:
    """The card says what the data is, where it comes from, its licence and whom to cite."""
    missing = [key for key in CARD if not case.card.get(key)]
    assert not missing, f"the card lacks {', '.join(missing)}"
    stated = case.card.get("counts")
    counts = {split: case.dataset.size(split) for split in SPLITS}
    assert stated is None or dict(stated) == counts, f"the card counts {stated}, the data {counts}"


DATASET_CHECKS: tuple[tuple[str, Check], ...] = (
    ("light", light),
    ("spec_matches", spec_matches),
    ("values", values),
    ("lengths", lengths),
    ("splits", splits),
    ("fingerprint", fingerprint),
    ("neutral", neutral),
    ("card_complete", card_complete),
)
"""What a dataset must pass."""


def _loaded(make: Callable[[], Dataset]) -> Dataset:
    dataset = make()
    dataset.prepare_data()
    dataset.setup("fit")
    return dataset


def _same(one: Tensor | None, two: Tensor | None) -> bool:
    if one is None or two is None:
        return one is two
    return one.dtype == two.dtype and torch.equal(one, two)


def _all(case: Case) -> Iterator[tuple[Split, Batch]]:
    for split in SPLITS:
        for batch in batches(case.dataset, split):
            yield split, batch


def _wrong_target(spec: DataSpec, batch: Batch) -> str | None:
    size = len(batch.x)
    expected = {
        "classify": (size,),
        "next_token": (size, *spec.shape),
        "regress": (size, len(spec.targets)),
        "forecast": (size, spec.horizon, len(spec.targets) or spec.shape[-1]),
        "transcribe": (size, spec.target_length),
        "generate": (size, spec.target_length),
    }[spec.task]
    if not _within(batch.y, expected, cut=spec.task in CUT):
        return f"y is {tuple(batch.y.shape)}; {spec.task} needs {expected}"
    if spec.task in ("regress", "forecast"):
        return None if batch.y.isfinite().all() else "y has NaN"
    if spec.task in WRITTEN and (problem := _wrong_lengths(batch)):
        return problem
    known = {"classify": len(spec.classes), "next_token": spec.vocabulary}
    most = known.get(spec.task, spec.symbols)
    low, high = batch.y.min(), batch.y.max()
    if batch.y.dtype != torch.long or low < 0 or high >= most:
        return f"y must be long from 0 to {most - 1}; it is {batch.y.dtype} from {low} to {high}"
    if spec.task == "next_token" and not _shifted(batch):
        return "y[:, t] must be x[:, t + 1]"
    return None


def _within(value: Tensor, expected: tuple[int, ...], *, cut: bool) -> bool:
    """Of this shape; where `cut`, the second axis may be shorter."""
    came = tuple(value.shape)
    if cut and len(came) == len(expected) and came[1] <= expected[1]:
        return came[0] == expected[0] and came[2:] == expected[2:]
    return came == expected


def _wrong_lengths(batch: Batch) -> str | None:
    lengths, longest = batch.y_lengths, batch.y.shape[1]
    if lengths is None or tuple(lengths.shape) != (len(batch.y),):
        return f"y_lengths must count the symbols of each y; they are {lengths}"
    if lengths.min() < 0 or lengths.max() > longest:
        return f"y_lengths go from {lengths.min()} to {lengths.max()}, but y has {longest} columns"
    behind = batch.y[~mask_of(lengths, longest)]
    return "y is not zero behind its y_lengths" if behind.any() else None


def _shifted(batch: Batch) -> bool:
    now, following = batch.y[:, :-1], batch.x[:, 1:]
    if batch.lengths is None:
        return torch.equal(now, following)
    real = mask_of(batch.lengths - 1, now.shape[1])
    return torch.equal(now[real], following[real])


def _digest(x: Tensor) -> bytes:
    return hashlib.blake2b(x.contiguous().numpy().tobytes(), digest_size=16).digest()
