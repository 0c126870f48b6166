from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from mribench_tasks.metrics import PSNRL1, PSNRRange
from skimage.metrics import peak_signal_noise_ratio

from mribench.errors import DataError
from mribench.interfaces import Metric

UNIT_MM = (1.0, 1.0, 1.0)
BOTH = [PSNRRange(), PSNRL1()]


def pair(seed: int, scale: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return scale * rng.standard_normal((6, 7, 8)), scale * rng.standard_normal((6, 7, 8))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), scale=st.floats(1e-3, 1e3))
def test_scikit_image_agrees(seed: int, scale: float) -> None:
    prediction, target = pair(seed, scale)
    for metric, data_range in ((PSNRRange(), np.ptp(target)), (PSNRL1(), 1.0)):
        expected = peak_signal_noise_ratio(target, prediction, data_range=data_range)
        assert metric.score(prediction, target, UNIT_MM).value == pytest.approx(expected, rel=1e-12)


def test_range_and_error_are_of_the_same_voxels() -> None:
    prediction, target = pair(1)
    mask = np.zeros(target.shape, dtype=bool)
    mask[2:5, 2:5, 2:5] = True
    target[0, 0, 0], prediction[0, 0, 1] = 1000.0, -1000.0  # outside the mask
    inside_prediction, inside_target = prediction[mask], target[mask]
    expected = peak_signal_noise_ratio(inside_target, inside_prediction, data_range=np.ptp(inside_target))
    assert PSNRRange().score(prediction, target, UNIT_MM, mask).value == pytest.approx(expected)
    assert PSNRRange().score(prediction, target, UNIT_MM).value != pytest.approx(expected)


def test_known_values() -> None:
    target = np.zeros((10, 10, 10))
    target[5:] = 4.0
    prediction = target + 0.2
    assert PSNRL1().score(prediction, target, UNIT_MM).value == pytest.approx(20 * math.log10(1 / 0.2))
    assert PSNRRange().score(prediction, target, UNIT_MM).value == pytest.approx(20 * math.log10(4 / 0.2))


def test_doing_nothing_at_sigma_02_scores_as_the_protocol_says() -> None:
    noise = 0.2 * np.random.default_rng(0).standard_normal((64, 64, 64))
    clean = np.random.default_rng(1).standard_normal(noise.shape)
    assert PSNRL1().score(clean + noise, clean, UNIT_MM).value == pytest.approx(13.98, abs=0.03)


def test_range_does_not_depend_on_the_scale_and_l1_does() -> None:
    prediction, target = pair(2)
    for metric, gain_db in ((PSNRRange(), 0.0), (PSNRL1(), -20.0)):
        one = metric.score(prediction, target, UNIT_MM).value
        ten = metric.score(10 * prediction, 10 * target, UNIT_MM).value
        assert ten - one == pytest.approx(gain_db, abs=1e-9)


def test_single_precision_is_averaged_in_double() -> None:
    prediction, target = pair(3)
    single = PSNRRange().score(prediction.astype(np.float32), target.astype(np.float32), UNIT_MM).value
    assert single == pytest.approx(PSNRRange().score(prediction, target, UNIT_MM).value, rel=1e-6)


def test_equal_images_are_infinitely_good_and_no_contrast_fails() -> None:
    _, target = pair(4)
    for metric in BOTH:
        assert metric.score(target, target, UNIT_MM).value == math.inf
    flat = PSNRRange().score(target, np.ones_like(target), UNIT_MM)
    assert flat.status == "failed"
    assert math.isnan(flat.value)
    assert math.isnan(flat.penalty)


@pytest.mark.parametrize("metric", BOTH, ids=lambda metric: metric.id)
def test_what_cannot_be_compared_is_an_error(metric: Metric) -> None:
    prediction, target = pair(5)
    with pytest.raises(DataError, match=r"shape \(6, 7, 8\), got \(6, 7, 7\)"):
        metric.score(prediction[..., :-1], target, UNIT_MM)
    with pytest.raises(DataError, match="got 2 axes"):
        metric.score(prediction[0], target[0], UNIT_MM)
    with pytest.raises(DataError, match="boolean mask"):
        metric.score(prediction, target, UNIT_MM, np.ones(target.shape))
    with pytest.raises(DataError, match="boolean mask"):
        metric.score(prediction, target, UNIT_MM, np.ones((6, 7, 7), dtype=bool))
    with pytest.raises(DataError, match="is empty"):
        metric.score(prediction, target, UNIT_MM, np.zeros(target.shape, dtype=bool))
    prediction[0, 0, 0] = math.nan
    with pytest.raises(DataError, match="predicted image has 1 voxels"):
        metric.score(prediction, target, UNIT_MM)
    inside = np.ones(target.shape, dtype=bool)
    inside[0, 0, 0] = False
    assert math.isfinite(metric.score(prediction, target, UNIT_MM, inside).value)
