"""Checks of metrics: empty, full, one voxel, anisotropic, not finite."""

from __future__ import annotations

import math

import numpy as np

from mribench.errors import MRIBenchError
from mribench.interfaces import Metric, Score, SetMetric
from mribench.seeding import numpy_generator
from mribench.testing.problems import ConformanceError, require

_SHAPE = (9, 11, 12)
_SPACING_MM = (1.0, 1.5, 3.0)


def check_metric(metric: Metric) -> None:
    """Check a metric of masks, or of images when it accepts real values.

    Raises:
        ConformanceError: at the first rule that it breaks.
    """
    require(isinstance(metric, Metric), f"expected a Metric, got {type(metric).__name__}")
    require(bool(getattr(metric, "id", "")), "metric: the attribute 'id' is missing")
    if _takes_images(metric):
        _check_images(metric)
    else:
        require(bool(metric.on_empty), f"metric {metric.id}: 'on_empty' does not say what empty masks give")
        _check_masks(metric)
        _check_empty(metric)


def check_set_metric(metric: SetMetric) -> None:
    """Check a metric over all subjects: predictions that equal the targets have the best score.

    Raises:
        ConformanceError: at the first rule that it breaks.
    """
    require(isinstance(metric, SetMetric), f"expected a SetMetric, got {type(metric).__name__}")
    targets = {f"test:{number}": float(number % 2) for number in range(8)}
    _require_best(metric, metric.score_set(dict(targets), targets))


def _takes_images(metric: Metric) -> bool:
    image = numpy_generator("conformance", "image").normal(size=_SHAPE)
    try:
        metric.score(image, image + 0.1, _SPACING_MM)
    except MRIBenchError:
        return False
    return True


def _check_masks(metric: Metric) -> None:
    one, other = _box(2, 6), _box(3, 8)
    for name, mask in (("box", one), ("voxel", _box(4, 5)), ("full mask", np.ones(_SHAPE, bool))):
        score = metric.score(mask, mask.copy(), _SPACING_MM)
        require(score.status == "ok", f"metric {metric.id}: a {name} against itself is '{score.status}'")
        _require_best(metric, score)
    before = one.copy(), other.copy()
    value = _value(metric, one, other, _SPACING_MM)
    unchanged = bool((one == before[0]).all() and (other == before[1]).all())
    require(unchanged, f"metric {metric.id}: changes the masks that it is given")
    order = (2, 0, 1)
    turned = _value(
        metric, one.transpose(order), other.transpose(order), tuple(_SPACING_MM[i] for i in order)
    )
    require(
        math.isclose(value, turned, rel_tol=1e-6),
        f"metric {metric.id}: turning the volume with its spacing changes the value, {value:g} to {turned:g}",
    )
    _require_refusal(metric, one, other[:-1], "masks of different shapes")


def _check_empty(metric: Metric) -> None:
    mask, empty = _box(2, 6), np.zeros(_SHAPE, bool)
    for prediction, target, status in (
        (empty, mask, "pred-empty"),
        (mask, empty, "ref-empty"),
        (empty, empty, "both-empty"),
    ):
        score = metric.score(prediction, target, _SPACING_MM)
        require(score.status == status, f"metric {metric.id}: status '{score.status}' where it is '{status}'")
        counted = status != "both-empty"
        require(
            math.isfinite(score.penalty) == counted,
            f"metric {metric.id}: the penalty of {status} is {score.penalty}; expected "
            f"{'a number, so that the row counts' if counted else 'NaN, so that the row is left out'}",
        )


def _check_images(metric: Metric) -> None:
    random = numpy_generator("conformance", "image pair")
    image = random.normal(size=_SHAPE)
    noisy, worse = (image + sigma * random.normal(size=_SHAPE) for sigma in (0.1, 0.5))
    _require_best(metric, metric.score(image.copy(), image, _SPACING_MM))
    near, far = _value(metric, noisy, image, _SPACING_MM), _value(metric, worse, image, _SPACING_MM)
    require((near > far) == metric.higher_is_better, f"metric {metric.id}: more noise scores better")
    inside = _box(2, 7)
    masked = metric.score(noisy, image, _SPACING_MM, inside)
    require(math.isfinite(masked.value), f"metric {metric.id}: no finite value inside a mask")
    _require_refusal(metric, image, image[:-1], "images of different shapes")
    broken = image.copy()
    broken[0, 0, 0] = math.nan
    _require_refusal(metric, broken, image, "an image with a NaN")


def _value(metric: Metric, prediction: np.ndarray, target: np.ndarray, spacing: tuple[float, ...]) -> float:
    score = metric.score(prediction, target, spacing)
    low, high = metric.value_range
    require(
        isinstance(score, Score) and low <= score.value <= high,
        f"metric {metric.id}: {score} is not in its range {metric.value_range}",
    )
    return score.value


def _require_best(metric: Metric | SetMetric, score: Score) -> None:
    best = metric.value_range[1] if metric.higher_is_better else metric.value_range[0]
    require(
        math.isclose(score.value, best, abs_tol=1e-9),
        f"metric {metric.id}: a perfect prediction scores {score.value:g}, its best is {best:g}",
    )


def _require_refusal(metric: Metric, prediction: np.ndarray, target: np.ndarray, what: str) -> None:
    try:
        score = metric.score(prediction, target, _SPACING_MM)
    except MRIBenchError:
        return
    except Exception as error:
        raise ConformanceError(
            f"metric {metric.id}: {what} end in {type(error).__name__}, expected a DataError"
        ) from error
    require(
        score.status == "failed", f"metric {metric.id}: {what} score {score.value:g}, expected a DataError"
    )


def _box(start: int, stop: int) -> np.ndarray:
    mask = np.zeros(_SHAPE, bool)
    mask[start:stop, start:stop, start : stop + 1] = True
    return mask
