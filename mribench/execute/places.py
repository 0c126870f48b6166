"""Which GPU a process sees, where several share one: by the memory that they take, as far as it is known."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from mribench.interfaces.executor import Resources

MARGIN = 1.2
"""Memory that a process holds, as a multiple of its tensors': it keeps in pieces what it has freed."""
CONTEXT_BYTES = 2**30
"""Memory that a process takes before its first tensor: CUDA and its kernels."""


@dataclass(eq=False)
class Place:
    """A process's place.

    Attributes:
        gpu: that it sees; None for the CPU.
        taken_bytes: memory that is kept for it.
    """

    gpu: str | None
    taken_bytes: float


@dataclass
class _Gpu:
    """A GPU, or the CPU.

    Attributes:
        name: None for the CPU.
        memory_bytes: that it has; infinite where that does not matter.
        share_bytes: kept for a process of which nothing is known.
        places: of those that run.
    """

    name: str | None
    memory_bytes: float
    share_bytes: float
    places: list[Place] = field(default_factory=list)

    def left_bytes(self) -> float:
        return self.memory_bytes - sum(place.taken_bytes for place in self.places)

    def wanted_bytes(self, peak_bytes: int | None) -> float:
        return self.share_bytes if peak_bytes is None else MARGIN * peak_bytes + CONTEXT_BYTES

    def admits(self, peak_bytes: int | None) -> bool:
        """Whether a process fits: one alone always does, for nowhere has it more room."""
        return not self.places or self.wanted_bytes(peak_bytes) <= self.left_bytes()


class Places:
    """The places of a run's processes.

    For a process whose jobs are known there is kept what was measured of jobs like them, with ``MARGIN``; for
    one of which nothing is known, its share where the same number shares each GPU. Where the memory of GPUs
    is not known, processes are counted alone.

    Args:
        resources: GPUs and their memory, and how many processes there are at a time.
    """

    def __init__(self, resources: Resources) -> None:
        names: tuple[str | None, ...] = resources.gpus or (None,)
        sizes: tuple[float, ...] = resources.gpu_memory_bytes or (math.inf,) * len(names)
        at_a_time = math.ceil(resources.jobs / len(names))
        self._gpus = [
            _Gpu(name, size, 0.0 if math.isinf(size) else size // at_a_time)
            for name, size in zip(names, sizes, strict=True)
        ]

    def have_room(self, peak_bytes: int | None) -> bool:
        """Whether there is a place for a process.

        Args:
            peak_bytes: memory of a GPU that its jobs take at most; None where that is not known.
        """
        return any(gpu.admits(peak_bytes) for gpu in self._gpus)

    def take(self, peak_bytes: int | None) -> Place:
        """Take the place of a process: of the GPUs that admit it, else of all, the one that runs the fewest.

        Of several, it is the one that has the most memory left.
        """
        possible = [gpu for gpu in self._gpus if gpu.admits(peak_bytes)] or self._gpus
        gpu = min(possible, key=lambda gpu: (len(gpu.places), -gpu.left_bytes()))
        place = Place(gpu.name, gpu.wanted_bytes(peak_bytes))
        gpu.places.append(place)
        return place

    def give_back(self, place: Place) -> None:
        """Give a place back: its process has ended."""
        for gpu in self._gpus:
            if place in gpu.places:
                gpu.places.remove(place)
