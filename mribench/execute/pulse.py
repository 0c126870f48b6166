"""What beats while a job runs: its lease, and its ear for those who want it to stop."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType

from mribench.execute.live import LiveFile
from mribench.execute.processes import ENDING
from mribench.interfaces.executor import Cause
from mribench.results import Lease
from mribench.results.attempt import LeaseLost
from mribench.results.lease import HEARTBEAT_S
from mribench.results.status import JobStatus
from mribench.results.stopping import StopRequest, forget_stop_request, read_stop_request
from mribench.training import Interrupted

logger = logging.getLogger("mribench")


class Pulse:
    """Keeps the lease alive, and tells the job to stop."""

    def __init__(self, lease: Lease, live_file: LiveFile) -> None:
        self._lease = lease
        self._directory = lease.attempt.directory
        self._request: StopRequest | None = None
        self._first: tuple[float, int] | None = None
        self.live = live_file
        self._done, self._total = 0, 0
        self._stop = threading.Event()
        self._lost = threading.Event()
        self._silent = False
        self.stopped_by: int | None = None
        self._ended = threading.Event()

    def tick(self, done: int, total: int) -> None:
        """Note the progress.

        Raises:
            Interrupted: when asked to stop.
            LeaseLost: when another process has taken the job over.
        """
        self._done, self._total = done, total
        if self._first is None:
            self._first = (time.monotonic(), done)
        if self._lost.is_set():
            raise LeaseLost
        if self._stop.is_set():
            raise Interrupted

    def stop(self, number: int | None = None, frame: FrameType | None = None) -> None:
        """Ask the job to stop after the step in progress; a signal's number is kept."""
        del frame
        self.stopped_by = number
        self._stop.set()

    def interrupted(self) -> JobStatus:
        """Return the status of the job that was asked to stop: by a request, or by a signal."""
        if self._request is None:
            return JobStatus("interrupted", "stopped; it goes on from its checkpoint", cause=Cause.STOPPED)
        forget_stop_request(self._directory)
        return JobStatus("interrupted", self._request.reason, cause=self._request.cause)

    def _rate(self) -> float | None:
        """Return the steps a second since the first one of this attempt."""
        if self._first is None:
            return None
        since, done = self._first
        seconds = time.monotonic() - since
        return (self._done - done) / seconds if self._done > done and seconds > 0 else None

    @contextlib.contextmanager
    def beating(self) -> Iterator[None]:
        """Beat in a thread; take signals that end a process as wishes to stop, where they can be taken."""
        thread = threading.Thread(target=self._beat, daemon=True)
        thread.start()
        main = threading.current_thread() is threading.main_thread()
        heard = [number for number in ENDING if signal.getsignal(number) is not signal.SIG_IGN]
        before = {number: signal.signal(number, self.stop) for number in heard} if main else {}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            self._ended.set()
            thread.join()

    def _beat(self) -> None:
        parent = multiprocessing.parent_process()
        while not self._ended.wait(HEARTBEAT_S):
            self._beat_once()
            if parent is not None and not parent.is_alive():
                self.stop()  # whoever started us was killed: keep what is done, and end

    def _hear_requests(self) -> None:
        request = read_stop_request(self._directory) if self._request is None else None
        if request is not None:
            self._request = request
            self.stop()

    def _beat_once(self) -> None:
        """Renew the heartbeat. A full disk or a file server that is away may pass: it is tried again."""
        try:
            self._lease.beat(self._done, self._total or None, self._rate())
            if not self._lease.owned():
                self._lost.set()
                return
            self._hear_requests()
        except OSError as error:
            if not self._silent:
                logger.warning("the heartbeat cannot be written, the job goes on: %s", error)
            self._silent = True
            return
        if self._silent:
            logger.warning("the heartbeat is written again")
        self._silent = False
        self.live.flush()
