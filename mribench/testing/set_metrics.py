"""Checks of metrics of whole sets: value, components, order, ties, one class, what is not finite."""

from __future__ import annotations

import math

import numpy as np

from mribench.errors import DataError
from mribench.interfaces import SetMetric, SetScore
from mribench.seeding import numpy_generator
from mribench.testing.metrics import check_attributes
from mribench.testing.problems import ConformanceError, require, require_no_global_randomness

_SUBJECTS = 60
_CLASSES = 3
_RESAMPLES = 200
_SPREAD = (0.5, 2.0)
"""How many times the variance that resampling subjects gives that of the components may be."""


def check_set_metric(metric: SetMetric) -> None:
    """Check a metric of whole sets.

    Tried are predictions that are fair, perfect, constant, tied and not finite, subjects in another order, of
    one class or alike, one alone, and arrays that do not fit; that nothing given is changed and nothing drawn
    from a global generator; that the mean of the components is the value, and that their spread is that of
    the value when other subjects are drawn (by a bootstrap, within a factor of two).

    Raises:
        ConformanceError: at the first rule that it breaks.
    """
    require(isinstance(metric, SetMetric), f"expected a SetMetric, got {type(metric).__name__}")
    check_attributes(metric)
    kind = getattr(metric, "of", "")
    require(
        kind in ("classes", "numbers"), f"metric {metric.id}: 'of' is {kind!r}, expected classes or numbers"
    )
    predictions, targets = _draw_fair(metric)
    score = _score(metric, predictions, targets, "fair predictions")
    require(score.status == "ok", f"metric {metric.id}: fair predictions are '{score.status}', expected ok")
    _check_spread(metric, predictions, targets, score)
    _check_order(metric, predictions, targets, score)
    _check_ends(metric, targets)
    _check_odd_sets(metric, predictions, targets)
    _check_refused(metric, predictions, targets)


def _draw_fair(metric: SetMetric) -> tuple[np.ndarray, np.ndarray]:
    """Return predictions and targets of subjects, neither perfect nor without worth."""
    random = numpy_generator("conformance", "set", metric.of)
    if metric.of == "numbers":
        targets = 50 + 10 * random.normal(size=_SUBJECTS)
        return targets + 8 * random.normal(size=_SUBJECTS), targets
    classes = np.arange(_SUBJECTS) % _CLASSES
    scores = 1.2 * np.eye(_CLASSES)[classes] + random.normal(size=(_SUBJECTS, _CLASSES))
    return _make_probabilities(scores), classes.astype(float)


def _make_probabilities(scores: np.ndarray) -> np.ndarray:
    shares = np.exp(scores)
    probabilities: np.ndarray = shares / shares.sum(axis=1, keepdims=True)
    return probabilities


def _check_spread(metric: SetMetric, predictions: np.ndarray, targets: np.ndarray, score: SetScore) -> None:
    random = numpy_generator("conformance", "set", "resampled")
    values = []
    for _ in range(_RESAMPLES):
        drawn = random.integers(0, _SUBJECTS, _SUBJECTS)
        values.append(metric.score_set(predictions[drawn], targets[drawn]).value)
    resampled = float(np.nanvar(values, ddof=1))
    said = float(score.components.var(ddof=1)) / _SUBJECTS
    low, high = (factor * resampled for factor in _SPREAD)
    require(
        low <= said <= high,
        f"metric {metric.id}: by its components the value varies by {math.sqrt(said):.3g} from set to set, by"
        f" resampling subjects {math.sqrt(resampled):.3g}: its intervals would not hold",
    )


def _check_order(metric: SetMetric, predictions: np.ndarray, targets: np.ndarray, score: SetScore) -> None:
    order = numpy_generator("conformance", "set", "order").permutation(_SUBJECTS)
    moved = _score(metric, predictions[order], targets[order], "subjects in another order")
    same = np.allclose(moved.components, score.components[order], rtol=1e-9, atol=1e-9)
    require(
        same and math.isclose(moved.value, score.value, rel_tol=1e-9, abs_tol=1e-12),
        f"metric {metric.id}: subjects in another order have another value, or other components",
    )


def _check_ends(metric: SetMetric, targets: np.ndarray) -> None:
    """Check what is perfect, and what says the same of everybody."""
    classes = metric.of == "classes"
    perfect = np.eye(_CLASSES)[targets.astype(int)] if classes else targets.copy()
    best = metric.value_range[1] if metric.higher_is_better else metric.value_range[0]
    score = _score(metric, perfect, targets, "perfect predictions")
    require(
        math.isclose(score.value, best, abs_tol=1e-9),
        f"metric {metric.id}: a perfect prediction scores {score.value:g}, its best is {best:g}",
    )
    constant = np.full(perfect.shape, 1 / _CLASSES if classes else float(targets.mean()))
    _score(metric, constant, targets, "constant predictions")


