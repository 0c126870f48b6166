"""How training runs: options that the harness itself reads."""

from __future__ import annotations

from copy import copy
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, Field, create_model, model_serializer

from mribench.config.sources import PretrainSources
from mribench.interfaces.fields import ascending
from mribench.interfaces.input_contract import InputContract
from mribench.interfaces.options import Options

Count = Annotated[int, Field(strict=True, ge=1)]
"""A positive integer."""
Real = Annotated[float, Field(strict=True)]
"""A finite number; text and booleans are refused."""
Positive = Annotated[float, Field(strict=True, gt=0)]
"""A positive number."""
Precision = Literal["fp32", "bf16", "fp16"]
"""Floating-point type of the forward pass."""


class Optimisation(Options):
    """How weights are trained: by default AdamW with a warm-up and a polynomial decay."""

    steps: Count = Field(description="Optimiser steps.")
    lr: Positive = Field(description="Peak learning rate.")
    optimiser: Literal["adamw", "sgd", "lars"] = Field(
        "adamw", description="AdamW, SGD with momentum, or LARS (momentum SGD scaled layer by layer)."
    )
    betas: Annotated[list[Annotated[Real, Field(ge=0, lt=1)]], Field(min_length=2, max_length=2)] = Field(
        [0.9, 0.999], description="AdamW's decay rates of the means of gradients and of their squares."
    )
    momentum: Annotated[Real, Field(ge=0, lt=1)] = Field(0.9, description="Momentum of SGD and LARS.")
    weight_decay: Annotated[Real, Field(ge=0)] = Field(0.01, description="Weight decay.")
    weight_decay_end: Annotated[Real, Field(ge=0)] | None = Field(
        None, description="Weight decay of the last step, reached along half a cosine; null keeps it."
    )
    decay_norms: bool = Field(
        True, strict=True, description="Whether parameters of one axis (norms, biases) decay too."
    )
    layer_decay: Annotated[Real, Field(gt=0, le=1)] = Field(
        1.0,
        description="Learning rate of a layer of the encoder as a share of the next one's; 1 for one rate.",
    )
    schedule: Literal["polynomial", "cosine"] = Field(
        "polynomial", description="How the learning rate falls to 0 after the warm-up."
    )
    warmup_fraction: Annotated[Real, Field(ge=0, lt=1)] = Field(
        0.05, description="Share of the steps over which the learning rate rises linearly."
    )
    decay_power: Annotated[Real, Field(ge=0)] = Field(
        0.9, description="Power of the polynomial decay after the warm-up; 0 keeps the learning rate."
    )
    accumulate: Count = Field(
        1, description="Batches behind each step, their gradients averaged; a contrast is within a batch."
    )
    ema: Annotated[Real, Field(ge=0, lt=1)] | None = Field(
        None,
        description="Decay of a moving average of the weights over the steps, which takes their place at the "
        "end; null for none.",
    )
    clip_norm: Positive = Field(12.0, description="Largest norm of the gradient of all trained parameters.")
    precision: Precision = Field("fp32", description="Floating-point type of the forward pass.")


class PretrainSettings(Optimisation):
    """How an encoder is pretrained, whatever it is pretrained on."""

    patch_vox: Count = Field(description="Edge of a view, in voxels.")
    spacing_mm: Positive | None = Field(
        None, description="Isotropic voxel size of the working grid, in mm; null keeps the maps' own."
    )
    batch_size: Count = Field(description="Subjects in a batch.")
    repeat_subjects: bool = Field(
        False,
        strict=True,
        description="Whether a batch may hold two crops of one subject, then negatives of each other.",
    )
    min_foreground: Annotated[Real, Field(gt=0, le=1)] | None = Field(
        None,
        description="Least share of a crop that is head and not air: the place of a crop is drawn again, at "
        "most 20 times, until it has that, and is the fullest of these where none has; null takes the first.",
    )


