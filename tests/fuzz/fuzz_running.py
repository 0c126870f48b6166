"""Runs fuzz cases in child processes with a clock and a limit of memory."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType
from typing import ParamSpec, TypeVar

from mribench.errors import MRIBenchError

HANG_S = 5.0
"""Longest that one call may take, of the processor's time: others may be using it too."""
BLOCKED_S = 30.0
"""Longest that one call may take by the clock, e.g. for waiting."""
MEMORY_MIB = 1024.0
MESSAGE_LENGTH = 600
_FORK = multiprocessing.get_context("fork")

P = ParamSpec("P")
T = TypeVar("T")
_calls_s: list[float] = []

Check = Callable[[int, Path], str]
"""Runs the case of a seed in an empty folder; says ``accepted`` or ``refused: …``, raises at a defect."""


class Hang(BaseException):
    """No ``Exception``, and no ``OSError`` as ``TimeoutError`` is: the product cannot catch it."""


class Defect(AssertionError):  # noqa: N818 - of the product, not of the fuzzer
    """A case ended in a way that no case may end in."""


@dataclass(frozen=True)
class Outcome:
    """How a case ended; ``peak_mib`` is the most that its process has come to hold so far."""

    seed: int
    said: str
    seconds: float
    peak_mib: float
    defect: bool = False


def check_message(message: str, *names: str) -> None:
    """Raise when a message is no printable single sentence of reasonable length with the names in it."""
    bad = sorted({c for c in message if not c.isprintable()})
    if bad:
        raise Defect(f"characters {bad!a} in: {message!a}")
    if not message or len(message) >= MESSAGE_LENGTH:
        raise Defect(f"{len(message)} characters: {message[:200]}…")
    if names and not any(name in message for name in names):
        raise Defect(f"does not name {names}: {message}")


def check_refusal(error: MRIBenchError, *names: str) -> str:
    """Check an error's sentence and its hint; return what it says."""
    check_message(error.message, *names)
    if error.hint:
        check_message(error.hint)
    return f"refused: {error.message}"


def timed(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call the product, and raise ``Hang`` when one call takes too long; the slowest is the case's time."""
    start = time.process_time()
    signal.setitimer(signal.ITIMER_PROF, HANG_S)
    signal.setitimer(signal.ITIMER_REAL, BLOCKED_S)
    try:
        return function(*args, **kwargs)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        _calls_s.append(time.process_time() - start)


def run(check: Check, seeds: Iterable[int], batch: int = 250) -> list[Outcome]:
    """Run a check on every seed, each batch in a child of its own; a child that dies loses one case."""
    waiting = list(seeds)
    outcomes: list[Outcome] = []
    while waiting:
        done = _run_batch(check, waiting[:batch])
        outcomes += done
        waiting = waiting[len(done) :]
    return outcomes


def _run_batch(check: Check, seeds: Sequence[int]) -> list[Outcome]:
    here, there = _FORK.Pipe(duplex=False)
    child = _FORK.Process(target=_work, args=(check, seeds, there))
    child.start()
    there.close()
    outcomes: list[Outcome] = []
    why = "the process died"
    try:
        while len(outcomes) < len(seeds):
            if not here.poll(4 * BLOCKED_S):
                why = "hangs, and cannot be interrupted"
                child.kill()
                break
            outcomes.append(here.recv())
    except EOFError:
        pass
    child.join()
    if len(outcomes) < len(seeds):
        seed = seeds[len(outcomes)]
        outcomes.append(Outcome(seed, f"{why} (exit code {child.exitcode})", 0.0, 0.0, defect=True))
    return outcomes


def _work(check: Check, seeds: Sequence[int], pipe: Connection) -> None:
    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
    sys.stdout.flush()
    printed = os.open(folder / "printed", os.O_RDWR | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(printed, stream)
    limit = _virtual_bytes() + int(1.25 * MEMORY_MIB * 2**20)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    signal.signal(signal.SIGALRM, _interrupt)
    signal.signal(signal.SIGPROF, _interrupt)
    warnings.simplefilter("error")
    held_mib = _peak_mib()  # a child begins with what its parent holds, a whole suite perhaps
    for seed in seeds:
        pipe.send(_run_case(check, seed, folder, printed, held_mib))
    shutil.rmtree(folder)


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _run_case(check: Check, seed: int, folder: Path, printed: int, held_mib: float) -> Outcome:
    place = folder / str(seed)
    place.mkdir()
    os.ftruncate(printed, 0)
    _calls_s[:] = [0.0]
    defect = False
    try:
        said = check(seed, place)
    except BaseException:  # noqa: BLE001 - this is what is looked for
        said, defect = traceback.format_exc(limit=-8), True
    seconds = max(_calls_s)
    peak_mib = _peak_mib() - held_mib
    if not defect:
        n_printed = os.fstat(printed).st_size
        problems = {
            f"held {peak_mib:.0f} MiB: {said}": peak_mib > MEMORY_MIB,
            f"printed {os.pread(printed, 300, 0)!r}: {said}": n_printed > 0,
        }
        found = [text for text, wrong in problems.items() if wrong]
        said, defect = (found[0], True) if found else (said, False)
    shutil.rmtree(place)
    return Outcome(seed, said, seconds, peak_mib, defect)


def _interrupt(signum: int, frame: FrameType | None) -> None:
    raise Hang


def _virtual_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def main(check: Check, describe: Callable[[int], str]) -> None:
    """The command line of a fuzzer: runs seeds, prints the figures, exits 1 when there is a defect."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", type=int, default=300)
    parser.add_argument("--start", type=int, default=0, help="the first seed")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    options = parser.parse_args()
    start = time.perf_counter()
    outcomes = run(check, range(options.start, options.start + options.cases))
    figures = summarise(outcomes) | {"wall_s": round(time.perf_counter() - start, 1)}
    defects = [outcome for outcome in outcomes if outcome.defect]
    if options.json:
        print(json.dumps({**figures, "defects": [asdict(outcome) for outcome in defects]}))
    else:
        kinds = Counter(o.said.strip().splitlines()[-1][:100] for o in defects)
        for outcome in defects[:20]:
            print(f"--- seed {outcome.seed}: {describe(outcome.seed)}\n{outcome.said[-1500:]}")
        for said, count in kinds.most_common(30):
            print(f"{count:5} {said}")
        print(", ".join(f"{key} {value}" for key, value in figures.items()))
    sys.exit(1 if defects else 0)


def summarise(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """Return the figures of a run."""
    slowest = max(outcomes, key=lambda outcome: outcome.seconds)
    return {
        "cases": len(outcomes),
        "accepted": sum(outcome.said.startswith("accepted") for outcome in outcomes),
        "refused": sum(outcome.said.startswith("refused") for outcome in outcomes),
        "crashes": sum(outcome.defect for outcome in outcomes),
        "slowest_s": round(slowest.seconds, 2),
        "slowest_seed": slowest.seed,
        "peak_mib": round(max(outcome.peak_mib for outcome in outcomes)),
    }
