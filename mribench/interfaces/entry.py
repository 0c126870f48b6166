"""What a plugin registers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mribench.interfaces.kinds import KINDS
from mribench.interfaces.options import NoOptions, Options

__all__ = ["KINDS", "Entry"]


@dataclass(frozen=True)
class Entry:
    """One thing that a benchmark file can name.

    Attributes:
        kind: one of ``KINDS``.
        name: as the benchmark file writes it; lower case with hyphens.
        factory: called with the validated options first; further arguments by kind:
            objective ``(options, encoder)``; decoder ``(options, encoder, out_channels)``; executor
            ``(options, resources)``; all others ``(options)``.
        options: the model that validates the options.
        summary: one line for ``mribench list``.
    """

    kind: str
    name: str
    factory: Callable[..., Any]
    options: type[Options] = NoOptions
    summary: str = ""