class PretrainOptions(PretrainSettings):
    """How every method pretrains its encoder."""

    data: PretrainSources = Field(
        description="Cohort to pretrain on, one of the names under `data`; or a list of `{cohort, sequences, "
        "share}`."
    )

    def settings(self) -> PretrainSettings:
        """Return all but what is pretrained on."""
        return PretrainSettings.model_validate(self.model_dump(exclude={"data"}))


class AdaptOptions(Optimisation):
    """How a decoder (and, in the arms that train it, the encoder) learns a task, and how it is tested."""

    patch_vox: Count = Field(96, description="Edge of a training patch, in voxels.")
    spacing_mm: Positive | None = Field(
        None, description="Isotropic voxel size of the working grid, in mm; null keeps each image's own."
    )
    batch_size: Count = Field(2, description="Patches in a batch.")
    finetune_lr: Positive | None = Field(
        None, description="Learning rate where the encoder is trained too; null means `lr`."
    )
    lr_factors: Annotated[list[Positive], Field(min_length=1), AfterValidator(ascending)] = Field(
        [1.0],
        # a benchmark that chooses no rate has the keys that it had before one could be chosen
        exclude_if=lambda factors: factors == [1.0],
        description="Multiples of `lr` and `finetune_lr`. Of several, each row tries all with the first seed "
        "and all labels, and is trained at the one whose first metric is best on the validation subjects.",
    )
    select: Literal["last"] = Field(
        "last",
        description="Which weights are tested: those of the last step. Choosing by a validation set is not "
        "offered yet.",
    )
    window_vox: Count | Annotated[list[Count], Field(min_length=3, max_length=3)] | None = Field(
        None,
        description="Edge (or three edges) of the sliding window at test, in voxels; null means `patch_vox`.",
    )
    overlap: Annotated[Real, Field(ge=0, lt=1)] = Field(
        0.25, description="Overlap of neighbouring windows at test, as a share of the window."
    )

    def at_rate(self, factor: float) -> AdaptOptions:
        """Return the options with this multiple of the learning rates, and no other to choose from."""
        slow = None if self.finetune_lr is None else factor * self.finetune_lr
        return self.model_copy(update={"lr": factor * self.lr, "finetune_lr": slow, "lr_factors": [1.0]})

    def windows_vox(self) -> tuple[int, ...]:
        """Return the three edges of the sliding window."""
        window = self.window_vox or self.patch_vox
        return (window,) * 3 if isinstance(window, int) else tuple(window)


class EmbedOptions(Options):
    """How scans are embedded for a probe; nothing is trained by steps."""

    patch_vox: Count = Field(96, description="Edge of the windows whose embeddings are averaged, in voxels.")
    spacing_mm: Positive | None = Field(
        None, description="Isotropic voxel size of the working grid, in mm; null keeps each image's own."
    )


_Sized = TypeVar("_Sized", PretrainOptions, AdaptOptions, EmbedOptions, AdaptOptions | EmbedOptions)


def follow_contract(options: _Sized, wanted: InputContract) -> _Sized:
    """Return the options of a training with the voxel size and the crops that an encoder wants."""
    update: dict[str, Any] = {}
    if wanted.spacing_mm is not None:
        update["spacing_mm"] = wanted.spacing_mm
    if wanted.patch_vox is not None:
        update["patch_vox"] = wanted.patch_vox
        update |= {"window_vox": None} if isinstance(options, AdaptOptions) else {}
    return options.model_copy(update=update)


def _without_defaults() -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name, field in PretrainOptions.model_fields.items():
        optional = copy(field)
        optional.default = None
        fields[name] = (field.annotation, optional)
    return fields


class PretrainPart(create_model("PretrainPart", __base__=Options, **_without_defaults())):  # type: ignore[misc]
    """Some of the pretraining options; what is not given comes from the level above."""

    @model_serializer(mode="plain")
    def _given(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in sorted(self.model_fields_set)}
