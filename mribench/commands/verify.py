"""What ``mribench verify`` does."""

from __future__ import annotations

import math
import tempfile
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mribench.commands.plugins import load_plugins
from mribench.commands.progress import RunProgress
from mribench.commands.terminal import print_table, say
from mribench.config import BenchmarkConfig, digest_config, load_benchmark
from mribench.errors import ConfigError, did_you_mean
from mribench.validation import readable
from mribench.verify import KINDS, Rerun, Results, Verdict, check_integrity, open_results, sample
from mribench.verify.results import Verifiable
from mribench.wording import printable

_STYLES = {"same": "green", "differs": "red", "not rerun": "yellow"}
_LONGEST = 2000  # characters of one line about a job


def verify_results(
    what: Path,
    count: int,
    everything: bool,
    seed: int,
    only: tuple[str, ...],
    kinds: tuple[str, ...],
    tolerance: float,
    roots: tuple[str, ...],
    results: Path,
    sets: tuple[str, ...],
) -> int:
    """Run a sample of the results of a benchmark FILE, or of a results DIR, again, and compare."""
    config = _load_config(what, sets)
    directory = results / config.benchmark if config else what
    opened = open_results(directory, digest_config(config) if config else None)
    places = {**(_collect_roots(config) if config else {}), **_parse_roots(roots, opened)}
    with readable():
        drawn = sample(opened, None if everything else count, seed, kinds or KINDS, only)
    console = Console()
    inconsistent = check_integrity(opened)
    for name, sentences in inconsistent.items():
        _say(console, f"inconsistent: {name}: {'; '.join(sentences)}", "red")
    verdicts = _rerun_jobs(console, opened, drawn, tolerance, places)
    _show(console, verdicts)
    _show_conclusion(console, opened, verdicts, inconsistent, tolerance)
    return 0 if not inconsistent and all(verdict.outcome == "same" for verdict in verdicts) else 1


def _say(console: Console, text: str, style: str | None = None) -> None:
    """Print one line; names come from files that anybody may have edited."""
    say(console, printable(text, _LONGEST), style)


def _load_config(what: Path, sets: Sequence[str]) -> BenchmarkConfig | None:
    """Return the settings of a benchmark FILE; None for a results DIR."""
    if not what.is_dir():
        return load_benchmark(what, list(sets))
    if sets:
        raise ConfigError("--set goes with a benchmark FILE, not with a results DIR", "leave --set out")
    return None


def _collect_roots(config: BenchmarkConfig) -> dict[str, str]:
    """Return the folders that a benchmark file names, by cohort."""
    options = {name: reference.options for name, reference in config.data.items()}
    return {name: str(given["root"]) for name, given in options.items() if given.get("root") is not None}


def _parse_roots(given: Sequence[str], results: Results) -> dict[str, str]:
    """Return the folders of ``--root``, by cohort."""
    roots = {}
    for text in given:
        name, equals, path = text.partition("=")
        if not equals or not path:
            raise ConfigError(f"--root {text}: expected COHORT=PATH", "for example --root COHORT=FOLDER")
        if name not in results.cohorts:
            raise ConfigError(
                f"--root {text}: the results are of no cohort '{name}'", did_you_mean(name, results.cohorts)
            )
        folder = _name_home(Path(path))  # no shell does so behind a '='
        if not folder.is_dir():
            raise ConfigError(f"--root {text}: there is no folder {path}", "check the path")
        roots[name] = str(folder.resolve())
    return roots


def _name_home(path: Path) -> Path:
    """Return a path with the home folder for ~; as it is where nobody has such a one."""
    try:
        return path.expanduser()
    except RuntimeError:
        return path


def _rerun_jobs(
    console: Console,
    results: Results,
    drawn: Sequence[Verifiable],
    tolerance: float,
    roots: Mapping[str, str],
) -> list[Verdict]:
    """Run jobs again in a temporary folder, and say how it goes."""
    registry = load_plugins()
    verdicts = []
    with tempfile.TemporaryDirectory(prefix="mribench-verify-") as folder, RunProgress(console) as progress:
        rerun = Rerun(results, registry, Path(folder), tolerance, roots)
        for number, job in enumerate(drawn, start=1):
            progress.preparing("running again", number - 1, len(drawn))
            verdicts.append(rerun.verify(job))
            if not console.is_terminal:
                _say(console, f"{number}/{len(drawn)} {verdicts[-1].outcome}: {job.id}")
        progress.preparing("running again", len(drawn), len(drawn))
    return verdicts


def _show(console: Console, verdicts: Sequence[Verdict]) -> None:
    if not verdicts:
        return
    table = Table()
    table.add_column("job", overflow="fold")
    table.add_column("kind")
    table.add_column("outcome")
    for name in ("largest difference", "time s"):
        table.add_column(name, justify="right")
    for verdict in verdicts:
        largest = "–" if math.isnan(verdict.largest) else f"{verdict.largest:.3g}"
        outcome = f"[{_STYLES[verdict.outcome]}]{verdict.outcome}[/]"
        name, kind = (escape(printable(text)) for text in (verdict.job.id, verdict.job.kind))
        table.add_row(name, kind, outcome, largest, f"{verdict.wall_s:.1f}")
    print_table(console, table)
    for verdict in verdicts:
        for text in verdict.details:
            _say(console, f"{verdict.outcome}: {verdict.job.id}: {text}", _STYLES[verdict.outcome])
        if verdict.notes:
            _say(console, f"  {'; '.join(verdict.notes)}")


def _show_conclusion(
    console: Console,
    results: Results,
    verdicts: Sequence[Verdict],
    inconsistent: Collection[str],
    tolerance: float,
) -> None:
    counts = Counter[str](verdict.outcome for verdict in verdicts)
    outcomes = ", ".join(f"{counts[outcome]} {outcome}" for outcome in _STYLES if counts[outcome])
    outcomes = f": {outcomes}" if outcomes else ""
    within = f" within {tolerance:g}" if tolerance else ""
    unread = {results.jobs[key].id for key in results.damaged}
    wrong = len(set(inconsistent) - unread)
    consistent = f"{wrong} of them contradict themselves" if wrong else "consistent"
    consistent += f"; jobs whose state cannot be read: {len(results.damaged)}" if unread else ""
    say(
        console,
        f"{len(verdicts)} of {len(results.done)} done jobs verified{outcomes}{within};"
        f" files of all done jobs: {consistent}.",
    )
