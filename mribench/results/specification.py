"""What a job is asked to do: one model for each kind of job, and ``job.json``, which holds one of them."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import ConfigDict, Field, JsonValue, TypeAdapter, ValidationError

from mribench.errors import StoreError
from mribench.interfaces.channels import Channels
from mribench.interfaces.input_contract import InputContract
from mribench.interfaces.options import EncoderRef, ObjectiveRef, TaskRef, ViewsRef
from mribench.results.atomic import read_json, write_json
from mribench.results.cell import EmbedCell, EvaluateCell
from mribench.results.content import Content
from mribench.results.read_cohort import ReadCohort, TrainedCohort

JobKind = Literal["pretrain", "adapt", "evaluate", "embed"]
KINDS: tuple[JobKind, ...] = get_args(JobKind)
TrainingOptions = dict[str, JsonValue]
"""Options of a training as a benchmark file spells them out.

They are validated by whoever trains: results of an older mribench, which had others, can still be compared.
"""

Weights = dict[str, JsonValue]
"""Weights from a file, as a benchmark file spells them out; the file itself may be gone by now."""

Covariates = dict[str, dict[str, JsonValue]]
"""Of the subjects of a job, by their ids: those that its task needs, by name."""

SPECIFICATION = "job.json"
_BUILT_ON = ("adapt_key", "pretrain_key", "trial_keys")
_OPTIONAL = ("covariates", "defects", "input", "is_trial", "trial_keys", "weights")
"""Fields that ``job.json`` has where there is something in them."""
_PLACES = ("data", "cohort")
"""Where the data of a job lie, and what a benchmark file calls them: no part of its key."""


@dataclass(frozen=True, kw_only=True)
class _Spec:
    """What every job is asked.

    Attributes:
        profile: of the benchmark.
        encoder: the encoder.
        split_digest: of the subjects, by what they are for.
        defects: known defects of the harness that are switched on.
        input: what the encoder wants to see; None for images as the benchmark has them.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    kind: ClassVar[JobKind]

    profile: str
    encoder: EncoderRef
    split_digest: str
    defects: tuple[str, ...] = ()
    input: InputContract | None = None

    def builds_on(self) -> dict[str, tuple[str, ...]]:
        """Return the keys of the jobs that it builds on, by field.

        A frozen arm keeps its head alone: its evaluation reads the pretrained encoder too.
        """
        there = self.__dataclass_fields__
        return {name: _as_keys(getattr(self, name)) for name in _BUILT_ON if name in there}

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON, without what is optional and empty: defects, weights, covariates, a contract."""
        dumped: dict[str, Any] = _ADAPTERS[self.kind].dump_python(self, mode="json")
        return {name: value for name, value in dumped.items() if not self.leaves_out(name, value)}

    def asked(self) -> dict[str, Any]:
        """Return what of it is in the key, as JSON: not where cohorts lie, nor what a file calls them."""
        return _without_places(self.to_json())

    @staticmethod
    def leaves_out(name: str, value: object) -> bool:
        """Whether a field is left out of the JSON with such a value: it is optional, and empty."""
        return name in _OPTIONAL and not value

    @classmethod
    @functools.cache
    def asked_fields(cls) -> tuple[str, ...]:
        """Return the names of the fields that are in the key, those too that may be left out where empty."""
        return tuple(sorted(each.name for each in fields(cls) if each.name not in _PLACES))

    def asked_of(self, name: str) -> dict[str, Any]:
        """Return one field as ``asked`` has it, by its name; nothing where it is optional and empty."""
        dumped = _without_places(_ADAPTERS[self.kind].dump_python(self, mode="json", include={name}))
        return {} if self.leaves_out(name, dumped[name]) else dumped


@dataclass(frozen=True, kw_only=True)
class _OneCohortSpec(_Spec, ReadCohort):
    """What a job on one cohort is asked."""

    def reads(self) -> tuple[ReadCohort, ...]:
        """Return its cohort."""
        return (ReadCohort(cohort=self.cohort, data=self.data),)


@dataclass(frozen=True, kw_only=True)
class PretrainSpec(_Spec):
    """Pretrain the encoder of a method.

    Attributes:
        views: the view generator.
        objective: the objective.
        sources: the cohorts to train on.
        pretrain: how to train.
        seed: of the training.
    """

    kind: ClassVar[JobKind] = "pretrain"

    views: ViewsRef
    objective: ObjectiveRef
    sources: tuple[TrainedCohort, ...]
    pretrain: TrainingOptions
    seed: int

    def reads(self) -> tuple[ReadCohort, ...]:
        """Return the cohorts to train on."""
        return self.sources

    def moved(self, roots: Mapping[str, str]) -> Self:
        """Return it with other folders for cohorts, by the cohort's name."""
        return replace(self, sources=tuple(source.moved(roots) for source in self.sources))


