"""A wish that a running job stops: ``stop.json`` in its folder, which its process looks for every beat.

It reaches a job wherever it runs, and keeps its checkpoint.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from mribench.interfaces.executor import Cause
from mribench.results.atomic import write_json
from mribench.results.lease import read_lease

_NAME = "stop.json"


class StopRequest(BaseModel):
    """Who is to stop, and why.

    Attributes:
        token: of the lease whose holder is to stop; whoever takes the job after it is not meant.
        cause: as the status of the job will have it.
        reason: as the status of the job will have it.
    """

    model_config = ConfigDict(frozen=True)

    token: str
    cause: Cause
    reason: str


def ask_to_stop(directory: Path, cause: Cause, reason: str) -> bool:
    """Ask whoever works on a job to stop; whether there is anybody."""
    holder = read_lease(directory)
    if holder is None:
        return False
    request = StopRequest(token=holder.token, cause=cause, reason=reason)
    write_json(directory / _NAME, request.model_dump(mode="json"))
    return True


def read_stop_request(directory: Path) -> StopRequest | None:
    """Return what the present holder of a job is asked; None where it is asked nothing."""
    try:
        request = StopRequest.model_validate_json((directory / _NAME).read_bytes())
    except (FileNotFoundError, ValidationError):  # it is written in one step: what is no request is not ours
        return None
    holder = read_lease(directory)
    return request if holder is not None and holder.token == request.token else None


def forget_stop_request(directory: Path) -> None:
    """Delete a wish that was granted, or came too late."""
    (directory / _NAME).unlink(missing_ok=True)
