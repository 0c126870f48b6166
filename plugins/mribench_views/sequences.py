"""The MRI sequences as plugin entries: parameters, timing, signal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from mribench_views import signals
from mribench_views.defects import GRE_WITHOUT_MT, MP2RAGE_MAGNITUDE, SIGNED_FLAIR
from mribench_views.sequence_base import (
    PreparedSequence,
    Sequence,
    SequenceOptions,
    map_of,
    negative,
    out_of_order,
)


class MprageOptions(SequenceOptions):
    """Options of MPRAGE."""

    equation: Literal["marques", "table4"] = Field(
        default="marques",
        description="signal equation: Marques 2010, or what the paper's Table 4 prints (no inversion)",
    )


class FastSpinEcho(Sequence):
    """Fast (turbo) spin echo: PD- and T2-weighted images, and T1-weighted ones at short TR."""

    name = "fse"
    family = "fse"
    reads_transmit = False

    def signal(
        self,
        maps: Mapping[str, Tensor],
        parameters: Mapping[str, Tensor],
        receive: Tensor | float = 1.0,
        transmit: Tensor | float = 1.0,
    ) -> Tensor:
        """Return the signal ``(B, I, J, K)``; see ``MRISequence.signal``."""
        del transmit
        r1 = map_of(maps, "R1", self.name)
        echo = signals.spin_echo(r1, self.r2(maps), parameters["te_s"], parameters["tr_s"])
        return self.protons(maps, receive) * echo


class GradientEcho(Sequence):
    """Spoiled gradient echo with MT saturation; as released the MT map never reached it."""

    name = "gre"
    family = "gre"

    def signal(
        self,
        maps: Mapping[str, Tensor],
        parameters: Mapping[str, Tensor],
        receive: Tensor | float = 1.0,
        transmit: Tensor | float = 1.0,
    ) -> Tensor:
        """Return the signal ``(B, I, J, K)``; see ``MRISequence.signal``."""
        r1 = map_of(maps, "R1", self.name)
        no_mt = self.name == "gre" and self.shows(GRE_WITHOUT_MT.name)
        mt = torch.zeros_like(r1) if no_mt else map_of(maps, "MTsat", self.name) / 100
        angle = torch.deg2rad(parameters["flip_angle_deg"]) * transmit
        echo = signals.spoiled_gradient_echo(
            r1, map_of(maps, "R2s", self.name), mt, parameters["te_s"], parameters["tr_s"], angle
        )
        return self.protons(maps, receive) * echo


class SpoiledGradientEcho(GradientEcho):
    """The same signal as ``gre``, under the name that the released code gives it a second time."""

    name = "spgr"


class Flair(Sequence):
    """Fluid-attenuated inversion recovery, magnitude; as released the sign is kept."""

    name = "flair"
    family = "flair"
    reads_transmit = False

    def timing_problem(self, parameters: Mapping[str, float]) -> str:
        """Return which times do not fit into each other, or an empty string."""
        return out_of_order(parameters, ("te_s", "tr_s"), ("ti_s", "tr_s"))

    def signal(
        self,
        maps: Mapping[str, Tensor],
        parameters: Mapping[str, Tensor],
        receive: Tensor | float = 1.0,
        transmit: Tensor | float = 1.0,
    ) -> Tensor:
        """Return the signal ``(B, I, J, K)``; see ``MRISequence.signal``."""
        del transmit
        echo = signals.inversion_spin_echo(
            map_of(maps, "R1", self.name),
            self.r2(maps),
            parameters["te_s"],
            parameters["tr_s"],
            parameters["ti_s"],
        )
        echo = echo if self.shows(SIGNED_FLAIR.name) else echo.abs()
        return self.protons(maps, receive) * echo


class Mprage(PreparedSequence):
    """Magnetisation-prepared rapid gradient echo (Marques et al. 2010)."""

    name = "mprage"
    family = "mprage"

    def __init__(self, options: MprageOptions) -> None:
        super().__init__(options)
        self.equation = options.equation

    def draw(self, generator: torch.Generator) -> dict[str, float]:
        """Draw acquisition parameters (s, degrees) from the profile's table."""
        drawn = super().draw(generator)
        drawn.setdefault("tx_s", 2 * drawn["te_s"])
        return drawn

    def timing_problem(self, parameters: Mapping[str, float]) -> str:
        """Return which times do not fit into each other, or an empty string."""
        order = out_of_order(parameters, ("te_s", "tr_s"), ("ti_s", "tr_s"), ("te_s", "tx_s"))
        half_s = parameters["n_excitations"] * parameters["tx_s"] / 2
        delays_s = {
            "preparation": parameters["ti_s"] - half_s,
            "recovery": parameters["tr_s"] - parameters["ti_s"] - half_s,
        }
        return order or negative(delays_s)

    def level(self, r1_per_s: Tensor, parameters: Mapping[str, Tensor], transmit: Tensor | float) -> Tensor:
        """Return the signal per unit of PD, without R2*; its sign is kept."""
        p = parameters
        angle = torch.deg2rad(p["flip_angle_deg"]) * transmit
        if self.equation == "table4":
            return signals.mprage_as_printed(
                r1_per_s, p["tr_s"], p["ti_s"], p["tx_s"], angle, p["n_excitations"]
            )
        return signals.mprage(
            r1_per_s, p["tr_s"], p["ti_s"], p["tx_s"], angle, p["n_excitations"], p["inversion_efficiency"]
        )

    def finish(
        self,
        maps: Mapping[str, Tensor],
        parameters: Mapping[str, Tensor],
        receive: Tensor | float,
        level: Tensor,
    ) -> Tensor:
        """Return the signal ``(B, I, J, K)`` of a level; see ``MRISequence.signal``."""
        magnitude = level.abs()
        if self.equation != "table4":
            magnitude *= signals.decayed(map_of(maps, "R2s", self.name), parameters["te_s"])
        return self.protons(maps, receive) * magnitude


