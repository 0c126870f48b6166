"""The decoder ``unet`` is MONAI's for the paper's encoder, and fits any other."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings, strategies as st
from monai.networks.nets import BasicUNet
from mribench_encoders.cnn import CnnEncoder, CnnOptions
from mribench_encoders.unet import UNetDecoder, UNetOptions

from mribench.errors import ConfigError, PluginError
from mribench.testing import ClassTokenEncoder, PyramidEncoder


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def parameters(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_paper_u_net_has_70_7_million_parameters_and_those_of_monai():
    encoder = CnnEncoder(CnnOptions(profile="paper"))
    total = parameters(encoder) + parameters(UNetDecoder(UNetOptions(), encoder, 4))
    assert total == pytest.approx(70.7e6, rel=0.01)
    assert total == parameters(BasicUNet(3, 1, 4, features=(64, 128, 256, 512, 768, 32)))


def test_output_equals_monais_u_net_with_the_same_weights():
    torch.manual_seed(0)
    style = {"act": "gelu", "norm": ("instance", {"affine": True}), "dropout": 0.0}
    reference = BasicUNet(3, 1, 3, features=(4, 6, 8, 10, 12, 2), **style).eval()
    encoder = CnnEncoder(CnnOptions(features=(4, 6, 8, 10, 12), profile="paper")).eval()
    decoder = UNetDecoder(UNetOptions(), encoder, 3).eval()
    for ours, theirs in (
        (encoder, list(reference.state_dict())[:40]),
        (decoder, list(reference.state_dict())[40:]),
    ):
        ours.load_state_dict(
            dict(zip(ours.state_dict(), [reference.state_dict()[name] for name in theirs], strict=True))
        )
    image = torch.randn(1, 1, 32, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(decoder(encoder(image)), reference(image))


@pytest.mark.parametrize(
    ("channels", "strides"),
    [
        ((4, 6, 8), (1, 2, 4)),
        ((4, 8), (1, 4)),
        ((4, 4, 6), (1, 3, 6)),
        ((6, 8), (2, 4)),
        ((8,), (1,)),
        ((8,), (8,)),
        ((8, 8, 8, 8), (4, 4, 4, 4)),
        ((2, 4, 4, 8), (2, 2, 4, 12)),
        ((1, 1), (1, 2)),
    ],
)
def test_any_strides_end_at_full_resolution(channels, strides):
    torch.manual_seed(0)
    encoder = PyramidEncoder(channels, strides)
    decoder = UNetDecoder(UNetOptions(), encoder, 5)
    edge = 2 * strides[-1] if strides[-1] > 1 else 4
    output = decoder(encoder.feature_maps(torch.randn(2, 1, edge, edge, 2 * edge)))
    assert output.shape == (2, 5, edge, edge, 2 * edge)
    output.square().mean().backward()
    assert all(parameter.grad is not None for parameter in decoder.parameters())


@settings(max_examples=10, deadline=None)
@given(ratios=st.lists(st.sampled_from([1, 2, 3]), min_size=1, max_size=3), finest=st.sampled_from([1, 2, 3]))
def test_every_product_of_small_ratios_fits(ratios, finest):
    strides = [finest]
    for ratio in ratios:
        strides.append(strides[-1] * ratio)
    encoder = PyramidEncoder([3] * len(strides), strides)
    edge = 2 * strides[-1] if strides[-1] > 1 else 4
    with torch.no_grad():
        output = UNetDecoder(UNetOptions(), encoder, 1)(encoder(torch.randn(1, 1, edge, edge, edge)))
    assert output.shape == (1, 1, edge, edge, edge)


def test_every_feature_map_is_used():
    torch.manual_seed(0)
    encoder = ClassTokenEncoder()
    decoder = UNetDecoder(UNetOptions(dropout=0), encoder, 1)
    maps = [found.detach().requires_grad_() for found in encoder.feature_maps(torch.randn(1, 1, 16, 16, 16))]
    decoder(maps).square().sum().backward()
    assert all(found.grad is not None and found.grad.abs().sum() > 0 for found in maps)


def test_widths_can_be_given():
    encoder = PyramidEncoder((4, 6, 8), (1, 2, 4))
    decoder = UNetDecoder(UNetOptions(features=(10, 3)), encoder, 2)
    assert decoder.output.in_channels == 3
    with pytest.raises(ConfigError, match="expected 2 widths"):
        UNetDecoder(UNetOptions(features=(10,)), encoder, 2)


@pytest.mark.parametrize(
    ("channels", "strides", "message"),
    [
        ((4, 4), (2, 3), "divide each other"),
        ((4, 4), (4, 2), "divide"),
        ((4,), (1, 2), "one stride"),
        ((), (), "one"),
    ],
)
def test_impossible_encoders_are_named(channels, strides, message):
    encoder = PyramidEncoder()
    encoder.channels, encoder.strides = channels, strides
    with pytest.raises(PluginError, match=message):
        UNetDecoder(UNetOptions(), encoder, 1)
