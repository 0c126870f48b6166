"""The benchmark file as validated models; every key is documented here and nowhere else."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    Field,
    JsonValue,
    PrivateAttr,
    model_serializer,
    model_validator,
)

from mribench.config.fields import Fraction, Seeds, Slug, SubsetSeeds, Word, Words, ascending, unique
from mribench.config.overrides import Applied
from mribench.config.report import ReportSpec
from mribench.config.settings import AdaptOptions, Count, Positive, PretrainOptions, PretrainPart
from mribench.interfaces.options import (
    DatasetRef,
    EncoderRef,
    ObjectiveRef,
    Options,
    Profile,
    SplitRef,
    TaskRef,
    ViewsRef,
)
from mribench.validation import problem

DEFAULT_SPLIT_RULE = "subject"
"""The rule of a split without ``by``: the one entry that the harness names."""

ReferenceArm = Literal["scratch", "random-frozen", "identity"]
"""A row that no method stands behind."""
Arm = Literal["frozen", "finetune"]
"""What is done with a pretrained encoder."""

Augment = dict[str, JsonValue]


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

    encoder: EncoderRef = Field(description="The encoder; also that of the reference arms.")
    augment: Augment = Field(
        default_factory=dict,
        description="Augmentation options, given to every view generator that takes them.",
    )
    pretrain: PretrainPart = Field(
        default_factory=PretrainPart, description="How every method pretrains its encoder."
    )


class MethodSpec(Options):
    """A self-supervised method: view generator, objective, and what it overrides of the defaults."""

    views: ViewsRef = Field(description="The view generator.")
    objective: ObjectiveRef = Field(description="The self-supervised objective.")
    encoder: EncoderRef | None = Field(None, description="The encoder, in place of the default one.")
    augment: Augment = Field(
        default_factory=dict, description="Augmentation options, laid over the default ones."
    )
    pretrain: PretrainPart = Field(
        default_factory=PretrainPart, description="Pretraining options, laid over the default ones."
    )


class TaskSpec(Options):
    """A downstream task on a cohort."""

    task: TaskRef = Field(description="The task.")
    data: str = Field(description="The cohort, one of the names under `data`; it needs a split.")
    train_sequences: Words = Field(description="Sequences to train on, one decoder for each.")
    test_sequences: Literal["same", "all"] | Words = Field(
        "same",
        description="Sequences each decoder is tested on: the one it was trained on; all that a test subject "
        "of the cohort has, those of `train_sequences` first; or a list.",
    )
    fractions: Annotated[list[Fraction], Field(min_length=1), AfterValidator(ascending)] = Field(
        [1.0], description="Shares of the training subjects, ascending, each above 0."
    )
    adapt: AdaptOptions = Field(description="How a decoder is trained and tested.")

    def tested_on(self, train_sequence: str, there: Collection[str]) -> list[str]:
        """Return the sequences that the decoder trained on ``train_sequence`` is tested on.

        Args:
            train_sequence: one of ``train_sequences``.
            there: the sequences that the test subjects have; none while the data are missing.
        """
        if self.test_sequences == "same":
            return [train_sequence]
        if self.test_sequences == "all":
            return list(dict.fromkeys([*self.train_sequences, *sorted(there)]))
        return list(self.test_sequences)

    def all_tested_on(self, there: Collection[str]) -> list[str]:
        """Return the sequences that any decoder is tested on, in order; ``there`` as in ``tested_on``."""
        tested = [s for trained_on in self.train_sequences for s in self.tested_on(trained_on, there)]
        return list(dict.fromkeys(tested))


class InvarianceSpec(Options):
    """How invariant embeddings are to sequence and site, measured on a cohort's test subjects."""

    sequences: Words = Field(description="Sequences whose scans are embedded; two or more to compare.")
    patch_vox: Count = Field(96, description="Edge of the windows that are embedded, in voxels.")
    spacing_mm: Positive | None = Field(
        None, description="Isotropic voxel size of the working grid, in mm; null keeps each image's own."
    )


def not_set(names: Sequence[str]) -> str:
    """Say that variables of the environment are not set, as the end of a message; nothing for none."""
    listed = ", ".join(f"${{{name}}}" for name in names)
    return f" ({listed} {'is' if len(names) == 1 else 'are'} not set)" if names else ""


