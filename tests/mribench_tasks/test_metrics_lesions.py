from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra.numpy import arrays
from mribench_tasks.metrics import LesionF1, LesionF1Options
from pydantic import ValidationError
from skimage.measure import label

UNIT_MM = (1.0, 1.0, 1.0)
masks = arrays(np.bool_, (6, 5, 4), elements=st.sampled_from([False, False, False, True]))
RANK = {6: 1, 18: 2, 26: 3}


def empty() -> np.ndarray:
    return np.zeros((12, 10, 8), dtype=bool)


def boxes(*corners: tuple[int, int, int], edge: int = 2) -> np.ndarray:
    mask = empty()
    for i, j, k in corners:
        mask[i : i + edge, j : j + edge, k : k + edge] = True
    return mask


def f1(prediction: np.ndarray, target: np.ndarray, **options: object) -> float:
    return LesionF1(LesionF1Options(**options)).score(prediction, target, UNIT_MM).value  # type: ignore[arg-type]


def lesions(mask: np.ndarray, connectivity: int, smallest: float, voxel_mm3: float) -> list[np.ndarray]:
    numbered = label(mask, connectivity=RANK[connectivity])
    found = [numbered == number for number in range(1, numbered.max() + 1)]
    return [one for one in found if one.sum() * voxel_mm3 >= smallest]


@settings(max_examples=80, deadline=None)
@given(
    prediction=masks,
    target=masks,
    connectivity=st.sampled_from([6, 18, 26]),
    smallest=st.sampled_from([0, 4, 9]),
)
def test_brute_force_with_the_components_of_scikit_image(prediction, target, connectivity, smallest):
    spacing = (1.0, 1.5, 2.0)
    predicted = lesions(prediction, connectivity, smallest, 3.0)
    wanted = lesions(target, connectivity, smallest, 3.0)
    score = LesionF1(LesionF1Options(connectivity=connectivity, min_volume_mm3=smallest)).score(
        prediction, target, spacing
    )
    if not predicted and not wanted:
        assert score.status == "both-empty"
        assert math.isnan(score.value)
        return
    hits = sum(any((w & p).any() for p in predicted) for w in wanted)
    false = sum(not any((w & p).any() for w in wanted) for p in predicted)
    assert score.value == pytest.approx(2 * hits / (2 * hits + false + len(wanted) - hits))
    expected = "pred-empty" if not predicted else "ref-empty" if not wanted else "ok"
    assert score.status == expected


@settings(max_examples=80, deadline=None)
@given(prediction=masks, target=masks, threshold=st.sampled_from([0.1, 0.5, 0.7]))
def test_one_to_one_by_brute_force(prediction, target, threshold):
    prediction[0, 0, 0] = target[5, 4, 3] = True
    predicted, wanted = (lesions(mask, 26, 0, 1.0) for mask in (prediction, target))
    pairs = [
        ((p & w).sum() / (p | w).sum(), n, m) for n, p in enumerate(predicted) for m, w in enumerate(wanted)
    ]
    rows, columns = set(), set()
    for iou, n, m in sorted(pairs, key=lambda pair: -pair[0]):
        if iou >= threshold and n not in rows and m not in columns:
            rows.add(n)
            columns.add(m)
    expected = 2 * len(rows) / (len(predicted) + len(wanted))
    assert f1(prediction, target, match="iou", min_iou=threshold) == pytest.approx(expected)


def test_found_missed_and_invented():
    target = boxes((0, 0, 0), (5, 0, 0), (0, 5, 0))
    prediction = boxes((1, 0, 0), (9, 7, 5))
    assert f1(prediction, target) == pytest.approx(2 / (2 + 1 + 2))


def test_two_lesions_under_one_blob_are_both_found_by_overlap_and_one_at_most_one_to_one():
    target, prediction = boxes((0, 0, 0), (4, 0, 0)), empty()
    prediction[0:6, 0:2, 0:2] = True
    assert f1(prediction, target) == 1.0
    assert f1(prediction, target, match="iou", min_iou=0.3) == pytest.approx(2 / 3)
    assert f1(prediction, target, match="iou") == 0.0


def test_connectivity_decides_whether_corners_join():
    target = boxes((0, 0, 0), (2, 2, 2))
    assert f1(boxes((0, 0, 0)), target) == 1.0
    assert f1(boxes((0, 0, 0)), target, connectivity=18) == pytest.approx(2 / 3)
    assert f1(boxes((0, 0, 0)), target, connectivity=6) == pytest.approx(2 / 3)


def test_small_lesions_are_taken_out_of_both_masks_by_their_volume():
    target, prediction = boxes((0, 0, 0)), boxes((0, 0, 0))
    prediction[9, 9, 7] = True
    metric = LesionF1(LesionF1Options(min_volume_mm3=8.0))
    assert LesionF1().score(prediction, target, UNIT_MM).value == pytest.approx(2 / 3)
    assert metric.score(prediction, target, UNIT_MM).value == 1.0, "a lesion of just 8 mm³ counts"
    assert metric.score(prediction, target, (0.5, 1, 1)).status == "both-empty", "4 mm³ does not"
    assert metric.score(boxes((5, 5, 5), edge=1), target, UNIT_MM).status == "pred-empty"


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({}, "lesion-f1"),
        ({"min_iou": 0.3}, "lesion-f1"),
        ({"connectivity": 6}, "lesion-f1:conn6"),
        ({"match": "iou"}, "lesion-f1:iou0.5"),
        (
            {"match": "iou", "min_iou": 0.25, "connectivity": 18, "min_volume_mm3": 10},
            "lesion-f1:iou0.25:conn18:min10mm3",
        ),
    ],
)
def test_the_id_names_what_is_not_the_default(options, name):
    assert LesionF1(LesionF1Options(**options)).id == name


@pytest.mark.parametrize(
    "options", [{"connectivity": 8}, {"min_iou": 0}, {"min_volume_mm3": -1}, {"match": "dice"}]
)
def test_options_out_of_range(options):
    with pytest.raises(ValidationError):
        LesionF1Options(**options)


def test_overlap_asks_only_whether_lesions_were_found():
    target = boxes((0, 0, 0), (5, 5, 5))
    everything = np.ones_like(target)
    assert f1(everything, target) == 1.0
    assert f1(everything, target, match="iou") == 0.0
