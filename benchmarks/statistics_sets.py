"""How often the intervals and tests of scores of whole sets are right, when the truth is known.

Predictions of equal methods are drawn for the same subjects; the components that mribench's metrics give each
subject, and what ``mribench.statistics`` makes of them, are counted, beside an interval of equal halves.

Example:
    python benchmarks/statistics_sets.py --output results/published
"""

from __future__ import annotations

import argparse
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from mribench_tasks.metrics import AUROC, R2, AbsoluteError, BalancedAccuracy, Pearson
from scipy import special
from threadpoolctl import threadpool_limits

from mribench.interfaces import SetMetric
from mribench.set_scores import ENOUGH
from mribench.statistics.intervals import compute_half_width, estimate_interval, split_table_variance
from mribench.statistics.ranges import SetRange

COMMAND = "python benchmarks/statistics_sets.py --output results/published"
SHARED, OWN, REST = 0.6, 0.2, 0.2
"""Shares of the variance of predictions: of the subject, of method x subject, of one training."""
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(61)
NORMAL_ERROR, HEAVY_ERROR = math.sqrt(2 / math.pi), 2 * math.sqrt(3) / math.pi
"""Mean absolute value of a standard normal variable, and of Student's t with 3 degrees of freedom."""


@dataclass(frozen=True)
class Case:
    """What is drawn.

    Attributes:
        metric: id.
        truth: value of the metric over all subjects that there could be, without a seed effect.
        n_seeds: train seeds.
        n_subjects: test subjects.
        share: of them in class 1; NaN where numbers are predicted.
        sd_seed: SD of seeds, of the distance between classes (in SD of predictions), of Fisher's z, or of the
            logarithm of errors.
    """

    metric: str
    truth: float
    n_seeds: int
    n_subjects: int
    share: float
    sd_seed: float


def cases() -> list[Case]:
    """Return all: those of the usual sizes first, then those of few subjects, each by metric.

    The number of a case seeds its draws: new ones come last.
    """
    return [*_cases((20, 65, 185), (0.5, 0.2)), *_cases((6, 8, 10, 14), (0.5,))]


def _cases(subjects: Sequence[int], shares: Sequence[float]) -> list[Case]:
    sizes = [(1, 0.0), *itertools.product((5, 10), (0.0, 0.15))]
    found = []
    for metric in (AUROC, BalancedAccuracy):
        levels = itertools.product((0.5, 0.75, 0.9, 0.97), subjects, shares, sizes)
        found += [Case(metric.id, truth, s, n, share, sd) for truth, n, share, (s, sd) in levels]
    for metric, truths in (
        (Pearson, (0.0, 0.4, 0.8)),
        (R2, (0.04, 0.16, 0.64)),
        (AbsoluteError, (NORMAL_ERROR, HEAVY_ERROR)),
    ):
        levels = itertools.product(truths, subjects, sizes)
        found += [Case(metric.id, truth, s, n, math.nan, sd) for truth, n, (s, sd) in levels]
    return found


def draw(case: Case, repetitions: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, float]:
    """Return predictions ``(R, 2, S, N)`` of two equal methods, targets ``(R, N)``, and the true value."""
    shape = (repetitions, 2, case.n_seeds, case.n_subjects)
    noise = math.sqrt(SHARED) * rng.standard_normal((repetitions, 1, 1, case.n_subjects))
    noise = noise + math.sqrt(OWN) * rng.standard_normal((*shape[:2], 1, case.n_subjects))
    noise = noise + math.sqrt(REST) * rng.standard_normal(shape)
    seed = case.sd_seed * rng.standard_normal((*shape[:3], 1))
    return _DRAWN[case.metric](case, noise, seed, rng)


def _classes(
    case: Case, noise: np.ndarray, seed: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, float]:
    """Scores are normal, of unit variance, around minus and plus half a distance; the threshold is 0."""
    del rng
    unit = math.sqrt(2) if case.metric == AUROC.id else 2.0
    distance = unit * special.ndtri(case.truth)
    targets = np.zeros(case.n_subjects)
    targets[: round(case.share * case.n_subjects)] = 1
    truth = _average(special.ndtr((distance + case.sd_seed * NODES) / unit))
    return (
        (distance + seed) * (targets - 0.5) + noise,
        np.broadcast_to(targets, (len(noise), case.n_subjects)),
        truth,
    )


