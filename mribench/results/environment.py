"""``environment.json``: where, and with what, the results of a job were made."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from mribench.errors import StoreError
from mribench.results.atomic import read_json, write_json
from mribench.results.specification import Provenance

_FILE = "environment.json"


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
        written: when, in ISO 8601.
    """

    host: str = ""
    platform: str = ""
    device: str = ""
    python: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    threads: Annotated[int, Field(ge=1)] | None = None
    written: str = ""

    @property
    def on_cpu(self) -> bool:
        """Whether no GPU computed."""
        return self.device.startswith("cpu")


_ADAPTER = TypeAdapter(Environment)


def write_environment(folder: Path, environment: Environment) -> None:
    """Write the ``environment.json`` of a job."""
    write_json(folder / _FILE, _ADAPTER.dump_python(environment, mode="json"))


def read_environment(folder: Path) -> Environment:
    """Read the ``environment.json`` of a job.

    Raises:
        StoreError: where it is not there, or damaged.
    """
    path = folder / _FILE
    try:
        return _ADAPTER.validate_python(read_json(path))
    except ValidationError as error:
        raise StoreError(
            f"{path} is damaged", "delete the job's folder, and run the benchmark again"
        ) from error
