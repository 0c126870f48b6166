"""What is called detectable is found in the promised share of tables that are judged as reports do."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from mribench.statistics.crossed import Components, estimate_components
from mribench.statistics.power import (
    Design,
    find_detectable_difference,
    find_detectable_lead,
    find_seeds,
    find_subjects,
    pool_components,
)
from mribench.statistics.tables import SeedSubjectTable
from mribench.statistics.ties import judge_family

COMPONENTS = Components(seed=2.0, subject=8.0, residual=10.0)


def draw(design: Design, components: Components, lead: float, rng: np.random.Generator) -> np.ndarray:
    """Return scores ``(M, S, N)``, the first method ahead, with an effect of subjects that all share."""
    shape = (design.n_methods, design.n_seeds, design.n_subjects)
    scores = rng.normal(0, math.sqrt(components.residual / 2), shape)
    scores += rng.normal(0, math.sqrt(components.seed / 2), (*shape[:2], 1))
    scores += rng.normal(0, math.sqrt(components.subject / 2), (shape[0], 1, shape[2]))
    scores += rng.normal(0, 6, (1, 1, shape[2]))
    scores[0] += lead
    return scores


def judge(cube: np.ndarray) -> tuple[bool, bool]:
    """Return whether the first method is separated from the second, and whether it alone is marked best."""
    seeds, subjects = (pd.RangeIndex(n) for n in cube.shape[1:])
    tables = {f"m{place}": SeedSubjectTable(table, seeds, subjects) for place, table in enumerate(cube)}
    judged = judge_family(tables, higher_is_better=True)
    place = {name: at for at, name in enumerate(judged.names)}
    best = [name for name, mark in zip(judged.names, judged.marks, strict=True) if mark == "best"]
    return bool(judged.separated[place["m0"], place["m1"]]), best == ["m0"]


@pytest.mark.parametrize("design", [Design(6, 5, 20), Design(3, 10, 8), Design(2, 6, 40)])
def test_what_is_promised_is_found_in_four_of_five_tables(design: Design) -> None:
    lead, difference = (
        find(COMPONENTS, design) for find in (find_detectable_lead, find_detectable_difference)
    )
    rng = np.random.default_rng(0)
    repetitions = 300
    alone = np.mean([judge(draw(design, COMPONENTS, lead, rng))[1] for _ in range(repetitions)])
    assert abs(alone - 0.8) < 4 * math.sqrt(0.8 * 0.2 / repetitions)
    # of two methods, the others as far off as can be: the correction is that of the first step at most
    pair = np.mean([judge(draw(design, COMPONENTS, difference, rng))[0] for _ in range(repetitions)])
    assert 0.8 - 4 * math.sqrt(0.8 * 0.2 / repetitions) < pair < 0.92


def test_five_seeds_do_not_show_three_points_and_ten_do() -> None:
    """Six methods, seeds of SD 1, residuals of SD 3: counted in tables before this module was."""
    components = Components(seed=2.0, subject=0.0, residual=18.0)
    for n_subjects in (20, 65):
        assert find_detectable_lead(components, Design(6, 5, n_subjects), power=0.04) > 3.0
    assert find_detectable_lead(components, Design(6, 10, 65), power=0.88) < 3.0


def test_components_are_pooled_over_all_pairs() -> None:
    cube = draw(Design(2, 7, 9), COMPONENTS, 0.0, np.random.default_rng(1))
    assert pool_components(cube) == estimate_components(cube[0] - cube[1])
    many = draw(Design(12, 40, 60), COMPONENTS, 0.0, np.random.default_rng(2))
    pooled = pool_components(many)
    assert (pooled.seed, pooled.subject, pooled.residual) == pytest.approx((2.0, 8.0, 10.0), rel=0.15)


def test_nothing_is_detectable_where_nothing_is_tested() -> None:
    for design in (Design(1, 5, 20), Design(3, 4, 20), Design(3, 5, 1)):
        assert math.isnan(find_detectable_difference(COMPONENTS, design))
        assert math.isnan(find_detectable_lead(COMPONENTS, design))


def test_how_many_seeds_or_subjects_a_difference_needs() -> None:
    design = Design(4, 5, 20)
    wanted = find_detectable_difference(COMPONENTS, Design(4, 12, 20))
    seeds = find_seeds(COMPONENTS, design, wanted, 50)
    assert seeds is not None
    assert abs(seeds - 12) <= 1
    wanted = find_detectable_difference(COMPONENTS, Design(4, 5, 60))
    subjects = find_subjects(COMPONENTS, design, wanted, 500)
    assert subjects is not None
    assert 45 <= subjects <= 80
    assert find_subjects(COMPONENTS, design, 0.01, 500) is None, "few seeds stay few, however many subjects"
    assert find_seeds(COMPONENTS, design, 1e6, 50) == 5, "below that nothing is claimed"


def test_equal_scores_leave_nothing_unseen() -> None:
    for find in (find_detectable_difference, find_detectable_lead):
        assert find(Components(0.0, 0.0, 0.0), Design(3, 5, 10)) == 0.0
