"""What a plugin registers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mribench.interfaces.input_contract import InputContract
from mribench.interfaces.kinds import KINDS
from mribench.interfaces.options import NoOptions, Options

__all__ = ["KINDS", "Defect", "EmptyMaskPolicy", "Entry"]


@dataclass(frozen=True)
class EmptyMaskPolicy:
    """What a score counts where one of its masks is empty, in place of the metric's own penalty.

    Attributes:
        name: as captions write it.
        unit: of the metrics that it is about; those in other units count as ever.
        prediction: what an empty prediction counts, in that unit; None leaves the row out.
        reference: what an empty reference counts, in that unit; None leaves the row out.
    """

    name: str
    unit: str
    prediction: float | None = None
    reference: float | None = None


@dataclass(frozen=True)
class Defect:
    """A known error of a protocol that can be switched on by name, to reproduce it or to measure it.

    Attributes:
        name: as the benchmark file writes it; lower case with hyphens.
        summary: what goes wrong, in one sentence.
        source: where it was found.
        metrics: ids of metrics, and those that it puts in their place: such a defect is measured on the same
            predictions, where a task is scored by both.
        empty_masks: how it counts empty masks: such a defect changes no job, but only the tables.
    """

    name: str
    summary: str
    source: str = ""
    metrics: Mapping[str, str] = field(default_factory=dict)
    empty_masks: EmptyMaskPolicy | None = None


@dataclass(frozen=True)
class Entry:
    """One thing that a benchmark file can name.

    Attributes:
        kind: one of ``KINDS``.
        name: as the benchmark file writes it; lower case with hyphens.
        factory: called with the validated options first; further arguments by kind:
            objective ``(options, encoder)``; decoder ``(options, encoder, out_channels)``; probe
            ``(options, n_classes)``, 0 for numbers; executor ``(options, resources)``; all others
            ``(options)``.
        options: the model that validates the options.
        summary: one line for ``mribench list``.
        defects: what of the ``defects`` option its options model understands (``ProtocolOptions``), and for
            metrics the ways of counting that are known to be wrong.
        input: of an encoder, what it wants to see.
    """

    kind: str
    name: str
    factory: Callable[..., Any]
    options: type[Options] = NoOptions
    summary: str = ""
    defects: tuple[Defect, ...] = ()
    input: InputContract = field(default_factory=InputContract)
