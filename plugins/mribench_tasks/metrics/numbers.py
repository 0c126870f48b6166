"""Numbers inside ids."""

from __future__ import annotations

import numpy as np


def decimals(value: float) -> str:
    """Return the shortest decimals that are this number and no other: 2.0 is ``2``, 1e-7 ``0.0000001``.

    Two options that differ must give two ids, however little they differ.
    """
    return str(np.format_float_positional(value, trim="-"))
