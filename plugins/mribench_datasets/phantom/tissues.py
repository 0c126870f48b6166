"""Tissue values of simulated heads."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

PROPERTIES = ("PD", "R1", "R2s", "MTsat", "R2")
"""Columns of ``VALUES_3T``: PD and MTsat in p.u., rates in 1/s."""

VALUES_3T: dict[str, tuple[float, float, float, float, float]] = {
    "gm": (80, 0.65, 18, 0.80, 11),
    "wm": (70, 1.00, 21, 1.60, 14),
    "csf": (100, 0.24, 2, 0.02, 0.7),
    "striatum": (79, 0.75, 24, 0.90, 14),
    "thalamus": (77, 0.80, 21, 1.10, 14),
    "pallidum": (74, 0.95, 37, 1.20, 25),
    "cavity": (98, 0.26, 3, 0.05, 1.2),
    "rim": (85, 0.58, 12, 0.50, 7),
    "fat": (90, 2.6, 20, 0.20, 14),
    "skin": (85, 0.90, 30, 0.90, 22),
    "muscle": (80, 0.71, 35, 1.20, 25),
    "bone": (15, 3.0, 500, 0.10, 300),
    "brainstem": (72, 0.90, 21, 1.35, 14),
    "wm_lesion": (78, 0.72, 15, 0.95, 9),
    "choroid": (88, 0.48, 14, 0.35, 5),
    "vessel": (62, 0.60, 40, 0.15, 22),
    "vitreous": (98, 0.24, 2, 0.02, 1.5),
    "mucosa": (88, 0.55, 30, 0.40, 8),
    "marrow": (70, 1.9, 60, 0.20, 20),
}
"""Mean values at 3T.

Grey and white matter and the deep nuclei follow quantitative cohorts at 3T (PD 77/70/75 p.u., R1
.65/.97/.79, R2* 20/22/24 1/s, MTsat .78/1.5/1.04 p.u. in grey matter, white matter and deep grey matter);
water content as in doi 10.3389/fneur.2019.01333 (white matter 69.1 %, grey matter 83.7 %); R2 and R2* of
pallidum and white matter as in Radiology 1999;210:759. The values of CSF, lesions and tissue outside the
brain, those of what label maps have besides (``brainstem`` and below: white matter hyperintensities, blood
that partly flows out, the eye, the nose's mucosa, marrow), and the R2 of what was not named here, are
*plausible values, chosen so that the simulated images look as in textbooks*, and no measurements.
"""

TISSUES = tuple(VALUES_3T)
_FREE_WATER = ("csf", "cavity", "vitreous")
_SHARED_SD, _TISSUE_SD = 0.043, 0.025  # 5 % together
_LARGEST_DEVIATION_SD = 2.0


def draw_values(generator: np.random.Generator) -> np.ndarray:
    """Draw one subject's tissue values at 3T: 5 % standard deviation around ``VALUES_3T``.

    Free water hardly differs between people: its relaxation varies a fifth as much. Most of the deviation is
    the subject's, shared by all tissues; draws in which white matter is as bright as grey matter on FLAIR or
    PDw images are drawn again.

    Args:
        generator: of the subject.

    Returns:
        ``(tissues, properties)`` in the order of ``TISSUES`` and ``PROPERTIES``.
    """
    means = np.array([VALUES_3T[tissue] for tissue in TISSUES])
    while True:
        shared = deviations(generator, ("gm",), _SHARED_SD)
        bound = np.array([[tissue not in _FREE_WATER] for tissue in TISSUES])
        values: np.ndarray = (
            means * deviations(generator, TISSUES, _TISSUE_SD) * np.where(bound, shared, 1 + (shared - 1) / 5)
        )
        if _grey_is_brighter(values):
            return values


def _grey_is_brighter(values: np.ndarray) -> bool:
    """Return whether grey matter outshines white by 4 % on FLAIR (TR 9, TI 2.5, TE 0.1 s) and in PD."""
    pd_, r1, _, _, r2 = values[[TISSUES.index("gm"), TISSUES.index("wm")]].T
    flair = pd_ * np.exp(-0.1 * r2) * (1 - 2 * np.exp(-2.5 * r1) + np.exp(-9 * r1))
    return bool(flair[0] > 1.04 * flair[1] and pd_[0] > 1.04 * pd_[1])


def deviations(generator: np.random.Generator, tissues: Sequence[str], sd: float) -> np.ndarray:
    """Draw factors around 1 for each tissue and property, of a fifth of the spread for free water.

    Args:
        generator: of the subject.
        tissues: one name a row.
        sd: standard deviation; what lies beyond two of them is brought back.

    Returns:
        ``(tissues, properties)``.
    """
    shape = (len(tissues), len(PROPERTIES))
    normal = generator.standard_normal(shape).clip(-_LARGEST_DEVIATION_SD, _LARGEST_DEVIATION_SD)
    spread = np.array([[sd / 5 if tissue in _FREE_WATER else sd] for tissue in tissues])
    factors: np.ndarray = 1 + spread * normal
    return factors


def at_field(values_3t: np.ndarray, field_t: float, tissues: Sequence[str] = TISSUES) -> np.ndarray:
    """Bring tissue values from 3T to another field strength.

    T1 grows as B0^0.38 (Rooney et al. 2007, doi 10.1002/mrm.21122: exponents .376 in grey and .382 in white
    matter), that of free water does not; R2* - R2 is proportional to B0 (Yablonskiy and Haacke 1994,
    doi 10.1002/mrm.1910320610); PD, R2 and MTsat are kept.

    Args:
        values_3t: ``(tissues, properties)``.
        field_t: B0 in tesla.
        tissues: the name of each row.
    """
    ratio = field_t / 3.0
    values = values_3t.copy()
    r1, r2s, r2 = (PROPERTIES.index(name) for name in ("R1", "R2s", "R2"))
    bound = np.array([tissue not in _FREE_WATER for tissue in tissues])
    values[bound, r1] *= ratio**-0.38
    values[:, r2s] = values[:, r2] + (values[:, r2s] - values[:, r2]) * ratio
    return values
