"""Checks of metrics: empty, full, one voxel, anisotropic, not finite."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Sequence

import numpy as np

from mribench.errors import MRIBenchError
from mribench.interfaces import Metric, Score, SetMetric
from mribench.seeding import numpy_generator
from mribench.testing.problems import ConformanceError, require, require_no_global_randomness

_SHAPE = (13, 15, 14)
_SPACING_MM = (1.0, 1.5, 3.0)
_ID = re.compile(r"[a-z0-9]+([-.:][a-z0-9]+)*")
_ORDER = (2, 0, 1)


def check_metric(metric: Metric) -> None:
    """Check a metric of masks, or of images when it accepts real values.

    Tried are empty, full and single-voxel masks, anisotropic voxels, NaN and infinity, other shapes and
    types; that nothing given is changed and nothing drawn from a global generator; that values lie in
    ``value_range`` and count as themselves; that one empty mask counts as a value of that range, no better
    than the worst of any pair of masks that is tried, and that two empty masks do not count.

    Raises:
        ConformanceError: at the first rule that it breaks.
    """
    require(isinstance(metric, Metric), f"expected a Metric, got {type(metric).__name__}")
    check_attributes(metric)
    if _can_take_images(metric):
        _check_images(metric)
        _check_odd_images(metric)
    else:
        require(bool(metric.on_empty), f"metric {metric.id}: 'on_empty' does not say what empty masks give")
        values = _check_masks(metric)
        _check_spacing(metric)
        _check_empty(metric, values)
        _check_refused_masks(metric)


def check_attributes(metric: Metric | SetMetric) -> None:
    """Require an id, and a range that is one."""
    name = getattr(metric, "id", "")
    require(bool(name), "metric: the attribute 'id' is missing")
    require(
        bool(_ID.fullmatch(name)),
        f"metric {name!r}: an id is lower case, its parts joined by ':', '-' or '.', as 'distance:mean'",
    )
    low, high = metric.value_range
    require(low < high, f"metric {name}: 'value_range' is {metric.value_range}, expected smallest < largest")


def _can_take_images(metric: Metric) -> bool:
    image = numpy_generator("conformance", "image").normal(size=_SHAPE)
    try:
        metric.score(image, image + 0.1, _SPACING_MM)
    except Exception:  # noqa: BLE001 - whether the refusal is a proper one is checked later
        return False
    return True


def _check_masks(metric: Metric) -> list[float]:
    """Check pairs of masks of which neither is empty; return their values."""
    values = []
    voxel, full = _make_box(4, 5), np.ones(_SHAPE, bool)
    for name, mask in (("box", _make_box(2, 6)), ("voxel", voxel), ("full mask", full)):
        score = _score(metric, mask, mask.copy(), f"a {name} against itself")
        require(score.status == "ok", f"metric {metric.id}: a {name} against itself is '{score.status}'")
        _require_best(metric, score)
        values.append(score.value)
    first, corner = np.zeros((2, *_SHAPE), bool)
    first[0, 0, 0] = corner[-1, -1, -1] = True
    for one, other, what in (
        (_make_box(2, 6), _make_box(3, 8), "two boxes"),
        (voxel, corner, "two voxels apart"),
        (voxel, full, "a voxel and a full mask"),
        (first, corner, "two voxels in opposite corners"),
    ):
        for prediction, target in ((one, other), (other, one)):
            score = _score(metric, prediction, target, what)
            usable = score.status == "ok" and math.isfinite(score.value)
            require(usable, f"metric {metric.id}: {what} score {score.value:g} with status '{score.status}'")
            values.append(score.value)
    return values


def _check_spacing(metric: Metric) -> None:
    one, other = _make_box(2, 6), _make_box(3, 8)
    value = _score(metric, one, other, "two boxes").value
    _require_turns(metric, value, one, other)
    if metric.unit == "mm":
        doubled = metric.score(one, other, tuple(2 * edge for edge in _SPACING_MM)).value
        require(
            math.isclose(doubled, 2 * value, rel_tol=1e-6),
            f"metric {metric.id}: is in mm, but voxels of twice the size change {value:g} to {doubled:g}",
        )


def _check_empty(metric: Metric, values: Sequence[float]) -> None:
    """Check what empty masks give; ``values`` are those of pairs on the same grid that are not empty."""
    mask, empty = _make_box(2, 6), np.zeros(_SHAPE, bool)
    for prediction, target, status in (
        (empty, mask, "pred-empty"),
        (mask, empty, "ref-empty"),
        (empty, empty, "both-empty"),
    ):
        score = _score(metric, prediction, target, status)
        require(score.status == status, f"metric {metric.id}: status '{score.status}' where it is '{status}'")
        if status == "both-empty":
            require(
                math.isnan(score.penalty),
                f"metric {metric.id}: the penalty of {status} is {score.penalty}; expected NaN, so that the"
                " row is left out",
            )
        else:
            _require_penalty(metric, score, values)


def _require_penalty(metric: Metric, score: Score, values: Sequence[float]) -> None:
    """Require that an empty mask costs as much as the worst of ``values``: missing all must not pay."""
    what = f"metric {metric.id}: the penalty of {score.status} is {score.penalty:g}"
    require(math.isfinite(score.penalty), f"{what}; expected a number, so that the row counts")
    low, high = metric.value_range
    require(low <= score.penalty <= high, f"{what}, which is not in its range {metric.value_range}")
    worst = min(values) if metric.higher_is_better else max(values)
    better = score.penalty > worst if metric.higher_is_better else score.penalty < worst
    require(
        not better or math.isclose(score.penalty, worst, rel_tol=1e-9, abs_tol=1e-9),
        f"{what}, better than {worst:g}, which two masks of the same grid score; expected that or worse",
    )


def _check_refused_masks(metric: Metric) -> None:
    mask = _make_box(2, 6)
    _require_shapes(metric, mask, "masks")
    for value in (1.0, math.nan, math.inf):
        real = np.where(mask, value, 0.0)
        for pair in ((real, mask), (mask, real)):
            _require_refusal(metric, *pair, f"a real-valued array with {value} for a mask")


def _check_images(metric: Metric) -> None:
    random = numpy_generator("conformance", "image pair")
    image = random.normal(size=_SHAPE)
    noisy, worse = (image + sigma * random.normal(size=_SHAPE) for sigma in (0.1, 0.5))
    _require_best(metric, _score(metric, image.copy(), image, "an image against itself"))
    near, far = (_score(metric, other, image, "a noisy image").value for other in (noisy, worse))
    require((near > far) == metric.higher_is_better, f"metric {metric.id}: more noise scores better")
    masked = _score(metric, noisy, image, "an image inside a mask", _make_box(2, 8))
    require(math.isfinite(masked.value), f"metric {metric.id}: no finite value inside a mask")
    _require_turns(metric, near, noisy, image)
    _require_shapes(metric, image, "images")
    for value, side in itertools.product((math.nan, math.inf, -math.inf), ("prediction", "reference")):
        broken = image.copy()
        broken[6, 7, 8] = value
        pair = (broken, noisy) if side == "prediction" else (noisy, broken)
        _require_refusal(metric, *pair, f"an image with {value} in the {side}")


def _check_odd_images(metric: Metric) -> None:
    """Try what a definition may have no value for: it has one, says ``failed`` or raises a DataError."""
    image = numpy_generator("conformance", "odd image").normal(size=_SHAPE)
    flat = np.full(_SHAPE, 0.5)
    for prediction, target, mask, what in (
        (image, flat, None, "a reference without contrast"),
        (flat, image, None, "a prediction without contrast"),
        (image, flat + image, _make_box(4, 5), "a mask of a few voxels"),
        (image, flat + image, _make_box(4, 4), "an empty mask"),
    ):
        try:
            _score(metric, prediction, target, what, mask)
        except MRIBenchError:
            continue
        except ConformanceError:
            raise
        except Exception as error:
            raise _find_wrong_end(metric, what, error) from error


def _score(
    metric: Metric, prediction: np.ndarray, target: np.ndarray, what: str, mask: np.ndarray | None = None
) -> Score:
    """Return a score after the checks that hold for every call."""
    given = [array for array in (prediction, target, mask) if array is not None]
    before = [array.copy() for array in given]
    drawn = np.random.get_state(legacy=False)  # noqa: NPY002 - it is to stay as it is
    score, again = (
        require_no_global_randomness(
            lambda: metric.score(prediction, target, _SPACING_MM, mask), f"metric {metric.id}"
        )
        for _ in range(2)
    )
    left = np.random.get_state(legacy=False)  # noqa: NPY002
    same = all(np.array_equal(left["state"][key], drawn["state"][key]) for key in ("key", "pos"))
    require(same, f"metric {metric.id}: uses NumPy's global random state")
    unchanged = all(np.array_equal(one, other) for one, other in zip(given, before, strict=True))
    require(unchanged, f"metric {metric.id}: changes the arrays that it is given")
    require(isinstance(score, Score), f"metric {metric.id}: gives {type(score).__name__}, expected a Score")
    twice = np.array_equal((score.value, score.penalty), (again.value, again.penalty), equal_nan=True)
    require(
        twice and score.status == again.status, f"metric {metric.id}: scores {what} differently each time"
    )
    _require_sense(metric, score, what)
    return score


def _require_sense(metric: Metric, score: Score, what: str) -> None:
    low, high = metric.value_range
    inside = low <= score.value <= high
    require(
        inside if score.status == "ok" else inside or math.isnan(score.value),
        f"metric {metric.id}: {what} score {score.value:g}, which is not in its range {metric.value_range}",
    )
    require(
        score.status != "ok" or score.penalty == score.value,
        f"metric {metric.id}: {what} score {score.value:g} with status ok, and count as {score.penalty:g}",
    )
    require(
        score.status != "failed" or math.isnan(score.value),
        f"metric {metric.id}: {what} are 'failed' and score {score.value:g}, expected NaN",
    )


def _require_best(metric: Metric, score: Score) -> None:
    best = metric.value_range[1] if metric.higher_is_better else metric.value_range[0]
    require(
        math.isclose(score.value, best, abs_tol=1e-9),
        f"metric {metric.id}: a perfect prediction scores {score.value:g}, its best is {best:g}",
    )


def _require_turns(metric: Metric, value: float, prediction: np.ndarray, target: np.ndarray) -> None:
    spacing_mm = tuple(_SPACING_MM[axis] for axis in _ORDER)
    turned = metric.score(prediction.transpose(_ORDER), target.transpose(_ORDER), spacing_mm).value
    require(
        math.isclose(value, turned, rel_tol=1e-6),
        f"metric {metric.id}: turning the volume with its spacing changes the value, {value:g} to {turned:g}",
    )


def _require_shapes(metric: Metric, array: np.ndarray, what: str) -> None:
    """Require that arrays of two shapes are refused, whichever is the smaller, and arrays of two axes."""
    for pair in ((array, array[:-1]), (array[:-1], array), (array, array[:1]), (array[:1], array)):
        _require_refusal(metric, *pair, f"{what} of different shapes")
    _require_refusal(metric, array[0], array, f"{what} of two and three axes")


def _require_refusal(metric: Metric, prediction: np.ndarray, target: np.ndarray, what: str) -> None:
    try:
        score = metric.score(prediction, target, _SPACING_MM)
    except MRIBenchError:
        return
    except Exception as error:
        raise _find_wrong_end(metric, what, error) from error
    require(
        score.status == "failed" and math.isnan(score.value),
        f"metric {metric.id}: {what} score {score.value:g}, expected a DataError",
    )


def _find_wrong_end(metric: Metric, what: str, error: Exception) -> ConformanceError:
    return ConformanceError(f"metric {metric.id}: {what} end in {type(error).__name__}, expected a DataError")


def _make_box(start: int, stop: int) -> np.ndarray:
    mask = np.zeros(_SHAPE, bool)
    mask[start:stop, start:stop, start : stop + (stop > start + 1)] = True
    return mask
