"""Options of an entry, and references to entries inside options.

An entry's options are one frozen pydantic model: it validates the benchmark file, documents each field
and makes the JSON schema. Where an entry needs others (a view generator its sequences, a task its
metrics) its options hold references, which the harness resolves and the entry builds with ``make``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, model_serializer, model_validator

Profile = Literal["corrected", "paper", "as-released"]
"""Which protocol is run: what the paper meant, what it says, or what its code computes."""


class Options(BaseModel):
    """Base of every options model: frozen, and an unknown key is an error.

    A model with a field ``profile: Profile`` is given the benchmark's profile unless the file says
    otherwise.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class NoOptions(Options):
    """For entries without options."""


class ProtocolOptions(Options):
    """Base of options that follow the benchmark's protocol: its profile, and its known defects by name."""

    profile: Profile = Field("corrected", description="protocol that decides what is left open")
    defects: tuple[str, ...] | None = Field(
        None,
        description="known defects that are switched on, by name (`mribench list defects`); when not given "
        "all that belong to it in as-released, and none in the other profiles",
    )

    def shows(self, defect: str) -> bool:
        """Return whether a defect is switched on."""
        return self.profile == "as-released" if self.defects is None else defect in self.defects


class Component(BaseModel):
    """A reference to an entry: a name, or ``{name: …, options…}`` with ``name`` reserved."""

    model_config = ConfigDict(frozen=True)
    kind: ClassVar[str] = ""

    name: str
    options: dict[str, Any] = Field(default_factory=dict)
    _maker: Callable[..., Any] | None = PrivateAttr(default=None)

    @model_validator(mode="before")
    @classmethod
    def _from_yaml(cls, value: object) -> object:
        if isinstance(value, str):
            return {"name": value, "options": {}}
        if isinstance(value, dict):
            if "name" not in value:
                raise ValueError(f"expected a name, or {{name: …}}, of kind '{cls.kind}', got no name")
            return {"name": value["name"], "options": {k: v for k, v in value.items() if k != "name"}}
        if isinstance(value, Component):
            return {"name": value.name, "options": value.options}
        raise ValueError(f"expected a name, or {{name: …}}, of kind '{cls.kind}', got {value!r}")

    @model_serializer(mode="plain")
    def _to_yaml(self) -> dict[str, Any]:
        return {"name": self.name, **self.options}

    def bound(self, maker: Callable[..., Any]) -> Self:
        """Return a copy that ``make`` can build; called by the harness."""
        copy = self.model_copy()
        copy._maker = maker
        return copy

    def make(self, *args: Any) -> Any:
        """Build the entry, passing ``args`` to its factory after the options."""
        if self._maker is None:
            raise RuntimeError(f"{self.kind} '{self.name}' was not resolved by a registry")
        return self._maker(*args)


class DatasetRef(Component):
    """Reference to a dataset."""

    kind = "dataset"


class SplitRef(Component):
    """Reference to a split rule."""

    kind = "split"


class SequenceRef(Component):
    """Reference to an MRI sequence."""

    kind = "sequence"


class ViewsRef(Component):
    """Reference to a view generator."""

    kind = "views"


class ObjectiveRef(Component):
    """Reference to a self-supervised objective."""

    kind = "objective"


class EncoderRef(Component):
    """Reference to an encoder."""

    kind = "encoder"


class DecoderRef(Component):
    """Reference to a decoder."""

    kind = "decoder"


class ProbeRef(Component):
    """Reference to a probe."""

    kind = "probe"


class TaskRef(Component):
    """Reference to a downstream task."""

    kind = "task"


class MetricRef(Component):
    """Reference to a metric."""

    kind = "metric"


class ExecutorRef(Component):
    """Reference to an executor."""

    kind = "executor"


class TrackerRef(Component):
    """Reference to a tracker; ``--track`` makes them, benchmark files have none."""

    kind = "tracker"
