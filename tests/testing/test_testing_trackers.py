"""The check of trackers: it passes good ones, and notices each broken rule; the first-party trackers pass."""

from __future__ import annotations

import importlib
import json
import sqlite3
import sys
from collections.abc import Collection, Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner
from pydantic import ConfigDict, Field

from mribench.cli import cli
from mribench.errors import PluginError
from mribench.interfaces import Entry, JobOutcome, Logged, NoOptions, Options, TrackedJob, TrackedRun, Tracker
from mribench.plugins import load_registry
from mribench.registry import Registered
from mribench.testing import ConformanceError, NotCheckable, check_entry, check_tracker


class Good(Tracker):
    """Keeps a JSON file for each job, as its interface asks."""

    def __init__(self) -> None:
        self.folder = Path()
        self.steps: dict[str, list[int]] = {}

    def run_started(self, run: TrackedRun) -> None:
        self.folder = run.directory / "good"
        self.folder.mkdir(exist_ok=True)

    def job_started(self, job: TrackedJob) -> None:
        self.steps[job.key] = []

    def job_logged(self, job: TrackedJob, rows: Sequence[Logged]) -> None:
        self.steps[job.key] += [row.step for row in rows]

    def job_ended(self, job: TrackedJob, outcome: JobOutcome) -> None:
        record = {"state": outcome.state, "steps": self.steps.pop(job.key), "scores": dict(outcome.scores)}
        self.path(job).write_text(json.dumps(record))

    def unfinished(self, jobs: Sequence[TrackedJob]) -> Collection[str]:
        return [job.key for job in jobs if not self.path(job).exists()]

    def path(self, job: TrackedJob) -> Path:
        return self.folder / f"{job.key}.json"


def test_a_good_tracker_passes_and_is_told_everything_in_order() -> None:
    heard: list[tuple[int, str, str, list[int]]] = []
    made: list[Tracker] = []

    class Listening(Good):
        def __init__(self) -> None:
            super().__init__()
            made.append(self)

        def run_started(self, run: TrackedRun) -> None:
            super().run_started(run)
            heard.append((len(made), "run", "", []))

        def job_started(self, job: TrackedJob) -> None:
            super().job_started(job)
            heard.append((len(made), "start", job.key, []))

        def job_logged(self, job: TrackedJob, rows: Sequence[Logged]) -> None:
            super().job_logged(job, rows)
            heard.append((len(made), "log", job.key, [row.step for row in rows]))

        def job_ended(self, job: TrackedJob, outcome: JobOutcome) -> None:
            super().job_ended(job, outcome)
            heard.append((len(made), "end", job.key, []))

        def run_ended(self) -> None:
            heard.append((len(made), "over", "", []))

    check_tracker(Listening)
    by_run = [[call for run, *call in heard if run == number] for number in range(1, len(made) + 1)]
    assert [call[0] for call in by_run[0]] == ["run", "over"], "a run without jobs"
    assert sum(calls[-1][0] != "over" for calls in by_run) == 1, "one run is killed"
    for calls in by_run:
        assert calls[0][0] == "run"
        for key in {call[1] for call in calls if call[1]}:
            of_job = [call[0] for call in calls if call[1] == key]
            assert of_job[0] == "start"
            assert "end" not in of_job[1:-1]
            steps = [step for call in calls if call[:2] == ["log", key] for step in call[2]]
            assert steps[:1] in ([], [0]), "every attempt is told from its first step"
    told = [key for calls in by_run for kind, key, _ in calls if kind == "start"]
    assert max(told.count(key) for key in told) == 3, "one job is told in three attempts"


class SameThread(Good):
    def __init__(self) -> None:
        super().__init__()
        self.connection = sqlite3.connect(":memory:")

    def job_started(self, job: TrackedJob) -> None:
        super().job_started(job)
        self.connection.execute("select 1")


class NoNumber(Good):
    def job_logged(self, job: TrackedJob, rows: Sequence[Logged]) -> None:
        json.dumps([dict(row.values) for row in rows], allow_nan=False)


class NamesFiles(Good):
    def job_logged(self, job: TrackedJob, rows: Sequence[Logged]) -> None:
        for name in rows[0].values:
            (self.folder / name).write_text("")


class Rising(Good):
    def job_logged(self, job: TrackedJob, rows: Sequence[Logged]) -> None:
        for row in rows:
            if row.step < max(self.steps[job.key], default=0):
                raise ValueError("steps must rise")
            self.steps[job.key].append(row.step)


class OneAtATime(Good):
    def job_started(self, job: TrackedJob) -> None:
        if self.steps:
            raise RuntimeError("another job is open")
        super().job_started(job)


class Fresh(Good):
    def job_started(self, job: TrackedJob) -> None:
        super().job_started(job)
        self.path(job).with_suffix(".begun").touch(exist_ok=False)


class ById(Good):
    def path(self, job: TrackedJob) -> Path:
        return self.folder / job.id.replace("/", "_")

    def job_started(self, job: TrackedJob) -> None:
        if self.path(job).with_suffix(".open").exists():
            raise ValueError(f"{job.id} is open")
        self.path(job).with_suffix(".open").touch()
        super().job_started(job)


class NeedsJobs(Good):
    def run_ended(self) -> None:
        next(iter(self.folder.iterdir()))


class Printing(Good):
    def job_ended(self, job: TrackedJob, outcome: JobOutcome) -> None:
        super().job_ended(job, outcome)
        print("saved", job.key)


