"""Strokes: territory, shape, size, and what they leave alone."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from mribench_datasets.phantom.acquisition import lesion_mask
from mribench_datasets.phantom.anatomy import draw_anatomy
from mribench_datasets.phantom.head import Part, injure
from mribench_datasets.phantom.lesions import draw_lesion, draw_volume_ml, smooth_noise
from mribench_datasets.phantom.template import CHANNELS, load_template, template_brain
from mribench_datasets.phantom.territories import BRANCHES_MM, KINDS, distances_mm, draw_kind
from mribench_datasets.phantom.tissues import TISSUES
from scipy import ndimage

from mribench.errors import DataError
from mribench.seeding import numpy_generator

EDGE_MM = 2


@pytest.fixture(scope="module")
def lesions():
    drawn = []
    for number in range(14):
        generator = numpy_generator("test-lesion", number)
        wanted_ml = draw_volume_ml(generator)
        drawn.append((wanted_ml, draw_lesion(generator, wanted_ml, template_brain())))
    return drawn


def body_of(lesion):
    return lesion.membership.sum(0) > 0.5


def test_lesions_have_the_volume_that_was_asked_for(lesions):
    for wanted_ml, lesion in lesions:
        assert 0.85 * wanted_ml - 0.2 < lesion.volume_ml < 1.15 * wanted_ml + 0.2


def test_volumes_are_log_normal():
    """Quantiles against scipy's truncated normal, of ln(ml) with mu ln 28 and sigma 1.4."""
    from scipy import stats

    sizes = np.array([draw_volume_ml(numpy_generator("size", number)) for number in range(3000)])
    mu, sigma = np.log(28.0), 1.4
    law = stats.truncnorm((np.log(0.3) - mu) / sigma, (np.log(260.0) - mu) / sigma, mu, sigma)
    assert stats.kstest(np.log(sizes), law.cdf).pvalue > 1e-3
    assert 22 < np.median(sizes) < 30
    assert sizes.min() < 1
    assert 200 < sizes.max() <= 260
    assert 0.1 < (sizes > 100).mean() < 0.2


def test_ventricles_sulci_and_the_other_hemisphere_are_left_alone(lesions):
    template = load_template(EDGE_MM)
    csf = template.channels[CHANNELS.index("csf")]
    x = template.origin_mm[0] + EDGE_MM * np.arange(csf.shape[0])
    tissue = template.channels[[0, 1, 3, 4, 5]].sum(0)
    for _, lesion in lesions:
        body = lesion.membership.sum(0)
        assert body.max() <= 1 + 1e-6
        assert (body[csf > 0.95] < 0.7).all()
        assert min(body[x < -1.5].sum(), body[x > 1.5].sum()) == 0
        assert body[np.abs(x) <= 1.5].sum() == 0
        assert tissue[body > 0.9].min() > 0.3
        assert body[template.channels[:-1].sum(0) < 0.1].sum() < 0.03 * body.sum()


def test_the_cerebellum_and_the_brain_stem_are_left_alone(lesions):
    brain = template_brain()
    y, z = brain.mni_mm[1], brain.mni_mm[2]
    for _, lesion in lesions:
        assert lesion.membership.sum(0)[(y < -50) & (z < -20)].max() == 0


def test_infarcts_lie_in_their_territory(lesions):
    brain = template_brain()
    kinds = {kind.name: kind for kind in KINDS}
    for _, lesion in lesions:
        kind = kinds[lesion.territory.split(" ", 1)[1]]
        points = np.stack([axis[body_of(lesion)] for axis in brain.mni_mm], axis=-1)
        points[:, 0] = np.abs(points[:, 0])
        near = distances_mm(points)
        own = np.minimum.reduce([near[name] for name in kind.arteries])
        others = [near[name] for name in near if name not in kind.arteries]
        inside = own <= np.minimum.reduce(others) + 4
        assert inside.mean() > 0.6, lesion.territory


def test_cortical_infarcts_involve_the_cortex(lesions):
    template = load_template(EDGE_MM)
    gm, outside_mm = template.channels[0], template.channels[-1]
    seen = 0
    for _, lesion in lesions:
        name = lesion.territory.split(" ", 1)[1]
        if name.startswith(("MCA", "ACA", "PCA")) and lesion.volume_ml > 5:
            body = body_of(lesion)
            assert gm[body].sum() > 0.25 * body.sum()
            # the base of the wedge is the brain's surface, or the medial wall
            assert (outside_mm[body] > -8).mean() > 0.15 or name in ("ACA", "PCA")
            seen += 1
    assert seen >= 5


def test_lesions_are_no_spheres(lesions):
    for _, lesion in lesions:
        body = np.argwhere(body_of(lesion)) * float(EDGE_MM)
        if lesion.volume_ml > 5:
            radius_mm = (3 * len(body) * EDGE_MM**3 / (4 * np.pi)) ** (1 / 3)
            reach_mm = np.linalg.norm(body - body.mean(0), axis=1).max()
            assert reach_mm > 1.25 * radius_mm


def test_large_lesions_have_a_cavity_and_a_rim_against_healthy_tissue(lesions):
    tissue = template_brain().tissue
    for _, lesion in lesions:
        cavity, rim = lesion.membership
        assert rim.sum() > 0
        if lesion.volume_ml > 20:
            assert cavity.sum() > 0.1 * (cavity + rim).sum()
            healthy = (tissue > 0.5) & (lesion.membership.sum(0) < 0.3)
            touching = (cavity > 0.9) & ndimage.binary_dilation(healthy)
            assert touching.sum() < 0.02 * (cavity > 0.9).sum() + 1


