"""How a benchmark is run: what may stand in the file, and is in no key and no result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from mribench.interfaces.fields import Word
from mribench.interfaces.options import ExecutorRef, Options
from mribench.wording import read_time


def _spell_out(value: object) -> object:
    """Return a number of seconds as text."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _split(value: object) -> object:
    """Return ``0,1``, as the command line has it, as a list."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _check_time(text: str) -> str:
    read_time(text)
    return text


def _check_some_time(text: str) -> str:
    if not read_time(text):
        raise ValueError(f"expected more than nothing, got '{text}'")
    return text


_AS_WRITTEN = WithJsonSchema({"type": ["string", "integer"], "examples": ["90s", "30m", "2h", "1d"]})
TimeLimit = Annotated[str, BeforeValidator(_spell_out), AfterValidator(_check_time), _AS_WRITTEN]
"""A time as people write it, such as ``30m``; ``0`` for no limit."""
Interval = Annotated[str, BeforeValidator(_spell_out), AfterValidator(_check_some_time), _AS_WRITTEN]
"""A time as people write it, more than nothing."""


class ExecutionSpec(Options):
    """How a benchmark is run, unless the command line says otherwise; results are the same."""

    executor: ExecutorRef = Field(
        ExecutorRef(name="local"),
        description="Where jobs run, as `--executor` says it. Options in the user's own file go before those "
        "here, and those of the command line before both.",
    )
    jobs: int | None = Field(
        None, gt=0, strict=True, description="Jobs at a time; null: one per GPU, or one per core without."
    )
    threads: int = Field(1, gt=0, strict=True, description="CPU threads of each job.")
    gpus: Annotated[list[Word | Annotated[int, Field(ge=0, strict=True)]], BeforeValidator(_split)] = Field(
        default_factory=list, description="GPUs to use, each job sees one; none named: all that are there."
    )
    checkpoint_every: Interval = Field("60s", description="Time between two checkpoints of a training.")
    max_runtime: TimeLimit = Field(
        "0", description="Stop a job that runs longer, with a checkpoint; 0: never."
    )
    no_progress_timeout: TimeLimit = Field(
        "2h", description="End a job that takes no step for so long, and try it again; 0: never."
    )

    def under(self, given: Mapping[str, Any]) -> ExecutionSpec:
        """Return it with what the command line says in place of its own; None stands for nothing said."""
        said = {name: value for name, value in given.items() if value is not None}
        return self.model_validate({**self.model_dump(), **said})
