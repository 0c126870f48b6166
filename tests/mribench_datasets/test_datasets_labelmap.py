"""Label maps become cohorts: small maps made here, that run everywhere."""

from __future__ import annotations

import os

import nibabel as nib
import numpy as np
import pytest
from mribench_datasets.labelmap.anatomy import blur, blur_weights, draw_label_anatomy
from mribench_datasets.labelmap.labels import FAT, LEFT, MUSCLE, RIGHT, TISSUE_OF, read_labelmap
from mribench_datasets.labelmap.landmarks import brain_of
from mribench_datasets.phantom.acquisition import posteriors, quantitative_maps
from mribench_datasets.phantom.tissues import PROPERTIES, VALUES_3T
from scipy import ndimage

from mribench.errors import ConfigError, DataError
from mribench.seeding import numpy_generator
from mribench.testing import check_entry


def toy_head(shift=0.0, shape=(50, 60, 54)):
    """A ball of a head in 4 mm voxels: skin, fat, bone, CSF, cortex, white matter, nuclei, ventricles."""
    x, y, z = (4.0 * (i - n / 2 + 0.5) for i, n in zip(np.indices(shape, dtype=float), shape, strict=True))
    radius = np.sqrt((x / 0.86) ** 2 + ((y - shift) / 1.05) ** 2 + (z / 0.95) ** 2)
    labels = np.zeros(shape, dtype=np.int16)
    right = x > 0
    for outer, number in ((96, 511), (90, 507), (80, 515), (73, 24)):
        labels[radius < outer] = number
    for outer, numbers in ((68, (3, 42)), (58, (2, 41))):
        inside = (radius < outer) & (np.abs(x) > 2)
        labels[inside] = np.where(right, numbers[1], numbers[0])[inside]
    balls = {
        51: (28, 4, 0, 9),
        49: (12, -18, 8, 10),
        43: (14, 12, 24, 9),
        50: (13, 26, 10, 8),
        52: (19, -6, 0, 5),
    }
    mirror = {51: 12, 49: 10, 43: 4, 50: 11, 52: 13}
    for number, (cx, cy, cz, r) in balls.items():
        near = (np.abs(x) - cx) ** 2 + (y - cy) ** 2 + (z - cz) ** 2 < r**2
        labels[near] = np.where(right, number, mirror[number])[near]
    return labels


def put_map(path, labels, edge_mm=4.0, codes="RAS", dtype=np.int16):
    affine = np.diag([edge_mm, edge_mm, edge_mm, 1.0])
    affine[:3, 3] = -edge_mm * (np.array(labels.shape) - 1) / 2
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nib.Nifti1Image(labels.astype(dtype), affine)
    turn = nib.orientations.ornt_transform(
        nib.io_orientation(affine), nib.orientations.axcodes2ornt(tuple(codes))
    )
    nib.save(image.as_reoriented(turn), path)
    return path


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("maps")
    put_map(folder / "anna.nii.gz", toy_head())
    put_map(folder / "bert.nii.gz", toy_head(6.0), codes="LIA", dtype=np.float32)
    return folder


@pytest.fixture(scope="module")
def head(root):
    return read_labelmap(root / "anna.nii.gz")


# ---- reading -------------------------------------------------------------------------------------------


def test_tables_are_consistent():
    assert len(LEFT) == len(RIGHT)
    for left, right in zip(LEFT, RIGHT, strict=True):
        assert TISSUE_OF[left] == TISSUE_OF[right]
    assert set(TISSUE_OF.values()) <= set(VALUES_3T)
    for number, tissue in {3: "gm", 41: "wm", 4: "csf", 24: "csf", 10: "thalamus", 515: "bone"}.items():
        assert TISSUE_OF[number] == tissue


def test_a_map_is_read_in_ras_whatever_its_axes(root, tmp_path):
    a = read_labelmap(put_map(tmp_path / "a.nii.gz", toy_head(6.0)))
    b = read_labelmap(root / "bert.nii.gz")
    np.testing.assert_array_equal(a.labels, b.labels)
    np.testing.assert_allclose(a.affine, b.affine, atol=1e-4)