def _check_odd_sets(metric: SetMetric, predictions: np.ndarray, targets: np.ndarray) -> None:
    """Try what a definition may have no value for: it has one, or says ``failed`` and why."""
    digits = 1 if metric.of == "classes" else -1
    for chosen, expected, what in (
        (np.round(predictions, digits), targets, "tied predictions"),
        (predictions, np.full(_SUBJECTS, targets[0]), "subjects with one target"),
        (predictions[:1], targets[:1], "one subject"),
        (predictions[:3], targets[:3], "three subjects"),
    ):
        _score(metric, chosen, expected, what)


def _check_refused(metric: SetMetric, predictions: np.ndarray, targets: np.ndarray) -> None:
    for number in (math.nan, math.inf):
        for side, what in ((0, "prediction"), (1, "target")):
            given, expected = predictions.copy(), targets.copy()
            (given, expected)[side][4] = number
            _require_refusal(metric, given, expected, f"a {what} that is {number}")
    _require_refusal(metric, predictions[:-1], targets, "fewer predictions than targets")
    _require_refusal(metric, predictions, targets[:, None], "targets of two axes")
    _require_refusal(metric, predictions[:0], targets[:0], "no subject")
    other = targets.copy() if metric.of == "classes" else predictions[:, None]
    _require_refusal(metric, other, targets, f"predictions that are no {metric.of}")


def _require_refusal(metric: SetMetric, predictions: np.ndarray, targets: np.ndarray, what: str) -> None:
    try:
        score = metric.score_set(predictions, targets)
    except DataError:
        return
    except Exception as error:
        raise _find_wrong_end(metric, what, error) from error
    raise ConformanceError(f"metric {metric.id}: {what} scores {score.value:g}, expected a DataError")


def _find_wrong_end(metric: SetMetric, what: str, error: Exception) -> ConformanceError:
    return ConformanceError(f"metric {metric.id}: {what} ends in {type(error).__name__}: {error}")


def _score(metric: SetMetric, predictions: np.ndarray, targets: np.ndarray, what: str) -> SetScore:
    """Return a score after the checks that hold for every set that can be read."""
    before = [predictions.copy(), targets.copy()]
    drawn = np.random.get_state(legacy=False)  # noqa: NPY002 - it is to stay as it is
    try:
        score, again = (
            require_no_global_randomness(
                lambda: metric.score_set(predictions, targets), f"metric {metric.id}"
            )
            for _ in range(2)
        )
    except ConformanceError:
        raise
    except Exception as error:
        raise _find_wrong_end(metric, what, error) from error
    left = np.random.get_state(legacy=False)  # noqa: NPY002
    same = all(np.array_equal(left["state"][key], drawn["state"][key]) for key in ("key", "pos"))
    require(same, f"metric {metric.id}: uses NumPy's global random state")
    unchanged = all(map(np.array_equal, (predictions, targets), before))
    require(unchanged, f"metric {metric.id}: changes the arrays that it is given")
    require(
        isinstance(score, SetScore), f"metric {metric.id}: gives {type(score).__name__}, expected a SetScore"
    )
    twice = np.array_equal(score.components, again.components, equal_nan=True)
    require(twice, f"metric {metric.id}: scores {what} differently each time")
    _require_sense(metric, score, len(targets), what)
    return score


def _require_sense(metric: SetMetric, score: SetScore, n_subjects: int, what: str) -> None:
    shape = score.components.shape
    require(
        shape == (n_subjects,),
        f"metric {metric.id}: {what} give components of shape {shape}, expected one for each subject",
    )
    require(
        bool(score.reason) == (score.status != "ok"),
        f"metric {metric.id}: {what} are '{score.status}' for the reason {score.reason!r}",
    )
    if score.status == "failed":
        nothing = math.isnan(score.value) and bool(np.isnan(score.components).all())
        require(nothing, f"metric {metric.id}: {what} are 'failed' and score {score.value:g}, expected NaN")
        return
    require(score.status in ("ok", "few"), f"metric {metric.id}: {what} have the status '{score.status}'")
    low, high = metric.value_range
    slack = 1e-9 * max(1.0, abs(score.value))
    require(
        low - slack <= score.value <= high + slack,
        f"metric {metric.id}: {what} score {score.value:g}, which is not in its range {metric.value_range}",
    )
    mean = float(score.components.mean())
    require(
        math.isclose(mean, score.value, rel_tol=1e-9, abs_tol=1e-9),
        f"metric {metric.id}: {what} score {score.value:g}, and their components have the mean {mean:g}",
    )
