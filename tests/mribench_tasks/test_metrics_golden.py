"""Values of independent public implementations; see tests/golden/golden_inputs.py."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from golden.golden_inputs import edge_pairs, image_pair, mask_digest, segmentation_pair
from mribench_tasks.metrics import (
    ASSD,
    MASD,
    NSD,
    PSNRL1,
    SSIM,
    Dice,
    HD95MaxDirected,
    HD95Pooled,
    HD95Surfel,
    LesionF1,
    LesionF1Options,
    PSNRRange,
)

from mribench.interfaces import Metric

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "metrics.json").read_text())
EDGES = edge_pairs()
MASK_CASES = [*GOLDEN["seg"], *GOLDEN["edge"]]
STATUS = {"e0": "both-empty", "e1": "pred-empty", "e2": "ref-empty"}


def masks_of(case: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    return segmentation_pair(case) if "seed" in case else EDGES[case["id"][:2]]


def number(value: float | str) -> float:
    return float(value)


@pytest.mark.parametrize("case", MASK_CASES, ids=lambda case: case["id"])
def test_inputs_are_the_ones_the_values_belong_to(case: dict[str, Any]) -> None:
    reference, prediction = masks_of(case)
    assert (int(reference.sum()), int(prediction.sum())) == (case["n_ref"], case["n_pred"])
    assert mask_digest(reference) == case["sha_ref"]
    assert mask_digest(prediction) == case["sha_pred"]


@pytest.mark.parametrize("case", MASK_CASES, ids=lambda case: case["id"])
def test_dice(case: dict[str, Any]) -> None:
    reference, prediction = masks_of(case)
    score = Dice().score(prediction, reference, case["spacing"])
    expected = number(case["metrics"]["dice_numpy"])
    assert score.value == pytest.approx(expected, rel=1e-9, abs=1e-9, nan_ok=True)
    assert score.status == STATUS.get(case["id"][:2], "ok")
    monai = number(case["metrics"]["dice_monai_ignore_empty"])
    if not math.isnan(monai):
        assert score.value == pytest.approx(monai, rel=1e-5)


@pytest.mark.parametrize("case", MASK_CASES, ids=lambda case: case["id"])
def test_hd95_max_directed(case: dict[str, Any]) -> None:
    reference, prediction = masks_of(case)
    score = HD95MaxDirected().score(prediction, reference, case["spacing"])
    metrics = case["metrics"]
    assert score.status == STATUS.get(case["id"][:2], "ok")
    assert score.value == pytest.approx(number(metrics["hd95_maxdirected_monai"]), rel=1e-5, nan_ok=True)
    if score.status == "both-empty":
        assert math.isnan(score.penalty)
    elif score.status == "ok":
        other = number(metrics["hd95_maxdirected_metricsreloaded"])
        assert score.value == pytest.approx(other, rel=1e-9, abs=1e-9)
        assert score.penalty == score.value
    else:
        assert score.penalty == pytest.approx(metrics["image_diagonal_mm"], rel=1e-9)


EXACT, SINGLE = 1e-9, 1e-5  # the tolerances that the file names: of double and of single precision
OTHERS: list[tuple[Metric, str, float]] = [
    (HD95Pooled(), "hd95_pooled_medpy", EXACT),
    (HD95Surfel(), "hd95_surfel_deepmind", EXACT),
    (ASSD(), "assd_pooled_medpy", EXACT),
    (ASSD(), "assd_metricsreloaded", EXACT),
    (ASSD(), "assd_pooled_monai", SINGLE),
    (MASD(), "masd_meanofmeans_metricsreloaded", EXACT),
    (NSD(), "nsd_2mm_metricsreloaded", EXACT),
    (NSD(), "nsd_2mm_voxelborder_monai", SINGLE),
]


def test_the_tolerances_are_the_ones_of_the_file() -> None:
    assert GOLDEN["tolerances"]["float64_libs"].startswith("rtol 1e-9 + 1e-9")
    assert GOLDEN["tolerances"]["monai_float32"] == "rtol 1e-5"


@pytest.mark.parametrize("case", MASK_CASES, ids=lambda case: case["id"])
@pytest.mark.parametrize(
    ("metric", "key", "tolerance"), OTHERS, ids=lambda value: str(getattr(value, "id", value))
)
def test_other_border_definitions(case: dict[str, Any], metric: Metric, key: str, tolerance: float) -> None:
    reference, prediction = masks_of(case)
    score = metric.score(prediction, reference, case["spacing"])
    status = STATUS.get(case["id"][:2], "ok")
    assert score.status == status
    if status == "ok":
        expected = number(case["metrics"][key])
        assert score.value == pytest.approx(expected, rel=tolerance, abs=tolerance)
        assert score.penalty == score.value
    elif status == "both-empty":  # the tools say inf, 0, 1, NaN or raise: left out here
        assert math.isnan(score.value)
        assert math.isnan(score.penalty)
    elif metric.unit == "mm":
        assert math.isnan(score.value)
        assert score.penalty == pytest.approx(case["metrics"]["image_diagonal_mm"], rel=1e-9)
    else:
        assert (score.value, score.penalty) == (0.0, 0.0)
        assert number(case["metrics"][key]) == 0.0


def test_definitions_differ_as_the_specification_says() -> None:
    """Never mix them in a column: of the 11 cases with a distance here, some differ by millimetres."""
    apart: dict[str, list[float]] = {"hd95:pooled": [], "hd95:surfel": []}
    for case in (case for case in MASK_CASES if case["id"][:2] not in STATUS):
        reference, prediction = masks_of(case)
        first = HD95MaxDirected().score(prediction, reference, case["spacing"]).value
        for metric in (HD95Pooled(), HD95Surfel()):
            apart[metric.id].append(abs(metric.score(prediction, reference, case["spacing"]).value - first))
    assert max(apart["hd95:pooled"]) == pytest.approx(2.1, abs=0.05)
    assert max(apart["hd95:surfel"]) == pytest.approx(14.0, abs=0.05)
    assert sum(value > 1e-6 for value in apart["hd95:surfel"]) >= 3


@pytest.mark.parametrize("case", MASK_CASES, ids=lambda case: case["id"])
@pytest.mark.parametrize("connectivity", [6, 26])
def test_lesions_by_any_overlap(case: dict[str, Any], connectivity: int) -> None:
    reference, prediction = masks_of(case)
    expected = case["metrics"][f"lesion_any_overlap_conn{connectivity}"]
    score = LesionF1(LesionF1Options(connectivity=connectivity)).score(prediction, reference, case["spacing"])
    assert score.value == pytest.approx(number(expected["f1"]), rel=EXACT, abs=EXACT, nan_ok=True)
    assert score.status == STATUS.get(case["id"][:2], "ok")


@pytest.mark.parametrize("case", MASK_CASES, ids=lambda case: case["id"])
def test_lesions_one_to_one(case: dict[str, Any]) -> None:
    reference, prediction = masks_of(case)
    expected = number(case["metrics"]["panoptica_iou50_conn6"]["rq"])
    metric = LesionF1(LesionF1Options(connectivity=6, match="iou", min_iou=0.5))
    value = metric.score(prediction, reference, case["spacing"]).value
    assert value == pytest.approx(expected, rel=EXACT, abs=EXACT, nan_ok=True)


@pytest.mark.parametrize("case", GOLDEN["img"], ids=lambda case: case["id"])
def test_ssim(case: dict[str, Any]) -> None:
    reference, noisy = image_pair(case)
    score = SSIM().score(noisy, reference, (1, 1, 1))
    assert score.status == "ok"
    assert score.value == pytest.approx(case["metrics"]["ssim_gauss_skimage_Lrange"], rel=1e-9, abs=1e-9)
    assert score.value == pytest.approx(case["metrics"]["ssim_gauss11_monai_Lrange"], rel=1e-5)


@pytest.mark.parametrize("case", GOLDEN["img"], ids=lambda case: case["id"])
@pytest.mark.parametrize(("metric", "key"), [(PSNRRange(), "psnr_Lrange"), (PSNRL1(), "psnr_L1")])
def test_psnr(case: dict[str, Any], metric: PSNRRange | PSNRL1, key: str) -> None:
    reference, noisy = image_pair(case)
    assert np.ptp(reference) == pytest.approx(case["metrics"]["ref_range"], rel=1e-9)
    score = metric.score(noisy, reference, (1, 1, 1))
    assert score.status == "ok"
    assert score.value == pytest.approx(case["metrics"][f"{key}_skimage"], rel=1e-9, abs=1e-9)
    assert score.value == pytest.approx(case["metrics"][f"{key}_monai"], rel=1e-5)


def test_the_empty_policy_over_ten_subjects() -> None:
    expected = GOLDEN["empty_policy"]
    pairs = [segmentation_pair(case) for case in GOLDEN["seg"][:3]]
    assert expected["per_subject"]["dice"][:4] == [0.0] * 4
    reference = pairs[0][0]
    missed = HD95MaxDirected().score(np.zeros_like(reference), reference, (1, 1, 1))
    assert missed.penalty == pytest.approx(expected["diagonal"], rel=1e-9)
    found = [value for value in map(number, expected["per_subject"]["monai_hd95"]) if not math.isnan(value)]
    assert len(found) == expected["n_used"]
    mean = (4 * missed.penalty + sum(found)) / 10
    assert mean == pytest.approx(expected["diagonal_penalty_mean"], rel=1e-5)
