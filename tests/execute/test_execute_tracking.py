"""Trackers are told in order, in a thread of their own, and never stop a run."""

from __future__ import annotations

import json
import os
import sys
import threading
import uuid
from collections.abc import Sequence
from pathlib import Path

import pytest
from specifications import adapt_spec, evaluate_cell, evaluate_spec, pretrain_spec

from mribench.errors import PluginError
from mribench.execute import live, tracking
from mribench.execute.live import LiveFile, LiveReader
from mribench.execute.tracking import Named, Tracking, list_tracked_jobs, log_rows
from mribench.interfaces import JobOutcome, TrackedRun, Tracker
from mribench.plan import Job
from mribench.results import Store
from mribench.results.attempt import Attempt
from mribench.results.records import JOB_SCHEMA, SCORE_FILE_SCHEMA, write_table
from mribench.results.specification import EvaluateSpec
from mribench.results.status import JobStatus, write_status

METHODS = ("run_started", "job_started", "job_logged", "job_ended", "run_ended", "unfinished")


class Diary(Tracker):
    """Writes down what it is told; raises in one of its methods."""

    def __init__(
        self, raises: str = "", error: BaseException | None = None, missing: Sequence[str] = ()
    ) -> None:
        self.told: list[tuple] = []
        self._raises, self._error, self._missing = raises, error or RuntimeError("no\n  space"), missing
        self.threads: set[str] = set()

    def _note(self, name: str, *rest: object) -> None:
        self.threads.add(threading.current_thread().name)
        self.told.append((name, *rest))
        if name == self._raises:
            raise self._error

    def run_started(self, run):
        self._note("run_started", run.benchmark)

    def job_started(self, job):
        self._note("job_started", job.key)

    def job_logged(self, job, rows):
        self._note("job_logged", job.key, [row.step for row in rows])

    def job_ended(self, job, outcome):
        self._note("job_ended", job.key, outcome.state)
        self.outcome = outcome

    def run_ended(self):
        self._note("run_ended")

    def unfinished(self, jobs):
        self._note("unfinished", [job.key for job in jobs])
        return self._missing


