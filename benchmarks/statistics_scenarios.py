"""How often intervals, tests and marks are right where scores are skew, masks empty or scores missing.

What ``mribench.statistics`` makes of drawn scores is counted, beside what is often done instead.
``statistics_simulation.py`` runs this and writes the tables.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from scipy import special

from mribench.statistics.failures import estimate_share
from mribench.statistics.marking import find_shared
from mribench.statistics.ranges import place_ends_over
from mribench.statistics.tables import SeedSubjectTable
from mribench.statistics.ties import judge_family, mark

DISTANCE, SHARE = (0.0, math.inf), (0.0, 1.0)
PENALTY_MM = 280.0
"""What an empty mask counts as a distance: the diagonal of a head."""
SAME = 0.8
"""Share of the variance between (seed, subject) pairs that is the subject's."""


@dataclass(frozen=True)
class Scenario:
    """What is drawn.

    Attributes:
        block: ``skew`` or ``survivors``.
        what: the scores, or what a row lacks.
        n_seeds: train seeds.
        n_subjects: test subjects.
        shape: of ``skew``: SD of the logarithm of a distance, or mean of a share.
        failures: of ``skew``: probability of an empty mask.
        sd_seed: SD of train seeds: of the logarithm, in shares of 1 - mean, or in points.
    """

    block: str
    what: str
    n_seeds: int
    n_subjects: int
    shape: float = 0.0
    failures: float = 0.0
    sd_seed: float = 0.0


def scenarios() -> list[Scenario]:
    """Return all, by block."""
    found = []
    shapes = [("distance", shape, 0.0) for shape in (0.4, 0.6, 0.9)]
    shapes += [("distance", 0.6, failures) for failures in (0.005, 0.02, 0.05)]
    shapes += [("share", 0.9, 0.0), ("share", 0.97, 0.0), ("share", 0.97, 0.02)]
    for (what, shape, failures), seeds, subjects in itertools.product(shapes, (5, 10), (20, 65, 185)):
        found += [Scenario("skew", what, seeds, subjects, shape, failures, sd_seed=sd) for sd in (0.0, 0.1)]
    for what, seeds in itertools.product(("hardest subjects", "a seed", "nothing"), (3, 5, 10)):
        found.append(Scenario("survivors", what, seeds, 20, sd_seed=1.0))
    return found


def scores_of(
    case: Scenario, repetitions: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, float, float]:
    """Return scores and failures ``(R, S, N)``, the true mean of all and that of those without a failure."""
    shape = (repetitions, case.n_seeds, case.n_subjects)
    own = _pairs(rng, shape, SAME)
    seed = case.sd_seed * rng.standard_normal((*shape[:2], 1))
    if case.what == "distance":
        values = np.exp(math.log(4) + case.shape * own + seed)
        true, penalty = 4 * math.exp((case.shape**2 + case.sd_seed**2) / 2), PENALTY_MM
    else:
        strength = 30 if case.shape < 0.95 else 60
        values = special.betaincinv(case.shape * strength, (1 - case.shape) * strength, special.ndtr(own))
        values = 1 - (1 - values) * np.exp(seed - case.sd_seed**2 / 2)
        true, penalty = case.shape, 0.0
    if not case.failures:
        return values, np.zeros(shape, bool), true, true
    # as if a hard subject failed under most seeds, and some seeds more often
    prone = _pairs(rng, shape, 0.6) + 2 * case.sd_seed * rng.standard_normal((*shape[:2], 1))
    failed = prone < special.ndtri(case.failures) * math.hypot(1, 2 * case.sd_seed)
    of_all = (1 - case.failures) * true + case.failures * penalty
    return np.where(failed, penalty, values), failed, of_all, true


def _pairs(rng: np.random.Generator, shape: tuple[int, int, int], same: float) -> np.ndarray:
    """Return standard normal draws ``(R, S, N)``, of whose variance the share ``same`` is the subject's."""
    subjects = rng.standard_normal((shape[0], 1, shape[2]))
    return math.sqrt(same) * subjects + math.sqrt(1 - same) * rng.standard_normal(shape)


