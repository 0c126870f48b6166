"""Whether a benchmark shows what its file says that it must: the ``checks:`` of a benchmark file, judged."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from mribench.arms import IDENTITY
from mribench.errors import MRIBenchError, did_you_mean
from mribench.interfaces.table_source import Question, ShownMetric
from mribench.report.material import SEQUENCES, Material
from mribench.report.sentences import percent
from mribench.report.tables.grids import TRANSFER
from mribench.report.tables.power import say_difference
from mribench.results.cells import LEADERBOARD, by_policy, selected, values_of
from mribench.results.checks import BetterCheck, CheckSpec, LadderCheck, SameCheck
from mribench.statistics.crossed import estimate_mean_and_se
from mribench.statistics.difference import ENOUGH_SEEDS, Difference, estimate_table_difference
from mribench.statistics.marking import Family, list_families
from mribench.statistics.scores import average_subjects
from mribench.statistics.tables import Scores, align_groups
from mribench.wording import count


@dataclass(frozen=True)
class Line:
    """One comparison of a check.

    Attributes:
        where: the place, or the rung.
        figures: what was found there, or what is missing.
        holds: whether it is as the check wants it.
    """

    where: str
    figures: str
    holds: bool


@dataclass(frozen=True)
class Judged:
    """A check, and what came out.

    Attributes:
        kind: its key.
        compared: the rows.
        lines: its comparisons, at least one.
        note: what was averaged; empty where nothing was.
    """

    kind: str
    compared: str
    lines: tuple[Line, ...]
    note: str = ""

    @property
    def holds(self) -> bool:
        """Whether every comparison is as the check wants it."""
        return all(line.holds for line in self.lines)


def judge_checks(material: Material, checks: Sequence[CheckSpec]) -> list[Judged]:
    """Return what the results say of each check. A check of cells that are not all there does not hold.

    Raises:
        MRIBenchError: for a check that names a sequence or metric that the results do not have.
    """
    return [_judge(material, check, f"checks.{place}") for place, check in enumerate(checks)]


def _judge(material: Material, check: CheckSpec, key: str) -> Judged:
    match check:
        case SameCheck():
            return _judge_same(material, check, key)
        case BetterCheck():
            return _judge_better(material, check, key)
        case LadderCheck():
            return _judge_ladder(material, check, key)


@dataclass(frozen=True)
class _Choice:
    """Which places of a table a check is about; None for all of a kind.

    Attributes:
        key: of the check, for errors.
        rows: that it compares.
        largest: whether only the largest fraction of each task.
    """

    key: str
    rows: Sequence[str]
    tasks: Sequence[str] | None = None
    metrics: Sequence[str] | None = None
    test_sequences: Sequence[str] | None = None
    largest: bool = True

    def select(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the cells, or scores, that it is about.

        Raises:
            MRIBenchError: for a name that is nowhere among those that are left.
        """
        frame = frame[frame["arm"].ne(IDENTITY) & frame["row"].isin(self.rows)]
        for column, names in (
            ("task", self.tasks), ("metric", self.metrics), ("test_sequence", self.test_sequences)
        ):  # fmt: skip
            known = list(map(str, frame[column].unique()))
            for name in names or ():
                if name not in known:
                    raise MRIBenchError(
                        f"{self.key}: no cell of {column.replace('_', ' ')} '{name}'",
                        did_you_mean(name, known),
                    )
            if names:
                frame = frame[frame[column].isin(names)]
        if self.largest and len(frame):
            most = frame.groupby("task", observed=True)["fraction"].transform("max")
            frame = frame[frame["fraction"].eq(most)]
        return frame


@dataclass(frozen=True)
class _Place:
    """A place that a check is about.

    Attributes:
        where: for people.
        metric: how it is shown.
        family: what is compared there; None where nothing is.
        lacks: what of the check's rows is missing; empty where all is there.
    """

    where: str
    metric: ShownMetric
    family: Family | None
    lacks: str


def _list_places(material: Material, question: Question, choice: _Choice) -> Iterator[_Place]:
    """Yield the places of a question that have cells of any of the rows."""
    by = [*question.keys, "metric"]
    families = {_identify(family.rows, by): family for family in _find_families(material, question)}
    groups: Any = choice.select(material.cells(question)).groupby(by, sort=False, observed=True)
    for _, cells in groups:
        family = families.get(_identify(cells, by))
        head: Any = next(cells.itertuples(index=False))
        metric = material.metric(head.task, head.metric)
        yield _Place(_name(head, question), metric, family, _find_lacking(cells, choice.rows))


def _find_families(material: Material, question: Question) -> Iterator[Family]:
    run, keys = material.run, ["profile", *question.keys]
    scores = selected(run.scores, run.manifest, question)
    means = values_of(run, scores[scores["seed"].notna()], ["row", *keys, "metric"], question)
    return list_families(material.cells(question), keys, means)


def _identify(cells: pd.DataFrame, by: Sequence[str]) -> tuple[str, ...]:
    return tuple(map(str, cells[list(by)].iloc[0]))


def _name(cell: Any, question: Question) -> str:
    place = f"{cell.task} {percent([cell.fraction])} {cell.metric}"
    if question.average_sequences:
        return f"{place}, mean over sequences"
    return f"{place}, {cell.train_sequence} → {cell.test_sequence}, {cell.test_site}"


def _find_lacking(cells: pd.DataFrame, rows: Sequence[str]) -> str:
    """Say which rows are not there, or not whole, in a place."""
    listed: list[Any] = list(cells.itertuples(index=False))
    known = {cell.row: cell for cell in listed}
    texts = []
    for row in rows:
        cell = known.get(row)
        if cell is None:
            texts.append(f"{row} is not planned")
        elif cell.status != "ok":
            texts.append(f"{row} is {cell.status} ({cell.jobs_done} of {cell.jobs_expected} tests done)")
        elif cell.out:
            texts.append(f"{row} lacks scores ({cell.out})")
    return "; ".join(texts)


