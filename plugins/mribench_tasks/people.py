"""The tasks ``regression`` and ``classification``: a covariate of a person, from its scans."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from pydantic import Field, field_validator, model_validator
from torch import Tensor

from mribench.augmentation import CropAugmentOptions, Window, draw_crop
from mribench.errors import DataError
from mribench.interfaces import MetricRef, Options, Probe, ProbeRef, SubjectTask, TaskVolume
from mribench.validation import problem
from mribench_tasks.dense import random_centre

Value = str | int | float
"""Of a covariate, as a table has it."""


class PeopleOptions(Options):
    """Options of both tasks about people."""

    covariate: str = Field(min_length=1, description="the covariate of the cohort that is predicted")
    probe: ProbeRef | None = Field(
        ProbeRef(name="linear"),
        description="what is fitted on embeddings of the frozen encoder; null trains a linear head by steps",
    )
    metrics: list[MetricRef] = Field(description="what predictions are scored by, all subjects at once")
    augment: CropAugmentOptions = Field(
        CropAugmentOptions(), description="augmentation of training crops, of a head that is trained"
    )

    @model_validator(mode="after")
    def _augments_what_is_trained(self) -> PeopleOptions:
        if (
            self.probe is not None
            and "augment" in self.model_fields_set
            and self.augment != CropAugmentOptions()
        ):
            raise problem(
                "augment", "not with a probe, which sees no crop", "remove it, or write probe: null"
            )
        return self


class RegressionOptions(PeopleOptions):
    """Options of the task ``regression``."""

    metrics: list[MetricRef] = Field(
        [MetricRef(name="absolute-error"), MetricRef(name="pearson"), MetricRef(name="r2")],
        description="what predictions are scored by, all subjects at once",
    )


class ClassificationOptions(PeopleOptions):
    """Options of the task ``classification``."""

    classes: list[Value] | dict[str, Value | list[Value]] = Field(
        min_length=2,
        description="the values of the covariate, one class each ([F, M]), or the name of each class and its "
        "values ({female: [F, f, 2], male: [M, m, 1]})",
    )
    leave_out: list[Value] = Field(
        default_factory=list, description="values of subjects whom the task is not about"
    )
    metrics: list[MetricRef] = Field(
        [MetricRef(name="auroc"), MetricRef(name="balanced-accuracy")],
        description="what predictions are scored by, all subjects at once",
    )

    @field_validator("classes")
    @classmethod
    def _are_values(cls, value: list[Value] | dict[str, Value | list[Value]]) -> object:
        for name, values in value.items() if isinstance(value, dict) else ():
            if not name.strip() or values == []:
                raise ValueError(f"expected a name and its values, got '{name}': {values}")
        return value

    @model_validator(mode="after")
    def _mean_one_thing(self) -> ClassificationOptions:
        owner: dict[str, str] = {}
        for name, values in self.values().items():
            for value in values:
                if value in owner:
                    raise problem("classes", f"{value} is a value of '{owner[value]}' and of '{name}'")
                owner[value] = name
        for value in map(_text, self.leave_out):
            if value in owner:
                raise problem("leave_out", f"{value} is a value of the class '{owner[value]}' too")
        return self

    def values(self) -> dict[str, tuple[str, ...]]:
        """Return the values of each class, as texts."""
        if isinstance(self.classes, list):
            return {_text(value): (_text(value),) for value in dict.fromkeys(self.classes)}
        return {
            name: tuple(map(_text, given if isinstance(given, list) else [given]))
            for name, given in self.classes.items()
        }


class _AboutPeople(SubjectTask):
    """A covariate is the target; training crops are augmented."""

    def __init__(self, options: PeopleOptions) -> None:
        self.target_name = options.covariate
        self.covariates = (options.covariate,)
        self.metrics = [reference.make() for reference in options.metrics]
        self._probe, self._augment = options.probe, options.augment

    def build_probe(self) -> Probe | None:
        """Return the probe that the options name, or None."""
        if self._probe is None:
            return None
        probe: Probe = self._probe.make(len(self.classes))
        return probe

    def training_sample(
        self, volume: TaskVolume, patch_vox: int, generator: torch.Generator
    ) -> dict[str, Tensor]:
        """Return an augmented crop in the head, ``image`` ``(1, p, p, p)``, and the ``target`` ``()``."""
        centre_vox = random_centre(volume.foreground, patch_vox, generator)
        draw = draw_crop(self._augment, generator)
        crop = Window(volume.image.shape[1:], centre_vox, patch_vox, draw.matrix).cut(volume.image)
        target = torch.tensor(self.target(volume.covariates), dtype=torch.float32)
        return {"image": crop * draw.gain + draw.offset, "target": target}


class Regression(_AboutPeople):
    """A number that is known of each person, as the age."""

    def target(self, covariates: Mapping[str, object]) -> float:
        """Return the number."""
        value = covariates[self.target_name]
        try:
            number = math.nan if isinstance(value, bool) else float(str(value))
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise DataError(
                f"the covariate '{self.target_name}' is {value!r}, expected a number",
                "correct it, write n/a where it is not known, or use the task 'classification'",
            )
        return number


class Classification(_AboutPeople):
    """A class that is known of each person, as the sex."""

    def __init__(self, options: ClassificationOptions) -> None:
        values = options.values()
        self.classes = tuple(values)
        self._number = {value: place for place, own in enumerate(values.values()) for value in own}
        self._left_out = {_text(value) for value in options.leave_out}
        super().__init__(options)

    def target(self, covariates: Mapping[str, object]) -> float | None:
        """Return the number of the class; None for a value that is left out."""
        value = _text(covariates[self.target_name])
        if value in self._left_out:
            return None
        if value not in self._number:
            raise DataError(
                f"the covariate '{self.target_name}' is '{value}', which no class has",
                f"name its class in 'classes', or put it into 'leave_out'; values there: "
                f"{', '.join(self._number)}",
            )
        return float(self._number[value])

    def example_covariates(self) -> Sequence[Mapping[str, object]]:
        """Return one value of each class."""
        examples = {place: value for value, place in self._number.items()}
        return [{self.target_name: value} for value in examples.values()]


def _text(value: object) -> str:
    """Return a value as text: a table may have read the code 1 as 1, 1.0 or '1'."""
    whole = isinstance(value, float) and value.is_integer()
    return str(int(value) if whole else value).strip()  # type: ignore[call-overload]
