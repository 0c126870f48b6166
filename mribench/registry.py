"""(kind, name) → entry; resolves the components of a benchmark file."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from mribench.errors import ConfigError, PluginError, did_you_mean
from mribench.interfaces.entry import KINDS, Defect, Entry
from mribench.interfaces.input_file import by_content
from mribench.interfaces.options import Component, Options, ProtocolOptions
from mribench.source_digest import source_digest
from mribench.validation import describe
from mribench.wording import count


@dataclass(frozen=True)
class Registered:
    """An entry and where it comes from."""

    entry: Entry
    plugin: str
    distribution: str
    version: str

    @functools.cached_property
    def digest(self) -> str:
        """Digest of the source behind the entry."""
        return source_digest(self.entry.factory.__module__)


@dataclass(frozen=True)
class Resolved:
    """A component whose name was found and whose options are valid.

    Attributes:
        registered: the entry and its origin.
        options: validated; the references in it can be made.
        parts: the components inside the options, by their place in them.
    """

    registered: Registered
    options: Options
    parts: Mapping[str, Resolved] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Name of the entry."""
        return self.registered.entry.name

    def make(self, *args: Any) -> Any:
        """Build the entry."""
        return self.registered.entry.factory(self.options, *args)

    def identity(self, without: Collection[str] = ()) -> dict[str, Any]:
        """Return what enters a content key: name, options, distribution, source digest, parts.

        Args:
            without: kinds of entry whose references inside the options do not count.
        """
        parts = {
            place: part for place, part in self.parts.items() if part.registered.entry.kind not in without
        }
        return {
            "kind": self.registered.entry.kind,
            "name": self.name,
            "distribution": self.registered.distribution,
            "source": self.registered.digest,
            "options": by_content(self._dumped(without)),
            "parts": {place: part.identity() for place, part in sorted(parts.items())},
        }

    def shown_defects(self) -> Iterator[tuple[str, str]]:
        """Yield (name, sentence) of the defects that the options, or those of their parts, switch on."""
        if isinstance(self.options, ProtocolOptions):
            for defect in self.registered.entry.defects:
                if self.options.shows(defect.name):
                    yield defect.name, defect.summary
        for part in self.parts.values():
            yield from part.shown_defects()

    def component(self, without: Collection[str] = ()) -> dict[str, Any]:
        """Return the component as a benchmark file would spell it out, every default included.

        Args:
            without: kinds of entry whose references are left to the defaults.
        """
        return {"name": self.name, **self._dumped(without)}

    def _dumped(self, without: Collection[str]) -> dict[str, Any]:
        left_out = {
            place.partition(".")[0]
            for place, part in self.parts.items()
            if part.registered.entry.kind in without
        }
        return self.options.model_dump(mode="json", exclude=left_out)


class Registry:
    """All entries of all loaded plugins."""

    def __init__(self) -> None:
        self._entries: dict[tuple[str, str], Registered] = {}
        self.problems: list[str] = []
        """One sentence for each plugin that was skipped."""

    def add(self, registered: Registered) -> None:
        """Add an entry.

        Raises:
            PluginError: for an unknown kind, and for a name that is taken, naming both owners.
        """
        entry = registered.entry
        if entry.kind not in KINDS:
            raise PluginError(
                f"plugin '{registered.plugin}' registers '{entry.name}' of unknown kind '{entry.kind}'",
                did_you_mean(entry.kind, KINDS),
            )
        key = (entry.kind, entry.name)
        if key in self._entries:
            first = self._entries[key]
            raise PluginError(
                f"{entry.kind} '{entry.name}' is registered twice: by plugin '{first.plugin}' of "
                f"{first.distribution} and by plugin '{registered.plugin}' of {registered.distribution}",
                "rename one of them, or uninstall one of the two distributions",
            )
        self._entries[key] = registered

    def get(self, kind: str, name: str) -> Registered:
        """Return an entry.

        Raises:
            PluginError: when there is none, with the closest name and the plugins that were skipped.
        """
        if (kind, name) not in self._entries:
            hint = did_you_mean(name, self.names(kind))
            if self.problems:
                hint += f"; {count(len(self.problems), 'plugin')} did not load: {'; '.join(self.problems)}"
            raise PluginError(f"unknown {kind} '{name}'", hint)
        return self._entries[kind, name]

    def names(self, kind: str) -> list[str]:
        """Return the names of a kind, sorted."""
        return sorted(name for known, name in self._entries if known == kind)

    def defects(self) -> Iterator[Defect]:
        """Yield the known defects of all entries."""
        for registered in self:
            yield from registered.entry.defects

    def __iter__(self) -> Iterator[Registered]:
        return iter(self._entries[key] for key in sorted(self._entries))

    def resolve(
        self, component: Component, where: str, profile: str, defects: Collection[str] | None = None
    ) -> Resolved:
        """Find a component's entry and validate its options, and those of the components in them.

        Args:
            component: from a benchmark file or an options model.
            where: its place, for error messages, e.g. ``paper.yaml: methods.base.views``.
            profile: given to options models with a field ``profile``.
            defects: names of the defects that are switched on; those of the profile when None.

        Raises:
            ConfigError: unknown name, unknown key, or wrong value, with its place.
        """
        try:
            registered = self.get(component.kind, component.name)
        except PluginError as error:
            raise ConfigError(f"{where}: {error.message}", error.hint) from None
        model = registered.entry.options
        values = dict(component.options)
        if "profile" in model.model_fields:
            values.setdefault("profile", profile)
        own = [defect.name for defect in registered.entry.defects]
        if "defects" in model.model_fields and defects is not None:
            # where nothing of it is meant, nothing is said: its jobs are those of a file without defects
            shown = [name for name in own if name in defects]
            if shown or values.get("profile") == "as-released":
                values.setdefault("defects", shown)
        try:
            options = model.model_validate(values)
        except ValidationError as error:
            wrong = describe(error, model, where)
            raise ConfigError(wrong.message, wrong.hint) from None
        for name in getattr(options, "defects", None) or ():
            if name not in own:
                raise ConfigError(
                    f"{where}.defects: {component.kind} '{component.name}' has no defect '{name}'",
                    did_you_mean(name, own),
                )
        parts = {
            place: self.resolve(part, f"{where}.{place}", profile, defects)
            for place, part in references(options)
        }
        return Resolved(registered, _bind(options, parts), parts)


def references(options: Options) -> Iterator[tuple[str, Component]]:
    """Yield (place, component) for the references in an options model: ``("metrics.0", …)``."""
    for name in type(options).model_fields:
        value = getattr(options, name)
        if isinstance(value, Component):
            yield name, value
        elif isinstance(value, list | tuple):
            yield from ((f"{name}.{i}", item) for i, item in enumerate(value) if isinstance(item, Component))


def _bind(options: Options, parts: Mapping[str, Resolved]) -> Options:
    update: dict[str, Any] = {}
    for name in type(options).model_fields:
        value = getattr(options, name)
        if isinstance(value, Component):
            update[name] = _bound(value, parts[name])
        elif isinstance(value, list | tuple) and any(isinstance(item, Component) for item in value):
            update[name] = [
                _bound(item, parts[f"{name}.{i}"]) if isinstance(item, Component) else item
                for i, item in enumerate(value)
            ]
    return options.model_copy(update=update) if update else options


def _bound(component: Component, part: Resolved) -> Component:
    """Return a reference that can be made, its defaults spelled out: writing one is no other component."""
    spelled_out = component.model_copy(update={"options": part.options.model_dump(mode="json")})
    return spelled_out.bound(part.make)
