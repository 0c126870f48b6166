"""The table ``defects``: what each known defect is worth on this benchmark."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from mribench.interfaces.table import Cell, CellStatus, Sentence, Table, said, table_of, text_cell
from mribench.report.sentences import claim
from mribench.report.tables.captions import failed_jobs, incomplete
from mribench.report.tables.defect_effects import defects_frame
from mribench.results.cells import metric_label, scale_of
from mribench.results.label_subsets import subsets_sentence
from mribench.results.load import RunData
from mribench.results.manifest import MeasuredDefect
from mribench.results.merged import profile_sentence
from mribench.results.shown import NO_INTERVAL, seeds_of
from mribench.statistics.effects import RESAMPLES
from mribench.wording import NOTHING, one_line

_COLUMNS = ("without", "with", "difference [95 %]", "reads as", "n", "changes method gap by")
_HOW = {
    "paired": "paired: differences of the same test subjects, averaged over arms, crossed over seeds and "
    "subjects, each with its own Student quantile",
    "unpaired": "unpaired (other test subjects): the same with seeds in pairs and each side's own subjects",
    "bootstrap": f"bootstrap: percentiles of {RESAMPLES} resamples of subjects, arms and seeds kept "
    "together, so about these checkpoints; too narrow with few subjects",
}
_FINDINGS = (
    "Tests: Wilcoxon's over the rows (subject, session, label) of one cell, between two seeds of one arm, "
    "which differ in nothing else (but in the label subsets that seeds draw, where they do): with = share "
    "with p < 0.05, without = the nominal 5 %; Clopper and Pearson's interval, which takes the tests as "
    "independent, though pairs share seeds."
)
_WHAT = (
    "Each defect switched on alone; scores of all test sites and the sequence trained on, sequences "
    "averaged; all arms but identity with results on both sides; difference: with - without; n: arms × seeds "
    "× subjects (without|with)."
)
_READING = (
    "flatters: the score looks better with the defect; harms: worse; misleads: chance passes for a finding "
    f"more often than it should; {NOTHING}: the interval holds 0, or there is none. "
    "Intervals are not corrected for their number."
)
_GAP = (
    "Method gap: the difference between two methods (frozen) that the defect changes most, without → with; "
    "chosen as the largest, so without an interval."
)


def defects_table(run: RunData) -> Table:
    """Measured defect × task × fraction × metric as rows; scores without and with it as columns."""
    frame = defects_frame(run)
    cells: list[Any] = list(frame.itertuples(index=False))
    return table_of(
        "defects",
        f"{run.manifest.benchmark}: what known defects are worth",
        ("defect", "task", "metric"),
        [
            ((cell.row, f"{cell.task} {100 * cell.fraction:g} %", _metric(cell)), (name,), shown)
            for cell in cells
            for name, shown in zip(_COLUMNS, _cells(cell), strict=True)
        ],
        _caption(run, frame),
        columns=[(name,) for name in _COLUMNS],
    )


def _metric(cell: Any) -> str:
    if cell.kind == "findings":
        return f"{cell.metric}: p<.05 %"
    name = f"{cell.metric} → {cell.replaced_by}" if cell.kind == "metric" else cell.metric
    return metric_label(cell).replace(cell.metric, name, 1)


def _shown(cell: Any) -> tuple[float, int]:
    """Return scale and digits."""
    return (100.0, 1) if cell.kind == "findings" else scale_of(cell)


def _cells(cell: Any) -> Iterator[Cell]:
    scale, digits = _shown(cell)
    status: CellStatus = "ok" if cell.status == "partial" else cell.status
    for value in (cell.without, cell.with_defect):
        yield Cell(value, status=status, scale=scale, digits=digits)
    yield Cell(
        cell.difference, math.nan, cell.n_subjects, cell.n_subjects_total, cell.jobs_done, cell.jobs_expected,
        cell.status, scale=scale, digits=digits, low=cell.low, high=cell.high, seeds=seeds_of(cell),
        signed=True,
    )  # fmt: skip
    yield from map(text_cell, (cell.verdict or NOTHING, _count(cell), _gap(cell)))


def _count(cell: Any) -> str:
    if cell.status in ("missing", "failed"):
        return NOTHING
    gone = f"nothing is left of {', '.join(cell.gone)}" if cell.gone else ""
    if cell.kind == "findings":
        if not cell.n_tests:
            return str(cell.how)
        few = ", too few rows" if cell.n_test_rows < 6 else ""
        return f"{cell.n_significant:.0f}/{cell.n_tests:.0f} tests of {cell.n_test_rows:.0f} rows{few}"
    if not cell.n_arms:
        return gone or "no score on both sides"
    people = f"{cell.n_subjects}"
    if cell.n_subjects != cell.n_subjects_with:
        people = f"({cell.n_subjects}|{cell.n_subjects_with})"
    return "; ".join(part for part in (f"{cell.n_arms}×{cell.n_seeds}×{people} {cell.how}", gone) if part)


def _gap(cell: Any) -> str:
    if not cell.gap_first or not math.isfinite(cell.gap_with_defect - cell.gap_without):
        return NOTHING
    scale, digits = _shown(cell)
    without, with_defect = (round(scale * v, digits) + 0.0 for v in (cell.gap_without, cell.gap_with_defect))
    moved = round(scale * (cell.gap_with_defect - cell.gap_without), digits) + 0.0
    pair = f"{cell.gap_first} - {cell.gap_second}"
    return f"{moved:+.{digits}f} ({pair}: {without:+.{digits}f} → {with_defect:+.{digits}f})"


def _caption(run: RunData, frame: pd.DataFrame) -> tuple[Sentence, ...]:
    measured = run.manifest.measured_defects
    if not measured:
        return (Sentence("Nothing is planned: the benchmark names no measure_defects.", "unplanned"),)
    cells: list[Any] = list(frame.itertuples(index=False))
    used = set(frame["how"].dropna())
    kinds = set(frame["kind"])
    sentences = [
        Sentence(_WHAT, "what"),
        f"Intervals: 95 %; {'; '.join(text for how, text in _HOW.items() if how in used)}."
        if used & set(_HOW)
        else "",
        NO_INTERVAL if any(map(seeds_of, cells)) else "",
        _FINDINGS if "findings" in kinds else "",
        _READING,
        _GAP if frame["gap_first"].notna().any() else "",
        *(f"{defect.name}: {one_line(defect.summary)}." for defect in measured),
        *_not_measured(measured, frame),
        subsets_sentence(run.cells, frame),
        incomplete(frame, "rows"),
        failed_jobs(frame, run) if len(frame) else "",
        profile_sentence(run.manifest.defects_by_profile()),
        claim(frame) if frame["n_seeds"].gt(0).any() else "",
    ]
    return tuple(dict.fromkeys(said(*sentences)))


def _not_measured(measured: Sequence[MeasuredDefect], frame: pd.DataFrame) -> Iterator[str]:
    for defect in measured:
        if frame["defect"].eq(defect.name).any():
            continue
        if defect.profile:
            yield f"{defect.name} changes no job of this benchmark."
        elif defect.metrics:
            pairs = ", ".join(f"{metric} and {other}" for metric, other in defect.metrics.items())
            yield f"{defect.name} is not measured: no task is scored by both {pairs}."
        elif defect.empty_masks:
            yield f"{defect.name} is not measured: no task has a metric in {defect.empty_masks.unit}."
