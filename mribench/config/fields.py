"""Types of fields that several models of the benchmark file share."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, Field, WithJsonSchema

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


def ascending(values: list[float]) -> list[float]:
    """Return the fractions, or say that they are not ascending."""
    if values != sorted(set(values)):
        raise ValueError(f"expected ascending fractions without repeats, got {values}")
    return values


Slug = Annotated[
    str, Field(strict=True), AfterValidator(_slug), WithJsonSchema({"type": "string", "pattern": _SLUG})
]
Word = Annotated[str, Field(strict=True, min_length=1)]
Seed = Annotated[int, Field(strict=True, ge=0, lt=2**63)]
Seeds = Annotated[list[Seed], Field(min_length=1), AfterValidator(unique)]
Words = Annotated[list[Word], Field(min_length=1), AfterValidator(unique)]
Fraction = Annotated[float, Field(strict=True, gt=0, le=1)]
