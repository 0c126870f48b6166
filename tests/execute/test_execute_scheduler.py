"""What is tried again, what is waited for, and in which order: with an executor that a test directs."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from directed import DONE, KILLED, Directed, job, jobs, run
from safetensors import SafetensorError

from mribench.errors import ConfigError, StoreError
from mribench.execute import disk, limits
from mribench.execute.causes import cause_of, status_of
from mribench.execute.limits import Limits
from mribench.interfaces.executor import Batch, Cause, Completed
from mribench.results import Lease, Store
from mribench.results.durations import Durations, estimate_left, longest_paths
from mribench.results.status import JobStatus, write_status
from mribench.results.stopping import read_stop_request
from mribench.results.store import CHECKPOINT

CHAIN = jobs(job("p"), job("a", "p"), job("e", "p", "a"))


def test_an_earlier_attempt_does_not_speak_for_one_that_never_began(store: Store) -> None:
    stopped = JobStatus("interrupted", "stopped; it goes on", cause=Cause.STOPPED)
    never = Completed("", "its time was over before it had begun")
    summary, _ = run(store, jobs(job("p")), Directed({"p": [stopped, never, never, never]}))
    assert summary.failed == {"p": "its time was over before it had begun (4 attempts)"}


def test_a_run_that_finds_all_done_says_how_each_job_stands(store: Store) -> None:
    summary, _ = run(store, CHAIN, Directed())
    assert (sum(summary.executed.values()), summary.inspected) == (3, {}), "they have changed since"
    again, _ = run(store, CHAIN, Directed())
    assert again.cached == 3
    assert again.inspected == {key: store.inspect(key) for key in CHAIN}


class Queueing(Directed):
    """Has every job wait in a queue, where a person calls it off, until it is killed there."""

    def submit(self, batch: Batch) -> None:
        super().submit(batch)
        called_off = JobStatus("interrupted", "mribench cancel called it off", cause=Cause.CANCELLED)
        for key, directory in batch.folders.items():
            assert Store(directory.parent.parent).note_failure(key, called_off)

    def completed(self, timeout_s: float) -> Iterator[Completed]:
        for key in self.killed:
            (batch,) = [batch for batch in self._running if key in batch.folders]
            self._running.remove(batch)
            yield Completed(batch.id, "its batch job was cancelled", cause=Cause.CANCELLED)


def test_what_waits_in_a_queue_can_be_called_off(store: Store) -> None:
    summary, _ = run(store, CHAIN, Queueing())
    assert summary.failed == {"p": "its batch job was cancelled"}
    assert summary.blocked == ["a", "e"]


@pytest.mark.parametrize("times", [1, 3])
def test_what_the_machine_failed_is_tried_again(store: Store, times: int) -> None:
    executor = Directed({"p": [KILLED] * times})
    summary, _ = run(store, CHAIN, executor)
    assert executor.submitted == ["p"] * (times + 1) + ["a", "e"]
    assert (summary.retries, summary.failed, summary.blocked) == (times, {}, [])
    assert summary.executed.total() == 3


def test_after_four_attempts_it_fails_with_what_needs_it(store: Store) -> None:
    summary, diary = run(store, CHAIN | jobs(job("q")), Directed({"p": [KILLED] * 4}))
    assert summary.failed == {"p": "its process was killed by signal 9 (4 attempts)"}
    assert sorted(summary.blocked) == ["a", "e"]
    assert summary.executed.total() == 1, "q does not need it"
    assert store.status("p").cause is Cause.INFRASTRUCTURE
    assert diary.told.count(("failed", "p")) == 1


def test_a_job_that_comes_further_is_tried_as_often_as_it_takes(store: Store) -> None:
    """A training of days may be preempted every hour."""

    def come_further(directory: Path) -> Completed:
        (directory / CHECKPOINT).write_text("one more")
        return KILLED

    summary, _ = run(store, jobs(job("p")), Directed({"p": [come_further] * 9}))
    assert (summary.retries, summary.failed) == (9, {})


def test_one_that_stands_still_is_not(store: Store) -> None:
    def stand_still(directory: Path) -> Completed:
        (directory / CHECKPOINT).touch(exist_ok=True)
        os.utime(directory / CHECKPOINT, ns=(1, 1))
        return KILLED

    summary, _ = run(store, jobs(job("p")), Directed({"p": [stand_still] * 9}))
    assert summary.retries == 3
    assert list(summary.failed) == ["p"]


@pytest.mark.parametrize("cause", [Cause.USER, Cause.BUG])
def test_what_would_end_the_same_is_not_tried_again(store: Store, cause: Cause) -> None:
    executor = Directed({"p": [JobStatus("failed", "no such file", cause=cause)]})
    summary, _ = run(store, CHAIN, executor)
    assert executor.submitted == ["p"]
    assert summary.failed == {"p": "no such file"}


def test_out_of_memory_is_tried_again_once_and_alone(store: Store) -> None:
    out = JobStatus("failed", "out of memory", cause=Cause.OUT_OF_MEMORY)
    todo = jobs(job("p"), job("q"), job("r"), job("s"))
    executor = Directed({"p": [out, out]})
    summary, _ = run(store, todo, executor)
    assert executor.submitted == ["p", "q", "r", "s", "p"]
    assert executor.beside[-1] == ("p",)
    assert summary.failed == {"p": "out of memory (2 attempts)"}
    executor = Directed({"p": [out]})
    summary, _ = run(store, todo, executor)
    assert summary.failed == {}


def test_a_full_disk_is_waited_for(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = ["no room: free some", "no room: free some", ""]
    monkeypatch.setattr(disk, "explain_unwritable", lambda _: answers.pop(0))
    full = Completed("", "No space left on device", cause=Cause.DISK)
    executor = Directed({"p": [full]}, capacity=1)
    summary, diary = run(store, jobs(job("p"), job("q")), executor)
    assert not answers, "it was asked until there was room"
    assert executor.submitted.count("p") == 2
    assert summary.executed.total() == 2
    noted = [text for what, text in diary.told if what == "noted"]
    assert noted == ["no room: free some", "the disk can be written to again: the run goes on"]


def test_a_job_taken_over_is_waited_for_and_its_files_left_alone(store: Store) -> None:
    """A frozen process comes back when another one has its job: the other one's result counts."""

    def take_over(directory: Path) -> Completed:
        lease = Lease.acquire(directory)
        assert lease is not None
        write_status(directory, JobStatus("running"))
        executor.script["q"] = [lambda _: (write_status(directory, DONE), lease.release(), DONE)[-1]]
        return Completed("", "its process was killed by signal 9")

    executor = Directed({"p": [take_over]}, capacity=1)
    summary, _ = run(store, CHAIN | jobs(job("q")), executor)
    assert executor.submitted == ["p", "q", "a", "e"]
    assert (summary.cached, summary.failed, summary.retries) == (1, {}, 0)