def test_the_left_is_hurt_more_often_and_by_the_middle_cerebral_artery():
    brain = template_brain()
    small = [draw_lesion(numpy_generator("side", n), 1.0, brain).territory for n in range(24)]
    assert 15 <= sum(name.startswith("left") for name in small) < 24
    kinds = Counter(draw_kind(numpy_generator("kind", n), 40.0).name for n in range(500))
    assert kinds["MCA superior"] + kinds["MCA inferior"] > 350
    assert {"ACA", "PCA"} <= set(kinds)
    assert {draw_kind(numpy_generator("kind", n), 0.8).name for n in range(50)} == {"lacunar"}
    assert {draw_kind(numpy_generator("kind", n), 240.0).name for n in range(50)} == {"MCA"}


def test_every_volume_has_a_kind_of_infarct():
    for volume_ml in (0.1, 0.3, 1, 2, 2.5, 30, 60, 130, 260, 400):
        assert any(kind.low_ml <= volume_ml <= kind.high_ml for kind in KINDS)
    for kind in KINDS:
        assert set(kind.arteries) <= set(BRANCHES_MM)
        assert (kind.hub_mm is None) != (kind.axes_mm is None)


def test_territories_share_the_hemisphere_as_arterial_maps_have_it():
    brain = template_brain()
    points = np.stack([axis[(brain.tissue > 0.5) & (brain.side == 1)] for axis in brain.mni_mm], axis=-1)
    near = distances_mm(points)
    first = np.argmin(np.stack(list(near.values())), axis=0)
    share = {name: (first == index).mean() for index, name in enumerate(near)}
    assert 0.4 < share["MCA superior"] + share["MCA inferior"] + share["lenticulostriate"] < 0.65
    assert 0.15 < share["ACA"] < 0.3
    assert 0.12 < share["PCA"] < 0.28


def test_the_same_generator_gives_the_same_lesion():
    a, b = (draw_lesion(numpy_generator("same"), 12.0, template_brain()) for _ in range(2))
    np.testing.assert_array_equal(a.membership, b.membership)
    assert a.territory == b.territory


def test_a_stroke_replaces_nervous_tissue_only():
    healthy = draw_anatomy(("test", 0, 0), 4.0, False)
    hurt = draw_anatomy(("test", 0, 0), 4.0, True)
    before, after = healthy.on_grid(*healthy.grid()), hurt.on_grid(*hurt.grid())
    for tissue in ("csf", "bone", "fat", "skin", "muscle"):
        np.testing.assert_array_equal(after.share(tissue), before.share(tissue))
    np.testing.assert_allclose(after.share(), before.share(), atol=1e-5)
    assert before.share("gm", "wm").sum() > after.share("gm", "wm").sum()
    mask = lesion_mask(after)
    assert mask.any()
    assert (before.share("csf")[mask] <= 0.7).all()
    assert hurt.has_lesion
    assert not healthy.has_lesion


def test_injuring_keeps_the_total():
    box = (slice(1, 3), slice(0, 4), slice(0, 4))
    part = Part("wm", np.ones(5), box, np.full((2, 4, 4), 0.8, dtype=np.float32))
    bone = Part("bone", np.ones(5), box, np.full((2, 4, 4), 0.2, dtype=np.float32))
    cavity, rim = np.full((4, 4, 4), 0.5, np.float32), np.full((4, 4, 4), 0.25, np.float32)
    wm, kept, hollow, scar = injure([part, bone], cavity, rim, np.zeros((2, 5)))
    np.testing.assert_allclose(wm.share, 0.2, rtol=1e-6)
    np.testing.assert_array_equal(kept.share, bone.share)
    np.testing.assert_allclose(hollow.share[box], 0.4, rtol=1e-6)
    np.testing.assert_allclose(scar.share[box], 0.2, rtol=1e-6)
    assert hollow.share[0].max() == scar.share[3].max() == 0
    assert {hollow.tissue, scar.tissue} <= set(TISSUES)


def test_the_mask_of_a_tiny_lesion_is_not_empty():
    from mribench_datasets.phantom.head import Head

    def head_of(amount):
        share = np.zeros((4, 4, 4), dtype=np.float32)
        share[1, 2, 3] = amount
        part = Part("rim", np.ones(5), (slice(0, 4),) * 3, share)
        return Head(np.eye(4), (4, 4, 4), (part,), np.zeros((4, 4, 4)))

    assert lesion_mask(head_of(0.2)).sum() == 1
    assert lesion_mask(head_of(0.0)).sum() == 0


def test_smooth_noise_is_smooth_and_of_unit_variance():
    noise = smooth_noise(numpy_generator("n"), (60, 70, 50), 2.0, 10.0)
    assert noise.shape == (60, 70, 50)
    assert abs(noise.mean()) < 0.25
    assert 0.5 < noise.std() < 1.1
    assert np.abs(np.diff(noise, axis=0)).max() < 1.0
    assert noise.dtype == np.float32


@pytest.mark.parametrize("change", [{"side": 0}, {"tissue": 0}, {"mni_mm": 1e4}])
def test_a_brain_without_tissue_is_refused_in_a_sentence(change):
    brain = template_brain()
    key, value = next(iter(change.items()))
    brain = replace(brain, **{key: np.full_like(getattr(brain, key), value)})
    with pytest.raises(DataError, match="no tissue where a lesion would be") as caught:
        draw_lesion(numpy_generator("empty"), 20.0, brain)
    assert "both hemispheres" in caught.value.hint
