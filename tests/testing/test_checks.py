"""The contract checks: every built-in model passes them, and each of them can fail.

Each broken model or dataset below violates one rule, which its check must report.
"""

import itertools
from functools import partial
from io import StringIO

import pytest
import torch
import yaml
from helpers.paths import ROOT
from rich.console import Console
from torch import nn

from quintain.cli import plugin_checks as check_command
from quintain.compose.instantiate import locate
from quintain.contracts import Batch, DataSpec, Features
from quintain.nn.mask import length_mask
from quintain.plugins.head.classify import Classify
from quintain.plugins.model.cnn import Cnn
from quintain.plugins.model.mlp import Mlp
from quintain.plugins.model.recurrent import Recurrent
from quintain.plugins.model.transformer import Transformer
from quintain.plugins.stem.image import Image
from quintain.plugins.stem.series import Series
from quintain.plugins.stem.speech import Speech
from quintain.plugins.stem.text import Text
from quintain.plugins.stem.video import Video
from quintain.testing import (
    DATASET_CHECKS,
    EXAMPLE_SPECS,
    MODEL_CHECKS,
    Case,
    build_from_classes,
    fake_batch,
)

STEMS = {"image": Image, "video": Video, "speech": Speech, "text": Text, "series": Series}
HEADS = {
    path.stem: locate(yaml.safe_load(path.read_text())["_target_"])
    for path in (ROOT / "conf" / "head").glob("*.yaml")
}
CORES = {
    "mlp": Mlp,
    "cnn": Cnn,
    "rnn": partial(Recurrent, cell="rnn"),
    "lstm": partial(Recurrent, cell="lstm"),
    "gru": partial(Recurrent, cell="gru"),
    "transformer": Transformer,
    "bidirectional lstm": partial(Recurrent, direction="both", num_layers=2),
}
SPECS = {spec.name: spec for spec in EXAMPLE_SPECS}
CHECKS = dict(MODEL_CHECKS)
DATA_CHECKS = dict(DATASET_CHECKS)


def model_factory(core, spec, head=None):
    stem, head = STEMS[spec.modality], head or HEADS[spec.task]
    return lambda: build_from_classes(stem, core, head, spec, width=12.0)


@pytest.mark.parametrize("spec", EXAMPLE_SPECS, ids=SPECS)
@pytest.mark.parametrize("core", CORES)
def test_built_in_models_pass_all_checks(core, spec):
    if core == "bidirectional lstm" and spec.task in ("next_token", "generate"):
        pytest.skip("not causal")
    for name, check in CHECKS.items():
        if name == "two_processes" and core != "lstm":
            continue  # tests/run/distributed/test_ranks.py trains the others over ranks
        check(model_factory(CORES[core], spec), spec)


def test_two_processes_work_after_openmp_has_started_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        torch.randn(600, 600) @ torch.randn(600, 600)  # starts OpenMP's threads
        CHECKS["two_processes"](
            model_factory(CORES["lstm"], SPECS["example_image"]), SPECS["example_image"]
        )
    finally:
        torch.set_num_threads(before)


class LinearCore(nn.Module):
    """A correct core, a linear map of each position; its subclasses are wrong in one way each."""

    input_layout = "sequence"

    def __init__(self, inp, *, width):
        super().__init__()
        self.map = nn.Linear(inp.dim, int(width))
        self.out = Features(**{**vars(inp), "dim": int(width)})

    def forward(self, x, mask):
        return self.map(x), mask


class WrongShape(LinearCore):
    def forward(self, x, mask):
        return self.map(x)[..., :-1], mask


class UnusedParameter(LinearCore):
    def __init__(self, inp, *, width):
        super().__init__(inp, width=width)
        self.extra = nn.Parameter(torch.ones(3))


class ReadsAllSteps(LinearCore):
    def forward(self, x, mask):
        return self.map(x) + self.map(x).mean(1, keepdim=True), mask


class ReadsItsBlock(LinearCore):
    """Adds to every step the mean of its block of eight steps, later ones included."""

    def forward(self, x, mask):
        blocks = x.unflatten(1, (-1, 8)).mean(2).repeat_interleave(8, 1)
        return self.map(x + blocks), mask


class ReadsOtherSamples(LinearCore):
    def forward(self, x, mask):
        return self.map(x - x.mean(0, keepdim=True)), mask


class ReadsPadding(LinearCore):
    def forward(self, x, mask):
        return self.map(x + x.mean(1, keepdim=True)), mask


class TinyGradient(LinearCore):
    def forward(self, x, mask):
        return 1e-3 * self.map(x).detach() + 0.0 * self.map(x), mask


class NonDeterministic(LinearCore):
    counter = itertools.count()

    def forward(self, x, mask):
        return self.map(x) + 0.01 * next(self.counter), mask