class BenchmarkConfig(Options):
    """A benchmark file."""

    benchmark: Slug = Field(description="Name of the benchmark; results go to `results/<benchmark>/`.")
    profile: Profile = Field(
        "corrected",
        description="Which protocol is run: what the paper meant, what it says, or what its code computes.",
    )
    defects: Annotated[list[Word], AfterValidator(unique)] | None = Field(
        None,
        description="Known defects that are switched on in the whole benchmark, by name (`mribench list "
        "defects`); null means those of the profile: all in as-released, none in the others.",
    )
    measure_defects: Annotated[list[Word], AfterValidator(unique)] = Field(
        default_factory=list,
        description="Known defects that are each switched on alone, beside the benchmark without them, so "
        "that the table `defects` says what they are worth.",
    )
    size: Slug | None = Field(None, description="Which of `sizes` is laid over this file.")
    seeds: Seeds = Field(
        [0],
        description="Train seeds: seed k pretrains encoder k, which the adaptations of seed k use.",
    )
    subset_seeds: SubsetSeeds = Field(
        None,
        description="Which training subjects make up a label fraction. `per-seed`: those that train seed k "
        "draws, the same for every method, so that the spread over seeds has that of the draw in it. A list: "
        "fixed draws, each with every train seed; what is found then speaks of these subjects. null: "
        "`per-seed` in the profile corrected, `[0]` in the others.",
    )
    data: Annotated[dict[Slug, DatasetRef], Field(min_length=1)] = Field(
        description="Named cohorts; several tasks may share one. `${VARIABLE}` and `${VARIABLE:-default}` "
        "are filled in from the environment; a variable that is not set makes the option null."
    )
    splits: dict[Slug, SplitSpec] = Field(
        default_factory=dict,
        description="How each cohort is divided into training, validation and test subjects; a cohort "
        "without a split is for pretraining only.",
    )
    defaults: Defaults = Field(description="What every method inherits.")
    methods: dict[Slug, MethodSpec] = Field(
        default_factory=dict, description="The self-supervised methods that are compared."
    )
    reference_arms: Annotated[list[ReferenceArm], AfterValidator(unique)] = Field(
        ["scratch", "random-frozen", "identity"],
        description="Rows without pretraining: all trained, random encoder kept frozen, doing nothing.",
    )
    arms: Annotated[list[Arm], Field(min_length=1), AfterValidator(unique)] = Field(
        ["frozen"], description="What is done with each pretrained encoder."
    )
    tasks: Annotated[dict[Slug, TaskSpec], Field(min_length=1)] = Field(
        description="The downstream tasks that the encoders are measured by."
    )
    invariance: dict[Slug, InvarianceSpec] = Field(
        default_factory=dict,
        description="Cohorts on whose test subjects the invariance of every encoder's embeddings is "
        "measured, by name; each needs a split.",
    )
    report: ReportSpec = Field(default_factory=ReportSpec, description="What `mribench report` shows.")
    _source: str = PrivateAttr(default="benchmark")
    _unset: dict[str, tuple[str, ...]] = PrivateAttr(default_factory=dict)
    _applied: tuple[Applied, ...] = PrivateAttr(default=())

    @property
    def source(self) -> str:
        """Name of the file, for error messages."""
        return self._source

    @property
    def fixed_subset_seeds(self) -> list[int] | None:
        """The fixed draws of label subsets; None where each train seed has its own."""
        if isinstance(self.subset_seeds, list):
            return list(self.subset_seeds)
        per_seed = self.subset_seeds == "per-seed" or self.profile == "corrected"
        return None if per_seed else [0]

    def subset_seeds_at(self, fraction: float) -> list[int | None]:
        """Return ``subset_seed`` of the cells of a label fraction.

        None is the draw of the train seed's own. All subjects are the same ones in every draw: None too.
        """
        fixed = self.fixed_subset_seeds
        return [None] if fixed is None or fraction == 1 else list(fixed)

    def unset(self, cohort: str) -> str:
        """Say which variables of the environment a cohort's options name that are not set, or nothing."""
        return not_set(self._unset.get(cohort, ()))

    def pretrain_of(self, method: str) -> PretrainOptions:
        """Return the pretraining options of a method: its own over the defaults."""
        return PretrainOptions(
            **{**self.defaults.pretrain.model_dump(), **self.methods[method].pretrain.model_dump()}
        )

    def place_of(self, method: str, part: str, key: str = "") -> str:
        """Return where a method's encoder or pretraining option is written: its own, or in the defaults.

        Args:
            method: its name.
            part: ``encoder`` or ``pretrain``.
            key: an option of the part; the whole part when empty.
        """
        own = getattr(self.methods[method], part)
        is_own = own is not None and (not key or key in own.model_fields_set)
        return ".".join(filter(None, (f"methods.{method}" if is_own else "defaults", part, key)))

    @model_validator(mode="after")
    def _cross_check(self) -> BenchmarkConfig:
        from mribench.config.checks import cross_check

        cross_check(self)
        return self


def config_digest(config: BenchmarkConfig) -> str:
    """Return ``settings_digest`` of a benchmark file, defaults included."""
    return settings_digest(config.model_dump(mode="json"))


def settings_digest(content: Mapping[str, Any]) -> str:
    """Return 16 hexadecimal digits of the SHA-256 of the canonical JSON of a config.

    Left out are ``report:``, which is shown and not run, and the ``root`` of each cohort: the same data at
    another place are the same settings.

    Args:
        content: a config as JSON, as the manifest of a plan has it.
    """
    settings = {name: value for name, value in content.items() if name not in ("report", "data")}
    settings["data"] = {name: _without_root(dataset) for name, dataset in content["data"].items()}
    text = json.dumps(settings, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _without_root(dataset: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in dataset.items() if name != "root"}
