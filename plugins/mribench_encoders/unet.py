"""A U-Net decoder for any encoder."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn

from mribench.errors import ConfigError, PluginError
from mribench.interfaces import Decoder, Encoder, Options
from mribench.networks import list_prime_factors


class UNetOptions(Options):
    """Options of the decoder ``unet``."""

    features: tuple[Annotated[int, Field(gt=0)], ...] | None = Field(
        None,
        description=(
            "channels after each stage, coarsest first, one for each feature map but the coarsest; by "
            "default those of the encoder's maps, the last one halved (the paper's 512-256-128-32)"
        ),
    )
    dropout: float = Field(0.2, ge=0, lt=1, description="share of activations dropped after each norm")


class UNetDecoder(Decoder):
    """U-Net decoder (Ronneberger et al. 2015, doi:10.1007/978-3-319-24574-4_28), built from strides.

    From the coarsest map on, each stage enlarges by a transposed convolution whose kernel and stride are
    the ratio of two strides, adds the next finer feature map as further channels, and applies two
    3x3x3 convolutions with instance norm, dropout and GELU. Where two maps have one stride (a ViT's)
    a 1x1x1 convolution takes the place of the enlargement. Where the finest stride is above 1, stages
    without a feature map follow, a factor of at most one prime each, halving the channels. The last layer
    is a 1x1x1 convolution. With the paper's encoder this is MONAI's ``BasicUNet``: 70.7 M parameters in all.

    Args:
        options: widths and dropout.
        encoder: whose ``channels`` and ``strides`` it fits.
        out_channels: channels of the output.

    Raises:
        PluginError: when the encoder's strides do not divide each other.
        ConfigError: when ``features`` does not have one width for each stage.
    """

    output_layer = "output"

    def __init__(self, options: UNetOptions, encoder: Encoder, out_channels: int) -> None:
        super().__init__()
        channels, strides = list(encoder.channels), list(encoder.strides)
        ratios = _ratios(channels, strides)
        widths = _widths(options.features, channels)
        stages: list[_Stage] = []
        current = channels[-1]
        for skip, ratio, width in zip(channels[-2::-1], ratios[::-1], widths, strict=True):
            finest = len(stages) == len(widths) - 1
            enlarged = current if finest else max(1, current // 2)
            stages.append(_Stage(current, enlarged, skip, width, ratio, options.dropout))
            current = width
        for factor in list_prime_factors(strides[0]):
            width = max(1, current // 2)
            stages.append(_Stage(current, width, 0, width, factor, options.dropout))
            current = width
        self.stages = nn.ModuleList(stages)
        self.output = nn.Conv3d(current, out_channels, 1)

    def forward(self, features: list[Tensor]) -> Tensor:
        """Return ``(B, out_channels, I, J, K)`` from the encoder's feature maps, finest first."""
        skips: list[Tensor | None] = list(features[-2::-1]) if len(features) > 1 else []
        skips += [None] * (len(self.stages) - len(skips))
        x = features[-1]
        for stage, skip in zip(self.stages, skips, strict=True):
            x = stage(x, skip)
        return self.output(x)


class _Stage(nn.Module):
    """Enlarge, concatenate, two convolutions."""

    def __init__(
        self, channels: int, enlarged: int, skip: int, width: int, ratio: int, dropout: float
    ) -> None:
        super().__init__()
        self.enlarge: nn.Module = (
            nn.ConvTranspose3d(channels, enlarged, ratio, stride=ratio)
            if ratio > 1
            else nn.Conv3d(channels, enlarged, 1)
        )
        style: dict[str, Any] = {"act": "gelu", "norm": ("instance", {"affine": True}), "bias": True}
        from monai.networks.nets.basic_unet import (
            TwoConv,
        )  # a second of imports, which a plan does without where nothing is to be run

        self.convolutions = TwoConv(3, enlarged + skip, width, **style, dropout=dropout)

    def forward(self, x: Tensor, skip: Tensor | None) -> Tensor:
        x = self.enlarge(x)
        return self.convolutions(x if skip is None else torch.cat([skip, x], dim=1))


def _ratios(channels: Sequence[int], strides: Sequence[int]) -> list[int]:
    """Return the ratio of each stride to the next finer one."""
    if len(channels) != len(strides) or not strides:
        raise PluginError(
            f"expected one stride for each feature map, got channels {list(channels)} and strides "
            f"{list(strides)}",
            "set Encoder.channels and Encoder.strides, both finest first",
        )
    if any(coarse % fine for fine, coarse in pairwise(strides)):
        raise PluginError(
            f"expected strides that divide each other, finest first, got {list(strides)}",
            "the decoder 'unet' enlarges by whole numbers",
        )
    return [coarse // fine for fine, coarse in pairwise(strides)]


def _widths(features: Sequence[int] | None, channels: Sequence[int]) -> list[int]:
    stages = len(channels) - 1
    if features is None:
        widths = list(channels[-2::-1]) if stages else []
        return [*widths[:-1], max(1, widths[-1] // 2)] if widths else []
    if len(features) != stages:
        raise ConfigError(
            f"decoder unet.features: expected {stages} widths for an encoder with {len(channels)} feature "
            f"maps, got {len(features)}",
            "give one width for each map but the coarsest, coarsest first, or leave it out",
        )
    return list(features)
