"""Draws docs/images/lesions.png: strokes of the phantom.

python docs/figures/lesion_sheet.py
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from mribench_datasets.phantom.acquisition import acquire, lesion_mask
from mribench_datasets.phantom.anatomy import draw_anatomy
from mribench_datasets.phantom.head import NERVOUS
from mribench_datasets.phantom.protocols import ARC_PROTOCOLS
from panels import axial, fit, make_sequences, outline, save_grid, window

from mribench.seeding import numpy_generator

SPACING_MM = 1.25
PEOPLE = (0, 6, 9, 5, 7, 8, 3, 38)
SIZE = (170, 140)
OUT = Path(__file__).parent.parent / "images" / "lesions.png"


def main() -> None:
    """Draw the picture."""
    sequences = make_sequences("fse", "mprage", "flair")
    columns, captions = [], []
    for number in PEOPLE:
        anatomy = draw_anatomy(("figure", 0, number), SPACING_MM, True)
        head = anatomy.on_grid(*anatomy.grid())
        mask = lesion_mask(head)
        k = int(np.argmax(mask.sum((0, 1))))
        brain = head.share(*NERVOUS) > 0.5
        pictures = []
        for name, protocol in ARC_PROTOCOLS.items():
            upright = replace(protocol, orientation="RAS")
            image = acquire(
                head, upright, sequences[protocol.sequence], numpy_generator("figure", number, name)
            )
            pictures.append(
                fit(axial(window(image.data, image.data[brain], 1.3 if name == "T1w" else 1.9), k), *SIZE)
            )
        grey = pictures[1]
        pictures.append(outline(grey, fit(axial(mask.astype(np.uint8), k), *SIZE) > 0))
        columns.append(pictures)
        lesion_ml = mask.sum() * SPACING_MM**3 / 1000
        captions.append(f"{anatomy.lesion.territory}\n{lesion_ml:.1f} ml")
    rows = [list(row) for row in zip(*columns, strict=True)]
    blank = [[f"{name}\n" for _ in PEOPLE] for name in ("T1w", "T2w", "FLAIR")]
    save_grid(OUT, rows, [*blank, captions])


if __name__ == "__main__":
    main()
