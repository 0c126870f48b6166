"""Slices of scans: examples of what a method predicted, and the first views that pretraining saw."""

from __future__ import annotations

import io
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mribench.report.figures.drawing import Drawing
from mribench.report.figures.style import INK, MUTED, hide_frame, panels, short, tag
from mribench.report.looks import COLOURS
from mribench.report.material import Material, Panel
from mribench.results.cells import row_labels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

EXAMPLE = "example.npz"
VIEWS = "views.npz"
_DAMAGES = (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error)
"""What reading a damaged file raises: there is one picture less, and no report fails for want of it."""
_MOST_PREDICTIONS = 8
_MOST_VIEWS = 8
_MOST_METHODS = 12
_OPACITY = 0.6
_ONLY = COLOURS[1]
"""A single class is best seen on grey in this one."""


@dataclass(frozen=True)
class Example:
    """A slice of an evaluate job: input, reference and prediction ``(rows, columns)`` uint8.

    Attributes:
        input: grey values.
        reference: grey values, or classes.
        prediction: as ``reference``.
        classes: whether the last two are classes.
        aspect: height / width of a pixel.
        subject: whose.
    """

    input: np.ndarray
    reference: np.ndarray
    prediction: np.ndarray
    classes: bool
    aspect: float
    subject: str


@dataclass(frozen=True)
class Views:
    """Slices of the first views of a pretrain job.

    Attributes:
        planes: by view, ``(samples, rows, columns)`` uint8.
        sequences: by sample and view.
        subjects: by sample.
    """

    planes: tuple[np.ndarray, ...]
    sequences: tuple[tuple[str, ...], ...]
    subjects: tuple[str, ...]


@dataclass(frozen=True)
class ExampleStrip:
    """One test scan: the example of each row that predicted it, and the row's score there as text."""

    sequence: str
    subject: str
    examples: dict[str, tuple[Example, str]]


def read_example(directory: Path, key: str) -> Example | None:
    """Return the example of a job; None where there is none, or it is damaged: it is only a picture."""
    try:
        content = (directory / "jobs" / key / EXAMPLE).read_bytes()
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            height, width = arrays["pixel_mm"]
            example = Example(
                arrays["input"], arrays["reference"], arrays["prediction"], bool(arrays["classes"]),
                float(height / width), str(arrays["subject"]),
            )  # fmt: skip
    except _DAMAGES:
        return None
    shapes = {plane.shape for plane in (example.input, example.reference, example.prediction)}
    return example if len(shapes) == 1 and len(next(iter(shapes))) == 2 and example.input.size else None


def read_views(directory: Path, key: str) -> Views | None:
    """Return the views of a job; None where there are none, or they are damaged: it is only a picture."""
    try:
        content = (directory / "jobs" / key / VIEWS).read_bytes()
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            sequences = tuple(tuple(map(str, row)) for row in arrays["sequences"])
            subjects = tuple(map(str, arrays["subjects"]))
            planes = tuple(arrays[f"view{number}"] for number in range(len(arrays["pixel_mm"])))
    except _DAMAGES:
        return None
    whole = planes and all(plane.ndim == 3 and plane.size and len(plane) == len(subjects) for plane in planes)
    named = len(sequences) == len(subjects) and all(len(row) == len(planes) for row in sequences)
    return Views(planes, sequences, subjects) if whole and named else None


def example_slices(material: Material) -> list[Drawing]:
    """Return a figure per task: a line per sequence with input, reference and every method's prediction."""
    if material.directory is None or material.run.cells.empty:
        return []
    drawings = []
    first = {panel.task: panel for panel in reversed(material.panels)}
    for number, task in enumerate(material.run.manifest.tasks, start=1):
        if task in first:
            strips = _cut_strips(material, material.directory, first[task])
            drawings += [_present_examples(first[task], strips, number)] if strips else []
    return drawings


def _cut_strips(material: Material, directory: Path, panel: Panel) -> list[ExampleStrip]:
    run = material.run
    spec = run.manifest.tasks[panel.task]
    cells = run.cells.assign(row=row_labels(run.cells, run.manifest))
    here = cells["task"].eq(panel.task) & cells["test_site"].eq(spec.sites[0] if spec.sites else "")
    here &= cells["state"].eq("done") & (cells["fraction"].eq(panel.fraction) | cells["fraction"].isna())
    own = cells["train_sequence"].eq(cells["test_sequence"]) | cells["train_sequence"].isna()
    cells = cells[here & own].sort_values("seed", kind="stable").drop_duplicates(["row", "test_sequence"])
    strips = []
    for sequence in spec.train_sequences:
        keys = cells[cells["test_sequence"].eq(sequence)].set_index("row")["key"]
        read = {row: read_example(directory, keys[row]) for row in material.in_order(keys.index)}
        examples = {row: example for row, example in read.items() if example is not None}
        subject = next((example.subject for example in examples.values()), "")
        # another subject's slice beside it would be no comparison
        same = [row for row, example in examples.items() if example.subject == subject]
        scored = {row: (examples[row], _score(material, panel, keys[row], subject)) for row in same}
        strips.append(ExampleStrip(sequence, subject, dict(list(scored.items())[:_MOST_PREDICTIONS])))
    return [strip for strip in strips if strip.examples]


def _score(material: Material, panel: Panel, key: str, subject: str) -> str:
    scores = material.run.scores
    mine = scores["job_key"].eq(key) & scores["subject"].eq(subject) & scores["metric"].eq(panel.metric)
    value = scores.loc[mine, "value"].mean()
    return "" if pd.isna(value) else f"{value * panel.scale:.{panel.digits}f}"


