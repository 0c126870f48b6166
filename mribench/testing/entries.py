"""The check of a registered entry, whatever its kind."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from mribench.errors import ConfigError, MRIBenchError, PluginError
from mribench.interfaces import Component, Dataset, Encoder, Entry, SetMetric
from mribench.interfaces.options import (
    DatasetRef,
    DecoderRef,
    EncoderRef,
    MetricRef,
    ObjectiveRef,
    ProbeRef,
    Profile,
    SequenceRef,
    SplitRef,
    TaskRef,
    TrackerRef,
    ViewsRef,
)
from mribench.plugins import load_registry
from mribench.registry import Registered, Registry, Resolved
from mribench.testing.datasets import check_dataset
from mribench.testing.encoders import check_decoder, check_encoder
from mribench.testing.metrics import check_metric
from mribench.testing.objectives import SAMPLE_ENCODERS, check_objective
from mribench.testing.probes import check_probe
from mribench.testing.problems import ConformanceError, NotCheckable, require
from mribench.testing.set_metrics import check_set_metric
from mribench.testing.tables import check_tables
from mribench.testing.tasks import check_task
from mribench.testing.trackers import check_tracker
from mribench.testing.views import check_sequence, check_views
from mribench.wording import with_hint

_NAME = re.compile(r"[a-z0-9]+([-.:][a-z0-9]+)*")
_REFERENCES: Mapping[str, type[Component]] = {
    reference.kind: reference
    for reference in (
        DatasetRef, DecoderRef, EncoderRef, MetricRef, ObjectiveRef, ProbeRef, SequenceRef, SplitRef,
        TaskRef, TrackerRef, ViewsRef,
    )
}  # fmt: skip


def check_entry(
    entry: Entry | Registered,
    options: Mapping[str, Any] | None = None,
    profile: Profile = "corrected",
    registry: Registry | None = None,
    encoders: Sequence[Callable[[], Encoder]] | None = None,
) -> None:
    """Check an entry's name, options and documentation, then build it and check what it is.

    Args:
        entry: as a plugin's ``mribench_entries`` returns it.
        options: as a benchmark file would give them; the defaults where left out.
        profile: given to options with a field ``profile``.
        registry: where the entries that the options name are found; the installed plugins when None.
        encoders: what an objective is checked with; sample encoders when None.

    Raises:
        ConformanceError: at the first rule that it breaks.
        ConfigError: when the options are wrong.
        NotCheckable: when the package behind a tracker or encoder is not installed, an entry without options
            needs one or the files of a dataset, or an objective takes none of the encoders.
    """
    registered = entry if isinstance(entry, Registered) else Registered(entry, "under test", "local", "0")
    entry = registered.entry
    _check_description(registered)
    if entry.kind == "table":
        check_tables(entry.factory(entry.options.model_validate(dict(options or {}))))
    if entry.kind not in _REFERENCES or entry.kind == "split":
        return
    if not options:
        _require_no_option(entry)
    resolved = _resolve(registered, dict(options or {}), profile, registry or load_registry())
    if entry.kind == "dataset" and not options:
        _require_files(resolved)
    if entry.kind == "objective":
        check_objective(resolved.make, encoders or SAMPLE_ENCODERS)
    else:
        _CHECKS[entry.kind](resolved)


def _check_description(registered: Registered) -> None:
    entry = registered.entry
    what = f"{entry.kind} '{entry.name}'"
    require(bool(_NAME.fullmatch(entry.name)), f"{what}: a name is lower case with hyphens")
    require(bool(entry.summary), f"{what}: has no summary for 'mribench list'")
    for name, field in entry.options.model_fields.items():
        require(bool(field.description), f"{what}: the option '{name}' has no description")
    require("properties" in entry.options.model_json_schema(), f"{what}: its options have no JSON schema")
    require(len(registered.digest) == 64, f"{what}: the source of its factory cannot be found")


def _resolve(
    registered: Registered, options: dict[str, Any], profile: Profile, registry: Registry
) -> Resolved:
    entry = registered.entry
    if entry.name not in registry.names(entry.kind):
        registry.add(registered)
    component = _REFERENCES[entry.kind].model_validate({"name": entry.name, **options})
    return registry.resolve(component, f"{entry.kind} '{entry.name}'", profile)


def _make(resolved: Resolved) -> Any:
    try:
        return resolved.make()
    except MRIBenchError as error:
        raise ConformanceError(
            f"'{resolved.name}' cannot be built: {with_hint(error.message, error.hint)}"
        ) from error


def _require_no_option(entry: Entry) -> None:
    """Skip an entry that nobody gave the options that it has no defaults for."""
    for key, field in entry.options.model_fields.items():
        if field.is_required():
            raise NotCheckable(
                f"'{entry.name}' needs the option '{key}': give it by --set {entry.kind}.{entry.name}.{key}="
                "VALUE, or to check_entry()"
            )


def _require_files(resolved: Resolved) -> None:
    """Skip a dataset that nobody gave a folder: that its files are elsewhere is no fault of its code."""
    dataset = _make(resolved)
    missing = dataset.missing() if isinstance(dataset, Dataset) else ""
    if missing:
        raise NotCheckable(f"'{resolved.name}' cannot be checked without its files: {missing}")


def _check_any_encoder(resolved: Resolved) -> None:
    try:
        encoder = resolved.make()
    except PluginError as error:
        raise NotCheckable(f"'{resolved.name}' cannot be built here: {error.message}") from error
    except MRIBenchError as error:
        raise ConformanceError(
            f"'{resolved.name}' cannot be built: {with_hint(error.message, error.hint)}"
        ) from error
    check_encoder(encoder)


def _check_any_metric(resolved: Resolved) -> None:
    metric = _make(resolved)
    require(metric.id == resolved.name, f"metric '{resolved.name}': its id is '{metric.id}'")
    if isinstance(metric, SetMetric):
        check_set_metric(metric)
    else:
        check_metric(metric)


def _check_any_tracker(resolved: Resolved) -> None:
    _check_command_line(resolved)
    try:
        resolved.make()
    except PluginError as error:
        raise NotCheckable(f"'{resolved.name}' cannot be built here: {error.message}") from error
    except ImportError as error:
        raise ConformanceError(
            f"tracker '{resolved.name}': raised {type(error).__name__} ({error}); say by a PluginError which"
            " package is missing"
        ) from error
    check_tracker(resolved.make)


def _check_command_line(resolved: Resolved) -> None:
    """``--track name:key=value`` gives every option as text."""
    model, what = resolved.registered.entry.options, f"tracker '{resolved.name}'"
    for name, field in model.model_fields.items():
        if isinstance(field.default, (str, bool, int, float)):
            try:
                model.model_validate({name: str(field.default)})
            except ValidationError as error:
                raise ConformanceError(
                    f"{what}: the option '{name}' cannot be given as text, which '--track' does:"
                    f" {error.errors()[0]['msg']}"
                ) from error
    try:
        model.model_validate({"no such option": "x"})
    except (ValidationError, ConfigError):
        return
    raise ConformanceError(f"{what}: its options take keys that they do not have; derive them from Options")


_CHECKS: Mapping[str, Callable[[Resolved], None]] = {
    "dataset": lambda resolved: check_dataset(_make(resolved)),
    "decoder": lambda resolved: check_decoder(resolved.make),
    "encoder": _check_any_encoder,
    "metric": _check_any_metric,
    "probe": lambda resolved: check_probe(resolved.make),
    "sequence": lambda resolved: check_sequence(_make(resolved)),
    "task": lambda resolved: check_task(_make(resolved)),
    "tracker": _check_any_tracker,
    "views": lambda resolved: check_views(_make(resolved)),
}
