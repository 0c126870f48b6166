"""Which methods of a benchmark file show a network which views, and the batches of those."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from mribench.config import PretrainSettings, ResolvedBenchmark
from mribench.digests import canonical_json
from mribench.errors import ConfigError, DataError, did_you_mean
from mribench.interfaces.views import View, ViewRequest
from mribench.jobs.context import Context
from mribench.jobs.pretrain import Pretraining
from mribench.plan import Job, build_plan, make_missing, open_cohorts
from mribench.plan.feasibility import check_feasible
from mribench.registry import Registry
from mribench.results.specification import PretrainSpec

Progress = Callable[[str, int, int], None]


class JobViews:
    """The batches of views of a pretrain job, made by the job's own code, on the CPU.

    Nothing here derives a seed or cuts a crop: the job is set up as for training, so step k shows what step k
    of the job shows.

    Args:
        spec: what the job is asked.
        registry: all entries.
    """

    def __init__(self, spec: PretrainSpec, registry: Registry) -> None:
        here = Path("views")  # nothing is written
        context = Context(registry, here, here, torch.device("cpu"), lambda *_: None, math.inf)
        self._job = Pretraining(spec, context)
        self.requests = tuple(self._job.objective.view_requests)
        self.labels = self._job.generator.labels

    def batch(self, step: int) -> list[View]:
        """Return the views that the objective gets in a step, one ``View`` for each request."""
        return self._job.views(step)


@dataclass(frozen=True, eq=False)
class Source:
    """One way of making views, and the methods that share it.

    Attributes:
        methods: of the benchmark file, in its order.
        views: name of the view generator.
        spec: what its pretrain job is asked.
        requests: the views of a sample.
        registry: to make the job's parts.
    """

    methods: tuple[str, ...]
    views: str
    spec: PretrainSpec
    requests: tuple[ViewRequest, ...]
    registry: Registry

    @property
    def pretrain(self) -> PretrainSettings:
        """How the job is trained."""
        return PretrainSettings.model_validate(self.spec.pretrain)

    @property
    def patch_vox(self) -> int:
        """Edge of a global view."""
        return self.pretrain.patch_vox

    @property
    def label(self) -> str:
        """The methods' names, and that of the view generator where it is another."""
        names = ", ".join(self.methods)
        return names if names == self.views else f"{names} (views: {self.views})"

    def batches(self, patch_vox: int | None = None) -> JobViews:
        """Return what makes the batches of the job, with views of another edge where one is given."""
        spec = self.spec
        if patch_vox is not None:
            spec = replace(spec, pretrain={**spec.pretrain, "patch_vox": patch_vox})
        return JobViews(spec, self.registry)


def open_sources(
    resolved: ResolvedBenchmark,
    registry: Registry,
    *,
    seed: int | None = None,
    step: int = 0,
    methods: Collection[str] = (),
    progress: Progress | None = None,
) -> tuple[list[Source], dict[str, str]]:
    """Return the ways in which methods of a benchmark make views, and a sentence for each missing cohort.

    Cohorts that can make themselves are made. Methods whose views are the same share a source.

    Args:
        resolved: the benchmark file.
        registry: all entries.
        seed: train seed; the file's first by default.
        step: of the training, that is to be shown.
        methods: only these; all by default.
        progress: called with (what is being done, done, in all).

    Raises:
        ConfigError: when the file has no such method or seed, a method is not trained for so many steps, or
            its parts do not fit together.
        DataError: when no cohort that is pretrained on is there.
    """
    wanted = _choose(resolved, methods)
    seed = _seed(resolved, seed)
    _check_step(resolved, wanted, step)
    sources: dict[str, Source] = {}
    jobs, missing = _list_pretrain_jobs(resolved, wanted, progress or (lambda *_: None))
    for job in jobs:
        spec = job.spec
        if not isinstance(spec, PretrainSpec) or job.waiting_for:
            continue
        if spec.seed != resolved.config.pretrain_seed(job.method, seed):
            continue
        requests = JobViews(spec, registry).requests
        source = Source((job.method,), spec.views.name, spec, requests, registry)
        same = sources.setdefault(_make_identity(source), source)
        if same is not source:
            sources[_make_identity(source)] = replace(same, methods=(*same.methods, job.method))
    if not sources:
        name, sentence = next(iter(missing.items()))
        raise DataError(f"data.{name}: {sentence}", "`mribench data check FILE` says what is there")
    return list(sources.values()), missing


def _list_pretrain_jobs(
    resolved: ResolvedBenchmark, methods: Collection[str], progress: Progress
) -> tuple[list[Job], dict[str, str]]:
    """Plan the pretraining of a benchmark and nothing else; other cohorts are not looked at."""
    config = resolved.config
    pretrained = [resolved.pretrained()[name].options for name in methods]
    cohorts = {source.cohort for options in pretrained for source in options.data}
    alone = replace(
        resolved,
        config=config.model_copy(update={"invariance": {}}),
        methods={name: method for name, method in resolved.methods.items() if name in methods},
        tasks={},
        datasets={name: dataset for name, dataset in resolved.datasets.items() if name in cohorts},
    )
    make_missing(alone, progress)
    opened = open_cohorts(alone, progress)
    check_feasible(alone, opened)
    plan = build_plan(alone, opened)
    return list(plan.jobs), dict(plan.missing)


def _choose(resolved: ResolvedBenchmark, methods: Collection[str]) -> list[str]:
    source, known = resolved.config.source, list(resolved.pretrained())
    if not known:
        raise ConfigError(
            f"{source}: no method pretrains, so no network is shown any views",
            "add one under methods, e.g. --set methods.x.views=… --set methods.x.objective=…",
        )
    for name in methods:
        if name not in known:
            raise ConfigError(f"{source}: there is no method '{name}'", did_you_mean(name, known))
    return [name for name in known if not methods or name in methods]


def _seed(resolved: ResolvedBenchmark, seed: int | None) -> int:
    seeds = resolved.config.seeds
    if seed is not None and seed not in seeds:
        known = ", ".join(map(str, seeds))
        raise ConfigError(
            f"{resolved.config.source}: seed {seed} is not among its seeds: {known}",
            f"choose one of them, or add --set 'seeds=[{seed}]'",
        )
    return seeds[0] if seed is None else seed


def _check_step(resolved: ResolvedBenchmark, methods: Collection[str], step: int) -> None:
    """Refuse a step that a method's training does not reach, before any cohort is made or read."""
    for name in methods:
        steps = resolved.pretrained()[name].options.steps
        if step >= steps:
            raise ConfigError(
                f"{resolved.config.source}: step {step} is beyond the training of '{name}', which has {steps}"
                f" step{'s' if steps != 1 else ''}",
                f"the last one is --step {steps - 1}; --method NAME leaves the others out",
            )


def _make_identity(source: Source) -> str:
    """Return what decides which views a network is shown."""
    spec, options = source.spec, source.pretrain
    read = [
        [part.data.model_dump(mode="json"), part.train, part.sequences, part.share] for part in spec.sources
    ]
    shape = [options.patch_vox, options.spacing_mm, options.batch_size, options.repeat_subjects]
    requests = [[request.role, request.patch_scale] for request in source.requests]
    crops = [shape, options.min_foreground, requests]
    return canonical_json([spec.views.model_dump(mode="json"), read, crops, spec.seed])
