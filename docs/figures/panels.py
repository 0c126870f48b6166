"""Grey pictures in a grid with captions, as PNG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from mribench.interfaces import MRISequence, SequenceRef
from mribench.plugins import load_registry

GAP, LINE = 6, 15


def make_sequences(*names: str) -> dict[str, MRISequence]:
    """Return signal equations by name."""
    registry = load_registry()
    references = {name: SequenceRef.model_validate({"name": name, "profile": "corrected"}) for name in names}
    return {name: registry.resolve(ref, "figure", "corrected").make() for name, ref in references.items()}


def window(image: np.ndarray, brain: np.ndarray, headroom: float) -> np.ndarray:
    """Return an image as bytes, black at 0, white at the brain's 95th percentile times ``headroom``."""
    high = headroom * np.percentile(brain, 95)
    return (np.clip(image / high, 0, 1) * 255).astype(np.uint8)


def fit(picture: np.ndarray, height: int, width: int, top: bool = False) -> np.ndarray:
    """Return a picture ``(i, j)`` cut or padded about its middle, or keeping its top."""
    rows, columns = picture.shape
    if top and rows > height:
        picture = picture[:height]
    before = [max(0, height - picture.shape[0]) // 2, max(0, width - columns) // 2]
    padded = np.pad(
        picture,
        [(b, max(0, n - b - m)) for b, n, m in zip(before, (height, width), picture.shape, strict=True)],
    )
    low = [(n - m) // 2 for n, m in zip(padded.shape, (height, width), strict=True)]
    return padded[low[0] : low[0] + height, low[1] : low[1] + width]


def axial(volume: np.ndarray, k: int) -> np.ndarray:
    """Return a slice ``(j, i)`` as radiologists look at it: anterior up, the patient's left on the right."""
    return volume[::-1, ::-1, k].T


def coronal(volume: np.ndarray, j: int) -> np.ndarray:
    """Return a slice ``(k, i)``, superior up, the patient's left on the right."""
    return volume[::-1, j, ::-1].T


def sagittal(volume: np.ndarray, i: int) -> np.ndarray:
    """Return a slice ``(k, j)``, superior up, anterior to the left."""
    return volume[i, ::-1, ::-1].T


def outline(
    picture: np.ndarray, mask: np.ndarray, colour: tuple[int, int, int] = (255, 60, 60)
) -> np.ndarray:
    """Draw the border of a mask ``(i, j)`` into a grey picture."""
    rgb = np.repeat(picture[..., None], 3, axis=-1)
    rgb[mask & ~ndimage.binary_erosion(mask)] = colour
    return rgb


def save_grid(path: Path, rows: Sequence[Sequence[np.ndarray]], captions: Sequence[Sequence[str]]) -> None:
    """Write pictures in rows, each with a caption (lines parted by newlines) under it."""
    font = ImageFont.load_default(12)
    lines = 1 + max(text.count("\n") for row in captions for text in row)
    heights = [row[0].shape[0] for row in rows]
    under, step_x = GAP + lines * LINE, rows[0][0].shape[1] + GAP
    canvas = Image.new("RGB", (step_x * len(rows[0]) + GAP, sum(heights) + under * len(rows) + GAP))
    draw = ImageDraw.Draw(canvas)
    for r, (row, texts) in enumerate(zip(rows, captions, strict=True)):
        for c, (picture, text) in enumerate(zip(row, texts, strict=True)):
            x, y = GAP + c * step_x, GAP + sum(heights[:r]) + r * under
            canvas.paste(Image.fromarray(picture).convert("RGB"), (x, y))
            draw.multiline_text((x + 2, y + heights[r] + 1), text, fill=(225, 225, 225), font=font, spacing=2)
    path.parent.mkdir(parents=True, exist_ok=True)
    small = canvas.convert("L") if _is_grey(canvas) else _with_red(canvas)
    small.save(path, optimize=True)


def _with_red(canvas: Image.Image) -> Image.Image:
    """Return the canvas with 128 greys and one red: smaller, and the outlines stay as they are."""
    pixels = np.asarray(canvas).astype(int)
    index = np.where(pixels[..., 0] - pixels[..., 2] > 60, 128, pixels[..., 2] // 2).astype(np.uint8)
    small = Image.fromarray(index).convert("P")
    small.putdata(index.ravel().tolist())
    small.putpalette([level for grey in range(128) for level in (2 * grey,) * 3] + [255, 50, 50])
    return small


def _is_grey(canvas: Image.Image) -> bool:
    pixels = np.asarray(canvas).astype(int)
    return bool((np.ptp(pixels, axis=-1) == 0).all())
