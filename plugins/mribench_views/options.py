"""Options of the view generators."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field, model_validator

from mribench.augmentation import AugmentOptions
from mribench.interfaces import Profile, ProtocolOptions, SequenceRef

DEFAULT_SEQUENCES: Mapping[Profile, tuple[str, ...]] = {
    "corrected": ("fse", "gre", "flair", "mprage", "mp2rage"),
    "paper": ("fse", "gre", "flair", "mprage"),
    "as-released": ("fse", "gre", "spgr", "flair", "mprage", "mp2rage"),
}


class AugmentedViewOptions(ProtocolOptions):
    """Options of every view generator of this plugin."""

    augment: AugmentOptions = Field(default_factory=AugmentOptions, description="augmentation of each view")


class LabelledViewOptions(AugmentedViewOptions):
    """Options of ``labelled``."""

    label: str = Field("tissue", min_length=1, description="label that each scan must have itself")


class SynthsegViewOptions(LabelledViewOptions):
    """Options of ``synthseg``."""

    classes: int = Field(3, ge=1, description="classes of the label, numbered from 1")
    parts_outside: int = Field(
        4, ge=1, description="parts of the head outside all classes, by the scan's own intensity"
    )


class ViewOptions(AugmentedViewOptions):
    """Options of view generators that simulate scans."""

    transmit_sd: float | None = Field(
        default=None,
        ge=0,
        le=0.3,
        description="standard deviation of the transmit field (B1+) around 1; when not given 0.1 in "
        "corrected, else 0",
    )
    most_redraws: int = Field(
        default=1000, ge=0, description="impossible acquisitions in a row before giving up"
    )


def _profile_of(values: dict[str, Any]) -> Profile:
    """Return the profile in raw options; a wrong one is reported by the field's own validation."""
    given = values.get("profile")
    return next((profile for profile in DEFAULT_SEQUENCES if profile == given), "corrected")


class MprageViewOptions(ViewOptions):
    """Options of ``mprage``."""

    sequence: SequenceRef = Field(
        default_factory=lambda: SequenceRef(name="mprage"), description="the sequence that all views show"
    )

    @model_validator(mode="before")
    @classmethod
    def _sequence_of_profile(cls, values: object) -> object:
        if isinstance(values, dict) and "sequence" not in values:
            return {**values, "sequence": {"name": "mprage", "profile": _profile_of(values)}}
        return values


class SequenceViewOptions(ViewOptions):
    """Options of ``seqaug`` and ``seqinv``."""

    sequences: list[SequenceRef] = Field(
        default_factory=lambda: [SequenceRef(name=name) for name in DEFAULT_SEQUENCES["corrected"]],
        min_length=1,
        description="the sequences to draw from, with equal probability; when not given the profile's: "
        "fse, gre, flair, mprage, and mp2rage in corrected, and mp2rage and spgr in as-released",
    )

    @model_validator(mode="before")
    @classmethod
    def _sequences_of_profile(cls, values: object) -> object:
        if isinstance(values, dict) and "sequences" not in values:
            profile = _profile_of(values)
            drawn = [{"name": name, "profile": profile} for name in DEFAULT_SEQUENCES[profile]]
            return {**values, "sequences": drawn}
        return values
