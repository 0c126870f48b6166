"""What is shown is what a pretrain job shows its network."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mribench_objectives.simclr_recon import SimclrRecon

from mribench.config import load_benchmark, resolve
from mribench.data.maps import MapSource, select_by_id
from mribench.data.mixing import draw_batch_indices
from mribench.errors import ConfigError, DataError
from mribench.interfaces import ViewRequest
from mribench.jobs.context import Context
from mribench.jobs.pretrain import run_pretrain
from mribench.plan import build_plan, make_missing, open_cohorts
from mribench.plugins import load_registry
from mribench.results.specification import PretrainSpec
from mribench.seeding import torch_generator
from mribench.views.samples import draw_parameters, make_samples
from mribench.views.sources import JobViews, Source, open_sources


def job_batches(file: Path, job_id: str, directory: Path, monkeypatch) -> list[list[Any]]:
    """Run a pretrain job of the whole file's plan, and record the views that its objective learns from."""
    registry = load_registry()
    resolved = resolve(load_benchmark(file), registry)
    make_missing(resolved, lambda *_: None)
    (job,) = [job for job in build_plan(resolved, open_cohorts(resolved)).jobs if job.id == job_id]
    seen: list[list[Any]] = []
    learn = SimclrRecon.loss

    def loss(self, views, step, total_steps):
        seen.append(views)
        return learn(self, views, step, total_steps)

    monkeypatch.setattr(SimclrRecon, "loss", loss)
    context = Context(registry, directory, directory, torch.device("cpu"), lambda *_: None, math.inf)
    assert isinstance(job.spec, PretrainSpec)
    run_pretrain(job.spec, context)
    return seen


@pytest.mark.parametrize(("method", "seed"), [("seqinv", 3), ("base", 4)])
def test_the_steps_of_a_job_that_trains(opened, file, tmp_path, monkeypatch, method, seed) -> None:
    batches = job_batches(file, f"{method}/pretrain/seed{seed}", tmp_path, monkeypatch)
    assert len(batches) == 2
    (source,) = opened(seed=seed, methods=[method])[0]
    for step, views in enumerate(batches):
        found = make_samples(source, 3, step)
        assert [(sample.step, sample.place) for sample in found.samples] == [(step, 0), (step, 1), (step, 2)]
        for place, sample in enumerate(found.samples):
            for one, view in zip(sample.views, views, strict=True):
                np.testing.assert_array_equal(one.image, view.image[place, 0].numpy())
                np.testing.assert_array_equal(one.target, view.target[place, 0].numpy())
                assert one.sequence == view.sequences[place]
                assert one.parameters == view.parameters[place]
                assert one.subject == view.subjects[place]
        assert found.redraws == sum(view.redraws for view in views)


def test_the_seeds_written_out(sources) -> None:
    """The same again from the documented seeds, without the job."""
    source = sources["seqinv"]
    spec, registry = source.spec, source.registry
    dataset = registry.resolve(spec.sources[0].data, "test", "corrected").make()
    generator = registry.resolve(spec.views, "test", "corrected").make()
    maps = MapSource(dataset, select_by_id(dataset, spec.sources[0].train), 8.0, generator.needs)
    indices = draw_batch_indices(4, 3, 1, ("pretrain", 3), repeat=False)
    generators = [torch_generator("views", 3, 1, place) for place in range(3)]
    crops = maps.crops(indices, generator.source_vox(20), generators, torch.device("cpu")).maps
    views = generator.views(crops, (ViewRequest(), ViewRequest()), 20, 8.0, generators)
    found = make_samples(source, 3, step=1)
    for place, sample in enumerate(found.samples):
        for one, view in zip(sample.views, views, strict=True):
            np.testing.assert_array_equal(one.image, view.image[place, 0].numpy())
            assert one.parameters == view.parameters[place]


