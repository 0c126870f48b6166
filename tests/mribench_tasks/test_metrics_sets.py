"""Metrics of whole sets against scikit-learn, scipy and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from mribench_tasks.metrics import AUROC, R2, AbsoluteError, BalancedAccuracy, Pearson
from scipy import stats
from sklearn.metrics import balanced_accuracy_score, r2_score, roc_auc_score

from mribench.errors import DataError
from mribench.interfaces import NoOptions, SetMetric, SetScore
from mribench.set_scores import jackknife

METRICS = [AUROC, BalancedAccuracy, AbsoluteError, Pearson, R2]


def score(metric: type[SetMetric], predictions: np.ndarray, targets: np.ndarray) -> SetScore:
    return metric(NoOptions()).score_set(predictions, targets)


@pytest.fixture
def two_classes() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    classes = np.repeat([0, 1], [26, 14])
    share = np.round(1 / (1 + np.exp(-rng.normal(size=40) - classes)), 1)  # with ties
    return np.stack([1 - share, share], axis=1), classes


@pytest.fixture
def three_classes() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(2)
    return rng.dirichlet(np.ones(3), 60), np.arange(60) % 3


@pytest.fixture
def numbers() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    targets = rng.normal(50, 12, 30)
    return targets + rng.normal(2, 8, 30), targets


def test_the_area_of_two_classes_and_its_variance_are_delongs(two_classes):
    predictions, classes = two_classes
    found = score(AUROC, predictions, classes)
    assert found.status == "ok"
    assert found.value == pytest.approx(roc_auc_score(classes, predictions[:, 1]))
    assert found.components.mean() == pytest.approx(found.value)
    positive, negative = predictions[classes == 1, 1], predictions[classes == 0, 1]
    wins = (positive[:, None] > negative) + 0.5 * (positive[:, None] == negative)
    delong = wins.mean(1).var(ddof=1) / 14 + wins.mean(0).var(ddof=1) / 26
    assert found.components.var(ddof=1) / 40 == pytest.approx(delong)


def test_the_area_of_several_classes_is_of_each_against_the_rest(three_classes):
    predictions, classes = three_classes
    found = score(AUROC, predictions, classes)
    expected = roc_auc_score(classes, predictions, multi_class="ovr", average="macro")
    assert found.value == pytest.approx(expected)
    assert found.components.mean() == pytest.approx(expected)


def test_the_components_of_several_classes_spread_as_the_jackknife_says(three_classes):
    predictions, classes = three_classes

    def area(shares: np.ndarray, targets: np.ndarray) -> float:
        return float(roc_auc_score(targets, shares, multi_class="ovr", average="macro"))

    left_out = jackknife(area, predictions, classes, "one class")
    found = score(AUROC, predictions, classes)
    assert found.components.var() == pytest.approx(left_out.components.var(), rel=0.1)


def test_balanced_accuracy_and_its_variance(three_classes):
    predictions, classes = three_classes
    found = score(BalancedAccuracy, predictions, classes)
    assert found.value == pytest.approx(balanced_accuracy_score(classes, predictions.argmax(1)))
    assert found.components.mean() == pytest.approx(found.value)
    right = predictions.argmax(1) == classes
    of_recalls = sum(right[classes == c].var(ddof=1) / 20 for c in range(3)) / 9
    assert found.components.var(ddof=1) / 60 == pytest.approx(of_recalls)


def test_the_error_of_a_subject_is_its_component(numbers):
    predictions, targets = numbers
    found = score(AbsoluteError, predictions, targets)
    np.testing.assert_allclose(found.components, np.abs(predictions - targets))
    assert found.value == pytest.approx(found.components.mean())


@pytest.mark.parametrize(
    ("metric", "statistic"),
    [
        (Pearson, lambda a, b: float(stats.pearsonr(a, b).statistic)),
        (R2, lambda a, b: float(r2_score(b, a))),
    ],
)
def test_what_is_left_out_in_closed_form_is_the_jackknife(metric, statistic, numbers):
    found, left_out = score(metric, *numbers), jackknife(statistic, *numbers, "")
    assert found.value == pytest.approx(statistic(*numbers))
    np.testing.assert_allclose(found.components, left_out.components, rtol=1e-9)
    assert found.components.mean() == pytest.approx(found.value)


def test_the_jackknife_of_a_mean_is_its_values():
    values = np.arange(12.0) ** 2
    found = jackknife(lambda a, _: float(a.mean()), values, np.zeros(12), "")
    np.testing.assert_allclose(found.components, values, atol=1e-9)
    assert (found.status, found.reason) == ("ok", "")


@pytest.mark.parametrize("metric", [AUROC, BalancedAccuracy])
def test_one_class_gives_no_value(metric, two_classes):
    predictions, classes = two_classes
    found = score(metric, predictions, np.zeros_like(classes))
    assert (found.status, found.reason) == ("failed", "no subject of class 1")
    assert np.isnan([found.value, *found.components]).all()


@pytest.mark.parametrize("metric", [AUROC, BalancedAccuracy])
def test_few_subjects_of_a_class_have_a_value_and_no_interval(metric, two_classes):
    predictions, classes = (array[10:35] for array in two_classes)
    found = score(metric, predictions, classes)
    assert (classes == 1).sum() == 9
    assert found.status == "few"
    assert "the fewest are 9" in found.reason
    assert np.isfinite(found.components).all()


def test_equal_predictions():
    classes, targets = np.arange(40) % 2, np.arange(40.0)
    same = np.full((40, 2), 0.5)
    assert score(AUROC, same, classes).value == 0.5
    assert score(BalancedAccuracy, same, classes).value == 0.5
    assert score(Pearson, np.full(40, 3.3), targets).status == "failed"
    assert score(R2, np.full(40, targets.mean()), targets).value == pytest.approx(0.0)
    nearly = np.zeros(40)
    nearly[7] = 1.0  # without this subject all are alike
    assert score(Pearson, nearly, targets).status == "failed"
    assert score(R2, targets, nearly).status == "failed"


@pytest.mark.parametrize(
    ("predictions", "targets", "message"),
    [
        (np.full((4, 1), 0.5), np.zeros(4), "2 classes or more, got (4, 1)"),
        (np.full((4, 2), np.nan), np.zeros(4), "a prediction is NaN or infinite"),
        (np.full((4, 2), 0.5), np.array([0, 1, 2, 0]), "targets from 0 to 1, got [0, 1, 2]"),
        (np.full((4, 2), 0.5), np.array([0, 1, 0.5, 0]), "targets from 0 to 1, got [0.0, 0.5, 1.0]"),
        (np.full((4, 2), 0.5), np.zeros(3), "a target for each of 4 predictions, at least one, got (3,)"),
    ],
)
def test_what_is_no_set_of_classes_is_refused(predictions, targets, message):
    with pytest.raises(DataError) as caught:
        score(AUROC, predictions, targets)
    assert caught.value.message.startswith("metric auroc: expected ")
    assert caught.value.message.endswith(message)


def test_what_is_no_set_of_numbers_is_refused():
    with pytest.raises(DataError, match=r"metric r2: expected one number for each subject"):
        score(R2, np.zeros((4, 2)), np.zeros(4))
    with pytest.raises(DataError, match=r"metric pearson: .* a target is NaN or infinite"):
        score(Pearson, np.zeros(4), np.array([0, 1, np.inf, 2]))
