"""Looks up every component of a config and validates its options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mribench.config.model import BenchmarkConfig, MethodSpec, TaskSpec
from mribench.config.settings import PretrainOptions
from mribench.errors import ConfigError
from mribench.interfaces.options import ViewsRef
from mribench.registry import Registry, Resolved

AUGMENT = "augment"
"""The field of a view generator's options that takes the benchmark's augmentation."""


@dataclass(frozen=True)
class ResolvedMethod:
    """A method whose components are found and valid.

    Attributes:
        views: the view generator, the benchmark's augmentation among its options.
        objective: the objective.
        encoder: the method's own, or the default one.
        pretrain: the method's options over the defaults.
        overrides: what differs from the defaults: ``encoder``, ``augment``, ``pretrain``.
    """

    views: Resolved
    objective: Resolved
    encoder: Resolved
    pretrain: PretrainOptions
    overrides: list[str]


@dataclass(frozen=True)
class ResolvedTask:
    """A task that is found and valid, and what the file says about it."""

    task: Resolved
    spec: TaskSpec


@dataclass(frozen=True)
class ResolvedBenchmark:
    """A config all of whose components are found and valid.

    Attributes:
        config: as read.
        methods: by name.
        tasks: by name.
        datasets: by the name of the cohort.
        splits: by the name of the cohort.
        reference_encoder: the encoder of the reference arms.
    """

    config: BenchmarkConfig
    methods: Mapping[str, ResolvedMethod]
    tasks: Mapping[str, ResolvedTask]
    datasets: Mapping[str, Resolved]
    splits: Mapping[str, Resolved]
    reference_encoder: Resolved


def resolve(config: BenchmarkConfig, registry: Registry) -> ResolvedBenchmark:
    """Find every component of a config and validate its options.

    Raises:
        ConfigError: unknown name, unknown key or wrong value, with the file and the key.
    """
    start = f"{config.source}: "
    profile = config.profile
    datasets = {
        name: registry.resolve(ref, f"{start}data.{name}", profile) for name, ref in config.data.items()
    }
    splits = {
        name: registry.resolve(ref, f"{start}splits.{name}", profile) for name, ref in config.splits.items()
    }
    encoder = registry.resolve(config.defaults.encoder, f"{start}defaults.encoder", profile)
    methods = {name: _method(config, registry, name, encoder) for name in config.methods}
    tasks = {
        name: ResolvedTask(registry.resolve(spec.task, f"{start}tasks.{name}.task", profile), spec)
        for name, spec in config.tasks.items()
    }
    return ResolvedBenchmark(config, methods, tasks, datasets, splits, encoder)


def _method(config: BenchmarkConfig, registry: Registry, name: str, default: Resolved) -> ResolvedMethod:
    spec = config.methods[name]
    where = f"{config.source}: methods.{name}"
    views, own_augment = _views(config, registry, name)
    objective = registry.resolve(spec.objective, f"{where}.objective", config.profile)
    encoder = default
    if spec.encoder is not None:
        encoder = registry.resolve(spec.encoder, f"{where}.encoder", config.profile)
    differs = {
        "encoder": encoder.component() != default.component(),
        AUGMENT: own_augment,
        "pretrain": _own_pretrain(config, spec),
    }
    overrides = [key for key, different in differs.items() if different]
    return ResolvedMethod(views, objective, encoder, config.pretrain_of(name), overrides)


def _views(config: BenchmarkConfig, registry: Registry, name: str) -> tuple[Resolved, bool]:
    """Resolve a method's view generator with its augmentation; say whether that is not the default one."""
    spec, default = config.methods[name], config.defaults.augment
    where = f"{config.source}: methods.{name}"
    if not _takes_augment(registry, spec.views):
        if spec.augment:
            raise ConfigError(
                f"{where}.{AUGMENT}: the views '{spec.views.name}' take no augmentation", f"remove {AUGMENT}"
            )
        return registry.resolve(spec.views, f"{where}.views", config.profile), False
    written = spec.views.options.get(AUGMENT, {})
    if not isinstance(written, dict):  # not for merging: the options model says what is wrong with it
        return registry.resolve(spec.views, f"{where}.views", config.profile), True
    augment = {**default, **spec.augment, **written}
    views = spec.views
    if augment:
        views = ViewsRef.model_validate({**views.options, AUGMENT: augment, "name": views.name})
    try:
        resolved = registry.resolve(views, f"{where}.views", config.profile)
    except ConfigError as error:
        raise _placed(error, config, name, written) from None
    return resolved, augment != default


def _takes_augment(registry: Registry, views: ViewsRef) -> bool:
    known = views.name in registry.names(views.kind)
    return known and AUGMENT in registry.get(views.kind, views.name).entry.options.model_fields


def _placed(
    error: ConfigError, config: BenchmarkConfig, name: str, written: Mapping[str, object]
) -> ConfigError:
    """Return an error about the merged augmentation with the place that the user wrote it in."""
    start = f"{config.source}: methods.{name}.views.{AUGMENT}"
    rest = error.message.removeprefix(start)
    if rest == error.message:
        return error
    key = rest.removeprefix(".").partition(":")[0].partition(".")[0]
    if key in written:
        return error
    own = key in config.methods[name].augment
    place = f"methods.{name}.{AUGMENT}" if own else f"defaults.{AUGMENT}"
    return ConfigError(f"{config.source}: {place}{rest}", error.hint)


def _own_pretrain(config: BenchmarkConfig, spec: MethodSpec) -> bool:
    """Whether a method's pretraining options change any default one."""
    default = config.defaults.pretrain
    for key in spec.pretrain.model_fields_set:
        given = key in default.model_fields_set
        usual = getattr(default, key) if given else PretrainOptions.model_fields[key].default
        if getattr(spec.pretrain, key) != usual:
            return True
    return False
