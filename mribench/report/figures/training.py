"""Training curves: the loss of every pretraining, and of the adaptations behind the leaderboard."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mribench.report.figures.drawing import Drawing
from mribench.report.figures.style import MUTED, legend_of_rows, panels, short, tag
from mribench.report.material import Material, read_parquet

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_POINTS = 200
_MOST_SEEDS = 10
_WINDOW = 0.05
"""Share of the steps that a curve is averaged over."""
Curves = dict[str, list[pd.Series]]


def training_curves(material: Material) -> list[Drawing]:
    """Return the curves of pretraining, a panel per method, and of adaptation, a panel per task."""
    if material.directory is None or material.run.cells.empty:
        return []
    cells = material.planned
    drawings = (_pretraining(material, cells), _adaptation(material, cells))
    return [drawing for drawing in drawings if drawing]


def _pretraining(material: Material, cells: pd.DataFrame) -> Drawing | None:
    trained = cells[cells["arm"].isin(material.run.manifest.arms)]
    jobs = trained.dropna(subset=["pretrain"]).drop_duplicates(["row", "pretrain"])
    curves = _curves_by_row(material, jobs, "pretrain")
    known = material.run.jobs.drop_duplicates("job_key").set_index("job_key")["chance_loss"]
    chance = {row: float(known.reindex(jobs.loc[jobs["row"].eq(row), "pretrain"]).mean()) for row in curves}
    if not curves:
        return None
    shown = {row: {row: of_seeds} for row, of_seeds in curves.items()}
    return Drawing(
        "pretraining",
        "Pretraining",
        f"Line plots, one per method: training loss over steps, a line per seed. {_ends(shown)}",
        (
            "Total loss, averaged over 5 % of the steps; a line per train seed.",
            "Losses of different objectives are not comparable.",
            "Dotted: what guessing gets." if any(map(math.isfinite, chance.values())) else "",
        ),
        lambda: _draw(material, shown, chance),
    )


def _adaptation(material: Material, cells: pd.DataFrame) -> Drawing | None:
    shown: dict[str, Curves] = {}
    for panel in material.panels:
        sequences = material.run.manifest.tasks[panel.task].train_sequences
        mine = cells[cells["task"].eq(panel.task) & cells["fraction"].eq(panel.fraction)].dropna(
            subset=["adapt"]
        )
        mine = mine[mine["train_sequence"].isin(sequences[:1])].drop_duplicates(["row", "adapt"])
        curves = _curves_by_row(material, mine, "adapt")
        if curves and panel.task not in shown:
            shown[panel.task] = {row: [pd.concat(each, axis=1).mean(axis=1)] for row, each in curves.items()}
    if not shown:
        return None
    return Drawing(
        "adaptation",
        "Adaptation",
        f"Line plots, one per task: training loss over steps, a line per method. {_ends(shown)}",
        (
            (
                "Loss of the tasks' heads, averaged over 5 % of the steps and over seeds, at the largest "
                "fraction of labels and the first training sequence."
            ),
        ),
        lambda: _draw(material, shown, {}),
    )


def _curves_by_row(material: Material, jobs: pd.DataFrame, column: str) -> Curves:
    """Return the curves of the first seeds of each row that has some, by the column with the jobs' keys."""
    curves = {}
    for row in material.in_order(jobs["row"]):
        keys = jobs[jobs["row"].eq(row)].sort_values("seed")[column].head(_MOST_SEEDS)
        histories = (read_parquet(material.directory, key, "history.parquet") for key in keys)
        curves[row] = [curve for curve in map(_smooth, histories) if curve is not None]
    return {row: of_seeds for row, of_seeds in curves.items() if of_seeds}


def _smooth(history: pd.DataFrame) -> pd.Series | None:
    """Return the smoothed total loss by step; None where there is none."""
    if not {"step", "total"} <= set(history.columns):
        return None
    loss = history.dropna(subset=["total"]).set_index("step")["total"].sort_index()
    loss = loss[np.isfinite(loss)]
    if loss.empty:
        return None
    smooth = loss.rolling(max(1, round(_WINDOW * len(loss))), min_periods=1).mean()
    kept = np.unique(np.linspace(0, len(smooth) - 1, min(len(smooth), MOST_POINTS)).astype(int))
    return smooth.iloc[kept]


def _ends(shown: Mapping[str, Curves]) -> str:
    texts = []
    for name, curves in shown.items():
        ends = []
        for row, of_seeds in curves.items():
            first = np.mean([curve.iloc[0] for curve in of_seeds])
            last = np.mean([curve.iloc[-1] for curve in of_seeds])
            ends.append(f"{row} {first:.3g} to {last:.3g}")
        texts.append(f"{name}: {', '.join(ends)}.")
    return "From the first steps to the last: " + " ".join(texts)


def _draw(material: Material, shown: Mapping[str, Curves], chance: Mapping[str, float]) -> Figure:
    figure, axes = panels(len(shown), 3, 3.1, 2.4)
    for ax, (name, curves) in zip(axes, shown.items(), strict=True):
        for row, of_seeds in curves.items():
            for number, curve in enumerate(of_seeds):
                drawn = ax.plot(
                    curve.index, curve, color=material.looks[row].colour, linewidth=1.4, alpha=0.85,
                    label=row if number == 0 else None,
                )  # fmt: skip
                tag(row, *drawn)
        if math.isfinite(chance.get(name, math.nan)):
            ax.axhline(chance[name], color=MUTED, linestyle=":", linewidth=1.2)
        ax.set_title(short(name))
        ax.set_xlabel("step")
        ax.set_ylabel("loss")
    if any(len(curves) > 1 for curves in shown.values()):
        legend_of_rows(figure, axes, material.rows)
    return figure
