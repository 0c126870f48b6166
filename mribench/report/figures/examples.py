"""Example slices: what a method was given, what it should say, what it said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mribench.report.figures.drawing import Drawing
from mribench.report.figures.files import Example, read_example
from mribench.report.figures.style import INK, MUTED, panels, short, tag
from mribench.report.looks import COLOURS
from mribench.report.material import Material, Panel
from mribench.results.cells import row_labels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_METHODS = 8
_OPACITY = 0.6
_ONLY = COLOURS[1]
"""A single class is best seen on grey in this one."""


@dataclass(frozen=True)
class ExampleStrip:
    """One test scan: the example of each row that predicted it, and the row's score there as text."""

    sequence: str
    subject: str
    examples: dict[str, tuple[Example, str]]


def example_slices(material: Material) -> list[Drawing]:
    """Return a figure per task: a line per sequence with input, reference and every method's prediction."""
    if material.directory is None or material.run.cells.empty:
        return []
    drawings = []
    first = {panel.task: panel for panel in reversed(material.panels)}
    for number, task in enumerate(material.run.manifest.tasks):
        panel = first.get(task)
        strips = _strips(material, panel) if panel else []
        if panel and strips:
            drawings.append(_drawing(panel, strips, number))
    return drawings


def _strips(material: Material, panel: Panel) -> list[ExampleStrip]:
    run = material.run
    spec = run.manifest.tasks[panel.task]
    cells = run.cells.assign(row=row_labels(run.cells, run.manifest))
    here = cells["task"].eq(panel.task) & cells["test_site"].eq(spec.sites[0] if spec.sites else "")
    here &= cells["state"].eq("done") & (cells["fraction"].eq(panel.fraction) | cells["fraction"].isna())
    own = cells["train_sequence"].eq(cells["test_sequence"]) | cells["train_sequence"].isna()
    cells = cells[here & own].sort_values("seed", kind="stable").drop_duplicates(["row", "test_sequence"])
    strips = []
    for sequence in spec.train_sequences:
        jobs = cells[cells["test_sequence"].eq(sequence)].set_index("row")["key"]
        rows = [row for row in material.rows if row in jobs.index]
        strips.append(_strip(material, panel, sequence, {row: jobs[row] for row in rows}))
    return [strip for strip in strips if strip.examples]


def _strip(material: Material, panel: Panel, sequence: str, keys: dict[str, str]) -> ExampleStrip:
    examples: dict[str, tuple[Example, str]] = {}
    subject = ""
    for row, key in keys.items():
        example = read_example(material.directory, key) if material.directory else None
        # another subject's slice beside it would be no comparison
        if example is not None and (not subject or example.subject == subject):
            subject = example.subject
            examples[row] = (example, _score(material, panel, key, subject))
    return ExampleStrip(sequence, subject, dict(list(examples.items())[:_MOST_METHODS]))


def _score(material: Material, panel: Panel, key: str, subject: str) -> str:
    scores = material.run.scores
    mine = scores[
        scores["job_key"].eq(key) & scores["subject"].eq(subject) & scores["metric"].eq(panel.metric)
    ]
    value = mine["value"].mean()
    return "" if pd.isna(value) else f"{value * panel.scale:.{panel.digits}f}"


def _drawing(panel: Panel, strips: list[ExampleStrip], number: int) -> Drawing:
    texts = []
    for strip in strips:
        scores = [f"{row} {score}" for row, (_, score) in strip.examples.items() if score]
        texts.append(f"{strip.sequence}: {', '.join(scores)}")
    classes = next(iter(strips[0].examples.values()))[0].classes
    people = ", ".join(dict.fromkeys(strip.subject for strip in strips))
    return Drawing(
        f"examples-{number + 1}",
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
        lambda: _draw(strips),
    )


def _draw(strips: list[ExampleStrip]) -> Figure:
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
    options: dict[str, Any] = {"aspect": example.aspect, "interpolation": "nearest"}
    ax.imshow(_picture(plane, example), **options)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.grid(visible=False)
    for spine in ax.spines.values():
        spine.set_visible(False)
    ax.set_title(title, fontsize=8, loc="center")


def _picture(plane: np.ndarray, example: Example) -> np.ndarray:
    """Return ``(rows, columns, 3)`` uint8: grey, or classes in colour over the input."""
    if not example.classes or plane is example.input:
        return np.repeat(plane[..., None], 3, axis=2)
    grey = np.repeat(example.input[..., None], 3, axis=2).astype(float)
    one = example.reference.max() <= 1
    for number in np.unique(plane[plane > 0]):
        colour = (_ONLY if one else COLOURS[(int(number) - 1) % len(COLOURS)]).lstrip("#")
        inside = plane == number
        tint = np.array([int(colour[at : at + 2], 16) for at in (0, 2, 4)], dtype=float)
        grey[inside] = (1 - _OPACITY) * grey[inside] + _OPACITY * tint
    return grey.astype(np.uint8)
