"""The encoder of SwinUNETR, as MONAI builds it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field, model_validator
from torch import Tensor, nn

from mribench.interfaces import Encoder, Mask, MaskKind, Options
from mribench_encoders.images import hide_and_check

_STAGES = 4
_PATCH_VOX = 2
_Positive = Annotated[int, Field(gt=0)]


class SwinUnetrOptions(Options):
    """Options of the encoder ``swin-unetr``; the defaults are MONAI's, with 8 M parameters."""

    feature_size: _Positive = Field(
        48,
        description="channels of the finest map; each of the four stages has twice those of the one before",
    )
    depths: tuple[_Positive, ...] = Field(
        (2, 2, 2, 2), min_length=_STAGES, max_length=_STAGES, description="blocks of each stage"
    )
    heads: tuple[_Positive, ...] = Field(
        (3, 6, 12, 24), min_length=_STAGES, max_length=_STAGES, description="attention heads of each stage"
    )
    window: _Positive = Field(7, description="edge of the windows of attention, in tokens")
    convolutions: bool = Field(
        False, description="whether a residual convolution goes before each stage, MONAI's `use_v2`"
    )

    @model_validator(mode="after")
    def _check_heads(self) -> SwinUnetrOptions:
        for stage, heads in enumerate(self.heads):
            channels = self.feature_size * 2**stage
            if channels % heads:
                raise ValueError(
                    f"expected heads that divide the {channels} channels of their stage, got {heads}"
                )
        return self


class SwinUnetrEncoder(Encoder):
    """Patches of two voxels, and four stages of shifted windows of attention, each half as fine.

    Hatamizadeh et al. 2022 (doi:10.1007/978-3-031-08999-2_22). Tensors have the names that they have in
    MONAI's ``SwinUNETR``, ``swinViT.…``; the convolutions of its decoder (``encoder1`` to ``encoder10``) are
    no part of it. Feature maps are normed over channels, as there. Voxels that a mask hides are 0, the mean
    of a z-scored image. The embedding is the spatial mean of the coarsest map.
    """

    mask_kind: MaskKind = "zero"

    def __init__(self, options: SwinUnetrOptions) -> None:
        super().__init__()
        from monai.networks.nets.swin_unetr import (
            SwinTransformer,
        )  # a second of imports, which a plan does without where nothing is to be run

        self.swinViT: Any = SwinTransformer(
            in_chans=1,
            embed_dim=options.feature_size,
            window_size=(options.window,) * 3,
            patch_size=(_PATCH_VOX,) * 3,
            depths=options.depths,
            num_heads=options.heads,
            use_v2=options.convolutions,
        )
        self.channels = tuple(options.feature_size * 2**stage for stage in range(_STAGES + 1))
        self.strides = tuple(_PATCH_VOX * 2**stage for stage in range(_STAGES + 1))
        self.embedding_dim = self.channels[-1]
        self._convolutions = options.convolutions

    def feature_maps(self, image: Tensor, mask: Mask | None = None) -> list[Tensor]:
        """Return the map of the patches and one for each stage, finest first.

        Raises:
            DataError: when the image is not ``(B, C, I, J, K)`` with edges that are multiples of 32.
        """
        image = hide_and_check("swin-unetr", self, image, mask)
        maps: list[Tensor] = self.swinViT(image, True)
        return maps

    def layers(self) -> Sequence[nn.Module]:
        """Return the projection of patches, and the stages with what goes before them, finest first."""
        net = self.swinViT
        found = [net.patch_embed]
        for number in range(1, _STAGES + 1):
            found += [getattr(net, f"layers{number}c")] if self._convolutions else []
            found.append(getattr(net, f"layers{number}"))
        return found
