"""Hybrids: the eye sees one frame at a time, the reader all; and the CNN where steps are kept."""

from functools import partial

import pytest
import torch
import yaml
from torch import nn
from words import ROOT

from quintain.compose.bind import instantiate, locate, problems
from quintain.compose.config import compose_one, composer
from quintain.contracts import Features, Skip
from quintain.kit.mask import mask_of
from quintain.kit.widths import solve
from quintain.plugins.model.cnn import Cnn
from quintain.plugins.model.hybrid import Hybrid
from quintain.plugins.model.recurrent import Recurrent
from quintain.plugins.model.transformer import Transformer
from quintain.testing import EXAMPLE_SPECS, MODEL_CHECKS, build

EYE = partial(Cnn, num_blocks=2, max_positions=512, init="he")
MODELS = {
    "cnn_lstm": partial(Hybrid, eye=EYE, core=Recurrent),
    "cnn_transformer": partial(Hybrid, eye=EYE, core=Transformer),
}
VIDEO = Features(dim=1, grid=(6, 12, 10), masked=True)
DATA = {
    "image": Features(dim=1, grid=(28, 28)),
    "video": Features(dim=1, grid=(12, 16, 16)),
    "speech": Features(dim=1, grid=(60, 40), masked=True),
    "transcripts": Features(dim=1, grid=(60, 40), masked=True, asks="positions"),
    "series": Features(dim=1, grid=(48,)),
    "text": Features(dim=64, grid=(64,), causal=True, asks="positions"),
}


def option(group, name):
    text = (ROOT / "conf" / group / f"{name}.yaml").read_text()
    return locate(yaml.safe_load(text)["_target_"])


@pytest.mark.parametrize("spec", EXAMPLE_SPECS, ids=lambda spec: spec.name)
@pytest.mark.parametrize("model", MODELS)
def test_hybrids_keep_the_contract(model, spec):
    stem, head = option("stem", spec.modality), option("head", spec.task)
    for _, check in MODEL_CHECKS:
        check(lambda: build(stem, MODELS[model], head, spec, width=12.0), spec)


class WithHead(nn.Module):
    def __init__(self, core):
        super().__init__()
        self.core, self.head = core, nn.Linear(core.out.dim, 10)


def built(name):
    """The model as its YAML has it."""
    with composer():
        node = compose_one([f"model={name}", "dataset=moving_digits"]).config["model"]
    assert problems("model", node, given=1, extra={"width"}) == []
    return lambda inp, **settings: instantiate(node, inp, **settings)


@pytest.mark.parametrize("name", MODELS)
def test_the_yaml_names_the_two_parts(name):
    core = built(name)(VIDEO, width=8.0)
    parts = {"cnn_lstm": Recurrent, "cnn_transformer": Transformer}
    assert type(core.eye) is Cnn and type(core.core) is parts[name]


@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("model", MODELS)
def test_a_budget_is_met_within_two_percent(model, data):
    for target in (20_000, 50_000):
        found = solve(lambda width: WithHead(MODELS[model](DATA[data], width=width)), target)
        assert found.met, f"{found} is {found.error:+.1%} off"


def test_a_video_goes_frame_by_frame_through_the_eye():
    core = Hybrid(VIDEO, eye=Cnn, core=Recurrent, width=8.0).double()
    x = torch.randn(2, 6, 12, 10, 1, dtype=torch.float64)
    mask = mask_of(torch.tensor([6, 4]), 6)
    out, same = core(x, mask)
    seen = torch.stack([core.eye(x[:, t], None)[0].flatten(1) for t in range(6)], dim=1)
    expected, _ = core.core(seen, mask)
    assert same is mask and out.shape == (2, 6, core.out.dim)
    assert torch.allclose(out, expected, atol=1e-12)


@pytest.mark.parametrize("model", MODELS)
def test_over_a_video_causality_is_the_readers(model):
    causal = Features(**{**vars(VIDEO), "causal": True, "asks": "positions"})
    core = MODELS[model](causal, width=8.0).eval()
    x, mask = torch.randn(1, 6, 12, 10, 1), torch.ones(1, 6, dtype=torch.bool)
    other = torch.cat([x[:, :3], torch.randn(1, 3, 12, 10, 1)], dim=1)
    before, after = core(x, mask)[0], core(other, mask)[0]
    assert torch.allclose(before[:, :3], after[:, :3], atol=1e-6)
    assert not torch.allclose(before[:, 3:], after[:, 3:], atol=1e-3)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("asks", ["positions", "memory", "summary"])
@pytest.mark.parametrize("grid", [(9, 12, 10), (9, 12), (9,)])
def test_every_step_has_its_place(model, asks, grid):
    core = MODELS[model](Features(dim=2, grid=grid, masked=True, asks=asks), width=8.0)
    out, mask = core(torch.randn(2, *grid, 2), mask_of(torch.tensor([9, 5]), 9))
    assert out.shape == (2, 9, core.out.dim) and core.out.grid == (9,)
    assert mask.sum(1).tolist() == [9, 5] and core.out.masked
    assert not out[1, 5:].any()


