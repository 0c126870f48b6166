"""Encoders and decoders."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from torch import Tensor, nn


class Encoder(nn.Module, ABC):
    """Maps a volume ``(B, 1, I, J, K)`` to feature maps and to one embedding.

    Attributes:
        channels: channels C_s of each feature map, finest first.
        strides: stride s of each feature map in voxels, finest first; may repeat (a ViT's do).
        embedding_dim: D of ``embed``.
        accepts_mask: whether ``feature_maps`` takes a mask of tokens or voxels.
    """

    channels: Sequence[int]
    strides: Sequence[int]
    embedding_dim: int
    accepts_mask: bool = False

    @abstractmethod
    def feature_maps(self, image: Tensor, mask: Tensor | None = None) -> list[Tensor]:
        """Return feature maps ``(B, C_s, I/s, J/s, K/s)``, finest first.

        Args:
            image: ``(B, 1, I, J, K)``; I, J, K multiples of the largest stride.
            mask: where ``accepts_mask``, ``(B, 1, I, J, K)`` or ``(B, tokens)``, true = hidden.
        """

    def pool(self, feature_maps: list[Tensor]) -> Tensor:
        """Return the embedding ``(B, D)`` of the maps: the spatial mean of the coarsest unless overridden."""
        return feature_maps[-1].flatten(2).mean(-1)

    def maps_and_embedding(self, image: Tensor) -> tuple[list[Tensor], Tensor]:
        """Return ``feature_maps`` and the embedding ``(B, D)`` from one pass.

        Override ``pool`` where the embedding can be had from the feature maps, and this where it cannot
        (a class token); ``embed`` follows.
        """
        maps = self.feature_maps(image)
        return maps, self.pool(maps)

    def embed(self, image: Tensor) -> Tensor:
        """Return the embedding ``(B, D)`` of ``maps_and_embedding``."""
        return self.maps_and_embedding(image)[1]

    def forward(self, image: Tensor) -> list[Tensor]:
        """Return ``feature_maps(image)``."""
        return self.feature_maps(image)


class Decoder(nn.Module, ABC):
    """Maps an encoder's feature maps to a dense output; built from ``channels`` and ``strides``."""

    @abstractmethod
    def forward(self, features: list[Tensor]) -> Tensor:
        """Return ``(B, out_channels, I, J, K)`` from the maps of ``Encoder.feature_maps``."""
