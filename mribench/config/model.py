"""The benchmark file as a validated model, and the checks between its parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, get_args

from pydantic import AfterValidator, Field, PrivateAttr, ValidationError, model_validator

from mribench.arms import Arm, ReferenceArm, label_row
from mribench.config.execution import ExecutionSpec
from mribench.config.overrides import Applied
from mribench.config.parts import Defaults, InvarianceSpec, MethodSpec, SplitSpec, TaskSpec
from mribench.config.settings import PretrainOptions
from mribench.errors import did_you_mean
from mribench.interfaces.fields import Seeds, Slug, SubsetSeeds, Word, unique
from mribench.interfaces.options import DatasetRef, EncoderRef, Options, Profile
from mribench.interfaces.weights import GivenWeights
from mribench.results.checks import CheckSpec, LadderCheck, list_tasks
from mribench.results.manifest import ReportSpec
from mribench.validation import describe, problem


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
    defaults: Defaults = Field(default_factory=Defaults, description="What every method inherits.")
    methods: dict[Slug, MethodSpec] = Field(
        default_factory=dict, description="The self-supervised methods that are compared."
    )
    reference_arms: Annotated[list[ReferenceArm], AfterValidator(unique)] = Field(
        ["scratch", "random-frozen", "identity", "no-image"],
        description="Rows without pretraining: all trained, random encoder kept frozen, and, for the tasks "
        "that have such a row, doing nothing, or predicting the same for every person.",
    )
    arms: Annotated[list[Arm], Field(min_length=1), AfterValidator(unique)] = Field(
        ["frozen"],
        description="What is done with each pretrained encoder: kept, or trained too. With `+decoder` tasks "
        "start from the decoder that was pretrained with it, where an objective hands one over.",
    )
    tasks: Annotated[dict[Slug, TaskSpec], Field(min_length=1)] = Field(
        description="The downstream tasks that the encoders are measured by."
    )
    invariance: dict[Slug, InvarianceSpec] = Field(
        default_factory=dict,
        description="Cohorts on whose test subjects the invariance of every encoder's embeddings is "
        "measured, by name; each needs a split.",
    )
    checks: list[CheckSpec] = Field(
        default_factory=list,
        description="What the benchmark must show of itself, for `mribench check`; it changes no result.",
    )
    report: ReportSpec = Field(default_factory=ReportSpec, description="What `mribench report` shows.")
    execution: ExecutionSpec = Field(
        default_factory=ExecutionSpec,
        description="How `mribench run` runs it, unless its options say otherwise; it changes no result.",
    )
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

    def pretrain_seed(self, method: str, seed: int) -> int:
        """Return the seed that a method's encoder is pretrained with at a train seed."""
        return seed + self.methods[method].seed_offset

    def find_encoder(self, method: str) -> EncoderRef | None:
        """Return the encoder of a method: its own, that of its weights, or the default one."""
        spec = self.methods[method]
        of_weights = spec.weights.encoder if spec.weights else None
        return spec.encoder or of_weights or self.defaults.encoder

    def place_of(self, method: str, part: str, key: str = "") -> str:
        """Return where a method's encoder or pretraining option is written: its own, or in the defaults.

        Args:
            method: its name.
            part: ``encoder`` or ``pretrain``; an encoder may be that of the weights too.
            key: an option of the part; the whole part when empty.
        """
        spec = self.methods[method]
        own = getattr(spec, part)
        if part == "encoder" and own is None and spec.weights and spec.weights.encoder:
            return f"methods.{method}.weights.encoder"
        is_own = own is not None and (not key or key in own.model_fields_set)
        return ".".join(filter(None, (f"methods.{method}" if is_own else "defaults", part, key)))

    @model_validator(mode="after")
    def _check_names(self) -> BenchmarkConfig:
        _cross_check(self)
        return self


def _cross_check(config: BenchmarkConfig) -> None:
    """Check names against each other, and that something is to be done.

    Raises:
        PydanticCustomError: at the first problem, with its place.
    """
    _check_methods(config)
    _check_defects(config)
    _check_cohorts(config)
    _check_layouts(config)
    _check_checks(config)


def _check_defects(config: BenchmarkConfig) -> None:
    if config.measure_defects and config.profile == "as-released" and config.defects is None:
        raise problem(
            "measure_defects",
            "the profile as-released has every defect already",
            "measure them in 'corrected' or 'paper'",
        )
    for name in set(config.measure_defects).intersection(config.defects or ()):
        raise problem("measure_defects", f"'{name}' is in 'defects' too, so there is nothing to compare")


