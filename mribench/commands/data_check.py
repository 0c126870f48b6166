"""What ``mribench data check`` does."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from mribench.commands.plugins import load_plugins
from mribench.commands.progress import RunProgress
from mribench.commands.terminal import make_text, print_table
from mribench.config import ResolvedBenchmark, load_benchmark, resolve
from mribench.data.check import CohortCheck, Group, Reason, SplitCounts, check_cohort
from mribench.data.twins import SeenImages
from mribench.data.uses import Use
from mribench.errors import ConfigError, MRIBenchError, did_you_mean
from mribench.wording import list_some

SHOWN = 5
"""So many names, or sentences of one kind, are written out; --format json has all."""


def show_check(file: Path, sets: tuple[str, ...], only: str | None, read: bool, form: str) -> int:
    """Say what the cohorts of FILE have and lack; return 0 when a run can use every one as it is."""
    registry = load_plugins()
    resolved = resolve(load_benchmark(file, sets), registry)
    checks = []
    seen = SeenImages()
    with RunProgress(Console(stderr=True)) as progress:
        for name in _chosen(resolved, only):
            component = resolved.datasets[name]
            check = check_cohort(
                name,
                component.make(),
                entry=component.name,
                rule=resolved.splits[name].make() if name in resolved.splits else None,
                uses=_uses(resolved, name),
                reader=component.registered.digest,
                read=read,
                progress=progress.preparing,
                seen=seen,
            )
            if check.missing:
                check = replace(check, missing=check.missing + resolved.config.unset(name))
            checks.append(check)
    if form == "json":
        click.echo(_json(checks))
    else:
        for check in checks:
            _print(Console(), check)
        _print_summary(Console(), checks)
    return 0 if all(check.usable for check in checks) else 1


def _chosen(resolved: ResolvedBenchmark, only: str | None) -> list[str]:
    names = list(resolved.datasets)
    if only is None:
        return names
    if only not in names:
        raise ConfigError(f"{resolved.config.source}: there is no cohort '{only}'", did_you_mean(only, names))
    return [only]


def _uses(resolved: ResolvedBenchmark, name: str) -> list[Use]:
    """Return what the tasks on a cohort are trained and tested on."""
    uses = []
    for task, one in resolved.tasks.items():
        if one.spec.data != name:
            continue
        try:
            made = one.task.make()
        except MRIBenchError as error:
            raise ConfigError(
                f"{resolved.config.source}: tasks.{task}.task: {error.message}", error.hint
            ) from error
        trained_on = tuple(one.spec.trained_on)
        tested_on = tuple(one.spec.all_tested_on(()))  # `all` asks for nothing that is not there
        uses.append(Use(task, made.label, trained_on, tested_on, made, made.target_sequence))
    return uses


def _json(checks: Sequence[CohortCheck]) -> str:
    cohorts = [{**asdict(check), "usable": check.usable} for check in checks]
    usable = all(check.usable for check in checks)
    return json.dumps({"usable": usable, "cohorts": cohorts}, indent=2, ensure_ascii=False)


def _print(console: Console, check: CohortCheck) -> None:
    console.rule(make_text(f"{check.name} ({check.dataset})", "bold"), align="left", style="dim")
    for label, value in (("folder", check.where), ("licence", check.licence), ("source", check.source)):
        if value:
            _item(console, label, value)
    if check.missing:
        _sentences(console, "missing", [check.missing], "yellow")
        for name, digest in check.archives.items():
            _item(console, "md5", f"{digest}  {name}")
        _sentences(console, "unusable", check.problems, "red")
        console.print()
        return
    if check.groups:
        _print_table(console, check.groups)
    _item(console, "in all", f"{check.subjects} subjects, {check.scans} scans")
    for reason in check.lacking:
        _item(console, "missing", f"{_people(reason)} without {reason.kind}")
    _print_reasons(console, "left out", check.excluded, check.where)
    _print_reasons(console, "remark", check.remarks, check.where)
    if check.ignored:
        kinds = ", ".join(f"{count} {kind}" for kind, count in check.ignored.items())
        _item(console, "no inputs", f"{_count(sum(check.ignored.values()), 'file')}: {kinds}")
    _item(console, "covariates", _counts(check.covariates, check.subjects) or "none")
    _print_reading(console, check)
    if check.split is not None:
        _print_split(console, check.split)
    console.print()


def _print_table(console: Console, groups: Sequence[Group]) -> None:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    labels = sorted({label for group in groups for label in group.labelled})
    table.add_column("scanned at")
    table.add_column("sequence")
    for column in ("subjects", "scans", "sessions", *(f"with {label}" for label in labels)):
        table.add_column(make_text(column), justify="right")
    for group in groups:
        numbers = (group.subjects, group.scans, group.sessions, *(group.labelled.get(n, 0) for n in labels))
        table.add_row(make_text(group.site), make_text(group.sequence), *(str(number) for number in numbers))
    print_table(console, table)


def _print_reasons(console: Console, label: str, reasons: Iterable[Reason], folder: str) -> None:
    """Print how often and whom, with one example, its paths from the cohort's folder on."""
    for reason in reasons:
        if reason.names:
            _item(console, label, f"{reason.count} × {reason.kind}: {list_some(reason.names, SHOWN)}")
            example = reason.sentences[0].replace(f"{folder}/", "") if folder else reason.sentences[0]
            console.print(make_text(f"{'':13}e.g. {example}", "dim"), soft_wrap=True)
        else:
            _item(console, label, "; ".join(reason.sentences[:SHOWN]))


