"""Where the results come from: versions, seeds, digests, profile and its known defects, commands."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from mribench import __version__
from mribench.errors import StoreError
from mribench.interfaces.input_file import by_content
from mribench.results.environment import Environment, read_environment
from mribench.results.label_subsets import label_subsets
from mribench.results.load import RunData
from mribench.results.manifest import Manifest

_MOST_JOBS = 200
"""Environments that are read; a run of a thousand jobs has a handful of different ones."""


@dataclass(frozen=True)
class PageProvenance:
    """What a reader needs to make the results again.

    Attributes:
        facts: name and values.
        defects: known defects that profiles reproduce: profile, name, what it does.
        commands: to run and to report again.
        configuration: the benchmark file with all defaults, as YAML; empty where the manifest lacks it.
    """

    facts: tuple[tuple[str, tuple[str, ...]], ...]
    defects: tuple[tuple[str, str, str], ...]
    commands: tuple[str, ...]
    configuration: str


def provenance(run: RunData, directory: Path | None) -> PageProvenance:
    """Collect the provenance of a run; what its files do not tell is left out."""
    manifest = run.manifest
    environments = _environments(run, directory)
    plans = (directory / "plans").glob("*.json") if directory else ()
    values_of: dict[str, Iterable[Any]] = {
        "benchmark": [manifest.benchmark],
        "file": [manifest.file],
        "planned": [manifest.created],
        "profile": manifest.profiles,
        "train seeds": manifest.seeds,
        "label subsets": label_subsets(run.cells),
        "digest of the settings": sorted(path.stem for path in plans),
        "digests of the splits": _known(run.jobs["split_digest"]),
        "versions": _known(run.jobs["versions"]),
        "commit of mribench": [env.mribench_commit for env in environments],
        "commit of the benchmark file": [env.file_commit for env in environments],
        "Python": [env.python for env in environments],
        "platform": [env.platform for env in environments],
        "device": _known(run.jobs["device"]),
        "CPU threads a job": [env.threads for env in environments],
        "report made by": [f"mribench {__version__}"],
        "older results left out": [run.superseded] if run.superseded else [],
    }
    facts = []
    for name, values in values_of.items():
        known = dict.fromkeys(str(value) for value in values if value is not None and str(value))
        facts += [(name, tuple(known))] if known else []
    return PageProvenance(
        tuple(facts),
        tuple(
            (profile, name, text)
            for profile, defects in manifest.shown_defects.items()
            for name, text in defects.items()
        ),
        _commands(manifest, environments),
        yaml.safe_dump(by_content(manifest.config), sort_keys=False, allow_unicode=True)
        if manifest.config
        else "",
    )


def _known(column: Any) -> list[Any]:
    values = column.dropna()
    return sorted({int(v) if isinstance(v, float) and v.is_integer() else v for v in values}, key=str)


def _environments(run: RunData, directory: Path | None) -> list[Environment]:
    if directory is None:
        return []
    known = []
    for key in run.jobs["job_key"].drop_duplicates().head(_MOST_JOBS):
        try:
            known.append(read_environment(directory / "jobs" / key))
        except StoreError:
            continue  # a report does not fail for want of a version number
    return known


def _commands(manifest: Manifest, environments: list[Environment]) -> tuple[str, ...]:
    file = manifest.file or "FILE"
    sets = sorted({env.sets for env in environments} or {()})
    texts = [" --set ".join(["", *given]) for given in sets]
    runs = [f"mribench run {file}{text}" for text in texts]
    return (*runs, *(f"mribench report {file}{text} --format html --output report.html" for text in texts))
