"""What the datasets of a user's own files have in common: labels of any number of classes."""

from __future__ import annotations

from pathlib import Path

from mribench.errors import DataError
from mribench.interfaces import Scan, ScanValues
from mribench.volumes import Volume
from mribench_datasets.folders import FolderDataset, say_no_folder
from mribench_datasets.label_values import label_problem, label_remarks
from mribench_datasets.number_maps import numbers_in, read_label_files


class OwnDataset(FolderDataset):
    """A cohort whose labels are maps of numbers, masks, or one share for each class."""

    licence = "that of your cohort"

    def missing(self) -> str:
        """Return one sentence on what is not there, or an empty string."""
        return say_no_folder(self.title, self.name, self.root, "set", "check")

    def advice(self) -> str:
        """Return what to do where nothing in the folder can be used."""
        return "check the paths; docs/own-data.md says how files are found"

    def read_labels(self, scan: Scan, label: str) -> Volume:
        """Read a label as ``read_label_files`` does.

        Raises:
            DataError: when the scan has no such label, or its files cannot be used.
        """
        if label not in scan.labels:
            raise DataError(f"{scan.sequence} scan {_first_image(scan)} has no label '{label}'")
        return read_label_files(scan.labels[label])

    def check_values(self, scan: Scan) -> ScanValues:
        """Read the labels of a scan: their numbers, whether they have any voxel, and whether none is lost."""
        remarks: dict[str, str] = {}
        numbers: dict[str, tuple[int, ...]] = {}
        for label, paths in scan.labels.items():
            try:
                values = self.read_labels(scan, label)
            except DataError as error:
                return ScanValues(error.message)
            numbers[label] = numbers_in(values.data)
            memberships = Volume(values.data.clip(0, 1), values.affine)
            problem = label_problem(paths, memberships, _first_image(scan))
            if problem:
                return ScanValues(problem)
            one_class = len(numbers[label]) <= 1
            remarks |= label_remarks(paths, memberships, _first_image(scan), one_class)
        return ScanValues(remarks=remarks, numbers=numbers)


def _first_image(scan: Scan) -> Path:
    return next(iter(scan.images.values()))
