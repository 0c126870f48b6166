"""Labels beside the images of pretraining, as maps of class numbers."""

from __future__ import annotations

import numpy as np

from mribench.data.prepare import Reader, count_repairs, describe_origin, digest_scan, put_on_grid
from mribench.data.prepared import PreparedContent, Recipe
from mribench.interfaces.dataset import Scan
from mribench.volumes import Volume, resample_to

CLASSES = "classes"
"""The name of the map that a view generator gets."""


def make_classes_recipe(
    reader: Reader, scan: Scan, label: str, volume: str, spacing_mm: float | None
) -> Recipe:
    """Return the recipe of a label ``(I, J, K)`` as class numbers, float32, on the working grid of a scan.

    Args:
        reader: reads the files.
        scan: has the label itself.
        label: its name.
        volume: of the scan, whose grid counts.
        spacing_mm: of the working grid; None for the scan's own.
    """

    def build() -> PreparedContent:
        memberships = reader.dataset.read_labels(scan, label)
        grid = put_on_grid(reader.dataset.read_images(scan)[volume], spacing_mm)
        classes = Volume(number_classes(memberships.data), memberships.affine)
        moved = resample_to(classes, grid.affine, grid.shape_vox, order=0)
        return PreparedContent({CLASSES: moved.data}, count_repairs(memberships))

    made_of, files = describe_origin("classes", reader, scan, spacing_mm), digest_scan(scan, label)
    if made_of is None or files is None:
        return Recipe(None, build)
    return Recipe({**made_of, "volume": volume, "label": label, "label_files": files}, build)


def number_classes(memberships: np.ndarray) -> np.ndarray:
    """Return class numbers ``(I, J, K)``, float32, of a label as datasets give it.

    Args:
        memberships: ``(C, I, J, K)`` in 0..1: a voxel is of the largest class, from 1 on, unless what is left
            to 1 is larger: 0. Or one map of whole numbers ``(1, I, J, K)``, which stay.
    """
    if len(memberships) == 1:
        return np.rint(memberships[0]).astype(np.float32)
    rest = 1 - memberships.sum(axis=0, keepdims=True)
    return np.concatenate([rest, memberships]).argmax(axis=0).astype(np.float32)
