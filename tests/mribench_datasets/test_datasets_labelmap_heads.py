"""Real label maps become heads with the contrast of textbooks; where the developers' data is."""

from __future__ import annotations

import numpy as np
import pytest
from mribench_datasets.labelmap.anatomy import draw_label_anatomy
from mribench_datasets.labelmap.labels import LabelMap, read_labelmap
from mribench_datasets.phantom.acquisition import acquire, quantitative_maps
from mribench_datasets.phantom.protocols import Protocol
from mribench_datasets.phantom.tissues import PROPERTIES

from mribench.interfaces import SequenceRef
from mribench.seeding import numpy_generator

MPRAGE = {
    "tr_s": 2.3, "ti_s": 0.9, "te_s": 0.003, "tx_s": 0.006, "flip_angle_deg": 9.0, "n_excitations": 160.0,
    "inversion_efficiency": 0.96,
}  # fmt: skip
PROTOCOLS = {
    "T1w": (Protocol("mprage", MPRAGE, 3.0, 0.02, 0.0), ["wm", "gm", "csf"]),
    "T2w": (Protocol("fse", {"te_s": 0.09, "tr_s": 5.0}, 3.0, 0.02, 0.0), ["csf", "gm", "wm"]),
    "PDw": (Protocol("fse", {"te_s": 0.015, "tr_s": 4.0}, 3.0, 0.02, 0.0), ["gm", "wm"]),
    "FLAIR": (
        Protocol("flair", {"te_s": 0.1, "tr_s": 9.0, "ti_s": 2.5}, 3.0, 0.02, 0.0),
        ["gm", "wm", "csf"],
    ),
}


@pytest.fixture(scope="module")
def label_maps(shared_dir):
    paths = sorted((shared_dir / "data" / "labelmaps").glob("*.nii.gz"))
    if not paths:
        pytest.skip("the developers' label maps are not here")
    return paths


def head_of(path, spacing_mm):
    anatomy = draw_label_anatomy(read_labelmap(path), ("heads", path.name), spacing_mm, False)
    return anatomy.on_grid(*anatomy.grid())


def check_means(head, least_vox):
    """Compare the mean of every map over pure voxels with the drawn value of each label."""
    maps = quantitative_maps(head, numpy_generator("heads"))
    checked = 0
    for part in head.parts:
        pure = part.share > 0.99
        if pure.sum() < least_vox:
            continue
        for column, name in enumerate(PROPERTIES):
            got = float(maps[name].data[part.box][pure].mean())
            assert got == pytest.approx(part.values_3t[column], rel=0.02), (part.tissue, name)
        checked += 1
    return checked


def check_contrast(head, registry):
    for name, (protocol, order) in PROTOCOLS.items():
        reference = SequenceRef.model_validate({"name": protocol.sequence, "profile": "corrected"})
        sequence = registry.resolve(reference, "test", "corrected").make()
        image = acquire(head, protocol, sequence, numpy_generator("heads", name)).data
        levels = [image[head.share(tissue) > 0.99].mean() for tissue in order]
        assert levels == sorted(levels, reverse=True), (name, levels)


@pytest.mark.parametrize("number", range(12))
def test_every_label_map_becomes_maps_and_images(label_maps, registry, number):
    if number >= len(label_maps):
        pytest.skip(f"only {len(label_maps)} label maps are here")
    fine = read_labelmap(label_maps[number])  # every second voxel, to be quick
    affine = fine.affine @ np.diag([2.0, 2.0, 2.0, 1.0])
    coarse = LabelMap(np.ascontiguousarray(fine.labels[::2, ::2, ::2]), affine)
    anatomy = draw_label_anatomy(coarse, ("heads", number), None, False)
    head = anatomy.on_grid(*anatomy.grid())
    assert check_means(head, 500) >= 8
    check_contrast(head, registry)
    total = head.share()
    assert total.max() < 1 + 1e-5
    brain_ml = head.share("gm", "wm", "striatum", "thalamus", "pallidum", "brainstem").sum() * 0.008
    assert 700 < brain_ml < 1700


def test_at_one_millimetre(label_maps, registry):
    head = head_of(label_maps[2], 1.0)
    assert check_means(head, 500) >= 20
    check_contrast(head, registry)


def test_strokes_on_a_real_anatomy(label_maps):
    label_map = read_labelmap(label_maps[0])
    anatomy = draw_label_anatomy(label_map, ("stroke", 1), 2.0, True)
    head = anatomy.on_grid(*anatomy.grid())
    lost = head.share("cavity", "rim")
    assert lost.sum() * 0.008 == pytest.approx(anatomy.lesion.volume_ml, rel=0.15, abs=0.2)
    x = np.arange(head.shape[0])[:, None, None]
    middle = (x * head.share("csf", "thalamus")).sum() / head.share("csf", "thalamus").sum()
    left = (x * lost).sum() / lost.sum() < middle
    assert anatomy.lesion.territory.startswith("left") == left
