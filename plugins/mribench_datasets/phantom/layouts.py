"""Writes one phantom subject as an archive would."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from mribench.data.volumes import Volume, write_volume
from mribench.interfaces import MRISequence
from mribench.seeding import Identity, numpy_generator
from mribench_datasets.phantom.acquisition import (
    acquire,
    lesion_mask,
    native_grid,
    posteriors,
    quantitative_maps,
    reorient,
)
from mribench_datasets.phantom.anatomy import Anatomy
from mribench_datasets.phantom.protocols import ARC_PROTOCOLS, IXI_SITES, Protocol

_IXI_KINDS = {"T1w": "T1", "T2w": "T2", "PDw": "PD"}
_ARC_ACQUISITION = {"T1w": "", "T2w": "_acq-spc3", "FLAIR": ""}
_UNLABELLED_SESSION_EVERY = 4  # so many ARC subjects have a second session, without a mask
_MPM_SUFFIX = {"PD": "PD", "R1": "R1", "R2s": "R2s_OLS", "MTsat": "MTsat", "R2": "R2"}


class Scanner:
    """A head on the grids of its protocols; a grid that several protocols share is computed once."""

    def __init__(
        self,
        anatomy: Anatomy,
        sequences: Mapping[str, MRISequence],
        identity: tuple[Identity, ...],
    ) -> None:
        self._anatomy = anatomy
        self._sequences = sequences
        self._identity = identity
        self._grids: dict[tuple[float, float, float], tuple[np.ndarray, np.ndarray, np.ndarray]] = {}

    def head(self, protocol: Protocol) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return affine, tissue memberships and texture on a protocol's grid."""
        key = protocol.edge_scale
        if key not in self._grids:
            affine, shape = native_grid(self._anatomy.spacing_mm, key)
            self._grids[key] = (affine, *self._anatomy.on_grid(affine, shape))
        return self._grids[key]

    def scan(self, protocol: Protocol, name: str) -> Volume:
        """Return an image in the protocol's orientation; ``name`` tells its noise apart."""
        affine, memberships, texture = self.head(protocol)
        noise = numpy_generator("phantom-scan", *self._identity, name)
        sequence = self._sequences[protocol.sequence]
        return acquire(self._anatomy, memberships, texture, affine, protocol, sequence, noise)


def write_ixi(
    sequences: Mapping[str, MRISequence],
    out: Path,
    number: int,
    site: str,
    anatomy: Anatomy,
    identity: tuple[Identity, ...],
) -> dict[str, object]:
    """Write T1, T2 and PD images in a folder each, with c1, c2, c3 beside them; return the table's row."""
    scanner = Scanner(anatomy, sequences, identity)
    for sequence, protocol in IXI_SITES[site].items():
        kind = _IXI_KINDS[sequence]
        folder, name = out / f"IXI-{kind}", f"IXI{number:03d}-{site}-{number:04d}-{kind}.nii.gz"
        write_volume(folder / name, scanner.scan(protocol, sequence), np.int16)
        affine, memberships, _ = scanner.head(protocol)
        for tissue, posterior in enumerate(posteriors(memberships), start=1):
            label = reorient(Volume(posterior, affine), protocol.orientation)
            write_volume(folder / f"c{tissue}{name}", label, np.uint8)
    person = numpy_generator("phantom-person", *identity)
    sex, age = int(person.integers(1, 3)), round(float(person.uniform(20, 86)), 2)
    return {"IXI_ID": number, "SEX_ID (1=m, 2=f)": sex, "AGE": age}


def write_arc(
    sequences: Mapping[str, MRISequence],
    out: Path,
    number: int,
    site: str,
    anatomy: Anatomy,
    identity: tuple[Identity, ...],
) -> dict[str, object]:
    """Write T1w, T2w and FLAIR, and the lesion mask on the T2w grid; return the table's row."""
    del site
    scanner = Scanner(anatomy, sequences, identity)
    name = f"sub-M{2000 + number}"
    for sequence, protocol in ARC_PROTOCOLS.items():
        path = _bids(out, name, "1", f"{_ARC_ACQUISITION[sequence]}_{sequence}")
        write_volume(path, scanner.scan(protocol, sequence), np.int16)
    if number % _UNLABELLED_SESSION_EVERY == 0:
        again = scanner.scan(ARC_PROTOCOLS["T1w"], "T1w-again")
        write_volume(_bids(out, name, "2", "_T1w"), again, np.int16)
    affine, memberships, _ = scanner.head(ARC_PROTOCOLS["T2w"])
    mask = Volume(lesion_mask(memberships), affine)
    if anatomy.lesion is not None:
        path = _bids(out / "derivatives" / "lesion_masks", name, "1", "_acq-spc3_desc-lesion_mask")
        write_volume(path, reorient(mask, ARC_PROTOCOLS["T2w"].orientation), np.uint8)
    lesion_ml = float(mask.data.sum()) * float(np.prod(mask.spacing_mm)) / 1000
    return _arc_row(name, lesion_ml, identity)


def write_mpm(
    sequences: Mapping[str, MRISequence],
    out: Path,
    number: int,
    site: str,
    anatomy: Anatomy,
    identity: tuple[Identity, ...],
) -> dict[str, object]:
    """Write PD, R1, R2s, MTsat and R2 maps with the hMRI toolbox's names; return the table's row."""
    del sequences, site
    affine, shape = native_grid(anatomy.spacing_mm)
    memberships, texture = anatomy.on_grid(affine, shape)
    noise = numpy_generator("phantom-scan", *identity, "maps")
    name = f"phantom{number:03d}"
    for kind, volume in quantitative_maps(anatomy, memberships, texture, affine, noise).items():
        write_volume(out / name / f"{name}_{_MPM_SUFFIX[kind]}.nii.gz", volume)
    return {"subject": name, "stroke": anatomy.lesion is not None}


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
