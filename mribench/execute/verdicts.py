"""Why an attempt ended without a result: by what the job says, how its process ended, and who watched it."""

from __future__ import annotations

from mribench.execute.limits import Verdict
from mribench.interfaces.executor import Cause, Completed
from mribench.results.status import JobStatus

_WITHOUT_A_WORD = "its process ended without a word; see its log.txt"


def explain(said: JobStatus, ran: bool, completed: Completed, verdict: Verdict | None) -> JobStatus:
    """Return the status of an attempt that ended without a result.

    Args:
        said: what the job's folder says.
        ran: whether this attempt has said it, and none before.
        completed: how the process ended.
        verdict: why the job was asked to stop, if it was.
    """
    if verdict is not None and said.state != "failed":
        return JobStatus("interrupted", verdict.reason, cause=verdict.cause)
    if ran and _says_why(said) and not _was_cancelled(said, completed):
        return said
    return JobStatus("interrupted", completed.error or _WITHOUT_A_WORD, cause=completed.cause)


def _was_cancelled(said: JobStatus, completed: Completed) -> bool:
    """Whether a person ended it where it ran: the job itself saw a signal, and no person."""
    return completed.cause is Cause.CANCELLED and said.state == "interrupted"


def _says_why(said: JobStatus) -> bool:
    """Whether the job itself has said why it ended, and was not found dead."""
    return said.state == "failed" or (
        said.state == "interrupted" and said.cause not in (None, Cause.INFRASTRUCTURE)
    )
