"""The table ``difference``: whether there is one, task by task, as the leaderboard has its cells."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import pandas as pd

from mribench.compare.label_subsets import components, subset_sd
from mribench.compare.pairing import Paired, Place
from mribench.compare.text import (
    PLACE_COLUMNS,
    difference_cell,
    interval_text,
    p_text,
    place_record,
    place_text,
    table_by_place,
    value_cell,
)
from mribench.interfaces.document import TidyColumns, columns_of
from mribench.interfaces.table import Cell, Table, text_cell
from mribench.results.cells import LEADERBOARD
from mribench.results.label_subsets import subsets_sentence
from mribench.statistics.checkpoints import SignedRank, compare_checkpoint_table
from mribench.statistics.crossed import SubsetComponents
from mribench.statistics.difference import ENOUGH_SEEDS, Difference
from mribench.statistics.ties import ALPHA, adjust_holm
from mribench.wording import list_some

NAME = "difference"
NONE_SHOWN = "no difference shown"
TOO_FEW = "too few seeds to tell methods apart"
CHECKPOINTS = "these checkpoints only"
NOTHING = "nothing to compare"
_SHORT = {TOO_FEW: "too few seeds", CHECKPOINTS: CHECKPOINTS, NOTHING: NOTHING, NONE_SHOWN: NONE_SHOWN}
COLUMNS: TidyColumns = {
    **PLACE_COLUMNS,
    "mean_first": "float64", "mean_second": "float64",
    **columns_of(Difference),
    "p_adjusted": "float64", "p_better": "float64", "better": "string", "verdict": "string",
    "checkpoints_p": "float64", "checkpoints_p_adjusted": "float64", "checkpoints_statistic": "float64",
    "checkpoints_rank_biserial": "float64", "checkpoints_how": "string", "n_checkpoints_zero": "Int64",
    "n_label_subsets": "Int64", "label_subset_sd": "float64", "se_new_label_subsets": "float64",
}  # fmt: skip
_MOST = 8
"""Places that a sentence lists before it counts the rest."""


@dataclass(frozen=True)
class Compared:
    """A place with what is said about it.

    Attributes:
        place: the place.
        found: the difference, first minus second.
        p_adjusted: Holm's, over all rows of the table.
        means: of both sides over the complete pairs.
        verdict: ``NAME better``, or one of the constants above.
        checkpoints: Wilcoxon's test over subjects, seeds averaged: about these checkpoints, not methods.
        p_checkpoints: its p after Holm, over all rows of the table; NaN where there is nothing to compare.
        subsets: variance components of the difference over label subsets; None with fewer than two.
    """

    place: Place
    found: Difference
    p_adjusted: float
    means: tuple[float, float]
    verdict: str
    checkpoints: SignedRank
    p_checkpoints: float
    subsets: SubsetComponents | None

    @property
    def p_better(self) -> float:
        """P(first is better), whatever the direction of the metric."""
        above = self.found.p_above
        return above if self.place.higher_is_better else 1 - above


def compared(paired: Paired, fraction: float | None = None) -> list[Compared]:
    """Return the difference in each cell of the leaderboard, with Holm's correction over all of them."""
    places = paired.places(LEADERBOARD, fraction)
    found = [place.difference() for place in places]
    ranked = [compare_checkpoint_table(place.pairs.table()) for place in places]
    p_of_ranks = [
        math.nan if one.scope == "nothing" else own.p for one, own in zip(found, ranked, strict=True)
    ]
    adjusted = list(map(float, adjust_holm([one.p for one in found])))
    of_ranks = list(map(float, adjust_holm(p_of_ranks)))
    names = paired.pair.names
    return [
        Compared(place, one, p, _average_sides(place), judge(names, place, one, p), own, p_own, subsets)
        for place, one, p, own, p_own, subsets in zip(
            places, found, adjusted, ranked, of_ranks, components(paired, places), strict=True
        )
    ]


def judge(names: tuple[str, str], place: Place, found: Difference, p_adjusted: float) -> str:
    """Return what a difference allows to say, in words.

    Args:
        names: of the two sides.
        place: where, for the direction of the metric.
        found: the difference.
        p_adjusted: its p after correction.
    """
    if found.scope == "nothing":
        return NOTHING
    if found.scope == "these checkpoints":
        return CHECKPOINTS
    if found.scope == "too few seeds":
        return TOO_FEW
    better = place.better(found.difference)
    return f"{names[better]} better" if p_adjusted < ALPHA and better >= 0 else NONE_SHOWN


def frame(names: tuple[str, str], rows: Sequence[Compared]) -> pd.DataFrame:
    """Return the tidy rows, unscaled and unrounded."""
    return pd.DataFrame(
        [
            {
                **place_record(row.place),
                "mean_first": row.means[0],
                "mean_second": row.means[1],
                **asdict(row.found),
                "p_adjusted": row.p_adjusted,
                "p_better": row.p_better,
                "better": "" if (k := row.place.better(row.found.difference)) < 0 else names[k],
                "verdict": row.verdict,
                "checkpoints_p": row.checkpoints.p,
                "checkpoints_p_adjusted": row.p_checkpoints,
                "checkpoints_statistic": row.checkpoints.statistic,
                "checkpoints_rank_biserial": row.checkpoints.rank_biserial,
                "checkpoints_how": row.checkpoints.how,
                "n_checkpoints_zero": row.checkpoints.n_zero,
                "n_label_subsets": row.subsets.n_subsets if row.subsets else 1,
                "label_subset_sd": subset_sd(row.subsets),
                "se_new_label_subsets": row.subsets.se if row.subsets else math.nan,
            }
            for row in rows
        ]
    )


