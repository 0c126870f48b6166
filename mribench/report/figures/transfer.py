"""Trained on one sequence, tested on another: a matrix per method."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mribench.report.figures.drawing import Drawing
from mribench.report.figures.style import panels, short, tag
from mribench.report.material import Material, Panel

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MAP = "cividis"
_DARK, _LIGHT = "#111111", "#f7f7f7"
_MOST_ACROSS = 6


def transfer_matrices(material: Material) -> list[Drawing]:
    """Return a heat map per task and metric that was tested on several sequences."""
    tables_made = []
    for number, panel in enumerate(material.panels):
        spec = material.run.manifest.tasks[panel.task]
        if len(spec.test_sequences) < 2:
            continue
        tables = _tables(material, panel, list(spec.train_sequences), list(spec.test_sequences))
        if tables:
            tables_made.append(_drawing(material, panel, tables, number))
    return tables_made


def _tables(
    material: Material, panel: Panel, trained: list[str], tested: list[str]
) -> dict[str, pd.DataFrame]:
    """Return train × test sequences by row; with one training sequence one table of all rows."""
    frame = material.sequences
    if frame.empty:
        return {}
    here = frame["task"].eq(panel.task) & frame["metric"].eq(panel.metric)
    cells = frame[here & frame["fraction"].eq(panel.fraction) & frame["mean"].notna()]
    rows = [row for row in material.rows if row in set(cells["row"])]
    if len(trained) < 2:
        table = cells.pivot_table(index="row", columns="test_sequence", values="mean", sort=False)
        table = table.reindex(index=rows, columns=tested) * panel.scale
        return {f"trained on {trained[0]}": table} if len(table) and trained else {}
    tables_made = {}
    for row in rows:
        mine = cells[cells["row"].eq(row)]
        table = mine.pivot_table(index="train_sequence", columns="test_sequence", values="mean", sort=False)
        order = [name for name in [*trained, "any"] if name in table.index]
        tables_made[row] = table.reindex(index=order, columns=tested) * panel.scale
    return tables_made


def _drawing(material: Material, panel: Panel, tables: dict[str, pd.DataFrame], number: int) -> Drawing:
    texts = []
    for name, table in tables.items():
        lines = []
        for line, values in table.iterrows():
            means = [f"{name} {mean:.{panel.digits}f}" for name, mean in values.items() if pd.notna(mean)]
            lines.append(f"{line}: {', '.join(means)}")
        texts.append(f"{name}: {'; '.join(lines)}.")
    several = len(tables) > 1
    return Drawing(
        f"transfer-{number + 1}",
        f"Sequence transfer: {panel.title}, {panel.label}",
        "Heat maps with numbers in the cells, "
        + ("a matrix per method, trained on (down) against tested on (across). " if several
           else "methods down, sequence tested on across. ")
        + " ".join(texts),
        (
            "Means on the site trained on; off the diagonal a decoder meets a sequence that it never saw."
            if several
            else "Means on the site trained on; the title says which sequence decoders saw.",
            material.claim.text,
        ),
        lambda: _draw(panel, tables),
    )  # fmt: skip


def _draw(panel: Panel, tables: dict[str, pd.DataFrame]) -> Figure:
    from matplotlib import colormaps
    from matplotlib.colors import Normalize

    every = np.concatenate([table.to_numpy().ravel() for table in tables.values()])
    low, high = np.nanmin(every), np.nanmax(every)
    norm = Normalize(low, high if high > low else low + 1)
    colours = colormaps[_MAP if panel.higher_is_better else f"{_MAP}_r"]
    size = max(len(table) for table in tables.values())
    wide = max(table.shape[1] for table in tables.values())
    names = 0.075 * max(len(short(str(line))) for table in tables.values() for line in table.index)
    across = min(_MOST_ACROSS, max(1, 9 // wide)) if len(tables) > 1 else 1
    figure, axes = panels(len(tables), across, 0.7 + names + 0.72 * wide, 0.85 + 0.38 * size)
    for ax, (name, table) in zip(axes, tables.items(), strict=True):
        if len(tables) > 1:
            tag(name, ax)
        values = table.to_numpy()
        ax.pcolormesh(
            np.arange(values.shape[1] + 1) - 0.5, np.arange(len(values) + 1) - 0.5, values,
            cmap=colours, norm=norm, edgecolors="none",
        )  # fmt: skip
        for (down, across), value in np.ndenumerate(values):
            ink = _DARK if np.isnan(value) or _bright(colours(norm(value))) else _LIGHT
            text = "–" if np.isnan(value) else f"{value:.{panel.digits}f}"
            number = ax.text(across, down, text, ha="center", va="center", color=ink, fontsize=8.5)
            if len(tables) == 1:
                tag(str(table.index[down]), number)
        ax.set_yticks(range(len(values)), [short(str(line)) for line in table.index])
        if len(tables) == 1:
            for line, label in zip(table.index, ax.get_yticklabels(), strict=True):
                tag(str(line), label)
        ax.set_ylim(len(values) - 0.5, -0.5)
        ax.set_xticks(range(values.shape[1]), [short(name, 10) for name in table.columns])
        ax.grid(visible=False)
        for spine in ax.spines.values():
            spine.set_visible(False)
        ax.tick_params(length=0)
        ax.set_xlabel("tested on", fontsize=8)
        if len(tables) > 1:
            ax.set_ylabel("trained on", fontsize=8)
        ax.set_title(short(name))
    return figure


def _bright(colour: tuple[float, ...]) -> bool:
    """Whether black is easier to read on a colour than white (relative luminance of WCAG 2)."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour[:3]]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] > 0.179
