"""The task ``segmentation``: any label, whose classes the benchmark file names."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from mribench.interfaces import MetricRef
from mribench.validation import problem
from mribench_tasks.dense import DenseTaskOptions
from mribench_tasks.segmentation import Segmentation, Target

Number = Annotated[int, Field(ge=1, lt=2**24)]
"""Of a class in a label map; 0 is the background."""


class SegmentationOptions(DenseTaskOptions):
    """Options of the task ``segmentation``."""

    label: str = Field("label", min_length=1, description="which label of the dataset is segmented")
    classes: dict[str, Number | list[Number]] = Field(
        min_length=1,
        description="the foreground classes: the number of each in the label ({WM: 2}), or several that are "
        "one class ({WM: [2, 41]}); of a label of one file a class, a number is the place of the file",
    )
    background: list[Number] | Literal["others"] = Field(
        default_factory=list,
        description="numbers that are background, besides 0; 'others': all that no class has, which are "
        "refused otherwise",
    )
    metrics: list[MetricRef] = Field([MetricRef(name="dice")], description="scores of each class")
    foreground_ratio: float | None = Field(
        None,
        ge=0,
        description="crops that show a voxel of a class for each one centred on the background; by default "
        "crops are anywhere in the head",
    )
    class_weights: dict[str, Annotated[float, Field(gt=0)]] = Field(
        default_factory=dict,
        description="weights of classes in the cross-entropy; the others' and the background's are 1",
    )

    @field_validator("classes")
    @classmethod
    def _are_named(cls, value: dict[str, int | list[int]]) -> dict[str, int | list[int]]:
        for name, numbers in value.items():
            if not name.strip() or numbers == []:
                raise ValueError(f"expected a name and its number, got '{name}': {numbers}")
        return value

    @model_validator(mode="after")
    def _mean_one_thing(self) -> SegmentationOptions:
        owner: dict[int, str] = {}
        for name, numbers in self.numbers().items():
            for number in numbers:
                if number in owner:
                    raise problem("classes", f"{number} is a number of '{owner[number]}' and of '{name}'")
                owner[number] = name
        for number in self.background if isinstance(self.background, list) else ():
            if number in owner:
                raise problem("background", f"{number} is a number of the class '{owner[number]}' too")
        known = ", ".join(self.classes)
        for name in self.class_weights:
            if name not in self.classes:
                raise problem("class_weights", f"there is no class '{name}'", f"classes: {known}")
        return self

    def numbers(self) -> dict[str, tuple[int, ...]]:
        """Return the numbers of each class."""
        return {name: (n,) if isinstance(n, int) else tuple(n) for name, n in self.classes.items()}


class AnySegmentation(Segmentation):
    """A label of the user's, segmented into the classes that the benchmark file names."""

    def __init__(self, options: SegmentationOptions) -> None:
        background = None if options.background == "others" else tuple(options.background)
        target = Target(
            options.label, options.numbers(), background, options.class_weights, options.foreground_ratio
        )
        super().__init__(options, target)