def test_more_samples_than_a_batch_come_from_the_next_steps(sources) -> None:
    many = make_samples(sources["base"], 7, step=2)
    assert [(sample.step, sample.place) for sample in many.samples] == [
        (2, 0), (2, 1), (2, 2), (3, 0), (3, 1), (3, 2), (4, 0),
    ]  # fmt: skip
    assert many.n_shown == 14
    assert many.n_views == 18, "whole batches are made"
    later = make_samples(sources["base"], 1, step=4)
    np.testing.assert_array_equal(many.samples[-1].views[1].image, later.samples[0].views[1].image)


def test_draws_are_those_of_the_job(sources) -> None:
    """All but what is measured in voxels."""
    source = sources["seqinv"]
    drawn = draw_parameters(source, 13)
    assert drawn.n_views == drawn.n_shown == 18
    rendered = make_samples(source, 9)
    assert drawn.redraws == rendered.redraws
    for small, large in zip(drawn.samples, rendered.samples, strict=True):
        assert (small.step, small.place) == (large.step, large.place)
        for one, other in zip(small.views, large.views, strict=True):
            assert one.image.size == 0
            assert one.subject == other.subject
            for name, value in other.parameters.items():
                if not name.endswith("_vox"):
                    assert one.parameters[name] == value, name
            boxes = "dropout_cuboids_vox"
            assert len(one.parameters[boxes]) == len(other.parameters[boxes])


def test_methods_with_the_same_views_share_a_source(opened, sources) -> None:
    found, _ = opened()
    assert [source.methods for source in found] == [("base",), ("seqinv", "twin")]
    assert sources["seqinv"] is sources["twin"]
    assert [source.label for source in found] == ["base (views: mprage)", "seqinv, twin (views: seqinv)"]
    alone, _ = opened(methods=["seqinv"])
    assert [source.label for source in alone] == ["seqinv"]


@pytest.mark.parametrize(
    "change",
    ["augment={rotation_deg: 3}", "pretrain={patch_vox: 16}", "pretrain={batch_size: 2}",
     "pretrain={spacing_mm: 10}", "views={name: seqinv, transmit_sd: 0}", "seed_offset=10"],
)  # fmt: skip
def test_methods_with_other_views_do_not(opened, change) -> None:
    found, _ = opened(f"methods.twin.{change}")
    assert [source.methods for source in found] == [("base",), ("seqinv",), ("twin",)]


@pytest.mark.parametrize("change", ["pretrain={lr: 0.5, steps: 9}", "encoder={name: cnn, features: [8, 8]}"])
def test_what_no_view_depends_on_parts_no_methods(opened, change) -> None:
    found, _ = opened(f"methods.twin.{change}")
    assert [source.methods for source in found] == [("base",), ("seqinv", "twin")]


def test_frozen_augmentation_is_shown_frozen(opened) -> None:
    (source,) = opened("defects=[frozen-augmentation]", methods=["seqinv"])[0]
    first, again = make_samples(source, 3, 0), make_samples(source, 3, 1)  # one step is a pass
    for one, other in zip(first.samples, again.samples, strict=True):
        assert one.views[0].parameters == other.views[0].parameters


def test_other_seeds_show_other_views(opened) -> None:
    images = [
        make_samples(opened(seed=seed, methods=["base"])[0][0], 1).samples[0].views[0].image
        for seed in (3, 4)
    ]
    assert not np.array_equal(*images)


