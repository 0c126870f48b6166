"""The manifest of a plan: what reading results must know of it, so that it needs neither plugins nor data.

A plan writes one. Those of several plans of one benchmark are merged into one of its form by ``merged``.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mribench.errors import StoreError
from mribench.interfaces.entry import EmptyMaskPolicy
from mribench.interfaces.fields import Slug, Words
from mribench.interfaces.input_contract import InputContract
from mribench.interfaces.options import Options
from mribench.interfaces.table_source import LayoutSpec
from mribench.results.atomic import read_json, write_json
from mribench.results.cell import EmbedCell, EvaluateCell
from mribench.results.specification import JobKind
from mribench.results.status import SCHEMA

if TYPE_CHECKING:
    from mribench.statistics.ranges import Range

_LONGEST_VERSION = 40
"""Characters of a schema version as messages show it."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DamagedPlan(StoreError):  # noqa: N818 - a state of the disk
    """The manifest of one plan cannot be read; others may."""


class PlannedWeights(_Part):
    """Weights from a file: its name, its SHA-256, and whose images they were learnt from."""

    file: str
    sha256: str
    pretrained_on: Literal["unknown"] | tuple[str, ...]


class PlannedMethod(_Part):
    """A method: the names of its entries, and which defaults it overrides.

    Without pretraining it has neither views nor objective, but ``weights``. ``input`` is what its encoder
    wants to see where that is not as the benchmark has it.
    """

    name: str
    views: str | None = None
    objective: str | None = None
    encoder: str
    overrides: tuple[str, ...] = ()
    weights: PlannedWeights | None = None
    input: InputContract | None = None


class PlannedMetric(_Part):
    """A metric of a task.

    Attributes:
        id: of the metric.
        unit: of its values.
        higher_is_better: the direction.
        value_range: smallest and largest value; null where a bound is infinite.
        of_set: whether it is a value of a whole set, whose score rows hold the components of subjects.
    """

    id: str
    unit: str
    higher_is_better: bool
    value_range: tuple[float | None, float | None] | None = None
    of_set: bool = False

    @property
    def bounds(self) -> Range:
        """The lowest and the highest value that it can have."""
        from mribench.statistics.ranges import SetRange  # slow to import, and only reports need it

        low, high = self.value_range or (None, None)
        bounds = (-math.inf if low is None else low, math.inf if high is None else high)
        return SetRange(*bounds) if self.of_set else bounds


class PlannedTask(_Part):
    """A task.

    Attributes:
        task: name of its entry.
        dataset: name of its cohort.
        label: that it is scored by; None where it is scored by images.
        fractions: of the training subjects, ascending.
        train_sequences: that decoders are trained on.
        test_sequences: that any of them is tested on.
        sites: test sites, the one trained on first.
        metrics: it is scored by.
    """

    task: str
    dataset: str
    label: str | None
    fractions: tuple[float, ...]
    train_sequences: tuple[str, ...]
    test_sequences: tuple[str, ...]
    sites: tuple[str, ...]
    metrics: tuple[PlannedMetric, ...]


class PlannedCohort(_Part):
    """A cohort: its dataset entry, whether people were scanned, what may be done with their images.

    ``invariance`` lists the sequences whose embeddings are compared; it is empty where none are.
    """

    dataset: str
    simulated: bool
    licence: str
    invariance: tuple[str, ...] = ()


class MeasuredDefect(_Part):
    """A known defect whose worth is measured.

    Attributes:
        name: of the defect.
        base: profile of the rows without it.
        summary: what it does, in a sentence.
        metrics: those that it puts in the place of others, by the id of the other.
        empty_masks: how it counts empty masks; None where it counts as ever.
        profile: of the rows that show it; None where it changes no job, but only what is made of results.
    """

    name: str
    base: str
    summary: str
    metrics: dict[str, str] = {}
    empty_masks: EmptyMaskPolicy | None = None
    profile: str | None = None


class ReportSpec(Options):
    """What the report shows."""

    tables: Words = Field(["leaderboard"], description="Tables of the report, in order.")
    layouts: dict[Slug, LayoutSpec] = Field(
        default_factory=dict, description="Tables of your own, by name, for `tables` and `--table`."
    )
    examples: bool = Field(
        True,
        description="Whether jobs keep slices of scans and of their first views, and pages show those and "
        "the ids of subjects; false where these may not be passed on.",
    )


