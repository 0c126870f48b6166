"""What encoders do with an image before their first layer."""

from __future__ import annotations

from torch import Tensor

from mribench.errors import DataError
from mribench.interfaces import Encoder, Mask


def check_image(name: str, encoder: Encoder, image: Tensor) -> None:
    """Check that an encoder can take an image.

    Args:
        name: of the encoder, for the message.
        encoder: says how many channels and which edges it takes.
        image: ``(B, C, I, J, K)``.

    Raises:
        DataError: when the image has other channels, or edges that are no multiples of the largest stride.
    """
    coarsest = encoder.strides[-1]
    wrong = image.ndim != 5 or image.shape[1] != encoder.in_channels
    if wrong or any(edge % coarsest for edge in image.shape[2:]):
        raise DataError(
            f"encoder '{name}': expected an image (B, {encoder.in_channels}, I, J, K) whose edges are"
            f" multiples of {coarsest}, got {tuple(image.shape)}",
            "change patch_vox",
        )


def hide_and_check(name: str, encoder: Encoder, image: Tensor, mask: Mask | None) -> Tensor:
    """Return an image with 0 at the voxels that a mask hides.

    Raises:
        DataError: as ``check_image``.
    """
    check_image(name, encoder, image)
    return image if mask is None else image.masked_fill(mask.voxels(), 0.0)
