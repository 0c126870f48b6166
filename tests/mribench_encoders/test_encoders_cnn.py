"""The encoder ``cnn`` has the paper's size, shapes and, in 'corrected', an embedding that says something."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from mribench_encoders.cnn import CnnEncoder, CnnOptions
from pydantic import ValidationError

from mribench.errors import DataError
from mribench.interfaces import Encoder, Mask

SMALL = (4, 8, 12)


@pytest.fixture(autouse=True)
def _one_thread_and_a_seed():
    torch.set_num_threads(1)
    torch.manual_seed(0)


def parameters(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def two_conv_parameters(channels_in: int, channels: int) -> int:
    """Weights and biases of two 3x3x3 convolutions, and an affine norm after each."""
    return 27 * channels * (channels_in + channels) + 2 * channels + 4 * channels


def test_paper_size_is_40_6_million_parameters():
    encoder = CnnEncoder(CnnOptions(profile="paper"))
    widths = (1, 64, 128, 256, 512, 768)
    by_hand = sum(two_conv_parameters(a, b) for a, b in pairwise(widths))
    assert parameters(encoder) == by_hand
    assert parameters(encoder) == pytest.approx(40.6e6, rel=0.01)


@pytest.mark.parametrize("profile", ["corrected", "paper", "as-released"])
def test_size_hardly_depends_on_the_profile(profile):
    features = (16, 32, 64)
    paper = parameters(CnnEncoder(CnnOptions(features=features, profile="paper")))
    assert parameters(CnnEncoder(CnnOptions(features=features, profile=profile))) == pytest.approx(
        paper, rel=0.01
    )


def test_maps_go_from_fine_to_coarse():
    encoder = CnnEncoder(CnnOptions(features=SMALL))
    maps = encoder.feature_maps(torch.randn(2, 1, 16, 24, 8))
    assert tuple(encoder.strides) == (1, 2, 4)
    assert [tuple(found.shape) for found in maps] == [(2, 4, 16, 24, 8), (2, 8, 8, 12, 4), (2, 12, 4, 6, 2)]


def test_papers_embedding_is_the_spatial_mean_of_the_coarsest_map():
    encoder = CnnEncoder(CnnOptions(features=SMALL, profile="paper")).eval()
    image = torch.randn(2, 1, 16, 16, 16)
    assert encoder.embedding_dim == 12
    torch.testing.assert_close(encoder.embed(image), encoder.feature_maps(image)[-1].mean((2, 3, 4)))
    torch.testing.assert_close(encoder.embed(image), encoder.pool(encoder.feature_maps(image)))


def test_instance_norm_makes_pooled_embeddings_nearly_equal():
    """The paper's recipe: before the GELU the spatial mean of every channel is the norm's bias, always."""
    encoder = CnnEncoder(CnnOptions(features=SMALL, profile="paper", dropout=0)).eval()
    normed = []
    encoder.blocks[-1].convs.conv_1.adn.N.register_forward_hook(lambda _m, _i, out: normed.append(out))
    encoder.embed(torch.randn(3, 1, 16, 16, 16))
    assert normed[0].mean((2, 3, 4)).abs().max() < 1e-5


def mean_cosine(embeddings: torch.Tensor) -> float:
    unit = F.normalize(embeddings, dim=1)
    n = len(unit)
    return float(((unit @ unit.T).sum() - n) / (n * (n - 1)))


def effective_rank(embeddings: torch.Tensor) -> float:
    """Roy and Vetterli 2007: exponential of the entropy of the singular values."""
    values = torch.linalg.svdvals(embeddings)
    share = values / values.sum()
    return float(torch.exp(-(share * share.log()).sum()))


def briefly_trained(profile: str) -> torch.Tensor:
    """Tell eight smooth images apart for a few steps; return their embeddings."""
    encoder = CnnEncoder(CnnOptions(features=(4, 8, 16), dropout=0, profile=profile))
    images = F.interpolate(torch.randn(8, 1, 6, 6, 6), size=16, mode="trilinear")
    optimiser = torch.optim.AdamW(encoder.parameters(), lr=3e-3)
    for _ in range(20):
        views = torch.cat([images + 0.1 * torch.randn_like(images) for _ in range(2)])
        embeddings = F.normalize(encoder.embed(views), dim=1)
        logits = (embeddings @ embeddings.T / 0.5).masked_fill(torch.eye(16, dtype=torch.bool), -torch.inf)
        loss = F.cross_entropy(logits, torch.arange(16).roll(8))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with torch.no_grad():
        return encoder.eval().embed(images)


def test_embedding_before_the_norm_is_informative_after_brief_training():
    paper, corrected = briefly_trained("paper"), briefly_trained("corrected")
    assert mean_cosine(corrected) < 0.9
    assert effective_rank(corrected) > 2
    assert mean_cosine(corrected) < mean_cosine(paper) - 0.2


def test_profiles_differ_in_the_embedding_alone():
    paper = CnnEncoder(CnnOptions(features=SMALL, profile="paper")).eval()
    corrected = CnnEncoder(CnnOptions(features=SMALL, profile="corrected")).eval()
    corrected.load_state_dict(paper.state_dict())
    image = torch.randn(2, 1, 16, 16, 16)
    for one, other in zip(paper.feature_maps(image), corrected.feature_maps(image), strict=True):
        assert torch.equal(one, other)
    assert not torch.allclose(paper.embed(image), corrected.embed(image))
    asked = CnnEncoder(CnnOptions(features=SMALL, profile="paper", embedding="mean-before-norm")).eval()
    asked.load_state_dict(paper.state_dict())
    assert torch.equal(asked.embed(image), corrected.embed(image))


@pytest.mark.parametrize("profile", ["paper", "corrected"])
def test_dropout_only_in_training(profile):
    encoder = CnnEncoder(CnnOptions(features=SMALL, dropout=0.5, profile=profile))
    image = torch.randn(1, 1, 8, 8, 8)
    assert not torch.equal(encoder.train().embed(image), encoder.embed(image))
    encoder.eval()
    assert torch.equal(encoder.embed(image), encoder.embed(image))


def test_a_volume_that_the_strides_do_not_divide_is_refused():
    encoder = CnnEncoder(CnnOptions(features=SMALL))
    with pytest.raises(DataError, match=r"multiples of 4.*\(16, 16, 18\)"):
        encoder.feature_maps(torch.randn(1, 1, 16, 16, 18))


def test_a_patch_with_one_coarse_voxel_is_refused():
    """Instance norm of a single voxel is its bias: nothing would be learned."""
    encoder = CnnEncoder(CnnOptions(features=SMALL))
    with pytest.raises(DataError, match="at least 8"):
        encoder.feature_maps(torch.randn(1, 1, 4, 4, 4))


def test_other_channels_are_refused():
    encoder = CnnEncoder(CnnOptions(features=SMALL))
    with pytest.raises(DataError, match=r"\(B, 1, I, J, K\)"):
        encoder.feature_maps(torch.randn(1, 2, 8, 8, 8))


def test_hidden_voxels_are_0():
    encoder = CnnEncoder(CnnOptions(features=SMALL)).eval()
    image = torch.randn(2, 1, 16, 16, 16)
    mask = Mask.draw(image, 0.5, 8, encoder.mask_stride)
    shown = encoder.feature_maps(image.masked_fill(mask.voxels(), 0.0))
    for one, other in zip(encoder.feature_maps(image, mask), shown, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("wrong", [{"features": []}, {"features": [0]}, {"dropout": 1.0}, {"widths": [1]}])
def test_wrong_options_are_refused(wrong):
    with pytest.raises(ValidationError):
        CnnOptions(**wrong)


def test_interface_pools_unless_embed_is_overridden():
    class Constant(Encoder):
        channels, strides, embedding_dim = (2,), (1,), 2

        def feature_maps(self, image, mask=None):
            return [image.expand(-1, 2, -1, -1, -1)]

    image = torch.arange(8.0).view(1, 1, 2, 2, 2)
    assert Constant().embed(image).tolist() == [[3.5, 3.5]]