def means_and_halves(values: np.ndarray, kept: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean ``(R,)`` of each draw over the subjects that are kept, and half its interval.

    Args:
        values: ``(R, S, N)``.
        kept: ``(R, N)``; more of them than seeds.
    """
    n_seeds = values.shape[1]
    n = kept.sum(axis=1)
    inside = np.where(kept[:, None], values, 0.0)
    mean = inside.sum(axis=(1, 2)) / (n_seeds * n)
    seed = inside.sum(axis=2) / n[:, None] - mean[:, None]
    subject = np.where(kept, values.mean(axis=1) - mean[:, None], 0.0)
    rest = np.where(kept[:, None], values - mean[:, None, None] - seed[:, :, None] - subject[:, None], 0.0)
    ms_seed = n * (seed**2).sum(axis=1) / (n_seeds - 1)
    ms_subject = n_seeds * (subject**2).sum(axis=1) / (n - 1)
    ms_rest = (rest**2).sum(axis=(1, 2)) / ((n_seeds - 1) * (n - 1))
    terms = np.stack([ms_seed, np.maximum(ms_subject - ms_rest, 0.0)]) / (n_seeds * n)
    quantiles = special.stdtrit(np.stack([np.full(len(n), n_seeds - 1.0), n - 1.0]), 0.975)
    return mean, np.sqrt((terms * quantiles**2).sum(axis=0))


def skewed(case: Scenario, repetitions: int, rng: np.random.Generator) -> pd.DataFrame:
    """Return what held in each draw of skew scores; NaN where no interval was printed."""
    values, failed, of_all, of_others = scores_of(case, repetitions, rng)
    value_range = DISTANCE if case.what == "distance" else SHARE
    kept = ~failed.any(axis=1)
    found_of = zip(*means_and_halves(values, kept), kept.sum(axis=1), strict=True)
    low, high = np.array([place_ends_over(mean, half, value_range, n) for mean, half, n in found_of]).T
    every, equal = means_and_halves(values, np.ones((repetitions, case.n_subjects), bool))
    found = {
        "coverage mribench": _within(low, of_others, high),
        "no interval": np.isnan(low).astype(float),
        "coverage equal halves": _within(every - equal, of_all, every + equal),
    }
    if case.failures:
        shares = np.array([estimate_share(one.astype(float))[1:] for one in failed])
        found["coverage of the share"] = _within(shares[:, 0], case.failures, shares[:, 1])
    elif case.what == "distance":
        part = np.exp(equal / every)
        found["coverage logarithm"] = _within(every / part, of_all, every * part)
    return pd.DataFrame(found)


def _within(low: np.ndarray, value: float, high: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(low), np.nan, (low <= value) & (value <= high))


def survivors(case: Scenario, repetitions: int, rng: np.random.Generator) -> pd.DataFrame:
    """Return ``surviving`` of each draw."""
    return pd.DataFrame([surviving(case, rng) for _ in range(repetitions)])


def surviving(case: Scenario, rng: np.random.Generator) -> dict[str, float]:
    """Return what went wrong in one draw of five equal methods, the first of which lacks scores.

    ``lacking row bold`` is whether it shares in the best mark, ``… by own means`` whether it would by the
    means of what each row has; ``familywise`` is about the others.
    """
    cube = _methods(case, rng)
    if case.what == "hardest subjects":
        cube[0][:, np.argsort(cube.mean(axis=(0, 1)))[:4]] = np.nan
    if case.what == "a seed":
        cube[0, -1] = np.nan
    tables = _tables(cube)
    over = find_shared(tables)
    kept = {row: over.part_of(tables[row]) for row in over.members}
    found = judge_family(kept, higher_is_better=True)
    own = mark([float(np.nanmean(table)) for table in cube], higher_is_better=True)
    best = dict(zip(found.names, found.marks, strict=True)).get("0") == "best"
    return {
        "lacking row bold": math.nan if case.what == "nothing" else float(best),
        "lacking row bold by own means": math.nan if case.what == "nothing" else float(own[0] == "best"),
        "tested": float(found.style == "tested"),
        "familywise": float(found.separated.any()),
    }


def _methods(case: Scenario, rng: np.random.Generator) -> np.ndarray:
    """Return scores ``(5, S, N)`` of equal methods in points: subject SD 6, residual SD 2."""
    cube = 2.0 * rng.standard_normal((5, case.n_seeds, case.n_subjects))
    cube += 6.0 * rng.standard_normal(case.n_subjects)
    cube += case.sd_seed * rng.standard_normal((5, case.n_seeds, 1))
    return cube


def _tables(cube: np.ndarray) -> dict[str, SeedSubjectTable]:
    seeds, subjects = (pd.Index(range(size)) for size in cube.shape[1:])
    return {str(place): SeedSubjectTable(table, seeds, subjects) for place, table in enumerate(cube)}


_DRAWN: dict[str, Callable[[Scenario, int, np.random.Generator], pd.DataFrame]] = {
    "skew": skewed,
    "survivors": survivors,
}


def simulate(wanted: list[Scenario], repetitions: int, seed: int = 1) -> pd.DataFrame:
    """Return one row per scenario: its fields, ``repetitions``, and the rates in %."""
    rows = []
    for number, case in enumerate(wanted):
        rng = np.random.default_rng([seed, number])
        drawn = _DRAWN[case.block](case, repetitions, rng)
        rows.append({**asdict(case), "repetitions": repetitions, **(100 * drawn.mean()).to_dict()})
    return pd.DataFrame(rows)


_ABOUT = {
    "skew": (
        "Scores with a bound: distances are log-normal (shape: SD of the logarithm), shares beta-distributed "
        f"(shape: mean). A failure counts {PENALTY_MM:g} mm or 0. `mribench`: the printed interval, of the "
        "mean without failures; `no interval`: where none is; `equal halves`: mean ± half, failures included."
    ),
    "survivors": (
        "Five equal methods, the first of which lacks the four hardest of 20 subjects, or its last seed. "
        "`bold`: it shares in the best mark, by mribench and by the means of what each row has."
    ),
}
_SHOWN = {
    "skew": ["what", "shape", "failures", "sd_seed", "n_seeds", "n_subjects"],
    "survivors": ["what", "n_seeds"],
}


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.4g}"


def markdown(frame: pd.DataFrame) -> str:
    """Return a table for each block."""
    parts = []
    for block, rows in frame.groupby("block", sort=False):
        names = [*_SHOWN[str(block)], *frame.columns[frame.columns.get_loc("repetitions") + 1 :]]
        table = rows[names].dropna(axis="columns", how="all").round(3).astype(object)
        table = table.map(lambda value: value if isinstance(value, str) else _number(value))
        text = table.to_markdown(index=False, disable_numparse=True, colalign=["right"] * table.shape[1])
        about = f"{_ABOUT[str(block)]} {rows['repetitions'].iloc[0]} repetitions."
        parts.append(f"\n## Scenarios: {block}\n\n{about}\n\n{text}")
    return "\n".join(parts) + "\n"
