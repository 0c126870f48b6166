"""The conformance checks of many entries: what one does wrong ends its own check, and no other."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mribench.config.overrides import Setting, parse_setting
from mribench.errors import ConfigError, MRIBenchError, did_you_mean
from mribench.interfaces import Encoder, EncoderRef
from mribench.registry import Registered, Registry
from mribench.testing.entries import check_entry
from mribench.testing.problems import ConformanceError, NotCheckable
from mribench.wording import printable


@dataclass(frozen=True)
class Finding:
    """What came of the check of one entry.

    Attributes:
        entry: its kind and name.
        status: ``skipped`` where it cannot be checked here.
        why: one line; empty where all is well.
    """

    entry: str
    status: Literal["ok", "skipped", "failed"]
    why: str = ""


def parse_options(registered: Sequence[Registered], settings: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return the options that settings give to entries, by kind and name.

    Args:
        registered: the entries that may be given some.
        settings: each ``KIND.NAME.KEY=VALUE``, or ``KEY=VALUE`` for every one of them with such an option;
            values are YAML.

    Raises:
        ConfigError: for a setting that is none, or that no entry has an option for.
    """
    given: dict[str, dict[str, Any]] = {}
    for text in settings:
        setting = parse_setting(text)
        meant = _select_meant(registered, setting)
        if not meant:
            known = {name for one in registered for name in one.entry.options.model_fields}
            hint = did_you_mean(setting.path[-1], known)
            raise ConfigError(
                f"--set {text}: no entry that is checked has such an option",
                hint or "write --set KIND.NAME.KEY=VALUE, for example --set dataset.NAME.root=FOLDER",
            )
        for entry, path in meant:
            options = given.setdefault(entry, {})
            for key in path[:-1]:
                options = options.setdefault(key, {})
            options[path[-1]] = setting.value
    return given


def _select_meant(registered: Sequence[Registered], setting: Setting) -> list[tuple[str, tuple[str, ...]]]:
    """Return the entries that a setting is for, with its path inside their options."""
    named = []
    for one in registered:
        start = f"{one.entry.kind}.{one.entry.name}."
        if setting.key.startswith(start):
            named.append((_name(one), tuple(setting.key.removeprefix(start).split("."))))
    return named or [
        (_name(one), setting.path) for one in registered if setting.path[0] in one.entry.options.model_fields
    ]


def survey(
    registered: Sequence[Registered],
    registry: Registry,
    options: Mapping[str, Mapping[str, Any]],
    encoder: str | None,
    tell: Callable[[Finding], None],
) -> list[Finding]:
    """Check entries one after the other.

    Args:
        registered: the entries.
        registry: where those that their options name are found.
        options: from ``parse_options``.
        encoder: name of the encoder that objectives are checked with; sample encoders when None.
        tell: called with each finding as it comes.

    Raises:
        ConfigError: when there is no such encoder, or its options are wrong.
    """
    findings = []
    make = _find_maker(registry, encoder, options)
    for one in registered:
        findings.append(_check(one, registry, options.get(_name(one), {}), make))
        tell(findings[-1])
    return findings


def _find_maker(
    registry: Registry, encoder: str | None, options: Mapping[str, Mapping[str, Any]]
) -> Callable[[], Encoder] | None:
    if encoder is None:
        return None
    reference = EncoderRef.model_validate({"name": encoder, **options.get(f"encoder {encoder}", {})})
    return registry.resolve(reference, f"encoder '{encoder}'", "corrected").make


def _check(
    one: Registered, registry: Registry, options: Mapping[str, Any], encoder: Callable[[], Encoder] | None
) -> Finding:
    name = _name(one)
    try:
        check_entry(one, options, registry=registry, encoders=[encoder] if encoder else None)
    except NotCheckable as reason:
        return Finding(name, "skipped", printable(str(reason)))
    except ConformanceError as error:
        return Finding(name, "failed", printable(str(error)))
    except MRIBenchError as error:
        hint = f" ({error.hint})" if error.hint else ""
        return Finding(name, "failed", printable(f"{error.message}{hint}"))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - what a plugin does is its own problem
        said = printable(f"{type(error).__name__}: {error}".removesuffix(": "))
        return Finding(name, "failed", f"{said}, {_place(error, one)}")
    return Finding(name, "ok")


def _place(error: BaseException, one: Registered) -> str:
    """Return file and line of the last call in the entry's own package, or of the last of all."""
    name = getattr(one.entry.factory, "__module__", None) or ""
    top = getattr(sys.modules.get(name.partition(".")[0]), "__file__", None)  # what is built in has none
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if top and Path(frame.filename).is_relative_to(_name_package(Path(top)))]
    frame = (own or frames)[-1]
    return f"{frame.filename}:{frame.lineno}"


def _name_package(top: Path) -> Path:
    return top.parent if top.name == "__init__.py" else top


def _name(one: Registered) -> str:
    return f"{one.entry.kind} {one.entry.name}"