class UnsavedState(LinearCore):
    def __init__(self, inp, *, width):
        super().__init__(inp, width=width)
        self.offset = torch.randn(int(width))

    def forward(self, x, mask):
        return self.map(x) + self.offset, mask


class DependsOnPrecision(LinearCore):
    """Computes another function in double precision than in single."""

    def forward(self, x, mask):
        return self.map(x) * torch.finfo(x.dtype).bits / 32, mask


class WrongMetricName(Classify):
    def metrics(self, dataset):
        return {"exactness": super().metrics(dataset)["accuracy"]}


class WrongNumTargets(Classify):
    """Gives every batch the same weight, whatever its size."""

    def num_targets(self, batch):
        return 1


class ConstantHead(Classify):
    """Predicts a constant, and cannot learn."""

    def forward(self, x, mask, batch):
        return 0.0 * super().forward(x, mask, batch)


@pytest.mark.parametrize(
    ("check", "core", "spec", "head", "message"),
    [
        ("shapes", WrongShape, "example_image", None, "its `out` describes"),
        ("scores", LinearCore, "example_image", WrongMetricName, "must have the names of"),
        ("gradients", UnusedParameter, "example_image", None, "core.extra"),
        ("gradients", TinyGradient, "example_image", None, "no gradient reaches"),
        ("causality", ReadsAllSteps, "example_text", None, "core uses later inputs"),
        ("causality", ReadsItsBlock, "example_text", None, "core uses later inputs"),
        ("decoder", ReadsAllSteps, "example_translation", None, "the decoder uses later symbols"),
        ("single_sample", ReadsOtherSamples, "example_image", None, "or on other samples"),
        ("single_sample", ReadsPadding, "example_ragged_series", None, "alone and in a batch"),
        ("padding", ReadsPadding, "example_ragged_series", None, "values at masked steps change"),
        ("overfitting", LinearCore, "example_image", ConstantHead, "fell only from"),
        ("determinism", NonDeterministic, "example_image", None, "differ"),
        ("saving", UnsavedState, "example_image", None, "the state_dict lacks some"),
        ("float64", DependsOnPrecision, "example_image", None, "disagree"),
        ("two_processes", LinearCore, "example_image", WrongNumTargets, "head.num_targets is not"),
        ("two_processes", ReadsOtherSamples, "example_image", None, "influence each other"),
    ],
)
def test_each_model_check_reports_its_violation(check, core, spec, head, message):
    with pytest.raises(AssertionError, match=message):
        CHECKS[check](model_factory(core, SPECS[spec], head), SPECS[spec])


def test_every_model_check_has_a_model_that_fails_it():
    rows = test_each_model_check_reports_its_violation.pytestmark[0].args[1]
    assert {check for check, *_ in rows} == set(CHECKS)


@pytest.mark.parametrize("spec", EXAMPLE_SPECS, ids=SPECS)
def test_fake_batches_match_their_spec(spec):
    case = Case.load(lambda: FakeDataset(spec), GOOD_CARD)
    for name in ("batches", "values", "lengths"):
        DATA_CHECKS[name](case)
    first, second = fake_batch(spec, seed=3), fake_batch(spec, seed=3)
    assert torch.equal(first.x, second.x)


GOOD_CARD = {"about": "noise", "source": "a program", "licence": "CC0", "citation": "none"}
RAGGED, TOKENS = SPECS["example_ragged_series"], SPECS["example_text"]


class FakeDataset:
    """A dataset of fake batches; `change` is applied to its test split.

    A `varying` dataset has other samples in each instance.
    """

    counter = itertools.count()

    def __init__(self, spec, change=lambda batch: batch, varying=False):
        self.spec, self.change = spec, change
        self.seed = next(self.counter) if varying else 0

    def prepare_data(self): ...

    def setup(self, stage):
        seeds = {"train": 0, "val": 1, "test": 2}
        self.splits = {s: fake_batch(self.spec, 20, seed + self.seed) for s, seed in seeds.items()}
        self.splits["test"] = self.change(self.splits["test"])

    def size(self, split):
        return len(self.splits[split].x)

    def batch(self, split, indices):
        return Batch(*(None if t is None else t[indices] for t in self.splits[split]))

    def fingerprint(self):
        return f"sha256:{self.splits['train'].x.double().sum():.9f}"


def test_a_correct_dataset_passes_all_checks():
    case = Case.load(lambda: FakeDataset(RAGGED), GOOD_CARD)
    for check in DATA_CHECKS.values():
        check(case)


def fill_padding_with_ones(batch):
    padding = ~length_mask(batch.lengths, batch.x.shape[1])
    return batch._replace(x=batch.x.masked_fill(padding[..., None], 1.0))


