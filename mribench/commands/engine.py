"""How a run is executed: what the command line asks for over what the benchmark file says."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch

from mribench.config import BenchmarkConfig, ExecutionSpec, blame_settings
from mribench.errors import ConfigError
from mribench.execute.asked import check_executor
from mribench.execute.limits import Limits
from mribench.interfaces.executor import Executor, Resources
from mribench.plugins import load_registry
from mribench.wording import read_limit, read_time


@dataclass(frozen=True)
class Engine:
    """What a run is executed with.

    Attributes:
        make_executor: makes it, when there is something to do.
        limits: of the time of jobs.
    """

    make_executor: Callable[[], Executor]
    limits: Limits


def prepare_engine(
    config: BenchmarkConfig, executor: str | None, given: Mapping[str, int | str | None]
) -> Engine:
    """Check what was asked for, on the command line or in the file.

    Args:
        config: the benchmark file.
        executor: of the command line, with its options; None for that of the file.
        given: other settings of ``execution`` on the command line; None stands for nothing said.

    Raises:
        ConfigError: for what is not there.
    """
    spec = config.execution.under(given)
    resources = find_resources(spec)
    with blame_settings(config):
        make = check_executor(executor, spec.executor, config.source, resources, load_registry())
    return Engine(make, Limits(read_limit(spec.no_progress_timeout), read_limit(spec.max_runtime)))


def find_resources(spec: ExecutionSpec) -> Resources:
    """Return what a run may use: one job at a time per GPU, or per core without, unless the file says more.

    Raises:
        ConfigError: for a GPU that is not there.
    """
    visible = _choose_gpus(spec.gpus) or _list_gpus()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    at_a_time = spec.jobs or (len(visible) if visible else max(1, cores // spec.threads))
    sizes = _measure_gpus(visible) if len(visible) < at_a_time else ()
    return Resources(at_a_time, spec.threads, visible, read_time(spec.checkpoint_every), sizes)


def _choose_gpus(gpus: Sequence[str | int]) -> tuple[str, ...]:
    """Return the GPUs that are asked for; those that go by a number are checked against what is there."""
    chosen = tuple(map(str, gpus))
    there = _list_gpus() if chosen else ()
    for name in chosen:
        if name not in there and not name.startswith(("GPU-", "MIG-")):
            known = f"GPUs here: {', '.join(there)}" if there else "this machine has none: leave --gpus out"
            raise ConfigError(f"--gpus {','.join(chosen)}: there is no GPU '{name}'", known)
    return chosen


def _measure_gpus(gpus: Sequence[str]) -> tuple[int, ...]:
    """Return the memory of GPUs, in bytes; nothing where one goes by a name that torch cannot look up."""
    if not all(gpu.isdigit() for gpu in gpus):
        return ()
    return tuple(torch.cuda.get_device_properties(int(gpu)).total_memory for gpu in gpus)


def _list_gpus() -> tuple[str, ...]:
    return tuple(str(i) for i in range(torch.cuda.device_count()))
