"""The shipped checks: every built-in model passes them, and each can fail.

Each broken model below breaks one promise; the check of that promise has to notice.
"""

from functools import partial
from io import StringIO

import pytest
import torch
import yaml
from rich.console import Console
from torch import nn
from words import ROOT

from quintain.compose.bind import locate
from quintain.contracts import Batch, DataSpec, Features
from quintain.kit.mask import mask_of
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
    build,
    command,
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
    "lstm both ways": partial(Recurrent, direction="both", num_layers=2),
}
SPECS = {spec.name: spec for spec in EXAMPLE_SPECS}
CHECKS = dict(MODEL_CHECKS)
DATA_CHECKS = dict(DATASET_CHECKS)


def maker(core, spec, head=None):
    return lambda: build(STEMS[spec.modality], core, head or HEADS[spec.task], spec, width=12.0)


@pytest.mark.parametrize("spec", EXAMPLE_SPECS, ids=SPECS)
@pytest.mark.parametrize("core", CORES)
def test_built_in_models_keep_the_contract(core, spec):
    if core == "lstm both ways" and spec.task in ("next_token", "generate"):
        pytest.skip("reads the future")
    for name, check in CHECKS.items():
        if name == "two_processes" and core != "lstm":
            continue  # tests/test_ranks.py trains the others over ranks
        check(maker(CORES[core], spec), spec)


def test_two_processes_do_not_wait_for_threads_that_a_fork_leaves_behind():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        torch.randn(600, 600) @ torch.randn(600, 600)  # OpenMP has its threads now
        CHECKS["two_processes"](
            maker(CORES["lstm"], SPECS["example_image"]), SPECS["example_image"]
        )
    finally:
        torch.set_num_threads(before)


class Plain(nn.Module):
    """A linear map of each position, to be broken in one way or another."""

    reads = "sequence"

    def __init__(self, inp, *, width):
        super().__init__()
        self.map = nn.Linear(inp.dim, int(width))
        self.out = Features(**{**vars(inp), "dim": int(width)})

    def forward(self, x, mask):
        return self.map(x), mask


class WrongShape(Plain):
    def forward(self, x, mask):
        return self.map(x)[..., :-1], mask


class Unused(Plain):
    def __init__(self, inp, *, width):
        super().__init__(inp, width=width)
        self.extra = nn.Parameter(torch.ones(3))


class Clairvoyant(Plain):
    def forward(self, x, mask):
        return self.map(x) + self.map(x).mean(1, keepdim=True), mask


class Peeks(Plain):
    """Gives every position the mean of its block of eight, the future's part included."""

    def forward(self, x, mask):
        blocks = x.unflatten(1, (-1, 8)).mean(2).repeat_interleave(8, 1)
        return self.map(x + blocks), mask


class Gossip(Plain):
    """Looks at the other samples."""

    def forward(self, x, mask):
        return self.map(x - x.mean(0, keepdim=True)), mask


class ReadsPadding(Plain):
    def forward(self, x, mask):
        return self.map(x + x.mean(1, keepdim=True)), mask


class Stuck(Plain):
    def forward(self, x, mask):
        return 1e-3 * self.map(x).detach() + 0.0 * self.map(x), mask


class Moody(Plain):
    moods = iter(range(10**6))

    def forward(self, x, mask):
        return self.map(x) + 0.01 * next(self.moods), mask


class Forgetful(Plain):
    def __init__(self, inp, *, width):
        super().__init__(inp, width=width)
        self.secret = torch.randn(int(width))

    def forward(self, x, mask):
        return self.map(x) + self.secret, mask


class Coarse(Plain):
    """Is another function in double precision than in single."""

    def forward(self, x, mask):
        return self.map(x) * torch.finfo(x.dtype).bits / 32, mask


class Misnamed(Classify):
    def metrics(self, dataset):
        return {"exactness": super().metrics(dataset)["accuracy"]}


class Weightless(Classify):
    """Says of each batch that it counts as much as any other."""

    def weight(self, batch):
        return 1


class Deaf(Classify):
    """Predicts the same whatever comes, and cannot learn."""

    def forward(self, x, mask, batch):
        return 0.0 * super().forward(x, mask, batch)


@pytest.mark.parametrize(
    ("check", "core", "spec", "head", "says"),
    [
        ("shapes", WrongShape, "example_image", None, "its out says"),
        ("scores", Plain, "example_image", Misnamed, "must be named"),
        ("gradients", Unused, "example_image", None, "core.extra"),
        ("gradients", Stuck, "example_image", None, "no gradient reaches"),
        ("causality", Clairvoyant, "example_text", None, "reads the future"),
        ("causality", Peeks, "example_text", None, "reads the future"),
        ("decoder", Clairvoyant, "example_translation", None, "the decoder reads the future"),
        ("alone", Gossip, "example_image", None, "leak"),
        ("alone", ReadsPadding, "example_ragged_series", None, "alone and in a batch"),
        ("padding", ReadsPadding, "example_ragged_series", None, "behind the mask"),
        ("overfits", Plain, "example_image", Deaf, "fell only from"),
        ("deterministic", Moody, "example_image", None, "differ"),
        ("saves", Forgetful, "example_image", None, "some state is not in it"),
        ("float64", Coarse, "example_image", None, "disagree"),
        ("two_processes", Plain, "example_image", Weightless, "head.weight is not"),
        ("two_processes", Gossip, "example_image", None, "look at each other"),
    ],
)
def test_each_check_notices_what_it_is_for(check, core, spec, head, says):
    with pytest.raises(AssertionError, match=says):
        CHECKS[check](maker(core, SPECS[spec], head), SPECS[spec])