def _judge_same(material: Material, check: SameCheck, key: str) -> Judged:
    several = [name for name, task in material.run.manifest.tasks.items() if len(task.train_sequences) > 1]
    # with one training sequence the leaderboard's cell is the transfer table's own
    averaged = _Choice(key, check.same, tasks=several, largest=False)
    places = list(_list_places(material, LEADERBOARD, averaged)) if several else []
    places += _list_places(material, TRANSFER, _Choice(key, check.same, largest=False))
    lines = [_compare(place, *check.same, differ=False) for place in places]
    return Judged("same", " and ".join(check.same), _at_least_one(lines))


def _judge_better(material: Material, check: BetterCheck, key: str) -> Judged:
    choice = _Choice(key, check.rows(), check.tasks, check.metrics, check.test_sequences)
    places = _list_places(material, TRANSFER, choice)
    lines = [_compare(place, check.better, check.than, differ=True) for place in places]
    return Judged("better", f"{check.better} than {check.than}", _at_least_one(lines))


def _at_least_one(lines: list[Line]) -> tuple[Line, ...]:
    return tuple(lines) or (Line("nowhere", "no cell of these rows is planned", holds=False),)


def _compare(place: _Place, first: str, second: str, *, differ: bool) -> Line:
    """Return what the report's own test of a place says of two rows."""
    if place.lacks or place.family is None:
        return Line(place.where, place.lacks or "nothing is compared here", holds=False)
    judged = place.family.judge()
    if not {first, second} <= set(judged.names):
        return Line(place.where, "no scores", holds=False)
    a, b = judged.names.index(first), judged.names.index(second)
    found = estimate_table_difference(judged.cube[a] - judged.cube[b])
    shown = _say_difference(found, place.metric)
    if judged.style != "tested":
        few = f"{shown}; not tested, with {count(found.n_seeds, 'seed')} of {ENOUGH_SEEDS}"
        return Line(place.where, few, holds=False)
    text = f"{shown}, p {judged.p_of(first, second):.2g} after Holm over {len(judged.names)} rows"
    separated = bool(judged.separated[a, b])
    return Line(place.where, text, holds=(separated and a < b) if differ else not separated)


def _say_difference(found: Difference, metric: ShownMetric) -> str:
    sign = "+" if found.difference >= 0 else ""
    se = f"{found.se * metric.scale:.{metric.digits}f}"
    return f"{sign}{say_difference(found.difference, metric)} ± {se}"


def _judge_ladder(material: Material, check: LadderCheck, key: str) -> Judged:
    tasks = material.run.manifest.tasks
    task = check.task or next(iter(tasks))
    metric = check.metric or tasks[task].metrics[0].id
    choice = _Choice(key, check.ladder, [task], [metric], check.test_sequences)
    places = list(_list_places(material, SEQUENCES, choice))
    lines = [Line(place.where, place.lacks, holds=False) for place in places if place.lacks]
    compared = " → ".join(check.ladder)
    if lines or not places:
        return Judged("ladder", compared, _at_least_one(lines))
    scores = _average_places(material, choice)
    if not scores.cube.size:
        return Judged("ladder", compared, (Line("all rungs", "no scores of the same subjects", holds=False),))
    known = material.run.manifest.metrics()[task, metric]
    sign = 1 if known.higher_is_better else -1
    steps = _climb(scores, material.metric(task, metric), sign)
    cells = "; ".join(place.where for place in places)
    counts = (
        f"{count(len(scores.seeds), 'seed')} and {count(len(scores.subjects), 'subject')} that all rungs have"
    )
    return Judged("ladder", compared, tuple(steps), f"mean over {cells}; of {counts}")


def _average_places(material: Material, choice: _Choice) -> Scores:
    """Return the mean over a ladder's places of each rung, seed and subject; of those that have them all."""
    run = material.run
    scores = choice.select(selected(run.scores, run.manifest, SEQUENCES))
    within = ["train_sequence", "test_sequence", "subset_seed"]
    means = pd.concat(
        [average_subjects(part, ["row"], within, policy, ["row"]) for policy, part in by_policy(run, scores)]
    )
    return align_groups({row: means[means["row"].eq(row)] for row in choice.rows}).complete()


def _climb(scores: Scores, metric: ShownMetric, sign: int) -> Iterator[Line]:
    """Yield each rung with its step, then the whole way: a step may go down by what rounding hides."""
    rounding = 0.5 * 10**-metric.digits / metric.scale
    for name, table in zip(scores.names, scores.cube, strict=True):
        mean, se, _ = estimate_mean_and_se(table)
        figures = f"{mean * metric.scale:.{metric.digits}f} ± {se * metric.scale:.{metric.digits}f}"
        yield Line(f"rung {name}", f"{figures} {metric.unit}".strip(), holds=bool(np.isfinite(mean)))
    rungs = list(zip(scores.names, scores.cube, strict=True))
    for (low, below), (high, above) in itertools.pairwise(rungs):
        step = estimate_table_difference(above - below)
        yield Line(
            f"{high} - {low}", _say_difference(step, metric), holds=sign * step.difference >= -rounding
        )
    way = estimate_table_difference(scores.cube[-1] - scores.cube[0])
    where = f"the whole way, {scores.names[-1]} - {scores.names[0]}"
    yield Line(where, _say_difference(way, metric), holds=sign * way.difference > rounding)
