"""The fast distances against the definition and against the distance transform that they replace."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from mribench_tasks.metrics import ASSD, MASD, NSD, HD95MaxDirected, HD95Pooled, nearest, surface
from mribench_tasks.metrics.nearest import nearest_mm
from mribench_tasks.metrics.surface import border, border_distances_mm, box_of_both
from scipy import ndimage
from scipy.spatial.distance import cdist

SPACINGS = [(1.0, 1.0, 1.0), (1.0, 1.0, 1.2), (0.9375, 0.9375, 1.25), (0.5, 0.8, 5.0), (6.0, 0.05, 1.0)]
LOOK = {"_SCAN_EACH_NS": 0.0, "_LOOK_NS": 0.0, "_LOOK_EACH_NS": 0.0}
TREE = {"_BUILD_EACH_NS": 0.0, "_QUERY_NS": 0.0, "_QUERY_EACH_NS": 0.0, "_TRANSFORM_EACH_NS": 1e9}
TRANSFORM = {"_TRANSFORM_EACH_NS": 0.0}
WAYS = {
    "chosen": {},
    "neighbours": {**LOOK, "_NEIGHBOURS": 2000},
    "tree": {"_LOOK_NS": 1e12, **TREE},
    "transform": {"_LOOK_NS": 1e12, **TRANSFORM},
    "few neighbours, then the tree": {"_NEIGHBOURS": 30, **LOOK, **TREE},
}


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    for name, value in WAYS[request.param].items():
        monkeypatch.setattr(nearest, name, value)
    nearest._make_disc.cache_clear()
    surface._distances_mm.cache_clear()
    return str(request.param)


@pytest.fixture(autouse=True)
def _nothing_kept():
    yield
    nearest._make_disc.cache_clear()
    surface._distances_mm.cache_clear()


def by_transform(
    prediction: np.ndarray, target: np.ndarray, spacing: tuple[float, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """The implementation that was here first: two distance transforms."""
    a, b = (mask ^ ndimage.binary_erosion(mask) for mask in (prediction, target))
    return (
        ndimage.distance_transform_edt(~b, sampling=spacing)[a],
        ndimage.distance_transform_edt(~a, sampling=spacing)[b],
    )


def ball(shape: tuple[int, ...], centre: tuple[float, ...], radius: float) -> np.ndarray:
    grid = np.indices(shape)
    return sum((g - c) ** 2 for g, c in zip(grid, centre, strict=True)) <= radius**2


def pairs() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    shape, rng = (40, 36, 44), np.random.default_rng(0)
    large, small = ball(shape, (20, 18, 22), 14), ball(shape, (5, 5, 5), 3)
    near = large.copy()
    near[rng.random(shape) < 0.02] = False
    satellite = large.copy()
    satellite[0, 0, 0] = satellite[39, 35, 43] = True
    voxel = np.zeros(shape, dtype=bool)
    voxel[39, 0, 43] = True
    return {
        "overlap": (large, ball(shape, (22, 18, 20), 13)),
        "near-identical": (near, large),
        "apart": (small, ball(shape, (33, 29, 37), 5)),
        "satellite": (satellite, large),
        "shell": (large & ~ball(shape, (20, 18, 22), 13), ball(shape, (20, 18, 22), 4)),
        "speckle": (rng.random(shape) < 0.01, rng.random(shape) < 0.3),
        "full": (np.ones(shape, dtype=bool), voxel),
    }


PAIRS = pairs()


@pytest.mark.parametrize("spacing", SPACINGS, ids=str)
@pytest.mark.parametrize("name", PAIRS)
def test_every_way_equals_the_distance_transform(way, name, spacing):
    prediction, target = PAIRS[name]
    for found, expected in zip(
        border_distances_mm(prediction, target, spacing),
        by_transform(prediction, target, spacing),
        strict=True,
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=0)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000), shape=st.tuples(*[st.integers(1, 7)] * 3), spacing=st.sampled_from(SPACINGS)
)
def test_brute_force_on_any_small_volume(seed, shape, spacing):
    rng = np.random.default_rng(seed)
    queries, targets = rng.random((2, *shape)) < rng.uniform(0.02, 0.9)
    targets[tuple(rng.integers(0, shape))] = True
    expected = cdist(np.argwhere(queries) * spacing, np.argwhere(targets) * spacing).min(axis=1)
    np.testing.assert_allclose(nearest_mm(queries, targets, spacing), expected, rtol=1e-12)


@pytest.mark.parametrize("spacing", [(0.01, 1.0, 1.0), (1.0, 1.0, 1.0), (0.004, 1.0, 1.0)], ids=str)
def test_a_column_that_is_longer_than_is_counted(way, spacing):
    rng = np.random.default_rng(0)
    queries, targets = np.zeros((2, 1200, 3, 4), dtype=bool)
    queries[rng.integers(0, 1200, 40), rng.integers(0, 3, 40), rng.integers(0, 4, 40)] = True
    targets[[3, 500, 1100], [0, 1, 2], [3, 0, 1]] = True
    expected = cdist(np.argwhere(queries) * spacing, np.argwhere(targets) * spacing).min(axis=1)
    np.testing.assert_allclose(nearest_mm(queries, targets, spacing), expected, rtol=1e-12)


@pytest.mark.parametrize("axes", [(0,), (1, 2), (0, 1, 2)])
@pytest.mark.parametrize("sign", [1, -1])
def test_what_hides_behind_others_is_not_asked_of(way, axes, sign):
    rng = np.random.default_rng(0)
    shape = np.array([90, 90, 90])
    near, far = (rng.integers(0, 30, (3, 300)) for _ in range(2))
    far[list(axes)] += 29  # they touch
    queries, targets = (np.zeros(shape, dtype=bool) for _ in range(2))
    queries[tuple(near)], targets[tuple(far)] = True, True
    if sign < 0:
        queries, targets = targets, queries
    spacing = (1.0, 1.3, 0.7)
    expected = cdist(np.argwhere(queries) * spacing, np.argwhere(targets) * spacing).min(axis=1)
    np.testing.assert_allclose(nearest_mm(queries, targets, spacing), expected, rtol=1e-12)


def test_the_ways_are_really_taken(monkeypatch):
    taken = []
    monkeypatch.setattr(nearest, "cKDTree", lambda *a, **k: taken.append("tree") or KD(*a, **k))
    transform = ndimage.distance_transform_edt
    monkeypatch.setattr(
        nearest.ndimage,
        "distance_transform_edt",
        lambda *a, **k: taken.append("transform") or transform(*a, **k),
    )
    shape = (60, 60, 60)
    near, far = ball(shape, (30, 30, 30), 20), ball(shape, (5, 5, 5), 3)
    border_distances_mm(near, ball(shape, (31, 30, 30), 20), (1, 1, 1))
    assert taken == [], "what is near is found by its neighbours"
    border_distances_mm(far, near, (1, 1, 1))
    assert taken == ["tree", "tree"]
    taken.clear()
    full = np.ones((80, 80, 80), dtype=bool)
    nearest_mm(ball(full.shape, (40, 40, 40), 12), border(full), (1, 1, 1))
    assert taken == ["tree", "transform"], "from the middle of a box a tree is of no use"


KD = nearest.cKDTree


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), shape=st.tuples(*[st.integers(1, 6)] * 3), share=st.floats(0.1, 1.0))
def test_border_is_what_the_library_erodes(seed, shape, share):
    mask = np.random.default_rng(seed).random(shape) < share
    np.testing.assert_array_equal(border(mask), mask ^ ndimage.binary_erosion(mask))


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), shape=st.tuples(*[st.integers(1, 9)] * 3))
def test_box_of_both(seed, shape):
    rng = np.random.default_rng(seed)
    first, second = rng.random((2, *shape)) < 0.05
    first[tuple(rng.integers(0, shape))] = True
    assert box_of_both(first, second) == ndimage.find_objects((first | second).astype(np.uint8))[0]


SHARING = [HD95MaxDirected(), HD95Pooled(), ASSD(), MASD(), NSD()]


def test_five_definitions_of_one_pair_share_one_computation(monkeypatch):
    calls = []
    monkeypatch.setattr(surface, "nearest_mm", lambda *given: calls.append(1) or nearest_mm(*given))
    prediction, target = PAIRS["overlap"]
    for metric in SHARING:
        metric.score(prediction, target, (1, 1, 2))
    assert len(calls) == 2, "one for each direction"
    HD95MaxDirected().score(prediction, target, (1, 2, 2))
    assert len(calls) == 4, "another spacing is another pair"


def test_a_mask_that_is_changed_in_place_is_another_mask():
    prediction, target = (mask.copy() for mask in PAIRS["overlap"])
    before = [metric.score(prediction, target, (1, 1, 1)).value for metric in SHARING]
    prediction[:22] = False
    after = [metric.score(prediction, target, (1, 1, 1)).value for metric in SHARING]
    fresh = [metric.score(prediction.copy(), target.copy(), (1, 1, 1)).value for metric in SHARING]
    assert after == fresh
    assert all(one != other for one, other in zip(before, after, strict=True))
    swapped = border_distances_mm(target, prediction, (1, 1, 1))
    for one, other in zip(swapped, border_distances_mm(prediction, target, (1, 1, 1))[::-1], strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_is_shared_cannot_be_changed():
    for distances_mm in border_distances_mm(*PAIRS["overlap"], (1, 1, 1)):
        with pytest.raises(ValueError, match="read-only"):
            distances_mm[0] = 1.0


@pytest.mark.parametrize("order", [(2, 1, 0), (1, 2, 0)])
def test_arrays_that_lie_differently_in_memory(order):
    prediction, target = PAIRS["overlap"]
    spacing = (1.0, 1.5, 2.5)
    turned = [mask.transpose(order) for mask in (prediction, target)]
    edges = tuple(spacing[axis] for axis in order)
    for metric in SHARING:
        expected = metric.score(prediction, target, spacing).value
        assert metric.score(*turned, edges).value == pytest.approx(expected, rel=1e-12)
