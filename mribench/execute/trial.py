"""A trial of a job: a few steps of it in a process of its own, timed; its results count for nothing."""

from __future__ import annotations

import dataclasses
import math
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from pydantic import TypeAdapter

from mribench.execute.causes import status_of
from mribench.execute.commit import measure_cost
from mribench.execute.processes import ServerLostError, start_process
from mribench.execute.setting_up import set_up_process, take_device, take_threads, write_log_to
from mribench.jobs import Context, run_spec
from mribench.registry import Registry
from mribench.results.atomic import read_json, write_json
from mribench.results.specification import EmbedSpec, EvaluateSpec, read_specification
from mribench.training import Interrupted
from mribench.training.weights import write_weights

LIMIT_S = 300.0
"""Seconds after which a trial ends at its next step."""
_MOST_SCANS = 3
"""Test scans of a trial."""
_NAME = "trial.json"


@dataclass(frozen=True)
class Trial:
    """What a trial has measured.

    Attributes:
        ticks_s: seconds from its start to the end of each step, or scan.
        total: steps, or scans, of the job that was tried.
        wall_s: seconds in all.
        complete: whether it did all of them, and what comes after.
        peak_memory_bytes: of its process; of its tensors on a GPU.
        device: it was computed on.
        error: why there is no trial; empty where there is one.
    """

    ticks_s: tuple[float, ...] = ()
    total: int = 0
    wall_s: float = 0.0
    complete: bool = False
    peak_memory_bytes: int = 0
    device: str = ""
    error: str = ""

    @property
    def step_s(self) -> float:
        """Seconds of a usual step; the first one, which warms up, only where there is no other."""
        steps = [later - earlier for earlier, later in zip(self.ticks_s, self.ticks_s[1:], strict=False)]
        return median(steps or self.ticks_s or (0.0,))

    def whole_s(self, total: int) -> float:
        """Return the seconds of a whole job of so many steps, or scans.

        What comes after the last step is in it where the trial was complete.
        """
        if self.complete:
            return self.wall_s + (total - self.total) * self.step_s
        return self.ticks_s[0] + (total - 1) * self.step_s


_TRIALS = TypeAdapter(Trial)


class _Stopwatch:
    """Notes when each step ended, and stops the job after some of them."""

    def __init__(self, most_ticks: float) -> None:
        self.started = time.perf_counter()
        self.ticks_s: list[float] = []
        self.total = 0
        self._most_ticks = most_ticks

    def tick(self, done: int, total: int) -> None:
        """Note the end of a step.

        Raises:
            Interrupted: when that is enough.
        """
        del done
        self.ticks_s.append(time.perf_counter() - self.started)
        self.total = total
        if len(self.ticks_s) >= self._most_ticks or self.ticks_s[-1] > LIMIT_S:
            raise Interrupted


def try_job(folder: Path, gpu: str | None, threads: int) -> Trial:
    """Try the job of a folder, and return what was measured.

    Where it was complete its weights lie in the folder, for the trial of a job that builds on it.

    Args:
        folder: holds ``job.json``.
        gpu: that it sees, as ``--gpus`` counts them; None for the CPU, or all that there are.
        threads: CPU threads.
    """
    try:
        process = start_process(_run, str(folder), gpu, threads, name=folder.name)
    except ServerLostError as error:
        return Trial(error=f"no process could be started: {error}")
    process.join()
    if (folder / _NAME).exists():
        return _TRIALS.validate_python(read_json(folder / _NAME))
    killed = process.exitcode is not None and process.exitcode < 0
    how = "was killed: it may want more memory than there is" if killed else "ended without a word"
    return Trial(error=f"its process {how}")


def _run(directory: str, gpu: str | None, threads: int) -> None:
    folder = Path(directory)
    write_log_to(folder / "log.txt")
    registry = set_up_process(gpu)
    take_threads(threads)
    trial = _measure(folder, registry)
    write_json(folder / _NAME, dataclasses.asdict(trial))
    sys.exit(0)


def _measure(folder: Path, registry: Registry) -> Trial:
    spec = read_specification(folder).spec
    device = take_device()
    watch = _Stopwatch(_MOST_SCANS if isinstance(spec, EvaluateSpec | EmbedSpec) else math.inf)
    context = Context(registry, folder, folder.parent, device, watch.tick, checkpoint_every_s=math.inf)
    complete = True
    try:
        for name, state in run_spec(spec, context).weights.items():
            write_weights(folder / name, state)
    except Interrupted:
        complete = False
    except Exception as error:  # noqa: BLE001 - the boundary: whatever it is, the other jobs are tried
        return Trial(error=status_of(error).said)
    cost = measure_cost(watch.started, device)
    return Trial(
        ticks_s=tuple(watch.ticks_s),
        total=watch.total,
        wall_s=cost["wall_s"],
        complete=complete,
        peak_memory_bytes=cost["peak_memory_bytes"],
        device=cost["device"],
    )
