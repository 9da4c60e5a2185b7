"""Hybrids: the frame encoder reads single frames; also the CNN with output mode positions."""

from functools import partial

import pytest
import torch
import yaml
from helpers.paths import ROOT
from torch import nn

from quintain.compose.config import compose_job, hydra_session
from quintain.compose.instantiate import find_node_problems, instantiate, locate
from quintain.contracts import Features, Unsupported
from quintain.nn.mask import length_mask
from quintain.nn.widths import solve_width
from quintain.plugins.model.cnn import Cnn
from quintain.plugins.model.hybrid import Hybrid
from quintain.plugins.model.recurrent import Recurrent
from quintain.plugins.model.transformer import Transformer
from quintain.testing import EXAMPLE_SPECS, MODEL_CHECKS, build_from_classes

FRAME_ENCODER = partial(Cnn, num_blocks=2, max_positions=512, init="he")
MODELS = {
    "cnn_lstm": partial(Hybrid, frame_encoder=FRAME_ENCODER, sequence_model=Recurrent),
    "cnn_transformer": partial(Hybrid, frame_encoder=FRAME_ENCODER, sequence_model=Transformer),
}
VIDEO = Features(dim=1, grid=(6, 12, 10), masked=True)
DATA = {
    "image": Features(dim=1, grid=(28, 28)),
    "video": Features(dim=1, grid=(12, 16, 16)),
    "speech": Features(dim=1, grid=(60, 40), masked=True),
    "transcripts": Features(dim=1, grid=(60, 40), masked=True, output_mode="positions"),
    "series": Features(dim=1, grid=(48,)),
    "text": Features(dim=64, grid=(64,), causal=True, output_mode="positions"),
}


def load_option(group, name):
    text = (ROOT / "conf" / group / f"{name}.yaml").read_text()
    return locate(yaml.safe_load(text)["_target_"])


@pytest.mark.parametrize("spec", EXAMPLE_SPECS, ids=lambda spec: spec.name)
@pytest.mark.parametrize("model", MODELS)
def test_hybrid_passes_all_model_checks(model, spec):
    stem, head = load_option("stem", spec.modality), load_option("head", spec.task)
    for _, check in MODEL_CHECKS:
        check(lambda: build_from_classes(stem, MODELS[model], head, spec, width=12.0), spec)


class WithHead(nn.Module):
    def __init__(self, core):
        super().__init__()
        self.core, self.head = core, nn.Linear(core.out.dim, 10)


def make_from_yaml(name):
    """Return the function that builds the model of conf/model."""
    with hydra_session():
        node = compose_job([f"model={name}", "dataset=moving_digits"]).config["model"]
    assert find_node_problems("model", node, positional=1, filled_in={"width"}) == []
    return lambda inp, **settings: instantiate(node, inp, **settings)


@pytest.mark.parametrize("name", MODELS)
def test_yaml_builds_the_two_parts(name):
    core = make_from_yaml(name)(VIDEO, width=8.0)
    parts = {"cnn_lstm": Recurrent, "cnn_transformer": Transformer}
    assert type(core.frame_encoder) is Cnn and type(core.sequence_model) is parts[name]


@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("model", MODELS)
def test_hybrid_meets_a_budget_within_two_percent(model, data):
    for target in (20_000, 50_000):
        solved = solve_width(lambda width: WithHead(MODELS[model](DATA[data], width=width)), target)
        assert solved.is_within_tolerance, f"{solved} is {solved.error:+.1%} off"


def test_frame_encoder_reads_a_video_frame_by_frame():
    core = Hybrid(VIDEO, frame_encoder=Cnn, sequence_model=Recurrent, width=8.0).double()
    x = torch.randn(2, 6, 12, 10, 1, dtype=torch.float64)
    mask = length_mask(torch.tensor([6, 4]), 6)
    out, out_mask = core(x, mask)
    frames = torch.stack([core.frame_encoder(x[:, t], None)[0].flatten(1) for t in range(6)], dim=1)
    expected, _ = core.sequence_model(frames, mask)
    assert out_mask is mask and out.shape == (2, 6, core.out.dim)
    assert torch.allclose(out, expected, atol=1e-12)


@pytest.mark.parametrize("model", MODELS)
def test_causality_over_a_video_is_that_of_the_sequence_model(model):
    causal = Features(**{**vars(VIDEO), "causal": True, "output_mode": "positions"})
    core = MODELS[model](causal, width=8.0).eval()
    x, mask = torch.randn(1, 6, 12, 10, 1), torch.ones(1, 6, dtype=torch.bool)
    changed = torch.cat([x[:, :3], torch.randn(1, 3, 12, 10, 1)], dim=1)
    before, after = core(x, mask)[0], core(changed, mask)[0]
    assert torch.allclose(before[:, :3], after[:, :3], atol=1e-6)
    assert not torch.allclose(before[:, 3:], after[:, 3:], atol=1e-3)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("output_mode", ["positions", "memory", "summary"])