class Silence:
    """A watcher that only counts."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def __getattr__(self, name: str):
        return lambda *_: self.calls.append(name)


@pytest.fixture
def store(tmp_path) -> Store:
    made = Store(tmp_path / "tiny")
    made.open()
    return made


def evaluation(site: str, arm: str) -> EvaluateSpec:
    cell = evaluate_cell(seed=0, fraction=0.5, test_site=site, arm=arm)
    return evaluate_spec(cell=cell, adapt_key="a", pretrain_key="p")


JOBS = {
    "p": Job(id="m/pretrain", key="p", spec=pretrain_spec()),
    "a": Job(id="m/t/50%", key="a", spec=adapt_spec(pretrain_key="p")),
    "e": Job(id="m/t/50%/test/Guys", key="e", spec=evaluation("Guys", "frozen")),
    "f": Job(id="m/t/50%/test/HH", key="f", spec=evaluation("HH", "finetune")),
}


def live_file(folder: Path) -> LiveFile:
    """Return the file of a job that begins."""
    attempt = Attempt(folder, uuid.uuid4().hex)
    attempt.begin()
    return LiveFile(attempt)


def finish(store: Store, key: str, scores: Sequence[float] = ()) -> JobStatus:
    """Leave what a worker leaves for a job that is done."""
    folder = store.make_directory(key)
    write_table(folder / "job.parquet", [{"job_key": key, "wall_s": 7.5}], JOB_SCHEMA)
    if scores:
        rows = [
            {"subject": f"s{i}", "session": "", "label": "", "metric": "dice", "value": v, "penalty": v,
             "status": "ok"}
            for i, v in enumerate(scores)
        ]  # fmt: skip
        write_table(folder / "records.parquet", rows, SCORE_FILE_SCHEMA)
    write_status(folder, JobStatus("done"))
    return JobStatus("done")


def tracked(
    store: Store, *trackers: Tracker, wanted: Sequence[str] = ("p", "e")
) -> tuple[Tracking, list, Silence]:
    said: list[str] = []
    named = [Named(f"diary{i} (plugin 'p' of d)", tracker) for i, tracker in enumerate(trackers)]
    run = TrackedRun("tiny", "corrected", "tiny.yaml", store.root)
    watcher = Silence()
    return Tracking(run, named, JOBS, wanted, store, watcher, said.append), said, watcher


def run_two(store: Store, watcher: Tracking) -> None:
    """Play the scheduler: one job fails, one is done."""
    watcher.planned(2, 0)
    store.make_directory("p")
    watcher.started(JOBS["p"])
    live_file(store.directory("p")).watch([])
    watcher.ended(JOBS["p"], JobStatus("failed", "no memory"))
    watcher.started(JOBS["e"])
    watcher.ended(JOBS["e"], finish(store, "e", [0.5, 0.7]))


STORY = [
    ("run_started", "tiny"), ("job_started", "p"), ("job_ended", "p", "failed"), ("job_started", "e"),
    ("job_ended", "e", "done"), ("run_ended",),
]  # fmt: skip


def test_a_tracker_is_told_in_order_in_a_thread_beside_the_run(store):
    diary = Diary()
    watching, said, watcher = tracked(store, diary)
    with watching:
        run_two(store, watching)
    assert diary.told == STORY
    assert said == []
    assert diary.threads == {"tracking"}
    assert watcher.calls == ["planned", "started", "ended", "started", "ended"], (
        "the progress hears all of it"
    )
    assert diary.outcome == JobOutcome("done", "", 7.5, {"dice": pytest.approx(0.6)})
    assert live.RUN not in os.environ


@pytest.mark.parametrize(
    "error", [RuntimeError("no\n  space"), SystemExit(3), PluginError("no space", "make some")]
)
@pytest.mark.parametrize("method", ["run_started", "job_started", "job_ended", "run_ended"])
def test_a_tracker_that_raises_is_off_with_one_warning(store, method, error):
    bad, good = Diary(method, error), Diary()
    watching, said, _ = tracked(store, bad, good)
    with watching:
        run_two(store, watching)
    assert good.told == STORY
    assert bad.told == STORY[: [name for name, *_ in STORY].index(method) + 1], "it is not called again"
    warnings = [text for text in said if "stopped" in text]
    reason = {RuntimeError: "RuntimeError: no space", SystemExit: "SystemExit: 3",
              PluginError: "no space (make some)"}[type(error)]  # fmt: skip
    assert warnings == [
        f"tracking with diary0 (plugin 'p' of d) stopped: {reason}; the run goes on without it"
    ]
    missed = [text for text in said if "missed" in text]
    expected = 0 if method == "run_ended" else 2
    assert missed == [
        f"tracking with diary0 (plugin 'p' of d) missed the end of {expected} of 2 jobs"
    ] * bool(expected)


def test_a_stuck_tracker_is_left_behind(store, monkeypatch):
    monkeypatch.setattr(tracking, "STUCK_S", 0.3)
    release = threading.Event()

    class Stuck(Diary):
        def job_started(self, job):
            release.wait(60)

    good = Diary()
    watching, said, _ = tracked(store, good, Stuck())
    with watching:
        run_two(store, watching)  # does not wait
    release.set()
    assert good.told == STORY[:2], "one thread tells all trackers: who comes after a stuck call hears no more"
    (warning,) = [text for text in said if "stuck" in text]
    assert warning.startswith("tracking with diary1")
    assert sum("missed the end of 2 of 2 jobs" in text for text in said) == 2


def test_losses_come_while_a_job_runs_and_once(store, monkeypatch):
    monkeypatch.setattr(tracking, "EVERY_S", 0.0)
    diary = Diary()
    watching, _, _ = tracked(store, diary)
    rows: list[dict[str, float]] = []
    with watching:
        directory = store.make_directory("p")
        watching.started(JOBS["p"])
        file = live_file(directory)
        file.watch(rows)
        for first in (0, 2):
            rows += [{"step": first, "total": 1.0}, {"step": first + 1, "total": 0.5}]
            file.flush()
            watching.waiting({"p": JOBS["p"]}, None)
        watching.waiting({"p": JOBS["p"]}, None)
        rows.append({"step": 4, "total": 0.1})
        file.flush()
        watching.ended(JOBS["p"], JobStatus("failed", "x"))
    assert diary.told[1:-1] == [
        ("job_started", "p"), ("job_logged", "p", [0, 1]), ("job_logged", "p", [2, 3]),
        ("job_logged", "p", [4]), ("job_ended", "p", "failed"),
    ]  # fmt: skip


def test_a_job_of_another_run_is_not_reported(store, monkeypatch):
    monkeypatch.setattr(tracking, "EVERY_S", 0.0)
    diary = Diary()
    watching, _, _ = tracked(store, diary)
    with watching:
        directory = store.make_directory("p")
        watching.started(JOBS["p"])
        with monkeypatch.context() as patch:
            patch.setenv(live.RUN, "another")
            file = live_file(directory)
        file.watch([{"step": 0, "total": 1.0}])
        file.flush()
        watching.waiting({"p": JOBS["p"]}, None)
    assert diary.told == [("run_started", "tiny"), ("run_ended",)]


def test_an_interrupted_run_ends_its_jobs(store, monkeypatch):
    monkeypatch.setattr(tracking, "EVERY_S", 0.0)
    diary = Diary()
    finish(store, "e")
    watching, _, _ = tracked(store, diary)
    with pytest.raises(KeyboardInterrupt), watching:  # noqa: PT012 - a run is a block
        directory = store.make_directory("p")
        watching.started(JOBS["p"])
        live_file(directory)
        write_status(directory, JobStatus("interrupted", "stopped"))
        raise KeyboardInterrupt
    assert diary.told == [
        ("run_started", "tiny"), ("job_started", "p"), ("job_ended", "p", "interrupted"), ("run_ended",)
    ]  # fmt: skip


def test_jobs_done_before_are_told_where_their_record_lacks(store):
    finish(store, "e", [1.0])
    finish(store, "f", [0.0])
    asks, knows = Diary(missing=["f"]), Diary()
    watching, said, _ = tracked(store, asks, knows, wanted=("e", "f"))
    with watching:
        pass
    assert asks.told == [
        ("run_started", "tiny"), ("unfinished", ["e", "f"]), ("job_started", "f"), ("job_ended", "f", "done"),
        ("run_ended",),
    ]  # fmt: skip
    assert asks.outcome.scores == {"dice": 0.0}
    assert len(knows.told) == 3
    assert said == []


def test_labels_are_what_the_jobs_behind_have_in_common(store):
    found = list_tracked_jobs(JOBS, store)
    common = {"benchmark": "b", "method": "m", "profile": "corrected", "seed": 0}
    trained = {**common, "task": "t", "dataset": "people", "fraction": 0.5}
    assert found["e"].labels == {**trained, "arm": "frozen", "test_site": "Guys", "test_sequence": "T1w"}
    assert found["a"].labels == trained, "not the arm, in which the two differ"
    assert found["p"].labels == common
    assert found["p"].directory == store.directory("p")
    assert (found["p"].id, found["p"].kind) == ("m/pretrain", "pretrain")


# The file between a job and who tracks it


def test_no_file_where_nobody_tracks(tmp_path, monkeypatch):
    monkeypatch.delenv(live.RUN, raising=False)
    (tmp_path / live.NAME).write_text("left by a process that was killed\n")
    file = live_file(tmp_path)
    file.watch([{"step": 0, "total": 1.0}])
    file.flush()
    assert not (tmp_path / live.NAME).exists()


def test_the_file_holds_each_row_once_and_lines_are_read_whole(tmp_path, monkeypatch):
    monkeypatch.setenv(live.RUN, "r")
    reader = LiveReader(tmp_path, "r")
    assert reader.read() is None
    file, rows = live_file(tmp_path), []
    file.watch(rows)
    assert reader.read() == []
    rows += [{"step": 0, "total": 1.5}]
    file.flush()
    file.flush()
    path = tmp_path / live.NAME
    assert [json.loads(line) for line in path.read_text().splitlines()] == [{"run": "r"}, rows[0]]
    with path.open("a") as half:
        half.write('{"step": 1, "to')
    assert reader.read() == rows
    assert reader.read() == []
    with path.open("a") as rest:
        rest.write('tal": 0.25}\n')
    assert reader.read() == [{"step": 1, "total": 0.25}]
    file.remove()
    assert reader.read() is None


def test_a_damaged_file_is_no_error(tmp_path):
    (tmp_path / live.NAME).write_text('{"run": "r"}\n\0\0\0\n')
    assert LiveReader(tmp_path, "r").read() is None


def test_a_file_that_cannot_be_written_is_given_up(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv(live.RUN, "r")
    attempt = Attempt(tmp_path, "t")
    attempt.begin()
    (attempt.folder / live.NAME).mkdir()  # even root cannot append to a folder
    file = LiveFile(attempt)
    file.watch([{"step": 0, "total": 1.0}])
    file.flush()
    file.flush()
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_terms_that_a_row_lacks_are_left_out():
    (row,) = log_rows([{"step": 3, "total": None, "rank": 2.0}])
    assert (row.step, dict(row.values)) == (3, {"rank": 2.0})


def test_the_interface_needs_no_torch(repository: Path):
    import subprocess

    program = "import sys; from mribench.interfaces import Tracker; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
