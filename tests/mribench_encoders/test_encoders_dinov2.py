"""The encoder ``dinov2``: its names and sizes, and that it computes what DINOv2 does."""

from __future__ import annotations

import re

import pytest
import torch
from dinov2_reference import State, compute_tokens, draw_state, list_shapes
from mribench_encoders.dinov2 import Dinov2Encoder, Dinov2Options
from pydantic import ValidationError

from mribench.errors import DataError
from mribench.interfaces import Mask

SIZES = {"token_vox": 4, "width": 24, "depth": 4, "heads": 2, "maps": 2, "grid": 3}
STATE = draw_state(24, 4, token_vox=4, grid=3, chunks=2)


@pytest.fixture(autouse=True)
def _one_thread_and_a_seed():
    torch.set_num_threads(1)
    torch.manual_seed(0)


def unchunked(name: str) -> str:
    return re.sub(r"^blocks\.\d+\.(\d+)\.", r"blocks.\1.", name)


def build(state: State = STATE, **options) -> Dinov2Encoder:
    """Return an encoder with the values of a state, which fit it."""
    encoder = Dinov2Encoder(Dinov2Options(**{**SIZES, **options})).eval()
    encoder.load_state_dict({unchunked(name): value for name, value in state.items()})
    return encoder


def test_the_defaults_have_the_tensors_of_3dino():
    shapes = list_shapes(1024, 24, token_vox=16, grid=7, chunks=4)
    with torch.device("meta"):
        found = Dinov2Encoder(Dinov2Options()).state_dict()
    assert {name: tuple(value.shape) for name, value in found.items()} == {
        unchunked(name): shape for name, shape in shapes.items()
    }
    assert sum(value.numel() for value in found.values()) == pytest.approx(307e6, rel=1e-3)


@pytest.mark.parametrize("edges", [(12, 12, 12), (16, 8, 24), (4, 12, 12)], ids=str)
def test_maps_and_embedding_are_those_of_dinov2(edges):
    image = torch.randn(2, 1, *edges)
    tokens = compute_tokens(STATE, image, heads=2, token_vox=4)
    with torch.no_grad():
        maps, embedding = build().maps_and_embedding(image)
        mean = build(embedding="mean").embed(image)
    for found, expected in zip(maps, (tokens[1], tokens[3]), strict=True):
        torch.testing.assert_close(found.flatten(2).mT, expected[:, 1:], rtol=1e-4, atol=1e-5)
        assert found.shape[2:] == tuple(edge // 4 for edge in edges)
    torch.testing.assert_close(embedding, tokens[3][:, 0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(mean, tokens[3][:, 1:].mean(1), rtol=1e-4, atol=1e-5)


def test_a_mask_token_stands_for_what_is_hidden():
    image = torch.randn(2, 1, 12, 12, 12)
    mask = Mask.draw(image, 0.5, 4, 4)
    hidden = mask.hidden.flatten(1)
    last = compute_tokens(STATE, image, heads=2, token_vox=4, hidden=hidden)[-1]
    with torch.no_grad():
        maps, embedding = build().maps_and_embedding(image, mask)
        mean = build(embedding="mean").maps_and_embedding(image, mask)[1]
    torch.testing.assert_close(maps[-1].flatten(2).mT, last[:, 1:], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(embedding, last[:, 0], rtol=1e-4, atol=1e-5)
    shown = torch.stack([tokens[~gone].mean(0) for tokens, gone in zip(last[:, 1:], hidden, strict=True)])
    torch.testing.assert_close(mean, shown, rtol=1e-4, atol=1e-5)


def test_registers_are_seen_and_are_in_no_map():
    state = STATE | {"register_tokens": torch.randn(1, 2, 24)}
    image = torch.randn(2, 1, 8, 12, 8)
    last = compute_tokens(state, image, heads=2, token_vox=4)[-1]
    with torch.no_grad():
        maps, embedding = build(state, registers=2).maps_and_embedding(image)
    torch.testing.assert_close(maps[-1].flatten(2).mT, last[:, 1:], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(embedding, last[:, 0], rtol=1e-4, atol=1e-5)
    assert not torch.allclose(embedding, build().embed(image), atol=1e-2)


@pytest.mark.parametrize("shape", [(2, 1, 8, 8, 9), (2, 2, 8, 8, 8), (2, 8, 8, 8)])
def test_images_that_tokens_do_not_fill(shape):
    with pytest.raises(DataError, match="edges are multiples of 4"):
        build()(torch.zeros(shape))


def test_options_that_do_not_fit():
    with pytest.raises(ValidationError, match="a width that 5 heads divide, got 24"):
        Dinov2Options(**{**SIZES, "heads": 5})