@dataclass(frozen=True, kw_only=True)
class AdaptSpec(_OneCohortSpec):
    """Train a task's head on an encoder, and the encoder too unless the arm freezes it.

    Attributes:
        task: the task, without its metrics: what it is scored by trains nothing again.
        arm: what is done with the encoder.
        train: ids of the subjects to train on.
        validation: ids of the subjects held out.
        channels: sequences of the training scans, each a channel of a sample.
        adapt: how to train.
        seed: of the training.
        pretrain_key: of the job that made the encoder; None for a new one.
        weights: of the encoder, from a file; None where it has none from outside.
        covariates: that the task needs, of the subjects.
        is_trial: whether it is there to choose a learning rate: a training that diverges is then one that
            scores badly, and no failure.
        trial_keys: of the jobs that scored the validation subjects at each of several learning rates, in the
            order of ``adapt["lr_factors"]``; empty where there is one rate.
    """

    kind: ClassVar[JobKind] = "adapt"

    task: TaskRef
    arm: str
    train: tuple[str, ...]
    validation: tuple[str, ...]
    channels: tuple[str, ...]
    adapt: TrainingOptions
    seed: int
    pretrain_key: str | None
    weights: Weights | None = None
    covariates: Covariates = field(default_factory=dict)
    is_trial: bool = False
    trial_keys: tuple[str, ...] = ()

    @property
    def sequence(self) -> str:
        """Name of the training scans."""
        return Channels(self.channels).name


@dataclass(frozen=True, kw_only=True)
class EvaluateSpec(_OneCohortSpec):
    """Score a task on the test scans of one site and sequence.

    Attributes:
        task: the task.
        subjects: ids of the test subjects.
        adapt: how the head was trained, and how volumes are cut into windows.
        channels: sequences of the test scans, each a channel of a sample.
        cell: what the score rows are about.
        adapt_key: of the job that trained the head; None where nothing is trained.
        pretrain_key: of the job that made the encoder; None for a new one.
        weights: of the encoder, from a file; None where it has none from outside.
        covariates: that the task needs, of the subjects.
    """

    kind: ClassVar[JobKind] = "evaluate"

    task: TaskRef
    subjects: tuple[str, ...]
    adapt: TrainingOptions
    channels: tuple[str, ...]
    cell: EvaluateCell
    adapt_key: str | None
    pretrain_key: str | None
    weights: Weights | None = None
    covariates: Covariates = field(default_factory=dict)

    @property
    def arm(self) -> str:
        """What was done with the encoder."""
        return self.cell.arm

    @property
    def seed(self) -> int | None:
        """Seed of the training; None where nothing is trained."""
        return self.cell.seed


@dataclass(frozen=True, kw_only=True)
class EmbedSpec(_OneCohortSpec):
    """Embed the test scans of a cohort, and measure how invariant that is.

    Attributes:
        subjects: ids of the test subjects.
        sequences: of the scans.
        patch_vox: edge of the windows.
        spacing_mm: of the working grid; None for each scan's own.
        cell: what the rows are about.
        pretrain_key: of the job that made the encoder; None for a new one.
        weights: of the encoder, from a file; None where it has none from outside.
    """

    kind: ClassVar[JobKind] = "embed"

    subjects: tuple[str, ...]
    sequences: tuple[str, ...]
    patch_vox: Annotated[int, Field(gt=0)]
    spacing_mm: float | None
    cell: EmbedCell
    pretrain_key: str | None
    weights: Weights | None = None

    @property
    def seed(self) -> int | None:
        """Seed of the pretraining, and of a new encoder's weights."""
        return self.cell.seed


