"""What ``mribench run`` does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from threading import Event

from rich.console import Console

import mribench
from mribench.commands.background import be_in_background
from mribench.commands.engine import prepare_engine
from mribench.commands.garbage import without_collections
from mribench.commands.planning import Planned, plan_file
from mribench.commands.plugins import table_sources
from mribench.commands.progress import RunProgress
from mribench.commands.run_log import RunLog
from mribench.commands.signals import EndedBySignalError, end_on_signals, importing
from mribench.commands.terminal import say, say_missing
from mribench.config import load_benchmark
from mribench.errors import ConfigError, DataError
from mribench.execute.provenance import git_commit
from mribench.execute.scheduler import execute
from mribench.execute.selection import select
from mribench.execute.tracking import Named, Tracking, make_trackers
from mribench.execute.watcher import Summary, Watcher
from mribench.interfaces.tracker import TrackedRun
from mribench.plugins import load_registry
from mribench.report import Material, load_run, render, run_document
from mribench.results.load import RunData
from mribench.results.merged import profile_sentence
from mribench.results.patterns import matches_any
from mribench.results.specification import Provenance
from mribench.results.status import JobStatus
from mribench.wording import count


def run_file(
    file: Path,
    sets: tuple[str, ...],
    results: Path,
    executor: str | None,
    only: tuple[str, ...],
    limit: int | None,
    track: tuple[str, ...],
    dry_run: bool,
    collect: bool,
    detached: bool,
    **execution: int | str | None,
) -> int:
    """Run what FILE describes and is not done yet, then show the tables.

    ``execution`` has what the command line says of the file's section of this name; None stands for nothing.
    """
    console = Console()
    with importing():  # plugins are imported
        config = load_benchmark(file, sets)
        engine = prepare_engine(config, executor, execution)
        # what is missing for a tracker is said before anything runs
        trackers = make_trackers(track, load_registry()) if track else []
    apart = be_in_background(results / config.benchmark) if detached else nullcontext(Event())
    with end_on_signals(), apart as begun, RunProgress(console) as progress:
        planned = plan_file(file, sets, results, make=not dry_run, progress=progress.preparing)
        wanted = planned.plan.runnable()
        if not wanted and not dry_run:
            waits = "; ".join(f"data.{name}: {sentence}" for name, sentence in planned.plan.missing.items())
            raise DataError(f"no job can run: {waits}", "nothing was run; run again when the data are there")
        if only:
            _check_only(only, planned)
            wanted = select(wanted, only)
        if limit:
            wanted = dict(list(wanted.items())[:limit])
        say_missing(console, planned.plan.missing)
        for note in planned.plan.notes:
            say(console, f"note: {note}", "dim")
        _say_defects(console, planned)
        if dry_run:
            todo = [job.id for key, job in wanted.items() if not planned.store.is_done(key)]
            console.print(*todo, f"{len(todo)} jobs would run", sep="\n", markup=False, highlight=False)
            return 0
        if collect:
            return _collect(console, planned, wanted)
        progress.store = planned.store
        summary = Summary()
        with _start_tracking(trackers, planned, wanted, progress, console) as watcher:
            log = RunLog(planned.store.root / "logs", watcher)
            made = engine.make_executor()
            begun.set()
            try:
                execute(
                    wanted, planned.store, made, log, _collect_provenance(file, sets),
                    summary, examples=planned.resolved.config.report.examples, limits=engine.limits,
                )  # fmt: skip
            except (KeyboardInterrupt, EndedBySignalError) as stop:
                _say_stopped(console, log, summary, stop)
                raise
            log.write(_describe(summary))
            if summary.executed:
                log.write(_describe_time(summary))
    shown = _show_results(console, planned, summary.inspected)
    _say_summary(console, planned, summary, shown)
    return 1 if summary.failed or planned.plan.missing else 0


def _collect(console: Console, planned: Planned, wanted: Collection[str]) -> int:
    """Show the tables of what is done, and say what is not; nothing is run."""
    inspected = {key: planned.store.inspect(key) for key in wanted}
    states = Counter(status.state for status in inspected.values())
    _show_results(console, planned, inspected)
    counts = ", ".join(
        f"{number} {'to do' if state == 'todo' else state}" for state, number in states.items()
    )
    say(console, f"{count(len(wanted), 'job')}: {counts}; nothing was run")
    return 1 if states["failed"] or planned.plan.missing else 0


def _say_stopped(console: Console, log: RunLog, summary: Summary, stop: BaseException) -> None:
    """Say, and write down, what a run has done that somebody stopped."""
    by = "Ctrl-C" if isinstance(stop, KeyboardInterrupt) else str(stop)
    sentence = f"stopped by {by}: {_describe(summary)}"
    say(console, sentence)
    log.write(sentence)


def _collect_provenance(file: Path, sets: Sequence[str]) -> Provenance:
    return Provenance(
        file=file.name,
        file_commit=git_commit(file.resolve()),
        mribench_commit=git_commit(Path(mribench.__file__)),
        sets=tuple(sets),
    )


def _check_only(patterns: tuple[str, ...], planned: Planned) -> None:
    ids = [job.id for job in planned.plan.jobs]
    for pattern in patterns:
        if not any(matches_any(name, [pattern]) for name in ids):
            raise ConfigError(
                f"--only {pattern}: no job has such a name",
                f"`mribench plan FILE --jobs` lists them, for example '{ids[-1]}'",
            )


def _start_tracking(
    trackers: list[Named], planned: Planned, wanted: Collection[str], progress: RunProgress, console: Console
) -> AbstractContextManager[Watcher]:
    """Return who watches the run: the progress alone, or trackers too."""
    if not trackers:
        return nullcontext(progress)
    config, store = planned.resolved.config, planned.store
    run = TrackedRun(config.benchmark, planned.resolved.label, Path(config.source).name, store.root)
    warn = partial(say, console, style="yellow")
    return Tracking(run, trackers, planned.plan.runnable(), wanted, store, progress, warn)


def _say_defects(console: Console, planned: Planned) -> None:
    """Name the known defects that the run reproduces, as the captions of its tables do."""
    shown = planned.resolved.shown_defects()
    if shown:
        say(console, profile_sentence({planned.resolved.label: list(shown)}), "yellow")


@without_collections()
def _show_results(console: Console, planned: Planned, inspected: Mapping[str, JobStatus]) -> RunData:
    run = load_run(planned.store.root, planned.digest, inspected)
    material = Material(run, sources=table_sources())
    render(run_document(material, planned.resolved.config.report.tables), "terminal", console)
    return run


def _describe(summary: Summary) -> str:
    """Return what a run did, in a line."""
    kinds = ", ".join(f"{number} {kind}" for kind, number in summary.executed.items()) or "0"
    again = f" {summary.retries} tried again," if summary.retries else ""
    left = f" {summary.left} left to do," if summary.left else ""
    return (
        f"{sum(summary.executed.values())} jobs executed ({kinds}), {summary.cached} done before,"
        f"{again}{left} {len(summary.failed)} failed, {len(summary.blocked)} not run because of those;"
        f" {summary.wall_s:.0f} s in all"
    )


def _describe_time(summary: Summary) -> str:
    """Return where the time of a run went, in a line: into jobs, around them, or nowhere."""
    whole_s = summary.places * summary.wall_s
    work_s = min(summary.work_s, whole_s)
    around_s = min(max(summary.busy_s - work_s, 0.0), whole_s - work_s)
    parts = {
        "in jobs": work_s,
        "around them (start, queue, writing, failed attempts)": around_s,
        "free": whole_s - work_s - around_s,
    }
    said = ", ".join(
        f"{part_s:.0f} s ({100 * part_s / whole_s:.0f} %) {what}" for what, part_s in parts.items()
    )
    return f"where the time of {count(summary.places, 'place')} went: {said}"


def _say_summary(console: Console, planned: Planned, summary: Summary, run: RunData) -> None:
    say(console, _describe(summary))
    if summary.executed:
        say(console, _describe_time(summary))
    _say_times(console, run)
    for name, reason in summary.failed.items():
        say(console, f"failed: {name}: {reason}", "red")
    say(console, f"results: {planned.store.root}")


def _say_times(console: Console, run: RunData) -> None:
    """Print where the time of all jobs of this file went."""
    parts = [
        f"{kind} {group['wall_s'].sum():.0f} s ({len(group)} × {group['wall_s'].mean():.1f} s)"
        for kind, group in run.jobs.groupby("kind", sort=False)
    ]
    if parts:
        say(console, f"time in jobs: {', '.join(parts)}")