class Exiting(Good):
    def run_started(self, run: TrackedRun) -> None:
        sys.exit("not logged in")


class Taking(Good):
    def job_logged(self, job: TrackedJob, rows: Sequence[Logged]) -> None:
        for row in rows:
            row.values.pop("total", None)  # type: ignore[attr-defined]


class Forgetful(Good):
    def unfinished(self, jobs: Sequence[TrackedJob]) -> Collection[str]:
        return [job.key for job in jobs]


class Ids(Good):
    def unfinished(self, jobs: Sequence[TrackedJob]) -> Collection[str]:
        return [job.id for job in jobs if not self.path(job).exists()]


class Nothing(Good):
    def unfinished(self, jobs: Sequence[TrackedJob]) -> Collection[str]:
        return None  # type: ignore[return-value]


class OneLine(Good):
    def job_ended(self, job: TrackedJob, outcome: JobOutcome) -> None:
        if "\n" in outcome.reason:
            raise ValueError("one line")


@pytest.mark.parametrize(
    ("tracker", "sentence"),
    [
        (SameThread, r"job_started\(\) raised ProgrammingError .*same thread"),
        (NoNumber, r"job_logged\(\) raised ValueError"),
        (NamesFiles, r"job_logged\(\) raised \w*Error \(jobs side by side\)"),
        (Rising, r"job_logged\(\) raised ValueError .*steps must rise"),
        (OneAtATime, r"job_started\(\) raised RuntimeError .*another job is open"),
        (Fresh, r"job_started\(\) raised FileExistsError \(a job that is told again after a kill\)"),
        (ById, r"job_started\(\) raised ValueError \(jobs side by side\)"),
        (NeedsJobs, r"run_ended\(\) raised StopIteration \(a run without jobs\)"),
        (Printing, r"job_ended\(\) prints to the standard output: \['saved bbb"),
        (Exiting, r"run_started\(\) raised SystemExit .*not logged in"),
        (Taking, r"job_logged\(\) changes what it is given"),
        (Forgetful, r"unfinished\(\) names a job that was told to its end"),
        (Ids, r"unfinished\(\) names keys that it was not given"),
        (Nothing, r"unfinished\(\) returns no keys, got None"),
        (OneLine, r"job_ended\(\) raised ValueError .*one line"),
        (dict, "expected a Tracker, got dict"),
    ],
)
def test_each_broken_rule_is_noticed(tracker, sentence) -> None:
    with pytest.raises(ConformanceError, match=f"tracker: {sentence}"):
        check_tracker(tracker)


def entry(factory, options: type[Options] = NoOptions) -> Entry:
    return Entry("tracker", "of-test", factory, options, "for tests")


class Typed(Options):
    """Options that text cannot give."""

    model_config = ConfigDict(strict=True)
    every_s: float = Field(2.0, description="seconds between two")


class Loose(Options):
    """Options that take anything."""

    model_config = ConfigDict(extra="allow")


class Undescribed(Options):
    """Options without a description."""

    every_s: float = 2.0


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (Typed, "the option 'every_s' cannot be given as text"),
        (Loose, "take keys that they do not have"),
        (Undescribed, "the option 'every_s' has no description"),
    ],
)
def test_options_are_checked(options, sentence) -> None:
    registry = load_registry()
    check_entry(entry(_of_options), registry=registry)
    with pytest.raises(ConformanceError, match=f"tracker 'of-test': .*{sentence}"):
        check_entry(entry(_of_options, options), registry=load_registry())


def _of_options(options: Options) -> Good:
    assert isinstance(options, Options)
    return Good()


def _without_package(options: Options) -> Good:
    raise PluginError("it needs the package nowhere: pip install nowhere")


def _imports(options: Options) -> Good:
    importlib.import_module("nowhere_to_be_found")
    return Good()


def test_a_missing_package_is_no_broken_rule_when_it_is_said() -> None:
    with pytest.raises(NotCheckable, match="needs the package nowhere"):
        check_entry(entry(_without_package), registry=load_registry())
    with pytest.raises(ConformanceError, match=r"ModuleNotFoundError .* PluginError"):
        check_entry(entry(_imports), registry=load_registry())


@pytest.mark.parametrize("name", ["mlflow", "tensorboard", "wandb"])
def test_first_party_trackers(name, monkeypatch) -> None:
    """Skipped where the package is not installed; W&B has an imitation in its own tests."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    registry = load_registry()
    check_entry(registry.get("tracker", name), registry=registry)


def test_the_command_says_ok_skipped_and_failed(monkeypatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    registry = load_registry()
    for factory, name in ((_of_options, "good"), (_without_package, "absent"), (_imports, "broken")):
        made = Entry("tracker", name, factory, NoOptions, "for tests")
        registry.add(Registered(made, "under-test", "local", "0"))
    monkeypatch.setattr("mribench.commands.installed.load_registry", lambda: registry)
    said = CliRunner().invoke(cli, ["plugins", "check", "under-test"], standalone_mode=False)
    assert said.return_value == 1
    absent, broken, good = said.output.splitlines()
    assert absent.startswith("skipped tracker absent: 'absent' cannot be built here: it needs the package")
    assert broken.startswith("failed  tracker broken: tracker 'broken': raised ModuleNotFoundError")
    assert good == "ok      tracker good"
