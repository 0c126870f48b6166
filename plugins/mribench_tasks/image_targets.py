"""Tasks that predict an image from another one: another sequence, or the same one at full resolution."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import replace

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from mribench.errors import DataError
from mribench.interfaces import Forward, LabelScore, MetricRef, TaskVolume
from mribench_tasks.dense import DenseTask, DenseTaskOptions

_METRICS = [MetricRef(name="psnr:range"), MetricRef(name="ssim")]


class ImageTask(DenseTask):
    """Base: the network predicts another image on the grid of its own.

    Both are z-scored, cropped and augmented alike. Scores are on the working grid, inside the head. Doing
    nothing, ``identity``, predicts the first channel as it is.

    Attributes:
        adds_to_input: whether the network's output is added to its first channel.
    """

    label = None
    out_channels = 1
    adds_to_input: bool = False

    @abstractmethod
    def pair(self, volume: TaskVolume) -> tuple[Tensor, Tensor]:
        """Return what the network sees, ``(C, I, J, K)``, and the image to predict, ``(1, I, J, K)``."""

    def training_sample(
        self, volume: TaskVolume, patch_vox: int, generator: torch.Generator
    ) -> dict[str, Tensor]:
        """Return ``image`` ``(C, p, p, p)``, and ``target`` ``(1, p, p, p)``, what the output is to be."""
        seen, wanted = self.pair(volume)
        image, other = self.sample_pair(replace(volume, image=seen), wanted, patch_vox, generator)
        return {"image": image, "target": other - image[:1] if self.adds_to_input else other}

    def loss(self, output: Tensor, batch: dict[str, Tensor]) -> Tensor:
        """Return the mean squared error of the output ``(B, 1, I, J, K)``."""
        return F.mse_loss(output.float(), batch["target"])

    def predict(self, forward: Forward, volume: TaskVolume, generator: torch.Generator) -> Tensor:
        """Return the predicted image ``(I, J, K)``."""
        del generator
        seen, _ = self.pair(volume)
        output = forward(seen).to(seen)
        return (seen[:1] + output if self.adds_to_input else output)[0]

    def identity(self, volume: TaskVolume, generator: torch.Generator) -> Tensor:
        """Return the first channel ``(I, J, K)`` as the network sees it."""
        del generator
        return self.pair(volume)[0][0]

    def score(self, prediction: Tensor, volume: TaskVolume) -> list[LabelScore]:
        """Return the scores of the predicted image, inside the head."""
        return self.score_label(
            "image",
            prediction.cpu().numpy(),
            self.pair(volume)[1][0].cpu().numpy(),
            volume.spacing_mm,
            volume.foreground.cpu().numpy(),
        )


class SynthesisOptions(DenseTaskOptions):
    """Options of the task ``synthesis``."""

    target_sequence: str = Field(
        "T2w", min_length=1, description="sequence of the image to predict, of the same session"
    )
    metrics: list[MetricRef] = Field(_METRICS, description="scores of the predicted image")


class Synthesis(ImageTask):
    """The image of another sequence, e.g. T2w from T1w."""

    multichannel = True

    def __init__(self, options: SynthesisOptions) -> None:
        super().__init__(options)
        self.target_sequence = options.target_sequence

    def pair(self, volume: TaskVolume) -> tuple[Tensor, Tensor]:
        """Return the scan and that of the other sequence.

        Raises:
            DataError: when there is none.
        """
        if volume.target is None:
            raise DataError(
                f"subject {volume.subject} has no {self.target_sequence} image beside its {volume.sequence}"
                " scan",
                "leave the subject out of the split",
            )
        return volume.image, volume.target


class SuperResolutionOptions(DenseTaskOptions):
    """Options of the task ``super-resolution``."""

    factor: float = Field(4.0, gt=1, description="how much coarser the image is along the axis")
    axis: int = Field(2, ge=0, le=2, description="axis of the coarse voxels; 2 = inferior-superior")
    metrics: list[MetricRef] = Field(_METRICS, description="scores of the restored image")


class SuperResolution(ImageTask):
    """The image itself, from one whose voxels are ``factor`` times as long along an axis.

    The outer part of k-space is 0 along the axis, as where it was not measured and the image interpolated by
    zero filling (Bernstein et al. 2001, J Magn Reson Imaging 14:270): blurred, with ringing at edges. The
    network predicts what is lost.
    """

    adds_to_input = True

    def __init__(self, options: SuperResolutionOptions) -> None:
        super().__init__(options)
        self._factor, self._axis = options.factor, options.axis

    def pair(self, volume: TaskVolume) -> tuple[Tensor, Tensor]:
        """Return the coarse image and the image itself."""
        return truncate_k_space(volume.image, self._factor, self._axis + 1), volume.image


def truncate_k_space(image: Tensor, factor: float, axis: int) -> Tensor:
    """Return an image without its frequencies above 1 / factor of the highest, along an axis.

    Args:
        image: of real values.
        factor: how much coarser it becomes.
        axis: of the tensor.
    """
    size = image.shape[axis]
    spectrum = torch.fft.rfft(image.float(), dim=axis)
    kept = math.floor(size / (2 * factor)) + 1
    spectrum.narrow(axis, kept, spectrum.shape[axis] - kept).zero_()
    return torch.fft.irfft(spectrum, n=size, dim=axis)
