"""The table ``label-efficiency``: the area under each curve of scores over fractions of labels."""

from __future__ import annotations

from typing import Any

import pandas as pd

from mribench.interfaces.table import Sentence, Table, said, table_of
from mribench.report.material import Material
from mribench.report.sentences import absent_sentence, percent, seeds_sentence
from mribench.results.cells import ranges
from mribench.results.shown import NO_INTERVAL, mean_cell
from mribench.statistics.efficiency import label_efficiencies

_AREAS = (
    "Mean score along the logarithm of the fraction of labels (the normalised area under the curve, by "
    "trapezoids, in the unit of the score) ± crossed SE; rows that need no training have no curve."
)


def area_frame(material: Material) -> pd.DataFrame:
    """Return one row per row, task and metric with a curve: ``label_efficiencies``, the area as ``mean``."""
    areas = label_efficiencies(
        material.values, ["row", "task", "metric"], range_of=ranges(material.run.manifest)
    )
    return areas[areas["area"].notna()].rename(columns={"area": "mean"})


def area_rows(material: Material) -> pd.DataFrame:
    """Return the tidy rows."""
    areas = area_frame(material)
    return areas.assign(fractions=[percent(fractions) for fractions in areas["fractions"]])


def area_table(material: Material) -> list[Table]:
    """Return the area under each label-efficiency curve: rows × (task, metric); none without curves."""
    frame = area_frame(material)
    if frame.empty:
        return []
    areas: list[Any] = list(frame.itertuples(index=False))
    fractions = {area.task: percent(area.fractions) for area in areas}
    listed = "; ".join(f"{task} {text}" for task, text in fractions.items())
    placed = [
        ((area.row,), (panel.task, panel.label), mean_cell(area, panel))
        for panel in material.panels
        for area in areas
        if (area.task, area.metric) == (panel.task, panel.metric)
    ]
    return [
        table_of(
            "label-efficiency", "Area under the label-efficiency curve", ("method",), placed,
            said(
                Sentence(_AREAS, "what"),
                NO_INTERVAL if frame["n_seeds"].eq(2).any() else "",
                f"Fractions: {listed}.",
                seeds_sentence(frame["n_seeds"]),
                material.claim,
            ),
            rows=[(row,) for row in material.in_order(frame["row"])],
            columns=[(panel.task, panel.label) for panel in material.panels if panel.task in fractions],
        )
    ]  # fmt: skip


def why_no_area(material: Material) -> str:
    """Return which tasks have no curve, and why; or an empty string."""
    tasks = material.run.manifest.tasks
    single = [name for name, task in tasks.items() if len(task.fractions) < 2]
    shown = set(area_frame(material)["task"])
    return absent_sentence(
        "No curve", tasks, shown, single, ("one fraction of labels", "not done at two fractions")
    )
