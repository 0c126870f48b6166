"""What the jobs of a plan are made of, each part resolved once: thousands of jobs are made of few."""

from __future__ import annotations

import functools
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from mribench.arms import NO_IMAGE
from mribench.config import ResolvedMethod, ResolvedPretraining, ResolvedTask, TaskSpec, follow_contract
from mribench.data.covariates import Covered, find_covered
from mribench.data.subsets import compute_subset_size
from mribench.data.uses import TaskImages
from mribench.interfaces.channels import Channels
from mribench.interfaces.encoder import Decoder, Encoder
from mribench.interfaces.input_contract import InputContract
from mribench.interfaces.objective import Objective
from mribench.interfaces.options import EncoderRef, TaskRef
from mribench.interfaces.subject_task import SubjectTask
from mribench.interfaces.task import Task
from mribench.plan.cohorts import Cohort, tested_sequences
from mribench.registry import Resolved
from mribench.results.cell import EvaluateCell
from mribench.results.content import EntryIdentity
from mribench.results.specification import Covariates, TrainingOptions, Weights

_SCORES = ("metric",)
"""What a task is scored by says nothing about how it is learnt: another metric trains nothing again."""


def identity_of(part: Resolved, without: Collection[str] = ()) -> EntryIdentity:
    """Return an entry as it enters a key.

    Args:
        part: the entry.
        without: kinds of entry whose references inside its options do not count.
    """
    return _typed(part.identity(without))


def _typed(identity: dict[str, Any]) -> EntryIdentity:
    parts = {place: _typed(part) for place, part in identity["parts"].items()}
    return EntryIdentity(**{**identity, "parts": parts})


@dataclass(frozen=True)
class EncoderPart:
    """An encoder as jobs have it."""

    name: str
    reference: EncoderRef
    identity: EntryIdentity
    wanted: InputContract

    @classmethod
    def of(cls, resolved: Resolved, wanted: InputContract) -> EncoderPart:
        """Take the parts of a resolved encoder, and what changes the images that it sees."""
        reference = EncoderRef.model_validate(resolved.component())
        return cls(resolved.name, reference, identity_of(resolved), wanted.effective())

    @functools.cached_property
    def input(self) -> InputContract | None:
        """What it wants to see, as jobs have it; None where that is as the benchmark has it."""
        return self.wanted if self.wanted.asks else None


@dataclass(frozen=True)
class Arm:
    """A row of the leaderboard: what the encoder was, and what is done with it."""

    name: str
    arm: str
    encoder: EncoderPart
    method: ResolvedMethod | None = None

    @property
    def pretraining(self) -> ResolvedPretraining | None:
        """How the method makes its encoder; None where nothing is pretrained."""
        return self.method.pretraining if self.method else None

    @property
    def views(self) -> str | None:
        """Name of the method's view generator."""
        return self.pretraining.views.name if self.pretraining else None

    @property
    def objective(self) -> str | None:
        """Name of the method's objective."""
        return self.pretraining.objective.name if self.pretraining else None

    @property
    def weights(self) -> Weights | None:
        """Weights that the method gives its encoder, as jobs have them."""
        given = self.method.weights if self.method else None
        return given.model_dump(mode="json") if given else None


@dataclass(frozen=True)
class TaskPart:
    """A task as jobs have it.

    Attributes:
        name: in the benchmark file.
        spec: what the file says of it.
        cohort: it is learnt and tested on.
        label: that scans need; None where it needs none.
        target: sequence of the image that it predicts; None where it predicts none.
        has_identity: whether doing nothing is a reference for it.
        sequences_there: that its test subjects have.
        learnt: the task without its metrics, and as it enters a key.
        scored: the whole task, and as it enters a key.
        adapt: how it is learnt.
        covered: which subjects it can be about.
        takes_decoder: whether its decoder may start from a pretrained one.
        about_people: whether one target is predicted for each person.
        has_probe: whether a probe is fitted, and no head trained.
    """

    name: str
    spec: TaskSpec
    cohort: Cohort
    label: str | None
    target: str | None
    has_identity: bool
    sequences_there: tuple[str, ...]
    learnt: TaskRef
    learnt_identity: EntryIdentity
    scored: TaskRef
    scored_identity: EntryIdentity
    adapt: TrainingOptions
    covered: Covered
    takes_decoder: bool
    about_people: bool
    has_probe: bool

    @classmethod
    def of(cls, name: str, resolved: ResolvedTask, cohort: Cohort) -> TaskPart:
        """Take the parts of a resolved task."""
        entry = resolved.task
        task: Task = entry.make()
        return cls(
            name=name,
            spec=resolved.spec,
            cohort=cohort,
            label=task.label,
            target=task.target_sequence,
            has_identity=task.has_identity,
            sequences_there=tested_sequences(cohort, task),
            learnt=TaskRef.model_validate(entry.component(_SCORES)),
            learnt_identity=identity_of(entry, _SCORES),
            scored=TaskRef.model_validate(entry.component()),
            scored_identity=identity_of(entry),
            adapt=resolved.spec.learning.model_dump(mode="json"),
            covered=find_covered(task, cohort.in_split()),
            takes_decoder=task.takes_decoder,
            about_people=isinstance(task, SubjectTask),
            has_probe=has_probe(task),
        )

    def images(self, channels: Channels) -> TaskImages:
        """Return what its samples are made of."""
        return TaskImages(channels, self.label, self.target)

    def learning_for(self, encoder: EncoderPart) -> TrainingOptions:
        """Return how the task is learnt on an encoder, at the voxel size and in the crops that it wants."""
        if encoder.input is None:
            return self.adapt
        return follow_contract(self.spec.learning, encoder.input).model_dump(mode="json")

    @property
    def lr_factors(self) -> list[float]:
        """Multiples of the learning rates that each row chooses from; one where there is no choice."""
        return self.spec.adapt.lr_factors if self.spec.adapt else [1.0]

    def covariates_of(self, ids: Sequence[str]) -> Covariates:
        """Return the covariates that the task needs of some subjects; nothing where it needs none."""
        known = self.covered.covariates
        return {subject: known[subject] for subject in ids if subject in known}


