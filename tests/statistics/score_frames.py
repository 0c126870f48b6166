"""Rows of ``subject_means`` from tables, for the tests of this folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from mribench.statistics.tables import make_table
from mribench.statistics.ties import JudgedFamily, judge_family


def means_of(
    table: np.ndarray,
    seeds: Sequence[int] | None = None,
    subjects: Sequence[str] | None = None,
    **columns: object,
) -> pd.DataFrame:
    """Rows of one table (S, N); further columns are the same in every row."""
    table = np.asarray(table, float)
    seeds = range(table.shape[0]) if seeds is None else seeds
    subjects = [f"p{n}" for n in range(table.shape[1])] if subjects is None else subjects
    rows = [
        {"seed": seed, "subject": subject, "value": table[s, n], **columns}
        for s, seed in enumerate(seeds)
        for n, subject in enumerate(subjects)
    ]
    return pd.DataFrame(rows)


def groups_of(cube: np.ndarray, names: Sequence[str] = "ABCDEFGH") -> Mapping[str, pd.DataFrame]:
    """Rows by method of a cube (M, S, N)."""
    return {name: means_of(table) for name, table in zip(names, cube, strict=False)}


def judge(groups: Mapping[str, pd.DataFrame], *, higher_is_better: bool) -> JudgedFamily:
    """The family of rows by method."""
    tables = {name: make_table(rows) for name, rows in groups.items()}
    return judge_family(tables, higher_is_better=higher_is_better)


def draw(
    rng: np.random.Generator,
    shape: tuple[int, int, int],
    seed: float = 1.0,
    subject: float = 6.0,
    residual: float = 2.0,
) -> np.ndarray:
    """Scores (M, S, N) of equal methods that share their subjects' effects."""
    m, s, n = shape
    return (
        seed * rng.standard_normal((m, s, 1))
        + subject * rng.standard_normal((1, 1, n))
        + residual * rng.standard_normal(shape)
    )
