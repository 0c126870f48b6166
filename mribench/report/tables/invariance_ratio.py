"""Sequence transfer in three numbers: the diagonal of a matrix, what is off it, and their ratio."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mribench.interfaces.table import Cell, Column, Row, Sentence, Table, said
from mribench.report.material import Material, Panel, at_panel
from mribench.report.sentences import seeds_sentence
from mribench.results.shown import NO_INTERVAL, interval_of, seeds_of
from mribench.statistics.intervals import Interval
from mribench.statistics.transfer import Transfer, transfer

LOGARITHMIC = ("dB",)
"""Units whose 0 is a convention: a ratio of two values in them would change with it."""
_RATIO_DIGITS = 2
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


@dataclass(frozen=True)
class _Summary:
    """The transfer of every row of a panel that has a whole matrix, and the rows whose matrix has gaps."""

    panel: Panel
    found: dict[str, Transfer]
    gaps: dict[str, int]


def ratio_table(material: Material) -> list[Table]:
    """Return the transfer of every row: rows × (task and metric; own, other, ratio); none without any."""
    shown = [each for panel in material.panels if (each := _summary(material, panel)).found]
    rows = [row for row in material.rows if any(row in each.found for each in shown)]
    if not rows:
        return []
    columns = [
        Column((each.panel.title, each.panel.label, name)) for each in shown for name in _names(each.panel)
    ]
    cells = tuple(tuple(cell for each in shown for cell in _line(each, row)) for row in rows)
    seeds = seeds_sentence(found.own.n_seeds for each in shown for found in each.found.values())
    sentences = said(
        Sentence(_WHAT, "what"),
        _RATIO,
        _sequences(shown),
        seeds,
        _two(shown),
        _no_ratio(shown),
        Sentence(_gaps(shown), "missing"),
        material.claim,
    )
    return [
        Table(
            "sequence-transfer", "Own and other sequences", ("method",), tuple(Row((row,)) for row in rows),
            tuple(columns), cells, sentences,
        )
    ]  # fmt: skip


def why_no_ratio(material: Material) -> str:
    """Return which tasks have no transfer matrix, and why; or an empty string."""
    tasks = material.run.manifest.tasks
    shown = {panel.task for panel in material.panels if _summary(material, panel).found}
    single = [
        task for task, spec in tasks.items()
        if len(set(spec.train_sequences) & set(spec.test_sequences)) < 2
    ]  # fmt: skip
    undone = [task for task in tasks if task not in shown and task not in single]
    texts = []
    if single:
        texts.append(f"{', '.join(single)}: fewer than two sequences are both trained and tested on")
    if undone:
        texts.append(f"{', '.join(undone)}: no method's matrix of sequences is done")
    return f"No invariance ratio of {'; '.join(texts)}." if texts else ""


def _summary(material: Material, panel: Panel) -> _Summary:
    means = at_panel(material.sequence_values, panel).dropna(subset=["train_sequence"])
    found, gaps = {}, {}
    for row, mine in means.groupby("row", sort=False):
        each = transfer(mine, higher_is_better=panel.higher_is_better, value_range=panel.value_range)
        if math.isfinite(each.own.mean):
            found[str(row)] = each
        elif len(each.matrix) > 1:
            gaps[str(row)] = len(each.missing)
    return _Summary(panel, found, gaps)


def _names(panel: Panel) -> tuple[str, ...]:
    return ("own", "other") if panel.unit in LOGARITHMIC else ("own", "other", "ratio [95 %]")


def _line(each: _Summary, row: str) -> Sequence[Cell | None]:
    found, panel = each.found.get(row), each.panel
    if found is None:
        return [None] * len(_names(panel))
    cells: list[Cell | None] = [_mean(found.own, panel), _mean(found.other, panel)]
    return cells if panel.unit in LOGARITHMIC else [*cells, _ratio(found.ratio)]


def _mean(interval: Interval, panel: Panel) -> Cell:
    n = interval.n_subjects
    return Cell(
        interval.mean, interval.se, n, n, status="ok", scale=panel.scale, digits=panel.digits,
        interval=interval_of(interval), seeds=seeds_of(interval),
    )  # fmt: skip


def _ratio(interval: Interval) -> Cell | None:
    if math.isnan(interval.mean):
        return None
    text = f"{interval.mean:.{_RATIO_DIGITS}f}"
    if math.isfinite(interval.low):
        text += f" [{interval.low:.{_RATIO_DIGITS}f}, {interval.high:.{_RATIO_DIGITS}f}]"
    elif seeds := seeds_of(interval):
        text += f" (seeds: {seeds[0]:.{_RATIO_DIGITS}f}, {seeds[1]:.{_RATIO_DIGITS}f})"
    n = interval.n_subjects
    return Cell(
        interval.mean, interval.se, n, n, status="ok", digits=_RATIO_DIGITS, text=text,
        interval=interval_of(interval),
    )  # fmt: skip


def _two(shown: Sequence[_Summary]) -> str:
    two = any(found.own.n_seeds == 2 for each in shown for found in each.found.values())
    return NO_INTERVAL if two else ""


def _sequences(shown: Sequence[_Summary]) -> str:
    texts = {}
    for each in shown:
        names = list(next(iter(each.found.values())).matrix)
        size = len(names)
        texts[each.panel.task] = (
            f"{each.panel.task}: {', '.join(map(str, names))}, {size} cells of its own and "
            f"{size * (size - 1)} of others"
        )
    return f"Sequences: {'; '.join(texts.values())}."


def _no_ratio(shown: Sequence[_Summary]) -> str:
    units = list(dict.fromkeys(each.panel.unit for each in shown if each.panel.unit in LOGARITHMIC))
    texts = [f"No ratio of {', '.join(units)}: its 0 is a convention."] if units else []
    without = [
        row for each in shown if each.panel.unit not in LOGARITHMIC
        for row, found in each.found.items() if math.isnan(found.ratio.mean)
    ]  # fmt: skip
    if without:
        texts.append(f"No ratio where a mean is not above 0: {', '.join(dict.fromkeys(without))}.")
    return " ".join(texts)


def _gaps(shown: Sequence[_Summary]) -> str:
    texts = [
        f"{each.panel.task} {each.panel.metric}: "
        + ", ".join(f"{row} ({count or 'no shared subjects'})" for row, count in each.gaps.items())
        for each in shown
        if each.gaps
    ]
    return f"Incomplete: cells of the matrix without a score: {'; '.join(texts)}." if texts else ""
