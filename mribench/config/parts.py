"""The parts of a benchmark file: splits, defaults, methods, tasks, invariance."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Any, Literal, cast

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    model_serializer,
    model_validator,
)

from mribench.config.settings import AdaptOptions, Count, EmbedOptions, Positive, PretrainPart
from mribench.interfaces.channels import Channels
from mribench.interfaces.fields import Fraction, Word, Words, ascending, unique
from mribench.interfaces.input_contract import InputContract
from mribench.interfaces.options import EncoderRef, ObjectiveRef, Options, SplitRef, TaskRef, ViewsRef
from mribench.interfaces.weights import GivenWeights
from mribench.validation import problem

DEFAULT_SPLIT_RULE = "subject"
"""The rule of a split without ``by``: the one entry that the harness names."""

Augment = dict[str, JsonValue]


def _listed(value: Any) -> Any:
    """Return one sequence as a list of it."""
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list):
        raise ValueError(f"expected a string, or a list of strings, got {value!r}")
    return value


def _named_apart(lists: list[list[str]]) -> list[list[str]]:
    unique([Channels(tuple(sequences)).name for sequences in lists])
    return lists


ChannelLists = Annotated[
    list[Annotated[Words, BeforeValidator(_listed, json_schema_input_type=Word | Words)]],
    Field(min_length=1),
    AfterValidator(_named_apart),
]
"""Sequences, or lists of them that are the channels of one sample."""


class SplitSpec(SplitRef):
    """How the subjects of a cohort are divided: ``{by: rule, options…}``."""

    @model_validator(mode="before")
    @classmethod
    def _from_yaml(cls, value: object) -> object:
        if isinstance(value, SplitRef):
            return {"name": value.name, "options": value.options}
        if isinstance(value, str):
            return {"name": value, "options": {}}
        if not isinstance(value, dict):
            raise ValueError(
                f"expected a mapping such as {{train: 0.7, validation: 0.1, test: 0.2}}, got {value!r}"
            )
        if "name" in value:
            raise problem("name", "unknown key", "the split rule is named by 'by'")
        if not isinstance(value.get("by", ""), str):
            raise problem("by", f"expected a string, got {value['by']!r}")
        options = {key: item for key, item in value.items() if key != "by"}
        return {"name": value.get("by", DEFAULT_SPLIT_RULE), "options": options}

    @model_serializer(mode="plain")
    def _to_yaml(self) -> dict[str, Any]:
        return {"by": self.name, **self.options}


class Defaults(Options):
    """What every method inherits; a method that overrides one of these is flagged in the tables."""

    encoder: EncoderRef | None = Field(
        None,
        description="The encoder; also that of the reference arms. It may be left out where every method "
        "names its own, or has it from the manifest of its weights: it is then that of the first one.",
    )
    augment: Augment = Field(
        default_factory=dict,
        description="Augmentation options, given to every view generator that takes them.",
    )
    pretrain: PretrainPart = Field(
        default_factory=PretrainPart, description="How every method pretrains its encoder."
    )


class MethodSpec(Options):
    """A method: view generator and objective, or weights from a file; what it overrides of the defaults."""

    model_config = ConfigDict(
        json_schema_extra={"anyOf": [{"required": ["views", "objective"]}, {"required": ["weights"]}]}
    )

    views: ViewsRef | None = Field(None, description="The view generator.")
    objective: ObjectiveRef | None = Field(None, description="The self-supervised objective.")
    weights: GivenWeights | None = Field(
        None, description="Weights of the encoder, in place of views and objective: nothing is pretrained."
    )
    encoder: EncoderRef | None = Field(None, description="The encoder, in place of the default one.")
    input: InputContract | None = Field(
        None, description="What the encoder wants to see, laid over what its entry declares."
    )
    augment: Augment = Field(
        default_factory=dict, description="Augmentation options, laid over the default ones."
    )
    pretrain: PretrainPart = Field(
        default_factory=PretrainPart, description="Pretraining options, laid over the default ones."
    )
    seed_offset: Annotated[int, Field(strict=True, ge=0, lt=2**31)] = Field(
        0,
        # a method without one has the settings, and so the results, that it had before there was one
        exclude_if=lambda offset: offset == 0,
        description="Train seed k pretrains with the draws of seed k + this; what comes after is seed k's. "
        "The same method twice, with other draws, shows what chance alone does.",
    )

    @model_validator(mode="after")
    def _check_source(self) -> MethodSpec:
        if self.weights is None:
            for key in ("views", "objective"):
                if getattr(self, key) is None:
                    raise problem(key, "required, and not given")
            return self
        for key in ("views", "objective", "augment", "pretrain", "seed_offset"):
            if key in self.model_fields_set:
                raise problem(
                    key, "not with `weights`: nothing is pretrained", "remove it, or remove weights"
                )
        return self


class TaskSpec(Options):
    """A downstream task on a cohort."""

    model_config = ConfigDict(json_schema_extra={"anyOf": [{"required": ["adapt"]}, {"required": ["embed"]}]})

    task: TaskRef = Field(description="The task.")
    data: str = Field(description="The cohort, one of the names under `data`; it needs a split.")
    train_sequences: ChannelLists = Field(
        description="Sequences to train on, one decoder for each; a list in the list is one sample's "
        "channels, all of one session."
    )
    test_sequences: Literal["same", "all"] | ChannelLists = Field(
        "same",
        description="Sequences each decoder is tested on: those it was trained on; all that a test subject "
        "of the cohort has, those of `train_sequences` first; or a list. Of these, those with as many "
        "channels.",
    )
    fractions: Annotated[list[Fraction], Field(min_length=1), AfterValidator(ascending)] = Field(
        [1.0], description="Shares of the training subjects, ascending, each above 0."
    )
    adapt: AdaptOptions | None = Field(None, description="How a decoder is trained and tested.")
    embed: EmbedOptions | None = Field(
        None, description="How scans are embedded, of a task with a probe, in place of `adapt`."
    )

    @property
    def learning(self) -> AdaptOptions | EmbedOptions:
        """How it is learnt: the one of both that is given."""
        return cast("AdaptOptions | EmbedOptions", self.adapt or self.embed)

    @property
    def learning_key(self) -> str:
        """Where that is written."""
        return "adapt" if self.adapt else "embed"

    @model_validator(mode="after")
    def _check_learning(self) -> TaskSpec:
        if self.adapt and self.embed:
            raise problem(
                "embed", "not with `adapt`: a probe is fitted, or a decoder trained", "remove one of both"
            )
        if not self.adapt and not self.embed:
            raise problem(
                "adapt", "required, and not given", "a task with a probe has `embed: {patch_vox: …}` instead"
            )
        return self

    @property
    def trained_on(self) -> list[Channels]:
        """What each decoder is trained on."""
        return [Channels(tuple(sequences)) for sequences in self.train_sequences]

    @model_validator(mode="after")
    def _check_channels(self) -> TaskSpec:
        for trained_on in self.trained_on:
            if not self.tested_on(trained_on, ()):
                raise problem(
                    "test_sequences",
                    f"nothing to test on for a decoder of {len(trained_on)} channels, {trained_on.name}",
                    "add a list of as many sequences, or write test_sequences: same",
                )
        return self

    def tested_on(self, trained_on: Channels, there: Collection[str]) -> list[Channels]:
        """Return what the decoder trained on some channels is tested on: what has as many.

        Args:
            trained_on: one of ``trained_on``.
            there: the sequences that the test subjects have; none while the data are missing.
        """
        if self.test_sequences == "same":
            return [trained_on]
        if self.test_sequences == "all":
            known = [*self.trained_on, *(Channels((sequence,)) for sequence in sorted(there))]
        else:
            known = [Channels(tuple(sequences)) for sequences in self.test_sequences]
        return [channels for channels in dict.fromkeys(known) if len(channels) == len(trained_on)]

    def all_tested_on(self, there: Collection[str]) -> list[Channels]:
        """Return what any decoder is tested on, in order; ``there`` as in ``tested_on``."""
        tested = [s for trained_on in self.trained_on for s in self.tested_on(trained_on, there)]
        return list(dict.fromkeys(tested))


class InvarianceSpec(Options):
    """How invariant embeddings are to sequence and site, measured on a cohort's test subjects."""

    sequences: Words = Field(description="Sequences whose scans are embedded; two or more to compare.")
    patch_vox: Count = Field(96, description="Edge of the windows that are embedded, in voxels.")
    spacing_mm: Positive | None = Field(
        None, description="Isotropic voxel size of the working grid, in mm; null keeps each image's own."
    )
