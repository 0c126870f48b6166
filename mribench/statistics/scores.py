"""From score rows to estimates: labels within a subject first, then seeds × subjects."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np
import pandas as pd

from mribench.interfaces.entry import EmptyMaskPolicy
from mribench.statistics.failures import Parts, estimate_parts
from mribench.statistics.intervals import estimate_interval
from mribench.statistics.ranges import UNBOUNDED, Range, RangeOf, give_no_range
from mribench.statistics.tables import UNTRAINED, VALUE, SeedSubjectTable, split_tables, take_complete

_COUNTS = ("n_rows", "n_failed", "n_empty", "n_both_empty", "n_few")
_ONE_EMPTY = ("pred-empty", "ref-empty")


@dataclass(frozen=True)
class Estimate(Parts):
    """A mean over seeds and subjects, and what stands behind it; ``Parts`` has the rest of its fields.

    Attributes:
        mean: over the complete seed × subject table; NaN when it is empty.
        se: crossed standard error; over subjects with one seed; NaN when there is none.
        df: degrees of freedom of ``se``. The interval does not rest on them.
        low: lower end of the 95 % interval of the mean (``intervals``); NaN where there is none, as with a
            failure in it (``failures``) or a row that is ``few``.
        high: its upper end.
        seed_low: the lowest mean of one seed; NaN without two seeds.
        seed_high: the highest.
        n_subjects: subjects in the table.
        n_subjects_total: subjects that there are rows of.
        n_seeds: seeds in the table; 0 where nothing was trained.
        n_rows: score rows.
        n_failed: rows with status ``failed``.
        n_empty: rows with one empty mask, which the policy is about.
        n_both_empty: rows with status ``both-empty``, left out by definition.
        n_few: rows with status ``few``: of sets too small for an interval.
        n_missing_pairs: (seed, subject) pairs without a score, out of all seeds × all subjects.
    """

    mean: float = math.nan
    se: float = math.nan
    df: float = math.nan
    low: float = math.nan
    high: float = math.nan
    n_subjects: int = 0
    n_subjects_total: int = 0
    n_seeds: int = 0
    n_rows: int = 0
    n_failed: int = 0
    n_empty: int = 0
    n_both_empty: int = 0
    n_few: int = 0
    n_missing_pairs: int = 0
    seed_low: float = math.nan
    seed_high: float = math.nan


_PARTS = [field.name for field in fields(Parts)]
ESTIMATE_COLUMNS = [field.name for field in fields(Estimate) if field.name not in _PARTS] + _PARTS


def count_values(scores: pd.DataFrame, policy: EmptyMaskPolicy | None = None) -> pd.Series:
    """Return what each row counts under a policy on empty masks; NaN where it is left out.

    Args:
        scores: rows of ``mribench.results.records.SCORE_SCHEMA``.
        policy: what an empty mask counts; None for the metric's own penalty.
    """
    value = scores["penalty"]
    if policy is None:
        return value
    in_unit = scores["unit"].eq(policy.unit)
    counts = {"pred-empty": policy.prediction, "ref-empty": policy.reference}
    for status, count in counts.items():
        value = value.mask(in_unit & scores["status"].eq(status), math.nan if count is None else count)
    return value


def average_subjects(
    scores: pd.DataFrame,
    by: Sequence[str],
    within: Sequence[str] = (),
    policy: EmptyMaskPolicy | None = None,
    across: Sequence[str] = (),
) -> pd.DataFrame:
    """Return one row per group, seed and subject.

    Labels are averaged within a session, sessions within a subject, then the columns of ``within``. A
    subject with a failed row has no value: the mean of what is left would be of something else. So would
    that of a seed that lacks some of the subject's cells (combinations of ``within``) which other seeds have.

    Args:
        scores: rows of ``mribench.results.records.SCORE_SCHEMA``.
        by: columns that make up a group.
        within: columns averaged within a subject, each with the same weight.
        policy: what an empty mask counts; by default the column ``penalty``.
        across: those of ``by`` whose groups are compared with each other, such as the label of the row: a
            value wants all the cells that any of these groups has of the subject.

    Returns:
        columns ``by``, ``seed`` (-1 for none), ``subject``, ``value``, ``n_rows``, ``n_failed``,
        ``n_empty``, ``n_both_empty``, ``n_few``.
    """
    failed = scores["status"].eq("failed")
    heads, number = number_groups(scores, by)
    seed = scores["seed"].fillna(UNTRAINED).astype(np.int64)
    codes = pd.DataFrame({name: pd.factorize(scores[name])[0] for name in (*within, "session")})
    who = pd.factorize(scores["subject"])[0]
    codes["pair"] = _join_codes([number, pd.factorize(seed)[0], who])
    rows = pd.DataFrame(
        {
            "value": count_values(scores, policy).mask(failed),
            "n_rows": 1,
            "n_failed": failed.astype(np.int64),
            "n_empty": scores["status"].isin(_ONE_EMPTY).astype(np.int64),
            "n_both_empty": scores["status"].eq("both-empty").astype(np.int64),
            "n_few": scores["status"].eq("few").astype(np.int64),
        }
    ).reset_index(drop=True)
    origin = np.arange(len(rows))
    for level in (["pair", *within, "session"], ["pair", *within]):
        rows, first = _average(rows, _join_codes([codes[name].to_numpy() for name in level]))
        codes, origin = codes.take(first), origin[first]
    compared = [name for name in by if name not in across]
    scope = number_groups(scores, compared)[1] if across else number
    cells = _join_codes([np.zeros(len(codes), dtype=np.int64), *(codes[name].to_numpy() for name in within)])
    person = _join_codes([scope[origin], who[origin]])
    whole = _find_whole(codes["pair"].to_numpy(), person, cells)
    rows, first = _average(rows, codes["pair"].to_numpy())
    origin = origin[first]
    rows["value"] = rows["value"].mask((rows["n_failed"] > 0) | ~whole[first])
    # texts may come as categories, which group faster; what is made of few rows has plain ones
    subject = scores["subject"].astype(_find_plain_dtype(scores["subject"])).take(origin)
    means = heads.astype({name: _find_plain_dtype(heads[name]) for name in heads}).take(number[origin])
    means = means.assign(seed=seed.to_numpy()[origin], subject=subject.to_numpy())
    return means.reset_index(drop=True).join(rows)


def _find_plain_dtype(column: pd.Series) -> Any:
    return column.cat.categories.dtype if isinstance(column.dtype, pd.CategoricalDtype) else column.dtype


def _join_codes(codes: Sequence[np.ndarray]) -> np.ndarray:
    """Return one code for several, by first appearance; a code of -1 is a null."""
    joint = codes[0]
    for code in codes[1:]:
        joint = pd.factorize(joint * (code.max(initial=0) + 2) + code)[0]
    return joint


def _find_whole(pair: np.ndarray, person: np.ndarray, cell: np.ndarray) -> np.ndarray:
    """Return for each row whether its pair has all cells that there are of the person.

    Args:
        pair: ``(rows,)`` code of group, seed and subject.
        person: ``(rows,)`` code of the subject among what is compared.
        cell: ``(rows,)`` code of what is averaged; each once in a pair.
    """
    known = ~pd.Series(_join_codes([person, cell])).duplicated().to_numpy()
    every = np.bincount(person[known], minlength=int(person.max(initial=-1)) + 1)
    here = np.bincount(pair, minlength=int(pair.max(initial=-1)) + 1)
    return here[pair] == every[person]


def _average(rows: pd.DataFrame, group: np.ndarray) -> tuple[pd.DataFrame, np.ndarray]:
    """Return one row per group, and the place of its first row; values are averaged and counts added."""
    first = np.flatnonzero(~pd.Series(group).duplicated())
    if len(first) == len(rows):
        return rows, first
    groups = rows.groupby(group, sort=False)
    counts = {name: (name, "sum") for name in _COUNTS}
    return groups.agg(value=("value", "mean"), **counts).reset_index(drop=True), first


def estimate(means: pd.DataFrame, value_range: Range = UNBOUNDED) -> Estimate:
    """Return the estimate of one group of ``average_subjects``.

    Seeds without any score are dropped; of the others, only subjects scored under every seed count.
    """
    (row,) = estimate_means(means, [], lambda _: value_range).to_dict("records")
    return Estimate(**{str(name): value for name, value in row.items()})


def estimate_groups(
    scores: pd.DataFrame,
    by: Sequence[str],
    within: Sequence[str] = (),
    policy: EmptyMaskPolicy | None = None,
) -> pd.DataFrame:
    """Return one row per group: the columns ``by`` and the fields of ``Estimate``.

    Args:
        scores: rows of ``mribench.results.records.SCORE_SCHEMA``.
        by: columns that make up a group; nulls are a value of their own.
        within: columns averaged within a subject.
        policy: what an empty mask counts.
    """
    return estimate_means(average_subjects(scores, by, within, policy), by)


def estimate_means(means: pd.DataFrame, by: Sequence[str], range_of: RangeOf = give_no_range) -> pd.DataFrame:
    """Return one row per group of ``average_subjects``: the columns ``by`` and the fields of ``Estimate``.

    Args:
        means: rows of ``average_subjects``.
        by: columns that make up a group.
        range_of: the value range of a group, in which its intervals stay.
    """
    heads, number = number_groups(means, by)
    counts = means[list(_COUNTS)].groupby(number).sum().reindex(heads.index, fill_value=0)
    tables = split_tables(means, number, len(heads))
    failed = split_tables(means.assign(**{VALUE: _mark_failures(means)}), number, len(heads))
    heads_of: list[Any] = heads.to_dict("records") if by else [{}]
    rows = [
        _estimate_table(table, empty.values, range_of(head), few=few)
        for table, empty, head, few in zip(tables, failed, heads_of, counts["n_few"] > 0, strict=True)
    ]
    estimated = pd.DataFrame(rows, index=heads.index).join(counts)
    return heads.join(estimated.reindex(columns=ESTIMATE_COLUMNS))


def number_groups(means: pd.DataFrame, by: Sequence[str]) -> tuple[pd.DataFrame, np.ndarray]:
    """Return the columns ``by`` of each group, and the group's number of each row, by first appearance."""
    if not by:
        return pd.DataFrame(index=range(1)), np.zeros(len(means), dtype=int)
    number = means.groupby(list(by), dropna=False, sort=False, observed=True).ngroup().to_numpy()
    first = ~pd.Series(number).duplicated().to_numpy()
    return means.loc[first, list(by)].reset_index(drop=True), number


