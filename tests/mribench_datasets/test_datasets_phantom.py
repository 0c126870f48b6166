"""Phantom cohorts: what is written is what the archives' loaders read."""

from __future__ import annotations

import hashlib
import threading

import nibabel as nib
import numpy as np
import pytest

from mribench.data.inspection import compute_fingerprint, find_problems
from mribench.errors import ConfigError, DataError
from mribench.testing import check_entry
from mribench.volumes import read_volume, resample_to, same_grid

SPACING_MM = 6.0


def digests(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def ixi(build, phantoms):
    return build("ixi", root=phantoms["ixi"])


@pytest.fixture(scope="module")
def arc(build, phantoms):
    return build("arc", root=phantoms["arc"])


@pytest.fixture(scope="module")
def mpm(build, phantoms):
    return build("mpm", root=phantoms["mpm"])


def test_every_file_can_be_used(ixi, arc, mpm):
    for dataset in (ixi, arc, mpm):
        assert dataset.missing() == ""
        for subject in dataset.subjects():
            assert find_problems(subject) == []
            assert [dataset.check_scan(scan) for scan in subject.scans] == [""] * len(subject.scans)


# ---- ixi -----------------------------------------------------------------------------------------------


def test_ixi_layout(ixi):
    subjects = ixi.subjects()
    assert [(subject.name, subject.site) for subject in subjects] == [
        ("IXI001", "Guys"),
        ("IXI002", "Guys"),
        ("IXI003", "HH"),
        ("IXI004", "IOP"),
    ]
    for subject in subjects:
        assert [scan.sequence for scan in subject.scans] == ["PDw", "T1w", "T2w"]
        assert all(len(scan.labels["tissue"]) == 3 for scan in subject.scans)
        assert 20 <= subject.covariates["age"] <= 86
    assert ixi.excluded() == []


def test_ixi_t1_lies_askew_and_t2_shares_its_grid_with_pd(ixi):
    pdw, t1w, t2w = ixi.subjects()[0].scans
    assert nib.aff2axcodes(nib.load(t1w.images["image"]).affine) == ("P", "S", "R")
    images = {scan.sequence: ixi.read_images(scan)["image"] for scan in (pdw, t1w, t2w)}
    assert same_grid(images["PDw"], images["T2w"])
    assert not same_grid(images["T1w"], images["T2w"])
    assert nib.load(t1w.images["image"]).get_data_dtype() == np.int16


def test_ixi_labels_are_uint8_memberships_on_the_images_grid(ixi):
    for scan in ixi.subjects()[0].scans:
        label, image = ixi.read_labels(scan, "tissue"), ixi.read_images(scan)["image"]
        assert same_grid(label, image)
        assert nib.load(scan.labels["tissue"][0]).get_data_dtype() == np.uint8
        total = label.data.sum(0)
        assert total.max() < 1.02
        assert label.data.max(axis=(1, 2, 3)).min() > 0.6


def test_ixi_images_show_their_tissues(ixi):
    proton_density = []
    for subject in ixi.subjects():
        levels = {}
        for scan in subject.scans:
            image = ixi.read_images(scan)["image"].data
            labels = ixi.read_labels(scan, "tissue").data
            levels[scan.sequence] = [np.average(image, weights=label**4) for label in labels]
        gm, wm, csf = levels["T1w"]
        assert wm > gm > csf
        gm, wm, csf = levels["T2w"]
        assert csf > gm > wm
        proton_density.append(levels["PDw"][0] / levels["PDw"][1])
    assert np.mean(proton_density) > 1.02  # in the mean: the receive field outweighs it in some


def test_sequences_of_a_subject_show_one_anatomy(ixi):
    pdw, t1w, _ = ixi.subjects()[0].scans
    target = ixi.read_images(pdw)["image"]
    labels = [resample_to(ixi.read_labels(t1w, "tissue"), target.affine, target.shape_vox).data]
    labels.append(ixi.read_labels(pdw, "tissue").data)
    for tissue in range(3):
        a, b = labels[0][tissue], labels[1][tissue]
        assert 2 * np.minimum(a, b).sum() / (a.sum() + b.sum()) > 0.8


def test_sites_are_other_acquisitions(ixi):
    spacings = {}
    noise = {}
    for subject in ixi.subjects():
        image = ixi.read_images(subject.scans[1])["image"]
        spacings[subject.site] = tuple(np.round(image.spacing_mm, 3))
        corner = image.data[:4, :4, -4:]  # air
        noise[subject.site] = corner.mean() / np.percentile(image.data, 90)
    assert len(set(spacings.values())) >= 2
    assert noise["IOP"] > noise["Guys"] > noise["HH"]


# ---- arc -----------------------------------------------------------------------------------------------


def test_arc_layout(arc):
    subjects = arc.subjects()
    assert [subject.name for subject in subjects] == ["M2001", "M2002", "M2003", "M2004"]
    for subject in subjects:
        assert [(scan.session, scan.sequence) for scan in subject.scans] == [
            ("1", "FLAIR"),
            ("1", "T1w"),
            ("1", "T2w"),
        ]
        assert {"sex", "age_at_stroke", "wab_aq", "wab_type"} >= set(subject.covariates) >= {"wab_aq"}
    assert [excluded.subject for excluded in arc.excluded()] == ["M2004"]


def test_arc_masks_lie_on_the_t2_grid(arc):
    for subject in arc.subjects():
        images = {scan.sequence: arc.read_images(scan)["image"] for scan in subject.scans}
        masks = {scan.labels["lesion"] for scan in subject.scans}
        assert len(masks) == 1
        mask = arc.read_labels(subject.scans[0], "lesion")
        assert set(np.unique(mask.data)) == {0, 1}
        assert same_grid(mask, images["T2w"])
        assert not same_grid(mask, images["FLAIR"])


def test_lesions_are_seen_on_their_images(arc):
    """In the mean over the subjects: a lesion is dark on T1w and bright on T2w against the brain."""
    ratios = {"T1w": [], "T2w": []}
    for subject in arc.subjects():
        for scan in subject.scans:
            if scan.sequence not in ratios:
                continue
            image, mask = arc.read_images(scan)["image"], arc.read_labels(scan, "lesion")
            inside = resample_to(mask, image.affine, image.shape_vox, order=0).data[0] > 0
            ball = np.zeros_like(inside)
            middle = tuple(slice(n // 3, 2 * n // 3) for n in inside.shape)
            ball[middle] = True
            ratios[scan.sequence].append(image.data[inside].mean() / image.data[ball & ~inside].mean())
    assert np.mean(ratios["T1w"]) < 0.97
    assert np.mean(ratios["T2w"]) > 1.1


# ---- mpm -----------------------------------------------------------------------------------------------


def test_mpm_layout(mpm):
    subjects = mpm.subjects()
    assert [subject.name for subject in subjects] == ["phantom001", "phantom002", "phantom003"]
    for subject in subjects:
        (scan,) = subject.scans
        assert sorted(scan.images) == ["MTsat", "PD", "R1", "R2", "R2s"]
        volumes = mpm.read_images(scan)
        assert all(same_grid(volume, volumes["PD"]) for volume in volumes.values())
        brain = (volumes["MTsat"].data > 1.2) & (volumes["PD"].data > 50)
        assert 0.7 < np.median(volumes["R1"].data[brain]) < 1.3
        assert 55 < np.median(volumes["PD"].data[brain]) < 85
        assert sum(volume.clipped_vox for volume in volumes.values()) == 0


# ---- making --------------------------------------------------------------------------------------------


def test_making_is_deterministic(build, phantoms, tmp_path):
    options = {"layout": "arc", "subjects": 4, "spacing_mm": SPACING_MM, "seed": 3}
    build("phantom", **options).write(tmp_path / "again")
    assert digests(tmp_path / "again") == digests(phantoms["arc"])


def test_the_first_subjects_do_not_depend_on_the_number(build, phantoms, tmp_path):
    build("phantom", layout="mpm", subjects=1, spacing_mm=SPACING_MM, seed=3).write(tmp_path)
    assert digests(tmp_path / "phantom001") == digests(phantoms["mpm"] / "phantom001")


def test_no_anatomy_stands_in_two_cohorts(build, ixi, mpm, tmp_path):
    build("phantom", layout="mpm", subjects=1, spacing_mm=SPACING_MM, seed=4).write(tmp_path)
    pd = read_volume(next(tmp_path.rglob("*_PD.nii.gz")))
    same_seed_other_layout = ixi.read_images(ixi.subjects()[0].scans[0])["image"]
    moved = resample_to(same_seed_other_layout, pd.affine, pd.shape_vox)
    other_seed = mpm.read_images(mpm.subjects()[0].scans[0])["PD"]
    heads = [volume.data > 0.3 * np.percentile(volume.data, 95) for volume in (pd, moved, other_seed)]
    for a, b in ((0, 1), (0, 2), (1, 2)):
        assert (heads[a] ^ heads[b]).sum() > 0.03 * heads[a].sum()


def test_a_phantom_makes_itself_once(build, tmp_path, monkeypatch):
    monkeypatch.setenv("MRIBENCH_CACHE", str(tmp_path))
    options = {"layout": "mpm", "subjects": 2, "spacing_mm": 8.0, "seed": 1}
    phantom = build("phantom", **options)
    assert "phantom cohort (2 subjects" in phantom.missing()
    assert "mribench run" in phantom.missing()
    assert list(phantom.excluded()) == []
    with pytest.raises(DataError, match="not made yet"):
        phantom.subjects()
    told = []
    phantom.make(lambda done, total: told.append((done, total)))
    assert told == [(1, 2), (2, 2)]
    assert phantom.missing() == ""
    assert [subject.id for subject in phantom.subjects()] == [
        "phantom-mpm-1:phantom001",
        "phantom-mpm-1:phantom002",
    ]
    (scan,) = phantom.subjects()[0].scans
    assert phantom.check_scan(scan) == ""
    assert set(phantom.read_images(scan)) == {"PD", "R1", "R2s", "MTsat", "R2"}
    phantom.make(lambda done, total: pytest.fail("made again"))
    again = build("phantom", **options)
    assert again.folder == phantom.folder
    assert [compute_fingerprint(s) for s in again.subjects()] == [
        compute_fingerprint(s) for s in phantom.subjects()
    ]


def test_a_cache_that_cannot_be_written_is_named(build, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MRIBENCH_CACHE", str(tmp_path / "file" / "cache"))
    phantom = build("phantom", layout="mpm", subjects=1, spacing_mm=8.0)
    assert "not made yet" in phantom.missing()
    with pytest.raises(
        DataError, match=r"phantom cohort .* cannot be made in the cache .*file/cache"
    ) as caught:
        phantom.make()
    assert "MRIBENCH_CACHE" in caught.value.hint

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.is_dir", refuse)
    with pytest.raises(DataError, match="Permission denied"):
        phantom.missing()


def test_other_options_are_other_folders(build):
    base = {"layout": "ixi", "subjects": 2, "spacing_mm": 8.0, "seed": 1}
    changes = [
        {},
        {"seed": 2},
        {"subjects": 3},
        {"spacing_mm": 7.0},
        {"lesions": True},
        {"layout": "arc"},
        {"layout": "mpm"},
        {"mprage": {"name": "mprage", "profile": "corrected", "equation": "table4"}},
    ]
    folders = {build("phantom", **{**base, **change}).folder for change in changes}
    assert len(folders) == len(changes)
    assert build("phantom", **base, lesions=None).folder in folders


def test_only_the_layout_changes_how_the_same_files_are_read(build):
    assert build("phantom", layout="arc", subjects=5, seed=9).reading_options() == {"layout": "arc"}
    assert build("ixi", root="somewhere").reading_options() == {}


def test_the_profile_of_the_benchmark_does_not_change_the_cohort(registry):
    from mribench.interfaces import DatasetRef

    component = DatasetRef.model_validate({"name": "phantom", "layout": "arc"})
    folders = {registry.resolve(component, "x", p).make().folder for p in ("corrected", "as-released")}
    assert len(folders) == 1


def test_a_killed_run_leaves_nothing_that_counts(build, tmp_path, monkeypatch):
    monkeypatch.setenv("MRIBENCH_CACHE", str(tmp_path))
    phantom = build("phantom", layout="mpm", subjects=2, spacing_mm=8.0)

    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        phantom.make(stop)
    assert phantom.missing()
    assert list((tmp_path / "phantom").iterdir()) == []


def test_a_table_that_is_not_as_it_was_written_is_found_and_the_cohort_made_anew(
    build, tmp_path, monkeypatch, caplog
):
    monkeypatch.setenv("MRIBENCH_CACHE", str(tmp_path))
    options = {"layout": "ixi", "subjects": 1, "spacing_mm": 8.0}
    phantom = build("phantom", **options)
    phantom.make()
    table = phantom.folder / "IXI.csv"
    written, fingerprint = table.read_bytes(), compute_fingerprint(phantom.subjects()[0])
    for damage in (lambda: table.write_bytes(written.replace(b"1", b"3", 1)), table.unlink):
        damage()
        damaged = build("phantom", **options)
        assert str(table) in damaged.missing()
        assert list(damaged.remarks()) == []
        with pytest.raises(DataError, match=r"IXI\.csv is not .*`mribench run` makes the cohort anew"):
            damaged.subjects()
        damaged.make()
        assert str(table) in caplog.records[-1].getMessage()
        assert table.read_bytes() == written
        assert compute_fingerprint(damaged.subjects()[0]) == fingerprint
        assert [path.name for path in (tmp_path / "phantom").iterdir()] == [phantom.folder.name]
    (phantom.folder / "table.sha256").unlink()  # as of cohorts that were made before there were digests
    table.write_bytes(written.replace(b"1", b"3", 1))
    assert build("phantom", **options).missing() == ""


def test_two_may_make_the_same_cohort_at_once(build, tmp_path, monkeypatch):
    monkeypatch.setenv("MRIBENCH_CACHE", str(tmp_path))
    made = [build("phantom", layout="mpm", subjects=1, spacing_mm=8.0) for _ in range(2)]
    barrier = threading.Barrier(2)
    threads = [
        threading.Thread(target=p.make, args=(lambda done, total: barrier.wait(timeout=60),)) for p in made
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(p.subjects()) for p in made] == [1, 1]
    assert len(list((tmp_path / "phantom").iterdir())) == 1


def test_lesions_on_request(build, tmp_path):
    build("phantom", layout="arc", subjects=1, spacing_mm=8.0, lesions=False).write(tmp_path / "none")
    dataset = build("arc", root=tmp_path / "none")
    assert all(scan.labels == {} for scan in dataset.subjects()[0].scans)
    said = [entry.reason for entry in (*dataset.excluded(), *dataset.remarks())]
    assert len(said) == 1
    assert "unlabelled" in said[0] or "no lesion mask" in said[0] or "without a mask" in said[0], said


def test_sites_in_the_proportions_of_the_archive(build):
    phantom = build("phantom", layout="ixi", subjects=100)
    sites = phantom.site_of_each()
    assert [sites.count(site) for site in ("Guys", "HH", "IOP")] == [55, 32, 13]
    assert build("phantom", layout="ixi", subjects=10).site_of_each() == sites[:10]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layout": "ixi", "sites": {"Mars": 3}}, "Mars"),
        ({"layout": "arc", "sites": {"Guys": 3}}, "layout ixi"),
        ({"layout": "ixi", "sites": {"Guys": 3}, "subjects": 4}, "3 subjects"),
        ({"layout": "ixi", "sites": {"Guys": -1, "HH": 3}}, "negative"),
        ({"layout": "dicom"}, "layout"),
        ({"subjects": 0}, "subjects"),
        ({"spacing_mm": 0.1}, "spacing_mm"),
        ({"mprage": "no-such"}, "no-such"),
    ],
)
def test_options_that_make_no_sense_are_refused(build, options, message):
    with pytest.raises(ConfigError, match=message):
        build("phantom", **options)


# ---- conformance ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["ixi", "arc", "mpm"])
def test_the_loaders_conform(registry, phantoms, name):
    check_entry(registry.get("dataset", name), options={"root": str(phantoms[name])}, registry=registry)


def test_the_phantom_conforms(registry, build, tmp_path, monkeypatch):
    monkeypatch.setenv("MRIBENCH_CACHE", str(tmp_path))
    options = {"layout": "ixi", "subjects": 1, "spacing_mm": 8.0}
    build("phantom", **options).make()
    check_entry(registry.get("dataset", "phantom"), options=options, registry=registry)