def _check_cohorts(config: BenchmarkConfig) -> None:
    """Check what splits, invariance and tasks say of cohorts."""
    for name in config.splits:
        if name not in config.data:
            raise problem(f"splits.{name}", "no such cohort under 'data'", did_you_mean(name, config.data))
    for name, spec in config.invariance.items():
        if name not in config.splits:
            known = f"add splits.{name}" if name in config.data else did_you_mean(name, config.data)
            raise problem(f"invariance.{name}", "no cohort of this name has a split", known)
        if len(spec.sequences) < 2:
            raise problem(
                f"invariance.{name}.sequences",
                f"needs two or more to compare, got {spec.sequences[0]} alone",
                "add the sequences that the embeddings should not depend on",
            )
    for name, task in config.tasks.items():
        place = f"tasks.{name}.data"
        if task.data not in config.data:
            raise problem(
                place, f"no cohort '{task.data}' under 'data'", did_you_mean(task.data, config.data)
            )
        if task.data not in config.splits:
            raise problem(place, f"cohort '{task.data}' has no split", f"add splits.{task.data}")


def _check_layouts(config: BenchmarkConfig) -> None:
    """Refuse layouts that show what the benchmark does not have: they would be empty, and nobody knew why."""
    known = {"methods": [*config.methods, *config.reference_arms], "tasks": [*config.tasks]}
    for layout, spec in config.report.layouts.items():
        for field, names in known.items():
            for name in getattr(spec, field) or ():
                if name not in names:
                    place = f"report.layouts.{layout}.{field}"
                    raise problem(place, f"the benchmark has no '{name}'", did_you_mean(name, names))


def _check_checks(config: BenchmarkConfig) -> None:
    """Refuse checks of rows and tasks that the benchmark does not have: known before it is run."""
    arms = (*config.arms, *config.reference_arms)
    rows = [label_row(name, arm) for name in config.methods for arm in arms] + [*config.reference_arms]
    for place, check in enumerate(config.checks):
        for row in check.rows():
            if row not in rows:
                raise problem(f"checks.{place}", f"the benchmark has no row '{row}'", did_you_mean(row, rows))
        if isinstance(check, LadderCheck) and check.task is None and len(config.tasks) > 1:
            raise problem(f"checks.{place}.task", "required, as there are several tasks", "name one")
        for key, name in list_tasks(check):
            if name not in config.tasks:
                known = did_you_mean(name, config.tasks)
                raise problem(f"checks.{place}.{key}", f"the benchmark has no task '{name}'", known)


def _check_methods(config: BenchmarkConfig) -> None:
    if not config.methods and not config.reference_arms:
        raise problem("methods", "no method and no reference arm: nothing to run", "add a method")
    if not config.methods and config.defaults.encoder is None:
        raise problem("defaults.encoder", "required, as no method brings one", "name the encoder")
    for name, method in config.methods.items():
        if name in get_args(ReferenceArm):
            raise problem(f"methods.{name}", "this name is kept for a reference arm", "choose another name")
        if config.find_encoder(name) is None:
            raise problem(
                f"methods.{name}.encoder",
                "required, as there is no defaults.encoder",
                "name one here, or one for every method under defaults",
            )
        if method.weights is not None:
            _check_pretrained_on(config, name, method.weights)
            continue
        try:
            pretrain = config.pretrain_of(name)
        except ValidationError as error:  # each value is valid by itself, so one is missing
            wrong = describe(error, PretrainOptions)
            raise problem(f"defaults.pretrain.{wrong.place}", wrong.sentence, wrong.hint) from None
        _check_sources(config, name, pretrain)
        _check_seeds(config, name)


def _check_seeds(config: BenchmarkConfig, name: str) -> None:
    """Refuse an offset by which one seed's encoder is another seed's: the two would be no other draws."""
    offset = config.methods[name].seed_offset
    both = sorted(set(config.seeds) & {config.pretrain_seed(name, seed) for seed in config.seeds})
    if offset and both:
        raise problem(
            f"methods.{name}.seed_offset",
            f"train seed {both[0] - offset} would pretrain with the draws of train seed {both[0]}",
            f"give an offset above {max(config.seeds) - min(config.seeds)}",
        )


def _check_sources(config: BenchmarkConfig, name: str, pretrain: PretrainOptions) -> None:
    """Check that the cohorts that a method pretrains on are there, and have one voxel size together."""
    for source in pretrain.data:
        if source.cohort not in config.data:
            raise problem(
                config.place_of(name, "pretrain", "data"),
                f"no cohort '{source.cohort}' under 'data'",
                did_you_mean(source.cohort, config.data),
            )
    if len(pretrain.data) > 1 and pretrain.spacing_mm is None:
        raise problem(
            config.place_of(name, "pretrain", "spacing_mm"),
            f"required to pretrain on {len(pretrain.data)} cohorts, whose voxels may differ",
            "give the edge of a voxel of the working grid, in mm",
        )


def _check_pretrained_on(config: BenchmarkConfig, name: str, weights: GivenWeights) -> None:
    for person in weights.people:
        if not all(part.strip() for part in person.split(":", 1)):
            raise problem(
                f"methods.{name}.weights.pretrained_on",
                f"expected a person as namespace:name, got '{person}'",
                "write both, as data sets name their subjects",
            )
    for cohort in weights.cohorts:
        if cohort not in config.data:
            raise problem(
                f"methods.{name}.weights.pretrained_on",
                f"no cohort '{cohort}' under 'data', and no person, which is written namespace:name",
                did_you_mean(cohort, config.data),
            )
