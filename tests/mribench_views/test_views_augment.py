"""Augmentation: statistics of the draws, and what applying them does to an image."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from scipy import stats
from scipy.interpolate import BSpline
from torch import Tensor

from mribench.augmentation import AugmentDraw, AugmentOptions, apply, draw_augmentation, draws, splines

EDGE, SOURCE, SPACING_MM = 16, 20, 2.0


def draw(options: AugmentOptions, seed: int, edge: int = EDGE, source: int = SOURCE) -> AugmentDraw:
    rng = torch.Generator().manual_seed(seed)
    return draw_augmentation(options, edge, (source,) * 3, SPACING_MM, rng)


def plain_draw(plain: Callable[..., Any], **changes: Any) -> AugmentDraw:
    """A draw of a 16³ view from a 16³ source: nothing moves but what is asked for."""
    return draw(AugmentOptions(**plain(**changes)), 0, source=EDGE)


@pytest.fixture(scope="module")
def many() -> list[AugmentDraw]:
    return [draw(AugmentOptions(), seed) for seed in range(400)]


def uniform_p(values: list[float], low: float, high: float) -> float:
    return float(stats.kstest(values, stats.uniform(low, high - low).cdf).pvalue)


def test_rotation_is_in_degrees_about_every_axis(many: list[AugmentDraw]) -> None:
    for axis in range(3):
        angles = [one.parameters["rotation_deg"][axis] for one in many]
        assert uniform_p(angles, -15, 15) > 1e-4
    for one in many[:50]:
        unflipped = one.matrix @ torch.diag(
            torch.tensor([-1.0 if f else 1.0 for f in one.parameters["flip"]])
        )
        angle_deg = math.degrees(math.acos(float((unflipped.trace() - 1).clamp(-2, 2)) / 2))
        assert angle_deg <= math.sqrt(3) * 15 + 2  # three small rotations, and a little shear


def test_each_rotation_turns_the_plane_of_the_other_axes() -> None:
    for axis in range(3):
        rotation = [0.0, 0.0, 0.0]
        rotation[axis] = math.radians(10)
        matrix = draws._matrix(rotation, [0.0] * 6, [1.0] * 3, [False] * 3).double().numpy()
        unit = np.eye(3)[axis]
        np.testing.assert_allclose(matrix @ unit, unit, atol=1e-7)
        other = np.eye(3)[(axis + 1) % 3]
        assert math.degrees(math.acos((matrix @ other) @ other)) == pytest.approx(10, abs=1e-3)


def test_as_released_takes_degrees_for_radians_and_turns_one_axis_only() -> None:
    drawn = [
        draw_augmentation(
            AugmentOptions(),
            EDGE,
            (SOURCE,) * 3,
            SPACING_MM,
            torch.Generator().manual_seed(seed),
            radians=True,
        ).parameters["rotation_deg"]
        for seed in range(100)
    ]
    assert max(abs(angles[0]) for angles in drawn) > 360
    assert all(angles[1:] == (0.0, 0.0) for angles in drawn)


def test_shear_flip_offset_and_scale_have_the_asked_ranges(many: list[AugmentDraw]) -> None:
    for index in range(6):
        assert uniform_p([one.parameters["shear"][index] for one in many], -0.012, 0.012) > 1e-4
    for axis in range(3):
        flipped = np.mean([one.parameters["flip"][axis] for one in many])
        assert flipped == pytest.approx(0.5, abs=0.1)
        slack = SOURCE - EDGE
        assert uniform_p([one.parameters["offset_vox"][axis] for one in many], -slack / 2, slack / 2) > 1e-4
    assert all(one.parameters["scale"] == (1.0, 1.0, 1.0) for one in many)
    scaled = [draw(AugmentOptions(scale=0.2), seed).parameters["scale"][0] for seed in range(300)]
    assert uniform_p(scaled, 0.8, 1.2) > 1e-4


def test_artefacts_come_as_often_and_as_strong_as_asked(many: list[AugmentDraw]) -> None:
    for key, high in (("elastic_sd_mm", 1.5), ("bias_sd", 0.3), ("noise_sigma", 0.1)):
        strengths = [one.parameters[key] for one in many]
        present = [value for value in strengths if value > 0]
        assert len(present) / len(many) == pytest.approx(0.5, abs=0.1), key
        assert uniform_p(present, 0, high) > 1e-4, key
    kept = np.array([one.gibbs_kept for one in many])
    ringing = (kept < 1).any(axis=1)
    assert ringing.mean() == pytest.approx(0.5, abs=0.1)
    assert uniform_p(kept[ringing].ravel().tolist(), 0.5, 1.0) > 1e-4
    counts = [len(one.cuboids_vox) for one in many if one.cuboids_vox]
    assert len(counts) / len(many) == pytest.approx(0.5, abs=0.1)
    assert set(counts) == set(range(1, 9))


def test_cuboids_lie_inside_and_have_the_asked_edges(many: list[AugmentDraw]) -> None:
    boxes = [box for one in many for box in one.cuboids_vox]
    assert len(boxes) > 500
    for box in boxes:
        for first, stop in box:
            assert 0 <= first < stop <= EDGE
            assert round(0.1 * EDGE) <= stop - first <= round(0.4 * EDGE)
    assert {first for box in boxes for first, _ in box} >= set(range(10))


def test_everything_off_is_the_identity(plain: Callable[..., Any]) -> None:
    one = plain_draw(plain)
    source = torch.rand(1, 1, EDGE, EDGE, EDGE, generator=torch.Generator().manual_seed(1))
    clean = apply.resample(source, [one], EDGE, 12.0)
    torch.testing.assert_close(clean, source, rtol=0, atol=1e-4)
    assert apply.add_artefacts(clean, [one], 30.0) is clean
    assert torch.equal(apply.drop_cuboids(clean.clone(), [one]), clean)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_flip_is_a_flip_and_a_scale_a_scale(axis: int, plain: Callable[..., Any]) -> None:
    source = torch.rand(1, 1, EDGE, EDGE, EDGE, generator=torch.Generator().manual_seed(1))
    one = plain_draw(plain)
    signs = torch.ones(3)
    signs[axis] = -1
    flipped = apply.resample(source, [replace(one, matrix=torch.diag(signs))], EDGE, 12.0)
    torch.testing.assert_close(flipped, source.flip(axis + 2), rtol=0, atol=1e-4)

    shift = torch.zeros(3)
    shift[axis] = 2.0
    moved = apply.resample(source, [replace(one, offset_vox=shift)], EDGE, 12.0)
    inside = moved.narrow(axis + 2, 0, EDGE - 2)
    torch.testing.assert_close(inside, source.narrow(axis + 2, 2, EDGE - 2), rtol=0, atol=1e-4)


def test_resampling_is_what_torch_makes_of_the_affine_map() -> None:
    """A second opinion on matrix, axes and offset: ``affine_grid`` builds its grid another way."""
    one = draw(AugmentOptions(elastic_probability=0.0), 11)
    source = torch.rand(1, 1, SOURCE, SOURCE, SOURCE, generator=torch.Generator().manual_seed(2))
    ours = apply.resample(source, [one], EDGE, 12.0)
    half_view, half_source = (EDGE - 1) / 2, (SOURCE - 1) / 2
    theta = torch.cat([one.matrix * half_view / half_source, one.offset_vox[:, None] / half_source], dim=1)
    theta = torch.cat([theta[:, :3].flip(0).flip(1), theta[:, 3:].flip(0)], dim=1)  # x is the last axis
    grid = torch.nn.functional.affine_grid(theta[None], [1, 1, EDGE, EDGE, EDGE], align_corners=True)
    theirs = torch.nn.functional.grid_sample(source, grid, padding_mode="border", align_corners=True)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=2e-4)


def test_elastic_displacement_has_the_asked_size(plain: Callable[..., Any]) -> None:
    """Cut a view out of three coordinate images: what comes back is where it was cut."""
    options = AugmentOptions(**plain(elastic_probability=1.0, elastic_sd_mm=(1.0, 1.0)))
    edge, source = 24, 40
    axis = torch.arange(source, dtype=torch.float32) - (source - 1) / 2
    images = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"))[:, None]
    at = (torch.arange(edge) - (edge - 1) / 2).view(-1, 1, 1)
    shifts = []
    for seed in range(40):
        one = draw(options, seed, edge, source)
        where = apply.resample(images[:1], [one], edge, 12.0)[0, 0]
        shifts.append((where - at - one.offset_vox[0]) * SPACING_MM)
    moved = torch.stack(shifts)
    assert moved.std().item() == pytest.approx(1.0, rel=0.1)
    assert abs(moved.mean().item()) < 0.1
    assert moved.abs().max() < 6
    steps = moved.diff(dim=1) / SPACING_MM
    assert steps.abs().max() < 1  # nothing folds over


def test_splines_reproduce_linear_functions_and_scipys_values() -> None:
    position = splines.control_positions_vox(17, 5.0)
    assert len(position) == splines.control_points(17, 5.0)
    line = (3 * position + 1).view(1, 1, -1, 1, 1).expand(1, 1, -1, len(position), len(position))
    field = splines.expand(line.contiguous(), (17, 17, 17), 5.0)
    expected = 3 * (torch.arange(17) - 8.0) + 1
    torch.testing.assert_close(field[0, 0, :, 4, 9], expected, rtol=0, atol=1e-4)

    rng = np.random.default_rng(0)
    along = rng.normal(size=len(position))
    cube = torch.from_numpy(along).float().view(1, 1, 1, 1, -1).repeat(1, 1, len(position), len(position), 1)
    ours = splines.expand(cube, (17, 17, 17), 5.0)[0, 0, 3, 11].numpy()
    knots = np.arange(len(along) + 4) - 3.0
    np.testing.assert_allclose(ours, BSpline(knots, along, 3)(np.arange(17) / 5.0), atol=1e-5)


def test_receive_field_has_the_asked_spread_and_is_smooth(plain: Callable[..., Any]) -> None:
    options = AugmentOptions(**plain(bias_probability=1.0, bias_sd=(0.2, 0.2)))
    flat = torch.ones(1, 1, EDGE, EDGE, EDGE)
    fields = torch.cat([apply.add_artefacts(flat, [draw(options, seed)], 30.0) for seed in range(200)]).log()
    assert fields.std().item() == pytest.approx(0.2, rel=0.15)
    assert fields.diff(dim=2).abs().max() < 0.1


def test_truncation_keeps_low_frequencies_only() -> None:
    image = torch.rand(1, 1, EDGE, EDGE, EDGE, generator=torch.Generator().manual_seed(3))
    cut = apply.truncate_frequencies(image, [(0.5, 0.75, 1.0)])
    before, after = (np.abs(np.fft.fftn(volume[0, 0].numpy())) for volume in (image, cut))
    share = np.abs(np.fft.fftfreq(EDGE)) * 2
    kept = (share[:, None, None] <= 0.5) & (share[None, :, None] <= 0.75) & (share[None, None] <= 1.0)
    np.testing.assert_allclose(after[kept], before[kept], rtol=1e-3, atol=1e-3)
    assert after[~kept].max() < 1e-3
    torch.testing.assert_close(apply.truncate_frequencies(image, [(1.0, 1.0, 1.0)]), image, rtol=0, atol=1e-5)


def test_truncation_rings_at_an_edge() -> None:
    step = torch.zeros(1, 1, 32, 32, 32)
    step[:, :, 8:24] = 1
    rung = apply.truncate_frequencies(step, [(0.5, 1.0, 1.0)])[0, 0, :, 16, 16]
    assert rung.max().item() == pytest.approx(1.09, abs=0.06)  # Gibbs' 9 %
    assert rung.min().item() < -0.03


def test_noise_is_rician(plain: Callable[..., Any]) -> None:
    one = draw(AugmentOptions(**plain(noise_probability=1.0, noise_sigma=(0.1, 0.1))), 4, edge=32)
    for level in (0.0, 0.3):
        noisy = apply.add_artefacts(torch.full((1, 1, 32, 32, 32), level), [one], 30.0)
        expected = stats.rice(level / 0.1, scale=0.1)
        assert stats.kstest(noisy.flatten()[::7].numpy(), expected.cdf).pvalue > 1e-3


def test_noise_differs_between_samples_and_draws(plain: Callable[..., Any]) -> None:
    options = AugmentOptions(**plain(noise_probability=1.0, noise_sigma=(0.1, 0.1)))
    draws = [draw(options, 0), draw(options, 1)]
    noisy = apply.add_artefacts(torch.zeros(2, 1, EDGE, EDGE, EDGE), draws, 30.0)
    assert abs(np.corrcoef(noisy.flatten(1).numpy())[0, 1]) < 0.06


def test_window_maps_the_percentiles_to_zero_and_one() -> None:
    signal = torch.rand(2, 24, 24, 24, generator=torch.Generator().manual_seed(5))
    signal[1] = signal[1] * 70 - 20
    scaled = apply.intensity_window(signal, 0.5, 99.5)
    assert scaled.min() == 0
    assert scaled.max() == 1
    torch.testing.assert_close(scaled[0], ((signal[0] - 0.005) / 0.99).clamp(0, 1), rtol=0, atol=0.01)
    torch.testing.assert_close(scaled[1], scaled[1].clamp(0, 1))
    assert 0.002 < (scaled == 1).float().mean() < 0.012
    low = apply.intensity_window(signal, 0.5, 95.0)
    assert (low == 1).float().mean().item() == pytest.approx(0.05, abs=0.01)


def test_window_of_a_constant_is_zero() -> None:
    assert apply.intensity_window(torch.full((1, 8, 8, 8), 3.0), 0.5, 99.5).abs().max() == 0


def test_equalised_intensities_are_uniform() -> None:
    image = torch.rand(1, 20, 20, 20, generator=torch.Generator().manual_seed(6)) ** 3
    flat = apply.equalise(image)
    assert stats.kstest(flat.flatten().numpy(), "uniform").statistic < 0.02 + (image < 1 / 256).float().mean()
    order = image.flatten().argsort()
    assert (flat.flatten()[order].diff() >= 0).all()


def standard(image: Tensor) -> tuple[float, float]:
    return image.mean().item(), image.std().item()


def test_standardise_puts_the_target_on_the_images_scale() -> None:
    rng = torch.Generator().manual_seed(7)
    target = torch.rand(2, 1, EDGE, EDGE, EDGE, generator=rng)
    image = target * 1.3 + 0.2
    z, on_its_scale = apply.standardise(image, target)
    for sample in z:
        assert standard(sample) == pytest.approx((0, 1), abs=1e-4)
    sd = image[0].std()
    torch.testing.assert_close(z[0] - on_its_scale[0], (image[0] - target[0]) / sd, rtol=1e-3, atol=1e-4)
    empty, _ = apply.standardise(torch.zeros(1, 1, 4, 4, 4), torch.zeros(1, 1, 4, 4, 4))
    assert empty.abs().max() == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"noise_sigma": (0.2, 0.1)},
        {"gibbs_kept": (0.5, 1.5)},
        {"rotation_deg": -1},
        {"dropout_cuboids": (4, 2)},
        {"elastic_spacing_mm": 0},
        {"flip_probability": 2},
        {"rotate_range": 15},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_wrong_options_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        AugmentOptions(**wrong)


def test_every_option_is_described_and_has_its_unit() -> None:
    for name, field in AugmentOptions.model_fields.items():
        assert field.description, name
        assert ("mm" in name) == ("(mm)" in field.description), name


def test_the_mask_of_cuboids_that_a_gpu_uses_drops_what_slices_drop(many: list[AugmentDraw]) -> None:
    draws = many[:40]
    image = torch.ones(len(draws), 1, EDGE, EDGE, EDGE)
    mask = apply._cuboid_mask(image, draws)
    assert torch.equal(image.masked_fill(mask, 0), apply.drop_cuboids(image.clone(), draws))
    assert mask.any()
    assert len({len(draw.cuboids_vox) for draw in draws}) > 1


def test_no_cuboids_at_all_give_an_empty_mask(plain: Callable[..., Any]) -> None:
    image = torch.ones(1, 1, EDGE, EDGE, EDGE)
    assert not apply._cuboid_mask(image, [plain_draw(plain)]).any()
