"""From score rows to estimates: labels within a subject first, then seeds × subjects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Literal, get_args

import numpy as np
import pandas as pd

from mribench.statistics.crossed import mean_and_se

_NO_SEED = -1
_ONE_EMPTY = ("pred-empty", "ref-empty")

Policy = Literal["penalty", "dropped", "256mm"]
"""What a distance in mm counts where one of the masks is empty: the metric's own penalty; nothing; or
256 mm for an empty prediction and nothing for an empty reference."""
FIXED_MM = 256.0
"""What the released code counts for an empty prediction, whatever the image."""


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds and subjects, and what stands behind it.

    Attributes:
        mean: over the complete seed × subject table; NaN when it is empty.
        se: crossed standard error; over subjects with one seed; NaN when there is none.
        df: degrees of freedom of ``se``.
        n_subjects: subjects in the table.
        n_subjects_total: subjects that there are rows of.
        n_seeds: seeds in the table; 0 where nothing was trained.
        n_rows: score rows.
        n_failed: rows with status ``failed``.
        n_empty: rows with one empty mask, which the policy is about.
        n_both_empty: rows with status ``both-empty``, left out by definition.
        n_missing_pairs: (seed, subject) pairs without a score, out of all seeds × all subjects.
    """

    mean: float
    se: float
    df: float
    n_subjects: int
    n_subjects_total: int
    n_seeds: int
    n_rows: int
    n_failed: int
    n_empty: int
    n_both_empty: int
    n_missing_pairs: int


ESTIMATE_COLUMNS = [field.name for field in fields(Estimate)]


def counted(scores: pd.DataFrame, policy: Policy = "penalty") -> pd.Series:
    """Return what each row counts under a policy on empty masks; NaN where it is left out.

    The policies other than ``penalty`` are about metrics in mm; other metrics count as ever.

    Args:
        scores: rows of ``mribench.records.SCORE_SCHEMA``.
        policy: one of ``Policy``.

    Raises:
        ValueError: for an unknown policy.
    """
    if policy not in get_args(Policy):
        raise ValueError(f"expected a policy of {', '.join(get_args(Policy))}, got {policy!r}")
    if policy == "penalty":
        return scores["penalty"]
    in_mm = scores["unit"].eq("mm")
    value = scores["penalty"].mask(in_mm & scores["status"].isin(_ONE_EMPTY))
    if policy == "dropped":
        return value
    return value.mask(in_mm & scores["status"].eq("pred-empty"), FIXED_MM)


def subject_means(
    scores: pd.DataFrame, by: Sequence[str], within: Sequence[str] = (), policy: Policy = "penalty"
) -> pd.DataFrame:
    """Return one row per group, seed and subject.

    Labels are averaged within a session, sessions within a subject, then the columns of ``within``. A
    subject with a failed row has no value: the mean of what is left would be of something else.

    Args:
        scores: rows of ``mribench.records.SCORE_SCHEMA``.
        by: columns that make up a group.
        within: columns averaged within a subject, each with the same weight.
        policy: what an empty mask counts; by default the column ``penalty``.

    Returns:
        columns ``by``, ``seed`` (-1 for none), ``subject``, ``value``, ``n_rows``, ``n_failed``,
        ``n_empty``, ``n_both_empty``.
    """
    failed = scores["status"].eq("failed")
    keys = [*by, "seed", "subject"]
    rows = scores[[*by, *within, "subject", "session"]].assign(
        seed=scores["seed"].fillna(_NO_SEED).astype(np.int64),
        value=counted(scores, policy).mask(failed),
        n_rows=1,
        n_failed=failed.astype(np.int64),
        n_empty=scores["status"].isin(_ONE_EMPTY).astype(np.int64),
        n_both_empty=scores["status"].eq("both-empty").astype(np.int64),
    )
    for level in ([*keys, *within, "session"], [*keys, *within], keys):
        rows = _averaged(rows, level)
    rows["value"] = rows["value"].mask(rows["n_failed"] > 0)
    # texts may come as categories, which group faster; what is made of few rows has plain ones
    texts = {name: rows[name].cat.categories.dtype for name in rows.select_dtypes("category").columns}
    return rows.astype(texts)


def _averaged(rows: pd.DataFrame, level: Sequence[str]) -> pd.DataFrame:
    groups = rows.groupby(list(level), dropna=False, sort=False, observed=True)
    counts = {name: (name, "sum") for name in ("n_rows", "n_failed", "n_empty", "n_both_empty")}
    return groups.agg(value=("value", "mean"), **counts).reset_index()


def complete(table: np.ndarray) -> np.ndarray:
    """Return the part of a table ``(S, N)`` without NaN: seeds with any score, subjects with all of those."""
    there = ~np.isnan(table)
    seeds = there.any(axis=1)
    return table[seeds][:, there[seeds].all(axis=0)] if seeds.any() else np.empty((0, 0))


def estimate(means: pd.DataFrame) -> Estimate:
    """Return the estimate of one group of ``subject_means``.

    Seeds without any score are dropped; of the others, only subjects scored under every seed count.
    """
    row, seeds_seen = pd.factorize(means["seed"])
    column, subjects_seen = pd.factorize(means["subject"])
    table = np.full((len(seeds_seen), len(subjects_seen)), np.nan)
    table[row, column] = means["value"]
    kept = complete(table)
    mean, se, df = mean_and_se(kept)
    trained = bool((means["seed"] != _NO_SEED).any())
    return Estimate(
        mean=mean,
        se=se,
        df=df,
        n_subjects=kept.shape[1],
        n_subjects_total=table.shape[1],
        n_seeds=kept.shape[0] if trained else 0,
        n_rows=int(means["n_rows"].sum()),
        n_failed=int(means["n_failed"].sum()),
        n_empty=int(means["n_empty"].sum()),
        n_both_empty=int(means["n_both_empty"].sum()),
        n_missing_pairs=int(np.count_nonzero(np.isnan(table))),
    )


def estimates(
    scores: pd.DataFrame, by: Sequence[str], within: Sequence[str] = (), policy: Policy = "penalty"
) -> pd.DataFrame:
    """Return one row per group: the columns ``by`` and the fields of ``Estimate``.

    Args:
        scores: rows of ``mribench.records.SCORE_SCHEMA``.
        by: columns that make up a group; nulls are a value of their own.
        within: columns averaged within a subject.
        policy: what an empty mask counts.
    """
    return estimates_of(subject_means(scores, by, within, policy), by)


def estimates_of(means: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Return one row per group of ``subject_means``: the columns ``by`` and the fields of ``Estimate``."""
    number = means.groupby(list(by), dropna=False, sort=False, observed=True).ngroup()
    heads = means.loc[~number.duplicated(), list(by)].reset_index(drop=True)
    rows = [asdict(estimate(group)) for _, group in means.groupby(number, sort=False)]
    return heads.join(pd.DataFrame(rows, columns=ESTIMATE_COLUMNS))
