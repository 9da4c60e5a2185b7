"""The contracts of plugins: the interfaces of datasets, stems, cores, heads, hardware and meters.

    dataset ──► stem ──(B, *grid, dim)──► core ──(B, *grid, dim)──► head ──► loss, scores

A *dataset* describes itself with a `DataSpec` and returns batches. A *stem* turns the inputs of
one modality into features. The *core* is the architecture that `model=` selects; it depends on
neither data nor task. A *head* turns the core's output into predictions, loss and scores of one
task. *Hardware* defines where a run executes and which *meters* measure it.

A plugin is any class with the attributes and methods of its protocol below; nothing has to be
subclassed or registered. Stems, cores and heads are `torch.nn.Module`s. `quintain new` writes
examples; short ones in `plugins/` are `dataset/sunspots.py`, `model/mlp.py`, `stem/text.py`,
`head/regress.py` and `hardware/cpu.py`.

Shapes: B samples of a batch, T steps of the first axis, C channels, U symbols of a target,
dim features, grid = the sizes of all axes between B and dim, as in (B, *grid, dim).
This module imports no torch, so that configuration, records and reports load quickly.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Protocol

if TYPE_CHECKING:
    from torch import Tensor
    from torchmetrics import Metric

Modality = Literal["image", "video", "speech", "text", "series"]
Task = Literal[
    "classify", "multilabel", "regress", "forecast", "next_token", "transcribe", "generate"
]
Split = Literal["train", "val", "test"]
InputLayout = Literal["grid", "sequence"]
OutputMode = Literal["summary", "positions", "memory"]
Side = Literal["x", "y"]
Direction = Literal["max", "min"]


class Unsupported(Exception):
    """Raised by a stem, core or head that does not support its input; the message is the reason.
    Before a sweep, every model is built on the meta device; this error marks its runs as skipped.
    """


class Batch(NamedTuple):
    """Samples of one split: inputs x, targets y and their lengths.

    x by modality:
    * image: pixels (B, C, H, W), uint8 or float in [0, 1]; video: the same, (B, T, C, H, W)
    * speech: float (B, T) in [-1, 1]; text: long (B, T), tokens
    * series: float (B, T, C), standardised

    y by task:
    * classify: long (B,); next_token: long (B, T), `y[:, t] = x[:, t + 1]`
    * multilabel: float (B, labels), 1 where a label applies, else 0
    * regress: float (B, targets), standardised; forecast: the same, (B, horizon, targets)
    * transcribe, generate: long (B, U), symbols

    Standardised values have mean 0 and standard deviation 1 in the train split. Steps after a
    length are zero and must not change any result. A batch may be cut to its longest sample.
    """

    x: Tensor
    y: Tensor
    lengths: Tensor | None = None  # long (B,): valid steps of x along axis 1; None: all
    y_lengths: Tensor | None = None  # long (B,): valid symbols of y; transcribe, generate only
    references: Tensor | None = None  # long (B,), for `references` of the dataset


Transcripts = Mapping[Split, Sequence[tuple[str, int, Sequence[int]]]]
"""For each sample of task transcribe its name for messages, valid steps of x, and symbols of y."""


@dataclass(frozen=True, kw_only=True)
class Lexicon:
    """The words of a transcription dataset, for decoding that is constrained to these words."""

    words: tuple[tuple[int, ...], ...]  # each word as a sequence of symbols
    between: int | None = None  # the symbol between two words; None: one word per transcript


@dataclass(frozen=True, kw_only=True)
class DataSpec:
    """The description of a dataset; complete in `__init__`, before anything is downloaded.

    Input and output sizes of models are derived from it, so the YAML of a model has none.
    """

    name: str  # the option's name, as in `dataset=digits`
    modality: Modality
    task: Task
    shape: tuple[int, ...]  # of one sample's x, without B; if ragged, the first size is the largest
    classes: tuple[str, ...] = ()  # classify, multilabel: names in the order of the labels
    vocabulary: int = 0  # text: number of token types of x
    sample_rate: int = 0  # speech: in Hz
    targets: tuple[str, ...] = ()  # regress: names of the values; forecast: of the first channels
    # of x, which are predicted; (): all channels are
    horizon: int = 0  # forecast: number of steps to predict
    season: int = 0  # forecast: steps of a season, for the seasonal-naive baseline; 0: none
    symbols: int = 0  # transcribe, generate: number of symbol types of y, without special symbols
    target_length: int = 0  # transcribe, generate: length of the longest y
    bleu_tokens: str = "13a"  # generate: tokenizer of sacrebleu that suits the language of y
    lexicon: Lexicon | None = None  # transcribe: words of the train split, if symbols are letters
    separator: str = ""  # text: the string between two tokens, counted in bits per character
    ragged: bool = False  # samples differ in length, so batches have `lengths`
    generated: bool = False  # synthetic, not observed; reports show this next to the name


@dataclass(frozen=True, kw_only=True)
class Features:
    """The description of a tensor (B, *grid, dim) between stem, core and head, and of its mask.

    The mask, bool (B, grid[0]), is True at valid steps. Only the first axis of the grid can be
    ragged, and a batch may be shorter than grid[0]. `output_mode` is the use of the core's output:
    * "summary": the head uses the mean and the last step, so the core may change the grid;
    * "positions": the head predicts at each step of the first axis. The core keeps this axis and
      its order, and flattens other axes into the features: (B, grid[0], dim);
    * "memory": a decoder attends to the output, which has one axis of any length.
    """

    dim: int  # size of the last axis
    grid: tuple[int, ...]  # sizes of the axes between B and dim; the largest ones of ragged data
    masked: bool = False  # a mask comes with the tensor
    causal: bool = False  # the output at step t may depend on inputs at steps ≤ t only
    output_mode: OutputMode = "summary"


class Stem(Protocol):
    """A module that turns inputs into features; built as `Stem(spec, input_layout=…, **settings)`.

    The core defines the `input_layout`. "grid" keeps the axes of the data, such as (H, W) of an
    image; "sequence" makes one axis, such as the H rows of an image.
    """

    out: Features  # describes the output
    layout: str  # the axes of the grid in words, such as "rows"; stored in the record of a run

    def __call__(self, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Turn `Batch.x` and `Batch.lengths` into features (B, *grid, dim) and a mask or None."""


