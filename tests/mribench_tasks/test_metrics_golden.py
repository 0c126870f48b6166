"""Values of independent public implementations; see tests/golden/golden_inputs.py."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from golden.golden_inputs import edge_pairs, image_pair, mask_digest, segmentation_pair
from mribench_tasks.metrics import PSNRL1, Dice, HD95MaxDirected, PSNRRange

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
