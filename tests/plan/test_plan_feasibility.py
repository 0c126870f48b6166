"""What would make jobs fail, or score something else, is refused before any job runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mribench.config import load_benchmark, resolve
from mribench.errors import ConfigError
from mribench.interfaces import Encoder, Entry, SetMetric, SetScore, TaskRef
from mribench.plan import make_missing, open_cohorts, plan_all
from mribench.plan.feasibility import check_feasible
from mribench.plugins import load_registry
from mribench.registry import Registered, Registry


class Auroc(SetMetric):
    """Never computed: no task may be scored by it."""

    id = "auroc"
    of = "classes"

    def score_set(self, predictions: np.ndarray, targets: np.ndarray) -> SetScore:
        raise AssertionError("a metric of a set was called")


@pytest.fixture
def registry() -> Registry:
    registry = load_registry()

    def scored_over_the_set(options: object) -> object:
        task = registry.resolve(TaskRef.model_validate("denoising"), "test", "corrected").make()
        task.metrics = (*task.metrics, Auroc())
        return task

    entry = Entry("task", "scored-over-the-set", scored_over_the_set)
    registry.add(Registered(entry, "tests", "tests", "0"))
    return registry


def feasible(registry: Registry, repository: Path, *sets: str) -> None:
    resolved = resolve(load_benchmark(repository / "tests" / "benchmarks" / "tiny.yaml", sets), registry)
    check_feasible(resolved, open_cohorts(resolved))


def test_a_metric_of_a_whole_set_is_refused(registry: Registry, repository: Path) -> None:
    feasible(registry, repository)
    with pytest.raises(ConfigError) as caught:
        feasible(registry, repository, "tasks.denoise.task=scored-over-the-set")
    assert caught.value.message.endswith(
        ": tasks.denoise.task.metrics: 'auroc' is no metric of one scan at a time, as this task is scored"
    )
    assert "mribench list metric" in caught.value.hint


MAE = ("methods.seqinv.objective={name: mae, decoder_width: 24, decoder_heads: 2, decoder_depth: 1}",)


def test_hiding_parts_from_an_encoder_without_masks_is_refused(
    registry: Registry, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    feasible(registry, repository, *MAE)
    encoder = registry.get("encoder", "cnn").entry.factory
    monkeypatch.setattr(encoder, "mask_kind", "none")
    with pytest.raises(ConfigError) as caught:
        feasible(registry, repository, *MAE)
    assert caught.value.message.endswith(
        ": methods.seqinv.objective: 'mae' hides parts of images, and the encoder 'cnn' takes no mask"
    )


@pytest.mark.parametrize("place", ["defaults.pretrain.layer_decay", "tasks.denoise.adapt.layer_decay"])
def test_rates_of_layers_of_an_encoder_without_are_refused(
    registry: Registry, repository: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    feasible(registry, repository, f"{place}=0.75")
    encoder = registry.get("encoder", "cnn").entry.factory
    monkeypatch.setattr(encoder, "layers", Encoder.layers)
    feasible(registry, repository)
    with pytest.raises(ConfigError, match="the encoder does not say which layers it has") as caught:
        feasible(registry, repository, f"{place}=0.75")
    assert f": {place}: " in caught.value.message


def test_patches_that_another_encoder_does_not_divide_name_it(registry: Registry, repository: Path) -> None:
    other = "methods.seqinv.encoder={name: vit, token_vox: 5, width: 12, depth: 1, heads: 2, maps: 1}"
    with pytest.raises(ConfigError, match="multiple of 5, the largest stride of the encoder 'vit', got 8"):
        feasible(registry, repository, other)


def test_views_that_an_objectives_blocks_do_not_fill_are_refused(
    registry: Registry, repository: Path
) -> None:
    wide = "methods.seqinv.objective.block_vox=6"
    with pytest.raises(
        ConfigError, match=r"defaults\.pretrain\.patch_vox.* multiple of 6, the blocks of 'mae'"
    ):
        feasible(registry, repository, *MAE, wide)


def test_one_block_in_all_is_refused(registry: Registry, repository: Path) -> None:
    whole = "methods.seqinv.objective.block_vox=8"
    with pytest.raises(ConfigError, match="a view of 8 voxels is one block of 'mae': nothing would be shown"):
        feasible(registry, repository, *MAE, whole)


def test_where_all_is_done_no_network_is_built(registry: Registry, repository: Path) -> None:
    """It was built by the jobs; a plan of nothing to do spares itself the imports that it needs."""
    sets = ("tasks.tissue.adapt.patch_vox=7",)
    resolved = resolve(load_benchmark(repository / "tests" / "benchmarks" / "tiny.yaml", sets), registry)
    make_missing(resolved, lambda *_: None)
    cohorts = open_cohorts(resolved)
    asked = []

    def is_done(key: str) -> bool:
        asked.append(key)
        return True

    plan = plan_all(resolved, registry, cohorts, is_done)
    assert set(asked) == set(plan.runnable())
    for done in (lambda _: False, lambda key: key != asked[-1]):
        with pytest.raises(ConfigError, match=r"tasks\.tissue\.adapt\.patch_vox"):
            plan_all(resolved, registry, cohorts, done)
