"""What would make a job fail hours later, found before any job runs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from mribench.arms import DECODER_ARMS
from mribench.config import (
    BenchmarkConfig,
    Optimisation,
    ResolvedBenchmark,
    ResolvedMethod,
    ResolvedPretraining,
    ResolvedTask,
    blame_settings,
    follow_contract,
)
from mribench.data.label_numbers import find_number_problems
from mribench.data.uses import TaskImages
from mribench.errors import ConfigError, DataError, MRIBenchError
from mribench.interfaces.channels import Channels
from mribench.interfaces.encoder import Encoder
from mribench.interfaces.input_contract import InputContract
from mribench.interfaces.objective import Objective
from mribench.interfaces.task import Task
from mribench.interfaces.views import ViewGenerator
from mribench.plan.channels import check_channels, check_widening
from mribench.plan.cohorts import Cohort, tested_sequences
from mribench.plan.parts import find_exported_decoder
from mribench.plan.pretraining import check_sources
from mribench.plan.targets import check_covariates, check_subject_task
from mribench.registry import Resolved
from mribench.training.given_weights import check_weights
from mribench.training.hand_over import account_decoder
from mribench.wording import count

_QUOTE = "'"


def check_feasible(resolved: ResolvedBenchmark, cohorts: Mapping[str, Cohort]) -> None:
    """Check that there is somebody to train and test on (``check_people``), and that models fit.

    Raises:
        ConfigError: naming the key, what does not fit, and what there is.
    """
    check_people(resolved, cohorts)
    check_models(resolved)


def check_people(resolved: ResolvedBenchmark, cohorts: Mapping[str, Cohort]) -> None:
    """Check that there is somebody to train and test on; cohorts whose data are missing are left out.

    Raises:
        ConfigError: naming the key, who is not there, and who is.
    """
    with blame_settings(resolved.config):
        _check(resolved, cohorts)


def check_models(resolved: ResolvedBenchmark) -> None:
    """Build every encoder once, with all that is put on it, and check that widths and patches fit.

    Raises:
        ConfigError: naming the key, and what does not fit.
    """
    with blame_settings(resolved.config):
        _check_models(resolved.config.source, resolved)


def _check(resolved: ResolvedBenchmark, cohorts: Mapping[str, Cohort]) -> None:
    source = resolved.config.source
    for name, pretraining in resolved.pretrained().items():
        _check_pretraining(resolved.config, name, pretraining, cohorts)
    for name, task in resolved.tasks.items():
        _check_people(f"{source}: tasks.{name}", task, cohorts[task.spec.data])
    if not resolved.measured:  # embeddings are not made again for a defect that is measured
        for name, spec in resolved.config.invariance.items():
            _check_embedded(f"{source}: invariance.{name}", spec.sequences, cohorts[name])


def _check_pretraining(
    config: BenchmarkConfig, name: str, pretraining: ResolvedPretraining, cohorts: Mapping[str, Cohort]
) -> None:
    where = f"{config.source}: methods.{name}"
    batch = f"{config.source}: {config.place_of(name, 'pretrain', 'batch_size')}"
    with _at(f"{where}.views"):
        generator: ViewGenerator = pretraining.views.make()
    check_sources(where, batch, pretraining, generator, cohorts)


def _check_people(where: str, task: ResolvedTask, cohort: Cohort) -> None:
    if cohort.split is None:
        return
    tested = tuple(i for ids in cohort.split.test.values() for i in ids)
    with _at(f"{where}.task"):
        made: Task = task.task.make()
    trained = [TaskImages.of(channels, made) for channels in task.spec.trained_on]
    every = task.spec.all_tested_on(tested_sequences(cohort, made))
    tests = [TaskImages.of(channels, made) for channels in every]
    _check_anybody(f"{where}.data", "training", cohort, cohort.split.train)
    _check_anybody(f"{where}.data", "test", cohort, tested)
    with _at(f"{where}.task", DataError):
        left_out = check_covariates(f"{where}.task", made, cohort).left_out
    training = tuple(i for i in cohort.split.train if i not in left_out)
    tested = tuple(i for i in tested if i not in left_out)
    _check_scans(f"{where}.train_sequences", "training", cohort, training, trained)
    _check_scans(f"{where}.test_sequences", "test", cohort, tested, tests)
    _check_label_numbers(f"{where}.task.classes", made, cohort, cohort.split.train)


def _check_label_numbers(where: str, task: Task, cohort: Cohort, training: Collection[str]) -> None:
    reader = cohort.resolved.registered.digest
    people = list(cohort.subjects.values())
    problems = list(find_number_problems(task, cohort.resolved.make(), reader, people, training))
    if problems:
        more = f" (and {count(len(problems) - 1, 'more problem')})" if len(problems) > 1 else ""
        raise ConfigError(
            f"{where}: {problems[0]}{more}",
            "name each number's class in 'classes', or say in 'background' that it is none",
        )


def _check_anybody(where: str, role: str, cohort: Cohort, ids: tuple[str, ...]) -> None:
    if not ids:
        hint = f"change the sizes in splits.{cohort.name}"
        raise ConfigError(f"{where}: '{cohort.name}' has no {role} subject", hint)


def _check_embedded(where: str, sequences: Iterable[str], cohort: Cohort) -> None:
    if cohort.split is None:
        return
    tested = tuple(i for ids in cohort.split.test.values() for i in ids)
    _check_anybody(where, "test", cohort, tested)
    images = [TaskImages(Channels((sequence,))) for sequence in sequences]
    _check_scans(f"{where}.sequences", "test", cohort, tested, images)


def _check_scans(
    where: str, role: str, cohort: Cohort, ids: tuple[str, ...], wanted: Iterable[TaskImages]
) -> None:
    for images in wanted:
        if not any(images.select(cohort.subjects[i]) for i in ids):
            scans = [scan for i in ids for scan in cohort.subjects[i].scans]
            there = ", ".join(sorted({scan.sequence for scan in scans}))
            labels = ", ".join(sorted({name for scan in scans for name in scan.labels})) or "none"
            raise ConfigError(
                f"{where}: none of the {len(ids)} {role} subjects of '{cohort.name}' has a"
                f" {images.describe(_QUOTE)}",
                f"sequences there: {there}" + (f"; labels there: {labels}" if images.label else ""),
            )


def _check_models(source: str, resolved: ResolvedBenchmark) -> None:
    with torch.random.fork_rng(devices=[]):
        for name, method in resolved.methods.items():
            _check_method(resolved.config, name, method)
        for name, task in resolved.tasks.items():
            _check_task(resolved.config, f"{source}: tasks.{name}", task)
        if set(resolved.config.arms).intersection(DECODER_ARMS):
            _check_decoders(source, resolved)
        for used in _encoders(resolved):
            for name, task in resolved.tasks.items():
                _check_head(f"{source}: tasks.{name}", task, used)
        for used in _encoders(resolved, {"random-frozen"}):
            for name, spec in resolved.config.invariance.items():
                _check_windows(f"{source}: invariance.{name}.patch_vox", spec.patch_vox, used)


def _check_method(config: BenchmarkConfig, name: str, method: ResolvedMethod) -> None:
    with _at(f"{config.source}: {config.place_of(name, 'encoder')}"):
        encoder: Encoder = method.encoder.make()
    if method.weights is not None:
        with _at(f"{config.source}: methods.{name}.weights"):
            check_weights(encoder, method.weights)
    if method.pretraining is not None:
        _check_pretrained_input(f"{config.source}: methods.{name}.input", method.wanted)
        _check_objective(config, name, method, method.pretraining, encoder)


def _check_pretrained_input(where: str, wanted: InputContract) -> None:
    """Views are crops along the harness's axes, whatever is wanted later: that is for weights from a file."""
    for key in ("orientation", "whole_vox"):
        if getattr(wanted, key) is not None:
            raise ConfigError(
                f"{where}.{key}: only of an encoder that is given its weights: views are crops along R, A, S",
                "give the method `weights`, or choose an encoder that declares no such input",
            )
    if wanted.intensity is not None and wanted.intensity.window is not None:
        raise ConfigError(
            f"{where}.intensity.window: is in an image's own units, and the views of a pretraining have none",
            "take `percentiles` or `min-max`, or give the method `weights`",
        )


