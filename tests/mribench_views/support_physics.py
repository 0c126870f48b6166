"""Tissues, usual acquisitions, and a Bloch simulation, pulse by pulse, that knows no signal equation.

A magnetisation (Mx, My, Mz), in shares of M0, is carried through every pulse and delay by 4 x 4 matrices on
(Mx, My, Mz, 1). Axes, phases and flip angles are in the rotating frame, on resonance.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

SEQUENCES = ("fse", "gre", "spgr", "flair", "mprage", "mp2rage")
PROFILES = ("corrected", "paper", "as-released")
MAPS = ("PD", "R1", "R2s", "MTsat", "R2")
TISSUES = {
    "GM": {"PD": 80, "R1": 0.65, "R2s": 18, "MTsat": 0.80, "R2": 11},
    "WM": {"PD": 70, "R1": 1.00, "R2s": 21, "MTsat": 1.60, "R2": 14},
    "CSF": {"PD": 100, "R1": 0.24, "R2s": 2, "MTsat": 0.02, "R2": 0.7},
    "cavity": {"PD": 98, "R1": 0.26, "R2s": 3, "MTsat": 0.05, "R2": 1.2},
    "rim": {"PD": 85, "R1": 0.58, "R2s": 12, "MTsat": 0.50, "R2": 7},
    "fat": {"PD": 90, "R1": 2.6, "R2s": 20, "MTsat": 0.20, "R2": 14},
}
MPRAGE = {
    "te_s": 0.003, "tr_s": 2.3, "ti_s": 0.9, "tx_s": 0.006, "flip_angle_deg": 9.0,
    "n_excitations": 160.0, "inversion_efficiency": 0.96,
}  # fmt: skip
MP2RAGE = {
    "tr_s": 6.0, "ti1_s": 0.8, "ti2_s": 2.5, "tx_s": 0.006, "flip_angle1_deg": 4.0, "flip_angle2_deg": 5.0,
    "n_excitations": 160.0, "inversion_efficiency": 0.96,
}  # fmt: skip
TYPICAL: Mapping[str, Mapping[str, float]] = {
    "fse": {"te_s": 0.09, "tr_s": 5.0},
    "gre": {"te_s": 0.005, "tr_s": 0.03, "flip_angle_deg": 20.0},
    "spgr": {"te_s": 0.005, "tr_s": 0.03, "flip_angle_deg": 20.0},
    "flair": {"te_s": 0.1, "tr_s": 9.0, "ti_s": 2.5},
    "mprage": MPRAGE,
    "mp2rage": MP2RAGE,
}


def columns(values: Mapping[str, float], dtype: torch.dtype = torch.float64) -> dict[str, Tensor]:
    """Each parameter as ``(1, 1, 1, 1)``."""
    return {name: torch.tensor(float(value), dtype=dtype).view(1, 1, 1, 1) for name, value in values.items()}


def tissue_maps(*names: str, dtype: torch.dtype = torch.float64) -> dict[str, Tensor]:
    """The named tissues side by side, ``(1, N, 1, 1)``."""
    return {
        key: torch.tensor([float(TISSUES[name][key]) for name in names], dtype=dtype).view(1, -1, 1, 1)
        for key in MAPS
    }


# Events


def pulse(angle_deg: float, phase_deg: float = 0.0) -> np.ndarray:
    """A rotation that turns Mz towards Mx (phase 0) or towards -Mx (phase 180)."""
    a, p = math.radians(angle_deg), math.radians(phase_deg)
    about_y = np.array([[math.cos(a), 0, math.sin(a)], [0, 1, 0], [-math.sin(a), 0, math.cos(a)]])
    about_z = np.array([[math.cos(p), -math.sin(p), 0], [math.sin(p), math.cos(p), 0], [0, 0, 1]])
    return _affine(about_z @ about_y @ about_z.T)


def wait(tissue: Mapping[str, float], time_s: float, transverse: str = "R2s") -> np.ndarray:
    """Relaxation towards (0, 0, 1)."""
    e1, e2 = math.exp(-tissue["R1"] * time_s), math.exp(-tissue[transverse] * time_s)
    return _affine(np.diag([e2, e2, e1]), offset=1 - e1)


def spoil() -> np.ndarray:
    """A perfect spoiler: no transverse magnetisation is left."""
    return _affine(np.diag([0.0, 0.0, 1.0]))


def scale_longitudinal(factor: float) -> np.ndarray:
    """An imperfect inversion (``-η``) or a saturation (``1 - δ``)."""
    return _affine(np.diag([1.0, 1.0, factor]))


def _affine(linear: np.ndarray, offset: float = 0.0) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3], matrix[2, 3] = linear, offset
    return matrix


def read_outs(events: Sequence[np.ndarray], reads: Sequence[int]) -> list[float]:
    """Return Mx after the first ``reads[i]`` events of a cycle that is repeated for ever."""
    passed = [np.eye(4)]
    for event in events:
        passed.append(event @ passed[-1])
    cycle = passed[-1]
    steady = np.linalg.solve(np.eye(3) - cycle[:3, :3], cycle[:3, 3])
    return [float((passed[read] @ [*steady, 1])[0]) for read in reads]


# Sequences: each returns the signal without PD, B1⁻ and contrast preparation of the display


def bloch_fse(tissue: Mapping[str, float], p: Mapping[str, float], transmit: float = 1.0) -> float:
    """Excited by 90 degrees, read at TE, nothing transverse left at TR."""
    echo, rest = wait(tissue, p["te_s"], "R2"), wait(tissue, p["tr_s"] - p["te_s"], "R2")
    return read_outs([pulse(90), echo, rest, spoil()], [2])[0]


def bloch_gre(tissue: Mapping[str, float], p: Mapping[str, float], transmit: float = 1.0) -> float:
    """Once a TR: magnetisation transfer, excitation, read-out, spoiler."""
    saturation = scale_longitudinal(1 - tissue["MTsat"] / 100)
    echo, rest = wait(tissue, p["te_s"]), wait(tissue, p["tr_s"] - p["te_s"])
    events = [saturation, pulse(p["flip_angle_deg"] * transmit), echo, rest, spoil()]
    return read_outs(events, [3])[0]


def bloch_flair(tissue: Mapping[str, float], p: Mapping[str, float], transmit: float = 1.0) -> float:
    """Inverted, and excited by 90 degrees after TI. Recovery starts at the excitation."""
    events = [scale_longitudinal(-1), wait(tissue, p["ti_s"], "R2"), pulse(90), spoil()]
    after = wait(tissue, p["tr_s"] - p["ti_s"], "R2")
    (longitudinal,) = read_outs([*events, after], [3])
    return longitudinal * math.exp(-tissue["R2"] * p["te_s"])


def _trains(
    tissue: Mapping[str, float], p: Mapping[str, float], centres: Sequence[tuple[float, float]]
) -> tuple[list[np.ndarray], list[int]]:
    """An inversion, then trains of pulses around (time, flip angle); return events and first pulses."""
    n, clock_s = int(p["n_excitations"]), 0.0
    events, starts = [scale_longitudinal(-p["inversion_efficiency"])], []
    for centre_s, angle_deg in centres:
        start_s = centre_s - n * p["tx_s"] / 2
        events.append(wait(tissue, start_s - clock_s))
        starts.append(len(events))
        events += [pulse(angle_deg), spoil() @ wait(tissue, p["tx_s"])] * n
        clock_s = start_s + n * p["tx_s"]
    return [*events, wait(tissue, p["tr_s"] - clock_s)], starts


def bloch_mprage(tissue: Mapping[str, float], p: Mapping[str, float], transmit: float = 1.0) -> float:
    """One train, read at pulse ⌊n/2⌋, counted from 1."""
    events, (start,) = _trains(tissue, p, [(p["ti_s"], p["flip_angle_deg"] * transmit)])
    middle = int(p["n_excitations"]) // 2
    (level,) = read_outs(events, [start + 2 * (middle - 1) + 1])
    return level * math.exp(-tissue["R2s"] * p["te_s"])


def bloch_mp2rage(tissue: Mapping[str, float], p: Mapping[str, float], transmit: float = 1.0) -> float:
    """Two trains: the first read at pulse ⌊n/2⌋ from its start, the second with ⌊n/2⌋ pulses to come."""
    angles = [p["flip_angle1_deg"] * transmit, p["flip_angle2_deg"] * transmit]
    centres = list(zip([p["ti1_s"], p["ti2_s"]], angles, strict=True))
    events, (first, second) = _trains(tissue, p, centres)
    n = int(p["n_excitations"])
    one, two = read_outs(events, [first + 2 * (n // 2 - 1) + 1, second + 2 * (n - n // 2) + 1])
    return one * two / (one**2 + two**2)


Simulation = Callable[[Mapping[str, float], Mapping[str, float], float], float]
BLOCH: Mapping[str, Simulation] = {
    "fse": bloch_fse,
    "gre": bloch_gre,
    "spgr": bloch_gre,
    "flair": bloch_flair,
    "mprage": bloch_mprage,
    "mp2rage": bloch_mp2rage,
}


@functools.cache
def angles_of(name: str) -> tuple[str, ...]:
    """The flip angles among a sequence's parameters."""
    return tuple(key for key in TYPICAL[name] if "angle" in key)
