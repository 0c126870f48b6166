"""Leases: one holder, survivors take over, nobody steals from the living."""

from __future__ import annotations

import json
import multiprocessing
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from mribench.store import Lease, LeaseState
from mribench.store.lease import STALE_S, read_lease


def _write(directory: Path, **changes: object) -> None:
    content = {
        "token": "foreign",
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "started": psutil.Process().create_time(),
        "heartbeat": time.time(),
    }
    (directory / "lease.json").write_text(json.dumps({**content, **changes}))


def test_one_holder_at_a_time(tmp_path: Path) -> None:
    first = Lease.acquire(tmp_path)
    assert first is not None
    assert Lease.state(tmp_path) is LeaseState.HELD
    assert Lease.acquire(tmp_path) is None
    first.release()
    assert Lease.state(tmp_path) is LeaseState.FREE
    assert Lease.acquire(tmp_path) is not None


def test_lease_says_who_and_how_far(tmp_path: Path) -> None:
    lease = Lease.acquire(tmp_path)
    assert lease is not None
    lease.beat({"done": 3, "total": 10})
    content = read_lease(tmp_path)
    assert content is not None
    assert content["pid"] == os.getpid()
    assert content["host"] == socket.gethostname()
    assert (content["done"], content["total"]) == (3, 10)
    assert lease.owned()


def test_dead_process_of_this_host_is_stale_at_once(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    child.wait()
    _write(tmp_path, pid=child.pid)
    assert Lease.state(tmp_path) is LeaseState.STALE
    taken = Lease.acquire(tmp_path)
    assert taken is not None
    assert taken.owned()


def test_reused_pid_is_not_the_holder(tmp_path: Path) -> None:
    _write(tmp_path, started=psutil.Process().create_time() - 1000)
    assert Lease.state(tmp_path) is LeaseState.STALE


@pytest.mark.parametrize(
    ("age_s", "state"), [(STALE_S - 30, LeaseState.HELD), (STALE_S + 30, LeaseState.STALE)]
)
def test_other_host_is_judged_by_its_heartbeat(tmp_path: Path, age_s: float, state: LeaseState) -> None:
    _write(tmp_path, host="elsewhere", heartbeat=time.time() - age_s)
    assert Lease.state(tmp_path) is state


def test_holder_taken_for_dead_knows_it(tmp_path: Path) -> None:
    lease = Lease.acquire(tmp_path)
    assert lease is not None
    _write(tmp_path, host="elsewhere")
    assert not lease.owned()
    lease.beat({"done": 1, "total": 2})
    lease.release()
    content = read_lease(tmp_path)
    assert content is not None
    assert content["token"] == "foreign"  # noqa: S105


def _race(directory: str, barrier, queue) -> None:  # type: ignore[no-untyped-def]
    barrier.wait()
    queue.put(Lease.acquire(Path(directory)) is not None)
    barrier.wait()  # stay alive until all have tried


@pytest.mark.parametrize("stale", [False, True])
def test_race_has_one_winner(tmp_path: Path, stale: bool) -> None:
    if stale:
        _write(tmp_path, host="elsewhere", heartbeat=0)
    context = multiprocessing.get_context("spawn")
    barrier, queue = context.Barrier(4), context.Queue()
    racers = [context.Process(target=_race, args=(str(tmp_path), barrier, queue)) for _ in range(4)]
    for racer in racers:
        racer.start()
    wins = [queue.get(timeout=60) for _ in racers]
    for racer in racers:
        racer.join(timeout=60)
    assert sum(wins) == 1
