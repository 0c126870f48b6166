"""In-domain to out-of-domain: the same model on the site it was trained on and on others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from mribench.report.figures.drawing import Drawing
from mribench.report.figures.style import LINE, MUTED, PAPER, name_rows, panels, short, tag
from mribench.report.looks import MARKERS
from mribench.report.material import Material, Panel

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def domain_gap(material: Material) -> list[Drawing]:
    """Return dumbbells from the site trained on to each other site, for tasks with several sites."""
    frame = material.sites
    shown = []
    for panel in material.panels:
        sites = list(material.run.manifest.tasks[panel.task].sites)
        if len(sites) < 2 or frame.empty:
            continue
        here = frame["task"].eq(panel.task) & frame["metric"].eq(panel.metric)
        cells = frame[here & frame["fraction"].eq(panel.fraction)]
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
        f"and hollow ones for the others. {' '.join(_sentence(*each) for each in shown)}",
        (
            (
                "Filled: the site trained on; hollow: sites never seen; the longer the bar, the more the "
                "site matters. Means, sequences averaged; the table below has the intervals."
            ),
            material.claim.text,
        ),
        lambda: _draw(material, shown),
    )
    return [drawing]


def _sentence(panel: Panel, table: pd.DataFrame) -> str:
    texts = []
    for row, values in table.iterrows():
        means = [f"{site} {value:.{panel.digits}f}" for site, value in values.items() if pd.notna(value)]
        texts.append(f"{row} {', '.join(means)}")
    return f"{panel.title}, {panel.label}: {'; '.join(texts)}."


def _draw(material: Material, shown: list[tuple[Panel, pd.DataFrame]]) -> Figure:
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
