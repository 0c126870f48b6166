"""Looks up every component of a config and validates its options."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from mribench.config.loading import blame_settings
from mribench.config.model import BenchmarkConfig
from mribench.config.parts import MethodSpec, TaskSpec
from mribench.config.settings import PretrainOptions, follow_contract
from mribench.defects import HARNESS, check_defects, known_defects, only_reported
from mribench.errors import ConfigError
from mribench.interfaces.entry import Defect
from mribench.interfaces.input_contract import InputContract
from mribench.interfaces.options import ViewsRef
from mribench.interfaces.weights import GivenWeights
from mribench.registry import Registry, Resolved

AUGMENT = "augment"
"""The field of a view generator's options that takes the benchmark's augmentation."""


@dataclass(frozen=True)
class ResolvedPretraining:
    """How a method pretrains its encoder, its components found and valid.

    Attributes:
        views: the view generator, the benchmark's augmentation among its options.
        objective: the objective.
        options: the method's over the defaults.
    """

    views: Resolved
    objective: Resolved
    options: PretrainOptions


@dataclass(frozen=True)
class ResolvedMethod:
    """A method whose components are found and valid.

    Attributes:
        encoder: the method's own, or the default one.
        wanted: what the encoder wants to see.
        overrides: what differs from the defaults: ``encoder``, ``augment``, ``pretrain``,
            ``seed_offset``.
        pretraining: how the encoder is made; None where it is given its weights.
        weights: those that it is given; None where it is pretrained.
    """

    encoder: Resolved
    wanted: InputContract
    overrides: list[str]
    pretraining: ResolvedPretraining | None
    weights: GivenWeights | None = None

    def parts(self) -> list[Resolved]:
        """Return its components."""
        made = self.pretraining
        return [self.encoder] if made is None else [made.views, made.objective, self.encoder]


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
        reference_encoder: the encoder of the reference arms: the default one, or that of the first method.
        reference_wanted: what it wants to see.
        defects: the known defects that are switched on, by name; of the plugins' those that are named or
            are about empty masks.
        measured: the one of them that is switched on to be measured, or an empty string.
        to_measure: the defects of ``measure_defects``, by name.
    """

    config: BenchmarkConfig
    methods: Mapping[str, ResolvedMethod]
    tasks: Mapping[str, ResolvedTask]
    datasets: Mapping[str, Resolved]
    splits: Mapping[str, Resolved]
    reference_encoder: Resolved
    reference_wanted: InputContract
    defects: Mapping[str, Defect] = field(default_factory=dict)
    measured: str = ""
    to_measure: Mapping[str, Defect] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """The profile as results carry it: with the defects that were switched on by name."""
        return self.label_with(self.measured)

    def label_with(self, defect: str) -> str:
        """Return the label of the same benchmark with one more defect switched on."""
        named = {*(self.config.defects or ()), defect} - {""}
        return "+".join([self.config.profile, *sorted(named)])

    def shown_defects(self) -> dict[str, str]:
        """Return every defect that is switched on anywhere, with its sentence."""
        defects = {
            name: defect.summary
            for name, defect in sorted(self.defects.items())
            if name in HARNESS or defect.empty_masks
        }
        methods = [part for method in self.methods.values() for part in method.parts()]
        tasks = [task.task for task in self.tasks.values()]
        tested = {task.spec.data for task in self.tasks.values()}
        splits = [part for name, part in self.splits.items() if name in tested]
        for part in (*methods, *tasks, *splits):
            defects |= dict(part.shown_defects())
        return defects

    def pretrained(self) -> dict[str, ResolvedPretraining]:
        """Return how each method that pretrains its encoder does so, by name."""
        return {name: m.pretraining for name, m in self.methods.items() if m.pretraining is not None}

    def variants(self) -> list[str]:
        """Return the defects that are to be measured by jobs of their own."""
        return [name for name, defect in self.to_measure.items() if not only_reported(defect)]


def resolve(config: BenchmarkConfig, registry: Registry, measured: str = "") -> ResolvedBenchmark:
    """Find every component of a config and validate its options.

    Args:
        config: the benchmark file.
        registry: all entries.
        measured: a defect of ``measure_defects``, to resolve the benchmark with that one switched on too.

    Raises:
        ConfigError: unknown name, unknown key or wrong value, with the file and the key.
    """
    with blame_settings(config):
        return _resolve(config, registry, measured)


