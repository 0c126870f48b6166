"""What tells the rows of a report apart in figures and tables: colour, marker and id."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f5f3f")
"""After Okabe and Ito 2008 (https://jfly.uni-koeln.de/color/), which people with any colour vision can tell
apart; the yellow, too light for lines on white, is a brown."""
GREYS = ("#5b6570", "#87909b", "#aab2bb")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")


@dataclass(frozen=True)
class Look:
    """Colour and marker of a row, the same in every figure."""

    colour: str
    marker: str


def looks(trained: Sequence[str], references: Sequence[str]) -> dict[str, Look]:
    """Return the look of each row: colours for methods, greys for what they are compared with."""
    of_trained = {
        row: Look(COLOURS[place % len(COLOURS)], MARKERS[(place + place // len(COLOURS)) % len(MARKERS)])
        for place, row in enumerate(trained)
    }
    return of_trained | {
        row: Look(GREYS[place % len(GREYS)], MARKERS[place % len(MARKERS)])
        for place, row in enumerate(references)
        if row not in of_trained
    }


def row_id(row: str) -> str:
    """Return what tells a row from others in a page: letters and digits, the same in figures and tables."""
    return hashlib.sha256(row.encode()).hexdigest()[:10]
