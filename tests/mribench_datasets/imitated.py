"""Imitations of IXI, ARC and MPM cohorts as users have them: tiny but real NIfTI, irregular as real ones."""

from __future__ import annotations

import gzip
import shutil
import struct
from pathlib import Path

import numpy as np

from mribench.volumes import Volume, write_volume

SHAPE = (12, 13, 14)
AFFINE = np.diag([4.0, 4.0, 4.0, 1.0])
T1_AFFINE = np.array([[-3.0, 0, 0, 36], [0, 4, 0, 0], [0, 0, 5, 0], [0, 0, 0, 1]])


def image(path: Path, seed: int = 0, affine: np.ndarray = AFFINE, shape: tuple[int, ...] = SHAPE) -> Path:
    """Write noise as int16."""
    data = np.random.default_rng(seed).integers(0, 1000, shape)
    write_volume(path, Volume(data, affine), np.int16)
    return path


def mask(path: Path, value: float = 1.0) -> Path:
    """Write a lesion."""
    data = np.zeros(SHAPE)
    data[3:6, 3:6, 3:6] = value
    write_volume(path, Volume(data, AFFINE), np.uint8)
    return path


def posteriors(folder: Path, pattern: str, core: str, tissues: str = "123") -> None:
    """Write SPM's posteriors of an image; ``pattern`` has a place for the tissue."""
    share = np.random.default_rng(7).dirichlet(np.ones(4), SHAPE)
    for tissue in tissues:
        write_volume(
            folder / f"{pattern.format(tissue)}{core}.nii", Volume(share[..., int(tissue)], AFFINE), np.uint8
        )


# ---- IXI -----------------------------------------------------------------------------------------------

DEMOGRAPHICS = [
    ("IXI_ID", "SEX_ID (1=m, 2=f)", "HEIGHT", "AGE"),
    (2, 2, 164, 35.8),
    (12, 1, 175, 38.78),
    (13, 1, 182, 46.71),
    (13, 1, 182, 46.71),  # the same row twice
    (14, 2, 163, 34.24),
    (14, 1, 163, 34.24),  # two rows that contradict each other
    (35, 2, 170, None),  # no age
    (600, 1, 180, 50.0),  # nobody's row
]


def xls(path: Path, rows: list[tuple[object, ...]] = DEMOGRAPHICS) -> None:
    """Write an Excel 2.1 worksheet (BIFF2), which xlrd reads as it reads the published IXI.xls."""

    def record(kind: int, body: bytes) -> bytes:
        return struct.pack("<HH", kind, len(body)) + body

    out = record(0x0009, struct.pack("<HH", 7, 0x0010))
    for i, row in enumerate(rows):
        for j, value in enumerate(row):
            place = struct.pack("<HH3s", i, j, b"\0\0\0")
            if isinstance(value, str):
                out += record(0x0004, place + bytes([len(value)]) + value.encode("ascii"))
            elif value is not None:
                out += record(0x0003, place + struct.pack("<d", float(value)))  # type: ignore[arg-type]
    path.write_bytes(out + record(0x000A, b""))