def list_keys(frame: pd.DataFrame, columns: Sequence[str]) -> list[tuple[Any, ...]]:
    """Return a key per row; what is not there is None, which unlike NaN equals itself."""
    values = frame[list(columns)].astype(object)
    return list(values.where(values.notna(), None).itertuples(index=False, name=None))


def _mark_failures(means: pd.DataFrame) -> np.ndarray:
    """Return 1 for each (seed, subject) pair with an empty mask, 0 for the others; NaN without a score."""
    unscored = means[VALUE].isna() | means["n_failed"].gt(0)
    empty = means["n_empty"].gt(0) & means["n_failed"].eq(0)
    return np.where(empty, 1.0, np.where(unscored, np.nan, 0.0))


def _estimate_table(
    table: SeedSubjectTable, failed: np.ndarray, value_range: Range, *, few: bool
) -> dict[str, float]:
    kept = take_complete(table.values)
    interval = estimate_interval(kept, value_range=value_range)
    parts = estimate_parts(table.values, failed, value_range)
    if parts.failure_share > 0 or few:
        interval = replace(interval, low=math.nan, high=math.nan)
    if few:
        parts = replace(parts, without_low=math.nan, without_high=math.nan)
    return {
        **asdict(interval),
        **asdict(parts),
        "n_subjects_total": table.values.shape[1],
        "n_seeds": 0 if table.untrained else kept.shape[0],
        "n_missing_pairs": int(np.count_nonzero(np.isnan(table.values))),
    }
