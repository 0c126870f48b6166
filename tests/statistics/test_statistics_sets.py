"""Intervals of values of whole sets: their scale, their degrees of freedom, where there is none."""

from __future__ import annotations

import importlib.util
import math
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
from scipy import special

from mribench.interfaces import NoOptions
from mribench.results.manifest import PlannedMetric
from mribench.statistics.intervals import (
    compute_half_width,
    compute_set_half_width,
    count_degrees_of_freedom,
    estimate_interval,
    split_table_variance,
)
from mribench.statistics.ranges import SetRange, place_set_ends
from mribench.statistics.scores import average_subjects, estimate

REPOSITORY = Path(__file__).parents[2]
SCRIPT = REPOSITORY / "benchmarks" / "statistics_sets.py"


def test_a_correlation_has_the_interval_of_fishers_z():
    low, high = place_set_ends(0.8, 0.36 * 0.5, SetRange(-1.0, 1.0))
    assert (low, high) == pytest.approx((math.tanh(math.atanh(0.8) - 0.5), math.tanh(math.atanh(0.8) + 0.5)))


def test_a_share_has_the_interval_of_its_logit():
    low, high = place_set_ends(0.9, 0.09, SetRange(0.0, 1.0))
    assert (low, high) == pytest.approx(tuple(special.expit(special.logit(0.9) + np.array([-1, 1]))))


def test_one_bound_gives_the_interval_of_a_logarithm():
    assert place_set_ends(4.0, 2.0, SetRange(0.0, math.inf)) == pytest.approx(
        (4 * math.exp(-0.5), 4 * math.exp(0.5))
    )
    assert place_set_ends(0.6, 0.2, SetRange(-math.inf, 1.0)) == pytest.approx(
        (1 - 0.4 * math.exp(0.5), 1 - 0.4 * math.exp(-0.5))
    )
    assert place_set_ends(3.0, 2.0, SetRange(-math.inf, math.inf)) == (1.0, 5.0)


@pytest.mark.parametrize(("mean", "half"), [(1.0, 0.0), (1.0, 0.1), (1.02, 0.1), (0.0, 0.1), (0.5, 0.0)])
def test_there_is_no_interval_at_a_bound_or_without_spread(mean, half):
    assert np.isnan(place_set_ends(mean, half, SetRange(0.0, 1.0))).all()


def test_a_rare_class_leaves_few_degrees_of_freedom():
    rng = np.random.default_rng(0)
    assert count_degrees_of_freedom(rng.normal(size=4000)) == pytest.approx(3999, rel=0.1)
    rare = np.zeros(200)
    rare[:8] = 25 * rng.normal(size=8)
    assert 2 < count_degrees_of_freedom(rare) < 12
    assert count_degrees_of_freedom(np.tile([0.0, 1.0], 20)) == 39
    assert count_degrees_of_freedom(np.ones(9)) == 8


@pytest.mark.parametrize("shape", [(1, 30), (5, 30), (8, 6)])
def test_the_half_width_changes_the_quantile_of_subjects_alone(shape):
    table = np.random.default_rng(4).exponential(size=shape) ** 3
    table[:, 0] += 40
    terms, df = split_table_variance(table)
    freedom = count_degrees_of_freedom(table.mean(axis=0))
    df[0 if shape[0] > shape[1] else -1] = freedom
    expected = float(compute_half_width(terms, df)) * (1 + 1 / freedom)
    assert compute_set_half_width(table) == pytest.approx(expected)
    interval = estimate_interval(table, value_range=SetRange(-math.inf, math.inf))
    assert interval.high - interval.mean == pytest.approx(expected)


def test_a_planned_metric_of_a_set_says_so_to_the_statistics():
    metric = PlannedMetric(id="r2", unit="", higher_is_better=True, value_range=(None, 1.0), of_set=True)
    assert metric.bounds == (-math.inf, 1.0)
    assert isinstance(metric.bounds, SetRange)
    assert not isinstance(metric.model_copy(update={"of_set": False}).bounds, SetRange)


def frame_of(status: str) -> pd.DataFrame:
    rng = np.random.default_rng(5)
    return pd.DataFrame(
        [
            {"seed": s, "subject": f"p{n}", "session": "", "status": status, "penalty": v, "unit": ""}
            for s in range(5)
            for n, v in enumerate(rng.normal(0.7, 0.2, 12))
        ]
    )


def test_a_set_of_few_has_a_mean_and_no_interval():
    ok, few = (estimate(average_subjects(frame_of(name), []), SetRange(0.0, 1.0)) for name in ("ok", "few"))
    assert (few.mean, few.se, few.n_few, ok.n_few) == (ok.mean, ok.se, 60, 0)
    assert 0 < ok.low < ok.mean < ok.high < 1
    assert np.isnan([few.low, few.high, few.without_low, few.without_high]).all()


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("statistics_sets", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("metric", ["auroc", "balanced-accuracy", "pearson", "r2", "absolute-error"])
def test_the_simulation_is_of_the_components_of_the_metric(script, metric):
    case = next(case for case in script.cases() if case.metric == metric and case.n_seeds == 5)
    predictions, targets, _ = script.draw(case, 2, np.random.default_rng(6))
    found = script.components_of(case, predictions, targets)
    for repetition, method, seed in np.ndindex(2, 2, 5):
        given = predictions[repetition, method, seed]
        if script.METRICS[metric].of == "classes":
            given = np.stack([1 - special.expit(given), special.expit(given)], axis=1)
        score = script.METRICS[metric](NoOptions()).score_set(given, targets[repetition])
        np.testing.assert_allclose(found[repetition, method, seed], score.components, rtol=1e-9)


def test_the_simulated_truth_is_the_value_of_a_large_set(script):
    for metric in script.METRICS:
        case = next(case for case in script.cases() if case.metric == metric and case.truth > 0.5)
        large = script.Case(metric, case.truth, 1, 20_000, case.share, 0.0)
        predictions, targets, truth = script.draw(large, 1, np.random.default_rng(7))
        value = script.components_of(large, predictions, targets)[0, 0, 0].mean()
        assert value == pytest.approx(truth, abs=0.02)


@pytest.fixture(scope="module")
def published() -> pd.DataFrame:
    return pd.read_csv(REPOSITORY / "results" / "published" / "statistics-sets.csv")


def has_enough(published: pd.DataFrame) -> pd.Series:
    """Whether there are ten subjects, of each class if there are any."""
    share = published["share"]
    rarest = np.minimum(share, 1 - share).fillna(1.0)
    return (rarest * published["n_subjects"]).round(6).ge(10)


def test_every_printed_interval_covers(script, published):
    assert len(published) == len(script.cases())
    low = published["coverage mribench"].dropna().lt(93.5)
    assert published["coverage mribench"].min() > 91.0
    assert low.sum() == 8, "docs/statistics.md names them"
    enough = has_enough(published)
    assert published.loc[~enough, "coverage mribench"].isna().all()
    assert published.loc[enough, "coverage mribench"].notna().all()


def test_the_difference_of_equal_methods_is_seldom_found(published):
    assert published["false positive"].max() < 7.0, "where no interval is printed too"


def test_the_published_text_is_of_the_published_rates(script, published):
    text = (REPOSITORY / "results" / "published" / "statistics-sets.md").read_text(encoding="utf-8")
    assert text == script.markdown(published)
