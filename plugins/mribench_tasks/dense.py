"""What the dense tasks share: options, head, crops, scoring."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from mribench.augmentation import CropAugmentOptions, Window, draw_crop
from mribench.interfaces import (
    Decoder,
    DecoderRef,
    Encoder,
    LabelScore,
    Metric,
    MetricRef,
    Options,
    Task,
    TaskVolume,
)

Centre = tuple[int, int, int]
_TRIES = 100


class DenseTaskOptions(Options):
    """Options of every dense task."""

    decoder: DecoderRef = Field(DecoderRef(name="unet"), description="head on the feature maps")
    metrics: list[MetricRef] = Field(description="what predictions are scored by")
    augment: CropAugmentOptions = Field(CropAugmentOptions(), description="augmentation of training crops")


class DenseTask(Task):
    """A task with one output for each voxel, by a decoder on the encoder's feature maps.

    Attributes:
        out_channels: channels of the output.
    """

    dense = True
    out_channels: int

    def __init__(self, options: DenseTaskOptions) -> None:
        self._decoder = options.decoder
        self._augment = options.augment
        self.metrics: Sequence[Metric] = [reference.make() for reference in options.metrics]

    def build_head(self, encoder: Encoder) -> nn.Module:
        """Return the decoder that the options name, fitted to the encoder."""
        return self._decoder.make(encoder, self.out_channels)

    def decoder_of(self, head: nn.Module) -> Decoder | None:
        """Return the head itself: it is the decoder."""
        return head if isinstance(head, Decoder) else None

    def sample_crops(
        self, volume: TaskVolume, centre_vox: Centre, patch_vox: int, generator: torch.Generator
    ) -> tuple[Tensor, Tensor | None]:
        """Return an augmented crop of the image ``(1, p, p, p)``, and of its label ``(1, p, p, p)`` int64."""
        draw = draw_crop(self._augment, generator)
        window = Window(volume.image.shape[1:], centre_vox, patch_vox, draw.matrix)
        image = window.cut(volume.image) * draw.gain + draw.offset
        if self.label is None or volume.label is None:
            return image, None
        return image, window.cut(volume.label[None], labels=True).long()

    def sample_pair(
        self, volume: TaskVolume, target: Tensor, patch_vox: int, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Return crops ``(C, p, p, p)`` of the image and of another one ``(1, p, p, p)``, augmented alike.

        The crop is around a random voxel of the head.
        """
        centre_vox = random_centre(volume.foreground, patch_vox, generator)
        draw = draw_crop(self._augment, generator)
        window = Window(volume.image.shape[1:], centre_vox, patch_vox, draw.matrix)
        image, other = (window.cut(part) * draw.gain + draw.offset for part in (volume.image, target))
        return image, other

    def score_label(
        self,
        label: str,
        prediction: np.ndarray,
        target: np.ndarray,
        spacing_mm: Sequence[float],
        mask: np.ndarray | None = None,
    ) -> list[LabelScore]:
        """Score ``(I, J, K)`` arrays of one label by every metric."""
        return [
            LabelScore(label, metric, metric.score(prediction, target, spacing_mm, mask))
            for metric in self.metrics
        ]


def random_centre(inside: Tensor, patch_vox: int, generator: torch.Generator) -> Centre:
    """Return a random voxel of the mask ``inside`` ``(I, J, K)``, moved so that the patch is in the volume.

    Uniform over the mask's voxels, by rejection; over the whole volume where the mask is all but empty.
    """
    shape = inside.shape
    for _ in range(_TRIES):
        centre = _voxel(int(torch.randint(inside.numel(), (1,), generator=generator)), shape)
        if inside[centre]:
            break
    return patch_inside(centre, shape, patch_vox)


def patch_inside(centre_vox: Centre, shape: Sequence[int], patch_vox: int) -> Centre:
    """Move a centre so that the patch lies in the volume; in the middle of an axis shorter than the patch."""
    before = patch_vox // 2
    moved = (
        size // 2 if size < patch_vox else min(max(centre, before), size - patch_vox + before)
        for centre, size in zip(centre_vox, shape, strict=True)
    )
    i, j, k = moved
    return i, j, k


def random_voxel_of(mask: Tensor, generator: torch.Generator) -> Centre | None:
    """Return a uniformly random voxel of a sparse mask ``(I, J, K)``, or None when it is empty."""
    voxels = np.flatnonzero(mask.numpy())
    if not len(voxels):
        return None
    return _voxel(int(voxels[int(torch.randint(len(voxels), (1,), generator=generator))]), mask.shape)


def _voxel(flat: int, shape: Sequence[int]) -> Centre:
    i, j, k = (int(index) for index in np.unravel_index(flat, tuple(shape)))
    return i, j, k
