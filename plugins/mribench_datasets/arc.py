"""The Aphasia Recovery Cohort: chronic stroke, T1w, T2w and FLAIR, lesion masks."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from mribench.interfaces import Exclusion, Scan, Subject
from mribench_datasets.folders import FolderDataset, nifti_files, sorted_scans, stem

_SEQUENCES = ("T1w", "T2w", "FLAIR")
_ENTITY = re.compile(r"(?P<key>[a-z]+)-(?P<value>[A-Za-z0-9]+)$")


class ARC(FolderDataset):
    """ARC as OpenNeuro gives it, or any BIDS folder with lesion masks laid out like it.

    The label ``lesion`` of every scan of a session is the mask that was drawn on the session's T2w image.
    Sessions without a mask are left out of subjects that have another one; a subject without any mask
    keeps its scans, unlabelled, and so stays known to splits and to the leakage gate.
    """

    name = "arc"
    title = "ARC (Aphasia Recovery Cohort)"
    licence = "CC0"
    source = "https://openneuro.org/datasets/ds004884"

    def find(self) -> tuple[list[Subject], list[Exclusion]]:
        """Return the subjects in the folder, and what is left out."""
        if self.root is None:
            return [], []
        files: dict[str, list[_File]] = defaultdict(list)
        for folder in sorted(self.root.glob("sub-*")):
            for path in nifti_files(folder):
                file = _parse(path)
                if file is not None and file.suffix in _SEQUENCES and path.parent.name == "anat":
                    files[file.entities["sub"]].append(file)
        covariates = _participants(self.root / "participants.tsv")
        subjects, excluded = [], []
        for name, found in sorted(files.items()):
            scans, left_out = self._scans(name, found)
            excluded += left_out
            subjects.append(
                Subject(self.namespace, name, "ARC", sorted_scans(scans), covariates=covariates.get(name, {}))
            )
        return subjects, excluded

    def _scans(self, name: str, files: list[_File]) -> tuple[list[Scan], list[Exclusion]]:
        sessions: dict[str, list[_File]] = defaultdict(list)
        for file in files:
            sessions[file.entities.get("ses", "")].append(file)
        masks = {session: self._masks(name, session) for session in sessions}
        some = any(masks.values())
        scans: list[Scan] = []
        excluded: list[Exclusion] = []
        for session, found in sorted(sessions.items()):
            if not masks[session]:
                what = f"session '{session}' has no lesion mask"
                kept = "its scans are left out" if some else "nor has any other; its scans are unlabelled"
                excluded.append(Exclusion(name, f"{what}: {kept}"))
            if masks[session] or not some:
                scans += _session_scans(session, found, masks[session])
        return scans, excluded

    def _masks(self, name: str, session: str) -> list[_File]:
        if self.root is None:
            return []
        folder = self.root / "derivatives" / "lesion_masks" / f"sub-{name}"
        folder = folder / f"ses-{session}" / "anat" if session else folder / "anat"
        parsed = [_parse(path) for path in sorted(folder.glob("*_desc-lesion_mask.nii*"))]
        return [file for file in parsed if file is not None and file.suffix == "mask"]


@dataclass(frozen=True)
class _File:
    path: Path
    suffix: str
    entities: Mapping[str, str]


def _parse(path: Path) -> _File | None:
    """Split a BIDS name into its entities and suffix."""
    *parts, suffix = stem(path).split("_")
    matches = [_ENTITY.match(part) for part in parts]
    entities = {match["key"]: match["value"] for match in matches if match}
    return _File(path, suffix, entities) if "sub" in entities and all(matches) else None


def _session_scans(session: str, files: list[_File], masks: list[_File]) -> list[Scan]:
    """Return the scans of a session; acquisition and run are named where a sequence comes twice."""
    count = Counter(file.suffix for file in files)
    scans = []
    for file in files:
        extra = [f"{key}-{file.entities[key]}" for key in ("acq", "run") if key in file.entities]
        name = "_".join([session, *extra] if count[file.suffix] > 1 else [session])
        label = {"lesion": (_mask_of(file, masks).path,)} if masks else {}
        scans.append(Scan(file.suffix, {"image": file.path}, session=name, labels=label))
    return scans


def _mask_of(file: _File, masks: list[_File]) -> _File:
    """Return the mask of the same run where there is one, else the first: all lie in one session."""
    same_run = [mask for mask in masks if mask.entities.get("run") == file.entities.get("run")]
    return (same_run or masks)[0]


def _participants(path: Path) -> dict[str, dict[str, object]]:
    """Return the covariates of each subject as the archive gives them, without those not available."""
    if not path.is_file():
        return {}
    table = pd.read_csv(path, sep="\t", na_values=["n/a"])
    return {
        str(row.pop("participant_id")).removeprefix("sub-"): {
            str(key): value for key, value in row.items() if pd.notna(value)
        }
        for row in table.to_dict("records")
    }
