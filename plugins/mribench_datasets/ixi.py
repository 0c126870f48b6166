"""The IXI dataset: healthy adults, three sites, T1w, T2w and PDw."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import pandas as pd

from mribench.errors import DataError
from mribench.interfaces import Exclusion, Scan, Subject
from mribench_datasets.files import Found, nifti_files, sorted_scans, stem, take_once
from mribench_datasets.folders import FolderDataset
from mribench_datasets.people import People, add_from_table, people
from mribench_datasets.tables import read_table

_SCAN = re.compile(r"(?P<id>IXI\d{3})-(?P<site>Guys|HH|IOP)-(?P<number>\d{4})-(?P<kind>T1|T2|PD)$")
_OTHER = re.compile(r"IXI\d{3}-[A-Za-z]+-\d{4}-(?P<kind>MRA|DTI)")
_IMAGE_PREFIX = re.compile(r"(?:p_)?$")
_LABEL_PREFIX = re.compile(r"(?:p_)?c(?P<tissue>[123])(?:p_)?$")
_SEQUENCES = {"T1": "T1w", "T2": "T2w", "PD": "PDw"}
_TABLES = ("IXI.csv", "IXI.xls", "IXI.xlsx")
_COLUMNS = {"AGE": "age", "SEX_ID (1=m, 2=f)": "sex", "SEX_ID": "sex"}
_SEXES = {1: "m", 2: "f"}


class IXI(FolderDataset):
    """IXI as its archives unpack, in any number of folders, with SPM's posteriors where they were made.

    The label ``tissue`` is (c1 grey matter, c2 white matter, c3 CSF), in the image's own space: ``c1``,
    ``p_c1`` or ``c1p_`` before the image's name. Normalised, modulated and imported ones (``wc1``, ``mwc1``,
    ``rc1``) are not. The covariates ``age`` (years) and ``sex`` (m, f) are read from ``IXI.csv``, else from
    the published ``IXI.xls``, in the root.
    """

    name = "ixi"
    title = "IXI"
    licence = "CC BY-SA 3.0"
    source = "https://brain-development.org/ixi-dataset/"
    archives = MappingProxyType(
        {
            "IXI-T1.tar": "34901a0593b41dd19c1a1f746eac2d58",
            "IXI-T2.tar": "e3140d78730ecdd32ba92da48c0a9aaa",
            "IXI-PD.tar": "88ecd9d1fa33cb4a2278183b42ffd749",
        }
    )

    def find(self, root: Path, found: Found) -> None:
        """Note what is in the folder."""
        files = _sort_files(nifti_files(root, found), found)
        scans: dict[tuple[str, str], list[tuple[str, Scan]]] = defaultdict(list)
        for core, path in sorted(files.images.items()):
            match = _parts(core)
            label = _label(core, files.labels.get(core, {}), found)
            scan = Scan(_SEQUENCES[match["kind"]], {"image": path}, labels=label)
            scans[match["id"], match["site"]].append((match["number"], scan))
        for core in sorted(set(files.labels) - set(files.images)):
            path = next(iter(files.labels[core].values()))
            reason = f"{path}: the image {core} of these posteriors is not there"
            found.excluded.append(Exclusion(_parts(core)["id"], reason, "posteriors without their image"))
        found.subjects = self._subjects(scans, found)
        table = next((root / name for name in _TABLES if (root / name).is_file()), None)
        if table is not None:
            add_from_table(found, table, _demographics)

    def _subjects(
        self, scans: Mapping[tuple[str, str], list[tuple[str, Scan]]], found: Found
    ) -> list[Subject]:
        subjects: dict[str, Subject] = {}
        for (name, site), numbered in sorted(scans.items(), key=_most_first):
            if name in subjects:
                reason = f"is named at {subjects[name].site} and at {site}: the latter is left out"
                found.excluded.append(Exclusion(name, reason, "scans at a second site"))
                continue
            several = len({number for number, _ in numbered}) > 1
            mine = [Scan(s.sequence, s.images, n if several else "", s.labels) for n, s in numbered]
            subjects[name] = Subject(self.namespace, name, site, sorted_scans(mine))
        return list(subjects.values())


def _most_first(item: tuple[tuple[str, str], list[tuple[str, Scan]]]) -> tuple[str, int, int, str]:
    """Sort the sites of a subject: most labelled scans first, then most scans, then by name."""
    (name, site), numbered = item
    return name, -sum(bool(scan.labels) for _, scan in numbered), -len(numbered), site


@dataclass
class _Files:
    """Images by the name of their scan, and posteriors by scan and tissue."""

    images: dict[str, Path] = field(default_factory=dict)
    labels: dict[str, dict[str, Path]] = field(default_factory=lambda: defaultdict(dict))


def _sort_files(paths: list[Path], found: Found) -> _Files:
    """Tell images and posteriors from what is neither; names without prefix go first."""
    files = _Files()
    for path in sorted(paths, key=lambda path: (stem(path).find("IXI"), path)):
        name = stem(path)
        prefix, core = name[: max(0, name.find("IXI"))], name[max(0, name.find("IXI")) :]
        match, label = _SCAN.match(core), _LABEL_PREFIX.match(prefix)
        if match and label:
            take_once(files.labels[core], label["tissue"], path, match["id"], found)
        elif match and _IMAGE_PREFIX.match(prefix):
            take_once(files.images, core, path, match["id"], found)
        else:
            found.ignored[_kind(prefix, core)] += 1
    return files


def _kind(prefix: str, core: str) -> str:
    """Return what to call a file that is no input."""
    other = _OTHER.match(core)
    if other:
        return f"*-{other['kind']}*"
    if not _SCAN.match(core):
        return "names that are not IXI's"
    return re.sub(r"c\d", "c[1-6]", prefix) + "IXI*"


def _parts(core: str) -> re.Match[str]:
    match = _SCAN.match(core)
    if match is None:
        raise DataError(f"{core} is not the name of an IXI scan")
    return match


def _label(core: str, tissues: Mapping[str, Path], found: Found) -> dict[str, tuple[Path, ...]]:
    """Return the label of a scan where all three posteriors are there."""
    if sorted(tissues) == ["1", "2", "3"]:
        return {"tissue": tuple(tissues[tissue] for tissue in "123")}
    if tissues:
        path = next(iter(tissues.values()))
        reason = f"{path} and its like: posteriors c{', c'.join(sorted(tissues))} of c1, c2, c3: none is used"
        found.excluded.append(Exclusion(_parts(core)["id"], reason, "incomplete posteriors"))
    return {}


def _demographics(path: Path, found: Found) -> People:
    """Return ``age`` in years and ``sex`` (m, f) by subject."""
    table = read_table(path).rename(columns=_COLUMNS)
    if "IXI_ID" not in table or not pd.api.types.is_numeric_dtype(table["IXI_ID"]):
        raise DataError(
            f"{path} has no column IXI_ID of numbers",
            "take IXI.xls as it was published, or save it as CSV with its IXI_ID",
        )
    rows: list[tuple[str, dict[str, object]]] = []
    for row in table.dropna(subset="IXI_ID").to_dict("records"):
        sex = _SEXES.get(row.get("sex", 0))
        values: dict[str, object] = {"age": row.get("age"), "sex": sex}
        rows.append((f"IXI{int(row['IXI_ID']):03d}", values))
    return people(rows, path, found)
