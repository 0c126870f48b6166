"""The seed paper's convolutional encoder (Chalcroft et al. 2025, appendix B)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field
from torch import Tensor, nn

from mribench.errors import DataError
from mribench.interfaces import Encoder, Mask, MaskKind, Options, Profile

Embedding = Literal["mean", "mean-before-norm"]


class CnnOptions(Options):
    """Options of the encoder ``cnn``; the defaults are the paper's, 40.6 M parameters."""

    features: tuple[Annotated[int, Field(gt=0)], ...] = Field(
        (64, 128, 256, 512, 768),
        min_length=1,
        description="channels of each block, finest first; each has half the resolution of the one before",
    )
    dropout: float = Field(0.2, ge=0, lt=1, description="share of activations dropped after each norm")
    embedding: Embedding | None = Field(
        None,
        description="what is averaged over space: 'mean' the coarsest feature map, as in the paper; "
        "'mean-before-norm' the last convolution's output before its instance norm, the default in "
        "'corrected'",
    )
    profile: Profile = Field("corrected", description="protocol that decides what is left open above")

    @property
    def resolved_embedding(self) -> Embedding:
        """The embedding, by profile unless given."""
        return self.embedding or ("mean-before-norm" if self.profile == "corrected" else "mean")


class CnnEncoder(Encoder):
    """Blocks of two 3x3x3 convolutions with instance norm, dropout and GELU; max-pooling between them.

    Instance norm (Ulyanov et al. 2016, doi:10.48550/arXiv.1607.08022) gives every channel of every image
    the same spatial mean, so the mean of the normed maps hardly depends on the image, and a contrastive
    loss on it stays at chance. ``mean-before-norm`` averages what the last norm takes away. The layers,
    their weights and the feature maps are the same with either embedding. Voxels that a mask hides are 0, the
    mean of a z-scored image.
    """

    mask_kind: MaskKind = "zero"

    def __init__(self, options: CnnOptions) -> None:
        super().__init__()
        features = options.features
        self.channels = features
        self.strides = tuple(2**level for level in range(len(features)))
        self.embedding_dim = features[-1]
        self.before_norm = options.resolved_embedding == "mean-before-norm"
        self.blocks = nn.ModuleList(
            _Block(channels_in, channels, options.dropout, halve=level > 0)
            for level, (channels_in, channels) in enumerate(zip((1, *features), features, strict=False))
        )

    def feature_maps(self, image: Tensor, mask: Mask | None = None) -> list[Tensor]:
        """Return one map for each block, finest first.

        Raises:
            DataError: when the image is not ``(B, 1, I, J, K)`` with edges that the strides divide, two
                voxels of the coarsest map or more.
        """
        return self._run(image, mask)[0]

    def maps_and_embedding(self, image: Tensor, mask: Mask | None = None) -> tuple[list[Tensor], Tensor]:
        """Return the feature maps and the embedding ``(B, features[-1])``.

        Raises:
            DataError: as ``feature_maps``.
        """
        maps, before_norm = self._run(image, mask)
        return maps, (before_norm if self.before_norm else maps[-1]).flatten(2).mean(-1)

    def layers(self) -> Sequence[nn.Module]:
        """Return the blocks, finest first."""
        return list(self.blocks)

    def _run(self, image: Tensor, mask: Mask | None) -> tuple[list[Tensor], Tensor]:
        """Return the maps, and the coarsest one before its norm."""
        self._check(image)
        if mask is not None:
            image = image.masked_fill(mask.voxels(), 0.0)
        maps, before_norm = [], image
        for block in self.blocks:
            before_norm, image = block(image)
            maps.append(image)
        return maps, before_norm

    def _check(self, image: Tensor) -> None:
        if image.ndim != 5 or image.shape[1] != self.in_channels:
            raise DataError(
                f"encoder 'cnn': expected an image (B, {self.in_channels}, I, J, K), got {tuple(image.shape)}"
            )
        edges, coarsest = tuple(image.shape[2:]), self.strides[-1]
        if any(edge % coarsest or edge < 2 * coarsest for edge in edges):
            raise DataError(
                f"encoder 'cnn': expected edges that are multiples of {coarsest} and at least "
                f"{2 * coarsest}, got {edges}",
                "change patch_vox, or use fewer features (each block halves the resolution)",
            )


class _Block(nn.Module):
    """Max-pooling where asked, and two convolutions."""

    def __init__(self, channels_in: int, channels: int, dropout: float, halve: bool) -> None:
        super().__init__()
        self.shrink = nn.MaxPool3d(2) if halve else nn.Identity()
        from monai.networks.nets.basic_unet import (
            TwoConv,
        )  # a second of imports, which a plan does without where nothing is to be run

        self.convs: Any = TwoConv(
            3,
            channels_in,
            channels,
            act="gelu",
            norm=("instance", {"affine": True}),
            bias=True,
            dropout=dropout,
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the last convolution's output before and after norm, dropout and GELU."""
        before_norm = self.convs.conv_1.conv(self.convs.conv_0(self.shrink(x)))
        return before_norm, self.convs.conv_1.adn(before_norm)