class OptionalStemAttributes(Protocol):
    def count_steps(self, lengths: Tensor) -> Tensor:
        """Return the least valid steps of the output, after augmentation, for those of x, (N,)."""


class Core(Protocol):
    """A module that turns features into features; built as `Core(inp, width=…, **settings)`.

    `inp` describes the stem's output and has `causal` and `output_mode` of the head. `width` is a
    float that scales every layer, so that a parameter budget can be met closely;
    `quintain.nn.widths` turns it into layer sizes. A core without `width` has a fixed size.

    If `inp.masked`, inputs at masked steps must not change outputs at valid steps. If `inp.causal`,
    later inputs must not change earlier outputs. `__init__` raises `Unsupported(reason)` for
    features that the architecture does not support.
    """

    input_layout: ClassVar[InputLayout]  # the layout that the stem must return
    out: Features  # describes the output

    def __call__(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Turn (B, *inp.grid, inp.dim) and a mask (B, inp.grid[0]) or None into
        (B, *out.grid, out.dim) and a mask (B, out.grid[0]) or None.
        """


MakeCore = Callable[[Features], Core]
"""A function that builds another core of the same architecture and width, for a decoder."""
Json = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Score:
    """One measure of quality."""

    name: str
    direction: Direction  # whether the largest or the smallest value is best
    unit: str


class Head(Protocol):
    """A module that predicts; built as `Head(core.out, spec, make_core, **settings)`.

    `baselines` are simple models for comparison by name, the simplest first. Each is a function of
    the dataset and a stem with input layout "sequence", which fits to the train split and returns
    a function from a batch to predictions like those of `predict`.

    `scores` are the measures of quality. The first is the main score: on the validation split it
    selects the best weights, on the test split it ranks the models.
    """

    causal: ClassVar[bool]  # for the core's `Features`
    output_mode: ClassVar[OutputMode]  # for the core's `Features`
    baselines: ClassVar[Mapping[str, Baseline]]

    @property
    def scores(self) -> tuple[Score, ...]: ...

    def __call__(self, x: Tensor, mask: Tensor | None, batch: Batch) -> Tensor:
        """Turn the core's output and mask into the argument of `loss`: logits or values, B first.
        May read `batch.y`, as a decoder under teacher forcing does.
        """

    def loss(self, prediction: Tensor, batch: Batch) -> Tensor:
        """Return the scalar that training minimises: a mean over `num_targets(batch)` targets."""

    def num_targets(self, batch: Batch) -> int:
        """Return the number of targets that `loss` averages over: samples, or valid symbols. It
        weights the losses of devices and micro-batches, to give the loss of the whole batch.
        """

    def predict(self, x: Tensor, mask: Tensor | None, batch: Batch) -> Tensor:
        """Return the predictions that are scored, with B first; must not read `batch.y`.
        For most tasks this is the output of `__call__`. For transcribe and generate it is the
        decoded symbols, long (B, U), with -1 after the end of each sequence, and -2 in a sequence
        whose probabilities are NaN.
        """

    def metrics(self, dataset: Dataset) -> dict[str, Metric]:
        """Return a new torchmetrics object for each of `scores` by name; `dataset` is set up."""

    def update(self, metrics: dict[str, Metric], prediction: Tensor, batch: Batch) -> None:
        """Add the predictions of one batch to the metrics; each valid position counts once."""

    def samples(self, prediction: Tensor, batch: Batch, dataset: Dataset) -> list[Json]:
        """Return `{"truth": …, "prediction": …}` for each sample, as JSON values for reports."""


class OptionalHeadAttributes(Protocol):
    def check_transcripts(self, stem: Stem, transcripts: Transcripts | None) -> tuple[str, ...]:
        """Return notes on samples that cannot be learned, or raise ValueError; before training."""


Predictor = Callable[[Batch], "Tensor"]  # a fitted baseline: batch → the output of `Head.predict`
Baseline = Callable[["Dataset", Stem], Predictor]  # fits a simple model to the train split


class Dataset(Protocol):
    """Data with fixed splits; usually a subclass of `quintain.plugin_api.InMemory` or `OnDisk`.

    `prepare_data` downloads and verifies files, once per machine; `setup` loads them. `__init__`
    does neither. Samples and their order are the same on every machine.
    """

    spec: DataSpec

    def prepare_data(self) -> None: ...
    def setup(self, stage: str) -> None: ...

    def size(self, split: Split) -> int:
        """Return the number of samples of a split; called after `setup`."""

    def batch(self, split: Split, indices: Tensor) -> Batch:
        """Return the samples at `indices`, long (B,), as one batch."""

    def lengths(self, split: Split) -> Tensor | None:
        """Return the valid steps of each sample of `x`, long (N,), in the order of the split; None
        if all samples have the same length, or if the files would have to be read for it.
        """

    def fingerprint(self) -> str:
        """Return `sha256:` and the hash of the content of all splits."""

    def decode(self, tokens: Sequence[int], side: Side) -> str:
        """Return tokens of `x` (text) or symbols of `y` (transcribe, generate) as a string."""

    def inverse_transform(self, y: Tensor) -> Tensor:
        """Return standardised targets (B, …, targets) in the original unit (regress, forecast)."""


class OptionalDatasetAttributes(Protocol):
    """Attributes that a dataset may have, and their defaults."""

    notes: tuple[str, ...] = ()
    """Remarks about the data, such as skipped files; shown to users and stored in records."""
    streams: bool = False
    """True if batches are read from files; a thread then loads the next batch during training."""

    def transcripts(self) -> Transcripts | None:
        """Return the sizes of all samples (transcribe), None if files would have to be read."""

    def references(self, number: int) -> Sequence[str]:
        """Return the true texts of the sample that has this number in `Batch.references`, against
        which predictions of transcribe and generate are scored: a text may have words that no
        symbol stands for, and a sample several right answers. Without them, decoded y is used.
        """


class Meter(Protocol):
    """Measures one quantity of a run, such as its energy."""

    name: str  # of the quantity, with its unit: `energy_kwh`

    def start(self) -> None: ...
    def stop(self) -> None: ...

    def read(self) -> float | str:
        """Return the value, or the reason why there is none; may be called before `stop`."""


class OptionalMeterAttributes(Protocol):
    """Attributes that a meter may have, and their defaults."""

    whole_machine: bool = False
    """True if the value is that of the whole machine, and so is not summed over processes."""


@dataclass(frozen=True, kw_only=True)
class RankPlacement:
    """The position of one process among all processes of a run (torch.distributed)."""

    rank: int  # among all processes, from 0
    local_rank: int  # among the processes on its machine, from 0
    world_size: int  # number of all processes
    address: str  # of the machine on which rank 0 listens
    port: int  # on which rank 0 listens; 0: rank 0 chooses a free one


class Hardware(Protocol):
    """Where a run executes. `__init__` and `missing` must not import torch: planning calls them."""

    def missing(self) -> str | None:
        """Return the reason why this machine cannot be used; None if it has the devices."""

    def trainer_arguments(self) -> dict[str, Any]:
        """Return keyword arguments of `pytorch_lightning.Trainer`: accelerator, devices, …"""

    def threads(self) -> int:
        """Return the number of CPU threads that one process of a run may use."""

    def meters(self) -> list[Meter]:
        """Return new meters for one run."""

    def synchronize(self) -> None:
        """Wait until the device has finished all operations, so that times can be measured."""


class OptionalHardwareAttributes(Protocol):
    """Attributes and methods that hardware may have, and their defaults."""

    timeout: float = 600.0
    """Seconds that one process of a run waits for another before the run fails."""

    def place(self) -> RankPlacement | None:
        """Return this process's position if srun or torchrun started it; may raise ValueError."""
        return None