def test_no_check_is_without_a_model_that_fails_it():
    marks = test_each_check_notices_what_it_is_for.pytestmark[0].args[1]
    assert {row[0] for row in marks} == set(CHECKS)


@pytest.mark.parametrize("spec", EXAMPLE_SPECS, ids=SPECS)
def test_fake_batches_are_as_the_spec_says(spec):
    case = Case.load(lambda: Given(spec), GOOD_CARD)
    for name in ("spec_matches", "values", "lengths"):
        DATA_CHECKS[name](case)
    first, second = fake_batch(spec, seed=3), fake_batch(spec, seed=3)
    assert torch.equal(first.x, second.x)


GOOD_CARD = {"about": "noise", "source": "a program", "licence": "CC0", "citation": "none"}
RAGGED, TOKENS = SPECS["example_ragged_series"], SPECS["example_text"]


class Given:
    """A dataset of fake batches, with one thing changed in its test split."""

    drawn = iter(range(10**6))

    def __init__(self, spec, change=lambda batch: batch, restless=False):
        self.spec, self.change = spec, change
        self.shift = next(self.drawn) if restless else 0

    def prepare_data(self): ...

    def setup(self, stage):
        seeds = {"train": 0, "val": 1, "test": 2}
        self.splits = {s: fake_batch(self.spec, 20, seed + self.shift) for s, seed in seeds.items()}
        self.splits["test"] = self.change(self.splits["test"])

    def size(self, split):
        return len(self.splits[split].x)

    def take(self, split, indices):
        return Batch(*(None if t is None else t[indices] for t in self.splits[split]))

    def fingerprint(self):
        return f"sha256:{self.splits['train'].x.double().sum():.9f}"


def test_a_good_dataset_passes_all_checks():
    case = Case.load(lambda: Given(RAGGED), GOOD_CARD)
    for check in DATA_CHECKS.values():
        check(case)


def garbage(batch):
    behind = ~mask_of(batch.lengths, batch.x.shape[1])
    return batch._replace(x=batch.x.masked_fill(behind[..., None], 1.0))


BROKEN = [
    ("spec_matches", RAGGED, lambda b: b._replace(x=b.x[..., :1]), "the spec says"),
    ("spec_matches", RAGGED, lambda b: b._replace(y=b.y + 1), "long from 0 to 2"),
    ("spec_matches", RAGGED, lambda b: b._replace(y=b.y[:, None]), "classify needs"),
    ("spec_matches", TOKENS, lambda b: b._replace(y=b.y.flip(1)), r"x\[:, t \+ 1\]"),
    ("values", RAGGED, lambda b: b._replace(x=b.x / 0), "NaN"),
    ("values", TOKENS, lambda b: b._replace(x=b.x + 5), "vocabulary has 12"),
    ("lengths", RAGGED, garbage, "not zero behind"),
    ("lengths", RAGGED, lambda b: b._replace(lengths=None), "ragged=True"),
    ("lengths", RAGGED, lambda b: b._replace(lengths=b.lengths + 9), "24 steps"),
    ("splits", RAGGED, lambda b: fake_batch(RAGGED, 20, 0), "100.0% of test"),
    ("splits", RAGGED, lambda b: Batch(b.x[:0], b.y[:0], b.lengths[:0]), "empty"),
]


@pytest.mark.parametrize(("check", "spec", "change", "says"), BROKEN)
def test_each_dataset_check_notices_what_it_is_for(check, spec, change, says):
    case = Case.load(lambda: Given(spec, change), GOOD_CARD)
    with pytest.raises(AssertionError, match=says):
        DATA_CHECKS[check](case)


def test_a_dataset_that_changes_between_loads_is_noticed():
    with pytest.raises(AssertionError, match="two loads differ"):
        DATA_CHECKS["fingerprint"](Case.load(lambda: Given(RAGGED, restless=True), GOOD_CARD))


def test_a_fingerprint_and_counts_have_to_be_those_on_the_card():
    case = Case.load(lambda: Given(RAGGED), GOOD_CARD | {"fingerprint": "sha256:0", "counts": {}})
    with pytest.raises(AssertionError, match="card says"):
        DATA_CHECKS["fingerprint"](case)
    with pytest.raises(AssertionError, match="card counts"):
        DATA_CHECKS["card_complete"](case)


def test_a_card_without_a_licence_is_noticed():
    with pytest.raises(AssertionError, match="lacks licence"):
        DATA_CHECKS["card_complete"](Case.load(lambda: Given(RAGGED), GOOD_CARD | {"licence": ""}))


def test_a_spec_that_setup_changes_is_noticed():
    case = Case.load(lambda: Given(RAGGED), GOOD_CARD)
    case.dataset.spec = DataSpec(name="new", modality="text", task="classify", shape=(3,))
    with pytest.raises(AssertionError, match="spec changed"):
        DATA_CHECKS["light"](case)


@pytest.mark.parametrize("skipped", [True, False])
def test_a_model_that_skips_every_example_is_not_called_good(monkeypatch, skipped):
    finding = command.Finding(None if skipped else True, "model=mlp on example_text", "words")
    monkeypatch.setattr(command, "_models", lambda job, named: iter([finding]))
    console = Console(file=StringIO(), width=200)
    assert command.check(["model=mlp"], console) == int(skipped)
    said = console.file.getvalue()
    assert ("model=mlp: nothing was checked" in said) == skipped
    assert ("all checks passed" in said) != skipped
