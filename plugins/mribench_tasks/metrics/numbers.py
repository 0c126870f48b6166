"""Numbers inside ids."""

from __future__ import annotations

import numpy as np


def decimals(value: float) -> str:
    """Return the shortest decimals that are this number and no other: 2.0 is ``2``, 1e-7 ``0.0000001``.

    Two options that differ must give two ids, however little they differ.
    """
    return str(np.format_float_positional(value, trim="-"))


_ROUNDING = 1e-5
"""Share of a limit by which lengths and volumes may miss it and still be equal to it.

NIfTI keeps an affine in float32, so the edges of an oblique grid of 1 mm come out as 1.0000001 mm: a length
is off by up to 3e-7 of itself, a volume by thrice that.
"""


def at_most(measured: np.ndarray, limit: float) -> np.ndarray:
    """Return where lengths or volumes are no larger than a limit, as far as an image file can tell."""
    return measured <= limit * (1 + _ROUNDING)


def at_least(measured: np.ndarray, limit: float) -> np.ndarray:
    """Return where lengths or volumes are no smaller than a limit, as far as an image file can tell."""
    return measured >= limit * (1 - _ROUNDING)
