"""Augmentation of views and of training crops, for any plugin: what is drawn, and how it is applied. Public.

Which views a method sees, and which crops a task learns from, is decided by plugins.
"""

from mribench.augmentation.apply import (
    add_artefacts,
    drop_cuboids,
    equalise,
    intensity_window,
    resample,
    standardise,
    truncate_frequencies,
)
from mribench.augmentation.crops import CropAugmentOptions, CropDraw, Window, draw_crop
from mribench.augmentation.draws import AugmentDraw, AugmentOptions, draw_augmentation
from mribench.augmentation.splines import FIELD_SD, control_points, expand

__all__ = [
    "FIELD_SD",
    "AugmentDraw",
    "AugmentOptions",
    "CropAugmentOptions",
    "CropDraw",
    "Window",
    "add_artefacts",
    "control_points",
    "draw_augmentation",
    "draw_crop",
    "drop_cuboids",
    "equalise",
    "expand",
    "intensity_window",
    "resample",
    "standardise",
    "truncate_frequencies",
]
