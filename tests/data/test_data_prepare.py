"""What jobs read through the store is, bit for bit, what the files give."""

from __future__ import annotations

import dataclasses
import gzip
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mribench.data.maps import MapSource
from mribench.data.mixing import CohortMix, count_voxels
from mribench.data.prepare import (
    Reader,
    find_foreground,
    identify_reading,
    load_image,
    make_maps_recipe,
    zscore,
)
from mribench.data.prepared import get_volume_store
from mribench.data.task_recipes import load_task_volume, make_task_recipe
from mribench.errors import DataError
from mribench.interfaces import Dataset, Options, SampleOrigin, Scan, Subject, TaskRef
from mribench.plugins import load_registry
from mribench.seeding import numpy_generator, torch_generator
from mribench.volumes import Volume, read_volume, resample_to, same_grid, target_grid, write_volume

SHAPE = (21, 18, 24)
TASKS = ("tissue-segmentation", "lesion-segmentation", "denoising")
IDENTITY = {"name": "here", "distribution": "tests", "source": "1", "options": {}}


@pytest.fixture(autouse=True)
def _empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MRIBENCH_CACHE", str(tmp_path / "own-cache"))


@pytest.fixture(scope="module")
def tasks():
    registry = load_registry()
    return {name: registry.resolve(TaskRef(name=name), "test", "corrected") for name in TASKS}


class Cohort(Dataset):
    """A few scans on disk; counts how often it reads."""

    def __init__(self, subjects: list[Subject]) -> None:
        self._subjects, self.reads = subjects, 0

    def missing(self) -> str:
        return ""

    def subjects(self) -> list[Subject]:
        return self._subjects

    def read_images(self, scan: Scan) -> dict[str, Volume]:
        self.reads += 1
        read = {name: read_volume(path, repair=True) for name, path in scan.images.items()}
        return {
            name: Volume(
                v.data.clip(0, 900), v.affine, int((v.data > 900).sum()), repaired_vox=v.repaired_vox
            )
            for name, v in read.items()
        }

    def read_labels(self, scan: Scan, label: str) -> Volume:
        self.reads += 1
        read = [read_volume(path, allow_constant=True) for path in scan.labels[label]]
        return Volume(np.stack([v.data for v in read]), read[0].affine)


def affine_of(spacing_mm: tuple[float, float, float], shift_mm: float = 0.0) -> np.ndarray:
    affine = np.diag([*spacing_mm, 1.0])
    affine[:3, 3] = -10.0 + shift_mm
    return affine


def write_head(path: Path, seed: str, spacing_mm: tuple[float, float, float], nan: bool = False) -> Path:
    i, j, k = np.indices(SHAPE)
    ball = ((i - 10) / 8) ** 2 + ((j - 9) / 7) ** 2 + ((k - 12) / 9) ** 2 < 1
    image = ball * 500.0 + 40 * numpy_generator("head", seed).standard_normal(SHAPE)
    image[10, 9, :4] = 2000.0
    if nan:
        image[0, 0, :3] = np.nan
    write_volume(path, Volume(image.astype(np.float32), affine_of(spacing_mm)))
    return path


def cohort(folder: Path, number: int = 3) -> Cohort:
    """Subjects with two images, tissue maps beside the first and a lesion on another grid, and maps."""
    subjects = []
    for name in map(str, range(number)):
        here = folder / name
        t1 = write_head(here / "t1.nii.gz", name + "a", (1.0, 1.1, 0.9))
        t2 = write_head(here / "t2.nii.gz", name + "b", (1.0, 1.0, 2.0))
        parts = numpy_generator("tissue", name).dirichlet((1, 1, 1, 1), SHAPE).astype(np.float32)
        for place in range(3):
            write_volume(here / f"c{place}.nii.gz", Volume(parts[..., place], affine_of((1.0, 1.1, 0.9))))
        blob = np.zeros(SHAPE, np.float32)
        blob[8:13, 7:11, 9:14] = 1
        write_volume(here / "mask.nii.gz", Volume(blob, affine_of((1.1, 1.0, 1.0), 2.0)), np.uint8)
        maps = {
            m: write_head(here / f"{m}.nii", name + m, (2.0, 2.0, 2.0), nan=m == "R1") for m in ("PD", "R1")
        }
        tissue = tuple(here / f"c{place}.nii.gz" for place in range(3))
        scans = (
            Scan("T1w", {"image": t1}, labels={"tissue": tissue, "lesion": (here / "mask.nii.gz",)}),
            Scan("T2w", {"image": t2}),
            Scan("qmri", maps),
        )
        subjects.append(Subject("here", name, "S", scans, covariates={"age": 40}))
    return Cohort(subjects)