def ixi(root: Path, table: str = "xls") -> Path:
    """Write IXI: two tar folders and the PD images flat in the root; see the tests for what is odd."""
    t1, t2 = root / "IXI-T1", root / "IXI-T2"
    for core in ("IXI002-Guys-0828", "IXI012-HH-1211", "IXI013-HH-1212", "IXI035-IOP-0873"):
        image(t1 / f"{core}-T1.nii.gz")
        posteriors(t1, "c{}", f"{core}-T1")
    for core in ("IXI002-Guys-0828", "IXI012-HH-1211", "IXI014-HH-1236"):
        image(t2 / f"{core}-T2.nii.gz", seed=1)
        image(root / f"{core}-PD.nii.gz", seed=2)
    posteriors(t2, "p_c{}", "IXI002-Guys-0828-T2")
    posteriors(t2, "c{}p_", "IXI012-HH-1211-T2")
    posteriors(t2, "c{}", "IXI014-HH-1236-T2", "13")  # white matter is missing
    for pattern in ("mwc{}", "wc{}", "rc{}"):
        posteriors(t1, pattern, "IXI002-Guys-0828-T1")
    for prefix in ("y_", "m", "c4"):
        image(t1 / f"{prefix}IXI002-Guys-0828-T1.nii")
    (t1 / "IXI012-HH-1211-T1.nii").write_bytes(
        gzip.decompress((t1 / "IXI012-HH-1211-T1.nii.gz").read_bytes())
    )
    image(root / "IXI-T1 (copy)" / "IXI002-Guys-0828-T1.nii.gz", seed=5)
    image(root / "IXI-T2" / "IXI035-Guys-0873-T2.nii.gz")  # at another site than its T1
    image(t1 / "IXI041-Guys-0706-T1.nii.gz")  # two visits
    image(t1 / "IXI041-Guys-0799-T1.nii.gz", seed=1)
    posteriors(t1, "c{}", "IXI050-Guys-0711-T1")  # without their image
    (t1 / "IXI051-HH-1328-T1.nii.gz").symlink_to(root / ".git" / "annex" / "not-fetched")
    image(root / "IXI-MRA" / "IXI002-Guys-0828-MRA.nii.gz")
    for direction in range(2):
        image(root / "IXI-DTI" / f"IXI002-Guys-0828-DTI-{direction:02d}.nii.gz")
    image(root / "atlas.nii.gz")
    image(t1 / "IXI999-Mars-0001-T1.nii.gz")
    (t1 / "._IXI002-Guys-0828-T1.nii.gz").write_bytes(b"Mac OS X")
    (root / "README.txt").write_text("no image")
    if table == "xls":
        xls(root / "IXI.xls")
    return root


# ---- ARC -----------------------------------------------------------------------------------------------

PARTICIPANTS = """\
participant_id\tsex\tage_at_stroke\twab_aq\twab_type
sub-M2001\tF\t38\t87.1\tAnomic
sub-M2002\tM\tn/a\tn/a\tn/a
sub-M2003\tM\t61\t55.0\tBroca
sub-M2003\tM\t61\t55.0\tBroca
sub-M2004\tF\t50\t70.0\tConduction
sub-M2004\tF\t51\t70.0\tConduction
"""


def arc(root: Path) -> Path:
    """Write ARC: five subjects with scans, in eight sessions; see the tests for what is odd."""

    def name(subject: str, session: str, rest: str, folder: Path = root) -> Path:
        short = f"sub-{subject}_ses-{session}_{rest}.nii.gz"
        return folder / f"sub-{subject}" / f"ses-{session}" / "anat" / short

    masks = root / "derivatives" / "lesion_masks"
    for subject, session, scan, drawn in (
        ("M2001", "10", "acq-spc3_T2w", "acq-spc3_desc-lesion_mask"),
        ("M2001", "20", "acq-spc3p2_T2w", "acq-spc3p2_desc-lesion_mask"),  # masks in two sessions
        ("M2002", "5", "acq-tse3_T2w", "desc-lesion_mask"),  # a mask named otherwise than its scan
    ):
        image(name(subject, session, "T1w"), affine=T1_AFFINE)  # on a grid of its own
        image(name(subject, session, scan))
        mask(name(subject, session, drawn, masks))
    image(name("M2001", "10", "FLAIR"))
    image(name("M2001", "99", "T1w"))  # a session without mask
    for run in "12":  # two runs, a mask for each
        image(name("M2003", "7", f"acq-spc3p2_run-{run}_T2w"))
        mask(name("M2003", "7", f"acq-spc3p2_run-{run}_desc-lesion_mask", masks))
    image(name("M2003", "7", "T1w"))
    image(name("M2003", "7", "FLAIR"))
    plain = name("M2003", "7", "FLAIR").with_suffix("")
    plain.write_bytes(gzip.decompress(name("M2003", "7", "FLAIR").read_bytes()))  # the same, not compressed
    image(name("M2004", "3", "T1w"))  # nobody drew a mask
    image(name("M2004", "4", "acq-spc3_T2w"))
    image(name("M2005", "1", "acq-spc3_T2w"))  # no row in participants.tsv
    mask(name("M2005", "1", "acq-spc3_desc-lesion_mask", masks))
    mask(name("M2005", "2", "acq-spc3_desc-lesion_mask", masks))  # of a session without scans
    name("M2005", "3", "T1w").parent.mkdir(parents=True)
    name("M2005", "3", "T1w").symlink_to("../not-fetched")
    wrong = name("M2001", "10", "T2w").with_name("sub-M2002_ses-10_T2w.nii.gz")
    image(wrong)  # in the folder of somebody else
    image(root / "sub-M2001" / "ses-10" / "dwi" / "sub-M2001_ses-10_dwi.nii.gz")
    image(root / "sub-M2001" / "ses-10" / "func" / "sub-M2001_ses-10_task-rest_bold.nii.gz")
    image(root / "sub-M2001" / "ses-10" / "anat" / "localiser.nii.gz")
    for number in range(2):
        image(root / "derivatives" / "fmriprep" / "sub-M2001" / "anat" / f"sub-M2001_run-{number}_T1w.nii.gz")
    image(masks / "sub-M2001" / "ses-10" / "anat" / "sub-M2001_ses-10_desc-brain_mask.nii.gz")
    (root / "participants.tsv").write_text(PARTICIPANTS)
    return root


