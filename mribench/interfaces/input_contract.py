"""What an encoder wants to see: the form of image that it was made for."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from mribench.interfaces.options import Options

_AXES_OF = {"R": 0, "L": 0, "A": 1, "P": 1, "S": 2, "I": 2}


def _check_orientation(letters: str) -> str:
    axes = sorted(_AXES_OF.get(letter, -1) for letter in letters)
    if axes != [0, 1, 2]:
        raise ValueError(f"expected one of R and L, one of A and P, one of S and I, got '{letters}'")
    return letters


def _ascending(ends: tuple[float, float]) -> tuple[float, float]:
    if ends[0] >= ends[1]:
        raise ValueError(f"expected the smaller one first, got {list(ends)}")
    return ends


_WITHOUT_EFFECT = {
    "z-score": ("percentiles", "window", "to", "clip"),
    "percentiles": ("window",),
    "min-max": ("percentiles", "window"),
    "window": ("percentiles", "over"),
}
Percentage = Annotated[float, Field(ge=0, le=100)]
Orientation = Annotated[str, AfterValidator(_check_orientation)]


class Intensity(Options):
    """On which scale an encoder wants intensities.

    It is reached from the benchmark's own scale, which every task and its noise are in: a z-score over the
    whole volume, clipped to its percentiles 0.5 and 99.5.
    """

    scale: Literal["z-score", "percentiles", "min-max", "window"] = Field(
        description="`z-score`: mean 0 and standard deviation 1. `percentiles`: the two `percentiles` become "
        "the two ends of `to`. `min-max`: the smallest and the largest value do. `window`: the two ends of "
        "`window` do."
    )
    over: Literal["volume", "head"] = Field(
        "volume", description="Voxels whose mean, deviation, percentiles or extremes are taken."
    )
    percentiles: Annotated[tuple[Percentage, Percentage], AfterValidator(_ascending)] = Field(
        (0.5, 99.5), description="The two percentiles that become the ends of `to`."
    )
    window: Annotated[tuple[float, float], AfterValidator(_ascending)] | None = Field(
        None, description="Values in the image's own units that become the ends of `to`."
    )
    to: Annotated[tuple[float, float], AfterValidator(_ascending)] = Field(
        (0.0, 1.0), description="What the percentiles, the extremes or the window become."
    )
    clip: bool = Field(True, description="Whether values beyond the ends of `to` are set to them.")

    def sentence(self) -> str:
        """Return it as a part of a sentence."""
        over = " over the head" if self.over == "head" else ""
        if self.scale == "z-score":
            return f"z-score{over}"
        ends = {
            "percentiles": f"percentiles {self.percentiles[0]:g} and {self.percentiles[1]:g}{over}",
            "min-max": f"minimum and maximum{over}",
            "window": f"window {list(self.window or ())}",
        }
        return f"{ends[self.scale]} to {self.to[0]:g} and {self.to[1]:g}{', clipped' if self.clip else ''}"

    @model_validator(mode="after")
    def _check_scale(self) -> Intensity:
        for key in _WITHOUT_EFFECT[self.scale]:
            if getattr(self, key) != type(self).model_fields[key].default:
                raise ValueError(f"'{key}' has no effect with the scale '{self.scale}'")
        if self.scale == "window" and self.window is None:
            raise ValueError("the scale 'window' needs a window, such as [0, 1000]")
        return self


class InputContract(Options):
    """What an encoder wants to see. What is not said is as the benchmark file has it, for every method."""

    intensity: Intensity | None = Field(
        None, description="Scale of the intensities; the benchmark's z-score when null."
    )
    spacing_mm: Annotated[float, Field(gt=0)] | None = Field(
        None, description="Isotropic voxel size of the working grid, in mm; the benchmark's when null."
    )
    orientation: Orientation | None = Field(
        None,
        description="Towards what the axes of the image grow, such as `LPS`; the harness's RAS when null. "
        "For encoders that are given their weights.",
    )
    patch_vox: Annotated[int, Field(gt=0)] | None = Field(
        None, description="Edge of crops and windows, in voxels; the benchmark's when null."
    )
    multiple_vox: Annotated[int, Field(gt=0)] = Field(
        1, description="Edges of crops and windows are multiples of so many voxels, besides the stride."
    )
    whole_vox: Annotated[int, Field(gt=0)] | None = Field(
        None,
        description="Embeddings are of the whole scan, padded to a cube and resized to so many voxels an "
        "edge; of windows when null. For encoders that are given their weights.",
    )
    skull_stripped: bool | None = Field(
        None, description="Whether it wants the brain alone. The harness strips nothing: tables say so."
    )

    @model_validator(mode="after")
    def _check_edges(self) -> InputContract:
        for key in ("patch_vox", "whole_vox"):
            edge = getattr(self, key)
            if edge is not None and edge % self.multiple_vox:
                raise ValueError(
                    f"expected a {key} that is a multiple of multiple_vox {self.multiple_vox}, got {edge}"
                )
        return self

    def under(self, other: InputContract | None) -> InputContract:
        """Return it with what another one says laid over it."""
        if other is None:
            return self
        said = {name: getattr(other, name) for name in other.model_fields_set}
        return InputContract.model_validate({**_said(self), **said})

    def sentence(self) -> str:
        """Return what is wanted as a part of a sentence; an empty string for nothing."""
        parts = [self.intensity.sentence()] if self.intensity else []
        parts += [f"voxels of {self.spacing_mm:g} mm"] if self.spacing_mm else []
        parts += [f"axes towards {self.orientation}"] if self.orientation else []
        parts += [f"crops of {self.patch_vox} voxels"] if self.patch_vox else []
        parts += [f"crops of multiples of {self.multiple_vox} voxels"] if self.multiple_vox > 1 else []
        parts += [f"whole scans of {self.whole_vox} voxels an edge"] if self.whole_vox else []
        stripped = {None: [], True: ["brains without skull"], False: ["heads with skull"]}
        return ", ".join([*parts, *stripped[self.skull_stripped]])

    def effective(self) -> InputContract:
        """Return what of it changes an image: not what is only checked, or said."""
        return self.model_copy(update={"multiple_vox": 1, "skull_stripped": None})

    @property
    def asks(self) -> bool:
        """Whether anything is wanted that is not as the benchmark file has it."""
        return self != InputContract()


def _said(contract: InputContract) -> dict[str, object]:
    return {name: getattr(contract, name) for name in contract.model_fields_set}
