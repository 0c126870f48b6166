"""Many rounds of several processes that want one job whose holder died: how many of them get it.

Run as ``python tests/durability/takeover.py --rounds 300``. Each round has a stale lease, a lease whose heir
died before it could do anything, or none at all. The processes are of different hosts, as far as they know,
half of them with clocks that are ten minutes off; some freeze for a moment while they take over.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import socket
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import TypeAlias

from mribench.results import Lease, holder
from mribench.results.holder import Holder
from mribench.results.lease import LEASE, STALE_S

SKEW_S = 600.0
RACERS = 4
Wins: TypeAlias = "Queue[tuple[int, bool, bool]]"
KINDS = ("stale", "stale heir", "free")


def be_host(number: int) -> None:
    """Make this process one of a host of its own, whose clock is ten minutes off."""
    own_time, skew_s = time.time, SKEW_S * (number % 3 - 1)
    holder.find_boot = lambda: f"host {number}"  # type: ignore[assignment]
    socket.gethostname = lambda: f"host{number}"  # type: ignore[assignment]
    time.time = lambda: own_time() + skew_s


def leave(directory: Path, kind: str) -> None:
    """Leave in a job's folder what a host left that died three minutes ago."""
    if kind == "free":
        return
    names = [(LEASE, "dead")]
    names += [(".lease.dead.heir", "heir")] if kind == "stale heir" else []
    for name, token in names:
        said = Holder.here(token).model_copy(update={"boot": "a host that is gone"})
        path = directory / name
        path.write_text(said.model_dump_json())
        then = path.stat().st_mtime - STALE_S - 60
        os.utime(path, (then, then))
        (directory / f".attempt.{token}").mkdir()


def stumble(chance: random.Random) -> None:
    """Let renames, deletions and links of this process be late at times."""

    def late(call: Callable[..., object]) -> Callable[..., object]:
        def _late(*arguments: object, **options: object) -> object:
            if chance.random() < 0.3:
                time.sleep(chance.random() * 0.01)
            return call(*arguments, **options)

        return _late

    for name in ("link", "rename", "replace", "unlink", "rmdir"):
        setattr(os, name, late(getattr(os, name)))


def race(number: int, folders: list[str], barrier: Barrier, wins: Queue[tuple[int, bool, bool]]) -> None:
    """Try to get each job at the same moment as all others."""
    be_host(number)
    stumble(random.Random(number))  # noqa: S311 - no secret
    for place, folder in enumerate(folders):
        barrier.wait()
        lease = Lease.acquire(Path(folder))
        barrier.wait()
        wins.put((place, lease is not None, lease is not None and lease.owned()))


def run(rounds: int, workplace: Path) -> Counter[int]:
    """Return how many rounds had how many owners; one that has lost it at once counts as two."""
    context = multiprocessing.get_context("spawn")
    folders = []
    for place in range(rounds):
        folder = workplace / f"{place:04}"
        folder.mkdir()
        leave(folder, KINDS[place % len(KINDS)])
        folders.append(str(folder))
    barrier, queue = context.Barrier(RACERS), context.Queue()
    racers = [context.Process(target=race, args=(n, folders, barrier, queue)) for n in range(RACERS)]
    for racer in racers:
        racer.start()
    owners: Counter[int] = Counter()
    for _ in range(rounds * RACERS):
        place, won, owned = queue.get(timeout=120)
        owners[place] += won + (won and not owned)
    for racer in racers:
        racer.join(timeout=120)
    left = [path.name for folder in folders for path in Path(folder).glob(".lease.*")]
    assert not left, left
    return Counter(owners.values())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=300)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as there:
        found = run(given.rounds, Path(there))
    print(json.dumps({"rounds": given.rounds, "rounds by owners": {str(n): k for n, k in found.items()}}))
    raise SystemExit(0 if set(found) == {1} else 1)