def _numbers(
    case: Case, noise: np.ndarray, seed: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, float]:
    """Targets are standard normal; predictions correlate with them, for R² by the best factor."""
    targets = rng.standard_normal((len(noise), case.n_subjects))
    at = math.atanh(case.truth if case.metric == Pearson.id else math.sqrt(case.truth))
    r, every = np.tanh(at + seed), np.tanh(at + case.sd_seed * NODES)
    predictions = r * targets[:, None, None] + np.sqrt(1 - r**2) * noise
    if case.metric == Pearson.id:
        return predictions, targets, _average(every)
    return r * predictions, targets, _average(every**2)


def _errors(
    case: Case, noise: np.ndarray, seed: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, float]:
    """Errors are normal, or of Student's t with 3 degrees of freedom."""
    targets = rng.standard_normal((len(noise), case.n_subjects))
    errors = special.stdtrit(3, special.ndtr(noise)) if case.truth == HEAVY_ERROR else noise
    truth = case.truth * math.exp(case.sd_seed**2 / 2)
    return targets[:, None, None] + errors * np.exp(seed), targets, truth


def _average(values: np.ndarray) -> float:
    """Return the mean over seeds of what each has, by Gauss and Hermite."""
    return float((WEIGHTS * values).sum() / WEIGHTS.sum())


METRICS: dict[str, type[SetMetric]] = {
    metric.id: metric for metric in (AUROC, BalancedAccuracy, Pearson, R2, AbsoluteError)
}
_DRAWN: dict[str, Callable[..., tuple[np.ndarray, np.ndarray, float]]] = {
    AUROC.id: _classes,
    BalancedAccuracy.id: _classes,
    Pearson.id: _numbers,
    R2.id: _numbers,
    AbsoluteError.id: _errors,
}


