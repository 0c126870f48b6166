"""Which jobs of a results directory there are to verify, and a reproducible sample of them."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

import torch

from mribench.errors import ConfigError, StoreError
from mribench.results import Store
from mribench.results.cell import EmbedCell, EvaluateCell
from mribench.results.load import read_manifests
from mribench.results.patterns import matches_any
from mribench.results.specification import KINDS
from mribench.seeding import torch_generator


@dataclass
class Verifiable:
    """A job as the plans name it.

    Attributes:
        key: content key.
        kind: of job.
        ids: its names; two methods with one configuration share a pretrain job.
        needs: keys of the jobs that it builds on.
        cell: of an evaluate job.
    """

    key: str
    kind: str
    ids: list[str]
    needs: tuple[str, ...] = ()
    cell: EvaluateCell | EmbedCell | None = None

    @property
    def id(self) -> str:
        """The name that is shown."""
        return self.ids[0]


@dataclass(frozen=True)
class Results:
    """A benchmark's results.

    Attributes:
        store: where they lie.
        jobs: the planned jobs that have a key, by key, dependencies first.
        done: keys of those that are done.
        damaged: by key, why the state of a job cannot be read.
        cohorts: names of the cohorts in the benchmark files.
        unbounded: ids of the metrics whose best value is infinite, as PSNR's of two equal images.
    """

    store: Store
    jobs: dict[str, Verifiable]
    done: set[str]
    damaged: dict[str, str] = field(default_factory=dict)
    unbounded: frozenset[str] = frozenset()
    cohorts: frozenset[str] = frozenset()


def open_results(directory: Path, digest: str | None = None) -> Results:
    """Read the plans and the states of the jobs.

    Args:
        directory: ``<results>/<benchmark>``.
        digest: of the settings, for one plan; all plans when None.

    Raises:
        StoreError: when there are none, or they are of another schema version.
    """
    store = Store(directory)
    store.check()
    jobs: dict[str, Verifiable] = {}
    manifests = read_manifests(directory, digest)
    for manifest in manifests:
        for job in manifest.jobs:
            if job.key is None:
                continue
            known = jobs.setdefault(job.key, Verifiable(job.key, job.kind, [], job.needs, job.cell))
            if job.id not in known.ids:
                known.ids.append(job.id)
    done, damaged = set(), {}
    for key in jobs:
        status = store.status(key)
        if status.state == "done":
            done.add(key)
        elif status.state == "damaged":
            damaged[key] = status.reason
    metrics = [metric for manifest in manifests for metric in manifest.metrics().values()]
    upwards = [metric for metric in metrics if metric.higher_is_better]
    unbounded = frozenset(metric.id for metric in upwards if math.isinf(metric.bounds[1]))
    cohorts = frozenset(name for manifest in manifests for name in manifest.cohorts)
    return Results(store, jobs, done, damaged, unbounded, cohorts)


def sample(
    results: Results,
    count: int | None,
    seed: int,
    kinds: Collection[str] = KINDS,
    patterns: Collection[str] = (),
) -> list[Verifiable]:
    """Draw done jobs, each with the jobs behind it.

    Drawn are ends of chains: done jobs of the wanted kinds that no other one of those builds on, each with
    the same chance whatever it costs. What they build on is verified with them, as far as it is of the
    wanted kinds.

    Args:
        results: the results.
        count: ends to draw; all when None.
        seed: the same seed draws the same jobs.
        kinds: kinds of job to verify.
        patterns: shell patterns of names; all when empty.

    Returns:
        The jobs, dependencies first; none where all that could be meant have a damaged state.

    Raises:
        StoreError: when no job of these kinds is done, and none is damaged.
        ConfigError: when no done or damaged job has such a name.
    """
    wanted = {key: job for key, job in results.jobs.items() if key in results.done and job.kind in kinds}
    damaged = [results.jobs[key] for key in results.damaged if results.jobs[key].kind in kinds]
    if not wanted and not damaged:
        what = "job" if set(kinds) == set(KINDS) else f"{' or '.join(kinds)} job"
        raise StoreError(f"no {what} in {results.store.root} is done", "mribench run FILE makes results")
    for pattern in patterns:
        if not any(_matches(job, (pattern,)) for job in (*wanted.values(), *damaged)):
            raise ConfigError(
                f"--only {pattern}: no done job has such a name",
                f"for example '{[*damaged, *wanted.values()][-1].id}'",
            )
    named = {key: job for key, job in wanted.items() if not patterns or _matches(job, patterns)}
    needed = {need for job in named.values() for need in job.needs}
    ends = sorted((job for key, job in named.items() if key not in needed), key=lambda job: (job.id, job.key))
    order = torch.randperm(len(ends), generator=torch_generator("verify", seed)).tolist()
    chosen = {ends[place].key for place in order[:count]}
    for key in reversed(list(results.jobs)):
        if key in chosen:
            chosen.update(need for need in results.jobs[key].needs if need in wanted)
    return [job for key, job in results.jobs.items() if key in chosen]


def _matches(job: Verifiable, patterns: Collection[str]) -> bool:
    return any(matches_any(name, patterns) for name in job.ids)
