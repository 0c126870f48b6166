"""Elsewhere: the same models on other sites and on other sequences than those they were trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mribench.report.figures.drawing import Drawing
from mribench.report.figures.style import LINE, MUTED, PAPER, hide_frame, name_rows, panels, short, tag
from mribench.report.looks import MARKERS
from mribench.report.material import SEQUENCES, SITES, Material, Panel, at_panel

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MAP = "cividis"
_DARK, _LIGHT = "#111111", "#f7f7f7"
_MOST_ACROSS = 6


def domain_gap(material: Material) -> list[Drawing]:
    """Return dumbbells from the site trained on to each other site, for tasks with several sites."""
    frame = material.cells(SITES)
    shown = []
    for panel in material.panels:
        sites = list(material.run.manifest.tasks[panel.task].sites)
        if len(sites) < 2 or frame.empty:
            continue
        cells = at_panel(frame, panel)
        table = cells.pivot_table(index="row", columns="test_site", values="mean", sort=False)
        table = table.reindex(index=material.rows, columns=sites).dropna(how="all") * panel.scale
        if table[sites[0]].notna().any() and len(table):
            shown.append((panel, table))
    if not shown:
        return []
    drawing = Drawing(
        "domain-gap",
        "From the site trained on to the others",
        "Dumbbell plots, one per task and metric; methods as rows, a filled marker for the site trained on "
        f"and hollow ones for the others. {' '.join(_describe_gaps(*each) for each in shown)}",
        (
            (
                "Filled: the site trained on; hollow: sites never seen; the longer the bar, the more the "
                "site matters. Means, sequences averaged; the table below has the intervals."
            ),
            material.claim.text,
        ),
        lambda: _draw_gaps(material, shown),
    )
    return [drawing]


def _describe_gaps(panel: Panel, table: pd.DataFrame) -> str:
    texts = []
    for row, values in table.iterrows():
        means = [f"{site} {value:.{panel.digits}f}" for site, value in values.items() if pd.notna(value)]
        texts.append(f"{row} {', '.join(means)}")
    return f"{panel.title}, {panel.label}: {'; '.join(texts)}."


def _draw_gaps(material: Material, shown: list[tuple[Panel, pd.DataFrame]]) -> Figure:
    rows = material.in_order(str(row) for _, table in shown for row in table.index)
    figure, axes = panels(len(shown), 2, 4.4, 1.2 + 0.34 * len(rows))
    for ax, (panel, table) in zip(axes, shown, strict=True):
        for row, values in table.iterrows():
            place, colour = rows.index(str(row)), material.looks[str(row)].colour
            bar = ax.plot([values.min(), values.max()], [place, place], color=LINE, linewidth=4, zorder=1)
            tag(str(row), *bar)
            for number, value in enumerate(values):
                face = colour if number == 0 else PAPER
                dot = ax.scatter(
                    value, place, s=44, marker=MARKERS[number % len(MARKERS)], facecolor=face,
                    edgecolor=colour, linewidths=1.5, zorder=3 if number == 0 else 2,
                )  # fmt: skip
                tag(str(row), dot)
        name_rows(ax, rows)
        ax.set_title(panel.title)
        ax.set_xlabel(f"{panel.label[:-2]} ({'right' if panel.higher_is_better else 'left'} is better)")
        for number, site in enumerate(table.columns):
            ax.scatter(
                [], [], s=34, marker=MARKERS[number % len(MARKERS)],
                facecolor=MUTED if number == 0 else PAPER,
                edgecolor=MUTED, label=short(site) + (" (trained on)" if number == 0 else ""),
            )  # fmt: skip
        ax.legend(
            loc="lower center", bbox_to_anchor=(0.5, 1.08), ncols=4, handletextpad=0.1, columnspacing=0.9
        )
    return figure


def transfer_matrices(material: Material) -> list[Drawing]:
    """Return a heat map per task and metric that was tested on several sequences."""
    drawings = []
    for number, panel in enumerate(material.panels, start=1):
        spec = material.run.manifest.tasks[panel.task]
        if len(spec.test_sequences) > 1:
            tables = _make_matrices(material, panel, list(spec.train_sequences), list(spec.test_sequences))
            drawings += [_present_matrices(material, panel, tables, number)] if tables else []
    return drawings


def _make_matrices(
    material: Material, panel: Panel, trained: list[str], tested: list[str]
) -> dict[str, pd.DataFrame]:
    """Return train × test sequences by row; with one training sequence one table of all rows."""
    frame = material.cells(SEQUENCES)
    if frame.empty:
        return {}
    cells = at_panel(frame, panel).dropna(subset=["mean"])
    rows = material.in_order(cells["row"])
    if len(trained) < 2:
        table = cells.pivot_table(index="row", columns="test_sequence", values="mean", sort=False)
        table = table.reindex(index=rows, columns=tested) * panel.scale
        return {f"trained on {trained[0]}": table} if len(table) and trained else {}
    matrices = {}
    for row in rows:
        mine = cells[cells["row"].eq(row)]
        table = mine.pivot_table(index="train_sequence", columns="test_sequence", values="mean", sort=False)
        order = [name for name in [*trained, "any"] if name in table.index]
        matrices[row] = table.reindex(index=order, columns=tested) * panel.scale
    return matrices


def _present_matrices(
    material: Material, panel: Panel, tables: dict[str, pd.DataFrame], number: int
) -> Drawing:
    texts = []
    for name, table in tables.items():
        lines = []
        for line, values in table.iterrows():
            means = [f"{name} {mean:.{panel.digits}f}" for name, mean in values.items() if pd.notna(mean)]
            lines.append(f"{line}: {', '.join(means)}")
        texts.append(f"{name}: {'; '.join(lines)}.")
    several = len(tables) > 1
    return Drawing(
        f"transfer-{number}",
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
        lambda: _draw_matrices(panel, tables),
    )  # fmt: skip


def _draw_matrices(panel: Panel, tables: dict[str, pd.DataFrame]) -> Figure:
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
            ink = _DARK if np.isnan(value) or _is_bright(colours(norm(value))) else _LIGHT
            text = "–" if np.isnan(value) else f"{value:.{panel.digits}f}"
            number = ax.text(across, down, text, ha="center", va="center", color=ink, fontsize=8.5)
            if len(tables) == 1:
                tag(str(table.index[down]), number)
        hide_frame(ax)
        ax.set_yticks(range(len(values)), [short(str(line)) for line in table.index])
        if len(tables) == 1:
            for line, label in zip(table.index, ax.get_yticklabels(), strict=True):
                tag(str(line), label)
        ax.set_ylim(len(values) - 0.5, -0.5)
        ax.set_xticks(range(values.shape[1]), [short(name, 10) for name in table.columns])
        ax.tick_params(length=0)
        ax.set_xlabel("tested on", fontsize=8)
        if len(tables) > 1:
            ax.set_ylabel("trained on", fontsize=8)
        ax.set_title(short(name))
    return figure


def _is_bright(colour: tuple[float, ...]) -> bool:
    """Whether black is easier to read on a colour than white (relative luminance of WCAG 2)."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour[:3]]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] > 0.179