def _check_objective(
    config: BenchmarkConfig,
    name: str,
    method: ResolvedMethod,
    pretraining: ResolvedPretraining,
    encoder: Encoder,
) -> None:
    where, options = f"{config.source}: methods.{name}.objective", pretraining.options

    def place_of(key: str) -> str:
        return f"{config.source}: {config.place_of(name, 'pretrain', key)}"

    with _at(where):
        objective: Objective = pretraining.objective.make(encoder)
    _check_layers(place_of("layer_decay"), options, encoder)
    _check_mask(where, method.encoder.name, pretraining.objective.name, objective, encoder)
    _check_classes(where, pretraining, objective)
    _check_batch_teaches(place_of("batch_size"), pretraining, objective)
    edges = [round(options.patch_vox * view.patch_scale) for view in objective.view_requests]
    _check_edges(place_of("patch_vox"), edges, _Used(method.encoder, method.wanted), encoder)
    if objective.needs_mask and min(edges) == objective.patch_multiple:
        raise ConfigError(
            f"{place_of('patch_vox')}: a view of {min(edges)} voxels is one block of"
            f" '{pretraining.objective.name}': nothing would be shown",
            "take larger views, or smaller blocks",
        )
    blocks = f"the blocks of '{pretraining.objective.name}'"
    _check_multiples(place_of("patch_vox"), edges, objective.patch_multiple, blocks)


