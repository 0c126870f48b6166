"""Ways of counting empty masks in distances that are known to be wrong."""

from __future__ import annotations

from mribench.interfaces import Defect, EmptyMaskPolicy

DROPPED_FAILURES = Defect(
    "dropped-failures",
    "subjects with an empty prediction or reference drop out of distances in mm, so a method "
    "gains by missing lesions",
    "tissue test script: NaN",
    empty_masks=EmptyMaskPolicy("dropped", "mm"),
)
FIXED_PENALTY = Defect(
    "fixed-penalty",
    "an empty prediction counts as a distance of 256 mm, whatever the image; an empty reference drops out",
    "test_seg_stroke.py: 256/41 = 6.2 mm, about the whole claimed gain of 5.9 mm",
    empty_masks=EmptyMaskPolicy("256mm", "mm", prediction=256.0),
)
DISTANCE_DEFECTS = (DROPPED_FAILURES, FIXED_PENALTY)