def test_wrong_parts_are_named_together():
    with pytest.raises(ValueError, match=r"eye must be .*grid.*; core has a width of its own"):
        Hybrid(VIDEO, eye=Recurrent, core=partial(Recurrent, width=9.0))
    with pytest.raises(ValueError, match=r"core must be a core that reads a sequence, with _part"):
        Hybrid(VIDEO, eye=Cnn, core={"cell": "lstm"})
    with pytest.raises(Skip, match="one to three axes"):
        Hybrid(Features(dim=1, grid=(2, 2, 2, 2)), eye=Cnn, core=Recurrent)


POSITIONS = {
    "sound": Features(dim=1, grid=(20, 40), masked=True, asks="positions"),
    "film": Features(dim=1, grid=(20, 32, 48), masked=True, asks="positions"),
    "series": Features(dim=3, grid=(20,), masked=True, asks="positions"),
}


@pytest.mark.parametrize("data", POSITIONS)
def test_a_cnn_that_keeps_steps_does_not_see_the_padding(data):
    inp = POSITIONS[data]
    core = Cnn(inp, width=8.0, num_blocks=2).double()
    x = torch.randn(1, *inp.grid, inp.dim, dtype=torch.float64)
    whole, mask = core(x[:, :11], mask_of(torch.tensor([11]), 11))
    dirty = x.clone()
    dirty[:, 11:] = 1e3
    padded, longer = core(dirty, mask_of(torch.tensor([11]), 20))
    assert torch.allclose(whole, padded[:, :11], atol=1e-12)
    assert not padded[:, 11:].any() and longer.sum() == mask.sum() == 11
    assert padded.shape == (1, 20, 8) == (1, *core.out.grid, core.out.dim)


def test_a_cnn_that_keeps_steps_sees_its_neighbours_only():
    """Three stages reach 3 steps, the read 1, two blocks 1 + 2: seven on either side."""
    torch.manual_seed(0)  # a ReLU that is off for every channel would hide a neighbour
    core = Cnn(Features(dim=1, grid=(40, 16), asks="positions"), width=8.0, num_blocks=2).double()
    x = torch.randn(1, 40, 16, 1, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(core(x, None)[0][0, 20, 0], x)
    touched = gradient[0, ..., 0].abs().sum(-1).nonzero().flatten()
    assert (touched.min(), touched.max()) == (13, 27)


@pytest.mark.parametrize(("places", "grid"), [(32, (7, 40)), (128, (7, 32, 48))])
def test_a_step_keeps_few_places(places, grid):
    core = Cnn(Features(dim=1, grid=grid, asks="positions"), width=8.0)
    seen = []
    core.body.stages[0].conv.register_forward_hook(lambda _m, _i, out: seen.append(out.shape))
    core(torch.randn(2, *grid, 1), None)
    assert seen[0][1] == 7 and places / 4 < seen[0][2:-1].numel() <= places


def test_a_memory_keeps_the_places_apart():
    core = Cnn(Features(dim=3, grid=(40, 40), asks="memory"), width=12.0)
    out, mask = core(torch.randn(2, 40, 40, 3), None)
    assert out.shape == (2, 3 * 3, 12) == (2, *core.out.grid, core.out.dim)
    assert mask is None and not core.out.masked
    flat, _ = Cnn(Features(dim=3, grid=(40, 40)), width=12.0)(torch.randn(2, 40, 40, 3), None)
    assert flat.shape == (2, 1, 9 * 12)


def test_places_of_a_memory_are_in_the_order_of_rows():
    """What stands at the top left changes the first place and not the last."""
    core = Cnn(Features(dim=1, grid=(32, 32), asks="memory"), width=12.0).eval()
    x = torch.zeros(1, 32, 32, 1)
    dotted = x.clone()
    dotted[0, 1, 30] = 5.0  # top right
    changed = (core(x, None)[0] != core(dotted, None)[0]).any(-1)[0].reshape(4, 4)
    assert changed[0, 3] and not changed[0, 0] and not changed[3].any()


def test_convolutions_can_start_as_he_et_al_did():
    core = Cnn(Features(dim=3, grid=(40, 40)), width=64.0, init="he")
    conv = core.body.stages[-1].conv.conv
    fan_in = conv.weight[0].numel()
    assert conv.weight.std().item() == pytest.approx((2 / fan_in) ** 0.5, rel=0.05)
    assert not conv.bias.any()
    assert Cnn(Features(dim=3, grid=(40, 40))).body.stages[-1].conv.conv.bias.any()
    with pytest.raises(ValueError, match="init must be torch or he, not 'xavier'"):
        Cnn(Features(dim=3, grid=(40, 40)), init="xavier")
