"""Acquisition protocols: what makes a "site" of a phantom cohort.

The times follow published protocols of the archives where they are known (IXI: T2 and PD of the 1.5T and
3T Philips scanners, TR 8.2 and 5.7 s, TE 100 and 8 ms) and are plausible where they are not; the sequences
are simplified to the signal equations that the benchmark simulates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Protocol:
    """How one image is acquired.

    Attributes:
        sequence: which of the phantom's pulse sequences: ``fse``, ``mprage`` or ``flair``.
        parameters: times in s, angles in degrees.
        field_t: B0 in tesla.
        noise: standard deviation of the Rician noise, as a share of white matter's signal.
        bias: standard deviation of the logarithm of the receive field.
        edge_scale: voxel edges along R, A, S as multiples of the cohort's spacing.
        orientation: axis codes of the file.
        gain: signal of white matter in the file.
    """

    sequence: str
    parameters: Mapping[str, float]
    field_t: float
    noise: float
    bias: float
    edge_scale: tuple[float, float, float] = (1.0, 1.0, 1.0)
    orientation: str = "RAS"
    gain: float = 400.0


def _mprage(tr_s: float, ti_s: float, tx_s: float, te_s: float, flip_angle_deg: float) -> dict[str, float]:
    return {
        "tr_s": tr_s, "ti_s": ti_s, "tx_s": tx_s, "te_s": te_s, "flip_angle_deg": flip_angle_deg,
        "n_excitations": 160.0, "inversion_efficiency": 0.96,
    }  # fmt: skip


_SAGITTAL, _AXIAL = (1.2, 1.0, 1.0), (1.0, 1.0, 1.25)

IXI_SITES: dict[str, dict[str, Protocol]] = {
    "Guys": {  # Philips, 1.5T
        "T1w": Protocol("mprage", _mprage(2.4, 0.90, 0.0098, 0.0046, 8), 1.5, 0.04, 0.06, _SAGITTAL, "PSR"),
        "T2w": Protocol("fse", {"te_s": 0.100, "tr_s": 8.18}, 1.5, 0.05, 0.06, _AXIAL, "LPS"),
        "PDw": Protocol("fse", {"te_s": 0.008, "tr_s": 8.18}, 1.5, 0.03, 0.06, _AXIAL, "LPS"),
    },
    "HH": {  # Philips, 3T
        "T1w": Protocol(
            "mprage", _mprage(2.3, 0.90, 0.0096, 0.0046, 8), 3.0, 0.025, 0.18, _SAGITTAL, "PSR", 900
        ),
        "T2w": Protocol("fse", {"te_s": 0.100, "tr_s": 5.73}, 3.0, 0.03, 0.18, _AXIAL, "LPS", 700),
        "PDw": Protocol("fse", {"te_s": 0.008, "tr_s": 5.73}, 3.0, 0.02, 0.18, _AXIAL, "LPS", 700),
    },
    "IOP": {  # GE, 1.5T
        "T1w": Protocol(
            "mprage", _mprage(2.0, 0.75, 0.0080, 0.0035, 12), 1.5, 0.06, 0.10, (1.3, 1.0, 1.0), "PSR", 150
        ),
        "T2w": Protocol("fse", {"te_s": 0.085, "tr_s": 4.50}, 1.5, 0.06, 0.10, (1.0, 1.0, 1.4), "LPS", 200),
        "PDw": Protocol("fse", {"te_s": 0.014, "tr_s": 4.50}, 1.5, 0.05, 0.10, (1.0, 1.0, 1.4), "LPS", 200),
    },
}
"""Protocols of the three IXI sites by sequence."""

ARC_PROTOCOLS: dict[str, Protocol] = {  # Siemens, 3T
    "T1w": Protocol("mprage", _mprage(2.25, 0.925, 0.0095, 0.0042, 9), 3.0, 0.025, 0.12, orientation="LPS"),
    "T2w": Protocol("fse", {"te_s": 0.100, "tr_s": 3.2}, 3.0, 0.03, 0.12, orientation="LAS"),
    "FLAIR": Protocol("flair", {"te_s": 0.100, "tr_s": 9.0, "ti_s": 2.5}, 3.0, 0.04, 0.12, _AXIAL, "LAS"),
}
"""Protocols of the ARC layout by sequence."""