class PlannedJob(_Part):
    """A job of a plan.

    Attributes:
        key: content key; None while data are missing.
        id: for people.
        kind: of job.
        needs: keys of the jobs that must be done first.
        pretrain: key of the pretrain job behind it.
        adapt: key of the adapt job behind an evaluate job.
        cell: what the rows of an evaluate or embed job are about; None of a job that trains.
    """

    key: str | None
    id: str
    kind: JobKind
    needs: tuple[str, ...] = ()
    pretrain: str | None = None
    adapt: str | None = None
    cell: EvaluateCell | EmbedCell | None = None


class Manifest(_Part):
    """What is known of one plan of a benchmark, or of several merged, the newest describing it.

    Attributes:
        benchmark: its name.
        file: name of the benchmark file.
        created: when the plan was made, in ISO 8601.
        profiles: labels of the rows that tables show: the profile, with the defects switched on by name.
        variants: labels of the rows that only measure a known defect.
        shown_defects: the known defects that each profile reproduces, with their sentences.
        empty_masks: how each profile counts empty masks; None for the penalties of the metrics.
        measured_defects: those whose worth is measured.
        config: the benchmark file as JSON, every default spelled out.
        seeds: of the trainings.
        methods: those that are compared.
        arms: what is done with each pretrained encoder.
        reference_arms: rows that no method stands behind.
        tasks: by name.
        cohorts: by name.
        report: what is shown.
        jobs: dependencies first.
    """

    benchmark: str
    file: str
    created: str
    profiles: tuple[str, ...]
    variants: tuple[str, ...] = ()
    shown_defects: dict[str, dict[str, str]] = {}
    empty_masks: dict[str, EmptyMaskPolicy | None] = {}
    measured_defects: tuple[MeasuredDefect, ...] = ()
    config: dict[str, Any] = {}
    seeds: tuple[int, ...]
    methods: tuple[PlannedMethod, ...]
    arms: tuple[str, ...]
    reference_arms: tuple[str, ...]
    tasks: dict[str, PlannedTask]
    cohorts: dict[str, PlannedCohort] = {}
    report: ReportSpec = Field(default_factory=ReportSpec)
    jobs: tuple[PlannedJob, ...] = Field(repr=False)

    def metrics(self) -> dict[tuple[str, str], PlannedMetric]:
        """Return the metrics by task and id."""
        planned = ((name, metric) for name, task in self.tasks.items() for metric in task.metrics)
        return {(name, metric.id): metric for name, metric in planned}

    def defects_by_profile(self) -> dict[str, list[str]]:
        """Return, by profile, the names of the known defects that it reproduces."""
        return {profile: list(self.shown_defects.get(profile, {})) for profile in self.profiles}

    def shown_as(self, report: ReportSpec) -> Manifest:
        """Return the manifest with another ``report:`` part."""
        config = {**self.config, "report": report.model_dump(mode="json")} if self.config else {}
        return self.model_copy(update={"report": report, "config": config})


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Write the manifest of a plan in one step."""
    write_json(path, {"schema": SCHEMA, **manifest.model_dump(mode="json")}, indent=None)


def read_manifest(path: Path) -> Manifest:
    """Read the manifest of a plan.

    Raises:
        DamagedPlan: where it cannot be read, or is no manifest.
        StoreError: where it is of another schema version.
    """
    try:
        content = read_json(path)
    except StoreError as error:
        raise DamagedPlan(error.message, error.hint) from error
    version = content.pop("schema", None) if isinstance(content, dict) else None
    if version != SCHEMA:
        shown = json.dumps(version)[:_LONGEST_VERSION]
        raise StoreError(
            f"{path} is of schema version {shown}, this mribench reads {SCHEMA}",
            "use the mribench that wrote it, or run the benchmark again into another --results",
        )
    try:
        return Manifest.model_validate(content)
    except ValidationError as error:
        raise DamagedPlan(
            f"{path} is not the manifest of a plan", "delete it and run the benchmark again"
        ) from error
