"""Best, second and ties among the methods of a family: all pairs, Holm's correction."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
import pandas as pd

from mribench.statistics.difference import DIFFERENCE_COLUMNS, ENOUGH_SEEDS, difference_of
from mribench.statistics.intervals import LEVEL, crossed_interval, p_value, table_spread
from mribench.statistics.marks import Mark, mark
from mribench.statistics.tables import SeedSubjectTable, aligned_tables, single_table

ALPHA = 0.05
"""Level of the familywise error of the marks."""

Style = Literal["tested", "paper"]
"""``tested``: bold is the best and all not separated from it. ``paper``: plain best and second, no claim."""

METHOD_COLUMNS = ["row", "mean", "se", "df", "low", "high", "mark", "groups"]
PAIR_COLUMNS = ["first", "second", *DIFFERENCE_COLUMNS, "p_adjusted", "separated"]


@dataclass(frozen=True)
class Family:
    """The methods of one place and metric, compared with each other.

    Attributes:
        methods: one row per method, best first: ``row``, ``mean``, ``se``, ``df``, ``low``, ``high``,
            ``mark``, ``groups`` (places in ``groups`` below, from 0).
        pairs: one row per pair: ``first`` and ``second``, the fields of ``Difference``, ``p_adjusted``
            (Holm) and ``separated``. In style ``paper`` nothing is adjusted (NaN) and nothing separated.
        groups: tie groups, best first: the largest sets of methods no two of which are separated.
        style: which marks these are.
        left_out: methods without any score.
        description: what was compared, in a sentence for a caption.
    """

    methods: pd.DataFrame
    pairs: pd.DataFrame
    groups: tuple[tuple[str, ...], ...]
    style: Style
    left_out: tuple[str, ...]
    description: str


def compare_family(
    groups: Mapping[str, pd.DataFrame], *, higher_is_better: bool, name: str = "", alpha: float = ALPHA
) -> Family:
    """Compare all methods of a family on the seeds and subjects that all of them have.

    From five seeds on the marks are tested and their familywise error is ``alpha``; below, they are the
    paper's and claim nothing.

    Args:
        groups: rows of ``subject_means`` by method, of one place and metric.
        higher_is_better: the direction of the metric.
        name: what the family is, for the description, such as ``tissue, 10 %, dice``.
        alpha: level of the familywise error.
    """
    tables = {row: single_table(group) for row, group in groups.items()}
    found = judged(tables, higher_is_better=higher_is_better, alpha=alpha)
    names, cube = found.names, found.cube
    _, n_seeds, n_subjects = cube.shape
    pairs = _pairs(names, cube, found.n_missing_pairs)
    pairs["p_adjusted"] = found.p_adjusted
    pairs["separated"] = found.p_adjusted < alpha
    ties = tie_groups(found.separated) if found.style == "tested" else ()
    methods = pd.DataFrame(
        [
            {
                "row": names[k],
                **{field: getattr(interval, field) for field in ("mean", "se", "df", "low", "high")},
                "mark": found.marks[k],
                "groups": tuple(place for place, members in enumerate(ties) if k in members),
            }
            for k, interval in enumerate(crossed_interval(table, LEVEL) for table in cube)
        ],
        columns=METHOD_COLUMNS,
    )
    return Family(
        methods=methods,
        pairs=pairs[PAIR_COLUMNS],
        groups=tuple(tuple(names[k] for k in members) for members in ties),
        style=found.style,
        left_out=tuple(row for row in tables if row not in names),
        description=_description(name, len(names), n_seeds, n_subjects, alpha, found.style),
    )


@dataclass(frozen=True)
class Judged:
    """The marks of a family, and what they rest on.

    Attributes:
        names: the methods with any score, best first, whatever the order they came in; equal means by name.
        cube: ``(M, S, N)``, what all of them share.
        n_missing_pairs: (seed, subject) pairs that some of them lack.
        style: which marks these are.
        marks: one per method.
        p_adjusted: ``(M (M - 1) / 2,)`` by Holm, of the pairs in the order of ``itertools.combinations``; NaN
            in style ``paper``.
        separated: ``(M, M)``, symmetric: which pairs differ after correction.
    """

    names: list[str]
    cube: np.ndarray
    n_missing_pairs: int
    style: Style
    marks: list[Mark]
    p_adjusted: np.ndarray
    separated: np.ndarray


def judged(tables: Mapping[str, SeedSubjectTable], *, higher_is_better: bool, alpha: float = ALPHA) -> Judged:
    """Return the marks of a family alone; ``compare_family`` says more and takes longer."""
    everything = aligned_tables(tables)
    names, cube = everything.names, everything.complete().cube
    n, n_seeds, n_subjects = cube.shape
    means = [float(table.mean()) if table.size else math.nan for table in cube]
    sign = -1.0 if higher_is_better else 1.0
    order = sorted(range(n), key=lambda k: (_last_if_nan(sign * means[k]), names[k]))
    names, means, cube = [names[k] for k in order], [means[k] for k in order], cube[order]
    pairs = list(itertools.combinations(range(n), 2))
    adjusted, separated = np.full(len(pairs), math.nan), np.zeros((n, n), dtype=bool)
    tested = n_seeds >= ENOUGH_SEEDS and n_subjects > 1
    if tested and pairs:
        first, second = np.array(pairs).T
        adjusted = holm(_p_values(cube[first] - cube[second]))
        separated[first, second] = separated[second, first] = adjusted < alpha
    marks = (
        claimed_marks(means, separated, higher_is_better=higher_is_better)
        if tested
        else mark(means, higher_is_better=higher_is_better)
    )
    missing = int(np.isnan(everything.cube).any(axis=0).sum())
    return Judged(names, cube, missing, "tested" if tested else "paper", marks, adjusted, separated)


def _p_values(differences: np.ndarray) -> np.ndarray:
    """Return the p of each table of differences ``(P, S, N)``, as ``difference_of`` has it."""
    terms, df = zip(*(table_spread(table) for table in differences), strict=True)
    return p_value(differences.mean(axis=(1, 2)), np.stack(terms), df[0])


def holm(p_values: Sequence[float] | np.ndarray) -> np.ndarray:
    """Return p values adjusted for their number (Holm 1979, Scandinavian Journal of Statistics 6, 65-70).

    NaN stays NaN and counts as a comparison that was made.
    """
    p = np.asarray(p_values, dtype=float)
    filled = np.where(np.isnan(p), 1.0, p)
    # as statsmodels.stats.multitest.multipletests, which collects garbage in every call: a third of a second
    order = np.argsort(filled, kind="stable")
    adjusted = np.empty_like(filled)
    adjusted[order] = np.minimum(np.maximum.accumulate(filled[order] * np.arange(p.size, 0, -1)), 1.0)
    return np.where(np.isnan(p), math.nan, adjusted)


def claimed_marks(means: Sequence[float], separated: np.ndarray, *, higher_is_better: bool) -> list[Mark]:
    """Mark the best and all not separated from it; then the next, if it is separated from the rest.

    Args:
        means: ``(M,)``, unrounded; methods of equal means share the place of the best.
        separated: ``(M, M)``, symmetric: which pairs differ after correction.
        higher_is_better: the direction of the metric.

    Returns:
        A mark per method. NaN has none; one method alone has none either. ``second`` is the best of those
        that are not marked ``best``, unless one of the others behind it is not separated from it.
    """
    values = np.asarray(means, dtype=float) * (1 if higher_is_better else -1)
    there = np.flatnonzero(~np.isnan(values))
    marks: list[Mark] = ["none"] * len(values)
    if len(there) < 2:
        return marks
    leaders = there[values[there] == values[there].max()]
    best = [k for k in there if k in leaders or not separated[leaders, k].all()]
    rest = sorted(set(there) - set(best), key=lambda k: -values[k])
    for k in best:
        marks[k] = "best"
    if rest and all(separated[rest[0], k] for k in rest[1:]):
        marks[rest[0]] = "second"
    return marks


def tie_groups(separated: np.ndarray) -> tuple[tuple[int, ...], ...]:
    """Return the largest sets of methods no two of which are separated, sorted by their members.

    Groups may overlap: A and B, B and C can be tied while A and C are not.

    Args:
        separated: ``(M, M)``, symmetric.
    """
    n = len(separated)
    neighbours = [{k for k in range(n) if k != i and not separated[i, k]} for i in range(n)]
    return tuple(sorted(tuple(sorted(group)) for group in _cliques(set(), set(range(n)), set(), neighbours)))


def _cliques(
    group: set[int], candidates: set[int], done: set[int], neighbours: Sequence[set[int]]
) -> Iterator[set[int]]:
    """Yield the largest cliques (Bron and Kerbosch 1973, doi:10.1145/362342.362367)."""
    if not candidates and not done and group:
        yield group
    for k in sorted(candidates):
        yield from _cliques(group | {k}, candidates & neighbours[k], done & neighbours[k], neighbours)
        candidates, done = candidates - {k}, done | {k}


def _pairs(names: Sequence[str], cube: np.ndarray, missing: int) -> pd.DataFrame:
    """Return the difference of each pair."""
    rows = [
        {
            "first": names[i],
            "second": names[k],
            **asdict(difference_of(cube[i] - cube[k], n_missing_pairs=missing)),
        }
        for i, k in itertools.combinations(range(len(names)), 2)
    ]
    return pd.DataFrame(rows, columns=["first", "second", *DIFFERENCE_COLUMNS])


def _last_if_nan(value: float) -> float:
    return math.inf if math.isnan(value) else value


def _description(name: str, methods: int, seeds: int, subjects: int, alpha: float, style: Style) -> str:
    of = f"{name}: " if name else ""
    on = f"{methods} methods on {seeds} shared seed{'' if seeds == 1 else 's'} × {subjects} shared subjects"
    if style == "paper":
        if not subjects:
            return f"{of}{on}; nothing to compare."
        claim = "valid for these checkpoints only" if seeds == 1 else "too few seeds to tell methods apart"
        return f"{of}{on}; plain best and second, {claim}."
    pairs = methods * (methods - 1) // 2
    return (
        f"{of}{on}; all {pairs} pairs, crossed seeds and subjects, Holm, familywise error {100 * alpha:g} %; "
        "bold: the best and all not separated from it; underlined: the next, if separated from the rest."
    )
