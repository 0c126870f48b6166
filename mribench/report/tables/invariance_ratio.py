"""The table ``sequence-transfer``: the diagonal of a transfer matrix, what is off it, and their ratio."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import NamedTuple

import pandas as pd

from mribench.interfaces.table import Cell, PlacedCell, Sentence, Table, said, table_of
from mribench.report.material import Material, Panel, at_panel
from mribench.report.sentences import absent_sentence, seeds_sentence
from mribench.results.shown import NO_INTERVAL, interval_of, mean_cell, seeds_of
from mribench.statistics.intervals import Interval
from mribench.statistics.transfer import Transfer, estimate_transfer

LOGARITHMIC = ("dB",)
"""Units whose 0 is a convention: a ratio of two values in them would change with it."""
_WHAT = (
    "Trained and tested on the same sequence (own), and on two different ones (other): means ± crossed SE "
    "over the cells of each method's transfer matrix, all with the same weight, on the site trained on, at "
    "the largest fraction of labels."
)
_RATIO = (
    "Invariance ratio: other / own of a ↑ metric, own / other of a ↓ one, with the 95 % interval of the "
    "delta method over the same seeds and subjects. 1: as good on the other sequences; below 1: worse. A "
    "method that is bad on its own sequence too can have a high ratio: read it beside the own mean."
)


class _Summary(NamedTuple):
    """The transfer of every row of a panel that has a whole matrix, and the rows whose matrix has gaps."""

    panel: Panel
    transfers: dict[str, Transfer]
    gaps: dict[str, int]


def ratio_rows(material: Material) -> pd.DataFrame:
    """Return the tidy rows: one per row, task, metric and part, ``own``, ``other`` and ``ratio``."""
    rows = [
        {
            "row": row,
            "part": part,
            **panel.columns,
            **asdict(interval),
        }
        for panel, transfers, _ in _summaries(material)
        for row, matrix in transfers.items()
        for part, interval in _parts(matrix, panel).items()
    ]
    return pd.DataFrame(rows, columns=[*rows[0]] if rows else ["row"])


def ratio_table(material: Material) -> list[Table]:
    """Return the transfer of every row: rows × (task and metric; own, other, ratio); none without any."""
    summaries = _summaries(material)
    placed = [cell for summary in summaries for cell in _placed(summary)]
    if not placed:
        return []
    there = [row for (row,), _, _ in placed]
    seeds = [matrix.own.n_seeds for summary in summaries for matrix in summary.transfers.values()]
    return [
        table_of(
            "sequence-transfer", "Own and other sequences", ("method",), placed,
            said(
                Sentence(_WHAT, "what"),
                _RATIO,
                _sequences(summaries),
                seeds_sentence(seeds),
                NO_INTERVAL if 2 in seeds else "",
                _no_ratio(summaries),
                Sentence(_gaps(summaries), "missing"),
                material.claim,
            ),
            rows=[(row,) for row in material.in_order(there)],
        )
    ]  # fmt: skip


def why_no_ratio(material: Material) -> str:
    """Return which tasks have no transfer matrix, and why; or an empty string."""
    tasks = material.run.manifest.tasks
    single = [
        name for name, task in tasks.items() if len({*task.train_sequences} & {*task.test_sequences}) < 2
    ]
    shown = {summary.panel.task for summary in _summaries(material)}
    whys = (
        "fewer than two sequences are both trained and tested on",
        "no method's matrix of sequences is done",
    )
    return absent_sentence("No invariance ratio", tasks, shown, single, whys)


def _summaries(material: Material) -> list[_Summary]:
    """Return the panels with a whole matrix."""
    summaries = (_summary(material, panel) for panel in material.panels)
    return [summary for summary in summaries if summary.transfers]


def _summary(material: Material, panel: Panel) -> _Summary:
    means = at_panel(material.sequence_values, panel).dropna(subset=["train_sequence"])
    transfers, gaps = {}, {}
    for row, mine in means.groupby("row", sort=False):
        each = estimate_transfer(mine, higher_is_better=panel.higher_is_better, value_range=panel.value_range)
        if math.isfinite(each.own.mean):
            transfers[str(row)] = each
        elif len(each.matrix) > 1:
            gaps[str(row)] = len(each.missing)
    return _Summary(panel, transfers, gaps)


def _parts(matrix: Transfer, panel: Panel) -> dict[str, Interval]:
    """Return the numbers of a transfer matrix by name."""
    parts = {"own": matrix.own, "other": matrix.other}
    return parts if panel.unit in LOGARITHMIC else {**parts, "ratio": matrix.ratio}


def _placed(summary: _Summary) -> Iterator[PlacedCell]:
    panel = summary.panel
    for row, matrix in summary.transfers.items():
        for part, interval in _parts(matrix, panel).items():
            if part == "ratio":
                yield (row,), panel.header("ratio [95 %]"), _ratio(interval)
            else:
                yield (row,), panel.header(part), mean_cell(interval, panel)


def _ratio(interval: Interval) -> Cell | None:
    if math.isnan(interval.mean):
        return None
    text = f"{interval.mean:.2f}"
    if math.isfinite(interval.low):
        text += f" [{interval.low:.2f}, {interval.high:.2f}]"
    elif seeds := seeds_of(interval):
        text += f" (seeds: {seeds[0]:.2f}, {seeds[1]:.2f})"
    n_subjects, ends = interval.n_subjects, interval_of(interval)
    return Cell(
        interval.mean, interval.se, n_subjects, n_subjects, status="ok", digits=2, text=text, interval=ends
    )


def _sequences(summaries: Sequence[_Summary]) -> str:
    texts = {}
    for each in summaries:
        names = list(next(iter(each.transfers.values())).matrix)
        size = len(names)
        texts[each.panel.task] = (
            f"{each.panel.task}: {', '.join(map(str, names))}, {size} cells of its own and "
            f"{size * (size - 1)} of others"
        )
    return f"Sequences: {'; '.join(texts.values())}."


def _no_ratio(summaries: Sequence[_Summary]) -> str:
    units = list(dict.fromkeys(each.panel.unit for each in summaries if each.panel.unit in LOGARITHMIC))
    texts = [f"No ratio of {', '.join(units)}: its 0 is a convention."] if units else []
    without = [
        row for each in summaries if each.panel.unit not in LOGARITHMIC
        for row, matrix in each.transfers.items() if math.isnan(matrix.ratio.mean)
    ]  # fmt: skip
    if without:
        texts.append(f"No ratio where a mean is not above 0: {', '.join(dict.fromkeys(without))}.")
    return " ".join(texts)


def _gaps(summaries: Sequence[_Summary]) -> str:
    texts = []
    for each in summaries:
        rows = [f"{row} ({count or 'no shared subjects'})" for row, count in each.gaps.items()]
        texts += [f"{each.panel.task} {each.panel.metric}: {', '.join(rows)}"] if rows else []
    return f"Incomplete: cells of the matrix without a score: {'; '.join(texts)}." if texts else ""
