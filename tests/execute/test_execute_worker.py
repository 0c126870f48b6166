"""A process that runs several jobs, one after another: each has its own end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from specifications import evaluate_spec

from mribench.errors import ConfigError
from mribench.execute import worker
from mribench.interfaces.executor import Cause, WorkerExit
from mribench.jobs import Context, Outcome
from mribench.registry import Registry
from mribench.results import Lease, Store
from mribench.results.content import Content
from mribench.results.specification import JobSpec, Specification, write_specification
from mribench.results.status import JobStatus, read_status, write_status
from mribench.training import Interrupted

KEYS = ("a", "b", "c")
Work = Callable[[Context], Outcome]


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Folders of three evaluations, in a process whose logging and warnings stay as they are."""
    monkeypatch.setattr(worker, "set_up_process", lambda _: Registry())
    store = Store(tmp_path)
    store.open()
    content = Content(results=1, entries=(), cohorts=())
    made = []
    for key in KEYS:
        folder = store.make_directory(key)
        spec = evaluate_spec(pretrain_key="p", adapt_key="q")
        write_specification(folder, Specification(id=key, spec=spec, content=content))
        made.append(folder)
    return made


def run(monkeypatch: pytest.MonkeyPatch, folders: Sequence[Path], work: Work) -> int:
    """Run the batch; return the exit code."""

    def run_spec(spec: JobSpec, context: Context) -> Outcome:
        del spec
        return work(context)

    monkeypatch.setattr(worker, "run_spec", run_spec)
    with pytest.raises(SystemExit) as end:
        worker.main([str(folder) for folder in folders], None, 1, batch="together", log=False)
    return int(end.value.code or 0)


def states(folders: Sequence[Path]) -> list[str]:
    found = [read_status(folder) for folder in folders]
    return [status.state if status else "todo" for status in found]


def test_each_job_names_its_batch(folders: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(monkeypatch, folders, lambda _: Outcome()) == WorkerExit.DONE
    assert states(folders) == ["done"] * 3
    found = [read_status(folder) for folder in folders]
    assert [status.batch for status in found if status] == ["together"] * 3


def test_a_job_that_fails_stops_none_after_it(folders: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(context: Context) -> Outcome:
        if context.directory.name == "a":
            raise ConfigError("wrong", "other")
        return Outcome()

    assert run(monkeypatch, folders, fail) == WorkerExit.FAILED
    assert states(folders) == ["failed", "done", "done"]


def test_after_a_signal_no_other_job_is_begun(folders: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(context: Context) -> Outcome:
        if context.directory.name == "b":
            raise Interrupted
        return Outcome()

    assert run(monkeypatch, folders, stop) == WorkerExit.STOPPED
    assert states(folders) == ["done", "interrupted", "todo"]


def test_a_job_that_is_called_off_meanwhile_is_left_out(
    folders: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def call_off(context: Context) -> Outcome:
        if context.directory.name == "a":
            write_status(folders[1], JobStatus("interrupted", "called off", cause=Cause.CANCELLED))
        return Outcome()

    assert run(monkeypatch, folders, call_off) == WorkerExit.ELSEWHERE
    assert states(folders) == ["done", "interrupted", "done"]


def test_what_another_process_holds_is_passed_by(
    folders: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    lease = Lease.acquire(folders[1])
    assert lease is not None
    assert run(monkeypatch, folders, lambda _: Outcome()) == WorkerExit.ELSEWHERE
    assert states(folders) == ["done", "todo", "done"]
