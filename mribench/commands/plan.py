"""What ``mribench plan`` does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

from mribench.commands.planning import Planned, plan_file
from mribench.commands.progress import RunProgress
from mribench.commands.terminal import print_table, say, say_missing
from mribench.errors import ConfigError
from mribench.interfaces.dataset import Dataset
from mribench.plan.changes import Change
from mribench.plan.stale import stale_changes
from mribench.results.patterns import matches_any
from mribench.results.specification import EvaluateSpec
from mribench.wording import count

_SHOWN = ("done", "failed", "interrupted", "damaged", "running", "to do", "waiting")


def show_plan(
    file: Path,
    sets: tuple[str, ...],
    results: Path,
    show_jobs: bool,
    why: str | None,
    estimate: bool,
    power: Path | None,
    difference: float | None,
) -> int:
    """Say what FILE would run: what is done, what is stale and why, what waits for data."""
    console = Console()
    with RunProgress(console) as progress:
        planned = plan_file(file, sets, results, make=False, progress=progress.preparing)
    states, damaged = _find_states(planned)
    changes = stale_changes(planned.plan, planned.store)
    stale = {}
    for name, differing in changes.items():
        stale[name] = ", ".join(dict.fromkeys(change.what for change in differing))  # each cause once
    _print_counts(console, planned, states, stale)
    for name, reason in damaged.items():
        say(console, f"damaged: {name}: {reason}; it would run again", "yellow")
    say_missing(console, planned.plan.missing)
    for note in planned.plan.notes:
        say(console, f"note: {note}", "dim")
    for reason, number in Counter(stale.values()).most_common():
        say(console, f"stale: {count(number, 'job')} with older results that differ in {reason}")
    if why is not None:
        _say_why(console, planned, states, changes, why)
    if show_jobs:
        _list_jobs(console, planned, states, stale)
    if estimate:
        from mribench.commands.plan_estimate import show_estimate  # all that jobs need, seconds of imports

        show_estimate(console, planned)
    if power is not None:
        from mribench.commands.plan_power import show_power  # reads results, which no other plan needs

        show_power(console, planned, power, difference)
    return 1 if _lacks_named_data(planned) else 0


def _find_states(planned: Planned) -> tuple[dict[str, str], dict[str, str]]:
    """Return how each job stands, and of the damaged ones the reason, by their ids."""
    states: dict[str, str] = {}
    damaged: dict[str, str] = {}
    for job in planned.plan.jobs:
        status = planned.store.status(job.key) if job.key else None
        state = status.state if status else "waiting"
        states[job.id] = "to do" if state == "todo" else state
        if status and state == "damaged":
            damaged[job.id] = status.reason
    return states, damaged


def _lacks_named_data(planned: Planned) -> bool:
    """Whether a cohort is not there that was said to be somewhere, and that cannot make itself."""
    datasets: list[Dataset] = [planned.resolved.datasets[name].make() for name in planned.plan.missing]
    return any(dataset.where() and type(dataset).make is Dataset.make for dataset in datasets)


def _list_jobs(console: Console, planned: Planned, states: dict[str, str], stale: dict[str, str]) -> None:
    for job in planned.plan.jobs:
        shown = states[job.id] if job.id not in stale else f"stale: {stale[job.id]}"
        say(console, f"{shown:12} {job.kind:9} {job.id}")


def _say_why(
    console: Console,
    planned: Planned,
    states: dict[str, str],
    changes: dict[str, tuple[Change, ...]],
    pattern: str,
) -> None:
    """Print why each job that matches runs again."""
    matching = [job for job in planned.plan.jobs if matches_any(job.id, [pattern])]
    if not matching:
        raise ConfigError(
            f"--why {pattern}: no job has such a name",
            "`mribench plan FILE --jobs` lists them; FILE goes first",
        )
    counts: Counter[str] = Counter()
    for job in matching:
        reason = "; ".join(change.text for change in changes.get(job.id, ()))
        if job.key and states[job.id] in ("failed", "interrupted", "damaged"):
            before = planned.store.status(job.key).said
            reason = "; ".join(text for text in (f"{states[job.id]} before: {before}", reason) if text)
        counts[states[job.id] if job.id not in changes else "stale"] += 1
        if reason:
            say(console, f"{job.id}: {reason}")
    known = ", ".join(
        f"{number} {'never run' if state == 'to do' else state}" for state, number in counts.items()
    )
    say(console, f"{count(len(matching), 'job')} that match: {known}")


def _print_counts(console: Console, planned: Planned, states: dict[str, str], stale: dict[str, str]) -> None:
    plan = planned.plan
    own = [
        job
        for job in plan.jobs
        if job.method in planned.resolved.methods and not job.measures and not job.chooses
    ]
    table = Table(title=f"{planned.resolved.config.benchmark} ({planned.resolved.label})")
    measuring = [job for job in plan.jobs if job.measures]
    table.add_column("kind")
    columns = [state for state in _SHOWN if state in states.values()]
    owners = ["of methods", "of references", *(["of defects"] if measuring else [])]
    for column in ("jobs", *owners, *columns, *(["stale"] if stale else [])):
        table.add_column(column, justify="right")
    for kind in (*plan.count(), "all"):
        jobs = [job for job in plan.jobs if kind in (job.kind, "all")]
        mine = [job for job in own if kind in (job.kind, "all")]
        by_state = Counter(states[job.id] for job in jobs)
        counts = [by_state[column] for column in columns]
        extra = [sum(job.id in stale for job in jobs)] if stale else []
        measured = sum(kind in (job.kind, "all") for job in measuring)
        owned = [len(mine), len(jobs) - len(mine) - measured, *([measured] if measuring else [])]
        numbers = [len(jobs), *owned, *counts, *extra]
        table.add_row(kind, *(str(n) for n in numbers))
    print_table(console, table)
    seeds = len(planned.resolved.config.seeds)
    console.print(
        f"{len(own) / seeds:g} jobs a seed for the methods' own cells; {count(seeds, 'seed')}",
        highlight=False,
    )
    for text in _describe_tested_sequences(planned):
        say(console, text)
    subsets = _describe_label_subsets(planned)
    if subsets:
        say(console, f"label subsets: {subsets}")
    shown = planned.resolved.shown_defects()
    if shown:
        say(console, f"known defects switched on: {', '.join(shown)}")


def _describe_tested_sequences(planned: Planned) -> Iterator[str]:
    """Yield, for each task, the sequences that its decoders are trained and tested on."""
    for name, task in planned.resolved.tasks.items():
        specs = [job.spec for job in planned.plan.jobs if isinstance(job.spec, EvaluateSpec)]
        tested = list(dict.fromkeys(spec.cell.test_sequence for spec in specs if spec.cell.task == name))
        trained_on = [channels.name for channels in task.spec.trained_on]
        if not tested:
            continue
        if task.spec.test_sequences == "all" and task.spec.data in planned.plan.missing:
            yield f"{name}: trained on {', '.join(trained_on)}, tested on all that test subjects will have"
        elif task.spec.test_sequences == "same" and len(trained_on) > 1:
            yield f"{name}: trained on {', '.join(trained_on)}, each tested on its own sequence"
        else:
            yield f"{name}: trained on {', '.join(trained_on)}, tested on {', '.join(tested)}"


def _describe_label_subsets(planned: Planned) -> str:
    """Return how the subjects of label fractions are drawn; nothing where all are used throughout."""
    config = planned.resolved.config
    if all(fraction == 1 for task in config.tasks.values() for fraction in task.fractions):
        return ""
    fixed = config.fixed_subset_seeds
    if fixed is None:
        return "each train seed draws its own, the same for every method"
    draws = "one draw" if len(fixed) == 1 else f"{len(fixed)} draws"
    return f"{draws} for all train seeds (subset_seeds: {fixed}); results speak of these subjects"
