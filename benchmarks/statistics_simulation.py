"""How often the intervals, tests and marks of the tables are right, when the truth is known.

Scores of equal methods are drawn with known standard deviations of train seed, subject and residual; what
``mribench.statistics`` makes of them is counted, beside what is often done instead.

Example:
    python benchmarks/statistics_simulation.py --output results/published
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import special
from threadpoolctl import threadpool_limits

from mribench.statistics.checkpoints import rank_sum_chances
from mribench.statistics.intervals import compute_half_width, compute_p_value, split_variance

ALPHA = 0.05
SD_SUBJECT = 6.0
SEEDS, SUBJECTS, SD_SEED, SD_RESIDUAL = (1, 2, 3, 5, 10), (20, 65, 185), (0.0, 1.0, 2.0), (2.0, 3.0)
LIFT = 2.0
"""The true difference whose power is counted."""
FAR = 30.0
"""How far the others are below the two best in the block ``two best``."""
ONE_DRAW, OWN_DRAWS = "one label subset for all seeds", "a label subset of each seed's own"
_BATCH_VALUES = 8_000_000
RULES = ("banerjee", "satterthwaite", "untruncated", "truncated", "cochran")
"""Intervals that were tried; ``banerjee`` is mribench's, ``truncated`` belongs to the SE of tables."""
COMMAND = "python benchmarks/statistics_simulation.py --output results/published"


@dataclass(frozen=True)
class Cell:
    """What is drawn: standard deviations in points of the score, and how many of each."""

    block: str
    n_seeds: int
    n_subjects: int
    sd_seed: float
    sd_residual: float
    sd_interaction: float = 0.0
    n_methods: int = 5
    sd_subset: float = 0.0


def cells() -> list[Cell]:
    """Return the grid, then what lies beside it: interaction, many methods, skewed seeds, unequal methods."""
    found = [Cell("grid", *levels) for levels in itertools.product(SEEDS, SUBJECTS, SD_SEED, SD_RESIDUAL)]
    found += [
        Cell("interaction", *levels, sd_residual=3.0, sd_interaction=2.0)
        for levels in itertools.product(SEEDS[1:], SUBJECTS, SD_SEED)
    ]
    for block, methods in (("eight methods", 8), ("skewed seeds", 5), ("two best", 5)):
        found += [
            Cell(block, *levels, sd_residual=3.0, n_methods=methods)
            for levels in itertools.product((5, 10), (65,), SD_SEED)
        ]
    # last, so that what was drawn before stays as it was
    for block, sd_subset in itertools.product((ONE_DRAW, OWN_DRAWS), (0.5, 1.0, 2.0)):
        found += [Cell(block, seeds, 65, 1.0, 3.0, sd_subset=sd_subset) for seeds in (5, 10)]
    return found


def draw(cell: Cell, repetitions: int, rng: np.random.Generator) -> np.ndarray:
    """Return scores ``(R, M, S, N)`` of methods whose true means are all 0."""
    shape = (repetitions, cell.n_methods, cell.n_seeds, cell.n_subjects)
    scores = rng.standard_normal(shape)
    scores *= cell.sd_residual
    scores += SD_SUBJECT * rng.standard_normal((repetitions, 1, 1, cell.n_subjects))
    seeds = (*shape[:3], 1)
    skewed = cell.block == "skewed seeds"  # most seeds a little better, a few much worse
    scores += cell.sd_seed * (1 - rng.standard_exponential(seeds) if skewed else rng.standard_normal(seeds))
    if cell.sd_subset:  # which subjects are labelled suits each method differently
        scores += cell.sd_subset * rng.standard_normal(
            (*shape[:2], 1, 1) if cell.block == ONE_DRAW else seeds
        )
    if cell.sd_interaction:
        scores += cell.sd_interaction * rng.standard_normal((*shape[:2], 1, cell.n_subjects))
    return scores