def _print_reading(console: Console, check: CohortCheck) -> None:
    if not check.read:
        _item(console, "files", "not opened (--no-read)")
    for name, (low, high) in check.levels.items():
        _item(console, "taken for", f"{name}: median in the head {low:.3g} to {high:.3g}")
    for change in check.changes:
        share = (change.clipped_vox + change.repaired_vox) / max(1, change.voxels)
        _item(
            console,
            "mended",
            f"{change.name}: {change.repaired_vox:,} voxels not finite (read as 0), {change.clipped_vox:,}"
            f" clipped, in {_count(change.scans, 'scan')} ({share:.1%} of all voxels)",
        )
    if check.problems:
        _sentences(console, "unusable", check.problems, "red")
    elif check.read:
        _item(console, "files", "all can be read and used")


def _print_split(console: Console, split: SplitCounts) -> None:
    if split.problem:
        _sentences(console, "split", [f"cannot be made: {split.problem}"], "red")
        return
    parts = {"train": split.train, "validation": split.validation, "test": split.test}
    shown = (f"{role} {sum(at.values())}{_sites(at)}" for role, at in parts.items())
    _item(console, "split", "; ".join(shown))


def _print_summary(console: Console, checks: Sequence[CohortCheck]) -> None:
    wrong = [check.name for check in checks if not check.usable]
    if wrong:
        text = f"{len(checks) - len(wrong)} of {len(checks)} cohorts can be used; not {', '.join(wrong)}"
        console.print(make_text(text, "yellow"))
    else:
        console.print(
            make_text(f"all {len(checks)} cohorts can be used" if len(checks) > 1 else "can be used", "green")
        )


def _item(console: Console, label: str, value: str) -> None:
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=12, no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row(make_text(label, "dim"), make_text(value))
    console.print(grid)


def _sentences(console: Console, label: str, sentences: Sequence[str], style: str) -> None:
    """Print sentences with paths in one piece, so that they can be copied."""
    for sentence in sentences:
        console.print(make_text(f"{label:12} {sentence}", style), soft_wrap=True)


def _people(reason: Reason) -> str:
    return f"{_count(reason.count, 'person', 'people')} ({list_some(reason.names, SHOWN)})"


def _sites(counts: Mapping[str, int]) -> str:
    if len(counts) < 2:
        return ""
    parts = [f"{name} {count}" for name, count in counts.items()]
    return f" ({', '.join(parts)})"


def _counts(counts: Mapping[str, int], total: int) -> str:
    return ", ".join(
        f"{name} of {count}" if count < total else f"{name} of all" for name, count in counts.items()
    )


def _count(number: int, singular: str, plural: str = "") -> str:
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"
