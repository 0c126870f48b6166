"""The table ``learning-rates``: scores of the validation subjects at each rate that a row tried."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from mribench.interfaces.table import Cell, Mark, Sentence, Table, said, table_of
from mribench.interfaces.table_source import ShownMetric
from mribench.report.material import Material, read_parquet
from mribench.results.records import LEARNING_RATES

_WHAT = (
    "Mean score of the validation subjects after a training at each learning rate, with the first seed and "
    "all labels; bold is the rate at which all seeds, fractions and sequences of the row are trained."
)
_FAIR = (
    "Every row has the same rates to choose from; test subjects have no part in it. n/a: a scan has no score."
)
_COLUMNS = ["row", "task", "metric", "unit", "lr", "lr_factor", "mean", "chosen", "n_rows", "n_failed"]


def learning_rate_frame(material: Material) -> pd.DataFrame:
    """Return one row per row of the leaderboard, task and learning rate that was tried.

    Columns: ``row``, ``task``, ``metric``, ``unit``, ``lr``, ``lr_factor``, ``mean`` (null where a validation
    scan has no score), ``chosen``, ``n_rows`` and ``n_failed`` (scores, and those without a value).
    """
    found = list(_tried(material))
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=_COLUMNS)


def _tried(material: Material) -> Iterator[pd.DataFrame]:
    done = material.planned[material.planned["state"].eq("done")].dropna(subset=["adapt"])
    first: list[Any] = list(done.drop_duplicates(["row", "task"]).itertuples(index=False))
    for cell in first:
        rates = read_parquet(material.directory, cell.adapt, LEARNING_RATES)
        if len(rates):
            unit = _shown(material, cell.task, rates["metric"].iloc[0]).unit
            named = rates.rename(columns={"score": "mean"}).assign(row=cell.row, task=cell.task, unit=unit)
            yield named[_COLUMNS]


def learning_rate_table(material: Material) -> list[Table]:
    """Return the scores at each rate: rows × (task, rate); none where there was nothing to choose."""
    frame = learning_rate_frame(material)
    if frame.empty:
        return []
    tried: list[Any] = list(frame.itertuples(index=False))
    placed = [((one.row,), _header(one, material), _cell(one, material)) for one in tried]
    columns = dict.fromkeys(column for _, column, _ in placed)
    return [
        table_of(
            "learning-rates", "Learning rates tried", ("method",), placed,
            said(Sentence(_WHAT, "what"), _FAIR),
            rows=[(row,) for row in material.in_order(frame["row"])],
            columns=columns,
        )
    ]  # fmt: skip


def _header(tried: Any, material: Material) -> tuple[str, str, str]:
    return (tried.task, _shown(material, tried.task, tried.metric).label, f"{tried.lr:g}")


def _cell(tried: Any, material: Material) -> Cell:
    metric = _shown(material, tried.task, tried.metric)
    if tried.n_failed:
        return Cell(status="ok", text="n/a")
    mark: Mark = "best" if tried.chosen else "none"
    return Cell(tried.mean, status="ok", mark=mark, scale=metric.scale, digits=metric.digits)


def _shown(material: Material, task: str, metric: str) -> ShownMetric:
    """Return how a metric is shown; a task chooses by its usual one, which the benchmark may not show."""
    shown = {each.id for each in material.run.manifest.tasks[task].metrics}
    return material.metric(task, metric) if metric in shown else ShownMetric(metric, "", 1.0, 3)
