"""From the working grid to an image's own: the same as voxel by voxel."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from mribench.data.to_native import ToNative
from mribench.seeding import torch_generator
from mribench.volumes import Volume, resample_to, target_grid

TURN = np.array([[0.8, -0.6, 0, 3], [0.6, 0.8, 0, -7], [0, 0, 1, 2], [0, 0, 0, 1.0]])
NATIVE_SHAPE = (70, 37, 9)


def grids(edges_mm: tuple[float, ...], spacing_mm: float) -> dict[str, object]:
    """Return the facts of an image on an oblique grid."""
    affine = TURN @ np.diag([*edges_mm, 1])
    working, shape = target_grid(Volume(np.zeros(NATIVE_SHAPE), affine), spacing_mm)
    native = {"affine": affine.tolist(), "shape_vox": NATIVE_SHAPE}
    return {
        "same_grid": False,
        "native": native,
        "working": {"affine": working.tolist(), "shape_vox": shape},
    }


def by_voxel(values: torch.Tensor, facts: dict[str, object]) -> torch.Tensor:
    working, native = (np.array(facts[name]["affine"]) for name in ("working", "native"))
    moved = [resample_to(Volume(channel.numpy(), working), native, NATIVE_SHAPE).data for channel in values]
    return torch.from_numpy(np.stack(moved))


def draw(facts: dict[str, object], channels: int = 3) -> torch.Tensor:
    return torch.randn(channels, *facts["working"]["shape_vox"], generator=torch_generator("to-native"))


@pytest.mark.parametrize(
    ("edges_mm", "spacing_mm"),
    [((0.94, 0.94, 1.2), 1.0), ((1.0, 0.7, 5.0), 1.3), ((0.5, 2.0, 3.0), 0.9), ((1.0, 1.0, 4.0), 40.0)],
)
def test_it_is_what_it_is_voxel_by_voxel(edges_mm, spacing_mm):
    facts = grids(edges_mm, spacing_mm)
    values = draw(facts)
    expected, moved = by_voxel(values, facts), ToNative(facts)(values)
    assert moved.dtype == torch.float32
    torch.testing.assert_close(moved, expected, rtol=1e-6, atol=1e-7)
    assert (moved != expected).float().mean() < 1e-3, "it is rounded once, at the end"
    assert torch.equal(moved.argmax(0), expected.argmax(0))


def test_nothing_is_made_up_outside_the_field_of_view():
    facts = grids((1.0, 1.0, 1.0), 1.1)
    i, j, k = facts["working"]["shape_vox"]
    facts["working"]["shape_vox"] = (i - 4, j, k)
    values = draw(facts)
    moved = ToNative(facts)(values)
    assert torch.equal(moved == 0, by_voxel(values, facts) == 0)
    assert (moved[:, -3:] == 0).all()
    assert (moved[:, 0] != 0).any()


def test_what_is_not_finite_stays_where_it_is():
    facts = grids((1.0, 1.0, 2.0), 1.3)
    values = draw(facts)
    values[1, 20, 20, 5] = torch.nan
    expected = by_voxel(values, facts)
    assert 0 < expected.isnan().sum() < 100
    assert torch.equal(ToNative(facts)(values).isnan(), expected.isnan())


def test_a_grid_that_is_turned_is_gone_through_voxel_by_voxel():
    facts = grids((1.0, 1.0, 2.0), 1.3)
    facts["working"]["affine"] = (np.diag([1.3, 1.3, 1.3, 1.0]) + np.eye(4, k=3)).tolist()
    values = draw(facts)
    assert torch.equal(ToNative(facts)(values), by_voxel(values, facts))


def test_matrices_are_not_multiplied_where_they_are_nothing_but_zeros():
    facts = grids((0.94, 0.94, 1.2), 1.0)
    values = draw(facts)
    i, j, k = values.shape[1:]
    to_i, to_j, to_k = NATIVE_SHAPE
    whole = 2 * len(values) * to_i * (i * j * k + to_j * j * k + to_j * to_k * k)
    with FlopCounterMode(display=False) as counter:
        ToNative(facts)(values)
    assert 0 < counter.get_total_flops() < 0.75 * whole


def test_a_scan_on_its_own_grid_is_left_as_it_is():
    facts = grids((1.0, 1.0, 2.0), 1.3) | {"same_grid": True}
    values = draw(facts)
    assert ToNative(facts)(values) is values
