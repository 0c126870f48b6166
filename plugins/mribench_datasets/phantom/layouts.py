"""Writes one simulated person as an archive would."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mribench.interfaces import MRISequence
from mribench.seeding import Identity, numpy_generator
from mribench.volumes import Volume, write_volume
from mribench_datasets.phantom.acquisition import (
    acquire,
    lesion_mask,
    posteriors,
    quantitative_maps,
    reorient,
)
from mribench_datasets.phantom.covariates import draw_demographics
from mribench_datasets.phantom.head import Anatomy, Head
from mribench_datasets.phantom.protocols import ARC_PROTOCOLS, IXI_SITES, Protocol

_IXI_KINDS = {"T1w": "T1", "T2w": "T2", "PDw": "PD"}
_ARC_ACQUISITION = {"T1w": "", "T2w": "_acq-spc3", "FLAIR": ""}
_UNLABELLED_SESSION_EVERY = 4  # so many ARC subjects have a second session, without a mask
_MPM_SUFFIX = {"PD": "PD", "R1": "R1", "R2s": "R2s_OLS", "MTsat": "MTsat", "R2": "R2"}


@dataclass(frozen=True)
class Person:
    """Somebody to be scanned.

    Attributes:
        number: from 1, in the cohort.
        site: where.
        identity: what the noise and the covariates are drawn from.
        prefix: how the mpm layout's folders begin.
        anatomy: of whom the anatomy is, where it is somebody's.
    """

    number: int
    site: str
    identity: tuple[Identity, ...]
    prefix: str
    anatomy: str = ""

    def row(self) -> dict[str, object]:
        """Return what the cohort's table says of the anatomy's origin."""
        return {"anatomy": self.anatomy} if self.anatomy else {}


class Scanner:
    """A head on the grids of its protocols; a grid that several protocols share is computed once."""

    def __init__(self, anatomy: Anatomy, sequences: Mapping[str, MRISequence], person: Person) -> None:
        self._anatomy = anatomy
        self._sequences = sequences
        self._identity = person.identity
        self._grids: dict[tuple[float, float, float], Head] = {}

    def head(self, protocol: Protocol) -> Head:
        """Return the head on a protocol's grid."""
        key = protocol.edge_scale
        if key not in self._grids:
            self._grids[key] = self._anatomy.on_grid(*self._anatomy.grid(key))
        return self._grids[key]

    def scan(self, protocol: Protocol, name: str) -> Volume:
        """Return an image in the protocol's orientation; ``name`` tells its noise apart."""
        noise = numpy_generator("phantom-scan", *self._identity, name)
        return acquire(self.head(protocol), protocol, self._sequences[protocol.sequence], noise)


def write_ixi(
    sequences: Mapping[str, MRISequence], out: Path, person: Person, anatomy: Anatomy
) -> dict[str, object]:
    """Write T1, T2 and PD images in a folder each, with c1, c2, c3 beside them; return the table's row."""
    scanner = Scanner(anatomy, sequences, person)
    number = person.number
    for sequence, protocol in IXI_SITES[person.site].items():
        kind = _IXI_KINDS[sequence]
        folder = out / f"IXI-{kind}"
        name = f"IXI{number:03d}-{person.site}-{number:04d}-{kind}.nii.gz"
        write_volume(folder / name, scanner.scan(protocol, sequence), np.int16)
        head = scanner.head(protocol)
        for tissue, posterior in enumerate(posteriors(head), start=1):
            label = reorient(Volume(posterior, head.affine), protocol.orientation)
            write_volume(folder / f"c{tissue}{name}", label, np.uint8)
    drawn = draw_demographics(person.identity, anatomy.traits())
    sex = 1 if drawn.is_male else 2
    return {"IXI_ID": number, "SEX_ID (1=m, 2=f)": sex, "AGE": drawn.age_years, **person.row()}


def write_arc(
    sequences: Mapping[str, MRISequence], out: Path, person: Person, anatomy: Anatomy
) -> dict[str, object]:
    """Write T1w, T2w and FLAIR, and the lesion mask on the T2w grid; return the table's row."""
    scanner = Scanner(anatomy, sequences, person)
    name = f"sub-M{2000 + person.number}"
    for sequence, protocol in ARC_PROTOCOLS.items():
        path = _bids(out, name, "1", f"{_ARC_ACQUISITION[sequence]}_{sequence}")
        write_volume(path, scanner.scan(protocol, sequence), np.int16)
    if person.number % _UNLABELLED_SESSION_EVERY == 0:
        again = scanner.scan(ARC_PROTOCOLS["T1w"], "T1w-again")
        write_volume(_bids(out, name, "2", "_T1w"), again, np.int16)
    head = scanner.head(ARC_PROTOCOLS["T2w"])
    mask = Volume(lesion_mask(head), head.affine)
    if anatomy.has_lesion:
        path = _bids(out / "derivatives" / "lesion_masks", name, "1", "_acq-spc3_desc-lesion_mask")
        write_volume(path, reorient(mask, ARC_PROTOCOLS["T2w"].orientation), np.uint8)
    lesion_ml = float(mask.data.sum()) * float(np.prod(mask.spacing_mm)) / 1000
    return {**_arc_row(name, lesion_ml, person.identity), **person.row()}


def write_mpm(
    sequences: Mapping[str, MRISequence], out: Path, person: Person, anatomy: Anatomy
) -> dict[str, object]:
    """Write PD, R1, R2s, MTsat and R2 maps with the hMRI toolbox's names; return the table's row."""
    del sequences
    head = anatomy.on_grid(*anatomy.grid())
    noise = numpy_generator("phantom-scan", *person.identity, "maps")
    name = f"{person.prefix}{person.number:03d}"
    for kind, volume in quantitative_maps(head, noise).items():
        write_volume(out / name / f"{name}_{_MPM_SUFFIX[kind]}.nii.gz", volume)
    return {"subject": name, "stroke": anatomy.has_lesion, **person.row()}


def write_table(path: Path, rows: Sequence[Mapping[str, object]], delimiter: str) -> None:
    """Write the cohort's table."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, fieldnames=list(rows[0]), delimiter=delimiter, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _bids(root: Path, subject: str, session: str, rest: str) -> Path:
    return root / subject / f"ses-{session}" / "anat" / f"{subject}_ses-{session}{rest}.nii.gz"


def _arc_row(name: str, lesion_ml: float, identity: tuple[Identity, ...]) -> dict[str, object]:
    """Aphasia grows with the lesion, with much left unexplained; as in ARC, 93.8 and above is none."""
    person = numpy_generator("phantom-person", *identity)
    quotient = float(np.clip(97 - 6.5 * np.sqrt(lesion_ml) + 10 * person.standard_normal(), 5, 100))
    return {
        "participant_id": name,
        "sex": "FM"[int(person.integers(2))],
        "age_at_stroke": int(person.integers(30, 80)),
        "wab_aq": round(quotient, 1),
        "wab_type": "None" if quotient >= 93.8 else "Broca" if quotient < 55 else "Anomic",
    }
