"""Whom an encoder is pretrained on: the subjects of each cohort, and its share of a batch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mribench.config import PretrainOptions, PretrainSource, ResolvedPretraining
from mribench.data.showing import Showing
from mribench.errors import ConfigError
from mribench.interfaces.views import ViewGenerator
from mribench.plan.cohorts import Cohort
from mribench.results.read_cohort import TrainedCohort
from mribench.wording import count, list_some

_SHOWN = 3
"""People that a sentence names."""


@dataclass(frozen=True)
class SelectedSources:
    """The cohorts of a pretraining, and what a reader should know of who is left out."""

    sources: tuple[TrainedCohort, ...]
    notes: tuple[str, ...] = ()


def select_sources(pretraining: ResolvedPretraining, cohorts: Mapping[str, Cohort]) -> SelectedSources:
    """Return the cohorts of a pretraining, with those of their subjects who have what the views show.

    Cohorts whose data are missing have nobody.
    """
    generator: ViewGenerator = pretraining.views.make()
    notes: list[str] = []
    chosen = []
    for source in pretraining.options.data:
        cohort = cohorts[source.cohort]
        showing = showing_of(generator, source)
        train, held_out = eligible(cohort, showing)
        if cohort.split is not None:
            n_all = len(cohort.split.train) + len(cohort.split.validation)
            lacking = n_all - len(train) - len(held_out)
            if lacking:
                notes.append(f"{cohort.name}: {lacking} of {n_all} subjects have no {showing.describe()}")
        chosen.append((source, cohort, train, held_out))
    shares = _shares([(source, len(train)) for source, _, train, _ in chosen])
    sources = tuple(
        TrainedCohort(
            cohort=cohort.name,
            data=cohort.data,
            train=train,
            held_out=held_out,
            sequences=None if source.sequences is None else tuple(source.sequences),
            share=share,
        )
        for (source, cohort, train, held_out), share in zip(chosen, shares, strict=True)
    )
    return SelectedSources(sources, tuple(notes))


def showing_of(generator: ViewGenerator, source: PretrainSource) -> Showing:
    """Return what the samples of a cohort are made of."""
    return Showing.of(generator, source.sequences)


def eligible(cohort: Cohort, showing: Showing) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the training and the held-out subjects who have scans to show."""
    split = cohort.split
    groups = (split.train, split.validation) if split else ((), ())
    train, held_out = (
        tuple(subject for subject in group if showing.groups(cohort.subjects[subject])) for group in groups
    )
    return train, held_out


def _shares(sources: Sequence[tuple[PretrainSource, int]]) -> list[float]:
    """Return the share of each cohort, summing to 1: as given, or as its number of subjects."""
    weights = [n_subjects if source.share is None else source.share for source, n_subjects in sources]
    total = math.fsum(weights)
    return [weight / total if total else 1 / len(weights) for weight in weights]


def check_sources(
    where: str,
    batch: str,
    pretraining: ResolvedPretraining,
    generator: ViewGenerator,
    cohorts: Mapping[str, Cohort],
) -> None:
    """Check that every cohort of a pretraining has scans to show, and enough people for a batch.

    Args:
        where: of the method, in the file.
        batch: where the size of its batches stands.
        pretraining: how it pretrains.
        generator: of its views.
        cohorts: those whose data are missing are left out.

    Raises:
        ConfigError: naming the cohort, and who has what.
    """
    options = pretraining.options
    read = [cohorts[source.cohort] for source in options.data]
    for source, cohort in zip(options.data, read, strict=True):
        _check_scans(where, generator, source, cohort)
    if all(cohort.split is not None for cohort in read):
        _check_batch(batch, options, select_sources(pretraining, cohorts).sources)
        if not options.repeat_subjects:
            _check_nobody_twice(where, read)


def _check_scans(where: str, generator: ViewGenerator, source: PretrainSource, cohort: Cohort) -> None:
    if cohort.split is None:
        return
    people = (*cohort.split.train, *cohort.split.validation)
    plain = Showing(tuple(generator.needs), label=generator.needs_label)
    lacking = [i for i in people if not plain.groups(cohort.subjects[i])]
    if lacking:
        raise ConfigError(
            f"{where}.views: {len(lacking)} of {len(people)} subjects of '{cohort.name}' have no"
            f" {plain.describe()}: {list_some(lacking, _SHOWN)}",
            "pretrain on a cohort that has them (pretrain.data), or choose other views",
        )
    showing = showing_of(generator, source)
    train, _ = eligible(cohort, showing)
    if cohort.split.train and not train:
        there = sorted({scan.sequence for i in people for scan in cohort.subjects[i].scans})
        raise ConfigError(
            f"{where}.pretrain.data: {len(train)} of the {len(cohort.split.train)} training subjects of"
            f" '{cohort.name}' have a {showing.describe()}",
            f"sequences there: {', '.join(there)}",
        )


def _check_batch(where: str, options: PretrainOptions, sources: Sequence[TrainedCohort]) -> None:
    for source in sources:
        places = math.ceil(round(options.batch_size * source.share, 9))
        needed = min(1, places) if options.repeat_subjects else places
        if len(source.train) < needed:
            part = "" if len(sources) == 1 else f", and of '{source.cohort}' {places} for its share"
            raise ConfigError(
                f"{where}: a batch of {options.batch_size} needs as many pretraining subjects{part}, and"
                f" '{source.cohort}' has {len(source.train)}",
                f"lower pretrain.batch_size, give splits.{source.cohort}.train more, or set"
                " pretrain.repeat_subjects: true (crops of one subject are then negatives of each other)",
            )


def _check_nobody_twice(where: str, cohorts: Sequence[Cohort]) -> None:
    """Refuse people who are in two cohorts: a batch may show them twice, as negatives of each other."""
    seen: dict[str, str] = {}
    for cohort in cohorts:
        split = cohort.split
        names = {i: (i, *cohort.subjects[i].aliases) for i in (split.train if split else ())}
        twice = sorted(i for i, known in names.items() if any(name in seen for name in known))
        if twice:
            other = next(seen[name] for name in names[twice[0]] if name in seen)
            raise ConfigError(
                f"{where}.pretrain.data: {count(len(twice), 'training subject')} of '{cohort.name}'"
                f" {'is' if len(twice) == 1 else 'are'} in '{other}' too: {list_some(twice, _SHOWN)}",
                "leave them out of one of the two ('exclude'), or set pretrain.repeat_subjects: true (crops"
                " of one subject are then negatives of each other)",
            )
        seen |= {name: cohort.name for known in names.values() for name in known}
