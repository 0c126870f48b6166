"""Drawn parameters as numbers: a tidy table, and what is of the acquisition and what of the augmentation."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TextIO

from mribench.interfaces.views import ParameterLabel
from mribench.views.numbers import is_list, is_number
from mribench.views.samples import SEQUENCE, MadeSamples, Shown
from mribench.views.sources import Source

COLUMNS = (
    "methods", "views", "step", "sample", "view", "role", "subject_id", "sequence", "parameter", "value",
)  # fmt: skip
"""Of the tidy table; ``sample`` is the place in the batch, ``view`` counts from 1."""

_OF_PATCH = "_vox"
"""Ends the names of lengths in voxels, which depend on the size of the view: the draws are not made with the
job's own."""


def count_parameters(made: MadeSamples) -> frozenset[str]:
    """Return the parameters that are lists of boxes or the like, of which the number is what counts."""
    return frozenset(
        name
        for view in made.views()
        for name, value in view.parameters.items()
        if is_list(value) and any(map(is_list, value))
    )


def list_values(view: Shown, counts: frozenset[str]) -> Iterator[tuple[str, Any]]:
    """Yield (name, value) of a view's parameters, vectors part by part.

    A list of lists is its length, ``n_<name>``; lengths in voxels are left out.

    Args:
        view: what was drawn.
        counts: from ``count_parameters``.
    """
    for name, value in view.parameters.items():
        if name == SEQUENCE:
            continue
        if name in counts and is_list(value):
            yield f"n_{name.removesuffix(_OF_PATCH)}", len(value)
        elif name.endswith(_OF_PATCH):
            continue
        elif is_list(value):
            yield from ((f"{name}[{place}]", one) for place, one in enumerate(value))
        else:
            yield name, value


def list_numbers(view: Shown, counts: frozenset[str]) -> dict[str, list[float]]:
    """Return the numbers of a view's parameters by name, those of a vector together."""
    numbers: dict[str, list[float]] = {}
    for name, value in list_values(view, counts):
        if is_number(value):
            numbers.setdefault(name.partition("[")[0], []).append(float(value))
    return numbers


def is_of_acquisition(
    drawn: Iterable[tuple[str, Iterable[str]]], labels: Mapping[str, ParameterLabel]
) -> frozenset[str]:
    """Return the names of parameters that belong to a sequence: labelled so, or not drawn for all alike.

    Args:
        drawn: sequence, and names of the parameters, of each view.
        labels: of the view generators.
    """
    by_sequence: dict[str, set[str]] = {}
    for sequence, drawn_names in drawn:
        by_sequence.setdefault(sequence, set()).update(drawn_names)
    names = set().union(*by_sequence.values())
    everywhere = names.intersection(*by_sequence.values())
    labelled = {name for name, label in labels.items() if label.acquisition}
    return frozenset(names - (everywhere - labelled))


def compute_sequence_shares(made: MadeSamples) -> dict[str, float]:
    """Return the share of the views that show each sequence, by name."""
    counts = Counter(view.sequence for view in made.views())
    return {name: counts[name] / counts.total() for name in sorted(counts)}


def count_redraws_per_100_views(made: MadeSamples) -> float:
    """Return how many impossible acquisitions were drawn and rejected for a hundred views."""
    return 100 * made.redraws / made.n_views


def write_table(file: TextIO, drawn: Iterable[tuple[Source, MadeSamples]]) -> int:
    """Write the tidy table as CSV, one row for each number of each view; return the number of rows."""
    writer = csv.writer(file)
    writer.writerow(COLUMNS)
    rows = 0
    for source, made in drawn:
        for row in _make_rows(source, made):
            writer.writerow(row)
            rows += 1
    return rows


def _make_rows(source: Source, made: MadeSamples) -> Iterator[tuple[Any, ...]]:
    methods, counts = " ".join(source.methods), count_parameters(made)
    for sample in made.samples:
        for place, view in enumerate(sample.views, start=1):
            start = (methods, source.views, sample.step, sample.place, place, view.role, view.subject)
            for name, value in list_values(view, counts):
                yield (*start, view.sequence, name, int(value) if isinstance(value, bool) else value)