def test_parcellations_and_odd_numbers(tmp_path):
    labels = toy_head()
    labels[labels == 3] = 1024
    labels[labels == 41] = 4010
    read = read_labelmap(put_map(tmp_path / "aparc.nii.gz", labels))
    assert {3, 41} <= set(np.unique(read.labels))
    labels[0, 0, :3] = [345, 346, 9999]
    path = put_map(tmp_path / "odd.nii.gz", labels)
    with pytest.raises(DataError, match=r"odd\.nii\.gz.*345, 346, 9999") as caught:
        read_labelmap(path)
    assert "unknown: background" in caught.value.hint
    assert set(np.unique(read_labelmap(path, "background").labels)) <= {0, *TISSUE_OF}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda labels: labels / 515.0, "not a label map"),
        (lambda labels: labels * 0, "no labelled voxel"),
        (lambda labels: np.where(labels > 0, 24, 0), "neither grey nor white"),
        (lambda labels: -labels, "knows no tissue for"),
    ],
)
def test_what_is_no_label_map_is_refused_by_name(tmp_path, change, message):
    path = put_map(tmp_path / "bad.nii.gz", change(toy_head()), dtype=np.float32)
    with pytest.raises(DataError, match=message) as caught:
        read_labelmap(path)
    assert "bad.nii.gz" in caught.value.message
    assert caught.value.hint


# ---- from labels to shares -----------------------------------------------------------------------------


@pytest.mark.parametrize("step", [1.0, 1.25, 2.0])
def test_blurring_is_a_gaussian_average(step):
    rng = np.random.default_rng(0)
    volume = (rng.random((40, 40, 40)) > 0.5).astype(np.float32)
    n = int(40 / step)
    weights = [blur_weights(n, 40, 0.0, step, 0.9)] * 3
    whole = (slice(0, 40),) * 3
    box, ours = blur(volume, weights, whole)
    assert box == (slice(0, n),) * 3
    smooth = ndimage.gaussian_filter(volume, 0.9, truncate=3.3)
    grid = np.meshgrid(*[np.arange(n) * step] * 3, indexing="ij")
    if step != 1.25:  # places on voxel centres
        other = ndimage.map_coordinates(smooth, grid, order=1)
        inner = (slice(4, -4),) * 3
        assert np.abs(ours - other)[inner].max() < 0.03
    for rows in weights:
        np.testing.assert_allclose(rows.sum(1), 1, rtol=1e-5)


@pytest.mark.parametrize("scale", [(1.0, 1.0, 1.0), (1.2, 1.0, 1.4)])
def test_shares_add_up_and_volumes_stay(head, scale):
    anatomy = draw_label_anatomy(head, ("t", 0), 4.0, False)
    made = anatomy.on_grid(*anatomy.grid(scale))
    total = made.share()
    assert total.min() >= 0
    assert total.max() < 1 + 1e-5
    voxel_ml = abs(np.linalg.det(made.affine[:3, :3])) / 1000
    for tissue, numbers in (("wm", (2, 41)), ("gm", (3, 42)), ("bone", (515,))):
        there = np.isin(head.labels, numbers).sum() * 0.064
        assert made.share(tissue).sum() * voxel_ml == pytest.approx(there, rel=0.03)
    gm = made.share("gm")
    assert ((gm > 0.05) & (gm < 0.95)).sum() > 0.2 * (gm > 0.05).sum()  # partial volume


def test_maps_have_the_drawn_values_in_pure_voxels(head):
    anatomy = draw_label_anatomy(head, ("t", 1), 4.0, False)
    made = anatomy.on_grid(*anatomy.grid())
    maps = quantitative_maps(made, numpy_generator("n"))
    checked = 0
    for part in made.parts:
        pure = part.share > 0.99
        if pure.sum() < 20:
            continue
        for column, name in enumerate(PROPERTIES):
            expected = part.values_3t[column]
            got = float(maps[name].data[part.box][pure].mean())
            chance = 4 * (1.0, 0.02, 0.8, 0.04, 0.4)[column] / np.sqrt(pure.sum())  # of the noise
            assert got == pytest.approx(expected, rel=0.02, abs=chance), (part.tissue, name)
            checked += 1
    assert checked >= 10  # white matter of both sides at the least


