"""Encoders of one channel that are made to take several."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from mribench.errors import PluginError
from mribench.interfaces import Encoder, EncoderRef, Mask
from mribench.plugins import load_registry
from mribench.testing import ConformanceError, check_encoder

SMALL = {
    "cnn": {"features": [4, 8], "dropout": 0.0},
    "vit": {"token_vox": 4, "width": 12, "depth": 1, "heads": 1, "maps": 1},
}


def encoder(name: str) -> Encoder:
    torch.manual_seed(0)
    reference = EncoderRef.model_validate({"name": name, **SMALL[name]})
    made: Encoder = load_registry().resolve(reference, "test", "corrected").make()
    return made.eval()


@pytest.mark.parametrize("name", SMALL)
def test_the_first_kernel_is_repeated_and_divided(name: str) -> None:
    narrow, wide = encoder(name), encoder(name)
    assert wide.widen_input(3) == "first kernel repeated for 3 channels, divided by 3"
    assert wide.in_channels == 3
    (before,), (after,) = narrow.input_convolutions(), [
        module for module in wide.modules() if isinstance(module, nn.Conv3d) and module.in_channels == 3
    ]  # fmt: skip
    for channel in range(3):
        torch.testing.assert_close(3 * after.weight[:, channel], before.weight[:, 0])
    images = torch.randn(3, 3, 8, 8, 8)
    mean = images.mean(1, keepdim=True)
    for one, other in zip(wide.feature_maps(images), narrow.feature_maps(mean), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
    with pytest.raises(PluginError, match="takes 3 channels, and cannot be widened to 2"):
        wide.widen_input(2)


class TwoStems(Encoder):
    """Nobody can tell which convolution reads the image."""

    channels, strides, embedding_dim = (4,), (1,), 4

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = (nn.Conv3d(1, 4, 3, padding=1) for _ in range(2))

    def feature_maps(self, image: Tensor, mask: Mask | None = None) -> list[Tensor]:
        return [self.first(image[:, :1]) + self.second(image[:, :1])]


def test_an_encoder_with_two_first_convolutions_is_not_guessed_at() -> None:
    with pytest.raises(PluginError, match="TwoStems has 2 convolutions of one channel") as caught:
        TwoStems().widen_input(2)
    assert "Encoder.input_convolutions()" in caught.value.hint
    check_encoder(TwoStems())


class Careless(TwoStems):
    """Says that it takes more channels, and does not look at them."""

    def widen_input(self, channels: int) -> str:
        self.in_channels = channels
        return "done"


class Strict(TwoStems):
    """Is widened, and refuses what it is shown then."""

    def widen_input(self, channels: int) -> str:
        self.in_channels = channels
        return "done"

    def feature_maps(self, image: Tensor, mask: Mask | None = None) -> list[Tensor]:
        return [self.first(image)]


def test_conformance_finds_an_encoder_that_refuses_what_it_is_widened_for() -> None:
    with pytest.raises(ConformanceError, match="widened, it refuses images of 3 channels"):
        check_encoder(Strict())


def test_conformance_finds_an_encoder_that_ignores_channels() -> None:
    with pytest.raises(ConformanceError, match="does not look at the last channel"):
        check_encoder(Careless())
