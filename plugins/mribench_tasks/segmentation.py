"""Segmentation of healthy tissue and of stroke lesions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from monai.losses import DiceLoss
from pydantic import Field
from torch import Tensor

from mribench.errors import DataError
from mribench.interfaces import Forward, LabelScore, MetricRef, TaskVolume
from mribench_tasks.dense import (
    Centre,
    DenseTask,
    DenseTaskOptions,
    patch_inside,
    random_centre,
    random_voxel_of,
)


class TissueOptions(DenseTaskOptions):
    """Options of the task ``tissue-segmentation``."""

    metrics: list[MetricRef] = Field([MetricRef(name="dice")], description="scores of each tissue")


class LesionOptions(DenseTaskOptions):
    """Options of the task ``lesion-segmentation``."""

    metrics: list[MetricRef] = Field(
        [MetricRef(name="dice"), MetricRef(name="hd95:max-directed")], description="scores of the lesion"
    )
    foreground_ratio: float = Field(
        6.0, ge=0, description="crops that show a lesion voxel for each one centred on a healthy one"
    )
    class_weight: float = Field(
        1.0, gt=0, description="weight of lesion voxels in the cross-entropy; the background's is 1"
    )


class Segmentation(DenseTask):
    """Dice plus cross-entropy on a class map (Milletari et al. 2016, doi:10.1109/3DV.2016.79).

    The Dice term is the mean over the foreground classes, the cross-entropy is over all of them.

    Attributes:
        classes: names of the foreground classes, 1, 2, … in the class map; 0 is the background.
    """

    label: str
    classes: Sequence[str]

    def __init__(self, options: DenseTaskOptions, class_weights: Sequence[float] | None = None) -> None:
        super().__init__(options)
        self.out_channels = len(self.classes) + 1
        self._class_weights = class_weights
        self._dice_loss = DiceLoss(include_background=False, to_onehot_y=True, softmax=True)

    def centre(self, volume: TaskVolume, patch_vox: int, generator: torch.Generator) -> Centre:
        """Return the centre of a training crop: any voxel of the head."""
        return random_centre(volume.foreground, patch_vox, generator)

    def training_sample(
        self, volume: TaskVolume, patch_vox: int, generator: torch.Generator
    ) -> dict[str, Tensor]:
        """Return ``image`` and ``label`` (int64), each ``(1, p, p, p)``.

        Raises:
            DataError: when the scan has no reference label.
        """
        centre_vox = self.centre(volume, patch_vox, generator)
        image, label = self.sample_crops(volume, centre_vox, patch_vox, generator)
        if label is None:
            raise self._no_label(volume)
        return {"image": image, "label": label}

    def loss(self, output: Tensor, batch: dict[str, Tensor]) -> Tensor:
        """Return Dice loss + cross-entropy of logits ``(B, C, I, J, K)``; labels are ``(B, 1, I, J, K)``."""
        logits, label = output.float(), batch["label"]
        weight = None if self._class_weights is None else logits.new_tensor(self._class_weights)
        return self._dice_loss(logits, label) + F.cross_entropy(logits, label[:, 0], weight)

    def predict(self, forward: Forward, volume: TaskVolume, generator: torch.Generator) -> Tensor:
        """Return the class map ``(I, J, K)``, int64, on the image's own grid.

        The class probabilities are resampled, and the most probable class taken after that.
        """
        del generator
        probabilities = forward(volume.image).float().softmax(0)
        return volume.to_native(probabilities).argmax(0)

    def score(self, prediction: Tensor, volume: TaskVolume) -> list[LabelScore]:
        """Return the scores of every foreground class, on the image's own grid.

        Raises:
            DataError: when the scan has no reference label.
        """
        if volume.native_label is None:
            raise self._no_label(volume)
        predicted = prediction.cpu().numpy()
        scores: list[LabelScore] = []
        for number, name in enumerate(self.classes, start=1):
            scores += self.score_label(
                name, predicted == number, volume.native_label == number, volume.native_spacing_mm
            )
        return scores

    def _no_label(self, volume: TaskVolume) -> DataError:
        return DataError(
            f"subject {volume.subject}, {volume.sequence}: no reference label '{self.label}'",
            "use a dataset that has this label for every scan of the task",
        )


class TissueSegmentation(Segmentation):
    """Healthy tissue: background, grey matter, white matter, cerebrospinal fluid."""

    label = "tissue"
    classes = ("GM", "WM", "CSF")

    def __init__(self, options: TissueOptions) -> None:
        super().__init__(options)

    def label_map(self, memberships: np.ndarray) -> np.ndarray:
        """Return the most probable of background, GM, WM, CSF as ``(I, J, K)`` int64.

        Args:
            memberships: posteriors of GM, WM, CSF ``(3, I, J, K)``; the background has the rest.

        Raises:
            DataError: when there are not three.
        """
        _check_channels(memberships, 3, "posteriors of GM, WM and CSF")
        background = 1 - memberships.sum(0, keepdims=True)
        return np.concatenate([background, memberships]).argmax(0)


class LesionSegmentation(Segmentation):
    """Stroke lesions, with most training crops on a lesion."""

    label = "lesion"
    classes = ("lesion",)

    def __init__(self, options: LesionOptions) -> None:
        super().__init__(options, None if options.class_weight == 1 else (1.0, options.class_weight))
        self._lesion_share = options.foreground_ratio / (options.foreground_ratio + 1)

    def label_map(self, memberships: np.ndarray) -> np.ndarray:
        """Return 1 where the lesion's membership ``(1, I, J, K)`` is above one half, int64.

        Raises:
            DataError: when there is not one map.
        """
        _check_channels(memberships, 1, "one lesion mask")
        return (memberships[0] > 0.5).astype(np.int64)

    def centre(self, volume: TaskVolume, patch_vox: int, generator: torch.Generator) -> Centre:
        """Return a place near a lesion voxel for ``foreground_ratio`` crops of each healthy one."""
        if volume.label is None:
            raise self._no_label(volume)
        on_lesion = float(torch.rand(1, generator=generator)) < self._lesion_share
        voxel = random_voxel_of(volume.label > 0, generator) if on_lesion else None
        if voxel is None:
            return random_centre(volume.foreground & (volume.label == 0), patch_vox, generator)
        # Anywhere in the patch but its rim: always in the middle, the middle itself would be learnt.
        reach = patch_vox // 3
        moved = torch.randint(-reach, reach + 1, (3,), generator=generator)
        i, j, k = (axis + int(shift) for axis, shift in zip(voxel, moved, strict=True))
        return patch_inside((i, j, k), volume.label.shape, patch_vox)


def _check_channels(memberships: np.ndarray, expected: int, what: str) -> None:
    if memberships.ndim != 4 or len(memberships) != expected:
        raise DataError(
            f"expected {what} ({expected}, I, J, K), got an array {memberships.shape}",
            "check the files of this label, and the task that reads it",
        )