def test_only_the_cohort_that_is_pretrained_on_is_made(opened, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("MRIBENCH_CACHE", str(tmp_path / "cache"))
    said: list[str] = []
    opened(methods=["base"], progress=lambda what, done, total: said.append(what))
    assert {what for what in said if what.startswith("making")} == {"making maps"}


def test_progress_reaches_its_end(sources) -> None:
    said: list[tuple[str, int, int]] = []
    make_samples(sources["base"], 4, progress=lambda *now: said.append(now))
    assert said == [("views of base (views: mprage)", 3, 4), ("views of base (views: mprage)", 4, 4)]


def test_no_global_random_state_is_left_to_chance(sources) -> None:
    torch.manual_seed(1)
    first = make_samples(sources["base"], 1).samples[0].views[0].image
    torch.manual_seed(2)
    np.testing.assert_array_equal(first, make_samples(sources["base"], 1).samples[0].views[0].image)


# ---- views of other sizes ------------------------------------------------------------------------------


def test_small_local_views_are_not_drawn_too_small(sources, monkeypatch) -> None:
    edges = []

    class Batches(JobViews):
        def batch(self, step):
            views = super().batch(step)
            edges.append([view.image.shape[-1] for view in views])
            return views

    monkeypatch.setattr("mribench.views.sources.JobViews", Batches)
    monkeypatch.setattr(SimclrRecon, "view_requests", (ViewRequest(), ViewRequest("local", 0.25)))
    base = sources["base"]
    source = Source(base.methods, base.views, base.spec, SimclrRecon.view_requests, base.registry)
    assert [view.image.shape[-1] for view in make_samples(source, 1).samples[0].views] == [20, 5]
    draw_parameters(source, 1)
    assert edges == [[20, 5], [20, 5]], "no larger than the job's own"
    large = replace(base.spec, pretrain={**base.spec.pretrain, "patch_vox": 64})
    draw_parameters(Source(base.methods, base.views, large, source.requests, base.registry), 1)
    assert edges[2] == [32, 8]


# ---- what cannot be shown ------------------------------------------------------------------------------


def test_no_methods(opened) -> None:
    with pytest.raises(ConfigError, match=r"small.yaml: no method pretrains, so no network is shown"):
        opened("methods={}")


def test_an_unknown_method(opened) -> None:
    with pytest.raises(ConfigError, match="there is no method 'seqinf'") as error:
        opened(methods=["seqinf"])
    assert "seqinv" in error.value.hint


def test_a_seed_that_the_file_does_not_train(opened) -> None:
    with pytest.raises(ConfigError, match=r"seed 0 is not among its seeds: 3, 4") as error:
        opened(seed=0)
    assert error.value.hint == "choose one of them, or add --set 'seeds=[0]'"


def test_a_cohort_that_is_not_there(opened, tmp_path) -> None:
    with pytest.raises(DataError, match=r"data.maps: .*there is no folder"):
        opened(f"data.maps={{name: mpm, root: {tmp_path / 'nowhere'}}}")


def test_one_cohort_of_two_that_is_not_there(opened, tmp_path) -> None:
    found, missing = opened(
        f"data.more={{name: mpm, root: {tmp_path / 'nowhere'}}}", "methods.base.pretrain.data=more"
    )
    assert [source.methods for source in found] == [("seqinv", "twin")]
    assert list(missing) == ["more"]


def test_a_batch_that_is_larger_than_the_cohort(opened) -> None:
    with pytest.raises(ConfigError, match="a batch of 5 needs as many pretraining subjects"):
        opened("defaults.pretrain.batch_size=5")


def test_a_patch_that_does_not_fit_the_encoder(opened) -> None:
    with pytest.raises(ConfigError, match="multiple of"):
        opened("defaults.pretrain.patch_vox=19")


# ---- somebody else's generator -------------------------------------------------------------------------


def test_strange_views(file, strange_registry) -> None:
    resolved = resolve(load_benchmark(file, ["methods.twin.views=strange"]), strange_registry)
    (source,), _ = open_sources(resolved, strange_registry, methods=["twin"])
    found = make_samples(source, 2)
    assert found.redraws == 2
    parameters = found.samples[0].views[0].parameters
    assert parameters["tensor"] == [1.0, 2.0]
    assert parameters["gradient_t_per_m"] == pytest.approx(0.0412)
    assert draw_parameters(source, 5).n_views == 6


def test_views_that_record_nothing(file, strange_registry, monkeypatch) -> None:
    resolved = resolve(load_benchmark(file, ["methods.twin.views=strange"]), strange_registry)
    (source,), _ = open_sources(resolved, strange_registry, methods=["twin"])
    batches = source.batches()
    views = batches.batch(0)
    for view in views:
        view.sequences, view.parameters, view.origins = [], [], []
    monkeypatch.setattr(JobViews, "batch", lambda self, step: views)
    (sample,) = make_samples(source, 1).samples
    assert [(view.sequence, view.parameters, view.subject) for view in sample.views] == [("", {}, "")] * 2
