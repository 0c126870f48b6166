"""Entries that a command asks for by name with options, and those of executors that a user always wants.

A benchmark file may say where it runs, for everybody; which partition and account that is in one lab stands
in the user's own file, and goes before it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click

from mribench.config.reading import read_file
from mribench.errors import ConfigError
from mribench.interfaces.executor import Executor, Resources
from mribench.interfaces.options import ExecutorRef
from mribench.registry import Registry, Resolved

CONFIG = "MRIBENCH_CONFIG"
"""Environment variable: folder of the user's own files; ~/.config/mribench by default."""
EXECUTORS = "executors.yaml"
_NEXT = re.compile(r"^(?:(?!//).)*:\s*[A-Za-z_]\w*\s*=")
"""Another option after a colon; what comes after ``//`` is of a URI."""


def split_asked(flag: str, text: str) -> tuple[str, dict[str, str]]:
    """Split ``name:key=value,key=value`` into name and options.

    Args:
        flag: of the command line, for messages.
        text: what follows it.

    Raises:
        ConfigError: where something would not be read as it was meant.
    """
    name, colon, rest = text.partition(":")
    if not colon:
        return name, {}
    return name, _read_options(f"{flag} {name}", f"write it like {flag} name:key=value,other=value", rest)


def _read_options(where: str, hint: str, text: str) -> dict[str, str]:
    options: dict[str, str] = {}
    for part in text.split(","):
        key, _, value = (piece.strip() for piece in part.partition("="))
        if not key or not value:
            raise ConfigError(f"{where}: expected key=value, got '{part}'", hint)
        if key == "name":
            raise ConfigError(f"{where}: 'name' is no option", "the name goes before the colon")
        if key in options:
            raise ConfigError(f"{where}: the option '{key}' is given twice", "leave one of them out")
        if _NEXT.search(value):
            raise ConfigError(f"{where}: expected a comma between options, got '{part}'", hint)
        options[key] = value
    return options


def check_executor(
    asked: str | None, in_file: ExecutorRef, source: str, resources: Resources, registry: Registry
) -> Callable[[], Executor]:
    """Return what builds the executor: the command line's options over the user's over the benchmark file's.

    Args:
        asked: ``name`` or ``name:key=value,key=value`` of ``--executor``; None where it was not given.
        in_file: what the benchmark file says; its options count where no other executor is asked for.
        source: name of the benchmark file, for messages.
        resources: what the run may use.
        registry: all entries.

    Raises:
        ConfigError: for an unknown executor or option, in any of these places.
    """
    name, given = (in_file.name, {}) if asked is None else split_asked("--executor", asked)
    place = f"{source}: execution.executor"
    own = in_file.options if in_file.name == name else {}
    usual = _read_usual(name)
    # a mistake is told as one of the file that it is in
    for where, options in ((place, own), (f"{user_file()}: {name}", usual)):
        if options:
            _resolve(name, options, where, registry)
    last = place if asked is None else f"--executor {name}"
    return partial(_resolve(name, {**own, **usual, **given}, last, registry).make, resources)


def user_file() -> Path:
    """Return where the user's options of executors are, whether or not there are any."""
    return Path(os.environ.get(CONFIG) or click.get_app_dir("mribench")) / EXECUTORS


def _read_usual(name: str) -> dict[str, Any]:
    path = user_file()
    if not path.exists():
        return {}
    usual = read_file(path).get(name, {})
    if not isinstance(usual, dict):
        raise ConfigError(
            f"{path}: {name}: expected options by name, got {usual!r}", f"{name}: {{key: value}}"
        )
    return usual


def _resolve(name: str, options: dict[str, Any], where: str, registry: Registry) -> Resolved:
    return registry.resolve(ExecutorRef.model_validate({"name": name, **options}), where, "corrected")
