"""What is counted for the figure of the distributions: rows, columns, and the numbers in each cell."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mribench.interfaces.views import ParameterLabel
from mribench.views.numbers import unit_of
from mribench.views.parameters import (
    compute_sequence_shares,
    count_parameters,
    is_of_acquisition,
    list_numbers,
)
from mribench.views.samples import MadeSamples
from mribench.views.sources import Source

BINS = 24
OFTEN = 0.2
_WIDE = 20.0
"""Where the largest number is more than this many times the smallest, the axis is logarithmic."""

Labels = Mapping[str, ParameterLabel]


@dataclass(frozen=True)
class HistogramRow:
    """A row of histograms: a view generator, and one of its sequences or all.

    Attributes:
        label: of the view generators.
        sequence: empty for all.
        share: of the views that are counted here.
        values: by column.
    """

    label: str
    sequence: str
    share: float
    values: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class HistogramColumn:
    """A column of histograms.

    Attributes:
        title: with the unit.
        edges: of its bins.
        ticks: numbers to write under it: smallest, middle and largest, or the only one.
        log: whether the axis is logarithmic.
    """

    title: str
    edges: np.ndarray
    ticks: tuple[float, ...]
    log: bool


@dataclass(frozen=True)
class HistogramCell:
    """A histogram, and the one number that is left out of it because it is drawn again and again.

    Attributes:
        counts: by bin.
        often: a number that at least ``OFTEN`` of the values are, where the others vary, e.g. the 0 of an
            augmentation that is not applied; else None.
        share: of the values that are ``often``.
    """

    counts: np.ndarray
    often: float | None = None
    share: float = 0.0


@dataclass(frozen=True)
class HistogramPart:
    """Rows and columns of histograms."""

    title: str
    rows: tuple[HistogramRow, ...]
    columns: tuple[HistogramColumn, ...]


@dataclass(frozen=True)
class _Table:
    """Sequence and numbers of each view of a source."""

    label: str
    shares: Mapping[str, float]
    views: Sequence[tuple[str, Mapping[str, list[float]]]]
    labels: Labels

    def gather(self, names: Collection[str], sequence: str | None = None) -> dict[str, np.ndarray]:
        """Return the numbers of some parameters by column, of all views or those of one sequence."""
        gathered: dict[str, list[float]] = {}
        for shown, numbers in self.views:
            for name in numbers:
                if name in names and sequence in (None, shown):
                    title, factor = make_title(name, self.labels)
                    gathered.setdefault(title, []).extend(factor * value for value in numbers[name])
        return {title: np.array(values) for title, values in gathered.items()}


def split_distributions(drawn: Sequence[tuple[Source, MadeSamples]]) -> list[HistogramPart]:
    """Return the histograms of the acquisitions, by sequence, and of the augmentations.

    Numbered parameters of one kind (``ti1_s``, ``ti2_s``) share a column, and so do the parts of a vector.
    View generators that drew the same augmentations share a row.
    """
    tables = []
    labels: dict[str, ParameterLabel] = {}
    for source, made in drawn:
        counts = count_parameters(made)
        views = [(view.sequence, list_numbers(view, counts)) for view in made.views()]
        tables.append(_Table(source.label, compute_sequence_shares(made), views, made.labels))
        labels.update(made.labels)
    every = [view for table in tables for view in table.views]
    acquisition = is_of_acquisition(every, labels)
    others = {name for _, numbers in every for name in numbers} - acquisition
    order = list(dict.fromkeys(make_title(name, labels)[0] for name in labels if name in acquisition))
    scans = [
        HistogramRow(table.label, sequence, share, table.gather(acquisition, sequence))
        for table in tables
        for sequence, share in table.shares.items()
    ]
    augmented = _merge([HistogramRow(table.label, "", 1.0, table.gather(others)) for table in tables])
    titled = {"acquisition": scans, "augmentation": augmented}
    parts = [HistogramPart(title, tuple(rows), _make_columns(rows, order)) for title, rows in titled.items()]
    return [part for part in parts if part.columns]


def make_title(name: str, labels: Labels) -> tuple[str, float]:
    """Return the title of a parameter's column, unit and all, and the factor that brings it to that unit.

    What a scanner is set to is titled by the word of its label.
    """
    stem, unit, factor = unit_of(name)
    label = labels.get(name)
    title = label.word if label and label.acquisition else stem
    return (f"{title} ({unit.strip()})" if unit else title), factor


def _merge(rows: Sequence[HistogramRow]) -> list[HistogramRow]:
    """Return rows of which those with the same numbers are one."""
    merged: list[HistogramRow] = []
    for row in rows:
        alike = [place for place, other in enumerate(merged) if _are_alike(row, other)]
        for place in alike:
            merged[place] = replace(merged[place], label=f"{merged[place].label} · {row.label}")
        merged += [] if alike else [row]
    return merged


def _are_alike(row: HistogramRow, other: HistogramRow) -> bool:
    return row.values.keys() == other.values.keys() and all(
        np.array_equal(values, other.values[title]) for title, values in row.values.items()
    )


def _make_columns(rows: Sequence[HistogramRow], order: Sequence[str]) -> tuple[HistogramColumn, ...]:
    values: dict[str, list[np.ndarray]] = {title: [] for title in order}
    for row in rows:
        for title, drawn in row.values.items():
            values.setdefault(title, []).append(drawn)
    return tuple(_make_column(title, np.concatenate(drawn)) for title, drawn in values.items() if drawn)


def _make_column(title: str, values: np.ndarray) -> HistogramColumn:
    low, high = float(values.min()), float(values.max())
    if low == high:
        reach = abs(low) / 2 or 0.5
        return HistogramColumn(title, np.linspace(low - reach, high + reach, BINS + 2), (low,), False)
    if bool((values == values.round()).all()) and high - low < BINS:
        return HistogramColumn(title, np.arange(low - 0.5, high + 1), (low, high), False)
    if low > 0 and high > _WIDE * low:
        return HistogramColumn(
            title, np.geomspace(low, high, BINS + 1), (low, (low * high) ** 0.5, high), True
        )
    middle = (low + high) / 2
    middle = middle if abs(middle) > (high - low) / 200 else 0.0
    return HistogramColumn(title, np.linspace(low, high, BINS + 1), (low, middle, high), False)


def make_cell(values: np.ndarray, column: HistogramColumn) -> HistogramCell:
    """Return the histogram of one row in one column."""
    kinds, numbers = np.unique(values, return_counts=True)
    place = int(numbers.argmax())
    share = float(numbers[place] / len(values))
    if len(kinds) > len(column.edges) and share >= OFTEN:
        often = float(kinds[place])
        return HistogramCell(np.histogram(values[values != often], column.edges)[0], often, share)
    return HistogramCell(np.histogram(values, column.edges)[0])