# ---- MPM -----------------------------------------------------------------------------------------------

HEAD = {"PD": 75.0, "R1": 0.8, "R2s": 20.0, "MTsat": 1.0, "R2": 13.0}
WHITE = {"PD": 69.0, "R1": 1.0, "R2s": 22.0, "MTsat": 1.7, "R2": 14.0}
HMRI = {"PD": "PD", "R1": "R1", "R2s": "R2s_OLS", "MTsat": "MTsat"}


def head() -> np.ndarray:
    """Return the mask of the head: the grid without its rim."""
    inside = np.zeros(SHAPE, bool)
    inside[2:-2, 2:-2, 2:-2] = True
    return inside


def quantity(name: str, scale: float = 1.0, power: int = 1, outside: float = 0.0) -> np.ndarray:
    """Return a map: white matter in the middle, other tissue around it, and what is outside the head."""
    values = np.full(SHAPE, HEAD[name])
    values[4:-4, 4:-4, 4:-4] = WHITE[name]
    values *= np.random.default_rng(3).normal(1, 0.02, SHAPE)
    return np.where(head(), values**power * scale, outside)


def put_map(path: Path, data: np.ndarray) -> Path:
    """Write a map as float32."""
    write_volume(path, Volume(data, AFFINE))
    return path


def maps(folder: Path, prefix: str, names: dict[str, str] = HMRI) -> None:
    """Write a set of maps, by the end of each name; outside the head they are not finite, as hMRI's are."""
    for name, ending in names.items():
        put_map(folder / f"{prefix}_{ending}.nii", quantity(name, outside=np.nan))


def mpm(root: Path) -> Path:
    """Write hMRI's folders and a BIDS subject; see the tests for what is odd."""
    anna = root / "anna" / "Results"
    maps(anna, "s01")
    for ending in ("MTR", "R1_param_error", "mSNR", "R2s_errorESTATICS"):
        image(anna / "Supplementary" / f"s01_{ending}.nii")
    for ending in ("B1map", "PDw_OLSfit_TEzero"):
        image(anna / "Supplementary" / f"s01_{ending}.nii")
    put_map(anna / "Supplementary" / "s01_R2s.nii", quantity("R2s"))
    put_map(anna / "s01_R2s_WLS1.nii", quantity("R2s", 1.1))  # a second fit
    bert = root / "bert" / "Results"
    maps(bert, "s02", HMRI | {"R2s": "R2s_WLS1", "MTsat": "MT"})
    noisy = quantity("R1", outside=np.nan)
    noisy[5, 5, 5:8] = (-3, 50, 1e6)
    put_map(bert / "s02_R1.nii", noisy)
    carl = root / "carl" / "Results"
    maps(carl, "s03", {key: value for key, value in HMRI.items() if key != "PD"})
    put_map(carl / "s03_A.nii", quantity("PD", 20))  # not calibrated
    maps(root / "dora" / "Results", "s04", {"PD": "PD", "R1": "R1"})  # no MT protocol
    anat = root / "sub-05" / "ses-a" / "anat"
    maps(anat, "sub-05_ses-a", {"PD": "PDmap", "R2s": "R2starmap", "MTsat": "MTsat", "R2": "R2map"})
    put_map(anat / "sub-05_ses-a_T1map.nii", quantity("R1", power=-1))  # s
    image(anat / "sub-05_ses-a_T1w.nii")
    shutil.copy(anna / "s01_PD.nii", anna / "masked_s01_probe.nii")
    (root / "participants.tsv").write_text(
        "participant_id\tage\tsex\tsite\nanna\t30\tF\tLondon\nbert\t41\tM\tLeipzig\ncarl\t50\tM\tLondon\n"
        "sub-05\t29\tn/a\tLondon\n"
    )
    return root
