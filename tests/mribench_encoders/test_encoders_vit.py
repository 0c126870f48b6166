"""The encoder ``vit``: its size, its maps, and what it does with hidden tokens."""

from __future__ import annotations

import pytest
import torch
from mribench_encoders.unet import UNetDecoder, UNetOptions
from mribench_encoders.vit import VitEncoder, VitOptions
from pydantic import ValidationError

from mribench.errors import DataError
from mribench.interfaces import Mask

SMALL = {"token_vox": 4, "width": 24, "depth": 4, "heads": 2, "maps": 2}


@pytest.fixture(autouse=True)
def _one_thread_and_a_seed():
    torch.set_num_threads(1)
    torch.manual_seed(0)


def build(**options) -> VitEncoder:
    return VitEncoder(VitOptions(**{**SMALL, **options})).eval()


def test_the_default_is_vit_b():
    encoder = VitEncoder(VitOptions())
    width, hidden = 768, 4 * 768
    block = 2 * 2 * width + 4 * width**2 + 3 * width + width + 2 * width * hidden + hidden + width
    tokens = 16**3 * width + width
    by_hand = 12 * block + tokens + width + 2 * width  # blocks, tokens, class token, last norm
    assert sum(parameter.numel() for parameter in encoder.parameters()) == by_hand
    assert by_hand == pytest.approx(88e6, rel=0.01)


def test_maps_are_of_one_stride_and_of_any_grid():
    encoder = build(maps=3)
    assert encoder.strides == (4, 4, 4)
    assert encoder.shown_blocks == [0, 2, 3]
    maps = encoder.feature_maps(torch.randn(2, 1, 8, 16, 12))
    assert [tuple(level.shape) for level in maps] == [(2, 24, 2, 4, 3)] * 3


def test_neighbouring_tokens_stay_neighbours_in_the_maps():
    """A token that is changed changes most where it lies."""
    encoder = build()
    image = torch.randn(1, 1, 8, 8, 16)
    other = image.clone()
    other[..., 4:8, :4, 8:12] += 5
    difference = (encoder.feature_maps(image)[-1] - encoder.feature_maps(other)[-1]).norm(dim=1)[0]
    assert difference.shape == (2, 2, 4)
    assert int(difference.argmax()) == 1 * 8 + 0 * 4 + 2


def test_positions_tell_tokens_apart():
    maps = build().feature_maps(torch.ones(1, 1, 8, 8, 8))[-1].flatten(2)[0].T
    assert torch.cdist(maps, maps).fill_diagonal_(1).min() > 1e-3


def test_hidden_tokens_are_left_out_before_the_first_block():
    encoder = build()
    image = torch.randn(2, 1, 8, 8, 8)
    mask = Mask.draw(image, 0.75, 4, 4)
    seen = []
    encoder.blocks[0].register_forward_hook(lambda module, given, made: seen.append(given[0].shape))
    maps, embedding = encoder.maps_and_embedding(image, mask)
    assert seen == [(2, 1 + 2, 24)], "the class token and the shown quarter of 8 tokens"
    for level in maps:
        assert not level.masked_select(mask.at_stride(4)).any()
        assert level.masked_select(~mask.at_stride(4)).all()
    shown = maps[-1].flatten(2).sum(2) / 2
    assert torch.allclose(embedding, shown, atol=1e-6), "the mean of the shown tokens alone"


def test_embeddings_of_mean_and_class_token():
    image = torch.randn(2, 1, 8, 8, 8)
    mean, token = build(), build(embedding="class")
    token.load_state_dict(mean.state_dict())
    maps, embedding = mean.maps_and_embedding(image)
    assert torch.allclose(embedding, maps[-1].flatten(2).mean(2), atol=1e-6)
    assert not torch.allclose(token.embed(image), embedding, atol=1e-2)


def test_a_decoder_reaches_full_resolution():
    encoder = build()
    decoder = UNetDecoder(UNetOptions(), encoder, 3)
    assert decoder(encoder.feature_maps(torch.randn(1, 1, 16, 8, 8))).shape == (1, 3, 16, 8, 8)


@pytest.mark.parametrize("shape", [(2, 1, 8, 8, 9), (2, 2, 8, 8, 8), (2, 8, 8, 8)])
def test_images_that_tokens_do_not_fill(shape):
    with pytest.raises(DataError, match="edges that are multiples of 4"):
        build()(torch.zeros(shape))


@pytest.mark.parametrize(
    ("options", "message"),
    [({"heads": 5}, "a width that 5 heads divide, got 24"), ({"maps": 5}, "got 5 maps and 4 blocks")],
)
def test_options_that_do_not_fit(options, message):
    with pytest.raises(ValidationError, match=message):
        VitOptions(**{**SMALL, **options})
