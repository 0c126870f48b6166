"""Deliberately broken view generators and sequences: the checks find them and say what is wrong."""

from __future__ import annotations

import dataclasses
from types import MappingProxyType

import pytest
import torch

from mribench.interfaces import (
    MRISequence,
    ParameterLabel,
    View,
    ViewGenerator,
)
from mribench.testing import (
    ConformanceError,
    check_sequence,
    check_views,
)


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


class NumberedViews(ViewGenerator):
    """A label that writes no text."""

    needs = ("PD",)
    labels = MappingProxyType({"delay_s": ParameterLabel("delay", write=lambda value: value)})

    def views(self, maps, requests, patch_vox, spacing_mm, generators):
        made = NoisyViews().views(maps, requests, patch_vox, spacing_mm, generators)
        return [dataclasses.replace(view, parameters=[{"delay_s": 0.5} for _ in generators]) for view in made]


def test_a_label_writes_text():
    with pytest.raises(ConformanceError, match=r"the label of 'delay_s' writes 0\.5, no text"):
        check_views(NumberedViews())


class NoisyViews(ViewGenerator):
    """Conforms: the middle of the map plus noise."""

    needs = ("PD",)

    def views(self, maps, requests, patch_vox, spacing_mm, generators):
        views = []
        for request in requests:
            edge = round(patch_vox * request.patch_scale)
            clean = maps["PD"][:, None, :edge, :edge, :edge] / 100
            noise = torch.stack([self.noise((1, edge, edge, edge), generator) for generator in generators])
            count = len(generators)
            views.append(View(clean + noise, clean, request.role, ["x"] * count, [{} for _ in range(count)]))
        return views

    def noise(self, shape, generator):
        return torch.randn(shape, generator=generator)


class GlobalNoise(NoisyViews):
    def noise(self, shape, generator):
        return torch.randn(shape)


class NoNoise(NoisyViews):
    def noise(self, shape, generator):
        return torch.zeros(shape)


class OneStream(NoisyViews):
    def views(self, maps, requests, patch_vox, spacing_mm, generators):
        return super().views(maps, requests, patch_vox, spacing_mm, [generators[0]] * len(generators))


class OneSize(NoisyViews):
    def views(self, maps, requests, patch_vox, spacing_mm, generators):
        full = [dataclasses.replace(request, patch_scale=1.0) for request in requests]
        return super().views(maps, full, patch_vox, spacing_mm, generators)


class ChangesMaps(NoisyViews):
    def views(self, maps, requests, patch_vox, spacing_mm, generators):
        maps["PD"].mul_(2)
        return super().views(maps, requests, patch_vox, spacing_mm, generators)


class LosesRole(NoisyViews):
    def views(self, maps, requests, patch_vox, spacing_mm, generators):
        views = super().views(maps, requests, patch_vox, spacing_mm, generators)
        return [dataclasses.replace(view, role="global") for view in views]


def test_a_sound_view_generator_conforms():
    check_views(NoisyViews())


@pytest.mark.parametrize(
    ("views", "message"),
    [
        (GlobalNoise, "global random state"),
        (NoNoise, "nothing is random"),
        (OneStream, "depends on the other samples"),
        (OneSize, "image of a local view: expected shape"),
        (ChangesMaps, "in place"),
        (LosesRole, "role 'global' where 'local'"),
    ],
)
def test_broken_views(views, message):
    with pytest.raises(ConformanceError, match=message):
        check_views(views())


class Decay(MRISequence):
    name = family = "decay"

    def draw(self, generator):
        return {"te_s": 0.01 + 0.05 * float(torch.rand(1, generator=generator))}

    def signal(self, maps, parameters, receive=1.0, transmit=1.0):
        return receive * maps["PD"] * torch.exp(-parameters["te_s"] * maps["R2s"])


class Impossible(Decay):
    def invalid(self, parameters):
        return "te_s is never short enough"


class Normalised(Decay):
    def signal(self, maps, parameters, receive=1.0, transmit=1.0):
        signal = super().signal(maps, parameters)
        return signal / signal.max()


class DividesByZero(Decay):
    def signal(self, maps, parameters, receive=1.0, transmit=1.0):
        return maps["PD"] / maps["R1"]


class Smoothed(Decay):
    def signal(self, maps, parameters, receive=1.0, transmit=1.0):
        signal = super().signal(maps, parameters)
        return signal + signal.mean((1, 2, 3), keepdim=True)


class WantsR2(Decay):
    def signal(self, maps, parameters, receive=1.0, transmit=1.0):
        return maps["PD"] * torch.exp(-parameters["te_s"] * maps["R2"])


class SecretlyReadsTransmit(Decay):
    reads_transmit = False

    def signal(self, maps, parameters, receive=1.0, transmit=1.0):
        return transmit * super().signal(maps, parameters)


def test_a_sound_sequence_conforms():
    check_sequence(Decay())


@pytest.mark.parametrize(
    ("sequence", "message"),
    [
        (Impossible, "never short enough"),
        (Normalised, "depends on the other samples"),
        (DividesByZero, "NaN or infinite"),
        (WantsR2, "most cohorts have no R2 map"),
        (Smoothed, "depends on other voxels"),
        (SecretlyReadsTransmit, "'reads_transmit' is False"),
    ],
)
def test_broken_sequences(sequence, message):
    with pytest.raises(ConformanceError, match=message):
        check_sequence(sequence())
