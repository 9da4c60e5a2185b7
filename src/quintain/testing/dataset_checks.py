"""Checks that a dataset keeps its contract; an AssertionError tells its author what to fix."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args

import torch
from torch import Tensor

from quintain.baselines.batches import iterate_batches
from quintain.contracts import Batch, Dataset, DataSpec, Split
from quintain.nn.mask import length_mask
from quintain.testing.specs import SYMBOL_TASKS

MAX_DUPLICATES = 0.01  # fraction of a split whose inputs may occur in an earlier split too
REQUIRED_CARD_FIELDS = ("about", "source", "licence", "citation")
PIXEL_DTYPES = (torch.uint8, torch.float32)
DTYPES = {"text": (torch.long,), "image": PIXEL_DTYPES, "video": PIXEL_DTYPES}
"""Accepted dtypes of x by modality; those of other modalities must be float32."""
RAGGED_TARGET_TASKS = ("next_token", *SYMBOL_TASKS)
COMPARED_SAMPLES = 64  # of each split, loaded with and without the card's `neutral` settings
SPLITS: tuple[Split, ...] = get_args(Split)


@dataclass(frozen=True)
class Case:
    """A dataset to check."""

    dataset: Dataset  # prepared and set up
    make: Callable[..., Dataset]  # builds it again, with settings as keywords
    card: Mapping[str, Any]  # `dataset.card` of its YAML; its `neutral` settings change no data

    @classmethod
    def load(cls, make: Callable[..., Dataset], card: Mapping[str, Any]) -> Case:
        """Build a dataset, prepare it and set it up."""
        return cls(_load_dataset(make), make, card)


Check = Callable[[Case], None]


def check_spec_before_setup(case: Case) -> None:
    """The spec is complete after `__init__`, before any download."""
    before, after = case.make().spec, case.dataset.spec
    assert before == after, (
        f"setup changed the spec from {before} to {after}; it must be complete in __init__"
    )


def check_batches(case: Case) -> None:
    """Shapes and dtypes of batches match the spec."""
    spec = case.dataset.spec
    for split, batch in _all_batches(case):
        size = len(batch.x)
        expected = (size, *spec.shape)
        assert _has_shape(batch.x, expected, ragged=spec.ragged), (
            f"{split}: x has shape {tuple(batch.x.shape)}; the spec describes {expected}"
        )
        dtypes = DTYPES.get(spec.modality, (torch.float32,))
        assert batch.x.dtype in dtypes, (
            f"{split}: x is {batch.x.dtype}; expected {' or '.join(map(str, dtypes))} for"
            f" {spec.modality}"
        )
        for number in [] if batch.references is None else batch.references.tolist():
            assert case.dataset.references(number), f"{split}: sample {number} has no true text"  # type: ignore[attr-defined]
        problem = _find_target_problem(spec, batch)
        assert problem is None, f"{split}: {problem}"


def check_values(case: Case) -> None:
    """Inputs are finite; audio is in [-1, 1], tokens are in the vocabulary."""
    spec = case.dataset.spec
    for split, batch in _all_batches(case):
        assert not batch.x.is_floating_point() or batch.x.isfinite().all(), (
            f"{split}: x has NaN or infinity"
        )
        low, high = float(batch.x.min()), float(batch.x.max())
        if spec.modality == "speech":
            assert low >= -1 and high <= 1, (
                f"{split}: audio must be in [-1, 1], got [{low:g}, {high:g}]"
            )
        if spec.modality == "text":
            assert low >= 0 and high < spec.vocabulary, (
                f"{split}: tokens are from {low:g} to {high:g}, but the vocabulary has"
                f" {spec.vocabulary} token types"
            )


def check_lengths(case: Case) -> None:
    """Ragged data has lengths; they are not beyond x, and x is zero after them."""
    spec = case.dataset.spec
    for split, batch in _all_batches(case):
        assert (batch.lengths is not None) == spec.ragged, (
            f"{split}: the spec has ragged={spec.ragged}, but the lengths are {batch.lengths}"
        )
        if batch.lengths is None:
            continue
        low, high = int(batch.lengths.min()), int(batch.lengths.max())
        assert low >= 1 and high <= batch.x.shape[1], (
            f"{split}: lengths are from {low} to {high}, but x has {batch.x.shape[1]} steps"
        )
        padding = batch.x[~length_mask(batch.lengths, batch.x.shape[1])]
        assert not padding.any(), f"{split}: x is not zero after its lengths"


def check_splits(case: Case) -> None:
    """No split is empty, and at most 1 % of its inputs occur in an earlier split."""
    earlier: set[bytes] = set()
    for split in SPLITS:
        size = case.dataset.size(split)
        assert size > 0, f"split {split} is empty"
        hashes = [_hash(x) for batch in iterate_batches(case.dataset, split) for x in batch.x]
        assert len(hashes) == size, (
            f"size({split!r}) is {size}, but its batches have {len(hashes)} samples"
        )
        share = sum(digest in earlier for digest in hashes) / size
        assert share <= MAX_DUPLICATES, (
            f"{share:.1%} of the inputs of {split} occur in an earlier split, bit for bit; at most"
            f" {MAX_DUPLICATES:.0%} may: drop duplicates before splitting"
        )
        earlier |= set(hashes)


def check_fingerprint(case: Case) -> None:
    """The fingerprint is the same if the dataset is loaded again, and equals that of the card."""
    first, second = case.dataset.fingerprint(), _load_dataset(case.make).fingerprint()
    assert first.startswith("sha256:"), f"a fingerprint starts with sha256:, got {first[:12]!r}"
    assert first == second, f"the fingerprint differs between two loads: {first} and {second}"
    expected = case.card.get("fingerprint")
    assert expected in (None, first), f"the fingerprint is {first}; the card has {expected}"


def check_neutral_settings(case: Case) -> None:
    """The card's `neutral` settings change neither the data nor their lengths."""
    settings = case.card.get("neutral") or {}
    if not settings:
        return
    dataset, other = case.dataset, _load_dataset(lambda: case.make(**settings))
    described = ", ".join(f"{name}={value}" for name, value in settings.items())
    assert other.fingerprint() == dataset.fingerprint(), f"{described} changes the fingerprint"
    for split in SPLITS:
        size = dataset.size(split)
        assert other.size(split) == size, f"{described} changes the size of {split}"
        indices = torch.arange(size).flip(0)[:COMPARED_SAMPLES]  # backwards: another order
        pairs = [
            *zip(dataset.batch(split, indices), other.batch(split, indices), strict=True),
            (dataset.lengths(split), other.lengths(split)),
        ]
        assert all(_is_equal(a, b) for a, b in pairs), f"{described} changes {split}"


