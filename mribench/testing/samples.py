"""Small inputs for the checks: two encoders of different kinds, maps, views, a scan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mribench.data.class_maps import CLASSES
from mribench.interfaces import Encoder, Mask, SampleOrigin, TaskVolume, View, ViewRequest
from mribench.seeding import torch_generator
from mribench.testing.problems import require

TISSUE_VALUES: Mapping[str, tuple[float, float, float]] = {
    "PD": (100.0, 82.0, 70.0),
    "R1": (0.25, 0.65, 1.05),
    "R2s": (2.0, 16.0, 21.0),
    "R2": (1.0, 11.0, 14.0),
    "MTsat": (0.05, 0.8, 1.7),
}
"""Rounded values of CSF, grey and white matter at 3 T, in the units of ``MRISequence.signal``."""


class PyramidEncoder(Encoder):
    """Strided convolutions, one for each stride: a feature pyramid with any strides.

    Raises:
        ConformanceError: when it is given a mask and takes none.
    """

    def __init__(
        self,
        channels: Sequence[int] = (4, 6, 8),
        strides: Sequence[int] = (1, 2, 4),
        *,
        mask_kind: Literal["none", "zero"] = "none",
    ) -> None:
        super().__init__()
        self.channels, self.strides, self.embedding_dim = channels, strides, channels[-1]
        self.mask_kind = mask_kind
        self.levels = nn.ModuleList(
            nn.Conv3d(1, width, stride, stride=stride)
            for width, stride in zip(channels, strides, strict=True)
        )

    def input_convolutions(self) -> list[nn.Conv3d]:
        """Return every level: each reads the image."""
        return [level for level in self.levels if isinstance(level, nn.Conv3d)]

    def feature_maps(self, image: Tensor, mask: Mask | None = None) -> list[Tensor]:
        """Return one linear map for each stride; what the mask hides is zero in the image."""
        if mask is not None:
            require(self.mask_kind != "none", "a mask is given to an encoder whose 'mask_kind' is 'none'")
            image = image.masked_fill(mask.voxels(), 0.0)
        return [level(image) for level in self.levels]


class ClassTokenEncoder(Encoder):
    """Like a vision transformer: all maps have one stride, and the embedding is not made from them.

    Args:
        channels: of every map.
        stride: of every map, and edge of a token.
        blocks: maps.
        mask_kind: whether a learnt token stands for what is hidden, or nothing does.
    """

    def __init__(
        self,
        channels: int = 8,
        stride: int = 4,
        blocks: int = 3,
        *,
        mask_kind: Literal["replace", "drop"] = "drop",
    ) -> None:
        super().__init__()
        self.channels, self.strides = (channels,) * blocks, (stride,) * blocks
        self.embedding_dim = channels + 2
        self.mask_kind, self.mask_stride = mask_kind, stride
        self.patches = nn.Conv3d(1, channels, stride, stride=stride)
        self.blocks = nn.ModuleList(nn.Conv3d(channels, channels, 1) for _ in range(blocks))
        self.token = nn.Linear(channels, channels + 2)
        self.hidden = nn.Parameter(torch.full((1, channels, 1, 1, 1), 0.1))

    def feature_maps(self, image: Tensor, mask: Mask | None = None) -> list[Tensor]:
        """Return the output of every block."""
        x, maps = self.patches(image), []
        hidden = None if mask is None else mask.at_stride(mask.cell_vox)
        if hidden is not None:
            x = torch.where(hidden, self.hidden, x)
        for block in self.blocks:
            x = x + F.gelu(block(x))
            dropped = hidden is not None and self.mask_kind == "drop"
            maps.append(x.masked_fill(hidden, 0.0) if dropped else x)
        return maps

    def maps_and_embedding(self, image: Tensor, mask: Mask | None = None) -> tuple[list[Tensor], Tensor]:
        """Return the maps and the class token ``(B, channels + 2)``."""
        maps = self.feature_maps(image, mask)
        return maps, self.token(maps[-1].flatten(2).amax(-1))


def make_maps(needs: Sequence[str], edge_vox: int, batch: int = 2) -> dict[str, Tensor]:
    """Return maps ``(B, I, J, K)`` of a ball of three tissues in air; noise where the name is unknown.

    ``classes`` has 3 for the innermost tissue, and 0 for air.
    """
    generator = torch_generator("conformance", "maps")
    axis = torch.linspace(-1, 1, edge_vox)
    radius = (axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2).sqrt()
    tissue = torch.bucketize(radius, torch.tensor([0.4, 0.7, 0.9]))
    spread = 1 + 0.05 * torch.randn(batch, edge_vox, edge_vox, edge_vox, generator=generator)
    maps = {}
    for name in needs:
        if name == CLASSES:
            maps[name] = (3.0 - tissue).expand_as(spread).clone()
        elif name in TISSUE_VALUES:
            maps[name] = torch.tensor([*TISSUE_VALUES[name], 0.0])[tissue] * spread
        else:
            maps[name] = torch.randn(spread.shape, generator=generator)
    return maps


def draw_views(
    requests: Sequence[ViewRequest], patch_vox: int, batch: int, *, with_classes: bool = False
) -> list[View]:
    """Return one view of noise for each request, of as many different subjects as ``batch``.

    Args:
        requests: what an objective asks for.
        patch_vox: edge of a view with ``patch_scale`` 1.
        batch: number of subjects.
        with_classes: whether bright voxels are class 1 and the others class 0; else views have no classes.
    """
    generator = torch_generator("conformance", "views", batch)
    views = []
    for request in requests:
        edge = round(patch_vox * request.patch_scale)
        image = torch.randn(batch, 1, edge, edge, edge, generator=generator)
        origins = [SampleOrigin(f"test:{number}", shape_vox=(edge,) * 3) for number in range(batch)]
        view = View(
            image, 0.9 * image, request.role, ["sequence"] * batch, [{} for _ in origins], origins=origins
        )
        view.classes = (image > 0.5).long() if with_classes else None
        views.append(view)
    return views


def make_task_volume(memberships: np.ndarray | None, label: np.ndarray | None) -> TaskVolume:
    """Return a scan of noise in a head that is a box, 24 x 16 x 32 voxels, native grid = working grid.

    Args:
        memberships: ``(C, 24, 16, 32)`` of the label, added to the image so that it can be learned.
        label: the class map made from them, or None.
    """
    shape = (24, 16, 32)
    image = 0.3 * torch.randn(1, *shape, generator=torch_generator("conformance", "scan"))
    if memberships is not None:
        image += torch.from_numpy(memberships.astype(np.float32)).cumsum(0).sum(0, keepdim=True)
    foreground = torch.zeros(shape, dtype=torch.bool)
    foreground[2:22, 2:14, 2:30] = True
    return TaskVolume(
        subject="test:1",
        session="",
        sequence="sequence",
        image=(image - image.mean()) / image.std(),
        foreground=foreground,
        label=None if label is None else torch.from_numpy(label.astype(np.uint8)),
        native_label=label,
        spacing_mm=(2.0, 2.0, 2.0),
        native_spacing_mm=(2.0, 2.0, 2.0),
        to_native=lambda channels: channels,
        covariates={"age": 40.0, "sex": "F"},
    )
