"""A small benchmark file and a registry of made-up entries."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import pytest
from pydantic import Field, model_validator

from mribench.config import BenchmarkConfig, load_benchmark
from mribench.errors import ConfigError
from mribench.interfaces.entry import Entry
from mribench.interfaces.options import DecoderRef, MetricRef, NoOptions, Options, Profile, SequenceRef
from mribench.registry import Registered, Registry

BASE = """\
benchmark: tiny
seeds: [0, 1]
data:
  maps: {name: cohort, root: "${TINY_ROOT}"}
  scans: cohort
splits:
  maps: {train: 3, validation: 1, test: 0}
  scans: {by: place, train: 2}
defaults:
  encoder: {name: net, features: [4, 8]}
  augment: {rotation_deg: 10.0, noise: 0.1}
  pretrain: {data: maps, patch_vox: 8, steps: 10, batch_size: 2, lr: 1e-3}
methods:
  plain: {views: blur, objective: pull}
  sharp: {views: {name: blur, width: 2}, objective: {name: pull, temperature: 0.5}}
tasks:
  find:
    task: {name: search, metrics: [count]}
    data: scans
    train_sequences: [T1w]
    adapt: {steps: 5, lr: 0.01}
"""


class CohortOptions(Options):
    root: str | None = Field(None, description="folder")


class SplitOptions(Options):
    train: int = Field(description="subjects")
    validation: int = Field(0, description="subjects")
    test: int = Field(0, description="subjects")


class NetOptions(Options):
    features: list[Annotated[int, Field(gt=0)]] = Field([4], description="channels")


class AugmentOptions(Options):
    rotation_deg: float = Field(0.0, description="largest rotation")
    noise: float = Field(0.0, ge=0, description="noise")


class BlurOptions(Options):
    width: int = Field(1, description="width")
    augment: AugmentOptions = Field(AugmentOptions(), description="augmentation")
    sequences: list[SequenceRef] = Field([SequenceRef(name="echo")], description="sequences")
    profile: Profile = "corrected"


class PullOptions(Options):
    temperature: float = Field(0.1, gt=0, description="temperature")
    floor: float = Field(0.0, description="smallest temperature")

    @model_validator(mode="after")
    def _ordered(self) -> PullOptions:
        if self.floor > self.temperature:
            raise ValueError(f"expected floor <= temperature, got {self.floor} > {self.temperature}")
        return self


class SearchOptions(Options):
    metrics: list[MetricRef] = Field(description="metrics")
    decoder: DecoderRef = Field(DecoderRef(name="up"), description="head")


class CountOptions(Options):
    above: float = Field(0.5, description="threshold")


def _entry(kind: str, name: str, options: type[Options] = NoOptions) -> Entry:
    return Entry(kind, name, lambda *made: (kind, name, *made), options, f"a made-up {kind}")


@pytest.fixture
def registry() -> Registry:
    made = Registry()
    for entry in (
        _entry("dataset", "cohort", CohortOptions),
        _entry("split", "subject", SplitOptions),
        _entry("split", "place", SplitOptions),
        _entry("sequence", "echo"),
        _entry("views", "blur", BlurOptions),
        _entry("views", "bare"),
        _entry("objective", "pull", PullOptions),
        _entry("encoder", "net", NetOptions),
        _entry("decoder", "up"),
        _entry("task", "search", SearchOptions),
        _entry("metric", "count", CountOptions),
    ):
        made.add(Registered(entry, "fake", "fake-distribution", "1"))
    return made


@pytest.fixture
def base() -> str:
    return BASE


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., BenchmarkConfig]:
    """Load a benchmark file of the given text, with settings."""

    def _load(text: str = BASE, *sets: str) -> BenchmarkConfig:
        path = tmp_path / "tiny.yaml"
        path.write_text(text, encoding="utf-8")
        return load_benchmark(path, sets)

    return _load


@pytest.fixture
def complaint(load: Callable[..., BenchmarkConfig]) -> Callable[..., tuple[str, str]]:
    """Load what must be refused, and return the message and the hint."""

    def _complaint(text: str = BASE, *sets: str) -> tuple[str, str]:
        with pytest.raises(ConfigError) as caught:
            load(text, *sets)
        return caught.value.message, caught.value.hint

    return _complaint