def _check_mask(
    where: str, encoder_name: str, objective_name: str, objective: Objective, encoder: Encoder
) -> None:
    if objective.needs_mask and encoder.mask_kind == "none":
        raise ConfigError(
            f"{where}: '{objective_name}' hides parts of images, and the encoder '{encoder_name}' takes no"
            " mask",
            "choose an encoder with a mask_kind other than 'none' (`mribench list encoder`), or another"
            " objective",
        )


def _check_classes(where: str, pretraining: ResolvedPretraining, objective: Objective) -> None:
    generator: ViewGenerator = pretraining.views.make()
    if objective.needs_classes and not generator.needs_label:
        raise ConfigError(
            f"{where}: '{pretraining.objective.name}' learns from the classes of voxels, and the views"
            f" '{pretraining.views.name}' read no label",
            "choose views that do, such as those of real scans with their label (`mribench list views`)",
        )


def _check_layers(where: str, options: Optimisation, encoder: Encoder) -> None:
    if options.layer_decay < 1 and not encoder.layers():
        raise ConfigError(
            f"{where}: the encoder does not say which layers it has, so they cannot have rates of their own",
            "leave layer_decay out, or override Encoder.layers()",
        )


def _check_batch_teaches(where: str, pretraining: ResolvedPretraining, objective: Objective) -> None:
    needed, given = objective.min_batch, pretraining.options.batch_size
    if given < needed:
        raise ConfigError(
            f"{where}: expected at least {needed}, the smallest batch that the objective"
            f" '{pretraining.objective.name}' learns from, got {given}",
            f"write {needed} or more",
        )


def _check_task(config: BenchmarkConfig, where: str, resolved: ResolvedTask) -> None:
    with _at(f"{where}.task"):
        task: Task = resolved.task.make()
    check_subject_task(config, where, resolved, task)
    check_channels(where, resolved.spec, task)


@dataclass(frozen=True)
class _Used:
    """An encoder, and what it wants to see."""

    component: Resolved
    wanted: InputContract


def _encoders(
    resolved: ResolvedBenchmark, arms: Collection[str] = ("scratch", "random-frozen")
) -> list[_Used]:
    """Return the encoders of the methods and, with one of these reference arms, its own; each once."""
    used = [_Used(method.encoder, method.wanted) for method in resolved.methods.values()]
    if set(resolved.config.reference_arms).intersection(arms):
        used.append(_Used(resolved.reference_encoder, resolved.reference_wanted))
    return list({(str(each.component.component()), each.wanted): each for each in used}.values())


