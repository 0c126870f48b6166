"""The Aphasia Recovery Cohort: chronic stroke, T1w, T2w and FLAIR, lesion masks."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mribench.interfaces import Exclusion, Scan, Subject
from mribench_datasets.bids_names import BIDSFile, is_misplaced, parse_bids_name, why_no_scan
from mribench_datasets.files import Found, nifti_files, sorted_scans, stem, take_once
from mribench_datasets.folders import FolderDataset
from mribench_datasets.people import add_from_table, participants

_SEQUENCES = ("T1w", "T2w", "FLAIR")
_DRAWN_ON = "T2w"
_MASKS = ("derivatives", "lesion_masks")
_DRAWN_ALIKE = ("acq", "run")
"""What a mask's name shares with that of the scan that it was drawn on."""
_OWN_SPACES = ("orig", "individual", "scanner", "T2w")

Sessions = dict[tuple[str, str], list[BIDSFile]]
"""Files by (subject, session)."""


class ARC(FolderDataset):
    """ARC as OpenNeuro gives it, or any BIDS folder with lesion masks laid out like it.

    The label ``lesion`` of every scan of a session is the mask that was drawn on the session's T2w image: the
    one of the same acquisition and run where there is one, else of the same run, else of the same
    acquisition, else the first. Sessions without a mask are left out of subjects that have another one; a
    subject without any mask keeps its scans, unlabelled, and so stays known to splits and to the leakage
    gate.
    """

    name = "arc"
    title = "ARC (Aphasia Recovery Cohort)"
    licence = "CC0"
    source = "https://openneuro.org/datasets/ds004884"

    def find(self, root: Path, found: Found) -> None:
        """Note what is in the folder."""
        files = _sort_files(root, nifti_files(root, found), found)
        by_subject: dict[str, dict[str, list[BIDSFile]]] = defaultdict(dict)
        for (name, session), images in files.images.items():
            by_subject[name][session] = images
        for name, sessions in sorted(by_subject.items()):
            masks = {session: files.masks.get((name, session), []) for session in sessions}
            scans = _scans(name, sessions, masks, found)
            found.subjects.append(Subject(self.namespace, name, "ARC", sorted_scans(scans)))
        for name, session in sorted(set(files.masks) - set(files.images)):
            reason = f"{files.masks[name, session][0].path}: session '{session}' has no scan for this mask"
            found.excluded.append(Exclusion(name, reason, "mask without a scan"))
        table = root / "participants.tsv"
        if table.is_file():
            add_from_table(found, table, participants)


@dataclass
class _Files:
    images: Sessions = field(default_factory=lambda: defaultdict(list))
    masks: Sessions = field(default_factory=lambda: defaultdict(list))


def _sort_files(root: Path, paths: Sequence[Path], found: Found) -> _Files:
    """Tell scans and masks from what is neither."""
    taken: dict[tuple[str, ...], Path] = {}
    files: dict[Path, tuple[BIDSFile, bool]] = {}
    for path in paths:
        inside = path.relative_to(root).parts
        file, mask = parse_bids_name(path), inside[:2] == _MASKS
        kind = _kind(inside, file, mask)
        if kind or file is None:
            found.ignored[kind] += 1
        elif is_misplaced(inside, file):
            reason = f"{path} lies in the folder of another subject or session than its name says"
            found.excluded.append(Exclusion(file.entities["sub"], reason, "file in another one's folder"))
        else:
            take_once(taken, (*inside[:-1], stem(path)), path, file.entities["sub"], found)
            files[path] = (file, mask)
    sorted_files = _Files()
    for path in taken.values():
        file, mask = files[path]
        place = sorted_files.masks if mask else sorted_files.images
        place[file.entities["sub"], file.session].append(file)
    return sorted_files


def _kind(inside: Sequence[str], file: BIDSFile | None, mask: bool) -> str:
    """Return what to call a file that is no input, or an empty string for one that is."""
    if mask:
        if file is None or file.suffix != "mask" or file.entities.get("desc") != "lesion":
            return "derivatives/lesion_masks: not *_desc-lesion_mask"
        return why_no_scan(file, _OWN_SPACES)
    if len(inside) == 1:
        return "files in the root"
    if not inside[0].startswith("sub-"):
        depth = 2 if inside[0] == _MASKS[0] and len(inside) > 2 else 1
        return "/".join(inside[:depth]) + "/*"
    if file is None:
        return "names that are not BIDS"
    is_scan = file.suffix in _SEQUENCES and inside[-2] == "anat"
    return why_no_scan(file, _OWN_SPACES) if is_scan else f"*_{file.suffix}"


def _scans(
    name: str, sessions: Mapping[str, list[BIDSFile]], masks: Mapping[str, list[BIDSFile]], found: Found
) -> list[Scan]:
    """Return the scans of a subject, and note the sessions that are left out."""
    masked = [session for session in sorted(sessions) if masks[session]]
    if len(masked) > 1:
        reason = f"has masks in sessions {', '.join(masked)}: all are used"
        found.remarks.append(Exclusion(name, reason, "mask in more than one session"))
    scans: list[Scan] = []
    for session, files in sorted(sessions.items()):
        if masks[session] or not masked:
            scans += _session_scans(files, masks[session])
        if not masks[session] and masked:
            reason = f"session '{session}' has no lesion mask: its scans are left out"
            found.excluded.append(
                Exclusion(name, reason, "session without lesion mask, of a subject with one")
            )
    if not masked:
        which = ", ".join(f"'{session}'" for session in sorted(sessions))
        reason = f"session {which} has no lesion mask, nor has any other; its scans are unlabelled"
        found.remarks.append(Exclusion(name, reason, "no lesion mask: scans used without label"))
    for session in masked:
        _remark_names(name, sessions[session], masks[session], found)
    return scans


def _session_scans(files: list[BIDSFile], masks: list[BIDSFile]) -> list[Scan]:
    """Return the scans of a session; what tells them apart is named where a sequence comes twice."""
    count = Counter(file.suffix for file in files)
    scans = []
    for file in files:
        name = file.scan_session(several=count[file.suffix] > 1)
        label = {"lesion": (_mask_of(file, masks).path,)} if masks else {}
        scans.append(Scan(file.suffix, {"image": file.path}, session=name, labels=label))
    return scans


def _mask_of(file: BIDSFile, masks: list[BIDSFile]) -> BIDSFile:
    """Return the mask whose name fits best: all lie in one session."""

    def fit(mask: BIDSFile) -> tuple[bool, bool, bool]:
        same = {key: mask.entities.get(key) == file.entities.get(key) for key in _DRAWN_ALIKE}
        return all(same.values()), same["run"], same["acq"]

    return max(masks, key=fit)


def _remark_names(name: str, files: list[BIDSFile], masks: list[BIDSFile], found: Found) -> None:
    """Remark masks that no T2w scan of their session is named like, and masks beside the one used."""
    drawn_on = [file for file in files if file.suffix == _DRAWN_ON]
    variants = {file.entities_named(_DRAWN_ALIKE) for file in drawn_on}
    for mask in masks:
        if mask.entities_named(_DRAWN_ALIKE) not in variants:
            there = ", ".join(file.path.name for file in drawn_on) or "none"
            reason = f"{mask.path}: no T2w scan of its session is named like it (there: {there})"
            found.remarks.append(Exclusion(name, reason, "mask named otherwise than the T2w scans"))
    used = {_mask_of(file, masks).path for file in files}
    for mask in masks:
        if mask.path not in used:
            reason = f"{mask.path}: another mask of its session fits the scans better"
            found.excluded.append(Exclusion(name, reason, "second mask of a session"))
