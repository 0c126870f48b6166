"""Which jobs share a process, and what becomes of each however that process ends."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from directed import DONE, KILLED, Directed, job, jobs, run
from rich.console import Console

from mribench.commands import progress
from mribench.execute import outlook
from mribench.execute.underway import MOST, BatchSize
from mribench.interfaces.executor import Batch, Cause, Completed
from mribench.results import Lease, Store
from mribench.results.records import JOB_SCHEMA, write_table
from mribench.results.status import JobStatus, write_status

CELLS = [f"e{number}" for number in range(6)]
TODO = jobs(job("p"), job("a", "p"), *(job(cell, "p", "a") for cell in CELLS))


def test_the_cells_of_an_adaptation_share_a_process_and_no_place_stays_empty(store: Store) -> None:
    one = Directed(capacity=1)
    summary, _ = run(store, TODO, one)
    assert one.batches == [["p"], ["a"], CELLS]
    assert summary.executed.total() == 8
    assert summary.places == 1
    assert 0 < summary.busy_s <= summary.wall_s


@pytest.mark.parametrize(("capacity", "sizes"), [(2, [3, 3]), (4, [2, 2, 1, 1]), (8, [1] * 6)])
def test_there_are_never_fewer_batches_than_free_places(
    store: Store, capacity: int, sizes: list[int]
) -> None:
    executor = Directed(capacity=capacity)
    summary, _ = run(store, TODO, executor)
    assert [len(batch) for batch in executor.batches[2:]] == sizes
    assert summary.places == len(sizes), "no more than were ever used"


def test_jobs_that_train_and_those_of_another_adaptation_do_not_share(store: Store) -> None:
    executor = Directed(capacity=1)
    run(store, TODO | jobs(job("b", "p"), job("f", "p", "b")), executor)
    assert sorted(map(sorted, executor.batches)) == [["a"], ["b"], CELLS, ["f"], ["p"]]


def test_a_death_is_put_down_to_the_job_that_ran(store: Store) -> None:
    executor = Directed({"e2": [KILLED]}, capacity=1)
    summary, diary = run(store, TODO, executor)
    assert executor.batches[2:] == [CELLS, ["e2"], ["e3", "e4", "e5"]]
    assert (summary.retries, summary.failed, summary.executed.total()) == (1, {}, 8)
    assert [name for what, name in diary.told if what == "again"] == ["e2"]


def test_a_job_that_fails_stops_none_of_those_after_it(store: Store) -> None:
    wrong = JobStatus("failed", "no such file", cause=Cause.USER)
    executor = Directed({"e0": [wrong], "e2": [KILLED] * 4}, capacity=1)
    summary, _ = run(store, TODO, executor)
    assert summary.failed == {
        "e0": "no such file",
        "e2": "its process was killed by signal 9 (4 attempts)",
    }
    assert summary.executed.total() == 6


def test_out_of_memory_is_tried_again_in_a_process_of_its_own(store: Store) -> None:
    out = Completed("", "out of memory", cause=Cause.OUT_OF_MEMORY)
    executor = Directed({"e1": [out]}, capacity=1)
    summary, _ = run(store, TODO, executor)
    assert executor.batches[2:] == [CELLS, CELLS[2:], ["e1"]]
    assert (summary.retries, summary.failed) == (1, {})


def test_a_signal_is_put_down_to_the_job_that_it_stopped(store: Store) -> None:
    def stop(directory: Path) -> Completed:
        (batch,) = executor._running
        said = JobStatus("interrupted", "stopped", cause=Cause.STOPPED, batch=batch.id)
        write_status(directory, said)
        return Completed("", "a signal stopped its process", cause=Cause.STOPPED)

    executor = Directed({"e1": [stop]}, capacity=1)
    summary, diary = run(store, TODO, executor)
    assert [name for what, name in diary.told if what == "again"] == ["e1"]
    assert (summary.retries, summary.failed, summary.executed.total()) == (1, {}, 8)


def test_what_another_run_has_done_meanwhile_is_not_counted_as_ours(store: Store) -> None:
    def is_elsewhere(directory: Path) -> JobStatus:
        write_status(store.make_directory("e3"), JobStatus("done", batch="another"))
        return DONE

    class Passing(Directed):
        """Passes by what is another's, as a worker does."""

        def _run(self, batch: Batch) -> Completed | None:
            own = {key: folder for key, folder in batch.folders.items() if key != "e3"}
            super()._run(replace(batch, folders=own))
            return None if len(own) == len(batch.folders) else Completed(batch.id, elsewhere=True)

    executor = Passing({"e1": [is_elsewhere]}, capacity=1)
    summary, _ = run(store, TODO, executor)
    assert executor.batches[2:] == [CELLS]
    assert (summary.executed.total(), summary.cached, summary.retries) == (7, 1, 0)


