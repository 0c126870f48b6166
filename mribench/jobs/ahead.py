"""The next batch, drawn while the device computes on this one."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

import torch
from torch import Tensor

Drawn = TypeVar("Drawn")


class Ahead(Generic[Drawn]):
    """Hands out batches by their number; where a GPU computes, a thread draws the next one meanwhile.

    A batch depends on its number alone, so it is the same wherever it is drawn. On a CPU there is nothing to
    gain: drawing and computing share its cores.

    Args:
        draw: returns a batch by its number; it draws from generators of its own.
        n_batches: of the training; none after the last is drawn.
        device: that computes.
    """

    def __init__(self, draw: Callable[[int], Drawn], n_batches: int, device: torch.device) -> None:
        self._draw, self._n_batches = draw, n_batches
        self._pool: ThreadPoolExecutor | None = None
        if is_worth(device):
            threads = torch.get_num_threads()  # each thread has a number of its own, and sums depend on it
            self._pool = ThreadPoolExecutor(1, "batches", torch.set_num_threads, (threads,))
        self._next: tuple[int, Future[Drawn]] | None = None

    def take(self, number: int) -> Drawn:
        """Return a batch, and begin with the next one.

        Raises:
            DataError: as ``draw``.
        """
        if self._pool is None:
            return self._draw(number)
        waiting, self._next = self._next, None
        if waiting is not None and waiting[0] == number:
            drawn = waiting[1].result()
        else:
            drawn = self._pool.submit(self._draw, number).result()
        if number + 1 < self._n_batches:
            self._next = number + 1, self._pool.submit(self._draw, number + 1)
        return drawn

    def settle(self) -> None:
        """Wait until nothing is drawn any more: what drawing changes may be read then."""
        if self._next is not None:
            self._next[1].exception()

    def close(self) -> None:
        """End the thread."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)


def is_worth(device: torch.device) -> bool:
    """Whether a device computes while the processor draws."""
    return device.type == "cuda"


def pin(value: Tensor, device: torch.device) -> Tensor:
    """Return a tensor in memory that a GPU copies from while the host goes on; as it is for a CPU."""
    return value.pin_memory() if device.type == "cuda" and value.device.type == "cpu" else value


def send(value: Tensor, device: torch.device) -> Tensor:
    """Copy to a device; from pinned memory the host does not wait for it."""
    return value.to(device, non_blocking=value.is_pinned()) if device.type == "cuda" else value.to(device)
