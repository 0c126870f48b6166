"""The heads of the phantom: shape, tissues, lesions, contrast."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mribench_datasets.phantom.acquisition import (
    acquire,
    posteriors,
    quantitative_maps,
    reorient,
    tissue_signals,
)
from mribench_datasets.phantom.anatomy import draw_anatomy, native_grid
from mribench_datasets.phantom.protocols import ARC_PROTOCOLS, IXI_SITES, Protocol
from mribench_datasets.phantom.template import CHANNELS, load_template, smooth_template
from mribench_datasets.phantom.tissues import PROPERTIES, TISSUES, VALUES_3T, at_field, draw_values
from mribench_datasets.phantom.warp import draw_warp

from mribench.errors import DataError
from mribench.interfaces import SequenceRef
from mribench.seeding import numpy_generator

SPACING_MM = 4.0
MEANS = np.array([VALUES_3T[tissue] for tissue in TISSUES])


@pytest.fixture(scope="module")
def heads():
    """Three healthy heads: (anatomy, head)."""
    anatomies = [draw_anatomy(("test", 0, number), SPACING_MM, False) for number in range(3)]
    return [(anatomy, anatomy.on_grid(*anatomy.grid())) for anatomy in anatomies]


def memberships_of(head):
    return np.stack([head.share(tissue) for tissue in TISSUES])


def millilitres(share, spacing_mm=SPACING_MM):
    return float(share.sum()) * spacing_mm**3 / 1000


# ---- the template --------------------------------------------------------------------------------------


def test_the_template_is_a_head_in_mni_space():
    template = load_template(2)
    memberships = template.channels[:-1]
    assert memberships.min() >= 0
    assert memberships.sum(0).max() < 1 + 1e-5
    distance = template.channels[CHANNELS.index("distance_mm")]
    assert distance[0, 0, 0] > 20
    inside = memberships.sum(0) > 0.9
    assert distance[inside].max() < 2
    ml = {name: millilitres(channel, 2) for name, channel in zip(CHANNELS[:-1], memberships, strict=True)}
    assert 180 < ml["csf"] < 260  # the ventricles and sulci, about 220 ml
    assert 8 < ml["thalamus"] < 20
    assert 2 < ml["pallidum"] < 6
    assert 12 < ml["striatum"] < 35


def test_averaging_keeps_volumes_and_place():
    fine, coarse = load_template(2), smooth_template(6.0)
    for name, a, b in zip(CHANNELS[:3], fine.channels, coarse.channels, strict=False):
        assert abs(a.sum() / b.sum() - 1) < 0.01, name
        centre = [
            np.array(np.unravel_index(np.arange(c.size), c.shape)) @ c.ravel() / c.sum() for c in (a, b)
        ]
        np.testing.assert_allclose(*centre, atol=0.1)


# ---- shape ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", range(6))
def test_warps_are_smooth_and_invertible(number):
    warp = draw_warp(numpy_generator("warp", number))
    step = 4.0
    axes = [np.arange(-90, 91, step)] * 3
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    mapped = warp(points)
    jacobian = np.stack([np.stack(np.gradient(mapped[..., c], step), -1) for c in range(3)], -2)
    determinant = np.linalg.det(jacobian)
    assert determinant.min() > 0.1
    assert determinant.max() < 6
    assert abs(np.median(determinant) * warp.volume_scale - 1) < 0.35
    affine_only = points @ warp.affine[:3, :3].T + warp.affine[:3, 3]
    moved_mm = np.linalg.norm(mapped - affine_only, axis=-1)
    assert 2 < moved_mm.mean() < 15  # a different shape, and still a head


def test_tissue_volumes_are_those_of_a_head(heads):
    for _, head in heads:
        memberships = memberships_of(head)
        gm, wm, csf = (millilitres(part) for part in posteriors(head))
        assert 500 < gm < 1000
        assert 330 < wm < 700
        assert 200 < csf < 550
        assert 0.9 < gm / wm < 2.2
        share = dict(zip(TISSUES, memberships, strict=True))
        assert share["cavity"].max() == share["rim"].max() == 0
        assert all(millilitres(share[tissue]) > 40 for tissue in ("fat", "skin", "bone", "muscle"))


def test_memberships_are_shares(heads):
    for _, head in heads:
        memberships = memberships_of(head)
        assert memberships.min() >= 0
        total = memberships.sum(0)
        assert total.max() < 1 + 1e-4
        assert total[0].max() == total[-1].max() == 0  # air at the sides: the field of view holds the head
        assert total[:, -1].max() == total[:, :, -1].max() == 0
        partial = (memberships[0] > 0.1) & (memberships[0] < 0.9)
        assert partial.sum() > 0.3 * (memberships[0] > 0.1).sum()  # partial volume, not a class map


def test_the_layers_lie_in_order(heads):
    for _, head in heads:
        memberships = memberships_of(head)
        share = dict(zip(TISSUES, memberships, strict=True))
        k = memberships.shape[-1] // 2 + 4
        line = {tissue: share[tissue][:, memberships.shape[2] // 2, k] for tissue in TISSUES}
        last = {t: np.flatnonzero(line[t] > 0.15)[-1] for t in ("wm", "gm", "csf", "bone", "skin")}
        assert list(last.values()) == sorted(last.values())
        assert last["skin"] > last["bone"] > last["gm"]


def test_heads_differ_and_are_the_same_person_at_any_spacing(heads):
    gm = [posteriors(head)[0] for _, head in heads]
    assert abs(gm[0] - gm[1]).mean() > 0.02
    affine, shape = native_grid(2.0)
    fine = draw_anatomy(("test", 0, 0), 2.0, False).on_grid(affine, shape)
    for a, b in zip(posteriors(fine), posteriors(heads[0][1]), strict=True):
        assert abs(millilitres(a, 2.0) / millilitres(b) - 1) < 0.06


# ---- tissue values and contrast ------------------------------------------------------------------------


def closed_form(sequence, tissue, te, tr, ti=None, tx=None, angle_deg=None, n=None, eta=0.96):
    """Signals as physics.md writes them, in plain Python."""
    pd, r1, r2s, _, r2 = VALUES_3T[tissue]

    def e(t):
        return np.exp(-r1 * t)

    if sequence == "fse":
        return pd * (1 - e(tr)) * np.exp(-r2 * te)
    if sequence == "flair":
        return pd * np.exp(-r2 * te) * abs(1 - 2 * e(ti) + e(tr))
    c, s = np.cos(np.deg2rad(angle_deg)), np.sin(np.deg2rad(angle_deg))
    tp, td, q, m = ti - n * tx / 2, tr - ti - n * tx / 2, c * e(tx), n // 2

    def g(k):
        return (1 - e(tx)) * (1 - q**k) / (1 - q)

    steady = (1 - e(tp)) * q**n + g(n)
    steady = (steady * e(td) + 1 - e(td)) / (1 + eta * c**n * e(tr))
    z = 1 - e(tp) - eta * steady * e(tp)
    return pd * abs((z * q ** (m - 1) + g(m - 1)) * s) * np.exp(-r2s * te)


MPRAGE = {"te": 0.003, "tr": 2.3, "ti": 0.9, "tx": 0.006, "angle_deg": 9, "n": 160}


@pytest.mark.parametrize(
    ("sequence", "parameters", "order"),
    [
        ("mprage", MPRAGE, ["fat", "wm", "gm", "rim", "cavity", "csf"]),
        ("fse", {"te": 0.09, "tr": 5.0}, ["csf", "cavity", "rim", "gm", "wm"]),
        ("fse", {"te": 0.015, "tr": 4.0}, ["gm", "wm"]),
        ("flair", {"te": 0.1, "tr": 9.0, "ti": 2.5}, ["rim", "gm", "wm", "cavity", "csf"]),
    ],
)
def test_tissues_have_the_contrast_of_textbooks(sequence, parameters, order):
    levels = [closed_form(sequence, tissue, **parameters) for tissue in order]
    assert levels == sorted(levels, reverse=True), dict(zip(order, levels, strict=True))


def make_sequence(registry, name):
    component = SequenceRef.model_validate({"name": name, "profile": "corrected"})
    return registry.resolve(component, "test", "corrected").make()


def test_tissue_signals_are_the_closed_form(registry):
    protocol = Protocol(
        "mprage",
        {
            "te_s": 0.003, "tr_s": 2.3, "ti_s": 0.9, "tx_s": 0.006, "flip_angle_deg": 9.0,
            "n_excitations": 160.0, "inversion_efficiency": 0.96,
        },
        3.0, 0, 0,
    )  # fmt: skip
    signals = tissue_signals(make_sequence(registry, "mprage"), protocol, MEANS)
    np.testing.assert_allclose(signals, [closed_form("mprage", t, **MPRAGE) for t in TISSUES], rtol=1e-6)
    protocol = Protocol("flair", {"te_s": 0.1, "tr_s": 9.0, "ti_s": 2.5}, 3.0, 0, 0)
    signals = tissue_signals(make_sequence(registry, "flair"), protocol, MEANS)
    expected = [closed_form("flair", t, te=0.1, tr=9.0, ti=2.5) for t in TISSUES]
    np.testing.assert_allclose(signals, expected, rtol=1e-6)


def test_impossible_protocols_are_refused(registry):
    protocol = Protocol("flair", {"te_s": 0.1, "tr_s": 2.0, "ti_s": 2.5}, 3.0, 0, 0)
    with pytest.raises(DataError, match="flair"):
        tissue_signals(make_sequence(registry, "flair"), protocol, MEANS)


def test_every_protocol_gives_its_weighting(registry):
    everything = [*(p for site in IXI_SITES.values() for p in site.items()), *ARC_PROTOCOLS.items()]
    for name, protocol in everything:
        signals = tissue_signals(make_sequence(registry, protocol.sequence), protocol, MEANS)
        level = dict(zip(TISSUES, signals, strict=True))
        if name == "T1w":
            assert level["wm"] > level["gm"] > level["csf"]
        elif name == "T2w":
            assert level["csf"] > level["gm"] > level["wm"]
        elif name == "PDw":
            assert level["gm"] > level["wm"]
        else:
            assert level["rim"] > level["gm"] > level["csf"]


def test_people_differ_by_about_five_percent():
    drawn = np.stack([draw_values(numpy_generator("values", number)) for number in range(300)])
    relative = drawn / MEANS
    assert 0.04 < relative[:, 0].std() < 0.055
    assert relative[:, TISSUES.index("csf")].std() < 0.012
    np.testing.assert_allclose(relative.mean(0), 1, atol=0.02)


def test_field_strength_changes_relaxation_as_documented():
    low = dict(zip(TISSUES, at_field(MEANS, 1.5), strict=True))
    high = dict(zip(TISSUES, MEANS, strict=True))
    r1, r2s, r2 = (PROPERTIES.index(name) for name in ("R1", "R2s", "R2"))
    assert low["wm"][r1] / high["wm"][r1] == pytest.approx(2**0.38)
    assert low["csf"][r1] == high["csf"][r1]
    assert low["gm"][r2s] - low["gm"][r2] == pytest.approx((high["gm"][r2s] - high["gm"][r2]) / 2)
    np.testing.assert_allclose(at_field(MEANS, 3.0), MEANS)


# ---- images and maps -----------------------------------------------------------------------------------


def test_an_image_has_its_noise_and_bias(registry, heads):
    _, head = heads[0]
    sequence = make_sequence(registry, "fse")
    quiet = Protocol("fse", {"te_s": 0.1, "tr_s": 5.0}, 3.0, 0.0, 0.0, gain=10000)
    noisy = Protocol("fse", {"te_s": 0.1, "tr_s": 5.0}, 3.0, 0.05, 0.0, gain=10000)
    biased = Protocol("fse", {"te_s": 0.1, "tr_s": 5.0}, 3.0, 0.0, 0.2, gain=10000)
    images = [acquire(head, p, sequence, numpy_generator("n")).data for p in (quiet, noisy, biased)]
    air = head.share() == 0
    assert images[0][air].max() == 0
    # Rayleigh in air
    assert images[1][air].mean() == pytest.approx(500 * np.sqrt(np.pi / 2), rel=0.02)
    bright = images[0] > 5000
    assert (images[1] - images[0])[bright].std() == pytest.approx(500, rel=0.05)
    logarithm = np.log(images[2][bright] / images[0][bright])
    assert 0.08 < logarithm.std() < 0.35
    assert images[1].dtype == np.float32
    np.testing.assert_array_equal(images[1], np.rint(images[1]))


def test_maps_have_the_values_of_their_tissues(heads):
    anatomy, head = heads[0]
    memberships = memberships_of(head)
    maps = quantitative_maps(head, numpy_generator("n"))
    assert list(maps) == list(PROPERTIES)
    for tissue in ("wm", "gm"):
        pure = memberships[TISSUES.index(tissue)] > 0.97
        assert pure.sum() > 30
        for column, name in enumerate(PROPERTIES):
            expected = anatomy.values_3t[TISSUES.index(tissue), column]
            assert np.median(maps[name].data[pure]) == pytest.approx(expected, rel=0.06)
    air = memberships.sum(0) == 0
    assert all(volume.data[air].max() == 0 and volume.data.min() >= 0 for volume in maps.values())


def test_reorienting_keeps_world_coordinates(heads):
    import nibabel as nib

    from mribench.volumes import Volume

    head = heads[0][1]
    affine = head.affine
    volume = Volume(head.share("gm"), affine)
    turned = reorient(volume, "PSR")
    assert nib.aff2axcodes(turned.affine) == ("P", "S", "R")
    back = nib.as_closest_canonical(nib.Nifti1Image(turned.data, turned.affine))
    np.testing.assert_array_equal(back.get_fdata(dtype=np.float32), volume.data)
    np.testing.assert_allclose(back.affine, affine)


def test_no_global_random_state_is_touched(heads):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    draw_anatomy(("test", 1, 0), SPACING_MM, True)
    assert torch.equal(before, torch.get_rng_state())
    np.testing.assert_array_equal(state, np.random.get_state()[1])  # noqa: NPY002
