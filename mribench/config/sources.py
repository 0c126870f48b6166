"""What an encoder is pretrained on: cohorts, their sequences, their shares of a batch."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from mribench.interfaces.fields import Word, Words
from mribench.interfaces.options import Options


class PretrainSource(Options):
    """A cohort that is pretrained on."""

    cohort: Word = Field(description="The cohort, one of the names under `data`.")
    sequences: Words | None = Field(
        None, description="Sequences of the scans that are shown; null means all that the views can use."
    )
    share: Annotated[float, Field(strict=True, gt=0)] | None = Field(
        None,
        description="Share of each batch, relative to those of the other cohorts; given for all of them or "
        "none. null means the number of its training subjects.",
    )


def _listed(value: Any) -> Any:
    """Return the name of one cohort as a list of it."""
    if isinstance(value, str):
        return [{"cohort": value}]
    if not isinstance(value, list):
        raise ValueError(f"expected the name of a cohort, or a list of {{cohort: name}}, got {value!r}")
    return [{"cohort": item} if isinstance(item, str) else item for item in value]


def _consistent(sources: list[PretrainSource]) -> list[PretrainSource]:
    names = [source.cohort for source in sources]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"expected each cohort once, got {', '.join(twice)} more than once")
    without = [source.cohort for source in sources if source.share is None]
    if without and len(without) < len(sources):
        raise ValueError(f"expected a share of every cohort or of none, got none of {', '.join(without)}")
    return sources


PretrainSources = Annotated[
    list[PretrainSource],
    Field(min_length=1),
    BeforeValidator(_listed, json_schema_input_type=Word | list[Word | PretrainSource]),
    AfterValidator(_consistent),
]