def components_of(case: Case, predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return the components ``(R, 2, S, N)`` that the metric gives, of all draws at once.

    Args:
        case: whose metric it is.
        predictions: ``(R, 2, S, N)`` numbers, or scores of class 1, of which no two are alike.
        targets: ``(R, N)``; of classes the same in every draw.
    """
    expected = targets[:, None, None]
    if case.metric == AbsoluteError.id:
        return np.abs(predictions - expected)
    if case.metric in (Pearson.id, R2.id):
        return _leave_one_out(case, predictions, np.broadcast_to(expected, predictions.shape))
    positive = targets[0] == 1
    if case.metric == BalancedAccuracy.id:
        placements, weight = ((predictions > 0) == positive).astype(float), 0.5
    else:
        placements, weight = _placements(predictions, positive), 1.0
    return _deviate(placements, positive, weight)


def _placements(scores: np.ndarray, positive: np.ndarray) -> np.ndarray:
    placements = np.empty(scores.shape)
    for members, sign in ((positive, 1), (~positive, -1)):
        others = np.count_nonzero(~members)
        above = (_rank(scores)[..., members] - _rank(scores[..., members])) / others
        placements[..., members] = above if sign > 0 else 1 - above
    return placements


def _rank(values: np.ndarray) -> np.ndarray:
    ranks: np.ndarray = np.argsort(np.argsort(values, axis=-1), axis=-1) + 1.0
    return ranks


def _deviate(placements: np.ndarray, positive: np.ndarray, weight: float) -> np.ndarray:
    n_subjects = len(positive)
    means = {key: placements[..., positive == key].mean(axis=-1, keepdims=True) for key in (True, False)}
    value = means[True] if weight == 1 else weight * (means[True] + means[False])
    found = np.empty(placements.shape)
    for key, mean in means.items():
        members = positive == key
        count = np.count_nonzero(members)
        scale = weight * n_subjects / count * math.sqrt(count * (n_subjects - 1) / ((count - 1) * n_subjects))
        found[..., members] = value + scale * (placements[..., members] - mean)
    return found


def _leave_one_out(case: Case, predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
    y = targets - targets.mean(axis=-1, keepdims=True)
    if case.metric == R2.id:
        errors = (targets - predictions) ** 2
        whole, left = _without(y**2)
        total = errors.sum(axis=-1, keepdims=True)
        value, without = 1 - total / whole, 1 - (total - errors) / left
    else:
        x = predictions - predictions.mean(axis=-1, keepdims=True)
        (xy, xy_left), (xx, xx_left), (yy, yy_left) = _without(x * y), _without(x**2), _without(y**2)
        value, without = xy / np.sqrt(xx * yy), xy_left / np.sqrt(xx_left * yy_left)
    found: np.ndarray = value - (case.n_subjects - 1) * (without - without.mean(axis=-1, keepdims=True))
    return found


def _without(products: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    total, n = products.sum(axis=-1, keepdims=True), products.shape[-1]
    return total, total - products * n / (n - 1)


def judge(case: Case, tables: np.ndarray, truth: float, *, few: bool) -> dict[str, float]:
    """Return what held in one draw of the components ``(2, S, N)`` of two equal methods; NaN if not shown."""
    one = tables[0]
    interval = estimate_interval(one, value_range=SetRange(*METRICS[case.metric].value_range))
    half = float(compute_half_width(*split_table_variance(one)))
    shown = not few and math.isfinite(interval.low)
    difference = estimate_interval(
        one - tables[1]
    )  # leaves out 0 where the p of the difference is below 0.05
    return {
        "coverage mribench": float(interval.low <= truth <= interval.high) if shown else math.nan,
        "no interval": float(not shown),
        "coverage few": float(interval.low <= truth <= interval.high) if few else math.nan,
        "coverage equal halves": float(abs(interval.mean - truth) <= half),
        "false positive": float(not difference.low <= 0 <= difference.high),
    }


def simulate(wanted: list[Case], repetitions: int, seed: int = 2) -> pd.DataFrame:
    """Return one row per case: its fields, ``repetitions``, and the rates in %."""
    rows = []
    for number, case in enumerate(wanted):
        predictions, targets, truth = draw(case, repetitions, np.random.default_rng([seed, number]))
        rarest = 1.0 if math.isnan(case.share) else min(case.share, 1 - case.share)
        few = rarest * case.n_subjects < ENOUGH
        drawn = [judge(case, one, truth, few=few) for one in components_of(case, predictions, targets)]
        rates = (100 * pd.DataFrame(drawn).mean()).to_dict()
        rows.append({**asdict(case), "repetitions": repetitions, **rates})
        print(f"{number + 1} of {len(wanted)}: {case}", flush=True)
    return pd.DataFrame(rows)


def markdown(frame: pd.DataFrame) -> str:
    """Return the text: the range over the cases of each metric, then all cases."""
    repetitions = frame["repetitions"].iloc[0]
    rates = list(frame.columns[frame.columns.get_loc("repetitions") + 1 :])
    about = (
        f"Rates in %, {repetitions} repetitions a case. Two equal methods predict the same subjects: "
        f"{100 * SHARED:g} % of the variance of predictions is the subject's, {100 * OWN:g} % that of the "
        f"method and subject, {100 * REST:g} % that of one training. `coverage mribench`: of the printed "
        "interval of one method; `no interval`: how often none is printed (too few subjects, or a value at "
        "its bound); `coverage few`: of the interval that is not printed where subjects are too few; `equal "
        "halves`: mean ± half; `false positive`: p of the difference below 0.05. "
        "[docs/statistics.md](../../docs/statistics.md) explains."
    )
    ranges = frame.groupby(["metric", "n_subjects", "share"], sort=False, dropna=False)[rates].agg(
        lambda column: "" if column.isna().all() else f"{column.min():.1f}–{column.max():.1f}"
    )
    parts = ["# Scores of whole sets against a known truth", "", about, "", f"    {COMMAND}", ""]
    parts += ["## Range over the cases", "", _tabulate(ranges.reset_index())]
    for metric, rows in frame.groupby("metric", sort=False):
        parts += ["", f"## {metric}", "", _tabulate(rows.drop(columns=["metric", "repetitions"]))]
    return "\n".join(parts) + "\n"


def _tabulate(frame: pd.DataFrame) -> str:
    table = frame.dropna(axis="columns", how="all").astype(object)
    table = table.map(lambda value: value if isinstance(value, str) else _shorten(value))
    return str(table.to_markdown(index=False, disable_numparse=True, colalign=["right"] * table.shape[1]))


def _shorten(value: float) -> str:
    return "" if math.isnan(value) else f"{round(value, 2):g}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repetitions", type=int, default=2_000, help="draws of every case")
    parser.add_argument("--output", type=Path, default=Path("results/published"), help="folder to write to")
    options = parser.parse_args()
    with threadpool_limits(1):
        frame = simulate(cases(), options.repetitions).round(3)
    frame.to_csv(options.output / "statistics-sets.csv", index=False, lineterminator="\n")
    (options.output / "statistics-sets.md").write_text(markdown(frame), encoding="utf-8")


if __name__ == "__main__":
    main()
