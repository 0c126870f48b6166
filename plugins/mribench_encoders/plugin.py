"""What this package registers."""

from __future__ import annotations

from mribench import hookimpl
from mribench.interfaces import Entry
from mribench_encoders.cnn import CnnEncoder, CnnOptions
from mribench_encoders.dinov2 import Dinov2Encoder, Dinov2Options
from mribench_encoders.resenc import ResEncEncoder, ResEncOptions
from mribench_encoders.resnet import ResNetEncoder, ResNetOptions
from mribench_encoders.swin_unetr import SwinUnetrEncoder, SwinUnetrOptions
from mribench_encoders.unet import UNetDecoder, UNetOptions
from mribench_encoders.vit import VitEncoder, VitOptions


@hookimpl
def mribench_entries() -> list[Entry]:
    """Return the first-party encoders and decoders."""
    return [
        Entry("encoder", "cnn", CnnEncoder, CnnOptions, "the seed paper's 3D CNN: conv, instance norm, GELU"),
        Entry(
            "encoder", "vit", VitEncoder, VitOptions, "a 3D vision transformer; hidden tokens are left out"
        ),
        Entry(
            "encoder",
            "resenc",
            ResEncEncoder,
            ResEncOptions,
            "nnU-Net's residual encoder; wants the extra `nnunet`",
        ),
        Entry(
            "encoder",
            "swin-unetr",
            SwinUnetrEncoder,
            SwinUnetrOptions,
            "the encoder of MONAI's SwinUNETR: shifted windows of attention",
        ),
        Entry(
            "encoder", "resnet", ResNetEncoder, ResNetOptions, "MONAI's 3D ResNet: BrainIAC's, MedicalNet's"
        ),
        Entry(
            "encoder",
            "dinov2",
            Dinov2Encoder,
            Dinov2Options,
            "DINOv2's vision transformer in 3D, with learnt positions: 3DINO's",
        ),
        Entry("decoder", "unet", UNetDecoder, UNetOptions, "U-Net decoder that fits any encoder"),
    ]