def _check_decoders(source: str, resolved: ResolvedBenchmark) -> None:
    """Check that decoders that are handed over fit those of the tasks."""
    for method in resolved.methods.values():
        exported = find_exported_decoder(method)
        if exported is None:
            continue
        for name, task in resolved.tasks.items():
            made: Task = task.task.make()
            if made.takes_decoder:
                with _at(f"{source}: tasks.{name}.task"):
                    decoder = made.decoder_of(made.build_head(method.encoder.make()))
                    if decoder is not None:
                        account_decoder(decoder, exported.state_dict())


def _check_windows(where: str, patch_vox: int, used: _Used) -> None:
    encoder: Encoder = used.component.make()
    patch_vox = used.wanted.whole_vox or used.wanted.patch_vox or patch_vox
    _check_edges(where, [patch_vox], used, encoder)
    if patch_vox == max(encoder.strides):  # some encoders need more than one voxel of their coarsest map
        with _at(where), torch.no_grad():
            encoder.eval().embed(torch.zeros(1, 1, *(patch_vox,) * 3))


def _check_head(where: str, resolved: ResolvedTask, used: _Used) -> None:
    task: Task = resolved.task.make()
    encoder: Encoder = used.component.make()
    embed = resolved.spec.embed
    if embed is not None:
        _check_windows(f"{where}.embed.patch_vox", embed.patch_vox, used)
    if resolved.spec.adapt is None:
        return
    if used.wanted.whole_vox is not None:
        raise ConfigError(
            f"{where}.task: learns from crops, and the encoder '{used.component.name}' wants whole scans",
            "leave the task out, give it a probe, or say in the method's input `whole_vox: null`",
        )
    own_mm = used.wanted.spacing_mm
    if task.dense and task.label is None and own_mm not in (None, resolved.spec.adapt.spacing_mm):
        raise ConfigError(
            f"{where}.task: images are scored on the working grid, the same for every method, and the encoder"
            f" '{used.component.name}' wants voxels of {own_mm:g} mm",
            "give the task that spacing_mm, leave it out, or say in the method's input `spacing_mm: null`",
        )
    adapt = follow_contract(resolved.spec.adapt, used.wanted)
    with _at(f"{where}.task"):
        task.build_head(encoder)
    with _at(f"{where}.train_sequences"):
        check_widening(resolved.spec, used.component, used.wanted)
    _check_layers(f"{where}.adapt.layer_decay", adapt, encoder)
    _check_edges(f"{where}.adapt.patch_vox", [adapt.patch_vox], used, encoder)
    if task.dense and adapt.window_vox is not None:
        window = [adapt.window_vox] if isinstance(adapt.window_vox, int) else adapt.window_vox
        _check_edges(f"{where}.adapt.window_vox", window, used, encoder)


def _check_edges(where: str, edges_vox: Iterable[int], used: _Used, encoder: Encoder) -> None:
    whose = f"of the encoder '{used.component.name}'"  # a file may have several
    edges_vox = list(edges_vox)
    if used.wanted.patch_vox is not None or used.wanted.whole_vox is not None:
        where = f"{where}, which the input {whose} asks for otherwise"
    _check_multiples(where, edges_vox, max(encoder.strides), f"the largest stride {whose}")
    if used.wanted.multiple_vox > 1:
        _check_multiples(where, edges_vox, used.wanted.multiple_vox, f"the multiple_vox of the input {whose}")


def _check_multiples(where: str, edges_vox: Iterable[int], factor: int, whose: str) -> None:
    wrong = [edge for edge in edges_vox if edge < 1 or edge % factor]
    if wrong:
        raise ConfigError(
            f"{where}: expected a multiple of {factor}, {whose}, got {wrong[0]}",
            f"for example {max(1, round(wrong[0] / factor)) * factor}",
        )


@contextmanager
def _at(where: str, kind: type[MRIBenchError] = MRIBenchError) -> Iterator[None]:
    """Give errors of a factory, or of a kind, the key that they come from."""
    try:
        yield
    except kind as error:
        raise ConfigError(f"{where}: {error.message}", error.hint) from error
