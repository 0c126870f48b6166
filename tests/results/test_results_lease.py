"""Leases: one holder, survivors take over, nobody steals from the living."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from durability.takeover import run

from mribench.results import Lease, LeaseState
from mribench.results.holder import Holder
from mribench.results.lease import STALE_S, read_lease

ELSEWHERE = "another boot"


def _write(directory: Path, age_s: float = 0, **changes: object) -> None:
    """Write the lease of this process, or of another one, as old as the clock of the file system says."""
    path = directory / "lease.json"
    path.write_text(json.dumps({**Holder.here("foreign").model_dump(), **changes}))
    make_old(path, age_s)


def make_old(path: Path, age_s: float) -> None:
    then = path.stat().st_mtime - age_s
    os.utime(path, (then, then))


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
    lease.beat(3, 10)
    content = read_lease(tmp_path)
    assert content is not None
    assert content.pid == os.getpid()
    assert content.host == socket.gethostname()
    assert (content.done, content.total) == (3, 10)
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
    _write(tmp_path, start=Holder.here("").start - 1)
    assert Lease.state(tmp_path) is LeaseState.STALE


@pytest.mark.parametrize(
    ("age_s", "state"), [(STALE_S - 30, LeaseState.HELD), (STALE_S + 30, LeaseState.STALE)]
)
def test_other_host_is_judged_by_its_heartbeat(tmp_path: Path, age_s: float, state: LeaseState) -> None:
    _write(tmp_path, age_s, boot=ELSEWHERE)
    assert Lease.state(tmp_path) is state


@pytest.mark.parametrize(
    ("age_s", "state"), [(STALE_S - 30, LeaseState.HELD), (STALE_S + 30, LeaseState.STALE)]
)
def test_pid_of_another_namespace_is_judged_by_its_heartbeat(
    tmp_path: Path, age_s: float, state: LeaseState
) -> None:
    """Two containers of one host name: the other's pid is of no process here, or of another one."""
    _write(tmp_path, age_s, pid=2**22 + 1, pid_namespace="pid:[1]")
    assert Lease.state(tmp_path) is state


@pytest.mark.parametrize("text", ["", "{", "[]", '{"token": "half"}'])
@pytest.mark.parametrize(
    ("age_s", "state"), [(STALE_S - 30, LeaseState.HELD), (STALE_S + 30, LeaseState.STALE)]
)
def test_lease_that_says_nothing_is_judged_by_its_files_age(
    tmp_path: Path, text: str, age_s: float, state: LeaseState
) -> None:
    path = tmp_path / "lease.json"
    path.write_text(text)
    make_old(path, age_s)
    assert Lease.state(tmp_path) is state
    taken = Lease.acquire(tmp_path)
    assert (taken is not None) == (state is LeaseState.STALE)


HOLDER = """
import sys, time
from pathlib import Path
from mribench.results import Lease
assert Lease.acquire(Path(sys.argv[1])) is not None
print("held", flush=True)
time.sleep(60)
"""
NAMESPACE = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]


def _has_namespaces() -> bool:
    found = shutil.which("unshare")
    return found is not None and subprocess.run([*NAMESPACE, "true"], capture_output=True).returncode == 0


@pytest.mark.skipif(not _has_namespaces(), reason="no PID namespaces can be made here")
def test_live_holder_in_a_real_pid_namespace_keeps_its_job(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [*NAMESPACE, sys.executable, "-c", HOLDER, tmp_path], stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert Lease.state(tmp_path) is LeaseState.HELD
        assert Lease.acquire(tmp_path) is None
    finally:
        holder.kill()
        holder.communicate()


NO_LINKS = [errno.EPERM, errno.ENOTSUP, errno.ENOSYS]


@pytest.mark.parametrize("number", NO_LINKS)
def test_file_system_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def link(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", link)
    lease = Lease.acquire(tmp_path)
    assert lease is not None
    assert lease.owned()
    assert Lease.acquire(tmp_path) is None
    lease.beat(1, 2)
    assert lease.owned()
    lease.release()
    assert list(tmp_path.iterdir()) == []
    assert Lease.acquire(tmp_path) is not None


def test_other_errors_of_links_are_not_taken_for_a_lack_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def link(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "link", link)
    with pytest.raises(OSError, match="Input/output"):
        Lease.acquire(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_holder_taken_for_dead_knows_it(tmp_path: Path) -> None:
    lease = Lease.acquire(tmp_path)
    assert lease is not None
    _write(tmp_path, boot=ELSEWHERE)
    assert not lease.owned()
    lease.beat(1, 2)
    lease.release()
    content = read_lease(tmp_path)
    assert content is not None
    assert content.token == "foreign"  # noqa: S105


def _no_link(*_: object) -> None:
    raise OSError(errno.EPERM, os.strerror(errno.EPERM))


def _race(directory: str, barrier, queue, links: bool) -> None:  # type: ignore[no-untyped-def]
    if not links:
        os.link = _no_link
    barrier.wait()
    queue.put(Lease.acquire(Path(directory)) is not None)
    barrier.wait()  # stay alive until all have tried


def test_one_owner_in_each_of_many_takeovers(tmp_path: Path) -> None:
    """Of hosts whose clocks are ten minutes apart, and of heirs that died; a script does hundreds."""
    assert run(21, tmp_path) == {1: 21}


@pytest.mark.parametrize(("stale", "links"), [(False, True), (True, False), (False, False)])
def test_race_has_one_winner(tmp_path: Path, stale: bool, links: bool) -> None:
    if stale:
        _write(tmp_path, STALE_S + 1, boot=ELSEWHERE)
    context = multiprocessing.get_context("spawn")
    barrier, queue = context.Barrier(4), context.Queue()
    racers = [context.Process(target=_race, args=(str(tmp_path), barrier, queue, links)) for _ in range(4)]
    for racer in racers:
        racer.start()
    wins = [queue.get(timeout=60) for _ in racers]
    for racer in racers:
        racer.join(timeout=60)
    assert sum(wins) == 1
