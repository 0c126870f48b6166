"""Where the arteries of the brain go, and what kinds of infarct their occlusion leaves.

Each territory is what lies nearest to its artery's branches, given as points in MNI space (mm, right side;
the left mirrors them). The points are placed by hand along the branches' cortical and deep courses so that
the territories come out as in arterial maps (Tatu et al. 1998, doi 10.1212/WNL.50.6.1699); they are a
drawing, not an atlas.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

Point = tuple[float, float, float]

BRANCHES_MM: dict[str, tuple[Point, ...]] = {
    "ACA": (
        (7, 35, -18), (6, 30, -5), (6, 45, 5), (9, 60, 2), (6, 40, 20), (8, 57, 24), (6, 25, 34),
        (10, 44, 42), (6, 5, 40), (10, 25, 57), (6, -15, 44), (11, 5, 66), (11, -20, 70), (7, -36, 46),
        (11, -42, 66), (8, -55, 46),
    ),
    "MCA superior": (
        (38, 10, 4), (38, 38, -8), (44, 42, 8), (32, 50, 24), (42, 26, 38), (50, 14, 18), (34, 16, 52),
        (48, 4, 42), (58, 2, 20), (40, -10, 56), (54, -14, 44), (60, -12, 26), (44, -32, 56), (58, -26, 38),
    ),
    "MCA inferior": (
        (42, -6, -8), (42, 15, -28), (54, 2, -20), (60, -24, -8), (62, -38, 8), (54, -56, 0), (48, -66, 18),
        (50, -58, 34), (42, -56, 50), (60, -40, 26),
    ),
    "PCA": (
        (22, -26, -12), (22, -40, -8), (28, -12, -32), (34, -28, -28), (38, -46, -22), (34, -64, -14),
        (10, -75, 8), (12, -92, 2), (10, -68, 26), (16, -86, 22), (8, -44, 8), (26, -94, 0),
    ),
    "lenticulostriate": (
        (24, 4, 2), (16, 12, 6), (18, 6, 16), (26, -8, 8), (20, -4, 20), (22, -16, 20), (14, 18, 2),
    ),
    "thalamic": ((10, -18, 8), (14, -24, 6), (8, -10, 4)),
}  # fmt: skip
"""Points along the branches of each artery."""


@dataclass(frozen=True)
class Kind:
    """A kind of infarct.

    Attributes:
        name: territory, for people.
        share: how often, among the kinds that a volume suits.
        low_ml: smallest volume.
        high_ml: largest volume.
        arteries: whose territories it fills before it spreads.
        seeds_mm: one of these points is in its middle; by default one of the arteries' branches.
        hub_mm: where a wedge comes to its point; its base is the cortex.
        axes_mm: half axes of an ellipsoid, in place of a wedge.
        borders: two territories between which a watershed infarct stays.
    """

    name: str
    share: float
    low_ml: float
    high_ml: float
    arteries: tuple[str, ...]
    seeds_mm: tuple[Point, ...] = ()
    hub_mm: Point | None = None
    axes_mm: Point | None = None
    borders: tuple[str, str] | None = None


_MCA = ("MCA superior", "MCA inferior", "lenticulostriate")
KINDS = (
    Kind("lacunar", 0.10, 0.0, 2.5, ("lenticulostriate", "thalamic"), axes_mm=(4, 5, 5)),
    Kind(
        "striatocapsular", 0.12, 2.0, 30, ("lenticulostriate",), ((24, 0, 6), (22, -4, 12)),
        axes_mm=(8, 19, 12),
    ),
    Kind("MCA superior", 0.30, 2.5, 130, ("MCA superior",), hub_mm=(22, -2, 16)),
    Kind("MCA inferior", 0.25, 2.5, 120, ("MCA inferior",), hub_mm=(26, -26, 8)),
    Kind("MCA", 0.30, 60, 400, _MCA, ((46, -8, 14), (50, -20, 16), (46, 6, 10)), hub_mm=(14, -6, 14)),
    Kind("ACA", 0.07, 2.0, 55, ("ACA",), hub_mm=(12, 4, 14)),
    Kind("PCA", 0.08, 2.0, 65, ("PCA",), hub_mm=(24, -36, 4)),
    Kind(
        "watershed, cortical", 0.05, 2.0, 35, ("ACA", "MCA superior", "MCA inferior", "PCA"),
        ((27, 36, 40), (26, 12, 56), (28, -54, 54), (34, -74, 26)), (20, -10, 20),
        borders=("ACA", "MCA superior"),
    ),
    Kind(
        "watershed, internal", 0.04, 1.0, 20, ("MCA superior", "ACA", "lenticulostriate"),
        ((26, 6, 28), (26, -18, 30)), axes_mm=(5, 22, 7),
    ),
)  # fmt: skip
"""Kinds of chronic infarct; aphasia brings those of the middle cerebral artery to the front."""


def draw_kind(generator: np.random.Generator, volume_ml: float) -> Kind:
    """Return a kind of infarct that a volume suits."""
    suited = [kind for kind in KINDS if kind.low_ml <= volume_ml <= kind.high_ml]
    shares = np.array([kind.share for kind in suited])
    return suited[int(generator.choice(len(suited), p=shares / shares.sum()))]


def draw_seed(generator: np.random.Generator, kind: Kind) -> np.ndarray:
    """Return the middle of an infarct in MNI mm, right side."""
    seeds = kind.seeds_mm or tuple(point for name in kind.arteries for point in BRANCHES_MM[name])
    jitter_mm = 4.0 * generator.standard_normal(3).clip(-1.5, 1.5)
    seed: np.ndarray = np.array(seeds[int(generator.integers(len(seeds)))], dtype=float) + jitter_mm
    seed[0] = max(seed[0], 5.0)
    return seed


def distances_mm(points_mm: np.ndarray) -> dict[str, np.ndarray]:
    """Return the distance to the nearest branch of each artery.

    Args:
        points_mm: ``(n, 3)`` in MNI space, mirrored to the right side.

    Returns:
        ``(n,)`` by artery, mm.
    """
    return {name: cKDTree(np.array(branch)).query(points_mm)[0] for name, branch in BRANCHES_MM.items()}