def test_values_vary_by_subject_and_label(head):
    draws = [draw_label_anatomy(head, ("t", n), 4.0, False).values_3t for n in range(16)]
    wm = np.array([values[2] for values in draws]) / np.array(VALUES_3T["wm"])
    assert 0.03 < wm.std(0).mean() < 0.08
    sides = np.array([values[2] / values[41] for values in draws])
    assert 0 < np.abs(sides - 1).max() < 0.03  # the hemispheres are nearly alike
    other = np.array([values[2] / values[3] * VALUES_3T["gm"][0] / VALUES_3T["wm"][0] for values in draws])
    assert other.std() > 0.01


def test_texture_is_smooth_and_varies_within_a_tissue(head):
    anatomy = draw_label_anatomy(head, ("t", 2), 4.0, False)
    made = anatomy.on_grid(*anatomy.grid())
    wm = made.share("wm") > 0.99
    assert 0.3 < made.texture[wm].std() < 1.3
    assert abs(made.texture[wm].mean()) < 0.02


def test_soft_tissue_is_fat_under_the_skin_and_muscle_below(root):
    labels = toy_head()
    labels[:, :, :20][labels[:, :, :20] > 0] = 507
    labels[20, 30, 40] = 3
    from mribench_datasets.labelmap.labels import LabelMap, split_soft_tissue

    split = split_soft_tissue(LabelMap(labels, np.diag([4.0, 4, 4, 1])), np.zeros(labels.shape, np.float32))
    depth = ndimage.distance_transform_edt(labels != 511) * 4
    soft = labels == FAT
    assert (split[soft & (depth > 9)] == MUSCLE).all()
    assert (split[soft & (depth <= 4)] == FAT).all()
    np.testing.assert_array_equal(split[~soft], labels[~soft])


def test_tissue_posteriors_come_from_the_labels(head):
    anatomy = draw_label_anatomy(head, ("t", 3), 4.0, False)
    gm, wm, csf = posteriors(anatomy.on_grid(*anatomy.grid()))
    assert (gm + wm + csf).max() < 1 + 1e-5
    for share, numbers in ((gm, (3, 42, 10, 49, 11, 50, 12, 51, 13, 52)), (wm, (2, 41)), (csf, (24, 4, 43))):
        there = np.isin(head.labels, numbers)
        assert share.sum() == pytest.approx(there.sum(), rel=0.03)


# ---- strokes -------------------------------------------------------------------------------------------


def test_landmarks_find_mni_space(head):
    brain = brain_of(head)
    for side in (-1, 1):
        x = brain.mni_mm[0][(brain.side == side) & (brain.tissue > 0.9)]
        assert np.sign(np.median(x)) == side
        assert (np.sign(x) == side).mean() > 0.95
    middle = [axis[brain.tissue > 0.5].mean() for axis in brain.mni_mm]
    assert np.linalg.norm(np.array(middle) - [0, -18, 10]) < 20


def test_a_stroke_stays_on_one_side_and_out_of_the_ventricles(head):
    for number in range(3):
        anatomy = draw_label_anatomy(head, ("stroke", number), 4.0, True)
        made = anatomy.on_grid(*anatomy.grid())
        healthy = draw_label_anatomy(head, ("stroke", number), 4.0, False)
        before = healthy.on_grid(*healthy.grid())
        lost = made.share("cavity", "rim")
        assert lost.sum() > 0
        np.testing.assert_allclose(made.share("csf"), before.share("csf"), atol=1e-5)
        np.testing.assert_allclose(made.share(), before.share(), atol=1e-5)
        middle = made.shape[0] // 2
        halves = sorted((lost[: middle - 1].sum(), lost[middle + 1 :].sum()))
        assert halves[0] < 0.02 * halves[1]
        assert anatomy.lesion.territory.startswith(("left", "right"))
        left = lost[: middle - 1].sum() > lost[middle + 1 :].sum()
        assert anatomy.lesion.territory.startswith("left") == left