@pytest.mark.parametrize("grid", [(9, 12, 10), (9, 12), (9,)])
def test_hybrid_keeps_the_first_axis(model, output_mode, grid):
    core = MODELS[model](
        Features(dim=2, grid=grid, masked=True, output_mode=output_mode), width=8.0
    )
    out, mask = core(torch.randn(2, *grid, 2), length_mask(torch.tensor([9, 5]), 9))
    assert out.shape == (2, 9, core.out.dim) and core.out.grid == (9,)
    assert mask.sum(1).tolist() == [9, 5] and core.out.masked
    assert not out[1, 5:].any()


def test_wrong_parts_are_reported_together():
    with pytest.raises(
        ValueError, match=r"frame_encoder must be .*grid.*; sequence_model sets a width"
    ):
        Hybrid(VIDEO, frame_encoder=Recurrent, sequence_model=partial(Recurrent, width=9.0))
    with pytest.raises(
        ValueError, match=r"sequence_model must be a core with input layout sequence and _part"
    ):
        Hybrid(VIDEO, frame_encoder=Cnn, sequence_model={"cell": "lstm"})
    with pytest.raises(Unsupported, match="one to three axes"):
        Hybrid(Features(dim=1, grid=(2, 2, 2, 2)), frame_encoder=Cnn, sequence_model=Recurrent)


POSITIONS = {
    "speech": Features(dim=1, grid=(20, 40), masked=True, output_mode="positions"),
    "video": Features(dim=1, grid=(20, 32, 48), masked=True, output_mode="positions"),
    "series": Features(dim=3, grid=(20,), masked=True, output_mode="positions"),
}


@pytest.mark.parametrize("data", POSITIONS)
def test_cnn_over_positions_ignores_padding(data):
    inp = POSITIONS[data]
    core = Cnn(inp, width=8.0, num_blocks=2).double()
    x = torch.randn(1, *inp.grid, inp.dim, dtype=torch.float64)
    whole, mask = core(x[:, :11], length_mask(torch.tensor([11]), 11))
    padded_x = x.clone()
    padded_x[:, 11:] = 1e3
    padded, longer = core(padded_x, length_mask(torch.tensor([11]), 20))
    assert torch.allclose(whole, padded[:, :11], atol=1e-12)
    assert not padded[:, 11:].any() and longer.sum() == mask.sum() == 11
    assert padded.shape == (1, 20, 8) == (1, *core.out.grid, core.out.dim)


def test_cnn_over_positions_reads_seven_neighbours_on_each_side():
    """Three stages reach 3 steps, the projection 1, and two blocks 1 + 2."""
    torch.manual_seed(0)  # a ReLU that is 0 in every channel would hide a neighbour
    core = Cnn(
        Features(dim=1, grid=(40, 16), output_mode="positions"), width=8.0, num_blocks=2
    ).double()
    x = torch.randn(1, 40, 16, 1, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(core(x, None)[0][0, 20, 0], x)
    neighbours = gradient[0, ..., 0].abs().sum(-1).nonzero().flatten()
    assert (neighbours.min(), neighbours.max()) == (13, 27)


@pytest.mark.parametrize(("limit", "grid"), [(32, (7, 40)), (128, (7, 32, 48))])
def test_first_convolution_leaves_few_positions_of_a_step(limit, grid):
    core = Cnn(Features(dim=1, grid=grid, output_mode="positions"), width=8.0)
    shapes = []
    core.body.stages[0].conv.register_forward_hook(lambda _m, _i, out: shapes.append(out.shape))
    core(torch.randn(2, *grid, 1), None)
    assert shapes[0][1] == 7 and limit / 4 < shapes[0][2:-1].numel() <= limit


def test_output_mode_memory_keeps_positions_apart():
    core = Cnn(Features(dim=3, grid=(40, 40), output_mode="memory"), width=12.0)
    out, mask = core(torch.randn(2, 40, 40, 3), None)
    assert out.shape == (2, 3 * 3, 12) == (2, *core.out.grid, core.out.dim)
    assert mask is None and not core.out.masked
    flat, _ = Cnn(Features(dim=3, grid=(40, 40)), width=12.0)(torch.randn(2, 40, 40, 3), None)
    assert flat.shape == (2, 1, 9 * 12)


def test_positions_of_a_memory_are_row_by_row():
    """A pixel at the top right changes the last position of the first row and no later row."""
    core = Cnn(Features(dim=1, grid=(32, 32), output_mode="memory"), width=12.0).eval()
    x = torch.zeros(1, 32, 32, 1)
    with_dot = x.clone()
    with_dot[0, 1, 30] = 5.0  # top right
    changed = (core(x, None)[0] != core(with_dot, None)[0]).any(-1)[0].reshape(4, 4)
    assert changed[0, 3] and not changed[0, 0] and not changed[3].any()


def test_init_he_scales_weights_by_fan_in():
    core = Cnn(Features(dim=3, grid=(40, 40)), width=64.0, init="he")
    conv = core.body.stages[-1].conv.conv
    fan_in = conv.weight[0].numel()
    assert conv.weight.std().item() == pytest.approx((2 / fan_in) ** 0.5, rel=0.05)
    assert not conv.bias.any()
    assert Cnn(Features(dim=3, grid=(40, 40))).body.stages[-1].conv.conv.bias.any()
    with pytest.raises(ValueError, match="init must be torch or he, not 'xavier'"):
        Cnn(Features(dim=3, grid=(40, 40)), init="xavier")
