"""Frozen augmentation as it was found in the released code, and how many views are distinct."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, strategies as st
from specifications import adapt_spec

from mribench.config import AdaptOptions
from mribench.defects import FROZEN_AUGMENTATION
from mribench.interfaces import TaskRef
from mribench.jobs.adapt import _Sampler
from mribench.jobs.draws import Diversity, draw_identity
from mribench.jobs.encoder_input import EncoderInput
from mribench.seeding import torch_generator

REPLAYED = (FROZEN_AUGMENTATION,)


class _Volumes:
    """Two subjects: the cohort of the paper's 1 % regime."""

    def __init__(self, count: int = 2) -> None:
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> int:
        return index


class _Task:
    """A sample is who it shows and one random number."""

    def training_sample(self, volume: int, patch_vox: int, generator: torch.Generator) -> dict[str, Any]:
        return {"image": torch.tensor([100.0 * volume]) + torch.rand(patch_vox, generator=generator)}


def sampler(defects: tuple[str, ...], count: int = 2, batch_size: int = 2) -> _Sampler:
    options = AdaptOptions(steps=1, lr=1.0, batch_size=batch_size, patch_vox=5)
    spec = adapt_spec(task=TaskRef(name="t"), defects=defects)
    return _Sampler(_Task(), _Volumes(count), options, spec, EncoderInput(None))  # type: ignore[arg-type]


def count_views(drawing: _Sampler) -> Diversity:
    """Return what is counted over twelve batches."""
    diversity = Diversity()
    for step in range(12):
        diversity.add(drawing.batch(step)[0]["image"])
    return diversity


def test_twelve_passes_over_two_subjects_replay_four_patches() -> None:
    assert count_views(sampler(REPLAYED)).row() == {"distinct_views": 4, "views_counted": 24}


def test_without_the_defect_no_patch_comes_twice() -> None:
    assert count_views(sampler(())).row() == {"distinct_views": 24, "views_counted": 24}


def test_the_sound_draws_are_those_without_defects() -> None:
    with_key, without = sampler(()), sampler(())
    without._defects = ()
    torch.testing.assert_close(with_key.batch(3)[0]["image"], without.batch(3)[0]["image"], rtol=0, atol=0)


@given(st.integers(0, 500), st.integers(0, 7), st.integers(1, 60))
def test_every_pass_replays_the_first(step: int, sample: int, steps_a_pass: int) -> None:
    again = draw_identity(step + steps_a_pass, sample, steps_a_pass, REPLAYED)
    assert again == draw_identity(step, sample, steps_a_pass, REPLAYED)
    assert draw_identity(step, sample, steps_a_pass, ()) == (step, sample)


@pytest.mark.parametrize(("steps_a_pass", "distinct"), [(1, 1), (8, 1), (9, 2), (113, 15)])
def test_eight_loaders_share_one_random_state(steps_a_pass: int, distinct: int) -> None:
    drawn = {draw_identity(step, 0, steps_a_pass, REPLAYED) for step in range(5 * steps_a_pass)}
    assert len(drawn) == distinct


def test_equal_images_count_once_and_different_ones_apart() -> None:
    diversity = Diversity()
    batch = torch.randn(6, 1, 4, 4, 4, generator=torch.Generator().manual_seed(0))
    diversity.add(batch)
    diversity.add(batch[:3])
    assert diversity.row() == {"distinct_views": 6, "views_counted": 9}


def test_diversity_goes_on_from_its_sums() -> None:
    whole, first, second = Diversity(), Diversity(), Diversity()
    batches = torch.randn(5, 3, 1, 4, 4, 4, generator=torch_generator("diversity"))
    batches[4, 0] = batches[0, 1]  # a view that the interrupted part saw
    for number, batch in enumerate(batches):
        whole.add(batch)
        if number < 3:
            first.add(batch)
    second.restore(first.sums())
    for batch in batches[3:]:
        second.add(batch)
    assert whole.row() == second.row() == {"distinct_views": 14, "views_counted": 15}
    assert first.row() == first.row() == {"distinct_views": 9, "views_counted": 9}
    assert Diversity().row() == {"distinct_views": 0, "views_counted": 0}
    assert Diversity().sums().shape == (0, 2)