# ---- as a dataset --------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", ["mpm", "ixi", "arc"])
def test_a_cohort_makes_itself_in_every_layout(registry, build, root, layout):
    dataset = build("labelmap", root=root, layout=layout, spacing_mm=6.0)
    assert "labelmap cohort (2 subjects" in dataset.missing()
    with pytest.raises(DataError, match="not made yet"):
        dataset.subjects()
    dataset.make()
    assert dataset.missing() == ""
    subjects = dataset.subjects()
    assert [subject.name for subject in subjects] == ["anna", "bert"]
    assert [subject.aliases for subject in subjects] == [("labelmap:anna",), ("labelmap:bert",)]
    images = dataset.read_images(subjects[0].scans[0])
    assert min(volume.data.max() for volume in images.values()) > 0
    if layout == "arc":
        mask = dataset.read_labels(subjects[0].scans[0], "lesion").data
        assert set(np.unique(mask)) == {0, 1}
    options = {"root": str(root), "layout": layout, "spacing_mm": 6.0}
    check_entry(registry.get("dataset", "labelmap"), options=options, registry=registry)


def test_draws_of_one_anatomy_are_one_person_for_the_gate(build, root):
    dataset = build("labelmap", root=root, only=["b*"], draws=2, spacing_mm=8.0, lesions=False)
    dataset.make()
    first, second = dataset.subjects()
    assert (first.name, second.name) == ("bert.draw01", "bert.draw02")
    assert first.id != second.id
    assert first.aliases == second.aliases == ("labelmap:bert",)
    maps = [dataset.read_images(subject.scans[0])["R1"].data for subject in (first, second)]
    assert not np.allclose(*maps)


def test_the_folder_depends_on_the_maps_content(build, root, tmp_path):
    put_map(tmp_path / "anna.nii.gz", toy_head())
    base = {"root": tmp_path, "spacing_mm": 8.0}
    folders = [build("labelmap", **base).folder]
    for change in ({"seed": 1}, {"draws": 2}, {"layout": "ixi"}, {"lesions": True}, {"spacing_mm": 7.0}):
        folders.append(build("labelmap", **{**base, **change}).folder)
    put_map(tmp_path / "anna.nii.gz", toy_head(3.0))
    folders.append(build("labelmap", **base).folder)
    assert len(set(folders)) == len(folders)
    put_map(tmp_path / "anna.nii.gz", toy_head())
    assert build("labelmap", **base).folder == folders[0]


def test_freesurfer_folders_are_found_by_subject(build, tmp_path):
    put_map(tmp_path / "bob" / "mri" / "aseg.nii.gz", toy_head())
    put_map(tmp_path / "bob" / "mri" / "wmparc.nii.gz", toy_head())
    assert list(build("labelmap", root=tmp_path).maps) == ["bob"]
    put_map(tmp_path / "bob.nii", toy_head())
    with pytest.raises(DataError, match="both named 'bob'"):
        build("labelmap", root=tmp_path).missing()


def test_missing_maps_are_one_sentence(build, tmp_path, monkeypatch):
    monkeypatch.delenv("MRIBENCH_DATA", raising=False)
    monkeypatch.delenv("MRIBENCH_LABELMAP", raising=False)
    assert "MRIBENCH_LABELMAP" in build("labelmap").missing()
    assert "no folder" in build("labelmap", root=tmp_path / "nowhere").missing()
    assert "holds none" in build("labelmap", root=tmp_path).missing()
    put_map(tmp_path / "labelmap" / "a.nii.gz", toy_head())
    monkeypatch.setenv("MRIBENCH_DATA", str(tmp_path))
    assert list(build("labelmap").maps) == ["a"]
    assert "named zz" in build("labelmap", only=["zz"]).missing()
    with pytest.raises(ConfigError, match="unknown"):
        build("labelmap", unknown="guess")


