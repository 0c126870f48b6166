"""nnU-Net's residual encoder, as it is published with self-supervised weights."""

from __future__ import annotations

import importlib
import itertools
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field, model_validator
from torch import Tensor, nn

from mribench.errors import DataError, PluginError
from mribench.interfaces import Encoder, Mask, MaskKind, Options

_MODULE = "dynamic_network_architectures.building_blocks.residual_encoders"
_Positive = Annotated[int, Field(gt=0)]


class ResEncOptions(Options):
    """Options of the encoder ``resenc``; the defaults are nnU-Net's preset L, as OpenMind's."""

    features: tuple[_Positive, ...] = Field(
        (32, 64, 128, 256, 320, 320), min_length=1, description="channels of each stage, finest first"
    )
    blocks: tuple[_Positive, ...] = Field(
        (1, 3, 4, 6, 6, 6), min_length=1, description="residual blocks of each stage"
    )
    strides: tuple[Annotated[int, Field(ge=1, le=4)], ...] = Field(
        (1, 2, 2, 2, 2, 2), min_length=1, description="how much coarser each stage is than the one before"
    )

    @model_validator(mode="after")
    def _check_lengths(self) -> ResEncOptions:
        lengths = {len(self.features), len(self.blocks), len(self.strides)}
        if len(lengths) > 1:
            raise ValueError("expected as many 'features' as 'blocks' and 'strides', one for each stage")
        return self


class ResEncEncoder(Encoder):
    """A stem and stages of residual blocks: 3x3x3 convolutions, instance norm, leaky ReLU.

    Isensee et al. 2024 (doi:10.48550/arXiv.2404.09556), built by the package dynamic-network-architectures,
    so that tensors have the names of nnU-Net's and nnssl's files: ``stem.…`` and ``stages.…``. Each weight
    has two names there (``conv`` and ``all_modules.0``). Voxels that a mask hides are 0, the mean of a
    z-scored image. The embedding is the spatial mean of the coarsest map.
    """

    mask_kind: MaskKind = "zero"

    def __init__(self, options: ResEncOptions) -> None:
        """Build it.

        Raises:
            PluginError: where the package is not installed.
        """
        super().__init__()
        built = _load_class()(
            input_channels=1,
            n_stages=len(options.features),
            features_per_stage=list(options.features),
            conv_op=nn.Conv3d,
            kernel_sizes=3,
            strides=list(options.strides),
            n_blocks_per_stage=list(options.blocks),
            conv_bias=True,
            norm_op=nn.InstanceNorm3d,
            norm_op_kwargs={"eps": 1e-5, "affine": True},
            nonlin=nn.LeakyReLU,
            nonlin_kwargs={"inplace": True},
            return_skips=True,
        )
        self.stem: nn.Module = built.stem
        self.stages: nn.Sequential = built.stages
        self.channels = options.features
        self.strides = tuple(itertools.accumulate(options.strides, lambda one, other: one * other))
        self.embedding_dim = options.features[-1]

    def feature_maps(self, image: Tensor, mask: Mask | None = None) -> list[Tensor]:
        """Return one map for each stage, finest first.

        Raises:
            DataError: when the image is not ``(B, C, I, J, K)`` with edges that the strides divide, two
                voxels of the coarsest map or more.
        """
        self._check(image)
        if mask is not None:
            image = image.masked_fill(mask.voxels(), 0.0)
        x, maps = self.stem(image), []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps

    def layers(self) -> Sequence[nn.Module]:
        """Return the stem and the stages, finest first."""
        return [self.stem, *self.stages]

    def _check(self, image: Tensor) -> None:
        if image.ndim != 5 or image.shape[1] != self.in_channels:
            raise DataError(
                f"encoder 'resenc': expected an image (B, {self.in_channels}, I, J, K), got"
                f" {tuple(image.shape)}"
            )
        edges, coarsest = tuple(image.shape[2:]), self.strides[-1]
        if any(edge % coarsest or edge < 2 * coarsest for edge in edges):
            raise DataError(
                f"encoder 'resenc': expected edges that are multiples of {coarsest} and at least "
                f"{2 * coarsest}, got {edges}",
                "change patch_vox, or use fewer stages",
            )


def _load_class() -> Any:
    try:
        return importlib.import_module(_MODULE).ResidualEncoder
    except ModuleNotFoundError as error:
        raise PluginError(
            f"encoder 'resenc': the package dynamic-network-architectures is not there: {error}",
            "install mribench with its extra `nnunet`",
        ) from error
