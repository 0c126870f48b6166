"""From a view to the image that it should be, through a decoder on all maps."""

from __future__ import annotations

from collections.abc import Mapping

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from mribench.interfaces import DecoderRef, Encoder, Objective, Options, View, ViewRequest


class ImageToImageOptions(Options):
    """Options of the objective ``image-to-image``."""

    decoder: DecoderRef = Field(
        DecoderRef(name="unet"), description="decoder on all feature maps; the arms with `+decoder` keep it"
    )


class ImageToImage(Objective):
    """L1 between a view's target and what a decoder makes of the view.

    What is learnt is what the views' targets lack: artefacts, with the first-party ones. A denoising
    autoencoder (Vincent et al. 2008, doi:10.1145/1390156.1390294) with skip connections, as Models Genesis
    is (Zhou et al. 2021, doi:10.1016/j.media.2020.101840), whose distortions are others.
    """

    view_requests = (ViewRequest(),)

    def __init__(self, options: ImageToImageOptions, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder: nn.Module = options.decoder.make(encoder, 1)

    def loss(self, views: list[View], step: int, total_steps: int) -> dict[str, Tensor]:
        """Return ``l1``, the mean distance of the decoded image to the target of one view."""
        del step, total_steps
        (view,) = views
        decoded = self.decoder(self.encoder.feature_maps(view.image))
        return {"l1": F.l1_loss(decoded.float(), view.target.float())}

    def exported_modules(self) -> Mapping[str, nn.Module]:
        """Return the decoder."""
        return {"decoder": self.decoder}
