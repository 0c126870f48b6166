"""Supervised pretraining: the class of each voxel, through a decoder on all maps."""

from __future__ import annotations

from collections.abc import Mapping

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from mribench.errors import DataError
from mribench.interfaces import DecoderRef, Encoder, Objective, Options, View, ViewRequest


class SupervisedSegmentationOptions(Options):
    """Options of the objective ``supervised-segmentation``."""

    classes: int = Field(3, ge=1, description="classes of the label beside the background, numbered from 1")
    decoder: DecoderRef = Field(
        DecoderRef(name="unet"), description="decoder on all feature maps; the arms with `+decoder` keep it"
    )


class SupervisedSegmentation(Objective):
    """Dice loss (Milletari et al. 2016, doi:10.1109/3DV.2016.79) plus cross-entropy of the classes of a view.

    No self-supervision: the labels of the pretraining cohort are used. It is the reference of what labels
    are worth, and with simulated images of random contrast the positive control of a benchmark.
    """

    view_requests = (ViewRequest(),)
    needs_classes = True

    def __init__(self, options: SupervisedSegmentationOptions, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.classes = options.classes
        self.decoder: nn.Module = options.decoder.make(encoder, options.classes + 1)
        from monai.losses import DiceLoss  # a second of imports, which only a training needs

        self._dice_loss = DiceLoss(include_background=False, to_onehot_y=True, softmax=True)

    def loss(self, views: list[View], step: int, total_steps: int) -> dict[str, Tensor]:
        """Return ``dice`` and ``cross_entropy``, the latter over the background too.

        Raises:
            DataError: when the label has a class that the objective was not told of.
        """
        del step, total_steps
        (view,) = views
        if view.classes is None:
            raise DataError("views without classes: choose views that read a label")
        largest = int(view.classes.max())
        if largest > self.classes:
            raise DataError(
                f"the label has class {largest}, and the objective knows {self.classes}",
                f"write objective: {{name: supervised-segmentation, classes: {largest}}}",
            )
        logits = self.decoder(self.encoder.feature_maps(view.image)).float()
        return {
            "dice": self._dice_loss(logits, view.classes),
            "cross_entropy": F.cross_entropy(logits, view.classes[:, 0]),
        }

    def exported_modules(self) -> Mapping[str, nn.Module]:
        """Return the decoder."""
        return {"decoder": self.decoder}
