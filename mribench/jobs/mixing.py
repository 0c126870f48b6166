"""The cohorts of a pretrain job, opened, and whom its encoder is checked on."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, zip_longest

from mribench.config import PretrainSettings
from mribench.data.maps import MapSource, select_by_id
from mribench.data.mixing import CohortMix
from mribench.interfaces.views import ViewGenerator
from mribench.jobs.collapse import MAX_SUBJECTS
from mribench.jobs.context import Context
from mribench.results.read_cohort import TrainedCohort
from mribench.results.specification import PretrainSpec


def open_mix(
    spec: PretrainSpec, context: Context, generator: ViewGenerator, people: Sequence[Sequence[str]]
) -> CohortMix:
    """Return a reader of the crops of some subjects of each cohort of a pretraining."""
    return CohortMix(
        [
            _open(spec, source, context, generator, ids)
            for source, ids in zip(spec.sources, people, strict=True)
        ]
    )


def _open(
    spec: PretrainSpec,
    source: TrainedCohort,
    context: Context,
    generator: ViewGenerator,
    ids: Sequence[str],
) -> MapSource:
    options = PretrainSettings.model_validate(spec.pretrain)
    reader = context.open_reader(source.data, spec.profile)
    return MapSource(
        reader.dataset,
        select_by_id(reader.dataset, ids),
        options.spacing_mm,
        generator.needs,
        reader.identity,
        sequences=source.sequences,
        images=generator.images,
        min_foreground=options.min_foreground,
        label=generator.needs_label,
    )


def choose_checked(sources: Sequence[TrainedCohort]) -> list[list[str]]:
    """Return whom of each cohort an encoder is checked on: held-out subjects first, of all cohorts in turn.

    Too few could not tell a good encoder from one without information, so pretraining subjects make up the
    number: an encoder that collapsed tells them apart no better.
    """
    held_out = _in_turn([source.held_out for source in sources])
    train = _in_turn([source.train for source in sources])
    chosen = [*held_out, *train][:MAX_SUBJECTS]
    return [[subject for place, subject in chosen if place == number] for number in range(len(sources))]


def _in_turn(groups: Sequence[Sequence[str]]) -> list[tuple[int, str]]:
    numbered = [[(number, subject) for subject in group] for number, group in enumerate(groups)]
    return [each for each in chain.from_iterable(zip_longest(*numbered)) if each is not None]