@pytest.fixture
def data(tmp_path) -> Cohort:
    return cohort(tmp_path / "data")


def expected(
    data: Cohort, subject: Subject, scan: Scan, task: Any, spacing_mm: float | None
) -> dict[str, Any]:
    """Read a scan straight from its files, with int64 labels."""
    native = data.read_images(scan)["image"]
    working = native
    if spacing_mm is not None:
        working = resample_to(native, *target_grid(native, spacing_mm), order=1)
    found: dict[str, Any] = {
        "image": torch.from_numpy(zscore(working.data))[None],
        "foreground": torch.from_numpy(find_foreground(working.data)),
        "label": None,
        "native_label": None,
        "working": working,
        "native": native,
    }
    if task.label:
        owner = scan if task.label in scan.labels else subject.scans[0]
        memberships = data.read_labels(owner, task.label)
        classes = Volume(task.label_map(memberships.data).astype(np.float32), memberships.affine)
        on_native = resample_to(classes, native.affine, native.shape_vox, order=0)
        on_working = resample_to(on_native, working.affine, working.shape_vox, order=0)
        found["native_label"] = on_native.data.astype(np.int64)
        found["label"] = torch.from_numpy(on_working.data.astype(np.int64))
    return found


@pytest.mark.parametrize("spacing_mm", [None, 1.7])
@pytest.mark.parametrize("sequence", ["T1w", "T2w"])
@pytest.mark.parametrize("name", TASKS)
def test_a_scan_is_the_same_as_without_the_store(data, tasks, name, sequence, spacing_mm):
    task, subject = tasks[name].make(), data.subjects()[0]
    scan = next(scan for scan in subject.scans if scan.sequence == sequence)
    reference = expected(data, subject, scan, task, spacing_mm)
    recipe = make_task_recipe(Reader(data, IDENTITY), subject, scan, task, spacing_mm, tasks[name].identity())
    unstored, source = load_task_volume(data, subject, scan, task, spacing_mm)
    assert (
        source == recipe.source == ("none" if not task.label else "own" if sequence == "T1w" else "subject")
    )
    reads = data.reads
    for volume in (recipe.load(), recipe.load(), unstored):
        assert torch.equal(volume.image, reference["image"])
        assert volume.image.dtype == torch.float32
        assert torch.equal(volume.foreground, reference["foreground"])
        assert volume.foreground.dtype == torch.bool
        assert volume.spacing_mm == reference["working"].spacing_mm
        assert volume.native_spacing_mm == reference["native"].spacing_mm
        assert (volume.subject, volume.sequence, volume.covariates) == ("here:0", sequence, {"age": 40})
        if task.label:
            assert volume.label.dtype == torch.uint8
            assert torch.equal(volume.label.long(), reference["label"])
            assert volume.native_label.dtype == np.uint8
            assert np.array_equal(volume.native_label, reference["native_label"])
            assert len(np.unique(volume.native_label)) > 1
        else:
            assert volume.label is None
            assert volume.native_label is None
        channels = torch.rand(2, *volume.image.shape[1:], generator=torch_generator("channels"))
        moved = torch.from_numpy(
            np.stack([
                resample_to(Volume(c.numpy(), reference["working"].affine), reference["native"].affine,
                            reference["native"].shape_vox).data
                for c in channels
            ])
        )  # fmt: skip
        torch.testing.assert_close(volume.to_native(channels), moved, rtol=0, atol=1e-7)
    assert data.reads == reads + (2 if task.label else 1), "files are read once"


@pytest.mark.parametrize("name", TASKS)
def test_training_samples_are_the_same_bit_for_bit(data, tasks, name):
    task, subject = tasks[name].make(), data.subjects()[1]
    scan = subject.scans[0]
    reference = expected(data, subject, scan, task, 1.4)
    mapped = make_task_recipe(Reader(data, IDENTITY), subject, scan, task, 1.4, tasks[name].identity()).load()
    wide, _ = load_task_volume(data, subject, scan, task, 1.4)
    wide.image, wide.foreground = reference["image"], reference["foreground"]
    wide.label, wide.native_label = reference["label"], reference["native_label"]
    for draw in range(20):
        a, b = (task.training_sample(v, 12, torch_generator("crop", draw)) for v in (mapped, wide))
        assert set(a) == set(b)
        for part in a:
            assert a[part].dtype == b[part].dtype
            assert torch.equal(a[part], b[part])
        if "label" in a:
            assert a["label"].dtype == torch.int64
    prediction = reference["image"][0] if task.label is None else torch.from_numpy(reference["native_label"])
    assert [s.score for s in task.score(prediction, mapped)] == [
        s.score for s in task.score(prediction, wide)
    ]


