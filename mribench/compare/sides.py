"""The two sides of a comparison: two rows of one results folder, or a row of each of two."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mribench.errors import MRIBenchError, did_you_mean
from mribench.interfaces.entry import EmptyMaskPolicy
from mribench.results.cells import row_labels, row_order
from mribench.results.load import RunData
from mribench.results.merged import policy_of

_LABELLED = ["method", "arm", "profile"]
"""The columns that make the label of a row."""


@dataclass(frozen=True)
class Side:
    """One of the two that are compared.

    Attributes:
        run: the results that it is in.
        directory: where those are.
        row: its label there, as tables have it.
        name: what it is called in the comparison.
    """

    run: RunData
    directory: Path
    row: str
    name: str

    @functools.cached_property
    def cells(self) -> pd.DataFrame:
        """Its cells."""
        return self.run.cells[row_labels(self.run.cells, self.run.manifest).eq(self.row).to_numpy()]

    @property
    def profile(self) -> str:
        """The profile of its cells."""
        return str(self.cells["profile"].iloc[0])

    @property
    def policy(self) -> EmptyMaskPolicy | None:
        """How its rows are counted where a mask is empty."""
        return policy_of(self.run.manifest, self.profile)

    @property
    def defects(self) -> frozenset[str]:
        """The known defects that its profile reproduces."""
        return frozenset(self.run.manifest.shown_defects.get(self.profile, ()))

    @property
    def scores(self) -> pd.DataFrame:
        """Its score rows: those of what its cells are of, which is quicker than to label every row."""
        scores = self.run.scores
        mine = np.zeros(len(scores), dtype=bool)
        for names in self.cells[_LABELLED].drop_duplicates().itertuples(index=False):
            each = (scores[column].eq(name) for column, name in zip(_LABELLED, names, strict=True))
            mine |= np.logical_and.reduce([part.to_numpy(dtype=bool) for part in each])
        return scores[mine]


@dataclass(frozen=True)
class Pair:
    """Two sides; ``separate`` where they are of two results folders."""

    first: Side
    second: Side
    separate: bool

    @property
    def names(self) -> tuple[str, str]:
        """Their names."""
        return self.first.name, self.second.name

    @property
    def minus(self) -> str:
        """``first − second``, as headers have it."""
        return f"{self.first.name} − {self.second.name}"


def of_one(run: RunData, directory: Path, first: str, second: str) -> Pair:
    """Return two rows of one results folder.

    Args:
        run: the results.
        directory: where they are.
        first: label of a row, as tables have it: ``seqinv``, ``seqinv (finetune)``.
        second: of the other.

    Raises:
        MRIBenchError: for an unknown label, the same twice, or rows of two profiles.
    """
    rows = [_find_row(run, directory, label) for label in (first, second)]
    if rows[0] == rows[1]:
        others = [label for label in labels(run) if label != rows[0]]
        raise MRIBenchError(
            f"'{rows[0]}' is given twice: there is nothing to compare",
            f"name another: {', '.join(others)}" if others else "it is the only one there",
        )
    a, b = (Side(run, directory, row, row) for row in rows)
    return _check(Pair(a, b, separate=False))


def of_two(runs: Sequence[RunData], directories: Sequence[Path], methods: Sequence[str]) -> Pair:
    """Return a row of each of two results folders.

    Args:
        runs: the two.
        directories: where they are.
        methods: the label of the row in both; of the first's and the second's; or none, where both have only
            one trained row in common.

    Raises:
        MRIBenchError: for one folder given twice, an unknown label, or rows of two profiles.
    """
    if directories[0].resolve() == directories[1].resolve():
        raise MRIBenchError(
            f"{directories[0]} and {directories[1]} are the same folder",
            f"name two of its methods: mribench compare {directories[0]} METHOD_A METHOD_B",
        )
    wanted = list(methods) or [_only_common(runs, directories)]
    rows = [
        _find_row(run, directory, label)
        for run, directory, label in zip(runs, directories, [wanted[0], wanted[-1]], strict=True)
    ]
    sides = [
        Side(run, directory, row, f"{row} @ {where}")
        for run, directory, row, where in zip(runs, directories, rows, short_names(directories), strict=True)
    ]
    return _check(Pair(sides[0], sides[1], separate=True))


def labels(run: RunData) -> list[str]:
    """Return the labels of the rows of some results, in their order."""
    cells = run.cells.assign(row=row_labels(run.cells, run.manifest))
    order = row_order(cells, run.manifest)
    return list(dict.fromkeys(cells.loc[order.sort_values(kind="stable").index, "row"]))


def short_names(directories: Sequence[Path]) -> list[str]:
    """Return what tells two paths apart: their parts without those that both begin or end with."""
    parts = [directory.resolve().parts for directory in directories]
    start = 0
    while all(start < len(part) for part in parts) and parts[0][start] == parts[1][start]:
        start += 1
    end = 0
    room = min(len(part) for part in parts) - start
    while end < room and parts[0][-1 - end] == parts[1][-1 - end]:
        end += 1
    names = ["/".join(part[start : len(part) - end]) for part in parts]
    # one inside the other: nothing of the shorter path would be left
    return names if all(names) else [str(directory) for directory in directories]


def _find_row(run: RunData, directory: Path, label: str) -> str:
    known = labels(run)
    if label in known:
        return label
    with_profile = [name for name in known if name.startswith(f"{label} [")]
    if len(with_profile) == 1:
        return with_profile[0]
    if with_profile:
        raise MRIBenchError(
            f"'{label}' is of several profiles in {directory}", f"name one: {', '.join(with_profile)}"
        )
    raise MRIBenchError(f"there is no method '{label}' in {directory}", did_you_mean(label, known))


def _only_common(runs: Sequence[RunData], directories: Sequence[Path]) -> str:
    common = [label for label in labels(runs[0]) if label in labels(runs[1])]
    references = {*runs[0].manifest.reference_arms, *runs[1].manifest.reference_arms}
    trained = [label for label in common if label not in references]
    if len(trained) == 1:
        return trained[0]
    between = f"{directories[0]} and {directories[1]}"
    if trained:
        raise MRIBenchError(
            f"{between} share several methods: {', '.join(trained)}", f"say which: --method '{trained[0]}'"
        )
    raise MRIBenchError(
        f"{between} share no method",
        "name the first's and the second's: --method METHOD_A --method METHOD_B",
    )


def _check(pair: Pair) -> Pair:
    first, second = pair.first, pair.second
    if first.profile != second.profile:
        raise MRIBenchError(
            f"{first.name} is of the profile {first.profile}, {second.name} of {second.profile}: two"
            " definitions, not two methods",
            "compare within a profile; mribench report DIR --table defects measures what a profile changes",
        )
    if first.defects != second.defects or first.policy != second.policy:
        differ = ", ".join(sorted(first.defects ^ second.defects))
        raise MRIBenchError(
            f"the profile {first.profile} does not reproduce the same known defects on both sides: {differ}",
            "run one of the two again with the other's settings",
        )
    return pair
