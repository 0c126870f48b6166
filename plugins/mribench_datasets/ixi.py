"""The IXI dataset: healthy adults, three sites, T1w, T2w and PDw."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from mribench.errors import DataError
from mribench.interfaces import Exclusion, Scan, Subject
from mribench_datasets.folders import FolderDataset, nifti_files, sorted_scans, stem

_SCAN = re.compile(r"(?P<id>IXI\d{3})-(?P<site>Guys|HH|IOP)-\d{4}-(?P<kind>T1|T2|PD)$")
_IMAGE_PREFIX = re.compile(r"(?:p_)?$")
_LABEL_PREFIX = re.compile(r"(?:p_)?c(?P<tissue>[123])(?:p_)?$")
_SEQUENCES = {"T1": "T1w", "T2": "T2w", "PD": "PDw"}
_CSV_COLUMNS = {"AGE": "age", "SEX_ID (1=m, 2=f)": "sex_id", "SEX_ID": "sex_id"}


class IXI(FolderDataset):
    """IXI as its archives unpack, in any number of folders, with SPM's posteriors where they were made.

    The label ``tissue`` is (c1 grey matter, c2 white matter, c3 CSF). The demographics are read from an
    ``IXI.csv`` in the root, the published ``IXI.xls`` saved as CSV.
    """

    name = "ixi"
    title = "IXI"
    licence = "CC BY-SA 3.0"
    source = "https://brain-development.org/ixi-dataset/"

    def find(self) -> tuple[list[Subject], list[Exclusion]]:
        """Return the subjects in the folder, and what is left out."""
        if self.root is None:
            return [], []
        images, labels, excluded = _sort_files(nifti_files(self.root))
        scans: dict[tuple[str, str], list[Scan]] = defaultdict(list)
        for core, path in images.items():
            match = _SCAN.match(core)
            if match is None:
                continue
            tissues = labels.get(core, {})
            complete = sorted(tissues) == ["1", "2", "3"]
            if tissues and not complete:
                reason = f"{path} has posteriors c{', c'.join(sorted(tissues))} of c1, c2, c3: none is used"
                excluded.append(Exclusion(match["id"], reason))
            label = {"tissue": tuple(tissues[tissue] for tissue in "123")} if complete else {}
            scans[match["id"], match["site"]].append(
                Scan(_SEQUENCES[match["kind"]], {"image": path}, labels=label)
            )
        return self._subjects(scans, excluded), excluded

    def _subjects(
        self, scans: Mapping[tuple[str, str], list[Scan]], excluded: list[Exclusion]
    ) -> list[Subject]:
        covariates = _demographics(self.root / "IXI.csv") if self.root is not None else {}
        subjects: dict[str, Subject] = {}
        for (name, site), found in sorted(scans.items()):
            if name in subjects:
                reason = f"is named at {subjects[name].site} and at {site}: the latter is left out"
                excluded.append(Exclusion(name, reason))
                continue
            subjects[name] = Subject(
                self.namespace, name, site, sorted_scans(found), covariates=covariates.get(name, {})
            )
        return list(subjects.values())


def _sort_files(
    paths: list[Path],
) -> tuple[dict[str, Path], dict[str, dict[str, Path]], list[Exclusion]]:
    """Return images and posteriors by the scan that they belong to, and files that come twice."""
    images: dict[str, Path] = {}
    labels: dict[str, dict[str, Path]] = defaultdict(dict)
    excluded: list[Exclusion] = []
    for path in paths:
        name = stem(path)
        prefix, core = name[: name.find("IXI")], name[name.find("IXI") :]
        match = _SCAN.match(core)
        if match is None:
            continue
        label = _LABEL_PREFIX.match(prefix)
        if label:
            place, key = labels[core], label["tissue"]
        elif _IMAGE_PREFIX.match(prefix):
            place, key = images, core
        else:
            continue
        if key in place:
            excluded.append(Exclusion(match["id"], f"{path} is there twice: {place[key]} is used"))
        else:
            place[key] = path
    return images, labels, excluded


def _demographics(path: Path) -> dict[str, dict[str, object]]:
    """Return covariates by subject: ``age`` in years, ``sex`` (m, f)."""
    if not path.is_file():
        return {}
    table = pd.read_csv(path).rename(columns=_CSV_COLUMNS)
    if "IXI_ID" not in table or not pd.api.types.is_numeric_dtype(table["IXI_ID"]):
        raise DataError(f"{path} has no column IXI_ID of numbers", "save IXI.xls as CSV, with its IXI_ID")
    table = table.dropna(subset="IXI_ID").drop_duplicates("IXI_ID")
    rows: dict[str, dict[str, object]] = {}
    for row in table.to_dict("records"):
        age, sex = row.get("age"), {1: "m", 2: "f"}.get(row.get("sex_id", 0))
        values: dict[str, object] = {"sex": sex} if sex else {}
        if pd.notna(age):
            values["age"] = age
        rows[f"IXI{int(row['IXI_ID']):03d}"] = values
    return rows