def sums_of_products(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the seed, subject and residual sums of products ``(R, M, M)`` of scores ``(R, M, S, N)``.

    The sum of squares of the difference of methods i and j is that of i, plus that of j, minus twice theirs.
    """
    repetitions, methods, n_seeds, n_subjects = scores.shape
    centred = scores - scores.mean(axis=(2, 3), keepdims=True)
    seed, subject = centred.mean(axis=3), centred.mean(axis=2)
    rows = centred.reshape(repetitions, methods, -1)
    total, by_seed, by_subject = (part @ part.transpose(0, 2, 1) for part in (rows, seed, subject))
    by_seed, by_subject = n_subjects * by_seed, n_seeds * by_subject
    return by_seed, by_subject, total - by_seed - by_subject


def of_pairs(products: np.ndarray) -> np.ndarray:
    """Return sums of squares ``(R, P)`` of all differences from sums of products ``(R, M, M)``."""
    first, second = np.triu_indices(products.shape[1], 1)
    own = np.diagonal(products, axis1=1, axis2=2)
    return own[:, first] + own[:, second] - 2 * products[:, first, second]


def thresholds(
    sums: tuple[np.ndarray, np.ndarray, np.ndarray], n_seeds: int, n_subjects: int, alpha: float
) -> dict[str, np.ndarray]:
    """Return by rule the absolute mean from which on it is significant at ``alpha``: half an interval.

    Args:
        sums: sums of squares of seeds, subjects and residual, of any shape.
        n_seeds: S.
        n_subjects: N.
        alpha: 1 - level.
    """
    size = n_seeds * n_subjects
    seed_ss, subject_ss, residual_ss = sums
    rows = np.sqrt((seed_ss + subject_ss + residual_ss) / (size - 1) / size) * -special.ndtri(alpha / 2)
    ms_subject = subject_ss / (n_subjects - 1)
    averaged = np.sqrt(ms_subject / size) * special.stdtrit(n_subjects - 1, 1 - alpha / 2)
    naive = {"rows": rows, "seed-averaged": averaged}
    if n_seeds == 1:
        return naive | dict.fromkeys(RULES, averaged)
    ms_seed, residual_df = seed_ss / (n_seeds - 1), (n_seeds - 1) * (n_subjects - 1)
    ms_residual = residual_ss / residual_df
    terms, df = split_variance(ms_seed, ms_subject, ms_residual, n_seeds, n_subjects)
    few, rest = terms[..., 0], terms[..., 1]
    squares = [(ms_seed / size, n_seeds - 1), (ms_subject / size, n_subjects - 1)]
    noise = ms_residual / size

    def by_t(kept: list[np.ndarray], floor: float, smallest: np.ndarray | float = 0.0) -> np.ndarray:
        """Satterthwaite's t with the factors that are kept; without one its component is taken as 0."""
        weight = 1.0 - sum(np.asarray(k, float) for k in kept)
        parts = [(np.where(k, s, 0.0), d) for k, (s, d) in zip(kept, squares, strict=True)]
        parts.append((weight * noise, residual_df))
        variance = sum(part for part, _ in parts)
        variance = np.where(variance > 0, variance, smallest)
        freedom = np.maximum(variance**2 / sum(part**2 / d for part, d in parts), floor)
        return np.sqrt(variance) * special.stdtrit(freedom, 1 - alpha / 2)

    always = np.ones(np.shape(ms_seed), bool)
    positive = [square > noise for square, _ in squares]
    quantiles = special.stdtrit(df, 1 - alpha / 2)
    seeds_fewer = n_seeds <= n_subjects
    kept = [always, positive[1]] if seeds_fewer else [positive[0], always]
    return naive | {
        "banerjee": compute_half_width(terms, df, 1 - alpha),
        "satterthwaite": by_t(kept, df.min()),
        "untruncated": by_t([always, always], 1e-3, few),
        "truncated": by_t(positive, 1e-3),
        "cochran": np.sqrt(few + rest) * np.sum(terms * quantiles, axis=-1) / np.maximum(few + rest, 1e-300),
    }


def signed_rank_p(differences: np.ndarray) -> np.ndarray:
    """Return the exact p ``(R,)`` of Wilcoxon's signed-rank test of differences ``(R, N)`` without ties."""
    n = differences.shape[1]
    order = np.argsort(np.abs(differences), axis=1)
    positive = np.take_along_axis(differences, order, axis=1) > 0
    total = positive @ np.arange(1, n + 1)
    smaller = np.minimum(total, n * (n + 1) // 2 - total)
    below = np.cumsum(rank_sum_chances(2 * np.arange(1, n + 1)))
    return np.minimum(2 * below[2 * smaller], 1.0)


def holm(p: np.ndarray) -> np.ndarray:
    """Return Holm's adjusted p of each row of ``(R, P)``."""
    order = np.argsort(p, axis=1)
    steps = np.take_along_axis(p, order, axis=1) * np.arange(p.shape[1], 0, -1)
    adjusted = np.empty_like(p)
    np.put_along_axis(adjusted, order, np.minimum(np.maximum.accumulate(steps, axis=1), 1.0), axis=1)
    return adjusted


def count(cell: Cell, repetitions: int, rng: np.random.Generator) -> dict[str, float]:
    """Return what happened, in % of the repetitions."""
    found: dict[str, list[np.ndarray]] = {}
    for size in _batches(cell, repetitions):
        for name, happened in _happened(cell, draw(cell, size, rng)).items():
            found.setdefault(name, []).append(happened)
    return {name: 100 * float(np.concatenate(parts).mean()) for name, parts in found.items()}


def _batches(cell: Cell, repetitions: int) -> Iterator[int]:
    most = max(1, _BATCH_VALUES // (cell.n_methods * cell.n_seeds * cell.n_subjects))
    yield from (min(most, repetitions - start) for start in range(0, repetitions, most))


def _happened(cell: Cell, scores: np.ndarray) -> dict[str, np.ndarray]:
    products = sums_of_products(scores)
    shape = (cell.n_seeds, cell.n_subjects)
    means = scores.mean(axis=(2, 3))
    first, second = np.triu_indices(cell.n_methods, 1)
    gaps = means[:, first] - means[:, second]
    pairs = tuple(of_pairs(part) for part in products)
    one, pair = (tuple(part[:, 0] for part in parts) for parts in ((p[:, 0] for p in products), pairs))
    found = {}
    for name, half in thresholds(one, *shape, ALPHA).items():
        found[f"coverage {name}"] = np.abs(means[:, 0]) <= half
    for name, half in thresholds(pair, *shape, ALPHA).items():
        found[f"false positive {name}"] = np.abs(gaps[:, 0]) > half
        if name == "banerjee":
            found[f"power {LIFT:g}"] = np.abs(gaps[:, 0] + LIFT) > half
    found["false positive wilcoxon"] = signed_rank_p((scores[:, 0] - scores[:, 1]).mean(axis=1)) < ALPHA
    if cell.block == "two best":
        found["familywise banerjee"] = _best_two_apart(gaps, pairs, shape)
        return found
    for name, half in thresholds(pairs, *shape, ALPHA / len(first)).items():
        # Holm separates some pair of equal methods just where Bonferroni does
        found[f"familywise {name}"] = (np.abs(gaps) > half).any(axis=1)
    return found


def _best_two_apart(gaps: np.ndarray, pairs: tuple[np.ndarray, ...], shape: tuple[int, int]) -> np.ndarray:
    """Return where Holm separates the first two methods when all others are ``FAR`` below them."""
    n_seeds, n_subjects = shape
    methods = (1 + int(np.sqrt(1 + 8 * gaps.shape[1]))) // 2
    first, second = np.triu_indices(methods, 1)
    apart = gaps + FAR * ((first < 2) & (second >= 2))
    df = (n_seeds - 1, n_subjects - 1, (n_seeds - 1) * (n_subjects - 1))
    squares = [part / d for part, d in zip(pairs, df, strict=True)]
    p = compute_p_value(apart, *split_variance(squares[0], squares[1], squares[2], n_seeds, n_subjects))
    return holm(p)[:, 0] < ALPHA


def simulate(wanted: list[Cell], repetitions: int, seed: int = 0) -> pd.DataFrame:
    """Return one row per cell: its fields, ``repetitions``, and the rates in %."""
    rows = []
    for number, cell in enumerate(wanted):
        counted = count(cell, repetitions, np.random.default_rng([seed, number]))
        rows.append({**asdict(cell), "repetitions": repetitions, **counted})
    return pd.DataFrame(rows)


def markdown(frame: pd.DataFrame) -> str:
    """Return the tables as a reader wants them: the worst of every number of seeds, then all cells."""
    rates = [name for name in frame.columns if name.split()[0] in ("coverage", "false", "familywise")]
    worst = frame.groupby(["block", "n_seeds"], sort=False)[rates].agg(
        lambda column: "" if column.isna().all() else f"{column.min():.1f}–{column.max():.1f}"
    )
    rules = [*RULES, "wilcoxon", "seed-averaged", "rows"]
    shown = [
        "coverage banerjee", "coverage rows", "coverage seed-averaged", "false positive banerjee",
        "false positive wilcoxon", "false positive seed-averaged", "familywise banerjee",
        "familywise truncated", f"power {LIFT:g}",
    ]  # fmt: skip
    head = ["n_seeds", "n_subjects", "sd_seed", "sd_residual"]
    subsets = [ONE_DRAW, OWN_DRAWS]
    intro = (
        f"Rates in %, {frame['repetitions'].iloc[0]} repetitions a cell (at 20000, 5 % has a standard error "
        f"of 0.15 %). Subject SD {SD_SUBJECT:g}. [docs/statistics.md](../../docs/statistics.md) explains."
    )
    parts = ["# Intervals, tests and marks against a known truth", "", intro, "", f"    {COMMAND}", ""]
    parts.append("## Range over the cells, by rule and number of seeds")
    for kind in ("coverage", "false positive", "familywise"):
        names = {f"{kind} {rule}": rule for rule in rules if f"{kind} {rule}" in worst}
        named = worst[list(names)].rename(columns=names)
        table = named[named.ne("").any(axis=1)].reset_index()
        parts.append(f"\n### {kind.capitalize()}\n\n{table.to_markdown(index=False, disable_numparse=True)}")
    for block, rows in frame.groupby("block", sort=False):
        named = [*head, "sd_subset"] if block in subsets else head
        table = rows[named + shown].round(1).astype(object)
        table = table.where(table.notna(), "").map(lambda value: f"{value:g}" if value != "" else "")
        text = table.to_markdown(index=False, disable_numparse=True, colalign=["right"] * table.shape[1])
        parts.append(f"\n## Cells: {block}\n\n{text}")
    return "\n".join(parts).replace("banerjee", "mribench") + "\n"


def document(frame: pd.DataFrame, scenarios: pd.DataFrame) -> str:
    """Return the whole text: the grid, then scores that are skew, fail or are missing."""
    import statistics_scenarios

    return markdown(frame) + statistics_scenarios.markdown(scenarios)


def main() -> None:
    import statistics_scenarios

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repetitions", type=int, default=20_000, help="draws of every cell")
    parser.add_argument("--scenarios", type=int, default=2_000, help="draws of every scenario")
    parser.add_argument("--output", type=Path, default=Path("results/published"), help="folder to write to")
    options = parser.parse_args()
    with threadpool_limits(1):
        frame = simulate(cells(), options.repetitions).round(3)
        found = statistics_scenarios.simulate(statistics_scenarios.scenarios(), options.scenarios).round(3)
    frame.to_csv(options.output / "statistics.csv", index=False, lineterminator="\n")
    found.to_csv(options.output / "statistics-scenarios.csv", index=False, lineterminator="\n")
    (options.output / "statistics.md").write_text(document(frame, found), encoding="utf-8")


if __name__ == "__main__":
    main()
