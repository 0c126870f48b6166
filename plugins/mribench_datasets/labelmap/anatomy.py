"""A head from a label map: tissue values, partial volume, texture, stroke."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import ndimage

from mribench.seeding import Identity, numpy_generator
from mribench_datasets.labelmap.labels import LEFT, RIGHT, TISSUE_OF, LabelMap, split_soft_tissue
from mribench_datasets.labelmap.landmarks import brain_of
from mribench_datasets.phantom.head import Anatomy, Box, Head, Part, injure
from mribench_datasets.phantom.lesions import Lesion, draw_lesion, draw_volume_ml, smooth_noise
from mribench_datasets.phantom.tissues import TISSUES, deviations, draw_values

_BORDER_SD_VOX = 0.6
_LABEL_SD, _SIDE_SD = 0.01, 0.003
_TEXTURE_CELL_MM = 10.0
_SMALLEST_WEIGHT = 1e-2
_TRACE = 0.01


@dataclass(frozen=True, eq=False)
class LabelAnatomy(Anatomy):
    """Somebody's label map with values drawn for each label.

    Attributes:
        labels: ``(I, J, K)``, soft tissue parted into fat and muscle.
        affine: voxel to world ``(4, 4)``, mm.
        values_3t: ``(properties,)`` of each label number, and of ``cavity`` and ``rim``.
        texture: smooth variation ``(I, J, K)`` on the map's grid, of unit variance.
        lesion: or None.
        spacing_mm: nominal voxel edge of what is made of it.
    """

    labels: np.ndarray
    affine: np.ndarray
    values_3t: dict[int | str, np.ndarray]
    texture: np.ndarray
    lesion: Lesion | None
    spacing_mm: float

    def grid(
        self, edge_scale: tuple[float, float, float] = (1.0, 1.0, 1.0)
    ) -> tuple[np.ndarray, tuple[int, int, int]]:
        """Return the grid that covers the map's own field of view, along its axes."""
        edges_mm = np.linalg.norm(self.affine[:3, :3], axis=0)
        new_mm = np.array(edge_scale) * self.spacing_mm
        old = np.array(self.labels.shape)
        i, j, k = np.maximum(2, np.floor(old * edges_mm / new_mm + 1e-6)).astype(int).tolist()
        affine = np.eye(4)
        affine[:3, :3] = self.affine[:3, :3] / edges_mm * new_mm
        centre_mm = self.affine[:3, :3] @ ((old - 1) / 2) + self.affine[:3, 3]
        affine[:3, 3] = centre_mm - affine[:3, :3] @ ((np.array((i, j, k)) - 1) / 2)
        return affine, (i, j, k)

    def on_grid(self, affine: np.ndarray, shape: tuple[int, int, int]) -> Head:
        """Return the head on a grid along the map's axes, see ``Anatomy.on_grid``.

        Each label is averaged with a Gaussian of the variance of the new voxels beyond that of the map's,
        and of at least 0.6 voxels of the map, so that borders hold both tissues. All averages of one voxel
        add up to 1; shares under 1 % of a voxel are left to the others. The texture has zero mean where a
        label fills its voxels.
        """
        weights = [
            blur_weights(n_new, n_old, *line)
            for n_new, n_old, line in zip(shape, self.labels.shape, self._lines(affine), strict=True)
        ]
        parts = []
        for number, box in self._boxes.items():
            target, share = blur((self.labels[box] == number).astype(np.float32), weights, box)
            parts.append(Part(TISSUE_OF[number], self.values_3t[number], target, share))
        parts = _without_traces(parts, shape)
        texture = _centred_texture(blur(self.texture, weights, _whole(self.labels.shape))[1], parts)
        if self.lesion is not None:
            parts = self._injured(parts, affine, shape)
        return Head(affine, shape, tuple(parts), texture)

    def _injured(self, parts: list[Part], affine: np.ndarray, shape: tuple[int, int, int]) -> list[Part]:
        """Bring the lesion to the grid and put it into the head."""
        if self.lesion is None:
            return parts
        to_lesion = np.linalg.inv(self.lesion.affine) @ affine
        scale = np.diag(to_lesion[:3, :3])
        smear = np.sqrt(np.maximum(scale**2 - 1, 0) / 12)
        cavity, rim = (
            ndimage.affine_transform(
                ndimage.gaussian_filter(share, smear),
                scale, offset=to_lesion[:3, 3], output_shape=shape, order=1, prefilter=False,
            )
            for share in self.lesion.membership
        )  # fmt: skip
        return injure(parts, cavity, rim, np.stack([self.values_3t["cavity"], self.values_3t["rim"]]))

    @cached_property
    def _boxes(self) -> dict[int, Box]:
        found = ndimage.find_objects(self.labels.astype(np.int32))
        return {number: box for number, box in enumerate(found, start=1) if box is not None}

    def _lines(self, affine: np.ndarray) -> list[tuple[float, float, float]]:
        """Return for each axis (first, step, sd) of the new voxels, in voxels of the map."""
        matrix = np.linalg.inv(self.affine) @ affine
        scale = np.diag(matrix[:3, :3])
        sd = np.sqrt(_BORDER_SD_VOX**2 + np.maximum(scale**2 - 1, 0) / 12)
        return list(zip(matrix[:3, 3].tolist(), scale.tolist(), sd.tolist(), strict=True))