def test_arrays_are_mapped_and_labels_small(data, tasks):
    resolved, subject = tasks["tissue-segmentation"], data.subjects()[0]
    recipe = make_task_recipe(
        Reader(data, IDENTITY), subject, subject.scans[0], resolved.make(), None, resolved.identity()
    )
    volume = recipe.load()
    store = get_volume_store()
    content = store.read(recipe.image)
    assert all(isinstance(array, np.memmap) for array in content.arrays.values())
    assert isinstance(volume.native_label, np.memmap)
    assert store.size()[0] == 2
    volume.image.zero_()
    assert not torch.equal(recipe.load().image, volume.image), "the file has not changed"


@pytest.mark.parametrize("spacing_mm", [None, 3.0])
def test_map_crops_are_the_same(data, spacing_mm):
    """Crops of the stored maps, of maps in memory, and of maps cut out by hand."""
    subjects = data.subjects()
    stored, unstored = (
        MapSource(data, subjects, spacing_mm, ["PD"], identity) for identity in (IDENTITY, None)
    )
    assert stored.spacing_mm() == unstored.spacing_mm() == pytest.approx(spacing_mm or 2.0)
    for draw in range(4):
        indices = [0, 2, 1, 2]
        seeds = [torch_generator("crop", draw, place) for place in range(4)]
        again = [torch_generator("crop", draw, place) for place in range(4)]
        by_hand = [torch_generator("crop", draw, place) for place in range(4)]
        cut = stored.crops(indices, 12, seeds, torch.device("cpu"))
        a, b = cut.maps, unstored.crops(indices, 12, again, torch.device("cpu")).maps
        assert set(a) == set(b) == {"PD", "R1"}
        assert all(torch.equal(a[name], b[name]) for name in a)
        for place, index in enumerate(indices):
            volume = data.read_images(subjects[index].scans[2])["R1"]
            if spacing_mm:
                volume = resample_to(volume, *target_grid(volume, spacing_mm))
            torch.randint(1, (), generator=by_hand[place])
            corner = [
                int(torch.randint(max(0, n - 12) + 1, (), generator=by_hand[place])) for n in volume.shape_vox
            ]
            crop = volume.data[tuple(slice(c, c + 12) for c in corner)]
            assert np.array_equal(a["R1"][place].numpy(), crop)
            assert cut.origins[place] == SampleOrigin(
                subjects[index].id, subjects[index].scans[2].session, "qmri", tuple(corner), volume.shape_vox,
                subjects[index].covariates,
            )  # fmt: skip
    reads = data.reads
    MapSource(data, subjects, spacing_mm, ["PD"], IDENTITY).crops(
        [0, 1, 2], 12, [torch_generator("x", i) for i in range(3)], torch.device("cpu")
    )
    assert data.reads == reads


def test_a_source_keeps_no_volume(data):
    source = MapSource(data, data.subjects(), None, ["PD"], IDENTITY)
    source.crops([0, 1, 2], 8, [torch_generator("x", i) for i in range(3)], torch.device("cpu"))
    assert len(get_volume_store()._memory) == 0


def test_clipped_and_repaired_voxels_are_counted_once_for_each_scan(data, tasks):
    subjects = data.subjects()
    source, held_out = (MapSource(data, subjects[:n], None, ["PD"], IDENTITY) for n in (2, 3))
    for _ in range(3):
        for here, number in ((source, 2), (held_out, 3)):
            seeds = [torch_generator("x", i) for i in range(number)]
            here.crops(list(range(number)), 8, seeds, torch.device("cpu"))
    # each scan has two maps with four voxels too bright, and one of them three that are not finite
    assert count_voxels(CohortMix([source])) == {"clipped_vox": 16, "repaired_vox": 6}
    assert count_voxels(CohortMix([source]), CohortMix([held_out])) == {"clipped_vox": 24, "repaired_vox": 9}
    resolved = tasks["tissue-segmentation"]
    for _ in range(2):
        recipe = make_task_recipe(
            Reader(data, IDENTITY),
            subjects[0],
            subjects[0].scans[0],
            resolved.make(),
            2.0,
            resolved.identity(),
        )
        assert recipe.counts() == {"clipped_vox": 4, "repaired_vox": 0}
    loaded = load_image(Reader(data, IDENTITY), subjects[0], subjects[0].scans[0], 2.0)
    assert loaded.counts == {"clipped_vox": 4, "repaired_vox": 0}
    assert torch.equal(loaded.image, recipe.load().image)
    assert torch.equal(loaded.foreground, recipe.load().foreground)


