"""SSIM, MAE and the metrics over the whole volume."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from monai.metrics import PSNRMetric, SSIMMetric
from mribench_tasks.metrics import ENTRIES, MAE, PSNRL1, SSIM, PSNRRange
from skimage.metrics import structural_similarity

from mribench.errors import DataError
from mribench.interfaces import Metric, NoOptions

UNIT_MM = (1.0, 1.0, 1.0)
SHAPE = (14, 12, 13)
WHOLE = {entry.name: entry.factory(NoOptions()) for entry in ENTRIES if entry.name.endswith(":whole")}


def pair(seed: int, noise: float = 0.3, scale: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    target = scale * rng.standard_normal(SHAPE)
    return target + scale * noise * rng.standard_normal(SHAPE), target


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), noise=st.floats(0.01, 3), scale=st.floats(1e-3, 1e3))
def test_scikit_image_agrees(seed, noise, scale):
    prediction, target = pair(seed, noise, scale)
    expected = structural_similarity(
        target,
        prediction,
        data_range=np.ptp(target),
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    assert SSIM().score(prediction, target, UNIT_MM).value == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_monai_agrees(seed):
    prediction, target = pair(seed)
    batches = [torch.from_numpy(image)[None, None].float() for image in (prediction, target)]
    span = float(np.ptp(target))
    ssim = SSIMMetric(3, data_range=span, win_size=11, kernel_sigma=1.5)(*batches).item()
    assert SSIM().score(prediction, target, UNIT_MM).value == pytest.approx(ssim, rel=1e-4)
    psnr = PSNRMetric(max_val=span)(*batches).item()
    assert PSNRRange().score(prediction, target, UNIT_MM).value == pytest.approx(psnr, rel=1e-5)
    assert PSNRL1().score(prediction, target, UNIT_MM).value == pytest.approx(
        PSNRMetric(max_val=1.0)(*batches).item(), rel=1e-5
    )


def test_ssim_of_one_window_by_its_formula():
    rng = np.random.default_rng(4)
    x, y = rng.standard_normal((2, 11, 11, 11))
    line = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    weights = line[:, None, None] * line[:, None] * line
    weights /= weights.sum()
    mean = lambda image: float((weights * image).sum())  # noqa: E731
    a, b = mean(x), mean(y)
    c1, c2 = (0.01 * np.ptp(y)) ** 2, (0.03 * np.ptp(y)) ** 2
    covariance = mean((x - a) * (y - b))
    variances = mean((x - a) ** 2) + mean((y - b) ** 2)
    expected = (2 * a * b + c1) * (2 * covariance + c2) / ((a**2 + b**2 + c1) * (variances + c2))
    assert SSIM().score(x, y, UNIT_MM).value == pytest.approx(expected, rel=1e-10)


def test_ssim_in_a_mask_has_its_range_and_its_mean_from_the_mask():
    prediction, target = pair(5)
    target[0, 0, 0] = 100.0  # outside the mask: does not widen the range
    mask = np.zeros(SHAPE, dtype=bool)
    mask[3:9, 4:8, 2:9] = True
    _, similarity = structural_similarity(
        target,
        prediction,
        data_range=np.ptp(target[mask]),
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        full=True,
    )
    inner = np.zeros_like(mask)
    inner[5:-5, 5:-5, 5:-5] = True
    found = SSIM().score(prediction, target, UNIT_MM, mask).value
    assert found == pytest.approx(similarity[mask & inner].mean(), rel=1e-9)
    assert found != pytest.approx(SSIM().score(prediction, target, UNIT_MM).value)


def test_what_ssim_has_no_value_for():
    prediction, target = pair(6)
    flat = SSIM().score(prediction, np.ones(SHAPE), UNIT_MM)
    assert flat.status == "failed"
    rim = np.zeros(SHAPE, dtype=bool)
    rim[0] = True
    no_window = SSIM().score(prediction, target, UNIT_MM, rim)
    assert no_window.status == "failed"
    assert math.isnan(flat.value)
    assert math.isnan(no_window.value)
    with pytest.raises(DataError, match="11 voxels or more"):
        SSIM().score(prediction[:10], target[:10], UNIT_MM)
    prediction[0, 0, 0] = math.nan
    inside = ~rim
    with pytest.raises(DataError, match="predicted image has 1 voxels"):
        SSIM().score(prediction, target, UNIT_MM, inside)


def test_mae_by_hand():
    target = np.zeros(SHAPE)
    prediction = target.copy()
    prediction[:7] = -2.0
    assert MAE().score(prediction, target, UNIT_MM).value == pytest.approx(1.0)
    mask = np.zeros(SHAPE, dtype=bool)
    mask[6:8] = mask[13] = True
    assert MAE().score(prediction, target, UNIT_MM, mask).value == pytest.approx(2 / 3)


@pytest.mark.parametrize("name", WHOLE)
def test_whole_is_the_other_metric_without_the_mask(name):
    prediction, target = pair(7)
    whole, other = WHOLE[name], {m.id: m for m in (PSNRRange(), PSNRL1(), SSIM(), MAE())}[name[:-6]]
    mask = np.zeros(SHAPE, dtype=bool)
    mask[5:9, 5:7, 5:8] = True
    assert whole.score(prediction, target, UNIT_MM, mask) == other.score(prediction, target, UNIT_MM)
    assert whole.score(prediction, target, UNIT_MM) != other.score(prediction, target, UNIT_MM, mask)
    for field in ("unit", "higher_is_better", "value_range", "on_empty"):
        assert getattr(whole, field) == getattr(other, field)
    assert whole.id == name


@pytest.mark.parametrize("metric", [SSIM(), MAE(), *WHOLE.values()], ids=lambda metric: metric.id)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_not_finite_is_an_error_that_says_where(metric: Metric, value: float):
    for side, name in ((0, "predicted"), (1, "reference")):
        images = list(pair(8))
        images[side][2, 3, 4] = value
        with pytest.raises(DataError, match=f"the {name} image has 1 voxels that are NaN or infinite"):
            metric.score(*images, UNIT_MM)