def _resolve(config: BenchmarkConfig, registry: Registry, measured: str) -> ResolvedBenchmark:
    start = f"{config.source}: "
    profile = config.profile
    known = known_defects(registry.defects())
    check_defects(config.defects or (), known, f"{start}defects")
    check_defects(config.measure_defects, known, f"{start}measure_defects")
    by_name = None if config.defects is None and not measured else {*(config.defects or ()), measured}
    datasets = {name: _resolve_dataset(config, registry, name) for name in config.data}
    splits = {
        name: registry.resolve(ref, f"{start}splits.{name}", profile, by_name)
        for name, ref in config.splits.items()
    }
    encoder = _resolve_default_encoder(config, registry, by_name)
    methods = {name: _resolve_method(config, registry, name, encoder, by_name) for name in config.methods}
    wanted = encoder.registered.entry.input
    if config.defaults.encoder is None:
        wanted = next(iter(methods.values())).wanted
    tasks = {
        name: ResolvedTask(registry.resolve(spec.task, f"{start}tasks.{name}.task", profile, by_name), spec)
        for name, spec in config.tasks.items()
    }
    if by_name is not None:
        active = {name: known[name] for name in by_name if name}
    elif profile == "as-released":
        active = {name: defect for name, defect in known.items() if name in HARNESS or defect.empty_masks}
    else:
        active = {}
    return ResolvedBenchmark(
        config, methods, tasks, datasets, splits, encoder, wanted,
        defects=active, measured=measured,
        to_measure={name: known[name] for name in config.measure_defects},
    )  # fmt: skip


def _resolve_default_encoder(
    config: BenchmarkConfig, registry: Registry, defects: Collection[str] | None
) -> Resolved:
    """Resolve the default encoder; without one that of the first method, which the others are compared to."""
    chosen, place = config.defaults.encoder, "defaults.encoder"
    if chosen is None:
        first = next(iter(config.methods))
        chosen, place = config.find_encoder(first), config.place_of(first, "encoder")
    if chosen is None:
        raise RuntimeError("a benchmark was validated in which a method has no encoder")
    return registry.resolve(chosen, f"{config.source}: {place}", config.profile, defects)


def _resolve_dataset(config: BenchmarkConfig, registry: Registry, name: str) -> Resolved:
    """Resolve a cohort; an option that is wrong may be null for a variable that is not set."""
    try:
        return registry.resolve(config.data[name], f"{config.source}: data.{name}", config.profile)
    except ConfigError as error:
        empty = config.unset(name) if "got None" in error.message else ""
        raise ConfigError(f"{error.message}{empty}", error.hint) from None


def _resolve_method(
    config: BenchmarkConfig, registry: Registry, name: str, default: Resolved, defects: Collection[str] | None
) -> ResolvedMethod:
    spec = config.methods[name]
    where = f"{config.source}: methods.{name}"
    encoder = default
    chosen, place = config.find_encoder(name), config.place_of(name, "encoder")
    if chosen is not None and place != "defaults.encoder":
        encoder = registry.resolve(chosen, f"{config.source}: {place}", config.profile, defects)
    published = spec.weights.input if spec.weights is not None else None
    wanted = encoder.registered.entry.input.under(published).under(spec.input)
    if spec.views is None or spec.objective is None:
        return ResolvedMethod(encoder, wanted, [], None, spec.weights)
    views, own_augment = _resolve_views(config, registry, name, spec.views, defects)
    objective = registry.resolve(spec.objective, f"{where}.objective", config.profile, defects)
    differs = {
        "encoder": encoder.component() != default.component(),
        AUGMENT: own_augment,
        "pretrain": _merge_pretrain(config, spec),
        "seed_offset": spec.seed_offset > 0,
    }
    overrides = [key for key, different in differs.items() if different]
    options = follow_contract(config.pretrain_of(name), wanted)
    return ResolvedMethod(encoder, wanted, overrides, ResolvedPretraining(views, objective, options))


def _resolve_views(
    config: BenchmarkConfig,
    registry: Registry,
    name: str,
    views: ViewsRef,
    defects: Collection[str] | None,
) -> tuple[Resolved, bool]:
    """Resolve a method's view generator with its augmentation; say whether that is not the default one."""
    spec, default = config.methods[name], config.defaults.augment
    where = f"{config.source}: methods.{name}"
    if not _can_take_augment(registry, views):
        if spec.augment:
            raise ConfigError(
                f"{where}.{AUGMENT}: the views '{views.name}' take no augmentation", f"remove {AUGMENT}"
            )
        return registry.resolve(views, f"{where}.views", config.profile, defects), False
    written = views.options.get(AUGMENT, {})
    if not isinstance(written, dict):  # not for merging: the options model says what is wrong with it
        return registry.resolve(views, f"{where}.views", config.profile, defects), True
    augment = {**default, **spec.augment, **written}
    if augment:
        views = ViewsRef.model_validate({**views.options, AUGMENT: augment, "name": views.name})
    try:
        resolved = registry.resolve(views, f"{where}.views", config.profile, defects)
    except ConfigError as error:
        raise _place(error, config, name, written) from None
    return resolved, augment != default


def _can_take_augment(registry: Registry, views: ViewsRef) -> bool:
    known = views.name in registry.names(views.kind)
    return known and AUGMENT in registry.get(views.kind, views.name).entry.options.model_fields


def _place(
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


def _merge_pretrain(config: BenchmarkConfig, spec: MethodSpec) -> bool:
    """Whether a method's pretraining options change any default one."""
    default = config.defaults.pretrain
    for key in spec.pretrain.model_fields_set:
        given = key in default.model_fields_set
        usual = getattr(default, key) if given else PretrainOptions.model_fields[key].default
        if getattr(spec.pretrain, key) != usual:
            return True
    return False