# Keys


def keys(
    data: Cohort, tasks: Mapping[str, Any], identity: Any = IDENTITY, spacing_mm: float = 2.0
) -> dict[str, str]:
    subject, resolved = data.subjects()[0], tasks["tissue-segmentation"]
    reader = Reader(data, identity)
    recipe = make_task_recipe(
        reader, subject, subject.scans[0], resolved.make(), spacing_mm, resolved.identity()
    )
    assert recipe.label
    maps = make_maps_recipe(reader, subject.scans[2], spacing_mm)
    return {"image": recipe.image.key, "label": recipe.label.key, "maps": maps.key}


def changed(a: Mapping[str, str], b: Mapping[str, str]) -> set[str]:
    return {name for name in a if a[name] != b[name]}


def test_copies_of_a_cohort_share_their_volumes(data, tasks, tmp_path):
    here, there = keys(data, tasks), keys(cohort(tmp_path / "elsewhere"), tasks)
    assert here == there
    assert len(set(here.values())) == 3


def test_a_changed_file_has_another_key(data, tasks, tmp_path):
    before = keys(data, tasks)
    folder = tmp_path / "data" / "0"
    write_head(folder / "t1.nii.gz", "someone else", (1.0, 1.1, 0.9))
    assert changed(before, keys(data, tasks)) == {"image", "label"}
    before = keys(data, tasks)
    write_volume(folder / "c1.nii.gz", Volume(np.ones(SHAPE) / 3, affine_of((1.0, 1.1, 0.9))))
    assert changed(before, keys(data, tasks)) == {"label"}
    before = keys(data, tasks)
    write_head(folder / "R1.nii", "someone else", (2.0, 2.0, 2.0))
    assert changed(before, keys(data, tasks)) == {"maps"}


def test_a_changed_file_is_read_again(data, tasks, tmp_path):
    subject, resolved = data.subjects()[0], tasks["denoising"]

    def image() -> torch.Tensor:
        recipe = make_task_recipe(
            Reader(data, IDENTITY), subject, subject.scans[0], resolved.make(), None, resolved.identity()
        )
        return recipe.load().image

    before = image()
    write_head(tmp_path / "data" / "0" / "t1.nii.gz", "someone else", (1.0, 1.1, 0.9))
    assert not torch.equal(image(), before)


@pytest.mark.parametrize(
    "other",
    [{"options": {"unit": "ms"}}, {"source": "2"}, {"name": "there"}, {"distribution": "other"}],
    ids=lambda other: next(iter(other)),
)
def test_another_way_of_reading_has_other_keys(data, tasks, other):
    before, after = keys(data, tasks), keys(data, tasks, {**IDENTITY, **other})
    assert changed(before, after) == {"image", "label", "maps"}


def test_another_spacing_has_other_keys(data, tasks):
    assert changed(keys(data, tasks), keys(data, tasks, spacing_mm=3.0)) == {"image", "label", "maps"}
    assert keys(data, tasks, spacing_mm=2) == keys(data, tasks, spacing_mm=2.0)


def test_another_task_has_other_labels_and_the_same_image(data, tasks):
    subject = data.subjects()[0]
    recipes = [
        make_task_recipe(
            Reader(data, IDENTITY), subject, subject.scans[0], tasks[name].make(), 2.0, tasks[name].identity()
        )
        for name in TASKS
    ]
    assert len({recipe.image.key for recipe in recipes}) == 1
    assert len({recipe.label.key for recipe in recipes if recipe.label}) == 2


class Choices(Options):
    """Options of a dataset."""

    root: Path = Path("here")
    unit: str = "s"


def test_what_identifies_reading_leaves_paths_out(data):
    entry = {"kind": "dataset", "name": "n", "distribution": "d", "source": "s", "options": {"root": "x"}}
    common = {"name": "n", "distribution": "d", "source": "s"}
    assert identify_reading(entry, data, Choices(root=Path("a"))) == {**common, "options": {"unit": "s"}}
    data.reading_options = lambda: {"layout": 1}
    assert identify_reading(entry, data, Choices()) == {**common, "options": {"layout": 1}}


def test_jobs_and_the_plan_mean_the_same(tmp_path):
    """The identity that enters a job's key is the one that enters a volume's."""
    from mribench.interfaces import DatasetRef
    from mribench.plan import Cohort as Planned

    ref = DatasetRef.model_validate({"name": "phantom", "layout": "mpm", "subjects": 3, "spacing_mm": 8})
    resolved = load_registry().resolve(ref, "test", "corrected")
    planned = Planned("maps", resolved, "", {}, {}, None, ())
    read = identify_reading(resolved.identity(), resolved.make(), resolved.options)
    assert dataclasses.asdict(planned.identity) == read
    assert planned.identity.source == resolved.registered.digest