def _as_keys(value: str | tuple[str, ...] | None) -> tuple[str, ...]:
    """Return the keys that a field holds: none, one, or several."""
    return (value,) if isinstance(value, str) else value or ()


def _without_places(dumped: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in dumped.items() if name not in _PLACES}
    if "sources" in kept:
        kept["sources"] = [_without_places(source) for source in kept["sources"]]
    return kept


JobSpec = PretrainSpec | AdaptSpec | EvaluateSpec | EmbedSpec


def cell_of(spec: JobSpec) -> EvaluateCell | EmbedCell | None:
    """Return what the rows of a job are about; None of a job that trains."""
    return spec.cell if isinstance(spec, EvaluateSpec | EmbedSpec) else None


_ADAPTERS: dict[JobKind, TypeAdapter[Any]] = {
    "pretrain": TypeAdapter(PretrainSpec),
    "adapt": TypeAdapter(AdaptSpec),
    "evaluate": TypeAdapter(EvaluateSpec),
    "embed": TypeAdapter(EmbedSpec),
}


@dataclass(frozen=True)
class Provenance:
    """Where a job comes from, which changes no result.

    Attributes:
        file: name of the benchmark file.
        file_commit: of the checkout that keeps it; ``none`` where none does.
        mribench_commit: of the checkout that mribench runs from.
        sets: changes of the file on the command line.
    """

    file: str = ""
    file_commit: str = "none"
    mribench_commit: str = "none"
    sets: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Specification:
    """What ``job.json`` says.

    Attributes:
        id: of the job, for people.
        spec: what it is asked.
        content: what else its key is made of.
        provenance: where it comes from.
        examples: whether it keeps pictures of scans.
    """

    id: str
    spec: JobSpec
    content: Content
    provenance: Provenance = field(default_factory=Provenance)
    examples: bool = True

    @property
    def kind(self) -> JobKind:
        """Kind of the job."""
        return self.spec.kind

    @property
    def cell(self) -> EvaluateCell | EmbedCell | None:
        """What the rows of the job are about; None of a job that trains."""
        return cell_of(self.spec)


@dataclass(frozen=True)
class _File:
    """``job.json`` but for its payload, whose model depends on the kind."""

    id: str
    kind: JobKind
    payload: dict[str, Any]
    content: Content
    provenance: Provenance = field(default_factory=Provenance)
    examples: bool = True


_FILES = TypeAdapter(_File)


def write_specification(folder: Path, said: Specification) -> None:
    """Write the ``job.json`` of a job."""
    file = _File(said.id, said.kind, said.spec.to_json(), said.content, said.provenance, said.examples)
    write_json(folder / SPECIFICATION, _FILES.dump_python(file, mode="json"))


def read_specification(folder: Path) -> Specification:
    """Read the ``job.json`` of a job.

    Raises:
        StoreError: when it is not there, or not the specification of a job; names the part.
    """
    path = folder / SPECIFICATION
    content = read_json(path)
    place: tuple[str, ...] = ()
    try:
        file = _FILES.validate_python(content)
        place = ("payload",)
        spec: JobSpec = _ADAPTERS[file.kind].validate_python(file.payload)
    except ValidationError as error:
        wrong = ".".join(map(str, (*place, *error.errors()[0]["loc"])))
        part = f": {wrong} is missing, or of another form" if wrong else ""
        raise StoreError(
            f"{path} is not the specification of a job{part}", "restore the file, or delete its folder"
        ) from error
    return Specification(
        id=file.id, spec=spec, content=file.content, provenance=file.provenance, examples=file.examples
    )


def find_specification(folder: Path) -> Specification | None:
    """Read the ``job.json`` of a job, as ``read_specification``; None where it is gone."""
    return read_specification(folder) if (folder / SPECIFICATION).exists() else None
