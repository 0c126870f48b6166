"""Segmentation of any label: what its numbers mean, crops, loss, prediction, scores."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from mribench.errors import DataError
from mribench.interfaces import Forward, LabelScore, MetricRef, TaskVolume, unnamed_numbers
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


@dataclass(frozen=True)
class Target:
    """What is segmented.

    Attributes:
        label: of the dataset.
        classes: the numbers of each foreground class, in the order of the class map from 1 on. Of shares,
            a number is the place of a map, from 1.
        background: numbers besides 0 that are background; None where all are that no class has.
        weights: of classes in the cross-entropy, 1 where there is none.
        foreground_ratio: crops near a voxel of a class for each on the background; None: crops anywhere in
            the head.
    """

    label: str
    classes: Mapping[str, Sequence[int]]
    background: Sequence[int] | None = ()
    weights: Mapping[str, float] = field(default_factory=dict)
    foreground_ratio: float | None = None


class Segmentation(DenseTask):
    """Dice plus cross-entropy on a class map (Milletari et al. 2016, doi:10.1109/3DV.2016.79).

    The Dice term is the mean over the foreground classes, the cross-entropy is over all of them.

    Attributes:
        classes: names of the foreground classes, 1, 2, … in the class map; 0 is the background.
    """

    label: str
    classes: Sequence[str]
    multichannel = True

    def __init__(self, options: DenseTaskOptions, target: Target) -> None:
        super().__init__(options)
        self.label = target.label
        self.classes = tuple(target.classes)
        self.class_numbers = target.classes
        self.background_numbers = target.background
        self.out_channels = len(self.classes) + 1
        weights = [target.weights.get(name, 1.0) for name in self.classes]
        self._class_weights = None if all(weight == 1 for weight in weights) else (1.0, *weights)
        ratio = target.foreground_ratio
        self._foreground_share = None if ratio is None else ratio / (ratio + 1)

    def label_map(self, memberships: np.ndarray) -> np.ndarray:
        """Return the class map ``(I, J, K)`` int64 of a label.

        Args:
            memberships: a map of numbers or of a mask's share ``(1, I, J, K)``; or the shares of several
                classes ``(C, I, J, K)``, of which the most probable is taken, with the background, which
                has the rest.

        Raises:
            DataError: when it has a number that is neither a class's nor the background's.
        """
        if memberships.ndim != 4:
            raise DataError(f"expected a label (C, I, J, K), got an array {memberships.shape}")
        self._check_numbers(memberships)
        if len(memberships) == 1 and memberships.max() > 1:
            return self._classes_of(memberships[0])
        shares = np.stack([_sum_maps(memberships, numbers) for numbers in self.class_numbers.values()])
        background = 1 - shares.sum(0, keepdims=True)
        return np.concatenate([background, shares]).argmax(0)

    def _classes_of(self, numbers: np.ndarray) -> np.ndarray:
        classes = np.zeros(int(numbers.max()) + 1, np.int64)
        for place, named in enumerate(self.class_numbers.values(), start=1):
            classes[[number for number in named if number < len(classes)]] = place
        return classes[numbers.astype(np.int64)]

    def _check_numbers(self, memberships: np.ndarray) -> None:
        if len(memberships) == 1 and memberships.max() > 1:
            there = [int(number) for number in np.unique(memberships)]
        else:
            there = [place for place, share in enumerate(memberships, start=1) if share.max() > 0]
        unknown = unnamed_numbers(self, there)
        if unknown:
            raise DataError(
                f"the label '{self.label}' has {unknown} that no class has",
                "name them in 'classes' of the task, or say in 'background' that they are none",
            )

    def centre(self, volume: TaskVolume, patch_vox: int, generator: torch.Generator) -> Centre:
        """Return the centre of a training crop: any voxel of the head, or mostly one near a class."""
        if self._foreground_share is None:
            return random_centre(volume.foreground, patch_vox, generator)
        if volume.label is None:
            raise self._no_label(volume)
        on_class = float(torch.rand(1, generator=generator)) < self._foreground_share
        voxel = random_voxel_of(volume.label > 0, generator) if on_class else None
        if voxel is None:
            return random_centre(volume.foreground & (volume.label == 0), patch_vox, generator)
        # Anywhere in the patch but its rim: always in the middle, the middle itself would be learnt.
        reach = patch_vox // 3
        moved = torch.randint(-reach, reach + 1, (3,), generator=generator)
        i, j, k = (axis + int(shift) for axis, shift in zip(voxel, moved, strict=True))
        return patch_inside((i, j, k), volume.label.shape, patch_vox)

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

    @cached_property
    def _dice_loss(self) -> Callable[[Tensor, Tensor], Tensor]:
        from monai.losses import DiceLoss  # a second of imports, which only a training needs

        dice_loss: Callable[[Tensor, Tensor], Tensor] = DiceLoss(
            include_background=False, to_onehot_y=True, softmax=True
        )
        return dice_loss

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

    def __init__(self, options: TissueOptions) -> None:
        super().__init__(options, Target("tissue", {"GM": (1,), "WM": (2,), "CSF": (3,)}))

    def label_map(self, memberships: np.ndarray) -> np.ndarray:
        """Return the most probable of background, GM, WM, CSF as ``(I, J, K)`` int64.

        Args:
            memberships: posteriors of GM, WM, CSF ``(3, I, J, K)``; the background has the rest.

        Raises:
            DataError: when there are not three.
        """
        _check_channels(memberships, 3, "posteriors of GM, WM and CSF")
        return super().label_map(memberships)


class LesionSegmentation(Segmentation):
    """Stroke lesions, with most training crops on a lesion."""

    def __init__(self, options: LesionOptions) -> None:
        weights = {"lesion": options.class_weight}
        target = Target(
            "lesion", {"lesion": (1,)}, weights=weights, foreground_ratio=options.foreground_ratio
        )
        super().__init__(options, target)

    def label_map(self, memberships: np.ndarray) -> np.ndarray:
        """Return 1 where the lesion's membership ``(1, I, J, K)`` is above one half, int64.

        Raises:
            DataError: when there is not one map, or it is no mask.
        """
        _check_channels(memberships, 1, "one lesion mask")
        return super().label_map(memberships)


def _check_channels(memberships: np.ndarray, expected: int, what: str) -> None:
    if memberships.ndim != 4 or len(memberships) != expected:
        raise DataError(
            f"expected {what} ({expected}, I, J, K), got an array {memberships.shape}",
            "check the files of this label, and the task that reads it",
        )


def _sum_maps(memberships: np.ndarray, numbers: Sequence[int]) -> np.ndarray:
    """Return the share of a class ``(I, J, K)``: the sum of its maps; a label may have none of them."""
    there = [memberships[number - 1] for number in numbers if number <= len(memberships)]
    return sum(there[1:], start=there[0]) if there else np.zeros_like(memberships[0])
