"""Entries that a command asks for by name with options, and those of executors that a user always wants.

A benchmark file says what is computed, for everybody; where it runs, with which partition and account, is a
matter of one lab, and stands in the user's own file.
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
from mribench.interfaces.options import Component
from mribench.registry import Registry

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


class _ExecutorRef(Component):
    kind = "executor"


def check_executor(asked: str, resources: Resources, registry: Registry) -> Callable[[], Executor]:
    """Return what builds the executor of ``--executor``, by the options there and those in the user's file.

    Args:
        asked: ``name`` or ``name:key=value,key=value``.
        resources: what the run may use.
        registry: all entries.

    Raises:
        ConfigError: for an unknown executor or option, in either place.
    """
    name, given = split_asked("--executor", asked)
    where = f"--executor {name}"
    usual = _read_usual(name)
    if usual:  # a mistake in the file is told as one of the file
        registry.resolve(_refer(name, usual), f"{user_file()}: {name}", "corrected")
    resolved = registry.resolve(_refer(name, {**usual, **given}), where, "corrected")
    return partial(resolved.make, resources)


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


def _refer(name: str, options: dict[str, Any]) -> _ExecutorRef:
    return _ExecutorRef.model_validate({"name": name, **options})