def table(paired: Paired, rows: Sequence[Compared]) -> Table:
    """Return the table: a row per task, fraction and metric."""
    first, second = paired.pair.names
    several = any(row.subsets for row in rows)
    headers = (
        (paired.pair.minus, "[95 % interval]"), ("verdict",), ("p", "(Holm)"), ("p, these", "checkpoints"),
        ("d_z",), ("P(better)", first), ("seeds ×", "subjects"), ("missing", "pairs"), ("mean", first),
        ("mean", second), *([("SD over", "label subsets")] if several else []),
    )  # fmt: skip
    cells = [(row.place, _make_cells(row, subsets=several)) for row in rows]
    title = f"{paired.pair.minus}: the difference"
    return table_by_place(NAME, title, headers, cells, *_caption(paired, rows))


def _make_cells(row: Compared, *, subsets: bool) -> tuple[Cell, ...]:
    found = row.found
    return (
        difference_cell(row.place, found),
        text_cell(_SHORT.get(row.verdict, row.verdict)),
        text_cell(p_text(row.p_adjusted)),
        text_cell(p_text(row.p_checkpoints)),
        text_cell("n/a" if math.isnan(found.d_z) else f"{found.d_z:+.2f}"),
        text_cell("n/a" if math.isnan(row.p_better) else f"{row.p_better:.2f}"),
        text_cell(f"{found.n_seeds} × {found.n_subjects}"),
        text_cell(str(found.n_missing_pairs)),
        *(value_cell(row.place, mean) for mean in row.means),
        *([value_cell(row.place, subset_sd(row.subsets))] if subsets else []),
    )


def _caption(paired: Paired, rows: Sequence[Compared]) -> list[str]:
    first, second = paired.pair.names
    tests = sum(not math.isnan(row.p_adjusted) for row in rows)
    return [
        *_list_verdicts(paired.pair.names, rows),
        (
            f"{paired.pair.minus}: in the domain trained on, sequences averaged, over the seeds and"
            " subjects that both have; labels and sessions averaged within a subject. Positive is a higher"
            " value, not always a better one: ↓ marks metrics of which less is better."
        ),
        (
            "Intervals: crossed seeds and subjects, each row alone. p: of the same test, Holm over the"
            f" {tests} rows of this table. The verdict follows p, at {100 * ALPHA:g} %: an interval can"
            " leave out 0 and no difference be shown."
        ),
        (
            "p, these checkpoints: Wilcoxon's signed-rank test over subjects, seeds averaged, Holm over the"
            " same rows. These checkpoints only: it tells whether these trained networks differ, not the"
            " methods. Between two equal methods it is, uncorrected, below 0.05 about half of the time, at"
            " any number of seeds; no verdict follows it."
        ),
        _describe_subsets(paired, rows),
        (
            "d_z: mean difference / SD of one paired difference. P(better): share of (seed, subject) pairs"
            f" in which {first} is better than {second}, ties half. Missing: pairs without a score on one"
            " side."
        ),
        *paired.notes,
    ]


def _describe_subsets(paired: Paired, rows: Sequence[Compared]) -> str:
    counts = sorted({row.subsets.n_subsets for row in rows if row.subsets} - {0})
    if not counts:
        shown = [{**row.place.where, "n_seeds": row.found.n_seeds} for row in rows]
        return subsets_sentence(paired.pair.first.cells, pd.DataFrame(shown)) if shown else ""
    many = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    return (
        f"Averaged over {many} label subsets, whose spread is not in the interval and not in p. SD over"
        " label subsets: how much the difference varies with the subjects whose labels are used, apart"
        " from seeds, subjects and noise; 0 where those explain all, n/a with one seed."
    )


def _list_verdicts(names: tuple[str, str], rows: Sequence[Compared]) -> list[str]:
    """Return one sentence for each verdict, with its places."""
    sentences = []
    order = [*(f"{name} better" for name in names), NONE_SHOWN, TOO_FEW, CHECKPOINTS, NOTHING]
    for words in order:
        these = [row for row in rows if row.verdict == words]
        if not these:
            continue
        # the name of a method keeps its letters, a phrase begins a sentence
        said_first = words[0].upper() + words[1:] if words in _SHORT else words
        why = _explain(words, max(row.found.n_seeds for row in these))
        listed = list_some(list(map(_describe_place, these)), _MOST, "; ")
        sentences.append(f"{said_first}{why}: {listed}.")
    return sentences


def _describe_place(row: Compared) -> str:
    """Return the place of a difference, with its interval where it has one."""
    interval = interval_text(row.place, row.found)
    place = f"{place_text(row.place)} {row.place.metric}"
    return f"{place} ({interval})" if interval else place


def _explain(words: str, seeds: int) -> str:
    if words == TOO_FEW:
        return f" ({seeds} seeds; {ENOUGH_SEEDS} are needed)"
    return " (one seed: another training may turn it round)" if words == CHECKPOINTS else ""


def _average_sides(place: Place) -> tuple[float, float]:
    cube = place.both.cube
    return (float(cube[0].mean()), float(cube[1].mean())) if cube.size else (math.nan, math.nan)