VIOLATIONS = [
    ("batches", RAGGED, lambda b: b._replace(x=b.x[..., :1]), "the spec describes"),
    ("batches", RAGGED, lambda b: b._replace(y=b.y + 1), "long, from 0 to 2"),
    ("batches", RAGGED, lambda b: b._replace(y=b.y[:, None]), "classify needs"),
    ("batches", TOKENS, lambda b: b._replace(y=b.y.flip(1)), r"x\[:, t \+ 1\]"),
    ("values", RAGGED, lambda b: b._replace(x=b.x / 0), "NaN"),
    ("values", TOKENS, lambda b: b._replace(x=b.x + 5), "vocabulary has 12"),
    ("lengths", RAGGED, fill_padding_with_ones, "not zero after"),
    ("lengths", RAGGED, lambda b: b._replace(lengths=None), "ragged=True"),
    ("lengths", RAGGED, lambda b: b._replace(lengths=b.lengths + 9), "24 steps"),
    ("splits", RAGGED, lambda b: fake_batch(RAGGED, 20, 0), "100.0% of the inputs of test"),
    ("splits", RAGGED, lambda b: Batch(b.x[:0], b.y[:0], b.lengths[:0]), "empty"),
]


@pytest.mark.parametrize(("check", "spec", "change", "message"), VIOLATIONS)
def test_each_dataset_check_reports_its_violation(check, spec, change, message):
    case = Case.load(lambda: FakeDataset(spec, change), GOOD_CARD)
    with pytest.raises(AssertionError, match=message):
        DATA_CHECKS[check](case)


def test_a_dataset_that_changes_between_loads_fails():
    with pytest.raises(AssertionError, match="differs between two loads"):
        DATA_CHECKS["fingerprint"](Case.load(lambda: FakeDataset(RAGGED, varying=True), GOOD_CARD))


def test_a_card_with_a_wrong_fingerprint_or_wrong_counts_fails():
    case = Case.load(
        lambda: FakeDataset(RAGGED), GOOD_CARD | {"fingerprint": "sha256:0", "counts": {}}
    )
    with pytest.raises(AssertionError, match="the card has sha256:0"):
        DATA_CHECKS["fingerprint"](case)
    with pytest.raises(AssertionError, match="the card has counts"):
        DATA_CHECKS["card"](case)


def test_a_card_without_a_licence_fails():
    with pytest.raises(AssertionError, match="lacks licence"):
        DATA_CHECKS["card"](Case.load(lambda: FakeDataset(RAGGED), GOOD_CARD | {"licence": ""}))


def test_a_spec_that_setup_changes_fails():
    case = Case.load(lambda: FakeDataset(RAGGED), GOOD_CARD)
    case.dataset.spec = DataSpec(name="new", modality="text", task="classify", shape=(3,))
    with pytest.raises(AssertionError, match="setup changed the spec"):
        DATA_CHECKS["spec_before_setup"](case)


@pytest.mark.parametrize("skipped", [True, False])
def test_a_model_that_skips_every_example_does_not_pass(monkeypatch, skipped):
    finding = check_command.Finding(None if skipped else True, "model=mlp on example_text", "words")
    monkeypatch.setattr(check_command, "_check_model", lambda job, named: iter([finding]))
    console = Console(file=StringIO(), width=200)
    assert check_command.check_plugins(["model=mlp"], console) == int(skipped)
    output = console.file.getvalue()
    assert ("model=mlp: nothing was checked" in output) == skipped
    assert ("all checks passed" in output) != skipped


class Raises(LinearCore):
    def forward(self, x, mask):
        return undefined_name(x), mask  # noqa: F821


def test_problems_of_one_cause_are_printed_once_with_file_and_line(monkeypatch):
    output = StringIO()
    findings = [
        finding
        for name in ("example_image", "example_text")
        for finding in check_command._run_checks(
            f"model=raises on {name}",
            [(check, CHECKS[check]) for check in ("shapes", "gradients", "causality")],
            lambda spec=SPECS[name]: (model_factory(Raises, spec), spec),
        )
    ]
    printed = check_command._print_findings(findings, Console(file=output, width=300))
    assert printed == findings
    lines = output.getvalue().splitlines()
    failed = [line for line in lines if line.startswith("✗")]
    reason = "NameError: name 'undefined_name' is not defined (tests/testing/test_checks.py:"
    assert failed[0].startswith(f"✗ model=raises on example_image: shapes: {reason}")
    assert failed[1].startswith(f"✗ 5 checks on 2 examples fail for one reason: {reason}")
    assert failed[1].endswith(", in forward)") and len(failed) == 2
    assert lines.count("✓ model=raises on example_image: causality") == 1
