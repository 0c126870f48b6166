"""What ``mribench plan --power`` says: how small a difference a plan will see, judged by results."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from mribench.arms import IDENTITY, NO_IMAGE
from mribench.commands.planning import Planned
from mribench.commands.terminal import print_table, say
from mribench.errors import MRIBenchError
from mribench.plan import Plan
from mribench.report import load_run
from mribench.report.material import Material
from mribench.report.power import PlacePower
from mribench.report.tables.power import say_difference
from mribench.results.specification import EvaluateSpec
from mribench.statistics.difference import ENOUGH_SEEDS
from mribench.statistics.power import (
    POWER,
    Design,
    find_detectable_difference,
    find_seeds,
    find_subjects,
)

_MOST_SEEDS, _MOST_SUBJECTS = 100, 5000


@dataclass(frozen=True)
class _Foreseen:
    """A place of a plan, and what is known of such places."""

    power: PlacePower
    design: Design


def show_power(console: Console, planned: Planned, results: Path, difference: float | None) -> None:
    """Say what the plan will see in each place, and what a wished difference needs.

    Args:
        console: to print to.
        planned: the benchmark file.
        results: a results folder of the same tasks, with at least two seeds.
        difference: in the units of tables; None for no wish.
    """
    material = Material(load_run(results), results)
    foreseen = list(_foresee(planned.plan, material))
    if not foreseen:
        raise MRIBenchError(
            f"--power {results}: no place of the file's leaderboard has two rows with two seeds there",
            "give the folder of results of the same tasks: results/BENCHMARK",
        )
    table = Table(title=f"differences of two rows that {100 * POWER:g} % of such runs will separate")
    for column in ("task", "labels", "metric"):
        table.add_column(column)
    wished = () if difference is None else (f"seeds for {difference:g}", f"subjects for {difference:g}")
    for column in ("rows", "seeds", "subjects", "this plan", *wished):
        table.add_column(column, justify="right")
    for place in foreseen:
        table.add_row(*_describe(place, material, difference))
    print_table(console, table, key=3)
    say(console, f"variances: of {results}, over its pairs of rows; after Holm's correction over all pairs")
    if any(place.design.n_seeds < ENOUGH_SEEDS for place in foreseen):
        say(console, f"below {ENOUGH_SEEDS} seeds no row is separated from another", "yellow")


def _foresee(plan: Plan, material: Material) -> Iterator[_Foreseen]:
    designs = _find_designs(plan)
    for power in material.powers:
        design = designs.get((power.task, power.fraction))
        if design is not None and design.n_methods > 1:
            # a cohort that is not there yet has no subjects: those of the results stand for them
            n_subjects = design.n_subjects or power.design.n_subjects
            yield _Foreseen(power, replace(design, n_subjects=n_subjects))


def _find_designs(plan: Plan) -> dict[tuple[str, float], Design]:
    """Return by task and label fraction what a plan compares at home, over which seeds and test subjects."""
    rows: dict[tuple[str, float], set[tuple[str, str]]] = defaultdict(set)
    seeds: dict[tuple[str, float], set[int | None]] = defaultdict(set)
    subjects: dict[tuple[str, float], int] = defaultdict(int)
    for job in plan.jobs:
        spec = job.spec
        if not isinstance(spec, EvaluateSpec) or job.measures or job.chooses:
            continue
        cell = spec.cell
        if cell.fraction is None or cell.arm in (IDENTITY, NO_IMAGE):
            continue
        place = (cell.task, cell.fraction)
        rows[place].add((cell.method, cell.arm))
        seeds[place].add(cell.seed)
        if cell.test_site == cell.train_site:
            subjects[place] = max(subjects[place], len(spec.subjects))
    return {place: Design(len(rows[place]), len(seeds[place]), subjects[place]) for place in rows}


def _describe(place: _Foreseen, material: Material, difference: float | None) -> Iterator[str]:
    power, design = place.power, place.design
    metric = material.metric(power.task, power.metric)
    yield from (power.task, f"{100 * power.fraction:g} %", metric.label)
    yield from (str(design.n_methods), str(design.n_seeds), str(design.n_subjects))
    seen = find_detectable_difference(power.components, design)
    yield say_difference(seen, metric) if design.is_tested else "none"
    if difference is not None:
        wanted = difference / metric.scale
        yield _or_more(find_seeds(power.components, design, wanted, _MOST_SEEDS), _MOST_SEEDS)
        yield _or_more(_find_subjects(place, wanted), _MOST_SUBJECTS)


def _find_subjects(place: _Foreseen, wanted: float) -> int | None:
    if place.design.n_seeds < ENOUGH_SEEDS:
        return None
    return find_subjects(place.power.components, place.design, wanted, _MOST_SUBJECTS)


def _or_more(number: int | None, most: int) -> str:
    return f">{most}" if number is None else str(number)
