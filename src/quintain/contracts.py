"""The one page a plugin author reads: what a dataset, stem, model, head and hardware must offer.

    dataset ──► stem ──(B, *grid, dim)──► core ──(B, *grid, dim)──► head ──► loss, scores

A *dataset* publishes a `DataSpec`. A *stem* knows the modality and turns a batch into features.
The *core* (what `model=` chooses) knows neither data nor task. A *head* knows the task.
All three are ordinary `torch.nn.Module`s; nothing has to be subclassed or registered.

Legend for shapes: B batch, T steps along the first axis, D features, grid (T, ...) without B, D.
This module imports no torch, so configuration, records and reports stay light.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Protocol

if TYPE_CHECKING:
    from torch import Tensor
    from torchmetrics import Metric

Modality = Literal["image", "video", "speech", "text", "series"]
Task = Literal["classify", "regress", "forecast", "next_token", "transcribe", "generate"]
Split = Literal["train", "val", "test"]
Reads = Literal["grid", "sequence"]
Asks = Literal["summary", "positions", "memory"]
Side = Literal["x", "y"]
Direction = Literal["max", "min"]


class Skip(Exception):
    """Raised by a stem, core or head that cannot serve what it is given; its text is the reason.

    Preflight builds every cell on the meta device, so the cell is listed as *skipped*, with this
    reason, before any data or accelerator is touched.
    """


class Batch(NamedTuple):
    """Some samples of one split.

    | modality | x | task | y |
    | --- | --- | --- | --- |
    | image | pixels (B, C, H, W) | classify | long (B,) |
    | video | pixels (B, T, C, H, W) | regress | float (B, targets), standardised |
    | speech | float (B, N) samples in [-1, 1] | forecast | float (B, horizon, targets), the same |
    | text | long (B, T) | next_token | long (B, T), `y[:, t] = x[:, t + 1]` |
    | series | float (B, T, channels), standardised | transcribe, generate | long (B, U) |

    Pixels are bytes (uint8) or floats in [0, 1]. Standardised is by the train split.
    `lengths`, long (B,), counts the valid steps of `x` along axis 1; None where all are valid.
    `y_lengths`, long (B,), counts the symbols of `y` of transcribe and generate; else None.
    What lies behind a sample's length is zero and must change no result. A batch may be cut to
    its own longest sample.
    """

    x: Tensor
    y: Tensor
    lengths: Tensor | None = None
    y_lengths: Tensor | None = None


@dataclass(frozen=True, kw_only=True)
class Lexicon:
    """How the words of transcripts are spelt: each as its symbols, and the symbol between two.

    None where a transcript is one word.
    """

    words: tuple[tuple[int, ...], ...]
    between: int | None = None


@dataclass(frozen=True, kw_only=True)
class DataSpec:
    """What a dataset says of itself before it is loaded. Sizes never stand in YAML.

    `shape` is that of one sample's `x` as `Batch` has it, without B; for ragged data its first
    entry is the longest length. A dataset knows all this in `__init__`, before any download.
    """

    name: str
    modality: Modality
    task: Task
    shape: tuple[int, ...]
    classes: tuple[str, ...] = ()  # classify: names, in the order of the labels
    vocabulary: int = 0  # text: number of token types
    sample_rate: int = 0  # speech: Hz
    targets: tuple[str, ...] = ()  # regress, forecast: names of what is predicted; a forecast is
    # of x's first channels, so many as there are names; () = of all channels
    horizon: int = 0  # forecast: steps to predict
    season: int = 0  # forecast: steps of one season, for the seasonal-naive reference; 0 = none
    symbols: int = 0  # transcribe, generate: number of symbol types, 0 … symbols - 1; what else a
    # head needs (blank, begin, end) is its own
    target_length: int = 0  # transcribe, generate: the longest y
    lexicon: Lexicon | None = None  # transcribe: the words of the train split, where they are spelt
    separator: str = ""  # text: what stands between two tokens, for counts of characters
    ragged: bool = False  # samples differ in length: batches carry `lengths`
    generated: bool = False  # made by a program, not observed; shown wherever the name appears


@dataclass(frozen=True, kw_only=True)
class Features:
    """What flows between stem, core and head: a tensor (B, *grid, dim) and a mask or None.

    The mask, bool (B, grid[0]), is True where a step is real; only the first axis can be ragged.

    Args:
        dim: size of the last axis.
        grid: sizes of the axes between batch and features; for ragged data the largest.
        masked: a mask comes with the tensor.
        causal: position t may depend on positions ≤ t only (of a one-axis grid).
        asks: what the head will do with the core's output. "summary": a mean and the last step, so
            the core may shrink the grid as it likes. "positions": one output at each position of
            the first axis, in order; the core must keep it and folds other axes into the features,
            (B, grid[0], dim). "memory": something to attend to; one axis of any length.
    """

    dim: int
    grid: tuple[int, ...]
    masked: bool = False
    causal: bool = False
    asks: Asks = "summary"


class Stem(Protocol):
    """Modality → features. Built as `stem(spec, reads=core.reads, **yaml)`.

    `reads` says how the core wants the data: "grid" keeps the natural axes (an image is (H, W)),
    "sequence" makes one axis (an image is H rows). `reading` names the choice for the record.
    """

    out: Features
    reading: str

    def __call__(self, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """`Batch.x`, `Batch.lengths` → features (B, *grid, dim), mask (B, grid[0]) or None."""
        ...


class Core(Protocol):
    """Features → features; an architecture. Built as `core(stem.out, width=..., **yaml)`.

    `width` is a float that scales every inner size, so that a parameter budget can be met closely;
    `quintain.kit.widths` turns it into layer sizes. Where `inp.masked`, what stands behind the mask
    must not change what stands before it; where `inp.causal`, the future must not change the past.
    Raise `Skip(reason)` in `__init__` for features the architecture cannot serve.
    """

    reads: ClassVar[Reads]
    out: Features

    def __call__(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """(B, *inp.grid, inp.dim), mask → (B, *out.grid, out.dim), mask of out.grid[0] or None."""
        ...


MakeCore = Callable[[Features], Core]
"""Builds another core of the same architecture and width: how a head gets its decoder."""

Json = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Score:
    """One measure of quality: its name, which way is better, and its unit."""

    name: str
    direction: Direction
    unit: str


class Head(Protocol):
    """Features → prediction, loss and scores. Built as `head(core.out, spec, make_core, **yaml)`.

    `causal` and `asks` are handed to the core in its `Features`.
    `scores[0]` is the main one: it chooses the weights (on validation) and ranks the models.
    `references` are the free rows of every dataset: a name, and a function of the dataset and its
    stem (reading "sequence") that fits on the train split and returns a predictor, whose result
    stands for that of `answer`. The first is the naive one.
    """

    causal: ClassVar[bool]
    asks: ClassVar[Asks]
    references: ClassVar[Mapping[str, Callable[[Dataset, Stem], Predictor]]]

    @property
    def scores(self) -> tuple[Score, ...]: ...

    def __call__(self, x: Tensor, mask: Tensor | None, batch: Batch) -> Tensor:
        """Features (B, *grid, dim) → prediction: logits or values, B first. May read `batch.y`."""
        ...

    def loss(self, prediction: Tensor, batch: Batch) -> Tensor:
        """Prediction, batch → the scalar that training lowers (a mean over what is predicted)."""
        ...

    def weight(self, batch: Batch) -> int:
        """How many things `loss` is a mean over: samples, or the symbols that are predicted.

        The loss of a batch is the mean of its parts' losses by their weights, which is what lets
        several devices, or several smaller steps, train as one.
        """
        ...

    def answer(self, x: Tensor, mask: Tensor | None, batch: Batch) -> Tensor:
        """What is scored and shown, B first; must not read `batch.y`.

        For most tasks the prediction itself; of transcribe and generate the symbols that were
        found, long (B, U), -1 behind the end of each.
        """
        ...

    def metrics(self, dataset: Dataset) -> dict[str, Metric]:
        """A fresh torchmetrics object for each of `scores`, by name; the dataset is set up."""
        ...

    def update(self, metrics: dict[str, Metric], answer: Tensor, batch: Batch) -> None:
        """Add one batch to the metrics, each real position counted once."""
        ...

    def samples(self, answer: Tensor, batch: Batch, dataset: Dataset) -> list[Json]:
        """For each sample `{"truth": …, "prediction": …}` as JSON has it, for people to look at."""
        ...


Predictor = Callable[[Batch], "Tensor"]


class Dataset(Protocol):
    """Real or generated data with fixed splits; `quintain.kit.dataset` has the usual base class.

    `prepare_data` downloads and verifies, once a machine; `setup` loads. Neither runs in
    `__init__`. The same samples come in the same order on every machine.
    """

    spec: DataSpec

    def prepare_data(self) -> None: ...

    def setup(self, stage: str) -> None: ...

    def size(self, split: Split) -> int:
        """Number of samples in a split, after `setup`."""
        ...

    def take(self, split: Split, indices: Tensor) -> Batch:
        """The samples at `indices`, long (B,), as one batch."""
        ...

    def lengths(self, split: Split) -> Tensor | None:
        """Valid steps of `x` of each sample, long (N,); None: all are equal, or must be read."""
        ...

    def fingerprint(self) -> str:
        """`sha256:` of the content of all splits: the same data has the same fingerprint."""
        ...

    def text(self, tokens: Sequence[int], side: Side) -> str:
        """Tokens of `x` (modality text) or `y` (transcribe, generate) → what a person reads."""
        ...

    def restore(self, y: Tensor) -> Tensor:
        """Targets of regress and forecast, (B, …, targets) → in their own units."""
        ...


class Meter(Protocol):
    """Measures one thing over a run; a value that cannot be had is absent, with a reason."""

    name: str

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def read(self) -> float | str:
        """The value in the unit the name says, or the reason why there is none."""
        ...


class Hardware(Protocol):
    """Where a run executes. Imports no torch before a method needs it: planning asks `missing`."""

    def missing(self) -> str | None:
        """None where this machine has the devices, else what is not there."""
        ...

    def trainer_arguments(self) -> dict[str, Any]:
        """Keyword arguments for `pytorch_lightning.Trainer` (accelerator, devices, precision…)."""
        ...

    def threads(self) -> int:
        """Number of CPU threads that one run may use."""
        ...

    def meters(self) -> list[Meter]:
        """Fresh meters of this hardware."""
        ...

    def synchronize(self) -> None:
        """Wait until the device has done what it was given, so that clocks read true."""
        ...