def has_probe(task: Task) -> bool:
    """Whether a probe is fitted for a task, and no head trained."""
    return isinstance(task, SubjectTask) and task.build_probe() is not None


def find_exported_decoder(method: ResolvedMethod) -> Decoder | None:
    """Return the decoder that a method hands over, without values; None where it hands over none."""
    if method.pretraining is None:
        return None
    with torch.random.fork_rng(devices=[]):
        encoder: Encoder = method.encoder.make()
        objective: Objective = method.pretraining.objective.make(encoder)
    decoder = objective.exported_modules().get("decoder")
    return decoder if isinstance(decoder, Decoder) else None


def untrained_cell(
    task: TaskPart, arm: Arm, benchmark: str, profile: str, test_site: str, test_sequence: str
) -> EvaluateCell:
    """Return what the scores of a test are about for which nothing was trained."""
    return EvaluateCell(
        benchmark=benchmark,
        profile=profile,
        method=arm.name,
        views=arm.views,
        objective=arm.objective,
        encoder=None,
        arm=arm.arm,
        task=task.name,
        dataset=task.cohort.name,
        train_site=None,
        test_site=test_site,
        train_sequence=None,
        test_sequence=test_sequence,
        fraction=None,
        n_train_subjects=None,
        subset_seed=None,
        seed=None,
    )


@dataclass(frozen=True)
class Training:
    """A training of a task's head, which an adapt job and its evaluations have in common.

    Attributes:
        task: that is learnt.
        arm: what the encoder is, and what is done with it.
        seed: of the training.
        channels: sequences of the training scans.
        fraction: of the training subjects that are labelled.
        subset_seed: that drew these; None where the train seed did, or where all are labelled.
        train: ids of the labelled subjects.
        lr_factor: multiple of the learning rates that it is there to try; None where it tries none.
    """

    task: TaskPart
    arm: Arm
    seed: int
    channels: Channels
    fraction: float
    subset_seed: int | None
    train: tuple[str, ...]
    lr_factor: float | None = None

    @property
    def sequence(self) -> str:
        """Name of the training scans."""
        return self.channels.name

    def options(self) -> TrainingOptions:
        """Return how it learns; one that tries a learning rate has no other to choose from."""
        options = self.task.learning_for(self.arm.encoder)
        return options if self.lr_factor is None else {**options, "lr_factors": [self.lr_factor]}

    @property
    def id(self) -> str:
        """Its name, for people."""
        row = self.arm.name if self.arm.name == self.arm.arm else f"{self.arm.name}/{self.arm.arm}"
        subset = "" if self.subset_seed is None else f"/subset{self.subset_seed}"
        labels = f"{100 * self.fraction:g}%{subset}"
        rate = "" if self.lr_factor is None else f"/lr×{self.lr_factor:g}"
        return f"{row}/{self.task.name}/{self.sequence}/{labels}/seed{self.seed}{rate}"

    def cell(self, benchmark: str, profile: str, test_site: str, test_sequence: str) -> EvaluateCell:
        """Return what the scores of a test of it are about."""
        cohort = self.task.cohort
        return untrained_cell(self.task, self.arm, benchmark, profile, test_site, test_sequence).model_copy(
            update={
                "encoder": None if self.arm.arm == NO_IMAGE else self.arm.encoder.name,
                "train_site": cohort.sites[0],
                "train_sequence": self.sequence,
                "fraction": self.fraction,
                "n_train_subjects": len(self.train) if cohort.split else None,
                "subset_seed": self.subset_seed,
                "seed": self.seed,
            }
        )


def count_training(what: str, n_subjects: int, fractions: Sequence[float]) -> str:
    """Return how many training subjects there are, and how many each label fraction has."""
    parts = [f"{100 * f:g} % is {compute_subset_size(n_subjects, f)}" for f in fractions if f < 1]
    return f"{what}: {n_subjects} training subjects{'; ' if parts else ''}{', '.join(parts)}"
