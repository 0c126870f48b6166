"""Batches that are drawn ahead in a thread: the same ones, in their order, never more than one."""

from __future__ import annotations

import threading

import pytest
import torch

from mribench.errors import DataError
from mribench.jobs import ahead
from mribench.jobs.ahead import Ahead, pin, send

CPU = torch.device("cpu")


class Draws:
    """Notes who drew which batch."""

    def __init__(self, bad: int | None = None) -> None:
        self.bad = bad
        self.drawn: list[int] = []
        self.threads: set[int] = set()
        self.at_a_time: set[int] = set()

    def __call__(self, number: int) -> int:
        self.drawn.append(number)
        self.threads.add(threading.get_ident())
        self.at_a_time.add(torch.get_num_threads())
        if number == self.bad:
            raise DataError(f"batch {number}")
        return 10 * number


@pytest.fixture
def in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw ahead on the CPU, as where a GPU computes."""
    monkeypatch.setattr(ahead, "is_worth", lambda _: True)


def test_a_cpu_draws_what_it_is_asked_for() -> None:
    draw = Draws()
    batches = Ahead(draw, 9, CPU)
    assert [batches.take(number) for number in (3, 4)] == [30, 40]
    assert (draw.drawn, draw.threads) == ([3, 4], {threading.get_ident()})
    batches.close()


@pytest.mark.usefixtures("in_a_thread")
def test_the_next_batch_is_drawn_and_none_after_the_last() -> None:
    draw = Draws()
    batches = Ahead(draw, 5, CPU)
    for number in (2, 3, 4):  # as after an interruption
        assert batches.take(number) == 10 * number
        batches.settle()
        assert draw.drawn == list(range(2, min(number + 2, 5)))
    batches.close()
    assert len(draw.threads) == 1
    assert threading.get_ident() not in draw.threads
    assert draw.at_a_time == {torch.get_num_threads()}, "sums depend on it"


@pytest.mark.usefixtures("in_a_thread")
def test_another_batch_than_the_next_may_be_asked_for() -> None:
    batches = Ahead(Draws(), 100, CPU)
    assert [batches.take(number) for number in (7, 3, 4, 90)] == [70, 30, 40, 900]
    batches.close()


@pytest.mark.usefixtures("in_a_thread")
def test_an_error_comes_with_its_batch() -> None:
    batches = Ahead(Draws(bad=1), 5, CPU)
    assert batches.take(0) == 0
    batches.settle()
    with pytest.raises(DataError, match="batch 1"):
        batches.take(1)
    assert batches.take(2) == 20
    batches.close()


def test_only_a_gpu_is_worth_a_thread_and_pinned_memory() -> None:
    assert ahead.is_worth(torch.device("cuda", 0))
    assert not ahead.is_worth(CPU)
    value = torch.ones(3)
    assert send(pin(value, CPU), CPU) is value