def test_bad_maps_are_refused_before_anything_is_written(build, tmp_path):
    put_map(tmp_path / "maps" / "a.nii.gz", toy_head())
    put_map(tmp_path / "maps" / "b.nii.gz", toy_head() / 7.0, dtype=np.float32)
    (tmp_path / "maps" / "c.nii.gz").write_bytes(b"")
    with pytest.raises(DataError, match=r"b\.nii\.gz.*1 more: c"):
        build("labelmap", root=tmp_path / "maps", spacing_mm=8.0).write(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def one_side(labels):
    return np.where(np.isin(labels, (42, 41, 49, 50, 51, 52)), 0, labels)


def slab(labels):
    """The middle 24 mm of the head."""
    kept = np.zeros_like(labels)
    kept[:, :, 24:30] = labels[:, :, 24:30]
    return kept


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (one_side, r"lacks the right hemisphere \(labels 41 and 42\)"),
        (lambda labels: np.where(labels == 2, 2, 0), "lacks the right"),
        (slab, "lacks most of the left hemisphere .* and most of the right"),
    ],
)  # fmt: skip
def test_heads_without_a_whole_brain_have_no_lesions(build, tmp_path, change, words):
    put_map(tmp_path / "maps" / "good.nii.gz", toy_head())
    put_map(tmp_path / "maps" / "half.nii.gz", change(toy_head()))
    dataset = build("labelmap", root=tmp_path / "maps", layout="arc", lesions=True, spacing_mm=8.0)
    with pytest.raises(DataError, match=rf"half\.nii\.gz {words}") as caught:
        dataset.write(tmp_path / "out")
    assert "both hemispheres" in caught.value.message
    assert "'lesions: false'" in caught.value.hint
    assert not (tmp_path / "out").exists()
    (sentence,) = dataset.check_sources()
    assert "half.nii.gz" in sentence
    assert not build("labelmap", root=tmp_path / "maps", layout="arc", lesions=False).check_sources()


@pytest.mark.parametrize(
    ("edge_mm", "size_vox", "words"),
    [
        (4.0, 1, "4 x 4 x 4 mm"),
        (0.001, 50, "0.001 x 0.001 x 0.001 mm"),
        (50.0, 50, "voxels of 50"),
        (0.5, 30, "15 x"),
    ],
)
def test_what_has_not_the_size_of_a_head_is_refused(build, tmp_path, edge_mm, size_vox, words):
    labels = np.zeros((54, 54, 54), dtype=np.int16)
    labels[2 : 2 + size_vox, 2 : 2 + size_vox, 2 : 2 + size_vox] = 3
    put_map(tmp_path / "maps" / "odd.nii.gz", labels, edge_mm)
    with pytest.raises(DataError, match=rf"odd\.nii\.gz has .*{words}"):
        build("labelmap", root=tmp_path / "maps", layout="mpm").write(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_names_with_line_breaks_and_huge_values_are_one_sentence(build, tmp_path):
    labels = toy_head().astype(np.float32)
    labels[labels == 24] = 3e30
    put_map(tmp_path / "maps" / "two\nlines.nii.gz", labels, dtype=np.float32)
    put_map(tmp_path / "maps" / "two\nmore.nii.gz", labels, dtype=np.float32)
    with pytest.raises(DataError, match="not a label map") as caught:  # warnings are errors
        build("labelmap", root=tmp_path / "maps").write(tmp_path / "out")
    assert "\n" not in caught.value.message


def test_fewer_maps_than_asked_for_are_remarked(build, root):
    (remark,) = build("labelmap", root=root, subjects=5).remarks()
    assert remark.reason.startswith("'subjects' asks for 5 label maps, and ")
    assert remark.reason.endswith("holds 2: all are used")
    assert not build("labelmap", root=root, subjects=2).remarks()


def test_what_is_no_file_is_named_and_not_waited_for(build, tmp_path):
    put_map(tmp_path / "a.nii.gz", toy_head())
    os.mkfifo(tmp_path / "b.nii.gz")
    (tmp_path / "c.nii.gz").symlink_to("nowhere")
    dataset = build("labelmap", root=tmp_path, lesions=False)
    assert "not made yet" in dataset.missing()
    pipe, link = dataset.check_sources()
    assert "b.nii.gz is a pipe" in pipe
    assert "c.nii.gz does not exist" in link


def test_sites_must_be_as_many_as_the_maps(build, root, tmp_path):
    with pytest.raises(DataError, match=r"3 subjects.*make 2"):
        build("labelmap", root=root, layout="ixi", sites={"HH": 3}).write(tmp_path / "out")