def test_a_person_asks_for_a_failed_job_again_while_the_run_goes_on(store: Store) -> None:
    def ask_again(_: Path) -> JobStatus:
        (store.directory("p") / "status.json").unlink()
        return DONE

    failed = JobStatus("failed", "wrong", cause=Cause.USER)
    executor = Directed({"p": [failed], "q": [ask_again]}, capacity=1)
    summary, _ = run(store, CHAIN | jobs(job("q", steps=1)), executor)
    assert executor.submitted == ["p", "q", "p", "a", "e"]
    assert (summary.failed, summary.blocked) == ({}, [])


def test_what_a_person_called_off_is_left_out_by_this_run_alone(store: Store) -> None:
    def call_off(_: Path) -> JobStatus:
        write_status(store.make_directory("q"), JobStatus("interrupted", "called off", cause=Cause.CANCELLED))
        return DONE

    executor = Directed({"p": [call_off]}, capacity=1)
    summary, _ = run(store, jobs(job("p", steps=100), job("q"), job("b", "q")), executor)
    assert executor.submitted == ["p"]
    assert summary.failed == {"q": "called off"}
    assert summary.blocked == ["b"]
    time.sleep(1.1)  # statuses are dated to the second
    assert run(store, jobs(job("q")), Directed())[0].executed.total() == 1


