"""``environment.json``: where, and with what, the results of a job were made."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from mribench.errors import StoreError
from mribench.results.atomic import read_json, seal
from mribench.results.specification import Provenance

ENVIRONMENT = "environment.json"


@dataclass(frozen=True)
class Environment(Provenance):
    """Where, and with what, the results of a job were made; no part of its key.

    Attributes:
        host: name of the host.
        platform: its operating system.
        device: that computed: ``cpu …``, or the name of a GPU.
        python: version of Python.
        versions: of the packages that matter, and of the plugins that the job uses.
        threads: CPU threads; None where that is not known.
        window_parts: parts in which windows of volumes passed the network: 1 as usual, 2 in an attempt after
            one that was out of memory; None where there were none, or that is not known.
        written: when, in ISO 8601.
    """

    host: str = ""
    platform: str = ""
    device: str = ""
    python: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    threads: Annotated[int, Field(ge=1)] | None = None
    window_parts: Annotated[int, Field(ge=1)] | None = None
    written: str = ""

    @property
    def on_cpu(self) -> bool:
        """Whether no GPU computed."""
        return self.device.startswith("cpu")


_ADAPTER = TypeAdapter(Environment)


def put_environment(path: Path, environment: Environment) -> None:
    """Write the environment of a job into a file that is moved to its place afterwards."""
    path.write_bytes(seal(_ADAPTER.dump_python(environment, mode="json")))


def read_environment(folder: Path) -> Environment:
    """Read the ``environment.json`` of a job.

    Raises:
        StoreError: where it is not there, or damaged.
    """
    path = folder / ENVIRONMENT
    try:
        return _ADAPTER.validate_python(read_json(path))
    except ValidationError as error:
        raise StoreError(
            f"{path} is damaged", "delete the job's folder, and run the benchmark again"
        ) from error
