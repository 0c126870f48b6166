"""The contact sheet: a block of rows for each view generator, the views of a sample side by side."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mribench.views.canvas import Canvas, use_plain_style
from mribench.views.captions import Caption, make_captions
from mribench.views.numbers import cut
from mribench.views.samples import MadeSamples, Sample
from mribench.views.sources import Source

Plane = Literal["axial", "coronal", "sagittal"]
PLANES: tuple[Plane, ...] = ("axial", "coronal", "sagittal")

GREY = (-1.5, 2.5)
"""Black and white, in standard deviations from a view's mean; the same in every picture."""
PANEL, GAP, APART, MARGIN = 1.5, 0.05, 0.22, 0.2
TITLE, HEADER, LINE = 0.3, 0.2, 0.125
_SIZES = {"title": 10.0, "header": 7.0, "caption": 6.5}
LETTERS, SMALL, ABREAST = 29, 17, 8
"""Letters in a line under a picture, and to an inch of the foot; pictures side by side."""


@dataclass(frozen=True)
class Strip:
    """Samples side by side, and the caption of each view of each."""

    samples: tuple[Sample, ...]
    words: tuple[tuple[Caption, ...], ...]
    first: int

    @property
    def lines(self) -> int:
        """Lines of the longest caption, its title among them."""
        return 1 + max(len(caption.lines) for words in self.words for caption in words)

    def height(self, pictures: float) -> float:
        """Return the inches that it takes."""
        return HEADER + pictures + (self.lines + 1) * LINE

    def width(self) -> float:
        """Return the inches that it takes."""
        return sum(_widen(sample) + APART for sample in self.samples) - APART


def draw_sheet(
    drawn: Sequence[tuple[Source, MadeSamples]], plane: Plane, note: str, targets: bool = False
) -> Canvas:
    """Draw the contact sheet.

    Args:
        drawn: the samples of each source.
        plane: of the central slices.
        note: where the views come from, for the foot.
        targets: draw the targets, which are free of artefacts, below the views.
    """
    blocks = [(source, make_strips(made)) for source, made in drawn]
    pictures = (2 * PANEL + GAP) if targets else PANEL
    every = [strip for _, block in blocks for strip in block]
    width = max(6.0, *(2 * MARGIN + strip.width() for strip in every))
    foot = [
        line
        for text in (_list_seen(plane, targets), note)
        for line in textwrap.wrap(text, int(SMALL * width))
    ]
    height = MARGIN + len(blocks) * TITLE + sum(strip.height(pictures) for strip in every)
    height += (len(foot) + 1) * LINE
    with use_plain_style():
        canvas = Canvas(width, height, "black", "#e4e4e4")
        top = MARGIN
        for source, block in blocks:
            canvas.text(MARGIN, top, _make_title(source), _SIZES["title"], weight="bold")
            top += TITLE
            for strip in block:
                _draw_strip(canvas, strip, plane, source.patch_vox, top, targets)
                top += strip.height(pictures)
        for line in foot:
            canvas.text(MARGIN, top, line, _SIZES["header"])
            top += LINE
    return canvas


def _list_seen(plane: Plane, targets: bool) -> str:
    low, high = GREY
    below = " Below each view its target, without artefacts." if targets else ""
    return (
        f"{plane}: the central slice of each view as the network gets it, z-scored, black {low:g}, white"
        f" {high:g} standard deviations from its mean.{below}"
    )


def make_strips(made: MadeSamples) -> list[Strip]:
    """Part samples into strips of about ``ABREAST`` pictures, and write their captions."""
    count = max(1, ABREAST // len(made.samples[0].views))
    parted = []
    for first in range(0, len(made.samples), count):
        samples = made.samples[first : first + count]
        words = tuple(tuple(make_captions(sample, made.labels, LETTERS)) for sample in samples)
        parted.append(Strip(samples, words, first))
    return parted


def take_central_slice(volume: np.ndarray, plane: Plane) -> np.ndarray:
    """Return the middle slice of ``(I, J, K)`` in RAS as radiologists look at it.

    Anterior (axial) or superior is up; the patient's left is on the right, anterior on the left.
    """
    i, j, k = (edge // 2 for edge in volume.shape)
    if plane == "axial":
        return np.asarray(volume[::-1, ::-1, k].T)
    if plane == "coronal":
        return np.asarray(volume[::-1, j, ::-1].T)
    return np.asarray(volume[i, ::-1, ::-1].T)


def _widen(sample: Sample) -> float:
    return len(sample.views) * (PANEL + GAP) - GAP


def _draw_strip(canvas: Canvas, strip: Strip, plane: Plane, edge_vox: int, top: float, targets: bool) -> None:
    left = MARGIN
    for number, (sample, words) in enumerate(zip(strip.samples, strip.words, strict=True), strip.first + 1):
        header = cut(f"sample {number}: {sample.views[0].subject}", int(LETTERS * _widen(sample) / PANEL))
        canvas.text(left, top, header, _SIZES["header"])
        canvas.line(left, left + _widen(sample), top + HEADER - 0.04)
        for view, caption in zip(sample.views, words, strict=True):
            below = top + HEADER
            for volume in (view.image, view.target) if targets else (view.image,):
                _draw_picture(canvas, volume, plane, edge_vox, left, below)
                below += PANEL + GAP
            _write(canvas, caption, left, below)
            left += PANEL + GAP
        left += APART - GAP


def _make_title(source: Source) -> str:
    spacing = source.pretrain.spacing_mm
    size = f"{source.patch_vox} voxels" + (f" of {spacing:g} mm" if spacing else "")
    return f"{source.label}   {size}"


def _draw_picture(
    canvas: Canvas, volume: np.ndarray, plane: Plane, edge_vox: int, left: float, top: float
) -> None:
    """Draw a slice; a view that is smaller than the patch is as much smaller here."""
    axes = canvas.axes(left, top, PANEL, PANEL)
    axes.set_axis_off()
    picture = take_central_slice(volume, plane)
    rows, columns = picture.shape
    half = (columns / 2, rows / 2)
    axes.imshow(
        np.clip(np.nan_to_num(picture, nan=GREY[0]), *GREY), cmap="gray", vmin=GREY[0], vmax=GREY[1],
        extent=(-half[0], half[0], -half[1], half[1]),
    )  # fmt: skip
    reach = max(edge_vox, rows, columns) / 2
    axes.set_xlim(-reach, reach)
    axes.set_ylim(-reach, reach)


def _write(canvas: Canvas, caption: Caption, left: float, top: float) -> None:
    canvas.text(left, top, caption.title, _SIZES["caption"], weight="bold")
    for number, line in enumerate(caption.lines, start=1):
        canvas.text(left, top + number * LINE, line, _SIZES["caption"])
