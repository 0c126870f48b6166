"""What the first-party sequences share: options, draw, validity, checks of maps and times."""

from __future__ import annotations

import functools
from abc import abstractmethod
from collections.abc import Mapping

import torch
from pydantic import Field
from torch import Tensor

from mribench.errors import DataError
from mribench.interfaces import MRISequence, Profile, ProtocolOptions
from mribench_views.defects import IMPOSSIBLE_PARAMETERS, R2STAR_AS_R2
from mribench_views.sampling import TABLES, draw_table

MIN_CONTRAST = 0.05
"""Smallest useful signal difference among the reference tissues, as a share of the largest signal."""

REFERENCE_TISSUES: Mapping[str, tuple[float, float, float]] = {
    "PD": (80.0, 70.0, 100.0),
    "R1": (0.65, 1.00, 0.24),
    "R2s": (18.0, 21.0, 2.0),
    "MTsat": (0.80, 1.60, 0.02),
    "R2": (11.0, 14.0, 0.7),
}
"""Grey matter, white matter, CSF at 3T: what the contrast of a draw is judged on."""


class SequenceOptions(ProtocolOptions):
    """Options of every sequence."""

    profile: Profile = Field(
        default="corrected", description="protocol whose table the parameters are drawn from"
    )
    r2_over_r2s: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="R2 / R2* where a subject has no R2 map; when not given 0.75, and 1 with the defect "
        "r2star-as-r2",
    )


class Sequence(MRISequence):
    """What the first-party sequences share.

    Args:
        options: profile and the R2 fallback.
    """

    name: str
    family: str

    def __init__(self, options: SequenceOptions) -> None:
        self.profile: Profile = options.profile
        self.shows = options.shows
        self.table = TABLES[self.name][options.profile]
        fallback = 1.0 if options.shows(R2STAR_AS_R2.name) else 0.75
        self.r2_over_r2s = fallback if options.r2_over_r2s is None else options.r2_over_r2s

    def draw(self, generator: torch.Generator) -> dict[str, float]:
        """Draw acquisition parameters (s, degrees) from the profile's table."""
        return draw_table(self.table, generator)

    def invalid(self, parameters: Mapping[str, float]) -> str:
        """Return why no scanner could run these, or why the image would be flat; unchecked as released."""
        return "" if self.shows(IMPOSSIBLE_PARAMETERS.name) else self.problem(parameters)

    def problem(self, parameters: Mapping[str, float]) -> str:
        """Return what is wrong with the parameters in any profile: timing first, then contrast."""
        return self.timing_problem(parameters) or self.contrast_problem(parameters)

    def timing_problem(self, parameters: Mapping[str, float]) -> str:
        """Return which times do not fit into each other, or an empty string."""
        return out_of_order(parameters, ("te_s", "tr_s"))

    def contrast_problem(self, parameters: Mapping[str, float]) -> str:
        """Return why grey matter, white matter and CSF look alike, or an empty string."""
        values = {name: torch.tensor(value, dtype=torch.float64) for name, value in parameters.items()}
        levels = self.signal(_reference_maps(), values)
        contrast = ((levels.max() - levels.min()) / levels.abs().max()).item()
        # written so that no signal at all (0 / 0) is a problem too
        return "" if contrast >= MIN_CONTRAST else f"contrast {contrast:.1%} is below {MIN_CONTRAST:.0%}"

    def protons(self, maps: Mapping[str, Tensor], receive: Tensor | float) -> Tensor:
        """PD times the receive field (B1⁻)."""
        pd = map_of(maps, "PD", self.name)
        return pd if isinstance(receive, float) and receive == 1 else pd * receive

    def r2(self, maps: Mapping[str, Tensor]) -> Tensor:
        """R2 where it is measured, else a share of R2*; as released always R2*'s share."""
        if "R2" in maps and not self.shows(R2STAR_AS_R2.name):
            return maps["R2"]
        return self.r2_over_r2s * map_of(maps, "R2s", self.name)


class PreparedSequence(Sequence):
    """A sequence whose costly part, the level, depends on R1 and B1+ alone.

    Over many voxels the level is read from a table (``LevelTable``).
    """

    @abstractmethod
    def level(self, r1_per_s: Tensor, parameters: Mapping[str, Tensor], transmit: Tensor | float) -> Tensor:
        """Return the level, smooth in both; arguments broadcast.

        Args:
            r1_per_s: longitudinal rate.
            parameters: as of ``MRISequence.signal``.
            transmit: B1+, 1 where the flip angle is as asked for.
        """

    @abstractmethod
    def finish(
        self,
        maps: Mapping[str, Tensor],
        parameters: Mapping[str, Tensor],
        receive: Tensor | float,
        level: Tensor,
    ) -> Tensor:
        """Return the signal ``(B, I, J, K)`` of a level; see ``MRISequence.signal``."""

    def signal(
        self,
        maps: Mapping[str, Tensor],
        parameters: Mapping[str, Tensor],
        receive: Tensor | float = 1.0,
        transmit: Tensor | float = 1.0,
    ) -> Tensor:
        """Return the signal ``(B, I, J, K)``; see ``MRISequence.signal``."""
        level = self.level(map_of(maps, "R1", self.name), parameters, transmit)
        return self.finish(maps, parameters, receive, level)


@functools.cache
def _reference_maps() -> Mapping[str, Tensor]:
    return {
        name: torch.tensor(values, dtype=torch.float64).view(3, 1, 1, 1)
        for name, values in REFERENCE_TISSUES.items()
    }


def map_of(maps: Mapping[str, Tensor], name: str, sequence: str) -> Tensor:
    """Return a map.

    Raises:
        DataError: when it is missing, naming it and the sequence.
    """
    if name not in maps:
        raise DataError(
            f"sequence '{sequence}' needs the map {name}, and there are only {', '.join(sorted(maps))}",
            "quantitative maps are PD, R1, R2s and MTsat, and R2 where known",
        )
    return maps[name]


def out_of_order(parameters: Mapping[str, float], *pairs: tuple[str, str]) -> str:
    """Return which of the (shorter, longer) times are not in order; a time that is not there is."""
    for short, long in pairs:
        if short in parameters and parameters[short] >= parameters[long]:
            return f"{short} {parameters[short]:.4g} is not below {long} {parameters[long]:.4g}"
    return ""


def negative(delays_s: Mapping[str, float]) -> str:
    """Return which delay is below 0, or an empty string."""
    for name, delay_s in delays_s.items():
        if delay_s < 0:
            return f"{name} delay {delay_s:.4g} s is negative"
    return ""
