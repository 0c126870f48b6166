"""Checks of probes."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor

from mribench.interfaces import Probe, ProbeSubjects
from mribench.seeding import numpy_generator
from mribench.testing.problems import require, require_no_global_randomness

_TRAINING, _VALIDATION, _TEST, _DIMENSIONS = 30, 12, 9, 7
_NOISE = 0.2
_BETTER_THAN = 0.8
"""Share of the error of a constant prediction that an easy relation is to be predicted with."""


def check_probe(make: Callable[[int], Probe], n_classes: tuple[int, ...] = (0, 2, 3)) -> None:
    """Check a probe: predictions, state, and that nothing else than the data decides.

    Args:
        make: builds a new probe for a number of classes, 0 for numbers.
        n_classes: to try; a probe of one task may take one alone.

    Raises:
        ConformanceError: at the first rule that it breaks.
    """
    for number in n_classes:
        what = f"probe of {number} classes" if number else "probe of numbers"
        training, validation, test = (
            _draw_subjects(number, role, count)
            for role, count in (("train", _TRAINING), ("check", _VALIDATION), ("test", _TEST))
        )
        nobody = ProbeSubjects(np.zeros((0, _DIMENSIONS)), np.zeros(0))
        for chosen_on in (validation, nobody):
            _check_fit(make, number, training, chosen_on, test, what)
        _check_few(make, number, training, nobody, test, what)


def _draw_subjects(n_classes: int, role: str, count: int) -> ProbeSubjects:
    """Return subjects whose targets are in most dimensions, with little noise; the last one is constant."""
    generator = numpy_generator("conformance", "probe", role)
    signal = generator.permutation(np.linspace(-2, 2, count))
    loadings = np.linspace(-1, 1, _DIMENSIONS)
    embeddings = signal[:, None] * loadings + _NOISE * generator.normal(size=(count, _DIMENSIONS))
    embeddings[:, -1] = 3.0
    if not n_classes:
        return ProbeSubjects(embeddings, 50 + 10 * signal)
    places = np.argsort(np.argsort(signal))
    return ProbeSubjects(embeddings, (places * n_classes // count).astype(float))


def _check_fit(
    make: Callable[[int], Probe],
    n_classes: int,
    training: ProbeSubjects,
    validation: ProbeSubjects,
    test: ProbeSubjects,
    what: str,
) -> None:
    probe = _fit(make, n_classes, training, validation, what)
    predicted = _predict(probe, test.embeddings, n_classes, what)
    again = _fit(make, n_classes, training, validation, what)
    require(
        np.array_equal(predicted, again.predict(test.embeddings)), f"{what}: fitted again, it predicts others"
    )
    _check_state(make, n_classes, probe.state(), test, predicted, what)
    wanted = np.eye(n_classes)[test.targets.astype(int)] if n_classes else test.targets
    constant = wanted.mean(axis=0)
    error, usual = (float(((values - wanted) ** 2).mean()) for values in (predicted, constant))
    require(
        error < _BETTER_THAN * usual,
        f"{what}: on an easy relation its mean squared error is {error:.3g}, that of a constant {usual:.3g}",
    )


def _fit(
    make: Callable[[int], Probe],
    n_classes: int,
    training: ProbeSubjects,
    validation: ProbeSubjects,
    what: str,
) -> Probe:
    probe = make(n_classes)
    require(isinstance(probe, Probe), f"{what}: expected a Probe, got {type(probe).__name__}")
    before = [part.copy() for group in (training, validation) for part in (group.embeddings, group.targets)]
    require_no_global_randomness(lambda: probe.fit(training, validation), f"{what}: fit()")
    after = [part for group in (training, validation) for part in (group.embeddings, group.targets)]
    unchanged = all(np.array_equal(one, other) for one, other in zip(before, after, strict=True))
    require(unchanged, f"{what}: fit() changes the arrays that it is given")
    return probe


def _predict(probe: Probe, embeddings: np.ndarray, n_classes: int, what: str) -> np.ndarray:
    predicted = probe.predict(embeddings)
    expected = (len(embeddings), n_classes) if n_classes else (len(embeddings),)
    require(
        isinstance(predicted, np.ndarray) and predicted.shape == expected,
        f"{what}: predict() gives the shape {np.shape(predicted)}, expected {expected}",
    )
    require(bool(np.isfinite(predicted).all()), f"{what}: predict() gives values that are not finite")
    if n_classes:
        sums = predicted.sum(axis=1)
        inside = bool(((predicted >= 0) & (predicted <= 1)).all())
        require(inside and np.allclose(sums, 1), f"{what}: predict() gives no probabilities")
    return predicted


def _check_state(
    make: Callable[[int], Probe],
    n_classes: int,
    state: Mapping[str, Tensor],
    test: ProbeSubjects,
    predicted: np.ndarray,
    what: str,
) -> None:
    tensors = bool(state) and all(isinstance(value, torch.Tensor) for value in state.values())
    require(tensors, f"{what}: state() is empty, or has what is no tensor")
    fresh = make(n_classes)
    fresh.load({name: value.clone() for name, value in state.items()})
    same = np.array_equal(fresh.predict(test.embeddings), predicted)
    require(same, f"{what}: a new one with its state predicts something else")


def _check_few(
    make: Callable[[int], Probe],
    n_classes: int,
    training: ProbeSubjects,
    nobody: ProbeSubjects,
    test: ProbeSubjects,
    what: str,
) -> None:
    """Fit on two subjects with two targets, and of classes on all but the last one."""
    ends = [int(training.targets.argmin()), int(training.targets.argmax())]
    few = [ends]
    if n_classes > 2:
        few.append(np.flatnonzero(training.targets < n_classes - 1).tolist())
    for places in few:
        part = ProbeSubjects(training.embeddings[places], training.targets[places])
        _predict(_fit(make, n_classes, part, nobody, what), test.embeddings, n_classes, what)
