"""Units of quantitative maps, told by their distribution in the head and by the other maps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from mribench_datasets.phantom.tissues import TISSUES, VALUES_3T

from mribench.data.check import check_cohort
from mribench.volumes import Volume, write_volume

SHAPE = (20, 22, 18)
AFFINE = np.diag([5.0, 5.0, 5.0, 1.0])
FILES = {"PD": "PDmap", "R1": "R1map", "R2s": "R2starmap", "MTsat": "MTsat", "R2": "R2map"}
VALUES = {  # grey matter, white matter, fluid
    "PD": (80.0, 70.0, 100.0), "R1": (0.65, 1.0, 0.25), "R2s": (18.0, 21.0, 2.0), "MTsat": (0.8, 1.6, 0.03),
    "R2": (11.0, 14.0, 0.7),
}  # fmt: skip
SEVEN_TESLA = VALUES | {"R1": (0.5, 0.8, 0.23), "R2s": (30.0, 38.0, 4.0), "MTsat": (1.5, 3.2, 0.1)}


def head() -> np.ndarray:
    """Return 0 outside, 1 grey matter, 2 white matter, 3 fluid in the middle."""
    middle = (np.array(SHAPE) - 1) / 2
    offset = (np.indices(SHAPE) - middle[:, None, None, None]) / (0.9 * middle[:, None, None, None])
    radius = np.sqrt((offset**2).sum(0))
    return np.select([radius < 0.4, radius < 0.75, radius < 1], [3, 2, 1], 0)


def write(
    folder: Path, change: dict[str, Callable[[np.ndarray], np.ndarray]], values: dict[str, tuple[float, ...]]
) -> None:
    noise = 1 + 0.03 * np.random.default_rng(0).standard_normal(SHAPE)
    for name, suffix in FILES.items():
        data = np.array((0.0, *values[name]))[head()] * noise
        data = change[name](data) if name in change else data
        write_volume(folder / f"sub-1_{suffix}.nii.gz", Volume(data, AFFINE))


def inverse(scale: float) -> Callable[[np.ndarray], np.ndarray]:
    return lambda data: np.divide(scale, data, out=np.zeros_like(data), where=data > 0)


def times(scale: float) -> Callable[[np.ndarray], np.ndarray]:
    return lambda data: data * scale


@pytest.fixture
def check(build, tmp_path):
    def _check(change, values=VALUES):
        write(tmp_path, change, values)
        return check_cohort("qmri", build("mpm", root=tmp_path))

    return _check


@pytest.mark.parametrize("values", [VALUES, SEVEN_TESLA], ids=["3 T", "7 T"])
def test_what_a_map_is_taken_for_is_said(check, values):
    found = check({}, values)
    assert found.usable
    assert set(found.levels) == {"PD in p.u.", "R1 in 1/s", "R2s in 1/s", "R2 in 1/s", "MTsat in p.u."}
    low, high = found.levels["R1 in 1/s"]
    assert low == high == pytest.approx(values["R1"][0], rel=0.2)


@pytest.mark.parametrize(
    ("name", "change", "values", "guess"),
    [
        ("PD", times(4), VALUES, "arbitrary units"),
        ("PD", times(5), VALUES, "arbitrary units"),
        ("PD", times(1.5), VALUES, "in white matter, expected about 69 p.u.: it looks like arbitrary units"),
        ("PD", times(0.5), VALUES, "in white matter, expected about 69 p.u."),
        ("MTsat", times(10), VALUES, "p.u. times 10"),
        ("MTsat", times(12), VALUES, "p.u. times 10"),
        ("MTsat", times(0.01), VALUES, "a fraction"),
        ("R2", inverse(1000), VALUES, "T2 in ms"),
        ("R2s", inverse(1000), VALUES, "T2* in place of R2s"),
        ("R2s", inverse(1000), SEVEN_TESLA, "T2* in place of R2s"),
        ("R2s", inverse(1), VALUES, "T2* in s"),
        ("R1", inverse(1), VALUES, "T1 in place of R1"),
        ("R1", inverse(1000), VALUES, "T1 in ms"),
    ],
)
def test_what_a_map_cannot_be_is_refused(check, name, change, values, guess):
    found = check({name: change}, values)
    assert not found.usable
    (problem,) = found.problems
    assert f"sub-1_{FILES[name]}.nii.gz has a median of" in problem
    assert guess in problem


def test_a_head_of_which_much_would_be_clipped_is_refused(check):
    def spoilt(data: np.ndarray) -> np.ndarray:
        return np.where((head() == 1) & (np.indices(SHAPE)[0] < 10), 50.0, data)

    (problem,) = check({"MTsat": spoilt}).problems
    share = (head()[:10] == 1).sum() / (head() > 0).sum()
    assert f"MTsat.nii.gz has {share:.0%} of the head outside of 0 to 15" in problem


def test_the_phantoms_tissues_keep_the_order_that_units_are_told_by():
    white, fluid = (VALUES_3T[name] for name in ("wm", "csf"))
    assert "wm" in TISSUES
    assert all(fluid[place] < white[place] for place in (1, 2, 4))
