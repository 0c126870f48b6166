"""Types of fields that several models of the benchmark file share."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from mribench.validation import problem

_SPELLED_OUT = 20
"""Seeds that a hint lists."""
_SLUG = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"


def _slug(value: str) -> str:
    if not re.fullmatch(_SLUG[1:-1], value):
        raise ValueError(
            f"expected at most 64 letters, digits, '-' and '_', the first a letter or digit, got {value!r}"
        )
    return value


def unique(values: list[Any]) -> list[Any]:
    """Return the values, or say which are there twice."""
    twice = sorted({str(value) for value in values if values.count(value) > 1})
    if twice:
        raise ValueError(f"expected no value twice, got {', '.join(twice)} more than once")
    return values


def _no_number_of_seeds(value: object) -> object:
    """Refuse a number: it is meant as how many, and would be read as which."""
    if not isinstance(value, int) or isinstance(value, bool):
        return value
    several = f"write {list(range(value))} for {value} seeds, or [{value}] for the seed {value} alone"
    one = f"write [{value}] for the seed {value}"
    raise problem("", f"expected a list, got {value}", several if 1 < value <= _SPELLED_OUT else one)


def ascending(values: list[float]) -> list[float]:
    """Return the fractions, or say that they are not ascending."""
    if values != sorted(set(values)):
        raise ValueError(f"expected ascending numbers without repeats, got {values}")
    return values


Slug = Annotated[
    str, Field(strict=True), AfterValidator(_slug), WithJsonSchema({"type": "string", "pattern": _SLUG})
]
Word = Annotated[str, Field(strict=True, min_length=1)]
Seed = Annotated[int, Field(strict=True, ge=0, lt=2**63)]
Seeds = Annotated[
    list[Seed], Field(min_length=1), BeforeValidator(_no_number_of_seeds), AfterValidator(unique)
]
SubsetSeeds = Annotated[Literal["per-seed"] | Seeds | None, BeforeValidator(_no_number_of_seeds)]
Words = Annotated[list[Word], Field(min_length=1), AfterValidator(unique)]
Fraction = Annotated[float, Field(strict=True, gt=0, le=1)]
