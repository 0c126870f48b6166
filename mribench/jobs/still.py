"""Does an encoder that must not change give the same maps, whatever it keeps its state in?"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mribench.errors import JobError
from mribench.interfaces.encoder import Encoder
from mribench.seeding import torch_generator

TOLERANCE = 1e-6
"""Largest difference of a map, as a share of its largest value: kernels of a GPU may round differently."""


class StillEncoder:
    """Remembers an encoder's maps and embedding of a fixed image, and compares them later.

    A digest of the weights does not see a buffer that is not saved, nor a tensor that is a plain attribute.

    Args:
        encoder: on its device; it is in evaluation mode from here on.
        edges_vox: of the image, such as the encoder gets in the job: along I, J, K.
        device: where the encoder is.
    """

    def __init__(self, encoder: Encoder, edges_vox: Sequence[int], device: torch.device) -> None:
        self._encoder = encoder
        noise = torch.randn(1, encoder.in_channels, *edges_vox, generator=torch_generator("still-encoder"))
        self._image = noise.to(device)
        self._before = self._outputs()

    def require_unchanged(self, when: str) -> None:
        """Compare.

        Args:
            when: completes "the encoder changed …".

        Raises:
            JobError: when a map or the embedding is another one.
        """
        for before, after in zip(self._before, self._outputs(), strict=True):
            close = TOLERANCE * float(before.abs().amax().nan_to_num())
            if not torch.allclose(before, after, rtol=0.0, atol=close, equal_nan=True):
                raise JobError(
                    f"the encoder changed {when}: it gives other feature maps of the same image",
                    "a forward pass in evaluation mode must update nothing: no buffer, saved or not, and no "
                    "other tensor that the module keeps",
                )

    def _outputs(self) -> list[Tensor]:
        self._encoder.eval()
        with torch.no_grad():
            maps, embedding = self._encoder.maps_and_embedding(self._image)
        return [output.float().cpu() for output in (*maps, embedding)]
