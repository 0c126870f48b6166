"""Distributions of acquisition parameters, and the three tables of them, one per profile."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import torch

from mribench.interfaces import Profile


class Distribution(Protocol):
    """Something that a number can be drawn from."""

    def draw(self, generator: torch.Generator) -> float:
        """Draw one number."""
        ...


def _uniform(generator: torch.Generator) -> float:
    return torch.rand((), generator=generator, dtype=torch.float64).item()


def _normal(generator: torch.Generator) -> float:
    return torch.randn((), generator=generator, dtype=torch.float64).item()


@dataclass(frozen=True)
class Constant:
    """Always ``value``."""

    value: float

    def draw(self, generator: torch.Generator) -> float:
        """Return the value."""
        del generator
        return self.value


@dataclass(frozen=True)
class Uniform:
    """Uniform between ``low`` and ``high``."""

    low: float
    high: float

    def draw(self, generator: torch.Generator) -> float:
        """Draw one number."""
        return self.low + (self.high - self.low) * _uniform(generator)


@dataclass(frozen=True)
class LogUniform:
    """Uniform in the logarithm between ``low`` and ``high``."""

    low: float
    high: float

    def draw(self, generator: torch.Generator) -> float:
        """Draw one number."""
        return self.low * (self.high / self.low) ** _uniform(generator)


@dataclass(frozen=True)
class WholeUniform:
    """Whole numbers from ``low`` to ``high``, both included."""

    low: int
    high: int

    def draw(self, generator: torch.Generator) -> float:
        """Draw one number."""
        return float(torch.randint(self.low, self.high + 1, (), generator=generator).item())


@dataclass(frozen=True)
class Normal:
    """Normal; reflected at 0, and at ``ceiling`` where there is one; ``whole`` cuts the fraction off."""

    mean: float
    sd: float
    ceiling: float = math.inf
    whole: bool = False

    def draw(self, generator: torch.Generator) -> float:
        """Draw one number."""
        value = abs(self.mean + self.sd * _normal(generator))
        value = 2 * self.ceiling - value if value > self.ceiling else value
        return float(math.trunc(value)) if self.whole else value


@dataclass(frozen=True)
class TenToNormal:
    """``10 ** N(log10 median, sd)``."""

    median: float
    sd: float

    def draw(self, generator: torch.Generator) -> float:
        """Draw one number."""
        return float(self.median * 10.0 ** (self.sd * _normal(generator)))


Table = Mapping[str, Distribution]
"""A distribution for each parameter, drawn in this order."""

_GRE: Mapping[Profile, Table] = {
    "corrected": {
        "te_s": LogUniform(0.002, 0.04),
        "tr_s": LogUniform(0.005, 2.0),
        "flip_angle_deg": Uniform(5, 60),
    },
    "paper": {
        "te_s": LogUniform(0.002, 0.08),
        "tr_s": LogUniform(0.005, 5.0),
        "flip_angle_deg": Uniform(5, 50),
    },
}

_MP2RAGE: Table = {
    "tr_s": Uniform(4.5, 8.25),
    "ti1_s": Uniform(0.6, 1.0),
    "ti2_s": Uniform(2.2, 3.2),
    "tx_s": Uniform(0.005, 0.0075),
    "flip_angle1_deg": Uniform(3, 7),
    "flip_angle2_deg": Uniform(3, 7),
    "n_excitations": WholeUniform(100, 176),
    "inversion_efficiency": Uniform(0.9, 1.0),
}

TABLES: Mapping[str, Mapping[Profile, Table]] = {
    "fse": {
        "corrected": {"te_s": LogUniform(0.005, 0.15), "tr_s": LogUniform(0.5, 8.0)},
        "paper": {"te_s": LogUniform(0.001, 3.0), "tr_s": LogUniform(0.001, 3.0)},
        "as-released": {"te_s": LogUniform(0.02, 0.15), "tr_s": LogUniform(2.0, 8.0)},
    },
    "gre": {**_GRE, "as-released": _GRE["paper"]},
    "spgr": {**_GRE, "as-released": {**_GRE["paper"], "tr_s": LogUniform(0.005, 0.8)}},
    "flair": {
        "corrected": {"te_s": LogUniform(0.02, 0.15), "tr_s": Uniform(4, 11), "ti_s": Uniform(1.2, 3)},
        "paper": {
            "te_s": LogUniform(0.02, 0.10),
            "tr_s": LogUniform(0.001, 5.0),
            "ti_s": LogUniform(0.001, 3.0),
        },
        "as-released": {
            "te_s": TenToNormal(0.02, 0.1),
            "tr_s": LogUniform(0.001, 5.0),
            "ti_s": LogUniform(0.001, 3.0),
        },
    },
    "mprage": {
        "corrected": {
            "te_s": Uniform(0.002, 0.004),
            "tr_s": Uniform(1.8, 2.6),
            "ti_s": Uniform(0.6, 1.2),
            "tx_s": Uniform(0.005, 0.010),
            "flip_angle_deg": Uniform(5, 12),
            "n_excitations": WholeUniform(100, 200),
            "inversion_efficiency": Uniform(0.8, 1.0),
        },
        "paper": {
            "te_s": Uniform(0.002, 0.004),
            "tr_s": Normal(2.3, 0.23),
            "ti_s": Uniform(0.6, 0.9),
            "tx_s": Uniform(0.004, 0.008),
            "flip_angle_deg": Uniform(5, 12),
            "n_excitations": Constant(160),
            "inversion_efficiency": Constant(0.96),
        },
        "as-released": {
            "te_s": Uniform(0.002, 0.004),
            "tr_s": Uniform(1.9, 2.5),
            "ti_s": Uniform(0.6, 1.2),
            "flip_angle_deg": Uniform(5, 12),
            "n_excitations": Uniform(100, 200),
            "inversion_efficiency": Uniform(0.8, 1.0),
        },
    },
    "mp2rage": {
        "corrected": _MP2RAGE,
        "paper": _MP2RAGE,
        "as-released": {
            "tr_s": Normal(2.3, 0.23),
            "ti1_s": Uniform(0.6, 0.9),
            "ti2_s": Normal(2.2, 0.22),
            "tx_s": TenToNormal(0.0058, 0.5),
            "te_s": TenToNormal(0.0029, 0.5),
            "flip_angle1_deg": Uniform(3, 6),
            "flip_angle2_deg": Uniform(3, 6),
            "n_excitations": Normal(160, 16, whole=True),
            "inversion_efficiency": Normal(0.96, 0.096, ceiling=1.0),
        },
    },
}
"""By sequence and profile. The paper has no MP2RAGE and no SPGR: there they fall back on the corrected
MP2RAGE and the paper's GRE. The released MPRAGE has no TX of its own: it is twice TE."""


def draw_table(table: Table, generator: torch.Generator) -> dict[str, float]:
    """Draw every parameter of a table, in its order."""
    return {name: distribution.draw(generator) for name, distribution in table.items()}
