"""Digests, problems, and what is remembered of them."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest

from mribench.data import inspection
from mribench.data.inspection import compute_fingerprint, find_problems, inspect_file
from mribench.errors import ConfigError
from mribench.interfaces import Scan, ScanValues, Subject
from mribench.volumes import Volume, write_volume
from mribench.volumes.cache import cache_dir, remember_by_file

TICK_S = 0.02
"""File systems tell times apart that are so far from each other."""


@pytest.fixture(autouse=True)
def _fresh_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MRIBENCH_CACHE", str(tmp_path / "cache"))


def image(path: Path, seed: int = 0) -> Path:
    write_volume(path, Volume(np.random.default_rng(seed).random((6, 7, 8)), np.eye(4)))
    return path


def empty_mask(path: Path) -> Path:
    write_volume(path, Volume(np.zeros((6, 7, 8)), np.eye(4)), np.uint8)
    return path


def subject(folder: Path, **kwargs) -> Subject:
    scans = (
        Scan("T1w", {"image": folder / "a.nii.gz"}, labels={"lesion": (folder / "m.nii.gz",)}),
        Scan("T2w", {"image": folder / "b.nii.gz"}),
    )
    return Subject("x", "s1", "here", kwargs.get("scans", scans))


def test_the_digest_is_that_of_the_file(tmp_path):
    path = image(tmp_path / "a.nii.gz")
    found = inspect_file(path)
    assert found.digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert found.problem == ""


def test_a_file_is_read_once(tmp_path, monkeypatch):
    path = image(tmp_path / "a.nii.gz")
    first = inspect_file(path)
    monkeypatch.setattr(inspection, "read_volume", lambda *a, **k: pytest.fail("was read again"))
    assert inspect_file(path) == first


def test_a_changed_file_is_read_again(tmp_path):
    path = image(tmp_path / "a.nii.gz")
    first = inspect_file(path)
    image(path, seed=1)
    os.utime(path, ns=(0, time.time_ns()))
    assert inspect_file(path).digest != first.digest


@pytest.mark.parametrize("moved", [True, False], ids=["moved into its place", "written in place"])
def test_another_content_of_equal_size_and_time_is_read_again(tmp_path, moved):
    path = tmp_path / "a.nii"
    digests = []
    for seed in range(3):
        time.sleep(TICK_S)
        target = tmp_path / "new.nii" if moved else path
        image(target, seed)
        os.utime(target, (1e9, 1e9))
        target.replace(path)
        digests.append(inspect_file(path).digest)
        assert digests[-1] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert len(set(digests)) == 3


def test_a_file_that_changes_while_it_is_read_is_not_remembered(tmp_path):
    path = image(tmp_path / "a.nii")

    def change(found: Path) -> tuple[dict[str, int], bool]:
        time.sleep(TICK_S)
        image(found, seed=1)
        return {"n": 1}, True

    assert remember_by_file(path, "x", change) == {"n": 1}
    assert remember_by_file(path, "x", lambda _: ({"n": 2}, True)) == {"n": 2}


def test_values_are_asked_again_for_a_file_of_equal_size_and_time(tmp_path):
    class Asked:
        def reading_options(self):
            return {}

        def check_values(self, scan):
            return ScanValues(voxels=int(scan.images["image"].read_bytes()[-1]))

    path = tmp_path / "a.nii"
    scan = Scan("T1w", {"image": path})
    for value in (1, 2):
        time.sleep(TICK_S)
        path.write_bytes(bytes([value]))
        os.utime(path, (1e9, 1e9))
        assert inspection.inspect_values(Asked(), scan, "reader").voxels == value


def test_problems_are_remembered_with_the_digest(tmp_path):
    path = image(tmp_path / "a.nii.gz")
    path.write_bytes(path.read_bytes()[:-20])
    for _ in range(2):
        found = inspect_file(path)
        assert "truncated" in found.problem
        assert found.digest


def test_a_missing_file_is_a_problem_until_it_comes(tmp_path):
    path = tmp_path / "a.nii.gz"
    assert "cannot be opened" in inspect_file(path).problem
    image(path)
    assert inspect_file(path).problem == ""


def test_only_labels_may_be_constant(tmp_path):
    path = empty_mask(tmp_path / "m.nii.gz")
    assert inspect_file(path, is_label=True).problem == ""
    assert "same value" in inspect_file(path).problem
    assert inspect_file(path, is_label=True).problem == ""


def test_a_damaged_record_is_made_again(tmp_path):
    path = image(tmp_path / "a.nii.gz")
    first = inspect_file(path)
    records = list((tmp_path / "cache").rglob("*.json"))
    assert len(records) == 1
    flipped = records[0].read_bytes().replace(first.digest[:8].encode(), b"01234567")
    for damage in (b"", b"{", b"[]", b'{"state": 1}', b"\xff", flipped):
        records[0].write_bytes(damage)
        assert inspect_file(path) == first


def test_passing_trouble_is_not_remembered(tmp_path):
    path = image(tmp_path / "a.nii.gz")
    assert remember_by_file(path, "x", lambda _: ({"n": 1}, False)) == {"n": 1}
    assert remember_by_file(path, "x", lambda _: ({"n": 2}, True)) == {"n": 2}
    assert remember_by_file(path, "x", lambda _: ({"n": 3}, True)) == {"n": 2}


def test_fingerprints_are_of_contents_and_not_of_places(tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    for seed, name in enumerate(("a", "b")):
        image(here / f"{name}.nii.gz", seed)
    empty_mask(here / "m.nii.gz")
    shutil.copytree(here, there)
    assert compute_fingerprint(subject(here)) == compute_fingerprint(subject(there))
    reversed_scans = subject(here, scans=subject(here).scans[::-1])
    assert compute_fingerprint(reversed_scans) == compute_fingerprint(subject(here))


def test_fingerprints_know_contents_and_roles(tmp_path):
    for seed, name in enumerate(("a", "b")):
        image(tmp_path / f"{name}.nii.gz", seed)
    empty_mask(tmp_path / "m.nii.gz")
    one = subject(tmp_path)
    a, b = one.scans
    others = [
        subject(tmp_path, scans=(a,)),
        subject(tmp_path, scans=(a, Scan("FLAIR", b.images))),
        subject(tmp_path, scans=(a, Scan("T2w", b.images, session="2"))),
        subject(tmp_path, scans=(Scan("T1w", a.images), b)),
        subject(tmp_path, scans=(Scan("T1w", a.images, labels={"tissue": a.labels["lesion"]}), b)),
        Subject("x", "s2", "here", one.scans),
        Subject("x", "s1", "there", one.scans),
    ]
    assert len({compute_fingerprint(one), *(compute_fingerprint(other) for other in others)}) == 8
    before = compute_fingerprint(one)
    image(tmp_path / "a.nii.gz", seed=9)
    assert compute_fingerprint(one) != before


def test_the_order_of_a_labels_files_counts(tmp_path):
    a, b = image(tmp_path / "a.nii.gz"), image(tmp_path / "b.nii.gz", 1)
    one = subject(tmp_path, scans=(Scan("T1w", {"image": a}, labels={"tissue": (a, b)}),))
    two = subject(tmp_path, scans=(Scan("T1w", {"image": a}, labels={"tissue": (b, a)}),))
    assert compute_fingerprint(one) != compute_fingerprint(two)


def test_problems_name_the_files(tmp_path):
    image(tmp_path / "a.nii.gz")
    empty_mask(tmp_path / "m.nii.gz")
    (tmp_path / "b.nii.gz").touch()
    found = find_problems(subject(tmp_path))
    assert len(found) == 1
    assert "b.nii.gz is empty" in found[0]


def test_many_processes_may_look_at_once(tmp_path):
    paths = [image(tmp_path / f"{i}.nii.gz", i) for i in range(6)]
    context = multiprocessing.get_context("fork")
    with context.Pool(4) as pool:
        found = pool.map(inspect_file, paths * 4)
    assert found == [inspect_file(path) for path in paths] * 4
    assert not list((tmp_path / "cache").rglob("*.tmp"))


def test_looking_again_is_fast(tmp_path):
    path = image(tmp_path / "a.nii.gz")
    inspect_file(path)
    start = time.perf_counter()
    for _ in range(300):
        inspect_file(path)
    assert (time.perf_counter() - start) / 300 < 0.003  # 0.1 ms on an idle core


def test_where_the_cache_is(monkeypatch, tmp_path):
    assert cache_dir() == tmp_path / "cache"
    monkeypatch.delenv("MRIBENCH_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setattr("sys.platform", "linux")
    assert cache_dir() == tmp_path / "xdg" / "mribench"
    monkeypatch.setenv("MRIBENCH_CACHE", "~nobody-of-this-name/cache")
    with pytest.raises(ConfigError, match="MRIBENCH_CACHE is '~nobody-of-this-name/cache'") as caught:
        cache_dir()
    assert "MRIBENCH_CACHE" in caught.value.hint
