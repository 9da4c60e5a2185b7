"""Cores against independent implementations: NumPy, plain loops, and PyTorch's modules."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from quintain.contracts import Features, Unsupported
from quintain.nn.mask import length_mask
from quintain.plugins.model.cnn import Cnn, _Conv
from quintain.plugins.model.mlp import Mlp, _TimeMix
from quintain.plugins.model.recurrent import Recurrent
from quintain.plugins.model.transformer import Transformer, _SelfAttention, sinusoidal_positions

CAUSAL = Features(dim=3, grid=(70,), causal=True, output_mode="positions")


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def numpy_attention(layer, x_BTD, allowed_BTT):
    """Compute multi-head attention in NumPy, one sample and one head at a time."""
    weight, merge = layer.qkv.weight.detach().numpy(), layer.merge.weight.detach().numpy()
    out = np.zeros(x_BTD.shape)
    for b, x_TD in enumerate(x_BTD.numpy()):
        q, k, v = np.split(x_TD @ weight.T, 3, axis=-1)
        heads = zip(*(np.split(part, layer.num_heads, axis=-1) for part in (q, k, v)), strict=True)
        mixed = []
        for q_TK, k_TK, v_TK in heads:
            score_TT = q_TK @ k_TK.T / math.sqrt(q_TK.shape[1])
            mixed.append(softmax(np.where(allowed_BTT[b], score_TT, -np.inf)) @ v_TK)
        out[b] = np.concatenate(mixed, -1) @ merge.T + layer.merge.bias.detach().numpy()
    return out


@pytest.mark.parametrize("causal", [False, True])
def test_attention_equals_numpy(causal):
    torch.manual_seed(0)
    layer = _SelfAttention(7, num_heads=3, head_dim=5, causal=causal).double()
    x = torch.randn(2, 6, 7, dtype=torch.float64)
    mask = length_mask(torch.tensor([6, 4]), 6)
    allowed = np.broadcast_to(mask.numpy()[:, None, :], (2, 6, 6))
    if causal:
        allowed = allowed & np.tril(np.ones((6, 6), dtype=bool))
    got = layer(x, mask).detach().numpy()
    expected = numpy_attention(layer, x, allowed)
    valid = mask.numpy()
    assert got[valid] == pytest.approx(expected[valid], abs=1e-12)


@pytest.mark.parametrize("causal", [False, True])
def test_sample_without_valid_steps_has_finite_outputs_and_gradients(causal):
    inp = Features(dim=3, grid=(5,), masked=True, causal=causal)
    core = Transformer(inp, width=8.0)
    x, mask = torch.randn(2, 5, 3), length_mask(torch.tensor([5, 0]), 5)
    out, _ = core(x, mask)
    out.square().sum().backward()
    assert out.isfinite().all()
    assert all(p.grad.isfinite().all() for p in core.parameters())


def test_sinusoidal_positions_equal_the_formula():
    table = sinusoidal_positions(3, 5).numpy()
    rates = [10_000 ** (-2 * i / 5) for i in range(3)]
    expected = [
        [math.sin(t * r) for r in rates] + [math.cos(t * r) for r in rates[:2]] for t in range(3)
    ]
    assert table == pytest.approx(np.array(expected), abs=1e-6)


def test_causal_convolution_equals_a_loop():
    torch.manual_seed(0)
    layer = _Conv(1, 2, 4, stride=(1,), dilation=3, causal=True).double()
    x = torch.randn(1, 11, 2, dtype=torch.float64)
    weight, bias = layer.conv.weight, layer.conv.bias
    expected = torch.zeros(1, 11, 4, dtype=torch.float64)
    for t in range(11):
        expected[0, t] = bias
        for k in range(3):
            if (s := t - 3 * (2 - k)) >= 0:
                expected[0, t] += weight[:, :, k] @ x[0, s]
    assert torch.allclose(layer(x), expected, atol=1e-12)


def test_strided_convolution_is_centred_on_every_second_input():
    torch.manual_seed(0)
    layer = _Conv(1, 2, 4, stride=(2,)).double()
    x = torch.randn(1, 7, 2, dtype=torch.float64)
    padded = nn.functional.pad(x, (0, 0, 1, 1))
    expected = torch.stack(
        [
            layer.conv.bias
            + sum(layer.conv.weight[:, :, k] @ padded[0, 2 * t + k] for k in range(3))
            for t in range(4)
        ]
    )
    assert torch.allclose(layer(x)[0], expected, atol=1e-12)


@pytest.mark.parametrize("stride", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("size", [1, 5, 7, 8, 15, 16, 33])
def test_strided_convolution_reads_every_input(stride, size):
    layer = _Conv(2, 1, 1, stride=(stride, 2))
    nn.init.ones_(layer.conv.weight)
    x = torch.zeros(1, size, 6, 1, requires_grad=True)
    out = layer(x)
    assert out.shape == (1, -(-size // stride), 3, 1)
    (gradient,) = torch.autograd.grad(out.sum(), x)
    assert gradient.min() >= 1
    first = torch.autograd.grad(layer(x)[0, -1, 0, 0], x)[0].abs().sum((0, 2, 3)).nonzero()
    start = stride * (out.shape[1] - 1)  # the input at which the last output is centred
    assert first.min() == max(0, start - 1) and first.max() == size - 1


def test_causal_cnn_reads_at_least_64_past_steps():
    torch.manual_seed(0)
    core = Cnn(CAUSAL, width=6.0).double()
    x = torch.randn(1, 70, 3, dtype=torch.float64, requires_grad=True)
    out, _ = core(x, None)
    (gradient,) = torch.autograd.grad(out[0, 66, 0], x)  # LayerNorm makes the sum constant
    touched = gradient[0].abs().sum(-1).nonzero().flatten()
    assert touched.min() <= 66 - 63
    assert touched.max() == 66


@pytest.mark.parametrize(
    ("grid", "positions"),
    [
        ((8, 8), 4 * 4),
        ((28, 28), 4 * 4),
        ((12, 16, 16), 3 * 4 * 4),
        ((60, 40), 4 * 3),
        ((48,), 3),
        ((16000,), 4),
    ],
)
def test_cnn_flattens_the_remaining_positions(grid, positions):
    core = Cnn(Features(dim=1, grid=grid), width=12.0)
    out, mask = core(torch.randn(2, *grid, 1), None)
    assert out.shape == (2, 1, 12 * positions) == (2, *core.out.grid, core.out.dim)
    assert mask is None


def test_cnn_does_not_flatten_a_ragged_axis():
    core = Cnn(Features(dim=1, grid=(60, 40), masked=True), width=12.0)
    mask = torch.arange(60) < torch.tensor([[60], [33]])
    out, shorter = core(torch.randn(2, 60, 40, 1), mask)
    assert out.shape == (2, 4, 12 * 3) == (2, *core.out.grid, core.out.dim)
    assert shorter.sum(1).tolist() == [4, 3]  # 33 → 17 → 9 → 5 → 3


def test_cnn_with_output_mode_positions_keeps_the_first_axis():
    core = Cnn(Features(dim=2, grid=(6, 5), output_mode="positions"), width=8.0)
    assert core(torch.randn(2, 6, 5, 2), None)[0].shape == (2, 6, 8)


@pytest.mark.parametrize(
    ("core", "inp", "settings"),
    [
        (Cnn, Features(dim=1, grid=(4, 4), causal=True), {}),
        (Cnn, Features(dim=1, grid=(2, 2, 2, 2)), {}),
        (Recurrent, CAUSAL, {"direction": "both"}),
    ],
)
def test_unsupported_features_raise_with_the_reason(core, inp, settings):
    with pytest.raises(Unsupported, match=r"axis|axes|not causal"):
        core(inp, **settings)


@pytest.mark.parametrize("setting", [{"cell": "lstn"}, {"direction": "backward"}])
def test_unknown_setting_raises(setting):
    with pytest.raises(ValueError, match="must be"):
        Recurrent(CAUSAL, **setting)


@pytest.mark.parametrize(("cell", "kind"), [("rnn", nn.RNN), ("lstm", nn.LSTM), ("gru", nn.GRU)])
def test_recurrent_equals_pytorch_module(cell, kind):
    core = Recurrent(Features(dim=3, grid=(9,)), width=5.0, cell=cell)
    module = kind(3, 5, batch_first=True)
    module.load_state_dict(core.layers[0][0].state_dict())
    x = torch.randn(2, 9, 3)
    assert torch.equal(core(x, None)[0], module(x)[0])


def test_both_directions_equal_packed_sequences():
    core = Recurrent(Features(dim=3, grid=(6,), masked=True), width=8.0, direction="both")
    lstm = nn.LSTM(3, 4, batch_first=True, bidirectional=True)
    forward, backward = (layer.state_dict() for layer in core.layers[0])
    lstm.load_state_dict(forward | {f"{k}_reverse": v for k, v in backward.items()})
    x, lengths = torch.randn(3, 6, 3), torch.tensor([6, 4, 1])
    packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True)
    expected, _ = nn.utils.rnn.pad_packed_sequence(lstm(packed)[0], batch_first=True)
    assert torch.allclose(core(x, length_mask(lengths, 6))[0], expected, atol=1e-6)


def test_initial_forget_biases_are_one_and_recurrent_weights_orthogonal():
    layer = Recurrent(Features(dim=3, grid=(9,)), width=5.0, cell="lstm").layers[0][0]
    assert (layer.bias_ih_l0 + layer.bias_hh_l0).tolist() == [0] * 5 + [1] * 5 + [0] * 10
    for gate in layer.weight_hh_l0.split(5):
        assert torch.allclose(gate @ gate.T, torch.eye(5), atol=1e-5)


@pytest.mark.parametrize("steps", [6, 200])
@pytest.mark.parametrize("causal", [False, True])
def test_time_mix_equals_a_linear_map(steps, causal):
    mix = _TimeMix(steps, causal=causal)
    nn.init.normal_(mix.bias_T)
    weight = mix.weight_TR if mix.weight_RT is None else mix.weight_TR @ mix.weight_RT
    weight = weight.tril() if causal else weight
    x = torch.randn(2, steps, 3)
    expected = torch.einsum("ts,bsd->btd", weight, x) + mix.bias_T[None, :, None]
    assert torch.allclose(mix(x), expected, atol=1e-4)
    cut = torch.einsum("ts,bsd->btd", weight[:4, :4], x[:, :4]) + mix.bias_T[None, :4, None]
    assert torch.allclose(mix(x[:, :4]), cut, atol=1e-4)


def test_time_mix_of_a_long_sequence_has_few_weights():
    assert sum(p.numel() for p in _TimeMix(784, causal=False).parameters()) < 5000


@pytest.mark.parametrize("core", [Mlp, Recurrent, Transformer])
def test_output_dim_follows_width(core):
    for width in (9.0, 20.5, 64.0):
        assert abs(core(Features(dim=3, grid=(9,)), width=width).out.dim - width) <= 1


@pytest.mark.parametrize(
    ("core", "name"),
    [
        *[(core, "width") for core in (Cnn, Mlp, Recurrent, Transformer)],
        *[(core, "num_layers") for core in (Mlp, Recurrent, Transformer)],
        (Transformer, "num_heads"),
        (Cnn, "num_blocks"),
    ],
)
@pytest.mark.parametrize("size", [0, -2])
def test_size_below_one_raises_with_its_name(core, name, size):
    with pytest.raises(ValueError, match=f"{name} must be at least 1, not {size}"):
        core(CAUSAL, **{name: size})