# Nothing fails because of the store


def test_a_file_that_is_gone_is_told_by_name(data, tasks, tmp_path):
    (tmp_path / "data" / "0" / "t1.nii.gz").unlink()
    subject, resolved = data.subjects()[0], tasks["denoising"]
    recipe = make_task_recipe(
        Reader(data, IDENTITY), subject, subject.scans[0], resolved.make(), None, resolved.identity()
    )
    with pytest.raises(DataError, match=r"t1\.nii\.gz does not exist"):
        recipe.load()


def test_a_truncated_file_is_told_by_name(data, tasks, tmp_path):
    path = tmp_path / "data" / "0" / "t1.nii.gz"
    path.write_bytes(path.read_bytes()[:-400])
    subject, resolved = data.subjects()[0], tasks["denoising"]
    recipe = make_task_recipe(
        Reader(data, IDENTITY), subject, subject.scans[0], resolved.make(), None, resolved.identity()
    )
    for _ in range(2):
        with pytest.raises(DataError, match=r"t1\.nii\.gz is truncated"):
            recipe.load()
    assert get_volume_store().size() == (0, 0)


def test_a_subject_without_label_is_named(data, tasks):
    subject = Subject("here", "9", "S", (data.subjects()[0].scans[1],))
    task = tasks["lesion-segmentation"].make()
    with pytest.raises(DataError, match="subject here:9 has no 'lesion' label"):
        load_task_volume(data, subject, subject.scans[0], task, None)


def test_without_a_disk_everything_is_the_same(data, tasks, monkeypatch, caplog):
    resolved, subject = tasks["lesion-segmentation"], data.subjects()[0]
    arguments = (subject, subject.scans[0], resolved.make(), 1.5, resolved.identity())
    stored = make_task_recipe(Reader(data, IDENTITY), *arguments).load()
    monkeypatch.setenv("MRIBENCH_CACHE_GB", "0")
    monkeypatch.setenv("MRIBENCH_CACHE", str(Path(__file__) / "no" / "folder"))
    reads = data.reads
    recipe = make_task_recipe(Reader(data, IDENTITY), *arguments)
    for _ in range(3):
        volume = recipe.load()
        assert torch.equal(volume.image, stored.image)
        assert torch.equal(volume.label, stored.label)
        assert np.array_equal(volume.native_label, stored.native_label)
    assert data.reads == reads + 2, "kept in memory"
    messages = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(messages) == 2
    assert "looked at anew" in messages[0]
    assert "stay in memory" in messages[1]


@pytest.mark.parametrize(
    ("low", "high", "dtype"),
    [(0, 255, np.uint8), (0, 256, np.int16), (-1, 3, np.int16), (0, 32768, np.int32), (0, 2**24, np.int32)],
)
def test_labels_take_the_smallest_type_that_holds_them(data, low, high, dtype):
    class Numbers:
        label = "lesion"

        def label_map(self, memberships: np.ndarray) -> np.ndarray:
            return np.where(memberships[0] > 0.5, high, low)

    subject = data.subjects()[0]
    volume, _ = load_task_volume(data, subject, subject.scans[0], Numbers(), None)  # type: ignore[arg-type]
    assert volume.native_label.dtype == dtype
    assert {low, high, 0} >= set(np.unique(volume.native_label).tolist()) >= {high}


def test_compressing_anew_changes_the_key_and_not_the_values(data, tasks, tmp_path):
    subject, resolved = data.subjects()[0], tasks["denoising"]

    def recipe():
        return make_task_recipe(
            Reader(data, IDENTITY), subject, subject.scans[0], resolved.make(), None, resolved.identity()
        )

    before = recipe()
    image = before.load().image
    path = tmp_path / "data" / "0" / "t1.nii.gz"
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()), 1))
    assert recipe().image.key != before.image.key
    assert torch.equal(recipe().load().image, image)


def test_grids_that_are_all_but_the_same_are_not_resampled(data):
    subject = data.subjects()[0]
    native = data.read_images(subject.scans[2])["PD"]
    maps = get_volume_store().read(make_maps_recipe(Reader(data, IDENTITY), subject.scans[2], 2.0005)).arrays
    assert np.array_equal(maps["PD"], native.data)
    assert same_grid(native, native)


def test_a_name_of_0_1_is_still_there() -> None:
    from mribench.data import prepare, task_recipes

    assert prepare.load_task_volume is task_recipes.load_task_volume
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = prepare.nothing
