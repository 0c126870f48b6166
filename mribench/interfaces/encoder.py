"""Encoders and decoders."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mribench.errors import PluginError
from mribench.interfaces.mask import Mask, MaskKind


class Encoder(nn.Module, ABC):
    """Maps a volume ``(B, C, I, J, K)``, C = 1 unless it is widened, to feature maps and to one embedding.

    Attributes:
        channels: channels C_s of each feature map, finest first.
        strides: stride s of each feature map in voxels, finest first; may repeat (a ViT's do).
        embedding_dim: D of ``embed``.
        mask_kind: what it does with what a mask hides; one that takes no mask is not given any.
        mask_stride: edge in voxels of the cells of the masks that it takes.
        in_channels: channels C of the image.
    """

    channels: Sequence[int]
    strides: Sequence[int]
    embedding_dim: int
    mask_kind: MaskKind = "none"
    mask_stride: int = 1
    in_channels: int = 1

    @abstractmethod
    def feature_maps(self, image: Tensor, mask: Mask | None = None) -> list[Tensor]:
        """Return feature maps ``(B, C_s, I/s, J/s, K/s)``, finest first.

        Args:
            image: ``(B, C, I, J, K)``; I, J, K multiples of the largest stride.
            mask: of cells of ``mask_stride`` voxels; what it hides changes nothing in the maps.
        """

    def pool(self, feature_maps: list[Tensor]) -> Tensor:
        """Return the embedding ``(B, D)`` of the maps: the spatial mean of the coarsest unless overridden."""
        return feature_maps[-1].flatten(2).mean(-1)

    def maps_and_embedding(self, image: Tensor, mask: Mask | None = None) -> tuple[list[Tensor], Tensor]:
        """Return ``feature_maps`` and the embedding ``(B, D)`` from one pass; of what a mask shows, with one.

        Override ``pool`` where the embedding can be had from the feature maps, and this where it cannot
        (a class token); ``embed`` follows.
        """
        maps = self.feature_maps(image) if mask is None else self.feature_maps(image, mask)
        return maps, self.pool(maps)

    def layers(self) -> Sequence[nn.Module]:
        """Return its layers from the image on, for learning rates that fall towards the image.

        What is in no layer (a last norm, a class token) learns like the head. Empty where it has no layers.
        """
        return ()

    def input_convolutions(self) -> Sequence[nn.Conv3d]:
        """Return the convolutions that read the image, of one channel; by default the only one that there is.

        Raises:
            PluginError: when there is not one.
        """
        found = [
            module for module in self.modules() if isinstance(module, nn.Conv3d) and module.in_channels == 1
        ]
        if len(found) != 1:
            raise PluginError(
                f"{type(self).__name__} has {len(found)} convolutions of one channel, so nobody can tell"
                " which of them read the image",
                "override Encoder.input_convolutions()",
            )
        return found

    def widen_input(self, channels: int) -> str:
        """Make it take images of several channels, where it takes those of one.

        The kernels of ``input_convolutions`` are repeated, and divided by the number of channels: an image
        whose channels are all the same gives what one of them gave. Override it where the image is not read
        by convolutions, and set ``in_channels``.

        Args:
            channels: of an image from now on.

        Returns:
            What was done, for the account of a job.

        Raises:
            PluginError: when it takes several channels already, or ``input_convolutions`` does not know.
        """
        if self.in_channels != 1:
            raise PluginError(
                f"{type(self).__name__} takes {self.in_channels} channels, and cannot be widened to"
                f" {channels}"
            )
        for stem in self.input_convolutions():
            with torch.no_grad():
                kernel = stem.weight.repeat(1, channels, 1, 1, 1) / channels
            stem.weight = nn.Parameter(kernel, requires_grad=stem.weight.requires_grad)
            stem.in_channels = channels
        self.in_channels = channels
        return f"first kernel repeated for {channels} channels, divided by {channels}"

    def embed(self, image: Tensor) -> Tensor:
        """Return the embedding ``(B, D)`` of ``maps_and_embedding``."""
        return self.maps_and_embedding(image)[1]

    def forward(self, image: Tensor) -> list[Tensor]:
        """Return ``feature_maps(image)``."""
        return self.feature_maps(image)


class Decoder(nn.Module, ABC):
    """Maps an encoder's feature maps to a dense output; built from ``channels`` and ``strides``.

    Attributes:
        output_layer: name of the layer whose shape depends on the output's channels; it starts anew where a
            pretrained decoder had others. Empty where no layer may.
    """

    output_layer: str = ""

    @abstractmethod
    def forward(self, features: list[Tensor]) -> Tensor:
        """Return ``(B, out_channels, I, J, K)`` from the maps of ``Encoder.feature_maps``."""
