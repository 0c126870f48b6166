"""Weights that an encoder is given from outside, and what is known of them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from mribench.interfaces.input_file import InputFile
from mribench.interfaces.options import Options


def _check_expressions(rules: dict[str, str]) -> dict[str, str]:
    for pattern, replacement in rules.items():
        try:
            re.sub(pattern, replacement, "")
        except (re.error, IndexError) as error:
            raise ValueError(f"'{pattern}: {replacement}' is no regular expression: {error}") from None
    return rules


class GivenWeights(Options):
    """Weights of an encoder from a file, and how its tensors get the encoder's names.

    Every tensor is accounted for: what the encoder lacks, what it has no place for and what is of another
    shape is an error, unless a pattern allows it.
    """

    file: InputFile = Field(
        description="The file: safetensors, or what torch.save wrote; nothing in it is run."
    )
    at: str | None = Field(
        None,
        description="Where the file has the tensors; its top, or its one mapping of them, if null.",
    )
    rename: Annotated[dict[str, str], AfterValidator(_check_expressions)] = Field(
        default_factory=dict,
        description="Regular expressions and what replaces them in names of the file's tensors, in order.",
    )
    missing: list[str] = Field(
        default_factory=list,
        description="Tensors of the encoder that may keep their start values, by pattern (`*.norm.*`).",
    )
    unexpected: list[str] = Field(
        default_factory=list,
        description="Tensors of the file, renamed, that may have no place in the encoder, by pattern.",
    )
    other_shape: list[str] = Field(
        default_factory=list,
        description="Tensors of another shape, which may keep their start values, by pattern.",
    )
    pretrained_on: Literal["unknown"] | list[str] = Field(
        description="Whose images they were learnt from: cohorts under `data`, people as `namespace:name`, "
        "an empty list for nobody in this benchmark, or `unknown`, which tables show."
    )

    @property
    def people(self) -> Sequence[str]:
        """Who is named by name, as ``namespace:name``."""
        named = [] if self.pretrained_on == "unknown" else self.pretrained_on
        return [name for name in named if ":" in name]

    @property
    def cohorts(self) -> Sequence[str]:
        """The cohorts that are named."""
        named = [] if self.pretrained_on == "unknown" else self.pretrained_on
        return [name for name in named if ":" not in name]
