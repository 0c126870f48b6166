"""What kind of failure an exception is: of the machine, its memory or its disk, of the user, or a defect."""

from __future__ import annotations

import errno
import re
import traceback
from collections.abc import Iterator

import torch
from safetensors import SafetensorError

from mribench.errors import MRIBenchError
from mribench.interfaces.executor import Cause
from mribench.results.status import JobStatus

_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}
_PASSING = {
    errno.EIO, errno.EAGAIN, errno.EINTR, errno.EMFILE, errno.ENFILE, errno.ENOLCK, errno.ESTALE,
    errno.ETIMEDOUT, errno.ENETDOWN, errno.ENETUNREACH, errno.EHOSTDOWN, errno.EHOSTUNREACH,
    errno.ECONNREFUSED, errno.ECONNRESET, errno.ECONNABORTED, errno.EPIPE, errno.EREMOTEIO,
}  # fmt: skip
"""What a file server that restarts, or a machine that is short of processes, answers with for a while."""
_SYSTEM_ERROR = re.compile(r"\(os error (\d+)\)")
"""How safetensors, whose errors have no number, ends the sentence of an error of the system."""
_CPU_ALLOCATOR = "DefaultCPUAllocator: "
"""What torch names in a plain ``RuntimeError`` where the CPU's memory is used up."""
_CUDA_OUT_OF_MEMORY = 2
"""``cudaErrorMemoryAllocation``."""
_WANTED_MORE = "out of memory: it wanted more than was free; a smaller batch_size, patch_vox or window_vox"


def cause_of(error: BaseException) -> Cause:
    """Return what kind of failure an exception is, by it and by those that it was raised for."""
    chain = list(_chain(error))
    if any(_is_short_of_memory(each) for each in chain):
        return Cause.OUT_OF_MEMORY
    numbers = {_number(each) for each in chain}
    if numbers & _DISK:
        return Cause.DISK
    if numbers & _PASSING:
        return Cause.INFRASTRUCTURE
    return Cause.USER if isinstance(error, MRIBenchError) else Cause.BUG


def status_of(error: Exception) -> JobStatus:
    """Return the status of a job that an exception ended."""
    cause = cause_of(error)
    reason = error.message if isinstance(error, MRIBenchError) else f"{type(error).__name__}: {error}"
    hint = error.hint if isinstance(error, MRIBenchError) else ""
    if cause is Cause.OUT_OF_MEMORY:
        reason = f"{_WANTED_MORE} needs less ({reason})"
    return JobStatus("failed", reason, traceback.format_exc(), cause, hint)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an exception and those that it was raised from, or while they were handled."""
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _is_short_of_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    if isinstance(error, torch.AcceleratorError):
        return getattr(error, "error_code", None) == _CUDA_OUT_OF_MEMORY
    return _number(error) == errno.ENOMEM or (
        isinstance(error, RuntimeError) and _CPU_ALLOCATOR in str(error)
    )


def _number(error: BaseException) -> int | None:
    """Return the number of an error of the system; None of another error."""
    if isinstance(error, SafetensorError):
        said = _SYSTEM_ERROR.search(str(error))
        return int(said[1]) if said else None
    return error.errno if isinstance(error, OSError) else None
