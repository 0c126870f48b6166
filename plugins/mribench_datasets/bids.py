"""Any BIDS folder: images, labels by pattern, quantitative maps, participants.

Names are read by this package's own ``bids_names``. What is hard about a folder of a lab's is not the names:
it is which label belongs to which image, and saying of every file why it is no input; libraries that index
BIDS folders do neither, and leave out derivatives without a ``dataset_description.json``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator

from mribench.interfaces import Exclusion, Scan, ScanValues, Subject
from mribench.volumes import Volume
from mribench_datasets.bids_files import BIDSFiles, Patterns, Session, sort_bids_files
from mribench_datasets.bids_labels import LabelFinder
from mribench_datasets.bids_names import BIDSFile, parse_bids_name
from mribench_datasets.files import Found, one_line, sorted_scans
from mribench_datasets.folders import FolderOptions
from mribench_datasets.mpm_names import MapFile
from mribench_datasets.own import OwnDataset
from mribench_datasets.people import add_participants
from mribench_datasets.qmri_sets import NEEDED, check_maps, choose_maps, read_maps

_MAPS = "qmri"
_PARTICIPANTS = "participants.tsv"


class BIDSOptions(FolderOptions):
    """Where a BIDS folder is, and which of its files are what."""

    sequences: list[str] | dict[str, str | list[str]] = Field(
        default_factory=dict,
        description="suffixes that are used ([T1w, FLAIR]), or the pattern of each sequence's files (T1w: "
        "'*_acq-mprage*_T1w'); by default every suffix in anat. A pattern with a slash is of the path under "
        "the root, and may name derivatives",
    )
    labels: dict[str, str | list[str]] = Field(
        default_factory=dict,
        description="pattern of each label's files ('derivatives/seg/*_dseg'), or a list with one for each "
        "class's share; matched to images by subject, session and the other entities",
    )
    site: str = Field("site", min_length=1, description="column of participants.tsv that says where")

    @field_validator("sequences", "labels")
    @classmethod
    def _are_patterns(cls, value: list[str] | dict[str, Any]) -> list[str] | dict[str, Any]:
        patterns = value if isinstance(value, dict) else {name: name for name in value}
        for name, given in patterns.items():
            several = given if isinstance(given, list) else [given]
            if not name.strip() or not several or "" in several:
                raise ValueError(f"expected a name and a pattern of files, got '{name}': {given!r}")
        return value


class BIDS(OwnDataset):
    """A BIDS folder, or a folder of several.

    Every suffix in ``anat`` is a sequence; sets of PDmap, R1map (or T1map), R2starmap (or T2starmap) and
    MTsat are a scan ``qmri``. Subjects of several datasets below one root are told apart by their folders.
    """

    name = "bids"
    title = "BIDS folder"
    source = "your own BIDS folder (https://bids.neuroimaging.io)"

    def __init__(self, options: BIDSOptions) -> None:
        super().__init__(options)
        given = options.sequences
        self._sequences: Patterns = (
            {suffix: (f"*_{suffix}",) for suffix in given} if isinstance(given, list) else _patterns(given)
        )
        self._labels = _patterns(options.labels)
        self._site = options.site

    def find(self, root: Path, found: Found) -> None:
        """Note what is in the folder."""
        files = sort_bids_files(root, self._sequences, self._labels, found)
        labels = LabelFinder(files, found)
        scans: dict[str, list[Scan]] = defaultdict(list)
        for session, by_sequence in files.images.items():
            scans[session.person] += _images(session, by_sequence, labels)
        for session, sets in files.maps.items():
            scans[session.person] += _sets(session, sets, labels, found)
        labels.note_others()
        found.subjects = [
            Subject(self.namespace, name, self.namespace, sorted_scans(_once(name, mine, found)))
            for name, mine in sorted(scans.items())
            if mine
        ]
        self._add_people(root, files, found)

    def _add_people(self, root: Path, files: BIDSFiles, found: Found) -> None:
        """Give the subjects what the participants.tsv of their dataset says."""
        if len(files.datasets) <= 1:
            folders = [root, *map(root.joinpath, files.datasets)]
            tables = [folder / _PARTICIPANTS for folder in folders]
            table = next((table for table in tables if table.is_file()), tables[0])
            add_participants(table, found, self._site)
            return
        people: list[Subject] = []
        by_dataset: dict[str, list[Subject]] = defaultdict(list)
        for subject in found.subjects:
            dataset, _, name = subject.name.rpartition("/")
            by_dataset[dataset].append(replace(subject, name=name))
        for dataset, mine in by_dataset.items():
            found.subjects = mine
            add_participants(root / dataset / _PARTICIPANTS, found, self._site)
            prefix = f"{dataset}/" if dataset else ""
            people += [replace(subject, name=prefix + subject.name) for subject in found.subjects]
        found.subjects = people

    def read_images(self, scan: Scan) -> dict[str, Volume]:
        """Read an image, or a set of maps as ``read_maps`` does."""
        return read_maps(scan.images) if scan.is_maps else super().read_images(scan)

    def check_values(self, scan: Scan) -> ScanValues:
        """Read a set of maps, and the labels of a scan."""
        values = check_maps(scan.images) if scan.is_maps else ScanValues()
        if values.problem:
            return values
        of_labels = super().check_values(scan)
        return replace(
            values, problem=of_labels.problem, remarks=of_labels.remarks, numbers=of_labels.numbers
        )


def _patterns(given: Mapping[str, str | list[str]]) -> dict[str, tuple[str, ...]]:
    return {name: (one,) if isinstance(one, str) else tuple(one) for name, one in given.items()}


def _images(
    session: Session, by_sequence: Mapping[str, list[BIDSFile]], labels: LabelFinder
) -> Iterator[Scan]:
    """Yield the images of a session; what tells them apart is named where a sequence comes twice."""
    for sequence, files in by_sequence.items():
        for file in files:
            name = file.scan_session(several=len(files) > 1)
            yield Scan(sequence, {"image": file.path}, name, labels.labels_of(session, file))


def _sets(
    session: Session,
    sets: Mapping[tuple[Path, str], list[MapFile]],
    labels: LabelFinder,
    found: Found,
) -> Iterator[Scan]:
    """Yield the sets of maps of a session; maps that make no set are counted."""
    whole = {}
    for key, files in sets.items():
        names = {file.name for file in files}
        if names.issuperset(NEEDED):
            whole[key] = choose_maps(session.person, files, calibrate=False, found=found)
        else:
            for file in files:
                found.ignored[f"*_{file.suffix}: no set of {', '.join(NEEDED)}"] += 1
    for images in whole.values():
        named = parse_bids_name(images["PD"])
        if named is not None:
            name = named.scan_session(several=len(whole) > 1)
            yield Scan(_MAPS, dict(sorted(images.items())), name, labels.labels_of(session, named))


def _once(name: str, scans: list[Scan], found: Found) -> list[Scan]:
    """Return scans of which no two have one session and sequence, and note the others."""
    first: dict[tuple[str, str], Scan] = {}
    for scan in sorted(scans, key=lambda scan: str(next(iter(scan.images.values())))):
        other = first.setdefault((scan.session, scan.sequence), scan)
        if other is not scan:
            path, used = (next(iter(one.images.values())) for one in (scan, other))
            reason = f"{one_line(path)} is another {scan.sequence} of its session: {one_line(used)} is used"
            found.excluded.append(Exclusion(name, reason, "second image of one name"))
    return list(first.values())