def draw_label_anatomy(
    head: LabelMap, identity: tuple[Identity, ...], spacing_mm: float | None, has_lesion: bool
) -> LabelAnatomy:
    """Draw tissue values, texture and, where asked, a stroke for a label map.

    Args:
        head: the label map.
        identity: of the draw.
        spacing_mm: nominal voxel edge of what will be made of it; the map's own when None.
        has_lesion: whether to give it a stroke.
    """
    own_mm = float(np.prod(head.edges_mm) ** (1 / 3))
    noise = numpy_generator("labelmap-texture", *identity)
    soft = smooth_noise(noise, head.labels.shape, own_mm, 14.0)
    labels = split_soft_tissue(head, soft)
    texture = smooth_noise(noise, labels.shape, own_mm, _TEXTURE_CELL_MM)
    lesion = None
    if has_lesion:
        strokes = numpy_generator("labelmap-lesion", *identity)
        lesion = draw_lesion(strokes, draw_volume_ml(strokes), brain_of(head))
    values = _draw_label_values(np.flatnonzero(np.bincount(labels.ravel())).tolist()[1:], identity)
    return LabelAnatomy(labels, head.affine, values, texture, lesion, spacing_mm or own_mm)


def blur_weights(n_new: int, n_old: int, first: float, step: float, sd: float) -> np.ndarray:
    """Return Gaussian averages ``(n_new, n_old)`` of a line of voxels around new places, each of sum 1.

    Args:
        n_new: number of new voxels.
        n_old: number of old ones.
        first: where the first new voxel lies, in old voxels.
        step: from one new voxel to the next, in old voxels.
        sd: of the Gaussian, in old voxels; weights below 1 % of the largest are left out.
    """
    places = first + step * np.arange(n_new)
    away = np.arange(n_old)[None, :] - places.clip(0, n_old - 1)[:, None]
    weights = np.exp(-0.5 * (away / sd) ** 2)
    weights[weights < _SMALLEST_WEIGHT * weights.max(axis=1, keepdims=True)] = 0
    normalised: np.ndarray = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    return normalised


def blur(volume: np.ndarray, weights: list[np.ndarray], box: Box) -> tuple[Box, np.ndarray]:
    """Average a volume along its three axes.

    Args:
        volume: ``(i, j, k)`` float32, zero outside ``box``.
        weights: of each axis, for whole lines.
        box: where the volume lies in the grid of the weights' columns.

    Returns:
        The box of the new grid that it reaches, and its voxels there.
    """
    target = []
    for axis, (rows, along) in enumerate(zip(weights, box, strict=True)):
        columns = rows[:, along]
        reached = np.flatnonzero(columns.any(axis=1))
        span = slice(int(reached[0]), int(reached[-1]) + 1) if len(reached) else slice(0, 0)
        volume = np.moveaxis(np.tensordot(columns[span], volume, axes=(1, axis)), 0, axis)
        target.append(span)
    return (target[0], target[1], target[2]), np.ascontiguousarray(volume)


def _whole(shape: tuple[int, ...]) -> Box:
    i, j, k = (slice(0, n) for n in shape)
    return i, j, k


def _without_traces(parts: list[Part], shape: tuple[int, int, int]) -> list[Part]:
    """Leave shares under 1 % of a voxel to the others; so a voxel of one tissue in 99 % is all of it."""
    before, after = np.zeros(shape, dtype=np.float32), np.zeros(shape, dtype=np.float32)
    for part in parts:
        before[part.box] += part.share
        part.share[part.share < _TRACE] = 0
        after[part.box] += part.share
    before[before > 1 - _TRACE] = 1
    scale = np.divide(before, after, out=np.zeros_like(after), where=after > 0)
    for part in parts:
        np.multiply(part.share, scale[part.box], out=part.share)
    return parts


def _centred_texture(texture: np.ndarray, parts: list[Part]) -> np.ndarray:
    """Take the mean of each part's own voxels from the texture."""
    offset = np.zeros_like(texture)
    for part in parts:
        own = np.where(part.share > 1 - _TRACE, part.share, 0)
        own = own if own.any() else part.share
        total = float(own.sum())
        if total > 0:
            offset[part.box] += np.float32((own * texture[part.box]).sum() / total) * part.share
    centred: np.ndarray = texture - offset
    return centred


def _draw_label_values(numbers: list[int], identity: tuple[Identity, ...]) -> dict[int | str, np.ndarray]:
    """Draw the subject's tissues (5 %), around them each pair of labels (1 %) and each side (0.3 %)."""
    subject = draw_values(numpy_generator("labelmap-values", *identity))
    values: dict[int | str, np.ndarray] = {name: subject[TISSUES.index(name)] for name in ("cavity", "rim")}
    mirror = dict(zip(RIGHT, LEFT, strict=True))
    for number in numbers:
        tissue = TISSUE_OF[number]
        pair = numpy_generator("labelmap-pair", *identity, mirror.get(number, number))
        side = numpy_generator("labelmap-side", *identity, number)
        factor = deviations(pair, (tissue,), _LABEL_SD)[0] * deviations(side, (tissue,), _SIDE_SD)[0]
        values[number] = subject[TISSUES.index(tissue)] * factor
    return values