def check_card(case: Case) -> None:
    """The card has a description, source, licence and citation, and correct counts if any."""
    missing = [key for key in REQUIRED_CARD_FIELDS if not case.card.get(key)]
    assert not missing, f"the card lacks {', '.join(missing)}"
    expected = case.card.get("counts")
    sizes = {split: case.dataset.size(split) for split in SPLITS}
    assert expected is None or dict(expected) == sizes, (
        f"the splits have {sizes} samples; the card has counts {expected}"
    )


DATASET_CHECKS: tuple[tuple[str, Check], ...] = tuple(
    (check.__name__.removeprefix("check_"), check)
    for check in (
        check_spec_before_setup, check_batches, check_values, check_lengths, check_splits,
        check_fingerprint, check_neutral_settings, check_card,
    )
)  # fmt: skip
"""Names and functions of the checks, all of which a dataset must pass."""


def _load_dataset(make: Callable[[], Dataset]) -> Dataset:
    dataset = make()
    dataset.prepare_data()
    dataset.setup("fit")
    return dataset


def _is_equal(a: Tensor | None, b: Tensor | None) -> bool:
    if a is None or b is None:
        return a is b
    return a.dtype == b.dtype and torch.equal(a, b)


def _all_batches(case: Case) -> Iterator[tuple[Split, Batch]]:
    for split in SPLITS:
        for batch in iterate_batches(case.dataset, split):
            yield split, batch


def _find_target_problem(spec: DataSpec, batch: Batch) -> str | None:
    """Return what is wrong with y, or None."""
    size = len(batch.x)
    expected = {
        "classify": (size,),
        "next_token": (size, *spec.shape),
        "multilabel": (size, len(spec.classes)),
        "regress": (size, len(spec.targets)),
        "forecast": (size, spec.horizon, len(spec.targets) or spec.shape[-1]),
        "transcribe": (size, spec.target_length),
        "generate": (size, spec.target_length),
    }[spec.task]
    if not _has_shape(batch.y, expected, ragged=spec.task in RAGGED_TARGET_TASKS):
        return f"y has shape {tuple(batch.y.shape)}; {spec.task} needs {expected}"
    if spec.task == "multilabel":
        is_binary = batch.y.is_floating_point() and bool(((batch.y == 0) | (batch.y == 1)).all())
        return None if is_binary else "y must be floats, 0 or 1"
    if spec.task in ("regress", "forecast"):
        return None if batch.y.isfinite().all() else "y has NaN or infinity"
    if spec.task in SYMBOL_TASKS and (problem := _find_y_lengths_problem(batch)):
        return problem
    number = {"classify": len(spec.classes), "next_token": spec.vocabulary}
    highest = number.get(spec.task, spec.symbols) - 1
    low, high = batch.y.min(), batch.y.max()
    if batch.y.dtype != torch.long or low < 0 or high > highest:
        return f"y must be long, from 0 to {highest}; got {batch.y.dtype} from {low} to {high}"
    if spec.task == "next_token" and not _is_shifted(batch):
        return "y[:, t] must be x[:, t + 1]"
    return None


def _has_shape(value: Tensor, expected: tuple[int, ...], *, ragged: bool) -> bool:
    """Return whether a tensor has this shape; if `ragged`, its second axis may be shorter."""
    shape = tuple(value.shape)
    if ragged and len(shape) == len(expected) and shape[1] <= expected[1]:
        return shape[0] == expected[0] and shape[2:] == expected[2:]
    return shape == expected


def _find_y_lengths_problem(batch: Batch) -> str | None:
    lengths, longest = batch.y_lengths, batch.y.shape[1]
    if lengths is None or tuple(lengths.shape) != (len(batch.y),):
        return f"y_lengths must count the symbols of each y, got {lengths}"
    if lengths.min() < 0 or lengths.max() > longest:
        return f"y_lengths are from {lengths.min()} to {lengths.max()}, but y has {longest} columns"
    padding = batch.y[~length_mask(lengths, longest)]
    return "y is not zero after its y_lengths" if padding.any() else None


def _is_shifted(batch: Batch) -> bool:
    """Return whether y[:, t] is x[:, t + 1] at valid steps."""
    targets, next_tokens = batch.y[:, :-1], batch.x[:, 1:]
    if batch.lengths is None:
        return torch.equal(targets, next_tokens)
    mask = length_mask(batch.lengths - 1, targets.shape[1])
    return torch.equal(targets[mask], next_tokens[mask])


def _hash(x: Tensor) -> bytes:
    return hashlib.blake2b(x.contiguous().numpy().tobytes(), digest_size=16).digest()
