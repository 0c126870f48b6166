"""Draws docs/images/labelmap_images.png and labelmap_maps.png from a folder of label maps.

python docs/figures/labelmap_contact_sheet.py FOLDER
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from mribench_datasets.labelmap.anatomy import draw_label_anatomy
from mribench_datasets.labelmap.labels import read_labelmap
from mribench_datasets.phantom.acquisition import acquire, quantitative_maps
from mribench_datasets.phantom.head import NERVOUS, Head
from mribench_datasets.phantom.protocols import ARC_PROTOCOLS, IXI_SITES, Protocol
from panels import axial, coronal, fit, make_sequences, sagittal, save_grid, window

from mribench.seeding import numpy_generator

HEIGHTS, WIDTH = (240, 196, 196), 232
PEOPLE = 3
OUT = Path(__file__).parent.parent / "images"
PROTOCOLS = {
    "T1w": IXI_SITES["HH"]["T1w"],
    "T2w": IXI_SITES["HH"]["T2w"],
    "PDw": IXI_SITES["HH"]["PDw"],
    "FLAIR": ARC_PROTOCOLS["FLAIR"],
}
HEADROOM = {"T1w": 1.25, "T2w": 1.7, "PDw": 1.15, "FLAIR": 1.25}
UNITS = {"PD": "0-110 p.u.", "R1": "0-1.6 1/s", "R2s": "0-60 1/s", "MTsat": "0-2.2 p.u."}
HIGHEST = {"PD": 110.0, "R1": 1.6, "R2s": 60.0, "MTsat": 2.2}


def main(folder: Path) -> None:
    """Draw both pictures."""
    sequences = make_sequences("fse", "mprage", "flair")
    paths = sorted(folder.glob("*.nii.gz"))
    images, image_captions, maps, map_captions = [], [], [], []
    for person, path in enumerate(paths[1 : 1 + PEOPLE]):
        anatomy = draw_label_anatomy(read_labelmap(path), ("figure", path.name), 1.0, False)
        head = anatomy.on_grid(*anatomy.grid())
        brain = head.share(*NERVOUS) > 0.5
        row, captions = [], []
        for name, protocol in PROTOCOLS.items():
            upright = replace(protocol, orientation="RAS")
            generator = numpy_generator("figure", path.name, name)
            image = acquire(head, upright, sequences[protocol.sequence], generator).data
            row.append(view(window(image, image[brain], HEADROOM[name]), head, person))
            captions.append(f"{name}  {times(protocol)}\n{path.name.split('.')[0]}, {protocol.field_t:g} T")
        images.append(row)
        image_captions.append(captions)
        found = quantitative_maps(head, numpy_generator("figure", path.name, "maps"))
        scaled = [np.clip(found[name].data / high, 0, 1) * 255 for name, high in HIGHEST.items()]
        maps.append([view(picture.astype(np.uint8), head, person) for picture in scaled])
        map_captions.append([f"{name}, {UNITS[name]}\n{path.name.split('.')[0]}" for name in HIGHEST])
    save_grid(OUT / "labelmap_images.png", images, image_captions)
    save_grid(OUT / "labelmap_maps.png", maps, map_captions)


def view(volume: np.ndarray, head: Head, plane: int) -> np.ndarray:
    """Return an axial, coronal or sagittal slice through the thalami."""
    where = np.argwhere(head.share("thalamus") > 0.5)
    i, j, k = where.mean(0).round().astype(int).tolist()
    picture = (axial(volume, k + 4), sagittal(volume, i), coronal(volume, j))[plane]
    return fit(picture, HEIGHTS[plane], WIDTH, top=plane > 0)


def times(protocol: Protocol) -> str:
    """Return TE, TR and TI in ms."""
    names = {"te_s": "TE", "tr_s": "TR", "ti_s": "TI"}
    given = protocol.parameters
    return " ".join(f"{text} {1000 * given[key]:g}" for key, text in names.items() if key in given) + " ms"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
