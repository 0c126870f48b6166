"""The 3D residual networks of MONAI, whose files BrainIAC and MedicalNet publish."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor, nn

from mribench.interfaces import Encoder, Mask, MaskKind, Options
from mribench_encoders.images import hide_and_check

_BLOCKS = {10: (1, 1, 1, 1), 18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}
_FIRST_BOTTLENECK = 50
_EXPANSION = 4
_STAGES = 4
_Positive = Annotated[int, Field(gt=0)]


class ResNetOptions(Options):
    """Options of the encoder ``resnet``; the defaults are MONAI's ResNet-50, 46 M parameters."""

    depth: Literal[10, 18, 34, 50, 101] = Field(50, description="layers, as the networks are called")
    features: tuple[_Positive, ...] = Field(
        (64, 128, 256, 512),
        min_length=_STAGES,
        max_length=_STAGES,
        description="channels of each stage's 3x3x3 convolutions; bottlenecks (from 50 layers on) give four "
        "times those",
    )
    stem_stride: Literal[1, 2] = Field(1, description="stride of the first convolution (MedicalNet: 2)")
    downsample_bias: bool = Field(
        True, description="whether the convolutions of shortcuts have a bias (MedicalNet: not)"
    )


class ResNetEncoder(Encoder):
    """ResNet (He et al. 2016, doi:10.1109/CVPR.2016.90) in 3D, with the names of MONAI's tensors.

    Maps are the stem's before its max pooling, and one of each stage. The embedding is the spatial mean of
    the coarsest map, as MONAI's before its last layer. Voxels that a mask hides are 0. Norms are over the
    batch, in training; an encoder that is kept frozen has those of its pretraining.
    """

    mask_kind: MaskKind = "zero"

    def __init__(self, options: ResNetOptions) -> None:
        super().__init__()
        bottleneck = options.depth >= _FIRST_BOTTLENECK
        from monai.networks.nets.resnet import (
            ResNet,
        )  # a second of imports, which a plan does without where nothing is to be run

        net = ResNet(
            "bottleneck" if bottleneck else "basic",
            list(_BLOCKS[options.depth]),
            list(options.features),
            n_input_channels=1,
            conv1_t_stride=options.stem_stride,
            feed_forward=False,
            bias_downsample=options.downsample_bias,
        )
        self.conv1, self.bn1 = net.conv1, net.bn1
        self.layer1, self.layer2, self.layer3, self.layer4 = net.layer1, net.layer2, net.layer3, net.layer4
        expansion = _EXPANSION if bottleneck else 1
        self.channels = (options.features[0], *(width * expansion for width in options.features))
        self.strides = tuple(options.stem_stride * 2**stage for stage in range(_STAGES + 1))
        self.embedding_dim = self.channels[-1]
        self._pool = nn.MaxPool3d(kernel_size=3, stride=2, padding=1)

    def feature_maps(self, image: Tensor, mask: Mask | None = None) -> list[Tensor]:
        """Return the stem's map and one for each stage, finest first.

        Raises:
            DataError: when the edges of the image are no multiples of the largest stride.
        """
        image = hide_and_check("resnet", self, image, mask)
        maps = [nn.functional.relu(self.bn1(self.conv1(image)))]
        x = self._pool(maps[0])
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = stage(x)
            maps.append(x)
        return maps

    def layers(self) -> Sequence[nn.Module]:
        """Return the stem's convolution and norm, and the four stages, finest first."""
        return [self.conv1, self.bn1, self.layer1, self.layer2, self.layer3, self.layer4]
