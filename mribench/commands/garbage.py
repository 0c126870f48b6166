"""When Python looks for garbage: not while all that is made stays."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def without_collections() -> Iterator[None]:
    """Collect no garbage in here, where modules are imported or thousands of jobs made: nothing is any.

    Collections look through all that is there again and again, a fifth of the time of a plan.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
