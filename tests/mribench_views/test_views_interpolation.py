"""The view's one resampling, against torch's and scipy's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from scipy import ndimage

from mribench.augmentation import interpolation, splines

CONTROL_VOX = 5.0


def image(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.rand(1, 1, *shape, generator=generator, dtype=torch.float64).to(dtype)


def positions(view_vox: int, reach: float, seed: int = 0, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Draw spline coefficients of positions: the view itself, tilted, bent, and moved by up to ``reach``."""
    generator = torch.Generator().manual_seed(seed)
    axis = splines.control_positions_vox(view_vox, CONTROL_VOX)
    plain = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"))
    matrix = torch.eye(3) + 0.2 * torch.randn(3, 3, generator=generator)
    bent = torch.einsum("ij,jabc->iabc", matrix, plain) + 0.5 * torch.randn(plain.shape, generator=generator)
    moved = reach * (2 * torch.rand(3, 1, 1, 1, generator=generator) - 1)
    return (bent + moved)[None].to(dtype)


def by_scipy(source: torch.Tensor, coefficients: torch.Tensor, view_vox: int) -> np.ndarray:
    at = splines.expand(coefficients.double(), (view_vox,) * 3, CONTROL_VOX)[0].numpy()
    centre = (np.array(source.shape[2:]) - 1) / 2
    values = source[0, 0].double().numpy()
    expected: np.ndarray = ndimage.map_coordinates(
        values, at + centre[:, None, None, None], order=1, mode="nearest"
    )
    return expected


@settings(max_examples=60, deadline=None)
@given(
    shape=st.tuples(*[st.integers(2, 24)] * 3),
    view_vox=st.integers(2, 20),
    reach=st.sampled_from([0.0, 3.0, 40.0]),
    seed=st.integers(0, 999),
)
def test_values_are_scipys(shape, view_vox, reach, seed):
    source, coefficients = image(*shape), positions(view_vox, reach, seed)
    found = interpolation.sample(source, coefficients, view_vox, CONTROL_VOX)
    assert found.shape == (1, 1, view_vox, view_vox, view_vox)
    np.testing.assert_allclose(found[0, 0].numpy(), by_scipy(source, coefficients, view_vox), atol=2e-3)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 2e-3), (torch.float64, 2e-3)])
def test_planes_give_what_grid_sample_gives(dtype, tolerance):
    source, coefficients = image(21, 30, 17, dtype=dtype), positions(24, 2.0, 4, dtype)
    ours = interpolation.sample(source, coefficients, 24, CONTROL_VOX)
    torchs = interpolation._by_grid_sample(source, coefficients, 24, CONTROL_VOX)
    assert ours.dtype == dtype
    torch.testing.assert_close(ours, torchs, atol=tolerance, rtol=0)


def test_whole_voxels_are_copied():
    source = image(12, 12, 12)
    axis = splines.control_positions_vox(12, CONTROL_VOX)
    plain = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"))[None]
    found = interpolation.sample(source, plain, 12, CONTROL_VOX)
    torch.testing.assert_close(found, source, atol=2e-3, rtol=0)


def test_beyond_the_border_the_border_goes_on():
    source, far = image(6, 7, 8), positions(4, 0.0)
    far[:, 0] += 1000.0
    found = interpolation.sample(source, far, 4, CONTROL_VOX)[0, 0]
    assert found.min() >= source[0, 0, -1].min()
    assert found.max() <= source[0, 0, -1].max()


@pytest.mark.parametrize("voxels", [1, 50, 10**9])
def test_slabs_leave_no_seam(voxels, monkeypatch):
    source, coefficients = image(20, 20, 20), positions(15, 2.0)
    whole = interpolation.sample(source, coefficients, 15, CONTROL_VOX)
    monkeypatch.setattr(interpolation, "_SLAB_VOXELS", voxels)
    torch.testing.assert_close(
        interpolation.sample(source, coefficients, 15, CONTROL_VOX), whole, atol=1e-3, rtol=0
    )


def test_an_axis_of_one_voxel_is_sampled_too():
    source = image(1, 9, 9)
    found = interpolation.sample(source, positions(5, 0.0), 5, CONTROL_VOX)
    assert torch.isfinite(found).all()
    np.testing.assert_allclose(found[0, 0].numpy(), by_scipy(source, positions(5, 0.0), 5), atol=2e-3)


def test_a_source_that_is_a_view_of_something_larger_is_read_rightly():
    larger = image(20, 22, 24)
    inner = larger[..., 2:18, 3:19, 4:20]
    coefficients = positions(10, 1.0)
    torch.testing.assert_close(
        interpolation.sample(inner, coefficients, 10, CONTROL_VOX),
        interpolation.sample(inner.clone(), coefficients, 10, CONTROL_VOX),
        atol=0, rtol=0,
    )  # fmt: skip


def test_the_source_is_left_alone():
    source = image(9, 9, 9)
    before = source.clone()
    interpolation.sample(source, positions(9, 1.0), 9, CONTROL_VOX)
    assert torch.equal(source, before)


def test_a_plane_never_leaks_into_the_next():
    """Lines are counted through all planes: the last of one is the neighbour of the first of the next."""
    source = torch.zeros(1, 1, 40, 60, 8)
    source[0, 0, ::2] = 1.0  # every other plane
    axis = splines.control_positions_vox(30, CONTROL_VOX)
    plain = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"))[None]
    plain[:, 0] = plain[:, 0] * 0 + 0.5  # on plane 20, which is 1 everywhere
    plain[:, 1] *= 10.0  # far over both edges
    found = interpolation.sample(source, plain, 30, CONTROL_VOX)
    torch.testing.assert_close(found, torch.ones_like(found), atol=2e-3, rtol=0)


def test_positions_are_right_to_a_thousandth_of_a_voxel():
    """A ramp of 1 a voxel shows them: the largest source that pretraining has, 116 voxels."""
    ramp = torch.arange(116.0)
    for axis in range(3):
        source = ramp.view([-1 if k == axis else 1 for k in range(3)]).expand(116, 116, 116)[None, None]
        coefficients = positions(96, 2.0, axis)
        at = splines.expand(coefficients.double(), (96,) * 3, CONTROL_VOX)[0, axis] + 57.5
        found = interpolation.sample(source.contiguous(), coefficients, 96, CONTROL_VOX)[0, 0]
        assert (found.double() - at.clamp(0, 115)).abs().max() < 2e-3


def test_each_sample_has_its_own_positions():
    source = torch.cat([image(9, 9, 9), 1 + image(9, 9, 9)])
    coefficients = torch.cat([positions(6, 1.0, 1), positions(6, 1.0, 2)])
    both = interpolation.sample(source, coefficients, 6, CONTROL_VOX)
    for number in range(2):
        alone = interpolation.sample(source[[number]], coefficients[[number]], 6, CONTROL_VOX)
        assert torch.equal(both[number], alone[0])