@dataclass
class Slow(Directed):
    """Ends one job of each batch at a time; the process ends after the last one."""

    def completed(self, timeout_s: float) -> Iterator[Completed]:
        batch = self._running[0]
        done = self.__dict__.setdefault("done", [])
        key = next(key for key in batch.folders if key not in done)
        died = self._run(replace(batch, folders={key: batch.folders[key]}))
        done.append(key)
        if died or key == list(batch.folders)[-1]:
            self._running.remove(batch)
            yield died or Completed(batch.id)


def test_what_waits_for_a_job_is_begun_before_its_batch_ends(store: Store) -> None:
    """Two short trainings share a process: the cells of the first one do not wait for the second one."""
    todo = jobs(job("p", steps=1), job("a", "p", steps=1), job("b", "p", steps=1), job("e", "p", "a"))
    row = {"job_key": "x", "kind": "adapt", "wall_s": 1.0, "steps": 1}
    write_table(store.make_directory("x") / "job.parquet", [row], JOB_SCHEMA)
    executor = Slow(capacity=2, startup_s=10.0)
    _, diary = run(store, todo, executor)
    assert executor.batches == [["p"], ["a", "b"], ["e"]]
    assert diary.told.index(("started", "e")) < diary.told.index(("done", "b"))
    assert diary.told.index(("done", "a")) < diary.told.index(("started", "b"))


def test_a_run_that_is_begun_anew_follows_the_batches_of_the_one_before(store: Store) -> None:
    """Jobs that an earlier run submitted together are one batch again, under its id."""

    class Following(Directed):
        def recall(self, directory: Path) -> str | None:
            return "before" if directory.name in ("e1", "e4") else None

        def submit(self, batch: Batch) -> None:
            super().submit(batch)
            ids.append(batch.id)

    ids: list[str] = []
    executor = Following(capacity=1)
    summary, _ = run(store, TODO, executor)
    assert executor.batches[2:] == [["e0", "e2", "e3", "e5"], ["e1", "e4"]]
    assert ids[-1] == "before"
    assert summary.executed.total() == 8


def test_what_another_process_holds_is_left_out_of_a_batch(store: Store) -> None:
    lease = Lease.acquire(store.make_directory("e0"))
    assert lease is not None

    def let_go(_: Path) -> JobStatus:
        lease.release()
        return DONE

    executor = Directed({"e5": [let_go]}, capacity=1)
    summary, _ = run(store, TODO, executor)
    assert executor.batches[2:] == [CELLS[1:], ["e0"]]
    assert summary.executed.total() == 8


def test_how_large_a_batch_may_be() -> None:
    fair = BatchSize.of(n_ready=7, n_free=2, startup_s=0.0)
    assert fair.admits(4, None, trains=False)
    assert not fair.admits(5, 1.0, trains=False)
    assert not fair.admits(2, None, trains=True)
    dear = BatchSize.of(n_ready=7, n_free=100, startup_s=5.0)
    assert dear.admits(5, 10.0, trains=True)
    assert not dear.admits(5, 10.1, trains=True)
    assert not dear.admits(2, None, trains=False)
    assert not BatchSize.of(1000, 1, 5.0).admits(MOST + 1, 1.0, trains=False)


def test_progress_names_what_has_begun_and_counts_what_waits(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "PLAIN_EVERY_S", -1.0)
    submitted = jobs(*(job(f"j{number}") for number in range(40)))
    for key in list(submitted)[:6]:
        lease = Lease.acquire(store.make_directory(key))
        assert lease is not None
        lease.beat(3, 10)
    console = Console(file=io.StringIO(), width=80)
    shown = progress.RunProgress(console)
    shown.store = store
    shown.waiting(submitted, None)
    (line,) = console.file.getvalue().splitlines()
    assert line.startswith("0/0 jobs; now: ")
    assert line.count(" 3/10") == 4
    assert line.endswith(" and 2 more, 34 to begin")


def test_where_jobs_wait_in_a_queue_those_that_have_begun_count(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1000.0]
    monkeypatch.setattr(outlook.time, "monotonic", lambda: clock[0])
    todo = jobs(*(job(f"j{number}") for number in range(10)))
    ahead = outlook.Outlook(todo, store, at_a_time=100)
    monkeypatch.setattr(ahead, "estimate_s", lambda _: 30.0)
    for key in todo:
        ahead.submitted(key)
    for key in list(todo)[:2]:
        assert Lease.acquire(store.make_directory(key)) is not None
    assert ahead.left_s() == 30.0, "all may be starting"
    clock[0] += 80.0
    assert ahead.left_s() == 4 * 30.0, "eight wait for two places"