def test_a_job_that_stands_still_is_asked_to_stop_then_killed_then_tried_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "LOOK_S", 0.0)
    monkeypatch.setattr(limits, "GRACE_S", 0.05)

    class Hanging(Directed):
        """Holds the job's lease, and never beats, until it is killed."""

        def completed(self, timeout_s: float) -> Iterator[Completed]:
            if self.submitted.count("p") > 1:
                yield from super().completed(timeout_s)
            elif not self.killed:
                self.lease = getattr(self, "lease", None) or Lease.acquire(store.directory("p"))
                self.asked = read_stop_request(store.directory("p"))
            else:
                self.lease.release()
                yield replace(KILLED, batch=self._running.pop().id)

    executor = Hanging(capacity=1)
    summary, diary = run(store, jobs(job("p")), executor, Limits(no_progress_s=0.2))
    assert executor.killed == ["p"]
    assert executor.asked is not None
    assert executor.asked.cause is Cause.INFRASTRUCTURE
    assert ("again", "p") in diary.told
    assert (summary.executed.total(), summary.retries) == (1, 1)


def test_the_longest_chain_is_begun_first(store: Store) -> None:
    todo = jobs(job("short", steps=1), job("long", steps=100), job("p", steps=2), job("a", "p", steps=300))
    executor = Directed(capacity=1)
    run(store, todo, executor)
    assert executor.submitted == ["p", "a", "long", "short"]


def test_time_left_is_that_of_the_longest_chain_or_of_all_work() -> None:
    seconds, needs = {"p": 10.0, "a": 5.0, "e": 1.0, "q": 4.0}, {"p": (), "a": ("p",), "e": ("a",), "q": ()}
    assert longest_paths(seconds, needs) == {"p": 16.0, "a": 6.0, "e": 1.0, "q": 4.0}
    assert estimate_left(seconds, needs, 1) == 20.0
    assert estimate_left(seconds, needs, 4) == 16.0
    durations = Durations()
    durations.add("adapt", 10.0, 100)
    durations.add("adapt", 50.0, 200)
    assert durations.of("adapt", 30) == pytest.approx(30 * 60 / 300)
    assert durations.of("adapt") == 30.0
    assert durations.of("embed") is None


def raised(error: BaseException, cause: BaseException | None = None) -> BaseException:
    error.__cause__ = cause
    return error


def real_cpu_failure() -> BaseException:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(10**15)
    return caught.value


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (MemoryError(), Cause.OUT_OF_MEMORY),
        (torch.cuda.OutOfMemoryError("CUDA out of memory"), Cause.OUT_OF_MEMORY),
        (real_cpu_failure(), Cause.OUT_OF_MEMORY),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), Cause.OUT_OF_MEMORY),
        (raised(StoreError("cannot write"), OSError(errno.ENOSPC, "full")), Cause.DISK),
        (OSError(errno.EDQUOT, "quota"), Cause.DISK),
        (OSError(errno.EROFS, "read-only"), Cause.DISK),
        (SafetensorError("Error while serializing: I/O error: No space (os error 28)"), Cause.DISK),
        (OSError(errno.ESTALE, "stale file handle"), Cause.INFRASTRUCTURE),
        (raised(StoreError("cannot read"), OSError(errno.EIO, "I/O")), Cause.INFRASTRUCTURE),
        (ConfigError("wrong"), Cause.USER),
        (raised(StoreError("cannot write"), PermissionError(errno.EACCES, "no")), Cause.USER),
        (ValueError("unexpected"), Cause.BUG),
        (RuntimeError("shapes"), Cause.BUG),
    ],
)
def test_causes_of_errors(error: BaseException, cause: Cause) -> None:
    assert cause_of(error) is cause


def test_out_of_memory_says_what_needs_less() -> None:
    assert "batch_size" in status_of(MemoryError()).reason


def test_a_folder_that_can_be_written_to_needs_no_words(tmp_path: Path) -> None:
    assert disk.explain_unwritable(tmp_path) == ""
    assert not list(tmp_path.iterdir())
