"""The seed paper's convolutional encoder (Chalcroft et al. 2025, appendix B)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from monai.networks.nets.basic_unet import Down, TwoConv
from pydantic import Field
from torch import Tensor, nn

from mribench.errors import DataError
from mribench.interfaces import Encoder, Options, Profile

Norm = Literal["instance", "group", "none"]


class CnnOptions(Options):
    """Options of the encoder ``cnn``; the defaults are the paper's, 40.6 M parameters."""

    features: tuple[Annotated[int, Field(gt=0)], ...] = Field(
        (64, 128, 256, 512, 768),
        min_length=1,
        description="channels of each block, finest first; each block halves the resolution of the one before",
    )
    dropout: float = Field(0.2, ge=0, lt=1, description="share of activations dropped after each norm")
    last_norm: Norm | None = Field(None, description="normalisation after the last convolution")
    profile: Profile = Field("corrected", description="protocol that decides what is left open above")


class CnnEncoder(Encoder):
    """Blocks of two 3x3x3 convolutions with norm, dropout and GELU; max-pooling between the blocks."""

    def __init__(self, options: CnnOptions) -> None:
        super().__init__()
        self.channels = options.features
        self.strides = tuple(2**level for level in range(len(options.features)))
        self.embedding_dim = options.features[-1]
        style: dict[str, Any] = {
            "act": "gelu", "norm": ("instance", {"affine": True}), "bias": True, "dropout": options.dropout,
        }  # fmt: skip
        blocks: list[nn.Module] = [TwoConv(3, 1, options.features[0], **style)]
        for wide, wider in zip(options.features, options.features[1:], strict=False):
            blocks.append(Down(3, wide, wider, **style))
        self.blocks = nn.ModuleList(blocks)

    def feature_maps(self, image: Tensor, mask: Tensor | None = None) -> list[Tensor]:
        maps = []
        for block in self.blocks:
            image = block(image)
            maps.append(image)
        return maps
