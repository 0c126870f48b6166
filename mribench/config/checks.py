"""Checks between the parts of a benchmark file."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from pydantic import ValidationError

from mribench.config.settings import PretrainOptions
from mribench.errors import did_you_mean
from mribench.validation import describe, problem

if TYPE_CHECKING:
    from mribench.config.model import BenchmarkConfig


def cross_check(config: BenchmarkConfig) -> None:
    """Check names against each other, and that something is to be done.

    Raises:
        PydanticCustomError: at the first problem, with its place.
    """
    _check_methods(config)
    if config.measure_defects and config.profile == "as-released" and config.defects is None:
        raise problem(
            "measure_defects",
            "the profile as-released has every defect already",
            "measure them in 'corrected' or 'paper'",
        )
    for name in set(config.measure_defects).intersection(config.defects or ()):
        raise problem("measure_defects", f"'{name}' is in 'defects' too, so there is nothing to compare")
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
    _check_layouts(config)


def _check_layouts(config: BenchmarkConfig) -> None:
    """Refuse layouts that show what the benchmark does not have: they would be empty, and nobody knew why."""
    known = {"methods": [*config.methods, *config.reference_arms], "tasks": [*config.tasks]}
    for layout, spec in config.report.layouts.items():
        for field, names in known.items():
            for name in getattr(spec, field) or ():
                if name not in names:
                    place = f"report.layouts.{layout}.{field}"
                    raise problem(place, f"the benchmark has no '{name}'", did_you_mean(name, names))


def _check_methods(config: BenchmarkConfig) -> None:
    from mribench.config.model import ReferenceArm

    if not config.methods and not config.reference_arms:
        raise problem("methods", "no method and no reference arm: nothing to run", "add a method")
    for name, method in config.methods.items():
        if name in get_args(ReferenceArm):
            raise problem(f"methods.{name}", "this name is kept for a reference arm", "choose another name")
        try:
            pretrain = config.pretrain_of(name)
        except ValidationError as error:  # each value is valid by itself, so one is missing
            message, hint = describe(error, PretrainOptions)
            key, _, sentence = message.partition(": ")
            raise problem(f"defaults.pretrain.{key}", sentence, hint) from None
        if pretrain.data not in config.data:
            own = "data" in method.pretrain.model_fields_set
            raise problem(
                f"methods.{name}.pretrain.data" if own else "defaults.pretrain.data",
                f"no cohort '{pretrain.data}' under 'data'",
                did_you_mean(pretrain.data, config.data),
            )