def _present_examples(panel: Panel, strips: list[ExampleStrip], number: int) -> Drawing:
    texts = []
    for strip in strips:
        scores = [f"{row} {score}" for row, (_, score) in strip.examples.items() if score]
        texts.append(f"{strip.sequence}: {', '.join(scores)}")
    classes = next(iter(strips[0].examples.values()))[0].classes
    people = ", ".join(dict.fromkeys(strip.subject for strip in strips))
    return Drawing(
        f"examples-{number}",
        f"Examples: {panel.task}",
        f"Axial slices, a line per sequence: input, reference, and each method's prediction with its "
        f"{panel.label} for the subject. {'; '.join(texts)}.",
        (
            (
                f"First test subject ({people}) of the first seed, trained and tested on one sequence; below "
                f"each prediction its {panel.label[:-2]} of the 3D scan, not of this slice. Nobody "
                "chose it: it may be typical or not."
            ),
            "Colours are classes over the input." if classes else "All on the grey scale of the reference.",
            "Anterior is up, the patient's right on the left.",
        ),
        lambda: _draw_examples(strips),
    )


def _draw_examples(strips: list[ExampleStrip]) -> Figure:
    rows = list(dict.fromkeys(row for strip in strips for row in strip.examples))
    across = 2 + len(rows)
    any_example = next(iter(strips[0].examples.values()))[0]
    tall = any_example.input.shape[0] * any_example.aspect / any_example.input.shape[1]
    figure, axes = panels(across * len(strips), across, 1.25, min(2.2, 1.2 * tall) + 0.12)
    for line, strip in enumerate(strips):
        here = axes[line * across : (line + 1) * across]
        first = next(iter(strip.examples.values()))[0]
        _show(here[0], first.input, first, "input" if line == 0 else "")
        here[0].set_ylabel(short(strip.sequence, 12), color=INK, fontweight="bold")
        _show(here[1], first.reference, first, "reference" if line == 0 else "")
        for ax, row in zip(here[2:], rows, strict=True):
            if row not in strip.examples:
                ax.set_visible(False)
                continue
            tag(row, ax)
            example, score = strip.examples[row]
            _show(ax, example.prediction, example, short(row, 16) if line == 0 else "")
            ax.set_xlabel(score, fontsize=8, color=MUTED, labelpad=2)
    return figure


def _show(ax: Axes, plane: np.ndarray, example: Example, title: str) -> None:
    ax.imshow(_paint(plane, example), aspect=example.aspect, interpolation="nearest")
    hide_frame(ax)
    ax.set_title(title, fontsize=8, loc="center")


def _paint(plane: np.ndarray, example: Example) -> np.ndarray:
    """Return ``(rows, columns, 3)`` uint8: grey, or classes in colour over the input."""
    if not example.classes or plane is example.input:
        return np.repeat(plane[..., None], 3, axis=2)
    grey = np.repeat(example.input[..., None], 3, axis=2).astype(float)
    one = example.reference.max() <= 1
    for number in np.unique(plane[plane > 0]):
        colour = bytes.fromhex((_ONLY if one else COLOURS[(int(number) - 1) % len(COLOURS)]).lstrip("#"))
        inside = plane == number
        grey[inside] = (1 - _OPACITY) * grey[inside] + _OPACITY * np.array(list(colour), dtype=float)
    return grey.astype(np.uint8)


def views_seen(material: Material) -> list[Drawing]:
    """Return one figure: a line per method, the views of the first samples of its first step side by side."""
    by_method = _read_first_views(material)
    if not by_method:
        return []
    texts = []
    for name, views in by_method.items():
        samples = [" | ".join(sequences) for sequences in views.sequences if any(sequences)]
        texts.append(f"{name}: {'; '.join(samples)}")
    return [
        Drawing(
            "views",
            "Views of pretraining",
            "Middle axial slices, a line per method, the views of one subject side by side, below each its "
            f"sequence. {'; '.join(texts)}.",
            (
                "First step of the first seed: what the networks were given, with augmentation.",
                (
                    "Columns are the same subjects and crops for every method. Each slice is on its own "
                    "grey scale."
                ),
            ),
            lambda: _draw_views(by_method),
        )
    ]


def _read_first_views(material: Material) -> dict[str, Views]:
    run = material.run
    if material.directory is None or run.cells.empty:
        return {}
    trained = run.cells.dropna(subset=["pretrain", "seed"]).sort_values("seed", kind="stable")
    first = trained.drop_duplicates("method").set_index("method")["pretrain"]
    names = [method.name for method in run.manifest.methods if method.name in first.index]
    read = ((name, read_views(material.directory, str(first[name]))) for name in names)
    by_method = {name: views for name, views in read if views is not None}
    return dict(list(by_method.items())[:_MOST_METHODS])


def _draw_views(by_method: dict[str, Views]) -> Figure:
    most = max(len(views.planes) for views in by_method.values())
    samples = max(1, min(min(len(views.subjects) for views in by_method.values()), _MOST_VIEWS // most))
    across = samples * most
    figure, axes = panels(across * len(by_method), across, 1.25, 1.42)
    for line, (name, views) in enumerate(by_method.items()):
        for place in range(across):
            ax = axes[line * across + place]
            sample, number = divmod(place, most)
            if number >= len(views.planes):
                ax.set_visible(False)
                continue
            tag(name, ax)
            ax.imshow(views.planes[number][sample], cmap="gray", vmin=0, vmax=255, interpolation="nearest")
            hide_frame(ax)
            if place == 0:
                ax.set_ylabel(short(name, 12), color=INK, fontweight="bold")
            if line == 0 and number == 0:
                ax.set_title(short(views.subjects[sample], 16), fontsize=8, loc="left")
            ax.set_xlabel(short(views.sequences[sample][number], 14), fontsize=8, color=MUTED, labelpad=2)
    return figure
