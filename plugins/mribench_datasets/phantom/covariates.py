"""Age and sex of a simulated person, as far as the head tells them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mribench.seeding import Identity, numpy_generator

_AGE_MEAN_YEARS, _AGE_SD_YEARS = 53.0, 16.0
_AGES_YEARS = (20.0, 86.0)
_AGE_R, _SEX_R = 0.9, 0.8
"""Correlations: of the age with the fluid, and of what decides on the sex with the size."""


@dataclass(frozen=True)
class Traits:
    """What of a head goes with age and sex, each in standard deviations from the mean of all heads.

    Attributes:
        fluid: of the fluid around the brain, whose layer grows with age.
        size: of the head, which is larger in men.
    """

    fluid: float
    size: float


@dataclass(frozen=True)
class Demographics:
    """What a table says of a person.

    Attributes:
        age_years: at the scan.
        is_male: the sex.
    """

    age_years: float
    is_male: bool


def draw_demographics(identity: tuple[Identity, ...], traits: Traits | None) -> Demographics:
    """Draw age and sex.

    Args:
        identity: who it is.
        traits: of the head; None where nothing is known of it, and both are independent of the images.
    """
    if traits is None:
        drawn = numpy_generator("phantom-person", *identity)
        is_male = int(drawn.integers(1, 3)) == 1
        return Demographics(round(float(drawn.uniform(*_AGES_YEARS)), 2), is_male)
    age_sd = _mix(traits.fluid, _AGE_R, numpy_generator("phantom-age", *identity))
    age_years = float(np.clip(_AGE_MEAN_YEARS + _AGE_SD_YEARS * age_sd, *_AGES_YEARS))
    is_male = _mix(traits.size, _SEX_R, numpy_generator("phantom-sex", *identity)) > 0
    return Demographics(round(age_years, 2), is_male)


def _mix(trait: float, correlation: float, generator: np.random.Generator) -> float:
    """Return a trait with noise, of unit variance."""
    return correlation * trait + math.sqrt(1 - correlation**2) * float(generator.standard_normal())
