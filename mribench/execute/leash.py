"""A job's process that ends with whoever started it, however that one ended."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time

logger = logging.getLogger("mribench")

_PATIENCE_S = 60.0
"""How long the job may take to write a checkpoint before its process ends without one."""


def end_with_input() -> None:
    """Ask this process to stop when its standard input ends, a pipe whose other end died with its owner.

    A signal at the parent's death, which Linux has, comes when the *thread* ends that started the process:
    those of a pool come and go.
    """
    threading.Thread(target=_watch, name="standard input", daemon=True).start()


def _watch() -> None:
    while sys.stdin.buffer.read(1):
        pass
    logger.warning("whoever started this process is gone: it stops")
    signal.raise_signal(signal.SIGTERM)
    time.sleep(_PATIENCE_S)
    os._exit(1)