class Mp2rage(PreparedSequence):
    """MP2RAGE's combined image (Marques et al. 2010): a ratio, free of PD, R2* and B1⁻.

    The ratio, -0.5 to 0.5, is moved to 0 to 1 as scanners store it, and is 0 where there is no tissue
    (``PD`` 0). As released it is the ratio's magnitude, with what is not finite set to 0: most of the
    released draws have negative delays.
    """

    name = "mp2rage"
    family = "mp2rage"

    def timing_problem(self, parameters: Mapping[str, float]) -> str:
        """Return which times do not fit into each other, or an empty string."""
        order = out_of_order(parameters, ("te_s", "tr_s"), ("te_s", "tx_s"), ("ti2_s", "tr_s"))
        p = parameters
        train_s = p["n_excitations"] * p["tx_s"]
        delays_s = {
            "preparation": p["ti1_s"] - train_s / 2,
            "waiting": p["ti2_s"] - p["ti1_s"] - train_s,
            "recovery": p["tr_s"] - p["ti2_s"] - train_s / 2,
        }
        return order or negative(delays_s)

    def level(self, r1_per_s: Tensor, parameters: Mapping[str, Tensor], transmit: Tensor | float) -> Tensor:
        """Return the signed ratio, -0.5 to 0.5."""
        p = parameters
        return signals.mp2rage(
            r1_per_s,
            p["tr_s"],
            p["ti1_s"],
            p["ti2_s"],
            p["tx_s"],
            torch.deg2rad(p["flip_angle1_deg"]) * transmit,
            torch.deg2rad(p["flip_angle2_deg"]) * transmit,
            p["n_excitations"],
            p["inversion_efficiency"],
        )

    def ratio(
        self, maps: Mapping[str, Tensor], parameters: Mapping[str, Tensor], transmit: Tensor | float = 1.0
    ) -> Tensor:
        """Return the signed ratio ``(B, I, J, K)``, -0.5 to 0.5."""
        return self.level(map_of(maps, "R1", self.name), parameters, transmit)

    def finish(
        self,
        maps: Mapping[str, Tensor],
        parameters: Mapping[str, Tensor],
        receive: Tensor | float,
        level: Tensor,
    ) -> Tensor:
        """Return the ratio moved to 0..1 ``(B, I, J, K)``; see ``MRISequence.signal``."""
        del parameters, receive
        if self.shows(MP2RAGE_MAGNITUDE.name):
            return torch.nan_to_num(level.abs(), nan=0.0, posinf=0.0, neginf=0.0)
        tissue = map_of(maps, "PD", self.name).clamp_min(0).sign_()
        return (level + 0.5) * tissue
