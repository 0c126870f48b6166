"""Checks of datasets."""

from __future__ import annotations

from collections import Counter

import numpy as np

from mribench.interfaces import Dataset, Scan, Subject
from mribench.testing.problems import require

_READ_SUBJECTS = 2


def check_dataset(dataset: Dataset) -> None:
    """Check a dataset whose files are there: order, identity, scans, and the first subjects' volumes.

    Raises:
        ConformanceError: at the first rule that it breaks.
    """
    require(isinstance(dataset, Dataset), f"expected a Dataset, got {type(dataset).__name__}")
    missing = dataset.missing()
    require(not missing, f"dataset: cannot be checked without its files: {missing}")
    subjects = list(dataset.subjects())
    require(len(subjects) > 0, "dataset: has no subjects, and missing() does not say why")
    names = [subject.name for subject in subjects]
    require(names == sorted(names), "dataset: subjects are not sorted by name")
    ids = Counter(subject.id for subject in subjects)
    repeated = [name for name, count in ids.items() if count > 1]
    require(not repeated, f"dataset: subjects that are there twice: {repeated}")
    require(subjects == list(dataset.subjects()), "dataset: subjects() gives something else the second time")
    for subject in subjects:
        _check_subject(subject)
    for subject in subjects[:_READ_SUBJECTS]:
        for scan in subject.scans:
            _check_volumes(dataset, scan, f"{subject.id} {scan.sequence}")


def _check_subject(subject: Subject) -> None:
    require(len(subject.scans) > 0, f"dataset: {subject.id} has no scan; leave such subjects out")
    require(bool(subject.namespace and subject.site), f"dataset: {subject.id} lacks a namespace or a site")
    keys = Counter((scan.session, scan.sequence) for scan in subject.scans)
    repeated = [key for key, count in keys.items() if count > 1]
    require(not repeated, f"dataset: {subject.id} has several scans of one session and sequence: {repeated}")
    for scan in subject.scans:
        absent = [path.name for path in scan.files() if not path.is_file()]
        require(not absent, f"dataset: {subject.id} {scan.sequence}: no such files: {absent}")


def _check_volumes(dataset: Dataset, scan: Scan, what: str) -> None:
    problem = dataset.check_scan(scan)
    require(not problem, f"dataset: {what} cannot be used: {problem}; leave such scans out")
    images = dataset.read_images(scan)
    require(
        set(images) == set(scan.images), f"dataset: {what}: read {sorted(images)}, not {sorted(scan.images)}"
    )
    first = next(iter(images.values()))
    for name, volume in images.items():
        require(
            volume.data.ndim == 3, f"dataset: {what}: '{name}' is {volume.data.ndim}D, expected (I, J, K)"
        )
        require(
            bool(np.isfinite(volume.data).all()), f"dataset: {what}: '{name}' has values that are not finite"
        )
        one_grid = volume.data.shape == first.data.shape and np.allclose(
            volume.affine, first.affine, atol=1e-3
        )
        require(one_grid, f"dataset: {what}: '{name}' is not on the grid of the others")
    for label in scan.labels:
        data = dataset.read_labels(scan, label).data
        require(data.ndim == 4, f"dataset: {what}: label '{label}' is {data.ndim}D, expected (C, I, J, K)")
        in_range = bool((np.abs(data - 0.5) <= 0.5 + 1e-3).all())
        are_whole = (data >= 0) & (data < np.inf) & (data == np.rint(data))
        are_numbers = len(data) == 1 and bool(are_whole.all())
        require(
            in_range or are_numbers,
            f"dataset: {what}: memberships of '{label}' are not in 0..1, nor one map of whole numbers",
        )
