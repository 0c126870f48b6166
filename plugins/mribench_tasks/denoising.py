"""Removal of Gaussian noise from z-scored images."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor

from mribench.interfaces import Defect, Forward, LabelScore, MetricRef, Profile, ProtocolOptions, TaskVolume
from mribench_tasks.dense import DenseTask, DenseTaskOptions, random_centre
from mribench_tasks.whole_volume import over_whole_volume

UNIT_PEAK = Defect(
    "unit-peak",
    "PSNR of z-scored images against a peak of 1 and not their range",
    "test scripts of the released code: L = 1",
    metrics={"psnr:range": "psnr:l1", "psnr:range:whole": "psnr:l1:whole"},
)


class DenoisingOptions(ProtocolOptions, DenseTaskOptions):
    """Options of the task ``denoising``."""

    sigma: float = Field(0.2, gt=0, description="standard deviation of the noise, in those of the image")
    metrics: list[MetricRef] = Field(
        [MetricRef(name="psnr:range")],
        description="scores of the restored image; psnr:l1 with the defect unit-peak unless given; each over "
        "the whole volume, as psnr:range:whole, unless the profile is 'corrected'",
    )
    profile: Profile = Field(
        "corrected",
        description="'corrected' scores inside the head, the others the whole volume (ids end in :whole)",
    )

    @model_validator(mode="before")
    @classmethod
    def _metric_of_the_profile(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        named = values.get("defects")
        released = values.get("profile") == "as-released"
        if released if named is None else UNIT_PEAK.name in str(named):
            return {"metrics": ["psnr:l1"], **values}
        return values


class Denoising(DenseTask):
    """The network predicts the noise, which is subtracted from its input.

    Images are z-scored, so that sigma 0.2 against a peak of 1 (``psnr:l1``) is 13.98 dB for the noisy
    image itself: that is ``identity``. Scores are on the working grid, whose voxels the noise is drawn on,
    and inside the head. In the profiles other than ``corrected`` every metric is replaced by its ``:whole``
    one: the id says which voxels a value is of, so that two profiles never share a column.
    """

    label = None
    out_channels = 1

    def __init__(self, options: DenoisingOptions) -> None:
        super().__init__(options)
        self._sigma = options.sigma
        if options.profile != "corrected":
            self.metrics = over_whole_volume(self.metrics)

    def training_sample(
        self, volume: TaskVolume, patch_vox: int, generator: torch.Generator
    ) -> dict[str, Tensor]:
        """Return the noisy ``image`` and the noise, ``target``, each ``(1, p, p, p)``."""
        centre_vox = random_centre(volume.foreground, patch_vox, generator)
        clean, _ = self.sample_crops(volume, centre_vox, patch_vox, generator)
        noise = self._noise(clean, generator)
        return {"image": clean + noise, "target": noise}

    def loss(self, output: Tensor, batch: dict[str, Tensor]) -> Tensor:
        """Return the mean squared error of the noise ``(B, 1, I, J, K)`` that ``output`` stands for.

        The network's output is the noise in units of sigma: a target of unit size is learnt several times
        faster than one of 0.2, which starts with unlearning what the network's first guess is too large by.
        """
        return F.mse_loss(self._sigma * output.float(), batch["target"])

    def predict(self, forward: Forward, volume: TaskVolume, generator: torch.Generator) -> Tensor:
        """Return the restored image ``(I, J, K)``."""
        noisy = volume.image + self._noise(volume.image, generator)
        return (noisy - self._sigma * forward(noisy).to(noisy))[0]

    def identity(self, volume: TaskVolume, generator: torch.Generator) -> Tensor:
        """Return the noisy image ``(I, J, K)``, with the noise that ``predict`` draws."""
        return (volume.image + self._noise(volume.image, generator))[0]

    def score(self, prediction: Tensor, volume: TaskVolume) -> list[LabelScore]:
        """Return the scores of the restored image, inside the head but for metrics of the whole volume."""
        return self.score_label(
            "image",
            prediction.cpu().numpy(),
            volume.image[0].cpu().numpy(),
            volume.spacing_mm,
            volume.foreground.cpu().numpy(),
        )

    def _noise(self, image: Tensor, generator: torch.Generator) -> Tensor:
        noise = torch.randn(image.shape, generator=generator, dtype=torch.float32)
        return noise.to(image) * self._sigma
