"""Probes against scikit-learn and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from mribench_tasks.probes import KNNOptions, KNNProbe, LinearOptions, LinearProbe
from mribench_tasks.probes.scaling import Scaling, class_weights
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsRegressor

from mribench.interfaces import ProbeSubjects

WEIGHTS = np.array([3.0, -2.0, 0.0, 1.0])
NOBODY = ProbeSubjects(np.zeros((0, 4)), np.zeros(0))


def drawn(count: int, seed: int, noise: float = 0.0, classes: int = 0) -> ProbeSubjects:
    """Return subjects whose targets are linear in their embeddings, of other means and scales."""
    generator = np.random.default_rng(seed)
    unit = generator.normal(size=(count, 4))
    signal = unit @ WEIGHTS + noise * generator.normal(size=count)
    targets = 50 + signal
    if classes:
        targets = np.digitize(signal, np.linspace(-3, 3, classes - 1) if classes > 2 else [0.0]).astype(float)
    return ProbeSubjects(unit * [1, 10, 0.1, 5] + [0, 100, 3, -7], targets)


def scaled(training: ProbeSubjects, other: ProbeSubjects) -> np.ndarray:
    scaling = Scaling.of(training.embeddings)
    return scaling.apply(other.embeddings)


def test_a_planted_relation_is_recovered() -> None:
    training, test = drawn(40, 0), drawn(25, 1)
    probe = LinearProbe(LinearOptions(), 0)
    probe.fit(training, drawn(15, 2))
    np.testing.assert_allclose(probe.predict(test.embeddings), test.targets, atol=0.01)
    slopes = probe.state()["weights"][0].numpy() / training.embeddings.std(axis=0)
    np.testing.assert_allclose(slopes, WEIGHTS / [1, 10, 0.1, 5], atol=0.01)
    assert probe.state()["penalty"].item() == 0.001


@pytest.mark.parametrize("noise", [0.5, 30.0])
def test_the_penalty_is_the_best_on_validation_subjects(noise: float) -> None:
    training, validation, test = (drawn(20, seed, noise) for seed in (3, 4, 5))
    probe = LinearProbe(LinearOptions(), 0)
    probe.fit(training, validation)
    errors = {}
    for penalty in LinearOptions().penalties:
        ridge = Ridge(alpha=penalty).fit(scaled(training, training), training.targets)
        predicted = ridge.predict(scaled(training, validation))
        errors[penalty] = float(np.mean((predicted - validation.targets) ** 2))
    best = min(errors, key=lambda penalty: errors[penalty])
    assert probe.state()["penalty"].item() == best
    expected = Ridge(alpha=best).fit(scaled(training, training), training.targets)
    np.testing.assert_allclose(
        probe.predict(test.embeddings), expected.predict(scaled(training, test)), rtol=1e-9
    )


def test_without_validation_one_is_left_out_at_a_time() -> None:
    training = drawn(12, 6, noise=4.0)
    probe = LinearProbe(LinearOptions(), 0)
    probe.fit(training, NOBODY)
    embeddings = scaled(training, training)

    def left_out_error(penalty: float) -> float:
        errors = []
        for i in range(len(training)):
            rest = np.arange(len(training)) != i
            ridge = Ridge(alpha=penalty).fit(embeddings[rest], training.targets[rest])
            errors.append(ridge.predict(embeddings[i : i + 1])[0] - training.targets[i])
        return float(np.mean(np.square(errors)))

    assert probe.state()["penalty"].item() == min(LinearOptions().penalties, key=left_out_error)


@pytest.mark.parametrize("classes", [2, 3])
def test_classes_are_those_of_a_weighted_logistic_regression(classes: int) -> None:
    training, validation, test = (drawn(60, seed, 1.0, classes) for seed in (7, 8, 9))
    probe = LinearProbe(LinearOptions(), classes)
    probe.fit(training, validation)
    penalty = probe.state()["penalty"].item()
    model = LogisticRegression(C=1 / penalty, class_weight="balanced", max_iter=10_000)
    model.fit(scaled(training, training), training.targets)
    expected = model.predict_proba(scaled(training, test))
    np.testing.assert_allclose(probe.predict(test.embeddings), expected, atol=1e-9)
    assert 0.001 <= penalty < 100_000
    assert (probe.predict(test.embeddings).argmax(1) == test.targets).mean() > 0.6


@pytest.mark.parametrize("make", [LinearProbe, KNNProbe])
def test_a_class_of_nobody_has_no_share(make: type) -> None:
    training = drawn(30, 10, classes=2)
    probe = make(make.__init__.__globals__[f"{make.__name__[:-5]}Options"](), 4)
    probe.fit(ProbeSubjects(training.embeddings, training.targets * 3), NOBODY)
    predicted = probe.predict(drawn(9, 11).embeddings)
    assert (predicted[:, [1, 2]] == 0).all()
    np.testing.assert_allclose(predicted.sum(axis=1), 1)


def test_neighbours_are_scikit_learns_and_chosen_on_validation_subjects() -> None:
    training, validation, test = (drawn(40, seed, 1.0) for seed in (12, 13, 14))
    probe = KNNProbe(KNNOptions(), 0)
    probe.fit(training, validation)

    def reference(k: int) -> KNeighborsRegressor:
        return KNeighborsRegressor(k).fit(scaled(training, training), training.targets)

    def error(k: int) -> float:
        return float(np.mean((reference(k).predict(scaled(training, validation)) - validation.targets) ** 2))

    best = min((k for k in KNNOptions().neighbours if k <= 40), key=error)
    assert probe.state()["neighbours"].item() == best
    np.testing.assert_allclose(
        probe.predict(test.embeddings), reference(best).predict(scaled(training, test))
    )


def test_neighbours_of_a_large_class_have_no_advantage() -> None:
    embeddings = np.array([[0.0], [0.0], [0.0], [0.0], [0.1], [50.0]])
    training = ProbeSubjects(embeddings, np.array([0.0, 0, 0, 0, 1, 1]))
    probe = KNNProbe(KNNOptions(neighbours=(5,)), 2)
    probe.fit(training, ProbeSubjects(embeddings[:1], np.zeros(1)))
    # four votes of weight 6 / (2 · 4) against one of 6 / (2 · 2)
    np.testing.assert_allclose(probe.predict(np.array([[0.0]])), [[3 / 4.5, 1.5 / 4.5]])


def test_alone_nobody_is_its_own_neighbour() -> None:
    """Pairs of equal targets, and noise between pairs: with itself the nearest would be perfect at k = 1."""
    embeddings = np.arange(10.0)[:, None]
    targets = np.array([0.0, 10] * 5)
    probe = KNNProbe(KNNOptions(neighbours=(1, 9)), 0)
    probe.fit(ProbeSubjects(embeddings, targets), ProbeSubjects(np.zeros((0, 1)), np.zeros(0)))
    assert probe.state()["neighbours"].item() == 9


def test_rounding_is_not_blown_up() -> None:
    """A dead dimension of a float32 embedding differs in its last digits from scan to scan."""
    noise = np.random.default_rng(0).standard_normal((20, 200))
    ages = np.linspace(20, 80, 20)
    embeddings = np.concatenate([ages[:, None], 0.5 + 3e-8 * noise], axis=1)
    scaled = Scaling.of(embeddings).apply(embeddings)
    assert scaled[:, 0].std() == pytest.approx(1)
    assert np.abs(scaled[:, 1:]).max() < 1e-6
    probe = KNNProbe(KNNOptions(neighbours=(1,)), 0)
    probe.fit(ProbeSubjects(embeddings, ages), ProbeSubjects(np.zeros((0, 201)), np.zeros(0)))
    other = embeddings.copy()
    other[:, 1:] = 0.5 - 3e-8 * noise[::-1]
    np.testing.assert_allclose(probe.predict(other), ages)


def test_scaling_and_weights() -> None:
    scaling = Scaling.of(np.array([[1.0, 0.1], [3.0, 0.1]]))
    np.testing.assert_array_equal(scaling.apply(np.array([[5.0, 0.1]])), [[3.0, 0.0]])
    np.testing.assert_allclose(class_weights(np.array([0, 0, 0, 2]), 3), [4 / 6, 0, 2])
